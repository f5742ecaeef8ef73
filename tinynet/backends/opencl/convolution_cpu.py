"""Convolutions on a CPU: which tile, how the work is shared."""

from __future__ import annotations

import functools
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.opencl.convolution import Operand, Problem, Sizes, Task, flops, problem
from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.products import Pack, Plan
from tinynet.dtype import DType
from tinynet.windows import Windows

SMALL = 2**23  # operations that are not worth a kernel of their own
CLOSE = 24 * 1024  # bytes of the nearest cache that a band of places may fill
PATCH = 12 * 1024  # bytes of it for what tiles of the same places read
SHARES = 8  # items that a core gets, so that the last one to finish is not waited for long


class Tile(NamedTuple):
    """Registers of a kernel: rows by columns of vectors."""

    rows: int
    columns: int


class _Dim(NamedTuple):
    """One spatial dim of what is packed: `before` zeros, the elements, zeros up to `padded`."""

    before: int
    padded: int


@functools.lru_cache(maxsize=4096)
def plan(device: Device, dtype: DType, task: Task, first: Operand, second: Operand) -> Plan:
    """Plan a convolution of two operands, in the order of the backend's primitives.

    No size is 0.
    """
    work = _Work(problem(device, dtype, task, first, second))
    return work.weights() if task.kind == "convolve_weight" else work.convolution()


class _Work:
    """Plans one convolution on a CPU."""

    def __init__(self, problem: Problem) -> None:
        self.device, self.dtype, kind, windows, self.groups, self.first, self.second = problem
        task = Task(kind, windows, self.groups)
        self.is_small = flops(task, self.first.shape, self.second.shape) < SMALL
        # without strides the transpose is a convolution with the weights the other way round, a
        # quarter faster than by phases
        self.is_turned = kind == "convolve_input"
        self.is_transposed = self.is_turned and prod(windows.stride) > 1
        self.is_flipped = self.is_turned and not self.is_transposed
        self.windows = windows = _flipped(windows) if self.is_flipped else windows
        self.images = self.first.shape[0]
        native = max(4, self.device.cl_device.native_vector_width_float)
        self.lanes = max(2, min(16, 4 * native // self.dtype.itemsize))
        self.registers = 32 if native >= 16 else 16
        # how places of the output are spaced that have the same taps, and what they cover
        steps = windows.stride if self.is_transposed else (1, 1, 1)
        self.places = -(-(windows.input if self.is_transposed else windows.output)[2] // steps[2])
        self.in_step = 1 if self.is_transposed else windows.stride[2]
        self.strips, self.strip = self.cut()
        self.blocks = -(-self.images * self.strips // self.lanes)

    def cut(self) -> tuple[int, int]:
        """In how many strips each image is cut, and how wide they are: to fill vectors."""
        best = (float("inf"), 1, self.places)
        halo = (self.windows.kernel[2] - 1) * self.windows.dilation[2]
        for wanted in range(1, min(self.lanes, self.places) + 1):
            strip = -(-self.places // wanted)
            strips = -(-self.places // strip)
            blocks = -(-self.images * strips // self.lanes)
            work = blocks * strip + (0.05 * blocks * halo if strips > 1 else 0)
            best = min(best, (work, strips, strip))
        return best[1], best[2]

    def convolution(self) -> Plan:
        """`convolve` and its transpose as a function of the input."""
        windows, groups = self.windows, self.groups
        images, weight = self.first, self.second
        channels = images.shape[1] // groups
        outputs = weight.shape[1] if self.is_turned else weight.shape[0] // groups
        tile = self.tile(outputs, self.strip)
        sizes, places = images.shape[2:], self.output
        width = -(-self.strip // tile.columns) * tile.columns
        dims = [_Dim(0, sizes[0]), _Dim(0, sizes[1]), self.reach(width, sizes[2])]
        tiles = groups * -(-outputs // tile.rows)
        units = places[0] * places[1] * tiles
        splits = max(1, min(units, -(-self.device.cores * SHARES // self.blocks)))
        scalars = (
            self.images, groups, outputs, channels, *sizes, *[d.padded for d in dims],
            *[d.before for d in dims], *places, *windows.kernel, *windows.stride,
            *windows.dilation, *windows.padding, self.strips, self.strip, splits,
            self.deep(channels, tile),
        )  # fmt: skip
        packs = (
            self.pack_images(0, images, dims, self.in_step),
            self.pack_weight(weight, outputs, channels, tile),
        )
        return Plan(
            self.text("CONVOLVE", tile), "convolve", (self.blocks * splits,), (1,), scalars,
            (None, None, *[np.int64] * len(scalars)), packs,
        )  # fmt: skip

    def deep(self, channels: int, tile: Tile) -> int:
        """How many channels to take at a time: equal parts that the nearest cache holds."""
        *kernel, taps = self.windows.kernel
        reach = (tile.columns - 1) * self.in_step + (taps - 1) * self.windows.dilation[2] + 1
        nbytes = prod(kernel) * reach * self.lanes * self.dtype.itemsize
        parts: int = max(1, -(-channels * nbytes // PATCH))
        return -(-channels // parts)

    @property
    def output(self) -> Sizes:
        """Spatial sizes of what is computed."""
        return self.windows.input if self.is_transposed else self.windows.output

    def reach(self, places: int, size: int) -> _Dim:
        """Of the width: what the windows of a strip reach."""
        _, _, kernel, stride, padding, dilation = [sizes[2] for sizes in self.windows]
        if self.is_transposed:
            begins = [
                (r + padding - k * dilation) // stride
                for r in range(stride)
                for k in range(kernel)
                if (r + padding - k * dilation) % stride == 0
            ] or [0]
        else:
            begins = [-padding, (kernel - 1) * dilation - padding]
        before = max(0, -min(begins))
        last = max(begins) + (places - 1) * self.in_step
        inside = size if self.strips == 1 else 0
        return _Dim(before, before + max(inside, last + 1))

    def tile(self, rows: int, columns: int, keeps_columns: bool = False) -> Tile:
        """The tile that wastes least of its registers' work, and loads least.

        Beside the sums, registers keep what is fewer of rows and columns, or the columns.
        """
        if self.is_small:
            return Tile(4, self.registers // 5)

        def is_held(tile: Tile) -> bool:
            kept = tile.columns if keeps_columns else min(tile)
            return tile.rows * tile.columns + kept + 1 <= self.registers

        def cost(tile: Tile) -> float:
            down, across = -(-rows // tile.rows), -(-columns // tile.columns)
            work = down * tile.rows * across * tile.columns
            loads = 1 / tile.rows + 2 / tile.columns  # a weight is spread over a vector
            return work * (1 + loads) + work / (tile.rows * tile.columns)

        tiles = [Tile(r, c) for r in (1, 3, 4, 6, 8) for c in (1, 2, 3, 4, 6, 8, 12)]
        return min(filter(is_held, tiles), key=cost)

    def pack_images(self, number: int, x: Operand, dims: list[_Dim], step: int) -> Pack:
        """Copy images with the batch innermost."""
        images, channels, *sizes = x.shape
        n, c, *steps = x.strides
        whole = all(d.padded == size for d, size in zip(dims, sizes, strict=True))
        if whole and self.strips == 1 and _has_no_gaps(sizes, steps):  # one long row
            step_along = next((s for s, size in zip(steps[::-1], sizes[::-1]) if size > 1), 1)
            dims = [_Dim(0, 1), _Dim(0, 1), _Dim(0, prod(sizes))]
            sizes, steps = [1, 1, prod(sizes)], [0, 0, step_along]
        total = self.blocks * channels
        share = -(-total // (self.device.cores * SHARES))
        scalars = (
            x.offset, n, c, *steps, images, channels, *sizes, *[d.padded for d in dims],
            *[d.before for d in dims], self.strips, self.strip * step, total, share,
        )  # fmt: skip
        nbytes = total * prod([d.padded for d in dims]) * self.lanes * self.dtype.itemsize
        return self.pack(number, "PACK_IMAGES", nbytes, -(-total // share), scalars, Tile(1, 1))

    def pack_weight(self, weight: Operand, rows: int, channels: int, tile: Tile) -> Pack:
        """Copy weights tile by tile."""
        outer, inner, *steps = weight.strides
        offset, group = weight.offset, weight.shape[0] // self.groups * outer
        row, channel = (inner, outer) if self.is_turned else (outer, inner)
        if self.is_flipped:  # from the last tap to the first
            offset += sum([(k - 1) * step for k, step in zip(self.windows.kernel, steps)])
            steps = [-step for step in steps]
        total = self.groups * -(-rows // tile.rows)
        share = -(-total // (self.device.cores * SHARES))
        scalars = (
            offset, group, row, channel, *steps, rows, channels, *self.windows.kernel,
            total, share,
        )  # fmt: skip
        nbytes = total * channels * self.windows.taps * tile.rows * self.dtype.itemsize
        tile = Tile(tile.rows, 1)
        return self.pack(1, "PACK_WEIGHT", nbytes, -(-total // share), scalars, tile)

    def pack(
        self, number: int, task: str, nbytes: int, items: int, scalars: tuple[int, ...], tile: Tile
    ) -> Pack:
        types = (None, None, *[np.int64] * len(scalars))
        return Pack(
            (number,), number, nbytes, self.text(task, tile), "pack", (items,), (1,), scalars,
            types, ((0, number),),
        )  # fmt: skip

    def weights(self) -> Plan:
        """`convolve_weight`: sums of lanes, then of what they hold."""
        windows, groups = self.windows, self.groups
        x, y = self.first, self.second
        channels, rows = x.shape[1] // groups, y.shape[1] // groups
        pairs = channels * windows.taps
        tile = self.tile(rows, pairs, keeps_columns=True)
        behind = zip(windows.kernel, windows.output, windows.stride, windows.dilation, strict=True)
        places = (*windows.output[:2], self.strip)
        dims = [
            _Dim(p, max((o - 1) * s + (k - 1) * d + 1, p + n if self.strips == 1 else 0))
            for (k, _, s, d), o, p, n in zip(
                behind, places, windows.padding, windows.input, strict=True
            )
        ]
        units = groups * -(-rows // tile.rows) * -(-pairs // tile.columns)
        items = self.device.cores * SHARES
        splits = min(units, items)
        parts = min(self.blocks, -(-items // splits) if splits * 2 <= items else 1)
        size = tile.rows * tile.columns * self.lanes * self.dtype.itemsize
        line = self.strip * self.lanes * self.dtype.itemsize
        band = max(1, min(places[1], CLOSE // ((tile.rows + windows.stride[1]) * line)))
        scalars = (
            self.blocks, groups, rows, channels, *[d.padded for d in dims], *places,
            *windows.kernel, *windows.stride, *windows.dilation, band, parts, splits,
        )  # fmt: skip
        plain = [_Dim(0, n) for n in places]
        packs = (
            self.pack_images(0, x, dims, self.in_step),
            self.pack_images(1, y, plain, 1),
            Pack(
                (0, 1), 0, parts * units * size, self.text("WEIGHTS", tile), "weights",
                (parts * splits,), (1,), scalars, (None, None, None, *[np.int64] * len(scalars)),
                (),
            ),
        )  # fmt: skip
        total = groups * rows * pairs
        share = max(256, -(-total // items))
        scalars = (groups, rows, pairs, parts, share)
        return Plan(
            self.text("SUM", tile), "convolve", (-(-total // share),), (1,), scalars,
            (None, None, *[np.int64] * len(scalars)), packs,
        )  # fmt: skip

    def text(self, task: str, tile: Tile) -> str:
        """The kernel's text, which is the same for as many shapes as can be."""
        defines = {
            "TASK": task, "WIDTH": self.lanes, "ROWS": tile.rows, "COLUMNS": tile.columns,
            "TRANSPOSED": int(task == "CONVOLVE" and self.is_transposed), "IN_STEP": 0, "TAPS": 0,
        }  # fmt: skip
        if not self.is_small and task in ("CONVOLVE", "WEIGHTS"):
            defines["IN_STEP"] = self.in_step if self.in_step <= 2 else 0
        if not self.is_small and task == "CONVOLVE" and self.windows.kernel[2] in (1, 3, 5):
            defines["TAPS"] = self.windows.kernel[2]
        unsigned = macros(self.dtype)["U"]
        return _text(self.dtype, VECTOR=f"{unsigned}{self.lanes}", **defines)


def _flipped(windows: Windows) -> Windows:
    """With strides of 1, what the transpose covers of y for each element of x, taps reversed."""
    pairs = zip(windows.kernel, windows.dilation, windows.padding, strict=True)
    padding = tuple([(k - 1) * d - p for k, d, p in pairs])
    return windows._replace(input=windows.output, output=windows.input, padding=padding)


def _has_no_gaps(sizes: list[int], steps: list[int]) -> bool:
    """Whether elements lie one after the other, some step apart."""
    expected = None
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        if size == 1:
            continue
        if expected is not None and step != expected:
            return False
        expected = step * size
    return True


@functools.cache
def _text(dtype: DType, **defines: Any) -> str:
    return Device.text("vectors_cpu", "convolution_cpu", **macros(dtype), **defines)
