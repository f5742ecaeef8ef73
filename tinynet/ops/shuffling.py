"""Shuffling: channels traded for positions, and channels in another order."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tinynet import shape as shapes
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.movement import memory_order, permute_to, reshape_to
from tinynet.ops.operands import require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, c * r * r, h, w) to (*, c, h * r, w * r): Shi et al. 2016."""
    x, r = _checked("pixel_shuffle", input, "upscale_factor", upscale_factor)
    *batch, channels, height, width = x.shape
    if channels % (r * r):
        raise ShapeError(
            f"pixel_shuffle: {channels} channels are no multiple of {r} * {r}, shape {x.shape}"
        )
    kept = channels // (r * r)
    parted = (prod(batch), kept, r, r, height, width)
    y = _rearranged(x, parted, (1, 4, 2, 5, 3), (kept, height * r, width * r))
    return reshape_to(y, (*batch, kept, height * r, width * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, c, h * r, w * r) to (*, c * r * r, h, w): what `pixel_shuffle` does, undone."""
    x, r = _checked("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *batch, channels, height, width = x.shape
    if height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle: height and width are no multiples of {r}, shape {x.shape}"
        )
    parted = (prod(batch), channels, height // r, r, width // r, r)
    shape = (channels * r * r, height // r, width // r)
    y = _rearranged(x, parted, (1, 3, 5, 2, 4), shape)
    return reshape_to(y, (*batch, *shape))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels (dim 1) of `groups` groups in turn, one of each (Zhang et al. 2018)."""
    x = require_tensor("channel_shuffle", input)
    groups = shapes.as_integer("channel_shuffle", "groups", groups)
    if x.ndim < 3:
        raise ShapeError(f"channel_shuffle: the input needs at least 3 dims, got shape {x.shape}")
    if groups < 1 or x.shape[1] % groups:
        raise ArgumentError(
            f"channel_shuffle: {x.shape[1]} channels do not part into {groups} groups"
        )
    n, channels, *rest = x.shape
    parted = (n, groups, channels // groups, prod(rest))
    y = _rearranged(x, parted, (2, 1, 3), (channels, prod(rest)))
    return reshape_to(y, x.shape)


def _checked(op: str, input: Tensor, name: str, factor: int) -> tuple[Tensor, int]:
    x = require_tensor(op, input)
    factor = shapes.as_integer(op, name, factor)
    if x.ndim < 3:
        raise ShapeError(f"{op}: the input needs at least 3 dims, got shape {x.shape}")
    if factor < 1:
        raise ArgumentError(f"{op}: {name} must be positive, got {factor}")
    return x, factor


def _rearranged(x: Tensor, parted: Shape, order: Shape, shape: Shape) -> Tensor:
    """Reshaped to `parted`, dims behind the first in another order, these reshaped to `shape`.

    Where the first dim comes last in memory, it does so in the copy too.
    """
    y = reshape_to(x, parted)
    if memory_order(y)[-1] != 0 or parted[0] == 1:
        return reshape_to(permute_to(y, (0, *order)), (parted[0], *shape))
    y = reshape_to(permute_to(y, (*order, 0)), (*shape, parted[0]))
    return permute_to(y, (len(shape), *range(len(shape))))
