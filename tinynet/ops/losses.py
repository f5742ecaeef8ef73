"""Losses that deserve a node of their own: in every training step, or with a special gradient.

`nn.functional` checks arguments, and makes of these and other operations what users call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import float32, int64
from tinynet.errors import DimError
from tinynet.numbers import is_recording
from tinynet.ops.arithmetic import clamp
from tinynet.ops.elementwise import log, log1p
from tinynet.ops.indexing import put
from tinynet.ops.movement import reshape_to

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

LARGEST = 2**63 - 1


class SquaredError(Op):
    """The sum of squared differences times a factor, `params`."""

    op = "mse_loss"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        a, b = ctx.saved_tensors
        needs_b = ctx.needs_input_grad[1]
        a_grad = (a - b) * (grad * (2.0 * ctx.params))
        return a_grad, (-a_grad if needs_b else None)


def squared_error(a: Tensor, b: Tensor, factor: float) -> Tensor:
    """`factor * (a - b).square().sum()` of floats of one dtype and shape."""
    backend = a.backend
    gap = backend.elementwise("sub", a.array, b.array)
    squares = backend.elementwise("square", gap, out=gap)
    is_half = a.dtype.itemsize == 2
    if is_half:  # a mean of halves is one, their sum need not be
        squares = backend.cast(squares, float32)
    total = backend.reduce("sum", squares, tuple(range(len(a.shape))), False)
    array = backend.elementwise("mul", total, factor)
    if is_half:
        array = backend.cast(array, a.dtype)
    return result(SquaredError, array, a.dtype, (a, b), (a, b), factor)


class NegativeLogLikelihood(Op):
    """Elements picked out of the input. `params`: places, each one's factor, the input's shape."""

    op = "nll_loss"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        places, factors, shape = ctx.params
        return put(grad.new_zeros(shape), places, factors * grad, "set")


def negative_log_likelihood(
    x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, op: str
) -> Tensor:
    """`-weight[target] * x[i, target[i]]` for `x` (n, classes) and int64 `target` (n,).

    With a third dim, `x` is (n, classes, k) and `target` (n, k). "mean" divides the sum by the sum
    of the weights. Targets equal to `ignore_index` do not count. No value is read on the host:
    out-of-range targets are for the backend to notice.
    """
    backend, dtype = x.backend, x.dtype
    is_counted = backend.elementwise("ne", target.array, ignore_index)
    known = backend.elementwise("where", is_counted, target.array, 0)
    # a negative index would count from the end: without its sign bit it is far out of range
    known = backend.elementwise("bitwise_and", known, LARGEST)
    places = _places(x, wrap(known, int64, backend))
    try:
        picked = backend.take(x.array, tuple(place.array for place in places))
    except DimError:
        if is_recording():  # nobody can look at the target
            raise
        raise DimError(_describe_range(op, target, ignore_index, x.shape[1])) from None
    weights = backend.cast(is_counted, dtype)
    if weight is not None:
        chosen = backend.take(weight.array, (known,))
        weights = backend.elementwise("mul", weights, chosen)
        picked = backend.elementwise("mul", picked, chosen)
    picked = backend.elementwise("where", is_counted, picked, 0.0)
    dims = tuple(range(len(target.shape)))
    is_half_mean = reduction == "mean" and dtype.itemsize == 2
    if is_half_mean:  # as in squared_error
        picked, weights = backend.cast(picked, float32), backend.cast(weights, float32)
    array = picked if reduction == "none" else backend.reduce("sum", picked, dims, False)
    if reduction == "mean":
        scale = backend.elementwise("div", -1.0, backend.reduce("sum", weights, dims, False))
        array = backend.elementwise("mul", array, scale)
        factors = scale if weight is None else backend.elementwise("mul", weights, scale)
        factors = backend.elementwise("where", is_counted, factors, 0.0)  # 0, not 0 * infinity
        if is_half_mean:
            array, factors = backend.cast(array, dtype), backend.cast(factors, dtype)
    else:
        array, factors = backend.elementwise("neg", array), backend.elementwise("neg", weights)
    params = (places, wrap(factors, dtype, backend), x.shape)
    return result(NegativeLogLikelihood, array, dtype, (x,), (), params)


def _places(x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
    """Index tensors that point at `x[i, known[i]]`, or `x[i, known[i, j], j]`."""
    backend = x.backend
    rows = wrap(backend.arange(x.shape[0], 0, 1, int64), int64, backend)
    if len(x.shape) == 2:
        return rows, known
    columns = wrap(backend.arange(x.shape[2], 0, 1, int64), int64, backend)
    return reshape_to(rows, (x.shape[0], 1)), known, columns


def _describe_range(op: str, target: Tensor, ignore_index: int, classes: int) -> str:
    wrong = [i for i in target.reshape(-1).tolist() if i != ignore_index and not 0 <= i < classes]
    return f"{op}: class index {wrong[0]} is out of range for {classes} classes"


class BinaryCrossEntropy(Op):
    """Elementwise; the gradient is that of the formula without its clamps."""

    op = "binary_cross_entropy"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, target = ctx.saved_tensors
        needs_x, needs_target = ctx.needs_input_grad
        x_grad = target_grad = None
        if needs_x:
            x_grad = grad * (x - target) / clamp(x * (1.0 - x), min=1e-12)
        if needs_target:
            target_grad = grad * (clamp(log1p(-x), min=-100.0) - clamp(log(x), min=-100.0))
        return x_grad, target_grad


def binary_cross_entropy(x: Tensor, target: Tensor) -> Tensor:
    """`-target * log(x) - (1 - target) * log(1 - x)`, logarithms held at -100 or above."""
    backend = x.backend

    def held(op: str, array: Any) -> Any:
        return backend.elementwise("maximum", backend.elementwise(op, array), -100.0)

    yes = backend.elementwise("mul", target.array, held("log", x.array))
    no_share = backend.elementwise("sub", target.array, 1.0)
    no_log = held("log1p", backend.elementwise("neg", x.array))
    no = backend.elementwise("mul", no_share, no_log)
    array = backend.elementwise("sub", no, yes)
    return result(BinaryCrossEntropy, array, x.dtype, (x, target), (x, target))
