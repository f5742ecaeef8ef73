"""`tinynet.linalg` beside `torch.linalg`: values, gradients, second gradients, errors."""

import math

import numpy as np
import pytest
import torch

import tinynet as tn
from tinynet.autograd import check_gradient

inf = math.inf
rng = np.random.default_rng(0)


def matrices(*shape):
    return rng.normal(size=shape)


def positive(*batch, n=3):
    x = matrices(*batch, n, n + 2)
    return x @ x.swapaxes(-1, -2)


def well_posed(*batch, n=3):
    return positive(*batch, n=n) + np.triu(matrices(*batch, n, n))


def both(function, *arrays):
    """Outputs and gradients of a random combination of them, by PyTorch and by tinynet."""
    results = []
    for module in (torch, tn):
        xs = [module.tensor(x, dtype=module.float64, requires_grad=True) for x in arrays]
        returned = function(module, *xs)
        ys = list(returned) if isinstance(returned, tuple) else [returned]
        grads = module.autograd.grad(
            sum((y * (y + 1)).sum() for y in ys), xs, create_graph=True, allow_unused=True
        )
        known = [g for g in grads if g is not None]
        second = module.autograd.grad(sum((g * g).sum() for g in known), xs, allow_unused=True)
        results.append([y.numpy(force=True) for y in (*ys, *known, *second) if y is not None])
    return results


CASES = [
    ("inv", lambda m, a: m.linalg.inv(a), [well_posed()]),
    ("inv batch", lambda m, a: m.linalg.inv(a), [well_posed(2, 2)]),
    ("inv empty", lambda m, a: m.linalg.inv(a) * 1, [well_posed(0)]),
    ("solve matrix", lambda m, a, b: m.linalg.solve(a, b), [well_posed(), matrices(3, 2)]),
    ("solve vector", lambda m, a, b: m.linalg.solve(a, b), [well_posed(), matrices(3)]),
    ("solve batch", lambda m, a, b: m.linalg.solve(a, b), [well_posed(4), matrices(4, 3, 2)]),
    ("solve vectors", lambda m, a, b: m.linalg.solve(a, b), [well_posed(4), matrices(4, 3)]),
    ("solve spread", lambda m, a, b: m.linalg.solve(a, b), [well_posed(4, 1), matrices(5, 3, 2)]),
    ("solve one a", lambda m, a, b: m.linalg.solve(a, b), [well_posed(), matrices(5, 3, 2)]),
    ("solve left", lambda m, a, b: m.linalg.solve(a, b, left=False),
     [well_posed(), matrices(2, 3)]),
    ("cholesky", lambda m, a: m.linalg.cholesky(a), [positive()]),
    ("cholesky batch", lambda m, a: m.linalg.cholesky(a), [positive(2)]),
    ("cholesky upper", lambda m, a: m.linalg.cholesky(a, upper=True), [positive(2)]),
    ("qr", lambda m, a: tuple(m.linalg.qr(a)), [matrices(3, 3)]),
    ("qr tall", lambda m, a: tuple(m.linalg.qr(a)), [matrices(2, 4, 3)]),
    ("qr wide", lambda m, a: tuple(m.linalg.qr(a)), [matrices(3, 5)]),
    ("qr Q alone", lambda m, a: m.linalg.qr(a).Q, [matrices(4, 3)]),
    ("qr R alone", lambda m, a: m.linalg.qr(a).R, [matrices(4, 3)]),
    ("qr complete", lambda m, a: tuple(m.linalg.qr(a, "complete")), [matrices(3, 5)]),
    ("svd S", lambda m, a: m.linalg.svd(a).S, [matrices(3, 4)]),
    ("svd values", lambda m, a: m.linalg.svd(a, full_matrices=False).S, [matrices(2, 4, 3)]),
    ("vector_norm", lambda m, a: m.linalg.vector_norm(a), [matrices(3, 4)]),
    ("vector_norm 3", lambda m, a: m.linalg.vector_norm(a, 3, dim=1), [matrices(3, 4)]),
    ("vector_norm inf", lambda m, a: m.linalg.vector_norm(a, inf, dim=0), [matrices(3, 4)]),
    ("vector_norm -inf", lambda m, a: m.linalg.vector_norm(a, -inf), [matrices(3, 4)]),
    ("vector_norm 1", lambda m, a: m.linalg.vector_norm(a, 1, keepdim=True), [matrices(3, 4)]),
    ("vector_norm 0", lambda m, a: m.linalg.vector_norm(a, 0) * a.sum(), [matrices(3, 4)]),
    ("vector_norm -2", lambda m, a: m.linalg.vector_norm(a, -2, (0, 2)), [matrices(3, 4, 2)]),
    *[
        (f"matrix_norm {p}", lambda m, a, p=p: m.linalg.matrix_norm(a, p), [matrices(2, 3, 4)])
        for p in ("fro", "nuc", 1, -1, 2, -2, inf, -inf)
    ],
    ("matrix_norm dims", lambda m, a: m.linalg.matrix_norm(a, 1, (0, 2)), [matrices(2, 3, 4)]),
    ("matrix_norm keep", lambda m, a: m.linalg.matrix_norm(a, "nuc", (2, 0), True),
     [matrices(2, 3, 4)]),
    ("norm", lambda m, a: m.linalg.norm(a), [matrices(2, 3, 4)]),
    ("norm dim", lambda m, a: m.linalg.norm(a, dim=1), [matrices(2, 3, 4)]),
    ("norm dims", lambda m, a: m.linalg.norm(a, dim=(0, 1)), [matrices(2, 3, 4)]),
    ("norm nuc", lambda m, a: m.linalg.norm(a, "nuc"), [matrices(3, 4)]),
    ("norm 1 of vector", lambda m, a: m.linalg.norm(a, 1), [matrices(4)]),
    ("norm 1 of dims", lambda m, a: m.linalg.norm(a, 1, (0, 1)), [matrices(3, 4, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arrays"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(function, arrays):
    expected, got = both(function, *arrays)
    assert len(expected) == len(got)
    for e, g in zip(expected, got, strict=True):
        assert e.shape == g.shape
        np.testing.assert_allclose(g, e, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (2, 4, 3), (2, 2, 4)])
def test_svd_gradients(shape):
    """The signs of singular vectors are free: what does not depend on them is compared."""

    def projections(module, a):
        u, s, vh = module.linalg.svd(a, full_matrices=False)
        k = s.shape[-1] - 1
        return u[..., :k] @ u[..., :k].mT, s, vh[..., :k, :].mT @ vh[..., :k, :]

    expected, got = both(projections, matrices(*shape))
    for e, g in zip(expected, got, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (2, 4, 2)])
def test_full_factorisations(shape):
    a = tn.tensor(matrices(*shape))
    u, s, vh = tn.linalg.svd(a)
    k = min(shape[-2:])
    q, r = tn.linalg.qr(a, mode="complete")
    assert [x.shape[-2:] for x in (u, vh, q)] == [(shape[-2],) * 2, (shape[-1],) * 2, u.shape[-2:]]
    assert ((u[..., :k] * s.unsqueeze(-2)) @ vh[..., :k, :]).allclose(a)
    assert (q @ r).allclose(a)
    for x in (u, vh, q):
        assert (x @ x.mT).allclose(tn.eye(x.shape[-1], dtype=tn.float64).expand(x.shape))


def test_qr_of_r_alone():
    a = tn.tensor(matrices(4, 3))
    assert tn.linalg.qr(a, "r").Q.shape == (0,)
    assert tn.linalg.qr(a, "r").R.allclose(tn.linalg.qr(a).R)


def test_named_results():
    a = tn.tensor(positive())
    assert tn.linalg.qr(a)._fields == ("Q", "R")
    assert tn.linalg.svd(a)._fields == ("U", "S", "Vh")


def test_norm_takes_dtype_and_numpy_names():
    a = tn.ones(2, 2)
    assert tn.linalg.norm(a, dtype=tn.float64).dtype is tn.float64
    assert tn.linalg.vector_norm(a, axis=0, keepdims=True).shape == (1, 2)


def test_gradients_by_differences():
    check_gradient(tn.linalg.inv, tn.tensor(well_posed(2)))
    check_gradient(tn.linalg.solve, tn.tensor(well_posed()), (3, 2))
    check_gradient(lambda x: tn.linalg.cholesky(x @ x.mT), (3, 4))
    check_gradient(tn.linalg.qr, (4, 3))
    check_gradient(tn.linalg.qr, (2, 3, 4))
    check_gradient(lambda x: tn.linalg.svd(x, full_matrices=False), (4, 3))
    check_gradient(lambda x: tn.linalg.svd(x), tn.tensor(matrices(3, 3)))


ERRORS = {
    "linalg.inv: expected square matrices, got shape (2, 3)": lambda m: m.linalg.inv(m.ones(2, 3)),
    "linalg.inv: expected float32 or float64, got tinynet.int64":
        lambda m: m.linalg.inv(m.ones(2, 2, dtype=m.int64)),
    "linalg.inv: expected float32 or float64, got tinynet.float16":
        lambda m: m.linalg.inv(m.ones(2, 2, dtype=m.float16)),
    "linalg.inv: singular matrix": lambda m: m.linalg.inv(m.zeros(2, 2)),
    "linalg.solve: singular matrix": lambda m: m.linalg.solve(m.zeros(2, 2), m.ones(2)),
    "linalg.solve: A (2, 2) and B (3, 1) do not fit, left=True":
        lambda m: m.linalg.solve(m.eye(2), m.ones(3, 1)),
    "linalg.solve: A has tinynet.float64, B tinynet.float32, expected one dtype":
        lambda m: m.linalg.solve(m.eye(2, dtype=m.float64), m.ones(2)),
    "linalg.cholesky: matrix is not positive definite": lambda m: m.linalg.cholesky(-m.eye(2)),
    "linalg.qr: mode must be 'reduced', 'complete' or 'r', got 'x'":
        lambda m: m.linalg.qr(m.ones(2, 2), "x"),
    "linalg.svd: expected matrices, got shape (3,)": lambda m: m.linalg.svd(m.ones(3)),
    "linalg.norm: with ord and no dim, expected 1 or 2 dims, got shape (2, 2, 2)":
        lambda m: m.linalg.norm(m.ones(2, 2, 2), 2),
    "linalg.norm: dim must be one or two dims, got (0, 1, 2)":
        lambda m: m.linalg.norm(m.ones(2, 2, 2), dim=(0, 1, 2)),
    "linalg.norm: ord 'fro' needs two dims, got None of (2,)":
        lambda m: m.linalg.norm(m.ones(2), "fro"),
    "linalg.vector_norm: expected a floating dtype, got tinynet.int64":
        lambda m: m.linalg.norm(m.ones(2, dtype=m.int64)),
    "linalg.vector_norm: ord must be a number, got 'fro'":
        lambda m: m.linalg.vector_norm(m.ones(2), "fro"),
    "linalg.matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got 3":
        lambda m: m.linalg.matrix_norm(m.ones(2, 2), 3),
    "linalg.matrix_norm: expected at least 2 dims, got shape (2,)":
        lambda m: m.linalg.matrix_norm(m.ones(2)),
    "linalg.matrix_norm: dim must be two different dims, got (0, 0)":
        lambda m: m.linalg.matrix_norm(m.ones(2, 2), dim=(0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises((RuntimeError, TypeError)):
        ERRORS[message](torch)
    with pytest.raises(tn.errors.TinynetError) as caught:
        ERRORS[message](tn)
    assert str(caught.value) == message
