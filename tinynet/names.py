"""What Python code refers to by name: globals, attributes, imports."""

from __future__ import annotations

import contextlib
import dis
import functools
import importlib.util
import os
import site
import sys
import sysconfig
import threading
import types
from typing import Any, NamedTuple

OWN = frozenset(["tinynet", "numpy", "pyopencl", "builtins"])
LIBRARIES = OWN | sys.stdlib_module_names - {"__main__"}
STANDARD_LIBRARY = (os.path.dirname(os.__file__) + os.sep, os.path.join(sys.base_prefix, "DLLs"))
MISPLACING = ("builtins", "types")  # whose classes some seem to be that are made at run time
ATTRIBUTE_CODES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER", "IMPORT_FROM")
VARIABLE_CODES = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF")
PUTTING = frozenset(["append", "appendleft", "add", "extend", "insert", "update"])
STORE_CODES = ("STORE_GLOBAL", "STORE_NAME", "STORE_ATTR", "STORE_DEREF")
KEYWORD_CODES = ("BUILD_CONST_KEY_MAP", "CALL_KW", "CALL_FUNCTION_KW")  # after a tuple of names
DYNAMIC = frozenset(["getattr", "hasattr", "vars", "__dict__", "attrgetter", "methodcaller"])
ASKING = frozenset(["getattr", "hasattr", "vars", "__dict__"])
TAKING_ALL = frozenset(["vars", "__dict__", "asdict", "astuple", "fields", "__match_args__"])

Names = frozenset[str]


class CodeNames(NamedTuple):
    """The names in code, functions inside it included.

    `texts` are constants that may be names of attributes, if code `is_dynamic`: if it asks for
    attributes by names that are values. `stored`: globals and attributes that it writes. `read`:
    attributes that it does not only call. `used`: variables and attributes with which it does more
    than to put something into them by `append` and the like. `asked`: attributes that may be
    missing, since it asks for them by `getattr` or catches AttributeErrors. `takes_all`: it may ask
    an object for all of its attributes. Relative imports begin with dots.
    """

    spaces: Names
    attributes: Names
    imports: Names
    texts: Names
    stored: Names
    read: Names
    used: Names
    asked: Names
    is_dynamic: bool
    takes_all: bool

    def joined(self, more: CodeNames) -> CodeNames:
        """The names in these and other code."""
        return CodeNames(*[a | b for a, b in zip(self, more)])  # type: ignore[operator]

    def of_objects(self) -> CodeNames:
        """The names that do not depend on where the code is."""
        return self._replace(spaces=_NONE, imports=_NONE, stored=_NONE)


_NONE: Names = frozenset()
NOTHING = CodeNames(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, False, False)


def names_of(function: Any) -> CodeNames:
    """The names in a function's code; none if it has no code."""
    code = getattr(function, "__code__", None)
    return NOTHING if code is None else names_in(code)


@functools.cache
def names_in(code: types.CodeType) -> CodeNames:
    """The names in code."""
    found = _names_in_instructions(code)
    texts: set[str] = set()
    keywords = _keywords_in(code)
    constants = [x for x in code.co_consts if not any(x is names for names in keywords)]
    for constant in constants:  # which grows meanwhile
        if isinstance(constant, str) and constant.replace(".", "").isidentifier():
            texts.update(constant.split("."))  # attrgetter("a.b")
        if isinstance(constant, (tuple, frozenset)):
            constants += constant
        if isinstance(constant, types.CodeType):
            found = found.joined(names_in(constant))
    if not ASKING.isdisjoint(found.spaces | found.attributes):
        found = found._replace(asked=found.asked | texts)
    if "AttributeError" in found.spaces:
        found = found._replace(asked=found.asked | found.attributes)
    return found.joined(NOTHING._replace(texts=frozenset(texts)))


def _names_in_instructions(code: types.CodeType) -> CodeNames:
    """The names in code, without the functions inside it, and without its constants."""
    found: list[set[str]] = [set() for _ in range(6)]
    spaces, attributes, imports, stored, read, used = found
    matches_classes = False
    constants: list[Any] = [0, 0]  # of the last two instructions
    instructions = [*dis.get_instructions(code)]
    is_called = False
    for i, instruction in enumerate(instructions):
        op, value = instruction.opname, instruction.argval
        following = instructions[i + 1 : i + 4]
        is_called = _is_called(instruction, is_called, following)
        if not is_called and _is_use(instruction, following):
            used.add(value)
        if op in ("LOAD_GLOBAL", "LOAD_NAME"):
            spaces.add(value)
        elif op.startswith(ATTRIBUTE_CODES):
            attributes.add(value)
            if not is_called:
                read.add(value)
        elif op == "IMPORT_NAME":  # after its level and what is imported from there
            imports.add("." * constants[0] + value)
        elif op in STORE_CODES:
            stored.add(value)
        matches_classes |= op == "MATCH_CLASS"
        constants = [constants[1], value]
    names = spaces | attributes
    return CodeNames(
        frozenset(spaces),
        frozenset(attributes),
        frozenset(imports),
        _NONE,
        frozenset(stored),
        frozenset(read),
        frozenset(used),
        _NONE,
        matches_classes or not DYNAMIC.isdisjoint(names),
        matches_classes or not TAKING_ALL.isdisjoint(names),
    )


def _is_called(
    instruction: dis.Instruction, is_called_before: bool, following: list[dis.Instruction]
) -> bool:
    """Whether an attribute, or a variable, is loaded to be called, as far as the code says so.

    From Python 3.11 on, a function of an imported module is an attribute of what is marked.
    """
    is_marked = any(mark in instruction.argrepr for mark in ("NULL|self", "NULL + ", " + NULL"))
    is_of_marked = is_called_before and instruction.opname == "LOAD_ATTR"
    is_pushed = bool(following) and following[0].opname == "PUSH_NULL"  # 3.13
    return is_marked or is_of_marked or is_pushed or instruction.opname == "LOAD_METHOD"


def _is_use(instruction: dis.Instruction, following: list[dis.Instruction]) -> bool:
    """Whether an instruction loads something that is used for more than to put something into it,
    or into an element: `x.append(...)`, `x[key].append(...)`.
    """
    op = instruction.opname
    if op not in VARIABLE_CODES and not op.startswith(ATTRIBUTE_CODES):
        return False
    if len(following) == 3 and following[1].opname == "BINARY_SUBSCR":
        following = following[2:]
    method = following[0] if following else instruction
    return not method.opname.startswith(ATTRIBUTE_CODES) or method.argval not in PUTTING


def _keywords_in(code: types.CodeType) -> list[Any]:
    """Constants that are names of arguments, or the keys of a dict that is written out."""
    found: list[Any] = []
    last: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "KW_NAMES":  # until Python 3.12
            found.append(code.co_consts[instruction.arg or 0])
        elif instruction.opname in KEYWORD_CODES:
            found.append(last)
        last = instruction.argval
    return found


def is_users(item: Any) -> bool:
    """Whether code is none of tinynet's, nor of the libraries beneath it.

    What `functools.wraps` made of a function says that it is where that one is.
    """
    if isinstance(item, types.FunctionType):
        name = item.__globals__.get("__name__")
    else:
        name = getattr(item, "__name__" if isinstance(item, types.ModuleType) else "__module__", "")
    package = str(name or "").partition(".")[0]
    if package not in LIBRARIES or (isinstance(item, type) and _is_misplaced(item)):
        return True
    file = getattr(sys.modules.get(package), "__file__", None)  # of a user's, perhaps: "code"
    return package not in OWN and file is not None and not file.startswith(STANDARD_LIBRARY)


def is_own(kind: type) -> bool:
    """Whether a class is one of tinynet's, or of the libraries beneath it but for Python's."""
    return str(kind.__module__ or "").partition(".")[0] in OWN and not _is_misplaced(kind)


def _is_misplaced(kind: type) -> bool:
    """Whether a class of a user's seems to be Python's: those made by `exec`, `make_dataclass`."""
    name = vars(kind).get("__module__")  # classes in C have none
    return name in MISPLACING and getattr(sys.modules[name], kind.__name__, None) is not kind


@functools.cache
def _installed() -> tuple[str, ...]:
    """Where packages are installed."""
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")}
    return tuple([folder + os.sep for folder in [*folders, *site.getsitepackages()]])


def is_installed(function: types.FunctionType) -> bool:
    """Whether code is that of an installed package which knows nothing of tinynet; others are taken
    for parts of the program.
    """
    is_there = function.__code__.co_filename.startswith(_installed())
    return is_there and not _uses_tinynet(str(function.__globals__.get("__name__")))


@functools.cache
def _uses_tinynet(name: str) -> bool:
    """Whether a Python module has imported something of tinynet's."""
    values = [*vars(sys.modules[name]).values()] if name in sys.modules else []
    modules = [x.__name__ for x in values if isinstance(x, types.ModuleType)]
    modules += [str(x.__module__) for x in values if isinstance(x, (type, types.FunctionType))]
    return any(found.partition(".")[0] == "tinynet" for found in modules)


def names_got_by(getter: Any) -> Names:
    """The attributes that an `operator.attrgetter`, or a `methodcaller`, asks for."""
    made_by, given = getter.__reduce__()[:2]
    texts = given or made_by.args
    return frozenset([part for text in texts if type(text) is str for part in text.split(".")])


def users_bases(kind: type) -> list[type]:
    """Of a class and those it inherits from, those that users wrote."""
    return [base for base in kind.__mro__ if is_users(base)]


def function_in(value: Any) -> types.FunctionType | None:
    """The function that a property, a static method or a recorded function was made of."""
    for _ in range(16):  # as deep as anybody wraps
        if value is None or isinstance(value, types.FunctionType):
            return value
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, (functools.cached_property, functools.partialmethod)):
            value = value.func
        elif isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        else:
            value = wrapped_in(value)
    return None


def wrapped_in(item: Any) -> Any:
    """What `functools.wraps` noted in an object; None where it did not."""
    return (fields_of(item) or {}).get("__wrapped__")


def fields_of(item: Any) -> dict[str, Any] | None:
    """The dict of an object's own attributes, if it has one. No code of its own runs.

    That of a `threading.local` is the one of this thread.
    """
    find = getattr if isinstance(item, threading.local) else object.__getattribute__
    try:
        fields = find(item, "__dict__")
    except AttributeError:
        return None
    return fields if type(fields) is dict else None


def dispatched(function: Any) -> list[Any]:
    """The functions among which one made by `functools.singledispatch` chooses."""
    registry = getattr(function, "registry", None)
    return [*registry.values()] if isinstance(registry, types.MappingProxyType) else []


def absolute(imports: Names, space: dict[str, Any]) -> Names:
    """The full names of what a function with these globals imports."""
    package = space.get("__package__") or space.get("__name__")
    found = {name for name in imports if not name.startswith(".")}
    for name in imports - found:
        with contextlib.suppress(ImportError):  # which the function raises, too
            found.add(importlib.util.resolve_name(name, package))
    return frozenset(found)
