"""Hooks on tensors, and `retain_grad`."""

import pytest

import tinynet as tn
from tinynet.errors import GradientError


@pytest.fixture
def x():
    return tn.tensor([1.0, 2.0], requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once(x):
    seen = []
    h = x * 2
    h.register_hook(lambda g: seen.append(g.tolist()))
    (h + h * 3).sum().backward()
    assert seen == [[4.0, 4.0]]


def test_a_hook_on_a_leaf_sees_the_whole_gradient_once(x):
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [[5.0, 5.0]]


@pytest.mark.parametrize("is_leaf", [True, False])
def test_hooks_run_in_order_and_replace(x, is_leaf):
    h = x if is_leaf else x * 1
    h.register_hook(lambda g: g * 2)
    h.register_hook(lambda g: None)
    h.register_hook(lambda g: g + 1)
    h.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("is_leaf", [True, False])
def test_hooks_can_be_removed(x, is_leaf):
    h = x if is_leaf else x + 0
    handle = h.register_hook(lambda g: g * 2)
    with h.register_hook(lambda g: g * 10):
        pass
    h.sum().backward()
    handle.remove()
    handle.remove()
    h.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_hooks_run_in_grad_too(x):
    x.register_hook(lambda g: g * 2)
    (g,) = tn.autograd.grad(x.sum(), x)
    assert g.tolist() == [2.0, 2.0]


def test_a_hook_before_a_write_is_about_the_value_before(x):
    seen = []
    h = x * 1
    h.register_hook(lambda g: seen.append(g.tolist()))
    h.mul_(3)
    h.sum().backward()
    assert seen == [[3.0, 3.0]]


def test_what_a_hook_keeps_is_not_grad(x):
    seen = []
    x.register_hook(seen.append)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert seen[0].tolist() == [2.0, 2.0]
    assert x.grad.tolist() == [4.0, 4.0]


def test_what_a_hook_returns_must_fit(x):
    x.register_hook(lambda g: g.sum())
    with pytest.raises(GradientError) as caught:
        (x * 2).sum().backward()
    assert str(caught.value) == (
        "register_hook: a hook must return None or a tensor of shape (2,), got ()"
    )


def test_hooks_of_several_outputs(x):
    a, b = x.split(1)
    a.register_hook(lambda g: g * 5)
    (a + b * 2).sum().backward()
    assert x.grad.tolist() == [5.0, 2.0]


def test_retain_grad(x):
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    assert h.retains_grad
    (h * 3).sum().backward(retain_graph=True)
    assert h.grad.tolist() == [3.0, 3.0]
    (h * 3).sum().backward()
    assert h.grad.tolist() == [6.0, 6.0]


def test_retain_grad_follows_writes(x):
    h = x * 2
    view = h[:1]
    h.retain_grad()
    view.retain_grad()
    h.mul_(10)
    (h.sum() + view.sum() * 4).backward()
    assert h.grad.tolist() == [5.0, 1.0]
    assert view.grad.tolist() == [4.0]
    assert x.grad.tolist() == [100.0, 20.0]


def test_retain_grad_of_a_leaf_changes_nothing(x):
    x.retain_grad()
    assert not x.retains_grad
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_retained_gradients_are_added_once(x):
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward(inputs=[y])
    assert y.grad.tolist() == (2 * y).tolist()


def test_an_input_that_is_named_twice(x):
    y = x * 2
    (y * y).sum().backward(inputs=[y, y])
    assert y.grad.tolist() == (2 * y).tolist()


def test_a_hook_that_gives_another_dtype(x):
    x.register_hook(lambda grad: grad.to(tn.float64))
    with pytest.raises(
        GradientError, match=r"register_hook: .* tinynet.float32 on .* got .*float64"
    ):
        (x * 2).sum().backward()
