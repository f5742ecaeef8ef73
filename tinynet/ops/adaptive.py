"""Adaptive pools: as many windows as asked for, of about the same size.

Window i of `o` on a dim of `n` reaches from floor(i * n / o) to ceil((i + 1) * n / o). Where `o`
divides `n` all are alike, and this is an ordinary pool. Elsewhere windows overlap and differ: their
elements are laid out side by side, as many for each as the largest has, and then pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinynet.autograd.mode import no_grad
from tinynet.dtype import bool_, float32, int64
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.ops.joining import cat
from tinynet.ops.movement import reshape_to
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.ops.pooling import flat_indices, mean_windows, ndim_of, pool_windows, positions
from tinynet.shape import Shape, as_integer
from tinynet.windows import Windows, split_batch

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

OutputSize = int | Sequence[int | None]


def _bins(n: int, o: int) -> list[range]:
    """The windows of a dim."""
    return [range(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]


def _side_by_side(x: Tensor, sizes: Shape, is_mean: bool) -> tuple[Tensor, list[Tensor | None]]:
    """`x` with the elements of the windows side by side along each dim where windows differ.

    And where these came from, None where they stay. Windows that are shorter than the longest
    go on with zeros, or (if not `is_mean`) with their last element.
    """
    sources: list[Tensor | None] = []
    for dim, (n, o) in enumerate(zip(x.shape[2:], sizes, strict=True), 2):
        if o and n % o == 0:
            sources.append(None)
            continue
        bins = _bins(n, o)
        longest = max(map(len, bins), default=1)
        filled = [[*bin, *[n if is_mean else bin[-1]] * (longest - len(bin))] for bin in bins]
        source = x.new_tensor([i for row in filled for i in row], dtype=int64)
        if is_mean:
            x = cat([x, x.new_zeros((*x.shape[:dim], 1, *x.shape[dim + 1 :]))], dim)
        x = x.index_select(dim, source)
        sources.append(source)
    return x, sources


def _windows(x: Tensor, sizes: Shape) -> Windows:
    """Windows of one size, next to each other."""
    ndim = len(sizes)
    kernel = tuple([n // o if o else 1 for n, o in zip(x.shape[2:], sizes, strict=True)])
    return Windows(x.shape[2:], sizes, kernel, kernel, (0,) * ndim, (1,) * ndim)


def _adaptive_max_pool(op: str, input: Tensor, output_size: OutputSize) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool1d` and its kin; `op` is their name. Values and indices."""
    x, is_batch, sizes = _checked(op, input, output_size)
    if x.dtype is bool_:
        raise DTypeError(f"{op}: not defined for {bool_}")
    laid, sources = _side_by_side(x, sizes, False)
    windows = _windows(laid, sizes)
    y, taps = pool_windows(laid, windows)
    with no_grad():
        places = [
            place if source is None else source[place]
            for place, source in zip(positions(taps, windows), sources, strict=True)
        ]
        indices = flat_indices(places, x.shape[2:])
    if is_batch:
        return y, indices
    return reshape_to(y, y.shape[1:]), reshape_to(indices, indices.shape[1:])


def _adaptive_avg_pool(op: str, input: Tensor, output_size: OutputSize) -> Tensor:
    """`adaptive_avg_pool1d` and its kin; `op` is their name."""
    x, is_batch, sizes = _checked(op, input, output_size)
    require_floating(op, x)
    laid, sources = _side_by_side(x, sizes, True)
    windows = _windows(laid, sizes)
    dtype = float32 if x.dtype.itemsize == 2 else x.dtype
    divisor: Any = 1
    for dim, (n, o) in enumerate(zip(x.shape[2:], sizes, strict=True)):
        if sources[dim] is None:
            divisor = divisor * (n // o)
            continue
        counts = x.new_tensor([len(bin) for bin in _bins(n, o)], dtype=dtype)
        divisor = divisor * reshape_to(counts, (o, *(1,) * (len(sizes) - dim - 1)))
    y = mean_windows(laid, windows, divisor)
    return y if is_batch else reshape_to(y, y.shape[1:])


def _checked(op: str, input: Tensor, output_size: OutputSize) -> tuple[Tensor, bool, Shape]:
    """The input with a batch dim, whether it had one, and the sizes of the output."""
    x = require_tensor(op, input)
    ndim = ndim_of(op)
    is_batch = split_batch(op, x.shape, ndim)
    if 0 in x.shape[-ndim:] or (op not in MAY_BE_EMPTY and 0 in x.shape[1:]):
        raise ShapeError(f"{op}: only the first dim may be empty, got shape {x.shape}")
    given: Any = output_size
    if not isinstance(output_size, Sequence):
        given = (as_integer(op, "output_size", output_size),) * ndim
    if len(given) != ndim:
        raise ShapeError(f"{op}: output_size must be an int or {ndim} of them, got {output_size!r}")
    sizes = tuple(
        [
            n if size is None and ndim > 1 else as_integer(op, "output_size", size)
            for n, size in zip(x.shape[-ndim:], given, strict=True)
        ]
    )
    if any(size < 0 for size in sizes):
        raise ArgumentError(f"{op}: output_size must not be negative, got {output_size!r}")
    return (x if is_batch else reshape_to(x, (1, *x.shape))), is_batch, sizes


MAY_BE_EMPTY = ("adaptive_avg_pool1d", "adaptive_avg_pool2d")  # channels too, as in PyTorch


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """Means of `output_size` windows. In 2 and 3 dims the same, and None keeps a size."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: OutputSize) -> Tensor:
    """`adaptive_avg_pool1d` over height and width."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: OutputSize) -> Tensor:
    """`adaptive_avg_pool1d` over depth, height and width."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", input, output_size)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: int | Sequence[int]
) -> tuple[Tensor, Tensor]:
    """What `torch.adaptive_max_pool1d` returns: values and indices."""
    return _adaptive_max_pool("adaptive_max_pool1d", input, output_size)


def adaptive_max_pool1d(
    input: Tensor, output_size: int | Sequence[int], return_indices: bool = False
) -> Any:
    """The largest of `output_size` windows; with `return_indices` also where, as in `max_pool1d`.

    In 2 and 3 dims the same, and None keeps a size.
    """
    pooled = _adaptive_max_pool("adaptive_max_pool1d", input, output_size)
    return pooled if return_indices else pooled[0]


def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """`adaptive_max_pool1d` over height and width."""
    pooled = _adaptive_max_pool("adaptive_max_pool2d", input, output_size)
    return pooled if return_indices else pooled[0]


def adaptive_max_pool3d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False
) -> Any:
    """`adaptive_max_pool1d` over depth, height and width."""
    pooled = _adaptive_max_pool("adaptive_max_pool3d", input, output_size)
    return pooled if return_indices else pooled[0]
