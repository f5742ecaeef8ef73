"""Primitives that NumPy lacks, in the form of its ufuncs: `f(x, out=None)`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Highest power first: erf(x) / x in 2 x^2 - 1, then exp(x^2) erfc(x) in 14.4 / (x + 3) - 2.6.
_ERF_TERMS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    4: (
        (
            1.23060548e-06, -1.7669068e-05, 0.000217513542, -0.00228541954, 0.0198524971,
            -0.140536097, 0.965468739,
        ),
        (
            1.86180618e-05, 0.000327368757, 0.00247978387, 0.0127152632, 0.0496983869,
            0.15436091, 0.207983291,
        ),
    ),
    8: (
        (
            1.4543887079465116e-14, -3.8078824063194953e-13, 9.167619596865806e-12,
            -2.035228405815769e-10, 4.115800583208149e-09, -7.511569286591727e-08,
            1.223382738359897e-06, -1.7537169441124866e-05, 0.00021751715604159932,
            -0.0022854855611441132, 0.019852496688983708, -0.1405360890227171,
            0.9654687386698673,
        ),
        (
            -2.3736182042986786e-10, 2.4416129982547695e-10, 1.131478564144137e-08,
            4.551267548592995e-09, -5.541125848160943e-07, -2.42557221161177e-06,
            1.9563578906857695e-05, 0.0003316029648753461, 0.002479314697621277,
            0.012713147695154857, 0.049698445403375216, 0.15436117429438836,
            0.20798329133342885,
        ),
    ),
}  # fmt: skip


def negative(x: Array, out: Array | None = None) -> Array:
    """-x; NumPy (2.4, with AVX2) leaves some elements out where it writes to a strided array."""
    if out is None or out.flags.forc:
        return np.asarray(np.negative(x, out=out))
    return _store(np.negative(x), x, out)


def isfinite(x: Array, out: Array | None = None) -> Array:
    """Whether elements are finite; NumPy (2.4, with AVX2) writes others to a strided array."""
    if out is None or out.flags.forc:
        return np.asarray(np.isfinite(x, out=out))
    return _store(np.isfinite(x), x, out)


def rsqrt(x: Array, out: Array | None = None) -> Array:
    """1 / sqrt(x)."""
    result = np.sqrt(x, out=out)
    return np.divide(1, result, out=out)


def power(a: Any, b: Any, out: Array | None = None) -> Array:
    """`a ** b`; an integer to a negative power is the quotient rounded toward 0: 1, -1 or 0."""
    kind = (a if isinstance(a, np.ndarray) else b).dtype.kind
    if kind == "b":
        return np.asarray(np.logical_or(a, np.logical_not(b), out=out))
    if kind != "i" or not np.any(np.less(b, 0)):
        return np.asarray(np.power(a, b, out=out))
    inverse = np.where(a == -1, np.where(np.mod(b, 2) == 0, 1, -1), a == 1)
    result = np.where(np.less(b, 0), inverse, np.power(a, np.maximum(b, 0)))
    return _store(result, a if isinstance(a, np.ndarray) else b, out)


def sigmoid(x: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)), in one buffer; right at both infinities."""
    if x.itemsize == 2:  # where the exponential is no half, the result may be one
        return _store(sigmoid(x.astype(np.float32)), x, out)
    result = np.exp(np.negative(x) if out is None else negative(x, out), out=out)
    if type(result) is not np.ndarray:
        return np.asarray(1 / (1 + result), result.dtype)
    np.add(result, 1, out=result)
    return np.asarray(np.reciprocal(result, out=result))


def logit(x: Array, out: Array | None = None) -> Array:
    """log(x / (1 - x))."""
    return np.asarray(np.log(np.divide(x, 1 - x, out=out), out=out))


def where(condition: Array, a: Any, b: Any, out: Array | None = None) -> Array:
    """Elements of `a` where `condition` is true, of `b` elsewhere."""
    result: Array = np.where(condition, a, b)
    if out is None:
        return result
    np.copyto(out, result)
    return out


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function, within 2 units in the last place.

    Polynomials fitted at Chebyshev points: `erf(x) / x` in x^2 up to 1, `exp(x^2) erfc(x)` in
    1 / (x + 3) from 1 to 6, where erf is 1.
    """
    wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)
    near_terms, far_terms = _ERF_TERMS[min(wide.dtype.itemsize, 8)]
    magnitude = np.abs(wide)
    near = np.minimum(magnitude, 1)
    result = near * _polynomial(near_terms, 2 * near * near - 1)
    if magnitude.size and not np.max(magnitude) < 1:  # NaN goes the far way too
        far = np.clip(magnitude, 1, 6)
        tail = np.exp(-far * far) * _polynomial(far_terms, 14.4 / (far + 3) - 2.6)
        result = np.where(magnitude < 1, result, 1 - tail)
    signed = np.copysign(result, wide)
    return signed if out is None and signed.dtype == x.dtype else _store(signed, x, out)


def _store(result: Array, x: Array, out: Array | None) -> Array:
    if out is None:
        return np.asarray(result, x.dtype)
    np.copyto(out, result, "unsafe")
    return out


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule; `coefficients` from the highest power down."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result
