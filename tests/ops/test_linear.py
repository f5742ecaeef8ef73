"""Products of matrices, einsum, the linear layer."""

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, same
from tinynet.ops.linear import linear

SHAPES = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((4, 2, 3), (3,)),
    ((3,), (4, 3, 2)), ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 4)),
    ((1, 2, 3), (4, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_matmul(a, b):
    check_values(tn.matmul, np.matmul, a, b)
    check_values(lambda a, b: a @ b, np.matmul, a, b)
    check_gradient(tn.matmul, a, b)


@pytest.mark.parametrize("shapes", [((3, 1), (1,)), ((1, 1), (1, 3)), ((2, 3, 1), (1, 1)),
                                    ((1,), (1, 3)), ((3, 1), (1, 1))])  # fmt: skip
def test_nan_times_zero(shapes):
    a, b = [tn.zeros(*shape) for shape in shapes]
    for x, y in ((tn.full_like(a, np.nan), b), (a, tn.full_like(b, np.inf))):
        assert (x @ y).isnan().all().item()


def test_matmul_of_views():
    check_gradient(lambda a, b: a.T @ b[::2].mT, (4, 3), (4, 2, 4))
    check_gradient(lambda a, b: a.expand(4, 3) @ b.expand(3, 2), (1, 3), (3, 1))
    check_gradient(lambda a: a @ a, (3, 3))
    check_gradient(lambda a: a @ a.T, (2, 3))


@pytest.mark.parametrize("dtype", [tn.int64, tn.int8, tn.float16, tn.bfloat16, tn.float64], ids=str)
def test_matmul_keeps_the_dtype(dtype):
    y = tn.ones(2, 3, dtype=dtype) @ tn.ones(3, 2, dtype=dtype)
    assert y.dtype is dtype
    assert y.tolist() == [[3, 3], [3, 3]]


def test_kin_of_matmul():
    check_values(tn.mm, np.matmul, (2, 3), (3, 4))
    check_values(tn.bmm, np.matmul, (5, 2, 3), (5, 3, 4))
    check_values(tn.mv, np.matmul, (2, 3), (3,))
    check_values(tn.dot, np.dot, (3,), (3,))
    check_values(tn.outer, np.outer, (3,), (4,))
    check_values(tn.trace, np.trace, (3, 4))
    check_values(lambda x, a, b: tn.addmm(x, a, b, beta=0.5, alpha=2),
                 lambda x, a, b: 0.5 * x + 2 * (a @ b), (4,), (2, 3), (3, 4))  # fmt: skip
    check_values(lambda x, a, b: tn.baddbmm(x, a, b, beta=0.5, alpha=2),
                 lambda x, a, b: 0.5 * x + 2 * (a @ b), (2, 1), (5, 2, 3), (5, 3, 4))  # fmt: skip
    check_gradient(tn.outer, (3,), (4,))
    check_gradient(tn.trace, (3, 4))
    check_gradient(lambda x, a, b: tn.addmm(x, a, b, beta=0.5, alpha=2), (4,), (2, 3), (3, 4))
    check_gradient(tn.baddbmm, (5, 2, 4), (5, 2, 3), (5, 3, 4))
    assert tn.tensor([[1, 2], [3, 4]]).trace().dtype is tn.int64


def test_addmm_without_its_first_summand():
    nan = tn.full((1,), float("nan"))
    same(tn.addmm(nan, tn.ones(1, 2), tn.ones(2, 1), beta=0), np.float32([[2]]))


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("i,i->", (3,), (3,)), ("i,j->ij", (3,), (4,)), ("ij->ji", (2, 3)), ("ij->", (2, 3)),
    ("ij->j", (2, 3)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("iij->j", (3, 3, 2)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...,...->...", (2, 3), (2, 3)),
    ("i...,i...->...", (2, 3), (2, 3)), ("ij,kj,lj->ikl", (2, 3), (4, 3), (5, 3)),
    ("ij,ij->ij", (2, 3), (2, 3)), ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("ij,k->k", (2, 3), (4,)), ("ba", (2, 3)),
    ("ij,j->i", (2, 0), (0,)), ("ij,ik->jk", (0, 2), (0, 3)),
    ("a b, b c -> a c", (2, 3), (3, 4)), ("...i->...", (2, 3)), ("ij,jj->i", (2, 3), (3, 3)),
    ("ij,ij->i", (2, 1), (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: case[0])
def test_einsum(case):
    equation, *shapes = case
    check_values(lambda *xs: tn.einsum(equation, *xs), lambda *xs: np.einsum(equation, *xs),
                 *shapes)  # fmt: skip
    check_gradient(lambda *xs: tn.einsum(equation, *xs), *shapes)


def test_einsum_of_a_list():
    x = tn.ones(2, 2)
    same(tn.einsum("ij,jk->ik", [x, x]), np.full((2, 2), 2, np.float32))


@pytest.mark.parametrize("dims", [0, 1, 2, ([0], [1]), ([1, 0], [0, 1]), (0, 1)], ids=str)
def test_tensordot(dims):
    shapes = ((3, 3), (3, 3))
    check_values(lambda a, b: tn.tensordot(a, b, dims), lambda a, b: np.tensordot(a, b, dims),
                 *shapes)  # fmt: skip
    check_gradient(lambda a, b: tn.tensordot(a, b, dims), *shapes)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (0, 3)], ids=str)
def test_linear(shape):
    check_values(linear, lambda x, w, b: x @ w.T + b, shape, (5, 3), (5,))
    check_values(linear, lambda x, w: x @ w.T, shape, (5, 3))
    check_gradient(linear, shape, (5, 3), (5,))
    check_gradient(linear, shape, (5, 3))
    check_gradient(lambda x, w: linear(x.flip(-1), w.T), shape, (3, 5))


def test_linear_with_a_vector():
    check_values(linear, lambda x, w: x @ w, (2, 3), (3,))
    check_gradient(linear, (2, 3), (3,))


def test_tensordot_broadcasts_dims_of_size_1():
    ones, x = np.ones((2, 1)), np.arange(6.0).reshape(3, 2)
    expected = np.tensordot(np.ones((2, 3)), x, 1)
    same(tn.tensordot(tn.tensor(ones), tn.tensor(x), 1), expected)
    same(tn.tensordot(tn.tensor(x).T, tn.ones(1, 2, dtype=tn.float64), 1), expected.T)
    check_gradient(lambda a, b: tn.tensordot(a, b, 1), (2, 1), (3, 2))
