"""Elementwise operations on one tensor."""

import math

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import SHAPES, check_gradient, check_values, gradient_of, inf, nan, same
from tinynet.errors import ArgumentTypeError

erf = np.vectorize(math.erf, otypes=[np.float64])

# operation: NumPy's, and where to try it; gradients are checked there too
SMOOTH = {
    "neg": (np.negative, -2, 2), "square": (np.square, -2, 2),
    "sqrt": (np.sqrt, 0.5, 4), "rsqrt": (lambda x: 1 / np.sqrt(x), 0.5, 4),
    "reciprocal": (np.reciprocal, 0.5, 4), "abs": (np.abs, 0.1, 2),
    "exp": (np.exp, -2, 2), "exp2": (np.exp2, -2, 2), "expm1": (np.expm1, -2, 2),
    "log": (np.log, 0.5, 4), "log2": (np.log2, 0.5, 4), "log10": (np.log10, 0.5, 4),
    "log1p": (np.log1p, -0.5, 4),
    "sin": (np.sin, -4, 4), "cos": (np.cos, -4, 4), "tan": (np.tan, -1, 1),
    "asin": (np.arcsin, -0.9, 0.9), "acos": (np.arccos, -0.9, 0.9), "atan": (np.arctan, -4, 4),
    "sinh": (np.sinh, -2, 2), "cosh": (np.cosh, -2, 2), "tanh": (np.tanh, -2, 2),
    "asinh": (np.arcsinh, -2, 2), "acosh": (np.arccosh, 1.5, 4), "atanh": (np.arctanh, -0.9, 0.9),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -4, 4),
    "logit": (lambda x: np.log(x / (1 - x)), 0.1, 0.9),
    "erf": (erf, -2, 2), "relu": (lambda x: np.maximum(x, 0), 0.1, 2),
}  # fmt: skip
STEPS = {"sign": np.sign, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint}
QUESTIONS = {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
             "logical_not": np.logical_not}  # fmt: skip
SAME_KIND = ["neg", "abs", "square", "relu", *STEPS]  # integers stay integers

in_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
smooth = pytest.mark.parametrize("op", SMOOTH)


@in_shapes
@smooth
def test_values(op, shape):
    function, low, high = SMOOTH[op]
    check_values(getattr(tn, op), function, shape, low=low, high=high, rtol=1e-12)


@in_shapes
@pytest.mark.parametrize("op", STEPS)
def test_values_of_steps(op, shape):
    check_values(getattr(tn, op), STEPS[op], shape, low=-3, high=3)


@in_shapes
@pytest.mark.parametrize("op", QUESTIONS)
def test_answers(op, shape):
    check_values(getattr(tn, op), QUESTIONS[op], shape)


@smooth
def test_gradients(op):
    _, low, high = SMOOTH[op]
    function = getattr(tn, op)
    check_gradient(function, (2, 3), low=low, high=high)
    check_gradient(function, (), low=low, high=high)
    check_gradient(function, (0, 2), low=low, high=high)
    check_gradient(lambda x: function(x.T[:, ::2]), (3, 2), low=low, high=high)
    check_gradient(lambda x: function(x) * function(x), (3,), low=low, high=high)


@pytest.mark.parametrize("op", ["abs", "relu"])
def test_gradients_below_zero(op):
    check_gradient(getattr(tn, op), (3,), low=-2, high=-0.1)


@pytest.mark.parametrize("op", STEPS)
def test_gradients_of_steps_are_zero(op):
    assert gradient_of(getattr(tn, op), [0.3, -1.7]) == [[0.0, 0.0]]
    check_gradient(getattr(tn, op), (3,), low=0.1, high=0.4)


@pytest.mark.parametrize(
    ("op", "x", "slope"),
    [("abs", 0.0, 0.0), ("relu", 0.0, 0.0), ("sqrt", 0.0, inf), ("sign", 0.0, 0.0)],
)
def test_gradients_at_kinks(op, x, slope):
    assert gradient_of(getattr(tn, op), x) == [slope]


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16, tn.float32, tn.float64], ids=str)
@pytest.mark.parametrize("op", [*SMOOTH, *STEPS])
def test_floats_keep_their_dtype(op, dtype):
    assert getattr(tn, op)(tn.full((2,), 0.5, dtype=dtype)).dtype is dtype


@pytest.mark.parametrize("dtype", [tn.uint8, tn.int8, tn.int32, tn.int64], ids=str)
@pytest.mark.parametrize("op", [*SMOOTH, *STEPS])
def test_integers_become_floats_where_they_must(op, dtype):
    x = tn.ones(2, dtype=dtype)
    y = getattr(tn, op)(x)
    assert y.dtype is (dtype if op in SAME_KIND else tn.float32)
    whole = dtype if op in SAME_KIND else tn.float32
    assert y.tolist() == pytest.approx(
        getattr(tn, op)(tn.ones(2, dtype=tn.float64)).to(whole).tolist(), nan_ok=True
    )


@pytest.mark.parametrize("op", ["exp", "sigmoid", "sqrt", "tanh"])
def test_bools_become_floats(op):
    y = getattr(tn, op)(tn.tensor([True, False]))
    same(y, getattr(tn, op)(tn.tensor([1.0, 0.0])).cpu().numpy(), rtol=0)


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
def test_sigmoid_in_half_precision_is_rounded_once(dtype):
    x = tn.tensor([-15.0, -12.0, -5.0, 3.0, 10.0], dtype=dtype)
    expected = tn.sigmoid(x.float()).to(dtype).tolist()
    assert tn.sigmoid(x).tolist() == expected
    again = tn.jit(tn.sigmoid)
    assert [again(x).tolist() for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize("op", QUESTIONS)
@pytest.mark.parametrize("dtype", [tn.bool, tn.int8, tn.int64, tn.float16, tn.bfloat16], ids=str)
def test_answers_are_bools(op, dtype):
    assert getattr(tn, op)(tn.ones(2, dtype=dtype)).dtype is tn.bool


EXTREMES = [
    ("exp", [1000.0, -1000.0, inf, -inf, nan], [inf, 0.0, inf, 0.0, nan]),
    ("log", [0.0, -1.0, inf, nan], [-inf, nan, inf, nan]),
    ("sqrt", [0.0, -1.0, inf], [0.0, nan, inf]),
    ("rsqrt", [0.0, -1.0, inf], [inf, nan, 0.0]),
    ("reciprocal", [0.0, -0.0, inf], [inf, -inf, 0.0]),
    ("sigmoid", [300.0, -300.0, inf, -inf, nan], [1.0, 0.0, 1.0, 0.0, nan]),
    ("tanh", [300.0, -300.0, inf, -inf, nan], [1.0, -1.0, 1.0, -1.0, nan]),
    ("erf", [10.0, -10.0, inf, -inf, nan], [1.0, -1.0, 1.0, -1.0, nan]),
    ("relu", [inf, -inf, nan], [inf, 0.0, nan]),
    ("sign", [-0.0, inf, -inf, nan], [0.0, 1.0, -1.0, nan]),
    ("floor", [inf, -inf, nan], [inf, -inf, nan]),
    ("round", [0.5, 1.5, 2.5, -0.5, -1.5], [0.0, 2.0, 2.0, 0.0, -2.0]),
    ("logit", [0.0, 1.0, 2.0], [-inf, inf, nan]),
    ("isnan", [nan, inf, 0.0], [True, False, False]),
    ("isinf", [nan, -inf, 0.0], [False, True, False]),
    ("isfinite", [nan, inf, 0.0], [False, False, True]),
]


@pytest.mark.parametrize(("op", "x", "expected"), EXTREMES)
def test_extreme_values(op, x, expected):
    result = getattr(tn, op)(tn.tensor(x))
    dtype = None if isinstance(expected[0], bool) else np.float32
    same(result, np.array(expected, dtype), atol=1e-38)


def test_round_to_decimals():
    x = tn.tensor([1.234, -5.678, 1250.0], dtype=tn.float64)
    same(tn.round(x, decimals=2), np.array([1.23, -5.68, 1250.0]))
    same(x.round(decimals=-2), np.array([0.0, -0.0, 1200.0]))


@pytest.mark.parametrize("dtype", [tn.float32, tn.float64, tn.float16, tn.bfloat16], ids=str)
def test_round_to_decimals_that_no_dtype_has(dtype):
    x = tn.tensor([1.25, -3.5, 1000.0, 0.0], dtype=dtype, requires_grad=True)
    for decimals, expected in ((400, x.tolist()), (-400, [0.0] * 4), (5, x.tolist())):
        y = tn.round(x, decimals=decimals)
        assert (y.dtype, y.tolist()) == (dtype, expected)
        assert tn.autograd.grad(y.sum(), x)[0].tolist() == [0.0] * 4


def test_bitwise_not():
    same(~tn.tensor([0, 5, -1]), np.array([-1, -6, 0]))
    same(~tn.tensor([True, False]), np.array([False, True]))
    same(tn.bitwise_not(tn.tensor([0, 255], dtype=tn.uint8)), np.array([255, 0], np.uint8))


def test_logit_within_bounds():
    same(tn.logit(tn.tensor([0.0, 0.5, 1.0]), eps=0.25),
         np.log([1 / 3, 1, 3]).astype(np.float32))  # fmt: skip
    check_gradient(lambda x: tn.logit(x, 0.1), (4,), low=0.2, high=0.8)


def test_names_of_the_same_operation():
    for name, other in {
        "negative": "neg", "absolute": "abs", "sgn": "sign", "arcsin": "asin", "arccos": "acos",
        "arctan": "atan", "fix": "trunc",
    }.items():  # fmt: skip
        assert getattr(tn, name) is getattr(tn, other)


@pytest.mark.parametrize("op", ["logical_and", "logical_or", "logical_xor"])
@pytest.mark.parametrize("scalar", [-3, 2**70, 0.5, 0, False, math.nan])
def test_of_a_scalar_only_its_truth_counts(op, scalar):
    for dtype in (tn.uint8, tn.uint64, tn.int64, tn.float32, tn.bool):
        x = tn.tensor([1, 0]).to(dtype)
        expected = getattr(np, op)([True, False], bool(scalar)).tolist()
        assert getattr(tn, op)(x, scalar).tolist() == expected


@pytest.mark.parametrize("op", ["logical_and", "logical_or", "logical_xor"])
def test_questions_beside_what_is_no_tensor(op):
    x = tn.tensor([1.0, 1.0])
    function, expected = getattr(tn, op), getattr(np, op)([True, True], [True, False]).tolist()
    for other in ([True, False], [2.5, 0.0]):
        assert function(x, np.array(other)).tolist() == expected
        assert function(np.array(other), x).tolist() == expected
    for other in ([True, False], None, "no", object()):
        with pytest.raises(ArgumentTypeError, match=f"{op}: expected a tensor or a number, got"):
            function(x, other)
