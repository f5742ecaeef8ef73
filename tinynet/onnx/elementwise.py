"""Elementwise primitives as ONNX nodes: `elementwise`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.onnx.building import Builder
from tinynet.onnx.tracing import Call, Ref

LARGEST = int(np.iinfo(np.int64).max)

SAME = {
    "neg": "Neg", "abs": "Abs", "sign": "Sign", "sqrt": "Sqrt", "reciprocal": "Reciprocal",
    "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "sigmoid": "Sigmoid", "erf": "Erf",
    "floor": "Floor", "ceil": "Ceil", "round": "Round", "isnan": "IsNaN", "isinf": "IsInf",
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max",
    "minimum": "Min", "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater",
    "ge": "GreaterOrEqual",
}  # fmt: skip
LOGIC = {
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor",
}  # fmt: skip


def elementwise(b: Builder, call: Call, other: Call) -> str:
    op, *operands = call.args
    operands = [x for x in operands if x is not None]
    if op == "bitwise_and" and operands[1] == LARGEST:  # makes negative indices out of range
        return b.name_of(operands[0])
    arrays = [x for x in operands if type(x) is Ref]
    data = arrays if op != "where" else [x for x in operands[1:] if type(x) is Ref]
    kind = b.dtype(data[0]) if data else b.dtype(call.outs[0])
    names = [_operand(b, x, kind) for x in operands]
    if kind == np.bool_ and op in ("add", "mul", "maximum", "minimum"):
        return str(b.node("Or" if op in ("add", "maximum") else "And", *names))
    if op in SAME:
        return str(b.node(SAME[op], *names))
    if op in LOGIC and (kind == np.bool_ or op.startswith("logical")):
        return str(b.node(LOGIC[op], *[_as_bool(b, name, kind) for name in names]))
    if op in COMPOSED:
        return COMPOSED[op](b, kind, *names)
    result = b.refuse(f"computes {op}, which has no counterpart in ONNX")
    return str(result)


def _operand(b: Builder, x: Any, kind: Any) -> str:
    return b.name_of(x) if type(x) is Ref else b.constant(np.asarray(x).astype(kind))


def _as_bool(b: Builder, name: str, kind: Any) -> str:
    return name if kind == np.bool_ else str(b.node("Cast", name, to=9))


def number(b: Builder, value: float, kind: Any) -> str:
    return b.constant(np.asarray(value).astype(kind))


def _where(b: Builder, kind: Any, condition: str, x: str, y: str) -> str:
    return str(b.node("Where", condition, x, y))


def _logical_not(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Not", _as_bool(b, x, kind)))


def _invert(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Not" if kind == np.bool_ else "BitwiseNot", x))


def _bitwise(op: str) -> Callable[..., str]:
    return lambda b, kind, x, y: str(b.node(op, x, y))


def _log1p(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Log", b.node("Add", x, number(b, 1, kind))))


def _logaddexp(b: Builder, kind: Any, x: str, y: str) -> str:
    gap = b.node("Neg", b.node("Abs", b.node("Sub", x, y)))
    return str(b.node("Add", b.node("Max", x, y), _log1p(b, kind, b.node("Exp", gap))))


def _logit(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Log", b.node("Div", x, b.node("Sub", number(b, 1, kind), x))))


def _trunc(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Mul", b.node("Sign", x), b.node("Floor", b.node("Abs", x))))


def _isfinite(b: Builder, kind: Any, x: str) -> str:
    return str(b.node("Not", b.node("Or", b.node("IsNaN", x), b.node("IsInf", x))))


def _floor_divide(b: Builder, kind: Any, x: str, y: str) -> str:
    """Of integers, what is left over is taken away first: ONNX divides toward zero."""
    if kind.kind == "f":
        return str(b.node("Floor", b.node("Div", x, y)))
    return str(b.node("Div", b.node("Sub", x, b.node("Mod", x, y)), y))


def _remainder(b: Builder, kind: Any, x: str, y: str) -> str:
    if kind.kind != "f":
        return str(b.node("Mod", x, y))
    return str(b.node("Sub", x, b.node("Mul", b.node("Floor", b.node("Div", x, y)), y)))


COMPOSED: dict[str, Callable[..., str]] = {
    "where": _where, "logical_not": _logical_not, "invert": _invert,
    "rsqrt": lambda b, kind, x: b.node("Reciprocal", b.node("Sqrt", x)),
    "square": lambda b, kind, x: b.node("Mul", x, x),
    "exp2": lambda b, kind, x: b.node("Pow", number(b, 2, kind), x),
    "expm1": lambda b, kind, x: b.node("Sub", b.node("Exp", x), number(b, 1, kind)),
    "log2": lambda b, kind, x: b.node("Mul", b.node("Log", x), number(b, 1 / math.log(2), kind)),
    "log10": lambda b, kind, x: b.node("Mul", b.node("Log", x), number(b, 1 / math.log(10), kind)),
    "log1p": _log1p, "logit": _logit, "trunc": _trunc, "isfinite": _isfinite,
    "ne": lambda b, kind, x, y: b.node("Not", b.node("Equal", x, y)),
    "floor_divide": _floor_divide, "remainder": _remainder, "logaddexp": _logaddexp,
    "fmod": lambda b, kind, x, y: b.node("Mod", x, y, fmod=1),
    "bitwise_and": _bitwise("BitwiseAnd"), "bitwise_or": _bitwise("BitwiseOr"),
    "bitwise_xor": _bitwise("BitwiseXor"),
}  # fmt: skip
