"""What plans of matrix products consist of, for every kind of device.

A product is divided into *tiles*; "lines" are the rows of the first factor and the columns of the
second. A `Plan` says which kernel does it and how it is launched.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device
from tinynet.dtype import DType


class Factor(NamedTuple):
    """One operand as it lies in memory: strides of batch0, batch1, row, column, in elements."""

    strides: tuple[int, ...]
    offset: int


class Tile(NamedTuple):
    """How a kernel divides a product; the kernels' headers say what each size means."""

    kind: str  # "gpu"; on a CPU "cpu", "packed" (large products), "dots" (few rows, along k) or
    # "vector" (one dim is 1)
    rows: int
    columns: int
    width: int
    depth: int
    block_rows: int
    block_columns: int


Offsets = tuple[tuple[int, int], ...]  # places of scalars, and the operands whose offsets they are


class Pack(NamedTuple):
    """A kernel that makes `nbytes` of scratch memory of operands, which then stands for one."""

    operands: tuple[int, ...]  # of 0 and 1
    result: int  # the one that it stands for
    nbytes: int
    text: str
    name: str
    size: tuple[int, ...]
    group: tuple[int, ...]
    scalars: tuple[int, ...]  # arguments behind the operands and the scratch memory
    types: tuple[Any, ...]
    offsets: Offsets


class Plan(NamedTuple):
    """A kernel and how to launch it, once its epilogue is known."""

    text: str
    name: str
    size: tuple[int, ...]
    group: tuple[int, ...]
    scalars: tuple[int, ...]  # arguments behind the two operands
    types: tuple[Any, ...]  # of operands (None) and scalars
    packs: tuple[Pack, ...] = ()  # to be run before
    offsets: Offsets = ()

    def moved(self, by: tuple[int, ...]) -> Plan:
        """The plan for operands that begin so many elements later."""
        packs = tuple([
            pack._replace(scalars=_moved(pack.scalars, pack.offsets, by)) for pack in self.packs
        ])  # fmt: skip
        return self._replace(scalars=_moved(self.scalars, self.offsets, by), packs=packs)


class Lines(NamedTuple):
    """A factor along its lines, the rows of the first and the columns of the second."""

    offset: int
    outer: int  # strides of the batch dims
    inner: int
    line: int
    step: int  # along k


class Problem(NamedTuple):
    """What is to be planned, transposed where that is better."""

    dtype: DType
    tile: Tile
    swap: bool
    batches: tuple[int, ...]
    m: int
    n: int
    k: int
    first: Lines
    second: Lines

    def scalars(self, first: Lines, second: Lines) -> tuple[int, ...]:
        """Arguments that all kernels have."""
        return (self.m, self.n, self.k, self.batches[1], *first, *second)

    def offsets(self, first: bool = True, second: bool = True) -> Offsets:
        """Where among these are the offsets of the factors, if they are operands."""
        both = ((4, int(self.swap), first), (9, int(not self.swap), second))
        return tuple([(place, operand) for place, operand, is_operand in both if is_operand])

    def defines(self) -> dict[str, Any]:
        """Macros that every kernel knows."""
        sizes = {key.upper(): size for key, size in self.tile._asdict().items() if key != "kind"}
        units = {
            "A_K_UNIT": int(self.first.step == 1 and self.first.line != 1),
            "A_ROW_UNIT": int(self.first.line == 1),
            "B_K_UNIT": int(self.second.step == 1 and self.second.line != 1),
            "B_COLUMN_UNIT": int(self.second.line == 1),
        }
        return macros(self.dtype) | sizes | units

    def places(self) -> dict[str, Any]:
        """Macros that say which operand is the first factor, and where an element belongs."""
        first, second = ("operand_b", "operand_a") if self.swap else ("operand_a", "operand_b")
        place = "column, row" if self.swap else "row, column"
        emit = {"EMIT(value, batch, row, column)": f"EPILOGUE(value, batch, {place})"}
        return {"FIRST": first, "SECOND": second} | emit


def _moved(scalars: tuple[int, ...], offsets: Offsets, by: tuple[int, ...]) -> tuple[int, ...]:
    changed = [*scalars]
    for place, operand in offsets:
        changed[place] += by[operand]
    return tuple(changed)


@functools.cache
def text(*files: str, **defines: Any) -> str:
    """The text of kernels with these macros: plans of the same text share their kernel."""
    return Device.text(*files, **defines)


def lines_of(shape: tuple[int, ...], a: Factor, b: Factor) -> tuple[Lines, Lines]:
    """Both factors along their lines; a stride that is never taken counts as 1."""
    first, second = a.strides, b.strides
    k_is_one = shape[4] == 1
    return (
        Lines(a.offset, first[0], first[1], first[2], 1 if k_is_one else first[3]),
        Lines(b.offset, second[0], second[1], second[3], 1 if k_is_one else second[2]),
    )
