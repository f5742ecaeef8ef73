"""Hooks on modules."""

import copy

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentTypeError, GradientError


class Scale(nn.Module):
    def forward(self, x, factor=2.0):
        return x * factor


def test_forward_hooks_see_and_replace():
    module, seen = Scale(), []
    handles = [
        module.register_forward_pre_hook(lambda m, args: seen.append(args[0].item())),
        module.register_forward_pre_hook(lambda m, args: args[0] + 1),
        module.register_forward_hook(lambda m, args, y: seen.append((args[0].item(), y.item()))),
        module.register_forward_hook(lambda m, args, y: y * 10),
    ]
    assert module(tn.tensor(3.0)).item() == 80
    assert seen == [3, (4, 8)]
    for handle in handles:
        handle.remove()
        handle.remove()  # a second time does nothing
    assert module(tn.tensor(3.0)).item() == 6


def test_order():
    module, seen = Scale(), []
    module.register_forward_hook(lambda *_: seen.append("second"))
    module.register_forward_hook(lambda *_: seen.append("third"))
    module.register_forward_hook(lambda *_: seen.append("first"), prepend=True)
    module(tn.ones(1))
    assert seen == ["first", "second", "third"]


def test_a_handle_is_a_context_and_removes_only_its_own_hook():
    module, seen = Scale(), []
    with module.register_forward_hook(lambda *_: seen.append("inner")) as handle:
        module(tn.ones(1))
    module.register_forward_hook(lambda *_: seen.append("later"))
    handle.remove()
    module(tn.ones(1))
    assert seen == ["inner", "later"]


def test_hooks_with_keyword_arguments():
    module = Scale()
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"factor": kwargs["factor"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(
        lambda m, args, kwargs, y: y + kwargs["factor"] * 100, with_kwargs=True
    )
    assert module(tn.tensor(1.0), factor=4.0).item() == 505
    module.register_forward_pre_hook(lambda m, args, kwargs: None, with_kwargs=True)
    assert module(tn.tensor(1.0), factor=4.0).item() == 505
    module.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(ArgumentTypeError) as error:
        module(tn.tensor(1.0), factor=4.0)
    assert str(error.value) == (
        "forward pre-hook: with_kwargs=True, so it must return None or a pair of args and kwargs, "
        "got tuple"
    )


def test_backward_hooks_see_gradients():
    module, seen = Scale(), []
    module.register_full_backward_pre_hook(
        lambda m, grad_output: seen.append(grad_output[0].item())
    )
    module.register_full_backward_hook(
        lambda m, into, out: seen.append((into[0].item(), into[1], out[0].item()))
    )
    x = tn.tensor(3.0, requires_grad=True)
    (module(x, 5.0) * 7).backward()
    assert seen == [7.0, (35.0, None, 7.0)]
    assert x.grad.item() == 35


def test_backward_hooks_replace_gradients():
    module = Scale()
    x = tn.tensor(3.0, requires_grad=True)
    module.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 10,))
    module.register_full_backward_hook(lambda m, into, out: (into[0] + 1,))
    module(x).backward()
    assert x.grad.item() == 21


def test_backward_hooks_of_several_outputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return x * y, x + 1

    module, seen = Two(), []
    module.register_full_backward_hook(lambda m, into, out: seen.append((into, out)))
    x, y = tn.tensor(3.0, requires_grad=True), tn.tensor(4.0)
    module(x, y)[0].backward()
    ((into, out),) = seen
    assert into[0].item() == 4
    assert into[1] is None
    assert out[0].item() == 1
    assert out[1] is None


def test_backward_hooks_where_no_input_needs_a_gradient():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, into, out: seen.append((into, out[0].tolist())))
    layer(tn.ones(1, 2)).backward()
    assert seen == [((None,), [[1.0]])]
    layer.register_full_backward_hook(lambda m, into, out: out)
    with pytest.raises(GradientError) as error:
        layer(tn.ones(1, 2)).backward()
    assert str(error.value) == (
        "backward hook: no input requires grad, so it must return None, got gradients"
    )


def test_a_wrong_number_of_gradients():
    module = Scale()
    module.register_full_backward_hook(lambda m, into, out: (into[0], into[0]))
    with pytest.raises(GradientError) as error:
        module(tn.ones((), requires_grad=True)).backward()
    assert str(error.value) == "backward hook: returned 2 gradients, expected 1"


def test_second_derivatives_through_backward_hooks():
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    module, x = Cube(), tn.tensor(2.0, requires_grad=True)
    module.register_full_backward_hook(lambda m, into, out: None)
    (first,) = tn.autograd.grad(module(x), x, create_graph=True)
    assert tn.autograd.grad(first, x)[0].item() == 12


def test_without_recording_backward_hooks_stay_away():
    module = Scale()
    module.register_full_backward_hook(lambda m, into, out: None)
    with tn.no_grad():
        assert module(tn.ones((), requires_grad=True)).item() == 2


def test_copies_have_hooks_of_their_own():
    module, seen = Scale(), []
    handle = module.register_forward_hook(lambda m, args, y: y * 0)
    other = copy.deepcopy(module)
    handle.remove()
    assert module(tn.ones(())).item() == 2
    assert other(tn.ones(())).item() == 0
    assert seen == []
