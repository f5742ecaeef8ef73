"""Python state that a function depends on: what must be as it was for a recording to be of use.

The function's code says which names it uses: variables around it, globals, attributes. Those that
hold plain values are compared, others by identity; functions that it calls are looked at too, what
lists, dicts and NumPy arrays hold, and all attributes of the modules it uses. What is reached in
other ways (a file, a container or an array of more than MOST_PARTS, an iterator) is not seen.
"""

from __future__ import annotations

import collections
import dis
import functools
import sys
import types
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

import numpy as np

from tinynet.foreign_random import GENERATORS
from tinynet.nn import module as modules
from tinynet.nn.hooks import Hooks
from tinynet.numbers import SIMPLE, Numbers
from tinynet.tensor import Tensor

MOST = 2000  # values that are looked at
MOST_PARTS = 256  # elements of a container, or numbers of an array, that are compared
MOST_CONTENTS = 100  # containers that are
CONTAINERS = (list, tuple, set, dict, collections.deque)
SPECIAL = ("__call__", "__getitem__", "__getattr__", "__iter__", "__len__", "__enter__", "__exit__")
OWN = frozenset(["tinynet", "numpy", "pyopencl", "builtins"])
LIBRARIES = OWN | sys.stdlib_module_names - {"__main__"}

Names = frozenset[str]
_NONE: Names = frozenset()
_MISSING = object()


class Content:
    """What a container held: plain values, and the ids of everything, which tensors are known by.

    Of one that the function itself lets grow, a log or a cache, only what was there counts.
    """

    __slots__ = ("container", "ids", "is_log", "name", "parts")

    def __init__(self, container: Collection[Any], name: str) -> None:
        self.container, self.name = container, name
        self.ids = [*map(id, container)]
        self.parts = [None if isinstance(part, Tensor) else part for part in container]
        self.is_log = False

    def settle(self) -> None:
        """The function has run."""
        self.is_log = len(self.container) > len(self.ids)

    def holds(self) -> bool:
        """Whether each element is the one that was there, or a plain value that equals it."""
        now = [*islice(self.container, len(self.ids) if self.is_log else None)]
        return len(now) == len(self.ids) and all(
            id(x) == i or _is_equal(x, y) for x, y, i in zip(now, self.parts, self.ids)
        )


class Guards:
    """Values that `function` uses, as they are now. `holds()` says whether they still are.

    `owner` is the instance that it is a method of. `tensors` are the ids of those that it can reach
    in other ways than through its arguments.
    """

    def __init__(self, function: Any, owner: Any, arguments: list[Any]) -> None:
        self.places: list[tuple[Mapping[str, Any], str, Any]] = []
        self.cells: list[tuple[Any, str, Any]] = []
        self.keys: list[tuple[dict[Any, Any], tuple[Any, ...]]] = []  # of dicts of hooks
        self.contents: list[Content] = []
        self.watched: set[int] = set()  # the ids of their containers
        self.arrays: list[tuple[np.ndarray[Any, Any], str, bytes]] = []
        self.generators: list[tuple[Any, str]] = []  # of random numbers, with their names
        self.parts: list[tuple[dict[str, Any], str, Any]] = []  # attributes of modules
        self.part_keys: list[tuple[dict[Any, Any], tuple[Any, ...]]] = []
        self.changes = modules.changes[0]
        self.failed = ""
        self.seen: set[Any] = set()
        self.tensors: set[int] = set()
        names = names_of(function)
        self.visit(function, _NONE)
        self.visit(owner, names)
        reached = set(self.tensors)
        self.visit_arguments(arguments, names)
        self.tensors = reached

    def visit_arguments(self, item: Any, names: Names) -> None:
        """Watch what arguments lead to, which are themselves compared otherwise."""
        if type(item) in (list, tuple, dict):
            for part in item.values() if isinstance(item, dict) else item:
                self.visit_arguments(part, names)
        else:
            self.visit(item, names)

    def visit(self, item: Any, names: Names, name: str = "") -> None:
        """Watch what can be reached from a value; `names` are those that the code uses, `name` is
        its own.
        """
        if isinstance(item, types.MethodType):
            self.visit(item.__func__, names)
            names, item = names | names_of(item), item.__self__
        key = (id(item), names)
        if key in self.seen or len(self.seen) > MOST or isinstance(item, SIMPLE[:-2]):
            return
        self.seen.add(key)
        if isinstance(item, Tensor):
            self.tensors.add(id(item))
        elif isinstance(item, types.FunctionType):
            self.visit_function(item)
        elif isinstance(item, modules.Module):
            self.visit_module(item)
        elif hasattr(item, "param_groups"):
            self.watch(item.param_groups, "param_groups")
            for group in item.param_groups:
                self.visit(group["params"], names, "params")
        elif isinstance(item, GENERATORS):
            self.generators.append((item, name))
        elif isinstance(item, (*CONTAINERS, np.ndarray, functools.partial)):
            self.visit_parts(item, names, name)
        elif isinstance(item, (type, types.ModuleType)):
            self.visit_space(item, names)
        elif type(item).__module__.partition(".")[0] not in OWN:
            self.visit_object(item, names)

    def visit_parts(self, item: Any, names: Names, name: str) -> None:
        """Watch what a container, an array or a partial function is made of."""
        if isinstance(item, np.ndarray):
            if item.size <= MOST_PARTS:
                self.arrays.append((item, name, item.tobytes()))
        elif isinstance(item, functools.partial):
            for part in (item.func, *item.args, *item.keywords.values()):
                self.visit(part, names)
        elif not isinstance(item, Numbers):
            if not isinstance(item, tuple):
                self.watch(item, name)
            for part in item.values() if isinstance(item, dict) else item:
                self.visit(part, names, name)

    def watch(self, container: Any, name: str) -> None:
        """Compare what a container holds, without keeping its tensors alive."""
        is_large = len(container) > MOST_PARTS or len(self.contents) > MOST_CONTENTS
        if is_large or id(container) in self.watched:
            return
        self.watched.add(id(container))
        self.contents.append(Content(container, name))
        if isinstance(container, dict):
            self.contents.append(Content(container.values(), name))

    def settle(self) -> None:
        """The function has run: what it added to containers is no condition."""
        for content in self.contents:
            content.settle()

    def visit_function(self, function: types.FunctionType) -> None:
        """Watch the variables and globals that a function's code uses."""
        if not _is_users(function):
            return
        code, space = function.__code__, function.__globals__
        attributes = names_in(code)[1]
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            self.cells.append((cell, name, _contents(cell)))
            self.visit(_contents(cell), attributes, name)
        for name in names_in(code)[0]:
            value = space.get(name, _MISSING)
            if value is not _MISSING:
                self.places.append((space, name, value))
                self.visit(value, attributes, name)
        self.cells.append((function, "default arguments", function.__defaults__))
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.visit(value, attributes)
        self.visit(getattr(function, "__wrapped__", None), attributes)

    def visit_space(self, space: types.ModuleType | type, names: Names) -> None:
        """Watch those attributes of a Python module or class that the code names."""
        fields = vars(space)
        if _is_users(space):
            for name in names & fields.keys():
                self.places.append((fields, name, fields[name]))
                self.visit(fields[name], names, name)

    def visit_object(self, item: Any, names: Names) -> None:
        """Watch those attributes of an object that the code names, and its methods."""
        fields = getattr(item, "__dict__", {})
        names = self.visit_methods(type(item), names)
        for name in names:
            value = fields.get(name, _MISSING)
            for kind in type(item).__mro__ if value is _MISSING else ():
                if name in vars(kind) and _is_users(kind):
                    self.places.append((vars(kind), name, vars(kind)[name]))
                    value = vars(kind)[name]
                    break
            if name in fields or value is not _MISSING:
                self.places.append((fields, name, fields.get(name, _MISSING)))
            if value is not _MISSING and not isinstance(value, types.FunctionType):
                self.visit(value, names, name)

    def visit_methods(self, kind: type, names: Names) -> Names:
        """Look at the methods and properties that the code names; returns the names they add."""
        known = [*names, *SPECIAL]
        for name in known:  # which grows meanwhile
            for method in _methods(kind, name):
                self.visit(method, names)
                known += [n for n in names_of(method) if n not in known]
        return frozenset(known) - frozenset(SPECIAL)

    def visit_module(self, root: modules.Module) -> None:
        """Watch all attributes of a module and its parts, and in containers that its code names."""
        for module in root.modules():
            if (id(module), None) in self.seen:
                continue
            self.seen.add((id(module), None))
            fields = vars(module)
            self.part_keys.append((fields, tuple(fields)))
            names = self.visit_methods(type(module), frozenset(["forward"]))
            for name, value in fields.items():
                self.parts.append((fields, name, value))
                if isinstance(value, Hooks):
                    self.keys += [(hooks, tuple(hooks)) for hooks in vars(value).values()]
                elif isinstance(value, modules.Module):
                    continue
                elif name in names or not isinstance(value, CONTAINERS):
                    self.visit(value, names, name)

    def holds(self) -> bool:
        """Whether everything is as it was."""
        for fields, name, value in self.places:
            now = fields.get(name, _MISSING)
            if now is not value and not _is_equal(now, value):
                return self.fail(name)
        for cell, name, value in self.cells:
            now = _contents(cell)
            if now is not value and not _is_equal(now, value):
                return self.fail(name)
        for content in self.contents:  # the first question is that of most replays
            if [*map(id, content.container)] != content.ids and not content.holds():
                return self.fail(content.name)
        for array, name, numbers in self.arrays:
            if array.tobytes() != numbers:
                return self.fail(name)
        for found, keys in self.keys:
            if tuple(found) != keys:
                return self.fail("hooks")
        return self.changes == modules.changes[0] or self.modules_hold()

    def modules_hold(self) -> bool:
        """Whether the modules' attributes are as they were."""
        for fields, name, value in self.parts:
            now = fields.get(name, _MISSING)
            if now is not value and not _is_equal(now, value):
                return self.fail(name)
        for fields, keys in self.part_keys:
            if tuple(fields) != keys:
                return self.fail("an attribute of a module")
        self.changes = modules.changes[0]
        return True

    def fail(self, name: str) -> bool:
        """Note what changed."""
        self.failed = name
        return False


def _contents(cell: Any) -> Any:
    """What a cell holds, or the default arguments of a function."""
    if isinstance(cell, types.FunctionType):
        return cell.__defaults__
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _MISSING


def _is_equal(now: Any, before: Any) -> bool:
    """Whether plain values are the same, types and signs of zeros included."""
    return isinstance(before, SIMPLE) and type(now) is type(before) and repr(now) == repr(before)


def _is_users(item: Any) -> bool:
    """Whether code is none of tinynet's, nor of the libraries beneath it."""
    name = item.__name__ if isinstance(item, types.ModuleType) else getattr(item, "__module__", "")
    return str(name or "").partition(".")[0] not in LIBRARIES


def _methods(kind: type, name: str) -> list[types.FunctionType]:
    """The functions that an attribute of a class stands for, if a user wrote them."""
    for base in kind.__mro__:
        if name in vars(base):
            value = vars(base)[name]
            found = [value.fget] if isinstance(value, property) else [value]
            found = [getattr(function, "__func__", function) for function in found]
            return [f for f in found if isinstance(f, types.FunctionType) and _is_users(f)]
    return []


def names_of(function: Any) -> Names:
    """The attributes that a function's code uses; none if it has no code."""
    code = getattr(function, "__code__", None)
    return _NONE if code is None else names_in(code)[1]


@functools.cache
def names_in(code: types.CodeType) -> tuple[Names, Names]:
    """The globals and the attributes that code uses, functions inside it too.

    A text may be an attribute's name as well: for getattr, or in a dict of attributes.
    """
    found = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    spaces = {name for op, name in found if op in ("LOAD_GLOBAL", "LOAD_NAME")}
    attributes = {name for op, name in found if op in ("LOAD_ATTR", "LOAD_METHOD")}
    for constant in code.co_consts:
        if isinstance(constant, str) and constant.isidentifier():
            attributes.add(constant)
        if isinstance(constant, types.CodeType):
            inner = names_in(constant)
            spaces |= inner[0]
            attributes |= inner[1]
    return frozenset(spaces), frozenset(attributes)
