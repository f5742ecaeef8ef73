"""Movement: the same elements in another shape or order.

Five primitives (reshape, permute, expand, basic indexing, strided windows) give views and carry
the gradient rules; `ops/rearranging.py` and `ops/joining.py` are made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, alias, result, wrap
from tinynet.autograd.operation import Op
from tinynet.backends.base import Range
from tinynet.dtype import Scalar, int64
from tinynet.errors import DimError, ShapeError
from tinynet.ops.operands import require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Reshape(Op):
    """`params`: the input's shape."""

    op = "reshape"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return reshape_to(grad, ctx.params)


def reshape(input: Tensor, *sizes: Any, shape: Sequence[int] | None = None) -> Tensor:
    """The same elements, row by row, in another shape; one size may be -1.

    A view where the strides allow, else a copy.
    """
    x = require_tensor("reshape", input)
    goal = shapes.as_shape("reshape", *sizes, named=shape)
    return reshape_to(x, shapes.reshaped("reshape", x.shape, goal))


def reshape_to(x: Tensor, shape: Shape) -> Tensor:
    """`reshape` to a shape known to fit."""
    array = x.backend.reshape(x.array, shape)
    if x.backend.shares_memory(array, x.array):
        return alias(Reshape, array, x, (reshape_to, (shape,)), x.shape)
    return result(Reshape, array, x.dtype, (x,), (), x.shape)


def view(input: Tensor, *sizes: Any, size: Sequence[int] | None = None) -> Tensor:
    """`reshape` that never copies: an error where strides do not allow a view."""
    x = require_tensor("view", input)
    goal = shapes.as_shape("view", *sizes, named=size)
    y = reshape_to(x, shapes.reshaped("view", x.shape, goal))
    if not y.is_alias:
        raise ShapeError(
            f"view: strides of the tensor of shape {x.shape} allow no view of shape {y.shape}, "
            "use reshape()"
        )
    return y


class Permute(Op):
    """`params`: the dims."""

    op = "permute"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return permute_to(grad, inverse_order(ctx.params))


def permute(input: Tensor, *order: Any, dims: Sequence[int] | None = None) -> Tensor:
    """A view with dims in the order given."""
    x = require_tensor("permute", input)
    goal = shapes.as_shape("permute", *order, named=dims, name="dim")
    return permute_to(x, shapes.permuted("permute", x.ndim, goal))


def permute_to(x: Tensor, dims: Shape) -> Tensor:
    """`permute` to a valid order."""
    return alias(Permute, x.backend.permute(x.array, dims), x, (permute_to, (dims,)), dims)


class Expand(Op):
    """Broadcasting; the engine sums the gradient back to the input's shape."""

    op = "expand"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return grad


def expand(input: Tensor, *sizes: Any, size: Sequence[int] | None = None) -> Tensor:
    """A read-only view broadcast to `sizes`; -1 keeps a size."""
    x = require_tensor("expand", input)
    goal = shapes.as_shape("expand", *sizes, named=size)
    return expand_to(x, shapes.expand("expand", x.shape, goal))


def expand_to(x: Tensor, shape: Shape) -> Tensor:
    """`expand` to a shape known to fit."""
    return alias(Expand, x.backend.expand(x.array, shape), x, (expand_to, (shape,)))


class BasicIndex(Op):
    """Ranges along each dim. `params`: ranges and the input's shape."""

    op = "index"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        ranges, shape = ctx.params
        return place(grad, ranges, shape)


def basic_index(x: Tensor, ranges: tuple[Range, ...], shape: Shape) -> Tensor:
    """The view `x[ranges]` in `shape`, which may drop or add dims of size 1."""
    array = x.backend.reshape(x.backend.slice(x.array, ranges), shape)
    return alias(BasicIndex, array, x, (basic_index, (ranges, shape)), (ranges, x.shape))


def memory_order(x: Tensor) -> Shape:
    """The dims, from that of the longest steps in memory to that of the shortest."""
    strides = x.backend.strides(x.array) if 0 not in x.shape else (0,) * x.ndim
    return tuple(sorted(range(len(strides)), key=strides.__getitem__, reverse=True))


def inverse_order(dims: Shape) -> Shape:
    """What takes `dims` back to their order."""
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


class Place(Op):
    """The reverse of `BasicIndex`. `params`: ranges and the input's shape."""

    op = "place"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        ranges, shape = ctx.params
        return basic_index(grad, ranges, shape)


def place(x: Tensor, ranges: tuple[Range, ...], shape: Shape, value: Scalar = 0) -> Tensor:
    """A tensor of `shape` with `x` at `ranges` and `value` elsewhere; in memory as `x` is."""
    array = place_array(x, ranges, shape, value)
    return result(Place, array, x.dtype, (x,), (), (ranges, x.shape))


def place_array(x: Tensor, ranges: tuple[Range, ...], shape: Shape, value: Scalar = 0) -> Any:
    """The array of `place`."""
    backend = x.backend
    order = memory_order(x)
    if len(order) != len(shape) or order == tuple(range(len(shape))):
        array = backend.full(shape, value, x.dtype)
    else:
        array = backend.full(tuple([shape[dim] for dim in order]), value, x.dtype)
        array = backend.permute(array, inverse_order(order))
    window = backend.slice(array, ranges)
    backend.assign(window, backend.reshape(x.array, window.shape))
    return array


class Windows(Op):
    """Any view by strides. `params`: the step that makes it and the input's shape."""

    op = "windows"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        (function, arguments), shape = ctx.params
        backend = grad.backend
        places = wrap(backend.arange(prod(shape), 0, 1, int64), int64, backend)
        places = function(reshape_to(places, shape), *arguments).reshape(-1)
        return grad.new_zeros(prod(shape)).index_add(0, places, grad.reshape(-1)).reshape(shape)


def windows(
    x: Tensor, shape: Shape, strides: Shape, offset: int, function: Any, arguments: tuple[Any, ...]
) -> Tensor:
    """A view by strides (in elements), which `function(x, *arguments)` makes."""
    array = x.backend.strided(x.array, shape, strides, offset)
    step = (function, arguments)
    return alias(Windows, array, x, step, (step, x.shape))


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0
) -> Tensor:
    """A view of a contiguous tensor's elements with these sizes and strides (in elements).

    `storage_offset` counts from the tensor's first element, of a view too (PyTorch: the memory's).
    """
    x = require_tensor("as_strided", input)
    if not x.is_contiguous():
        raise ShapeError(f"as_strided: the tensor of shape {x.shape} is not contiguous")
    shape = shapes.check_sizes("as_strided", shapes.as_shape("as_strided", *size))
    strides = shapes.as_shape("as_strided", *stride)
    storage_offset = shapes.as_integer("as_strided", "storage_offset", storage_offset)
    if len(shape) != len(strides) or min(strides, default=0) < 0 or storage_offset < 0:
        raise ShapeError(f"as_strided: sizes {shape} and strides {strides} do not go together")
    last = storage_offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if prod(shape) and last >= x.numel():
        raise ShapeError(
            f"as_strided: element {last} lies outside the tensor's {x.numel()} elements"
        )
    arguments = (shape, strides, storage_offset)
    return windows(x, shape, strides, storage_offset, as_strided, arguments)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonal of `dim1` and `dim2`, as the last dim; above it if offset > 0."""
    x = require_tensor("diagonal", input)
    rows, columns = (shapes.as_dim("diagonal", dim, x.ndim) for dim in (dim1, dim2))
    offset = shapes.as_integer("diagonal", "offset", offset)
    if rows == columns or x.ndim < 2:
        raise ShapeError(f"diagonal: dims {dim1} and {dim2} must differ, shape {x.shape}")
    strides = x.stride()
    length = (
        min(x.shape[rows], x.shape[columns] - offset)
        if offset >= 0
        else min(x.shape[rows] + offset, x.shape[columns])
    )
    length = max(length, 0)
    start = 0
    if length:
        start = offset * strides[columns] if offset >= 0 else -offset * strides[rows]
    kept = [i for i in range(x.ndim) if i not in (rows, columns)]
    shape = (*(x.shape[i] for i in kept), length)
    steps = (*(strides[i] for i in kept), strides[rows] + strides[columns])
    return windows(x, shape, steps, start, diagonal, (offset, dim1, dim2))


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of every window of `size` along `dimension`, `step` apart, as a new last dim."""
    x = require_tensor("unfold", input)
    dim = shapes.as_dim("unfold", dimension, x.ndim)
    size, step = (shapes.as_integer("unfold", n, v) for n, v in (("size", size), ("step", step)))
    if not 0 <= size <= (x.shape[dim] if x.shape else 1) or step < 1:
        raise ShapeError(
            f"unfold: size {size} and step {step} do not fit dim {dim} of shape {x.shape}"
        )
    if not x.shape:
        return narrow_to(reshape_to(x, (1,)), 0, 0, size)
    strides = x.stride()
    count = (x.shape[dim] - size) // step + 1
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
    steps = (*strides[:dim], strides[dim] * step, *strides[dim + 1 :], strides[dim])
    return windows(x, shape, steps, 0, unfold, (dimension, size, step))


def full_ranges(shape: Shape) -> list[Range]:
    """The ranges that select everything."""
    return [(0, 1, n) for n in shape]


def narrow_to(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow` with arguments known to fit."""
    ranges = full_ranges(x.shape)
    ranges[dim] = (start, 1, length)
    return basic_index(x, tuple(ranges), (*x.shape[:dim], length, *x.shape[dim + 1 :]))


def as_index(op: str, index: int, size: int, dim: int) -> int:
    """`index` counted from the front, checked."""
    index = shapes.as_integer(op, "an index", index)
    if not -size <= index < size:
        raise DimError(f"{op}: index {index} is out of range for dim {dim} of size {size}")
    return index + size if index < 0 else index


def sum_to_size(input: Tensor, *sizes: Any, size: Sequence[int] | None = None) -> Tensor:
    """The sum over the dims that broadcasting from `size` would have added: its reverse."""
    x = require_tensor("sum_to_size", input)
    shape = shapes.as_shape("sum_to_size", *sizes, named=size)
    if not shape:
        return x.sum()
    if shapes.broadcast("sum_to_size", shape, x.shape) != x.shape:
        raise ShapeError(f"sum_to_size: {shape} does not broadcast to {x.shape}")
    added = x.ndim - len(shape)
    dims = tuple(
        i for i, n in enumerate(x.shape) if i < added or (shape[i - added] == 1 and n != 1)
    )
    y = x.sum(dims, keepdim=True) if dims else x
    return reshape_to(y, shape) if added else y
