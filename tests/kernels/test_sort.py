"""Indices that sort lines: stable, NaN largest, zeros equal."""

import numpy as np
import pytest

from tests.backends.arrays import ALL, FLOATS, INTEGERS, NUMPY, numbers
from tests.kernels.devices import download, each_in_styles, reference, sizes, upload
from tinynet import dtype as dtypes
from tinynet.backends.opencl import ordering
from tinynet.backends.opencl.ordering import argsort

SMALL = [(1, 1), (2, 2), (4, 10), (5, 16), (2, 17), (3, 33), (2, 100)]
LARGE = [(1, 4096), (1, 100_000), (3, 9_999), (4096, 10)]
either_way = pytest.mark.parametrize("descending", [False, True])


@either_way
@each_in_styles(ALL)
def test_shapes(device, dtype, descending):
    for shape in sizes(device, SMALL, LARGE):  # few values: most of them are ties
        check(device, dtype, numbers(shape, dtype), descending)


@either_way
@each_in_styles(INTEGERS)
def test_all_bits(device, dtype, descending):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (3, 150 * dtype.itemsize), np.uint8).view(NUMPY[dtype])
    check(device, dtype, x, descending)


@either_way
@each_in_styles(FLOATS)
def test_special_values(device, dtype, descending):
    special = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-7, -1e-7, 3e4, 3.1e4]
    for seed in range(3):
        x = np.random.default_rng(seed).choice(special, (4, 40)).astype(NUMPY[dtype])
        check(device, dtype, x, descending)


@pytest.mark.parametrize("chunk", [1, 7, 32, 50])
@each_in_styles([dtypes.float32, dtypes.float64])
def test_chunks(device, dtype, chunk, monkeypatch):
    """Several work-items merge two runs, or one many."""
    monkeypatch.setattr(ordering, "LEAST", 1)
    monkeypatch.setattr(ordering, "MERGE_CHUNK", chunk)
    monkeypatch.setattr(ordering, "MERGE_CHUNK_SMALL", chunk)
    check(device, dtype, numbers((2, 75), dtype), False)


@either_way
def test_sorted_and_reversed(device, descending):
    for size in sizes(device, [50], [10_000]):
        x = np.arange(size, dtype=np.float32)
        check(device, dtypes.float32, np.stack([x, x[::-1]]), descending)


def check(device, dtype, x, descending):
    block = upload(device, x)
    order = argsort(device, block.buffer, dtype, *x.shape, descending)
    found = download(device, order, x.shape, np.int64)
    np.testing.assert_array_equal(found, reference.argsort(x, 1, descending))
