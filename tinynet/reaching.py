"""Python state that a function depends on: what must be as it was for a recording to be of use.

The function's code says which names it uses: variables around it, globals, imports, attributes of
objects, classes and functions. Those that hold plain values are compared, others by identity;
functions, methods and hooks that it calls are looked at too, what lists, dicts and NumPy arrays
hold, and all attributes of the modules it uses. An attribute counts that is named anywhere in this
code: objects are handed on. What is reached in other ways (a file, a container or an array of more
than MOST_PARTS, an iterator, a name put together) is not seen. What installed packages name that
know nothing of tinynet counts only for what they reach themselves.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import functools
import operator
import sys
import types
import weakref
from typing import Any

import numpy as np

from tinynet.autograd.graph import FIELDS
from tinynet.foreign_random import GENERATORS
from tinynet.guards import (
    MISSING,
    Attributes,
    Content,
    Guards,
    Parts,
    Slots,
    contents_of,
)
from tinynet.names import (
    NOTHING,
    CodeNames,
    Names,
    absolute,
    dispatched,
    fields_of,
    function_in,
    is_installed,
    is_own,
    is_users,
    names_got_by,
    names_of,
    users_bases,
    wrapped_in,
)
from tinynet.nn import module as modules
from tinynet.nn.hooks import Hooks
from tinynet.numbers import PLAIN, SIMPLE, Numbers, is_plain
from tinynet.signature import is_one
from tinynet.structure import leaves_of, structures_of
from tinynet.tensor import Tensor

MOST = 2000  # values that are looked at, beside tensors and modules
MOST_PARTS = 256  # elements of a container, or numbers of an array, that are compared
MOST_TEXTS = 100  # values that may be names of attributes
MOST_CONTENTS = 1000  # containers that are, and arrays
CONTAINERS = (list, tuple, set, frozenset, dict, collections.deque)
FIXED = (tuple, frozenset)  # those whose contents stay the same
PROXIES = (weakref.ProxyType, weakref.CallableProxyType)
OPERATORS = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor".split()
# What an object's use may call, what making it does, and what modules and autograd's functions have
SPECIAL = frozenset(
    [f"__{kind}{name}__" for name in OPERATORS for kind in ("", "r", "i")]
    + [f"__{name}__" for name in "neg pos abs invert bool float int index contains len".split()]
    + [f"__{name}__" for name in "call getitem setitem getattr setattr missing iter next".split()]
    + [f"__{name}__" for name in "enter exit round reversed divmod trunc floor ceil".split()]
    + [f"__{name}__" for name in "eq ne lt le gt ge hash format str getattribute".split()]
    + [f"__{name}__" for name in "get set delete delitem delattr class_getitem".split()]
    + [f"__{name}__" for name in "copy deepcopy array".split()]
)
MAKING = ("__new__", "__init__", "__post_init__")
PASSES = frozenset(["forward", "backward", "setup_context"])
LOOKED_AT = (Tensor, types.FunctionType, types.MethodType, *GENERATORS)  # where modules have them
STEP_HOOKS = ("step_pre", "step_post")
UPDATE: Names = frozenset(["step", "update"])  # what optimisers have
RATES = "_last_lr"  # of a schedule
HANDLED: Names = frozenset(["param_groups", "state", "hooks", "__wrapped__"])  # looked at anyway
GETTERS = (operator.attrgetter, operator.methodcaller)
WRAPPERS = (
    collections.UserDict, collections.UserList, collections.ChainMap,
    weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet,
)  # fmt: skip
INSIDE: Names = frozenset(["data", "maps"])  # what these have in them
DEFAULTS = "default arguments"


_NONE: Names = frozenset()


def find_guards(function: Any, owner: Any, arguments: list[Any]) -> Guards:
    """All that a function depends on; `owner` is the instance that it is a method of."""
    texts = frozenset([x for x in arguments if type(x) is str])
    wanted = names_of(function).joined(NOTHING._replace(texts=texts)).of_objects()
    while True:
        search = Search(function, owner, arguments, wanted)
        if search.found == wanted:  # nothing was named that it did not look for
            return search.guards
        wanted = search.found


class Search:
    """Finds what a function uses, and what that uses, and so on: `guards`.

    The attributes that it looks at are those `wanted`; the names in the code that it reaches are
    `found`, with these. `names` are more of them, on a way that leads through installed packages.
    """

    def __init__(self, function: Any, owner: Any, arguments: list[Any], wanted: CodeNames) -> None:
        self.guards = Guards()
        self.found = wanted
        self.texts = wanted.texts if wanted.is_dynamic else _NONE
        self.names = wanted.attributes | self.texts
        self.read = wanted.read | self.texts
        self.asked, self.used = wanted.asked, wanted.used | INSIDE | {DEFAULTS} | self.texts
        self.is_dynamic, self.takes_all = wanted.is_dynamic, wanted.takes_all
        self.watched: dict[int, list[Content]] = {}  # by the ids of their containers
        self.seen: set[Any] = set()
        self.seen_loosely: set[Any] = set()
        self.budget = MOST
        self.met: set[str] = set()  # values that may be names of attributes
        self.todo: list[tuple[Any, Names, str]] = []
        self.todo_loosely: list[tuple[Any, Names, str]] = []
        self.todo_last: list[tuple[Any, Names, str]] = []
        self.is_loose = False
        self.visit(function)
        self.visit(owner)
        self.finish_visits()
        reached = dict(self.guards.tensors)
        self.visit_arguments(arguments)
        self.finish_visits()
        self.guards.tensors = reached
        self.found = self.found.joined(NOTHING._replace(texts=frozenset(self.met)))

    def finish_visits(self) -> None:
        """Look at what was found, what that leads to, and so on; loosely last, but for what large
        containers hold, which may be a whole data set.
        """
        while self.todo or self.todo_loosely or self.todo_last:
            for is_loose, todo in ((False, self.todo), (True, self.todo_loosely)):
                self.is_loose = is_loose
                for item, names, name in todo:  # which grows meanwhile
                    self.look_at(item, names, name)
                todo.clear()
            self.is_loose = False
            self.todo, self.todo_last = self.todo_last, []

    def visit_arguments(self, item: Any) -> None:
        """Watch what arguments lead to, which are themselves compared otherwise."""
        for part in leaves_of(item):
            self.visit(part)
        for part in structures_of(item):
            if is_one(part):
                self.visit_object(part, _NONE)
            elif type(part) not in (list, tuple, dict, slice):  # it may have methods
                self.visit(type(part))

    def visit(self, item: Any, names: Names = _NONE, name: str = "") -> None:
        """Look later at a value, whose `name` this is."""
        (self.todo_loosely if self.is_loose else self.todo).append((item, names, name))

    def is_new(self, key: Any) -> bool:
        """Whether something was not looked at yet, or only loosely and that does not do."""
        seen = self.seen_loosely if self.is_loose else self.seen
        is_new = key not in self.seen and key not in seen
        seen.add(key)
        return is_new

    def look_at(self, item: Any, names: Names, name: str) -> None:
        """Watch what can be reached from a value."""
        item = referent_of(item)
        if type(item) in PLAIN:
            if self.is_dynamic and type(item) is str and len(self.met) < MOST_TEXTS:
                self.met.update([item] if item.isidentifier() else [])
            return
        if isinstance(item, types.MethodType):
            self.visit(item.__func__, names)
            item = item.__self__
        key = (id(item), names, name if isinstance(item, CONTAINERS) else "")
        if not self.is_new(key):
            return
        if isinstance(item, Tensor):
            self.visit_tensor(item, names)
        elif isinstance(item, modules.Module):
            self.visit_module(item, names)
        elif self.budget > 0:
            self.budget -= 1
            self.look_at_other(item, names, name)

    def look_at_other(self, item: Any, names: Names, name: str) -> None:
        """Watch what can be reached from what is neither a tensor nor a module."""
        if isinstance(item, types.FunctionType):
            self.visit_function(item, names)
        elif isinstance(item, GENERATORS):
            self.guards.generators.append((item, name))
        elif isinstance(item, type):
            self.visit_class(item, names)
        elif isinstance(item, types.ModuleType):
            self.visit_space(item, names)
        elif isinstance(item, (*CONTAINERS, np.ndarray, functools.partial)):
            self.visit_parts(item, names, name)
            if users_bases(type(item)):  # it may have attributes, and methods
                self.visit_object(item, names)
        elif isinstance(item, GETTERS):
            got = names_got_by(item)
            self.found = self.found.joined(NOTHING._replace(attributes=got, read=got))
        elif isinstance(item, WRAPPERS):
            self.visit_object(item, names | INSIDE)
        else:
            if isinstance(item, enum.Enum):
                self.visit(item.value, names, name)
            self.visit_object(item, names)

    def visit_tensor(self, x: Tensor, names: Names) -> None:
        """Know a tensor, and watch its hooks, and what users put there."""
        self.guards.tensors[id(x)] = x.needs_grad
        for name in sorted((self.names | names) & vars(x).keys() - FIELDS):
            self.add_place(Attributes(x), name, vars(x)[name])
            self.visit(vars(x)[name], names, name)
        hooks = tuple((x.hooks or {}).values())
        self.guards.hooked.append((weakref.ref(x), hooks))
        self.todo_loosely += [(hook, _NONE, "") for hook in hooks]

    def watch_hooks(self, hooks: dict[Any, Any]) -> None:
        """Watch which hooks of a module or an optimiser there are, and what they use."""
        self.guards.keys.append((hooks, tuple(hooks.values())))
        self.todo_loosely += [(hook, _NONE, "") for hook in hooks.values()]

    def add_place(self, fields: Any, name: str, value: Any) -> None:
        """Watch a value."""
        self.guards.add_place(fields, name, value, self.is_loose)

    def visit_parts(self, item: Any, names: Names, name: str) -> None:
        """Watch what a container, an array or a partial function is made of."""
        if isinstance(item, np.ndarray):
            if item.size <= MOST_PARTS and len(self.guards.arrays) <= MOST_CONTENTS:
                self.guards.arrays.append((item, name, (item.dtype, item.shape, item.tobytes())))
        elif isinstance(item, functools.partial):
            for part in (item.func, *item.args, item.keywords):
                self.visit(part, names)
        elif not isinstance(item, Numbers):
            if not isinstance(item, FIXED):
                self.watch(item, name)
            if isinstance(item, collections.defaultdict):
                self.visit(item.default_factory, names)
            parts = [*dict.values(item), *dict.keys(item)] if isinstance(item, dict) else item
            if len(item) <= MOST_PARTS:
                for part in parts:
                    self.visit(part, names, name)
            else:
                self.todo_last += [(x, names, name) for x in parts if not is_plain(x)]

    def watch(self, container: Any, name: str) -> None:
        """Compare what a container holds, without keeping its tensors alive."""
        is_used = not name or name in self.used
        for content in self.watched.get(id(container), ()):  # by another name, on another way
            content.is_used |= is_used
            content.is_loose &= self.is_loose
        is_large = len(container) > MOST_PARTS or len(self.guards.contents) > MOST_CONTENTS
        if is_large or id(container) in self.watched:
            return
        is_dict = isinstance(container, dict)
        found = [
            Content(part, container, name, self.is_loose, is_used)
            for part in ((container, dict.values(container)) if is_dict else (container,))
        ]
        self.guards.contents += found
        self.watched[id(container)] = found

    def visit_function(self, function: types.FunctionType, names: Names) -> None:
        """Watch the variables and globals that a function's code uses, and its own attributes."""
        for wrapped in (wrapped_in(function), *dispatched(function)):
            self.visit(wrapped, names)
        if not is_users(function):
            return
        code, space, named = function.__code__, function.__globals__, names_of(function)
        if function.__name__ in MAKING:  # it may count what it makes
            plain = {name for name in named.stored if isinstance(space.get(name), SIMPLE)}
            spaces, attributes, read = named.spaces - plain, named.attributes, named.read
            named = named._replace(
                spaces=spaces, attributes=attributes - named.stored, read=read - named.stored
            )
        more = named.attributes | named.texts if named.is_dynamic else named.attributes
        if is_installed(function):
            self.found = self.found.joined(NOTHING._replace(read=more))
            names |= more
        elif self.is_loose:  # what it calls is looked at on this way only
            self.found = self.found.joined(
                NOTHING._replace(attributes=named.read, read=named.read, used=named.used)
            )
            names |= more
        else:
            self.found = self.found.joined(named.of_objects())
        cells = self.guards.loose_cells if self.is_loose else self.guards.cells
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            cells.append((cell, name, contents_of(cell)))
            self.visit(contents_of(cell), names, name)
        for name in sorted(named.spaces & space.keys()):
            self.watch_place(space, name, names)
        self.visit_names(vars(function), names)
        for name in sorted(absolute(named.imports, space) & sys.modules.keys()):
            self.visit(sys.modules[name], names, name)
        cells.append((function, DEFAULTS, function.__defaults__))
        if code.co_kwonlyargcount:
            self.add_place(Slots(function), "__kwdefaults__", function.__kwdefaults__)
        for value in function.__defaults__ or ():
            self.visit(value, names, DEFAULTS)
        defaults: dict[str, Any] = function.__kwdefaults__ or {}
        for name, value in defaults.items():
            self.add_place(defaults, name, value)
            self.visit(value, names)

    def watch_place(self, fields: Any, name: str, names: Names) -> None:
        """Watch a value that is there, and what can be reached from it."""
        value = fields.get(name, MISSING)
        self.add_place(fields, name, value)
        self.visit(value, names, name)

    def visit_names(self, fields: dict[str, Any], names: Names) -> None:
        """Watch those attributes of a function or a Python module that the code names."""
        for name in sorted((self.names | names) & fields.keys()):
            self.watch_place(fields, name, names)
        for name in sorted(self.asked - fields.keys()):
            self.add_place(fields, name, MISSING)

    def visit_space(self, space: types.ModuleType, names: Names) -> None:
        """Watch a Python module."""
        if is_users(space):
            self.visit_names(vars(space), names)

    def visit_class(self, kind: type, names: Names) -> None:
        """Watch those attributes of a class that the code names, and look at its methods."""
        bases = users_bases(kind)
        if bases:
            self.visit_methods(kind, names)
            self.watch_class(kind, names | self.names | PASSES | SPECIAL, names, kind)
            makers = [function for name in MAKING for function in _methods(bases, name)]
            held = {name: x for base in kind.__mro__[::-1] for name, x in vars(base).items()}
            for function in makers:
                counts = {name for name in names_of(function).stored if is_plain(held.get(name))}
                named = names | (names_of(function).attributes - counts)
                self.todo_loosely += [(function, named, ""), (kind, named, "")]
        if users_bases(type(kind)):
            self.visit_object(kind, names)

    def watch_class(self, kind: type, wanted: Names, names: Names, item: Any) -> None:
        """Watch what a class that a user wrote holds under the `wanted` names, for `item`; also
        that it does not get what it inherits until now.
        """
        bases, read = users_bases(kind), self.read | names | SPECIAL
        key = ("class", kind, frozenset(wanted), names)
        if not self.is_new(key) and not any("__slots__" in vars(base) for base in bases):
            return
        for name in sorted(wanted) if bases else ():
            found = [base for base in kind.__mro__ if name in vars(base)]
            value = vars(found[0])[name] if found else MISSING
            if is_plain(value) and name not in read:
                continue
            for base in bases if name in self.asked or (found and name not in SPECIAL) else ():
                if base in found:
                    break
                self.add_place(vars(base), name, MISSING)
            if not found or found[0] not in bases:
                continue
            self.add_place(vars(found[0]), name, value)
            if isinstance(value, types.MemberDescriptorType) and item is not kind:
                value = Slots(item).get(name, MISSING)
                self.add_place(Slots(item), name, value)
            if function_in(value) is None and value is not MISSING:
                self.visit(value, names, name)

    def visit_object(self, item: Any, names: Names) -> None:
        """Watch those attributes of an object that the code names, and look at its methods."""
        own = fields_of(item)
        fields = own or {}
        wrapped, kind = wrapped_in(item), type(item)
        self.visit(wrapped, names)  # of a function that is recorded, or cached
        if _is_optimizer(fields):
            self.visit_optimizer(item, fields)
        wanted, read = self.names | names, self.read | names
        if is_own(kind):
            if wrapped is not None:
                self.visit(getattr(item, "instance", None), names)
            self.visit_own(item, fields, wanted)
            return
        if self.takes_all:
            wanted, read = [x | fields.keys() for x in (wanted, read)]
        self.visit_methods(kind, names)
        self.watch_class(kind, (wanted | SPECIAL) - fields.keys(), names, item)
        attributes = Attributes(item)
        for name in sorted(wanted & fields.keys()):
            if name in read or not is_plain(fields[name]):
                self.add_place(attributes, name, fields[name])
                self.visit(fields[name], names, name)
        for name in sorted(wanted - fields.keys()) if own is not None else ():
            if name in self.asked or any(name in vars(base) for base in kind.__mro__):
                self.add_place(attributes, name, MISSING)

    def visit_own(self, item: Any, fields: dict[str, Any], wanted: Names) -> None:
        """Watch those attributes of an optimiser, a schedule or a recorded function that the code
        names. Other objects of tinynet's are not: a trainer counts each step itself.
        """
        if "__wrapped__" in fields:  # what users put there, not what it notes itself
            wanted -= names_of(type(item).__init__).stored
        elif RATES in fields:
            wanted |= {RATES} if "get_last_lr" in wanted else _NONE
        elif not _is_optimizer(fields):
            return
        for name in sorted(wanted & fields.keys() - HANDLED):
            self.watch_place(Attributes(item), name, names=_NONE)

    def visit_optimizer(self, item: Any, fields: dict[str, Any]) -> None:
        """Watch an optimiser's groups, whose numbers are read anew anyway, and hooks."""
        self.visit_methods(type(item), UPDATE)
        for name in ("param_groups", *sorted(UPDATE)):
            self.add_place(Attributes(item), name, fields.get(name, MISSING))
        self.watch(fields["param_groups"], "param_groups")
        for group in fields["param_groups"]:
            self.visit(group["params"], name="params")
        hooks: Any = fields.get("hooks")
        for kind in STEP_HOOKS if isinstance(hooks, collections.defaultdict) else ():
            self.watch_hooks(hooks[kind])

    def visit_methods(self, kind: type, names: Names) -> None:
        """Look at the methods and properties of a class that the code may call."""
        bases, key = users_bases(kind), ("methods", kind, names)
        if bases and self.is_new(key):
            for name in sorted(self.names | names | PASSES | SPECIAL):
                for method in _methods(bases, name):
                    self.visit(method, names)

    def visit_module(self, root: modules.Module, names: Names) -> None:
        """Watch all attributes of a module and its parts, and in those that its code names."""
        for module in root.modules():
            fields, kind = vars(module), type(module)
            wanted = self.names | names
            self.visit_methods(kind, names)
            self.watch_class(kind, (wanted | PASSES | SPECIAL) - fields.keys(), names, module)
            is_new = ("parts", id(module)) not in self.seen
            self.seen.add(("parts", id(module)))
            if is_new:
                self.guards.parts.append(Parts(module, self.unread_in(kind, fields)))
            for name, value in fields.items():
                if isinstance(value, Hooks):
                    for hooks in vars(value).values() if is_new else ():
                        self.watch_hooks(hooks)
                elif isinstance(value, modules.Module):
                    continue
                elif name in wanted or isinstance(value, LOOKED_AT):
                    self.visit(value, names, name)

    def unread_in(self, kind: type, fields: dict[str, Any]) -> set[str]:
        """The plain attributes of a user's module that no code reads, such as counters; none where
        code may ask for any.
        """
        library = next(base for base in kind.__mro__ if not is_users(base))
        if library is not modules.Module or self.is_dynamic or self.takes_all:
            return set()
        unread = fields.keys() - self.read - {"training"}
        return {name for name in unread if is_plain(fields[name])}


def referent_of(item: Any) -> Any:
    """What a weak reference or a proxy is for; anything else itself."""
    if type(item) is weakref.ref:
        return item()
    if type(item) in PROXIES:
        with contextlib.suppress(Exception):  # it may be gone, or answer as it likes
            return item.__repr__.__self__  # which is looked for in what it is for
        return None
    return item


def _is_optimizer(fields: dict[str, Any]) -> bool:
    """Whether these are the attributes of an optimiser, or of what passes for one."""
    groups = fields.get("param_groups")
    return isinstance(groups, list) and all(type(x) is Numbers and "params" in x for x in groups)


def _methods(bases: list[type], name: str) -> list[types.FunctionType]:
    """The functions that classes have under a name."""
    values = [vars(base)[name] for base in bases if name in vars(base)]
    for value in values:
        if isinstance(value, functools.singledispatchmethod):
            values += dispatched(value.dispatcher)
        if isinstance(value, property):
            values += [value.fset, value.fdel]
    return [f for value in values if (f := function_in(value)) is not None]
