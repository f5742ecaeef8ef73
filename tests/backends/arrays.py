"""What the conformance suite is made of: arrays of every dtype in every layout, and comparison.

Expected values come from plain NumPy. A layout makes a backend's array that holds what a NumPy
array does, by primitives: with the same values in memory in another order, or not computed yet.
"""

import ml_dtypes
import numpy as np
import pytest

from tinynet import dtype as dtypes

NUMPY = {dtype: np.dtype(dtype.name) for dtype in dtypes.ALL if dtype is not dtypes.bfloat16}
NUMPY[dtypes.bfloat16] = np.dtype(ml_dtypes.bfloat16)

FLOATS = [dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64]
INTEGERS = [dtype for dtype in dtypes.ALL if dtype.rank == 1]
NUMBERS = INTEGERS + FLOATS
ALL = [dtypes.bool_, *NUMBERS]

# A few units in the last place of each dtype, relative.
TOLERANCE = {dtypes.float16: 2e-3, dtypes.bfloat16: 1.6e-2, dtypes.float32: 1e-6,
             dtypes.float64: 2e-15}  # fmt: skip


def each(dtypes_):
    """`@each(FLOATS)`: the test runs for each dtype."""
    return pytest.mark.parametrize("dtype", dtypes_, ids=lambda dtype: dtype.name)


def numbers(shape, dtype, seed=0, low=-9, high=9):
    """Whole and half numbers between `low` and `high` as `dtype`; unsigned ones not negative."""
    random = np.random.default_rng(seed)
    if dtype.kind == "u":
        low = max(low, 0)
    values = random.integers(2 * low, 2 * high, shape, endpoint=True) / 2
    if dtype.kind == "b":
        return values > 0
    return values.astype(NUMPY[dtype])


def same(backend, array, expected, tolerance=0.0):
    """Assert that a backend's array has the shape, the dtype and the values of a NumPy array."""
    expected = np.asarray(expected)
    found = backend.to_numpy(array)
    assert tuple(array.shape) == found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
        return
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance / 16)
    if tolerance == 0:  # -0.0 is not 0.0
        is_number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[is_number]), np.signbit(expected[is_number]))


# Layouts
def contiguous(backend, x):
    return backend.from_numpy(np.array(x, order="C"))


def transposed(backend, x):
    """Dims reversed in memory."""
    dims = tuple(reversed(range(x.ndim)))
    return backend.permute(contiguous(backend, x.transpose(dims)), dims)


def window(backend, x):
    """A part of a larger array: gaps in memory, an offset."""
    padded = np.ones(tuple(n + 3 for n in x.shape), x.dtype)
    padded[tuple(slice(1, n + 1) for n in x.shape)] = x
    return backend.slice(contiguous(backend, padded), tuple((1, 1, n) for n in x.shape))


def every_second(backend, x):
    spread = np.ones(tuple(2 * n for n in x.shape), x.dtype)
    spread[tuple(slice(1, None, 2) for _ in x.shape)] = x
    return backend.slice(contiguous(backend, spread), tuple((1, 2, n) for n in x.shape))


def reverse(backend, x):
    """Backwards in memory: negative steps."""
    flipped = contiguous(backend, np.flip(x))
    return backend.slice(flipped, tuple((max(n - 1, 0), -1, n) for n in x.shape))


def computed(backend, x):
    """A result of an operation, which a lazy backend has not computed yet."""
    yes = backend.full(x.shape, True, dtypes.bool_)
    array = contiguous(backend, x)
    return backend.elementwise("where", yes, array, array)


LAYOUTS = [contiguous, transposed, window, every_second, reverse, computed]  # computed: no memory
in_layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)

SHAPES = [(), (1,), (5,), (0,), (2, 3), (3, 0), (4, 1, 3)]
in_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
