"""Tensors among Python's and NumPy's own: conversion, shared memory, copies, printing."""

import copy
import operator
import pickle
import textwrap

import numpy as np
import pytest

import tinynet as tn
from tinynet import dtype as dtypes
from tinynet.autograd.graph import FIELDS
from tinynet.errors import ArgumentTypeError, GradientError

every_dtype = pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
numpy_dtypes = pytest.mark.parametrize(
    "dtype", [dtype for dtype in dtypes.ALL if dtype is not tn.bfloat16], ids=str
)


# NumPy
@numpy_dtypes
def test_numpy_shares_memory(dtype):
    x = tn.zeros(2, 3, dtype=dtype)
    array = x.numpy()
    assert array.dtype == dtype.name
    array[0, 1] = 1
    x[1, 2] = 1
    assert x.tolist() == array.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert np.shares_memory(x.T[1:].numpy(), array)


@numpy_dtypes
def test_from_numpy_shares_memory(dtype):
    array = np.zeros((2, 3), dtype.name)
    x = tn.from_numpy(array[:, ::-1])
    assert x.dtype is dtype
    x[0, 0] = 1
    array[1, 0] = 1
    assert x.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_bfloat16_in_numpy():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = tn.tensor([1.5, 2.5], dtype=tn.bfloat16)
    assert x.numpy().dtype == ml_dtypes.bfloat16
    assert tn.tensor(np.array([1.5], ml_dtypes.bfloat16)).dtype is tn.bfloat16
    assert x.tolist() == [1.5, 2.5]
    assert type(x[0].item()) is float


def test_asarray():
    x = tn.tensor([[1.0, 2.0]])
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert np.array(x).base is None
    assert np.asarray(x, dtype=np.int8).dtype == np.int8
    assert np.array(tn.tensor(3)).shape == ()
    assert np.sum(x) == 3
    assert np.concatenate([x, x]).shape == (2, 2)
    assert np.asarray([tn.tensor(1.0), tn.tensor(2.0)]).tolist() == [1, 2]


def test_numpy_of_a_tensor_that_requires_grad():
    x = tn.ones(2, requires_grad=True)
    for convert in (x.numpy, lambda: np.asarray(x), (x * 2).numpy):
        with pytest.raises(GradientError, match=r"requires grad, use \.detach\(\)"):
            convert()
    assert x.detach().numpy().tolist() == [1, 1]
    assert x.numpy(force=True).tolist() == [1, 1]


@pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "lt", "eq", "pow", "matmul"])
def test_arrays_as_operands(op):
    function = getattr(operator, op)
    array = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = tn.tensor([[5.0, 6.0], [7.0, 8.0]], dtype=tn.float64)
    for result, expected in (
        (function(x, array), function(x.numpy(), array)),
        (function(array, x), function(array, x.numpy())),
    ):
        assert isinstance(result, tn.Tensor)
        np.testing.assert_array_equal(result.numpy(), expected)


def test_arrays_take_part_in_gradients():
    x = tn.ones(2, requires_grad=True)
    (np.float32([2, 3]) * x).sum().backward()
    assert x.grad.tolist() == [2, 3]


@pytest.mark.parametrize("op", ["add", "mul", "sub", "truediv", "floordiv", "mod", "pow", "lt"])
@pytest.mark.parametrize(
    "scalar", [np.float64(3), np.float32(3), np.int64(3), np.uint8(3)], ids=repr
)
def test_numpy_s_scalars_are_numbers(op, scalar):
    function = getattr(operator, op)
    for x in (tn.tensor([1.0, 4.0]), tn.tensor([1, 4])):
        for result, expected in (
            (function(x, scalar), function(x, scalar.item())),
            (function(scalar, x), function(scalar.item(), x)),
        ):
            assert isinstance(result, tn.Tensor)
            assert result.dtype is expected.dtype
            assert result.tolist() == expected.tolist()


# DLPack
def test_dlpack_to_numpy_shares_memory():
    x = tn.zeros(2, 3)
    array = np.from_dlpack(x)
    x[0, 0] = 5
    assert array[0, 0] == 5
    assert x.__dlpack_device__() == (1, 0)  # the CPU


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("make", [tn.from_numpy, tn.as_tensor, tn.tensor])
def test_subclasses_of_arrays_are_arrays_like_others(make):
    matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    assert make(matrix).sum(1).tolist() == [3.0, 7.0]
    assert make(masked).sum().item() == 3.0
    assert type(make(matrix).numpy()) is type(make(masked).numpy()) is np.ndarray
    make(matrix)[0, 0] = 9.0
    assert matrix[0, 0] == (1.0 if make is tn.tensor else 9.0)


def test_dlpack_from_numpy_shares_memory():
    array = np.zeros((2, 3))
    x = tn.from_dlpack(array)
    x[1, 2] = 7
    assert array[1, 2] == 7
    assert tn.from_dlpack(x).tolist() == array.tolist()


def test_dlpack_of_read_only_memory():
    array = np.ones(3)
    array.flags.writeable = False
    x = tn.from_dlpack(array)
    assert x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        x.add_(1)
    assert np.from_dlpack(tn.ones(2).expand(3, 2)).shape == (3, 2)


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(6.0).reshape(2, 3)
    ours = tn.from_dlpack(theirs)
    ours[0, 0] = 9
    assert theirs[0, 0] == 9
    back = torch.from_dlpack(tn.arange(4))
    assert back.tolist() == [0, 1, 2, 3]
    x = tn.zeros(3)
    torch.from_dlpack(x).fill_(2)
    assert x.tolist() == [2, 2, 2]
    with pytest.raises(GradientError, match=r"^__dlpack__: the tensor requires grad"):
        torch.from_dlpack(tn.ones(2, requires_grad=True))


# Pickle and copies
@every_dtype
def test_pickle(dtype):
    x = tn.tensor([[0, 1], [1, 0]], dtype=dtype)
    y = pickle.loads(pickle.dumps(x))
    assert y.dtype is dtype
    assert y.tolist() == x.tolist()


def test_pickle_keeps_what_belongs_to_a_leaf():
    x = tn.ones(2, 3, requires_grad=True)
    (x * 2).sum().backward()
    y = pickle.loads(pickle.dumps(x))
    assert y.requires_grad
    assert y.grad.tolist() == x.grad.tolist()
    assert pickle.loads(pickle.dumps(x.detach().T[1:])).shape == (2, 2)
    with pytest.raises(GradientError, match=r"^pickle: only leaves can be pickled"):
        pickle.dumps(x * 2)


def test_deepcopy():
    x = tn.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    first, again = copy.deepcopy([x, x])
    assert first is again
    assert first.requires_grad
    assert first.grad.tolist() == [2, 2]
    with tn.no_grad():
        first.zero_()
    assert x.tolist() == [1, 1]
    with pytest.raises(GradientError, match=r"^deepcopy: only leaves can be copied"):
        copy.deepcopy(x * 2)


def test_deepcopy_of_a_gradient_that_is_shared():
    x = tn.ones(2, requires_grad=True)
    x.sum().backward()
    gradient, copied = copy.deepcopy([x.grad, x])
    assert copied.grad is gradient


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("make", [tn.ones, lambda n: tn.nn.Parameter(tn.ones(n))])
def test_attributes_of_users_are_copied(name, make):
    x = make(2)
    x.tag, x.itself = {"rate": [0.1]}, x
    y = COPIES[name](x)
    assert (type(y), y.tag) == (type(x), x.tag)
    assert (y.tag is x.tag, y.itself is y) == ((True, False) if name == "copy" else (False, True))


def test_copies_in_a_recorded_function_know_nothing_of_it():
    doubled = tn.jit(lambda x: copy.copy(x * 2), warm_up=False)
    assert vars(copy.copy(doubled(tn.ones(1)))).keys() <= FIELDS
    made = tn.jit(lambda: tn.ones(2), warm_up=False)()
    assert "made_in" not in vars(pickle.loads(pickle.dumps(made)))


def test_copy_shares_memory():
    x = tn.ones(2)
    y = copy.copy(x)
    y[0] = 5
    assert x[0] == 5


def test_a_subclass_of_the_same_name():
    class Tensor(tn.Tensor):
        pass

    assert type(Tensor([1.0])) is Tensor
    assert type(tn.ones(1)) is type(tn.ones(1) + 1) is tn.Tensor


# Python
@every_dtype
def test_item_and_tolist(dtype):
    kind = {"b": bool, "f": float}.get(dtype.kind, int)
    x = tn.ones(1, 1, dtype=dtype)
    assert type(x.item()) is kind
    assert type(x.tolist()[0][0]) is kind
    assert tn.ones((), dtype=dtype).tolist() == 1
    assert tn.zeros(2, 0, dtype=dtype).tolist() == [[], []]


def test_numbers():
    x = tn.tensor(2.7)
    assert (int(x), float(x), bool(x), bool(x - x)) == (2, pytest.approx(2.7), True, False)
    assert [10, 20, 30][tn.tensor(1)] == 20
    assert list(range(tn.tensor([3]))) == [0, 1, 2]
    assert hex(tn.tensor(255)) == "0xff"
    assert round(tn.tensor(2.7).item()) == 3
    assert complex(tn.tensor(1.5)) == 1.5
    with pytest.raises(ArgumentTypeError, match=r"^index: only a single integer is an index"):
        operator.index(tn.tensor(1.0))


def test_len_iteration_and_membership():
    x = tn.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    (a, b), c = x
    assert (a.item(), b.item(), c.tolist()) == (1, 2, [3, 4])
    assert 3 in x
    assert tn.tensor(4) in x
    assert 5 not in x
    assert np.int64(3) in x
    for value in ("a", None, [3]):
        with pytest.raises(ArgumentTypeError, match=r"^in: expected a number or a tensor to look"):
            value in x  # noqa: B015
    assert max(tn.tensor([3.0, 7.0, 5.0])).item() == 7
    assert sum(tn.tensor([1.0, 2.0])).item() == 3
    assert [r.item() for r in reversed(tn.tensor([1, 2]))] == [2, 1]


def test_hash_is_identity():
    a, b = tn.ones(1), tn.ones(1)
    assert {a: 1, b: 2}[a] == 1
    assert len({a, b, a}) == 2


def test_comparison_with_what_is_no_number():
    x = tn.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != "ones") is True
    assert x != [tn.zeros(2)]
    assert None not in [x]


def test_attributes():
    x = tn.zeros(2, 3)
    assert (x.shape, x.size(), x.size(1), x.size(-2)) == ((2, 3), (2, 3), 3, 2)
    assert (x.ndim, x.dim(), x.numel(), x.nelement()) == (2, 2, 6, 6)
    assert (x.dtype, x.device, x.device.type, x.device.index) == (tn.float32, "cpu", "cpu", None)
    assert (x.requires_grad, x.is_leaf, x.grad, x.grad_fn) == (False, True, None, None)
    assert tn.device("cpu:0").index == 0


# Printing
REPRS = [
    (lambda: tn.tensor(3), "tensor(3)"),
    (lambda: tn.tensor(2.5), "tensor(2.5000)"),
    (lambda: tn.tensor(2.0), "tensor(2.)"),
    (lambda: tn.tensor(-0.0), "tensor(-0.)"),
    (lambda: tn.tensor(True), "tensor(True)"),
    (lambda: tn.tensor([1, 2, 3]), "tensor([1, 2, 3])"),
    (lambda: tn.tensor([1.0, -22.0]), "tensor([  1., -22.])"),
    (lambda: tn.tensor([0.1, 22.25]), "tensor([ 0.1000, 22.2500])"),
    (lambda: tn.tensor([True, False]), "tensor([ True, False])"),
    (lambda: tn.tensor([]), "tensor([])"),
    (lambda: tn.zeros(0, 3), "tensor([], size=(0, 3))"),
    (lambda: tn.zeros(0, dtype=tn.int64), "tensor([], dtype=tinynet.int64)"),
    (lambda: tn.zeros(0, 2, dtype=tn.bool), "tensor([], size=(0, 2), dtype=tinynet.bool)"),
    (lambda: tn.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
    (lambda: tn.tensor([1e10]), "tensor([1.0000e+10])"),
    (lambda: tn.tensor(1e8), "tensor(100000000.)"),
    (lambda: tn.tensor([1.0, 2.0, 300000.0]), "tensor([1.0000e+00, 2.0000e+00, 3.0000e+05])"),
    (lambda: tn.tensor(123456.789), "tensor(123456.7891)"),
    (lambda: tn.tensor([float("nan"), 1.0]), "tensor([nan,  1.])"),
    (lambda: tn.tensor([float("inf"), -1.5]), "tensor([    inf, -1.5000])"),
    (lambda: tn.tensor([1, 2], dtype=tn.int32), "tensor([1, 2], dtype=tinynet.int32)"),
    (lambda: tn.tensor([255], dtype=tn.uint8), "tensor([255], dtype=tinynet.uint8)"),
    (lambda: tn.tensor([1.0], dtype=tn.float64), "tensor([1.], dtype=tinynet.float64)"),
    (lambda: tn.tensor([1.5], dtype=tn.float16), "tensor([1.5000], dtype=tinynet.float16)"),
    (lambda: tn.tensor([1.5], dtype=tn.bfloat16), "tensor([1.5000], dtype=tinynet.bfloat16)"),
    (lambda: tn.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: tn.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward>)"),
    (lambda: tn.ones(2, requires_grad=True).sum(), "tensor(2., grad_fn=<SumBackward>)"),
    (lambda: tn.ones(2, requires_grad=True).detach(), "tensor([1., 1.])"),
    (lambda: tn.arange(1001), "tensor([   0,    1,    2, ...,  998,  999, 1000])"),
    (lambda: tn.arange(1001.0), "tensor([   0.,    1.,    2., ...,  998.,  999., 1000.])"),
    (
        lambda: tn.tensor([[1.0, 2.0], [3.0, 4.0]]),
        """
        tensor([[1., 2.],
                [3., 4.]])
        """,
    ),
    (
        lambda: tn.zeros(2, 2, 2, dtype=tn.int64),
        """
        tensor([[[0, 0],
                 [0, 0]],

                [[0, 0],
                 [0, 0]]])
        """,
    ),
    (
        lambda: tn.arange(12.0) / 10,
        """
        tensor([0.0000, 0.1000, 0.2000, 0.3000, 0.4000, 0.5000, 0.6000, 0.7000, 0.8000,
                0.9000, 1.0000, 1.1000])
        """,
    ),
    (
        lambda: tn.eye(100),
        """
        tensor([[1., 0., 0., ..., 0., 0., 0.],
                [0., 1., 0., ..., 0., 0., 0.],
                [0., 0., 1., ..., 0., 0., 0.],
                ...,
                [0., 0., 0., ..., 1., 0., 0.],
                [0., 0., 0., ..., 0., 1., 0.],
                [0., 0., 0., ..., 0., 0., 1.]])
        """,
    ),
]


@pytest.mark.parametrize(("make", "expected"), REPRS, ids=range(len(REPRS)))
def test_repr(make, expected):
    assert repr(make()) == str(make()) == textwrap.dedent(expected).strip()


def test_format():
    assert f"{tn.tensor(2.34567):.2f}" == "2.35"
    assert f"{tn.tensor(42):05d}" == "00042"
    assert f"{tn.tensor([1.0])}" == "tensor([1.])"
    assert f"loss {tn.tensor(2.0, requires_grad=True)}" == "loss 2.0"
    with pytest.raises(ArgumentTypeError, match=r"^format: .* of a tensor of shape \(2,\)"):
        f"{tn.ones(2):.2f}"


def test_printing_leaves_numpy_s_options_alone():
    with np.printoptions(precision=1, threshold=2):
        assert repr(tn.tensor([0.125, 1.0, 2.0])) == "tensor([0.1250, 1.0000, 2.0000])"
