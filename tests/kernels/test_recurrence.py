"""Long short-term memory over all time steps in one launch, for CPUs, against NumPy."""

import numpy as np
import pytest

from tests.backends import lstm
from tests.kernels.devices import as_accelerator, download, sizes, upload
from tinynet import dtype as dtypes
from tinynet.backends.opencl import recurrence

# steps, sequences, hidden units: edges of tiles, panels, vectors, shares and depths
SMALL = [(4, 1, 3), (5, 5, 8), (4, 7, 26)]
LARGE = [(6, 16, 24), (4, 70, 50), (5, 17, 300)]


@pytest.mark.parametrize("is_reverse", [False, True])
def test_lstm(started, is_reverse):
    device, _ = started
    for steps, n, hidden in sizes(device, SMALL, LARGE):
        operands = [x.astype(np.float32) for x in lstm.operands(steps, n, hidden)]
        blocks = [upload(device, x) for x in operands]
        made = recurrence.forward(device, blocks, (steps, n, hidden), is_reverse)
        expected = lstm.forward(*operands, is_reverse)
        for block, right in zip(made, expected, strict=True):
            near(download(device, block, right.shape, np.float32), right)
        check_backward(device, operands, expected, (steps, n, hidden), is_reverse)


def check_backward(device, operands, results, sizes, is_reverse):
    _, weight, h, c = operands
    _, cells, gates = (x.astype(np.float32) for x in results)
    random = np.random.default_rng(1)
    grads = [random.standard_normal(x.shape).astype(np.float32) for x in (cells, h)]
    blocks = [upload(device, x) for x in (*grads, weight, gates, cells, c)]
    made = recurrence.backward(device, blocks, sizes, is_reverse)
    expected = lstm.backward(grads, weight, gates, cells, c, is_reverse)
    for block, right in zip(made, expected, strict=True):
        near(download(device, block, right.shape, np.float32), right)


def near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


def test_what_the_kernels_are_for(started):
    device, _ = started
    assert device.is_cpu
    assert recurrence.has_kernels(device, dtypes.float32, 4, 1, 512)
    assert not recurrence.has_kernels(device, dtypes.float32, 3, 1, 512)
    assert not recurrence.has_kernels(device, dtypes.float32, 4, 1, 513)
    assert recurrence.has_kernels(device, dtypes.float32, 4, 2, 513)
    assert not recurrence.has_kernels(device, dtypes.float32, 4, 0, 4)
    assert not recurrence.has_kernels(device, dtypes.float64, 4, 1, 4)
    assert not recurrence.has_kernels(as_accelerator(device), dtypes.float32, 4, 1, 4)
