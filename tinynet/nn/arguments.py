"""What modules were constructed with: `tinynet.save_model` writes it down, to construct them again.

Numbers, strings, None, dtypes, functions, classes and modules are kept, in lists, tuples and dicts
too. Of a tensor only shape and dtype are, so that no memory is; of other objects only the class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from tinynet.dtype import DType
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import zeros
from tinynet.tensor import Tensor


class Like(NamedTuple):
    """Stands for a tensor."""

    shape: tuple[int, ...]
    dtype: DType
    is_parameter: bool


class Unknown(NamedTuple):
    """Stands for an object of which nothing is kept but its class's name."""

    kind: str


class Arguments:
    """The arguments of a call: positional ones, and those by keyword."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        self.args = tuple([_kept(value) for value in args]) if args else ()
        self.kwargs = {name: _kept(value) for name, value in kwargs.items()} if kwargs else {}

    def by_name(self, kind: type) -> dict[str, Any]:
        """By the names in the constructor of `kind`, without `device`. Raises `TypeError`."""
        kwargs = {name: value for name, value in self.kwargs.items() if name != "device"}
        bound = _signature(kind).bind_partial(*self.args, **kwargs).arguments
        return {name: value for name, value in bound.items() if name != "device"}


def construct(kind: type, by_name: dict[str, Any], device: str | None) -> Any:
    """A `kind` made from what `by_name` gave, tensors of zeros for tensors, on `device`."""
    signature = _signature(kind)
    unknown = by_name.keys() - signature.parameters.keys()
    if unknown:
        raise TypeError(f"{kind.__name__} takes no {', '.join(sorted(unknown))}")
    bound = inspect.BoundArguments(signature, {})
    for name in signature.parameters:  # in the constructor's order, which tells their kinds apart
        if name in by_name:
            bound.arguments[name] = _mapped(by_name[name], _made)
        elif name == "device":
            bound.arguments[name] = device
    return kind(*bound.args, **bound.kwargs)


def _signature(kind: type) -> inspect.Signature:
    """Of the constructor, without `self`."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """`function` of everything in lists, tuples and dicts."""
    if type(value) in (list, tuple):
        return type(value)([_mapped(item, function) for item in value])
    if type(value) is dict:
        return {key: _mapped(item, function) for key, item in value.items()}
    return function(value)


def _kept(value: Any) -> Any:
    kind = type(value)
    if kind is int or kind is bool or kind is str or kind is float or value is None:
        return value
    return _mapped(value, _kept_alone)


def _kept_alone(value: Any) -> Any:
    from tinynet.nn.module import Module  # which records what is here

    if value is None or type(value) in (bool, int, float, str, Like, Unknown):
        return value
    if isinstance(value, (DType, Module)):
        return value
    if isinstance(value, Tensor):
        return Like(value.shape, value.dtype, isinstance(value, Parameter))
    if isinstance(value, (type, FunctionType)) and "<" not in value.__qualname__:
        return value
    return Unknown(type(value).__qualname__)


def _made(value: Any) -> Any:
    if type(value) is not Like:
        return value
    made = zeros(value.shape, dtype=value.dtype)
    return Parameter(made, value.dtype.is_floating_point) if value.is_parameter else made
