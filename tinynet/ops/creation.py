"""Creation: tensors from data, from a rule, or like another tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import shape as shapes
from tinynet.autograd.graph import Variable, wrap
from tinynet.backends import open_backend
from tinynet.dtype import (
    BY_NAME,
    DEFAULT,
    DType,
    Scalar,
    bool_,
    fitted_scalar,
    float32,
    float64,
    int64,
    promote,
    scalar_dtype,
)
from tinynet.errors import ArgumentError, ArgumentTypeError, DeviceError, DTypeError, ShapeError
from tinynet.numbers import Number
from tinynet.ops.copying import to
from tinynet.ops.movement import expand_to, reshape_to
from tinynet.ops.operands import as_number, require_same_device, require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def _made(array: Any, dtype: DType, backend: Any, requires_grad: bool) -> Tensor:
    made = wrap(array, dtype, backend)
    return made.requires_grad_() if requires_grad else made


# From data
def as_array(op: str, data: Any, dtype: DType | None) -> tuple[Any, DType]:
    """`data` (numbers, nested sequences, arrays) as a NumPy array, and its dtype.

    Python floats make the default dtype, ints int64, bools bool; arrays keep theirs.
    """
    from tinynet.backends.host import numpy_dtype

    is_array = hasattr(data, "__array__")
    kinds: set[Any] = set()
    plain = data if is_array else _as_plain(data, kinds)
    try:
        array = np.asarray(plain)
    except (ValueError, TypeError):
        raise ShapeError(f"{op}: nested sequences must be regular, {_irregular(plain)}") from None
    if kinds == {int} and array.size and array.dtype.kind not in "iu":  # not all are int64
        dtype = dtype or int64
        numbers = np.asarray(plain, object)
        fitted = [fitted_scalar(op, number, dtype) for number in numbers.flat]
        return np.array(fitted, numpy_dtype(dtype)).reshape(numbers.shape), dtype
    if array.dtype.kind not in "biuf" and array.dtype.name not in BY_NAME:
        raise DTypeError(
            f"{op}: expected numbers, arrays or nested sequences of them, got {data!r:.60}"
        )
    if dtype is None:
        dtype = BY_NAME[array.dtype.name] if is_array else _joined_kind(op, kinds)
    if not is_array and dtype.rank == 1 and array.size:
        for extreme in (array.min(), array.max()):
            fitted_scalar(op, extreme.item(), dtype)
    with np.errstate(all="ignore"):
        return np.array(array, numpy_dtype(dtype), order="C"), dtype


def _as_plain(data: Any, kinds: set[Any]) -> Any:
    """Nested lists of numbers and arrays; `kinds` takes in their dtypes or types."""
    if type(data) is Number:
        data = data.fixed()
    kind = type(data)
    if kind is float or kind is int:
        kinds.add(kind)
        return data
    if isinstance(data, (list, tuple)):
        return [_as_plain(item, kinds) for item in data]
    if isinstance(data, range):
        kinds.add(int)
        return list(data)
    if isinstance(data, Variable):
        kinds.add(data.dtype)
        return data.item() if data.shape == () else data.tolist()  # type: ignore[attr-defined]
    if isinstance(data, int) and kind is not bool:  # of a class of its own, such as an IntEnum
        kinds.add(int)
        return int(data)
    kinds.add(BY_NAME.get(data.dtype.name) if hasattr(data, "dtype") else kind)
    return data


def _joined_kind(op: str, kinds: set[Any]) -> DType:
    """The dtype that holds numbers of all these types and dtypes."""
    joined: DType | None = None
    for kind in kinds:
        dtype = kind if isinstance(kind, DType) else {bool: bool_, int: int64}.get(kind, DEFAULT)
        joined = dtype if joined is None else promote(op, joined, dtype)
    return joined or DEFAULT


def _irregular(data: Any) -> str:
    """What of nested lists does not fit together."""
    items = [item.tolist() if isinstance(item, np.ndarray) else item for item in data]
    lengths = dict.fromkeys(len(item) if isinstance(item, list) else None for item in items)
    if len(lengths) == 1:
        return "" if None in lengths else next(filter(None, map(_irregular, items)), "")
    first, second = ("a number" if n is None else f"a list of {n}" for n in list(lengths)[:2])
    return f"got {first} beside {second}"


def tensor(
    data: Any,
    dtype: DType | None = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor holding a copy of `data`: a number, nested sequences, a NumPy array, a tensor.

    Python floats make float32, ints int64, bools bool; arrays keep their dtype.

    >>> import tinynet as tn
    >>> tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    check_dtype("tensor", dtype)
    if isinstance(data, Variable):
        copied = to(data.detach(), dtype=dtype, device=device, copy=True)  # type: ignore[attr-defined]
        return copied.requires_grad_() if requires_grad else copied
    array, kind = as_array("tensor", data, dtype)
    backend = open_backend(device)
    return _made(backend.from_numpy(array), kind, backend, requires_grad)


def as_tensor(data: Any, dtype: DType | None = None, device: str | None = None) -> Tensor:
    """`data` as a tensor, without a copy where it is one already or a NumPy array on the CPU."""
    if isinstance(data, Variable):
        return to(data, dtype=dtype, device=device)  # type: ignore[arg-type]
    if isinstance(data, np.ndarray) and device in (None, "cpu") and data.dtype.name in BY_NAME:
        return to(from_numpy(data), dtype=dtype, device=device)
    return tensor(data, dtype, device)


asarray = as_tensor


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor on the CPU that shares a NumPy array's memory; of a masked array, the data."""
    if not isinstance(ndarray, np.ndarray):
        raise ArgumentTypeError(f"from_numpy: expected an ndarray, got {type(ndarray).__name__}")
    dtype = BY_NAME.get(ndarray.dtype.name)
    if dtype is None or not ndarray.dtype.isnative:
        raise DTypeError(f"from_numpy: no tensor dtype for {ndarray.dtype}")
    backend = open_backend("cpu")
    plain = np.asarray(ndarray)  # a matrix has other rules, and a mask would stay
    return wrap(backend.from_numpy(plain), dtype, backend)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of any array on the CPU that speaks DLPack."""
    if not hasattr(ext_tensor, "__dlpack__"):
        raise ArgumentTypeError(
            f"from_dlpack: expected an array with __dlpack__, got {type(ext_tensor).__name__}"
        )
    return from_numpy(np.from_dlpack(ext_tensor))


def check_dtype(op: str, dtype: Any) -> None:
    """Raise `ArgumentTypeError` for what is no dtype, a name for instance."""
    if dtype is not None and not isinstance(dtype, DType):
        raise ArgumentTypeError(f"{op}: expected a dtype such as tinynet.float32, got {dtype!r}")


# Filled
def full(
    size: Any, fill_value: Any, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Every element `fill_value`, whose Python type decides the dtype unless given."""
    value = as_number("full", "fill_value", fill_value)
    shape = shapes.as_shape("full", size)
    return _filled("full", shape, value, dtype or scalar_dtype(value), device, requires_grad)


def _filled(
    op: str, shape: Shape, value: Scalar, dtype: DType | None, device: str | None,
    requires_grad: bool,
) -> Tensor:  # fmt: skip
    check_dtype(op, dtype)
    kind = dtype or DEFAULT
    backend = open_backend(device)
    array = backend.full(shapes.check_sizes(op, shape), fitted_scalar(op, value, kind), kind)
    return _made(array, kind, backend, requires_grad)


def zeros(
    *sizes: Any, size: Any = None, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Every element 0, float32 unless `dtype` is given."""
    shape = shapes.as_shape("zeros", *sizes, named=size)
    return _filled("zeros", shape, 0, dtype, device, requires_grad)


def ones(
    *sizes: Any, size: Any = None, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Every element 1, float32 unless `dtype` is given."""
    shape = shapes.as_shape("ones", *sizes, named=size)
    return _filled("ones", shape, 1, dtype, device, requires_grad)


def empty(
    *sizes: Any, size: Any = None, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor to be written; its elements are 0 until then."""
    shape = shapes.as_shape("empty", *sizes, named=size)
    return _filled("empty", shape, 0, dtype, device, requires_grad)


def _like(
    op: str, input: Tensor, value: Any, dtype: DType | None, device: str | None, grad: bool
) -> Tensor:
    x = require_tensor(op, input)
    return _filled(op, x.shape, value, dtype or x.dtype, device or x.backend.name, grad)


def zeros_like(
    input: Tensor, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`zeros` of `input`'s shape, dtype and device."""
    return _like("zeros_like", input, 0, dtype, device, requires_grad)


def ones_like(
    input: Tensor, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`ones` of `input`'s shape, dtype and device."""
    return _like("ones_like", input, 1, dtype, device, requires_grad)


def empty_like(
    input: Tensor, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`empty` of `input`'s shape, dtype and device."""
    return _like("empty_like", input, 0, dtype, device, requires_grad)


def full_like(
    input: Tensor, fill_value: Scalar, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`full` of `input`'s shape, dtype and device."""
    return _like("full_like", input, fill_value, dtype, device, requires_grad)


def widest_float(device: str | None) -> DType:
    """float64 where `device` has it, else float32."""
    try:
        zeros((), dtype=float64, device=device)
    except DeviceError:
        return float32
    return float64


# By rules
def _as_number(op: str, value: Any, dtype: DType | None) -> Any:
    """A bound as a Python number; whole where an integer dtype is asked for."""
    value = as_number(op, "a bound", value)
    fitted_scalar(op, value, float64)
    return int(value) if dtype is not None and dtype.rank == 1 and math.isfinite(value) else value


def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, dtype: DType | None = None,
    device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`start`, `start + step`, ... up to but without `end`; int64 if all three are integers."""
    check_dtype("arange", dtype)
    if end is None:
        start, end = None, start
    if end is None:
        raise ArgumentTypeError("arange: expected an end")
    start = 0 if start is None else start
    start, end, step = (_as_number("arange", x, dtype) for x in (start, end, step))
    if step == 0:
        raise ArgumentError("arange: step cannot be 0")
    if (end - start) * step < 0:
        raise ArgumentError(f"arange: step {step} does not lead from {start} to {end}")
    if not all(math.isfinite(x) for x in (start, end, step)):
        raise ArgumentError(f"arange: bounds must be finite, got {start}, {end}, {step}")
    is_integral = all(isinstance(x, int) for x in (start, end, step))
    count = -((start - end) // step) if is_integral else math.ceil((end - start) / step)
    for bound in (start, end) if is_integral else ():
        fitted_scalar("arange", bound, int64)
    kind = dtype or (int64 if is_integral else DEFAULT)
    backend = open_backend(device)
    return _made(backend.arange(count, start, step, kind), kind, backend, requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` numbers from `start` to `end`, both included, evenly spaced."""
    count = shapes.as_integer("linspace", "steps", steps)
    if count < 0:
        raise ArgumentError(f"linspace: steps cannot be negative, got {steps}")
    check_dtype("linspace", dtype)
    start, end = (_as_number("linspace", x, dtype) for x in (start, end))
    step = (end - start) / max(count - 1, 1)
    kind = dtype or DEFAULT
    backend = open_backend(device)
    made = _made(backend.arange(count, start, step, kind), kind, backend, False)
    if count > 1:
        made[-1] = end
    return made.requires_grad_() if requires_grad else made


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: DType | None = None,
    device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`base` to the powers `linspace(start, end, steps)`."""
    from tinynet.ops.arithmetic import pow

    check_dtype("logspace", dtype)
    start, end = (_as_number("logspace", x, dtype) for x in (start, end))
    name = open_backend(device).name
    place = name if widest_float(name) is float64 else "cpu"
    exponents = linspace(start, end, steps, dtype=float64, device=place)
    made = pow(base, exponents).to(dtype or DEFAULT).to(name)
    return made.requires_grad_() if requires_grad else made


def eye(
    n: int, m: int | None = None, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix (m is n if None), zeros elsewhere."""
    columns = n if m is None else m
    shape = shapes.as_shape("eye", n, columns)
    made = _filled("eye", shape, 0, dtype, device, False)
    made.diagonal().fill_(1)
    return made.requires_grad_() if requires_grad else made


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64,
                 device: str | None = None) -> Tensor:  # fmt: skip
    """(2, count): rows and columns of the lower triangle, row by row."""
    return _triangle_indices(row, col, device, lambda gap: gap <= offset).to(dtype)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64,
                 device: str | None = None) -> Tensor:  # fmt: skip
    """(2, count): rows and columns of the upper triangle, row by row."""
    return _triangle_indices(row, col, device, lambda gap: gap >= offset).to(dtype)


def _triangle_indices(row: int, col: int, device: str | None, is_inside: Any) -> Tensor:
    gap = arange(col, device=device) - arange(row, device=device).reshape(-1, 1)
    return is_inside(gap).nonzero().t().contiguous()  # type: ignore[no-any-return]


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector expanded over all dims; "xy" swaps the first two."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    if indexing not in ("ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    vectors = [require_tensor("meshgrid", x, "every operand") for x in given]
    require_same_device("meshgrid", *vectors)
    if any(x.ndim > 1 for x in vectors):
        raise ShapeError(f"meshgrid: expected vectors, got {[x.shape for x in vectors]}")
    vectors = [x.reshape(-1) for x in vectors]
    shape = tuple(x.shape[0] for x in vectors)
    if indexing == "xy" and len(vectors) > 1:
        first, second, *rest = meshgrid(vectors[1], vectors[0], *vectors[2:])
        return (second, first, *rest)
    return tuple(
        expand_to(reshape_to(x, (1,) * i + x.shape + (1,) * (len(shape) - i - 1)), shape)
        for i, x in enumerate(vectors)
    )
