"""Conformance: reductions, scans, order, and products of matrices."""

import itertools

import numpy as np
import pytest

from tests.backends.arrays import (
    ALL,
    FLOATS,
    INTEGERS,
    LAYOUTS,
    NUMBERS,
    NUMPY,
    TOLERANCE,
    each,
    in_layouts,
    numbers,
    same,
)
from tinynet import dtype as dtypes
from tinynet.backends import base

REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}
TRUTHS = {"any": np.any, "all": np.all}
SCANS = {"sum": np.cumsum, "prod": np.cumprod, "max": np.maximum.accumulate,
         "min": np.minimum.accumulate}  # fmt: skip
DIMS = [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]


def ops(table):
    return pytest.mark.parametrize("op", table)


def test_tables_above_name_every_primitive():
    assert {*REDUCTIONS, *TRUTHS} == base.REDUCTIONS
    assert {*SCANS} == base.SCANS


# reduce
@each(NUMBERS)
@ops(REDUCTIONS)
def test_reductions(backend, op, dtype):
    x = numbers((2, 3, 4), dtype, low=-2, high=2)
    for dims, keepdim in itertools.product(DIMS, (False, True)):
        kind = {"dtype": x.dtype} if op in ("sum", "prod") and dtype.rank == 1 else {}
        wide = x if dtype.rank == 1 else x.astype(np.float64)
        expected = REDUCTIONS[op](wide, axis=dims, keepdims=keepdim, **kind).astype(x.dtype)
        y = backend.reduce(op, backend.from_numpy(x), dims, keepdim)
        same(backend, y, expected, TOLERANCE.get(dtype, 0))


@ops({**TRUTHS, "max": np.max, "min": np.min})
def test_reductions_of_bools(backend, op):
    x = numbers((2, 3, 4), dtypes.bool_)
    for dims, keepdim in itertools.product(DIMS, (False, True)):
        expected = {**TRUTHS, **REDUCTIONS}[op](x, axis=dims, keepdims=keepdim)
        same(backend, backend.reduce(op, backend.from_numpy(x), dims, keepdim), expected)


@in_layouts
@ops(REDUCTIONS)
@pytest.mark.parametrize("dims", DIMS, ids=str)
def test_reductions_in_any_layout(backend, op, layout, dims):
    x = numbers((2, 3, 4), dtypes.float64, low=1, high=3)
    expected = REDUCTIONS[op](x, axis=dims)
    same(backend, backend.reduce(op, layout(backend, x), dims, False), expected, 1e-14)


def test_reduction_of_an_expanded_array(backend):
    x = backend.expand(backend.from_numpy(np.float64([[1], [2]])), (2, 1000))
    same(backend, backend.reduce("sum", x, (1,), False), np.float64([1000, 2000]))


@each(NUMBERS)
@pytest.mark.parametrize(("op", "value"), [("sum", 0), ("prod", 1)])
def test_reductions_of_nothing(backend, op, value, dtype):
    x = backend.from_numpy(np.zeros((2, 0, 3), NUMPY[dtype]))
    same(backend, backend.reduce(op, x, (1,), False), np.full((2, 3), value, NUMPY[dtype]))
    same(backend, backend.reduce(op, x, (0, 1, 2), True), np.full((1, 1, 1), value, NUMPY[dtype]))
    same(backend, backend.reduce(op, x, (0,), False), np.zeros((0, 3), NUMPY[dtype]))


@pytest.mark.parametrize(("op", "value"), [("any", False), ("all", True)])
def test_truth_of_nothing(backend, op, value):
    x = backend.from_numpy(np.zeros((0, 2), bool))
    same(backend, backend.reduce(op, x, (0,), False), np.array([value, value]))


@ops(REDUCTIONS)
def test_reductions_of_one_number(backend, op):
    x = np.array(3.0)
    same(backend, backend.reduce(op, backend.from_numpy(x), (), False), x)


def test_reduction_over_no_dims_is_a_new_array(backend):
    x = backend.from_numpy(np.ones(2))
    y = backend.reduce("sum", x, (), False)
    backend.assign(y, backend.full((), 5, dtypes.float64))
    same(backend, x, np.ones(2))


@each(FLOATS)
@ops(["max", "min"])
def test_nan_is_the_extreme(backend, op, dtype):
    x = np.array([[1, np.nan, 3], [np.inf, 2, -np.inf]]).astype(NUMPY[dtype])
    expected = np.array([np.nan, np.inf if op == "max" else -np.inf]).astype(NUMPY[dtype])
    same(backend, backend.reduce(op, backend.from_numpy(x), (1,), False), expected)


@each(FLOATS)
def test_sums_of_infinities(backend, dtype):
    x = np.array([[np.inf, 1], [np.inf, -np.inf], [np.nan, 0]]).astype(NUMPY[dtype])
    expected = np.array([np.inf, np.nan, np.nan]).astype(NUMPY[dtype])
    same(backend, backend.reduce("sum", backend.from_numpy(x), (1,), False), expected)


@each([dtypes.float16, dtypes.bfloat16])
def test_half_precision_adds_up_in_float32(backend, dtype):
    ones = backend.full((5000,), 1, dtype)
    same(backend, backend.reduce("sum", ones, (0,), False), np.array(5000.0).astype(NUMPY[dtype]))
    back_and_forth = np.array([300.0, 300.0, 1 / 256, 1 / 256]).astype(NUMPY[dtype])
    y = backend.reduce("prod", backend.from_numpy(back_and_forth), (0,), False)
    exact = np.prod(back_and_forth.astype(np.float64)).astype(NUMPY[dtype])
    same(backend, y, exact, TOLERANCE[dtype])


def test_float32_sums_stay_exact_over_many_elements(backend):
    x = np.full((1 << 20,), 0.1, np.float32)
    expected = np.float32(x.astype(np.float64).sum())
    same(backend, backend.reduce("sum", backend.from_numpy(x), (0,), False), expected, 1e-5)


@each(INTEGERS)
def test_integer_sums_wrap_around(backend, dtype):
    _, high = dtypes.integer_limits(dtype)
    x = np.array([high, 1, 5], NUMPY[dtype])
    same(backend, backend.reduce("sum", backend.from_numpy(x), (0,), False), x.sum(dtype=x.dtype))


# arg_reduce
@each(ALL)
@ops(["max", "min"])
def test_place_of_the_first_extreme(backend, op, dtype):
    x = numbers((3, 4, 5), dtype, low=-1, high=1)
    for dim, keepdim in itertools.product(range(3), (False, True)):
        function = np.argmax if op == "max" else np.argmin
        expected = function(x.astype(np.float64), axis=dim, keepdims=keepdim)
        same(backend, backend.arg_reduce(op, backend.from_numpy(x), dim, keepdim), expected)


@each(FLOATS)
@ops(["max", "min"])
def test_place_of_the_first_nan(backend, op, dtype):
    x = np.array([[1, np.nan, 3, np.nan], [2, 0, -np.inf, np.inf]]).astype(NUMPY[dtype])
    expected = np.array([1, 3 if op == "max" else 2])
    same(backend, backend.arg_reduce(op, backend.from_numpy(x), 1, False), expected)


@in_layouts
def test_place_of_extremes_in_any_layout(backend, layout):
    x = numbers((4, 6), dtypes.float32)
    for dim in (0, 1):
        y = backend.arg_reduce("max", layout(backend, x), dim, False)
        same(backend, y, np.argmax(x, dim))


# scan
@each(NUMBERS)
@ops(SCANS)
def test_scans(backend, op, dtype):
    x = numbers((3, 4, 2), dtype, low=-2, high=2)
    for dim in range(3):
        kind = {"dtype": x.dtype} if op in ("sum", "prod") and dtype.rank == 1 else {}
        wide = x if dtype.rank == 1 else x.astype(np.float64)
        expected = SCANS[op](wide, axis=dim, **kind).astype(x.dtype)
        same(backend, backend.scan(op, backend.from_numpy(x), dim), expected)


@in_layouts
@ops(SCANS)
def test_scans_in_any_layout(backend, op, layout):
    x = numbers((3, 5), dtypes.float64)
    for dim in (0, 1):
        same(backend, backend.scan(op, layout(backend, x), dim), SCANS[op](x, axis=dim))


@ops(SCANS)
def test_scans_of_nothing(backend, op):
    x = np.zeros((0, 3))
    same(backend, backend.scan(op, backend.from_numpy(x), 0), x)
    same(backend, backend.scan(op, backend.from_numpy(x), 1), x)


@each(FLOATS)
@ops(["max", "min"])
def test_nan_stays_the_extreme(backend, op, dtype):
    x = np.array([1, np.nan, 3]).astype(NUMPY[dtype])
    expected = np.array([1, np.nan, np.nan]).astype(NUMPY[dtype])
    same(backend, backend.scan(op, backend.from_numpy(x), 0), expected)


@ops(["max", "min"])
def test_scans_of_bools(backend, op):
    x = np.array([False, True, False])
    same(backend, backend.scan(op, backend.from_numpy(x), 0), SCANS[op](x))


@each([dtypes.float16, dtypes.bfloat16])
def test_half_precision_runs_in_float32(backend, dtype):
    y = backend.scan("sum", backend.full((5000,), 1, dtype), 0)
    same(backend, y, np.arange(1.0, 5001).astype(NUMPY[dtype]))


# argsort
@each(ALL)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable(backend, descending, dtype):
    x = numbers((6, 7), dtype, low=-1, high=1)
    for dim in (0, 1):
        wide = x.astype(np.int64) if dtype.rank < 2 else x.astype(np.float64)
        expected = np.argsort(-wide if descending else wide, axis=dim, kind="stable")
        same(backend, backend.argsort(backend.from_numpy(x), dim, descending), expected)


@each(INTEGERS)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_of_limits(backend, descending, dtype):
    low, high = dtypes.integer_limits(dtype)
    x = np.array([0, high, low, 1], NUMPY[dtype])
    order = sorted(range(4), key=lambda i: int(x[i]), reverse=descending)
    if dtype.kind == "u":  # the lowest is 0: two of them, in their order
        order = [1, 3, 0, 2] if descending else [0, 2, 3, 1]
    same(backend, backend.argsort(backend.from_numpy(x), 0, descending), np.array(order))


@each(FLOATS)
def test_nan_is_the_largest(backend, dtype):
    x = np.array([np.nan, 1, np.inf, -np.inf, np.nan, -0.0, 0.0]).astype(NUMPY[dtype])
    array = backend.from_numpy(x)
    same(backend, backend.argsort(array, 0, False), np.array([3, 5, 6, 1, 2, 0, 4]))
    same(backend, backend.argsort(array, 0, True), np.array([0, 4, 2, 1, 5, 6, 3]))


@in_layouts
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_in_any_layout(backend, layout, descending):
    x = numbers((3, 8), dtypes.float32)
    expected = np.argsort(-x if descending else x, axis=1, kind="stable")
    same(backend, backend.argsort(layout(backend, x), 1, descending), expected)


def test_sorting_of_nothing(backend):
    x = backend.from_numpy(np.zeros((2, 0)))
    same(backend, backend.argsort(x, 1, False), np.zeros((2, 0), np.int64))
    same(backend, backend.argsort(x, 0, True), np.zeros((2, 0), np.int64))


# matmul
MATMULS = [
    ((2, 3), (3, 4)), ((1, 1), (1, 1)), ((7, 1), (1, 5)), ((3,), (3,)), ((3,), (3, 2)),
    ((2, 3), (3,)), ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 3), (3, 0)), ((0,), (0,)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)),
    ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((0, 2, 3), (3, 4)), ((2, 0, 3), (3, 4)),
    ((2, 3, 0), (0, 4)), ((33, 65), (65, 17)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), MATMULS, ids=str)
def test_matmul_of_shapes(backend, left, right):
    a, b = numbers(left, dtypes.float32, 1), numbers(right, dtypes.float32, 2)
    same(backend, backend.matmul(backend.from_numpy(a), backend.from_numpy(b)), a @ b)


@each(NUMBERS)
@pytest.mark.parametrize(("left", "right"), [((3, 4), (4, 5)), ((2, 3, 4), (4, 2))], ids=str)
def test_matmul_of_dtypes(backend, left, right, dtype):
    a, b = numbers(left, dtype, 1, -3, 3), numbers(right, dtype, 2, -3, 3)
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(NUMPY[dtype])
    same(backend, backend.matmul(backend.from_numpy(a), backend.from_numpy(b)), expected)


@pytest.mark.parametrize("right", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("left", LAYOUTS, ids=lambda layout: layout.__name__)
def test_matmul_in_any_layout(backend, left, right):
    for a_shape, b_shape in (((4, 5), (5, 3)), ((2, 4, 5), (5, 3)), ((2, 4, 5), (2, 5, 3))):
        a, b = numbers(a_shape, dtypes.float64, 1), numbers(b_shape, dtypes.float64, 2)
        same(backend, backend.matmul(left(backend, a), right(backend, b)), a @ b)


def test_matmul_of_expanded_arrays(backend):
    a = backend.expand(backend.from_numpy(np.float32([[1, 2]])), (3, 2))
    b = backend.expand(backend.from_numpy(np.float32([[1], [10]])), (2, 4))
    same(backend, backend.matmul(a, b), np.full((3, 4), 21, np.float32))


@each([dtypes.float16, dtypes.bfloat16])
def test_matmul_of_half_precision_adds_up_in_float32(backend, dtype):
    ones = np.ones((1, 5000), NUMPY[dtype])
    y = backend.matmul(backend.from_numpy(ones), backend.from_numpy(ones.T))
    same(backend, y, np.array([[5000.0]]).astype(NUMPY[dtype]))


def test_matmul_carries_nan_and_infinity(backend):
    a = np.array([[np.inf, 0.0], [np.nan, 1.0], [1.0, 1.0]])
    b = np.array([[1.0, 0.0], [1.0, 2.0]])
    with np.errstate(invalid="ignore"):
        expected = a @ b
    same(backend, backend.matmul(backend.from_numpy(a), backend.from_numpy(b)), expected)


def test_matmul_of_integers_wraps_around(backend):
    a = np.full((1, 2), 100, np.int8)
    y = backend.matmul(backend.from_numpy(a), backend.from_numpy(a.T))
    same(backend, y, np.array([[20000]]).astype(np.int8))
