"""Windows as a tensor, and back: views of all windows, sums within windows, sums where they lie.

`Fold` and `Unfold` are each other's gradients. `unfold` and `fold` are PyTorch's im2col and col2im
(`Tensor.unfold`, in `ops/movement.py`, is something else: a view of windows along one dim).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import Node, alias, result
from tinynet.autograd.operation import Op
from tinynet.backends.base import Backend
from tinynet.errors import ShapeError
from tinynet.ops.movement import expand_to, full_ranges, place_array, reshape_to
from tinynet.ops.operands import require_tensor
from tinynet.shape import Shape
from tinynet.windows import Sizes, Windows, as_sizes, place, split_batch

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

MOST_SLICES = 64  # taps that are added up one by one: what more have is reduced as a whole


class Fold(Op):
    """Parts of windows added up where they lie. `params`: the windows."""

    op = "fold"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return unfold_windows(grad, ctx.params)


def fold_windows(parts: Tensor, windows: Windows) -> Tensor:
    """(batch, channels, *kernel, *output) to (batch, channels, *input)."""
    array = parts.backend.fold(parts.array, windows)
    return result(Fold, array, parts.dtype, (parts,), (), windows)


class Unfold(Op):
    """All windows. `params`: the windows."""

    op = "unfold"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return fold_windows(grad, ctx.params)


def unfold_windows(x: Tensor, windows: Windows) -> Tensor:
    """(batch, channels, *input) to (batch, channels, *kernel, *output): a view, if unpadded."""
    array, inside = _padded(x, windows)
    view = _view(x, array, inside)
    if array is x.array:
        return alias(Unfold, view, x, (unfold_windows, (windows,)), windows)
    return result(Unfold, view, x.dtype, (x,), (), windows)


class SumWindows(Op):
    """Sums of the elements of each window. `params`: the windows."""

    op = "sum_windows"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        windows = ctx.params
        ones = (1,) * len(windows.kernel)
        parts = reshape_to(grad, (*grad.shape[:2], *ones, *windows.output))
        shape = (*grad.shape[:2], *windows.kernel, *windows.output)
        return fold_windows(expand_to(parts, shape), windows)


def sum_windows(x: Tensor, windows: Windows) -> Tensor:
    """(batch, channels, *input) to (batch, channels, *output)."""
    backend = x.backend
    array, inside = _padded(x, windows)
    if windows.taps > MOST_SLICES or prod(windows.output) == 1:
        dims = tuple(range(2, 2 + len(windows.kernel)))
        y = backend.reduce("sum", _view(x, array, inside), dims, False)
    else:
        y = _sum_slices(backend, array, inside)
    return result(SumWindows, y, x.dtype, (x,), (), windows)


def _sum_slices(backend: Backend, x: Any, windows: Windows) -> Any:
    """Tap after tap, of all windows at once."""
    batch = [(0, 1, n) for n in x.shape[:2]]
    parts = []
    for tap in product(*map(range, windows.kernel)):
        sizes = zip(tap, windows.dilation, windows.stride, windows.output, strict=True)
        parts.append(backend.slice(x, (*batch, *[(k * d, s, o) for k, d, s, o in sizes])))
    if len(parts) == 1:
        return backend.copy(parts[0])
    total = backend.elementwise("add", parts[0], parts[1])
    for part in parts[2:]:
        total = backend.elementwise("add", total, part, out=total)
    return total


def _padded(x: Tensor, windows: Windows) -> tuple[Any, Windows]:
    """The array with zeros wherever windows reach, and these windows, which need no padding."""
    behind = [max(n, 0) for n in windows.behind]
    if not any(windows.padding) and not any(behind):
        return x.array, windows
    sizes = zip(windows.padding, windows.input, behind, strict=True)
    size = tuple([p + n + q for p, n, q in sizes])
    inner = [(p, 1, n) for p, n in zip(windows.padding, windows.input, strict=True)]
    array = place_array(x, (*full_ranges(x.shape[:2]), *inner), (*x.shape[:2], *size))
    return array, windows._replace(input=size, padding=(0,) * len(size))


def _view(x: Tensor, array: Any, windows: Windows) -> Any:
    """The view (batch, channels, *kernel, *output) of an array that all windows are inside of."""
    shape = (*x.shape[:2], *windows.kernel, *windows.output)
    if 0 in shape:
        return x.backend.full(shape, 0, x.dtype)
    batch, channel, *inner = x.backend.strides(array)
    taps = [step * d for step, d in zip(inner, windows.dilation, strict=True)]
    outer = [step * s for step, s in zip(inner, windows.stride, strict=True)]
    return x.backend.strided(array, shape, (batch, channel, *taps, *outer), 0)


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """Windows as columns: (batch, channels, height, width) to (batch, channels * taps, windows).

    The batch dim may be missing, in `fold` too.
    """
    x = require_tensor("unfold", input)
    is_batch = split_batch("unfold", x.shape, 2)
    if 0 in x.shape[is_batch:]:
        raise ShapeError(f"unfold: only the batch may be empty, got shape {x.shape}")
    windows = _windows("unfold", x.shape[-2:], kernel_size, dilation, padding, stride)
    batch = x if is_batch else reshape_to(x, (1, *x.shape))
    view = unfold_windows(batch, windows)
    shape = (*x.shape[:is_batch], x.shape[-3] * windows.taps, prod(windows.output))
    y = reshape_to(view, shape)
    return y.clone() if y.is_alias else y


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The transpose of `unfold`: columns added up where their windows lie in `output_size`."""
    x = require_tensor("fold", input)
    if x.ndim not in (2, 3) or 0 in x.shape[x.ndim - 2 :]:
        raise ShapeError(
            "fold: the input must be (batch, channels * taps, windows) or (channels * taps, "
            f"windows), where only the batch may be empty, got {x.shape}"
        )
    size = _pair("fold", "output_size", output_size, 1)
    windows = _windows("fold", size, kernel_size, dilation, padding, stride)
    if x.shape[-2] % windows.taps:
        raise ShapeError(
            f"fold: dim {x.ndim - 2} of shape {x.shape} must be divisible by the {windows.taps} "
            f"taps of kernel_size {windows.kernel}"
        )
    if x.shape[-1] != prod(windows.output):
        raise ShapeError(
            f"fold: output_size {size} has {' x '.join(map(str, windows.output))} windows of "
            f"{windows.kernel}, but the input {x.shape} has {x.shape[-1]}"
        )
    channels = x.shape[-2] // windows.taps
    batch = x.shape[0] if x.ndim == 3 else 1
    parts = reshape_to(x, (batch, channels, *windows.kernel, *windows.output))
    return reshape_to(fold_windows(parts, windows), (*x.shape[:-2], channels, *size))


def _windows(
    op: str, size: Shape, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
) -> Windows:
    kernel = _pair(op, "kernel_size", kernel_size, 1)
    before = _pair(op, "padding", padding, 0)
    steps, spacing = _pair(op, "stride", stride, 1), _pair(op, "dilation", dilation, 1)
    return place(op, size, kernel, steps, (before, before), spacing)


def _pair(op: str, name: str, value: Any, least: int) -> Shape:
    """An int or two of them: PyTorch takes no sequence of one here."""
    if isinstance(value, Sequence) and len(value) == 1:
        raise ShapeError(f"{op}: {name} must be an int or 2 of them, got {value!r}")
    return as_sizes(op, name, value, 2, least)
