"""The matrix product: which kernel, which tile, how the work is shared; then its launch.

A product is planned for its shape, strides and dtype; what becomes of each of its elements is an
*epilogue*, macros that the caller puts in front of the plan's text:

    EPILOGUE_PARAMETERS                     kernel parameters behind the product's own (", ...")
    EPILOGUE_INIT                           a statement at the kernel's beginning
    EPILOGUE(value, batch, row, column)     a statement for one element of the product

A product with few columns is computed as its transpose, and so is vector by matrix: the first
factor is then B, which has the rows that the work is divided by. "Lines" are the rows of the first
factor and the columns of the second.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.dtype import DType

STORE_EPILOGUE = """\
#define EPILOGUE_PARAMETERS , global S *restrict c, const long c_row, const long c_batch
#define EPILOGUE_INIT
#define EPILOGUE(value, batch, row, column) c[(batch) * c_batch + (row) * c_row + (column)] = value
"""
INT32_LIMIT = 2**31 - 1
# What packing an element costs beside one multiplication: copied, transposed, gathered.
COPY, TRANSPOSE, GATHER = 4, 8, 24


class Factor(NamedTuple):
    """One operand as it lies in memory: strides of batch0, batch1, row, column, in elements."""

    strides: tuple[int, ...]
    offset: int


class Tile(NamedTuple):
    """How a kernel divides a product; the kernels' headers say what each size means."""

    kind: str  # "cpu", "vector" (matrix by vector on a CPU) or "gpu"
    rows: int
    columns: int
    width: int
    depth: int
    block_rows: int
    block_columns: int


class Plan(NamedTuple):
    """A kernel and how to launch it, once its epilogue is known."""

    text: str
    name: str
    size: tuple[int, ...]
    group: tuple[int, ...]
    scalars: tuple[int, ...]  # arguments behind the two operands
    types: tuple[Any, ...]  # of operands (None) and scalars


class _Lines(NamedTuple):
    """One factor, seen along its lines: rows of the first, columns of the second."""

    offset: int
    outer: int
    inner: int
    line: int
    step: int  # along k


@functools.lru_cache(maxsize=4096)
def plan(
    device: Device, dtype: DType, shape: tuple[int, ...], a: Factor, b: Factor, tile: Any = None
) -> Plan:
    """Plan the product of (batch0, batch1, m, n, k); no size is 0. `tile`: one of `candidates`."""
    tile = Tile(*tile) if tile is not None else candidates(device, dtype, shape, a, b)[0]
    batch0, batch1, m, n, k = shape
    swap = _is_swapped(tile, m, n)
    first, second = _lines(shape, a, b)
    if swap:
        m, n, first, second = n, m, second, first
    scalars = (m, n, k, batch1, *first, *second)
    types: tuple[Any, ...] = (None, None) + (np.int64,) * len(scalars)
    flags = (swap, first.step == 1, first.line == 1, second.step == 1, second.line == 1)
    if tile.kind == "gpu":
        reach = max(
            abs(x.line) * tile.block_rows + abs(x.step) * tile.depth for x in (first, second)
        )
        text = _text("matmul_gpu", dtype, tile, flags, reach > INT32_LIMIT)
        group = (tile.block_columns // tile.columns, tile.block_rows // tile.rows)
        count = batch0 * batch1 * -(-m // tile.block_rows) * -(-n // tile.block_columns)
        return Plan(text, "matmul", (count * group[0], group[1]), group, scalars, types)
    cost = (_cost(first, is_first=True), _cost(second, is_first=False))
    rows, columns = _share(m, n, batch0 * batch1, device.cores, tile, cost)
    count = batch0 * batch1 * -(-m // rows) * -(-n // columns)
    text = _text("matmul_cpu", dtype, tile, flags, False)
    types += (np.int32, np.int32)
    return Plan(text, "matmul", (count,), (1,), (*scalars, rows, columns), types)


def candidates(
    device: Device, dtype: DType, shape: tuple[int, ...], a: Factor, b: Factor
) -> list[Tile]:
    """Tiles worth trying for a product, the one to take unless a tuner knows better first."""
    if device.is_cpu:
        return _cpu_tiles(device, dtype, shape, a, b)
    return _gpu_tiles(device, dtype, shape)


def run(
    device: Device,
    planned: Plan,
    a: Any,
    b: Any,
    epilogue: str = STORE_EPILOGUE,
    args: tuple[Any, ...] = (),
    types: tuple[Any, ...] = (None, np.int64, np.int64),
) -> None:
    """Enqueue a planned product of buffers `a` and `b`; `args` go to the epilogue's parameters."""
    kernel = _kernel(device, epilogue, planned.text, planned.name, planned.types + types)
    device.launch(kernel, planned.size, planned.group, a, b, *planned.scalars, *args)


@functools.cache
def _kernel(device: Device, head: str, text: str, name: str, types: tuple[Any, ...]) -> Kernel:
    return device.build(head + text, name, types)


@functools.cache
def _text(file: str, dtype: DType, tile: Tile, flags: tuple[bool, ...], is_far: bool) -> str:
    """The program's text behind its epilogue."""
    swap, a_k, a_row, b_k, b_column = (int(flag) for flag in flags)
    place = "column, row" if swap else "row, column"
    kinds = macros(dtype)
    is_narrow = not dtype.is_floating_point and dtype.itemsize < 4
    defines = {
        **kinds,
        "W": "uint" if is_narrow else kinds["U"],
        "VECTOR": f"{kinds['U']}{tile.width}",
        **{key.upper(): value for key, value in tile._asdict().items() if key != "kind"},
        "IS_VECTOR": int(tile.kind == "vector"),
        "INDEX": "long" if is_far else "int",
        "FIRST": "operand_b" if swap else "operand_a",
        "SECOND": "operand_a" if swap else "operand_b",
        "A_K_UNIT": a_k,
        "A_ROW_UNIT": int(a_row and not a_k),
        "B_K_UNIT": b_k,
        "B_COLUMN_UNIT": b_column,
        "EMIT(value, batch, row, column)": f"EPILOGUE(value, batch, {place})",
    }
    return Device.text(file, **defines)


def _lines(shape: tuple[int, ...], a: Factor, b: Factor) -> tuple[_Lines, _Lines]:
    """Both factors along their lines; a stride that is never taken counts as 1."""
    first, second = a.strides, b.strides
    k_is_one = shape[4] == 1
    return (
        _Lines(a.offset, first[0], first[1], first[2], 1 if k_is_one else first[3]),
        _Lines(b.offset, second[0], second[1], second[3], 1 if k_is_one else second[2]),
    )


def _is_swapped(tile: Tile, m: int, n: int) -> bool:
    """Whether to compute the transpose: kernels divide their work by rows."""
    if tile.kind == "vector":
        return n > 1
    return tile.kind == "cpu" and n <= tile.rows < m


def _cost(factor: _Lines, *, is_first: bool) -> int:
    """What packing one element of a factor costs."""
    if factor.line == 1:
        return COPY
    if factor.step == 1:
        return COPY if is_first else TRANSPOSE
    return GATHER


@functools.lru_cache(maxsize=4096)
def _share(
    m: int, n: int, batches: int, cores: int, tile: Tile, cost: tuple[int, int]
) -> tuple[int, int]:
    """Rows and columns of a work-item's block, such that the slowest core is done first."""
    down, across = -(-m // tile.rows), -(-n // tile.columns)
    best = (float("inf"), 0, 0)
    for row_tiles in _shares(down, tile.block_rows // tile.rows, cores):
        for column_tiles in _shares(across, tile.block_columns // tile.columns, cores):
            rows, columns = row_tiles * tile.rows, column_tiles * tile.columns
            rounds = -(-batches * -(-down // row_tiles) * -(-across // column_tiles) // cores)
            work = (rows + cost[1]) * (columns + cost[0])
            best = min(best, (rounds * work, -rows, -columns))
    return -best[1], -best[2]


def _shares(tiles: int, largest: int, cores: int) -> Iterable[int]:
    """Sizes of equal shares, in tiles, from the largest that is allowed downwards."""
    fewest = -(-tiles // largest)
    return {-(-tiles // parts) for parts in range(fewest, min(tiles, fewest + 4 * cores) + 1)}


def _cpu_tiles(
    device: Device, dtype: DType, shape: tuple[int, ...], a: Factor, b: Factor
) -> list[Tile]:
    """A register tile has as many vectors as there are registers, less those of its operands."""
    native = device.cl_device.native_vector_width_float
    width = max(2, min(16, 4 * max(native, 4) // dtype.itemsize))
    many = native >= 16  # 32 registers
    tiles = [
        Tile("cpu", rows, vectors * width, width, depth, 24 * rows, blocks * vectors * width)
        for rows, vectors, depth, blocks in (
            ((8, 3, 256, 4), (6, 4, 256, 3)) if many else ((6, 2, 256, 8), (4, 2, 384, 8))
        )
    ]
    first, second = _lines(shape, a, b)
    if shape[2] > 1 and shape[3] > 1:
        return tiles
    matrix, vector = (first, second) if shape[3] == 1 else (second, first)
    if matrix.line == 1 or (matrix.step == 1 and vector.step == 1):
        tiles.insert(0, Tile("vector", 4, 1, width, 1, 1024, 1))
    return tiles


def _gpu_tiles(device: Device, dtype: DType, shape: tuple[int, ...]) -> list[Tile]:
    """Large tiles reuse more of what they load, small ones leave no item without work."""
    batches, m, n = shape[0] * shape[1], shape[2], shape[3]
    sizes = [(4, 4, 64, 64), (8, 4, 128, 64), (2, 2, 32, 32), (1, 2, 4, 128), (2, 1, 128, 4)]
    sizes += [(1, 1, 16, 16), (1, 1, 4, 4), (1, 1, 1, 1)]
    tiles = [
        Tile("gpu", rows, columns, 1, 16, block_rows, block_columns)
        for rows, columns, block_rows, block_columns in sizes
        if block_rows // rows * (block_columns // columns) <= device.cl_device.max_work_group_size
        and 16 * (block_rows + block_columns + 2) * max(dtype.itemsize, 4)
        <= device.cl_device.local_mem_size
    ]

    def waste(tile: Tile) -> tuple[bool, float]:
        down, across = -(-m // tile.block_rows), -(-n // tile.block_columns)
        padded = down * tile.block_rows * across * tile.block_columns
        loads = 1 / tile.block_rows + 1 / tile.block_columns
        return batches * down * across < device.cores, padded * (1 + 16 * loads)

    return sorted(tiles, key=waste)
