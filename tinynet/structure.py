"""Structures of values: lists, tuples, dicts, named tuples, slices, dataclasses; also nested."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

Parts = list[tuple[Any, Any]]
DICTS = (dict, OrderedDict, defaultdict)


def parts_of(item: Any) -> Parts | None:
    """What a structure is made of: names, or places, and values. None of anything else.

    Of a dataclass all its attributes, not only its fields.
    """
    kind = type(item)
    if kind is list or kind is tuple:
        return [*enumerate(item)]
    if kind in DICTS:
        return [*item.items()]
    if isinstance(item, tuple) and hasattr(kind, "_make") and hasattr(kind, "_fields"):
        return [*zip(kind._fields, item)]
    if kind is slice:
        return [("start", item.start), ("stop", item.stop), ("step", item.step)]
    if is_dataclass(kind):
        names = dict.fromkeys(field.name for field in dataclasses.fields(item))
        names |= dict.fromkeys(getattr(item, "__dict__", ()))
        return [(name, getattr(item, name)) for name in names if hasattr(item, name)]
    return None


def is_dataclass(kind: type) -> bool:
    """Whether instances of a class are structures of fields; modules, also such, are not."""
    is_called = any("__call__" in vars(base) for base in kind.__mro__)
    return dataclasses.is_dataclass(kind) and not is_called


def rebuilt(item: Any, parts: Parts) -> Any:
    """A structure like `item`, with these parts."""
    kind: Any = type(item)
    values = [value for _, value in parts]
    if kind is list or kind is tuple:
        return kind(values)
    if kind is slice:
        return slice(*values)
    if isinstance(item, tuple):
        return kind._make(values)
    if kind is defaultdict:
        return defaultdict(item.default_factory, parts)
    if kind in DICTS:
        return kind(parts)
    made = object.__new__(kind)
    for name, value in parts:
        object.__setattr__(made, name, value)  # of a frozen one, too
    return made


def mapped(item: Any, function: Callable[[Any], Any]) -> Any:
    """The structure with `function` applied to its values; a dataclass in which nothing changes
    thereby is itself, others are always new.
    """
    parts = parts_of(item)
    if parts is None:
        return function(item)
    if is_dataclass(type(item)) and all(function(value) is value for value in leaves_of(item)):
        return item
    return rebuilt(item, [(name, mapped(value, function)) for name, value in parts])


def leaves_of(item: Any) -> list[Any]:
    """All values in a structure that are none themselves."""
    if parts_of(item) is None:
        return [item]
    parts = [part for structure in structures_of(item) for _, part in parts_of(structure) or ()]
    return [part for part in parts if parts_of(part) is None]


def structures_of(item: Any) -> list[Any]:
    """A structure and those in it, each once."""
    found: dict[int, Any] = {}
    todo = [item]
    for value in todo:  # which grows meanwhile
        parts = parts_of(value)
        if parts is not None and id(value) not in found:
            found[id(value)] = value
            todo += [part for _, part in parts]
    return [*found.values()]
