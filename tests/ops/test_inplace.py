"""In-place operations: values, memory, and gradients through what was written."""

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, draw, same

UNARY = ["neg", "abs", "sqrt", "rsqrt", "square", "reciprocal", "exp", "log", "sigmoid", "tanh",
         "sin", "cos", "floor", "ceil", "trunc", "round", "sign", "relu", "nan_to_num"]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "pow", "floor_divide", "remainder",
          "fmod", "clamp"]  # fmt: skip


def in_place(op):
    return lambda x, *operands, **options: getattr(x, op + "_")(*operands, **options)


@pytest.mark.parametrize("op", UNARY)
def test_one_operand(op):
    x = tn.tensor(draw((2, 3), 0.5, 2))
    expected = getattr(tn, op)(x)
    view = x.T[1:]
    assert in_place(op)(x) is x
    same(x, expected.cpu().numpy())
    same(view, expected.T[1:].cpu().numpy())


@pytest.mark.parametrize("width", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("dtype", [tn.float32, tn.float64, tn.int32, tn.int64], ids=str)
def test_columns(dtype, width):
    """NumPy's loops over memory with gaps have had mistakes of their own."""
    for op in (*UNARY, "neg"):
        if dtype.is_floating_point or op in ("neg", "abs", "square", "sign"):
            x = tn.tensor(draw((20, width), 0.5, 2) * 10).to(dtype)
            expected = getattr(tn, op)(x.clone())
            in_place(op)(x[:, -1])
            same(x[:, -1], expected[:, -1].clone().cpu().numpy())


@pytest.mark.parametrize("op", BINARY)
def test_two_operands(op):
    for other in (tn.tensor(draw((3,), 0.5, 2, 1)), 1.5, 2):
        x = tn.tensor(draw((2, 3), 0.5, 2))
        expected = getattr(tn, op)(x, other)
        version = x._version
        assert in_place(op)(x, other) is x
        assert x._version > version
        same(x, expected.cpu().numpy())


@pytest.mark.parametrize("op", [*UNARY, *BINARY])
def test_gradients(op):
    if op in UNARY:
        check_gradient(lambda x: in_place(op)(x * x), (2, 3), low=0.6, high=1.4)
        check_gradient(lambda x: write_part(x * x, op), (2, 3), low=0.6, high=1.4)
    else:
        check_gradient(lambda x, y: in_place(op)(x * x, y), (2, 3), (3,), low=0.6, high=1.4)
        check_gradient(lambda x, y: write_part(x * x, op, y[:2]), (2, 3), (3,), low=0.6, high=1.4)


def write_part(x, op, *operands):
    """`x` after an operation on a view of a part of it."""
    in_place(op)(x[:, 1:], *operands)
    return x


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [("logical_and", [1, 0], [1, 1], [1, 0]), ("logical_or", [1, 0], [0, 0], [1, 0]),
     ("bitwise_and", [6, 5], [3, 4], [2, 4]), ("bitwise_or", [6, 5], [3, 4], [7, 5]),
     ("bitwise_xor", [6, 5], [3, 4], [5, 1])],
)  # fmt: skip
def test_integers(op, a, b, expected):
    x = tn.tensor(a)
    in_place(op)(x, tn.tensor(b))
    same(x, np.array(expected))
    assert tn.tensor([0, 2]).logical_not_().tolist() == [1, 0]


def test_the_tensor_keeps_its_dtype():
    x = tn.tensor([1, 2])
    x += tn.tensor([1, 1], dtype=tn.int8)
    assert x.dtype is tn.int64
    y = tn.ones(2, dtype=tn.float16)
    y.add_(tn.ones(2, dtype=tn.float64)).mul_(1.5)
    assert y.dtype is tn.float16
    assert y.tolist() == [3, 3]


def test_integers_take_values_without_their_gradient():
    value = tn.tensor(1.7, requires_grad=True)
    x = tn.zeros(2, dtype=tn.int64)
    x.copy_(value)
    x.split(1)[0].copy_(value * 2)
    assert x.tolist() == [3, 1]
    assert not x.requires_grad


def test_scaled_in_place():
    x = tn.ones(2)
    x.add_(tn.ones(2), alpha=3).sub_(1, alpha=2)
    assert x.tolist() == [2, 2]
    assert x.div_(4, rounding_mode="floor").tolist() == [0, 0]
    assert x.maximum_(np.float32([1, -1])).tolist() == [1, 0]
    assert x.add_(tn.tensor([1, 1]), alpha=2).tolist() == [3, 2]


@pytest.mark.parametrize(("op", "options"), [("lerp", {}), ("addcmul", {"value": 0.5}),
                                             ("addcdiv", {"value": 0.5})])  # fmt: skip
def test_three_operands(op, options):
    tensors = [tn.tensor(draw(shape, 0.5, 2, i)) for i, shape in enumerate([(2, 3), (3,), (2, 1)])]
    expected = getattr(tn, op)(*tensors, **options)
    x = tensors[0].clone()
    assert in_place(op)(x, *tensors[1:], **options) is x
    same(x, expected.cpu().numpy())
    check_gradient(lambda x, a, b: in_place(op)(x * 1, a, b, **options), (2, 3), (3,), (2, 1),
                   low=0.5, high=2)  # fmt: skip


def test_copy_fill_zero():
    x = tn.zeros(2, 3)
    assert x.copy_(tn.tensor([1, 2, 3])) is x
    same(x, np.float32([[1, 2, 3]] * 2))
    x[0].copy_(np.array([7.0, 8, 9]))
    x[1].fill_(tn.tensor(4))
    same(x, np.float32([[7, 8, 9], [4, 4, 4]]))
    assert x.zero_().sum() == 0
    check_gradient(lambda x, y: (x * 1).copy_(y) * x, (2, 3), (3,))
    check_gradient(lambda x, y: write_part(x * 1, "copy", y) * x, (2, 3), (2, 1))
    check_gradient(lambda x, y: write_part(x * 1, "fill", y) * x, (2, 3), ())
    check_gradient(lambda x: write_part(x * 1, "zero") * x, (2, 3))


@pytest.mark.parametrize("op", ["masked_fill", "index_add", "scatter", "scatter_add"])
def test_at_indices(op):
    index = tn.tensor([[0, 2, 1], [1, 0, 2]])
    arguments = {
        "masked_fill": (tn.tensor([True, False, True]), 5.0),
        "index_add": (1, tn.tensor([2, 0]), tn.ones(2, 2, dtype=tn.float64)),
        "scatter": (1, index, tn.ones(2, 3, dtype=tn.float64)),
        "scatter_add": (1, index, tn.ones(2, 3, dtype=tn.float64)),
    }[op]
    x = tn.tensor(draw((2, 3)))
    expected = getattr(tn, op)(x, *arguments)
    assert in_place(op)(x, *arguments) is x
    same(x, expected.cpu().numpy())
    check_gradient(lambda x: in_place(op)(x * x, *arguments), (2, 3))


def test_scatter_reduce_in_place():
    x = tn.tensor([1.0, 2.0])
    x.scatter_reduce_(0, tn.tensor([0, 0]), tn.tensor([5.0, 3.0]), "amax")
    assert x.tolist() == [5, 2]


def test_operands_may_overlap():
    x = tn.arange(6.0)
    x[1:].add_(x[:-1])
    same(x, np.float32([0, 1, 3, 5, 7, 9]))
    x[::2] = x[:3]
    same(x, np.float32([0, 1, 1, 5, 3, 9]))
    y = tn.arange(9.0).reshape(3, 3)
    y.copy_(y.T)
    same(y, np.arange(9, dtype=np.float32).reshape(3, 3).T)
    y.add_(y.T)
    assert tn.equal(y, y.T)


def test_a_leaf_may_be_changed_under_no_grad():
    x = tn.ones(2, requires_grad=True)
    with tn.no_grad():
        x -= 0.5
        x[0] = 3
    assert x.tolist() == [3, 0.5]
    assert x.is_leaf
    assert x.requires_grad


def test_names_of_the_same_operation():
    for name, other in {"subtract_": "sub_", "multiply_": "mul_", "divide_": "div_",
                        "clip_": "clamp_"}.items():  # fmt: skip
        assert getattr(tn.Tensor, name) is getattr(tn.Tensor, other)


def test_random_in_place():
    x = tn.zeros(1000)
    assert x.uniform_(2, 3) is x
    assert ((x >= 2) & (x < 3)).all()
    assert abs(x.normal_(5, 0.1).mean().item() - 5) < 0.02
    assert 0.2 < x.bernoulli_(0.25).mean().item() < 0.3
    assert set(x.tolist()) == {0, 1}
    assert tn.zeros(2, dtype=tn.int64).bernoulli_(1.0).tolist() == [1, 1]
    assert tn.zeros(2).bernoulli_(tn.tensor([0.0, 1.0])).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["mul_", "sub_", "div_", "maximum_"])
@pytest.mark.parametrize("operands", [(), (1.0, 2.0, 3.0)])
def test_operands_that_are_too_few_or_too_many(name, operands):
    with pytest.raises(TypeError, match="argument"):
        getattr(tn.ones(2), name)(*operands)
