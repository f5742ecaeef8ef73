"""Which classes and functions a model's file may name.

Security: a file names classes and functions, it contains none, and loading imports nothing. Names
lead to the modules and functions of `tinynet.nn`, to classes that the program has given to
`register`, and to those that the caller of `load_model` passes; any other name is refused. Values
are those of `nested`. So a file decides which of these constructors are called and with what plain
values, and no more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any, TypeVar

from tinynet import nn
from tinynet.errors import ArgumentTypeError, DataError

Class = TypeVar("Class", bound=type[nn.Module])
Classes = Mapping[str, type[nn.Module]] | Iterable[type[nn.Module]]
ByName = dict[str, type[nn.Module] | None]

OWN = "tinynet.nn."  # what the names of our own classes begin with

_registered: ByName = {}


def register(cls: Class) -> Class:
    """Let `load_model` build a class of your own; a decorator.

    >>> import tinynet as tn
    >>> @tn.io.register
    ... class Doubled(tn.nn.Module):
    ...     def forward(self, x):
    ...         return x * 2
    """
    _registered[name_of(cls)] = _by_name("register", [cls])[name_of(cls)]
    return cls


def allowed(op: str, classes: Classes) -> ByName:
    """Those registered and those passed, by each name that a file may have for them."""
    return {**_registered, **_by_name(op, classes)}


def find(name: Any, among: Mapping[str, type[nn.Module] | None]) -> Any:
    """The class or function that a name stands for, if it may be used."""
    if not isinstance(name, str):
        raise DataError(f"names {name!r:.200}, expected a string")
    home, _, short = name.rpartition(".")
    if f"{home}.".startswith(OWN):
        found = vars(sys.modules.get(home, nn)).get(short)  # what is imported already
        if is_functional(found) or (is_module_class(found) and found.__module__.startswith(OWN)):
            return found
    inner = [key for key in among if name == key or name.endswith(f".{key}")]
    kind: Any = among[max(inner, key=len)] if inner else None
    if kind is None:
        raise DataError(
            f"names {name!r:.200}, expected a module of tinynet.nn, a class given to "
            "tn.io.register or one in `classes`: no file can have others built"
        )
    return kind


def _by_name(op: str, classes: Classes) -> ByName:
    """Classes by each name that a file may have for them."""
    if not isinstance(classes, Iterable):
        raise ArgumentTypeError(f"{op}: classes is {classes!r:.60}, expected a list or dict")
    pairs = classes.items() if isinstance(classes, Mapping) else [("", kind) for kind in classes]
    found: ByName = {}
    for name, kind in pairs:
        if not isinstance(kind, type) or not issubclass(kind, nn.Module):
            raise ArgumentTypeError(f"{op}: got {kind!r:.60}, expected a subclass of Module")
        if name:
            found[name] = kind
        else:
            short = kind.__qualname__  # None where two classes have it
            found[short] = kind if found.get(short, kind) is kind else None
            found[name_of(kind)] = kind
    return found


def name_of(item: Any) -> str:
    """The name that a file has for a class or function; those of tinynet.nn go by `nn` alone."""
    name = item.__name__
    for space, prefix in ((nn, "tinynet.nn"), (nn.functional, "tinynet.nn.functional")):
        if vars(space).get(name) is item:
            return f"{prefix}.{name}"
    return f"{item.__module__}.{item.__qualname__}"


def is_module_class(value: Any) -> bool:
    """Whether a value is a subclass of Module."""
    return isinstance(value, type) and issubclass(value, nn.Module)


def is_functional(value: Any) -> bool:
    """Whether a value is a function that users know in `nn.functional`."""
    if not isinstance(value, FunctionType) or value.__name__.startswith("_"):
        return False
    return vars(nn.functional).get(value.__name__) is value


def is_own(kind: type) -> bool:
    """Whether a class has a name in tinynet.nn."""
    return vars(sys.modules.get(kind.__module__, nn)).get(kind.__qualname__) is kind
