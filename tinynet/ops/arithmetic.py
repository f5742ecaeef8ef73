"""Elementwise operations of two and three operands: arithmetic, comparison, logic, selection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import CONSTANT, Node, Variable, result, wrap
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import Scalar, bool_, finfo, wrap_scalar
from tinynet.errors import ArgumentError, DTypeError
from tinynet.numbers import is_recording
from tinynet.ops.elementwise import (
    INTEGERS,
    INTEGRAL,
    NOT_BOOL,
    BinaryFunction,
    UnaryFunction,
    binary,
    check_dtype,
    isinf,
    isnan,
    log,
    logical_not,
    sigmoid,
    sqrt,
    square,
    trunc,
    unary,
)
from tinynet.ops.operands import (
    as_constant,
    as_floating,
    as_operand,
    cast_to,
    is_tensor,
    join_operands,
    require_floating,
    require_same_device,
    require_tensor,
)

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Operand = Any  # Tensor or Python scalar


def _add_rule(ctx: Node, grad: Tensor) -> Gradients:
    return grad, grad


def _sub_rule(ctx: Node, grad: Tensor) -> Gradients:
    return grad, (-grad if ctx.edges[1] is not None else None)


def _mul_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    needs_a, needs_b = ctx.needs_input_grad
    return (grad * b if needs_a else None), (grad * a if needs_b else None)


def _div_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    a_grad = grad / b
    return a_grad, (-a_grad * (a / b) if ctx.needs_input_grad[1] else None)


def _floor_rule(ctx: Node, grad: Tensor) -> Gradients:
    return _remainder_gradients(ctx, grad, "floor")


def _trunc_rule(ctx: Node, grad: Tensor) -> Gradients:
    return _remainder_gradients(ctx, grad, "trunc")


def _remainder_gradients(ctx: Node, grad: Tensor, rounding: str) -> Gradients:
    a, b = ctx.saved_tensors
    needs_b = ctx.needs_input_grad[1]
    return grad, (-grad * div(a, b, rounding_mode=rounding) if needs_b else None)


def _pow_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    needs_a, needs_b = ctx.needs_input_grad
    a_grad = b_grad = None
    if needs_a and not isinstance(b, Variable):
        a_grad = grad * (b * pow(a, b - 1)) if b != 0 else grad.new_zeros(grad.shape)
    elif needs_a:
        a_grad = choose(b == 0, 0.0, grad * (b * pow(a, b - 1)))
    if needs_b:
        b_grad = _exponent_gradient(a, b, grad)
    return a_grad, b_grad


def _exponent_gradient(a: Operand, b: Tensor, grad: Tensor) -> Tensor:
    """`grad * a**b * log(a)`, 0 where `a` is 0 and `b` is not negative."""
    if not isinstance(a, Variable) and a > 0:
        return grad * (pow(a, b) * math.log(a))
    a = as_constant(a, b.dtype, b)
    is_flat = (a == 0) & (b >= 0)
    return choose(is_flat, 0.0, grad * pow(a, b) * log(choose(is_flat, 1.0, a)))


def _maximum_rule(ctx: Node, grad: Tensor) -> Gradients:
    return _shared_at_ties(ctx, grad, is_maximum=True)


def _minimum_rule(ctx: Node, grad: Tensor) -> Gradients:
    return _shared_at_ties(ctx, grad, is_maximum=False)


def _shared_at_ties(ctx: Node, grad: Tensor, is_maximum: bool) -> Gradients:
    a, b = ctx.saved_tensors
    shared = choose(a == b, grad * 0.5, grad)
    is_b, is_a = (a < b, a > b) if is_maximum else (a > b, a < b)
    return kept_where(logical_not(is_b), shared), kept_where(logical_not(is_a), shared)


def _atan2_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    square_sum = a * a + b * b
    part = grad / choose(square_sum == 0, 1.0, square_sum)  # gradient 0 at the origin
    return part * b, -part * a


def _copysign_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    zeros = grad.new_zeros(grad.shape)
    if not ctx.needs_input_grad[0]:
        return None, zeros
    sign = copysign(1.0, b) if isinstance(b, Variable) else math.copysign(1.0, b)
    return grad * sign * a.sign(), zeros


def _logaddexp_rule(ctx: Node, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    gap = choose((a == b) & isinf(a), 0.0, a - b)  # equal infinities share, as numbers do
    return grad * sigmoid(gap), grad * sigmoid(-gap)


def _zeros_rule(ctx: Node, grad: Tensor) -> Gradients:
    return grad.new_zeros(grad.shape), grad.new_zeros(grad.shape)


plus: BinaryFunction = binary("add", _add_rule, "`input + other`.")
minus: BinaryFunction = binary("sub", _sub_rule, "`input - other`.", takes=NOT_BOOL)
mul: BinaryFunction = binary("mul", _mul_rule, "`input * other`.", saves="partners")
divided: BinaryFunction = binary(
    "div", _div_rule, "`input / other`.", saves="second", floating=True
)
_floor_divide: BinaryFunction = binary(
    "floor_divide", _zeros_rule, "`floor(input / other)`. Gradient 0.", takes=NOT_BOOL
)
_remainder: BinaryFunction = binary(
    "remainder", _floor_rule, "Of the division that rounds down.", saves="second", takes=NOT_BOOL
)
_fmod: BinaryFunction = binary(
    "fmod", _trunc_rule, "Of the division that rounds toward 0.", saves="second", takes=NOT_BOOL
)
_pow: BinaryFunction = binary("pow", _pow_rule, "`input ** exponent`.", saves="inputs")
maximum: BinaryFunction = binary(
    "maximum", _maximum_rule, "The larger one; NaN if either is. Ties share.", saves="inputs"
)
minimum: BinaryFunction = binary(
    "minimum", _minimum_rule, "The smaller one; NaN if either is. Ties share.", saves="inputs"
)
atan2: BinaryFunction = binary(
    "atan2", _atan2_rule, "The angle of the point (other, input).", saves="inputs", floating=True
)
copysign: BinaryFunction = binary(
    "copysign", _copysign_rule, "`|input|` with other's sign.", saves="inputs", floating=True
)
logaddexp: BinaryFunction = binary(
    "logaddexp", _logaddexp_rule, "`log(exp(input) + exp(other))`, without overflow.",
    saves="inputs", floating=True,
)  # fmt: skip

eq: BinaryFunction = binary("eq", None, "Where `input == other`.", gives=bool_)
ne: BinaryFunction = binary("ne", None, "Where `input != other`.", gives=bool_)
lt: BinaryFunction = binary("lt", None, "Where `input < other`.", gives=bool_)
le: BinaryFunction = binary("le", None, "Where `input <= other`.", gives=bool_)
gt: BinaryFunction = binary("gt", None, "Where `input > other`.", gives=bool_)
ge: BinaryFunction = binary("ge", None, "Where `input >= other`.", gives=bool_)
logical_and: BinaryFunction = binary("logical_and", None, "Where both are non-zero.", gives=bool_)
logical_or: BinaryFunction = binary("logical_or", None, "Where either is non-zero.", gives=bool_)
logical_xor: BinaryFunction = binary(
    "logical_xor", None, "Where one alone is non-zero.", gives=bool_
)
bitwise_and: BinaryFunction = binary("bitwise_and", None, "Bits set in both.", takes=INTEGRAL)
bitwise_or: BinaryFunction = binary("bitwise_or", None, "Bits set in either.", takes=INTEGRAL)
bitwise_xor: BinaryFunction = binary("bitwise_xor", None, "Bits set in one alone.", takes=INTEGRAL)
_left_shift: BinaryFunction = binary("left_shift", None, "`input << other`.", takes=INTEGERS)
_right_shift: BinaryFunction = binary("right_shift", None, "`input >> other`.", takes=INTEGERS)


def add(input: Operand, other: Operand, *, alpha: Scalar = 1) -> Tensor:
    """`input + alpha * other`."""
    return plus(input, other if alpha == 1 else _scaled("add", input, other, alpha))


def sub(input: Operand, other: Operand, *, alpha: Scalar = 1) -> Tensor:
    """`input - alpha * other`."""
    return minus(input, other if alpha == 1 else _scaled("sub", input, other, alpha))


def _scaled(op: str, input: Operand, other: Operand, alpha: Scalar) -> Operand:
    """`alpha * other`, in the dtype that `input` and `other` make together."""
    if isinstance(other, Variable) and other.dtype.rank == 2:
        return mul(other, alpha)  # type: ignore[arg-type]
    operands, dtype = join_operands(op, input, other)
    b: Any = operands[1]
    if isinstance(alpha, float) and dtype.rank < 2:
        raise DTypeError(f"{op}: alpha must be whole for {dtype}, got {alpha}")
    scale = wrap_scalar(alpha, dtype)
    return wrap_scalar(b * scale, dtype) if isinstance(b, (int, float)) else b * scale


def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`; with `rounding_mode` "floor" or "trunc", rounded (integers stay so)."""
    if rounding_mode is None:
        return divided(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ArgumentError(
            f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    (a, b), dtype = join_operands("div", input, other)
    if dtype.rank == 2:
        return trunc(divided(a, b))
    quotient = floor_divide(a, b)
    is_inexact = (mul(quotient, b) != a) & (quotient < 0)
    return plus(quotient, cast_to(is_inexact, dtype))


def floor_divide(input: Operand, other: Operand) -> Tensor:
    """`floor(input / other)`. Gradient 0. Integer division by 0 is an error."""
    _check_divisor("floor_divide", input, other)
    return _floor_divide(input, other)


def remainder(input: Operand, other: Operand) -> Tensor:
    """`input - other * floor(input / other)`, Python's `%`: the sign is `other`'s."""
    _check_divisor("remainder", input, other)
    return _remainder(input, other)


def fmod(input: Operand, other: Operand) -> Tensor:
    """`input - other * trunc(input / other)`, C's `fmod`: the sign is `input`'s."""
    _check_divisor("fmod", input, other)
    return _fmod(input, other)


def _check_divisor(op: str, input: Operand, other: Operand) -> None:
    """Integers have no infinity: refuse to divide them by 0.

    By a tensor's, while `jit` records, nobody can look; a replay gives 0 there.
    """
    a, b = as_operand(op, input), as_operand(op, other)
    if any(isinstance(x, float) or (isinstance(x, Variable) and x.dtype.rank == 2) for x in (a, b)):
        return
    if isinstance(b, Variable) and is_recording():
        return
    has_zero = bool(eq(b, 0).any()) if isinstance(b, Variable) else b == 0
    if has_zero:
        raise ArgumentError(f"{op}: integer division by zero")


def pow(input: Operand, exponent: Operand) -> Tensor:
    """`input ** exponent`. Integers take no negative integer exponents."""
    if isinstance(exponent, (int, float)):
        least_rank = 1 if isinstance(exponent, int) else 2  # floats make floats of integers
        if exponent == 2 and isinstance(input, Variable) and input.dtype.rank >= least_rank:
            return square(input)  # type: ignore[arg-type]
        if exponent == 0.5 and isinstance(input, Variable):
            return sqrt(input)  # type: ignore[arg-type]
        is_integral = isinstance(exponent, int) and getattr(input, "dtype", bool_).rank < 2
        if is_integral and exponent < 0:
            raise ArgumentError(
                f"pow: integers to a negative power are not integers, got exponent {exponent}"
            )
    return _pow(input, exponent)


def left_shift(input: Operand, other: Operand) -> Tensor:
    """`input << other` for integers."""
    return _left_shift(input, other)


def right_shift(input: Operand, other: Operand) -> Tensor:
    """`input >> other` for integers."""
    return _right_shift(input, other)


class Where(Op):
    """Selection by a condition, which gets no gradient."""

    op = "where"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        (condition,) = ctx.saved_tensors
        _, needs_a, needs_b = ctx.needs_input_grad
        a_grad = kept_where(condition, grad) if needs_a else None
        return None, a_grad, (kept_where(logical_not(condition), grad) if needs_b else None)


class KeptWhere(Op):
    """Masking: its own gradient."""

    op = "where"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return kept_where(ctx.input, grad)


def kept_where(condition: Tensor, x: Tensor) -> Tensor:
    """`x` where `condition` holds, 0 elsewhere; the condition broadcasts to `x` at most."""
    array = x.backend.elementwise("where", condition.array, x.array, 0.0)
    return result(KeptWhere, array, x.dtype, (x,), (condition,))


def where(condition: Tensor, input: Operand = None, other: Operand = None) -> Any:
    """Elements of `input` where `condition` holds, of `other` elsewhere; all broadcast.

    `where(condition)` alone is `nonzero(condition, as_tuple=True)`.
    """
    choice = require_tensor("where", condition, "condition")
    if input is None and other is None:
        return choice.nonzero(as_tuple=True)
    return choose(choice, input, other)


def choose(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """`where` of three operands."""
    if condition.dtype is not bool_:
        raise DTypeError(f"where: condition must have dtype {bool_}, got {condition.dtype}")
    if not isinstance(a, Variable) and not isinstance(b, Variable):
        dtype = join_operands("where", condition.new_zeros(()), a)[1]
        a = as_constant(a, dtype, condition)
    (a, b), dtype = join_operands("where", a, b)
    tensors: list[Any] = [x for x in (condition, a, b) if isinstance(x, Variable)]
    require_same_device("where", *tensors)
    shapes.broadcast("where", *(x.shape for x in tensors))
    arrays = [_array_of(x, dtype) for x in (a, b)]
    array = condition.backend.elementwise("where", condition.array, *arrays)
    if not isinstance(a, Variable):
        array = condition.backend.cast(array, dtype)
    inputs = (condition, *(x if isinstance(x, Variable) else CONSTANT for x in (a, b)))
    return result(Where, array, dtype, inputs, (condition,))


def _array_of(x: Any, dtype: Any) -> Any:
    return x.array if isinstance(x, Variable) else wrap_scalar(x, dtype)


def clamp(input: Tensor, min: Operand = None, max: Operand = None) -> Tensor:
    """`input` held between `min` and `max` (numbers or tensors); the gradient outside is 0."""
    x = require_tensor("clamp", input)
    if min is None and max is None:
        raise ArgumentError("clamp: at least one of min and max must be given")
    bounds = [bound for bound in (min, max) if bound is not None]
    operands, dtype = join_operands("clamp", x, *bounds)
    shapes.broadcast("clamp", *(y.shape for y in operands if isinstance(y, Variable)))
    y = operands[0]
    assert isinstance(y, Variable)
    array = y.array
    low = None if min is None else operands[1]
    high = None if max is None else operands[-1]
    if low is not None:
        array = y.backend.elementwise("maximum", array, _array_of(low, dtype))
    if high is not None:
        array = y.backend.elementwise("minimum", array, _array_of(high, dtype))
    inputs = tuple(b if isinstance(b, Variable) else CONSTANT for b in (y, low, high))
    return result(Clamp, array, dtype, inputs, (y, low, high))


class Clamp(Op):
    """Holding within bounds: the gradient goes to the operand that the result is."""

    op = "clamp"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, low, high = ctx.saved_tensors
        needs_x, needs_low, needs_high = ctx.needs_input_grad
        x_grad = low_grad = high_grad = None
        if needs_x:
            inside = [*([] if low is None else [x >= low]), *([] if high is None else [x <= high])]
            x_grad = kept_where(inside[0] if len(inside) == 1 else inside[0] & inside[1], grad)
        if needs_low:
            is_low = x < low if high is None else (x < low) & (low < high)
            low_grad = kept_where(is_low, grad)
        if needs_high:
            is_high = x > high if low is None else (x > high) | (high < low)
            high_grad = kept_where(is_high, grad)
        return x_grad, low_grad, high_grad


def relu(input: Tensor) -> Tensor:
    """`max(x, 0)`; NaN stays NaN. The gradient at 0 is 0."""
    x = require_tensor("relu", input)
    zero = 0.0
    if x.dtype.rank != 2:
        check_dtype("relu", NOT_BOOL, x.dtype)
        zero = 0
    return result(ReLU, x.backend.elementwise("maximum", x.array, zero), x.dtype, (x,))


class ReLU(Op):
    """Rectified linear unit."""

    op = "relu"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        backend = grad.backend
        is_positive = backend.elementwise("gt", ctx.output_value(), 0.0)
        return kept_where(wrap(is_positive, bool_, backend), grad)


def _logit_rule(ctx: Node, grad: Tensor) -> Tensor:
    x = ctx.input
    return choose((x < 0) | (x > 1), math.nan, grad / (x * (1 - x)))


_logit: UnaryFunction = unary("logit", _logit_rule, "Sigmoid's inverse.", saves="input")


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(x / (1 - x))`, sigmoid's inverse; `eps` holds x within [eps, 1 - eps] first."""
    x = as_floating(require_tensor("logit", input))
    if eps is not None:
        x = clamp(x, eps, 1 - eps)
    return _logit(x)


def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN, infinity and -infinity replaced; None stands for the dtype's largest numbers."""
    x = require_tensor("nan_to_num", input)
    if x.dtype.rank != 2:
        return x.clone()
    largest = finfo(x.dtype).max
    is_infinite = isinf(x)
    x = choose(isnan(x), nan, x)
    x = choose(is_infinite & (x > 0), largest if posinf is None else posinf, x)
    return choose(is_infinite & (x < 0), -largest if neginf is None else neginf, x)


def lerp(input: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """`input + weight * (end - input)`: linear interpolation, from the end that is closer."""
    require_floating("lerp", require_tensor("lerp", input), require_tensor("lerp", end, "end"))
    weight = as_operand("lerp", weight, input)
    gap = minus(end, input)
    if is_tensor(weight):
        from_end = minus(end, mul(minus(1, weight), gap))
        return choose(weight.abs() < 0.5, plus(input, mul(weight, gap)), from_end)
    if -0.5 < weight < 0.5:
        return plus(input, mul(weight, gap))
    return minus(end, mul(gap, 1 - weight))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`."""
    product = mul(tensor1, tensor2)
    return plus(input, product if value == 1 else mul(product, value))


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`, of floats."""
    quotient = divided(tensor1, tensor2)
    return plus(input, quotient if value == 1 else mul(quotient, value))


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Where `|input - other| <= atol + rtol * |other|`; equal infinities are close."""
    operands, dtype = join_operands("isclose", input, other)
    like = next(x for x in operands if isinstance(x, Variable))
    a, b = (as_constant(x, dtype, like) for x in operands)
    if rtol < 0 or atol < 0:
        raise ArgumentError(f"isclose: rtol and atol cannot be negative, got {rtol} and {atol}")
    is_close = eq(a, b)
    if equal_nan and dtype.rank == 2:
        is_close = is_close | (isnan(a) & isnan(b))
    if dtype.rank == 0 or (rtol == 0 and atol == 0):
        return is_close
    a, b = as_floating(a), as_floating(b)
    gap = minus(a, b).abs()
    return is_close | (gap.isfinite() & (gap <= b.abs() * rtol + atol))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    a, b = require_tensor("equal", input), require_tensor("equal", other, "other")
    require_same_device("equal", a, b)
    return a.shape == b.shape and bool(eq(a, b).all())
