"""Reductions: sums, products, extremes, means, spreads and norms over some dims."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from math import prod as product
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, Variable, result, wrap
from tinynet.autograd.operation import Op
from tinynet.dtype import DType, Scalar, bool_, float32, int64, uint8
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.arithmetic import choose, kept_where, maximum, minimum
from tinynet.ops.joining import cat
from tinynet.ops.movement import Expand, reshape_to
from tinynet.ops.operands import (
    as_floating,
    as_number,
    cast_to,
    numpy_names,
    require_floating,
    require_tensor,
)
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Dims = int | Sequence[int] | None


class ValuesIndices(NamedTuple):
    """What operations along a dim return that also say where."""

    values: Tensor
    indices: Tensor


def _dims(op: str, dim: Any, x: Tensor) -> Shape:
    """Normalised dims in ascending order; an empty sequence means all, as None does."""
    dims = shapes.as_dims(op, None if _is_empty(dim) else dim, x.ndim)
    return dims if len(dims) < 2 else tuple(sorted(dims))


def _is_empty(dim: Any) -> bool:
    return isinstance(dim, (tuple, list)) and not dim


def spread(y: Tensor, shape: Shape, dims: Shape) -> Tensor:
    """A reduction's result (or its gradient) as a view of the shape that was reduced."""
    if y.shape:
        kept = shapes.reduced(shape, dims, keepdim=True)
        y = y if y.shape == kept else reshape_to(y, kept)
    array = y.backend.expand(y.array, shape)
    spread_out = result(Expand, array, y.dtype, (y,))  # read-only: no need to know its base
    spread_out.is_alias = True
    return spread_out


class Sum(Op):
    """`params`: the input's shape and the dims."""

    op = "sum"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return spread(grad, *ctx.params)


def sum(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Dims = None,
    keepdims: bool | None = None,
    out: None = None,
) -> Tensor:
    """The sum over `dim` (all dims if None). Integers and bools add up in int64.

    `axis` and `keepdims` are NumPy's names (spelled out here: `numpy_names` would cost a tenth of
    a small sum); `out` is there for `numpy.sum`, and must be None.
    """
    x = require_tensor("sum", input)
    dim = dim if axis is None else axis
    keepdim = keepdim if keepdims is None else keepdims
    if out is not None:
        raise ArgumentError(f"sum: out is not supported, got {type(out).__name__}")
    if dtype is not None or x.dtype.rank != 2:
        x = cast_to(x, dtype or int64)
    dims = _dims("sum", dim, x)
    array = x.backend.reduce("sum", x.array, dims, keepdim)
    return result(Sum, array, x.dtype, (x,), (), (x.shape, dims))


@numpy_names
def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean over `dim` (all dims if None), of floats; NaN of no elements."""
    x = require_tensor("mean", input)
    x = x if dtype is None else cast_to(x, dtype)
    require_floating("mean", x)
    dims = _dims("mean", dim, x)
    count = product(x.shape[i] for i in dims)
    return _in_float32(x, lambda x: sum(x, dims or None, keepdim) / count)


def _in_float32(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function(x)`, for half precision computed in float32: sums and squares of what fits
    would not.
    """
    return cast_to(function(cast_to(x, float32)), x.dtype) if x.dtype.itemsize == 2 else function(x)


class Prod(Op):
    """Product; the rule multiplies the others, so that zeros need no special case."""

    op = "prod"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        dim = ctx.params
        x = ctx.input
        before = scanned(x, dim, is_exclusive=True)
        after = scanned(x.flip(dim), dim, is_exclusive=True).flip(dim)
        return spread(grad, x.shape, (dim,)) * (before * after)


def scanned(x: Tensor, dim: int, is_exclusive: bool = False) -> Tensor:
    """Running products in log2(n) multiplications (Hillis and Steele 1986), differentiable.

    `is_exclusive`: of the elements before each one, itself not included.
    """
    size = x.shape[dim]
    if is_exclusive:
        ones = x.new_ones((*x.shape[:dim], 1, *x.shape[dim + 1 :]))
        x = cat([ones, x.narrow(dim, 0, size - 1)], dim) if size else x
    step = 1
    while step < size:
        head = x.narrow(dim, 0, step)
        x = cat([head, x.narrow(dim, step, size - step) * x.narrow(dim, 0, size - step)], dim)
        step *= 2
    return x


@numpy_names
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The product over `dim` (all elements if None). Integers and bools multiply in int64."""
    x = require_tensor("prod", input)
    x = cast_to(x, dtype or (x.dtype if x.dtype.rank == 2 else int64))
    if dim is None:
        y = prod(reshape_to(x, (x.numel(),)), 0, dtype=x.dtype)
        return y.reshape((1,) * x.ndim) if keepdim else y
    place = shapes.as_dim("prod", dim, x.ndim)
    if not x.shape:
        return x.clone()
    array = x.backend.reduce("prod", x.array, (place,), keepdim)
    return result(Prod, array, x.dtype, (x,), (x,), place)


class Extreme(Op):
    """Maximum or minimum; elements that tie share the gradient equally. `params`: the dims."""

    op = "amax"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        x, dims = ctx.input, ctx.params
        kept = shapes.reduced(x.shape, dims, keepdim=True)
        best = wrap(x.backend.reshape(ctx.output_value(), kept), x.dtype, x.backend)
        is_best = (x == best) | (x.isnan() & best.isnan())
        count = sum(is_best, dims or None, keepdim=True).to(grad.dtype)
        return kept_where(is_best, reshape_to(grad, kept) / count)


def _extreme(op: str, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    x = require_tensor(op, input)
    dims = _dims(op, dim, x)
    _require_elements(op, x, dims)
    array = x.backend.reduce(op[-3:], x.array, dims, keepdim)  # "max" of "amax" and "max"
    return result(Extreme, array, x.dtype, (x,), (x,), dims)


def _require_elements(op: str, x: Tensor, dims: Shape) -> None:
    if builtins.any(x.shape[i] == 0 for i in dims):
        raise ShapeError(f"{op}: no elements to compare along dims {dims} of shape {x.shape}")


@numpy_names
def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The maximum over `dim` (all if None). NaN wins. The gradient is shared among ties."""
    return _extreme("amax", input, dim, keepdim)


@numpy_names
def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The minimum over `dim` (all if None). NaN wins. The gradient is shared among ties."""
    return _extreme("amin", input, dim, keepdim)


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """`max(x)`: the largest element. `max(x, dim)`: (values, indices) along a dim, the first of
    ties. `max(x, other)`: elementwise `maximum`.
    """
    return _best("max", input, dim, keepdim, other)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """`min(x)`: the smallest element. `min(x, dim)`: (values, indices) along a dim, the first of
    ties. `min(x, other)`: elementwise `minimum`.
    """
    return _best("min", input, dim, keepdim, other)


def _best(op: str, input: Tensor, dim: Any, keepdim: bool, other: Any) -> Any:
    second: Any = dim if isinstance(dim, Variable) else other
    if second is not None:
        return (maximum if op == "max" else minimum)(input, second)
    if dim is None:
        return _extreme(op, input, None, keepdim)
    x = require_tensor(op, input)
    place = shapes.as_dim(op, dim, x.ndim)
    if not x.shape:
        return ValuesIndices(x.clone(), x.new_zeros((), dtype=int64))
    _require_elements(op, x, (place,))
    array = x.backend.arg_reduce(op, x.array, place, True)  # type: ignore[arg-type]
    indices = wrap(array, int64, x.backend)
    values = x.gather(place, indices)
    if keepdim:
        return ValuesIndices(values, indices)
    return ValuesIndices(values.squeeze(place), indices.squeeze(place))


@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """int64 index of the largest element along `dim`, of the flattened tensor if None."""
    return _arg_extreme("max", input, dim, keepdim)


@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """int64 index of the smallest element along `dim`, of the flattened tensor if None."""
    return _arg_extreme("min", input, dim, keepdim)


def _arg_extreme(op: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    x = require_tensor(f"arg{op}", input)
    if dim is None or not x.shape:
        if dim is not None:
            shapes.as_dim(f"arg{op}", dim, 0)
        flat = reshape_to(x.detach(), (x.numel(),))
        _require_elements(f"arg{op}", flat, (0,))
        y = wrap(x.backend.arg_reduce(op, flat.array, 0, False), int64, x.backend)
        return y.reshape((1,) * x.ndim) if keepdim else y
    place = shapes.as_dim(f"arg{op}", dim, x.ndim)
    _require_elements(f"arg{op}", x, (place,))
    return wrap(x.backend.arg_reduce(op, x.array, place, keepdim), int64, x.backend)


@numpy_names
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element is not zero; of no dims (`()`), for each element whether it is not."""
    return _question("any", input, dim, keepdim)


@numpy_names
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero; of no dims (`()`), for each element whether it is not."""
    return _question("all", input, dim, keepdim)


def _question(op: str, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    x = require_tensor(op, input)
    truth = x if x.dtype is bool_ else x.detach() != 0
    dims = () if _is_empty(dim) else _dims(op, dim, x)
    array = x.backend.reduce(op, truth.array, dims, keepdim)
    answer = wrap(array, bool_, x.backend)
    return cast_to(answer, uint8) if x.dtype is uint8 else answer  # uint8 was PyTorch's bool once


@numpy_names
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """int64 number of elements that are not zero."""
    return sum(require_tensor("count_nonzero", input) != 0, dim)


@numpy_names
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The variance over `dim`: squared deviations divided by n - `correction` (default 1)."""
    if isinstance(dim, bool):  # var(x, unbiased), as PyTorch has it
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = 1 if unbiased else 0
    x = require_tensor("var", input)
    require_floating("var", x)
    dims = _dims("var", dim, x)
    count = product(x.shape[i] for i in dims)
    lost = 1 if correction is None else as_number("var", "correction", correction)
    freedom = builtins.max(0, count - lost)

    def spread_of(x: Tensor) -> Tensor:
        gap = x - mean(x, dims or None, keepdim=True)
        return sum(gap * gap, dims or None, keepdim) / freedom

    return _in_float32(x, spread_of)


class Root(Op):
    """Square root whose gradient at 0 is 0: the spread of equal numbers has no slope."""

    op = "sqrt"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        y = ctx.output
        is_zero = y == 0
        return choose(is_zero, 0.0, grad / (2 * choose(is_zero, 1.0, y)))


def root(x: Tensor) -> Tensor:
    """`sqrt` with gradient 0 at 0."""
    return result(Root, x.backend.elementwise("sqrt", x.array), x.dtype, (x,))


@numpy_names
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The standard deviation: the square root of `var`."""
    x = require_tensor("std", input)
    require_floating("std", x)
    _dims("std", None if isinstance(dim, bool) else dim, x)
    return _in_float32(x, lambda x: root(var(x, dim, unbiased, keepdim, correction=correction)))


def var_mean(input: Tensor, dim: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    """`var` and `mean`."""
    return var(input, dim, **options), _mean_beside(input, dim, options)


def std_mean(input: Tensor, dim: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    """`std` and `mean`."""
    return std(input, dim, **options), _mean_beside(input, dim, options)


def _mean_beside(input: Tensor, dim: Any, options: dict[str, Any]) -> Tensor:
    keepdim = options.get("keepdim", options.get("keepdims", False))
    dim = options.get("axis", dim)
    return mean(input, None if isinstance(dim, bool) else dim, keepdim)


@numpy_names
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `dim`, without overflow."""
    x = as_floating(require_tensor("logsumexp", input))
    dims = _dims("logsumexp", dim, x)
    if builtins.any(x.shape[i] == 0 for i in dims):
        return sum(x.exp(), dims, keepdim).log()
    largest = amax(x.detach(), dims, keepdim=True)
    largest = choose(largest.isinf(), 0.0, largest)
    y = sum((x - largest).exp(), dims or None, keepdim).log()
    return y + largest.reshape(y.shape)


@numpy_names
def norm(
    input: Tensor, p: Scalar | str | None = "fro", dim: Dims = None, keepdim: bool = False
) -> Tensor:
    """The p-norm of the elements over `dim`: 2 ("fro", default), 1, 0 (a count), inf, -inf, any p.

    The gradient where the norm is 0 is 0.
    """
    x = require_tensor("norm", input)
    require_floating("norm", x)
    dims = _dims("norm", dim, x)
    order = 2.0 if p is None or p == "fro" else p
    if isinstance(order, str):
        raise ArgumentError(f"norm: p must be a number or 'fro', got {p!r}")
    order = as_number("norm", "p", order)
    if order == 2:
        return _in_float32(x, lambda x: root(sum(x * x, dims or None, keepdim)))
    if math.isinf(order):
        return (amax if order > 0 else amin)(x.abs(), dims or None, keepdim)
    if order == 0:
        return sum((x != 0).to(x.dtype), dims or None, keepdim)
    if order == 1:
        return sum(x.abs(), dims or None, keepdim)
    return _in_float32(x, lambda x: _norm_of_order(x, order, dims, keepdim))


def _norm_of_order(x: Tensor, order: Scalar, dims: Shape, keepdim: bool) -> Tensor:
    powers = x.abs()
    is_nothing = powers == 0  # where orders below 1 have infinite slopes: 0 stands for them
    powers = choose(is_nothing, 1.0, powers) ** order
    powers = choose(is_nothing, 0.0 if order > 0 else math.inf, powers)
    total = sum(powers, dims or None, keepdim)
    is_zero = total == 0
    at_zero = 0.0 if order > 0 else math.inf
    return choose(is_zero, at_zero, choose(is_zero, 1.0, total) ** (1 / order))
