"""Single steps of recurrent networks: `RNNCell`, `LSTMCell` and `GRUCell`."""

from __future__ import annotations

import math
from typing import Any

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.ops.operands import require_tensor
from tinynet.ops.recurrence import gru_cell, lstm_cell
from tinynet.tensor import Tensor


def reset_uniformly(module: Module, hidden_size: int) -> None:
    """All weights uniform on +-1 / sqrt(hidden_size)."""
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0.0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNCellBase(Module):
    """Base of the cells: from inputs (batch, input_size) or (input_size,) and states to states."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None
    gates = 1

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
        sums = self.gates * hidden_size
        for kind, size in (("ih", input_size), ("hh", hidden_size)):
            weight = Parameter(empty(sums, size, device=device, dtype=dtype))
            self.register_parameter(f"weight_{kind}", weight)
        for kind in ("ih", "hh"):
            values = Parameter(empty(sums, device=device, dtype=dtype)) if bias else None
            self.register_parameter(f"bias_{kind}", values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        reset_uniformly(self, self.hidden_size)

    def _rows(self, input: Tensor, states: dict[str, Any]) -> list[Tensor]:
        """The input and the states, checked, all with a batch dim; zeros for states of None."""
        op = type(self).__name__
        x = require_tensor(op, input)
        if x.ndim not in (1, 2):
            raise ShapeError(f"{op}: expected 1 or 2 dims, got shape {x.shape}")
        rows = [x if x.ndim == 2 else x.unsqueeze(0)]
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{op}: input {x.shape} has a last size of {x.shape[-1]}, "
                f"expected input_size {self.input_size}"
            )
        expected = (*x.shape[:-1], self.hidden_size)
        for name, given in states.items():
            state = x.new_zeros(expected) if given is None else require_tensor(op, given, name)
            if state.shape != expected:
                raise ShapeError(f"{op}: {name} has shape {state.shape}, expected {expected}")
            rows.append(state if x.ndim == 2 else state.unsqueeze(0))
        return rows

    def _sums(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """What gates get from the input and from the state."""
        return (
            functional.linear(x, self.weight_ih, self.bias_ih),
            functional.linear(h, self.weight_hh, self.bias_hh),
        )

    def extra_repr(self) -> str:
        """Sizes, and whether there is no bias."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """`tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)`, or relu of that."""

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
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state, (batch, hidden_size) or (hidden_size,)."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {self.nonlinearity!r}"
            )
        x, h = self._rows(input, {"hx": hx})
        from_x, from_h = self._sums(x, h)
        sums = from_x + from_h
        y = sums.tanh() if self.nonlinearity == "tanh" else functional.relu(sums)
        return y if input.ndim == 2 else y.squeeze(0)

    def extra_repr(self) -> str:
        """Sizes, and what is not the default."""
        other = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + other


class LSTMCell(RNNCellBase):
    """A step of `LSTM`; the state is a pair, `(h, c)`."""

    gates = 4

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The next output and state, (batch, hidden_size) or (hidden_size,)."""
        given: Any = (None, None) if hx is None else hx
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ArgumentTypeError(f"LSTMCell: hx must be a pair of tensors, got {given!r:.60}")
        x, h, c = self._rows(input, {"hx[0]": given[0], "hx[1]": given[1]})
        from_x, from_h = self._sums(x, h)
        h, c = lstm_cell(from_x + from_h, c)
        return (h, c) if input.ndim == 2 else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """A step of `GRU`."""

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state, (batch, hidden_size) or (hidden_size,)."""
        x, h = self._rows(input, {"hx": hx})
        y = gru_cell(*self._sums(x, h), h)
        return y if input.ndim == 2 else y.squeeze(0)
