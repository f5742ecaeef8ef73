"""Recurrent networks over sequences: `RNN`, `LSTM` and `GRU`; `cells` has a step of each.

The products of inputs with their weights are one for all steps of a sequence; `ops.recurrence` has
the steps themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.cells import NONLINEARITIES, State, check_nonlinearity
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.ops.joining import cat, split, stack
from tinynet.ops.operands import require_tensor
from tinynet.ops.recurrence import Recurrence, gru_cell, lstm_cell
from tinynet.tensor import Tensor


class _Recurrent(Module):
    """Base of modules over sequences: weights, states, layers and directions.

    Parameters of layer k are `weight_ih_lk` (gates, inputs), `weight_hh_lk` (gates, outputs),
    `bias_ih_lk`, `bias_hh_lk` and with `proj_size` `weight_hr_lk` (proj_size, hidden); those of the
    other direction end in `_reverse`. All start uniform on +-1 / sqrt(hidden_size).
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1

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
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_options()
        for layer, suffix in self._parts():
            size = input_size if layer == 0 else self.output_size * self.directions
            shapes = {
                "weight_ih": (self.gates * hidden_size, size),
                "weight_hh": (self.gates * hidden_size, self.output_size),
                "bias_ih": (self.gates * hidden_size,),
                "bias_hh": (self.gates * hidden_size,),
                "weight_hr": (proj_size, hidden_size),
            }
            for name, shape in shapes.items():
                if (bias or "bias" not in name) and (proj_size or name != "weight_hr"):
                    made = Parameter(empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", made)
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Features of the output of one direction."""
        return self.proj_size or self.hidden_size

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch's puts weights into one piece of memory."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [
            [p for name, p in self.own_parameters() if name.endswith(f"_l{layer}{suffix}")]
            for layer, suffix in self._parts()
        ]

    def step(self, recurrence: Any, x: Tensor, start: int, state: State) -> State:
        """The next state: of what `recurrence` makes of the last output, and the inputs' part."""
        raise NotImplementedError

    def _check_options(self) -> None:
        name = type(self).__name__
        if self.hidden_size <= 0 or self.num_layers <= 0 or self.input_size < 0:
            raise ArgumentError(
                f"{name}: hidden_size and num_layers must be positive, got {self.hidden_size} and "
                f"{self.num_layers}, for input_size {self.input_size}"
            )
        if not 0 <= self.dropout <= 1:
            raise ArgumentError(f"{name}: dropout must be between 0 and 1, got {self.dropout}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ArgumentError(
                f"{name}: proj_size must be 0 or more and less than hidden_size "
                f"{self.hidden_size}, got {self.proj_size}"
            )

    def _parts(self) -> Iterator[tuple[int, str]]:
        for layer in range(self.num_layers):
            for suffix in ("", "_reverse")[: self.directions]:
                yield layer, suffix

    def _run(self, input: Tensor, hx: Any) -> tuple[Tensor, State]:
        """The output and the last states, batched or not as the input is."""
        x = self._check_input(input)
        is_batched = x.ndim == 3
        x = (
            x.transpose(0, 1)
            if is_batched and self.batch_first
            else x
            if is_batched
            else x[:, None]
        )
        states = self._first_states(x, hx, is_batched)
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout > 0:
                x = functional.dropout(x, self.dropout)
            outputs = []
            for suffix in ("", "_reverse")[: self.directions]:
                first = tuple([state[len(last)] for state in states])
                y, final = self._run_direction(x, f"_l{layer}{suffix}", first, bool(suffix))
                outputs.append(y)
                last.append(final)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
        finals = tuple([stack([state[i] for state in last]) for i in range(self.states)])
        if not is_batched:
            return x[:, 0], tuple([state[:, 0] for state in finals])
        return (x.transpose(0, 1) if self.batch_first else x), finals

    def _run_direction(
        self, x: Tensor, suffix: str, state: State, is_reverse: bool
    ) -> tuple[Tensor, State]:
        """All steps of a layer in one direction: outputs (length, n, size), and the last state."""
        weights: dict[str, Any] = {
            name: getattr(self, f"{name}{suffix}", None)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        }
        length, n, size = x.shape
        rows = functional.linear(
            x.reshape(length * n, size), weights["weight_ih"], weights["bias_ih"]
        )
        recurrence, inputs = self._prepare(rows, weights["weight_hh"], weights["bias_hh"], n)
        projection = None if weights["weight_hr"] is None else Recurrence(weights["weight_hr"])
        outputs: list[Any] = [None] * length
        for t in reversed(range(length)) if is_reverse else range(length):
            state = self.step(recurrence, inputs[t] if inputs else rows, t * n, state)
            if projection is not None:
                state = (projection(state[0]), *state[1:])
            outputs[t] = state[0]
        return stack(outputs), state

    def _prepare(
        self, rows: Tensor, weight: Any, bias: Any, n: int
    ) -> tuple[Recurrence, list[Tensor]]:
        """What steps share: the inputs' parts are added to the products, row by row."""
        return Recurrence(weight, bias, rows), []

    def _check_input(self, input: Tensor) -> Tensor:
        name = type(self).__name__
        x = require_tensor(name, input)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: got shape {x.shape}, expected (length, n, {self.input_size}), or n "
                "first, or without n"
            )
        if x.shape[1 if x.ndim == 3 and self.batch_first else 0] == 0:
            raise ShapeError(f"{name}: got shape {x.shape}, expected at least one step")
        return x

    def _first_states(self, x: Tensor, hx: Any, is_batched: bool) -> State:
        """The given states as (layers * directions, n, features), or zeros."""
        name, count = type(self).__name__, self.num_layers * self.directions
        sizes = (self.output_size, self.hidden_size)[: self.states]
        if hx is None:
            return tuple([x.new_zeros((count, x.shape[1], size)) for size in sizes])
        given = (hx,) if self.states == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != self.states:
            raise ArgumentTypeError(f"{name}: hx must be a pair (h, c), got {type(hx).__name__}")
        for state, size in zip(given, sizes):
            shape = (count, x.shape[1], size) if is_batched else (count, size)
            if require_tensor(name, state, "hx").shape != shape:
                raise ShapeError(f"{name}: hx has shape {state.shape}, expected {shape}")
        return tuple(given) if is_batched else tuple([state[:, None] for state in given])

    def extra_repr(self) -> str:
        """Sizes, and what is not as by default."""
        parts = [str(self.input_size), str(self.hidden_size)]
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
            "bidirectional": False,
        }  # fmt: skip
        for name, default in defaults.items():
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


class RNN(_Recurrent):
    """`h = tanh(W_ih x + b_ih + W_hh h + b_hh)` at each step, or relu (Elman 1990)."""

    gates = 1
    nonlinearity: str

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
        self.__dict__["nonlinearity"] = check_nonlinearity("RNN", nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip

    def step(self, recurrence: Any, x: Tensor, start: int, state: State) -> State:
        """(h,)."""
        return (NONLINEARITIES[self.nonlinearity](recurrence(state[0], start)),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (length, n, directions * hidden), and the last (layers * directions, n, hidden).

        `input` (length, n, features), n first with `batch_first`, or without n.
        """
        output, (h,) = self._run(input, hx)
        return output, h


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; with forget gates, Gers et al. 2000).

    Gates are in the order input, forget, candidate, output. `proj_size` maps outputs to fewer
    features (Sak et al. 2014).
    """

    gates = 4
    states = 2

    def step(self, recurrence: Any, x: Tensor, start: int, state: State) -> State:
        """(h, c)."""
        return lstm_cell(recurrence(state[0], start), state[1])

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (length, n, directions * output), and the last (h, c), each (layers * directions,
        n, features). `input` (length, n, features), n first with `batch_first`, or without n.
        """
        output, (h, c) = self._run(input, hx)
        return output, (h, c)


class GRU(_Recurrent):
    """Gated recurrent units (Cho et al. 2014), the reset gate applied behind the product.

    Gates are in the order reset, update, candidate.
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

    def _prepare(
        self, rows: Tensor, weight: Any, bias: Any, n: int
    ) -> tuple[Recurrence, list[Tensor]]:
        return Recurrence(weight, bias), [*split(rows, n)] if n else []

    def step(self, recurrence: Any, x: Tensor, start: int, state: State) -> State:
        """(h,)."""
        return (gru_cell(x, recurrence(state[0], start), state[0]),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (length, n, directions * hidden), and the last (layers * directions, n, hidden).

        `input` (length, n, features), n first with `batch_first`, or without n.
        """
        output, (h,) = self._run(input, hx)
        return output, h
