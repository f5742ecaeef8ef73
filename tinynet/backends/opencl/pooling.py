"""Pools and their transposes: kernels on contiguous planes of up to three dims."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import pyopencl as cl
from pyopencl import cltypes

from tinynet.backends.opencl.convolution import in_three_dims
from tinynet.backends.opencl.ctypes import macros
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.ordering import LEAST, spread
from tinynet.dtype import DType
from tinynet.shape import Shape
from tinynet.windows import Windows

NDIM = 3  # spatial dims in kernels; missing ones come first, of size 1
GEOMETRY_TYPES = (cltypes.int4,) * 6
POOL_TYPES = (None, None, None, np.int64, np.int64, *GEOMETRY_TYPES)
FOLD_TYPES = (None, None, *(np.int64,) * 4, cltypes.long8, *GEOMETRY_TYPES)
CONSTANT_STRIDES = 1, 2  # of columns, for which kernels are compiled: others are an argument
CONSTANT_WIDTHS = 2, 3  # of windows, likewise


def pool_max(
    device: Device, x: cl.Buffer, dtype: DType, planes: int, windows: Windows
) -> tuple[Block, Block]:
    """The largest element of each window of contiguous planes, and its tap, as int32."""
    count = planes * prod(windows.output)
    y, taps = device.pool.allocate(count * dtype.itemsize), device.pool.allocate(4 * count)
    units = planes * prod(windows.output[:-1]) if device.is_cpu else count
    kernel = _kernel(device, "pool_max_rows" if device.is_cpu else "pool_max", dtype, windows)
    size, group, share = spread(device, units, LEAST * units // (count * windows.taps))
    sizes = (units, share, *_geometry(windows))
    device.launch(
        kernel, size, group, x, y.buffer, taps.buffer, *sizes,
        nbytes=planes * prod(windows.input) * dtype.itemsize + y.nbytes + taps.nbytes,
    )  # fmt: skip
    return y, taps


def pick(
    device: Device, x: cl.Buffer, taps: cl.Buffer, dtype: DType, planes: int, windows: Windows
) -> Block:
    """Of each window of contiguous planes the element at its tap."""
    count = planes * prod(windows.output)
    y = device.pool.allocate(count * dtype.itemsize)
    kernel = _kernel(device, "pick", dtype, windows)
    size, group, share = spread(device, count, LEAST)
    sizes = (count, share, *_geometry(windows))
    device.launch(
        kernel, size, group, x, taps, y.buffer, *sizes, nbytes=4 * count + 2 * y.nbytes
    )  # fmt: skip
    return y


def fold(
    device: Device,
    parts: cl.Buffer,
    dtype: DType,
    shape: tuple[int, int],
    strides: Shape,
    offset: int,
    windows: Windows,
    taps: cl.Buffer | None = None,
) -> Block:
    """Contiguous planes that add up `parts`, of strides for batch, channel, taps and windows.

    `shape`: batch and channels. With `taps` (contiguous), only what belongs to the tap of its
    window counts.
    """
    count = prod(shape) * prod(windows.input)
    x = device.pool.allocate(count * dtype.itemsize)
    in_rows = device.is_cpu and dtype.itemsize >= 4
    units = prod(shape) * prod(windows.input[:-1]) if in_rows else count
    kernel = _kernel(device, "fold_rows" if in_rows else "fold", dtype, windows, taps is not None)
    size, group, share = spread(device, units, LEAST * units // count)
    ndim = len(windows.input)
    aligned = [0] * (NDIM - ndim)
    steps = (*strides[:2], *aligned, *strides[2 : 2 + ndim], *aligned, *strides[2 + ndim :])
    sizes = (units, share, shape[1], offset, _vector(steps, cltypes.long8), *_geometry(windows))
    sources = (parts,) if taps is None else (parts, taps)
    device.launch(kernel, size, group, *sources, x.buffer, *sizes, nbytes=2 * x.nbytes)
    return x


def _kernel(
    device: Device, name: str, dtype: DType, windows: Windows, has_taps: bool = False
) -> Kernel:
    stride = windows.stride[-1]
    defines: dict[str, Any] = {
        **macros(dtype),
        "STRIDE": stride if stride in CONSTANT_STRIDES else "stride.z",
        "HAS_TAPS": int(has_taps),
        name.upper(): 1,
    }
    if name == "pool_max_rows":
        defines["SQUARE"] = _square(windows)
    if name == "fold_rows":
        defines["APART"] = _apart(windows)
    types = FOLD_TYPES if name.startswith("fold") else POOL_TYPES
    return device.kernel("pool", name, (None, *types) if has_taps else types, **defines)


def _square(windows: Windows) -> int:
    """The size of square windows without gaps that stay between the sides, else 0."""
    inputs, outputs, kernel, strides, padding, dilation = windows
    width = kernel[-1]
    is_square = kernel[-2:] == (width, width) and prod(kernel) == width**2 and {*dilation} == {1}
    is_inside = (
        not any((*padding[:-2], padding[-1]))
        and (outputs[-1] - 1) * strides[-1] + width <= inputs[-1]
    )
    return width if is_square and is_inside and width in CONSTANT_WIDTHS else 0


def _apart(windows: Windows) -> int:
    """The width of windows that lie side by side and stay between the sides, else 0."""
    inputs, outputs, kernel, strides, padding, dilation = windows
    width = kernel[-1]
    is_apart = kernel == strides and not any(padding) and {*dilation} == {1}
    is_inside = outputs[-1] * width <= inputs[-1]
    return width if is_apart and is_inside and width in CONSTANT_WIDTHS else 0


@lru_cache(maxsize=256)
def _geometry(windows: Windows) -> tuple[Any, ...]:
    """Input, output, kernel, stride, padding and dilation, each as an int4."""
    return tuple([_vector((*sizes, 0), cltypes.int4) for sizes in in_three_dims(windows)])


def _vector(numbers: tuple[int, ...], dtype: Any) -> Any:
    """Numbers as a vector of OpenCL's."""
    return np.array(numbers, np.int64 if dtype is cltypes.long8 else np.int32).view(dtype)[0]
