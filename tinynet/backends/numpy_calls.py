"""The NumPy functions that primitives come down to, and how they are called.

Every call runs in a context of its own with NumPy's floating point warnings off: infinities and
NaNs are values here, and the caller's own `numpy.errstate` stays as it is. (Entering
`numpy.errstate` would cost 2 us a call, running in a ready context costs none.)
"""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.backends import numpy_special as special

Array = NDArray[Any]

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "neg": special.negative, "abs": np.absolute, "sign": np.sign, "sqrt": np.sqrt,
    "rsqrt": special.rsqrt, "reciprocal": np.reciprocal, "square": np.square,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sigmoid": special.sigmoid, "logit": special.logit, "erf": special.erf,
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": special.isfinite,
    "logical_not": np.logical_not, "invert": np.invert,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "floor_divide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod,
    "pow": special.power,
    "maximum": np.maximum, "minimum": np.minimum,
    "atan2": np.arctan2, "copysign": np.copysign, "logaddexp": np.logaddexp,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "left_shift": np.left_shift, "right_shift": np.right_shift,
    "where": special.where,
}  # fmt: skip
UFUNCS: dict[str, np.ufunc] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "any": np.logical_or, "all": np.logical_and, "add": np.add, "mul": np.multiply,
}  # fmt: skip


class QuietContext(threading.local):
    """`run(function, *args)` calls with floating point warnings off; one context per thread."""

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.run = context.run


quiet = QuietContext()


def with_scalar(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands, a Python float as a 0-d array of the other's dtype."""
    if type(b) is float:
        return a, as_element(b, a.dtype)
    if type(a) is float:
        return as_element(a, b.dtype), b
    return a, b


def is_narrow(dtype: np.dtype[Any]) -> bool:
    """Whether it is a float of 16 bits: sums run in float32 and are rounded once."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def is_for_dot(a: Any, b: Any) -> bool:
    """Whether `numpy.dot`, which is quicker than `matmul`, multiplies these: by one matrix.

    A factor of one element it would skip beside zero, be it NaN.
    """
    return b.ndim == 2 and a.ndim >= 2 and a.size != 1 and b.size != 1  # type: ignore[no-any-return]


def as_element(value: float, dtype: np.dtype[Any]) -> Array:
    """A float as a 0-d array. Beside bfloat16, NumPy would take a Python float for a float32."""
    return _kept_element(value, dtype, value == 0 and math.copysign(1, value))


@lru_cache(maxsize=256)
def _kept_element(value: float, dtype: np.dtype[Any], sign: float) -> Array:
    """`as_element`: NumPy takes 0.3 us to make one. `sign` tells 0.0 from -0.0."""
    return quiet.run(np.asarray, value, dtype)
