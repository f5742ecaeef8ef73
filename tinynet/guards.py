"""Python state that a function depends on: what must be as it was for a recording to be of use.

The function's code says which names it uses: variables around it, globals, imports, attributes of
objects, classes and functions. Those that hold plain values are compared, others by identity;
functions, methods and hooks that it calls are looked at too, what lists, dicts and NumPy arrays
hold, and all attributes of the modules it uses. What is reached in other ways (a file, a container
or an array of more than MOST_PARTS, an iterator, a name put together) is not seen.
"""

from __future__ import annotations

import collections
import dis
import functools
import sys
import types
import weakref
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

import numpy as np

from tinynet.autograd import hooks as tensor_hooks
from tinynet.foreign_random import GENERATORS
from tinynet.nn import module as modules
from tinynet.nn.hooks import Hooks
from tinynet.numbers import SIMPLE, Numbers, is_same
from tinynet.structure import parts_of
from tinynet.tensor import Tensor

MOST = 20_000  # values that are looked at
MOST_PARTS = 256  # elements of a container, or numbers of an array, that are compared
MOST_CONTENTS = 100  # containers that are
CONTAINERS = (list, tuple, set, dict, collections.deque)
OPERATORS = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor".split()
# What an object's use may call, and what that of its class may
SPECIAL = frozenset(
    [f"__{kind}{name}__" for name in OPERATORS for kind in ("", "r", "i")]
    + [f"__{name}__" for name in "neg pos abs invert bool float int index contains len".split()]
    + [f"__{name}__" for name in "call getitem setitem getattr iter next enter exit".split()]
)
CALLED = frozenset(["__new__", "__init__", "__post_init__", "__call__"])
PASSES = frozenset(["forward", "backward", "setup_context"])  # of modules, and autograd's functions
ATTRIBUTE_CODES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER", "IMPORT_FROM")
STEP_HOOKS = ("step_pre", "step_post")
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
            id(x) == i or is_same(x, y) for x, y, i in zip(now, self.parts, self.ids)
        )


class Slots:
    """An object's attributes that are in slots, for `get`."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def get(self, name: str, default: Any) -> Any:
        """The attribute's value."""
        return getattr(self.item, name, default)


class Guards:
    """Values that `function` uses, as they are now. `holds()` says whether they still are.

    `owner` is the instance that it is a method of. `tensors` are the ids of those that it can reach
    in other ways than through its arguments.
    """

    def __init__(self, function: Any, owner: Any, arguments: list[Any]) -> None:
        self.places: list[tuple[Mapping[str, Any] | Slots, str, Any]] = []
        self.cells: list[tuple[Any, str, Any]] = []
        self.keys: list[tuple[dict[Any, Any], tuple[Any, ...]]] = []  # of dicts of hooks
        self.contents: list[Content] = []
        self.watched: set[int] = set()  # the ids of their containers
        self.arrays: list[tuple[np.ndarray[Any, Any], str, bytes]] = []
        self.generators: list[tuple[Any, str]] = []  # of random numbers, with their names
        self.parts: list[tuple[dict[str, Any], str, Any]] = []  # attributes of modules
        self.part_keys: list[tuple[dict[Any, Any], tuple[Any, ...]]] = []
        self.hooked: list[tuple[weakref.ref[Tensor], tuple[Any, ...]]] = []  # with keys of hooks
        self.changes = _changes()
        self.failed = ""
        self.methods: dict[tuple[type, Names], Names] = {}  # what `visit_methods` found
        self.seen: set[Any] = set()
        self.tensors: dict[int, bool] = {}  # and whether they need gradients
        names = names_of(function) | {x for x in arguments if type(x) is str}
        self.visit(function, _NONE)
        self.visit(owner, names)
        reached = dict(self.tensors)
        self.visit_arguments(arguments, names)
        self.tensors = reached

    def visit_arguments(self, item: Any, names: Names) -> None:
        """Watch what arguments lead to, which are themselves compared otherwise."""
        parts = parts_of(item)
        if parts is None:
            self.visit(item, names)
        else:
            for _, part in parts:
                self.visit_arguments(part, names)

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
            self.visit_tensor(item)
        elif isinstance(item, types.FunctionType):
            self.visit_function(item, names)
        elif isinstance(item, modules.Module):
            self.visit_module(item, names)
        elif isinstance(item, GENERATORS):
            self.generators.append((item, name))
        elif isinstance(item, (*CONTAINERS, np.ndarray, functools.partial)):
            self.visit_parts(item, names, name)
        elif isinstance(item, type):
            self.visit_class(item, names)
        elif isinstance(item, types.ModuleType):
            self.visit_space(item, names)
        else:
            self.visit_object(item, names)

    def visit_tensor(self, x: Tensor) -> None:
        """Know a tensor, and watch its hooks."""
        self.tensors[id(x)] = x.needs_grad
        self.hooked.append((weakref.ref(x), tuple(x.hooks or ())))
        for hook in (x.hooks or {}).values():
            self.visit(hook, _NONE)

    def watch_hooks(self, hooks: dict[Any, Any]) -> None:
        """Watch which hooks of a module or an optimiser there are, and what they use."""
        self.keys.append((hooks, tuple(hooks)))
        for hook in hooks.values():
            self.visit(hook, _NONE)

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

    def visit_function(self, function: types.FunctionType, names: Names) -> None:
        """Watch the variables and globals that a function's code uses, and its own attributes."""
        if not _is_users(function):
            return
        code, space = function.__code__, function.__globals__
        spaces, attributes, imports = names_in(code)
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            self.cells.append((cell, name, _contents(cell)))
            self.visit(_contents(cell), attributes, name)
        for name in spaces & space.keys():
            self.watch_place(space, name, attributes)
        for name in names & vars(function).keys():
            self.watch_place(vars(function), name, attributes)
        for name in imports & sys.modules.keys():
            self.visit(sys.modules[name], attributes, name)
        self.cells.append((function, "default arguments", _contents(function)))
        for value in function.__defaults__ or ():
            self.visit(value, attributes)
        for name in function.__kwdefaults__ or ():
            self.watch_place(function.__kwdefaults__, name, attributes)
        self.visit(getattr(function, "__wrapped__", None), attributes)

    def watch_place(self, fields: Any, name: str, names: Names) -> None:
        """Watch a value that is there, and what can be reached from it."""
        self.places.append((fields, name, fields[name]))
        self.visit(fields[name], names, name)

    def visit_space(self, space: types.ModuleType, names: Names) -> None:
        """Watch those attributes of a Python module that the code names."""
        if _is_users(space):
            for name in names & vars(space).keys():
                self.watch_place(vars(space), name, names)

    def visit_class(self, kind: type, names: Names) -> None:
        """Watch those attributes of a class that the code names, and look at its methods."""
        if _is_users(kind):
            names = self.visit_methods(kind, names | CALLED | PASSES)
            self.watch_class(kind, names, names, kind)

    def watch_class(self, kind: type, wanted: Names, names: Names, item: Any) -> None:
        """Watch what a class that a user wrote holds under the `wanted` names, for `item`."""
        bases = _users_bases(kind)
        for name in wanted if bases else ():
            base = next((base for base in bases if name in vars(base)), None)
            if base is None:
                continue
            value = vars(base)[name]
            self.places.append((vars(base), name, value))
            if isinstance(value, types.MemberDescriptorType) and item is not kind:
                value = getattr(item, name, _MISSING)
                self.places.append((Slots(item), name, value))
            if _function_in(value) is None and value is not _MISSING:
                self.visit(value, names, name)

    def visit_object(self, item: Any, names: Names) -> None:
        """Watch those attributes of an object that the code names, and look at its methods."""
        fields = getattr(item, "__dict__", None)
        fields = fields if type(fields) is dict else {}
        if isinstance(fields.get("param_groups"), list):
            self.visit_optimizer(item, names)
        elif type(item).__module__.partition(".")[0] in OWN:
            self.visit(fields.get("__wrapped__"), names)  # a recorded function
        else:
            self.visit(fields.get("__wrapped__"), names)  # a cached one
            names = self.visit_methods(type(item), names | SPECIAL)
            self.watch_class(type(item), names - fields.keys(), names, item)
            for name in names & fields.keys():
                self.watch_place(fields, name, names)
            for name in names - fields.keys():
                if any(name in vars(kind) for kind in type(item).__mro__):
                    self.places.append((fields, name, _MISSING))

    def visit_optimizer(self, optimizer: Any, names: Names) -> None:
        """Watch an optimiser's groups, whose numbers are read anew anyway, and hooks."""
        self.watch(optimizer.param_groups, "param_groups")
        for group in optimizer.param_groups:
            self.visit(group["params"], names, "params")
        for kind in STEP_HOOKS if isinstance(vars(optimizer).get("hooks"), dict) else ():
            self.watch_hooks(optimizer.hooks[kind])

    def visit_methods(self, kind: type, names: Names) -> Names:
        """Look at the methods and properties that the code names; returns the names they add."""
        bases = _users_bases(kind)
        if not bases:
            return names - SPECIAL - CALLED
        found = self.methods.get((kind, names))
        if found is None:
            known = [*names]
            for name in known:  # which grows meanwhile
                for method in _methods(bases, name):
                    self.visit(method, names)
                    known += [n for n in names_of(method) if n not in known]
            found = self.methods[kind, names] = frozenset(known) - SPECIAL - CALLED
        return found

    def visit_module(self, root: modules.Module, names: Names) -> None:
        """Watch all attributes of a module and its parts, and in containers that its code names."""
        for module in root.modules():
            names = self.visit_methods(type(module), names | PASSES | SPECIAL)
            fields = vars(module)
            self.watch_class(type(module), names - fields.keys(), names, module)
            is_new = (id(module), None) not in self.seen
            self.seen.add((id(module), None))
            if is_new:
                self.part_keys.append((fields, tuple(fields)))
            for name, value in fields.items():
                if is_new:
                    self.parts.append((fields, name, value))
                if isinstance(value, Hooks):
                    for hooks in vars(value).values() if is_new else ():
                        self.watch_hooks(hooks)
                elif isinstance(value, modules.Module):
                    continue
                elif name in names or not isinstance(value, CONTAINERS):
                    self.visit(value, names, name)

    def holds(self) -> bool:
        """Whether everything is as it was."""
        for fields, name, value in self.places:
            now = fields.get(name, _MISSING)
            if now is not value and not is_same(now, value):
                return self.fail(name)
        for cell, name, value in self.cells:
            now = _contents(cell)
            if now is not value and not is_same(now, value):
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
        return self.changes == _changes() or self.rarely_changed_hold()

    def rarely_changed_hold(self) -> bool:
        """Whether the modules' attributes and the tensors' hooks are as they were."""
        for fields, name, value in self.parts:
            now = fields.get(name, _MISSING)
            if now is not value and not is_same(now, value):
                return self.fail(name)
        for fields, keys in self.part_keys:
            if tuple(fields) != keys:
                return self.fail("an attribute of a module")
        for tensor, keys in self.hooked:
            x = tensor()
            if x is not None and tuple(x.hooks or ()) != keys:
                return self.fail("hooks")
        self.changes = _changes()
        return True

    def fail(self, name: str) -> bool:
        """Note what changed."""
        self.failed = name
        return False


def _contents(cell: Any) -> Any:
    """What a cell holds, or the default arguments of a function."""
    if isinstance(cell, types.FunctionType):
        return cell.__defaults__, cell.__kwdefaults__
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _MISSING


def _changes() -> tuple[int, int]:
    """How often attributes of modules, and hooks of tensors, changed."""
    return modules.changes[0], tensor_hooks.changes[0]


def _is_users(item: Any) -> bool:
    """Whether code is none of tinynet's, nor of the libraries beneath it."""
    name = item.__name__ if isinstance(item, types.ModuleType) else getattr(item, "__module__", "")
    return str(name or "").partition(".")[0] not in LIBRARIES


def _users_bases(kind: type) -> list[type]:
    """Of a class and those it inherits from, those that users wrote."""
    return [base for base in kind.__mro__ if _is_users(base)]


def _methods(bases: list[type], name: str) -> list[types.FunctionType]:
    """The functions that classes have under a name."""
    found = [_function_in(vars(base)[name]) for base in bases if name in vars(base)]
    return [function for function in found if function is not None]


def _function_in(value: Any) -> types.FunctionType | None:
    """The function that a property, a static method or a recorded function was made of."""
    while value is not None and not isinstance(value, types.FunctionType):
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, functools.cached_property):
            value = value.func
        elif isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        else:
            fields = getattr(value, "__dict__", None)
            value = fields.get("__wrapped__") if type(fields) is dict else None
    return value


def names_of(function: Any) -> Names:
    """The attributes that a function's code uses; none if it has no code."""
    code = getattr(function, "__code__", None)
    return _NONE if code is None else names_in(code)[1]


@functools.cache
def names_in(code: types.CodeType) -> tuple[Names, Names, Names]:
    """The globals, the attributes and the modules that code uses, functions inside it too.

    A text may be an attribute's name as well: for getattr, or in a dict of attributes.
    """
    found = [(i.opname, i.argval) for i in dis.get_instructions(code)]
    spaces = {name for op, name in found if op in ("LOAD_GLOBAL", "LOAD_NAME")}
    attributes = {name for op, name in found if op.startswith(ATTRIBUTE_CODES)}
    imports = {name for op, name in found if op == "IMPORT_NAME"}
    constants = [*code.co_consts]
    for constant in constants:  # which grows meanwhile
        if isinstance(constant, str) and constant.isidentifier():
            attributes.add(constant)
        if isinstance(constant, (tuple, frozenset)):
            constants += constant
        if isinstance(constant, types.CodeType):
            for names, inner in zip((spaces, attributes, imports), names_in(constant)):
                names |= inner
    return frozenset(spaces), frozenset(attributes), frozenset(imports)
