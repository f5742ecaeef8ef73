"""Python state that a function depends on: what must be as it was for a recording to be of use.

The function's code says which names it uses: variables around it, globals, attributes. Those that
hold plain values are compared, others by identity; functions that it calls are looked at too, and
all attributes of the modules it uses. What is reached in other ways (an element of a list that
changes, a file) is not seen.
"""

from __future__ import annotations

import dis
import functools
import types
from typing import Any

from tinynet.nn import module as modules
from tinynet.numbers import SIMPLE, Numbers
from tinynet.tensor import Tensor

MOST = 2000  # values that are watched at most
CONTAINERS = (list, tuple, set, dict)
_MISSING = object()


class Guards:
    """Values that `function` uses, as they are now. `holds()` says whether they still are.

    `owner` is the instance that it is a method of. `tensors` are the ids of those that it can reach
    in other ways than through its arguments.
    """

    def __init__(self, function: Any, owner: Any, arguments: list[Any]) -> None:
        self.places: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[Any, str, Any]] = []
        self.parts: list[tuple[dict[str, Any], str, Any]] = []  # attributes of modules
        self.changes = modules.changes[0]
        self.failed = ""
        self.seen: set[int] = set()
        self.tensors: set[int] = set()
        self.visit(function, frozenset())
        code = getattr(function, "__code__", None)
        names = frozenset() if code is None else names_in(code)[1]
        self.visit(owner, names)
        reached = set(self.tensors)
        self.visit(arguments, names)
        self.tensors = reached

    def visit(self, item: Any, names: frozenset[str]) -> None:
        """Watch what can be reached from a value; `names` are those that the code uses."""
        if isinstance(item, types.MethodType):
            self.visit(item.__func__, names)
            item = item.__self__
        if id(item) in self.seen or len(self.seen) > MOST or isinstance(item, SIMPLE[:-2]):
            return
        self.seen.add(id(item))
        if isinstance(item, Tensor):
            self.tensors.add(id(item))
        elif isinstance(item, functools.partial):
            self.visit([item.func, *item.args, *item.keywords.values()], names)
        elif isinstance(item, types.FunctionType):
            self.visit_function(item)
        elif isinstance(item, modules.Module):
            self.visit_module(item)
        elif hasattr(item, "param_groups"):
            self.visit([group["params"] for group in item.param_groups], names)
        elif isinstance(item, CONTAINERS) and not isinstance(item, Numbers):
            for part in item.values() if isinstance(item, dict) else item:
                self.visit(part, names)
        elif not isinstance(item, (types.ModuleType, type)) and _is_users(type(item)):
            self.visit_object(item, names)

    def visit_function(self, function: types.FunctionType) -> None:
        """Watch the variables and globals that a function's code uses."""
        if not _is_users(function):
            return
        code, space = function.__code__, function.__globals__
        attributes = names_in(code)[1]
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            self.cells.append((cell, name, _contents(cell)))
            self.visit(_contents(cell), attributes)
        for name in names_in(code)[0]:
            value = space.get(name, _MISSING)
            if value is not _MISSING and not isinstance(value, (types.ModuleType, type)):
                self.places.append((space, name, value))
                self.visit(value, attributes)
        self.visit(getattr(function, "__wrapped__", None), attributes)

    def visit_object(self, item: Any, names: frozenset[str]) -> None:
        """Watch those attributes of an object that the code names, and its methods."""
        fields = getattr(item, "__dict__", {})
        known = list(names)
        for name in known:  # which grows meanwhile
            if name in fields:
                self.places.append((fields, name, fields[name]))
                self.visit(fields[name], names)
                continue
            method = getattr(type(item), name, None)
            if isinstance(method, types.FunctionType) and _is_users(method):
                self.visit(method, names)
                known += [n for n in names_in(method.__code__)[1] if n not in known]

    def visit_module(self, root: modules.Module) -> None:
        """Watch all attributes of a module and its parts."""
        for module in root.modules():
            self.seen.add(id(module))
            fields = vars(module)
            for name, value in fields.items():
                self.parts.append((fields, name, value))
                if not isinstance(value, modules.Module):
                    self.visit(value, frozenset())
            self.visit(type(module).forward, frozenset())

    def holds(self) -> bool:
        """Whether everything is as it was."""
        for fields, name, value in self.places:
            if fields.get(name, _MISSING) is not value and not _is_equal(fields.get(name), value):
                return self.fail(name)
        for cell, name, value in self.cells:
            if _contents(cell) is not value and not _is_equal(_contents(cell), value):
                return self.fail(name)
        if self.changes != modules.changes[0]:
            for fields, name, value in self.parts:
                now = fields.get(name, _MISSING)
                if now is not value and not _is_equal(now, value):
                    return self.fail(name)
            self.changes = modules.changes[0]
        return True

    def fail(self, name: str) -> bool:
        """Note what changed."""
        self.failed = name
        return False


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _MISSING


def _is_equal(now: Any, before: Any) -> bool:
    return isinstance(before, SIMPLE) and type(now) is type(before) and bool(now == before)


def _is_users(item: Any) -> bool:
    """Whether code is none of tinynet's, nor of the libraries beneath it."""
    package = str(getattr(item, "__module__", None) or "").partition(".")[0]
    return package not in ("tinynet", "numpy", "builtins", "pyopencl")


@functools.cache
def names_in(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals and the attributes that code uses, functions inside it too."""
    found = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    spaces = {name for op, name in found if op in ("LOAD_GLOBAL", "LOAD_NAME")}
    attributes = {name for op, name in found if op in ("LOAD_ATTR", "LOAD_METHOD")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = names_in(constant)
            spaces |= inner[0]
            attributes |= inner[1]
    return frozenset(spaces), frozenset(attributes)
