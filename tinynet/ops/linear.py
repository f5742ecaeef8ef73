"""Products of matrices: matmul and its kin, einsum, and the affine map of a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import CONSTANT, Node, Variable, result
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import Scalar, bool_
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, DTypeError, ShapeError
from tinynet.ops.arithmetic import add, mul
from tinynet.ops.movement import permute_to, reshape_to
from tinynet.ops.operands import as_operand, is_tensor, require_same_device, require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class MatMul(Op):
    """Matrix product of operands of at least 2 dims; the engine undoes batch broadcasting."""

    op = "matmul"
    spares_first = spares_second = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        a, b = ctx.saved_tensors
        needs_a, needs_b = ctx.needs_input_grad
        a_grad = product(grad, b.mT) if needs_a else None
        if not needs_b:
            return a_grad, None
        # one product over the whole batch, not a sum of many
        if len(ctx.edges[1].shape) == 2:
            return a_grad, transposed_product(as_rows(a), as_rows(grad))
        return a_grad, product(a.mT, grad)


class TransposedProduct(Op):
    """`a.T @ b` of two matrices: what gradients of weights are."""

    op = "matmul"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        a, b = ctx.saved_tensors
        return product(b, grad.mT), product(a, grad)


def transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """`a.T @ b` of two matrices of one dtype that fit."""
    backend = a.backend
    array = backend.matmul(backend.permute(a.array, (1, 0)), b.array)
    return result(TransposedProduct, array, a.dtype, (a, b), (a, b))


def as_rows(x: Tensor) -> Tensor:
    """All dims but the last as one."""
    if len(x.shape) == 2:
        return x
    rows = 1
    for n in x.shape[:-1]:
        rows *= n
    return reshape_to(x, (rows, x.shape[-1]))


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` of operands of at least 2 dims and one dtype that fit."""
    array = a.backend.matmul(a.array, b.array)
    return result(MatMul, array, a.dtype, (a, b), (a, b))


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """`input @ other`: vectors, matrices, and batches of matrices (leading dims broadcast)."""
    a, b = _factors("matmul", input, other)
    shapes.matmul(a.shape, b.shape)
    if a.ndim >= 2 and b.ndim >= 2:
        return product(a, b)
    if a.ndim == 1 and b.ndim == 1:
        return product(a.reshape(1, -1), b.reshape(-1, 1)).reshape(())
    if a.ndim == 1:
        return product(a.reshape(1, -1), b).squeeze(-2)
    return product(a, b.reshape(-1, 1)).squeeze(-1)


def _factors(op: str, input: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands, checked to have one dtype and device."""
    a = require_tensor(op, input)
    if not isinstance(other, Variable) and hasattr(other, "__array__"):
        other = as_operand(op, other, a)
    b = require_tensor(op, other, "other")
    if a.dtype is not b.dtype:
        raise DTypeError(f"{op}: operands must have one dtype, got {a.dtype} and {b.dtype}")
    if a.dtype is bool_:
        raise DTypeError(f"{op}: not defined for {bool_}")
    if a.backend is not b.backend:
        require_same_device(op, a, b)
    return a, b


def _require_dims(op: str, **tensors_and_ndims: tuple[Tensor, int]) -> None:
    for name, (x, ndim) in tensors_and_ndims.items():
        if require_tensor(op, x, name).ndim != ndim:
            raise ShapeError(f"{op}: {name} must have {ndim} dims, got shape {x.shape}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _require_dims("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two equally long batches of matrices."""
    _require_dims("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: batch sizes differ: {input.shape} and {mat2.shape}")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _require_dims("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _require_dims("dot", input=(input, 1), tensor=(tensor, 1))
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every product of an element of one vector with one of another."""
    _require_dims("outer", input=(input, 1), vec2=(vec2, 1))
    return mul(input.reshape(-1, 1), vec2)


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1
) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`."""
    return _scaled_sum(input, mm(mat1, mat2), beta, alpha)


def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Scalar = 1, alpha: Scalar = 1
) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2)`, batched."""
    return _scaled_sum(input, bmm(batch1, batch2), beta, alpha)


def _scaled_sum(input: Tensor, product: Tensor, beta: Scalar, alpha: Scalar) -> Tensor:
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:  # PyTorch: not even a NaN in input counts then
        return scaled
    return add(scaled, input if beta == 1 else input * beta)


class Linear(Op):
    """`x @ weight.T + bias`."""

    op = "linear"
    spares_first = spares_second = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        rows = as_rows(grad)
        x_grad = None
        if needs_x:
            x_grad = product(rows, weight)
            if rows is not grad:
                x_grad = reshape_to(x_grad, (*grad.shape[:-1], weight.shape[1]))
        weight_grad = None
        if needs_weight:
            weight_grad = transposed_product(rows, as_rows(x))
        return x_grad, weight_grad, (rows.sum(0) if needs_bias else None)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`: (*, in) with a weight (out, in) and a bias (out,) to (*, out)."""
    x, w = _factors("linear", input, weight)
    if len(w.shape) != 2 or not x.shape or x.shape[-1] != w.shape[1]:
        if w.ndim == 1 and bias is None:
            return matmul(x, w)
        raise ShapeError(
            f"linear: input {x.shape} does not fit weight {w.shape}: "
            "the last sizes must agree, weight is (out, in)"
        )
    backend = x.backend
    array = backend.matmul(x.array, backend.permute(w.array, (1, 0)))
    if bias is None:
        return result(Linear, array, x.dtype, (x, w, CONSTANT), (x, w))
    if require_tensor("linear", bias, "bias").dtype is not x.dtype:
        raise DTypeError(f"linear: bias has {bias.dtype}, the input {x.dtype}")
    if bias.backend is not backend:
        require_same_device("linear", x, bias)
    if bias.shape != w.shape[:1]:
        raise ShapeError(f"linear: bias has shape {bias.shape}, expected {w.shape[:1]}")
    array = backend.elementwise("add", array, bias.array, out=array)
    return result(Linear, array, x.dtype, (x, w, bias), (x, w))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`y[k] = sum(x1[i] * weight[k, i, j] * x2[j]) + bias[k]`, of `(*, in1)`, `(*, in2)`.

    The result is `(*, out)`.

    Computed as a linear map of all products of an element of one input with one of the other.
    """
    a, b = (
        require_tensor("bilinear", input1, "input1"),
        require_tensor("bilinear", input2, "input2"),
    )
    w = require_tensor("bilinear", weight, "weight")
    fits = w.ndim == 3 and a.ndim and b.ndim and a.shape[:-1] == b.shape[:-1]
    if not fits or (a.shape[-1], b.shape[-1]) != w.shape[1:]:
        raise ShapeError(
            f"bilinear: inputs {a.shape} and {b.shape} do not fit weight {w.shape}: expected "
            "(*, in1), (*, in2) and (out, in1, in2)"
        )
    if a.dtype is not b.dtype:
        raise DTypeError(f"bilinear: inputs must have one dtype, got {a.dtype} and {b.dtype}")
    pairs = mul(a.unsqueeze(-1), b.unsqueeze(-2))
    count = w.shape[1] * w.shape[2]
    rows = reshape_to(pairs, (*a.shape[:-1], count))
    return linear(rows, reshape_to(w, (w.shape[0], count)), bias)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    _require_dims("trace", input=(input, 2))
    return input.diagonal().sum()


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over `dims`: the last n of `a` with the first n of `b`, or two lists."""
    x, y = _factors("tensordot", a, b)
    if isinstance(dims, str) or not (is_tensor(dims) or isinstance(dims, (int, Sequence))):
        raise ArgumentTypeError(f"tensordot: dims must be a number or two lists, got {dims!r}")
    if isinstance(dims, int):
        if not 0 <= dims <= min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot: {dims} dims of {x.shape} and {y.shape}")
        pairs: Any = (range(x.ndim - dims, x.ndim), range(dims))
    else:
        pairs = [[d] if isinstance(d, int) else [*d] for d in dims]
        if len(pairs) != 2:
            raise ArgumentError(f"tensordot: dims must be a number or two lists, got {dims!r}")
    a_dims, b_dims = _summed(pairs[0], x), _summed(pairs[1], y)
    if len(a_dims) != len(b_dims):
        raise ShapeError(f"tensordot: {len(a_dims)} and {len(b_dims)} dims in {dims}")
    for i, j in zip(a_dims, b_dims, strict=True):  # size 1 broadcasts, as in PyTorch
        if x.shape[i] == 1 != y.shape[j]:
            y = y.sum(j, keepdim=True, dtype=y.dtype)
        elif y.shape[j] == 1 != x.shape[i]:
            x = x.sum(i, keepdim=True, dtype=x.dtype)
    a_sizes, b_sizes = [x.shape[i] for i in a_dims], [y.shape[i] for i in b_dims]
    if a_sizes != b_sizes:
        raise ShapeError(f"tensordot: sizes differ: {a_sizes} of {x.shape}, {b_sizes} of {y.shape}")
    a_kept = [i for i in range(x.ndim) if i not in a_dims]
    b_kept = [i for i in range(y.ndim) if i not in b_dims]
    inner = 1
    for n in a_sizes:
        inner *= n
    shape = tuple([x.shape[i] for i in a_kept] + [y.shape[i] for i in b_kept])
    left = x.permute(*a_kept, *a_dims).reshape(_count(x, a_kept), inner)
    right = y.permute(*b_dims, *b_kept).reshape(inner, _count(y, b_kept))
    return reshape_to(matmul(left, right), shape)


def _summed(dims: Sequence[int], x: Tensor) -> Shape:
    """The dims of a factor over which `tensordot` sums."""
    if dims and not x.shape:
        raise DimError("tensordot: a 0-d tensor has no dim to sum over")
    return shapes.as_dims("tensordot", dims, x.ndim)


def _count(x: Tensor, dims: Sequence[int]) -> int:
    count = 1
    for i in dims:
        count *= x.shape[i]
    return count


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products by Einstein's convention: `einsum("bij,bjk->bik", x, y)`.

    Letters name dims, `...` the remaining ones, which broadcast. Letters missing behind `->` are
    summed over; without `->` the result has the letters that occur once, in alphabetical order.
    Operands are multiplied from left to right.
    """
    if not isinstance(equation, str):
        raise ArgumentTypeError(
            f"einsum: expected an equation such as 'ij,jk->ik' first, got {type(equation).__name__}"
        )
    given = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    )
    tensors = [require_tensor("einsum", x, "every operand") for x in given]
    terms, output = _read_equation(equation, tensors)
    parts = [_with_diagonals(x, term) for x, term in zip(tensors, terms, strict=True)]
    sizes: dict[str, int] = {}
    for x, term in parts:
        for letter, n in zip(term, x.shape, strict=True):
            if sizes.setdefault(letter, n) == 1:
                sizes[letter] = n
            if n not in (1, sizes[letter]):
                raise ShapeError(
                    f"einsum: {letter!r} in {equation!r} has sizes {sizes[letter]} and {n}"
                )
    x, letters = parts[0]
    for i, (y, term) in enumerate(parts[1:], 2):
        later = set(output).union(*(t for _, t in parts[i:]))
        x, letters = _contract(x, letters, y, term, later)
    summed = [i for i, letter in enumerate(letters) if letter not in output]
    if summed:
        x = x.sum(summed)
        letters = [letter for letter in letters if letter in output]
    return permute_to(x, tuple(letters.index(letter) for letter in output))


def _read_equation(equation: str, tensors: list[Tensor]) -> tuple[list[list[str]], list[str]]:
    """The letters of each operand's dims and of the result's; `...` becomes numbers."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(tensors):
        raise ArgumentError(f"einsum: {equation!r} names {len(texts)} operands, got {len(tensors)}")
    terms = []
    most = 0
    for text, x in zip(texts, tensors, strict=True):
        before, dots, after = text.partition("...")
        hidden = x.ndim - len(before) - len(after)
        has_letters = (before + after).isalpha() or not before + after
        if hidden < 0 or (hidden and not dots) or not has_letters:
            raise ArgumentError(f"einsum: {text!r} in {equation!r} does not fit shape {x.shape}")
        most = max(most, hidden)
        terms.append([*before, *(str(-i) for i in range(hidden, 0, -1)), *after])
    hidden_letters = [str(-i) for i in range(most, 0, -1)]
    if arrow:
        before, dots, after = right.partition("...")
        output = [*before, *(hidden_letters if dots else []), *after]
    else:
        every = [letter for term in terms for letter in term]
        once = sorted(letter for letter in set(every) if every.count(letter) == 1)
        output = hidden_letters + [letter for letter in once if letter.isalpha()]
    unknown = set(output) - {letter for term in terms for letter in term}
    if unknown or len(set(output)) < len(output):
        raise ArgumentError(
            f"einsum: the result {right!r} of {equation!r} must name known dims once"
        )
    return terms, output


def _with_diagonals(x: Tensor, term: list[str]) -> tuple[Tensor, list[str]]:
    """Repeated letters of one operand reduced to the diagonal."""
    letters = list(term)
    for letter in dict.fromkeys(term):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: {letter!r} names sizes of {x.shape} that differ")
            x = x.diagonal(0, first, second)
            letters = [item for i, item in enumerate(letters) if i not in (first, second)]
            letters.append(letter)
    return x, letters


def _contract(
    a: Tensor, a_letters: list[str], b: Tensor, b_letters: list[str], later: set[str]
) -> tuple[Tensor, list[str]]:
    """Multiply two operands, summing over letters that nothing later needs: one batched matmul."""
    a, a_letters = _sum_private(a, a_letters, set(b_letters) | later)
    b, b_letters = _sum_private(b, b_letters, set(a_letters) | later)
    shared = [letter for letter in a_letters if letter in b_letters]
    batch = [letter for letter in shared if letter in later]
    inner = [letter for letter in shared if letter not in later]
    rows = [letter for letter in a_letters if letter not in shared]
    columns = [letter for letter in b_letters if letter not in shared]
    sizes = dict(zip(b_letters, b.shape, strict=True))
    for letter, n in zip(a_letters, a.shape, strict=True):
        if sizes.get(letter, 1) == 1:
            sizes[letter] = n
    left = _arranged(a, a_letters, sizes, batch, rows, inner)
    right = _arranged(b, b_letters, sizes, batch, inner, columns)
    letters = batch + rows + columns
    return reshape_to(matmul(left, right), tuple(sizes[letter] for letter in letters)), letters


def _sum_private(x: Tensor, letters: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    private = [i for i, letter in enumerate(letters) if letter not in needed]
    if not private:
        return x, letters
    return x.sum(private, dtype=x.dtype), [letter for letter in letters if letter in needed]


def _arranged(x: Tensor, letters: list[str], sizes: dict[str, int], *groups: list[str]) -> Tensor:
    """Dims permuted into groups and each group merged; broadcast sizes are expanded."""
    order = [letter for group in groups for letter in group]
    y = permute_to(x, tuple(letters.index(letter) for letter in order))
    y = y.expand(tuple(sizes[letter] for letter in order))
    merged = []
    for group in groups:
        count = 1
        for letter in group:
            count *= sizes[letter]
        merged.append(count)
    return reshape_to(y, tuple(merged))
