"""Random programs on OpenCL arrays, held against the NumPy backend's results.

A program is a list of steps, each a primitive applied to values made so far: arithmetic with
broadcasting, views, reductions, products, picking, and writes into views, which older values that
share no memory with them must survive.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinynet import dtype as dtypes
from tinynet.backends import open_backend

SHAPES = [(3, 4), (4,), (3, 1), (1, 4), (), (2, 3, 4)]
UNARY = ["neg", "abs", "square", "tanh", "sigmoid", "floor", "sign"]
BINARY = ["add", "sub", "mul", "maximum", "minimum"]
STEPS = ["unary", "binary", "number", "where", "reduce", "permute", "slice", "expand", "flatten",
         "cast", "matmul", "assign", "put", "in place", "scan", "copy", "arg",
         "beside"]  # fmt: skip


@st.composite
def programs(draw):
    """A list of (step, three numbers that choose operands and details)."""
    numbers = st.integers(0, 11)
    step = st.tuples(st.sampled_from(STEPS), numbers, numbers, numbers)
    return draw(st.lists(step, min_size=3, max_size=14))


def starting_values(backend):
    random = np.random.default_rng(0)
    return [backend.from_numpy(random.normal(size=shape).astype(np.float32)) for shape in SHAPES]


def fits(a, b):
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return None


def cut(n, j, k):
    """Start, step and count of a slice: backwards, or from some place on, all or each second."""
    if k % 3 == 0 and n:
        return n - 1, -1, n
    start, pace = j % max(n, 1), 1 + k % 2
    return start, pace, -(-(n - start) // pace)


def step(backend, values, kind, i, j, k):
    """Apply one step; nothing where it does not fit."""
    a, b = values[i % len(values)], values[j % len(values)]
    ndim = len(a.shape)
    if kind == "unary":
        return backend.elementwise(UNARY[k % len(UNARY)], a)
    if kind == "binary":
        shape = fits(a, b)
        return backend.elementwise(BINARY[k % len(BINARY)], a, b) if shape is not None else None
    if kind == "number":
        return backend.elementwise(BINARY[k % len(BINARY)], a, j / 4 - 1)
    if kind == "where" and fits(a, b) is not None:
        return backend.elementwise("where", backend.elementwise("gt", a, k / 8), a, b)
    if kind == "reduce" and ndim:
        dims = [(0,), (ndim - 1,), tuple(range(ndim))][k % 3]
        return backend.reduce(["sum", "max", "min"][j % 3], a, dims, bool(k % 2))
    if kind == "beside" and ndim and a.shape[0] > 1:  # rows of a window beside another window
        first, last = (
            backend.slice(a, ((start, 1, a.shape[0] - 1), *((0, 1, n) for n in a.shape[1:])))
            for start in ((0, 1) if k % 2 else (1, 0))
        )
        row = backend.reduce(["sum", "max", "min"][j % 3], first, (ndim - 1,), True)
        return backend.elementwise(BINARY[k % len(BINARY)], row, last)
    if kind == "permute" and ndim:
        return backend.permute(a, tuple(reversed(range(ndim))))
    if kind == "slice":
        return backend.slice(a, tuple([cut(n, j, k) for n in a.shape]))
    if kind == "expand":
        return backend.expand(a, (2, *a.shape)) if ndim < 3 else None
    if kind == "flatten":
        return backend.reshape(a, (int(np.prod(a.shape)),))
    if kind == "cast":
        half = backend.cast(a, dtypes.float16 if k % 2 else dtypes.int32)
        return backend.cast(half, dtypes.float32)
    if kind == "matmul" and ndim >= 2 and len(b.shape) == 2:
        other = backend.permute(b, (1, 0)) if a.shape[-1] == b.shape[1] else b
        return backend.matmul(a, other) if a.shape[-1] == other.shape[0] else None
    if kind == "assign" and ndim and a.shape[0] > 1 and backend.is_writable(a):
        window = backend.slice(a, ((k % a.shape[0], 1, 1), *((0, 1, n) for n in a.shape[1:])))
        source = backend.reduce("sum", b, tuple(range(len(b.shape))), False)
        backend.assign(window, backend.elementwise("tanh", source))
    if kind == "put" and ndim == 2 and backend.is_writable(a):
        index = backend.from_numpy(np.array([k % a.shape[0], 0]))
        backend.put(a, (index, None), backend.full((), j / 2, dtypes.float32), "add")
    if kind == "in place" and backend.is_writable(a) and fits(a, b) == a.shape:
        backend.elementwise("add", a, b, out=a)
    if kind == "scan" and ndim:
        return backend.scan("sum", a, k % ndim)
    if kind == "copy":
        return backend.copy(a)
    if kind == "arg" and ndim:
        places = backend.arg_reduce("max", a, ndim - 1, False)
        return backend.cast(places, dtypes.float32)
    return None


def run(backend, program):
    values = starting_values(backend)
    for kind, i, j, k in program:
        made = step(backend, values, kind, i, j, k)
        if made is not None:
            values.append(made)
    return [np.array(backend.to_numpy(x)) for x in values]


def same(program):
    with np.errstate(all="ignore"):
        expected = run(open_backend("cpu"), program)
        found = run(open_backend("opencl"), program)
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-3)


@settings(max_examples=300)
@given(programs())
def test_random_programs(program):
    same(program)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(programs())
def test_random_programs_compiled(compiled, program):
    same(program)


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("shape", [(70000,), (3, 40000), (40000, 3), (300, 300), (2, 300, 300)],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("dims", ["first", "last", "all"])
def test_large_reductions(compiled, op, shape, dims):
    x = np.random.default_rng(0).uniform(0.99, 1.01, shape).astype(np.float32)
    over = {"first": (0,), "last": (len(shape) - 1,), "all": tuple(range(len(shape)))}[dims]
    found = compiled.to_numpy(compiled.reduce(op, compiled.from_numpy(x), over, False))
    wanted = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}[op]
    expected = wanted(x.astype(np.float64), axis=over)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
