"""Copies: the same values in memory of their own, on another device, or cut off from the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.operation import Op
from tinynet.backends import open_backend
from tinynet.dtype import BY_NAME, DType
from tinynet.errors import ArgumentTypeError
from tinynet.ops.operands import cast_to, require_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Clone(Op):
    """A copy."""

    op = "clone"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return grad


def clone(input: Tensor) -> Tensor:
    """A copy in contiguous memory of its own; gradients flow through it."""
    x = require_tensor("clone", input)
    return result(Clone, x.backend.copy(x.array), x.dtype, (x,))


def contiguous(input: Tensor) -> Tensor:
    """The tensor itself if its elements lie row by row in memory, else a copy where they do."""
    x = require_tensor("contiguous", input)
    return x if is_contiguous(x) else clone(x)


def is_contiguous(input: Tensor) -> bool:
    """Whether elements lie row by row in memory, without gaps."""
    if 0 in input.shape:
        return True
    step = 1
    for n, stride in zip(reversed(input.shape), reversed(stride_of(input)), strict=True):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


def stride_of(input: Tensor) -> tuple[int, ...]:
    """Steps in memory, in elements, along each dim."""
    return input.backend.strides(input.array)


def detach(input: Tensor) -> Tensor:
    """A tensor on the same memory, cut off from the graph."""
    x = require_tensor("detach", input)
    y = wrap(x.array, x.dtype, x.backend)
    if x.writes is None:
        x.writes = [0, 0]
    y.writes = x.writes
    y.is_alias = True
    return y


class Transfer(Op):
    """To another device. `params`: where the gradient goes back to."""

    op = "to"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return to_device(grad, ctx.params)


def to_device(x: Tensor, device: str) -> Tensor:
    """`x` on `device`; itself where it is there already."""
    backend = open_backend(device)
    if backend is x.backend:
        return x
    array = backend.from_numpy(x.backend.to_numpy(x.array))
    y = result(Transfer, array, x.dtype, (x,), (), x.backend.name)
    y.backend = backend
    return y


def to(input: Tensor, *args: Any, dtype: DType | None = None, device: Any = None,
       non_blocking: bool = False, copy: bool = False) -> Tensor:  # fmt: skip
    """`x.to(dtype)`, `x.to(device)`, `x.to(device, dtype)` or `x.to(other)`.

    The tensor itself where nothing changes, unless `copy`. `non_blocking` is accepted for PyTorch's
    sake: waiting is the device's business.
    """
    x = require_tensor("to", input)
    flags = [arg for arg in args if isinstance(arg, bool)]  # non_blocking, copy
    copy = flags[1] if len(flags) > 1 else copy
    for arg in args[: len(args) - len(flags)]:
        if isinstance(arg, DType):
            dtype = arg
        elif isinstance(arg, str) and arg in BY_NAME:
            raise ArgumentTypeError(f"to: got {arg!r}, a dtype is written tinynet.{arg}")
        elif isinstance(arg, str):
            device = arg
        elif hasattr(arg, "backend"):
            dtype, device = arg.dtype, arg.backend.name
        elif arg is not None:
            raise ArgumentTypeError(f"to: expected a dtype, a device or a tensor, got {arg!r}")
    y = x if device is None else to_device(x, device)
    y = y if dtype is None else cast_to(y, dtype)
    return clone(y) if copy and y is x else y
