"""Recomputation in backward: same gradients, less memory."""

from dataclasses import dataclass
from typing import Any

import pytest

import tinynet as tn
from tinynet.autograd import check_gradient, checkpoint
from tinynet.errors import GradientError


@dataclass
class Pair:
    first: Any
    second: Any


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


def run(call):
    """Values and gradients of a small network whose middle is run by `call`."""
    x, w, b = leaf(1.0, 2.0), leaf(0.3, -0.4), leaf(0.1, 0.2)
    side = b * 2

    def middle(h, scale, *, shift):
        return (h * w + side).tanh() * scale, h + shift, "text"

    h = x * 3
    y, z, text = call(middle, h, 2.0, shift=b)
    loss = (y * z).sum() + h.sum()
    loss.backward()
    return [loss.item(), text, *(t.grad.tolist() for t in (x, w, b))]


def test_gradients_reach_arguments_weights_and_other_tensors():
    assert run(checkpoint) == run(lambda function, *args, **kwargs: function(*args, **kwargs))


@pytest.mark.parametrize("mask", [None, [], ...])
def test_arguments_that_are_no_tensors(mask):
    x = leaf(1.0, 2.0)
    seen = []
    checkpoint(lambda a, mask: seen.append(mask) or a * a, x, mask).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert seen == [mask, mask]


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (lambda y, z: {"y": y, "rest": [z, None, y]}, lambda made: (made["y"], *made["rest"][::2])),
        (lambda y, z: [z, {"y": (y, y)}], lambda made: (made[1]["y"][0], made[0], made[1]["y"][1])),
        (
            lambda y, z: Pair(y, Pair(z, 3)),
            lambda p: (p.first, p.second.first, p.first),
        ),
    ],
)
def test_structures_that_it_returns(pack, unpack):
    x = leaf(0.5)
    made = checkpoint(lambda x: pack(x.exp(), x.sin()), x)
    y, z, y_again = unpack(made)
    assert y is y_again
    assert y.grad_fn.name == z.grad_fn.name == "OutputBackward"
    (y * z).backward()
    (expected,) = tn.autograd.grad(x.exp() * x.sin(), x)
    assert x.grad.allclose(expected)


def test_second_order():
    check_gradient(lambda x, w: checkpoint(lambda x: (x * w).tanh() * x, x), (3,), (3,))
    check_gradient(lambda x: checkpoint(lambda x: checkpoint(lambda y: y.exp(), x * x), x), (3,))
    check_gradient(lambda x: checkpoint(lambda x: x.split(1), x.sin()), (3,))
    check_gradient(lambda x: checkpoint(lambda: x * x.exp()), (3,))


def test_only_the_weights_need_grad():
    w = leaf(2.0)
    checkpoint(lambda x: x * w, tn.ones(1, dtype=tn.float64)).backward()
    assert w.grad.tolist() == [1.0]


def test_grad_finds_weights_inside():
    w, x = leaf(2.0), leaf(3.0)
    y = checkpoint(lambda x: x * w * w, x)
    assert [g.tolist() for g in tn.autograd.grad(y, [w, x])] == [[12.0], [4.0]]


def test_where_nothing_needs_grad_nothing_is_kept():
    assert not checkpoint(lambda x: x * 2, tn.ones(2)).requires_grad
    with tn.no_grad():
        assert not checkpoint(lambda x: x * 2, leaf(1.0)).requires_grad


def test_the_function_runs_twice_and_keeps_no_graph():
    runs = []

    def function(x):
        runs.append(x)
        return x.exp().exp()

    x = leaf(0.5)
    y = checkpoint(function, x)
    assert y.grad_fn.edges[0].edges == (x,)
    y.backward()
    assert len(runs) == 2


def test_random_numbers_repeat():
    x = leaf(*[1.0] * 20)
    y = checkpoint(lambda x: x * tn.bernoulli(tn.full((20,), 0.5)).double(), x)
    before = tn.get_rng_state()
    y.sum().backward()
    assert tn.get_rng_state() == before
    assert x.grad.tolist() == y.tolist()


def test_random_numbers_do_not_repeat_where_it_is_not_wanted():
    x = leaf(*[1.0] * 50)
    y = checkpoint(lambda x: x * tn.rand(50, dtype=tn.float64), x, preserve_rng_state=False)
    y.sum().backward()
    assert x.grad.tolist() != y.tolist()


def test_random_numbers_of_a_checkpoint_in_a_checkpoint():
    x = leaf(*[1.0] * 20)

    def inner(x):
        return x * tn.rand(20, dtype=tn.float64)

    y = checkpoint(lambda x: checkpoint(inner, x * tn.rand(20, dtype=tn.float64)), x)
    y.sum().backward()
    assert x.grad.allclose(y)


def test_hooks_run_once():
    seen = []
    x = leaf(1.0)
    h = x * 2
    x.register_hook(lambda g: seen.append("x"))
    h.register_hook(lambda g: seen.append("h"))
    (checkpoint(lambda h: h * h, h).sum() + h.sum()).backward()
    assert seen == ["h", "x"]
    assert x.grad.tolist() == [10.0]


@pytest.mark.parametrize("use_reentrant", [True, False, None])
def test_pytorchs_choice_is_accepted(use_reentrant):
    x = leaf(1.0)
    checkpoint(lambda x: x * 2, x, use_reentrant=use_reentrant).backward()
    assert x.grad.tolist() == [2.0]


def test_retain_graph_runs_it_again():
    x = leaf(3.0)
    y = checkpoint(lambda x: x * x, x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [12.0]
    with pytest.raises(GradientError, match="RecomputedBackward saved are freed already"):
        y.backward()


def test_an_argument_changed_since_is_an_error():
    h = leaf(1.0) * 1
    y = checkpoint(lambda h: h * h, h)
    h.add_(1)
    with pytest.raises(GradientError, match="RecomputedBackward needs a tensor of shape"):
        y.backward()


def test_a_function_that_changes_its_mind_is_an_error():
    counts = iter([1, 2])
    y = checkpoint(lambda x: (x * 2,) * next(counts), leaf(1.0))
    with pytest.raises(GradientError) as caught:
        y[0].backward()
    assert str(caught.value) == (
        "checkpoint: the function gave 2 outputs with a graph run again, 1 the first time"
    )


def test_named_tuples_stay_what_they_are():
    values, indices = result = checkpoint(lambda x: x.max(0), leaf(1.0, 3.0, 2.0))
    assert type(result)._fields == ("values", "indices")
    assert (values.item(), indices.item(), indices.requires_grad) == (3.0, 1, False)
