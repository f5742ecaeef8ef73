"""`Linear`, `Dropout`, and the layers that only reshape."""

import math
import warnings

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

F = nn.functional


def test_linear():
    layer = nn.Linear(3, 2)
    with tn.no_grad():
        layer.weight.copy_(tn.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]]))
        layer.bias.copy_(tn.tensor([10.0, 20.0]))
    assert layer(tn.tensor([[1.0, 1.0, 2.0]])).tolist() == [[19.0, 20.0]]
    assert layer(tn.ones(4, 5, 3)).shape == (4, 5, 2)
    assert layer(tn.ones(3)).shape == (2,)
    assert layer(tn.ones(0, 3)).shape == (0, 2)
    check_gradient(F.linear, (4, 3), (2, 3), (2,))
    check_gradient(F.linear, (2, 4, 3), (2, 3))


def test_linear_starts_uniform_within_the_inverse_root_of_its_inputs():
    layer = nn.Linear(100, 50)
    for parameter in layer.parameters():
        assert 0.09 < parameter.abs().max().item() <= 0.1
    assert layer.weight.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.05)
    assert nn.Linear(2, 3, dtype=tn.float64).weight.dtype is tn.float64
    assert nn.Linear(2, 3, bias=False).bias is None


def test_linear_without_inputs():
    with pytest.warns(UserWarning, match="nothing to fill in a tensor of shape"):
        layer = nn.Linear(0, 2)
    assert layer(tn.ones(3, 0)).tolist() == [[0.0, 0.0]] * 3


def test_linear_refuses_another_width():
    with pytest.raises(ShapeError) as error:
        nn.Linear(3, 2)(tn.ones(4, 5))
    assert str(error.value) == (
        "linear: input (4, 5) does not fit weight (2, 3): "
        "the last sizes must agree, weight is (out, in)"
    )


def test_dropout_in_training():
    x = tn.ones(100, 100, requires_grad=True)
    y = nn.Dropout(0.2)(x)
    assert set(y.reshape(-1).tolist()) == {0.0, 1.25}
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()  # what is dropped has no gradient
    assert nn.Dropout(1.0)(x).abs().sum().item() == 0
    assert nn.Dropout(0.0)(x) is x


def test_dropout_draws_anew_and_repeatably():
    layer, x = nn.Dropout(), tn.ones(50)
    first, second = layer(x).tolist(), layer(x).tolist()
    assert first != second
    tn.manual_seed(0)
    assert layer(x).tolist() == first


def test_dropout_in_evaluation_and_in_place():
    x = tn.ones(50)
    assert nn.Dropout().eval()(x) is x
    assert nn.Dropout(inplace=True)(x) is x
    assert 0.0 in x.tolist()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.Dropout(1.5), ArgumentError, "Dropout: p must be between 0 and 1, got 1.5"),
        (lambda: F.dropout(tn.ones(1), -0.1), ArgumentError,
         "dropout: p must be between 0 and 1, got -0.1"),
        (lambda: F.dropout(tn.tensor([1])), DTypeError,
         "dropout: expected a floating dtype, got tinynet.int64"),
        (lambda: nn.Unflatten("1", (2, 2)), ArgumentTypeError,
         "Unflatten: dim must be an int, got str"),
        (lambda: nn.Unflatten(1, 4), ArgumentTypeError,
         "Unflatten: unflattened_size must be a tuple of ints, got 4"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_reshaping_layers():
    x = tn.arange(24).reshape(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4)
    assert nn.Unflatten(-1, [2, -1])(x).shape == (2, 3, 2, 2)
    assert nn.Identity("ignored", anything=1)(x) is x


def test_reprs():
    assert repr(nn.Dropout(0.1)) == "Dropout(p=0.1, inplace=False)"
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert repr(nn.Unflatten(1, (2, 3))) == "Unflatten(dim=1, unflattened_size=(2, 3))"
    assert repr(nn.Identity()) == "Identity()"


def test_no_warnings_in_ordinary_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1))(tn.ones(1, 2))
