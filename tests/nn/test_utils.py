"""Clipping of gradients, parameters as one vector."""

import math

import pytest

import tinynet as tn
from tinynet.errors import ArgumentTypeError, GradientError, ShapeError
from tinynet.nn import utils


def with_grad(*values):
    x = tn.zeros(len(values), requires_grad=True)
    x.grad = tn.tensor(values)
    return x


def test_clip_grad_norm():
    parameters = [with_grad(3.0, 0.0), with_grad(4.0), tn.zeros(2, requires_grad=True)]
    assert utils.clip_grad_norm_(parameters, 1.0).item() == 5
    assert parameters[0].grad.tolist() == pytest.approx([0.6, 0.0], rel=1e-5)
    assert parameters[1].grad.tolist() == pytest.approx([0.8], rel=1e-5)
    assert utils.clip_grad_norm_(parameters, 10.0).item() == pytest.approx(1, rel=1e-5)
    assert parameters[1].grad.tolist() == pytest.approx([0.8], rel=1e-5)  # not scaled up


def test_clip_grad_norm_of_other_kinds():
    assert utils.clip_grad_norm_(with_grad(3.0, -4.0), 1.0, norm_type=1.0).item() == 7
    assert utils.clip_grad_norm_(with_grad(3.0, -4.0), 1.0, norm_type=math.inf).item() == 4
    assert utils.clip_grad_norm_([], 1.0).item() == 0


def test_clip_grad_norm_of_nothing_finite():
    parameter = with_grad(math.nan)
    assert math.isnan(utils.clip_grad_norm_(parameter, 1.0).item())
    with pytest.raises(GradientError) as error:
        utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert str(error.value) == "clip_grad_norm_: the norm of the gradients is nan"


def test_clip_grad_value():
    parameter = with_grad(3.0, -0.5, -7.0)
    utils.clip_grad_value_([parameter], 1)
    assert parameter.grad.tolist() == [1.0, -0.5, -1.0]


def test_parameters_as_a_vector():
    parameters = [tn.ones(2, 2, requires_grad=True), tn.zeros(3, requires_grad=True)]
    vector = utils.parameters_to_vector(parameters)
    assert vector.tolist() == [1.0] * 4 + [0.0] * 3
    assert vector.requires_grad
    utils.vector_to_parameters(tn.arange(7.0), parameters)
    assert parameters[0].tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert parameters[1].tolist() == [4.0, 5.0, 6.0]


def test_vectors_that_do_not_fit():
    with pytest.raises(ShapeError) as error:
        utils.vector_to_parameters(tn.ones(3), [tn.ones(2)])
    assert str(error.value) == (
        "vector_to_parameters: vec has shape (3,), the parameters need (2,)"
    )
    with pytest.raises(ArgumentTypeError) as error:
        utils.vector_to_parameters([1.0, 2.0], [tn.ones(2)])
    assert str(error.value) == "vector_to_parameters: expected a Tensor, got list"
