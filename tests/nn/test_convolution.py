"""Convolutional layers: shapes, parameters, what is refused."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ShapeError

LAYERS = [(nn.Conv1d, nn.ConvTranspose1d), (nn.Conv2d, nn.ConvTranspose2d),
          (nn.Conv3d, nn.ConvTranspose3d)]  # fmt: skip


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_parameters(ndim):
    forward, transposed = LAYERS[ndim - 1]
    layer = forward(4, 6, 3, groups=2)
    assert {name: x.shape for name, x in layer.state_dict().items()} == {
        "weight": (6, 2, *(3,) * ndim),
        "bias": (6,),
    }
    bound = 1 / math.sqrt(2 * 3**ndim)
    assert 0.5 * bound < layer.weight.abs().max().item() <= bound
    assert transposed(4, 6, 3, groups=2, bias=False).weight.shape == (4, 3, *(3,) * ndim)
    assert transposed(4, 6, 3, bias=False).bias is None


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_layer_and_its_transpose(ndim):
    forward, transposed = LAYERS[ndim - 1]
    x = tn.randn(2, 4, *(7,) * ndim)
    y = forward(4, 6, 3, stride=2, padding=1)(x)
    assert y.shape == (2, 6, *(4,) * ndim)
    back = transposed(6, 4, 3, stride=2, padding=1)
    assert back(y).shape == x.shape
    assert back(y, output_size=(8,) * ndim).shape == (2, 4, *(8,) * ndim)
    assert back(y, output_size=[2, 4, *(8,) * ndim]).shape == (2, 4, *(8,) * ndim)


def test_functional():
    layer = nn.Conv2d(2, 4, (3, 2), stride=2, padding=(1, 0), dilation=1, groups=2)
    x = tn.randn(3, 2, 6, 6)
    expected = tn.conv2d(x, layer.weight, layer.bias, 2, (1, 0), 1, 2)
    np.testing.assert_array_equal(layer(x).detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_modes_of_padding(mode):
    layer = nn.Conv2d(1, 1, 3, padding=(2, 1), padding_mode=mode)
    x = tn.randn(1, 1, 5, 4)
    numpy_mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (2, 2), (1, 1)], numpy_mode)
    expected = tn.conv2d(tn.tensor(padded), layer.weight, layer.bias)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected.detach().numpy(), 1e-6)
    same = nn.Conv2d(1, 1, 4, padding="same", padding_mode=mode)
    assert same(x).shape == x.shape


def test_it_trains():
    """A filter that moves an image by one pixel is found."""
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    optimizer = tn.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    x = tn.randn(8, 1, 9, 9)
    target = tn.zeros(8, 1, 9, 9)
    target[:, :, :, 1:] = x[:, :, :, :-1]
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(x), target).backward()
        optimizer.step()
    expected = np.zeros((3, 3))
    expected[1, 0] = 1
    np.testing.assert_allclose(layer.weight.detach().numpy()[0, 0], expected, atol=1e-2)


def test_what_it_prints():
    assert repr(nn.Conv2d(1, 6, 5, padding=2)) == (
        "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))"
    )
    assert repr(nn.ConvTranspose1d(4, 2, 3, 2, output_padding=1, groups=2, bias=False)) == (
        "ConvTranspose1d(4, 2, kernel_size=(3,), stride=(2,), output_padding=(1,), groups=2, "
        "bias=False)"
    )


def test_refusals():
    cases = [
        (lambda: nn.Conv2d(3, 4, 3, groups=2),
         "Conv2d: 2 groups do not divide 3 input and 4 output channels"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
         "Conv2d: padding_mode must be one of ('zeros', 'reflect', 'replicate', 'circular'), got "
         "'mirror'"),
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"),
         "Conv2d: padding='same' needs a stride of 1, got (2, 2)"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
         "ConvTranspose2d: padding_mode must be 'zeros', got 'reflect'"),
        (lambda: nn.Conv2d(3, 4, 0), "Conv2d: kernel_size must be at least 1, got 0"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(ArgumentError) as caught:
            call()
        assert str(caught.value) == message
    with pytest.raises(ShapeError, match="output_size"):
        nn.ConvTranspose2d(1, 1, 3, stride=2)(tn.zeros(1, 1, 4, 4), output_size=(12, 9))
