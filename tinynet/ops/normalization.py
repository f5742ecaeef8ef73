"""Normalisation: elements made to have mean 0 and deviation 1 over some dims.

Batch, instance, group, layer and RMS normalisation are all `normalize_over`, over other dims;
`nn.functional.normalization` has them. Between forward and backward only the input is kept, and a
mean and an inverse deviation for each group of elements that are normalised together.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import CONSTANT, Node, result, wrap
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Gradients, Op
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Normalize(Op):
    """`params`: the dims, eps, how many elements are normalised together, and whether these have
    one weight and one bias.

    Ioffe & Szegedy 2015, section 3: with `h` the normalised input and `g` the gradient times
    weight, the input's gradient is `(g - mean(g) - h * mean(g * h)) / deviation`.
    """

    op = "normalize"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        mean: Tensor | None
        x, mean, inverse, weight = ctx.saved_tensors
        dims, eps, count, is_even = ctx.params
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        if mode.enabled:  # recorded, they are functions of the input again
            mean, inverse = _statistics(x, mean is not None, dims, eps, count)
        centred = x if mean is None else x - mean
        if not is_even:
            return _uneven_gradients(ctx, grad, centred, inverse)
        total = grad.sum(dims, keepdim=True) if mean is not None or needs_bias else None
        slope = (grad * centred).sum(dims, keepdim=True)
        x_grad = None
        if needs_x:
            scale = inverse if weight is None else inverse * weight
            x_grad = _stepped(centred, "mul", inverse * inverse * slope / -count, x)
            x_grad = _stepped(x_grad, "add", grad)
            if mean is not None:
                x_grad = _stepped(x_grad, "sub", total / count)
            x_grad = _stepped(x_grad, "mul", scale)
        return x_grad, (slope * inverse if needs_weight else None), total


def _uneven_gradients(ctx: Node, grad: Tensor, centred: Tensor, inverse: Tensor) -> Gradients:
    """The rule where the weight differs among elements that are normalised together."""
    x, mean, _, weight = ctx.saved_tensors
    dims, _, count, _ = ctx.params
    needs_x, needs_weight, _ = ctx.needs_input_grad
    normal = _stepped(centred, "mul", inverse, x)
    part = grad * normal
    x_grad = None
    if needs_x:
        slope = (part if weight is None else part * weight).sum(dims, keepdim=True) / count
        x_grad = grad * (1.0 if weight is None else weight)
        total = None if mean is None else x_grad.sum(dims, keepdim=True) / count
        x_grad = _stepped(x_grad, "sub", normal * slope)
        if total is not None:
            x_grad = _stepped(x_grad, "sub", total)
        x_grad = _stepped(x_grad, "mul", inverse)
    return x_grad, (part if needs_weight else None), grad


def _stepped(x: Tensor, method: str, operand: Tensor, kept: Tensor | None = None) -> Tensor:
    """`x` after a step of arithmetic: in its own memory, unless that is recorded or `kept`'s."""
    is_free = not mode.enabled and x is not kept
    stepped: Tensor = getattr(x, f"{method}_" if is_free else method)(operand)
    return stepped


def _statistics(
    x: Tensor, is_centred: bool, dims: Shape, eps: float, count: int
) -> tuple[Tensor | None, Tensor]:
    """Mean and inverse deviation over dims, differentiable."""
    count = max(count, 1)
    mean = x.sum(dims, keepdim=True) / count if is_centred else None
    centred = x if mean is None else x - mean
    variance = (centred * centred).sum(dims, keepdim=True) / count
    return mean, (variance + eps).rsqrt()


def _is_even(x: Tensor | None, dims: Shape) -> bool:
    """Whether a weight or bias is the same for all elements that are normalised together."""
    return x is None or all(x.shape[dim] == 1 for dim in dims)


def normalize_over(
    x: Tensor,
    dims: Shape,
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    is_centred: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """`(x - mean) / sqrt(variance + eps) * weight + bias`, the mean and the variance.

    All are floats of one dtype; weight and bias have as many dims as `x`, and broadcast to it.
    Unless `is_centred` the mean counts as 0. Mean and variance (over `dims`, which they keep with
    size 1, and divided by the number of elements) take no part in the graph.
    """
    backend = x.backend
    count = prod(x.shape[dim] for dim in dims)
    share = 1.0 / max(count, 1)  # of nothing, all is 0, and so is the weight's gradient
    mean = None
    centred = x.array
    if is_centred:
        mean = backend.elementwise("mul", backend.reduce("sum", x.array, dims, True), share)
        centred = backend.elementwise("sub", x.array, mean)
    squares = backend.elementwise("square", centred)
    variance = backend.elementwise("mul", backend.reduce("sum", squares, dims, True), share)
    inverse = backend.elementwise("rsqrt", backend.elementwise("add", variance, eps))
    is_even = _is_even(weight, dims)
    scale = inverse
    if weight is not None and is_even:
        scale = backend.elementwise("mul", inverse, weight.array)
    own = centred if is_centred else squares  # memory that nobody else holds
    array = backend.elementwise("mul", centred, scale, out=own)
    if weight is not None and not is_even:
        array = backend.elementwise("mul", array, weight.array, out=array)
    if bias is not None:
        array = backend.elementwise("add", array, bias.array, out=array)
    statistics = [None if y is None else wrap(y, x.dtype, backend) for y in (mean, inverse)]
    inputs: tuple[Any, ...] = tuple([CONSTANT if y is None else y for y in (x, weight, bias)])
    params = (dims, eps, count, is_even and _is_even(bias, dims))
    y = result(Normalize, array, x.dtype, inputs, (x, *statistics, weight), params)
    return y, statistics[0], wrap(variance, x.dtype, backend)


class Standardize(Op):
    """`(x - mean) * scale + bias`: statistics that come from elsewhere."""

    op = "normalize"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, mean, scale = ctx.saved_tensors
        needs_x, needs_scale, _ = ctx.needs_input_grad
        return (
            grad * scale if needs_x else None,
            grad * (x - mean) if needs_scale else None,
            grad,
        )


def standardize(x: Tensor, mean: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """`(x - mean) * scale + bias` of floats of one dtype, which broadcast to `x`.

    The mean is a constant: it gets no gradient.
    """
    backend = x.backend
    shift = backend.elementwise("mul", mean.array, scale.array)
    if bias is None:
        shift = backend.elementwise("neg", shift)
    else:
        shift = backend.elementwise("sub", bias.array, shift)
    array = backend.elementwise("mul", x.array, scale.array)
    array = backend.elementwise("add", array, shift, out=array)
    inputs: tuple[Any, ...] = (x, scale, CONSTANT if bias is None else bias)
    return result(Standardize, array, x.dtype, inputs, (x, mean.detach(), scale))
