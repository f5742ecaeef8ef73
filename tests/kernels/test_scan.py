"""Running results along the middle dim of (outer, size, inner)."""

import numpy as np
import pytest

from tests.backends.arrays import ALL, FLOATS, NUMPY, each, numbers
from tests.kernels.devices import (
    SOME,
    assert_same,
    download,
    each_in_styles,
    needs,
    reference,
    sizes,
    upload,
)
from tinynet import dtype as dtypes
from tinynet.backends.opencl import ordering
from tinynet.backends.opencl.ordering import scan

SMALL = [(1, 1, 1), (1, 2, 1), (5, 1, 3), (3, 40, 1), (2, 7, 5), (3, 9, 33), (70, 3, 1)]
LARGE = [(1, 100_000, 1), (2, 9_001, 3), (1, 5_000, 20), (300, 70, 30)]
each_op = pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])


@each_op
@each_in_styles(ALL)
def test_dtypes(device, op, dtype):
    for shape in [(3, 40, 1), (2, 7, 5)]:
        check(device, op, dtype, numbers(shape, dtype))


@each_op
def test_shapes(device, op):
    for shape in sizes(device, SMALL, LARGE):
        check(device, op, dtypes.float32, numbers(shape, dtypes.float32))


@each_op
@each(SOME)
def test_chunks(device, op, dtype, monkeypatch):
    """A line in pieces: their totals, running totals of these, then all."""
    monkeypatch.setattr(ordering, "LEAST", 4)
    monkeypatch.setattr(ordering, "SCAN_LEAST", 4)
    for shape in [(1, 8, 1), (1, 61, 1), (2, 30, 3), (1, 9, 17)]:
        x = numbers(shape, dtype)
        check(device, op, dtype, (x != 0).astype(NUMPY[dtype]) if op == "prod" else x)


@pytest.mark.parametrize("op", ["max", "min"])
@each_in_styles(FLOATS)
def test_nan_stays(device, op, dtype):
    x = numbers((3, 20, 2), dtype)
    x[0, 5, 0] = x[1, 0, 1] = x[2, 19, 0] = np.nan
    x[2, 3, 1], x[2, 4, 1] = np.inf, -np.inf
    check(device, op, dtype, x)


@pytest.mark.parametrize("op", ["sum", "prod"])
@each_in_styles(FLOATS)
def test_negative_zero(device, op, dtype):
    check(device, op, dtype, np.full((2, 5, 1), -0.0).astype(NUMPY[dtype]))


@each_in_styles([dtypes.float16, dtypes.bfloat16])
def test_rounded_once(device, dtype):
    """1 + 0.001 + ... would stay 1 if what runs were rounded each time."""
    x = np.full((2, 200, 3), 0.001)
    x[:, 0] = 1
    check(device, "sum", dtype, x.astype(NUMPY[dtype]))


def test_product_of_floats_does_not_overflow_early(device):
    for size in sizes(device, [1_000], [20_000]):
        x = np.full((1, size, 1), 2.0, np.float32)
        x[0, 5] = 0
        check(device, "prod", dtypes.float32, x)


def check(device, op, dtype, x):
    needs(device, dtype)
    block = upload(device, x)
    y = download(device, scan(device, op, block.buffer, dtype, *x.shape), x.shape, x.dtype)
    assert_same(y, reference.scan(op, x, 1))
