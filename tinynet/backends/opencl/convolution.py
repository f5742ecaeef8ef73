"""Convolutions: what is to be computed, before a device's kernels are chosen.

Planned like a matrix product (see `matmul`): what a convolution gives is (batch, row, column) of
(images, channels, places), or of (1, output channels, channels and taps) for weights, and goes
through the same epilogues. Arrays with fewer than three spatial dims have others of size 1 before.
`convolution_cpu` and `convolution_gpu` have a function `plan` each.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from tinynet.backends.opencl.device import Device
from tinynet.dtype import DType
from tinynet.windows import Windows

Sizes = tuple[int, ...]


class Task(NamedTuple):
    """What a convolution computes: "convolve", "convolve_input" or "convolve_weight"."""

    kind: str
    windows: Windows
    groups: int


class Operand(NamedTuple):
    """An array as it lies in memory, strides in elements."""

    shape: Sizes
    strides: Sizes
    offset: int


class Problem(NamedTuple):
    """A convolution of two operands, in the order of the backend's primitives; no size is 0."""

    device: Device
    dtype: DType
    kind: str
    windows: Windows  # three spatial dims, as the operands have
    groups: int
    first: Operand
    second: Operand


def problem(device: Device, dtype: DType, task: Task, first: Operand, second: Operand) -> Problem:
    """The problem in three spatial dims."""
    windows = in_three_dims(task.windows)
    return Problem(device, dtype, task.kind, windows, task.groups, _wide(first), _wide(second))


def in_three_dims(windows: Windows) -> Windows:
    """The same windows with three spatial dims."""
    missing = 3 - len(windows.input)
    fills = (1, 1, 1, 1, 0, 1)
    return Windows(*[(fill,) * missing + sizes for fill, sizes in zip(fills, windows, strict=True)])


def flops(task: Task, first: Sizes, second: Sizes) -> int:
    """Operations of a convolution of operands of these shapes."""
    windows = task.windows
    if task.kind == "convolve_weight":
        return 2 * prod(second) * (first[1] // task.groups) * windows.taps
    return 2 * first[0] * prod(windows.output) * prod(second)


def _wide(operand: Operand) -> Operand:
    """With three spatial dims."""
    missing = 5 - len(operand.shape)
    shape, strides = operand.shape, operand.strides
    return Operand(
        (*shape[:2], *(1,) * missing, *shape[2:]),
        (*strides[:2], *(0,) * missing, *strides[2:]),
        operand.offset,
    )
