"""Matrix products, and losses."""

from __future__ import annotations

from typing import Any

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.ops.linear import einsum as tensor_einsum
from tinynet.tensor import Tensor


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """`alpha * a @ b + beta * c`, with `a` and `b` transposed as asked."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.mT if node.flag("transA", 0) else a
    if not a.dtype.is_floating_point:
        alpha, beta = int(alpha), int(beta)
    is_linear = node.flag("transB", 0) and alpha == beta == 1
    if is_linear and c is not None and c.shape == b.shape[:1]:  # else c may have to be broadcast
        return functional.linear(a, b, c)
    y = a @ (b.mT if node.flag("transB", 0) else b)
    y = y if alpha == 1 else y * alpha
    if c is None or beta == 0:
        return y
    return y + (c if beta == 1 else c * beta)


def einsum(node: Node, *inputs: Tensor) -> Tensor:
    return tensor_einsum(node.need("equation").replace(" ", ""), *inputs)


def negative_log_likelihood(
    node: Node, x: Tensor, target: Tensor, weight: Tensor | None = None
) -> Tensor:
    ignored = node.get("ignore_index", -100)
    return functional.nll_loss(
        x,
        target.long(),
        weight,
        ignore_index=ignored,
        reduction=node.choice("reduction", "mean", "sum", "none"),
    )


def softmax_cross_entropy(
    node: Node, x: Tensor, target: Tensor, weight: Tensor | None = None
) -> Any:
    y = x.log_softmax(1)
    return negative_log_likelihood(node, y, target, weight), y


OPERATORS: dict[str, Operator] = {
    "MatMul": Operator(matmul),
    "Gemm": Operator(gemm, 7),
    "Einsum": Operator(einsum, 12),
    "NegativeLogLikelihoodLoss": Operator(negative_log_likelihood, 12),
    "SoftmaxCrossEntropyLoss": Operator(softmax_cross_entropy, 12),
}
