"""Rearranging: views and copies made of the primitives of `ops/movement.py`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import wrap
from tinynet.dtype import int64
from tinynet.errors import ArgumentError, DimError, DTypeError, ShapeError
from tinynet.ops.joining import cat
from tinynet.ops.movement import (
    as_index,
    basic_index,
    expand,
    expand_to,
    full_ranges,
    narrow_to,
    permute_to,
    place,
    reshape_to,
)
from tinynet.ops.movement import diagonal as diagonal_view
from tinynet.ops.operands import is_tensor, require_same_device, require_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to `other`'s shape."""
    return expand(input, require_tensor("expand_as", other, "other").shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` under NumPy's name."""
    return expand(input, size)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dims exchanged."""
    x = require_tensor("transpose", input)
    first, second = (shapes.as_dim("transpose", dim, x.ndim) for dim in (dim0, dim1))
    dims = list(range(x.ndim))
    if dims:
        dims[first], dims[second] = second, first
    return permute_to(x, tuple(dims))


def t(input: Tensor) -> Tensor:
    """The transpose of a tensor of at most 2 dims."""
    x = require_tensor("t", input)
    if x.ndim > 2:
        raise ShapeError(f"t: expected at most 2 dims, got shape {x.shape}; use transpose or mT")
    return permute_to(x, tuple(reversed(range(x.ndim))))


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """A view with the dims `source` moved to the places `destination`."""
    x = require_tensor("movedim", input)
    origins = shapes.as_dims("movedim", source, x.ndim)
    goals = shapes.as_dims("movedim", destination, x.ndim)
    if len(origins) != len(goals):
        raise ShapeError(f"movedim: {source} and {destination} name different numbers of dims")
    order = [dim for dim in range(x.ndim) if dim not in origins]
    for goal, origin in sorted(zip(goals, origins, strict=True)):
        order.insert(goal, origin)
    return permute_to(x, tuple(order))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """A view without dims of size 1: all of them, or those of `dim` that are."""
    x = require_tensor("squeeze", input)
    dims = shapes.as_dims("squeeze", dim, x.ndim)
    return reshape_to(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in dims))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with a dim of size 1 inserted before `dim`."""
    x = require_tensor("unsqueeze", input)
    place_ = shapes.as_dim("unsqueeze", dim, x.ndim + 1)
    return reshape_to(x, (*x.shape[:place_], 1, *x.shape[place_:]))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims from `start_dim` to `end_dim`, both included, as one."""
    x = require_tensor("flatten", input)
    start, end = (shapes.as_dim("flatten", dim, x.ndim) for dim in (start_dim, end_dim))
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    if not x.shape:
        return reshape_to(x, (1,))
    if start == end:
        return x
    merged = prod(x.shape[start : end + 1])
    return reshape_to(x, (*x.shape[:start], merged, *x.shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dim as several; one of `sizes` may be -1."""
    x = require_tensor("unflatten", input)
    if not x.shape:
        raise DimError("unflatten: a 0-d tensor has no dim to part")
    place_ = shapes.as_dim("unflatten", dim, x.ndim)
    parts = shapes.as_shape("unflatten", sizes)
    parts = shapes.reshaped("unflatten", x.shape[place_ : place_ + 1], parts)
    return reshape_to(x, (*x.shape[:place_], *parts, *x.shape[place_ + 1 :]))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of `length` elements of `dim` from `start` (negative counts from the end)."""
    x = require_tensor("narrow", input)
    place_ = shapes.as_dim("narrow", dim, x.ndim)
    size = x.shape[place_] if x.shape else 0
    begin = shapes.as_integer("narrow", "start", start)
    length = shapes.as_integer("narrow", "length", length)
    begin = begin + size if begin < 0 else begin
    if not x.shape or not (0 <= begin <= size and 0 <= length <= size - begin):
        raise ShapeError(
            f"narrow: start {start} and length {length} do not fit dim {dim} of shape {x.shape}"
        )
    return narrow_to(x, place_, begin, length)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of one index of `dim`, which goes."""
    x = require_tensor("select", input)
    place_ = shapes.as_dim("select", dim, x.ndim)
    ranges = full_ranges(x.shape)
    if not x.shape:
        raise ShapeError("select: a 0-d tensor has no dim to select from")
    ranges[place_] = (as_index("select", index, x.shape[place_], place_), 1, 1)
    return basic_index(x, tuple(ranges), (*x.shape[:place_], *x.shape[place_ + 1 :]))


def flip(input: Tensor, *names: Any, dims: Sequence[int] | None = None) -> Tensor:
    """A copy with the elements along `dims` in reverse order."""
    x = require_tensor("flip", input)
    order = shapes.as_shape("flip", *names, named=dims, name="dim")
    reversed_dims = shapes.as_dims("flip", order, x.ndim)
    ranges = tuple(
        (n - 1, -1, n) if i in reversed_dims else (0, 1, n) for i, n in enumerate(x.shape)
    )
    return basic_index(x, ranges, x.shape).clone()


def repeat(input: Tensor, *sizes: Any, repeats: Sequence[int] | None = None) -> Tensor:
    """Copies side by side: `repeats[i]` along dim i, new dims in front."""
    x = require_tensor("repeat", input)
    counts = shapes.check_sizes("repeat", shapes.as_shape("repeat", *sizes, named=repeats))
    if len(counts) < x.ndim:
        raise ShapeError(f"repeat: {counts} has fewer dims than the tensor of shape {x.shape}")
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    between = tuple(n for size in shape for n in (1, size))
    spread = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    total = tuple(count * size for count, size in zip(counts, shape, strict=True))
    return reshape_to(expand_to(reshape_to(x, between), spread).clone(), total)


def tile(input: Tensor, *sizes: Any, dims: Sequence[int] | None = None) -> Tensor:
    """`repeat` with NumPy's rule: missing counts in front are 1."""
    x = require_tensor("tile", input)
    counts = shapes.as_shape("tile", *sizes, named=dims)
    return repeat(x, (1,) * (x.ndim - len(counts)) + counts)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (along `dim`; of the flattened tensor if None) `repeats` times in a row."""
    x = require_tensor("repeat_interleave", input)
    if dim is None:
        x, dim = x.reshape(-1), 0
    if not x.shape:
        raise DimError("repeat_interleave: a 0-d tensor has no dim to repeat along")
    place_ = shapes.as_dim("repeat_interleave", dim, x.ndim)
    if is_tensor(repeats):
        require_same_device("repeat_interleave", x, repeats)
    counts = _counts(repeats)
    if len(counts) not in (1, x.shape[place_]):
        raise ShapeError(
            f"repeat_interleave: got {len(counts)} repeats for dim {dim} of shape {x.shape}, "
            f"expected 1 or {x.shape[place_]}"
        )
    counts = counts * x.shape[place_] if len(counts) == 1 else counts
    places = [i for i, n in enumerate(counts) for _ in range(n)]
    if output_size is not None and output_size != len(places):
        raise ShapeError(
            f"repeat_interleave: output_size is {output_size}, the repeats give {len(places)}"
        )
    return x.index_select(place_, type(x)(places, dtype=int64, device=x.device))


def _counts(repeats: Any) -> list[int]:
    """How often each element is to be repeated, or all."""
    op = "repeat_interleave"
    counts: list[int]
    if not is_tensor(repeats):
        counts = [shapes.as_integer(op, "repeats", repeats)]
    elif repeats.dtype.rank != 1:
        raise DTypeError(f"{op}: repeats must be integers, got {repeats.dtype}")
    elif repeats.ndim > 1:
        raise ShapeError(f"{op}: repeats must have at most 1 dim, got shape {repeats.shape}")
    else:
        counts = repeats.reshape(-1).tolist()
    if min(counts, default=0) < 0:
        raise ArgumentError(f"{op}: repeats cannot be negative, got {min(counts)}")
    return counts


def roll(
    input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Tensor:
    """Elements moved along `dims`, those pushed out coming in again at the other end.

    Without dims, a single shift is that of the flattened tensor.
    """
    x = require_tensor("roll", input)
    several = shifts if isinstance(shifts, Sequence) else (shifts,)
    steps = [shapes.as_integer("roll", "shifts", n) for n in several]
    names = () if dims is None else shapes.as_shape("roll", dims, name="dim")
    if not names and len(steps) == 1:
        return roll(x.reshape(-1), steps, 0).reshape(x.shape)
    if len(steps) != len(names) or not steps:
        raise ShapeError(f"roll: {len(steps)} shifts but {len(names)} dims")
    for step, name in zip(steps, names, strict=True):
        dim = shapes.as_dim("roll", name, x.ndim)
        if not x.shape:
            raise DimError("roll: a 0-d tensor has no dim to roll along")
        size = x.shape[dim]
        if size and step % size:
            cut = size - step % size
            x = cat([narrow_to(x, dim, cut, size - cut), narrow_to(x, dim, 0, cut)], dim)
    return x if x is not input else x.clone()


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotated `k` quarter turns from the first of `dims` toward the second."""
    x = require_tensor("rot90", input)
    if len(dims) != 2 or len(set(shapes.as_dims("rot90", dims, x.ndim))) != 2:
        raise ShapeError(f"rot90: expected two different dims, got {dims}")
    first, second = dims
    if k % 4 == 2:
        return flip(x, (first, second))
    if k % 4 == 1:
        return transpose(flip(x, second), first, second)
    return flip(transpose(x, first, second), second) if k % 4 == 3 else x.clone()


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix; the diagonal of a matrix as a vector (a copy)."""
    x = require_tensor("diag", input)
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim != 2:
        raise ShapeError(f"diag: expected 1 or 2 dims, got shape {x.shape}")
    return diagonal_view(x, diagonal).clone()


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros with `input`'s last dim as the diagonal of the new dims `dim1` and `dim2`."""
    x = require_tensor("diag_embed", input)
    offset = shapes.as_integer("diag_embed", "offset", offset)
    first, second = (shapes.as_dim("diag_embed", dim, x.ndim + 1) for dim in (dim1, dim2))
    if first == second:
        raise ShapeError(f"diag_embed: dims {dim1} and {dim2} must differ")
    if first > second:
        first, second, offset = second, first, -offset
    size = x.shape[-1] + (offset if offset >= 0 else -offset)
    row, column = (0, offset) if offset >= 0 else (-offset, 0)
    flat = reshape_to(x, (*x.shape[:-1], x.shape[-1], 1))
    length = x.shape[-1]
    # A diagonal is every (size + 1)-th element of the flattened square.
    batch = x.shape[:-1]
    begin = row * size + column
    ranges = (*full_ranges(batch), (begin, size + 1, length))
    square = reshape_to(
        place(reshape_to(flat, x.shape), ranges, (*batch, size * size)), (*batch, size, size)
    )
    return movedim(square, (-2, -1), (first, second))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two dims, up to `diagonal`; zeros above it."""
    return _triangle("tril", input, diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two dims, from `diagonal`; zeros below it."""
    return _triangle("triu", input, diagonal)


def _triangle(op: str, input: Tensor, diagonal: int) -> Tensor:
    x = require_tensor(op, input)
    diagonal = shapes.as_integer(op, "diagonal", diagonal)
    if x.ndim < 2:
        raise ShapeError(f"{op}: expected at least 2 dims, got shape {x.shape}")
    rows, columns = (wrap(x.backend.arange(n, 0, 1, int64), int64, x.backend) for n in x.shape[-2:])
    gap = columns - reshape_to(rows, (x.shape[-2], 1))
    outside = gap > diagonal if op == "tril" else gap < diagonal
    return x.masked_fill(outside, 0)
