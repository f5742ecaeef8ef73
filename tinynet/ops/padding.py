"""Padding: elements put at both ends of a tensor's last dims, or (negative) taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinynet import shape as shapes
from tinynet.backends.base import Range
from tinynet.dtype import Scalar, fitted_scalar
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.joining import cat
from tinynet.ops.movement import basic_index, expand_to, full_ranges, narrow_to, place
from tinynet.ops.operands import as_number, require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Pairs = list[tuple[int, int]]  # how much before and behind each dim
MODES = ("constant", "reflect", "replicate", "circular")


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: Scalar | None = None
) -> Tensor:
    """`pad` says how much before and behind the last dim, then the one before it, and so on.

    "constant" fills with `value` (0 if None), which must fit the dtype. Of the last 1 to 3 dims
    behind a batch and channels (the batch may be missing) the other modes repeat what is there:
    "reflect" mirrors at the edge, whose elements do not come twice, "replicate" repeats the edge,
    "circular" goes on at the other end. Negative numbers take away.
    """
    x = require_tensor("pad", input)
    if mode not in MODES:
        raise ArgumentError(f"pad: mode must be one of {', '.join(MODES)}, got {mode!r}")
    if not isinstance(pad, Sequence):
        raise ArgumentTypeError(f"pad: expected a sequence of ints, got {pad!r}")
    widths = shapes.as_shape("pad", pad)
    if len(widths) % 2 or len(widths) > 2 * x.ndim:
        raise ShapeError(f"pad: {widths} are no pairs for the last dims of shape {x.shape}")
    before, behind = widths[::2], widths[1::2]
    pairs = [(0, 0)] * (x.ndim - len(before)) + [*zip(before, behind, strict=True)][::-1]
    kept = tuple(n + min(i, 0) + min(j, 0) for n, (i, j) in zip(x.shape, pairs, strict=True))
    if min(kept, default=0) < 0:
        raise ShapeError(f"pad: {widths} leave negative sizes of shape {x.shape}: {kept}")
    if mode == "constant":
        return _padded_with(x, kept, pairs, 0 if value is None else value)
    if value is not None and value != 0:
        raise ArgumentError(f"pad: mode {mode!r} takes no value, got {value}")
    if not widths or x.ndim not in (len(before) + 1, len(before) + 2) or len(before) > 3:
        raise ShapeError(
            f"pad: mode {mode!r} pads the last 1 to 3 dims behind (batch, channels) or (channels,),"
            f" got {widths} for shape {x.shape}"
        )
    if mode == "circular":  # round what is left
        x, pairs = _cut(x, kept, pairs), [(max(i, 0), max(j, 0)) for i, j in pairs]
    _check_room(x, pairs, mode)
    for dim, (i, j) in enumerate(pairs):
        if i or j:
            x = _padded_along(x, dim, i, j, mode)
    return x if x is not input else x.clone()


def _padded_with(x: Tensor, kept: Shape, pairs: Pairs, value: Scalar) -> Tensor:
    """Cut where pairs are negative, then placed in a tensor full of `value`."""
    cut = _cut(x, kept, pairs)
    ranges = tuple([(max(i, 0), 1, n) for n, (i, _) in zip(kept, pairs, strict=True)])
    shape = tuple([n + max(i, 0) + max(j, 0) for n, (i, j) in zip(kept, pairs, strict=True)])
    number = fitted_scalar("pad", as_number("pad", "value", value), x.dtype)
    return place(cut, ranges, shape, number)


def _cut(x: Tensor, kept: Shape, pairs: Pairs) -> Tensor:
    """A view of what negative pairs leave."""
    if kept == x.shape:
        return x
    ranges = tuple([(max(-i, 0), 1, n) for n, (i, _) in zip(kept, pairs, strict=True)])
    return basic_index(x, ranges, kept)


def _check_room(x: Tensor, pairs: Pairs, mode: str) -> None:
    """The mirror ends at the other edge, a turn at the start; there must be an edge to repeat."""
    for n, pair in zip(x.shape, pairs, strict=True):
        most = max(pair)
        room = {"reflect": n - 1, "circular": n}.get(mode, most if n else 0)
        if most > 0 and most > room:
            raise ShapeError(
                f"pad: mode {mode!r} has no {most} elements to pad a dim of size {n} with, "
                f"shape {x.shape}"
            )


def _padded_along(x: Tensor, dim: int, before: int, behind: int, mode: str) -> Tensor:
    """Padded along one dim, then cut where a number is negative."""
    n = x.shape[dim]
    i, j = max(before, 0), max(behind, 0)
    parts = [x]
    if i:
        start = {"reflect": (i, -1, i), "circular": (n - i, 1, i)}.get(mode)
        parts.insert(0, _taken(x, dim, start, i, 0))
    if j:
        start = {"reflect": (n - 2, -1, j), "circular": (0, 1, j)}.get(mode)
        parts.append(_taken(x, dim, start, j, n - 1))
    y = cat(parts, dim) if len(parts) > 1 else x
    size = n + before + behind
    return y if size == y.shape[dim] else narrow_to(y, dim, max(-before, 0), size)


def _taken(x: Tensor, dim: int, range_: Range | None, count: int, edge: int) -> Tensor:
    """A range of elements of one dim; without one, the edge `count` times."""
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :])
    if range_ is None:
        return expand_to(narrow_to(x, dim, edge, 1), shape)
    ranges = full_ranges(x.shape)
    ranges[dim] = range_
    return basic_index(x, tuple(ranges), shape)
