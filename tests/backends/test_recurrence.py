"""Conformance: recurrence over all time steps, of backends that have it."""

import numpy as np
import pytest

from tests.backends import lstm
from tests.backends.arrays import LAYOUTS, contiguous, each, same
from tinynet import dtype as dtypes

CLOSE = {dtypes.float32: 2e-5, dtypes.float64: 1e-12}
LAYOUTS_OF_FLOATS = [layout for layout in LAYOUTS if layout.__name__ != "computed"]


@each([dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("is_reverse", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS_OF_FLOATS, ids=lambda layout: layout.__name__)
def test_lstm(backend, dtype, is_reverse, layout):
    operands = [x.astype(dtype.name) for x in lstm.operands(5, 3, 10)]
    made = backend.lstm(*[layout(backend, x) for x in operands], is_reverse)
    if made is None:  # goes step by step
        return
    expected = lstm.forward(*operands, is_reverse)
    for found, right in zip(made, expected, strict=True):
        same(backend, found, right, CLOSE[dtype])
    grads = lstm.forward(*lstm.operands(5, 3, 10, seed=1), is_reverse)[0], operands[2]
    grads = tuple(x.astype(dtype.name) for x in grads)
    _, cells, gates = made
    weight, c = layout(backend, operands[1]), layout(backend, operands[3])
    found = backend.lstm_backward(
        tuple(layout(backend, x) for x in grads), weight, gates, cells, c, is_reverse
    )
    right = lstm.backward(grads, operands[1], expected[2], expected[1], operands[3], is_reverse)
    for x, y in zip(found, right, strict=True):
        same(backend, x, y, CLOSE[dtype])


@each([dtypes.float16, dtypes.float32])
def test_nothing_for_few_steps_or_no_sequences(backend, dtype):
    for steps, n in ((1, 2), (3, 0)):
        operands = [contiguous(backend, x.astype(dtype.name)) for x in lstm.operands(steps, n, 4)]
        made = backend.lstm(*operands, False)
        assert made is None or np.prod(made[0].shape) == steps * n * 4
