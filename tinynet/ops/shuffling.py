"""Shuffling: channels traded for positions, and channels in another order."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, result
from tinynet.autograd.operation import Op
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.movement import inverse_order, memory_order, reshape_to
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
    n = prod(batch)
    y = shuffled(
        reshape_to(x, (n, channels, height, width)),
        (n, kept, r, r, height, width),
        (0, 1, 4, 2, 5, 3),
        (n, kept, height * r, width * r),
    )
    return reshape_to(y, (*batch, *y.shape[1:]))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, c, h * r, w * r) to (*, c * r * r, h, w): what `pixel_shuffle` does, undone."""
    x, r = _checked("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *batch, channels, height, width = x.shape
    if height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle: height and width are no multiples of {r}, shape {x.shape}"
        )
    n = prod(batch)
    y = shuffled(
        reshape_to(x, (n, channels, height, width)),
        (n, channels, height // r, r, width // r, r),
        (0, 1, 3, 5, 2, 4),
        (n, channels * r * r, height // r, width // r),
    )
    return reshape_to(y, (*batch, *y.shape[1:]))


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
    parted = (n, groups, channels // groups, *rest)
    return shuffled(x, parted, (0, 2, 1, *range(3, x.ndim + 1)), x.shape)


def _checked(op: str, input: Tensor, name: str, factor: int) -> tuple[Tensor, int]:
    x = require_tensor(op, input)
    factor = shapes.as_integer(op, name, factor)
    if x.ndim < 3:
        raise ShapeError(f"{op}: the input needs at least 3 dims, got shape {x.shape}")
    if factor < 1:
        raise ArgumentError(f"{op}: {name} must be positive, got {factor}")
    return x, factor


class Shuffle(Op):
    """`params`: what takes the gradient back, as arguments of `shuffled`."""

    op = "shuffle"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return shuffled(grad, *ctx.params)


def shuffled(x: Tensor, parted: Shape, order: Shape, shape: Shape) -> Tensor:
    """A copy: reshaped to `parted`, dims permuted to `order`, reshaped to `shape`.

    The first dim, which is the same in all of these, comes last in memory if it does so in `x`.
    """
    backend = x.backend
    array = backend.permute(backend.reshape(x.array, parted), order)
    if memory_order(x)[-1] == 0 != x.ndim - 1 and x.shape[0] > 1:
        array = backend.permute(array, (*range(1, len(order)), 0))
        array = backend.reshape(backend.copy(array), (*shape[1:], shape[0]))
        array = backend.permute(array, (len(shape) - 1, *range(len(shape) - 1)))
    else:
        array = backend.reshape(backend.copy(array), shape)
    permuted = tuple([parted[dim] for dim in order])
    return result(Shuffle, array, x.dtype, (x,), (), (permuted, inverse_order(order), x.shape))
