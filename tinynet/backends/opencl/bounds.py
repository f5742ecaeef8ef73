"""What is known of integers before they are computed: an interval that holds them all.

So an index that follows from `arange`, from sorting or from checked data is known to be in range,
and nobody waits for the device to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinynet.backends.opencl.array import Bounds, Value, View
from tinynet.dtype import DType

RULES: dict[str, Callable[..., tuple[int, int]]] = {
    "load": lambda a: a,
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "neg": lambda a: (-a[1], -a[0]),
    "mul": lambda a, b: _extremes(x * y for x in a for y in b),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "remainder": lambda a, b: (min(b[0] + 1, 0), max(b[1] - 1, 0)),
    "right_shift": lambda a, b: (min(a[0], 0), max(a[1], 0)),
    "where": lambda condition, a, b: (min(a[0], b[0]), max(a[1], b[1])),
}


def bounds_of(op: str, operands: Sequence[Any]) -> Bounds:
    """Bounds of an elementwise operation's result; None where it may wrap around, or no rule is."""
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
    return (low, high) if _fits(operands, low, high) else None


def union(a: Bounds, b: Bounds) -> Bounds:
    """Bounds of what is in one or the other."""
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def stretched(bounds: Bounds, size: int) -> Bounds:
    """Bounds that hold all indices of a dim of `size` as well, negative ones if these do."""
    return union(bounds, (-size if bounds and bounds[0] < 0 else 0, size - 1))


def cast_bounds(bounds: Bounds, source: DType, target: DType) -> Bounds:
    """Bounds of integers converted to `target`: none where they may wrap around."""
    if target.rank != 1 or source.rank == 2:
        return None
    if source.rank == 0:
        return 0, 1
    bounds, within = bounds or limits(source), limits(target)
    assert bounds is not None
    assert within is not None
    return bounds if within[0] <= bounds[0] and bounds[1] <= within[1] else None


def _bounds(operand: Any) -> Bounds:
    if type(operand) not in (Value, View):
        return int(operand), int(operand)
    value = operand if type(operand) is Value else operand.value
    return limits(value.dtype) if value.bounds is None else value.bounds


def limits(dtype: DType) -> Bounds:
    """What every integer of a dtype keeps within; None for other dtypes."""
    if dtype.rank != 1:
        return None
    bits = 8 * dtype.itemsize
    if dtype.kind == "u":
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _fits(operands: Sequence[Any], low: int, high: int) -> bool:
    """Whether the result's dtype holds the bounds, so that nothing wraps around."""
    for operand in operands[::-1]:
        value = operand.value if type(operand) is View else operand
        within = limits(value.dtype) if type(value) is Value else None
        if within is not None:
            return within[0] <= low and high <= within[1]
    return False


def _masked(a: Bounds, b: Bounds) -> Bounds:
    """Of `a & b` where one is not negative: between 0 and that one."""
    positive = [x for x in (a, b) if x is not None and x[0] >= 0]
    return (0, min(x[1] for x in positive)) if positive else None


def _extremes(numbers: Any) -> tuple[int, int]:
    found = list(numbers)
    return min(found), max(found)
