"""What the API reference needs to know beyond the text of the modules (an extension of griffe).

Many operations come from tables (`exp = unary("exp", ...)`), and methods of `Tensor` are functions
of `ops` under another name: to somebody who only reads the text these are variables. Here they
become the functions that they are. Examples in docstrings become blocks of code. `float`, `int` and
`bool` in signatures are Python's, though `tinynet.float` is a dtype and `Tensor.float` a method.
"""

import importlib
import inspect
import re

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)  # to the next empty line
KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: griffe.ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: griffe.ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: griffe.ParameterKind.var_keyword,
}


class Functions(griffe.Extension):
    """Functions where the text has variables, and examples as code."""

    def on_package(self, *, pkg, **_):
        """A package's own docstring: `on_object` sees only what is in it."""
        self.on_object(obj=pkg)

    def on_module_members(self, *, mod, **_):
        """Before anything refers to what a module has."""
        _complete(mod, importlib.import_module(mod.path))

    def on_class_members(self, *, cls, **_):
        """The same of a class, if it is not within a function."""
        actual = importlib.import_module(cls.module.path)
        for name in cls.path.removeprefix(f"{cls.module.path}.").split("."):
            actual = getattr(actual, name, None)
        _complete(cls, actual)

    def on_object(self, *, obj, **_):
        """Every docstring and signature."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)
        if obj.is_attribute:
            _take_builtins(obj.annotation)
        if obj.is_function:
            for signature in [obj, *(obj.overloads or [])]:
                _take_builtins(signature.returns)
                for parameter in signature.parameters:
                    _take_builtins(parameter.annotation)


def _complete(part, actual):
    """Replace the variables of a module or class that hold functions."""
    for name, member in [*part.members.items()]:
        value = inspect.getattr_static(actual, name, None)
        if not member.is_alias and member.is_attribute and inspect.isfunction(value):
            part.members[name] = _function_of(name, value, member)


def _take_builtins(annotation):
    """Let no name of Python's types be looked up among those of tinynet."""
    if isinstance(annotation, griffe.Expr):
        for part in annotation.iterate(flat=True):
            if isinstance(part, griffe.ExprName) and part.name in ("bool", "float", "int"):
                part.parent = None


def _fenced(example):
    return f"```pycon\n{example[0]}\n```"


def _function_of(name, value, member):
    """The function that a variable holds, documented as one."""
    parameters = griffe.Parameters(
        *[
            griffe.Parameter(
                parameter.name,
                annotation=_text_of(parameter.annotation),
                kind=KINDS[parameter.kind],
                default=_text_of(parameter.default, repr),
            )
            for parameter in inspect.signature(value).parameters.values()
        ]
    )
    found = griffe.Function(
        name, parameters=parameters, returns=_text_of(inspect.signature(value).return_annotation),
        lineno=member.lineno, endlineno=member.endlineno, parent=member.parent,
    )  # fmt: skip
    if value.__doc__:
        found.docstring = griffe.Docstring(inspect.cleandoc(value.__doc__), parent=found)
    return found


def _text_of(value, write=str):
    """How it is written, None where there is nothing."""
    if value is inspect.Parameter.empty:
        return None
    return value if isinstance(value, str) and write is str else write(value)
