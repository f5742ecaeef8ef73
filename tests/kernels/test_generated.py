"""A sample of generated kernels: each kind, each way of access, compiled and interpreted."""

import numpy as np
import pytest

from tinynet import dtype as dtypes
from tinynet.backends.opencl.backend import OpenCLBackend

X = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
ROW = np.random.default_rng(1).normal(size=(70,)).astype(np.float32)
COLUMN = np.random.default_rng(2).normal(size=(5, 1)).astype(np.float32)
INDEX = np.array([3, 0, 69, -1, 7])


@pytest.fixture(params=["compiled", "interpreted"])
def backend(request, device):
    made = OpenCLBackend(device)
    made.scheduler.planner.compiler.patience = 0 if request.param == "compiled" else 1000
    return made


def do(b, op, *operands):
    return b.elementwise(op, *operands)


def arithmetic(b, x, row, column):
    return do(b, "add", do(b, "mul", x, row), column)


def functions(b, x, row, column):
    return do(b, "mul", do(b, "exp", do(b, "tanh", x)), do(b, "sigmoid", row))


def turned(b, x, row, column):
    return do(b, "sub", b.permute(x, (1, 0)), b.permute(column, (1, 0)))


def every_second(b, x, row, column):
    return do(b, "abs", b.slice(x, ((4, -2, 3), (1, 3, 23))))


def softmax(b, x, row, column):
    exps = do(b, "exp", do(b, "sub", x, b.reduce("max", x, (1,), True)))
    return do(b, "div", exps, b.reduce("sum", exps, (1,), True))


def columns(b, x, row, column):
    return do(b, "sqrt", b.reduce("sum", do(b, "square", x), (0,), False))


def both_dims(b, x, row, column):
    return b.reduce("min", do(b, "mul", x, column), (0, 1), False)


def largest(b, x, row, column):
    return b.arg_reduce("max", x, 1, False)


def counted(b, x, row, column):
    return do(b, "add", b.cast(b.arange(70, 3, 2, dtypes.int64), dtypes.float32), x)


def picked(b, x, row, column):
    rows, places = b.arange(5, 0, 1, dtypes.int64), b.from_numpy(INDEX)
    return do(b, "mul", b.take(x, (rows, places)), 2.0)


def halves(b, x, row, column):
    half = b.cast(x, dtypes.float16)
    return do(b, "add", half, b.cast(row, dtypes.float16))


def product(b, x, row, column):
    return do(b, "maximum", do(b, "add", b.matmul(x, b.permute(x, (1, 0))), column), 0.0)


def written(b, x, row, column):
    y = do(b, "mul", x, 1.0)
    b.assign(b.slice(y, ((1, 1, 3), (0, 2, 35))), do(b, "neg", column_part(b, column)))
    return y


def column_part(b, column):
    return b.slice(column, ((0, 1, 3), (0, 1, 1)))


def expected(function):
    """What NumPy makes of it."""
    numpy_results = {
        arithmetic: lambda: X * ROW + COLUMN,
        functions: lambda: np.exp(np.tanh(X)) / (1 + np.exp(-ROW)),
        turned: lambda: X.T - COLUMN.T,
        every_second: lambda: np.abs(X[4::-2, 1:70:3]),
        softmax: lambda: np.exp(X) / np.exp(X).sum(1, keepdims=True),
        columns: lambda: np.sqrt((X**2).sum(0)),
        both_dims: lambda: (X * COLUMN).min(),
        largest: lambda: X.argmax(1),
        counted: lambda: np.arange(3, 143, 2) + X,
        picked: lambda: 2 * X[np.arange(5), INDEX],
        halves: lambda: X.astype(np.float16) + ROW.astype(np.float16),
        product: lambda: np.maximum(X @ X.T + COLUMN, 0),
        written: written_by_numpy,
    }
    return np.asarray(numpy_results[function]())


def written_by_numpy():
    y = X.copy()
    y[1:4, ::2] = -COLUMN[:3]
    return y


FUNCTIONS = [arithmetic, functions, turned, every_second, softmax, columns, both_dims, largest,
             counted, picked, halves, product, written]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_kinds(backend, function):
    found = backend.to_numpy(function(backend, *map(backend.from_numpy, (X, ROW, COLUMN))))
    wanted = expected(function)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-3 if function is halves else 1e-5, atol=1e-5)


def test_in_place(backend):
    x, row = backend.from_numpy(X), backend.from_numpy(ROW)
    y = backend.elementwise("add", x, 0.5)
    backend.realize(y)
    memory = y.storage.value.block
    backend.elementwise("mul", y, row, out=y)
    backend.realize(y)
    assert y.storage.value.block is memory
    np.testing.assert_allclose(backend.to_numpy(y), (X + 0.5) * ROW, rtol=1e-6)


def test_one_element_in_place(backend):
    """Accelerators have more work-items than that: these may not read what one of them writes."""
    place = backend.elementwise("add", backend.from_numpy(INDEX[:1]), 2)
    backend.realize(place)
    memory = place.storage.value.block
    place = backend.take(backend.from_numpy(np.arange(60) ** 9), (place,))
    backend.realize(place)
    assert place.storage.value.block is memory
    np.testing.assert_array_equal(backend.to_numpy(place), [5**9])


@pytest.mark.parametrize("dims", [(1,), (0, 1), (0,)])
def test_in_parts(backend, dims):
    rows = 3 if backend.device.cores > 1 else 1  # more are work enough for one core
    x = np.random.default_rng(0).normal(size=(rows, 33_000 // rows)).astype(np.float32)
    x = x.T.copy() if dims == (0,) else x
    before = backend.device.launches
    found = backend.to_numpy(backend.reduce("sum", backend.from_numpy(x), dims, False))
    assert backend.device.launches == before + 2
    np.testing.assert_allclose(found, x.sum(dims), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 5), (3, 70), (4, 1), (5, 2051), (67, 40), (131, 9)])
@pytest.mark.parametrize("op", ["sum", "max"])
def test_columns(backend, op, shape):
    """Blocks of columns that are not full; rows that are not a whole number of passes or runs."""
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    found = backend.to_numpy(backend.reduce(op, backend.from_numpy(x), (0,), False))
    wanted = {"sum": x.sum, "max": x.max}[op](0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_columns_of_a_window(backend):
    """Two inner dims, which cannot be merged."""
    x = np.random.default_rng(4).normal(size=(6, 10, 33)).astype(np.float32)
    window = backend.slice(backend.from_numpy(x), ((0, 1, 6), (1, 2, 5), (0, 1, 33)))
    y = do(backend, "mul", window, window)
    found = backend.to_numpy(backend.reduce("sum", y, (0, 1), False))
    np.testing.assert_allclose(found, (x[:, 1::2] ** 2).sum((0, 1)), rtol=1e-5)


def test_columns_are_added_up_in_order(backend):
    """A pass over several rows rounds as a pass for each."""
    x = np.float32([[1e8], [1], [-1e8], [1], [1e8], [1]])
    found = backend.to_numpy(backend.reduce("sum", backend.from_numpy(x), (0,), False))
    total = np.float32(0)
    for number in x[:, 0]:
        total += number
    assert found[0] == total
