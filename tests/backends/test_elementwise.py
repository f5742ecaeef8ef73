"""Conformance, elementwise: every primitive, on every dtype it takes, in every layout."""

import math

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
    contiguous,
    each,
    in_layouts,
    in_shapes,
    numbers,
    same,
)
from tinynet import dtype as dtypes
from tinynet.backends import base

erf = np.vectorize(math.erf, otypes=[np.float64])

# primitive: what it computes, in float64, and where to try it
OF_FLOATS = {
    "sqrt": (np.sqrt, 0, 9), "rsqrt": (lambda x: 1 / np.sqrt(x), 0.5, 9),
    "reciprocal": (np.reciprocal, 1, 9),
    "exp": (np.exp, -5, 5), "exp2": (np.exp2, -5, 5), "expm1": (np.expm1, -5, 5),
    "log": (np.log, 0.5, 9), "log2": (np.log2, 0.5, 9), "log10": (np.log10, 0.5, 9),
    "log1p": (np.log1p, 0, 9),
    "sin": (np.sin, -9, 9), "cos": (np.cos, -9, 9), "tan": (np.tan, -1, 1),
    "asin": (np.arcsin, -1, 1), "acos": (np.arccos, -1, 1), "atan": (np.arctan, -9, 9),
    "sinh": (np.sinh, -5, 5), "cosh": (np.cosh, -5, 5), "tanh": (np.tanh, -5, 5),
    "asinh": (np.arcsinh, -5, 5), "acosh": (np.arccosh, 1, 9), "atanh": (np.arctanh, -0.5, 0.5),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -9, 9),
    "logit": (lambda x: np.log(x / (1 - x)), 0.5, 0.5),
    "erf": (erf, -6, 6),
    "floor": (np.floor, -9, 9), "ceil": (np.ceil, -9, 9), "trunc": (np.trunc, -9, 9),
    "round": (np.rint, -9, 9),
}  # fmt: skip
OF_NUMBERS = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square}
QUESTIONS = {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
             "logical_not": np.logical_not}  # fmt: skip

TWO_OF_ANY = {"add": np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
TWO_OF_FLOATS = {"div": np.divide, "atan2": np.arctan2, "copysign": np.copysign,
                 "logaddexp": np.logaddexp}  # fmt: skip
DIVISIONS = {"floor_divide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod}
COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}  # fmt: skip
BITS = {"bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor}
SHIFTS = {"left_shift": np.left_shift, "right_shift": np.right_shift}

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 300.0, -300.0, np.inf, -np.inf, np.nan]


def ops(table):
    return pytest.mark.parametrize("op", table)


def exact(function, dtype, *operands):
    """What `function` of the operands is, computed in float64, rounded once to `dtype`."""
    wide = [np.asarray(x).astype(np.float64) for x in operands]
    with np.errstate(all="ignore"):
        return np.asarray(function(*wide)).astype(NUMPY[dtype])


def test_tables_above_name_every_primitive():
    unary = {*OF_FLOATS, *OF_NUMBERS, *QUESTIONS, "invert"}
    binary = {*TWO_OF_ANY, *TWO_OF_FLOATS, *DIVISIONS, *COMPARISONS, *BITS, *SHIFTS, "sub", "pow"}
    assert (unary, binary, {"where"}) == (base.UNARY, base.BINARY, base.TERNARY)


# One operand
@each(FLOATS)
@ops(OF_FLOATS)
def test_functions_of_floats(backend, op, dtype):
    function, low, high = OF_FLOATS[op]
    x = np.linspace(low, high, 37).astype(NUMPY[dtype])
    y = backend.elementwise(op, backend.from_numpy(x))
    same(backend, y, exact(function, dtype, x), 4 * TOLERANCE[dtype])


@each(FLOATS)
@ops({**OF_FLOATS, **OF_NUMBERS})
def test_functions_of_extreme_values(backend, op, dtype):
    function = OF_NUMBERS[op] if op in OF_NUMBERS else OF_FLOATS[op][0]
    x = np.array(SPECIAL).astype(NUMPY[dtype])
    if op in ("sin", "cos", "tan"):  # of 300: as exact as the argument
        x = np.delete(x, [6, 7])
    y = backend.elementwise(op, backend.from_numpy(x))
    same(backend, y, exact(function, dtype, x), 8 * TOLERANCE[dtype])


@each(NUMBERS)
@ops(OF_NUMBERS)
def test_functions_of_numbers(backend, op, dtype):
    x = numbers((4, 5), dtype)
    y = backend.elementwise(op, backend.from_numpy(x))
    same(backend, y, OF_NUMBERS[op](x).astype(NUMPY[dtype]))


@each(ALL)
@ops(QUESTIONS)
def test_questions(backend, op, dtype):
    x = numbers((20,), dtype, low=-1, high=1)
    same(backend, backend.elementwise(op, backend.from_numpy(x)), QUESTIONS[op](x))


@each(FLOATS)
@ops(QUESTIONS)
def test_questions_about_extreme_values(backend, op, dtype):
    x = np.array(SPECIAL).astype(NUMPY[dtype])
    y = backend.elementwise(op, backend.from_numpy(x))
    same(backend, y, QUESTIONS[op](x.astype(np.float64)))


@each([dtypes.bool_, *INTEGERS])
def test_invert(backend, dtype):
    x = numbers((3, 4), dtype)
    same(backend, backend.elementwise("invert", backend.from_numpy(x)), np.invert(x))


@pytest.mark.parametrize("x", [0.5, 1.5, 2.5, -0.5, -1.5], ids=str)
def test_round_takes_halves_to_even(backend, x):
    y = backend.elementwise("round", backend.from_numpy(np.array(x)))
    same(backend, y, np.asarray(math.copysign(round(x), x)))


@pytest.mark.parametrize("op", ["expm1", "log1p", "sinh", "tanh", "asinh", "atanh", "erf"])
def test_functions_are_exact_near_zero(backend, op):
    x = np.float64([1e-3, 1e-8, -1e-8, 1e-15, 1e-300])
    y = backend.elementwise(op, backend.from_numpy(x))
    same(backend, y, OF_FLOATS[op][0](x), 1e-14)


# Two operands
@each(ALL)
@ops(TWO_OF_ANY)
def test_arithmetic(backend, op, dtype):
    a, b = numbers((3, 4), dtype, 1), numbers((3, 4), dtype, 2)
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, TWO_OF_ANY[op](a, b))


@each(NUMBERS)
def test_subtraction_of_integers_wraps_around(backend, dtype):
    a, b = numbers((9,), dtype, 1), numbers((9,), dtype, 2)
    y = backend.elementwise("sub", backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, a - b)


@each(INTEGERS)
def test_integer_overflow_wraps_around(backend, dtype):
    low, high = dtypes.integer_limits(dtype)
    a, b = np.array([high, low, high], NUMPY[dtype]), np.array([1, 1, high], NUMPY[dtype])
    for op, function in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply)):
        y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
        same(backend, y, function(a, b))


@each(FLOATS)
@ops(TWO_OF_FLOATS)
def test_functions_of_two_floats(backend, op, dtype):
    a, b = numbers((40,), dtype, 1, 0.5), numbers((40,), dtype, 2, 0.5)
    b[b == 0] = 1
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, exact(TWO_OF_FLOATS[op], dtype, a, b), 4 * TOLERANCE[dtype])


@each(FLOATS)
@ops(["add", "sub", "mul", "div", "maximum", "minimum", "atan2", "copysign", "logaddexp"])
def test_two_operands_of_extreme_values(backend, op, dtype):
    function = {"sub": np.subtract, **TWO_OF_ANY, **TWO_OF_FLOATS}[op]
    pairs = np.array([(a, b) for a in SPECIAL for b in SPECIAL]).astype(NUMPY[dtype])
    a, b = pairs[:, 0], pairs[:, 1]
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, exact(function, dtype, a, b), 4 * TOLERANCE[dtype])


@each(NUMBERS)
@ops(DIVISIONS)
def test_divisions_with_remainder(backend, op, dtype):
    a, b = numbers((60,), dtype, 1), numbers((60,), dtype, 2)
    b[b == 0] = 2
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, DIVISIONS[op](a, b).astype(NUMPY[dtype]), TOLERANCE.get(dtype, 0))


@each(FLOATS)
@ops(DIVISIONS)
def test_divisions_of_floats_by_zero(backend, op, dtype):
    a, b = np.array([1.0, 0.0, -1.0]).astype(NUMPY[dtype]), np.zeros(3, NUMPY[dtype])
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, exact(DIVISIONS[op], dtype, a, b))


@each(NUMBERS)
def test_powers(backend, dtype):
    a, b = numbers((30,), dtype, 1, -3, 3), numbers((30,), dtype, 2, 0, 3)
    y = backend.elementwise("pow", backend.from_numpy(a), backend.from_numpy(b))
    if dtype.rank == 1:
        same(backend, y, a**b)
    else:
        same(backend, y, exact(np.power, dtype, a, b), 4 * TOLERANCE[dtype])


def test_powers_of_bools(backend):
    a, b = np.array([True, False, True, False]), np.array([True, True, False, False])
    y = backend.elementwise("pow", backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, np.array([True, False, True, True]))


@pytest.mark.parametrize("dtype", [dtypes.int8, dtypes.int64], ids=str)
def test_integers_to_negative_powers_are_zero_but_for_ones(backend, dtype):
    a, b = np.array([2, 1, -1, -1, 3, 0], NUMPY[dtype]), np.array([-1, -2, -1, -2, 2, 0])
    y = backend.elementwise("pow", backend.from_numpy(a), backend.from_numpy(b.astype(a.dtype)))
    same(backend, y, np.array([0, 1, -1, 1, 9, 1], NUMPY[dtype]))


@each(ALL)
@ops(COMPARISONS)
def test_comparisons_and_logic(backend, op, dtype):
    a, b = numbers((50,), dtype, 1, -1, 1), numbers((50,), dtype, 2, -1, 1)
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, COMPARISONS[op](a, b))


@each(FLOATS)
@ops(COMPARISONS)
def test_nothing_equals_nan(backend, op, dtype):
    pairs = np.array([(a, b) for a in SPECIAL for b in SPECIAL]).astype(NUMPY[dtype])
    a, b = pairs[:, 0], pairs[:, 1]
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, COMPARISONS[op](a.astype(np.float64), b.astype(np.float64)))


@each([dtypes.bool_, *INTEGERS])
@ops(BITS)
def test_bits(backend, op, dtype):
    a, b = numbers((40,), dtype, 1), numbers((40,), dtype, 2)
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, BITS[op](a, b))


@each(INTEGERS)
@ops(SHIFTS)
def test_shifts(backend, op, dtype):
    a = numbers((40,), dtype, 1)
    b = np.arange(40).astype(NUMPY[dtype]) % (8 * dtype.itemsize + 2)  # past the width, too
    y = backend.elementwise(op, backend.from_numpy(a), backend.from_numpy(b))
    same(backend, y, SHIFTS[op](a, b))


# Scalars
@each(NUMBERS)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "maximum", "minimum", "pow", "remainder"])
def test_scalars_take_the_array_s_dtype(backend, op, dtype):
    function = {"sub": np.subtract, "pow": np.power, **TWO_OF_ANY, **DIVISIONS}[op]
    a = numbers((7,), dtype, 1, 0, 4)
    for scalar in (2, 3.0) if dtype.rank == 2 else (2,):
        y = backend.elementwise(op, backend.from_numpy(a), scalar)
        expected = function(a, np.asarray(scalar, a.dtype))
        same(backend, y, expected, TOLERANCE.get(dtype, 0))


@each(NUMBERS)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "pow", "floor_divide", "lt"])
def test_scalars_may_come_first(backend, op, dtype):
    function = {"sub": np.subtract, "pow": np.power, **TWO_OF_ANY, **DIVISIONS, **COMPARISONS}[op]
    b = numbers((7,), dtype, 1, 1, 4)
    for scalar in (9, 9.0) if dtype.rank == 2 else (9,):
        y = backend.elementwise(op, scalar, backend.from_numpy(b))
        same(backend, y, function(np.asarray(scalar, b.dtype), b), TOLERANCE.get(dtype, 0))


@each(FLOATS)
def test_a_scalar_is_rounded_to_the_array_s_dtype_first(backend, dtype):
    a = np.ones(3, NUMPY[dtype])
    y = backend.elementwise("mul", backend.from_numpy(a), 1 / 3)
    same(backend, y, a * np.asarray(1 / 3, a.dtype))


# where
@each(ALL)
def test_where(backend, dtype):
    condition = numbers((3, 1), dtypes.bool_, 3)
    a, b = numbers((3, 4), dtype, 1), numbers((4,), dtype, 2)
    y = backend.elementwise("where", *map(backend.from_numpy, (condition, a, b)))
    same(backend, y, np.where(condition, a, b))


@each(FLOATS)
def test_scalars_are_rounded_to_the_array_s_dtype(backend, dtype):
    x = backend.from_numpy(np.array([0.1], NUMPY[dtype]))
    same(backend, backend.elementwise("eq", x, 0.1), np.array([True]))
    same(backend, backend.elementwise("sub", 0.1, x), np.zeros(1, NUMPY[dtype]))


@each(ALL)
def test_where_with_a_scalar_has_the_array_s_dtype(backend, dtype):
    condition, x = numbers((5,), dtypes.bool_, 3), numbers((5,), dtype)
    zero = np.zeros((), x.dtype)
    choice, array, scalar = backend.from_numpy(condition), backend.from_numpy(x), zero.item()
    same(backend, backend.elementwise("where", choice, array, scalar), np.where(condition, x, zero))
    same(backend, backend.elementwise("where", choice, scalar, array), np.where(condition, zero, x))


# Shapes and layouts
@in_layouts
@in_shapes
@pytest.mark.parametrize("op", ["neg", "exp", "sigmoid", "erf", "isnan"])
def test_one_operand_in_any_layout(backend, op, shape, layout):
    x = numbers(shape, dtypes.float64)
    expected = backend.to_numpy(backend.elementwise(op, backend.from_numpy(x)))
    same(backend, backend.elementwise(op, layout(backend, x)), expected)


@in_layouts
@in_shapes
def test_two_operands_in_any_layout(backend, shape, layout):
    a, b = numbers(shape, dtypes.float32, 1), numbers(shape, dtypes.float32, 2)
    same(backend, backend.elementwise("sub", layout(backend, a), backend.from_numpy(b)), a - b)
    same(backend, backend.elementwise("sub", backend.from_numpy(a), layout(backend, b)), a - b)


BROADCASTS = [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((2, 1, 3), (4, 1)), ((1,), (0,)),
              ((0, 1), (1, 4)), ((1, 1), ()), ((5,), (5,))]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), BROADCASTS, ids=str)
def test_broadcasting(backend, left, right):
    a, b = numbers(left, dtypes.float32, 1), numbers(right, dtypes.float32, 2)
    same(backend, backend.elementwise("mul", *map(backend.from_numpy, (a, b))), a * b)
    same(backend, backend.elementwise("lt", *map(backend.from_numpy, (b, a))), b < a)


def test_expanded_operands(backend):
    a = backend.expand(backend.from_numpy(np.float32([[1], [2]])), (2, 3))
    same(backend, backend.elementwise("add", a, a), np.float32([[2, 2, 2], [4, 4, 4]]))


def test_results_are_new_arrays(backend):
    x = backend.from_numpy(np.ones(3))
    y = backend.elementwise("abs", x)
    backend.assign(y, backend.full((), 7, dtypes.float64))
    same(backend, x, np.ones(3))


# out=
@each(FLOATS)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "maximum", "minimum"])
def test_out_may_be_an_operand(backend, op, dtype):
    function = {**TWO_OF_ANY, "sub": np.subtract, "div": np.divide}[op]
    a, b = numbers((3, 4), dtype, 1, 1), numbers((4,), dtype, 2, 1)
    array = contiguous(backend, a)
    returned = backend.elementwise(op, array, backend.from_numpy(b), out=array)
    assert returned is array
    same(backend, array, function(a, b).astype(a.dtype), TOLERANCE[dtype])
    backend.elementwise("mul", array, 2.0, out=array)
    same(backend, array, function(a, b).astype(a.dtype) * np.asarray(2, a.dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("op", ["neg", "sqrt", "exp", "sigmoid", "rsqrt", "erf", "logit", "round"])
def test_out_may_be_the_only_operand(backend, op):
    x = np.linspace(0.1, 0.9, 6)
    array = contiguous(backend, x)
    expected = backend.to_numpy(backend.elementwise(op, backend.from_numpy(x)))
    assert backend.elementwise(op, array, out=array) is array
    same(backend, array, expected)


@pytest.mark.parametrize("layout", LAYOUTS[:-1], ids=lambda layout: layout.__name__)
def test_out_may_be_a_view(backend, layout):
    a, b = numbers((3, 4), dtypes.float64, 1), numbers((3, 4), dtypes.float64, 2)
    out = layout(backend, np.zeros((3, 4)))
    backend.elementwise("sub", backend.from_numpy(a), backend.from_numpy(b), out=out)
    same(backend, out, a - b)


def test_out_that_overlaps_an_operand_reads_all_of_it_first(backend):
    x = contiguous(backend, np.arange(6.0))
    head, tail = (backend.slice(x, ((start, 1, 5),)) for start in (0, 1))
    backend.elementwise("add", head, tail, out=tail)
    same(backend, x, np.array([0.0, 1, 3, 5, 7, 9]))


def test_where_into_an_operand(backend):
    x = contiguous(backend, np.array([1.0, 2, 3]))
    yes = backend.from_numpy(np.array([True, False, True]))
    backend.elementwise("where", yes, x, backend.full((), 9, dtypes.float64), out=x)
    same(backend, x, np.array([1.0, 9, 3]))


def test_a_comparison_into_bools(backend):
    out = contiguous(backend, np.zeros(2, bool))
    backend.elementwise("gt", backend.from_numpy(np.array([1, 3])), 2, out=out)
    same(backend, out, np.array([False, True]))
