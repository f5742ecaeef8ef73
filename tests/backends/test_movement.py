"""Conformance, movement: views, which share memory both ways, and joining."""

import numpy as np
import pytest

from tests.backends.arrays import (
    ALL,
    LAYOUTS,
    contiguous,
    each,
    in_layouts,
    numbers,
    same,
)
from tinynet import dtype as dtypes

# what it does: on a backend's array, and on NumPy's
VIEWS = {
    "reshape": (lambda b, x: b.reshape(x, (3, 8)), lambda x: x.reshape(3, 8)),
    "add a dim": (lambda b, x: b.reshape(x, (2, 1, 3, 4)), lambda x: x.reshape(2, 1, 3, 4)),
    "permute": (lambda b, x: b.permute(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    "slice": (lambda b, x: b.slice(x, ((0, 1, 2), (1, 1, 2), (1, 2, 2))),
              lambda x: x[:, 1:3, 1:4:2]),
    "slice backwards": (lambda b, x: b.slice(x, ((1, -1, 2), (2, -2, 2), (3, -1, 3))),
                        lambda x: x[::-1, ::-2, 3:0:-1]),
    "slice to nothing": (lambda b, x: b.slice(x, ((0, 1, 0), (2, 1, 1), (0, 1, 4))),
                         lambda x: x[:0, 2:3]),
    "the last index": (lambda b, x: b.slice(x, ((1, 1, 1), (2, 1, 1), (3, 1, 1))),
                       lambda x: x[1:, 2:, 3:]),
    "expand to itself": (lambda b, x: b.expand(x, (2, 3, 4)), lambda x: x),
    "expand by a dim of 1": (lambda b, x: b.expand(x, (1, 2, 3, 4)), lambda x: x[None]),
    "windows": (lambda b, x: b.strided(x, (2, 5), (12, 2), 1),
                lambda x: x.reshape(2, 12)[:, 1:11:2]),
}  # fmt: skip


@each(ALL)
@pytest.mark.parametrize("view", VIEWS)
def test_views(backend, view, dtype):
    move, expected = VIEWS[view]
    x = numbers((2, 3, 4), dtype)
    same(backend, move(backend, contiguous(backend, x)), expected(x))


@pytest.mark.parametrize("view", VIEWS)
def test_views_share_memory_both_ways(backend, view):
    move, numpy_move = VIEWS[view]
    expected = np.arange(24.0).reshape(2, 3, 4)
    x = contiguous(backend, expected)
    y = move(backend, x)
    assert backend.shares_memory(y, x) or not numpy_move(expected).size
    assert backend.is_writable(y)
    backend.assign(y, backend.full((), -1, dtypes.float64))
    numpy_move(expected)[...] = -1
    same(backend, x, expected)
    backend.assign(x, backend.full((), 5, dtypes.float64))
    same(backend, y, np.full(y.shape, 5.0))


@pytest.mark.parametrize("second", [name for name in VIEWS if name not in ("reshape", "windows")])
def test_views_of_views(backend, second):
    base = np.arange(4 * 6 * 24.0).reshape(4, 6, 24)
    x = contiguous(backend, base)
    y = backend.permute(backend.slice(x, ((3, -2, 2), (1, 2, 3), (20, -5, 4))), (0, 1, 2))
    expected = base[3::-2, 1::2, 20:0:-5]
    move, numpy_move = VIEWS[second]
    y = move(backend, y)
    same(backend, y, numpy_move(expected))
    backend.assign(y, backend.full((), -1, dtypes.float64))
    numpy_move(expected)[...] = -1
    same(backend, x, base)


@in_layouts
@pytest.mark.parametrize("shape", [(24,), (6, 4), (2, 12), (2, 3, 2, 2), (1, 24, 1)], ids=str)
def test_reshape_of_any_layout(backend, layout, shape):
    x = numbers((2, 3, 4), dtypes.float32)
    y = backend.reshape(layout(backend, x), shape)
    same(backend, y, x.reshape(shape))


def test_reshape_copies_where_strides_allow_no_view(backend):
    x = contiguous(backend, np.arange(6.0).reshape(2, 3))
    flipped = backend.permute(x, (1, 0))
    y = backend.reshape(flipped, (6,))
    assert not backend.shares_memory(y, flipped)
    assert backend.is_writable(y)
    backend.assign(y, backend.full((), 0, dtypes.float64))
    same(backend, x, np.arange(6.0).reshape(2, 3))


def test_reshape_is_a_view_where_strides_allow(backend):
    x = contiguous(backend, np.arange(24.0).reshape(4, 6))
    rows = backend.slice(x, ((0, 2, 2), (0, 1, 6)))  # a step over rows; rows themselves are whole
    y = backend.reshape(rows, (2, 2, 3))
    assert backend.shares_memory(y, rows)
    same(backend, y, np.arange(24.0).reshape(4, 6)[::2].reshape(2, 2, 3))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (1, 1)], ids=str)
def test_movement_of_small_arrays(backend, shape):
    x = numbers(shape, dtypes.int32)
    array = backend.from_numpy(x)
    dims = tuple(reversed(range(len(shape))))
    same(backend, backend.permute(array, dims), x.transpose(dims))
    same(backend, backend.reshape(array, (1, *shape)), x[None])
    same(backend, backend.slice(array, tuple((0, 1, n) for n in shape)), x)
    same(backend, backend.expand(array, (2, *shape)), np.broadcast_to(x, (2, *shape)))
    same(backend, backend.copy(array), x)


def test_a_slice_of_a_0_d_array_is_a_view(backend):
    x = contiguous(backend, np.array(1.0))
    y = backend.slice(x, ())
    assert backend.shares_memory(y, x)
    backend.assign(y, backend.full((), 3, dtypes.float64))
    same(backend, x, np.array(3.0))


# expand
@pytest.mark.parametrize(
    ("shape", "to"), [((), (2, 3)), ((1,), (4,)), ((2, 1), (3, 2, 4)), ((1, 3), (0, 3))], ids=str
)
def test_expand_is_read_only(backend, shape, to):
    x = numbers(shape, dtypes.float32)
    array = contiguous(backend, x)
    y = backend.expand(array, to)
    same(backend, y, np.broadcast_to(x, to))
    assert not backend.is_writable(y) or 0 in to
    assert backend.is_writable(array)


@in_layouts
def test_expand_in_any_layout(backend, layout):
    x = numbers((2, 1, 3), dtypes.float32)
    y = backend.expand(layout(backend, x), (4, 2, 5, 3))
    same(backend, y, np.broadcast_to(x, (4, 2, 5, 3)))


def test_expand_sees_later_writes(backend):
    x = contiguous(backend, np.array([1.0]))
    y = backend.expand(x, (3,))
    backend.assign(x, backend.full((1,), 2, dtypes.float64))
    same(backend, y, np.full(3, 2.0))


def test_views_of_expanded_arrays_are_read_only(backend):
    x = backend.expand(contiguous(backend, np.array([[1.0], [2.0]])), (2, 3))
    for y in (backend.permute(x, (1, 0)), backend.slice(x, ((0, 1, 1), (0, 1, 3)))):
        assert not backend.is_writable(y)


def test_elements_of_expanded_arrays_that_are_apart_can_be_written(backend):
    base = contiguous(backend, np.zeros((1, 3)))
    row = backend.slice(backend.expand(base, (2, 3)), ((1, 1, 1), (0, 1, 3)))
    assert backend.is_writable(row)
    backend.assign(row, backend.full((1, 3), 2, dtypes.float64))
    same(backend, base, np.full((1, 3), 2.0))
    assert backend.is_writable(backend.expand(base, (0, 3)))
    number = backend.slice(backend.expand(contiguous(backend, np.array(1.0)), (4,)), ((2, 1, 1),))
    assert backend.is_writable(number)


def test_strided_elements_that_are_one_are_read_only(backend):
    x = contiguous(backend, np.zeros(4))
    assert not backend.is_writable(backend.strided(x, (2, 2), (0, 1), 0))
    assert backend.is_writable(backend.strided(x, (1, 2), (0, 1), 0))


def test_an_array_of_read_only_memory_is_read_only(backend, device):
    array = np.ones(3)
    array.flags.writeable = False
    x = backend.from_numpy(array)
    assert not backend.is_writable(x) or not backend.shares_memory(x, array)
    one = backend.slice(backend.expand(backend.reshape(x, (1, 3)), (2, 3)), ((0, 1, 1), (0, 1, 3)))
    assert backend.is_writable(one) == backend.is_writable(x)
    assert backend.is_writable(backend.copy(x))


# strided
@pytest.mark.parametrize("start", [0, 5])
def test_strided_windows_overlap(backend, start):
    x = contiguous(backend, np.arange(20.0))
    y = backend.strided(x, (4, 3), (2, 1), start)
    expected = np.array([[start + 2 * i + j for j in range(3)] for i in range(4)], float)
    same(backend, y, expected)
    backend.assign(x, backend.full((), 1, dtypes.float64))
    same(backend, y, np.ones((4, 3)))


def test_strided_reaches_all_of_a_view_s_memory(backend):
    base = np.arange(24.0).reshape(4, 6)
    x = backend.slice(contiguous(backend, base), ((0, 1, 4), (0, 2, 3)))  # 12 elements over 24
    y = backend.strided(x, (1,), (8,), 18)
    same(backend, y, np.array([18.0]))


def test_strided_goes_backwards_from_the_first_element(backend):
    base = np.arange(24.0).reshape(4, 6)
    x = backend.slice(contiguous(backend, base), ((3, -1, 4), (5, -1, 6)))  # memory reversed
    same(backend, backend.strided(x, (3,), (-7,), -2), np.array([21.0, 14.0, 7.0]))
    assert backend.strides(x) == (-6, -1)


def test_strided_to_nothing(backend):
    x = contiguous(backend, np.arange(6.0))
    same(backend, backend.strided(x, (0, 2), (2, 1), 0), np.zeros((0, 2)))
    same(backend, backend.strided(contiguous(backend, np.zeros(0)), (0,), (1,), 0), np.zeros(0))


@each([dtypes.bool_, dtypes.int8, dtypes.bfloat16, dtypes.float64])
def test_strides_count_elements(backend, dtype):
    x = contiguous(backend, numbers((2, 3, 4), dtype))
    assert backend.strides(x) == (12, 4, 1)
    assert backend.strides(backend.permute(x, (2, 0, 1))) == (1, 12, 4)
    assert backend.strides(backend.slice(x, ((0, 1, 2), (2, -2, 2), (0, 3, 2)))) == (12, -8, 3)
    assert backend.strides(contiguous(backend, numbers((), dtype))) == ()
    expanded = backend.expand(backend.reshape(x, (2, 3, 1, 4)), (2, 3, 5, 4))
    assert backend.strides(expanded)[2] == 0


# concatenate
@each(ALL)
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_concatenate(backend, dim, dtype):
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    shapes[1][dim], shapes[2][dim] = 1, 0
    arrays = [numbers(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    y = backend.concatenate([backend.from_numpy(x) for x in arrays], dim)
    same(backend, y, np.concatenate(arrays, dim))


@pytest.mark.parametrize("right", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("left", LAYOUTS, ids=lambda layout: layout.__name__)
def test_concatenate_any_layout(backend, left, right):
    a, b = numbers((2, 3), dtypes.float32, 1), numbers((2, 3), dtypes.float32, 2)
    y = backend.concatenate([left(backend, a), right(backend, b)], 1)
    same(backend, y, np.concatenate([a, b], 1))


def test_concatenate_one_is_a_copy(backend):
    x = contiguous(backend, np.ones(2))
    y = backend.concatenate([x], 0)
    backend.assign(y, backend.full((), 0, dtypes.float64))
    same(backend, x, np.ones(2))
