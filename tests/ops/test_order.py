"""Running results along a dim, and operations that put elements in order."""

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, gradient_of, inf, nan, same

RUNNING = {
    "cumsum": np.cumsum, "cumprod": np.cumprod,
    "logcumsumexp": lambda x, dim: np.log(np.cumsum(np.exp(x), dim)),
}  # fmt: skip
in_dims = pytest.mark.parametrize("dim", [0, 1, -1])


@in_dims
@pytest.mark.parametrize("op", RUNNING)
def test_running_results(op, dim):
    check_values(lambda x: getattr(tn, op)(x, dim), lambda x: RUNNING[op](x, dim), (2, 5, 3))
    check_gradient(lambda x: getattr(tn, op)(x, dim), (2, 5, 3))
    check_gradient(lambda x: getattr(tn, op)(x.mT[:, ::2], dim), (2, 3, 5))


@pytest.mark.parametrize("op", [*RUNNING, "cummax", "cummin"])
def test_running_results_of_small_tensors(op):
    function = getattr(tn, op)
    for shape in ((), (1,), (0,), (2, 0), (0, 2)):
        x = tn.ones(shape, dtype=tn.float64, requires_grad=True)
        y = function(x, 0)
        same(y[0] if op.startswith("cumm") else y, np.ones(shape))
        (y[0] if op.startswith("cumm") else y).sum().backward()
        assert x.grad.shape == shape


def test_gradient_of_cumprod_at_zeros():
    assert gradient_of(lambda x: x.cumprod(0), [2.0, 0.0, 3.0]) == [[1, 8, 0]]
    zero = tn.tensor([1.0, 0.0, 1.0, 0.0])
    check_gradient(lambda x: (x * zero).cumprod(0), (4,))


@in_dims
@pytest.mark.parametrize("op", ["cummax", "cummin"])
def test_running_extremes(op, dim):
    extreme = np.maximum if op == "cummax" else np.minimum

    def expected(x):
        best = extreme.accumulate(x, dim)
        places = np.arange(x.shape[dim]).reshape([-1 if i == dim % 2 else 1 for i in range(2)])
        return best, np.maximum.accumulate(np.where(x == best, places, 0), dim)

    check_values(lambda x: getattr(tn, op)(x, dim), expected, (4, 5))
    check_gradient(lambda x: getattr(tn, op)(x, dim).values, (4, 5))


def test_running_extremes_of_ties_and_nan():
    values, indices = tn.tensor([1.0, 3.0, 3.0, 2.0]).cummax(0)
    assert (values.tolist(), indices.tolist()) == ([1, 3, 3, 3], [0, 1, 2, 2])
    values, indices = tn.tensor([1.0, nan, 3.0]).cummin(0)
    assert values.isnan().tolist() == [False, True, True]
    assert indices.tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", [tn.bool, tn.uint8, tn.int32], ids=str)
@pytest.mark.parametrize("op", ["cumsum", "cumprod"])
def test_running_results_of_integers_are_int64(op, dtype):
    x = tn.ones(3, dtype=dtype)
    same(getattr(tn, op)(x, 0), np.array([1, 2, 3] if op == "cumsum" else [1, 1, 1]))
    assert getattr(tn, op)(x, 0, dtype=tn.float32).dtype is tn.float32


def test_long_cumsums_do_not_drift(on_device):
    x = tn.full((1_000_000, 2), 0.1)
    np.testing.assert_allclose(x.cumsum(0)[-1].tolist(), [1e5, 1e5], 1e-6)


def test_logcumsumexp_does_not_overflow():
    y = tn.logcumsumexp(tn.tensor([1e4, 1e4, -inf], dtype=tn.float64), 0)
    same(y, 1e4 + np.log([1.0, 2, 2]))
    assert tn.logcumsumexp(tn.tensor([-inf, -inf, 0.0]), 0).tolist() == [-inf, -inf, 0]


# sort
@in_dims
@pytest.mark.parametrize("descending", [False, True])
def test_sort(dim, descending):
    sign = -1 if descending else 1

    def expected(x):
        order = np.argsort(sign * x, dim, kind="stable")
        return np.take_along_axis(x, order, dim), order

    check_values(lambda x: tn.sort(x, dim, descending), expected, (4, 5))
    check_values(lambda x: tn.argsort(x, dim, descending), lambda x: expected(x)[1], (4, 5))
    check_gradient(lambda x: tn.sort(x, dim, descending).values, (4, 5))


def test_sort_is_stable_and_nan_the_largest():
    x = tn.tensor([2.0, 1.0, 2.0, 1.0, nan, inf])
    assert x.argsort().tolist() == [1, 3, 0, 2, 5, 4]
    assert x.argsort(descending=True).tolist() == [4, 5, 0, 2, 1, 3]
    assert x.sort().indices.tolist() == [1, 3, 0, 2, 5, 4]


def test_sort_of_small_tensors():
    for shape in ((), (0,), (2, 0), (1, 1)):
        values, indices = tn.zeros(shape).sort()
        assert values.shape == indices.shape == shape
        assert indices.dtype is tn.int64


@pytest.mark.parametrize("dtype", [tn.bool, tn.uint8, tn.int16, tn.bfloat16], ids=str)
def test_sort_of_dtypes(dtype):
    values = tn.tensor([1, 0, 1, 0]).to(dtype).sort(descending=True).values
    assert values.dtype is dtype
    assert values.tolist() == [1, 1, 0, 0]


# topk
@in_dims
@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("largest", [False, True])
def test_topk(dim, k, largest):
    sign = -1 if largest else 1

    def expected(x):
        order = np.argsort(sign * x, dim, kind="stable").take(range(k), dim)
        return np.take_along_axis(x, order, dim), order

    check_values(lambda x: tn.topk(x, k, dim, largest), expected, (4, 5))
    check_gradient(lambda x: tn.topk(x, k, dim, largest).values, (4, 5))


def test_topk_of_none_is_a_copy():
    x = tn.ones(3, requires_grad=True)
    tn.topk(x, 0).values.fill_(5)  # a view of a leaf could not be written


def test_topk_of_a_number():
    assert tn.tensor(3.0).topk(1).values.item() == 3
    assert tn.tensor(3.0).topk(0).values.shape == (0,)


# median
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_median(dim, keepdim):
    def expected(x):
        order = np.argsort(x, dim, kind="stable")
        middle = order.take([(x.shape[dim] - 1) // 2], dim)
        values = np.take_along_axis(x, middle, dim)
        return (values, middle) if keepdim else (values.squeeze(dim), middle.squeeze(dim))

    check_values(lambda x: tn.median(x, dim, keepdim), expected, (4, 5))
    check_gradient(lambda x: tn.median(x, dim).values, (4, 5))


def test_gradient_of_a_median_that_ties():
    x = tn.tensor([[0.0, 0.0], [2.0, -1.0]], requires_grad=True)
    x.median().backward()
    assert x.grad.tolist() == [[0.5, 0.5], [0.0, 0.0]]


def test_places_along_another_dim_lie_row_by_row():
    x = tn.tensor([[3, 1], [2, 4]])
    assert tn.sort(x, dim=0)[1].view(-1).tolist() == [1, 0, 0, 1]
    assert tn.argsort(x, dim=0).is_contiguous()


def test_median_of_all():
    check_values(tn.median, lambda x: np.sort(x, None)[5], (3, 4))
    assert tn.tensor([3, 1, 2, 4]).median().item() == 2
    assert tn.zeros(0).median().isnan()
    assert tn.zeros(0, 2).median(keepdim=True).shape == (1, 1)
    check_gradient(lambda x: x.median(dim=None, keepdim=True) * x, (3, 4))
    assert tn.tensor([[3, 1], [2, 4]]).median(keepdim=True).tolist() == [[2]]
    assert tn.tensor([3.0, nan, 2.0]).median().isnan()
    assert tn.tensor([[1.0, nan], [2.0, 3.0]]).median(1).values[1] == 2
    values, indices = tn.tensor(5.0).median(0)
    assert (values.item(), indices.item()) == (5, 0)


# unique and bincount
def test_unique():
    x = np.array([[3, 1, 3], [2, 1, 3]])
    expected = np.unique(x, return_inverse=True, return_counts=True)
    values, inverse, counts = tn.unique(tn.tensor(x), return_inverse=True, return_counts=True)
    same((values, inverse, counts), (expected[0], expected[1].reshape(x.shape), expected[2]))
    same(tn.tensor([2.5, -1.0, 2.5]).unique(), np.float32([-1, 2.5]))
    assert tn.unique(tn.tensor([True, False, True])).tolist() == [False, True]


@pytest.mark.parametrize("dim", [0, 1])
def test_unique_rows(dim):
    x = np.array([[1, 2, 1], [1, 2, 1], [0, 2, 0]])
    values, inverse, counts = tn.unique(tn.tensor(x), True, True, True, dim)
    expected = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    same((values, inverse, counts), (expected[0], expected[1].reshape(-1), expected[2]))


def test_unique_of_nothing():
    values, counts = tn.unique(tn.zeros(0), return_counts=True)
    assert values.shape == counts.shape == (0,)


def test_bincount():
    x = np.array([1, 3, 1, 0])
    same(tn.bincount(tn.tensor(x)), np.bincount(x))
    same(tn.tensor(x).bincount(minlength=6), np.bincount(x, minlength=6))
    weights = np.array([0.5, 1, 2, 4])
    same(tn.bincount(tn.tensor(x), tn.tensor(weights)), np.bincount(x, weights))
    same(tn.bincount(tn.tensor(x), tn.tensor([1, 2, 3, 4])), np.bincount(x, [1, 2, 3, 4]))
    assert tn.bincount(tn.tensor([], dtype=tn.int64)).shape == (0,)
