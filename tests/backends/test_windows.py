"""Conformance, windows: the largest of each window, picking, spreading and folding by taps."""

import functools
import itertools

import numpy as np
import pytest

from tests.backends.arrays import (
    FLOATS,
    NUMBERS,
    NUMPY,
    contiguous,
    each,
    in_layouts,
    numbers,
    same,
)
from tinynet import dtype as dtypes
from tinynet.windows import Windows, place

# input, kernel, stride, padding, dilation, ceil_mode
SETTINGS = {
    "halves": ((6, 8), 2, 2, 0, 1, False),
    "overlapping": ((5, 7), 3, 1, 0, 1, False),
    "padded": ((5, 6), 3, 2, 1, 1, False),
    "dilated": ((7, 9), 3, 1, 2, 2, False),
    "past the end": ((6, 7), (3, 2), (2, 3), (1, 0), 1, True),
    "gaps": ((7, 8), 2, 3, 0, 1, False),
    "smaller than the kernel": ((2, 3), 3, 2, 1, 1, True),
    "one tap": ((4, 3), 1, 1, 0, 1, False),
    "rows": ((9,), 3, 2, 1, 1, False),
    "volumes": ((4, 5, 3), (2, 3, 2), (2, 1, 1), (1, 1, 0), (1, 2, 1), True),
    "wide": ((3, 70), (2, 5), (1, 2), (0, 2), 1, False),
}
MANY_TAPS = place("test", (12, 30), (9, 29), (1, 1), ((4, 14), (4, 14)), (1, 1))  # over 256
in_settings = pytest.mark.parametrize("setting", SETTINGS)
in_some_settings = pytest.mark.parametrize("setting", ["halves", "padded"])


def windows_of(setting):
    size, *others, ceil_mode = SETTINGS[setting]
    kernel, stride, padding, dilation = (
        n if isinstance(n, tuple) else (n,) * len(size) for n in others
    )
    return place("test", size, kernel, stride, (padding, padding), dilation, ceil_mode)


@functools.cache
def covered(windows):
    """Window, tap, its number and its place, tap after tap: the order in which sums run."""
    found = []
    for (number, tap), window in itertools.product(
        enumerate(np.ndindex(*windows.kernel)), np.ndindex(*windows.output)
    ):
        sizes = zip(window, tap, *windows[3:], strict=True)
        at = tuple(o * s - p + k * d for o, k, s, p, d in sizes)
        if all(0 <= i < n for i, n in zip(at, windows.input, strict=True)):
            found.append((window, tap, number, at))
    return found


def whole(window):
    return (slice(None), slice(None), *window)


@np.errstate(invalid="ignore")
def pooled(x, windows):
    """Plain loops over windows and taps."""
    y = np.zeros((*x.shape[:2], *windows.output), x.dtype)
    taps = np.full(y.shape, -1, np.int32)
    for window, _, number, at in covered(windows):
        value, best = x[whole(at)], y[whole(window)]
        is_first = taps[whole(window)] < 0
        wins = is_first | (value > best) | (value != value)
        y[whole(window)] = np.where(wins, value, best)
        taps[whole(window)] = np.where(wins, number, taps[whole(window)])
    return y, taps


def picked(x, taps, windows):
    y = np.zeros(taps.shape, x.dtype)
    for window, _, number, at in covered(windows):
        is_here = taps[whole(window)] == number
        y[whole(window)] = np.where(is_here, x[whole(at)], y[whole(window)])
    return y


def wide(dtype):
    return np.float32 if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype


def spread(y, taps, windows):
    x = np.zeros((*y.shape[:2], *windows.input), wide(y.dtype))
    for window, _, number, at in covered(windows):
        is_here = taps[whole(window)] == number
        x[whole(at)] += np.where(is_here, y[whole(window)], y.dtype.type(0)).astype(x.dtype)
    return x.astype(y.dtype)


def folded(parts, windows):
    x = np.zeros((*parts.shape[:2], *windows.input), wide(parts.dtype))
    for window, tap, _, at in covered(windows):
        x[whole(at)] += parts[whole((*tap, *window))].astype(x.dtype)
    return x.astype(parts.dtype)


def random(shape, dtype, seed=0):
    """Numbers with ties among them."""
    return numbers(shape, dtype, seed, -4, 4)


# the largest
@each(NUMBERS)
@in_some_settings
def test_pool_max(backend, setting, dtype):
    check_pool_max(backend, windows_of(setting), dtype)


@each([dtypes.uint8, dtypes.float32])
def test_pool_max_of_many_taps(backend, dtype):
    check_pool_max(backend, MANY_TAPS, dtype)


def check_pool_max(backend, windows, dtype):
    x = random((2, 3, *windows.input), dtype)
    y, taps = backend.pool_max(backend.from_numpy(x), windows)
    expected, expected_taps = pooled(x, windows)
    same(backend, y, expected)
    same(backend, taps, expected_taps)


@in_layouts
@in_settings
def test_pool_max_of_any_layout(backend, layout, setting):
    windows = windows_of(setting)
    x = random((2, 3, *windows.input), dtypes.float32, 1)
    y, taps = backend.pool_max(layout(backend, x), windows)
    expected, expected_taps = pooled(x, windows)
    same(backend, y, expected)
    same(backend, taps, expected_taps)


@each(FLOATS)
@in_some_settings
def test_last_nan_of_a_window_wins(backend, setting, dtype):
    windows = windows_of(setting)
    x = random((2, 3, *windows.input), dtype)
    x[np.random.default_rng(1).random(x.shape) < 0.15] = np.nan
    x[np.random.default_rng(2).random(x.shape) < 0.15] = -np.inf
    x[1, 2] = -np.inf
    y, taps = backend.pool_max(backend.from_numpy(x), windows)
    expected, expected_taps = pooled(x, windows)
    same(backend, y, expected)
    same(backend, taps, expected_taps)


@each([dtype for dtype in NUMBERS if dtype.rank == 1])
def test_pool_max_of_the_smallest_integers(backend, dtype):
    windows = windows_of("padded")
    x = np.full((1, 2, 5, 6), dtypes.integer_limits(dtype)[0], NUMPY[dtype])
    y, taps = backend.pool_max(backend.from_numpy(x), windows)
    expected, expected_taps = pooled(x, windows)
    same(backend, y, expected)
    same(backend, taps, expected_taps)


# picking and spreading
@each(NUMBERS)
@in_some_settings
def test_pick(backend, setting, dtype):
    windows = windows_of(setting)
    x = random((2, 3, *windows.input), dtype)
    _, taps = pooled(random(x.shape, dtype, 1), windows)
    y = backend.pick(backend.from_numpy(x), backend.from_numpy(taps), windows)
    same(backend, y, picked(x, taps, windows))


@each(NUMBERS)
@in_some_settings
def test_spread(backend, setting, dtype):
    windows = windows_of(setting)
    y, taps = pooled(random((2, 3, *windows.input), dtype, 1), windows)
    y = random(y.shape, dtype, 2)
    x = backend.spread(backend.from_numpy(y), backend.from_numpy(taps), windows)
    same(backend, x, spread(y, taps, windows))


@in_layouts
@in_settings
def test_pick_and_spread_in_any_layout(backend, layout, setting):
    windows = windows_of(setting)
    x = random((2, 3, *windows.input), dtypes.float32)
    y, taps = pooled(x, windows)
    for numbers_of_taps in (backend.from_numpy(taps), layout(backend, taps)):
        same(backend, backend.pick(layout(backend, x), numbers_of_taps, windows), y)
        found = backend.spread(layout(backend, y), numbers_of_taps, windows)
        same(backend, found, spread(y, taps, windows))


@each(FLOATS)
def test_spread_keeps_infinities_apart(backend, dtype):
    windows = windows_of("halves")
    y, taps = pooled(random((1, 2, 6, 8), dtype), windows)
    y = y * 0 + y.dtype.type(np.inf)
    found = backend.spread(backend.from_numpy(y), backend.from_numpy(taps), windows)
    same(backend, found, spread(y, taps, windows))
    assert not np.isnan(backend.to_numpy(found)).any()


@pytest.mark.parametrize("function", ["spread", "fold"])
@each(FLOATS)
def test_sums_run_in_the_order_of_taps(backend, function, dtype):
    """Any other order, or rounding in between, would show in the last bits."""
    windows = place("test", (9, 11), (4, 3), (1, 1), ((2, 1), (2, 1)), (1, 1))
    generator = np.random.default_rng(3)
    if function == "fold":
        shape = (2, 2, *windows.kernel, *windows.output)
        parts = generator.standard_normal(shape).astype(NUMPY[dtype])
        same(backend, backend.fold(backend.from_numpy(parts), windows), folded(parts, windows))
        return
    x = generator.standard_normal((2, 2, 9, 11)).astype(NUMPY[dtype])
    y, taps = pooled(x, windows)
    found = backend.spread(backend.from_numpy(y), backend.from_numpy(taps), windows)
    same(backend, found, spread(y, taps, windows))


def test_spread_of_a_repeated_element(backend):
    windows = windows_of("padded")
    _, taps = pooled(random((2, 3, 5, 6), dtypes.float32), windows)
    one = backend.expand(backend.from_numpy(np.ones((1, 1, 1, 1), np.float32)), taps.shape)
    found = backend.spread(one, backend.from_numpy(taps), windows)
    same(backend, found, spread(np.ones(taps.shape, np.float32), taps, windows))


# folding
@each(NUMBERS)
@in_some_settings
def test_fold(backend, setting, dtype):
    windows = windows_of(setting)
    parts = random((2, 3, *windows.kernel, *windows.output), dtype)
    same(backend, backend.fold(backend.from_numpy(parts), windows), folded(parts, windows))


@in_layouts
@in_settings
def test_fold_of_any_layout(backend, layout, setting):
    windows = windows_of(setting)
    parts = random((2, 3, *windows.kernel, *windows.output), dtypes.float32)
    same(backend, backend.fold(layout(backend, parts), windows), folded(parts, windows))


@each(FLOATS)
@in_some_settings
def test_fold_of_one_part_for_all_taps(backend, setting, dtype):
    windows = windows_of(setting)
    y = random((2, 3, *windows.output), dtype)
    ones = (1,) * len(windows.kernel)
    part = backend.reshape(backend.from_numpy(y), (2, 3, *ones, *windows.output))
    shape = (2, 3, *windows.kernel, *windows.output)
    parts = backend.expand(part, shape)
    expected = np.broadcast_to(y.reshape(2, 3, *ones, *windows.output), shape)
    same(backend, backend.fold(parts, windows), folded(expected, windows))


# what they have in common
def test_batches_and_channels_of_none(backend):
    windows = windows_of("padded")
    for shape in [(0, 3), (2, 0)]:
        x = np.zeros((*shape, *windows.input), np.float32)
        y, taps = backend.pool_max(backend.from_numpy(x), windows)
        expected, expected_taps = pooled(x, windows)
        same(backend, y, expected)
        same(backend, taps, expected_taps)
        same(backend, backend.pick(backend.from_numpy(x), taps, windows), expected)
        same(backend, backend.spread(y, taps, windows), x)
        parts = np.zeros((*shape, *windows.kernel, *windows.output), np.float32)
        same(backend, backend.fold(backend.from_numpy(parts), windows), x)


def test_results_are_new(backend):
    windows = place("test", (3,), (1,), (1,), ((0,), (0,)), (1,))
    x = contiguous(backend, np.float32([[[1, 2, 3]]]))
    y, taps = backend.pool_max(x, windows)
    for array in (y, backend.pick(x, taps, windows), backend.spread(x, taps, windows)):
        backend.assign(array, backend.full((), 0, dtypes.float32))
    same(backend, x, np.float32([[[1, 2, 3]]]))


def test_larger_ones(backend):
    """More than a part of the work, or a work-item, takes."""
    windows = place("test", (33, 40), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
    x = random((40, 9, 33, 40), dtypes.float32)
    y, taps = backend.pool_max(backend.from_numpy(x), windows)
    expected, expected_taps = pooled(x, windows)
    same(backend, y, expected)
    same(backend, taps, expected_taps)
    same(backend, backend.spread(y, taps, windows), spread(expected, expected_taps, windows))
    same(backend, backend.pick(backend.from_numpy(x), taps, windows), expected)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_cpu_keeps_the_order_of_dims_in_memory(order):
    from tinynet.backends import open_backend

    backend = open_backend("cpu")
    windows = windows_of("padded")
    back = np.argsort(order)
    x = np.ascontiguousarray(random((2, 3, 5, 6), dtypes.float32).transpose(order)).transpose(back)
    y, taps = backend.pool_max(x, windows)
    parts = np.broadcast_to(y.reshape(2, 3, 1, 1, *windows.output), (2, 3, 3, 3, *windows.output))
    results = [y, taps, backend.pick(x, taps, windows), backend.spread(y, taps, windows),
               backend.fold(parts, windows)]  # fmt: skip
    for result in results:
        assert result.transpose(order).flags.c_contiguous


def test_windows_say_how_far_they_reach():
    windows = Windows((7,), (3,), (3,), (2,), (1,), (2,))
    assert windows.taps == 3
    assert windows.behind == (1,)
