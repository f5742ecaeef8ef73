"""Pools: the largest, the mean or a norm of each window.

A pool takes (batch, channels, *sizes) or (channels, *sizes), with 1, 2 or 3 sizes as its name says.
`MaxPool`, `Spread` and `Pick` are gradients of one another; means are sums within windows, divided.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, prod
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.mode import no_grad
from tinynet.autograd.operation import Op
from tinynet.dtype import bool_, float32, int32, int64
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.ops.folding import sum_windows
from tinynet.ops.movement import reshape_to
from tinynet.ops.operands import cast_to, require_tensor
from tinynet.shape import Shape, as_integer
from tinynet.windows import Sizes, Windows, as_sizes, place, split_batch

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class MaxPool(Op):
    """The largest of each window. Saves the taps it is at; `params`: the windows."""

    op = "max_pool"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return _spread(grad, ctx.saved_tensors[0], ctx.params)


class Spread(Op):
    """Elements put at their windows' taps. Saves these; `params`: the windows."""

    op = "spread"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return _pick(grad, ctx.saved_tensors[0], ctx.params)


class Pick(Op):
    """Of each window the element at its tap. Saves these; `params`: the windows."""

    op = "pick"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return _spread(grad, ctx.saved_tensors[0], ctx.params)


def pool_windows(x: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
    """The largest element of each window, and its tap."""
    backend = x.backend
    array, places = backend.pool_max(x.array, windows)
    taps = wrap(places, int32, backend)
    return result(MaxPool, array, x.dtype, (x,), (taps,), windows), taps


def _spread(y: Tensor, taps: Tensor, windows: Windows) -> Tensor:
    array = y.backend.spread(y.array, taps.array, windows)
    return result(Spread, array, y.dtype, (y,), (taps,), windows)


def _pick(x: Tensor, taps: Tensor, windows: Windows) -> Tensor:
    array = x.backend.pick(x.array, taps.array, windows)
    return result(Pick, array, x.dtype, (x,), (taps,), windows)


# the largest
def _max_pool(
    op: str,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """`max_pool1d` and its kin; `op` is their name."""
    x, is_batch = as_batch(op, input)
    if x.dtype is bool_:
        raise DTypeError(f"{op}: not defined for {bool_}")
    spacing = as_sizes(op, "dilation", dilation, x.ndim - 2, 1)
    windows = _place(op, x, kernel_size, stride, padding, spacing, ceil_mode)
    if not _cover_something(windows):
        raise ShapeError(
            f"{op}: a window of {windows.kernel} (dilation {windows.dilation}) covers nothing of "
            f"the input {windows.input} padded by {windows.padding}"
        )
    y, taps = pool_windows(x, windows)
    y = y if is_batch else reshape_to(y, y.shape[1:])
    if not return_indices:
        return y
    with no_grad():
        indices = flat_indices(positions(taps, windows), windows.input)
    return y, indices if is_batch else reshape_to(indices, indices.shape[1:])


@lru_cache(maxsize=256)
def _cover_something(windows: Windows) -> bool:
    """Whether each window has a tap inside of the input."""
    for n, o, k, s, p, d in zip(*windows, strict=True):
        for start in range(-p, o * s - p, s):
            first = start if start >= 0 else start % d  # of its taps, that is not before the input
            if first >= n or first - start > (k - 1) * d:
                return False
    return True


def positions(taps: Tensor, windows: Windows) -> list[Tensor]:
    """Where in the input each window's tap is, along each dim, as int64."""
    found: list[Tensor] = []
    rest = cast_to(taps, int64)
    dims = list(enumerate(zip(*windows[1:], strict=True)))
    for dim, (o, k, s, p, d) in reversed(dims):
        starts = wrap(taps.backend.arange(o, -p, s, int64), int64, taps.backend)
        starts = reshape_to(starts, (o, *(1,) * (len(dims) - dim - 1)))
        found.insert(0, rest % k * d + starts)
        rest = rest // k
    return found


def flat_indices(places: list[Tensor], size: Shape) -> Tensor:
    """Positions along each dim as positions in all, row by row: PyTorch's indices."""
    total = places[0]
    for place_, n in zip(places[1:], size[1:], strict=True):
        total = total * n + place_
    return total.clamp(0, prod(size) - 1)  # lets backends know that they are in range


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window, the first one of these; NaN where there is one.

    `stride` is `kernel_size` if None. What is padded is smaller than all there is. With `ceil_mode`
    a last window may reach past the end. With `return_indices` also int64 positions in the input,
    counted row by row. In 2 and 3 dims the same.
    """
    return _max_pool(
        "max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over height and width."""
    return _max_pool(
        "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over depth, height and width."""
    return _max_pool(
        "max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


# means and norms
def _avg_pool(
    op: str,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` and its kin; `op` is their name."""
    x, is_batch = as_batch(op, input)
    if x.dtype is bool_:
        raise DTypeError(f"{op}: not defined for {bool_}")
    windows = _place(op, x, kernel_size, stride, padding, (1,) * (x.ndim - 2), ceil_mode)
    if divisor_override is not None:
        divisor: Any = as_integer(op, "divisor_override", divisor_override)
        if divisor == 0:
            raise ArgumentError(f"{op}: divisor_override must not be 0")
    else:
        sizes = zip(*windows[:-1], strict=True)
        divisor = _counts(x, [_covered(*dim, count_include_pad) for dim in sizes])
    y = mean_windows(x, windows, divisor)
    return y if is_batch else reshape_to(y, y.shape[1:])


def mean_windows(x: Tensor, windows: Windows, divisor: Any) -> Tensor:
    """Sums of windows, divided; half precision adds up in float32, integers truncate."""
    if x.dtype.rank != 2:
        return sum_windows(x, windows).div(divisor, rounding_mode="trunc")
    is_half = x.dtype.itemsize == 2
    y = sum_windows(cast_to(x, float32) if is_half else x, windows) / divisor
    return cast_to(y, x.dtype)


def _covered(n: int, o: int, k: int, s: int, p: int, count_include_pad: bool) -> list[int]:
    """How much of the input each window covers along one dim, or of the padded one."""
    low, high = (-p, n + p) if count_include_pad else (0, n)
    return [min(i * s - p + k, high) - max(i * s - p, low) for i in range(o)]


def _counts(x: Tensor, covered: list[list[int]]) -> Any:
    """By what to divide windows that cover so much along each dim: a number if they are alike."""
    if all(len(set(counts)) <= 1 for counts in covered):
        return prod([counts[0] for counts in covered if counts])
    dtype = float32 if x.dtype.itemsize == 2 and x.dtype.rank == 2 else x.dtype
    total: Any = 1
    for dim, counts in enumerate(covered):
        after = (1,) * (len(covered) - dim - 1)
        total = total * reshape_to(x.new_tensor(counts, dtype=dtype), (len(counts), *after))
    return total


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window. `stride` is `kernel_size` if None.

    Without `count_include_pad` it is that of the elements there are; what `ceil_mode` adds past the
    padding never counts. In 2 and 3 dims the same, and `divisor_override` is what sums are divided
    by.
    """
    return _avg_pool(
        "avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over height and width."""
    return _avg_pool(
        "avg_pool2d", input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over depth, height and width."""
    return _avg_pool(
        "avg_pool3d", input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


def _lp_pool(
    op: str,
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None,
    ceil_mode: bool,
) -> Tensor:
    """`lp_pool1d` and its kin; `op` is their name."""
    x = require_tensor(op, input)
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)):
        raise ArgumentTypeError(f"{op}: norm_type must be a number, got {norm_type!r}")
    if norm_type == 0:
        raise ArgumentError(f"{op}: norm_type must not be 0")
    if norm_type in (inf, -inf):
        sign = 1 if norm_type > 0 else -1
        largest = _max_pool(op, sign * x.abs(), kernel_size, stride, 0, 1, ceil_mode, False)
        return sign * largest  # type: ignore[no-any-return]
    powers = x.pow(norm_type)
    mean = _avg_pool(op, powers, kernel_size, stride, 0, ceil_mode, True)
    taps = prod(as_sizes(op, "kernel_size", kernel_size, ndim_of(op)))
    return (mean.sign() * mean.abs().relu() * taps).pow(1 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The `norm_type`-norm of each window, of elements that are not negative.

    Windows that `ceil_mode` lets reach past the end count as if they were whole. In 2 and 3 dims
    the same.
    """
    return _lp_pool("lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over height and width."""
    return _lp_pool("lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over depth, height and width."""
    return _lp_pool("lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode)


# what pools have in common
def as_batch(op: str, input: Tensor) -> tuple[Tensor, bool]:
    """The input with a batch dim, which may be of size 0, and whether it had one."""
    x = require_tensor(op, input)
    ndim = ndim_of(op)
    is_batch = split_batch(op, x.shape, ndim)
    if 0 in x.shape[is_batch:]:
        raise ShapeError(f"{op}: only the batch may be empty, got shape {x.shape}")
    return (x if is_batch else reshape_to(x, (1, *x.shape))), is_batch


def ndim_of(op: str) -> int:
    """How many sizes an operation such as "max_pool2d" pools over."""
    return int(op[-2])


def _place(
    op: str,
    x: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Shape,
    ceil_mode: bool,
) -> Windows:
    """The windows of a pool, which is padded by at most half a window."""
    ndim = x.ndim - 2
    kernel = as_sizes(op, "kernel_size", kernel_size, ndim, 1)
    steps = kernel if is_default(stride) else as_sizes(op, "stride", stride, ndim, 1)
    before = as_sizes(op, "padding", padding, ndim)
    if any(p > k // 2 for p, k in zip(before, kernel, strict=True)):
        raise ArgumentError(
            f"{op}: padding must be at most half of kernel_size {kernel}, got {padding!r}"
        )
    return place(op, x.shape[2:], kernel, steps, (before, before), dilation, ceil_mode)


def is_default(stride: Any) -> bool:
    """Whether no stride is given; PyTorch takes an empty sequence for None."""
    return stride is None or (isinstance(stride, (tuple, list)) and not stride)
