"""Pools, picking, spreading and folding, against the NumPy backend."""

import numpy as np
import pytest

from tests.backends.arrays import FLOATS, NUMBERS, NUMPY, numbers
from tests.kernels.devices import (
    assert_same,
    download,
    each_in_styles,
    needs,
    reference,
    sizes,
    upload,
)
from tinynet import dtype as dtypes
from tinynet.backends.opencl import pooling
from tinynet.windows import place

# input, kernel, stride, padding, dilation, ceil_mode
SMALL = [
    ((4, 6), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((5, 6), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((5, 7), (3, 2), (1, 3), (1, 1), (2, 1), True),
    ((7, 8), (2, 2), (3, 3), (0, 0), (1, 1), False),
    ((5, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((5, 7), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ((6, 8), (3, 3), (2, 2), (1, 0), (1, 1), True),
    ((4, 5, 6), (2, 1, 3), (2, 1, 3), (0, 0, 0), (1, 1, 1), False),
    ((5, 4, 20), (1, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    ((9,), (3,), (2,), (1,), (1,), True),
    ((3, 4, 3), (2, 3, 2), (2, 1, 1), (1, 1, 0), (1, 1, 2), False),
    ((1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
]
LARGE = [
    ((40, 50), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((33, 70), (5, 5), (1, 1), (2, 2), (1, 1), False),
    ((500,), (4,), (3,), (2,), (2,), True),
]
IN_BATCHES = 2, 3


def windows_of(size, kernel, stride, padding, dilation, ceil_mode):
    return place("test", size, kernel, stride, (padding, padding), dilation, ceil_mode)


@each_in_styles(NUMBERS)
def test_dtypes(device, dtype):
    for setting in SMALL[1:3]:
        check(device, dtype, windows_of(*setting))


def test_shapes(device):
    for setting in sizes(device, SMALL, LARGE):
        check(device, dtypes.float32, windows_of(*setting))


@each_in_styles(FLOATS)
def test_nan_and_infinities(device, dtype):
    windows = windows_of(*SMALL[1])
    x = numbers((*IN_BATCHES, *windows.input), dtype)
    for seed, value in enumerate((np.nan, np.inf, -np.inf)):
        x[np.random.default_rng(seed).random(x.shape) < 0.2] = value
    check(device, dtype, windows, x)


@each_in_styles(FLOATS)
def test_order_of_rounding(device, dtype):
    """Sums of random numbers: any other order would show in the last bits."""
    windows = windows_of((9, 11), (4, 3), (1, 1), (2, 1), (1, 1), False)
    random = np.random.default_rng(1)
    x = random.standard_normal((*IN_BATCHES, *windows.input)).astype(NUMPY[dtype])
    check(device, dtype, windows, x)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 3, 1, 0, 2, 4), (3, 2, 5, 4, 1, 0)])
def test_strided_parts(device, order):
    """Parts in any order of dims in memory, some of them backwards, within a larger array."""
    windows = windows_of(*SMALL[1])
    shape = (*IN_BATCHES, *windows.kernel, *windows.output)
    base = numbers([shape[dim] + 1 for dim in order], dtypes.float32)
    parts = base.transpose(np.argsort(order))[1:, :-1, 1:, :0:-1, 1:, ::-1][..., :-1]
    check_fold(device, dtypes.float32, windows, parts, base)


@pytest.mark.parametrize("repeated", [(2, 3), (0, 2, 3, 4, 5), (1, 5)], ids=str)
def test_parts_that_repeat(device, repeated):
    """Strides of 0, as gradients of means have."""
    windows = windows_of(*SMALL[1])
    shape = (*IN_BATCHES, *windows.kernel, *windows.output)
    base = numbers([1 if dim in repeated else n for dim, n in enumerate(shape)], dtypes.float32)
    check_fold(device, dtypes.float32, windows, np.broadcast_to(base, shape), base)


def test_strides_of_columns(device):
    """Those compiled in, and one that is an argument."""
    for stride in (1, 2, 3, 5):
        check(
            device, dtypes.float32, windows_of((4, 13), (2, 4), (1, stride), (1, 2), (1, 1), True)
        )


def check(device, dtype, windows, x=None):
    """All kernels of contiguous planes."""
    needs(device, dtype)
    shape = (*IN_BATCHES, *windows.input)
    x = numbers(shape, dtype, 0, -4, 4) if x is None else x
    planes = shape[0] * shape[1]
    expected, expected_taps = reference.pool_max(x, windows)
    source = upload(device, x)
    y, taps = pooling.pool_max(device, source.buffer, dtype, planes, windows)
    assert_same(download(device, taps, expected.shape, np.int32), expected_taps)
    assert_same(download(device, y, expected.shape, x.dtype), expected)

    picked = pooling.pick(device, source.buffer, taps.buffer, dtype, planes, windows)
    assert_same(download(device, picked, expected.shape, x.dtype), expected)

    grad = np.resize(x, expected.shape)
    check_fold(device, dtype, windows, repeated(grad, windows), grad, expected_taps)
    check_fold(device, dtype, windows, np.resize(x, repeated(grad, windows).shape))


def repeated(y, windows):
    """A value for each window as parts that are the same for all taps."""
    ones = (1,) * len(windows.kernel)
    shape = (*IN_BATCHES, *windows.kernel, *windows.output)
    return np.broadcast_to(y.reshape(*IN_BATCHES, *ones, *windows.output), shape)


def check_fold(device, dtype, windows, parts, base=None, taps=None):
    """`parts` is a view of `base`, or contiguous."""
    base = parts if base is None else base
    first = parts.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    strides = tuple(stride // parts.itemsize for stride in parts.strides)
    source = upload(device, base)
    places = None if taps is None else upload(device, taps)
    block = pooling.fold(
        device, source.buffer, dtype, IN_BATCHES, strides, first // parts.itemsize, windows,
        None if places is None else places.buffer,
    )  # fmt: skip
    if taps is None:
        expected = reference.fold(parts, windows)
    else:
        one = parts[(slice(None), slice(None), *(0,) * len(windows.kernel))]
        expected = reference.spread(one, taps, windows)
    found = download(device, block, (*IN_BATCHES, *windows.input), parts.dtype)
    assert_same(found + found.dtype.type(0), expected + expected.dtype.type(0))  # -0.0 is 0.0
