"""Angles of positions, for encodings."""

from __future__ import annotations

from tinynet.dtype import DType, float32, float64
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.creation import arange
from tinynet.ops.joining import stack
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.tensor import Tensor


def position_angles(
    length: int, size: int, base: float, offset: int, device: str | None, dtype: DType
) -> Tensor:
    """`position / base ** (2i / size)`, (length, (size + 1) // 2), for positions from `offset`."""
    if size < 1 or not base > 0:
        raise ArgumentError(f"encoding: got {size} features and base {base}, expected more than 0")
    places = arange(offset, offset + length, device=device, dtype=dtype)
    steps = arange(0, size, 2, device=device, dtype=dtype)
    return places[:, None] * (base ** (steps / -size)).realize()


def rotary_embedding(input: Tensor, base: float = 10_000.0, offset: int = 0) -> Tensor:
    """Features 2i and 2i + 1 of position p, turned by `p / base ** (2i / E)` (Su et al. 2021).

    `input` (..., L, E), E even, are queries or keys; what they give with each other then depends on
    their distance. `offset`: the first position. Not in PyTorch.

    >>> import tinynet as tn
    >>> tn.nn.functional.rotary_embedding(tn.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])
    """
    op = "rotary_embedding"
    require_floating(op, require_tensor(op, input))
    if input.ndim < 2 or input.shape[-1] % 2:
        raise ShapeError(f"{op}: got shape {input.shape}, expected (..., L, E) with E even")
    wide = float64 if input.dtype is float64 else float32
    length, size = input.shape[-2:]
    angles = position_angles(length, size, base, offset, str(input.device), wide)
    # computed at once: formulas would compute them again for every row of the batch
    cos, sin = angles.cos().realize(), angles.sin().realize()
    x, y = input[..., ::2], input[..., 1::2]
    return stack([x * cos - y * sin, x * sin + y * cos], -1).flatten(-2).to(input.dtype)
