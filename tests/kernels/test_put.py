"""`x[indices] = values` and its combinations, in index order."""

import numpy as np
import pytest

from tests.backends.arrays import ALL, FLOATS, NUMPY, numbers
from tests.kernels.devices import (
    assert_same,
    download,
    each_in_styles,
    needs,
    reference,
    sizes,
    upload,
)
from tinynet import dtype as dtypes
from tinynet.backends.opencl import scattering
from tinynet.backends.opencl.scattering import collapse, put

MODES = ["set", "add", "mul", "max", "min"]
each_mode = pytest.mark.parametrize("mode", MODES)

# shape of the target, dims that are indexed, updates
SMALL = [
    ((5,), (0,), 9),
    ((7, 3), (0,), 20),
    ((7, 3), (1,), 20),
    ((4, 5), (0, 1), 30),
    ((3, 2, 70), (0, 1), 8),
    ((3, 4, 2, 5), (1, 3), 10),
    ((3, 4, 2, 5), (0, 2), 10),
    ((1, 1), (0,), 1),
]
LARGE = [((1000,), (0,), 6000), ((50, 300), (0,), 700), ((9, 40, 30), (1,), 200)]


@each_mode
@each_in_styles(ALL)
def test_dtypes(device, mode, dtype):
    check(device, mode, dtype, numbers((7, 3), dtype), (0,), 20)
    check(device, mode, dtype, numbers((4, 5), dtype), (0, 1), 30)


@pytest.mark.parametrize("mode", ["set", "add"])
def test_shapes(device, mode):
    for shape, dims, n in sizes(device, SMALL, LARGE):
        check(device, mode, dtypes.float32, numbers(shape, dtypes.float32), dims, n)


@each_mode
@each_in_styles(FLOATS)
def test_order_of_rounding(device, mode, dtype, monkeypatch):
    """Many random updates of few places: any other order would show in the last bits."""
    monkeypatch.setattr(scattering, "LEAST", 1)
    random = np.random.default_rng(1)
    for shape, n in [((3,), 60), ((2, 10), 40), ((2, 130), 10)]:
        x = random.standard_normal(shape).astype(NUMPY[dtype])
        values = random.standard_normal((n, *shape[1:])).astype(NUMPY[dtype])
        check(device, mode, dtype, x, (0,), n, values)


@each_mode
def test_updates_that_are_sorted_first(device, mode, monkeypatch):
    """As accelerators do with many: the same results, in the same order of rounding."""
    monkeypatch.setattr(scattering, "MANY", 0)
    random = np.random.default_rng(1)
    for shape, dims, n in SMALL:
        values = random.standard_normal(shape).astype(np.float32)
        check(device, mode, dtypes.float32, values, dims, n)
    x, values = random.standard_normal((3, 10)), random.standard_normal((60, 10))
    check(device, mode, dtypes.float32, np.float32(x), (0,), 60, np.float32(values))


@pytest.mark.parametrize("mode", ["max", "min"])
@each_in_styles(FLOATS)
def test_nan_stays(device, mode, dtype):
    x, values = numbers((4, 3), dtype), numbers((12, 3), dtype, seed=1)
    x[0, 1] = values[2, 0] = values[7, 2] = np.nan
    check(device, mode, dtype, x, (0,), 12, values)


@each_mode
def test_strided_target(device, mode):
    """A window of a larger array, dims swapped, one of them backwards."""
    base = numbers((9, 8, 7), dtypes.float32)
    view = base[1:6, ::-2, 2:5].transpose(2, 0, 1)
    check(device, mode, dtypes.float32, view, (0,), 11, base=base)
    check(device, mode, dtypes.float32, view, (1, 2), 11, base=base)


@each_mode
def test_one_value_for_all(device, mode):
    """Values that repeat: no step from one update to the next."""
    values = np.broadcast_to(np.float32(3), (7, 5))
    check(device, mode, dtypes.float32, numbers((4, 5), dtypes.float32), (0,), 7, values)


def test_nothing_to_do(device):
    x = numbers((4, 3), dtypes.float32)
    check(device, "add", dtypes.float32, x, (0,), 0)
    check(device, "add", dtypes.float32, x[:, :0], (0,), 2)


def test_collapse():
    assert collapse([]) == [(1, 0, 0)]
    assert collapse([(1, 7, 9)]) == [(1, 0, 0)]
    assert collapse([(2, 12, 12), (3, 4, 4), (4, 1, 1)]) == [(24, 1, 1)]
    assert collapse([(2, 24, 12), (3, 4, 4), (4, 1, 1)]) == [(2, 24, 12), (12, 1, 1)]
    assert collapse([(2, 3, 0), (1, 5, 5), (3, 1, 0)]) == [(6, 1, 0)]


def check(device, mode, dtype, x, dims, n, values=None, base=None):
    """`x` is a view of `base`, or contiguous. Indices repeat, and count from either end."""
    needs(device, dtype)
    base = np.array(x) if base is None else base.copy()
    x = base if x.shape == base.shape else _view_of(base, x)
    kept = [d for d in range(x.ndim) if d not in dims]
    random = np.random.default_rng(0)
    indices = [random.integers(-x.shape[d], x.shape[d], n) for d in dims]
    if values is None:
        values = numbers((n, *[x.shape[d] for d in kept]), dtype, seed=2)
    found = _put(device, mode, dtype, base, x, dims, indices, values)
    order = (*dims, *kept)
    index = (*indices, *[None] * len(kept))
    reference.put(x.transpose(order), index, values, mode)
    assert_same(found, base)


def _view_of(base, view):
    """The view of a copy of `base` that `view` is of `base`."""
    first = view.__array_interface__["data"][0] - view.base.__array_interface__["data"][0]
    return np.ndarray(view.shape, base.dtype, base, first, view.strides)


def _put(device, mode, dtype, base, x, dims, indices, values):
    """What `base` holds once `x`, a view of it, is written to on the device."""
    first = (x.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // x.itemsize
    strides = [stride // x.itemsize for stride in x.strides]
    target = upload(device, base)
    blocks = [upload(device, index) for index in indices]
    indexed = [(block.buffer, x.shape[d], strides[d]) for block, d in zip(blocks, dims)]
    kept = [d for d in range(x.ndim) if d not in dims]
    step, *steps = [stride // x.itemsize for stride in values.strides]
    dims_kept = [(x.shape[d], strides[d], to) for d, to in zip(kept, steps)]
    source = upload(device, values[:1] if step == 0 else values).buffer
    n = len(values)
    put(device, target.buffer, dtype, first, indexed, n, dims_kept, source, step, mode)
    return download(device, target, base.shape, base.dtype)
