"""Convolutions and their transposes: values by loops, gradients by differences, refusals."""

import itertools

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, draw, same
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
)

CONVOLVE = {1: tn.conv1d, 2: tn.conv2d, 3: tn.conv3d}
TRANSPOSE = {1: tn.conv_transpose1d, 2: tn.conv_transpose2d, 3: tn.conv_transpose3d}


def by_loops(x, weight, stride, padding, dilation, groups):
    """A convolution written down as its definition says."""
    ndim = x.ndim - 2
    kernel = weight.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * ndim])
    sizes = [(n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(padded.shape[2:], kernel)]
    y = np.zeros((len(x), len(weight), *sizes))
    outputs, inputs = len(weight) // groups, weight.shape[1]
    for o, place in itertools.product(range(len(weight)), np.ndindex(*sizes)):
        first = o // outputs * inputs
        window = tuple(
            slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation)
            for i, k in zip(place, kernel)
        )
        covered = padded[(slice(None), slice(first, first + inputs), *window)]
        y[(slice(None), o, *place)] = (covered * weight[o]).reshape(len(x), -1).sum(1)
    return y


GEOMETRIES = [  # ndim, stride, padding, dilation, groups
    (1, 1, 0, 1, 1), (1, 2, 3, 2, 2), (2, 1, 0, 1, 1), (2, 1, 1, 1, 1), (2, 2, 1, 1, 4),
    (2, 3, 2, 2, 2), (3, 1, 1, 1, 1), (3, 2, 1, 1, 2),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("ndim", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_values(ndim, stride, padding, dilation, groups, dtype):
    x = draw((3, 4, *(8, 7, 6)[:ndim]), dtype=dtype)
    weight = draw((8, 4 // groups, *(3, 2, 3)[:ndim]), seed=1, dtype=dtype)
    bias = draw(8, seed=2, dtype=dtype)
    y = CONVOLVE[ndim](
        tn.tensor(x), tn.tensor(weight), tn.tensor(bias), stride, padding, dilation, groups
    )
    expected = by_loops(*map(np.float64, (x, weight)), stride, padding, dilation, groups)
    expected = expected + bias.reshape(-1, *(1,) * ndim)
    same(y, expected.astype(dtype), 1e-4 if dtype is np.float32 else 1e-10, 1e-5)


@pytest.mark.parametrize(("ndim", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_transposes(ndim, stride, padding, dilation, groups):
    """<conv(x), y> is <x, conv_transpose(y)>."""
    convolve, transpose = CONVOLVE[ndim], TRANSPOSE[ndim]
    x = tn.tensor(draw((3, 4, *(8, 7, 6)[:ndim])))
    weight = tn.tensor(draw((8, 4 // groups, *(3, 2, 3)[:ndim]), seed=1))
    z = convolve(x, weight, None, stride, padding, dilation, groups)
    y = tn.tensor(draw(z.shape, seed=2))
    least = transpose(y, weight, None, stride, padding, 0, groups, dilation)
    more = [n - m for n, m in zip(x.shape[2:], least.shape[2:], strict=True)]
    back = transpose(y, weight, None, stride, padding, more, groups, dilation)
    assert back.shape == x.shape
    same((x * back).sum(), (z * y).sum().cpu().numpy(), 1e-10)


@pytest.mark.parametrize(("ndim", "stride", "padding", "dilation", "groups"), GEOMETRIES[1::2])
def test_gradients(ndim, stride, padding, dilation, groups):
    shapes = (2, 4, *(5, 6, 4)[:ndim]), (4, 4 // groups, *(3, 2, 2)[:ndim]), (4,)

    def convolve(x, weight, bias):
        return CONVOLVE[ndim](x, weight, bias, stride, padding, dilation, groups)

    def transpose(y, weight, bias):
        return TRANSPOSE[ndim](y, weight, bias, stride, 0, 0, groups, dilation)

    check_gradient(convolve, *shapes)
    check_gradient(transpose, shapes[0], shapes[1], (4 // groups * groups,))


def test_paddings():
    x, weight = tn.tensor(draw((1, 2, 6, 7))), tn.tensor(draw((3, 2, 4, 3), seed=1))
    assert tn.conv2d(x, weight, padding="same").shape == (1, 3, 6, 7)
    assert tn.conv2d(x, weight, padding="valid").shape == (1, 3, 3, 5)
    assert tn.conv2d(x, weight, padding=(2, 0)).shape == (1, 3, 7, 5)
    # an even kernel pads more behind
    wide = tn.conv2d(x, weight, padding=(2, 1))
    same(tn.conv2d(x, weight, padding="same"), wide[:, :, 1:].cpu().numpy(), 1e-10)


def test_without_a_batch():
    x, weight = tn.tensor(draw((2, 5, 5))), tn.tensor(draw((3, 2, 2, 2), seed=1))
    same(tn.conv2d(x, weight), tn.conv2d(x[None], weight)[0].cpu().numpy(), 1e-10)
    y = tn.conv_transpose2d(x, weight.transpose(0, 1))
    assert y.shape == (3, 6, 6)


def test_views_and_batch_sizes():
    """Whatever lies how in memory, and few images as well as many."""
    weight = tn.tensor(draw((3, 2, 3, 3), seed=1))
    for batch in (1, 2, 7, 8, 9, 33):
        x = draw((batch, 2, 6, 5))
        expected = tn.conv2d(tn.tensor(x), weight).cpu().numpy()
        same(tn.conv2d(tn.tensor(np.array(x.T, order="C")).T, weight), expected, 1e-10)
        doubled = np.repeat(x, 2, axis=3)[:, :, ::-1].copy()
        same(tn.conv2d(tn.tensor(doubled)[:, :, :, ::2].flip(2), weight), expected, 1e-10)
        rows = [tn.conv2d(tn.tensor(x[i : i + 1]), weight) for i in range(batch)]
        same(tn.cat(rows), expected, 1e-10)


def test_nothing():
    weight = tn.tensor(draw((3, 2, 3, 3)), requires_grad=True)
    x = tn.zeros(0, 2, 5, 5, dtype=tn.float64, requires_grad=True)
    y = tn.conv2d(x, weight)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape
    same(weight.grad, np.zeros(weight.shape))


def test_numbers_of_16_bits_and_whole_ones():
    x, weight = draw((2, 3, 5, 5), dtype=np.float32), draw((2, 3, 3, 3), seed=1, dtype=np.float32)
    expected = by_loops(x, weight, 1, 0, 1, 1)
    for dtype, tolerance in ((tn.float16, 5e-3), (tn.bfloat16, 4e-2)):
        y = tn.conv2d(tn.tensor(x).to(dtype), tn.tensor(weight).to(dtype))
        assert y.dtype is dtype
        np.testing.assert_allclose(y.float().cpu().numpy(), expected, tolerance, 5 * tolerance)
    x, weight = np.arange(50).reshape(1, 2, 5, 5), np.arange(-9, 9).reshape(1, 2, 3, 3)
    y = tn.conv2d(tn.tensor(x), tn.tensor(weight))
    same(y, by_loops(x, weight, 1, 0, 1, 1).astype(np.int64))


def test_refusals():
    x, weight = tn.zeros(2, 4, 5, 5), tn.zeros(6, 4, 3, 3)
    cases = [
        (ShapeError, lambda: tn.conv2d(x[0, 0], weight),
         "conv2d: the input must be (batch, channels, height, width) or "
         "(channels, height, width), got (5, 5)"),
        (ShapeError, lambda: tn.conv2d(x, tn.zeros(6, 3, 3, 3)),
         "conv2d: input (2, 4, 5, 5) has 4 channels, weight (6, 3, 3, 3) takes 3 in 1 groups"),
        (ShapeError, lambda: tn.conv2d(x, weight, groups=4),
         "conv2d: 4 groups do not divide the 6 out channels of weight (6, 4, 3, 3)"),
        (ShapeError, lambda: tn.conv2d(x, tn.zeros(6, 4, 6, 3)),
         "conv2d: windows of (6, 3) (dilation (1, 1)) are larger than the input (5, 5) padded by "
         "(0, 0) and (0, 0)"),
        (ShapeError, lambda: tn.conv2d(x, weight, tn.zeros(5)),
         "conv2d: bias has shape (5,), expected (6,)"),
        (ShapeError, lambda: tn.conv2d(x, weight[0]),
         "conv2d: weight must be (channels, channels / groups, height, width) without sizes of "
         "0, got (4, 3, 3)"),
        (ShapeError, lambda: tn.conv2d(x, weight, stride=(1, 2, 3)),
         "conv2d: stride must be an int or 2 of them, got (1, 2, 3)"),
        (ArgumentError, lambda: tn.conv2d(x, weight, stride=0),
         "conv2d: stride must be at least 1, got 0"),
        (ArgumentError, lambda: tn.conv2d(x, weight, padding=-1),
         "conv2d: padding must be at least 0, got -1"),
        (ArgumentError, lambda: tn.conv2d(x, weight, padding="full"),
         "conv2d: padding must be numbers, 'valid' or 'same', got 'full'"),
        (ArgumentError, lambda: tn.conv2d(x, weight, stride=2, padding="same"),
         "conv2d: padding='same' needs a stride of 1, got (2, 2)"),
        (DTypeError, lambda: tn.conv2d(x, weight.double()),
         "conv2d: weight has tinynet.float64, the input tinynet.float32"),
        (DTypeError, lambda: tn.conv2d(x > 0, weight > 0), "conv2d: not defined for tinynet.bool"),
        (ArgumentTypeError, lambda: tn.conv2d(x, weight, dilation=1.5),
         "conv2d: dilation must be an int, got 1.5 (float)"),
        (ShapeError, lambda: tn.conv_transpose2d(x, weight),
         "conv_transpose2d: input (2, 4, 5, 5) has 4 channels, weight (6, 4, 3, 3) takes 6"),
        (ArgumentError, lambda: tn.conv_transpose2d(x, tn.zeros(4, 2, 3, 3), output_padding=1),
         "conv_transpose2d: output_padding (1, 1) must be smaller than stride (1, 1) or "
         "dilation (1, 1)"),
    ]  # fmt: skip
    for error, call, message in cases:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message
