"""`tinynet.autograd.functional` beside PyTorch's."""

import numpy as np
import pytest
import torch

import tinynet as tn

X, Y = [[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], [0.2, 0.4, -0.6]


def made(module, values):
    return module.tensor(values, dtype=module.float64)


def arrays(result):
    """Nested tuples of arrays."""
    if isinstance(result, tuple):
        return tuple(arrays(item) for item in result)
    return result.numpy(force=True)


def assert_same(expected, got):
    if isinstance(expected, tuple):
        assert isinstance(got, tuple)
        assert len(expected) == len(got)
        for e, g in zip(expected, got, strict=True):
            assert_same(e, g)
    else:
        assert expected.shape == got.shape
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def one(x):
    return x.sin() * x


def two(x, y):
    return (x * y).exp(), x.sum(0) * y, y * 2


def number(x):
    return (x**3).sum()


def number_of_two(x, y):
    return (x.sin() * y).sum() ** 2


def partly(x, y):
    return x * 2, y * 3


PRODUCTS = {
    "jacobian": lambda f, m, x, y: f.jacobian(one, x),
    "jacobian of two": lambda f, m, x, y: f.jacobian(two, (x, y)),
    "jacobian of a tuple of one": lambda f, m, x, y: f.jacobian(one, (x,)),
    "jacobian of a number": lambda f, m, x, y: f.jacobian(number, x),
    "jacobian without dependence": lambda f, m, x, y: f.jacobian(partly, (x, y)),
    "jacobian of a constant": lambda f, m, x, y: f.jacobian(lambda x: made(m, Y), x),
    "hessian": lambda f, m, x, y: f.hessian(number, x),
    "hessian of two": lambda f, m, x, y: f.hessian(number_of_two, (x, y)),
    "hessian of a linear one": lambda f, m, x, y: f.hessian(lambda x: x.sum(), x),
    "vjp": lambda f, m, x, y: f.vjp(one, x, x * 2),
    "vjp of a number": lambda f, m, x, y: f.vjp(number, x),
    "vjp of two": lambda f, m, x, y: f.vjp(two, (x, y), (x, y, y)),
    "jvp": lambda f, m, x, y: f.jvp(one, x, x * 2),
    "jvp of two": lambda f, m, x, y: f.jvp(two, (x, y), (x, y)),
    "jvp without dependence": lambda f, m, x, y: f.jvp(partly, (x, y), (x, y)),
    "hvp": lambda f, m, x, y: f.hvp(number, x, x * 2),
    "hvp of two": lambda f, m, x, y: f.hvp(number_of_two, (x, y), (x, y)),
    "vhp": lambda f, m, x, y: f.vhp(number, x, x * 2),
    "vhp of two": lambda f, m, x, y: f.vhp(number_of_two, (x, y), (x, y)),
    "vhp of one row": lambda f, m, x, y: f.vhp(lambda x: number(x).reshape(1), x, x),
    "vhp of a linear one": lambda f, m, x, y: f.vhp(lambda x: x.sum(), x, x),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_values(name):
    results = [
        PRODUCTS[name](m.autograd.functional, m, made(m, X), made(m, Y)) for m in (torch, tn)
    ]
    assert_same(*(arrays(result) for result in results))


GRAPHS = {
    "jacobian": lambda f, x: f.jacobian(one, x, create_graph=True),
    "hessian": lambda f, x: f.hessian(lambda x: (x**4).sum(), x, create_graph=True),
    "vjp": lambda f, x: f.vjp(one, x, x * 2, create_graph=True)[1],
    "jvp": lambda f, x: f.jvp(one, x, x * 2, create_graph=True)[1],
    "hvp": lambda f, x: f.hvp(number, x, x * 2, create_graph=True)[1],
    "vhp": lambda f, x: f.vhp(number, x, x * 2, create_graph=True)[1],
    "outputs": lambda f, x: f.vjp(one, x, x * 2, create_graph=True)[0],
}


@pytest.mark.parametrize("name", GRAPHS)
def test_create_graph(name):
    gradients = []
    for module in (torch, tn):
        x = made(module, Y).requires_grad_()
        y = GRAPHS[name](module.autograd.functional, x)
        gradients.append(module.autograd.grad((y * y).sum(), x))
    assert_same(*(arrays(result) for result in gradients))


def test_without_create_graph_nothing_is_recorded():
    x = made(tn, Y).requires_grad_()
    with tn.no_grad():
        y, product = tn.autograd.functional.vjp(number, x)
        rows = tn.autograd.functional.jacobian(number, x)
    assert not any(t.requires_grad for t in (y, product, rows))


def test_jacobian_of_nothing():
    assert tn.autograd.functional.jacobian(lambda x: x[:0] * 2, tn.ones(3, 2)).shape == (0, 2, 3, 2)


ERRORS = {
    "jacobian: output 0: the outputs do not depend on input 1": lambda f, x: f.jacobian(
        partly, (x, x), strict=True
    ),
    "hessian: inputs must be a tensor or a tuple of tensors, got list": lambda f, x: f.hessian(
        number, [x]
    ),
    "vjp: v must be a tensor or a tuple of tensors, got float": lambda f, x: f.vjp(one, x, 1.0),
    "jvp: v must be a tensor or a tuple of tensors, got list": lambda f, x: f.jvp(one, x, [x]),
    "hvp: v must be a tensor or a tuple of tensors, got float": lambda f, x: f.hvp(
        number, (x,), (1.0,)
    ),
    "jacobian: inputs must be a tensor or a tuple of tensors, got list": lambda f, x: f.jacobian(
        one, [x]
    ),
    "jacobian: the function must return a tensor or a tuple of tensors, got float": lambda f, x: (
        f.jacobian(lambda x: 1.0, x)
    ),
    "vjp: v may be left out only for a single number": lambda f, x: f.vjp(one, x),
    "vjp: v has shapes [(3,)], expected [(3, 2)]": lambda f, x: f.vjp(
        lambda x: x.reshape(3, 1).expand(3, 2), x, x
    ),
    "hessian: the function must return a single number, got shape (3,)": lambda f, x: f.hessian(
        one, x
    ),
    "hessian: the function must return a tensor, got tuple": lambda f, x: f.hessian(
        lambda x: (number(x),), x
    ),
    "hvp: the function must return a tensor, got tuple": lambda f, x: f.hvp(
        lambda x: (number(x),), x, x
    ),
    "hvp: an output does not depend on the inputs": lambda f, x: f.hvp(
        lambda x: x.sum(), x, x, strict=True
    ),
    "vhp: an output does not depend on the inputs": lambda f, x: f.vhp(
        lambda x: x.sum(), x, x, strict=True
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises((RuntimeError, TypeError)):
        ERRORS[message](torch.autograd.functional, made(torch, Y))
    with pytest.raises(tn.errors.TinynetError) as caught:
        ERRORS[message](tn.autograd.functional, made(tn, Y))
    assert message in str(caught.value)
