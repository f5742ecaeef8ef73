"""Conformance: arrays from and to the host, filled, counted, random; casts, copies, assignment."""

import platform
import threading

import numpy as np
import pytest

from tests.backends.arrays import (
    ALL,
    FLOATS,
    INTEGERS,
    LAYOUTS,
    NUMBERS,
    NUMPY,
    contiguous,
    each,
    in_layouts,
    in_shapes,
    numbers,
    same,
)
from tinynet import dtype as dtypes
from tinynet.backends import open_backend
from tinynet.errors import DeviceError

in_written_layouts = pytest.mark.parametrize(
    "layout", LAYOUTS[:-1], ids=lambda layout: layout.__name__
)


# To and from the host
@each(ALL)
@in_shapes
def test_from_numpy_and_back(backend, shape, dtype):
    x = numbers(shape, dtype)
    same(backend, backend.from_numpy(x), x)


@each(ALL)
@in_layouts
def test_to_numpy_from_any_layout(backend, layout, dtype):
    x = numbers((2, 3), dtype)
    same(backend, layout(backend, x), x)


@pytest.mark.parametrize("index", [np.s_[:, ::-2], np.s_[1:, 1:], np.s_[None, 0]], ids=str)
def test_from_numpy_of_a_strided_array(backend, index):
    x = np.arange(12.0).reshape(3, 4)[index]
    same(backend, backend.from_numpy(x), x)


def test_name_opens_the_same_backend(device):
    backend = open_backend(device)
    assert backend.name == device
    assert open_backend(backend.name) is backend


def test_device_that_is_not_there(backend, device):
    kind = device.partition(":")[0]
    with pytest.raises(DeviceError, match=rf"^device: no device '{kind}:99', there is "):
        open_backend(f"{kind}:99")


# Creation
@each(ALL)
@in_shapes
def test_full(backend, shape, dtype):
    for value in (0, 1, 3.5) if dtype.rank == 2 else (0, 1):
        same(backend, backend.full(shape, value, dtype), np.full(shape, value, NUMPY[dtype]))


@each(INTEGERS)
def test_full_of_limits(backend, dtype):
    for value in dtypes.integer_limits(dtype):
        same(backend, backend.full((2,), value, dtype), np.full(2, value, NUMPY[dtype]))


@each(FLOATS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -0.0, 1e300], ids=str)
def test_full_of_extreme_values(backend, dtype, value):
    with np.errstate(over="ignore"):
        expected = np.full(2, value, np.float64).astype(NUMPY[dtype])
    same(backend, backend.full((2,), float(value), dtype), expected)


@each(FLOATS)
def test_full_can_be_written(backend, dtype):
    x = backend.full((3,), 0, dtype)
    assert backend.is_writable(x)
    backend.assign(x, backend.full((), 1, dtype))
    same(backend, x, np.ones(3, NUMPY[dtype]))


@each(NUMBERS)
@pytest.mark.parametrize(("count", "start", "step"), [(5, 0, 1), (0, 3, 1), (1, 7, -3), (4, 2, 3)])
def test_arange(backend, count, start, step, dtype):
    expected = np.array([start + i * step for i in range(count)], np.int64).astype(NUMPY[dtype])
    same(backend, backend.arange(count, start, step, dtype), expected)


@each(FLOATS)
def test_arange_is_rounded_once(backend, dtype):
    expected = (np.arange(2000, dtype=np.float64) * 0.1 - 50).astype(NUMPY[dtype])
    same(backend, backend.arange(2000, -50, 0.1, dtype), expected)


def test_arange_of_large_integers(backend):
    start = 2**62
    expected = np.array([start, start + 3, start + 6])
    same(backend, backend.arange(3, start, 3, dtypes.int64), expected)


@pytest.mark.parametrize("key", [0, 1, 42, 2**64 - 1, 2**64 + 5, 2**128 - 1])
@pytest.mark.parametrize("counter", [0, 1, 7, 2**64 - 1])
def test_random_bits_are_philox(backend, key, counter):
    words = np.random.Philox(key=key, counter=counter).random_raw(9)
    same(backend, backend.random_bits(key, counter, 9, 64), words)
    halves = words.astype("<u8").view("<u4").astype(np.uint32)
    same(backend, backend.random_bits(key, counter, 18, 32), halves)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 1000])
def test_any_number_of_random_bits(backend, count):
    words = np.random.Philox(key=5).random_raw(count)
    same(backend, backend.random_bits(5, 0, count, 64), words)
    halves = np.random.Philox(key=5).random_raw((count + 1) // 2).astype("<u8").view("<u4")[:count]
    same(backend, backend.random_bits(5, 0, count, 32), halves.astype(np.uint32))


# Casts
@each(ALL)
@pytest.mark.parametrize("source", ALL, ids=lambda dtype: dtype.name)
def test_cast_of_numbers_that_fit(backend, source, dtype):
    x = numbers((3, 4), source, low=0, high=9)
    wide = x.astype(np.float64)
    expected = wide != 0 if dtype is dtypes.bool_ else wide.astype(NUMPY[dtype])
    same(backend, backend.cast(backend.from_numpy(x), dtype), expected)


@each([dtype for dtype in INTEGERS if dtype.kind == "i"])
def test_cast_truncates_toward_zero(backend, dtype):
    x = np.array([-2.9, -0.5, 0.5, 2.9])
    expected = np.array([-2, 0, 0, 2], NUMPY[dtype])
    same(backend, backend.cast(backend.from_numpy(x), dtype), expected)


@each(INTEGERS)
def test_cast_of_integers_wraps_around(backend, dtype):
    x = np.array([-1, 0, 127, 128, 255, 256, 2**31, 2**32 + 5, 2**62, -(2**63)])
    same(backend, backend.cast(backend.from_numpy(x), dtype), x.astype(NUMPY[dtype]))


@each(INTEGERS)
@pytest.mark.parametrize("source", [dtypes.float32, dtypes.float64], ids=lambda dtype: dtype.name)
def test_cast_of_floats_out_of_range_wraps_around(backend, source, dtype):
    x = np.array([-1.5, 127.9, 128, 256.5, -129, 32768, -70_000, 1e6], NUMPY[source])
    if dtype is dtypes.uint64:
        x = np.abs(x)
    if backend.name == "cpu" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("C leaves it open, and so does NumPy")
    expected = x.astype(np.int64).astype(NUMPY[dtype])
    same(backend, backend.cast(backend.from_numpy(x), dtype), expected)


def test_cast_to_bool_asks_for_anything_but_zero(backend):
    x = np.array([0.0, -0.0, 1e-300, np.nan, np.inf, -3])
    expected = np.array([False, False, True, True, True, True])
    same(backend, backend.cast(backend.from_numpy(x), dtypes.bool_), expected)


@each(FLOATS)
def test_cast_of_floats_rounds_to_nearest_even(backend, dtype):
    x = np.concatenate([np.linspace(-3, 3, 101), [np.inf, -np.inf, np.nan, -0.0, 1e300, 65520]])
    with np.errstate(over="ignore"):
        expected = x.astype(NUMPY[dtype])
    same(backend, backend.cast(backend.from_numpy(x), dtype), expected)
    single = np.float32([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11])
    same(backend, backend.cast(backend.from_numpy(single), dtype), single.astype(NUMPY[dtype]))


@in_layouts
@in_shapes
def test_cast_from_any_layout(backend, layout, shape):
    x = numbers(shape, dtypes.float64)
    same(backend, backend.cast(layout(backend, x), dtypes.float32), x.astype(np.float32))


# Copies
@in_layouts
@in_shapes
@each([dtypes.bool_, dtypes.int64, dtypes.bfloat16, dtypes.float32])
def test_copy_is_contiguous_and_its_own(backend, layout, shape, dtype):
    x = numbers(shape, dtype)
    array = layout(backend, x)
    copied = backend.copy(array)
    same(backend, copied, x)
    steps, step = [], 1
    for n in reversed(shape):
        steps.insert(0, step)
        step *= max(n, 1)
    if x.size:
        assert backend.strides(copied) == tuple(steps)
    assert backend.is_writable(copied)
    backend.assign(copied, backend.full((), 1, dtype))
    same(backend, array, x)


def test_copy_of_an_expanded_array(backend):
    x = backend.expand(backend.from_numpy(np.array([1.0, 2])), (3, 2))
    copied = backend.copy(x)
    assert backend.is_writable(copied)
    assert backend.strides(copied) == (2, 1)


# Assignment
@in_written_layouts
@in_shapes
def test_assign_to_any_layout(backend, layout, shape):
    x, new = numbers(shape, dtypes.float32, 1), numbers(shape, dtypes.float32, 2)
    target = layout(backend, x)
    backend.assign(target, backend.from_numpy(new))
    same(backend, target, new)


@in_layouts
@in_shapes
def test_assign_from_any_layout(backend, layout, shape):
    new = numbers(shape, dtypes.float32, 2)
    target = backend.full(shape, 0, dtypes.float32)
    backend.assign(target, layout(backend, new))
    same(backend, target, new)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 1, 3)], ids=str)
def test_assign_broadcasts(backend, shape):
    new = numbers(shape, dtypes.int32)
    target = backend.full((4, 2, 3), 0, dtypes.int32)
    backend.assign(target, backend.from_numpy(new))
    same(backend, target, np.broadcast_to(new, (4, 2, 3)))


@each(ALL)
@pytest.mark.parametrize("source", ALL, ids=lambda dtype: dtype.name)
def test_assign_casts(backend, source, dtype):
    x = numbers((5,), source, low=0)
    target = backend.full((5,), 0, dtype)
    backend.assign(target, backend.from_numpy(x))
    same(backend, target, backend.to_numpy(backend.cast(backend.from_numpy(x), dtype)))


@pytest.mark.parametrize(
    ("to", "source", "expected"),
    [
        ((1, 1, 5), (0, 1, 5), [0, 0, 1, 2, 3, 4]),
        ((0, 1, 5), (1, 1, 5), [1, 2, 3, 4, 5, 5]),
        ((0, 1, 6), (5, -1, 6), [5, 4, 3, 2, 1, 0]),
        ((0, 2, 3), (0, 1, 3), [0, 1, 1, 3, 2, 5]),
    ],
    ids=str,
)
def test_assign_reads_all_before_it_writes(backend, to, source, expected):
    x = contiguous(backend, np.arange(6.0))
    backend.assign(backend.slice(x, (to,)), backend.slice(x, (source,)))
    same(backend, x, np.array(expected, float))


def test_assign_of_a_transpose_to_itself(backend):
    x = contiguous(backend, np.arange(9).reshape(3, 3))
    backend.assign(x, backend.permute(x, (1, 0)))
    same(backend, x, np.arange(9).reshape(3, 3).T)


def test_what_was_computed_from_the_old_value_stays(backend):
    x = contiguous(backend, np.array([1.0, 2.0]))
    doubled = backend.elementwise("mul", x, 2.0)
    backend.assign(x, backend.full((), 0, dtypes.float64))
    same(backend, doubled, np.array([2.0, 4.0]))


def test_assign_an_expression_of_the_target(backend):
    x = contiguous(backend, np.array([1.0, 2.0]))
    backend.assign(x, backend.elementwise("add", backend.elementwise("mul", x, x), x))
    same(backend, x, np.array([2.0, 6.0]))


def test_warnings_of_the_caller_stay_as_they_are(backend):
    with np.errstate(all="raise"):
        x = backend.from_numpy(np.array([0.0, -1.0, 1e300]))
        for op in ("log", "reciprocal", "exp", "square"):
            backend.elementwise(op, x)
        backend.cast(x, dtypes.float16)
        backend.reduce("prod", backend.elementwise("mul", x, 1e300), (0,), False)
        assert np.geterr()["divide"] == "raise"


def test_threads_work_at_the_same_time(backend):
    """Each thread computes what it would alone, while the others compute."""
    barrier, results = threading.Barrier(4), {}

    def work(i):
        barrier.wait()
        x = backend.from_numpy(np.full(1000, i, np.float32))
        for _ in range(200):
            x = backend.elementwise("sqrt", backend.elementwise("square", x))
        results[i] = backend.to_numpy(backend.reduce("sum", x, (0,), False)).item()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: 1000.0 * i for i in range(4)}
