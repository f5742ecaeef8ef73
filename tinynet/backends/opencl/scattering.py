"""`x[indices] = values` in place, or combined with what is there in index order."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pyopencl as cl
from pyopencl import cltypes

from tinynet.backends.base import PutMode
from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.ordering import LEAST, argsort, combining, spread
from tinynet.dtype import DType, int64

INDEX_TYPES = (None, None, *(np.int64,) * 5, np.int32)
PUT_TYPES = (None, None, None, *(np.int64,) * 6, np.uint32, *(cltypes.long8,) * 3)
SORTED_TYPES = (*(None,) * 4, *(np.int64,) * 6, *(cltypes.long8,) * 3)
COMBINATIONS = {"add": "sum", "mul": "prod", "max": "max", "min": "min"}

MOST_KEPT = 8  # dims that are not indexed, once collapsed
NARROWEST = 64  # elements of an update that a thread takes at least
UNITS_SMALL = 1 << 13  # units of work that keep an accelerator busy
MANY = 512  # updates that an accelerator sorts sooner than each of its items looks at all

Indexed = tuple[cl.Buffer, int, int]  # int64 indices, the dim's size and its stride in the target
Kept = tuple[int, int, int]  # size of a dim, its stride in the target and in the values


def put(
    device: Device,
    target: cl.Buffer,
    dtype: DType,
    offset: int,
    indexed: list[Indexed],
    n: int,
    kept: list[Kept],
    values: cl.Buffer,
    step: int,
    mode: PutMode,
) -> None:
    """Apply `n` updates in order, each to the `kept` dims at one index along the `indexed` dims.

    The values of update u begin at `u * step`. Negative indices count from the end; all are in
    range. `target` and `values` are different memory.
    """
    kept = collapse(kept)
    inner = prod(size for size, _, _ in kept)
    if not n * inner:
        return
    offsets = _find_offsets(device, offset, indexed, n)
    combined = {"IS_SET": 1} if mode == "set" else combining(COMBINATIONS[mode], dtype)
    defines = {**macros(dtype), **combined, "KEPT": len(kept)}
    if n > MANY and not device.is_cpu:
        order = argsort(device, offsets.buffer, int64, 1, n, False)
        kernel = device.kernel("put", "put_sorted", SORTED_TYPES, **defines)
        size, group, share = spread(device, n * inner, 1)
        device.launch(
            kernel, size, group, target, values, offsets.buffer, order.buffer,
            n * inner, share, n, step, inner, 1, *_vectors(kept),
        )  # fmt: skip
        return
    places = prod(size for _, size, _ in indexed)
    width, parts = _split(device, n, inner, places)
    units = -(-inner // width) * parts
    size, group, share = spread(device, units, 1)
    kernel = device.kernel("put", "put", PUT_TYPES, **defines)
    sizes = (units, share, n, step, inner, width, parts)
    device.launch(kernel, size, group, target, values, offsets.buffer, *sizes, *_vectors(kept))


def collapse(kept: list[Kept]) -> list[Kept]:
    """Fewer dims that mean the same places in the same order; at least one."""
    result: list[Kept] = []
    for size, to, from_ in kept:
        if size == 1:
            continue
        if result:
            outer, outer_to, outer_from = result[-1]
            if outer_to == size * to and outer_from == size * from_:
                result[-1] = (outer * size, to, from_)
                continue
        result.append((size, to, from_))
    return result or [(1, 0, 0)]


def _find_offsets(device: Device, offset: int, indexed: list[Indexed], n: int) -> Block:
    """Where in the target each update begins."""
    offsets = device.pool.allocate(8 * n)
    kernel = device.kernel("put", "add_index", INDEX_TYPES)
    work, group, share = spread(device, n, LEAST)
    for i, (index, size, stride) in enumerate(indexed):
        sizes = (n, share, size, stride, offset, int(i == 0))
        device.launch(kernel, work, group, offsets.buffer, index, *sizes)
    return offsets


def _split(device: Device, n: int, inner: int, places: int) -> tuple[int, int]:
    """How many elements of an update a unit takes, and in how many parts places are divided."""
    if not device.is_cpu:
        return 1, max(1, min(places, n, UNITS_SMALL // inner))
    if inner < 8 or n * inner < LEAST:
        return inner, 1
    wanted = 2 * device.cores
    pieces = max(1, min(wanted, inner // NARROWEST))
    return -(-inner // pieces), max(1, min(places, n, wanted // pieces))


def _vectors(kept: list[Kept]) -> Any:
    """Sizes, strides in the target and strides in the values, each as a long8."""
    table = np.zeros((3, MOST_KEPT), np.int64)
    table[:, : len(kept)] = np.transpose(kept)
    return table.view(cltypes.long8)[:, 0]
