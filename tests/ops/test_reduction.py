"""Reductions over dims: sums, means, products, extremes, spreads, norms, softmax."""

import math

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import (
    approximately,
    check_gradient,
    check_values,
    gradient_of,
    inf,
    nan,
    same,
)
from tinynet.ops.softmax import softmin


def logsumexp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


SMOOTH = {
    "sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "logsumexp": logsumexp,
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, ddof=1, keepdims=keepdims),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, ddof=1, keepdims=keepdims),
    "norm": lambda x, axis, keepdims: np.sqrt((x * x).sum(axis=axis, keepdims=keepdims)),
}  # fmt: skip
ANSWERS = {"any": np.any, "all": np.all, "count_nonzero": np.count_nonzero}
DIMS = [0, -1, (0, 2), (1,), (0, 1, 2), None]


def ops(table):
    return pytest.mark.parametrize("op", table)


def reduced(op, dim, keepdim=False):
    if op == "norm":
        return lambda x: tn.norm(x, dim=dim, keepdim=keepdim)
    return lambda x: getattr(tn, op)(x, dim, keepdim=keepdim)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@ops(SMOOTH)
def test_values(op, dim, keepdim):
    check_values(reduced(op, dim, keepdim),
                 lambda x: SMOOTH[op](x, axis=dim, keepdims=keepdim), (2, 3, 4))  # fmt: skip


@pytest.mark.parametrize("dim", [(2, 1), (-1, 0), (1, 0)], ids=str)
def test_dims_in_any_order(dim):
    check_values(reduced("sum", dim), lambda x: np.sum(x, axis=dim), (2, 3, 4))
    check_values(
        reduced("amax", dim, True), lambda x: np.max(x, axis=dim, keepdims=True), (2, 3, 4)
    )


@pytest.mark.parametrize("dim", DIMS, ids=str)
@ops(SMOOTH)
def test_gradients(op, dim):
    check_gradient(reduced(op, dim), (2, 3, 4))
    check_gradient(reduced(op, dim, True), (2, 3, 4))
    check_gradient(lambda x: reduced(op, dim)(x.permute(2, 0, 1) * x.permute(2, 0, 1)), (3, 4, 2))


@ops(["sum", "mean", "amax", "amin", "logsumexp", "norm"])
def test_0_d(op):
    for dim in (0, -1, None):
        check_values(reduced(op, dim), abs if op == "norm" else lambda x: x, ())
        check_gradient(reduced(op, dim), ())


@pytest.mark.parametrize(
    ("op", "expected"),
    [("sum", 0.0), ("mean", nan), ("prod", 1.0), ("logsumexp", -inf), ("norm", 0.0), ("var", nan),
     ("std", nan)],
)  # fmt: skip
def test_of_nothing(op, expected):
    for shape, dim, result in (((0,), 0, ()), ((2, 0, 3), 1, (2, 3)), ((0, 2), 0, (2,))):
        y = reduced(op, dim)(tn.zeros(shape))
        same(y, np.full(result, expected, np.float32))
    same(reduced(op, 0)(tn.zeros(2, 0)), np.zeros(0, np.float32))
    x = tn.zeros(0, 2, requires_grad=True)
    reduced(op, 0)(x).sum().backward()
    assert x.grad.shape == (0, 2)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@ops(["any", "all"])
def test_answers(op, dim, keepdim):
    check_values(lambda x: reduced(op, dim, keepdim)(x > 1),
                 lambda x: ANSWERS[op](x > 1, axis=dim, keepdims=keepdim), (2, 3, 4))  # fmt: skip
    check_values(lambda x: reduced(op, dim, keepdim)(x.to(tn.int64)),
                 lambda x: ANSWERS[op](x.astype(int), axis=dim, keepdims=keepdim),
                 (2, 3, 4))  # fmt: skip


@pytest.mark.parametrize("dim", DIMS, ids=str)
def test_count_nonzero(dim):
    check_values(lambda x: tn.count_nonzero(x > 0, dim),
                 lambda x: np.count_nonzero(x > 0, axis=dim), (2, 3, 4))  # fmt: skip


def test_answers_about_nan_and_nothing():
    assert tn.tensor([nan]).any().item()
    assert not tn.zeros(0).any().item()
    assert tn.zeros(0).all().item()
    x = np.array([[2, 0], [0, 3]])
    for keepdim in (False, True):  # along no dims: each for itself
        same(tn.tensor(x).any((), keepdim), x != 0)
        same(tn.tensor(x > 0).all([], keepdim), x != 0)
    same(tn.tensor(x, dtype=tn.uint8).any(()), (x != 0).astype(np.uint8))


# dtypes
@pytest.mark.parametrize("dtype", [tn.bool, tn.uint8, tn.int32, tn.int64], ids=str)
@ops(["sum", "prod"])
def test_integers_add_up_in_int64(op, dtype):
    x = tn.ones(3, dtype=dtype)
    assert getattr(tn, op)(x).dtype is tn.int64
    assert getattr(tn, op)(x, 0).item() == (3 if op == "sum" else 1)
    assert getattr(tn, op)(x, 0, dtype=tn.int8).dtype is tn.int8


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16, tn.float32, tn.float64], ids=str)
@ops([*SMOOTH, "prod"])
def test_floats_keep_their_dtype(op, dtype):
    assert getattr(tn, op)(tn.ones(3, 2, dtype=dtype), dim=0).dtype is dtype


def test_sum_in_another_dtype():
    x = tn.full((3,), 0.5)
    assert x.sum(dtype=tn.float64).dtype is tn.float64
    assert x.sum(dtype=tn.int64).item() == 0
    assert tn.tensor([1, 2]).mean(dtype=tn.float32).item() == 1.5
    check_gradient(lambda x: x.sum(0, dtype=tn.float64), (3, 2))


def test_half_precision_does_not_overflow_on_the_way():
    x = tn.full((1000,), 100.0, dtype=tn.float16)
    assert x.mean().item() == 100
    x[::2] = -100
    assert x.var(correction=0).item() == 10000
    assert x.norm().item() == 3162
    assert tn.full((4096,), 1.0, dtype=tn.float16).sum().item() == 4096


@pytest.mark.parametrize("scale", [1000.0, 2.0**-13])
def test_std_in_half_precision_is_rounded_once(scale):
    """The variance of these is no float16: infinite, or 0."""
    x = tn.tensor([-scale, scale, -scale, scale], dtype=tn.float16, requires_grad=True)
    y, mean = tn.std_mean(x, correction=0)
    assert (y.dtype, y.item(), mean.item()) == (tn.float16, scale, 0)
    y.backward()
    assert x.grad.tolist() == [-0.25, 0.25, -0.25, 0.25]


@pytest.mark.parametrize(
    ("shape", "dims"),
    [((200_001, 3), 0), ((2, 100_000, 3), 1), ((70_000, 2, 3), (0, 2)), ((300, 400, 2), (0, 1))],
    ids=str,
)
def test_sums_of_many_rows_do_not_drift(shape, dims):
    """One by one, 200,000 float32 of 0.1 are 0.1 % off."""
    x = tn.full(shape, 0.1).realize()
    exact = np.full(shape, 0.1).sum(dims)
    again = tn.jit(lambda x: x.sum(dims))
    for y in (x.sum(dims), *[again(x) for _ in range(3)]):
        np.testing.assert_allclose(y.tolist(), exact, rtol=1e-5)
    assert x.sum(dims, keepdim=True).shape == np.zeros(shape).sum(dims, keepdims=True).shape


def test_sums_of_many_rows_in_any_layout():
    x = np.random.default_rng(0).random((7, 3000, 9), np.float32)
    for order in [(0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2)]:
        y, z = tn.tensor(x).permute(order), x.transpose(order)
        for dims in [0, 1, 2, (0, 1), (0, 2), (1, 2), None]:
            for found, expected in ((y, z), (y[::2, 1:], z[::2, 1:])):
                exact = expected.sum(dims, np.float64)
                np.testing.assert_allclose(found.sum(dims).tolist(), exact, rtol=1e-5)
    row = tn.tensor(x[0, :, 0])
    np.testing.assert_allclose(row.expand(9, 3000).sum(0).tolist(), 9 * x[0, :, 0], rtol=1e-5)
    repeated = row.reshape(3000, 1).expand(3000, 9).sum(0)
    np.testing.assert_allclose(repeated.tolist(), [x[0, :, 0].sum(dtype=np.float64)] * 9, rtol=1e-5)


# prod
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1, None], ids=str)
def test_prod(dim, keepdim):
    check_values(lambda x: tn.prod(x, dim, keepdim),
                 lambda x: np.prod(x, axis=dim, keepdims=keepdim), (2, 3, 4))  # fmt: skip
    check_gradient(lambda x: tn.prod(x, dim, keepdim), (2, 3, 2))


@pytest.mark.parametrize(
    ("x", "slopes"), [([2.0, 0.0, 3.0], [0, 6, 0]), ([0.0, 0.0, 3.0], [0, 0, 0]), ([5.0], [1])]
)
def test_gradient_of_prod_at_zeros(x, slopes):
    assert gradient_of(tn.prod, x) == [slopes]


def test_second_gradient_of_prod_at_zeros():
    check_gradient(lambda x: tn.prod(x * tn.tensor([1.0, 0.0, 0.0, 1.0])), (4,))


def test_of_a_number():
    x = tn.tensor(5.0)
    assert x.prod(0).item() == 5
    assert x.argmax(0).item() == x.argmin(-1).item() == 0


# extremes
@pytest.mark.parametrize(
    ("x", "dim", "slopes"),
    [
        ([1.0, 3.0, 3.0], None, [0, 0.5, 0.5]),
        ([2.0, 2.0, 2.0], 0, [1 / 3, 1 / 3, 1 / 3]),
        ([nan, 1.0, nan], None, [0.5, 0, 0.5]),
        ([inf, inf, 1.0], 0, [0.5, 0.5, 0]),
    ],
)
def test_ties_share_the_gradient(x, dim, slopes):
    function = (lambda x: x.max()) if dim is None else (lambda x: x.amax(dim))
    approximately(gradient_of(function, x), [slopes])
    negated = [-value for value in x]
    function = (lambda x: x.min()) if dim is None else (lambda x: x.amin(dim))
    approximately(gradient_of(function, negated), [slopes])


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
@ops(["max", "min"])
def test_extremes_and_their_places(op, dim, keepdim):
    function, place = (np.max, np.argmax) if op == "max" else (np.min, np.argmin)

    def expected(x):
        return function(x, dim, keepdims=keepdim), place(x, dim, keepdims=keepdim)

    check_values(lambda x: getattr(tn, op)(x, dim, keepdim), expected, (2, 3, 4))
    check_gradient(lambda x: getattr(tn, op)(x, dim, keepdim).values, (2, 3, 4))
    check_values(lambda x: getattr(tn, "arg" + op)(x, dim, keepdim),
                 lambda x: place(x, dim, keepdims=keepdim), (2, 3, 4))  # fmt: skip


def test_an_extreme_along_a_dim_gives_all_to_the_first_of_ties():
    assert gradient_of(lambda x: x.max(0).values, [1.0, 3.0, 3.0]) == [[0, 1, 0]]


def test_extremes_by_name_and_of_two_tensors():
    x = tn.tensor([[1.0, 5.0], [7.0, 2.0]])
    result = x.max(1)
    assert result.values.tolist() == [5, 7]
    assert result.indices.tolist() == [1, 0]
    assert tn.max(x, tn.tensor([[3.0]])).tolist() == [[3, 5], [7, 3]]
    assert tn.min(x, other=tn.tensor(3.0)).tolist() == [[1, 3], [3, 2]]
    values, indices = tn.tensor(4.0).max(0)
    assert (values.item(), indices.item()) == (4, 0)


@ops(["argmax", "argmin"])
def test_places_in_the_flattened_tensor(op):
    check_values(getattr(tn, op), getattr(np, op), (3, 4))
    check_values(getattr(tn, op), getattr(np, op), ())
    assert getattr(tn.ones(3, 4), op)().item() == 0
    assert getattr(tn.ones(2, 3), op)(keepdim=True).shape == (1, 1)
    assert getattr(tn.tensor([1.0, nan, 2.0, nan]), op)().item() == 1


@ops(["amax", "amin", "max", "min"])
def test_nan_wins(op):
    assert getattr(tn.tensor([1.0, nan, 3.0]), op)().isnan()


@pytest.mark.parametrize("dtype", [tn.bool, tn.uint8, tn.int64], ids=str)
@ops(["amax", "amin", "max", "min"])
def test_extremes_of_integers(op, dtype):
    y = getattr(tn.tensor([0, 1, 1]).to(dtype), op)()
    assert y.dtype is dtype
    assert y.item() == ("max" in op)


# spread
@pytest.mark.parametrize("correction", [0, 1, 2, 1.5])
def test_correction_of_variance(correction):
    check_values(lambda x: tn.var(x, 0, correction=correction),
                 lambda x: ((x - x.mean(0)) ** 2).sum(0) / (5 - correction), (5, 2))  # fmt: skip
    check_gradient(lambda x: tn.std(x, 0, correction=correction), (5, 2))


def test_spellings_of_variance():
    x = tn.tensor([1.0, 2.0, 4.0])
    assert x.var(unbiased=False).item() == pytest.approx(14 / 9)
    assert x.var(False).item() == pytest.approx(14 / 9)
    assert x.std(0, unbiased=True).item() == pytest.approx((7 / 3) ** 0.5)
    for result, expected in (
        (tn.var_mean(x), (7 / 3, 7 / 3)),
        (tn.std_mean(x, 0), (1.5275, 7 / 3)),
    ):
        assert [y.item() for y in result] == pytest.approx(expected, rel=1e-4)
    spread, mean = tn.var_mean(tn.ones(2, 3), 1, keepdim=True)
    assert spread.shape == mean.shape == (2, 1)
    assert x[:1].var().isnan()


def test_no_slope_where_all_are_equal():
    assert gradient_of(tn.std, [2.0, 2.0]) == [[0, 0]]
    for p in (1, 2, 3, inf):
        assert gradient_of(lambda x: x.norm(p), [0.0, 0.0]) == [[0, 0]]


# norms
@pytest.mark.parametrize("p", [1, 2, 3, 0.5, inf, -inf, 0, "fro", None, 2.0], ids=str)
@pytest.mark.parametrize("dim", [0, 1, None], ids=str)
def test_norms(p, dim):
    order = 2 if p in ("fro", None) else p

    def expected(x):
        if dim is None:
            return np.linalg.norm(x.reshape(-1), order)
        return np.linalg.norm(x, order, axis=dim)

    check_values(lambda x: tn.norm(x, p, dim), expected, (3, 4))
    check_gradient(lambda x: tn.norm(x, p, dim), (3, 4))


def test_norms_of_negative_orders_at_extremes():
    for order in (-1, -2.5):
        assert tn.tensor([-math.inf, math.inf]).norm(order).item() == math.inf
        assert tn.tensor([-math.inf, 5.0]).norm(order).item() == pytest.approx(5)
        assert tn.tensor([0.0, 5.0]).norm(order).item() == 0


# logsumexp and softmax
def softmax(x, axis):
    exps = np.exp(x - x.max(axis, keepdims=True))
    return exps / exps.sum(axis, keepdims=True)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(dim):
    check_values(lambda x: tn.softmax(x, dim), lambda x: softmax(x, dim), (2, 3, 4))
    check_values(lambda x: x.log_softmax(dim), lambda x: np.log(softmax(x, dim)), (2, 3, 4))
    for function in (tn.softmax, tn.log_softmax):
        check_gradient(lambda x: function(x, dim), (2, 3, 2))
        check_gradient(lambda x: function(x.mT, dim) * x.mT, (2, 3, 2))


@pytest.mark.parametrize("function", [tn.softmax, tn.log_softmax])
def test_softmax_of_shapes(function):
    for shape, dim in (((), 0), ((0,), 0), ((2, 0), 1), ((0, 2), 1), ((3, 1), 1)):
        x = tn.zeros(shape, dtype=tn.float64, requires_grad=True)
        y = function(x, dim)
        assert y.shape == shape
        y.sum().backward()
        assert x.grad.shape == shape
    assert function(tn.zeros(2, dtype=tn.float16), 0, dtype=tn.float32).dtype is tn.float32


def test_softmin():
    check_values(lambda x: softmin(x, 1), lambda x: softmax(-x, 1), (2, 3))


def test_large_numbers_do_not_overflow():
    x = tn.tensor([1e4, 1e4 + 1, -1e4], dtype=tn.float64)
    approximately(x.logsumexp(0).item(), 1e4 + 1 + np.log1p(np.exp(-1)))
    approximately(x.softmax(0).tolist(), [1 / (1 + np.e), np.e / (1 + np.e), 0])
    approximately(x.log_softmax(0)[2].item(), -2e4 - 1 - np.log1p(np.exp(-1)))
    assert tn.tensor([-inf, -inf]).logsumexp(0).item() == -inf
    assert tn.tensor([inf, 1.0]).logsumexp(0).item() == inf
    assert tn.tensor([-inf, 0.0]).softmax(0).tolist() == [0, 1]
    assert tn.tensor([-inf, -inf]).softmax(0).isnan().all()


def test_logsumexp_of_integers():
    assert tn.tensor([0, 0]).logsumexp(0).item() == pytest.approx(np.log(2))


@ops(["sum", "mean", "amax", "var", "softmax", "cumsum"])
def test_numpy_s_names(op):
    x = tn.tensor([[1.0, 2.0], [3.0, 5.0]])
    same(getattr(tn, op)(x, axis=1), getattr(tn, op)(x, dim=1).cpu().numpy())
    if op in ("sum", "mean", "amax", "var"):
        assert getattr(x, op)(axis=1, keepdims=True).shape == (2, 1)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "any", "all", "std", "logsumexp"])
def test_a_numpy_number_as_dim(name):
    x = tn.arange(6.0).reshape(2, 3)
    results = [getattr(x, name)(dim).tolist() for dim in (np.int64(1), 1)]
    assert results[0] == pytest.approx(results[1], rel=1e-5)
