"""RNN, GRU and LSTM, step by step, in one direction or both.

`X` is (steps, batch, input), or (batch, steps, input) in `layout` 1; weights have a dim for the
directions first. Activations are the usual ones, or Relu, Sigmoid and Tanh in other places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinynet.onnx.node import Node, Operator
from tinynet.ops import arithmetic, elementwise
from tinynet.ops.joining import cat, stack
from tinynet.ops.recurrence import lstm as lstm_of_sums
from tinynet.tensor import Tensor

Function = Callable[[Tensor], Tensor]
States = tuple[Tensor, ...]
Direction = Callable[[int, Tensor, States, bool], tuple[Tensor, States]]
ACTIVATIONS: dict[str, Any] = {
    "relu": arithmetic.relu,
    "sigmoid": elementwise.sigmoid,
    "tanh": elementwise.tanh,
}


BOTH = "bidirectional"
USUAL = ("sigmoid", "tanh", "tanh")  # of an LSTM


def activations(node: Node, usual: Sequence[str], direction: int) -> list[Function]:
    """Those of one direction."""
    names = node.get("activations", tuple(usual))
    names = names[direction * len(usual) :][: len(usual)] or names[: len(usual)]
    if len(names) != len(usual):
        node.malformed(f"has activations {names}, expected {len(usual)} for each direction")
    unknown = [name for name in names if name.lower() not in ACTIVATIONS]
    if unknown:
        node.refuse(f"has activation {unknown[0]}, expected Relu, Sigmoid or Tanh")
    return [ACTIVATIONS[name.lower()] for name in names]


def run_directions(
    node: Node, x: Tensor, count: int, size: int, first: Sequence[Tensor | None], run: Direction
) -> tuple[Tensor, ...]:
    """All outputs (steps, directions, batch, hidden), then the last states, in the layout asked."""
    if node.get("clip"):
        node.refuse("clips its sums")
    layout = node.flag("layout", 0)
    if layout:
        x = x.transpose(0, 1)
        first = [None if y is None else y.transpose(0, 1) for y in first]
    zeros = x.new_zeros((count, x.shape[1], size))
    started = [zeros if y is None else y for y in first]
    outputs, ended = [], []
    for direction in range(count):
        is_reverse = bool(direction) or node.get("direction", "forward") == "reverse"
        states = tuple([y[direction] for y in started])
        y, last = run(direction, x, states, is_reverse)
        outputs.append(y)
        ended.append(last)
    results = [stack(outputs, 1), *[stack(parts) for parts in zip(*ended, strict=True)]]
    if layout:
        results = [results[0].permute(2, 0, 1, 3), *[y.transpose(0, 1) for y in results[1:]]]
    return tuple(results)


def unrolled(
    step: Callable[[Tensor, States], States], sums: Tensor, states: States, is_reverse: bool
) -> tuple[Tensor, States]:
    """`step` along the first dim of `sums`."""
    outputs = []
    rows = sums.unbind(0)
    for row in rows[::-1] if is_reverse else rows:
        states = step(row, states)
        outputs.append(states[0])
    return stack(outputs[::-1] if is_reverse else outputs), states


def biases(b: Tensor | None, w: Tensor, direction: int) -> tuple[Any, Any]:
    """Those of the input's product and of the state's."""
    if b is None:
        zeros = w.new_zeros(w.shape[1])
        return zeros, zeros
    return tuple(b[direction].split(w.shape[1]))  # type: ignore[return-value]


def check_inputs(
    node: Node, gates: int, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, *states: Any
) -> None:
    """Shapes must be ONNX's, for as many directions as the node has."""
    layout, kind = node.flag("layout", 0), node.choice("direction", "forward", "reverse", BOTH)
    if x.ndim != 3 or r.ndim != 3:
        node.malformed(f"has X of shape {x.shape} and R of shape {r.shape}, expected 3 dims each")
    count, size, n = 2 if kind == BOTH else 1, r.shape[2], x.shape[0 if layout else 1]
    state = (n, count, size) if layout else (count, n, size)
    rows: list[tuple[str, Tensor | None, tuple[int, ...]]] = [
        ("W", w, (count, gates * size, x.shape[2])),
        ("R", r, (count, gates * size, size)),
        ("B", b, (count, 2 * gates * size)),
        *[(name, y, state) for name, y in zip(("initial_h", "initial_c"), states)],
    ]
    for name, given, shape in rows:
        if given is not None and given.shape != shape:
            node.malformed(f"has {name} of shape {given.shape}, expected {shape}")


def refuse_lengths(node: Node, x: Tensor, lengths: Any) -> None:
    """Sequences of different lengths are not there."""
    steps = x.shape[1 if node.flag("layout", 0) else 0]
    if lengths is not None and (lengths != steps).any():
        node.refuse(f"has sequence_lens other than {steps}, the number of steps")


def rnn(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    h: Tensor | None = None,
) -> tuple[Tensor, ...]:
    check_inputs(node, 1, x, w, r, b, h)
    refuse_lengths(node, x, lengths)

    def run(d: int, x: Tensor, states: States, is_reverse: bool) -> tuple[Tensor, States]:
        (f,) = activations(node, ["Tanh"], d)
        sums = x @ w[d].mT + sum(biases(b, w, d))
        return unrolled(lambda row, h: (f(row + h[0] @ r[d].mT),), sums, states, is_reverse)

    return run_directions(node, x, w.shape[0], r.shape[2], [h], run)


def gru(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    h: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Gates are the update's, the reset's, the candidate's."""
    check_inputs(node, 3, x, w, r, b, h)
    refuse_lengths(node, x, lengths)
    size = r.shape[2]

    def run(d: int, x: Tensor, states: States, is_reverse: bool) -> tuple[Tensor, States]:
        f, g = activations(node, ["Sigmoid", "Tanh"], d)
        from_x, from_h = biases(b, w, d)
        gates, candidate = r[d][: 2 * size], r[d][2 * size :]

        def step(row: Tensor, states: States) -> States:
            state = states[0]
            both = f(row[:, : 2 * size] + state @ gates.mT + from_h[: 2 * size])
            z, reset = both.split(size, 1)
            if node.flag("linear_before_reset", 0):
                inner = reset * (state @ candidate.mT + from_h[2 * size :])
            else:
                inner = (reset * state) @ candidate.mT + from_h[2 * size :]
            new = g(row[:, 2 * size :] + inner)
            return (new + z * (state - new),)

        return unrolled(step, x @ w[d].mT + from_x, states, is_reverse)

    return run_directions(node, x, w.shape[0], size, [h], run)


def lstm(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Any = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    p: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Gates are the input's, the output's, the forget gate's, the candidate's."""
    check_inputs(node, 4, x, w, r, b, h, c)
    refuse_lengths(node, x, lengths)
    if node.flag("input_forget", 0):
        node.refuse("couples its input and forget gates")
    size = r.shape[2]
    if p is not None and p.shape != (w.shape[0], 3 * size):
        node.malformed(f"has P of shape {p.shape}, expected {(w.shape[0], 3 * size)}")

    def run(d: int, x: Tensor, states: States, is_reverse: bool) -> tuple[Tensor, States]:
        functions = activations(node, USUAL, d)
        bias = sum(biases(b, w, d))
        names = node.get("activations", USUAL)[3 * d :][:3] or USUAL
        if p is None and tuple(name.lower() for name in names) == USUAL and x.numel():
            return _fused_lstm(x, in_our_order(w[d]), in_our_order(r[d]), in_our_order(bias),
                               states, is_reverse)  # fmt: skip
        step = _peephole_step(functions, r[d], None if p is None else p[d], size)
        return unrolled(step, x @ w[d].mT + bias, states, is_reverse)

    return run_directions(node, x, w.shape[0], size, [h, c], run)


def in_our_order(rows: Any) -> Tensor:
    """Input, forget, candidate, output: PyTorch's order of the gates, and ours."""
    i, o, f, g = rows.chunk(4)
    return cat([i, f, g, o])


def _fused_lstm(
    x: Tensor, w: Tensor, r: Tensor, bias: Tensor, states: States, is_reverse: bool
) -> tuple[Tensor, States]:
    steps, n, _ = x.shape
    sums = x.reshape(steps * n, -1) @ w.mT + bias
    rows, last = lstm_of_sums(sums, r, states[0], states[1], is_reverse)
    y = rows.reshape(steps, n, -1)
    return y, (y[0 if is_reverse else -1], last)


def _peephole_step(
    functions: list[Function], r: Tensor, p: Tensor | None, size: int
) -> Callable[[Tensor, States], States]:
    """Gates see the state too (Gers & Schmidhuber 2000), by weights `p` of three of them."""
    f, g, out = functions
    peep_i, peep_o, peep_f = (0.0, 0.0, 0.0) if p is None else p.split(size)

    def step(row: Tensor, states: States) -> States:
        h, c = states
        i, o, forget, new = (row + h @ r.mT).split(size, 1)
        i, forget = f(i + c * peep_i), f(forget + c * peep_f)
        c = forget * c + i * g(new)
        return f(o + c * peep_o) * out(c), c

    return step


OPERATORS: dict[str, Operator] = {
    "RNN": Operator(rnn, 7, (4,)),
    "GRU": Operator(gru, 7, (4,)),
    "LSTM": Operator(lstm, 7, (4,)),
}
