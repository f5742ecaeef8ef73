"""Extreme values and odd shapes: what PyTorch returns or refuses, tinynet does.

A case is a function of the library, `t`, and tensors; `unlike` runs it with both libraries.
"""

import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import DTYPES, gradient_differences, unlike  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

INF, NAN = float("inf"), float("nan")
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 300.0, -300.0, 1e4, -1e4, 1e-8, INF, -INF, NAN]
FLOATING = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8]

UNARY = """
    neg abs sign sqrt rsqrt square reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin
    acos atan sinh cosh tanh asinh acosh atanh sigmoid logit erf floor ceil round trunc isnan isinf
    isfinite nan_to_num relu logical_not sum mean prod max min amax amin argmax argmin any all
    var std norm median sort count_nonzero
""".split()
BINARY = """
    add sub mul div floor_divide remainder fmod pow maximum minimum atan2 copysign eq ne lt le gt ge
    logical_and logical_or logical_xor isclose
""".split()
ALONG_DIM = {
    "softmax": lambda t, x: t.softmax(x, -1),
    "log_softmax": lambda t, x: t.log_softmax(x, -1),
    "logsumexp": lambda t, x: t.logsumexp(x, -1),
    "cumsum": lambda t, x: t.cumsum(x, -1),
    "cumprod": lambda t, x: t.cumprod(x, -1),
    "cummax": lambda t, x: t.cummax(x, -1),
    "cummin": lambda t, x: t.cummin(x, -1),
    "logcumsumexp": lambda t, x: t.logcumsumexp(x, -1),
    "max": lambda t, x: t.max(x, -1),
    "min": lambda t, x: t.min(x, -1),
    "median": lambda t, x: t.median(x, -1).values,
    "sort": lambda t, x: t.sort(x, dim=-1, stable=True),
    "sort descending": lambda t, x: t.sort(x, dim=-1, descending=True, stable=True),
    "topk": lambda t, x: t.topk(x, 2, -1).values if x.ndim else x,
    "argmax": lambda t, x: t.argmax(x, -1),
    "argmin": lambda t, x: t.argmin(x, -1),
    "norm 1": lambda t, x: t.norm(x, 1, -1),
    "norm inf": lambda t, x: t.norm(x, INF, -1),
    "norm 3": lambda t, x: t.norm(x, 3, -1),
    "unique": lambda t, x: t.unique(x),
}


# Meant to be unlike. A NaN stays one in `sign`, PyTorch makes 0 of it, so `abs` has no slope there;
# `amax`, `amin` and `relu` give a NaN that wins all the gradient or none, PyTorch NaN or all of it.
AT_NAN = {"sign", "abs", "amax", "amin", "relu"}
# The variance has no slope at an infinity; PyTorch divides products by their factors, which is
# inexact for 1e-8 and NaN for what is not finite.
HARD_VALUES = {"var": [INF, -INF], "prod": [1e-8, INF, -INF, NAN]}


def call(name):
    return lambda t, *tensors: getattr(t, name)(*tensors)


# Extreme values
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_floats_of_all_kinds(name, dtype):
    values = FLOATS[:-1] if name == "sign" else FLOATS
    for value in values:
        x = torch.tensor([value], dtype=dtype)
        assert not unlike(call(name), x), value
    assert not unlike(call(name), torch.tensor(values, dtype=dtype))


def gradient_at(name, *tensors):
    return gradient_differences(getattr(torch, name), getattr(tn, name), tensors, {})


@pytest.mark.parametrize("name", UNARY)
def test_gradients_at_extremes(name):
    for value in FLOATS[:-1] if name in AT_NAN else FLOATS:
        if value in HARD_VALUES.get(name, ()):
            continue
        x = torch.tensor([value, 0.25], dtype=torch.float64, requires_grad=True)
        assert not gradient_at(name, x), value


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_floats(name, dtype):
    values = torch.tensor(FLOATS, dtype=dtype)
    a, b = values.reshape(-1, 1).expand(-1, len(FLOATS)).clone(), values.expand(14, -1).clone()
    assert not unlike(call(name), a, b)


@pytest.mark.parametrize("name", "add sub mul div pow maximum minimum atan2 copysign fmod remainder"
                                 " logaddexp".split())  # fmt: skip
def test_gradients_of_pairs_at_extremes(name):
    for values in itertools.product([0.0, 1.0, -1.0, 2.5, 300.0], repeat=2):
        a, b = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in values)
        if name in ("fmod", "remainder", "div") and values[1] == 0:  # by zero
            continue
        if name in ("pow", "copysign", "atan2") and values[0] == 0:  # PyTorch's second one is NaN
            continue
        assert not gradient_at(name, a, b), values


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_integers(name, dtype):
    limits = torch.iinfo(dtype)
    values = [limits.min, limits.max, 0, 1, 2, 7, limits.max - 1]
    values += [] if limits.min == 0 else [-1, -2, limits.min + 1]
    for a, b in itertools.product(values, repeat=2):
        x, y = torch.tensor([a], dtype=dtype), torch.tensor([b], dtype=dtype)
        assert not unlike(call(name), x, y), (a, b)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", "neg abs sign square sum prod max min sort cumsum".split())
def test_integer_limits(name, dtype):
    x = torch.tensor([torch.iinfo(dtype).min, torch.iinfo(dtype).max, 3], dtype=dtype)
    case = call(name) if name != "cumsum" else ALONG_DIM["cumsum"]
    assert not unlike(case, x)


@pytest.mark.parametrize("shift", [0, 1, 7, 8, 31, 63, 64, 100])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_shifts(dtype, shift):
    x = torch.tensor([1, 5, 100, torch.iinfo(dtype).min, torch.iinfo(dtype).max], dtype=dtype)
    assert not unlike(lambda t, x: (x << shift, x >> shift), x)


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("case", ALONG_DIM.values(), ids=ALONG_DIM)
def test_rows_of_extremes(case, dtype):
    rows = [[1e4, 1e4, -1e4], [INF, 1.0, 2.0], [-INF, -INF, -INF], [NAN, 1.0, INF],
            [300.0, -300.0, 0.0], [1.0, 1.0, 1.0], [-INF, 3.0, -INF], [0.0, -0.0, 2.0]]  # fmt: skip
    for row in rows:
        assert not unlike(case, torch.tensor(row, dtype=dtype)), row
    assert not unlike(case, torch.tensor(rows, dtype=dtype))


# Shapes
SHAPES = [(), (0,), (1,), (3,), (2, 3), (2, 0), (0, 3), (1, 3, 2), (2, 0, 3)]
REDUCTIONS = "sum mean prod max min amax amin argmax argmin any all var std logsumexp norm".split()
DIMS: list = [None, 0, 1, -1, -3, 5, (0,), (0, 1), (0, -1), (0, 0), ()]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name, keepdim):
    for shape, dim in itertools.product(SHAPES, DIMS):
        if name in ("max", "min", "prod", "argmax", "argmin") and isinstance(dim, tuple):
            continue
        if name in ("max", "min", "prod", "logsumexp") and dim is None:
            continue
        if name in ("any", "all", "logsumexp") and dim == ():  # all dims, in PyTorch none
            continue
        x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
        case = lambda t, x, d=dim: getattr(t, name)(x, dim=d, keepdim=keepdim)  # noqa: E731
        assert not unlike(case, x), (shape, dim)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_everything(name):
    for shape, dtype in itertools.product(SHAPES, [torch.float32, torch.int64, torch.bool]):
        if name != "logsumexp" and not (name == "max" and dtype is torch.bool):
            assert not unlike(call(name), torch.ones(shape, dtype=dtype)), (shape, dtype)


@pytest.mark.parametrize("case", ALONG_DIM.values(), ids=ALONG_DIM)
def test_shapes_along_a_dim(case):
    for shape in SHAPES:
        x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
        assert not unlike(case, x), shape


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "pow", "eq", "atan2"])
def test_broadcasting(name):
    for left, right in itertools.product(SHAPES, repeat=2):
        assert not unlike(call(name), torch.ones(left), torch.ones(right) * 2), (left, right)


PRODUCTS = {
    "matmul": lambda t, a, b: a @ b,
    "mm": lambda t, a, b: t.mm(a, b),
    "bmm": lambda t, a, b: t.bmm(a, b),
    "mv": lambda t, a, b: t.mv(a, b),
    "dot": lambda t, a, b: t.dot(a, b),
    "outer": lambda t, a, b: t.outer(a, b),
    "tensordot": lambda t, a, b: t.tensordot(a, b, 1),
    "tensordot 0": lambda t, a, b: t.tensordot(a, b, 0),
    "einsum": lambda t, a, b: t.einsum("ij,jk->ik", a, b),
    "einsum dots": lambda t, a, b: t.einsum("...i,...i", a, b),
    "einsum sum": lambda t, a, b: t.einsum("...i,...j->", a, b),
    "cat": lambda t, a, b: t.cat([a, b]),
    "cat 1": lambda t, a, b: t.cat([a, b], dim=1) if a.ndim > 1 else a,
    "stack": lambda t, a, b: t.stack([a, b], dim=-1),
    "hstack": lambda t, a, b: t.hstack([a, b]),
    "vstack": lambda t, a, b: t.vstack([a, b]),
    "where": lambda t, a, b: t.where(a > 3, a, b),
    "addmm": lambda t, a, b: t.addmm(t.ones(3), a, b),
    "expand_as": lambda t, a, b: a.expand_as(b),
    "copy_": lambda t, a, b: a.clone().copy_(b),
    "add_": lambda t, a, b: a.clone().add_(b),
    "equal": lambda t, a, b: t.equal(a, b),
    "allclose": lambda t, a, b: t.allclose(a, b),
}
FACTORS = [(), (0,), (3,), (2,), (2, 3), (3, 2), (3, 3), (0, 3), (3, 0), (4, 2, 3), (4, 3, 2),
           (1, 3, 3), (5, 1, 3, 2), (0, 2, 3)]  # fmt: skip


@pytest.mark.parametrize("case", PRODUCTS.values(), ids=PRODUCTS)
def test_pairs_of_shapes(case):
    for left, right in itertools.product(FACTORS, repeat=2):
        a = torch.arange(1.0, 1 + torch.Size(left).numel()).reshape(left)
        b = torch.arange(2.0, 2 + torch.Size(right).numel()).reshape(right)
        assert not unlike(case, a, b), (left, right)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", [PRODUCTS["matmul"], PRODUCTS["einsum"], PRODUCTS["tensordot"]])
def test_products_of_dtypes(case, dtype):
    for other in DTYPES:
        a, b = torch.ones(2, 3).to(dtype), torch.ones(3, 2).to(other)
        assert not unlike(case, a, b), other


MOVEMENT = {
    "reshape -1": lambda t, x: x.reshape(-1),
    "reshape": lambda t, x: x.reshape(3, -1),
    "reshape zero": lambda t, x: x.reshape(0, -1),
    "view": lambda t, x: x.view(-1, 1),
    "view of transposed": lambda t, x: x.transpose(0, -1).view(-1),
    "flatten": lambda t, x: x.flatten(),
    "flatten 1": lambda t, x: x.flatten(1),
    "unflatten": lambda t, x: x.unflatten(-1, (-1, 1)),
    "squeeze": lambda t, x: x.squeeze(),
    "squeeze 0": lambda t, x: x.squeeze(0),
    "squeeze dims": lambda t, x: x.squeeze((0, -1)),
    "unsqueeze": lambda t, x: x.unsqueeze(1),
    "unsqueeze -1": lambda t, x: x.unsqueeze(-1),
    "permute": lambda t, x: x.permute(1, 0),
    "permute none": lambda t, x: x.permute(()),
    "transpose": lambda t, x: x.transpose(0, 1),
    "swapaxes": lambda t, x: t.swapaxes(x, 0, -1),
    "movedim": lambda t, x: x.movedim(0, -1),
    "movedim several": lambda t, x: x.movedim((0, 1), (1, 0)),
    "t": lambda t, x: x.t(),
    "mT": lambda t, x: x.mT if x.ndim else x,
    "expand": lambda t, x: x.expand(4, *x.shape),
    "expand -1": lambda t, x: x.expand([-1] * x.ndim),
    "expand wrong": lambda t, x: x.expand(7),
    "broadcast_to": lambda t, x: t.broadcast_to(x, (2, 3)),
    "repeat": lambda t, x: x.repeat(2, 1, 2),
    "repeat 0": lambda t, x: x.repeat(0),
    "tile": lambda t, x: x.tile((2,)),
    "repeat_interleave": lambda t, x: x.repeat_interleave(2),
    "repeat_interleave dim": lambda t, x: x.repeat_interleave(3, dim=0),
    "flip": lambda t, x: x.flip(0),
    "flip twice": lambda t, x: x.flip((0, 0)),
    "flip -1": lambda t, x: t.flip(x, dims=[-1]),
    "roll": lambda t, x: x.roll(1),
    "roll dim": lambda t, x: x.roll(-2, 0),
    "roll dims": lambda t, x: x.roll((1, 2), (0, 1)) if x.numel() else x,
    "rot90": lambda t, x: x.rot90(),
    "rot90 3": lambda t, x: t.rot90(x, -1, (0, 1)),
    "split": lambda t, x: x.split(2),
    "split sizes": lambda t, x: x.split([1, 1]),
    "split 0": lambda t, x: x.split(0),
    "split -1": lambda t, x: x.split(-1),
    "chunk": lambda t, x: x.chunk(2),
    "chunk dim": lambda t, x: x.chunk(4, -1),
    "chunk 0": lambda t, x: x.chunk(0),
    "tensor_split": lambda t, x: t.tensor_split(x, 2),
    "tensor_split places": lambda t, x: t.tensor_split(x, (1, 2)),
    "unbind": lambda t, x: x.unbind(),
    "unbind -1": lambda t, x: x.unbind(-1),
    "unfold": lambda t, x: x.unfold(0, 1, 1),
    "unfold 2": lambda t, x: x.unfold(-1, 2, 1),
    "diag": lambda t, x: x.diag(),
    "diag 1": lambda t, x: x.diag(1),
    "diagonal": lambda t, x: x.diagonal(),
    "diagonal far": lambda t, x: x.diagonal(9),
    "diagonal dims": lambda t, x: x.diagonal(-1, 0, -1),
    "diag_embed": lambda t, x: x.diag_embed(),
    "diag_embed dims": lambda t, x: t.diag_embed(x, 1, 0, -1),
    "tril": lambda t, x: x.tril(),
    "triu": lambda t, x: x.triu(1),
    "triu far": lambda t, x: x.triu(-7),
    "trace": lambda t, x: x.trace(),
    "narrow": lambda t, x: x.narrow(0, 0, 1),
    "narrow -1": lambda t, x: x.narrow(0, -1, 1),
    "narrow empty": lambda t, x: x.narrow(0, 1, 0),
    "narrow long": lambda t, x: x.narrow(0, 1, 9),
    "select": lambda t, x: x.select(0, 0),
    "select -1": lambda t, x: x.select(-1, -1),
    "as_strided": lambda t, x: t.as_strided(x, (2, 2), (1, 1)),
    "nonzero": lambda t, x: x.nonzero(),
    "nonzero tuple": lambda t, x: x.nonzero(as_tuple=True),
    "unique": lambda t, x: t.unique(x, return_inverse=True, return_counts=True),
    "unique dim": lambda t, x: t.unique(x, dim=0) if x.numel() else x,
    "cumsum far": lambda t, x: x.cumsum(2),
    "sum_to_size": lambda t, x: x.sum_to_size(1),
    "size": lambda t, x: (x.size(), x.size(0), x.numel(), x.ndim, x.dim()),
    "len": lambda t, x: len(x),
    "item": lambda t, x: x.item(),
    "tolist": lambda t, x: x.tolist(),
    "bool": lambda t, x: bool(x),
    "int": lambda t, x: int(x),
    "iter": lambda t, x: tuple(x),
    "contains": lambda t, x: 1.0 in x,
    "meshgrid": lambda t, x: t.meshgrid(x, x, indexing="ij"),
    "meshgrid xy": lambda t, x: t.meshgrid(x, x, indexing="xy"),
    "atleast of stack": lambda t, x: t.stack([x]),
    "count_nonzero": lambda t, x: t.count_nonzero(x, dim=0),
    "new_zeros": lambda t, x: x.new_zeros(2, 3),
    "zeros_like": lambda t, x: t.zeros_like(x, dtype=t.int64),
    "full_like": lambda t, x: t.full_like(x, 7),
    "median": lambda t, x: x.median(),
    "bincount": lambda t, x: t.bincount(x.long()),
    "gram": lambda t, x: x.mT @ x if x.ndim else x,
}


@pytest.mark.parametrize("case", MOVEMENT.values(), ids=MOVEMENT)
def test_movement(case):
    for shape in [*SHAPES, (4,), (3, 3), (4, 1), (2, 3, 4)]:
        x = torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape)
        assert not unlike(case, x), shape
        if len(shape) > 1:
            assert not unlike(case, x.mT.contiguous()), shape
