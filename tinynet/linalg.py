"""Linear algebra on batches of matrices: norms, solving, factorisations.

LAPACK computes the values (through NumPy, on the host); gradients are Tensor operations, so that
they can be differentiated again. Matrices are the last two dims, float32 or float64.

>>> import tinynet as tn
>>> a = tn.tensor([[4.0, 2.0], [2.0, 3.0]])
>>> tn.linalg.solve(a, tn.tensor([2.0, 1.0]))
tensor([0.5000, 0.0000])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tinynet import shape as shapes
from tinynet.autograd.function import record_several
from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import DType, Scalar, float32, float64
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import eye
from tinynet.ops.joining import cat
from tinynet.ops.operands import (
    cast_to,
    numpy_names,
    require_floating,
    require_same_device,
    require_tensor,
)
from tinynet.ops.reduction import norm as norm_of_elements
from tinynet.tensor import Tensor


class QR(NamedTuple):
    """What `qr` returns: `A = Q @ R`."""

    Q: Tensor
    R: Tensor


class SVD(NamedTuple):
    """What `svd` returns: `A = U @ diag(S) @ Vh`."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# Norms
@numpy_names
def vector_norm(
    x: Tensor, ord: Scalar = 2, dim: Any = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of the elements over `dim` (all if None): 2, 1, 0 (a count), inf, -inf or any other.

    The gradient where the norm is 0 is 0.
    """
    if not isinstance(ord, (int, float)):
        raise ArgumentTypeError(f"linalg.vector_norm: ord must be a number, got {ord!r}")
    elements = _as_norm_input("linalg.vector_norm", x, dtype)
    return norm_of_elements(elements, ord, dim, keepdim)


@numpy_names
def matrix_norm(
    A: Tensor, ord: Scalar | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of matrices in the two `dim`.

    "fro" (of the elements), "nuc" (sum of singular values), 2 and -2 (largest and smallest singular
    value), 1 and -1 (largest and smallest column sum of magnitudes), inf and -inf (row sum).
    """
    x = _as_norm_input("linalg.matrix_norm", A, dtype)
    if x.ndim < 2:
        raise ShapeError(f"linalg.matrix_norm: expected at least 2 dims, got shape {x.shape}")
    dims = [shapes.as_dim("linalg.matrix_norm", d, x.ndim) for d in dim]
    if len(dims) != 2 or dims[0] == dims[1]:
        raise ShapeError(f"linalg.matrix_norm: dim must be two different dims, got {dim}")
    if ord == "fro":
        return vector_norm(x, 2, dims, keepdim)
    if ord not in ("nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ArgumentError(
            f"linalg.matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}"
        )
    x = x.movedim(dims, (-2, -1))
    if ord == "nuc":
        y = _singular_values(x).sum(-1)
    else:
        assert not isinstance(ord, str)
        sums_dim = -2 if abs(ord) == 1 else -1
        values = _singular_values(x) if abs(ord) == 2 else x.abs().sum(sums_dim)
        y = _extreme(values, is_largest=ord > 0)
    if not keepdim:
        return y
    return y.reshape([1 if i in dims else n for i, n in enumerate(A.shape)])


def _extreme(values: Tensor, is_largest: bool) -> Tensor:
    """The largest or smallest of values that are not negative; the largest of none is 0."""
    if values.shape[-1]:
        return values.amax(-1) if is_largest else values.amin(-1)
    if not is_largest:
        raise ShapeError("linalg.matrix_norm: empty matrices have no smallest value, got ord < 0")
    return values.sum(-1)


@numpy_names
def norm(
    A: Tensor, ord: Scalar | str | None = None, dim: Any = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """`vector_norm` of all elements, of one `dim` or of a vector; `matrix_norm` of two dims."""
    x = require_tensor("linalg.norm", A)
    dims = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise ShapeError(f"linalg.norm: dim must be one or two dims, got {dim}")
    if ord is None:
        return vector_norm(x, 2, dims, keepdim, dtype=dtype)
    if dims is None and x.ndim not in (1, 2):
        raise ShapeError(
            f"linalg.norm: with ord and no dim, expected 1 or 2 dims, got shape {x.shape}"
        )
    if len(dims or x.shape) == 2:
        return matrix_norm(x, ord, dims or (0, 1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise ArgumentError(f"linalg.norm: ord {ord!r} needs two dims, got {dim} of {x.shape}")
    return vector_norm(x, ord, dims, keepdim, dtype=dtype)


def _as_norm_input(op: str, x: Tensor, dtype: DType | None) -> Tensor:
    require_floating(op, require_tensor(op, x))
    return x if dtype is None else cast_to(x, dtype)


# Solving
class Inverse(Op):
    """Of `Y = inv(X)`: -Y.T G Y.T."""

    op = "linalg.inv"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        y = ctx.output.mT
        return -(y @ grad @ y)


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices. A singular one is an error."""
    x = _as_matrices("linalg.inv", A, is_square=True)
    (array,) = x.backend.linalg("inv", x.array)
    return result(Inverse, array, x.dtype, (x,))


class Solve(Op):
    """Of `A X = B`: the gradient of B is inv(A).T G, that of A minus it times X.T."""

    op = "linalg.solve"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        (a,) = ctx.saved_tensors
        b_grad = _solved(a.mT, grad)
        return (-(b_grad @ ctx.output.mT) if ctx.needs_input_grad[0] else None), b_grad


def _solved(a: Tensor, b: Tensor) -> Tensor:
    (array,) = a.backend.linalg("solve", a.array, b.array)
    return result(Solve, array, a.dtype, (a, b), (a,))


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X such that `A @ X = B` (`X @ A = B` if not `left`); B may be (batches of) vectors."""
    a = _as_matrices("linalg.solve", A, is_square=True)
    b = require_tensor("linalg.solve", B, "B")
    if b.dtype is not a.dtype:
        raise DTypeError(f"linalg.solve: A has {a.dtype}, B {b.dtype}, expected one dtype")
    require_same_device("linalg.solve", a, b)
    is_vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    if is_vector and not left:
        raise ShapeError(f"linalg.solve: with left=False B must be matrices, got shape {b.shape}")
    if is_vector:
        b = b.unsqueeze(-1)
    if b.ndim < 2 or b.shape[-2 if left else -1] != a.shape[-1]:
        raise ShapeError(f"linalg.solve: A {A.shape} and B {B.shape} do not fit, left={left}")
    shapes.broadcast("linalg.solve", a.shape[:-2], b.shape[:-2])
    if not left:
        return _solved(a.mT, b.mT).mT
    x = _solved(a, b)
    return x.squeeze(-1) if is_vector else x


# Factorisations
class Cholesky(Op):
    """Of `A = L L.T` (Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10)."""

    op = "linalg.cholesky"
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        lower = ctx.output
        inner = (lower.mT @ grad).tril()
        inner = inner - _diagonal_only(inner) * 0.5
        half = _solved(lower.mT, inner)
        whole = _solved(lower.mT, half.mT).mT
        return (whole + whole.mT) * 0.5


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with `A = L @ L.mT` of positive definite matrices; L.mT if `upper`."""
    x = _as_matrices("linalg.cholesky", A, is_square=True)
    source = x.backend.permute(x.array, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
    (array,) = x.backend.linalg("cholesky", source if upper else x.array)
    lower = result(Cholesky, array, x.dtype, (x,))
    return lower.mT if upper else lower


class OrthogonalTriangular(Op):
    """Of the reduced `A = Q R` with full column rank (Walter and Lehmann 2018)."""

    op = "linalg.qr"

    @staticmethod
    def backward(ctx: Node, q_grad: Tensor, r_grad: Tensor) -> Tensor:
        q, r = ctx.saved_tensors
        inner = r @ r_grad.mT - q_grad.mT @ q
        lower = inner.tril()
        symmetric = lower + lower.mT - _diagonal_only(inner)
        return _solved(r, (q_grad + q @ symmetric).mT).mT


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """`A = Q @ R`, Q with orthonormal columns, R upper triangular.

    For A of (m, n) and k = min(m, n): Q (m, k) and R (k, n) if "reduced"; (m, m) and (m, n) if
    "complete" (the columns of Q that are added get no gradient); an empty Q and R (k, n) if "r".
    """
    x = _as_matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    m, n = x.shape[-2:]
    square = x if m >= n else x[..., :m]
    q_array, r_array = x.backend.linalg("qr", square.array)
    q, r = (wrap(array, x.dtype, x.backend) for array in (q_array, r_array))
    record_several(OrthogonalTriangular, (q, r), (square,), (q, r))
    if m < n:  # the columns beyond the square are Q times those of R
        r = cat([r, q.mT @ x[..., m:]], -1)
    if mode == "r":
        return QR(x.new_zeros((0,)), r)
    if mode == "complete" and m > n:
        q = _completed(q)
        r = cat([r, r.new_zeros((*r.shape[:-2], m - n, n))], -2)
    return QR(q, r)


class SingularValues(Op):
    """Of the reduced `A = U diag(S) Vh` (Townsend 2016, "Differentiating the SVD")."""

    op = "linalg.svd"

    @staticmethod
    def backward(
        ctx: Node, u_grad: Tensor | None, s_grad: Tensor | None, vh_grad: Tensor | None
    ) -> Tensor:
        u, s, vh = ctx.saved_tensors
        rows, columns = s.unsqueeze(-1), s.unsqueeze(-2)
        inner = s.new_zeros((*s.shape, s.shape[-1])) if s_grad is None else s_grad.diag_embed()
        gaps = columns * columns - rows * rows + _identity(s)
        outer = None
        if u_grad is not None:
            turn = u.mT @ u_grad
            inner = inner + (turn - turn.mT) / gaps * columns
            if u.shape[-2] > s.shape[-1]:
                outer = (u_grad - u @ turn) / columns @ vh
        if vh_grad is not None:
            turn = vh @ vh_grad.mT
            inner = inner + rows * ((turn - turn.mT) / gaps)
            if vh.shape[-1] > s.shape[-1]:
                part = u @ ((vh_grad - turn.mT @ vh) / rows)
                outer = part if outer is None else outer + part
        total = u @ inner @ vh
        return total if outer is None else total + outer


def svd(A: Tensor, full_matrices: bool = True) -> SVD:
    """`A = U @ diag(S) @ Vh`, singular values S descending; U and Vh of k = min(m, n) vectors, or
    (`full_matrices`) completed to squares. Only the first k have gradients, and those of equal
    singular values have none that is finite.
    """
    u, s, vh = _reduced_svd(_as_matrices("linalg.svd", A))
    if full_matrices:
        u = _completed(u) if u.shape[-2] > u.shape[-1] else u
        vh = _completed(vh.mT).mT if vh.shape[-1] > vh.shape[-2] else vh
    return SVD(u, s, vh)


def _reduced_svd(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    arrays = x.backend.linalg("svd", x.array)
    u, s, vh = (wrap(array, x.dtype, x.backend) for array in arrays)
    node = record_several(SingularValues, (u, s, vh), (x,), (u, s, vh))
    if node is not None:
        node.materialize_grads = False  # the rule leaves out what has no gradient
    return u, s, vh


def _singular_values(x: Tensor) -> Tensor:
    return _reduced_svd(x)[1]


def _as_matrices(op: str, x: Any, is_square: bool = False) -> Tensor:
    """`x`, checked to be matrices of a dtype that LAPACK takes."""
    matrices = require_tensor(op, x, "A")
    if matrices.ndim < 2 or (is_square and matrices.shape[-1] != matrices.shape[-2]):
        kind = "square matrices" if is_square else "matrices"
        raise ShapeError(f"{op}: expected {kind}, got shape {matrices.shape}")
    if matrices.dtype is not float32 and matrices.dtype is not float64:
        raise DTypeError(f"{op}: expected float32 or float64, got {matrices.dtype}")
    return matrices


def _identity(like: Tensor) -> Tensor:
    """The identity of the size of `like`'s last dim."""
    return eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _diagonal_only(x: Tensor) -> Tensor:
    """`x` with zeros off the diagonal."""
    return where(_identity(x) == 1, x, 0.0)  # type: ignore[no-any-return]


def _completed(q: Tensor) -> Tensor:
    """Orthonormal columns (m, k) completed to a square, by a QR of them and the unit vectors."""
    m, k = q.shape[-2:]
    units = eye(m, dtype=q.dtype, device=q.device).expand(*q.shape[:-2], m, m)
    array, _ = q.backend.linalg("qr", cat([q.detach(), units], -1).array)
    return cat([q, wrap(array, q.dtype, q.backend)[..., k:]], -1)
