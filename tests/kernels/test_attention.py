"""Attention whose weights are never in memory, for CPUs, against NumPy."""

import numpy as np
import pytest

from tests.backends import attention as reference
from tests.kernels.devices import as_accelerator, download, sizes, upload
from tinynet import dtype as dtypes
from tinynet.backends.opencl import attention

# sequences, heads, queries, keys and columns: edges of lanes, blocks of keys, tiles and vectors
SMALL = [(1, 2, 17, 9, 8, 8), (2, 1, 8, 19, 16, 24)]
LARGE = [(2, 3, 33, 300, 32, 32), (1, 2, 128, 128, 64, 128), (1, 5, 40, 129, 24, 16)]


@pytest.mark.parametrize("mask", ["no", "causal", "keys", "some", "last", "nothing", "numbers"])
def test_attention(started, mask):
    device, _ = started
    for shape in sizes(device, SMALL, LARGE):
        n, heads, queries, keys, q_size, v_size = shape
        *operands, grad = [x.astype(np.float32) for x in reference.operands(*shape)]
        barred = reference.masks(*shape[:4])[mask]
        kind = 0 if barred is None else 1 if barred.shape[2] > 1 else 2
        task = attention.Attention(n, heads, queries, keys, q_size, v_size, kind, 0.3)
        rows, turned = [at(device, x) for x in operands], mask_rows(device, barred)
        made = attention.forward(device, task, rows, turned)
        out, logs = reference.forward(*operands, barred, 0.3)
        across = (0, 2, 1, 3)
        near(
            download(device, made[0], (n, queries, heads, v_size), np.float32),
            out.transpose(across),
        )
        near(download(device, made[1], logs.shape, np.float32), logs)
        found = attention.backward(device, task, [at(device, grad), *rows], turned, made)
        right = reference.backward(grad, *operands, barred, logs, 0.3)
        for block, y in zip(found, right, strict=True):
            y = y.transpose(across)
            near(download(device, block, y.shape, np.float32), y)


def at(device, x):
    _, heads, rows, columns = x.shape
    strides = (heads * rows * columns, rows * columns, columns)
    return attention.Rows(upload(device, x), 0, strides)


def mask_rows(device, mask):
    """A row for each key."""
    if mask is None:
        return None
    n, heads, queries, keys = mask.shape
    turned = np.ascontiguousarray(mask.transpose(0, 1, 3, 2), np.float32)
    strides = (heads * keys * queries * (n > 1), keys * queries * (heads > 1), queries)
    return attention.Rows(upload(device, turned), 0, strides)


def near(found, expected):
    scale = abs(expected[np.isfinite(expected)]).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)


def test_what_the_kernels_are_for(started):
    device, _ = started
    float32 = dtypes.float32
    assert attention.has_kernels(device, float32, (1, device.cores, 8, 8), 8, 8)
    assert not attention.has_kernels(device, float32, (1, device.cores - 1, 8, 8), 8, 8)
    assert not attention.has_kernels(device, float32, (1, device.cores, 7, 8), 8, 8)
    assert not attention.has_kernels(device, float32, (1, device.cores, 8, 8), 7, 8)
    assert not attention.has_kernels(device, float32, (1, device.cores, 8, 12), 8, 8)
    assert not attention.has_kernels(device, float32, (1, device.cores, 8, 8), 8, 136)
    assert not attention.has_kernels(device, dtypes.float64, (1, device.cores, 8, 8), 8, 8)
    assert not attention.has_kernels(as_accelerator(device), float32, (1, 64, 8, 8), 8, 8)
