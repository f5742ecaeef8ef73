"""What Python code refers to by name: globals, attributes, imports."""

from __future__ import annotations

import dis
import functools
import sys
import types
from typing import Any, NamedTuple

OWN = frozenset(["tinynet", "numpy", "pyopencl", "builtins"])
LIBRARIES = OWN | sys.stdlib_module_names - {"__main__"}
ATTRIBUTE_CODES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER", "IMPORT_FROM")
STORE_CODES = ("STORE_GLOBAL", "STORE_NAME", "STORE_ATTR", "STORE_DEREF")
KEYWORD_CODES = ("BUILD_CONST_KEY_MAP", "CALL_KW", "CALL_FUNCTION_KW")  # after a tuple of names
DYNAMIC = frozenset(["getattr", "hasattr", "vars", "__dict__", "attrgetter", "methodcaller"])

Names = frozenset[str]


class CodeNames(NamedTuple):
    """The names in code, functions inside it included.

    `texts` are constants that may be names of attributes, if code `is_dynamic`: if it asks for
    attributes by names that are values. `stored`: globals and attributes that it writes.
    """

    spaces: Names
    attributes: Names
    imports: Names
    texts: Names
    stored: Names
    is_dynamic: bool


_NONE: Names = frozenset()
NOTHING = CodeNames(_NONE, _NONE, _NONE, _NONE, _NONE, False)


def names_of(function: Any) -> CodeNames:
    """The names in a function's code; none if it has no code."""
    code = getattr(function, "__code__", None)
    return NOTHING if code is None else names_in(code)


@functools.cache
def names_in(code: types.CodeType) -> CodeNames:
    """The names in code."""
    found: list[set[str]] = [set() for _ in range(5)]
    spaces, attributes, imports, texts, stored = found
    for op, value in [(i.opname, i.argval) for i in dis.get_instructions(code)]:
        if op in ("LOAD_GLOBAL", "LOAD_NAME"):
            spaces.add(value)
        elif op.startswith(ATTRIBUTE_CODES):
            attributes.add(value)
        elif op == "IMPORT_NAME":
            imports.add(value)
        elif op in STORE_CODES:
            stored.add(value)
    is_dynamic = not DYNAMIC.isdisjoint(spaces | attributes)
    keywords = _keywords_in(code)
    constants = [x for x in code.co_consts if not any(x is names for names in keywords)]
    for constant in constants:  # which grows meanwhile
        if isinstance(constant, str) and constant.isidentifier():
            texts.add(constant)
        if isinstance(constant, (tuple, frozenset)):
            constants += constant
        if isinstance(constant, types.CodeType):
            inner = names_in(constant)
            is_dynamic |= inner.is_dynamic
            for names, more in zip(found, inner):
                names |= more  # type: ignore[arg-type]
    kept = [frozenset(names) for names in found]
    return CodeNames(kept[0], kept[1], kept[2], kept[3], kept[4], is_dynamic)


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
    """Whether code is none of tinynet's, nor of the libraries beneath it."""
    name = item.__name__ if isinstance(item, types.ModuleType) else getattr(item, "__module__", "")
    return str(name or "").partition(".")[0] not in LIBRARIES


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
        elif isinstance(value, functools.cached_property):
            value = value.func
        elif isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        else:
            value = wrapped_in(value)
    return None


def wrapped_in(item: Any) -> Any:
    """What `functools.wraps` noted in an object; None where it did not."""
    fields = getattr(item, "__dict__", None)
    return fields.get("__wrapped__") if type(fields) is dict else None
