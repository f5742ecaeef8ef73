"""SGD, Adam and AdamW against their formulas, written out for one number."""

import itertools
import math

import pytest

import tinynet as tn
from tinynet.errors import ArgumentError
from tinynet.optim import SGD, Adam, AdamW

GRADIENTS = [math.sin(3 * i) + 0.1 for i in range(100)]


def trained(make, **options):
    x = tn.tensor([0.5], dtype=tn.float64, requires_grad=True)
    optimizer = make([x], **options)
    for gradient in GRADIENTS:
        x.grad = tn.tensor([gradient], dtype=tn.float64)
        optimizer.step()
    return x.item()


def sgd(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    x, buffer = 0.5, None
    for gradient in GRADIENTS:
        g = (-gradient if maximize else gradient) + weight_decay * x
        if momentum:
            buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        x -= lr * g
    return x


def adam(
    lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False,
    decoupled=False,
):  # fmt: skip
    x, mean, square, largest = 0.5, 0.0, 0.0, 0.0
    for i, gradient in enumerate(GRADIENTS, 1):
        g = -gradient if maximize else gradient
        if decoupled:
            x -= lr * weight_decay * x
        else:
            g += weight_decay * x
        mean = betas[0] * mean + (1 - betas[0]) * g
        square = betas[1] * square + (1 - betas[1]) * g * g
        largest = max(largest, square)
        unbiased = (largest if amsgrad else square) / (1 - betas[1] ** i)
        x -= lr * mean / (1 - betas[0] ** i) / (math.sqrt(unbiased) + eps)
    return x


def grid(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


@pytest.mark.parametrize(
    "options",
    [
        {},
        *grid(lr=[0.1], momentum=[0.9], dampening=[0.0, 0.3], weight_decay=[0.0, 0.1]),
        *grid(momentum=[0.8], nesterov=[True], weight_decay=[0.0, 0.1], maximize=[True, False]),
    ],
)
def test_sgd(options):
    assert trained(SGD, **options) == pytest.approx(sgd(**options), rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        *grid(lr=[0.1], betas=[(0.9, 0.99), (0.0, 0.5)], eps=[1e-8, 0.1], amsgrad=[True, False]),
        *grid(weight_decay=[0.1], amsgrad=[True, False], maximize=[True, False]),
    ],
)
def test_adam(options):
    assert trained(Adam, **options) == pytest.approx(adam(**options), rel=1e-11)
    decay = options.pop("weight_decay", 0.01)
    expected = adam(weight_decay=decay, decoupled=True, **options)
    assert trained(AdamW, weight_decay=decay, **options) == pytest.approx(expected, rel=1e-11)


def test_numbers_of_pytorch():
    """Ten steps of PyTorch 2.13 in float32, from x = [1, -2, 3] and the gradient of sum(x**4)."""
    cases = [
        (SGD, {"lr": 0.01, "momentum": 0.9}, PYTORCH["sgd"]),
        (Adam, {"lr": 0.1}, PYTORCH["adam"]),
        (Adam, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}, PYTORCH["amsgrad"]),
        (AdamW, {"lr": 0.1, "weight_decay": 0.1}, PYTORCH["adamw"]),
    ]
    for make, options, expected in cases:
        x = tn.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = make([x], **options)
        for _ in range(10):
            optimizer.zero_grad()
            (x**4).sum().backward()
            optimizer.step()
        assert x.tolist() == pytest.approx(expected, rel=1e-5)


PYTORCH = {
    "sgd": [0.1379711, 1.4049181, 0.1337886],
    "adam": [0.209862, -1.0884701, 2.0510857],
    "amsgrad": [0.2045641, -1.0878708, 2.0509415],
    "adamw": [0.1718096, -0.9605723, 1.8264601],
}


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (SGD, {"lr": -1}, "SGD: lr cannot be negative, got -1"),
        (SGD, {"momentum": -0.5}, "SGD: momentum cannot be negative, got -0.5"),
        (SGD, {"weight_decay": math.nan}, "SGD: weight_decay cannot be negative, got nan"),
        (SGD, {"nesterov": True},
         "SGD: nesterov needs a momentum and no dampening, got momentum 0 and dampening 0"),
        (Adam, {"eps": -1}, "Adam: eps cannot be negative, got -1"),
        (Adam, {"betas": (0.9, 1.0)},
         "Adam: betas must be two numbers in [0, 1), got (0.9, 1.0)"),
        (AdamW, {"weight_decay": -1}, "AdamW: weight_decay cannot be negative, got -1"),
    ],
)  # fmt: skip
def test_options_that_are_refused(make, options, message):
    with pytest.raises(ArgumentError) as error:
        make([tn.ones(1)], **options)
    assert str(error.value) == message
