"""Convolutions as matrix products, a block of the batch and of output rows at a time.

A block of the input is copied once, padded, with its batch dim innermost: (channels, *padded,
batch). What all windows cover then is copied from there in long runs (im2col: channels and taps by
places and batch), and BLAS does the rest. Results have their batch dim innermost in memory, which
NumPy's elementwise operations keep; where an input comes that way no copy is transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from tinynet.backends.numpy_calls import is_narrow, quiet
from tinynet.backends.numpy_windows import add_parts
from tinynet.windows import Windows

Array = NDArray[Any]

BATCH = 32  # images of a block, and bytes of what its windows cover
BYTES = 4 << 20


def convolve(
    x: Array, weight: Array, windows: Windows, groups: int, out: Array | None = None
) -> Array:
    """`Backend.convolve`."""
    y = batch_innermost(len(x), weight.shape[0], windows.output, x.dtype) if out is None else out
    matrix = _by_group(weight, groups)
    for images, source in _blocks_of(x, windows):
        for rows in _rows(windows, source, len(matrix[0]), groups):
            columns = _columns(source, windows, rows, groups)
            sums = np.matmul(matrix, columns)
            target = y[images, :, rows].swapaxes(0, 1)
            np.copyto(np.moveaxis(target, 1, -1), sums.reshape(_innermost(target)))
    return y


def convolve_input(
    y: Array, weight: Array, windows: Windows, groups: int, out: Array | None = None
) -> Array:
    """`Backend.convolve_input`."""
    channels = weight.shape[1] * groups
    x = batch_innermost(len(y), channels, windows.input, y.dtype) if out is None else out
    matrix = _by_group(weight, groups).swapaxes(1, 2)
    for images in _images(len(y)):
        target = np.moveaxis(x[images], 0, -1)
        block = np.zeros(target.shape, y.dtype)
        for rows in _rows(windows, block, weight.shape[0] // groups, groups):
            columns = np.matmul(matrix, _places(y[images, :, rows], groups))
            inside = _of_rows(windows, rows)
            parts = columns.reshape(channels, *windows.kernel, *inside.output, target.shape[-1])
            add_parts(np.moveaxis(parts, -1, 0), inside, np.moveaxis(block, -1, 0))
        np.copyto(target, block)
    return x


def convolve_weight(
    x: Array, y: Array, windows: Windows, groups: int, out: Array | None = None
) -> Array:
    """`Backend.convolve_weight`."""
    channels, inputs = y.shape[1], x.shape[1] // groups
    weight = np.zeros((groups, channels // groups, inputs * windows.taps), x.dtype)
    for images, source in _blocks_of(x, windows):
        for rows in _rows(windows, source, channels // groups, groups):
            columns = _columns(source, windows, rows, groups)
            weight += np.matmul(_places(y[images, :, rows], groups), columns.swapaxes(1, 2))
    result = weight.reshape(channels, inputs, *windows.kernel)
    if out is None:
        return result
    np.copyto(out, result)
    return out


def run(function: Callable[..., Array], a: Array, b: Array, windows: Windows, groups: int) -> Array:
    """One of the three, quietly; floats of 16 bits in float32."""
    if is_narrow(a.dtype):
        wide = quiet.run(function, a.astype(np.float32), b.astype(np.float32), windows, groups)
        return quiet.run(wide.astype, a.dtype)
    result: Array = quiet.run(function, a, b, windows, groups)
    return result


def batch_innermost(batch: int, channels: int, sizes: tuple[int, ...], dtype: Any) -> Array:
    """An array of (batch, channels, *sizes) whose memory has the batch as its last dim."""
    return np.moveaxis(np.empty((channels, *sizes, batch), dtype), -1, 0)


def _by_group(weight: Array, groups: int) -> Array:
    """Weights as a matrix for each group."""
    return weight.reshape(groups, weight.shape[0] // groups, -1)


def _images(batch: int) -> Iterator[slice]:
    """Blocks of the batch."""
    for start in range(0, batch, BATCH):
        yield slice(start, min(start + BATCH, batch))


def _padded(windows: Windows) -> tuple[int, ...]:
    """Sizes of the input with all that windows reach."""
    sizes = zip(windows.input, windows.padding, windows.behind, strict=True)
    return tuple([n + p + max(q, 0) for n, p, q in sizes])


def _blocks_of(x: Array, windows: Windows) -> Iterator[tuple[slice, Array]]:
    """Blocks of the batch, and their images padded, with the batch innermost."""
    sizes = _padded(windows)
    inside = tuple([
        slice(p, p + n) for p, n in zip(windows.padding, windows.input, strict=True)
    ])  # fmt: skip
    for images in _images(len(x)):
        source = np.moveaxis(x[images], 0, -1)
        if sizes != windows.input or not source.flags.c_contiguous:
            make = np.empty if sizes == windows.input else np.zeros
            padded = make((source.shape[0], *sizes, source.shape[-1]), x.dtype)
            np.copyto(padded[(slice(None), *inside)], source)
            source = padded
        yield images, source


def _rows(windows: Windows, source: Array, lines: int, groups: int) -> Iterator[slice]:
    """Blocks of the first output dim: as many rows as keep a block's columns in the cache."""
    channels, batch = source.shape[0], source.shape[-1]
    depth = channels * windows.taps + lines * groups
    row = depth * prod(windows.output[1:]) * batch * source.itemsize
    step = max(1, BYTES // max(row, 1))
    for start in range(0, windows.output[0], step):
        yield slice(start, min(start + step, windows.output[0]))


def _columns(source: Array, windows: Windows, rows: slice, groups: int) -> Array:
    """What the windows of some rows cover: (groups, channels and taps, places and batch)."""
    channel, *steps, image = source.strides
    sizes = (rows.stop - rows.start, *windows.output[1:])
    shape = (source.shape[0], *windows.kernel, *sizes, source.shape[-1])
    start = source[:, rows.start * windows.stride[0] :]
    view = as_strided(
        start,
        shape,
        (
            channel,
            *[step * d for step, d in zip(steps, windows.dilation, strict=True)],
            *[step * s for step, s in zip(steps, windows.stride, strict=True)],
            image,
        ),
    )
    return view.reshape(groups, -1, prod(sizes) * source.shape[-1])


def _places(y: Array, groups: int) -> Array:
    """(batch, channels, *places) as (groups, channels, places and batch)."""
    lines = np.moveaxis(y, 0, -1)
    return lines.reshape(groups, y.shape[1] // groups, -1)


def _of_rows(windows: Windows, rows: slice) -> Windows:
    """The windows of some rows of the output."""
    start = rows.start * windows.stride[0]
    return windows._replace(
        output=(rows.stop - rows.start, *windows.output[1:]),
        padding=(windows.padding[0] - start, *windows.padding[1:]),
    )


def _innermost(target: Array) -> tuple[int, ...]:
    return (target.shape[0], *target.shape[2:], target.shape[1])
