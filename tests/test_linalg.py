"""`tinynet.linalg`: values against NumPy's, gradients to second order."""

import itertools

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, draw, same
from tinynet import linalg
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, TinynetError


@pytest.fixture(autouse=True)
def every_device(on_device):
    """Every backend runs these."""


def regular(x):
    """A matrix far from singular, made of any."""
    return x + 5 * tn.eye(x.shape[-1], dtype=x.dtype)


def positive(x):
    """A symmetric matrix with positive eigenvalues."""
    return regular(x @ x.mT)


def as_tensors(function):
    return lambda *arrays: function(*(tn.tensor(x) for x in arrays)).cpu().numpy()


SQUARE = [(3, 3), (2, 3, 3), (1, 1), (0, 2, 2)]


@pytest.mark.parametrize("shape", SQUARE, ids=str)
def test_inv(shape):
    check_values(lambda x: linalg.inv(regular(x)), lambda x: np.linalg.inv(as_tensors(regular)(x)),
                 shape, rtol=1e-10)  # fmt: skip
    check_gradient(lambda x: linalg.inv(regular(x)), shape)


@pytest.mark.parametrize(("a", "b"), [((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 3, 3), (2, 3, 1)),
                                      ((2, 3, 3), (3, 2))], ids=str)  # fmt: skip
def test_solve(a, b):
    check_values(lambda a, b: linalg.solve(regular(a), b),
                 lambda a, b: np.linalg.solve(as_tensors(regular)(a), b), a, b,
                 rtol=1e-10)  # fmt: skip
    check_gradient(lambda a, b: linalg.solve(regular(a), b), a, b)


def test_solve_from_the_right():
    check_gradient(lambda a, b: linalg.solve(regular(a), b, left=False), (3, 3), (2, 3))
    a, b = tn.tensor(draw((3, 3))) + 5 * tn.eye(3, dtype=tn.float64), tn.tensor(draw((2, 3)))
    same(linalg.solve(a, b, left=False) @ a, b.cpu().numpy(), 1e-10)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1)], ids=str)
def test_cholesky(shape, upper):
    def expected(x):
        lower = np.linalg.cholesky(as_tensors(positive)(x))
        return lower.swapaxes(-1, -2) if upper else lower

    check_values(lambda x: linalg.cholesky(positive(x), upper=upper), expected, shape, rtol=1e-10)
    check_gradient(lambda x: linalg.cholesky(positive(x), upper=upper), shape)


@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_qr(shape, mode):
    x = tn.tensor(draw(shape))
    q, r = linalg.qr(x, mode)
    if mode != "r":
        same(q @ r, x.cpu().numpy(), 1e-10)
        same(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2)),
             1e-10, 1e-10)  # fmt: skip
    np.testing.assert_allclose(np.tril(r.cpu().numpy(), -1), 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 3, 2)], ids=str)
def test_gradients_of_qr(shape):
    check_gradient(lambda x: linalg.qr(x).Q, shape)
    check_gradient(lambda x: linalg.qr(x).R, shape)


@pytest.mark.parametrize("full_matrices", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_svd(shape, full_matrices):
    x = tn.tensor(draw(shape))
    u, s, vh = linalg.svd(x, full_matrices)
    k = min(shape[-2:])
    same((u[..., :k] * s.unsqueeze(-2)) @ vh[..., :k, :], x.cpu().numpy(), 1e-10, 1e-12)
    rows, columns = shape[-2:] if full_matrices else (k, k)
    assert (u.shape[-1], vh.shape[-2]) == (rows, columns)
    same(s, np.linalg.svd(x.cpu().numpy(), compute_uv=False), 1e-10)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 3), (2, 3, 2)], ids=str)
def test_gradients_of_svd(shape):
    check_gradient(lambda x: linalg.svd(x, False).S, shape)
    check_gradient(lambda x: abs(linalg.svd(x, False).U), shape, order=1)
    check_gradient(lambda x: abs(linalg.svd(x, False).Vh), shape, order=1)


@pytest.mark.parametrize("order", [None, 2, 1, 0, np.inf, -np.inf, 3, 0.5], ids=str)
def test_vector_norms(order):
    check_values(lambda x: linalg.norm(x, order), lambda x: np.linalg.norm(x, order), (5,))
    if order is not None:
        check_values(lambda x: linalg.vector_norm(x, order, dim=1),
                     lambda x: np.linalg.norm(x, order, 1), (3, 4))  # fmt: skip
    check_gradient(lambda x: linalg.norm(x, order), (5,))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norms(order, keepdim):
    dims = (0, 2)
    check_values(lambda x: linalg.norm(x, order, dims, keepdim),
                 lambda x: np.linalg.norm(x, order, dims, keepdim), (3, 2, 4),
                 rtol=1e-10) if order is not None else None  # fmt: skip
    check_values(lambda x: linalg.norm(x, order), lambda x: np.linalg.norm(x, order), (3, 4),
                 rtol=1e-10)  # fmt: skip
    check_gradient(lambda x: linalg.norm(x, order), (3, 4))


@pytest.mark.parametrize(
    ("order", "shape"), [(1, (3, 0)), (2, (0, 3)), (2, (3, 0)), (np.inf, (0, 3)), ("nuc", (0, 3))]
)
def test_norms_of_empty_matrices(order, shape):
    assert linalg.matrix_norm(tn.zeros(shape), order).item() == 0
    assert linalg.matrix_norm(tn.zeros(2, *shape), order, keepdim=True).tolist() == [[[0]]] * 2


def test_norms_in_another_dtype():
    assert linalg.norm(tn.ones(3), dtype=tn.float64).dtype is tn.float64
    assert linalg.matrix_norm(tn.ones(2, 3, 3)).shape == (2,)
    assert linalg.vector_norm(tn.ones(2, 3)).shape == ()


MISTAKES = [
    (lambda: linalg.inv(tn.zeros(2, 3)), ShapeError),
    (lambda: linalg.inv(tn.zeros(3)), ShapeError),
    (lambda: linalg.inv(tn.zeros(2, 2)), ArgumentError),
    (lambda: linalg.inv(tn.ones(2, 2, dtype=tn.int64)), DTypeError),
    (lambda: linalg.inv([[1.0]]), ArgumentTypeError),
    (lambda: linalg.solve(tn.eye(2), tn.ones(3)), ShapeError),
    (lambda: linalg.solve(tn.eye(2), tn.ones(2, dtype=tn.float64)), DTypeError),
    (lambda: linalg.cholesky(-tn.eye(2)), ArgumentError),
    (lambda: linalg.qr(tn.eye(2), "full"), ArgumentError),
    (lambda: linalg.norm(tn.ones(2, 2), "max"), ArgumentError),
    (lambda: linalg.matrix_norm(tn.ones(2)), ShapeError),
    (lambda: linalg.matrix_norm(tn.zeros(3, 0), -1), ShapeError),
    (lambda: linalg.matrix_norm(tn.ones(2, 2), dim=(0, 0)), ShapeError),
    (lambda: linalg.vector_norm(tn.ones(2), "fro"), ArgumentTypeError),
    (lambda: linalg.norm(tn.ones(2, 2, 2), 1, (0, 1, 2)), ShapeError),
    (lambda: linalg.norm(tn.ones(2, 2, 2), 1), ShapeError),
    (lambda: linalg.norm(tn.ones(2, 2), "fro", 0), ArgumentError),
    (lambda: linalg.solve(tn.eye(2), tn.ones(2), left=False), ShapeError),
]


@pytest.mark.parametrize(("mistake", "error"), MISTAKES, ids=itertools.count())
def test_mistakes(mistake, error):
    with pytest.raises(TinynetError, match=r"^(linalg\.)?[a-z_]+: ") as raised:
        mistake()
    if "has no tinynet.float64" in str(raised.value):  # the device: this test is not for it
        raise raised.value
    assert type(raised.value) is error, str(raised.value)
