"""What is known of integers before they are computed: an interval that holds them all.

So an index that follows from `arange`, from sorting or from checked data is known to be in range,
and nobody waits for the device to look at it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.backends.opencl.array import Bounds, Value, View

LIMIT = 2**62  # beyond, int64 may wrap around

RULES: dict[str, Callable[..., tuple[int, int]]] = {
    "load": lambda a: a,
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "neg": lambda a: (-a[1], -a[0]),
    "mul": lambda a, b: _extremes(x * y for x in a for y in b),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "where": lambda condition, a, b: (min(a[0], b[0]), max(a[1], b[1])),
}


def bounds_of(op: str, operands: list[Any]) -> Bounds:
    """Bounds of an elementwise operation's result; None: not known.

    Only for results that cannot wrap around in 62 bits: narrower dtypes have no rule but for
    operations that keep within their operands' range.
    """
    if op == "bitwise_and":
        return _masked(*[_bounds(x) for x in operands])
    rule = RULES.get(op)
    if rule is None:
        return None
    known = [_bounds(x) for x in operands]
    if op == "where":
        known[0] = (0, 1)
    if None in known:
        return None
    low, high = rule(*known)
    return (low, high) if _fits(op, operands, low, high) else None


def union(a: Bounds, b: Bounds) -> Bounds:
    """Bounds of what is in one or the other."""
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def _bounds(operand: Any) -> Bounds:
    if type(operand) is Value:
        return operand.bounds
    if type(operand) is View:
        return operand.value.bounds
    return int(operand), int(operand)


def _fits(op: str, operands: list[Any], low: int, high: int) -> bool:
    """Whether the result's dtype holds the bounds, so that nothing wraps around."""
    for operand in operands[::-1]:
        value = operand.value if type(operand) is View else operand
        if type(value) is Value:
            bits = 8 * value.dtype.itemsize
            if value.dtype.kind == "u":
                return low >= 0 and high < 2**bits
            return -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)
    return False


def _masked(a: Bounds, b: Bounds) -> Bounds:
    """Of `a & b` where one is not negative: between 0 and that one."""
    positive = [x for x in (a, b) if x is not None and x[0] >= 0]
    return (0, min(x[1] for x in positive)) if positive else None


def _extremes(numbers: Any) -> tuple[int, int]:
    found = list(numbers)
    return min(found), max(found)
