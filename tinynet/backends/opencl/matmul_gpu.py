"""The matrix product on accelerators: a group of work-items for each block of it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.products import Plan, Problem, Tile, text
from tinynet.dtype import DType

# Of accelerators: rows and columns of an item, and of a group; then what loading an element costs
# beside one multiplication, items that keep a core busy, the most that it has at a time, and after
# how many rounds the last one does not matter.
GROUP_TILES = [
    (8, 4, 128, 64), (8, 4, 128, 32), (4, 8, 32, 128), (4, 4, 64, 64), (4, 4, 32, 32),
    (2, 2, 32, 32), (1, 2, 4, 128), (2, 1, 128, 4), (1, 1, 16, 16), (1, 1, 4, 4), (1, 1, 1, 1),
]  # fmt: skip
LOAD, BUSY, MOST_ITEMS, FEW_ROUNDS = 30, 128, 1024, 4


def plan(problem: Problem) -> Plan:
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
        text("tiles_gpu", "matmul_gpu", **defines),
        "matmul",
        (count * group[0], group[1]),
        group,
        scalars,
        (None, None, *[np.int64] * len(scalars)),
        offsets=problem.offsets(),
    )


def tiles(device: Device, dtype: DType, shape: tuple[int, ...]) -> list[Tile]:
    """Tiles that the device has room for, the one likely to be fastest first."""
    batches, m, n = shape[0] * shape[1], shape[2], shape[3]
    fitting = [
        Tile("gpu", rows, columns, 1, 16, block_rows, block_columns)
        for rows, columns, block_rows, block_columns in GROUP_TILES
        if block_rows // rows * (block_columns // columns) <= device.cl_device.max_work_group_size
        and 16 * (block_rows + block_columns + 8) * max(dtype.itemsize, 4)
        <= device.cl_device.local_mem_size
    ]

    def cost(tile: Tile) -> float:
        blocks = batches * -(-m // tile.block_rows) * -(-n // tile.block_columns)
        return group_cost(tile, blocks, device.cores)

    return sorted(fitting, key=cost)


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
