"""Reductions, running sums, order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.dtype import uint8
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.operators.movement import axes_of
from tinynet.onnx.protobuf import Array
from tinynet.ops.joining import cat
from tinynet.tensor import Tensor

Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def reduction(function: Reduction, axes_since: int = 18) -> Operator:
    """Over `axes`: an attribute at first, an input from opset `axes_since` on; none means all."""

    def run(node: Node, x: Tensor, axes: Array | None = None) -> Tensor:
        dims = axes_of(node, axes, axes_since)
        if not dims:
            if node.flag("noop_with_empty_axes", 0):
                return function(x.unsqueeze(0), (0,), False)
            dims = tuple(range(x.ndim))
        if not dims:  # of a single number
            return function(x.reshape(1), (0,), False)
        return function(x, dims, node.flag("keepdims", 1))

    return Operator(run, 1, (1,))


def sum_(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.sum(dims, keepdim, dtype=x.dtype)


def mean(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    if x.dtype.is_floating_point:
        return x.mean(dims, keepdim)
    return x.double().mean(dims, keepdim).to(x.dtype)


def prod(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    for dim in sorted((dim % x.ndim for dim in dims), reverse=True):
        x = x.prod(dim, keepdim, dtype=x.dtype)
    return x


def floating(function: Reduction) -> Reduction:
    """Integers are computed as floats and come back as integers."""

    def run(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
        y = x if x.dtype.is_floating_point else x.double()
        return function(y, dims, keepdim).to(x.dtype)

    return run


def extreme(name: str) -> Reduction:
    """The largest or smallest; of nothing the other end of all numbers."""
    at_rest = {"amax": float("-inf"), "amin": float("inf")}

    def run(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Any:
        if not x.numel():
            empty = x.float().sum(dims, keepdim) + at_rest[name]
            return (empty > 0).to(x.dtype) if x.dtype.rank == 0 else empty.to(x.dtype)
        if x.dtype.rank == 0:
            return getattr(x.to(uint8), name)(dims, keepdim).bool()
        y: Tensor = getattr(x, name)(dims, keepdim)
        return y

    return run


def arg_extreme(name: str) -> Operator:
    def run(node: Node, x: Tensor) -> Any:
        axis, keepdim = node.axis(x.ndim, node.get("axis", 0)), node.flag("keepdims", 1)
        if not node.flag("select_last_index", 0):
            y: Tensor = getattr(x, name)(axis, keepdim)
            return y
        return x.shape[axis] - 1 - getattr(x.flip(axis), name)(axis, keepdim)

    return Operator(run)


def cumulative(function: Callable[..., Tensor], neutral: int) -> Callable[..., Tensor]:
    """Running along an axis, in reverse if asked, with what is there or only what went before."""

    def run(node: Node, x: Tensor, axis: Array) -> Tensor:
        dim = node.axis(x.ndim, int(node.number("axis", axis)))
        is_reverse = node.flag("reverse", 0)
        y = x.flip(dim) if is_reverse else x
        if node.flag("exclusive", 0):
            first = y.narrow(dim, 0, 1).clone().fill_(neutral)
            y = cat([first, y.narrow(dim, 0, y.shape[dim] - 1)], dim)
        y = function(y, dim, dtype=x.dtype)
        return y.flip(dim) if is_reverse else y

    return run


def top_k(node: Node, x: Tensor, k: Array | None = None) -> tuple[Tensor, Tensor]:
    """The largest along an axis, or the smallest; equal ones in their order."""
    count = node.need("k") if node.opset < 10 else int(node.number("K", k))
    axis, is_largest = node.axis(x.ndim, node.get("axis", -1)), node.flag("largest", 1)
    order = x.argsort(axis, is_largest).narrow(axis, 0, count)
    return x.gather(axis, order), order


def cum_axis(function: Callable[..., Tensor], neutral: int, since: int) -> Operator:
    return Operator(cumulative(function, neutral), since, (1,))


OPERATORS: dict[str, Operator] = {
    "ReduceSum": reduction(sum_, 13),
    "ReduceMean": reduction(mean),
    "ReduceProd": reduction(prod),
    "ReduceMax": reduction(extreme("amax")),
    "ReduceMin": reduction(extreme("amin")),
    "ReduceL1": reduction(lambda x, dims, keepdim: sum_(x.abs(), dims, keepdim)),
    "ReduceL2": reduction(floating(lambda x, dims, keepdim: (x * x).sum(dims, keepdim).sqrt())),
    "ReduceSumSquare": reduction(lambda x, dims, keepdim: sum_(x * x, dims, keepdim)),
    "ReduceLogSum": reduction(floating(lambda x, dims, keepdim: x.sum(dims, keepdim).log())),
    "ReduceLogSumExp": reduction(floating(Tensor.logsumexp)),
    "ArgMax": arg_extreme("argmax"),
    "ArgMin": arg_extreme("argmin"),
    "CumSum": cum_axis(Tensor.cumsum, 0, 11),
    "CumProd": cum_axis(Tensor.cumprod, 1, 26),
    "TopK": Operator(top_k, 1, (1,)),
}
