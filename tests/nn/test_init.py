"""Initialisers."""

import math
import re

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import init

SHAPE = (60, 25, 2, 2)  # fan_in 100, fan_out 240


@pytest.mark.parametrize(
    ("call", "deviation"),
    [
        (lambda x: init.uniform_(x, -3.0, 3.0), math.sqrt(3)),
        (lambda x: init.normal_(x, 0.0, 0.2), 0.2),
        (lambda x: init.xavier_uniform_(x), math.sqrt(2 / 340)),
        (lambda x: init.xavier_normal_(x, gain=2.0), 2 * math.sqrt(2 / 340)),
        (lambda x: init.kaiming_uniform_(x), math.sqrt(2 / 100)),
        (lambda x: init.kaiming_uniform_(x, a=math.sqrt(5)), math.sqrt(1 / 300)),
        (lambda x: init.kaiming_normal_(x, mode="fan_out"), math.sqrt(2 / 240)),
        (lambda x: init.kaiming_normal_(x, nonlinearity="tanh"), 5 / 3 / 10),
    ],
)
def test_spread(call, deviation):
    x = nn.Parameter(tn.empty(*SHAPE))
    assert call(x) is x
    assert x.requires_grad
    assert x.is_leaf
    assert x.std().item() == pytest.approx(deviation, rel=0.05)
    assert abs(x.mean().item()) < deviation / 20


def test_uniform_ones_keep_within_their_bound():
    assert init.xavier_uniform_(tn.empty(*SHAPE)).abs().max().item() <= math.sqrt(6 / 340)
    assert 2 <= init.uniform_(tn.empty(100), 2.0, 3.0).min().item() < 2.1


def test_constants():
    x = nn.Parameter(tn.empty(2, 2))
    assert init.constant_(x, 0.25).tolist() == [[0.25] * 2] * 2
    assert init.ones_(x).tolist() == [[1.0] * 2] * 2
    assert init.zeros_(x).tolist() == [[0.0] * 2] * 2


def test_a_generator_repeats():
    draws = [
        init.kaiming_normal_(tn.empty(3, 3), generator=tn.Generator().manual_seed(5)).tolist()
        for _ in range(2)
    ]
    assert draws[0] == draws[1]


def test_gains():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1.0) == 1
    assert init.calculate_gain("leaky_relu") == init.calculate_gain("leaky_relu", 0.01)


def test_nothing_to_fill():
    message = "kaiming_normal_: nothing to fill in a tensor of shape (0, 3)"
    with pytest.warns(UserWarning, match=re.escape(message)):
        init.kaiming_normal_(tn.empty(0, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: init.xavier_normal_(tn.empty(3)), ShapeError,
         "xavier_normal_: weights need at least 2 dims to count fans, got shape (3,)"),
        (lambda: init.kaiming_uniform_(tn.empty(3, 3), mode="fan"), ArgumentError,
         "kaiming_uniform_: mode must be 'fan_in' or 'fan_out', got 'fan'"),
        (lambda: init.calculate_gain("leaky_relu", "big"), ArgumentError,
         "calculate_gain: param must be a number, got 'big'"),
        (lambda: init.calculate_gain("swish"), ArgumentError,
         "calculate_gain: got 'swish', expected one of linear, conv1d, conv2d, conv3d, "
         "conv_transpose1d, conv_transpose2d, conv_transpose3d, sigmoid, tanh, relu, selu, "
         "leaky_relu"),
        (lambda: init.zeros_([1.0]), ArgumentTypeError,
         "constant_: tensor must be a Tensor, got list"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
