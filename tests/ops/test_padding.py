"""`pad` in all modes, against NumPy's."""

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, inf, nan, same
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

pad = tn.nn.functional.pad
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pairs_of(widths, ndim):
    """PyTorch's widths in NumPy's form."""
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    return [(0, 0)] * (ndim - len(pairs)) + pairs


@pytest.mark.parametrize(
    ("shape", "widths"),
    [((3,), (1, 2)), ((2, 3), (0, 2)), ((2, 3), (1, 0, 2, 1)), ((2, 3, 2), (1, 1, 0, 0, 2, 1))],
)
@pytest.mark.parametrize("value", [0, -1.5])
def test_constant(shape, widths, value):
    check_values(
        lambda x: pad(x, widths, value=value),
        lambda x: np.pad(x, pairs_of(widths, x.ndim), constant_values=value),
        shape,
    )
    check_gradient(lambda x: pad(x, widths, value=value) ** 2, shape)


def test_what_is_empty_but_for_its_padding_lies_row_by_row():
    x = tn.ones(3, 1, 2)
    assert pad(x, (1, 1, 1, -1)).stride() == (4, 4, 1)


def test_negative_widths_take_away():
    x = tn.arange(12).reshape(3, 4)
    assert pad(x, (-1, -2)).tolist() == [[1], [5], [9]]
    assert pad(x, (-3, 1, 0, -2), value=7).tolist() == [[3, 7]]
    assert pad(x, (-4, 2)).tolist() == [[0, 0]] * 3
    assert pad(x[0], (1, -2), "constant").tolist() == [0, 0, 1]
    assert pad(x.reshape(3, 4), (-1, 1), "replicate").tolist()[0] == [1, 2, 3, 3]
    assert pad(x.reshape(3, 4), (-1, 2), "reflect").tolist()[0] == [1, 2, 3, 2, 1]
    assert pad(x.reshape(3, 4), (-1, 2), "circular").tolist()[0] == [1, 2, 3, 1, 2]
    check_gradient(lambda x: pad(x, (-1, 2, 1, -1)) ** 2, (3, 4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "widths"),
    [((2, 4), (1, 3)), ((2, 2, 3), (0, 2)), ((2, 3, 3), (1, 0, 2, 1)), ((1, 2, 4, 3), (2, 1, 3, 2)),
     ((2, 3, 2, 3), (1, 1, 0, 1, 2, 1)), ((1, 2, 3, 2, 3), (1, 0, 1, 1, 0, 2))],
)  # fmt: skip
def test_modes(mode, shape, widths):
    check_values(
        lambda x: pad(x, widths, mode),
        lambda x: np.pad(x, pairs_of(widths, x.ndim), MODES[mode]),
        shape,
    )
    check_gradient(lambda x: pad(x, widths, mode) ** 2, shape)


def test_dtypes():
    same(pad(tn.arange(3), (1, 1), value=2.7), np.array([2, 0, 1, 2, 2]))
    same(pad(tn.arange(3) > 0, (1, 0), value=True), np.array([True, False, True, True]))
    same(pad(tn.arange(3).reshape(1, 3), (1, 1), "reflect"), np.array([[1, 0, 1, 2, 1]]))
    assert pad(tn.ones(2, dtype=tn.float16), (1, 1)).dtype is tn.float16


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(tn.int64, inf), (tn.int64, nan), (tn.int64, 1e40), (tn.int64, 1 << 63), (tn.int8, 300),
     (tn.float16, 1e5)],
)  # fmt: skip
def test_values_that_do_not_fit(dtype, value):
    with pytest.raises(DTypeError) as error:
        pad(tn.zeros(1, dtype=dtype), (1, 1), value=value)
    assert str(error.value) == f"pad: {value} does not fit {dtype}"


def test_no_padding_is_a_copy():
    x = tn.ones(2, 3)
    for y in (pad(x, ()), pad(x, (0, 0)), pad(x, (0, 0), "reflect"), pad(x, (-1, 0))):
        y.zero_()
    assert x.sum().item() == 6


@pytest.mark.parametrize(
    ("widths", "options", "kind", "message"),
    [
        ((1,), {}, ShapeError, "pad: (1,) are no pairs for the last dims of shape (3, 4)"),
        ((1,) * 6, {}, ShapeError,
         "pad: (1, 1, 1, 1, 1, 1) are no pairs for the last dims of shape (3, 4)"),
        (1, {}, ArgumentTypeError, "pad: expected a sequence of ints, got 1"),
        ((-3, -2), {}, ShapeError, "pad: (-3, -2) leave negative sizes of shape (3, 4): (3, -1)"),
        ((1, 1), {"mode": "mirror"}, ArgumentError,
         "pad: mode must be one of constant, reflect, replicate, circular, got 'mirror'"),
        ((1, 1), {"mode": "reflect", "value": 1.0}, ArgumentError,
         "pad: mode 'reflect' takes no value, got 1.0"),
        ((1, 1, 1, 1), {"mode": "reflect"}, ShapeError,
         "pad: mode 'reflect' pads the last 1 to 3 dims behind (batch, channels) or (channels,), "
         "got (1, 1, 1, 1) for shape (3, 4)"),
        ((4, 0), {"mode": "reflect"}, ShapeError,
         "pad: mode 'reflect' has no 4 elements to pad a dim of size 4 with, shape (3, 4)"),
        ((0, 5), {"mode": "circular"}, ShapeError,
         "pad: mode 'circular' has no 5 elements to pad a dim of size 4 with, shape (3, 4)"),
    ],
)  # fmt: skip
def test_mistakes(widths, options, kind, message):
    with pytest.raises(kind) as error:
        pad(tn.ones(3, 4), widths, **options)
    assert str(error.value) == message
