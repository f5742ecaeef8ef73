"""Operations on two and three operands: arithmetic, comparison, logic, selection."""

import itertools
import math

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import (
    array,
    check_gradient,
    check_values,
    draw,
    gradient_of,
    inf,
    nan,
    same,
)
from tinynet.dtype import promote

# operation: NumPy's, and a range without kinks and poles
SMOOTH = {
    "add": (np.add, -2, 2), "sub": (np.subtract, -2, 2), "mul": (np.multiply, -2, 2),
    "div": (np.divide, 0.5, 2), "pow": (np.power, 0.5, 2), "atan2": (np.arctan2, 0.5, 2),
    "logaddexp": (np.logaddexp, -2, 2), "maximum": (np.maximum, -2, 2),
    "minimum": (np.minimum, -2, 2), "copysign": (np.copysign, 0.1, 2),
}  # fmt: skip
STEPS = {"floor_divide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod}
COMPARISONS = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
               "gt": np.greater, "ge": np.greater_equal, "logical_and": np.logical_and,
               "logical_or": np.logical_or, "logical_xor": np.logical_xor}  # fmt: skip
BITS = {"bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
        "bitwise_left_shift": np.left_shift, "bitwise_right_shift": np.right_shift}  # fmt: skip

PAIRS = [((), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((3, 1), (1, 4)), ((), (2, 2)),
         ((2, 1, 3), (4, 1)), ((0, 3), (3,)), ((1,), (0,)), ((2, 3), (1,))]  # fmt: skip
in_pairs = pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)


def ops(table):
    return pytest.mark.parametrize("op", table)


@in_pairs
@ops(SMOOTH)
def test_values(op, a, b):
    function, low, high = SMOOTH[op]
    check_values(getattr(tn, op), function, a, b, low=low, high=high)


@in_pairs
@ops({**STEPS, **COMPARISONS})
def test_values_of_steps(op, a, b):
    check_values(getattr(tn, op), {**STEPS, **COMPARISONS}[op], a, b, low=0.5, high=3)


@ops(STEPS)
def test_signs_of_divisions(op):
    a, b = np.array([7.0, 7.0, -7.0, -7.0]), np.array([2.0, -2.0, 2.0, -2.0])
    for dtype in (np.float64, np.float32, np.int64, np.int8):
        x, y = a.astype(dtype), b.astype(dtype)
        same(getattr(tn, op)(tn.tensor(x), tn.tensor(y)), STEPS[op](x, y))


@ops(SMOOTH)
def test_gradients(op):
    _, low, high = SMOOTH[op]
    function = getattr(tn, op)
    for a, b in PAIRS:
        check_gradient(function, a, b, low=low, high=high)
    check_gradient(lambda x: function(x, x.flip(0)), (4,), low=low, high=high)  # repeated input
    check_gradient(lambda x, y: function(x.T[::2], y.expand(2, 3)), (3, 4), (2, 1),
                   low=low, high=high)  # fmt: skip


@ops(["add", "sub", "mul", "div", "pow", "atan2", "logaddexp"])
def test_gradients_of_both_operands_the_same(op):
    function = getattr(tn, op)
    check_gradient(lambda x: function(x, x), (2, 3), low=0.5, high=2)


@ops(["add", "sub", "mul", "div", "pow", "maximum", "minimum", "atan2", "remainder", "fmod"])
def test_gradients_beside_numbers(op):
    function = getattr(tn, op)
    check_gradient(lambda x: function(x, 2.5), (3,), low=0.5, high=2)
    if op not in ("maximum", "minimum", "atan2"):
        check_gradient(lambda x: function(2.5, x), (3,), low=0.9, high=1.2)


@ops(["remainder", "fmod"])
def test_gradients_of_remainders(op):
    check_gradient(getattr(tn, op), (4,), (4,), low=1.1, high=1.9)


def test_floor_divide_has_gradient_zero():
    assert gradient_of(tn.floor_divide, [7.0, 3.0], [2.0, 2.0]) == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("op", "a", "b", "a_slope", "b_slope"),
    [
        ("maximum", 1.0, 1.0, 0.5, 0.5), ("minimum", 1.0, 1.0, 0.5, 0.5),
        ("maximum", 2.0, 1.0, 1.0, 0.0), ("minimum", 2.0, 1.0, 0.0, 1.0),
        ("pow", 0.0, 2.0, 0.0, 0.0), ("pow", 0.0, 0.0, 0.0, 0.0), ("pow", 2.0, 0.0, 0.0, np.log(2)),
        ("pow", 0.0, 1.0, 1.0, 0.0), ("copysign", 0.0, 1.0, 0.0, 0.0),
        ("copysign", 2.0, -1.0, -1.0, 0.0), ("logaddexp", inf, inf, 0.5, 0.5),
        ("logaddexp", -inf, -inf, 0.5, 0.5), ("logaddexp", -inf, 1.0, 0.0, 1.0),
        ("mul", 0.0, inf, inf, 0.0), ("div", 1.0, 0.0, inf, -inf),
    ],
)  # fmt: skip
def test_gradients_at_kinks_ties_and_infinities(op, a, b, a_slope, b_slope):
    assert gradient_of(getattr(tn, op), a, b) == pytest.approx([a_slope, b_slope])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, 0.5, -2.5])
def test_powers_to_a_number(exponent):
    check_values(lambda x: x**exponent, lambda x: x**exponent, (2, 3), low=0.5)
    check_gradient(lambda x: x**exponent, (2, 3), low=0.5, high=2)
    check_gradient(lambda x: 1.5 ** (x * exponent), (3,))


@pytest.mark.parametrize("base", [3, 1e300, 1e-300, 0.1])
def test_slopes_of_exponents_have_the_digits_of_their_dtype(base):
    x = tn.tensor([0.5, -1.0], dtype=tn.float64, requires_grad=True)
    (base**x).sum().backward()
    expected = [base**n * math.log(base) for n in x.tolist()]
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-14)


def test_float_powers_of_integers_are_floats():
    for exponent in (1.0, 2.0, 3.0):
        same(tn.tensor([1, 2]) ** exponent, np.float32([1, 2**exponent]))
    same(tn.tensor([1, 2]) ** 2, np.array([1, 4]))


def test_powers_to_one_half_are_roots():
    same(tn.tensor([-inf, inf, -0.0, nan]) ** 0.5, np.float32([nan, inf, -0.0, nan]))
    same(tn.tensor([4, 9]) ** 0.5, np.float32([2, 3]))


def test_power_of_zero_has_no_slope_at_exponent_zero():
    assert gradient_of(lambda x: x**0, 0.0) == [0.0]
    assert gradient_of(lambda x: x**2, 0.0) == [0.0]


# Operators
OPERATORS = [
    ("a + b", [5, 8]), ("a - b", [1, -2]), ("a * b", [6, 15]), ("a / b", [1.5, 0.6]),
    ("a // b", [1, 0]), ("a % b", [1, 3]), ("a ** b", [9, 243]), ("a & b", [2, 1]),
    ("a | b", [3, 7]), ("a ^ b", [1, 6]), ("a << b", [12, 96]), ("a >> b", [0, 0]),
    ("a == b", [False, False]), ("a != b", [True, True]), ("a < b", [False, True]),
    ("a <= b", [False, True]), ("a > b", [True, False]), ("a >= b", [True, False]),
    ("a + 1", [4, 4]), ("1 + a", [4, 4]), ("a - 1", [2, 2]), ("1 - a", [-2, -2]),
    ("a * 2", [6, 6]), ("2 * a", [6, 6]), ("a / 2", [1.5, 1.5]), ("6 / a", [2.0, 2.0]),
    ("a // 2", [1, 1]), ("7 // a", [2, 2]), ("a % 2", [1, 1]), ("7 % a", [1, 1]),
    ("a ** 2", [9, 9]), ("2 ** a", [8, 8]), ("a & 1", [1, 1]), ("1 & a", [1, 1]),
    ("a | 4", [7, 7]), ("4 | a", [7, 7]), ("a ^ 1", [2, 2]), ("1 ^ a", [2, 2]),
    ("a << 1", [6, 6]), ("1 << a", [8, 8]), ("a >> 1", [1, 1]), ("64 >> a", [8, 8]),
    ("a == 3", [True, True]), ("3 != a", [False, False]), ("4 > a", [True, True]),
    ("-a", [-3, -3]), ("+a", [3, 3]), ("abs(-a)", [3, 3]), ("~a", [-4, -4]), ("a @ b", 21),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), OPERATORS)
def test_operators(expression, expected):
    a, b = tn.tensor([3, 3]), tn.tensor([2, 5])
    result = eval(expression, {"a": a, "b": b})
    expected = np.array(expected)
    same(result, expected.astype(np.float32) if expected.dtype.kind == "f" else expected)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [("a += b", [5, 8]), ("a -= b", [1, -2]), ("a *= b", [6, 15]), ("a //= b", [1, 0]),
     ("a %= b", [1, 3]), ("a **= b", [9, 243]), ("a &= b", [2, 1]), ("a |= b", [3, 7]),
     ("a ^= b", [1, 6]), ("a <<= b", [12, 96]), ("a >>= b", [0, 0]), ("a += 1", [4, 4])],
)  # fmt: skip
def test_operators_in_place(statement, expected):
    a, b = tn.tensor([3, 3]), tn.tensor([2, 5])
    names = {"a": a, "b": b}
    exec(statement, names)
    assert names["a"] is a
    same(a, np.array(expected))


def test_division_in_place():
    a = tn.tensor([3.0, 5.0])
    a /= 2
    same(a, np.float32([1.5, 2.5]))


# Numbers beside tensors are weak
WEAK = [
    (tn.float32, 1, tn.float32), (tn.float32, 1.5, tn.float32), (tn.float16, 1.5, tn.float16),
    (tn.bfloat16, 1.5, tn.bfloat16), (tn.float64, 1.5, tn.float64), (tn.int8, 1, tn.int8),
    (tn.int8, 1.5, tn.float32), (tn.uint8, 1, tn.uint8), (tn.bool, 1, tn.int64),
    (tn.bool, 1.5, tn.float32), (tn.bool, True, tn.bool), (tn.int64, True, tn.int64),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "number", "expected"), WEAK, ids=str)
@ops(["add", "mul"])
def test_dtype_beside_numbers(op, dtype, number, expected):
    x = tn.ones(2, dtype=dtype)
    assert getattr(tn, op)(x, number).dtype is expected
    assert getattr(tn, op)(number, x).dtype is expected
    assert getattr(tn, op)(x, tn.tensor(number)).dtype is expected or number == 1.5


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
@pytest.mark.parametrize("number", [65536, 1e-8, 0.1, 3e5])
def test_halves_are_scaled_by_numbers_that_are_none(dtype, number):
    x = tn.tensor([0.0, 1e-4, 0.1, 3.0], dtype=dtype)
    wide = x.float()
    for function in (tn.mul, tn.div):
        expected = function(wide, number).to(dtype)
        same(function(x, number), array(expected))
        same(function(x, tn.tensor(float(number))), array(expected))  # of 0 dims: a number
        same(getattr(x.clone(), f"{function.__name__}_")(number), array(expected))
        same(function(number, x), array(function(number, wide).to(dtype)))
        check = x.clone().requires_grad_()
        function(check, number).sum().backward()
        same(check.grad, array(function(tn.ones(4), number).to(dtype)))
    same(tn.zeros(4, dtype=dtype).lerp_(x, number), array((wide * number).to(dtype)), rtol=1e-2)


@ops(COMPARISONS)
def test_comparisons_are_bools(op):
    for dtype in (tn.bool, tn.uint8, tn.int64, tn.bfloat16, tn.float64):
        assert getattr(tn, op)(tn.ones(2, dtype=dtype), tn.ones(2, dtype=dtype)).dtype is tn.bool
    assert not getattr(tn, op)(tn.ones(1, requires_grad=True), tn.zeros(1)).requires_grad


def test_comparison_of_integers_with_a_fraction():
    x = tn.tensor([1, 2])
    assert (x < 1.5).tolist() == [True, False]
    assert (x == 1.5).tolist() == [False, False]


@ops(BITS)
def test_bits(op):
    a, b = np.array([12, 5, 1]), np.array([3, 1, 2])
    same(getattr(tn, op)(tn.tensor(a), tn.tensor(b)), BITS[op](a, b))


# More than two operands, and options
@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_rounded_division(mode):
    rounding = {"floor": np.floor, "trunc": np.trunc}[mode]
    a, b = np.array([7, 7, -7, -7]), np.array([2, -2, 2, -2])
    for dtype in (np.int64, np.int16, np.float64):
        expected = rounding(a / b).astype(dtype)
        result = tn.div(tn.tensor(a.astype(dtype)), tn.tensor(b.astype(dtype)), rounding_mode=mode)
        same(result, expected)
    same(tn.div(tn.tensor(a), 2, rounding_mode=mode), rounding(a / 2).astype(np.int64))
    assert gradient_of(lambda x: tn.div(x, 2.0, rounding_mode=mode), 7.0) == [0.0]


def test_scaled_sums():
    check_values(lambda a, b: tn.add(a, b, alpha=3), lambda a, b: a + 3 * b, (2, 3), (3,))
    check_values(lambda a, b: a.sub(b, alpha=0.5), lambda a, b: a - 0.5 * b, (2, 3), (3,))
    check_gradient(lambda a, b: tn.sub(a, b, alpha=0.5), (2, 3), (3,))


def test_lerp():
    expected = lambda a, b, w: a + w * (b - a)  # noqa: E731
    check_values(tn.lerp, expected, (2, 3), (3,), (2, 1))
    check_values(lambda a, b: tn.lerp(a, b, 0.25), lambda a, b: expected(a, b, 0.25), (3,), (3,))
    check_gradient(tn.lerp, (2, 3), (3,), (2, 1))


def test_addcmul_and_addcdiv():
    shapes = [(2, 3), (3,), (2, 1)]
    check_values(lambda a, b, c: tn.addcmul(a, b, c, value=2), lambda a, b, c: a + 2 * b * c,
                 *shapes)  # fmt: skip
    check_values(lambda a, b, c: tn.addcdiv(a, b, c, value=2), lambda a, b, c: a + 2 * b / c,
                 *shapes, low=0.5)  # fmt: skip
    check_gradient(lambda a, b, c: tn.addcmul(a, b, c, value=2), *shapes)
    check_gradient(lambda a, b, c: tn.addcdiv(a, b, c, value=2), *shapes, low=0.5, high=2)


# where
def test_where():
    condition = np.array([[True, False, True], [False, False, True]])
    check_values(lambda a, b: tn.where(tn.tensor(condition), a, b),
                 lambda a, b: np.where(condition, a, b), (3,), (2, 1))  # fmt: skip
    chosen = tn.tensor(condition)
    check_gradient(lambda a, b: tn.where(chosen, a, b), (3,), (2, 1))
    check_gradient(lambda a: tn.where(chosen, a, 1.0) * tn.where(chosen, 2.0, a), (2, 3))
    check_gradient(lambda a: a.where(chosen, a * a), (2, 3))


def test_where_keeps_the_untaken_branch_s_nan_away():
    x = tn.tensor([0.0, 4.0], requires_grad=True)
    tn.where(x > 0, x.sqrt(), 0.0).sum().backward()
    assert x.grad[1] == 0.25  # x.grad[0] is NaN: the branch itself has slope 0 * inf


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1, 2, tn.int64), (1.0, 2, tn.float32), (True, False, tn.bool), (0.0, 1.0, tn.float32)],
)
def test_where_of_two_numbers(a, b, expected):
    result = tn.where(tn.tensor([True, False]), a, b)
    assert result.dtype is expected
    assert result.tolist() == [a, b]


def test_where_alone_is_nonzero():
    rows, columns = tn.where(tn.tensor([[True, False], [True, True]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [0, 0, 1])


# clamp
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (None, 0.5), (0.5, None), (1, -1)], ids=str)
def test_clamp(low, high):
    low_, high_ = (-inf if low is None else low), (inf if high is None else high)
    check_values(lambda x: tn.clamp(x, low, high), lambda x: np.minimum(np.maximum(x, low_), high_),
                 (4, 5))  # fmt: skip
    check_gradient(lambda x: tn.clamp(x, low, high), (4, 5))


def test_clamp_to_tensors():
    check_values(tn.clamp, lambda x, low, high: np.minimum(np.maximum(x, low), high),
                 (4, 5), (5,), (4, 1))  # fmt: skip
    low, high = tn.full((5,), -0.5), tn.full((4, 1), 0.5)
    check_gradient(lambda x, a, b: tn.clamp(x, a * 0.1 + low.double(), b * 0.1 + high.double()),
                   (4, 5), (5,), (4, 1))  # fmt: skip
    check_gradient(lambda x, b: tn.clamp(x, max=b), (4, 5), (5,))


def test_clamp_keeps_nan_and_dtype():
    same(tn.tensor([nan, 5.0, -inf]).clamp(-1, 1), np.float32([nan, 1, -1]))
    same(tn.tensor([1, 5]).clamp(max=3), np.array([1, 3]))
    assert tn.tensor([1, 5]).clamp(max=3.5).dtype is tn.float32


@pytest.mark.parametrize(
    ("x", "slope"), [(-1.0, 1.0), (1.0, 1.0), (1.5, 0.0), (-1.5, 0.0), (nan, 0.0)]
)
def test_gradient_of_clamp_at_the_bounds(x, slope):
    assert gradient_of(lambda x: x.clamp(-1, 1), x) == [slope]


def test_clamp_is_clip():
    assert tn.clip is tn.clamp


# NaN and closeness
def test_nan_to_num():
    x = tn.tensor([nan, inf, -inf, 1.0])
    largest = np.finfo(np.float32).max
    same(tn.nan_to_num(x), np.float32([0, largest, -largest, 1]))
    same(x.nan_to_num(nan=5, posinf=6, neginf=7), np.float32([5, 6, 7, 1]))
    same(tn.tensor([1, 2]).nan_to_num(), np.array([1, 2]))
    check_gradient(tn.nan_to_num, (3,))
    assert gradient_of(tn.nan_to_num, [nan, inf, 2.0]) == [[0.0, 0.0, 1.0]]


def test_isclose():
    a = draw((50,)) * 10.0 ** np.random.default_rng(1).integers(-12, 3, 50)
    b = a * (1 + draw((50,), 0, 2e-5, 2))
    same(tn.isclose(tn.tensor(a), tn.tensor(b)), np.isclose(a, b))
    x, y = tn.tensor([nan, inf, inf, 1.0]), tn.tensor([nan, inf, -inf, 1.0])
    assert tn.isclose(x, y).tolist() == [False, True, False, True]
    assert tn.isclose(x, y, equal_nan=True).tolist() == [True, True, False, True]
    assert tn.isclose(tn.tensor([1, 2]), tn.tensor([1, 3])).tolist() == [True, False]


def test_isclose_of_bools_and_without_tolerance():
    x = tn.tensor([True, False])
    assert tn.isclose(x, tn.tensor([True, True])).tolist() == [True, False]
    assert tn.isclose(tn.tensor([1.0]), tn.tensor([1.0 + 1e-6]), rtol=0, atol=0).tolist() == [False]


def test_allclose_and_equal():
    a = tn.tensor([1.0, 2.0])
    assert tn.allclose(a, a + 1e-6)
    assert not tn.allclose(a, a + 1e-3)
    assert tn.equal(a, a.clone())
    assert not tn.equal(a, tn.tensor([1.0, 2.5]))
    assert not tn.equal(a, tn.tensor([[1.0, 2.0]]))


def test_every_pair_of_kinds_adds_up():
    for a, b in itertools.product((tn.bool, tn.uint8, tn.int32, tn.float16, tn.float64), repeat=2):
        y = tn.ones(2, dtype=a) + tn.ones(2, dtype=b)
        assert y.dtype is promote("add", a, b)
        assert y.tolist() == ([True] * 2 if y.dtype is tn.bool else [2, 2])


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 0.8, 1.0, 1.7, -3.0])
def test_lerp_keeps_to_the_end_that_is_closer(weight):
    ends = [tn.tensor([1e8, np.inf, 2.0]), tn.tensor([1.0, 1.0, 3.0])]
    if weight == 1.0:
        assert tn.lerp(*ends, weight)[0].item() == 1.0
    for given in (weight, tn.tensor(weight)):
        lerped = tn.lerp(*ends, given)
        assert lerped[2].item() == pytest.approx(2 + weight, rel=1e-6)
        assert lerped.tolist()[0] == ends[0].clone().lerp_(ends[1], given).tolist()[0]
        if 0.5 <= weight < 1:
            assert lerped[1].item() == np.inf
    check_gradient(lambda a, b: tn.lerp(a, b, weight), (2, 3), (2, 3))
    check_gradient(tn.lerp, (2, 3), (2, 3), (2, 3))
