"""Positional encodings: what tells attention, which sees a set, in which order things come."""

from __future__ import annotations

from tinynet.dtype import DType, float64
from tinynet.errors import ShapeError
from tinynet.nn import functional, init
from tinynet.nn.functional.positions import position_angles
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.ops.joining import stack
from tinynet.tensor import Tensor


class _Encoding(Module):
    """Base of the classes below: adds row i of (max_len, d_model) at position i."""

    def __init__(self, d_model: int, max_len: int, batch_first: bool) -> None:
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.batch_first = batch_first

    def add(self, x: Tensor, rows: Tensor) -> Tensor:
        """(L, N, d_model), or (N, L, d_model) with `batch_first`, or (L, d_model)."""
        dim = 1 if self.batch_first and x.ndim == 3 else 0
        if x.ndim not in (2, 3) or x.shape[-1] != self.d_model or x.shape[dim] > self.max_len:
            raise ShapeError(
                f"{type(self).__name__}: got shape {x.shape}, expected at most {self.max_len} "
                f"positions (dim {dim}) of {self.d_model} features"
            )
        rows = rows[: x.shape[dim]]
        return x + (rows[:, None] if x.ndim == 3 and dim == 0 else rows)

    def extra_repr(self) -> str:
        """Arguments."""
        return f"{self.d_model}, max_len={self.max_len}, batch_first={self.batch_first}"


class SinusoidalEncoding(_Encoding):
    """Adds sines and cosines of positions, in frequencies from 1 to 1 / 10000, to the input.

    Feature 2i of position p is sin(p / 10000**(2i / d_model)), the next one its cosine (Vaswani et
    al. 2017, 3.5). Not in PyTorch.

    >>> import tinynet as tn
    >>> tn.nn.SinusoidalEncoding(4)(tn.zeros(2, 4))
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    encoding: Tensor

    def __init__(
        self,
        d_model: int,
        max_len: int = 5000,
        batch_first: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(d_model, max_len, batch_first)
        angles = position_angles(max_len, d_model, 10_000.0, 0, "cpu", float64)
        rows = stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :d_model]
        like = empty(0, device=device, dtype=dtype)
        self.register_buffer("encoding", rows.to(like), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """(L, N, d_model), or (N, L, d_model) with `batch_first`, or (L, d_model)."""
        return self.add(input, self.encoding)


class LearnedEncoding(_Encoding):
    """Adds a vector that is learnt for each position (Gehring et al. 2017).

    `weight` (max_len, d_model) starts normal with deviation 0.02. Not in PyTorch.
    """

    weight: Parameter

    def __init__(
        self,
        d_model: int,
        max_len: int,
        batch_first: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(d_model, max_len, batch_first)
        self.weight = Parameter(empty(max_len, d_model, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new vectors."""
        init.normal_(self.weight, std=0.02)

    def forward(self, input: Tensor) -> Tensor:
        """(L, N, d_model), or (N, L, d_model) with `batch_first`, or (L, d_model)."""
        return self.add(input, self.weight)


class RotaryEncoding(Module):
    """Turns queries and keys by angles that grow with their position; see
    `functional.rotary_embedding`. `offset` is the first position.
    Not in PyTorch.
    """

    def __init__(self, base: float = 10_000.0) -> None:
        super().__init__()
        self.base = base

    def forward(self, input: Tensor, offset: int = 0) -> Tensor:
        """(..., L, E), E even."""
        return functional.rotary_embedding(input, self.base, offset)

    def extra_repr(self) -> str:
        """Arguments."""
        return f"base={self.base}"
