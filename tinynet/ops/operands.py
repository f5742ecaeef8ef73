"""What operations do before they compute: bring operands to one dtype on one device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

from tinynet.autograd.graph import Node, Variable, result, wrap
from tinynet.autograd.operation import Op
from tinynet.dtype import DEFAULT, DType, Scalar, fitted_scalar, result_dtype, wrap_scalar
from tinynet.errors import ArgumentTypeError, DeviceError, DTypeError
from tinynet.numbers import Number

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Callee = TypeVar("Callee", bound=Callable[..., Any])


def numpy_names(function: Callee) -> Callee:
    """Let callers write `axis` for `dim` and `keepdims` for `keepdim`, as PyTorch does.

    `out=None` is taken too: NumPy's functions pass it (`np.sum(x)` calls `x.sum(axis=None, ...)`).
    """

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return function(*args)
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        if "keepdims" in kwargs:
            kwargs["keepdim"] = kwargs.pop("keepdims")
        if kwargs.get("out", 0) is None:
            del kwargs["out"]
        return function(*args, **kwargs)

    return cast(Callee, renamed)


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether `value` is a tensor."""
    return isinstance(value, Variable)


def require_tensor(op: str, value: Any, name: str = "input") -> Tensor:
    """`value` if it is a tensor, else an error."""
    if not isinstance(value, Variable):
        raise ArgumentTypeError(f"{op}: {name} must be a Tensor, got {type(value).__name__}")
    return value  # type: ignore[return-value]


def require_same_device(op: str, *tensors: Tensor) -> None:
    """Raise where tensors live on different devices."""
    for x in tensors[1:]:
        if x.backend is not tensors[0].backend:
            raise DeviceError(
                f"{op}: tensors are on {tensors[0].backend.name} and {x.backend.name}, "
                "move one with .to()"
            )


def require_floating(op: str, *tensors: Tensor) -> None:
    """Raise for integer and bool tensors."""
    for x in tensors:
        if x.dtype.rank != 2:
            raise DTypeError(f"{op}: expected a floating dtype, got {x.dtype}")


def as_floating(x: Tensor) -> Tensor:
    """`x`, integers and bools converted to the default dtype."""
    return x if x.dtype.rank == 2 else cast_to(x, DEFAULT)


def as_number(op: str, name: str, value: Any) -> Any:
    """`value` as a Python number: NumPy's and 0-d tensors become one, anything else is an error."""
    if type(value) is Number:
        return value.fixed()
    if isinstance(value, (bool, int, float)):
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    raise ArgumentTypeError(f"{op}: {name} must be a number, got {value!r:.60}")


def as_operand(op: str, value: Any, like: Tensor | None = None) -> Tensor | Scalar:
    """A tensor or Python scalar; NumPy's scalars and arrays become these."""
    if isinstance(value, Variable):
        return cast("Tensor", value)
    if type(value) is Number:
        return cast(Scalar, value.at_hand())
    if type(value) in (bool, int, float):
        return cast(Scalar, value)
    if isinstance(value, (int, float)):  # of a class of its own, such as an IntEnum
        return int(value) if isinstance(value, int) else float(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return cast(Scalar, value.item())
    if hasattr(value, "__array__"):
        device = None if like is None else like.backend.name
        return Variable.result_class(value, device=device)
    raise ArgumentTypeError(f"{op}: expected a tensor or a number, got {type(value).__name__}")


def join_operands(
    op: str, *values: Any, floating: bool = False
) -> tuple[list[Tensor | Scalar], DType]:
    """Operands cast to the dtype they make together (`floating`: at least the default float).

    Python scalars stay scalars, wrapped into the dtype's range. At least one must be a tensor.
    """
    likes = [value for value in values if isinstance(value, Variable)]
    like = cast("Tensor", likes[0]) if likes else None
    operands = [as_operand(op, value, like) for value in values]
    tensors = [x for x in operands if isinstance(x, Variable)]
    if not tensors:
        raise ArgumentTypeError(f"{op}: expected at least one tensor, got {values}")
    require_same_device(op, *tensors)
    dtype = result_dtype(
        op,
        [x.dtype for x in tensors if x.shape],
        [x.dtype for x in tensors if not x.shape],
        [x for x in operands if not isinstance(x, Variable)],
    )
    if floating and dtype.rank != 2:
        dtype = DEFAULT
    joined = [
        cast_to(x, dtype) if isinstance(x, Variable) else wrap_scalar(x, dtype) for x in operands
    ]
    return joined, dtype


def as_constant(value: Tensor | Scalar, dtype: DType, like: Tensor) -> Tensor:
    """A scalar as a 0-d tensor of `dtype` beside `like`; tensors as they are."""
    if isinstance(value, Variable):
        return value
    return wrap(like.backend.full((), wrap_scalar(value, dtype), dtype), dtype, like.backend)


def as_element(op: str, value: Any, x: Tensor) -> Tensor:
    """What is to be stored in `x`: a tensor, or a number that fits, as a 0-d tensor."""
    operand = as_operand(op, value, x)
    if isinstance(operand, Variable):
        return operand
    return as_constant(fitted_scalar(op, operand, x.dtype), x.dtype, x)


class Cast(Op):
    """Conversion to another dtype; the engine converts the gradient back."""

    op = "to"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return grad


def cast_to(x: Tensor, dtype: DType) -> Tensor:
    """`x` with elements of `dtype`; itself where it has them already."""
    if x.dtype is dtype:
        return x
    if not isinstance(dtype, DType):
        raise ArgumentTypeError(f"to: expected a dtype such as tinynet.float32, got {dtype!r}")
    return result(Cast, x.backend.cast(x.array, dtype), dtype, (x,))
