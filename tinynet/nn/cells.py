"""One step of a recurrent network: `RNNCell`, `LSTMCell`, `GRUCell`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.ops.operands import require_tensor
from tinynet.ops.recurrence import gru_cell, lstm_cell
from tinynet.tensor import Tensor

State = tuple[Tensor, ...]  # h, and of an LSTM c
NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
}


class _Cell(Module):
    """Base of cells: one step, with weights as those of a layer."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias

        def make(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        rows = self.gates * hidden_size
        self.weight_ih = make(rows, input_size)
        self.weight_hh = make(rows, hidden_size)
        self.bias_ih = make(rows) if bias else None
        self.bias_hh = make(rows) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _sums(self, input: Tensor, hx: Any) -> tuple[Tensor, Tensor, State]:
        """Both products, of inputs and of the last output, and the last state; all with a batch."""
        name = type(self).__name__
        x = require_tensor(name, input)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: got shape {x.shape}, expected (n, {self.input_size}) or "
                f"({self.input_size},)"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        given = (hx,) if self.states == 1 else hx
        if hx is None:
            given = tuple([x.new_zeros(shape) for _ in range(self.states)])
        if not isinstance(given, (tuple, list)) or len(given) != self.states:
            raise ArgumentTypeError(f"{name}: hx must be a pair (h, c), got {type(hx).__name__}")
        for state in given:
            if require_tensor(name, state, "hx").shape != shape:
                raise ShapeError(f"{name}: hx has shape {state.shape}, expected {shape}")
        if x.ndim == 1:
            x, given = x[None], tuple([state[None] for state in given])
        from_x = functional.linear(x, self.weight_ih, self.bias_ih)
        return from_x, functional.linear(given[0], self.weight_hh, self.bias_hh), tuple(given)

    def extra_repr(self) -> str:
        """Sizes."""
        end = "" if self.bias else f", bias={self.bias}"
        return f"{self.input_size}, {self.hidden_size}{end}"


class RNNCell(_Cell):
    """A step of `RNN`."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = check_nonlinearity("RNNCell", nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state (n, hidden), of an input (n, features) and a state, or without n."""
        from_x, from_h, _ = self._sums(input, hx)
        h = NONLINEARITIES[self.nonlinearity](from_x + from_h)
        return h if input.ndim == 2 else h[0]

    def extra_repr(self) -> str:
        """Sizes, and the nonlinearity if it is not tanh."""
        is_usual = self.nonlinearity == "tanh"
        return super().extra_repr() + ("" if is_usual else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """A step of `LSTM`."""

    gates = 4
    states = 2

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next (h, c), both (n, hidden): of (n, features) and a state, or without n."""
        from_x, from_h, state = self._sums(input, hx)
        h, c = lstm_cell(from_x + from_h, state[1])
        return (h, c) if input.ndim == 2 else (h[0], c[0])


class GRUCell(_Cell):
    """A step of `GRU`."""

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state (n, hidden), of an input (n, features) and a state, or without n."""
        from_x, from_h, state = self._sums(input, hx)
        h = gru_cell(from_x, from_h, state[0])
        return h if input.ndim == 2 else h[0]


def check_nonlinearity(op: str, name: str) -> str:
    """The name; an error where there is no such nonlinearity."""
    if name not in NONLINEARITIES:
        raise ArgumentError(f"{op}: nonlinearity must be 'tanh' or 'relu', got {name!r}")
    return name
