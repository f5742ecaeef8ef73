"""The softmax family, computed without overflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, result
from tinynet.autograd.operation import Op
from tinynet.dtype import DType, finfo
from tinynet.ops.operands import cast_to, numpy_names, require_floating, require_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Softmax(Op):
    """`params`: the dim."""

    op = "softmax"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        y = ctx.output
        part = grad * y
        return part - y * part.sum(ctx.params, keepdim=True)


class LogSoftmax(Op):
    """`params`: the dim."""

    op = "log_softmax"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return grad - ctx.output.exp() * grad.sum(ctx.params, keepdim=True)


@numpy_names
def softmax(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """`exp(x) / sum(exp(x))` along `dim`: positive, adds up to 1."""
    return _softmax(input, dim, dtype, False)


def softmax_or_zeros(input: Tensor, dim: int) -> Tensor:
    """`softmax`, but zeros, not NaN, where all along `dim` is -inf: there is nothing to choose."""
    return _softmax(input, dim, None, True)


@numpy_names
def log_softmax(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """`log(softmax(x))` along `dim`."""
    x, place = _prepared("log_softmax", input, dim, dtype)
    backend = x.backend
    shifted, _, total = _shifted_exp(x, place)
    array = backend.elementwise("sub", shifted, backend.elementwise("log", total), out=shifted)
    y = result(LogSoftmax, array, x.dtype, (x,), (), place)
    return y if input.shape else y.reshape(())


def _softmax(input: Tensor, dim: int, dtype: DType | None, has_zeros: bool) -> Tensor:
    x, place = _prepared("softmax", input, dim, dtype)
    backend = x.backend
    _, exps, total = _shifted_exp(x, place, has_zeros)
    if has_zeros:  # all other sums have an exp(0) in them
        total = backend.elementwise("maximum", total, 1.0)
    array = backend.elementwise("div", exps, total, out=exps)
    y = result(Softmax, array, x.dtype, (x,), (), place)
    return y if input.shape else y.reshape(())


def _prepared(op: str, input: Tensor, dim: int, dtype: DType | None) -> tuple[Tensor, int]:
    x = require_tensor(op, input)
    x = x if dtype is None else cast_to(x, dtype)
    require_floating(op, x)
    place = shapes.as_dim(op, dim, x.ndim)
    return (x if x.shape else x.reshape(1)), place


def _shifted_exp(x: Tensor, dim: int, has_zeros: bool = False) -> tuple[Any, Any, Any]:
    """`x - max`, its exponential and the exponential's sum along `dim`.

    `has_zeros`: where the maximum is -inf, all exponentials are 0.
    """
    backend = x.backend
    if x.shape[dim] == 0:
        return x.array, backend.copy(x.array), backend.reduce("sum", x.array, (dim,), True)
    largest = backend.reduce("max", x.array, (dim,), True)
    if has_zeros:
        largest = backend.elementwise("maximum", largest, finfo(x.dtype).min)
    shifted = backend.elementwise("sub", x.array, largest)
    exps = backend.elementwise("exp", shifted)
    return shifted, exps, backend.reduce("sum", exps, (dim,), True)


@numpy_names
def softmin(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """`softmax(-x)`."""
    return softmax(-require_tensor("softmin", input), dim, dtype=dtype)
