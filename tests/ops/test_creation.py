"""Creation: from data, filled, by rules, like another tensor; copies and conversions."""

import copy
import enum
import math

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, inf, nan, same
from tinynet import dtype as dtypes
from tinynet.errors import OutOfMemoryError, ShapeError

every_dtype = pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)


# From data
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (3, np.array(3)), (2.5, np.float32(2.5)), (True, np.array(True)), ([], np.float32([])),
        ([1, 2], np.array([1, 2])), ([1, 2.5], np.float32([1, 2.5])), ([True, 0], np.array([1, 0])),
        ([[1.0], [2.0]], np.float32([[1], [2]])), ((1, 2), np.array([1, 2])),
        (range(3), np.arange(3)), ([range(2), range(2)], np.array([[0, 1], [0, 1]])),
        ([[], []], np.zeros((2, 0), np.float32)), (np.float16([1, 2]), np.float16([1, 2])),
        (np.arange(3, dtype=np.uint8), np.arange(3, dtype=np.uint8)),
        (np.float64(3), np.array(3.0)),
        (np.arange(4)[::-2], np.array([3, 1])), (np.array([1, 2], ">i4"), np.int32([1, 2])),
        ([inf, -inf, nan], np.float32([inf, -inf, nan])), (np.zeros((2, 0)), np.zeros((2, 0))),
        ([np.float64(1), 2], np.array([1.0, 2.0])), (2**40, np.array(2**40)),
        ([np.array([1, 2]), np.array([3, 4])], np.array([[1, 2], [3, 4]])),
        ([np.float16(1), 2], np.float16([1, 2])), ([np.float16(1), 2.0], np.float32([1, 2])),
        ([np.int8(1), 2], np.array([1, 2])), ([np.int8(1), np.int8(2)], np.int8([1, 2])),
    ],
)  # fmt: skip
def test_tensor(data, expected):
    same(tn.tensor(data), expected)
    same(tn.Tensor(data), expected)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@pytest.mark.parametrize("data", [Level.HIGH, [Level.LOW, 3], [Level.LOW, True], [[Level.LOW]]])
def test_tensor_of_ints_of_a_class_of_their_own(data):
    same(tn.tensor(data), np.array(data, np.int64))
    same(tn.tensor([Level.LOW, 2.5]), np.float32([1, 2.5]))


def test_operands_of_a_class_of_their_own():
    x = tn.tensor([1, 2])
    same(x * Level.HIGH, np.array([2, 4]))
    same(Level.HIGH - x, np.array([1, 0]))
    same(x | Level.LOW, np.array([1, 3]))
    same(x.add(x, alpha=Level.HIGH), np.array([3, 6]))
    x += Level.LOW
    same(x, np.array([2, 3]))
    same(x * type("Share", (float,), {})(0.5), np.float32([1, 1.5]))


@every_dtype
def test_tensor_of_a_dtype(dtype):
    x = tn.tensor([0, 1, 1], dtype=dtype)
    assert x.dtype is dtype
    assert x.tolist() == [0, 1, 1]


def test_tensor_of_tensors():
    a, b = tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])
    assert tn.tensor([a, b]).tolist() == [[1, 2], [3, 4]]
    assert tn.tensor([a[0], b[1], 5.0]).tolist() == [1, 4, 5]
    assert tn.tensor([a.double(), b.double()]).dtype is tn.float64


def test_tensor_copies():
    array = np.zeros(2)
    x = tn.tensor(array)
    y = tn.tensor(x)
    array[0] = x[1] = 5
    assert x.tolist() == [0, 5]
    assert y.tolist() == [0, 0]


def test_tensor_that_requires_grad():
    x = tn.tensor([1.0], requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    assert not tn.tensor(x).requires_grad


def test_as_tensor():
    x = tn.ones(2)
    assert tn.as_tensor(x) is x
    assert tn.as_tensor(x, dtype=tn.float64).dtype is tn.float64
    assert tn.asarray([1, 2]).tolist() == [1, 2]


# Filled
@pytest.mark.parametrize("size", [(), (3,), (2, 3), (0,), (2, 0)], ids=str)
def test_filled(size):
    same(tn.zeros(size), np.zeros(size, np.float32))
    same(tn.zeros(*size), np.zeros(size, np.float32))
    same(tn.ones(list(size)), np.ones(size, np.float32))
    same(tn.full(size, 7), np.full(size, 7))
    assert tn.empty(size).shape == size
    same(tn.zeros(size=size), np.zeros(size, np.float32))
    same(tn.full(size, 7, dtype=tn.bool), np.full(size, True))


@every_dtype
def test_filled_with_a_dtype(dtype):
    for x in (tn.zeros(2, dtype=dtype), tn.ones(2, dtype=dtype), tn.full((2,), 1, dtype=dtype),
              tn.empty(2, dtype=dtype), tn.eye(2, dtype=dtype), tn.ones(2).to(dtype)):  # fmt: skip
        assert x.dtype is dtype


@pytest.mark.parametrize(("value", "dtype"), [(1, tn.int64), (1.0, tn.float32), (True, tn.bool)])
def test_a_number_decides_the_dtype_of_full(value, dtype):
    assert tn.full((2,), value).dtype is dtype
    assert tn.full((2,), tn.tensor(value)).dtype is dtype


def test_like():
    x = tn.ones(2, 3, dtype=tn.float64)
    for made, value in ((tn.zeros_like(x), 0), (tn.ones_like(x), 1), (tn.full_like(x, 5), 5),
                        (x.new_zeros(2, 3), 0), (x.new_ones((2, 3)), 1),
                        (x.new_full((2, 3), 5), 5)):  # fmt: skip
        same(made, np.full((2, 3), value, np.float64))
    assert tn.empty_like(x).shape == x.new_empty(2, 3).shape == (2, 3)
    assert tn.zeros_like(x, dtype=tn.int8).dtype is tn.int8
    assert tn.ones_like(x, requires_grad=True).requires_grad
    assert x.new_tensor([1, 2]).dtype is tn.float64
    assert x.new_zeros(2, dtype=tn.bool).dtype is tn.bool


# By rules
@pytest.mark.parametrize(
    "arguments",
    [(5,), (0,), (2, 7), (2, 9, 3), (9, 2, -3), (3, 3), (5.0,), (0, 1, 0.25), (1.5, 4),
     (4, 1.5, -1), (-3, 3, 2), (0.0, 0.3, 0.1)],
    ids=str,
)  # fmt: skip
def test_arange(arguments):
    expected = np.arange(*arguments)
    expected = expected.astype(np.float32) if expected.dtype.kind == "f" else expected
    same(tn.arange(*arguments), expected)


def test_arange_of_dtypes():
    assert tn.arange(3, dtype=tn.float64).dtype is tn.float64
    assert tn.arange(3, dtype=tn.uint8).tolist() == [0, 1, 2]
    assert tn.arange(tn.tensor(3)).tolist() == [0, 1, 2]
    assert tn.arange(0, 2.5, dtype=tn.int64).tolist() == [0, 1]
    assert tn.arange(start=1, end=3).tolist() == [1, 2]


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 100])
def test_linspace(steps):
    same(tn.linspace(-1, 3, steps, dtype=tn.float64), np.linspace(-1, 3, steps), rtol=1e-15)
    same(tn.linspace(0, 1, steps), np.linspace(0, 1, steps).astype(np.float32))


def test_linspace_ends_where_it_should():
    assert tn.linspace(0, 0.7, 77)[-1].item() == np.float32(0.7)
    assert tn.linspace(5, -5, 3).tolist() == [5, 0, -5]
    assert tn.linspace(0, 10, 5, dtype=tn.int64).tolist() == [0, 2, 5, 7, 10]


def test_logspace():
    same(tn.logspace(0, 2, 3), np.float32([1, 10, 100]))
    same(tn.logspace(0, 3, 4, base=2, dtype=tn.float64), np.array([1.0, 2, 4, 8]))


@pytest.mark.parametrize("size", [(3,), (2, 4), (4, 2), (0,), (0, 2)], ids=str)
def test_eye(size):
    same(tn.eye(*size), np.eye(*size, dtype=np.float32))


@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_triangle_indices(offset):
    same(tn.tril_indices(3, 4, offset), np.stack(np.tril_indices(3, offset, 4)))
    same(tn.triu_indices(3, 4, offset), np.stack(np.triu_indices(3, offset, 4)))


@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid(indexing):
    arrays = [np.arange(2.0), np.arange(3.0), np.arange(4.0)]
    for n in (1, 2, 3):
        expected = np.meshgrid(*arrays[:n], indexing=indexing)
        tensors = [tn.tensor(x) for x in arrays[:n]]
        same(tn.meshgrid(*tensors, indexing=indexing), expected)
        same(tn.meshgrid(tensors, indexing=indexing), expected)
    check_gradient(lambda a, b: tn.stack(tn.meshgrid(a, b)), (2,), (3,))


def test_creation_on_tensor():
    assert tn.Tensor.zeros(2).tolist() == [0, 0]
    assert tn.Tensor.arange(3).tolist() == [0, 1, 2]
    assert tn.Tensor.rand(2, 2).shape == (2, 2)


@pytest.mark.parametrize(
    "create",
    [lambda **o: tn.zeros(2, **o), lambda **o: tn.ones(2, **o), lambda **o: tn.full((2,), 1.0, **o),
     lambda **o: tn.eye(2, **o), lambda **o: tn.arange(2.0, **o), lambda **o: tn.empty(2, **o),
     lambda **o: tn.linspace(0, 1, 2, **o), lambda **o: tn.logspace(0, 1, 2, **o),
     lambda **o: tn.rand(2, **o), lambda **o: tn.randn(2, **o)],
)  # fmt: skip
def test_leaves_that_require_grad(create):
    x = create(requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    (x * x).sum().backward()
    assert x.grad.shape == x.shape
    assert not create().requires_grad


# Copies and conversions
def test_to():
    x = tn.tensor([1.7, -1.7])
    assert x.to(tn.float32) is x
    assert x.to(x.device) is x
    assert x.to(tn.int64).tolist() == [1, -1]
    assert x.to(x.device, tn.float64).dtype is tn.float64
    assert x.to(tn.zeros(1, dtype=tn.float16)).dtype is tn.float16
    assert x.to(dtype=tn.bool).tolist() == [True, True]
    assert x.to(tn.float32, copy=True) is not x
    assert x.type_as(tn.zeros(1, dtype=tn.int8)).dtype is tn.int8
    assert x.cpu().device == "cpu"
    check_gradient(lambda x: x.to(tn.float64).to(tn.float64, copy=True) ** 2, (3,))


@pytest.mark.parametrize(
    ("method", "dtype"),
    [("double", tn.float64), ("float", tn.float32), ("half", tn.float16), ("int", tn.int32),
     ("bfloat16", tn.bfloat16), ("long", tn.int64), ("bool", tn.bool)],
)  # fmt: skip
def test_conversions_by_name(method, dtype):
    assert getattr(tn.ones(2), method)().dtype is dtype


def test_gradients_come_back_in_the_input_s_dtype():
    x = tn.ones(2, dtype=tn.float16, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype is tn.float16
    y = tn.ones(2, requires_grad=True)
    (y * tn.ones(2, dtype=tn.float64)).sum().backward()
    assert y.grad.dtype is tn.float32


def test_clone_and_detach():
    x = tn.ones(2, requires_grad=True)
    assert not x.detach().requires_grad
    assert x.detach().is_leaf
    x.data[0] = 5
    assert x[0] == 5
    x.requires_grad = False
    assert not x.requires_grad
    y = (tn.ones(2, requires_grad=True) * 2).detach_()
    assert y.is_leaf
    check_gradient(lambda x: x.clone() * x, (2, 3))
    assert copy.copy(tn.ones(2)).tolist() == [1, 1]


def test_realize_is_the_tensor_itself():
    x = tn.ones(2) + 1
    assert x.realize() is x


def test_finfo_and_iinfo():
    for name in ("float16", "float32", "float64"):
        ours, numpy_s = tn.finfo(dtypes.BY_NAME[name]), np.finfo(name)
        for limit in ("eps", "max", "min", "tiny", "bits"):
            assert getattr(ours, limit) == getattr(numpy_s, limit)
    assert tn.finfo(tn.bfloat16).max == math.ldexp(2 - 2**-7, 127)
    for name in ("int8", "uint8", "int64", "uint64"):
        ours, numpy_s = tn.iinfo(dtypes.BY_NAME[name]), np.iinfo(name)
        assert (ours.min, ours.max, ours.bits) == (numpy_s.min, numpy_s.max, numpy_s.bits)


@pytest.mark.parametrize("shape", [(10**14,), (2**40, 2**40)], ids=str)
def test_more_than_the_host_has_room_for(on_device, shape):
    with pytest.raises(OutOfMemoryError, match="do not fit"):
        tn.zeros(shape).cpu().numpy()
    with pytest.raises(OutOfMemoryError, match="do not fit"):
        tn.arange(10**14).cpu().numpy()
    with pytest.raises(OutOfMemoryError, match="do not fit"):
        tn.rand(10**14)


def test_more_dims_than_arrays_of_the_host_have(on_device):
    with pytest.raises(ShapeError, match="65 dims; NumPy's arrays have 64 at most"):
        tn.ones((1,) * 65).cpu().numpy()
