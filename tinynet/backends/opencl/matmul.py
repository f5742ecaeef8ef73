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
from typing import Any

import numpy as np

from tinynet.backends.opencl import matmul_cpu, matmul_gpu
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.products import Factor, Plan, Problem, Tile, lines_of
from tinynet.dtype import DType

STORE_EPILOGUE = """\
#define EPILOGUE_PARAMETERS , global S *restrict c, const long c_row, const long c_batch
#define EPILOGUE_INIT
#define EPILOGUE(value, batch, row, column) c[(batch) * c_batch + (row) * c_row + (column)] = value
"""


@functools.lru_cache(maxsize=4096)
def plan(
    device: Device,
    dtype: DType,
    shape: tuple[int, ...],
    a: Factor,
    b: Factor,
    tile: tuple[Any, ...],
) -> Plan:
    """Plan the product of (batch0, batch1, m, n, k); no size is 0. `tile`: one of `candidates`."""
    chosen = Tile(*tile)
    _, _, m, n, _ = shape
    swap = _is_swapped(chosen, m, n)
    first, second = lines_of(shape, a, b)
    problem = Problem(dtype, chosen, swap, shape[:2], m, n, shape[4], first, second)
    if swap:
        problem = problem._replace(m=n, n=m, first=second, second=first)
    if chosen.kind == "gpu":
        return matmul_gpu.plan(problem)
    return matmul_cpu.plan(problem, device.cores)


def candidates(
    device: Device, dtype: DType, shape: tuple[int, ...], a: Factor, b: Factor
) -> list[Tile]:
    """Tiles worth trying for a product, the one to take unless a tuner knows better first."""
    if not device.is_cpu:
        return matmul_gpu.tiles(device, dtype, shape)
    return matmul_cpu.tiles(device, dtype, shape, a, b)


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
    device.finish()
    start = time.perf_counter()
    run(device, planned, a, b, args=(product.buffer, n, m * n))
    device.finish()
    return time.perf_counter() - start


def kernel(device: Device, epilogue: str, planned: Plan, types: tuple[Any, ...]) -> Kernel:
    """The compiled kernel of a plan with an epilogue, whose parameters have these types."""
    return _build(device, epilogue, planned.text, planned.name, planned.types + types)


@functools.cache
def _build(device: Device, head: str, text: str, name: str, types: tuple[Any, ...]) -> Kernel:
    return device.build(head + text, name, types)


def _is_swapped(tile: Tile, m: int, n: int) -> bool:
    """Whether to compute the transpose: kernels divide their work by rows."""
    if tile.kind == "vector":
        return n > 1
    return tile.kind in ("cpu", "packed") and n <= tile.rows < m
