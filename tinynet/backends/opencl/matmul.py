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
import time
from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.dtype import DType

STORE_EPILOGUE = """\
#define EPILOGUE_PARAMETERS , global S *restrict c, const long c_row, const long c_batch
#define EPILOGUE_INIT
#define EPILOGUE(value, batch, row, column) c[(batch) * c_batch + (row) * c_row + (column)] = value
"""
PACKED_WORK = 2**26  # m * n * k from which packing beforehand pays
CACHED = 320 * 1024  # bytes of the second factor that one work-item may hold
PACKED_LINES = 96  # lines that one work-item packs
# What packing an element costs beside one multiplication: copied, transposed, gathered.
COPY, TRANSPOSE, GATHER = 10, 12, 24
# Of accelerators: rows and columns of an item, and of a group; then what loading an element costs
# beside one multiplication, items that keep a core busy, the most that it has at a time, and after
# how many rounds the last one does not matter.
GROUP_TILES = [
    (8, 4, 128, 64), (8, 4, 128, 32), (4, 8, 32, 128), (4, 4, 64, 64), (4, 4, 32, 32),
    (2, 2, 32, 32), (1, 2, 4, 128), (2, 1, 128, 4), (1, 1, 16, 16), (1, 1, 4, 4), (1, 1, 1, 1),
]  # fmt: skip
LOAD, BUSY, MOST_ITEMS, FEW_ROUNDS = 30, 128, 1024, 4


class Factor(NamedTuple):
    """One operand as it lies in memory: strides of batch0, batch1, row, column, in elements."""

    strides: tuple[int, ...]
    offset: int


class Tile(NamedTuple):
    """How a kernel divides a product; the kernels' headers say what each size means."""

    kind: str  # "gpu", "cpu", "packed" (for large products) or "vector" (one dim is 1) on a CPU
    rows: int
    columns: int
    width: int
    depth: int
    block_rows: int
    block_columns: int


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


class Plan(NamedTuple):
    """A kernel and how to launch it, once its epilogue is known."""

    text: str
    name: str
    size: tuple[int, ...]
    group: tuple[int, ...]
    scalars: tuple[int, ...]  # arguments behind the two operands
    types: tuple[Any, ...]  # of operands (None) and scalars
    packs: tuple[Pack, ...] = ()  # to be run before


@functools.lru_cache(maxsize=4096)
def plan(
    device: Device,
    dtype: DType,
    shape: tuple[int, ...],
    a: Factor,
    b: Factor,
    tile: tuple[Any, ...] | None = None,
    may_pack: bool = False,
) -> Plan:
    """Plan the product of (batch0, batch1, m, n, k); no size is 0. `tile`: one of `candidates`.

    `may_pack`: whether the caller heeds `Plan.packs`, which large products want.
    """
    if tile is None:
        tile = candidates(device, dtype, shape, a, b, may_pack)[0]
    chosen = Tile(*tile)
    _, _, m, n, _ = shape
    swap = _is_swapped(chosen, m, n)
    first, second = _lines(shape, a, b)
    problem = _Problem(dtype, chosen, swap, shape[:2], m, n, shape[4], first, second)
    if swap:
        problem = problem._replace(m=n, n=m, first=second, second=first)
    if chosen.kind == "gpu":
        return _plan_gpu(problem)
    return _plan_cpu(problem, device.cores)


def candidates(
    device: Device,
    dtype: DType,
    shape: tuple[int, ...],
    a: Factor,
    b: Factor,
    may_pack: bool = False,
) -> list[Tile]:
    """Tiles worth trying for a product, the one to take unless a tuner knows better first."""
    if not device.is_cpu:
        return _gpu_tiles(device, dtype, shape)
    tiles = _cpu_tiles(device, dtype, shape, a, b)
    return tiles if may_pack else [tile for tile in tiles if tile.kind != "packed"]


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
    factors, _scratch = pack(device, planned, a, b)  # goes back to the pool once all is enqueued
    ready = kernel(device, epilogue, planned, types)
    device.launch(ready, planned.size, planned.group, *factors, *planned.scalars, *args)


def pack(device: Device, planned: Plan, a: Any, b: Any) -> tuple[list[Any], list[Block]]:
    """Enqueue what a plan packs: the buffers its kernel takes, and the blocks that own them."""
    factors, scratch = [a, b], []
    for task in planned.packs:
        block = device.pool.allocate(task.nbytes)
        ready = _build(device, "", task.text, task.name, task.types)
        operands = [factors[i] for i in task.operands]
        device.launch(ready, task.size, task.group, *operands, block.buffer, *task.scalars)
        factors[task.result] = block.buffer
        scratch.append(block)
    return factors, scratch


def measure(
    device: Device,
    dtype: DType,
    shape: tuple[int, ...],
    factors: list[Factor],
    operands: tuple[Any, ...],
    tile: Any,
) -> float:
    """Seconds that a product takes with `tile`; `operands` are views whose values are in memory."""
    batches, m, n = shape[0] * shape[1], shape[2], shape[3]
    planned = plan(device, dtype, shape, *factors, tile)
    product = device.pool.allocate(batches * m * n * dtype.itemsize)
    a, b = (operand.value.block.buffer for operand in operands)
    device.queue.finish()
    start = time.perf_counter()
    run(device, planned, a, b, args=(product.buffer, n, m * n))
    device.queue.finish()
    return time.perf_counter() - start


@functools.cache
def kernel(device: Device, epilogue: str, planned: Plan, types: tuple[Any, ...]) -> Kernel:
    """The compiled kernel of a plan with an epilogue, whose parameters have these types."""
    return _build(device, epilogue, planned.text, planned.name, planned.types + types)


@functools.cache
def _build(device: Device, head: str, text: str, name: str, types: tuple[Any, ...]) -> Kernel:
    return device.build(head + text, name, types)


class _Lines(NamedTuple):
    """A factor along its lines, the rows of the first and the columns of the second."""

    offset: int
    outer: int  # strides of the batch dims
    inner: int
    line: int
    step: int  # along k


class _Problem(NamedTuple):
    """What is to be planned, transposed where that is better."""

    dtype: DType
    tile: Tile
    swap: bool
    batches: tuple[int, ...]
    m: int
    n: int
    k: int
    first: _Lines
    second: _Lines

    def scalars(self, first: _Lines, second: _Lines) -> tuple[int, ...]:
        """Arguments that all kernels have."""
        return (self.m, self.n, self.k, self.batches[1], *first, *second)

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


def _plan_gpu(problem: _Problem) -> Plan:
    """A group of work-items for each block of the product."""
    tile, dtype, first, second = problem.tile, problem.dtype, problem.first, problem.second
    reach = max(abs(x.line) * tile.block_rows + abs(x.step) * tile.depth for x in (first, second))
    is_narrow = not dtype.is_floating_point and dtype.itemsize < 4
    defines = problem.defines() | problem.places()
    defines["W"] = "uint" if is_narrow else defines["U"]
    defines["INDEX"] = "int" if reach < 2**31 else "long"
    group = (tile.block_columns // tile.columns, tile.block_rows // tile.rows)
    count = prod(problem.batches) * -(-problem.m // tile.block_rows)
    count *= -(-problem.n // tile.block_columns)
    scalars = problem.scalars(first, second)
    return Plan(
        _text("tiles_gpu", "matmul_gpu", **defines),
        "matmul",
        (count * group[0], group[1]),
        group,
        scalars,
        (None, None, *[np.int64] * len(scalars)),
    )


def _plan_cpu(problem: _Problem, cores: int) -> Plan:
    """A work-item for each block of the product; where `tile` says so, factors packed before."""
    _, tile, _, batches, m, n, k, first, second = problem
    is_packed = tile.kind == "packed"
    cost = (0, 0) if is_packed else (_cost(first), _cost(second))
    count = prod(batches)
    deep = _deep(k, tile)
    widest = max(tile.columns, min(tile.block_columns, CACHED // (deep * problem.dtype.itemsize)))
    rows, columns = _share(m, n, count, cores, tile._replace(block_columns=widest), cost)
    defines = problem.defines()
    defines |= {"VECTOR": f"{defines['U']}{tile.width}", "IS_PACKED": int(is_packed)}
    packs: tuple[Pack, ...] = ()
    if is_packed:
        rows_pack, first = _pack(problem, first, defines | {"TASK": "PACK_ROWS"}, deep)
        columns_pack, second = _pack(problem, second, defines | {"TASK": "PACK_COLUMNS"}, deep)
        packs = (rows_pack, columns_pack)
        defines |= dict.fromkeys(("A_K_UNIT", "A_ROW_UNIT", "B_K_UNIT", "B_COLUMN_UNIT"), 0)
    defines |= problem.places() | {"TASK": "MATVEC" if tile.kind == "vector" else "MATMUL"}
    scalars = problem.scalars(first, second)
    types = (None, None, *[np.int64] * len(scalars), np.int32, np.int32, np.int32)
    return Plan(
        _text("vectors_cpu", "matmul_cpu", **defines),
        "matmul",
        (count * -(-m // rows) * -(-n // columns),),
        (1,),
        (*scalars, rows, columns, deep),
        types,
        packs,
    )


def _pack(
    problem: _Problem, factor: _Lines, defines: dict[str, Any], deep: int
) -> tuple[Pack, _Lines]:
    """How to pack a factor, and the factor that results."""
    tile, k = problem.tile, problem.k
    is_first = defines["TASK"] == "PACK_ROWS"
    count, lines = (problem.m, tile.rows) if is_first else (problem.n, tile.columns)
    outer = problem.batches[0] if factor.outer else 1  # a broadcast factor is packed once
    inner = problem.batches[1] if factor.inner else 1
    size = lines * (tile.depth + -(-tile.width // lines))
    parts = -(-k // deep)
    batch = parts * -(-count // lines) * size
    packed = _Lines(0, inner * batch if outer > 1 else 0, batch if inner > 1 else 0, 0, 0)
    block = -(-PACKED_LINES // lines) * lines
    operand = int(is_first == problem.swap)
    pack = Pack(
        (operand,),
        operand,
        outer * inner * batch * problem.dtype.itemsize,
        _text("vectors_cpu", "matmul_cpu", **defines),
        "pack",
        (outer * inner * parts * -(-count // block),),
        (1,),
        (count, k, inner, *factor, block, deep),
        (None, None, *[np.int64] * 8, np.int32, np.int32),
    )
    return pack, packed


@functools.cache
def _text(*files: str, **defines: Any) -> str:
    return Device.text(*files, **defines)


def _deep(k: int, tile: Tile) -> int:
    """How much of k to take at a time: equal parts, the last a little shorter."""
    part = -(-k // -(-k // tile.depth))
    return min(tile.depth, -(-part // tile.width) * tile.width)


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
    return tile.kind != "gpu" and n <= tile.rows < m


def _cost(factor: _Lines) -> int:
    """What packing one element of a factor costs."""
    if factor.line == 1:
        return COPY
    if factor.step == 1:
        return TRANSPOSE
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
    # 32 registers with AVX-512, 16 without
    registers = ((8, 3), (6, 4)) if native >= 16 else ((6, 2), (4, 3))
    tiles = [
        Tile(kind, rows, vectors * width, width, depth, block_rows, block_columns)
        for rows, vectors in registers
        for kind, depth, block_rows, block_columns in (
            ("cpu", 320, 24 * rows, 400 // (vectors * width) * vectors * width),
            ("packed", 256, 16 * rows, 128 // (vectors * width) * vectors * width),
        )
    ]
    _, _, m, n, k = shape
    if min(m, n) >= 192 and m * n * k >= PACKED_WORK:
        tiles.sort(key=lambda tile: tile.kind != "packed")
    first, second = _lines(shape, a, b)
    if shape[2] > 1 and shape[3] > 1:
        return tiles
    matrix, vector = (first, second) if shape[3] == 1 else (second, first)
    if matrix.line == 1 or (matrix.step == 1 and vector.step == 1):
        tiles.insert(0, Tile("vector", 4, 1, width, 1, 1024, 1))
    return tiles


def _gpu_tiles(device: Device, dtype: DType, shape: tuple[int, ...]) -> list[Tile]:
    """Tiles that the device has room for, the one likely to be fastest first."""
    batches, m, n = shape[0] * shape[1], shape[2], shape[3]
    tiles = [
        Tile("gpu", rows, columns, 1, 16, block_rows, block_columns)
        for rows, columns, block_rows, block_columns in GROUP_TILES
        if block_rows // rows * (block_columns // columns) <= device.cl_device.max_work_group_size
        and 16 * (block_rows + block_columns + 8) * max(dtype.itemsize, 4)
        <= device.cl_device.local_mem_size
    ]

    def cost(tile: Tile) -> float:
        blocks = batches * -(-m // tile.block_rows) * -(-n // tile.block_columns)
        return group_cost(tile, blocks, device.cores)

    return sorted(tiles, key=cost)


def group_cost(tile: Any, blocks: int, cores: int, parts: int = 1) -> float:
    """How long groups of work-items take for each step of a product, but for a factor.

    Large tiles reuse more of what they load, small ones leave no core without work. `parts`: in how
    many groups each block can be cut. The numbers were fitted to times on an H100: of 48 products
    and convolutions, the tiles so chosen take 1.02 times the best one's, at most 1.2 times.
    """
    size, lines = tile.block_rows * tile.block_columns, tile.block_rows + tile.block_columns
    items = size // (tile.rows * tile.columns)
    rounds = max(blocks / cores, 1 / parts)
    if parts == 1 and rounds < FEW_ROUNDS:
        rounds = -(-blocks // cores)
    busy = min(max(rounds, 1), MOST_ITEMS / items) * items
    work = size * (1 + 0.5 / tile.rows + 0.5 / tile.columns) + LOAD * lines
    return float(rounds * work * max(1, BUSY / busy))
