"""Conformance: the routines of LAPACK, batched, by what their results must satisfy."""

import numpy as np
import pytest

from tests.backends.arrays import contiguous, each, in_layouts, numbers, same
from tinynet import dtype as dtypes
from tinynet.errors import ArgumentError

WIDE = [dtypes.float32, dtypes.float64]
CLOSE = {dtypes.float32: 1e-4, dtypes.float64: 1e-12}


def square(dtype, *batch):
    """Matrices far from singular."""
    return numbers((*batch, 3, 3), dtype) + 20 * np.eye(3, dtype=dtype.name)


def close(backend, array, expected, dtype):
    found = backend.to_numpy(array)
    assert found.dtype == np.dtype(dtype.name)
    assert found.shape == tuple(array.shape) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=CLOSE[dtype], atol=10 * CLOSE[dtype])


@each(WIDE)
@in_layouts
@pytest.mark.parametrize("batch", [(), (2,), (0,), (2, 3)], ids=str)
def test_inv(backend, dtype, layout, batch):
    x = square(dtype, *batch)
    (y,) = backend.linalg("inv", layout(backend, x))
    close(backend, backend.matmul(y, backend.from_numpy(x)), np.broadcast_to(np.eye(3), x.shape),
          dtype)  # fmt: skip


@each(WIDE)
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_solve(backend, dtype, batch):
    a, b = square(dtype, *batch), numbers((*batch, 3, 2), dtype)
    (x,) = backend.linalg("solve", backend.from_numpy(a), backend.from_numpy(b))
    close(backend, backend.matmul(backend.from_numpy(a), x), b, dtype)


@each(WIDE)
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_cholesky(backend, dtype, batch):
    half = square(dtype, *batch)
    x = half @ half.swapaxes(-1, -2)
    (y,) = backend.linalg("cholesky", backend.from_numpy(x))
    lower = backend.to_numpy(y)
    np.testing.assert_array_equal(np.tril(lower), lower)
    close(backend, y, np.linalg.cholesky(x.astype(np.float64)).astype(x.dtype), dtype)


@each(WIDE)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 4, 3)], ids=str)
def test_qr(backend, dtype, shape):
    x = numbers(shape, dtype)
    q, r = backend.linalg("qr", backend.from_numpy(x))
    k = min(shape[-2:])
    assert q.shape == (*shape[:-1], k)
    assert r.shape == (*shape[:-2], k, shape[-1])
    close(backend, backend.matmul(q, r), x, dtype)
    np.testing.assert_array_equal(np.triu(backend.to_numpy(r)), backend.to_numpy(r))


@each(WIDE)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 4, 3)], ids=str)
def test_svd(backend, dtype, shape):
    x = numbers(shape, dtype)
    u, s, vh = backend.linalg("svd", backend.from_numpy(x))
    k = min(shape[-2:])
    assert (u.shape, s.shape, vh.shape) == (
        (*shape[:-1], k), (*shape[:-2], k), (*shape[:-2], k, shape[-1])
    )  # fmt: skip
    scaled = backend.elementwise("mul", u, backend.reshape(s, (*s.shape[:-1], 1, k)))
    close(backend, backend.matmul(scaled, vh), x, dtype)


@pytest.mark.parametrize("op", ["inv", "solve"])
def test_singular_matrices(backend, op):
    x = contiguous(backend, np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match=rf"^linalg\.{op}: singular matrix$"):
        backend.linalg(op, *[x] * (2 if op == "solve" else 1))


def test_cholesky_of_a_matrix_that_is_not_positive(backend):
    with pytest.raises(ArgumentError, match=r"^linalg\.cholesky: matrix is not positive definite$"):
        backend.linalg("cholesky", contiguous(backend, -np.eye(2)))


def test_values_of_a_lazy_operand(backend):
    x = backend.elementwise("mul", backend.from_numpy(np.eye(2)), 2.0)
    (y,) = backend.linalg("inv", x)
    same(backend, y, np.eye(2) / 2)
