"""`backward()` and `grad()`: what they compute, what they keep, what they refuse."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ArgumentError, GradientError


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


def test_edges_join_nodes_and_leaves():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = y * y
    assert y.grad_fn.edges == (x,)
    assert z.grad_fn.edges == (y.grad_fn, y.grad_fn)
    assert (x + 1).grad_fn.edges == (x, None)
    assert repr(z.grad_fn) == "<MulBackward>"
    assert [t.is_leaf for t in (x, y)] == [True, False]


def test_what_needs_no_gradient_leaves_no_node():
    x = leaf(1.0)
    assert (tn.ones(2) * 3).grad_fn is None
    assert (x > 0).grad_fn is None
    assert x.detach().exp().grad_fn is None
    assert (x * 2).to(tn.int64).requires_grad is False


def test_a_node_saves_only_what_its_rule_will_need():
    x, w = leaf(1.0, 2.0), tn.ones(2, dtype=tn.float64)
    assert (x + w).grad_fn.saved == ()
    assert (x * w).grad_fn.saved[0] is None
    assert (w * x).grad_fn.saved[1] is None
    assert (x / w).grad_fn.saved[0] is None
    assert (x * 2.0).grad_fn.saved[0] is None
    assert (x @ w).grad_fn.edges[0].saved[0] is None


def test_gradients_accumulate_over_uses_and_calls():
    x = leaf(3.0)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [7.0]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [9.0]


def test_backward_of_a_leaf_itself():
    x = leaf(3.0)
    x.backward(tn.tensor([5.0], dtype=tn.float64))
    assert x.grad.tolist() == [5.0]


def test_backward_of_several_tensors():
    x = leaf(3.0)
    tn.autograd.backward([x * 2, (x * x).sum()], [tn.ones(1, dtype=tn.float64), None])
    assert x.grad.tolist() == [8.0]


def test_backward_with_inputs_touches_nothing_else():
    x, w = leaf(3.0), leaf(2.0)
    h = x * w
    h.exp().sum().backward(inputs=[w, h])
    assert x.grad is None
    np.testing.assert_allclose(w.grad.numpy(), 3 * np.exp(6.0))
    np.testing.assert_allclose(h.grad.numpy(), np.exp(6.0))


def test_gradient_has_its_tensors_dtype_and_shape():
    x = tn.ones(3, requires_grad=True)
    y = tn.ones(2, 3, dtype=tn.float64, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (tn.float32, (3,))
    assert (y.grad.dtype, y.grad.shape) == (tn.float64, (2, 3))


def test_seed_is_cast():
    x = tn.ones(2, requires_grad=True)
    (x * 2).backward(tn.ones(2, dtype=tn.float64))
    assert x.grad.dtype is tn.float32


def test_higher_derivatives():
    x = tn.tensor(2.0, dtype=tn.float64, requires_grad=True)
    y = x**5
    for expected in (80.0, 160.0, 240.0, 240.0, 120.0):
        (y,) = tn.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)


def test_backward_with_create_graph():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    assert x.grad.tolist() == [12.0]
    (x**3).sum().backward(create_graph=True)
    (again,) = tn.autograd.grad(x.grad.sum(), x)
    assert (x.grad.tolist(), again.tolist()) == ([24.0], [12.0])


# grad()
def test_grad_leaves_grad_alone():
    x = leaf(2.0)
    (g,) = tn.autograd.grad((x * x).sum(), x)
    assert g.tolist() == [4.0]
    assert x.grad is None


def test_grad_of_inner_tensors_and_leaves_together():
    x = leaf(2.0)
    h = x * 3
    y = (h * h).sum()
    by_x, by_h, by_y = tn.autograd.grad(y, [x, h, y])
    assert (by_x.tolist(), by_h.tolist(), by_y.item()) == ([36.0], [12.0], 1.0)


def test_grad_of_unused_inputs():
    x, unused = leaf(2.0), leaf(1.0, 1.0)
    y = (x * x).sum()
    with pytest.raises(GradientError, match="the outputs do not depend on input 1, shape"):
        tn.autograd.grad(y, [x, unused], retain_graph=True)
    _, missing = tn.autograd.grad(y, [x, unused], retain_graph=True, allow_unused=True)
    assert missing is None
    with pytest.raises(ArgumentError, match="materialize_grads allows unused inputs, got allow"):
        tn.autograd.grad(y, [x, unused], materialize_grads=True, allow_unused=False)
    with pytest.raises(ArgumentError, match="grad: inputs are empty, expected at least one"):
        tn.autograd.grad(y, [])
    _, zeros = tn.autograd.grad(y, [x, unused], materialize_grads=True)
    assert zeros.tolist() == [0.0, 0.0]


def test_grad_with_grad_outputs():
    x = leaf(1.0, 2.0)
    (g,) = tn.autograd.grad([x * 2, x * x], x, [leaf(1.0, 1.0), leaf(0.0, 3.0)])
    assert g.tolist() == [2.0, 14.0]


def test_a_seed_that_needs_grad_is_differentiated():
    x, v = leaf(1.0, 2.0), leaf(3.0, 5.0)
    (g,) = tn.autograd.grad(x * x, x, v, create_graph=True)
    (by_v,) = tn.autograd.grad(g.sum(), v)
    assert by_v.tolist() == [2.0, 4.0]


def test_grad_runs_only_what_leads_to_its_inputs():
    called = []
    x, w = leaf(2.0), leaf(3.0)
    side = w * 2
    side.register_hook(lambda g: called.append("side"))
    tn.autograd.grad((x * side).sum(), x)
    assert called == []


def test_a_failed_walk_does_not_spoil_the_next():
    x, w = leaf(2.0), leaf(3.0)
    y = (x * w).sum()
    product = y.grad_fn.edges[0]
    failing = type("Failing", (), {"backward": staticmethod(lambda ctx, grad: 1 / 0)})
    kept, product.function = product.function, failing
    with pytest.raises(ZeroDivisionError):
        tn.autograd.grad(y, x, retain_graph=True)
    product.function = kept
    y.backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([3.0], [2.0])


# What may be used again
def test_second_backward():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]
    with pytest.raises(GradientError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward: the values MulBackward saved are freed already; "
        "pass retain_graph=True to the first backward to run a second one"
    )


def test_second_backward_where_the_output_was_saved():
    y = leaf(2.0).exp().sum()
    y.backward()
    with pytest.raises(GradientError, match="ExpBackward saved are freed already"):
        y.backward()


def test_second_backward_is_fine_where_nothing_was_saved():
    x = leaf(2.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2.0]


# .grad is nobody else's memory
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a.view(2, 1).view(2) + b * 1,
        lambda a, b: a.T.T + b.expand(2, 2)[0],
        lambda a, b: tn.cat([a, b]).split(2)[0] + a.clone() + b,
        lambda a, b: tn.where(tn.tensor([True, False]), a, b),
        lambda a, b: a.to(tn.float32).to(tn.float64) + b.reshape(2),
        lambda a, b: tn.autograd.checkpoint(lambda a: a + 0, a) + b,
        lambda a, b: a * 1 + a + b,
    ],
)
def test_grads_share_no_memory(function):
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = tn.ones(2, dtype=tn.float64)
    y = function(a, b)
    y.retain_grad()
    seen = []
    y.register_hook(seen.append)
    a.register_hook(seen.append)
    y.backward(seed)
    grads = [a.grad, b.grad, y.grad]
    arrays = [x.numpy() for x in (seed, a.detach(), b.detach(), *seen, *grads)]
    for grad in grads:
        assert sum(np.shares_memory(grad.numpy(), other) for other in arrays) == 1


def test_users_function_that_returns_one_tensor_again_and_again():
    kept = tn.ones(1, dtype=tn.float64)

    class Constant(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, grad):
            return kept, kept

    x, y = leaf(1.0), leaf(2.0)
    for _ in range(2):
        Constant.apply(x, y).sum().backward()
    assert kept.tolist() == [1.0]
    assert x.grad.tolist() == y.grad.tolist() == [2.0]


# Errors
ERRORS = {
    "backward: a gradient can start only from a single number, got shape (2,); reduce it, or pass "
    "the gradient to start from": lambda x: (x * 2).backward(),
    "backward: the gradient passed has shape (3,), the tensor (2,)": lambda x: (x * 2).backward(
        tn.ones(3)
    ),
    "backward: gradients must be tensors, got float": lambda x: (x * 2).backward(1.0),
    "backward: a tensor of shape (2,) does not require grad and has no graph": lambda x: (
        x.detach().backward(tn.ones(2))
    ),
    "backward: 1 outputs but 2 gradients": lambda x: tn.autograd.backward(
        [x.sum()], [tn.ones(1), None]
    ),
    "grad: a tensor of shape (2,) does not require grad and has no graph": lambda x: (
        tn.autograd.grad(x.sum(), tn.ones(2))
    ),
    "grad: expected tensors, got int": lambda x: tn.autograd.grad(x.sum(), 3),
    "register_hook: a tensor of shape (2,) does not require grad and has no graph": lambda x: (
        x.detach().register_hook(print)
    ),
    "retain_grad: a tensor of shape (2,) does not require grad and has no graph": lambda x: (
        x.detach().retain_grad()
    ),
    "requires_grad_: only floats have gradients, got tinynet.int64": lambda x: tn.arange(
        3
    ).requires_grad_(),
    "requires_grad_: only a leaf can stop requiring grad, use detach() or no_grad()": lambda x: (
        x * 2
    ).requires_grad_(False),
    "detach_: a view cannot be cut off in place, use detach()": lambda x: x[:1].detach_(),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(tn.errors.TinynetError) as caught:
        ERRORS[message](leaf(1.0, 2.0))
    assert str(caught.value) == message
