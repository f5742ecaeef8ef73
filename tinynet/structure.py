"""Structures of values: lists, tuples, dicts, named tuples, slices, dataclasses; also nested."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

Parts = list[tuple[Any, Any]]


def parts_of(item: Any) -> Parts | None:
    """What a structure is made of: names, or places, and values. None of anything else."""
    kind = type(item)
    if kind is list or kind is tuple:
        return [*enumerate(item)]
    if isinstance(item, dict):
        return [*item.items()]
    if isinstance(item, tuple) and hasattr(kind, "_fields"):
        return [*zip(kind._fields, item)]
    if kind is slice:
        return [("start", item.start), ("stop", item.stop), ("step", item.step)]
    if dataclasses.is_dataclass(kind) and not callable(item):  # which a module may be, too
        names = [field.name for field in dataclasses.fields(item)]
        return [(name, getattr(item, name, None)) for name in names]
    return None


def rebuilt(item: Any, parts: Parts) -> Any:
    """A structure like `item`, with these parts."""
    kind = type(item)
    if kind is list or kind is tuple:
        return kind([value for _, value in parts])
    if kind is dict:
        return dict(parts)
    if kind is slice or isinstance(item, tuple):
        return kind(*[value for _, value in parts])
    made = copy.copy(item)
    for name, value in parts:
        if isinstance(item, dict):
            made[name] = value
        else:
            object.__setattr__(made, name, value)  # of a frozen one, too
    return made


def mapped(item: Any, function: Callable[[Any], Any]) -> Any:
    """The structure with `function` applied to its values."""
    parts = parts_of(item)
    if parts is None:
        return function(item)
    return rebuilt(item, [(name, mapped(value, function)) for name, value in parts])
