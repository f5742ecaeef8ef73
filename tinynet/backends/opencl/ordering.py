"""Running results and order: scan and argsort along one dim of contiguous arrays.

Also what whole kernels share: how work is spread over work-items, and how two values combine.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyopencl as cl

from tinynet.backends.opencl.ctypes import computed, macros
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.spec import GROUP
from tinynet.dtype import DType, bfloat16, bool_, float16, float32, float64

LEAST = 4096  # elements for which it pays to wake a thread

SORT_BLOCK = 16  # elements sorted by rank, before runs are merged
MERGE_CHUNK, MERGE_CHUNK_SMALL = 4096, 16  # items a work-item merges: on CPUs, elsewhere
BLOCK_TYPES = (None, None, np.int64, np.int64, np.int64, np.uint64)
MERGE_TYPES = (None, None, *(np.int64,) * 5)
ALL_BITS = (1 << 64) - 1
UNSIGNED = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}
INFINITE = {float16: "0x7c00", bfloat16: "0x7f80", float32: "0x7f800000",
            float64: "0x7ff0000000000000UL"}  # fmt: skip

SCAN_TILE = 16  # adjacent lines that a thread takes together
SCAN_ITEMS, SCAN_LEAST = 1 << 14, 32  # on accelerators: busy work-items, elements of each
SCAN_TYPES = (None, None, None, *(np.int64,) * 6)


def argsort(
    device: Device, keys: cl.Buffer, dtype: DType, lines: int, size: int, descending: bool
) -> Block:
    """int64 indices that sort each of `lines` rows of `size` elements; stable either way.

    NaN is the largest, -0.0 equals 0.0.
    """
    if not lines * size:
        return device.pool.allocate(0)
    order = _sort_blocks(device, keys, dtype, lines, size, descending)
    chunk = MERGE_CHUNK if device.is_cpu else MERGE_CHUNK_SMALL
    units = lines * -(-size // chunk)
    work, group, share = spread(device, units, LEAST // min(size, chunk))
    width = SORT_BLOCK
    while width < size:
        is_last = 2 * width >= size
        runs, order = order, _allocate_pass(device, dtype, lines * size, is_last)
        kernel = device.kernel("sort", "merge_runs", MERGE_TYPES, **_sorting(dtype, is_last))
        sizes = (units, share, size, chunk, width)
        device.launch(kernel, work, group, runs.buffer, order.buffer, *sizes)
        width *= 2
    return order


def _sort_blocks(
    device: Device, keys: cl.Buffer, dtype: DType, lines: int, size: int, descending: bool
) -> Block:
    """The first pass: each SORT_BLOCK elements of a line in order, as items or, if all, indices."""
    is_last = size <= SORT_BLOCK
    units = lines * -(-size // SORT_BLOCK)
    work, group, share = spread(device, units, LEAST // min(size, SORT_BLOCK))
    order = _allocate_pass(device, dtype, lines * size, is_last)
    kernel = device.kernel("sort", "sort_blocks", BLOCK_TYPES, **_sorting(dtype, is_last))
    flip = ALL_BITS if descending else 0
    device.launch(kernel, work, group, keys, order.buffer, units, share, size, flip)
    return order


def _allocate_pass(device: Device, dtype: DType, count: int, is_last: bool) -> Block:
    """Memory for what a pass writes: int64 indices, or items, of 16 bytes where keys have 8."""
    return device.pool.allocate(count * (16 if dtype.itemsize == 8 and not is_last else 8))


@cache
def _sorting(dtype: DType, is_last: bool) -> dict[str, Any]:
    """Macros for a pass of argsort."""
    return {
        "K": UNSIGNED[dtype.itemsize],
        "KIND": {"b": 0, "u": 0, "i": 1, "f": 2}[dtype.kind],
        "INFINITE": INFINITE.get(dtype, "0"),
        "IS_WIDE": int(dtype.itemsize == 8),
        "BLOCK": SORT_BLOCK,
        "LAST": int(is_last),
    }


def scan(
    device: Device, op: str, x: cl.Buffer, dtype: DType, outer: int, size: int, inner: int
) -> Block:
    """Inclusive running `sum`, `prod`, `max` or `min` along the middle dim of (outer, size, inner).

    float16 and bfloat16 run in float32 and are rounded once; sums of float32 run in float64 where
    the device has it, else those of millions drift.
    """
    y = device.pool.allocate(outer * size * inner * dtype.itemsize)
    if not outer * size * inner:
        return y
    plan = _plan_scan(device, op, dtype, outer, size, inner)
    wide = float32 if dtype in (float16, bfloat16) else dtype
    if op == "sum" and dtype is float32 and device.has_fp64:
        wide = float64
    defines = {
        **macros(dtype), **combining(op, dtype), "C": computed(wide), "TILE": plan.tile
    }  # fmt: skip
    carries = x  # which is not read: a kernel object without a buffer cannot be cloned (PoCL)
    if plan.chunks > 1:
        sums = device.pool.allocate(outer * plan.chunks * inner * wide.itemsize)
        kernel = device.kernel("scan", "totals", SCAN_TYPES[1:], **defines)
        device.launch(kernel, plan.work, plan.group, x, sums.buffer, *plan.sizes)
        carries = scan(device, op, sums.buffer, wide, outer, plan.chunks, inner).buffer
    kernel = device.kernel("scan", "scan", SCAN_TYPES, **defines)
    device.launch(kernel, plan.work, plan.group, x, y.buffer, carries, *plan.sizes)
    return y


class _ScanPlan(NamedTuple):
    """How a scan is divided: lines taken together, pieces of a line, the launch, its sizes."""

    tile: int
    chunks: int
    work: tuple[int, ...]
    group: tuple[int, ...]
    sizes: tuple[int, ...]


def _plan_scan(
    device: Device, op: str, dtype: DType, outer: int, size: int, inner: int
) -> _ScanPlan:
    """Whole lines where there are many; else chunks of them, enough to keep the device busy.

    Not for products of floats: a chunk's could overflow where the running one is small.
    """
    tile = SCAN_TILE if device.is_cpu and inner > 1 else 1
    lines = outer * -(-inner // tile)
    length = size
    if op != "prod" or not dtype.is_floating_point:
        wanted, least = (4 * device.cores, LEAST) if device.is_cpu else (SCAN_ITEMS, SCAN_LEAST)
        most = min(size // 2, size * min(tile, inner) // least)
        length = -(-size // max(1, min(wanted // lines, most)))
    chunks = -(-size // length)
    units = lines * chunks
    work, group, share = spread(device, units, LEAST // (length * min(tile, inner)))
    return _ScanPlan(tile, chunks, work, group, (units, share, size, inner, chunks, length))


def spread(device: Device, count: int, least: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """How `count` units of work are shared out: global size, local size, units a work-item.

    On a CPU, a work-item does a row of at least `least` units, for which it pays to wake a thread;
    elsewhere it does one.
    """
    if not device.is_cpu:
        return (-(-count // GROUP) * GROUP,), (GROUP,), 1
    items = max(1, min(4 * device.cores, count // max(1, least)))
    chunk = -(-count // items)
    return (-(-count // chunk),), (1,), chunk


@cache
def combining(op: str, dtype: DType) -> dict[str, str]:
    """The macro COMBINE(a, b): two computed values by `sum`, `prod`, `max` or `min`, as NumPy does.

    NaN is the largest and the smallest, integers wrap, sums of bools are "or", products "and".
    """
    if op in ("max", "min"):
        keeps = "(a) >= (b)" if op == "max" else "(a) <= (b)"
        keeps += " || (a) != (a)" if dtype.is_floating_point else ""
        return {"COMBINE(a, b)": f"({keeps} ? (a) : (b))"}
    if dtype is bool_:
        return {"COMBINE(a, b)": "((a) | (b))" if op == "sum" else "((a) & (b))"}
    sign = "+" if op == "sum" else "*"
    if dtype.is_floating_point:
        return {"COMBINE(a, b)": f"((a) {sign} (b))"}
    return {"COMBINE(a, b)": f"((C)((ulong)(a) {sign} (ulong)(b)))"}
