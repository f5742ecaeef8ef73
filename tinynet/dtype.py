"""Element types and PyTorch's rules for what two of them make together.

A dtype is one of the `DType` objects below; compare them with `is`. Kinds are ordered: bool ("b"),
integers ("u", "i"), floats ("f"). Python scalars are weak: they carry a kind, not a width.

>>> promote("add", int64, float16)
tinynet.float16
"""

import math
from collections.abc import Iterable
from typing import Any

from tinynet.errors import DTypeError
from tinynet.numbers import Number

Scalar = bool | int | float


class DType:
    """An element type: `name`, `itemsize` in bytes, `kind` ("b", "u", "i" or "f")."""

    __slots__ = ("itemsize", "kind", "name", "rank")

    def __init__(self, name: str, itemsize: int, kind: str) -> None:
        self.name = name
        self.itemsize = itemsize
        self.kind = kind
        self.rank = KIND_RANK[kind]

    def __repr__(self) -> str:
        return f"tinynet.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self is bool_ else self.name

    @property
    def is_floating_point(self) -> bool:
        """Whether elements are floating point numbers."""
        return self.rank == 2

    @property
    def is_signed(self) -> bool:
        """Whether elements can be negative."""
        return self.kind in "if"


KIND_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}

bool_ = DType("bool", 1, "b")
uint8 = DType("uint8", 1, "u")
uint16 = DType("uint16", 2, "u")
uint32 = DType("uint32", 4, "u")
uint64 = DType("uint64", 8, "u")
int8 = DType("int8", 1, "i")
int16 = DType("int16", 2, "i")
int32 = DType("int32", 4, "i")
int64 = DType("int64", 8, "i")
float16 = DType("float16", 2, "f")
bfloat16 = DType("bfloat16", 2, "f")
float32 = DType("float32", 4, "f")
float64 = DType("float64", 8, "f")

ALL = (
    bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
    float16, bfloat16, float32, float64,
)  # fmt: skip
BY_NAME = {dtype.name: dtype for dtype in ALL}
DEFAULT = float32
LARGEST_EXACT = 2**53  # whole numbers up to here are floats of Python as they are

# The larger an integer's place here, the more it holds; uint16 to uint64 join only with floats.
_INTEGER_ORDER = (bool_, uint8, int8, int16, int32, int64)


def promote(op: str, a: DType, b: DType) -> DType:
    """The dtype that holds elements of both (`torch.promote_types`).

    Raises `DTypeError` for uint16, uint32 or uint64 with another integer or bool, as PyTorch does.
    """
    if a is b:
        return a
    if a.rank == 2 or b.rank == 2:
        return _promote_floating(a, b)
    if a not in _INTEGER_ORDER or b not in _INTEGER_ORDER:
        raise DTypeError(f"{op}: {a} and {b} have no common dtype, convert one of them with .to()")
    if {a, b} == {uint8, int8}:
        return int16
    return max(a, b, key=_INTEGER_ORDER.index)


def _promote_floating(a: DType, b: DType) -> DType:
    if a.rank != b.rank:
        return a if a.rank == 2 else b
    if {a, b} == {float16, bfloat16}:
        return float32
    return a if a.itemsize > b.itemsize else b


def scalar_dtype(value: Scalar) -> DType:
    """The dtype that a Python scalar has where no tensor says otherwise."""
    plain: Any = value
    if isinstance(plain, Number):
        plain = plain.value
    if isinstance(plain, bool):
        return bool_
    return int64 if isinstance(plain, int) else DEFAULT


def result_dtype(
    op: str, dimensioned: Iterable[DType], zero_dim: Iterable[DType], scalars: Iterable[Scalar]
) -> DType:
    """The dtype of an operation's result (`torch.result_type`).

    Tensors with dimensions decide; 0-d tensors and then Python scalars count only where their
    kind is higher.
    """
    result: DType | None = None
    for group in (dimensioned, zero_dim, map(scalar_dtype, scalars)):
        joined: DType | None = None
        for dtype in group:
            joined = dtype if joined is None else promote(op, joined, dtype)
        if joined is not None and (result is None or joined.rank > result.rank):
            result = joined
    assert result is not None
    return result


def wrap_scalar(value: Scalar, dtype: DType) -> Scalar:
    """`value` as an element of `dtype` would hold it: integers of up to 64 bits wrap around."""
    if isinstance(value, Number):
        value = value.at_hand() if dtype.rank == 2 else value.fixed()
    if isinstance(value, Number):
        return value
    if dtype.rank == 2:
        if not isinstance(value, int) or abs(value) <= LARGEST_EXACT:
            return value
        try:
            return float(value)
        except OverflowError:
            raise DTypeError(f"number: {_shown(value)} does not fit {dtype}") from None
    if dtype.rank == 0:
        return bool(value)
    if not isinstance(value, int):
        value = int(value) if math.isfinite(value) else 0
    low, high = integer_limits(dtype)
    if low <= value <= high:
        return value
    if not -(2**63) <= value < 2**64:
        raise DTypeError(f"number: {_shown(value)} does not fit {dtype}")
    return (value - low) % (high - low + 1) + low


def fitted_scalar(op: str, value: Scalar, dtype: DType) -> Scalar:
    """`value` as an element that is to be stored; an error where `dtype` cannot hold it.

    As in PyTorch, negative numbers may wrap around in unsigned dtypes.
    """
    if 0 <= value <= 1:
        return wrap_scalar(value, dtype)
    if dtype.rank == 2:
        fits = not _is_finite(value) or abs(value) <= finfo(dtype).max
    elif dtype.rank == 1:
        low, high = integer_limits(dtype)
        fits = _is_finite(value) and (-high if low == 0 else low) <= int(value) <= high
    else:
        fits = True
    if not fits:
        raise DTypeError(f"{op}: {_shown(value)} does not fit {dtype}")
    return wrap_scalar(value, dtype)


def _is_finite(value: Scalar) -> bool:
    return isinstance(value, int) or math.isfinite(value)  # ints may be no floats


def _shown(value: Scalar) -> str:
    """A number for an error; Python writes no int of more than 4300 digits."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an int of {value.bit_length()} bits"
    return f"{value}"


def integer_limits(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest value of an integer dtype."""
    bits = 8 * dtype.itemsize
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


class finfo:  # noqa: N801 (the name PyTorch and NumPy give it)
    """Limits of a floating dtype: `eps`, `max`, `min`, `tiny` (smallest normal number), `bits`."""

    def __init__(self, dtype: DType) -> None:
        mantissa_and_exponent = {float16: (10, 15), bfloat16: (7, 127), float32: (23, 127)}
        if dtype.rank != 2:
            raise DTypeError(f"finfo: got {dtype}, expected a floating dtype")
        mantissa, exponent = mantissa_and_exponent.get(dtype, (52, 1023))
        self.dtype = dtype
        self.bits = 8 * dtype.itemsize
        self.eps = 2.0**-mantissa
        self.max = (2.0 - 2.0**-mantissa) * 2.0**exponent
        self.min = -self.max
        self.tiny = 2.0 ** (1 - exponent)


class iinfo:  # noqa: N801
    """Limits of an integer dtype: `max`, `min`, `bits`."""

    def __init__(self, dtype: DType) -> None:
        if dtype.rank != 1:
            raise DTypeError(f"iinfo: got {dtype}, expected an integer dtype")
        self.dtype = dtype
        self.bits = 8 * dtype.itemsize
        self.min, self.max = integer_limits(dtype)
