"""`max_unpool`: what a max pool took, back where it was."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from tinynet.dtype import int64
from tinynet.errors import DimError, DTypeError, ShapeError
from tinynet.ops.movement import reshape_to
from tinynet.ops.operands import require_floating, require_same_device, require_tensor
from tinynet.ops.pooling import is_default, ndim_of
from tinynet.shape import Shape, as_integer
from tinynet.windows import Sizes, as_sizes, split_batch

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros, and `input` at `indices`: undoes `max_pool1d` but for what was not the largest.

    Several sizes pool to one; `output_size` says which it was. In 2 and 3 dims the same.
    """
    return _max_unpool("max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool1d` over height and width."""
    return _max_unpool("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool1d` over depth, height and width."""
    return _max_unpool("max_unpool3d", input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    op: str,
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: Sequence[int] | None,
) -> Tensor:
    """`max_unpool1d` and its kin; `op` is their name."""
    ndim = ndim_of(op)
    x, places = require_tensor(op, input), require_tensor(op, indices, "indices")
    is_batch = split_batch(op, x.shape, ndim)
    require_floating(op, x)
    require_same_device(op, x, places)
    if places.dtype is not int64:
        raise DTypeError(f"{op}: indices must be {int64}, got {places.dtype}")
    if places.shape != x.shape:
        raise ShapeError(f"{op}: indices {places.shape} must have the input's shape {x.shape}")
    if 0 in x.shape[is_batch:]:
        raise ShapeError(f"{op}: only the batch may be empty, got shape {x.shape}")
    kernel = as_sizes(op, "kernel_size", kernel_size, ndim, 1)
    steps = kernel if is_default(stride) else as_sizes(op, "stride", stride, ndim, 1)
    before = as_sizes(op, "padding", padding, ndim)
    size = _unpooled_size(op, x.shape[-ndim:], kernel, steps, before, output_size)
    count = prod(size)
    rows = (prod(x.shape[:-ndim]), prod(x.shape[-ndim:]))
    if not count:
        return reshape_to(reshape_to(x, rows).narrow(1, 0, 0).clone(), (*x.shape[:-ndim], *size))
    index = reshape_to(places, rows) & (2**63 - 1)  # negative ones become too large
    zeros = x.new_zeros((rows[0], count))
    try:
        y = zeros.scatter(1, index, reshape_to(x, rows))
    except DimError:
        raise DimError(f"{op}: indices must be from 0 to {count - 1}, for a size {size}") from None
    return reshape_to(y, (*x.shape[:-ndim], *size))


def _unpooled_size(
    op: str,
    input: Shape,
    kernel: Shape,
    stride: Shape,
    padding: Shape,
    output_size: Sequence[int] | None,
) -> Shape:
    """The size of what was pooled: the least one, or one given that pools to the same."""
    sizes = zip(input, kernel, stride, padding, strict=True)
    least = tuple([(n - 1) * s - 2 * p + k for n, k, s, p in sizes])
    if output_size is None:
        if any(n < 0 for n in least):
            raise ShapeError(f"{op}: padding {padding} leaves a negative size {least}")
        return least
    size = tuple([as_integer(op, "output_size", n) for n in output_size])
    size = size[2:] if len(size) == len(input) + 2 else size
    if len(size) != len(input):
        raise ShapeError(
            f"{op}: output_size must have {len(input)} or {len(input) + 2} sizes, got {output_size}"
        )
    if any(not m - s < n < m + s for n, m, s in zip(size, least, stride, strict=True)):
        raise ShapeError(
            f"{op}: output_size {size} must differ from {least} by less than the stride {stride}"
        )
    return size
