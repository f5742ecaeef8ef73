"""What must be as it was for a recording to be of use: Python state that its function depends on.

What that is finds `reaching`. Plain values are compared, others by identity.
"""

from __future__ import annotations

import collections
import types
import weakref
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import numpy as np

from tinynet.autograd import hooks as tensor_hooks
from tinynet.nn import module as modules
from tinynet.numbers import SIMPLE, VALUES, Number, is_plain, is_same
from tinynet.tensor import Tensor

MISSING = object()  # the value of what is not there
ANYTHING = object()  # that of what does not count
# Values that a place keeps alive: plain ones, those made anew at each look, those that stay anyway
KEPT = (
    *SIMPLE, *VALUES, types.MethodType, types.FunctionType, types.ModuleType, type,
)  # fmt: skip


class Content:
    """What a container held, or the keys or values of a dict, which is the `whole`: plain values,
    and the ids of everything, which tensors are known by.

    Of one that the function lets grow and does nothing else with, a log, only what was there
    counts. `is_used`: whether it may do more. Of one that only hooks and the making of objects
    change, `is_loose`, what they leave as it was counts, or nothing if they do no more with it.
    """

    __slots__ = (
        "container", "ids", "is_changed", "is_log", "is_loose", "is_used", "name", "parts", "whole",
    )  # fmt: skip

    def __init__(
        self, container: Collection[Any], whole: Any, name: str, is_loose: bool, is_used: bool
    ) -> None:
        self.container, self.whole, self.name = container, id(whole), name
        self.is_loose, self.is_used = is_loose, is_used
        self.ids = [*map(id, container)]
        self.parts = [MISSING if isinstance(part, Tensor) else part for part in container]
        self.is_log = self.is_changed = False

    def settle(self) -> None:
        """The function has run."""
        self.is_log = not self.is_used and len(self.container) > len(self.ids)
        self.is_changed = not self.holds()
        if self.is_changed and self.is_loose and self.is_used:
            for i, x in enumerate(islice(self.container, len(self.ids))):
                if id(x) != self.ids[i] and not is_same(x, self.parts[i]):
                    self.ids[i], self.parts[i] = id(x), ANYTHING

    def make_plain(self) -> None:
        """Put plain values where numbers of a recording are."""
        items: Any = self.container
        places = [*items.items()] if isinstance(items, dict) else [*enumerate(items)]
        for place, value in places:
            if type(value) is Number and isinstance(items, (dict, list, collections.deque)):
                items[place] = value.value

    def holds(self) -> bool:
        """Whether each element is the one that was there, or a plain value that equals it."""
        now = [*islice(self.container, len(self.ids) if self.is_log else None)]
        return len(now) == len(self.ids) and all(
            id(x) == i or y is ANYTHING or is_same(x, y)
            for x, y, i in zip(now, self.parts, self.ids)
        )


class _Held(weakref.ref[Any]):
    """Stands for a tensor or a module; a module may have other references itself."""


class Parts:
    """A module's attributes, but for those `unread`. It is not kept alive by them, nor are its
    tensors and modules.
    """

    def __init__(self, module: modules.Module, unread: set[str]) -> None:
        self.module = weakref.ref(module)
        fields = vars(module)
        self.names = tuple(fields)
        self.values = [
            (name, _Held(value) if isinstance(value, (Tensor, modules.Module)) else value)
            for name, value in fields.items()
            if name not in unread
        ]

    def changed(self) -> str:
        """The name of an attribute that is another now; "" if all are the same."""
        return next((name for name, _ in self.differences()), "")

    def differences(self) -> Iterator[tuple[str, Any]]:
        """The attributes that are others now, and what they are."""
        module = self.module()
        fields = {} if module is None else vars(module)
        if tuple(fields) != self.names:
            yield "an attribute of a module", MISSING
            return
        for name, value in self.values:
            now = fields[name]
            is_it = type(value) is _Held and now is not None and value() is now
            if now is not value and not is_it and not is_same(now, value):
                yield name, now

    def set(self, name: str, value: Any) -> None:
        """Change an attribute."""
        module = self.module()
        if module is not None and not is_same(vars(module)[name], value):
            vars(module)[name] = value
            modules.changes[0] += 1


class Attributes:
    """An object's attributes, for `get`. It is not kept alive, if it can do without."""

    def __init__(self, item: Any) -> None:
        try:
            self.find: Any = weakref.ref(item)
        except TypeError:
            self.find = lambda: item

    def get(self, name: str, default: Any) -> Any:
        """The attribute's value."""
        item = self.find()
        return default if item is None else item.__dict__.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Change the attribute."""
        item = self.find()
        if item is not None:
            item.__dict__[name] = value


class Slots(Attributes):
    """Those that are in slots."""

    def get(self, name: str, default: Any) -> Any:
        """The attribute's value, not what a `__getattr__` makes up."""
        try:
            return object.__getattribute__(self.find(), name)
        except AttributeError:
            return default

    def set(self, name: str, value: Any) -> None:
        """Change the attribute."""
        object.__setattr__(self.find(), name, value)


Place = tuple[Any, str, Any]  # where a value is, by which name, and the value


class Guards:
    """Values as they are now. `holds()` says whether they still are.

    `tensors` are the ids of those that the function can reach in other ways than through its
    arguments, and whether they need gradients; `generators` those of random numbers, with names.
    """

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.objects: list[Place] = []  # places of objects that are not kept alive: references
        self.cells: list[Place] = []  # of variables, and functions for their default arguments
        self.loose: list[Place] = []  # places of what hooks and the making of objects use
        self.loose_cells: list[Place] = []
        self.keys: list[tuple[dict[Any, Any], tuple[Any, ...]]] = []  # hooks, with what they were
        self.contents: list[Content] = []
        self.arrays: list[tuple[np.ndarray[Any, Any], str, tuple[Any, Any, bytes]]] = []
        self.generators: list[tuple[Any, str]] = []
        self.parts: list[Parts] = []  # of modules
        self.hooked: list[tuple[weakref.ref[Tensor], tuple[Any, ...]]] = []  # with their hooks
        self.tensors: dict[int, bool] = {}
        self.changes: tuple[int, int] | None = _changes()
        self.effects: list[Place] = []  # plain values and numbers that the function leaves there
        self.changed = ""  # something else that it changes, so that it is another call each time
        self.failed = ""

    def add_place(self, fields: Any, name: str, value: Any, is_loose: bool) -> None:
        """Watch a value."""
        if not is_loose and type(value).__weakrefoffset__ and not isinstance(value, KEPT):
            self.objects.append((fields, name, weakref.ref(value)))
        else:
            (self.loose if is_loose else self.places).append((fields, name, value))

    def is_dead(self) -> bool:
        """Whether something is gone that would have to be there."""
        is_gone = any(reference() is None for _, _, reference in self.objects)
        return is_gone or any(part.module() is None for part in self.parts)

    def settle(self) -> None:
        """The function has run: what it added to containers is no condition, nor is what its hooks
        changed, such as a count of their calls.
        """
        for content in self.contents:
            content.settle()
        changed = {content.whole for content in self.contents if content.is_changed}
        for content in self.contents:
            content.is_log |= content.is_loose and content.is_used and content.whole in changed
        self.contents = [x for x in self.contents if not x.is_loose or x.holds()]
        self.places += [place for place in self.loose if _holds(*place)]
        self.cells += [
            place for place in self.loose_cells if is_same(contents_of(place[0]), place[2])
        ]
        for target, name, now in [*self.differences()]:
            is_value = type(now) is Number or is_plain(now)
            if is_value and not isinstance(target, types.MappingProxyType):
                self.effects.append((target, name, now))
                if isinstance(target, Parts):  # set past the module, perhaps: look next time
                    self.changes = None
            else:
                self.changed = name
        if not self.contents_hold() or not self.hooks_hold():
            self.changed = self.failed
        self.make_plain()

    def differences(self) -> Iterator[Place]:
        """The places whose values are others now, and what they are."""
        for fields, name, value in self.places:
            now = fields.get(name, MISSING)
            if now is not value and not is_same(now, value):
                yield fields, name, now
        for fields, name, reference in self.objects:
            now = fields.get(name, MISSING)
            if now is not reference() or now is None:
                yield fields, name, now
        for cell, name, value in self.cells:
            now = contents_of(cell)
            if now is not value and not is_same(now, value):
                yield cell, name, MISSING if isinstance(cell, types.FunctionType) else now
        for part in self.parts:
            for name, now in part.differences():
                yield part, name, now

    def make_plain(self) -> None:
        """Put plain values where the function left numbers of the recording."""
        for target, name, now in [*self.differences()]:
            if type(now) is Number and not isinstance(target, types.MappingProxyType):
                _put(target, name, now.value)
        for content in self.contents:
            content.make_plain()

    def write(self, values: list[Any]) -> None:
        """Leave what the function leaves, with these values of the script's."""
        for target, name, value in self.effects:
            _put(target, name, values[value.slot] if type(value) is Number else value)

    def holds(self) -> bool:
        """Whether everything is as it was, and a replay leaves behind what the function does."""
        if self.changed:
            return self.fail(self.changed)
        for fields, name, value in self.places:
            now = fields.get(name, MISSING)
            if now is not value and not is_same(now, value):
                return self.fail(name)
        for fields, name, value in self.objects:
            now = fields.get(name, MISSING)
            if now is not value() or now is None:
                return self.fail(name)
        if not self.variables_hold() or not self.contents_hold() or not self.hooks_hold():
            return False
        changes = modules.changes[0], tensor_hooks.changes[0]
        return self.changes == changes or self.rarely_changed_hold()

    def variables_hold(self) -> bool:
        """Whether the variables around functions, and their default arguments, are as they were."""
        for cell, name, value in self.cells:
            now = contents_of(cell)
            if now is not value and not is_same(now, value):
                return self.fail(name)
        return True

    def contents_hold(self) -> bool:
        """Whether containers and arrays hold what they held."""
        for content in self.contents:  # the first question is that of most replays
            if [*map(id, content.container)] != content.ids and not content.holds():
                return self.fail(content.name)
        for array, name, numbers in self.arrays:
            if (array.dtype, array.shape, array.tobytes()) != numbers:
                return self.fail(name)
        return True

    def hooks_hold(self) -> bool:
        """Whether modules and optimisers have the hooks that they had."""
        for found, hooks in self.keys:
            if len(found) != len(hooks) or not is_same(tuple(found.values()), hooks):
                return self.fail("hooks")
        return True

    def rarely_changed_hold(self) -> bool:
        """Whether the modules' attributes and the tensors' hooks are as they were."""
        for part in self.parts:
            if name := part.changed():
                return self.fail(name)
        for tensor, hooks in self.hooked:
            x = tensor()
            if x is not None and not is_same(tuple((x.hooks or {}).values()), hooks):
                return self.fail("hooks")
        self.changes = _changes()
        return True

    def fail(self, name: str) -> bool:
        """Note what changed."""
        self.failed = name
        return False


def _put(target: Any, name: str, value: Any) -> None:
    """Leave a value in a place."""
    if isinstance(target, dict):
        target[name] = value
    elif isinstance(target, types.CellType):
        target.cell_contents = value
    else:
        target.set(name, value)


def contents_of(cell: Any) -> Any:
    """What a cell holds, or the default arguments of a function."""
    if isinstance(cell, types.FunctionType):
        return cell.__defaults__
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return MISSING


def _changes() -> tuple[int, int]:
    """How often attributes of modules, and hooks of tensors, changed."""
    return modules.changes[0], tensor_hooks.changes[0]


def _holds(fields: Any, name: str, value: Any) -> bool:
    return is_same(fields.get(name, MISSING), value)
