"""Recurrent layers over whole sequences: `RNN`, `LSTM` and `GRU`; one step each is in `cells`.

Sequences of different lengths come as a `PackedSequence`. Inside, all sequences are packed: rows
of the first time step, of the second, and so on, with a number of rows for each step. What gates
get from the input is one product for all steps; from the state comes one for each
(`ops/recurrence.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.nn import functional
from tinynet.nn.cells import reset_uniformly
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.utils.rnn import PackedSequence
from tinynet.ops.creation import empty
from tinynet.ops.joining import cat, split, stack
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.ops.recurrence import Recurrence, gru_cell, lstm, lstm_cell
from tinynet.tensor import Tensor

States = tuple[Tensor, ...]  # of one layer and direction, (n, size) each: the output, and more
Step = Callable[[int, int, States], States]  # of a time step, its first row and the states


class RNNBase(Module):
    """Base of the three: `num_layers` layers on top of one another, in one or both directions.

    Input (time, batch, input_size), with `batch_first` (batch, time, input_size); or without a
    batch (time, input_size); or a `PackedSequence`. States are (layers * directions, batch, size),
    zeros unless given. Returns all outputs of the last layer, and the last states of all. `dropout`
    is the probability of elements between layers to be zeroed in training. Weights start uniform on
    +-1 / sqrt(hidden_size).
    """

    gates = 1  # how many times hidden_size the sums of a cell are
    state_names: tuple[str, ...] = ("hx",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments()
        self.dropout = float(dropout)
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._make_weights(layer, suffix, device, dtype)
        self.reset_parameters()

    def _check_arguments(self) -> None:
        op = type(self).__name__
        for name, kind in (
            ("bias", bool), ("batch_first", bool),
            ("input_size", int), ("hidden_size", int), ("num_layers", int),
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ArgumentTypeError(
                    f"{op}: {name} must be {_a(kind)}, got {type(value).__name__}"
                )
            if kind is int and value <= 0:
                raise ArgumentError(f"{op}: {name} must be positive, got {value}")
        is_number = isinstance(self.dropout, (int, float)) and not isinstance(self.dropout, bool)
        if not is_number or not 0 <= self.dropout <= 1:
            raise ArgumentError(f"{op}: dropout must be between 0 and 1, got {self.dropout!r}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ArgumentError(
                f"{op}: proj_size must be 0 or less than hidden_size {self.hidden_size}, "
                f"got {self.proj_size}"
            )
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"{op}: dropout={self.dropout} is between layers, and there is only one",
                stacklevel=5,
            )

    # weights
    def _suffixes(self, layer: int) -> list[str]:
        """How the names of a layer's weights end, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _weight_names(self, suffix: str) -> list[str]:
        names = ["weight_ih", "weight_hh"]
        names += ["bias_ih", "bias_hh"] if self.bias else []
        names += ["weight_hr"] if self.proj_size else []
        return [name + suffix for name in names]

    def _make_weights(
        self, layer: int, suffix: str, device: str | None, dtype: DType | None
    ) -> None:
        out = self.proj_size or self.hidden_size
        width = out * len(self._suffixes(layer)) if layer else self.input_size
        sums = self.gates * self.hidden_size
        shapes = {"weight_ih": (sums, width), "weight_hh": (sums, out), "bias_ih": (sums,),
                  "bias_hh": (sums,), "weight_hr": (out, self.hidden_size)}  # fmt: skip
        for name in self._weight_names(suffix):
            shape = shapes[name.removesuffix(suffix)]
            setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        suffixes = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        return [[getattr(self, name) for name in self._weight_names(s)] for s in suffixes]

    def flatten_parameters(self) -> None:
        """Nothing to do: it is there because code for GPUs calls it."""

    def reset_parameters(self) -> None:
        """Draw new weights."""
        reset_uniformly(self, self.hidden_size)

    # states
    def _state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size,)

    def _states(self, hx: Any, rows: Tensor, batch: int, is_batched: bool) -> list[Tensor]:
        """The states given, checked, or zeros: (layers * directions, batch, size) each."""
        op, count = type(self).__name__, self.num_layers * len(self._suffixes(0))
        sizes = self._state_sizes()
        if hx is None:
            return [rows.new_zeros((count, batch, size)) for size in sizes]
        given = hx if len(sizes) > 1 else (hx,)
        if not isinstance(given, (tuple, list)) or len(given) != len(sizes):
            raise ArgumentTypeError(f"{op}: hx must be a pair of tensors, got {_described(hx)}")
        states = []
        for name, size, state in zip(self.state_names, sizes, given):
            require_tensor(op, state, name)
            shape = (count, batch, size) if is_batched else (count, size)
            if state.shape != shape:
                raise ShapeError(f"{op}: {name} has shape {state.shape}, expected {shape}")
            if state.dtype is not rows.dtype:
                raise DTypeError(f"{op}: {name} has {state.dtype}, the input {rows.dtype}")
            require_same_device(op, rows, state)
            states.append(state if is_batched else state.unsqueeze(1))
        return states

    # forward
    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> Any:
        """All outputs (as the input, `output_size` wide) and the last states (as `hx`)."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        op = type(self).__name__
        x = require_tensor(op, input)
        if x.ndim not in (2, 3):
            raise ShapeError(f"{op}: expected 2 or 3 dims, got shape {x.shape}")
        self._check_input(x)
        is_batched = x.ndim == 3
        x = x if is_batched else x.unsqueeze(1)
        if is_batched and self.batch_first:
            x = x.transpose(0, 1)
        time, batch = x.shape[:2]
        if not time:
            raise ShapeError(f"{op}: expected at least one time step, got shape {input.shape}")
        rows = x.reshape(time * batch, self.input_size)
        states = self._states(hx, rows, batch, is_batched)
        rows, states = self._run(rows, [batch] * time, states)
        y = rows.reshape(time, batch, rows.shape[1])
        if not is_batched:
            y, states = y.squeeze(1), [state.squeeze(1) for state in states]
        elif self.batch_first:
            y = y.transpose(0, 1)
        return y, _packed_up(states)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> Any:
        rows, (sizes, _) = input.data, input.layout
        if rows.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__}: packed data must have 2 dims, got shape {rows.shape}"
            )
        self._check_input(rows)
        states = self._states(hx, rows, sizes[0], True)
        if input.sorted_indices is not None and hx is not None:
            states = [state.index_select(1, input.sorted_indices) for state in states]
        rows, states = self._run(rows, sizes, states)
        if input.unsorted_indices is not None:
            states = [state.index_select(1, input.unsorted_indices) for state in states]
        return input.with_data(rows), _packed_up(states)

    def _check_input(self, x: Tensor) -> None:
        op, weight = type(self).__name__, self.all_weights[0][0]
        if x.dtype is not weight.dtype:
            raise DTypeError(f"{op}: input has {x.dtype}, the weights {weight.dtype}")
        require_same_device(op, x, weight)
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{op}: input {x.shape} has a last size of {x.shape[-1]}, "
                f"expected input_size {self.input_size}"
            )

    def _run(
        self, rows: Tensor, sizes: Sequence[int], states: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers over packed rows."""
        last: list[States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                rows = functional.dropout(rows, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes(layer):
                first = tuple([state[len(last)] for state in states])
                y, ended = self._layer(rows, sizes, first, suffix)
                outputs.append(y)
                last.append(ended)
            rows = cat(outputs, 1) if len(outputs) > 1 else outputs[0]
        return rows, [stack(parts) for parts in zip(*last)]

    def _layer(
        self, rows: Tensor, sizes: Sequence[int], first: States, suffix: str
    ) -> tuple[Tensor, States]:
        """One layer in one direction: all outputs and the last states."""
        step = self._step(rows, sizes, suffix)
        return _unrolled(step, first, sizes, suffix.endswith("_reverse"))

    def _step(self, rows: Tensor, sizes: Sequence[int], suffix: str) -> Step:
        """What leads from one time step to the next, in one layer and direction."""
        raise NotImplementedError

    def _sums(self, rows: Tensor, suffix: str) -> Tensor:
        """What all cells get from the input, with both biases."""
        w_ih, _, *others = [getattr(self, name) for name in self._weight_names(suffix)]
        bias = others[0] + others[1] if self.bias else None
        return functional.linear(rows, w_ih, bias)

    def _recurrence(self, rows: Tensor, suffix: str) -> Recurrence:
        """The sums of cells: from the input for all steps, and with each from the state."""
        return Recurrence(getattr(self, "weight_hh" + suffix), None, self._sums(rows, suffix))

    def extra_repr(self) -> str:
        """Arguments that are not the default."""
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False,
                    "dropout": 0, "bidirectional": False}  # fmt: skip
        others = [
            f", {name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return f"{self.input_size}, {self.hidden_size}{''.join(others)}"


def _a(kind: type) -> str:
    return "an int" if kind is int else f"a {kind.__name__}"


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def _packed_up(states: list[Tensor]) -> Any:
    return states[0] if len(states) == 1 else tuple(states)


def _unrolled(
    step: Step, first: States, sizes: Sequence[int], is_reverse: bool
) -> tuple[Tensor, States]:
    """All outputs, packed as the input is, and the last states of every sequence.

    `sizes`: how many sequences last to each step, fewer and fewer. Forwards those that have ended
    leave; backwards, where the last steps come first, more and more join.
    """
    starts = [0, *accumulate(sizes)]
    order = reversed(range(len(sizes))) if is_reverse else range(len(sizes))
    states = tuple([x[: sizes[-1]] if is_reverse else x for x in first])
    ended: list[States] = []
    outputs: list[Tensor] = []
    for t in order:
        size, before = sizes[t], len(states[0])
        if size < before:
            ended.insert(0, tuple([x[size:] for x in states]))
            states = tuple([x[:size] for x in states])
        elif size > before:
            states = tuple([cat([x, y[before:size]]) for x, y in zip(states, first)])
        states = step(t, starts[t], states)
        outputs.append(states[0])
    if is_reverse:
        outputs.reverse()
    if ended:
        states = tuple([cat(parts) for parts in zip(states, *ended)])
    return cat(outputs), states


class RNN(RNNBase):
    """`h = tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)`, or relu (Elman 1990).

    >>> import tinynet as tn
    >>> y, h = RNN(3, 4)(tn.zeros(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _step(self, rows: Tensor, sizes: Sequence[int], suffix: str) -> Step:
        sums = self._recurrence(rows, suffix)
        if self.nonlinearity == "relu":
            return lambda t, start, states: (functional.relu(sums(states[0], start)),)
        return lambda t, start, states: (sums(states[0], start).tanh(),)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    With i, f, o sigmoids and g tanh of sums of the input and the last output, `c = f * c + i * g`
    and `h = o * tanh(c)`. States are a pair, `(h, c)`. With `proj_size`, outputs are
    `h @ weight_hr.T` (Sak et al. 2014).

    >>> import tinynet as tn
    >>> y, (h, c) = LSTM(3, 4, proj_size=2)(tn.zeros(5, 1, 3))
    >>> y.shape, h.shape, c.shape
    ((5, 1, 2), (1, 1, 2), (1, 1, 4))
    """

    gates = 4
    state_names = ("hx[0]", "hx[1]")

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _layer(
        self, rows: Tensor, sizes: Sequence[int], first: States, suffix: str
    ) -> tuple[Tensor, States]:
        if self.proj_size or not 0 < sizes[-1] == sizes[0]:
            return super()._layer(rows, sizes, first, suffix)
        (h, c), is_reverse = first, suffix.endswith("_reverse")
        weight = getattr(self, "weight_hh" + suffix)
        y, last = lstm(self._sums(rows, suffix), weight, h, c, is_reverse)
        h = y[: sizes[0]] if is_reverse else y[len(y) - sizes[0] :]
        return y, (h, last)

    def _step(self, rows: Tensor, sizes: Sequence[int], suffix: str) -> Step:
        sums = self._recurrence(rows, suffix)
        if not self.proj_size:
            return lambda t, start, states: lstm_cell(sums(states[0], start), states[1])
        project = Recurrence(getattr(self, "weight_hr" + suffix))

        def step(t: int, start: int, states: States) -> States:
            h, c = lstm_cell(sums(states[0], start), states[1])
            return project(h, start), c

        return step


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014), as PyTorch has them.

    With r, z sigmoids of sums of the input and the state, `h = (1 - z) * n + z * h` where n is
    `tanh(x @ W_in.T + b_in + r * (h @ W_hn.T + b_hn))`.

    >>> import tinynet as tn
    >>> y, h = GRU(3, 4, bidirectional=True)(tn.zeros(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 8), (2, 2, 4))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip

    def _step(self, rows: Tensor, sizes: Sequence[int], suffix: str) -> Step:
        weights = [getattr(self, name) for name in self._weight_names(suffix)]
        w_ih, w_hh, b_ih, b_hh = weights if self.bias else (*weights, None, None)
        inputs = split(functional.linear(rows, w_ih, b_ih), list(sizes))
        sums = Recurrence(w_hh, b_hh)
        return lambda t, start, states: (gru_cell(inputs[t], sums(states[0], start), states[0]),)
