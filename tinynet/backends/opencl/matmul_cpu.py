"""The matrix product on CPUs: a work-item, that is a thread, for each block of it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.products import (
    Factor,
    Lines,
    Pack,
    Plan,
    Problem,
    Tile,
    lines_of,
    text,
)
from tinynet.dtype import DType

PACKED_WORK = 2**26  # m * n * k from which packing beforehand pays
CACHED = 320 * 1024  # bytes of the second factor that one work-item may hold
PACKED_LINES = 96  # lines that one work-item packs
ALIASED = 512  # bytes; lines that are multiples of this apart share few sets of a cache
FEW = 32  # rows or columns at most for dot products
FEW_TILES = 5  # of rows, for which the second factor is not worth a copy
# What packing an element costs beside one multiplication: copied, transposed, gathered.
COPY, TRANSPOSE, GATHER = 10, 12, 24
ITEM = 12_000  # what to begin a work-item costs, in multiplications


def plan(problem: Problem, cores: int) -> Plan:
    """A work-item for each block of the product; where `tile` says so, factors packed before."""
    _, tile, _, batches, m, n, k, first, second = problem
    is_packed = tile.kind == "packed"
    a_lies, b_lies = _in_place(problem)
    is_there = tile.kind != "cpu"
    cost = (_cost(first, is_there or a_lies), _cost(second, is_there or b_lies))
    count = prod(batches)
    deep = _deep(k, tile)
    widest = max(tile.columns, min(tile.block_columns, CACHED // (deep * problem.dtype.itemsize)))
    shared = tile._replace(block_columns=widest)
    rows, columns = _share(m, n, count, cores, shared, cost, ITEM // k)
    defines = problem.defines()
    defines |= {"VECTOR": f"{defines['U']}{tile.width}", "IS_PACKED": int(is_packed)}
    defines |= {"A_IN_PLACE": int(a_lies), "B_IN_PLACE": int(b_lies)}
    packs: list[Pack] = []
    if is_packed and not a_lies:
        pack, first = _pack(problem, first, defines | {"TASK": "PACK_ROWS"}, deep)
        packs.append(pack)
    if is_packed:
        pack, second = _pack(problem, second, defines | {"TASK": "PACK_COLUMNS"}, deep)
        packs.append(pack)
        defines |= dict.fromkeys(("A_K_UNIT", "A_ROW_UNIT", "B_K_UNIT", "B_COLUMN_UNIT"), 0)
    defines |= problem.places() | {"TASK": _task(problem)}
    scalars = problem.scalars(first, second)
    types = (None, None, *[np.int64] * len(scalars), np.int32, np.int32, np.int32)
    return Plan(
        text("vectors_cpu", "matmul_cpu", **defines),
        "matmul",
        (count * -(-m // rows) * -(-n // columns),),
        (1,),
        (*scalars, rows, columns, deep),
        types,
        tuple(packs),
        problem.offsets(not is_packed or a_lies, not is_packed),
    )


def _task(problem: Problem) -> str:
    """The kernel that does it."""
    if problem.tile.kind == "vector" and problem.first.line == 1:
        return "MATVEC"
    return "DOTS" if problem.tile.kind in ("vector", "dots") else "MATMUL"


def _in_place(problem: Problem) -> tuple[bool, bool]:
    """Which factors are not copied, but read where they lie.

    Rows of the first are numbers one after another. Columns of the second are vectors, which must
    not meet in the same few sets of the cache, unless there are so few rows that a copy costs more.
    """
    tile, first, second = problem.tile, problem.first, problem.second
    a_lies = first.step == 1 and first.line != 1
    if tile.kind == "packed":  # of many rows, which must not meet in few sets either
        return a_lies and first.line * problem.dtype.itemsize % (8 * ALIASED) != 0, False
    if tile.kind != "cpu":
        return False, False
    is_far = second.step * problem.dtype.itemsize % ALIASED == 0
    columns_fit = second.line == 1 and problem.n % tile.columns == 0
    few = problem.m <= FEW_TILES * tile.rows
    return a_lies, columns_fit and (few or not is_far)


def _pack(
    problem: Problem, factor: Lines, defines: dict[str, Any], deep: int
) -> tuple[Pack, Lines]:
    """How to pack a factor, and the factor that results."""
    tile, k = problem.tile, problem.k
    is_first = defines["TASK"] == "PACK_ROWS"
    count, lines = (problem.m, tile.rows) if is_first else (problem.n, tile.columns)
    outer = problem.batches[0] if factor.outer else 1  # a broadcast factor is packed once
    inner = problem.batches[1] if factor.inner else 1
    size = lines * (tile.depth + -(-tile.width // lines))
    parts = -(-k // deep)
    batch = parts * -(-count // lines) * size
    packed = Lines(0, inner * batch if outer > 1 else 0, batch if inner > 1 else 0, 0, 0)
    block = -(-PACKED_LINES // lines) * lines
    operand = int(is_first == problem.swap)
    pack = Pack(
        (operand,),
        operand,
        outer * inner * batch * problem.dtype.itemsize,
        text("vectors_cpu", "matmul_cpu", **defines),
        "pack",
        (outer * inner * parts * -(-count // block),),
        (1,),
        (count, k, inner, *factor, block, deep),
        (None, None, *[np.int64] * 8, np.int32, np.int32),
        ((3, operand),),
    )
    return pack, packed


def tiles(device: Device, dtype: DType, shape: tuple[int, ...], a: Factor, b: Factor) -> list[Tile]:
    """A register tile has as many vectors as there are registers, less those of its operands."""
    native = device.cl_device.native_vector_width_float
    width = max(2, min(16, 4 * max(native, 4) // dtype.itemsize))
    # 32 registers with AVX-512, 16 without
    registers = ((8, 3), (6, 4)) if native >= 16 else ((6, 2), (4, 3))
    worth = [
        Tile(kind, rows, vectors * width, width, depth, block_rows, block_columns)
        for rows, vectors in registers
        for kind, depth, block_rows, block_columns in (
            ("cpu", 320, 24 * rows, 400 // (vectors * width) * vectors * width),
            ("packed", 256, 16 * rows, 128 // (vectors * width) * vectors * width),
        )
    ]
    _, _, m, n, k = shape
    if min(m, n) >= 192 and m * n * k >= PACKED_WORK:
        worth.sort(key=lambda tile: tile.kind != "packed")
    first, second = lines_of(shape, a, b)
    if m > 1 and n > 1:
        few = min(m, n)
        is_long = k >= max(32 * width, 12 * few)  # sums over lanes are a small part then
        if first.step == second.step == 1 and few <= FEW and is_long:
            worth.insert(0, _dots(m, n, width, 32 if native >= 16 else 16))
        return worth
    matrix, vector = (first, second) if shape[3] == 1 else (second, first)
    if matrix.line == 1 or (matrix.step == 1 and vector.step == 1):
        worth.insert(0, Tile("vector", 4, 1, width, 1, 1024, 1))
    return worth


def _dots(m: int, n: int, width: int, registers: int) -> Tile:
    """Vectors along k: as many sums as registers hold beside what they are made of."""
    rows, columns = (2, 4) if m == 2 else (4, 2) if n == 2 else (6, 4) if registers > 16 else (4, 3)
    return Tile("dots", rows, columns, width, 1, 256 * rows, 256 * columns)


def _deep(k: int, tile: Tile) -> int:
    """How much of k to take at a time: equal parts, the last a little shorter."""
    part = -(-k // -(-k // tile.depth))
    return min(tile.depth, -(-part // tile.width) * tile.width)


def _cost(factor: Lines, is_there: bool) -> int:
    """What packing one element of a factor costs, unless it is there to be read."""
    if is_there:
        return 0
    if factor.line == 1:
        return COPY
    if factor.step == 1:
        return TRANSPOSE
    return GATHER


@functools.lru_cache(maxsize=4096)
def _share(
    m: int, n: int, batches: int, cores: int, tile: Tile, cost: tuple[int, int], item: int
) -> tuple[int, int]:
    """Rows and columns of a work-item's block, such that the slowest core is done first."""
    down, across = -(-m // tile.rows), -(-n // tile.columns)
    best = (float("inf"), 0, 0)
    for row_tiles in _shares(down, tile.block_rows // tile.rows, cores):
        for column_tiles in _shares(across, tile.block_columns // tile.columns, cores):
            rows, columns = row_tiles * tile.rows, column_tiles * tile.columns
            rounds = -(-batches * -(-down // row_tiles) * -(-across // column_tiles) // cores)
            work = (rows + cost[1]) * (columns + cost[0]) + item
            best = min(best, (rounds * work, -rows, -columns))
    return -best[1], -best[2]


def _shares(tiles: int, largest: int, cores: int) -> Iterable[int]:
    """Sizes of equal shares, in tiles, from the largest that is allowed downwards."""
    fewest = -(-tiles // largest)
    return {-(-tiles // parts) for parts in range(fewest, min(tiles, fewest + 4 * cores) + 1)}
