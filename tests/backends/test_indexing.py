"""Conformance, indexing: taking and putting at index arrays, and where elements are not zero."""

import numpy as np
import pytest

from tests.backends.arrays import (
    ALL,
    FLOATS,
    LAYOUTS,
    NUMBERS,
    NUMPY,
    contiguous,
    each,
    in_layouts,
    numbers,
    same,
)
from tinynet import dtype as dtypes
from tinynet.errors import DimError

# take
INDICES = {
    "vector": (np.array([2, 0, 2]), None, None),
    "negative": (None, np.array([-1, 0]), None),
    "matrix": (np.array([[1, 0], [2, 2]]), None, None),
    "two, broadcast": (np.array([[0], [2]]), np.array([0, 3, 1]), None),
    "apart": (np.array([0, 1]), None, np.array([1, 0])),
    "all": (np.array([0, 2]), np.array([3, 3]), np.array([1, 0])),
    "0-d": (np.array(1), None, np.array([0, 1])),
    "empty": (None, np.zeros(0, np.int64), None),
    "last": (None, None, np.array([[[1]]])),
}
in_indices = pytest.mark.parametrize("index", INDICES)


def arrays_of(backend, indices):
    return tuple(None if index is None else backend.from_numpy(index) for index in indices)


def as_slices(indices):
    return tuple(slice(None) if index is None else index for index in indices)


@each(ALL)
@in_indices
def test_take(backend, index, dtype):
    x = numbers((3, 4, 2), dtype)
    y = backend.take(backend.from_numpy(x), arrays_of(backend, INDICES[index]))
    same(backend, y, x[as_slices(INDICES[index])])


@in_layouts
@in_indices
def test_take_from_any_layout(backend, index, layout):
    x = numbers((3, 4, 2), dtypes.float32)
    y = backend.take(layout(backend, x), arrays_of(backend, INDICES[index]))
    same(backend, y, x[as_slices(INDICES[index])])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_take_at_indices_in_any_layout(backend, layout):
    x, index = np.arange(10.0), np.array([[3, -1, 0], [9, 5, 5]])
    same(backend, backend.take(backend.from_numpy(x), (layout(backend, index),)), x[index])


def test_what_was_taken_is_a_copy(backend):
    x = contiguous(backend, np.ones(3))
    y = backend.take(x, arrays_of(backend, [np.array([0, 1, 2])]))
    backend.assign(y, backend.full((), 0, dtypes.float64))
    same(backend, x, np.ones(3))


@pytest.mark.parametrize("bad", [3, -4, 2**40])
def test_index_out_of_range(backend, bad):
    x = contiguous(backend, np.zeros((3, 2)))
    index = arrays_of(backend, [np.array([0, bad]), None])
    message = rf"^index: index {bad} is out of range for dim 0 of size 3$"
    with pytest.raises(DimError, match=message):
        backend.take(x, index)
    for mode in ("set", "add"):
        with pytest.raises(DimError, match=message):
            backend.put(x, index, backend.full((), 1, dtypes.float64), mode)
    same(backend, x, np.zeros((3, 2)))


def test_index_out_of_range_of_a_later_dim(backend):
    index = arrays_of(backend, [None, np.array([[2]])])
    with pytest.raises(DimError, match=r"^index: index 2 is out of range for dim 1 of size 2$"):
        backend.take(contiguous(backend, np.zeros((3, 2))), index)


def test_index_into_nothing(backend):
    x = contiguous(backend, np.zeros((0, 2)))
    with pytest.raises(DimError, match=r"^index: index 0 is out of range for dim 0 of size 0$"):
        backend.take(x, arrays_of(backend, [np.array([0]), None]))
    empty = arrays_of(backend, [np.zeros(0, np.int64), None])
    same(backend, backend.take(x, empty), np.zeros((0, 2)))


# put
COMBINE = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


@each(ALL)
@in_indices
def test_put(backend, index, dtype):
    indices = INDICES[index]
    expected = numbers((3, 4, 2), dtype)
    values = numbers(expected[as_slices(indices)].shape, dtype, 7)
    x = contiguous(backend, expected)
    backend.put(x, arrays_of(backend, indices), backend.from_numpy(values), "set")
    expected[as_slices(indices)] = values
    same(backend, x, expected)


@each(NUMBERS)
@pytest.mark.parametrize("mode", COMBINE)
def test_put_combines_repeats_in_order(backend, mode, dtype):
    expected = numbers((4, 3), dtype, 1, 1, 3)
    index = np.array([2, 0, 2, 2, -4])
    values = numbers((5, 3), dtype, 2, 1, 2)
    x = contiguous(backend, expected)
    backend.put(x, arrays_of(backend, [index, None]), backend.from_numpy(values), mode)
    for i, place in enumerate(index):
        expected[place] = COMBINE[mode](expected[place], values[i])
    same(backend, x, expected)


def test_put_sets_the_last_of_repeats(backend):
    x = contiguous(backend, np.zeros(3))
    index = arrays_of(backend, [np.array([1, 1, -2])])
    backend.put(x, index, backend.from_numpy(np.array([5.0, 6, 7])), "set")
    same(backend, x, np.array([0.0, 7, 0]))


def test_put_is_the_same_every_time(backend):
    random = np.random.default_rng(0)
    index, values = random.integers(0, 7, 1000), random.random(1000).astype(np.float32)
    results = []
    for _ in range(3):
        x = contiguous(backend, np.zeros(7, np.float32))
        backend.put(x, arrays_of(backend, [index]), backend.from_numpy(values), "add")
        results.append(backend.to_numpy(x).tobytes())
    assert len(set(results)) == 1
    expected = np.zeros(7, np.float32)
    np.add.at(expected, index, values)
    same(backend, x, expected)


@pytest.mark.parametrize("mode", ["set", *COMBINE])
def test_put_broadcasts_values(backend, mode):
    for shape in ((), (1,), (2,), (3, 1)):
        expected = np.full((4, 2), 3.0)
        values = numbers(shape, dtypes.float64)
        x = contiguous(backend, expected)
        index = np.array([3, 0, 1])
        backend.put(x, arrays_of(backend, [index, None]), backend.from_numpy(values), mode)
        expected[index] = values if mode == "set" else COMBINE[mode](expected[index], values)
        same(backend, x, expected)


@pytest.mark.parametrize("layout", LAYOUTS[:-1], ids=lambda layout: layout.__name__)
def test_put_into_any_layout(backend, layout):
    expected = numbers((3, 4), dtypes.float32)
    x = layout(backend, expected)
    index = arrays_of(backend, [np.array([0, 2]), np.array([3, 1])])
    backend.put(x, index, backend.from_numpy(np.float32([8, 9])), "add")
    expected[[0, 2], [3, 1]] += np.float32([8, 9])
    same(backend, x, expected)


@each(FLOATS)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_nan_is_the_extreme_that_is_put(backend, mode, dtype):
    x = contiguous(backend, np.array([np.nan, 1, 1]).astype(NUMPY[dtype]))
    values = backend.from_numpy(np.array([2, np.nan, 1]).astype(NUMPY[dtype]))
    backend.put(x, arrays_of(backend, [np.arange(3)]), values, mode)
    same(backend, x, np.array([np.nan, np.nan, 1]).astype(NUMPY[dtype]))


# nonzero
@each(ALL)
def test_nonzero(backend, dtype):
    x = numbers((3, 4, 2), dtype, low=0, high=1)
    same(backend, backend.nonzero(backend.from_numpy(x)), np.argwhere(x.astype(np.float64)))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (7,)], ids=str)
def test_nonzero_of_shapes(backend, shape):
    for x in (np.ones(shape), np.zeros(shape)):
        same(backend, backend.nonzero(backend.from_numpy(x)), np.argwhere(x))


@in_layouts
def test_nonzero_in_any_layout(backend, layout):
    x = np.array([[0, np.nan, -0.0], [np.inf, 0, 1e-300]])
    same(backend, backend.nonzero(layout(backend, x)), np.array([[0, 1], [1, 0], [1, 2]]))
