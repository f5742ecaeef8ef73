"""Elementwise operations: for each a line with its gradient rule, its primitive's name, its doc.

`unary` and `binary` turn a line into the function that users call. A rule gets the node and the
gradient of the output and returns the gradient of each operand, in Tensor operations; broadcasting
and promotion are undone by the engine. `a` and `b` in rules may be Python scalars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tinynet import shape as shapes
from tinynet.autograd.graph import CONSTANT, Node, Variable, result, wrap
from tinynet.autograd.operation import Function, Gradients, Op
from tinynet.dtype import LARGEST_EXACT, DType, Scalar, bool_, finfo, float32
from tinynet.errors import DTypeError
from tinynet.ops.operands import (
    as_constant,
    as_floating,
    as_operand,
    cast_to,
    is_tensor,
    join_operands,
    require_tensor,
)

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Rule = Callable[[Any, Any], Gradients]


class UnaryFunction(Protocol):
    """A function of one tensor, and a method of `Tensor`."""

    def __call__(self, input: Tensor) -> Tensor:
        """Apply it."""

    def __get__(self, instance: Tensor, owner: Any) -> Callable[[], Tensor]:
        """Be a method, as functions are."""


class BinaryFunction(Protocol):
    """A function of two operands, and a method of `Tensor`."""

    def __call__(self, input: Tensor | Scalar, other: Tensor | Scalar) -> Tensor:
        """Apply it."""

    def __get__(self, instance: Tensor, owner: Any) -> Callable[[Tensor | Scalar], Tensor]:
        """Be a method, as functions are."""


ANY, NOT_BOOL, INTEGRAL, INTEGERS = "any", "not bool", "integers or bools", "integers"
# Beside half precision, numbers stay float32 in these: 65536 and 1e-8 are no halves, what comes of
# them may be (PyTorch does so too).
SCALINGS = ("mul", "div")


def make_op(name: str, rule: Rule | None, saves: str) -> type[Function]:
    """The node class of an elementwise operation."""
    members: dict[str, Any] = {
        "op": name,
        "saves_output": saves == "output",
        "spares_first": saves in ("partners", "second"),
        "spares_second": saves == "partners",
        "__slots__": (),
    }
    if rule is not None:
        members["backward"] = staticmethod(rule)
    class_name = "".join(part.title() for part in name.split("_"))
    return type(class_name, (Op,), members)


def unary(
    name: str,
    rule: Rule | None,
    doc: str,
    *,
    saves: str = "",
    floating: bool = True,
    takes: str = ANY,
    gives: DType | None = None,
    copies: int = -1,
) -> UnaryFunction:
    """An operation on one tensor.

    `saves` is what the rule needs, "input" or "output"; `floating` operations convert integers to
    the default dtype first; `gives` is the result's dtype where it is not the operand's; dtypes up
    to the rank `copies` are copied, since there is nothing to do.
    """
    function = make_op(name, rule, saves)
    saves_input = saves == "input"

    def op(input: Tensor) -> Tensor:
        x = require_tensor(name, input)
        if x.dtype.rank != 2:
            check_dtype(name, takes, x.dtype)
            if x.dtype.rank <= copies:
                return wrap(x.backend.copy(x.array), x.dtype, x.backend)
            if floating:
                x = as_floating(x)
        elif takes == INTEGRAL:
            check_dtype(name, takes, x.dtype)
        array = x.backend.elementwise(name, x.array)
        return result(function, array, gives or x.dtype, (x,), (x,) if saves_input else ())

    return _named(op, name, doc)


def binary(
    name: str,
    rule: Rule | None,
    doc: str,
    *,
    saves: str = "",
    floating: bool = False,
    takes: str = ANY,
    gives: DType | None = None,
) -> BinaryFunction:
    """An operation on two tensors, or a tensor and a number. Options as for `unary`.

    `saves`: "inputs"; "partners", each for the other's gradient; "second", and the first for its.
    """
    function = make_op(name, rule, saves)
    saves_inputs = bool(saves)
    least_rank = 3 if takes in (INTEGRAL, INTEGERS) else 2 if floating else 0 if takes == ANY else 1
    exact = (
        LARGEST_EXACT  # a variable of the function's is found sooner than a global: 3 % of `x + 1`
    )
    # of floats that a number goes beside as it is; 9: of none
    least_size = 9 if least_rank == 3 else 4 if name in SCALINGS else 2

    def op(input: Tensor | Scalar, other: Tensor | Scalar) -> Tensor:
        a: Any = input
        b: Any = other
        saved: tuple[Any, ...]
        if isinstance(b, Variable) and isinstance(a, Variable):
            dtype, backend = a.dtype, a.backend
            if dtype is b.dtype and backend is b.backend and dtype.rank >= least_rank:
                if a.shape != b.shape:
                    shapes.broadcast(name, a.shape, b.shape)
                array = backend.elementwise(name, a.array, b.array)
                saved = (a, b) if saves_inputs else ()
                return result(function, array, gives or dtype, (a, b), saved)
        elif type(b) is float or (type(b) is int and -exact <= b <= exact):
            if isinstance(a, Variable) and a.dtype.rank == 2 and a.dtype.itemsize >= least_size:
                array = a.backend.elementwise(name, a.array, float(b))
                saved = (a, b) if saves_inputs else ()
                return result(function, array, gives or a.dtype, (a, CONSTANT), saved)
        elif (
            (type(a) is float or (type(a) is int and -exact <= a <= exact))
            and is_tensor(b)
            and b.dtype.rank == 2
            and b.dtype.itemsize >= least_size
        ):
            array = b.backend.elementwise(name, float(a), b.array)
            saved = (a, b) if saves_inputs else ()
            return result(function, array, gives or b.dtype, (CONSTANT, b), saved)
        return _with_unlike_operands(function, a, b, saves_inputs, floating, takes, gives)

    return _named(op, name, doc)


def _with_unlike_operands(
    function: type[Function],
    a: Any,
    b: Any,
    saves_inputs: bool,
    floating: bool,
    takes: str,
    gives: DType | None,
) -> Tensor:
    """A binary operation on operands of two dtypes, or of which one is a scalar."""
    name = function.op
    if name.startswith("logical"):
        a, b = _with_truths(name, a, b)
    given = a, b
    (a, b), dtype = join_operands(name, a, b, floating=floating)
    if name in SCALINGS and dtype.rank == 2 and dtype.itemsize == 2 and _has_number(given, dtype):
        a, b = [cast_to(x, float32) if is_tensor(x) else x for x in given]
        y = _with_unlike_operands(function, a, b, saves_inputs, floating, takes, gives)
        return cast_to(y, dtype)
    check_dtype(name, takes, dtype)
    if not isinstance(a, Variable):
        a = as_constant(a, dtype, b)
    saved = (a, b) if saves_inputs else ()
    if not isinstance(b, Variable):
        array = a.backend.elementwise(name, a.array, b)
        return result(function, array, gives or dtype, (a, CONSTANT), saved)
    shapes.broadcast(name, a.shape, b.shape)
    array = a.backend.elementwise(name, a.array, b.array)
    return result(function, array, gives or dtype, (a, b), saved)


def _with_truths(op: str, a: Any, b: Any) -> list[Tensor | bool]:
    """Tensors, and of scalars the truth: it alone counts, whatever integer holds it."""
    like = a if is_tensor(a) else b if is_tensor(b) else None
    operands = [as_operand(op, x, like) for x in (a, b)]
    return [x if is_tensor(x) else bool(x) for x in operands]


def _has_number(operands: tuple[Any, ...], dtype: DType) -> bool:
    """Whether there is a Python scalar, or a 0-d operand of another dtype, which counts as one."""
    return any(
        getattr(x, "shape", ()) == () and getattr(x, "dtype", None) is not dtype for x in operands
    )


def check_dtype(op: str, takes: str, dtype: DType) -> None:
    """Refuse dtypes that an operation does not take."""
    if takes in (NOT_BOOL, INTEGERS) and dtype is bool_:
        raise DTypeError(f"{op}: not defined for {dtype}, use logical_* operations or .to()")
    if takes in (INTEGRAL, INTEGERS) and dtype.rank == 2:
        raise DTypeError(f"{op}: expected {takes}, got {dtype}")


def _named(function: Callable[..., Tensor], name: str, doc: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _zero(ctx: Node, grad: Tensor) -> Tensor:
    return grad.new_zeros(grad.shape)


def _sigmoid_rule(ctx: Node, grad: Tensor) -> Tensor:
    y = ctx.output
    return grad * ((1 - y) * y)


# Signs, roots, powers
neg: UnaryFunction = unary("neg", lambda ctx, grad: -grad, "`-x`.", floating=False, takes=NOT_BOOL)
abs: UnaryFunction = unary(
    "abs", lambda ctx, grad: grad * sign(ctx.input), "`|x|`.",
    saves="input", floating=False, takes=NOT_BOOL,
)  # fmt: skip
sign: UnaryFunction = unary(
    "sign", _zero, "-1, 0 or 1; NaN of NaN. Gradient 0.", floating=False, copies=0
)
sqrt: UnaryFunction = unary(
    "sqrt", lambda ctx, grad: grad / (2 * ctx.output), "Square root.", saves="output"
)
rsqrt: UnaryFunction = unary(
    "rsqrt", lambda ctx, grad: grad * ctx.output**3 * -0.5, "`1 / sqrt(x)`.", saves="output"
)
square: UnaryFunction = unary(
    "square", lambda ctx, grad: grad * (2 * ctx.input), "`x * x`.",
    saves="input", floating=False, takes=NOT_BOOL,
)  # fmt: skip
reciprocal: UnaryFunction = unary(
    "reciprocal", lambda ctx, grad: -grad * square(ctx.output), "`1 / x`.", saves="output"
)

# Exponentials and logarithms
exp: UnaryFunction = unary(
    "exp", lambda ctx, grad: grad * ctx.output, "e to the power x.", saves="output"
)
exp2: UnaryFunction = unary(
    "exp2", lambda ctx, grad: grad * (ctx.output * math.log(2)), "2 to the power x.", saves="output"
)
expm1: UnaryFunction = unary(
    "expm1", lambda ctx, grad: grad * exp(ctx.input), "`exp(x) - 1`, exact near 0.",
    saves="input",
)  # fmt: skip
log: UnaryFunction = unary(
    "log", lambda ctx, grad: grad / ctx.input, "Natural logarithm.", saves="input"
)
log2: UnaryFunction = unary(
    "log2", lambda ctx, grad: grad / (ctx.input * math.log(2)), "Logarithm, base 2.", saves="input"
)
log10: UnaryFunction = unary(
    "log10", lambda ctx, grad: grad / (ctx.input * math.log(10)), "Logarithm, base 10.",
    saves="input",
)  # fmt: skip
log1p: UnaryFunction = unary(
    "log1p", lambda ctx, grad: grad / (ctx.input + 1), "`log(1 + x)`, exact near 0.", saves="input"
)

# Trigonometry and its hyperbolic kin
sin: UnaryFunction = unary(
    "sin", lambda ctx, grad: grad * cos(ctx.input), "Sine, in radians.", saves="input"
)
cos: UnaryFunction = unary(
    "cos", lambda ctx, grad: -grad * sin(ctx.input), "Cosine, in radians.", saves="input"
)
tan: UnaryFunction = unary(
    "tan", lambda ctx, grad: grad * (1 + square(ctx.output)), "Tangent, in radians.",
    saves="output",
)  # fmt: skip
asin: UnaryFunction = unary(
    "asin", lambda ctx, grad: grad * rsqrt(1 - square(ctx.input)), "Inverse sine.", saves="input"
)
acos: UnaryFunction = unary(
    "acos", lambda ctx, grad: -grad * rsqrt(1 - square(ctx.input)), "Inverse cosine.",
    saves="input",
)  # fmt: skip
atan: UnaryFunction = unary(
    "atan", lambda ctx, grad: grad / (1 + square(ctx.input)), "Inverse tangent.", saves="input"
)
sinh: UnaryFunction = unary(
    "sinh", lambda ctx, grad: grad * cosh(ctx.input), "Hyperbolic sine.", saves="input"
)
cosh: UnaryFunction = unary(
    "cosh", lambda ctx, grad: grad * sinh(ctx.input), "Hyperbolic cosine.", saves="input"
)
tanh: UnaryFunction = unary(
    "tanh", lambda ctx, grad: grad * (1 - square(ctx.output)), "Hyperbolic tangent.",
    saves="output",
)  # fmt: skip
asinh: UnaryFunction = unary(
    "asinh", lambda ctx, grad: grad * rsqrt(square(ctx.input) + 1), "Inverse hyperbolic sine.",
    saves="input",
)  # fmt: skip
acosh: UnaryFunction = unary(
    "acosh", lambda ctx, grad: grad * rsqrt(square(ctx.input) - 1), "Inverse hyperbolic cosine.",
    saves="input",
)  # fmt: skip
atanh: UnaryFunction = unary(
    "atanh", lambda ctx, grad: grad / (1 - square(ctx.input)), "Inverse hyperbolic tangent.",
    saves="input",
)  # fmt: skip
sigmoid: UnaryFunction = unary("sigmoid", _sigmoid_rule, "`1 / (1 + exp(-x))`.", saves="output")
erf: UnaryFunction = unary(
    "erf", lambda ctx, grad: grad * (2 / math.sqrt(math.pi) * exp(-square(ctx.input))),
    "The error function.", saves="input",
)  # fmt: skip

# Rounding: gradient 0, as PyTorch has it
floor: UnaryFunction = unary("floor", _zero, "The largest integer not above x.", copies=1)
ceil: UnaryFunction = unary("ceil", _zero, "The smallest integer not below x.", copies=1)
trunc: UnaryFunction = unary("trunc", _zero, "x without its fraction.", copies=1)
_round: UnaryFunction = unary("round", _zero, "The nearest integer, halves to even.", copies=1)

# Questions
isnan: UnaryFunction = unary("isnan", None, "Where x is NaN.", floating=False, gives=bool_)
isinf: UnaryFunction = unary("isinf", None, "Where x is an infinity.", floating=False, gives=bool_)
isfinite: UnaryFunction = unary(
    "isfinite", None, "Where x is neither.", floating=False, gives=bool_
)
logical_not: UnaryFunction = unary(
    "logical_not", None, "Where x is zero.", floating=False, gives=bool_
)
bitwise_not: UnaryFunction = unary(
    "invert", None, "Every bit flipped.", floating=False, takes=INTEGRAL
)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` digits after the point, halves to even. Gradient 0.

    Half precision is computed in float32. With more digits than the dtype's largest number has,
    the result is the input; with as many fewer, 0.
    """
    if decimals == 0:
        return _round(input)
    decimals = shapes.as_integer("round", "decimals", decimals)
    x = as_floating(require_tensor("round", input))
    if x.dtype.itemsize == 2:
        return cast_to(round(cast_to(x, float32), decimals=decimals), x.dtype)
    digits = int(math.fabs(decimals))
    if digits > math.log10(finfo(x.dtype).max):
        factor = 1.0 if decimals > 0 else 0.0
        array = x.backend.elementwise("mul", x.array, factor)
        return result(make_op("round", _zero, ""), array, x.dtype, (x,))
    scale = 10.0**digits
    return _round(x / scale) * scale if decimals < 0 else _round(x * scale) / scale
