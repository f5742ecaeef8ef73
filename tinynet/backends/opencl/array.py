"""Lazy arrays: what a tensor holds on an OpenCL device.

A `Value` is some elements that never change: in memory, or as the formula that will give them, or
as a pattern that needs no memory (`full`, `iota`). A `Storage` is a place that has a value now and
may get another; an `Array` looks at a storage through strides, as NumPy's arrays look at memory. So
writing in place gives the storage a new value, which all views see, while a formula that was
written before goes on to mean the old one.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from math import prod
from typing import Any

from tinynet.backends.opencl.memory import Block
from tinynet.dtype import DType, float32
from tinynet.shape import Shape

Bounds = tuple[int, int] | None  # the smallest and the largest value that integers can have


class Value:
    """Elements in row-major order. `op` is "memory", "full", "iota", or how `args` give them.

    `params` is what `op` needs besides; `weight` how many operations wait to be computed in it.
    """

    __slots__ = (
        "__weakref__", "args", "block", "bounds", "dtype", "op", "params", "shape", "weight",
    )  # fmt: skip

    def __init__(
        self,
        op: str,
        dtype: DType,
        shape: Shape,
        args: tuple[Any, ...] = (),
        params: Any = None,
        weight: int = 0,
        bounds: Bounds = None,
    ) -> None:
        self.op = op
        self.dtype = dtype
        self.shape = shape
        self.args = args
        self.params = params
        self.weight = weight
        self.bounds = bounds
        self.block: Block | None = None

    def settle(self, block: Block | None) -> None:
        """The elements are in `block` now (None where there are none)."""
        self.block = block
        self.op = "memory"
        self.args, self.params, self.weight = (), None, 0


READY = frozenset(["memory", "full", "iota"])  # which need no computing
PRODUCTS = frozenset(["matmul", "convolve"])  # of two factors, which must be in memory


class Storage:
    """A place for elements, with the value that it has now."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


class View:
    """A value looked at through strides (in elements): an operand of a formula."""

    __slots__ = ("offset", "shape", "strides", "value")

    def __init__(self, value: Value, shape: Shape, strides: Shape, offset: int) -> None:
        self.value = value
        self.shape = shape
        self.strides = strides
        self.offset = offset


OPERANDS = (Value, View)  # of formulas; the others are Python numbers


class Array:
    """A view of a storage. `steps` are its strides; None: all of the storage, in its order."""

    __slots__ = ("dtype", "offset", "shape", "steps", "storage")

    def __init__(
        self, storage: Storage, dtype: DType, shape: Shape, steps: Shape | None, offset: int
    ) -> None:
        self.storage = storage
        self.dtype = dtype
        self.shape = shape
        self.steps = steps
        self.offset = offset

    @property
    def strides(self) -> Shape:
        """Steps in memory along each dim, in elements."""
        return row_major(self.shape) if self.steps is None else self.steps

    @property
    def operand(self) -> Value | View:
        """What it holds now, for a formula."""
        value = self.storage.value
        if self.steps is None and value.shape == self.shape:
            return value
        return View(value, self.shape, self.strides, self.offset)


def as_array(value: Value) -> Array:
    """An array of its own that holds `value`."""
    return Array(Storage(value), value.dtype, value.shape, None, 0)


def is_exclusive(storage: Storage) -> bool:
    """Whether nobody but `storage` refers to its value."""
    return sys.getrefcount(storage.value) == _ALONE


def _count_alone(storage: Storage) -> int:
    """What `is_exclusive` finds for a value that only its storage refers to."""
    return sys.getrefcount(storage.value)


_ALONE = _count_alone(Storage(Value("probe", float32, ())))


@lru_cache(maxsize=4096)
def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape that two shapes, which fit, broadcast to."""
    if len(a) < len(b):
        a, b = b, a
    added = len(a) - len(b)
    return (*a[:added], *(m if n == 1 else n for n, m in zip(a[added:], b)))


@lru_cache(maxsize=4096)
def row_major(shape: Shape) -> Shape:
    """Strides of elements that lie row by row without gaps."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def is_row_major(shape: Shape, strides: Shape) -> bool:
    """Whether elements lie row by row without gaps."""
    if 0 in shape:
        return True
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides)):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def reshaped_strides(shape: Shape, strides: Shape, goal: Shape) -> Shape | None:
    """Strides that make a view of another shape of the same elements; None where there are none."""
    if prod(shape) == 0:
        return row_major(goal)
    old = [(size, stride) for size, stride in zip(shape, strides) if size != 1]
    runs: list[list[int]] = []  # dims that lie without gaps, merged: [size, stride of the last]
    for size, stride in old:
        if runs and runs[-1][1] == size * stride:
            runs[-1][0] *= size
            runs[-1][1] = stride
        else:
            runs.append([size, stride])
    result = []
    for size in reversed(goal):
        if size == 1:
            result.append(runs[-1][1] if runs else 1)
            continue
        while runs and runs[-1][0] == 1:
            runs.pop()
        if not runs or runs[-1][0] % size:
            return None
        result.append(runs[-1][1])
        runs[-1][0] //= size
        runs[-1][1] *= size
    return tuple(reversed(result))
