"""Conformance: attention at once, of backends that have it."""

import numpy as np
import pytest

from tests.backends import attention
from tests.backends.arrays import LAYOUTS, contiguous, each, same
from tinynet import dtype as dtypes

CLOSE = {dtypes.float32: 2e-5, dtypes.float64: 1e-12}
LAYOUTS_OF_FLOATS = [layout for layout in LAYOUTS if layout.__name__ != "computed"]
SIZES = (2, 3, 18, 21)
MASKS = attention.masks(*SIZES)


@each([dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("layout", LAYOUTS_OF_FLOATS, ids=lambda layout: layout.__name__)
def test_attention(backend, dtype, mask, layout):
    mask = MASKS[mask]
    *operands, grad = [x.astype(dtype.name) for x in attention.operands(*SIZES, 8, 16)]
    arrays = [layout(backend, x) for x in operands]
    barred = None if mask is None else contiguous(backend, mask.astype(dtype.name))
    made = backend.attention(*arrays, barred, 0.3)
    if made is None:  # goes by its parts
        return
    out, logs = (x.astype(dtype.name) for x in attention.forward(*operands, mask, 0.3))
    same(backend, made[0], out, CLOSE[dtype])
    same(backend, made[1], logs, CLOSE[dtype])
    found = backend.attention_backward(layout(backend, grad), *arrays, barred, made, 0.3)
    right = attention.backward(grad, *operands, mask, logs, 0.3)
    right = [x.astype(dtype.name) for x in right]
    for x, y in zip(found, right, strict=True):
        same(backend, x, y, CLOSE[dtype])


def test_nothing_where_it_does_not_pay(backend):
    for sizes in (
        (1, 1, 16, 16, 8, 8),
        (2, 2, 1, 16, 8, 8),
        (2, 2, 16, 16, 4, 8),
        (0, 2, 9, 9, 8, 8),
    ):
        operands = [x.astype(np.float32) for x in attention.operands(*sizes)[:3]]
        arrays = [contiguous(backend, x) for x in operands]
        made = backend.attention(*arrays, None, 1.0)
        assert made is None or made[0].shape == (*sizes[:3], sizes[5])
