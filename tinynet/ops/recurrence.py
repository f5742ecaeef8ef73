"""Recurrent networks' steps: products with the same weight again and again, and the cells.

In a plain graph each step of a sequence would add its share to the weight's gradient by a product
of its own. Here the steps of a `Recurrence` only note what they have to say; the gradient is then
one product over all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.autograd.engine import grad as differentiate
from tinynet.autograd.function import record_several
from tinynet.autograd.graph import CONSTANT, Node, result, wrap
from tinynet.autograd.mode import mode, no_grad
from tinynet.autograd.operation import Gradients, Op
from tinynet.ops.joining import cat, split
from tinynet.ops.linear import product, transposed_product
from tinynet.ops.movement import narrow_to

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Notes:
    """The first row, the gradient and the operand of some steps; adds up like a gradient."""

    is_alias = True

    def __init__(self, hub: Node, start: int, grad: Tensor, x: Tensor) -> None:
        self.shape, self.dtype = hub.shape, hub.dtype
        self.steps = [(start, grad, x)]

    def __add__(self, other: Notes) -> Notes:
        self.steps += other.steps
        return self


class Shared(Op):
    """Weight, bias and addend, which all steps use. `params`: how many rows the addend has."""

    op = "recurrence"

    @staticmethod
    def backward(ctx: Node, notes: Notes) -> Gradients:
        needs_weight, needs_bias, needs_addend = ctx.needs_input_grad
        steps = sorted(notes.steps, key=lambda step: step[0])
        grads = cat([grad for _, grad, _ in steps])
        weight_grad = None
        if needs_weight:
            weight_grad = transposed_product(grads, cat([x for _, _, x in steps]))
        bias_grad = grads.sum(0) if needs_bias else None
        if needs_addend and len(grads) < ctx.params:
            grads = _with_gaps(steps, ctx.params)
        return weight_grad, bias_grad, (grads if needs_addend else None)


def _with_gaps(steps: list[tuple[int, Tensor, Tensor]], rows: int) -> Tensor:
    """The gradients of all rows: zeros for steps that nothing depends on."""
    parts: list[Tensor] = []
    end = 0
    for start, grad, _ in steps:
        parts += [grad.new_zeros((start - end, *grad.shape[1:])), grad]
        end = start + len(grad)
    return cat([*parts, grad.new_zeros((rows - end, *grad.shape[1:]))])


class Step(Op):
    """One product of a recurrence. `params`: its first row."""

    op = "recurrence"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        needs_hub, needs_x = ctx.needs_input_grad
        notes = Notes(ctx.edges[0], ctx.params, grad, x) if needs_hub else None
        return notes, (product(grad, weight) if needs_x else None)


class Recurrence:
    """`x @ weight.T + bias + addend[start : start + len(x)]`, for one matrix `x` after another.

    No row of the addend is used twice. All have one dtype and device; shapes fit.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, addend: Tensor | None = None
    ) -> None:
        self.weight, self.bias, self.addend = weight, bias, addend
        inputs: Any = tuple([CONSTANT if y is None else y for y in (weight, bias, addend)])
        rows = 0 if addend is None else len(addend)
        self.hub = result(Shared, weight.array, weight.dtype, inputs, (), rows)

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        """The step whose addend begins with row `start`."""
        backend, weight = x.backend, self.weight
        array = backend.matmul(x.array, backend.permute(weight.array, (1, 0)))
        if self.bias is not None:
            array = backend.elementwise("add", array, self.bias.array, out=array)
        if self.addend is not None:
            rows = narrow_to(self.addend.detach(), 0, start, len(x))
            array = backend.elementwise("add", array, rows.array, out=array)
        return result(Step, array, x.dtype, (self.hub, x), (x, weight), start)


class LSTMCell(Op):
    """Gers et al. 2000, "Learning to forget", section 3: the sums of all gates, and the state."""

    op = "lstm_cell"

    @staticmethod
    def backward(ctx: Node, h_grad: Tensor, c_grad: Tensor) -> Gradients:
        sums, c, *gates = ctx.saved_tensors
        if mode.enabled:  # recorded, they are functions of the input again
            *gates, _, tanh_c = _lstm_gates(sums, c)
            gates.append(tanh_c)
        i, f, g, o, tanh_c = gates
        c_grad = c_grad + h_grad * o * (1.0 - tanh_c * tanh_c)
        parts = [
            c_grad * g * (i * (1.0 - i)),
            c_grad * c * (f * (1.0 - f)),
            c_grad * i * (1.0 - g * g),
            h_grad * tanh_c * (o * (1.0 - o)),
        ]
        return cat(parts, 1), c_grad * f


def _lstm_gates(sums: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    """Input gate, forget gate, candidate and output gate; the next state, and its tanh."""
    i, f, g, o = split(sums, c.shape[1], 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new = f * c + i * g
    return i, f, g, o, new, new.tanh()


def lstm_cell(sums: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The next output and state: of the gates' sums (n, 4 * hidden) and a state (n, hidden)."""
    with no_grad():
        i, f, g, o, new, tanh_c = _lstm_gates(sums, c)
        h = o * tanh_c
    record_several(LSTMCell, (h, new), (sums, c), (sums, c, i, f, g, o, tanh_c))
    return h, new


class LSTM(Op):
    """All steps of a long short-term memory. `params`: whether the last step comes first."""

    op = "lstm"

    @staticmethod
    def backward(ctx: Node, grad: Tensor, c_grad: Tensor) -> Gradients:
        sums, weight, h, c, outputs, cells, gates = ctx.saved_tensors
        if mode.enabled:  # recorded, it is a function of the inputs again
            inputs = (sums, weight, h, c)
            needed = [x for x, needs in zip(inputs, ctx.needs_input_grad) if needs]
            found = iter(
                differentiate(
                    lstm_in_steps(*inputs, ctx.params), needed, (grad, c_grad), create_graph=True
                )
            )
            return tuple([next(found) if needs else None for needs in ctx.needs_input_grad])
        arrays = (weight.array, gates.array, cells.array, c.array)
        made = c.backend.lstm_backward((grad.array, c_grad.array), *arrays, ctx.params)
        sums_grad, h_grad, first_c_grad = [wrap(x, c.dtype, c.backend) for x in made]
        weight_grad = None
        if ctx.needs_input_grad[1]:
            rows = len(outputs) - len(h)
            earlier = [h, outputs[:rows]] if not ctx.params else [outputs[len(h) :], h]
            weight_grad = transposed_product(sums_grad, cat(earlier))
        return sums_grad, weight_grad, h_grad, first_c_grad


def lstm(
    sums: Tensor, weight: Tensor, h: Tensor, c: Tensor, is_reverse: bool
) -> tuple[Tensor, Tensor]:
    """All outputs (steps * n, hidden), and the last state.

    Of the gates' sums (steps * n, 4 * hidden) so far, n > 0, the weight (4 * hidden, hidden) of the
    outputs, and the first output and state (n, hidden). All have one dtype and device.
    """
    backend = h.backend
    made = backend.lstm(sums.array, weight.array, h.array, c.array, is_reverse)
    if made is None:
        return lstm_in_steps(sums, weight, h, c, is_reverse)
    outputs, cells, gates = [wrap(x, h.dtype, backend) for x in made]
    with no_grad():
        last = (cells[: len(c)] if is_reverse else cells[len(cells) - len(c) :]).clone()
    inputs = (sums, weight, h, c)
    record_several(LSTM, (outputs, last), inputs, (*inputs, outputs, cells, gates), is_reverse)
    return outputs, last


def lstm_in_steps(
    sums: Tensor, weight: Tensor, h: Tensor, c: Tensor, is_reverse: bool
) -> tuple[Tensor, Tensor]:
    """`lstm` step by step."""
    n = len(h)
    recurrence = Recurrence(weight, None, sums)
    outputs: list[Tensor] = []
    for start in range(0, len(sums), n)[:: -1 if is_reverse else 1]:
        h, c = lstm_cell(recurrence(h, start), c)
        outputs.append(h)
    return cat(outputs[::-1] if is_reverse else outputs), c


def gru_cell(from_x: Tensor, from_h: Tensor, h: Tensor) -> Tensor:
    """The next state: of both sums (n, 3 * hidden) of the gates and a state (n, hidden).

    Cho et al. 2014, with the reset gate behind the product, as PyTorch has it.
    """
    size = h.shape[1]
    x_r, x_z, x_n = split(from_x, size, 1)
    h_r, h_z, h_n = split(from_h, size, 1)
    update = (x_z + h_z).sigmoid()
    new = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
    return new + update * (h - new)
