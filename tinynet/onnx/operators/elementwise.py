"""Elementwise operators: one operand, two, or many; activations; comparison; casts."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import dtype_of
from tinynet.ops import arithmetic, elementwise
from tinynet.ops.arithmetic import where
from tinynet.tensor import Tensor


def unary(method: Any, since: int = 1) -> Operator:
    """An operator that is one of our functions."""
    return Operator(lambda node, x: method(x), since)


def binary(method: Callable[..., Any], since: int = 7) -> Operator:
    """An operator that is one of our functions; before opset 7, ONNX broadcast in its own way."""
    return Operator(lambda node, a, b: method(a, b), since)


def folded(method: Callable[..., Any], since: int = 8) -> Operator:
    """An operator of two operands for any number of them."""
    return Operator(lambda node, *inputs: reduce(method, inputs), since)


# activations
def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.get("alpha", 0.01))


def elu(node: Node, x: Tensor) -> Tensor:
    return functional.elu(x, node.get("alpha", 1.0))


def celu(node: Node, x: Tensor) -> Tensor:
    return functional.celu(x, node.get("alpha", 1.0))


def selu(node: Node, x: Tensor) -> Any:
    alpha = node.get("alpha", 1.67326319217681884765625)
    gamma = node.get("gamma", 1.05070102214813232421875)
    return where(x > 0, x * gamma, (x.clamp(max=0.0).expm1()) * (alpha * gamma))


def gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.choice("approximate", "none", "tanh"))


def hard_sigmoid(node: Node, x: Tensor) -> Any:
    return (x * node.get("alpha", 0.2) + node.get("beta", 0.5)).clamp(0.0, 1.0)


def hard_swish(node: Node, x: Tensor) -> Tensor:
    return x * (x * (1 / 6) + 0.5).clamp(0.0, 1.0)


def thresholded_relu(node: Node, x: Tensor) -> Any:
    return where(x > node.get("alpha", 1.0), x, x * 0)


def shrink(node: Node, x: Tensor) -> Any:
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    beyond = where(x > limit, x - bias, where(x < -limit, x + bias, x * 0))
    return beyond.to(x.dtype)


def prelu(node: Node, x: Tensor, slope: Tensor) -> Any:
    return where(x < 0, x * slope, x)


def swish(node: Node, x: Tensor) -> Any:
    return x * (x * node.get("alpha", 1.0)).sigmoid()


def softplus(node: Node, x: Tensor) -> Tensor:
    return functional.softplus(x)


def softmax(node: Node, x: Tensor) -> Tensor:
    return along_axis(node, x, Tensor.softmax)


def log_softmax(node: Node, x: Tensor) -> Tensor:
    return along_axis(node, x, Tensor.log_softmax)


def hardmax(node: Node, x: Tensor) -> Tensor:
    def one_hot(rows: Tensor, dim: int) -> Tensor:
        return rows.new_zeros(rows.shape).scatter(dim, rows.argmax(dim, True), 1.0)

    return along_axis(node, x, one_hot)


def along_axis(node: Node, x: Tensor, function: Callable[..., Tensor]) -> Tensor:
    """Apply it along an axis; before opset 13, along all from that axis on, as one."""
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    axis = node.get("axis", 1)
    shape = x.shape[: axis % max(x.ndim, 1)]
    rows = x.reshape(*shape, -1) if axis % max(x.ndim, 1) < x.ndim else x
    return function(rows, -1).reshape(x.shape)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """From opset 11 on the limits are inputs; of limits that cross, the upper one counts."""
    limits: tuple[Any, Any] = (low, high)
    if node.opset < 11:
        limits = node.get("min"), node.get("max")
    y = x
    if limits[0] is not None:
        y = arithmetic.clamp(y, min=limits[0])
    if limits[1] is not None:
        y = arithmetic.clamp(y, max=limits[1])
    return y


# arithmetic
def div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.dtype.is_floating_point else arithmetic.div(a, b, rounding_mode="trunc")


def mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if node.flag("fmod", 0):
        return arithmetic.fmod(a, b)
    return arithmetic.remainder(a, b)


def power(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """The result has the dtype of the base."""
    if a.dtype is b.dtype:
        return a.pow(b)
    if a.dtype.is_floating_point:
        return a.pow(b.to(a.dtype))
    if b.dtype.is_floating_point:
        return a.to(b.dtype).pow(b).to(a.dtype)
    return a.pow(b.to(a.dtype))


def bit_shift(node: Node, a: Tensor, b: Tensor) -> Tensor:
    is_left = node.choice("direction", "RIGHT", "LEFT") == "LEFT"
    return (arithmetic.left_shift if is_left else arithmetic.right_shift)(a, b)


def mean(node: Node, *inputs: Tensor) -> Tensor:
    total: Tensor = reduce(arithmetic.plus, inputs)
    return total / len(inputs)


def is_inf(node: Node, x: Tensor) -> Tensor:
    found = x.isinf()
    if not node.flag("detect_negative", 1):
        found = found & (x > 0)
    if not node.flag("detect_positive", 1):
        found = found & (x < 0)
    return found


def choose(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Any:
    return where(condition, a, b)


# casts
def cast(node: Node, x: Tensor) -> Tensor:
    return x.to(dtype_of(f"onnx: {node}", node.attributes["to"]))


def cast_like(node: Node, x: Tensor, other: Tensor) -> Tensor:
    return x.to(other.dtype)


def dropout(
    node: Node, x: Tensor, ratio: Tensor | None = None, training: Any = None
) -> tuple[Tensor, Tensor]:
    """Identity, as in inference; what drops at random is refused."""
    rate = 0.5 if ratio is None else float(ratio)
    if training is not None and bool(training) and rate > 0:
        node.refuse("drops at random in training_mode, whose random numbers are ONNX's own")
    return x, x.new_ones(x.shape).bool()


OPERATORS: dict[str, Operator] = {
    **{
        name: unary(getattr(Tensor, name.lower()), since)
        for since, names in {
            1: "Abs Ceil Exp Floor Log Neg Reciprocal Relu Sigmoid Sqrt Tanh",
            7: "Acos Asin Atan Cos Sin Tan",
            9: "Acosh Asinh Atanh Cosh Erf IsNaN Sign Sinh",
            11: "Round",
        }.items()
        for name in names.split()
    },
    "Identity": Operator(lambda node, x: x),
    "Not": unary(elementwise.logical_not),
    "BitwiseNot": unary(elementwise.bitwise_not, 18),
    "IsInf": Operator(is_inf, 10),
    "LeakyRelu": Operator(leaky_relu),
    "Elu": Operator(elu),
    "Celu": Operator(celu, 12),
    "Selu": Operator(selu, 6),
    "Gelu": Operator(gelu, 20),
    "HardSigmoid": Operator(hard_sigmoid),
    "HardSwish": Operator(hard_swish, 14),
    "ThresholdedRelu": Operator(thresholded_relu, 10),
    "Shrink": Operator(shrink, 9),
    "PRelu": Operator(prelu, 7),
    "Swish": Operator(swish, 24),
    "Mish": unary(functional.mish, 18),
    "Softplus": Operator(softplus),
    "Softsign": unary(functional.softsign),
    "Softmax": Operator(softmax),
    "LogSoftmax": Operator(log_softmax),
    "Hardmax": Operator(hardmax),
    "Clip": Operator(clip, 6),
    "Add": binary(arithmetic.plus),
    "Sub": binary(arithmetic.minus),
    "Mul": binary(arithmetic.mul),
    "Div": Operator(div, 7),
    "Mod": Operator(mod, 10),
    "Pow": Operator(power, 7),
    "BitShift": Operator(bit_shift, 11),
    "BitwiseAnd": binary(arithmetic.bitwise_and, 18),
    "BitwiseOr": binary(arithmetic.bitwise_or, 18),
    "BitwiseXor": binary(arithmetic.bitwise_xor, 18),
    "And": binary(arithmetic.logical_and),
    "Or": binary(arithmetic.logical_or),
    "Xor": binary(arithmetic.logical_xor),
    "Equal": binary(arithmetic.eq),
    "Less": binary(arithmetic.lt),
    "LessOrEqual": binary(arithmetic.le, 12),
    "Greater": binary(arithmetic.gt),
    "GreaterOrEqual": binary(arithmetic.ge, 12),
    "Max": folded(arithmetic.maximum),
    "Min": folded(arithmetic.minimum),
    "Sum": folded(arithmetic.plus),
    "Mean": Operator(mean, 8),
    "Where": Operator(choose, 9),
    "Cast": Operator(cast, 6),
    "CastLike": Operator(cast_like, 15),
    "Dropout": Operator(dropout, 7, (1, 2)),
}
