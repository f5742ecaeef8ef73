"""Convolutions on a GPU: which kernel, which tile, how the work is shared.

All three are matrix products of which the kernel gathers one factor; its header says how.
"""

from __future__ import annotations

import functools
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.opencl.convolution import Operand, Problem, Sizes, Task, problem
from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.matmul_gpu import group_cost
from tinynet.backends.opencl.products import Pack, Plan
from tinynet.dtype import DType

FEW_ROWS = 8  # of a group with one channel, which share too little for a tile
GROUPS = 4  # of items for each core: others work while some wait for memory
LEAST_STEPS = 256  # in a part of a sum
FEW_ITEMS = 64  # in a group, for a core that computes in step what so many items do
ITEMS = 256  # in a group that could have any size


class Tile(NamedTuple):
    """What a group of items computes, and what one of them does; `depth` steps at a time."""

    rows: int
    columns: int
    depth: int
    block_rows: int
    block_columns: int

    @property
    def group(self) -> Sizes:
        """How many items work on it."""
        return self.block_columns // self.columns, self.block_rows // self.rows


TILES = [
    Tile(8, 4, 16, 64, 128), Tile(8, 4, 16, 64, 64), Tile(8, 4, 16, 32, 128),
    Tile(4, 4, 16, 64, 64), Tile(4, 4, 16, 32, 64), Tile(4, 4, 16, 64, 32),
    Tile(4, 4, 16, 16, 128), Tile(2, 4, 16, 8, 128), Tile(2, 2, 16, 32, 32),
    Tile(2, 2, 16, 4, 128), Tile(1, 1, 16, 16, 16), Tile(1, 1, 16, 4, 4), Tile(1, 1, 1, 1, 1),
]  # fmt: skip


class Digits(NamedTuple):
    """How columns or steps are counted: an outer digit, and one for each spatial dim."""

    outer: int  # how many images or channels
    sizes: Sizes
    stride: int  # of the outer digit, in the memory of what is gathered
    pace: Sizes  # of the others, in its coordinates

    @property
    def total(self) -> int:
        return self.outer * prod(self.sizes)


OFFSETS = ((2, 0), (10, 1))  # where `Product.scalars` has those of both operands


class Product(NamedTuple):
    """A convolution as a matrix product for each group of channels.

    Of a transpose, `columns` are those of a phase (the largest), places that have the same residues
    modulo `phases`; taps of a phase are `apart` from each other.
    """

    groups: int
    rows: int
    columns: Digits
    steps: Digits
    x: Operand  # what is gathered
    x_group: int  # the stride of groups of channels
    w: Operand
    w_strides: Sizes  # of groups, rows, the outer digit of steps
    padding: Sizes
    phases: Sizes
    dilation: Sizes
    apart: Sizes
    output: Sizes  # spatial sizes of the result
    kind: str

    def scalars(self, share: int) -> tuple[int, ...]:
        """The kernel's GEOMETRY; `share`: the steps that a part has. `OFFSETS` depends on it."""
        x, w, columns, steps = self.x, self.w, self.columns, self.steps
        return (
            self.groups, self.rows, x.offset, self.x_group, *x.shape[2:], *x.strides[2:],
            w.offset, *self.w_strides, *w.strides[2:],
            columns.outer, *columns.sizes, columns.stride, *columns.pace,
            steps.outer, *steps.sizes, steps.stride, *steps.pace,
            *self.padding, *self.phases, *self.dilation, *self.apart, *self.output, share,
        )  # fmt: skip

    @property
    def elements(self) -> int:
        """How many the result has."""
        return self.groups * self.rows * self.columns.total * prod(self.phases)

    def index_type(self, parts: int) -> str:
        """The type that all addresses and numbers fit: divisions of int take a fraction of long's.

        The kernel computes addresses of places that are outside, too.
        """
        columns, steps, sizes = self.columns, self.steps, self.x.shape[2:]
        reach = [
            n * a + m * abs(b) + p + size
            for n, a, m, b, p, size in zip(
                columns.sizes, columns.pace, steps.sizes, steps.pace, self.padding, sizes,
                strict=True,
            )
        ]  # fmt: skip
        x = sum([n * abs(s) for n, s in zip(reach, self.x.strides[2:], strict=True)])
        x += columns.outer * abs(columns.stride) + steps.outer * abs(steps.stride)
        w = sum([n * abs(s) for n, s in zip(self.w.shape, self.w.strides, strict=True)])
        numbers = self.elements * parts + 2**16, steps.total + 2**16
        return "int" if max(x, w, *numbers) < 2**31 else "long"


@functools.lru_cache(maxsize=4096)
def plan(
    device: Device, dtype: DType, task: Task, first: Operand, second: Operand,
    tile: tuple[int, ...] | None = None,
) -> Plan:  # fmt: skip
    """Plan a convolution of two operands, in the order of the backend's primitives.

    No size is 0. `tile`: one of `candidates`; without, the likely best, or a kernel without tiles
    where that is better.
    """
    product = as_product(problem(device, dtype, task, first, second))
    if tile is None and is_direct(product):
        return _plan_direct(device, dtype, product)
    chosen = candidates(device, dtype, product)[0] if tile is None else Tile(*tile)
    return _plan_tiles(device, dtype, product, chosen)


def as_product(problem: Problem) -> Product:
    """The matrix product that a convolution is."""
    _, _, kind, windows, groups, first, second = problem
    images, channels = first.shape[0], first.shape[1] // groups
    image, channel = first.strides[:2]
    outer, inner = second.strides[:2]
    ones = (1, 1, 1)
    phases: Sizes = ones
    apart: Sizes = ones
    columns = Digits(images, windows.output, image, windows.stride)
    steps = Digits(channels, windows.kernel, channel, windows.dilation)
    rows = second.shape[0] // groups
    w_strides = (rows * outer, outer, inner)
    output = windows.output
    if kind == "convolve_input":
        pairs = list(zip(windows.stride, windows.dilation, strict=True))
        phases, output = windows.stride, windows.input
        apart = tuple([s // gcd(s, d) for s, d in pairs])
        sizes = tuple([-(-n // s) for n, s in zip(output, phases, strict=True)])
        columns = Digits(images, sizes, image, ones)
        steps = steps._replace(pace=tuple([-(d // gcd(s, d)) for s, d in pairs]))
        rows, w_strides = second.shape[1], (channels * outer, inner, outer)
    elif kind == "convolve_weight":
        rows, output = second.shape[1] // groups, windows.kernel
        columns, steps = steps, columns
        w_strides = (rows * inner, inner, outer)
    return Product(
        groups, rows, columns, steps, first, channels * channel, second, w_strides, windows.padding,
        phases, windows.dilation, apart, output, kind,
    )  # fmt: skip


def is_direct(product: Product) -> bool:
    """Whether items should not share tiles: they would have next to nothing in common."""
    counted = product.columns if product.kind == "convolve_weight" else product.steps
    is_depthwise = product.groups > 1 and counted.outer == 1
    return product.rows == 1 or (is_depthwise and product.rows < FEW_ROWS)


def candidates(device: Device, dtype: DType, product: Product) -> list[Tile]:
    """Tiles that the device has room for, the one likely to be fastest first."""
    phases = product.groups * prod(product.phases)
    is_weight = product.kind == "convolve_weight"
    most_parts = -(-product.steps.total // LEAST_STEPS) if is_weight else 1

    def fits(tile: Tile) -> bool:
        tiles = tile.depth * (tile.block_rows + tile.block_columns + 8)
        tables = 48 * tile.block_columns + 40 * tile.depth
        nbytes = tiles * max(dtype.itemsize, 4) + tables
        limits = device.cl_device
        return bool(
            prod(tile.group) <= limits.max_work_group_size and nbytes <= limits.local_mem_size
        )

    def cost(tile: Tile) -> float:
        across = -(-product.columns.total // tile.block_columns)
        blocks = -(-product.rows // tile.block_rows) * across * phases
        return group_cost(tile, blocks, device.cores, most_parts)

    return sorted(filter(fits, TILES), key=cost)


def _plan_tiles(device: Device, dtype: DType, product: Product, tile: Tile) -> Plan:
    """Items share tiles in local memory."""
    is_weight = product.kind == "convolve_weight"
    rows, columns, steps = product.rows, product.columns.total, product.steps.total
    blocks = -(-rows // tile.block_rows) * -(-columns // tile.block_columns)
    blocks *= product.groups * prod(product.phases)
    parts, share = _cut(device, blocks, steps, tile) if is_weight else (1, steps)
    text = _text(dtype, product, tile, "TILES", parts)
    size = (blocks * parts * tile.group[0], tile.group[1])
    scalars = product.scalars(share)
    types = (*[np.int64] * len(scalars),)
    if parts == 1:
        return Plan(
            text, "convolve", size, tile.group, scalars, (None, None, *types), offsets=OFFSETS
        )
    nbytes = product.elements * parts * max(4, dtype.itemsize)
    pack = Pack(
        (0, 1), 0, nbytes, text, "convolve", size, tile.group, scalars,
        (None, None, None, *types), OFFSETS,
    )  # fmt: skip
    return _plan_sum(device, dtype, product, parts, pack)


def _cut(device: Device, blocks: int, steps: int, tile: Tile) -> tuple[int, int]:
    """In how many parts a sum is cut so that no core is idle, and how many steps one has."""
    wanted = -(-GROUPS * device.cores // blocks)
    parts = min(wanted, -(-steps // LEAST_STEPS))
    share = -(-steps // (parts * tile.depth)) * tile.depth
    return -(-steps // share), share


def _plan_sum(device: Device, dtype: DType, product: Product, parts: int, pack: Pack) -> Plan:
    """Add up what parts of a sum have."""
    items = _items(device)
    scalars = (product.elements, product.columns.total, parts)
    return Plan(
        _text(dtype, product, Tile(1, 1, 1, 1, items), "SUM", parts), "convolve",
        (-(-product.elements // items) * items,), (items,), scalars,
        (None, None, *[np.int64] * len(scalars)), (pack,),
    )  # fmt: skip


def _plan_direct(device: Device, dtype: DType, product: Product) -> Plan:
    """Each element for itself: by an item, or for weights by a group of them."""
    items = _items(device)
    if product.kind == "convolve_weight":
        items = min(items, FEW_ITEMS) if product.steps.total <= 4 * FEW_ITEMS else items
        size = product.elements * items
    else:
        elements = product.columns.outer * product.groups * product.rows * prod(product.output)
        size = -(-elements // items) * items
    scalars = product.scalars(product.steps.total)
    return Plan(
        _text(dtype, product, Tile(1, 1, 1, 1, items), "DIRECT", 1), "convolve", (size,), (items,),
        scalars, (None, None, *[np.int64] * len(scalars)), offsets=OFFSETS,
    )  # fmt: skip


def _items(device: Device) -> int:
    """A power of 2, as halving sums needs."""
    return min(ITEMS, 1 << (int(device.cl_device.max_work_group_size).bit_length() - 1))


def _text(dtype: DType, product: Product, tile: Tile, task: str, parts: int) -> str:
    """The kernel's text, which is the same for as many shapes as can be."""
    is_weight = product.kind == "convolve_weight"
    inner = [s for s, n in zip(product.w.strides[2:], product.w.shape[2:], strict=True) if n > 1]
    along = abs(inner[-1] if inner else product.w_strides[2])
    is_narrow = not dtype.is_floating_point and dtype.itemsize < 4
    return _defined(
        dtype,
        W="uint" if is_narrow else macros(dtype)["U"],
        TASK=task,
        TRANSPOSED=int(product.kind == "convolve_input"),
        IS_WEIGHT=int(is_weight),
        IS_PART=int(task == "TILES" and parts > 1),
        X_STEP_FIRST=int(is_weight),
        W_STEP_FIRST=int(is_weight or along <= abs(product.w_strides[1])),
        INDEX=product.index_type(parts),
        **{name.upper(): size for name, size in tile._asdict().items()},
    )


@functools.cache
def _defined(dtype: DType, **defines: Any) -> str:
    return Device.text("tiles_gpu", "convolution_gpu", **macros(dtype), **defines)
