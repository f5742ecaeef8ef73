"""Running sums, products and extremes along a dim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Op
from tinynet.dtype import DType, int64
from tinynet.ops.arithmetic import choose, logaddexp
from tinynet.ops.joining import cat
from tinynet.ops.operands import as_floating, cast_to, numpy_names, require_tensor
from tinynet.ops.reduction import ValuesIndices, scanned

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class CumSum(Op):
    """`params`: the dim."""

    op = "cumsum"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return cumsum(grad.flip(ctx.params), ctx.params).flip(ctx.params)


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Sums of all elements up to each along `dim`. Integers and bools add up in int64."""
    x = require_tensor("cumsum", input)
    x = cast_to(x, dtype or (x.dtype if x.dtype.rank == 2 else int64))
    place = shapes.as_dim("cumsum", dim, x.ndim)
    if not x.shape:
        return x.clone()
    return result(CumSum, x.backend.scan("sum", x.array, place), x.dtype, (x,), (), place)


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """Products of all elements up to each along `dim`. Integers and bools multiply in int64."""
    x = require_tensor("cumprod", input)
    x = cast_to(x, dtype or (x.dtype if x.dtype.rank == 2 else int64))
    place = shapes.as_dim("cumprod", dim, x.ndim)
    if not x.shape or x.shape[place] <= 1:
        return x.clone()
    if x.requires_grad and mode.enabled:  # multiplications alone have the right rule at zeros
        return scanned(x, place)
    return wrap(x.backend.scan("prod", x.array, place), x.dtype, x.backend)


@numpy_names
def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """The largest element up to each along `dim`, and where it is (the last of ties)."""
    return _running_extreme("max", input, dim)


@numpy_names
def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """The smallest element up to each along `dim`, and where it is (the last of ties)."""
    return _running_extreme("min", input, dim)


def _running_extreme(op: str, input: Tensor, dim: int) -> ValuesIndices:
    x = require_tensor(f"cum{op}", input)
    place = shapes.as_dim(f"cum{op}", dim, x.ndim)
    if not x.shape:
        return ValuesIndices(x.clone(), x.new_zeros((), dtype=int64))
    backend = x.backend
    best = wrap(backend.scan(op, x.array, place), x.dtype, backend)
    fixed = x.detach()
    is_best = fixed == best
    if x.dtype.rank == 2:
        is_best = is_best | (fixed.isnan() & best.isnan())
    size = x.shape[place]
    places = wrap(backend.arange(size, 0, 1, int64), int64, backend)
    places = places.reshape((size,) + (1,) * (x.ndim - place - 1))
    marked = choose(is_best, places, 0)
    indices = wrap(backend.scan("max", marked.array, place), int64, backend)
    return ValuesIndices(x.gather(place, indices), indices)


@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """`log(cumsum(exp(x)))` along `dim`, without overflow (in log2(n) steps)."""
    x = as_floating(require_tensor("logcumsumexp", input))
    place = shapes.as_dim("logcumsumexp", dim, x.ndim)
    if not x.shape:
        return x.clone()
    size, step = x.shape[place], 1
    while step < size:
        rest = logaddexp(x.narrow(place, step, size - step), x.narrow(place, 0, size - step))
        x = cat([x.narrow(place, 0, step), rest], place)
        step *= 2
    return x.clone() if x is input else x
