"""Nothing forms a reference cycle, graphs die with their last tensor, and depth is no problem."""

import gc
import sys
import weakref

import pytest

import tinynet as tn


@pytest.fixture(autouse=True)
def no_collector():
    """The garbage collector off: only reference counts free anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Twice(tn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x * 2
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        assert len(ctx.saved_tensors) == 2
        return grad * 2


class MinMax(tn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(low := x.amin(), high := x.amax())
        return low, high

    @staticmethod
    def backward(ctx, low_grad, high_grad):
        low, high = ctx.saved_tensors
        return (low_grad * low + high_grad * high).expand(2, 3)


class InPlace(tn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def written_through_views(x):
    y = x * 2
    view, other = y[0], y.T[1:]
    view.mul_(3)
    other.add_(view.sum())
    y[1:] = view.exp()
    return y + view


def hooked(x):
    y = x * 2
    y.register_hook(lambda grad: grad * 2)
    y.retain_grad()
    y.mul_(2)
    return y * y


PROGRAMS = {
    "arithmetic": lambda x: (x * x + x.exp() / 3).tanh(),
    "saved outputs": lambda x: x.sigmoid().sqrt().relu().softmax(-1),
    "views": lambda x: x.T.reshape(-1)[::2].unsqueeze(0).expand(2, 3),
    "split": lambda x: x.split(1, 1)[0] * x.unbind()[1].sum() + x.chunk(3, 1)[2],
    "matmul": lambda x: x @ x.T,
    "reductions": lambda x: x.sum(0) * x.mean() + x.max(0).values.var() + x.prod(0).std(),
    "indexing": lambda x: x[:, [0, 2]] * x.gather(1, tn.tensor([[0, 1], [1, 1]])),
    "sorting": lambda x: x.sort().values.cumsum(1) + x.topk(1).values,
    "in place": lambda x: (x * 1).mul_(2).exp_().add_(x).clamp_(-1, 1),
    "written through views": written_through_views,
    "user function": Twice.apply,
    "user function, several": lambda x: MinMax.apply(x)[0] * MinMax.apply(x)[1],
    "user function, in place": lambda x: InPlace.apply(x * 1),
    "hooks": hooked,
    "checkpoint": lambda x: tn.autograd.checkpoint(lambda x: (x * x).exp(), x),
    "checkpoint, several": lambda x: tn.autograd.checkpoint(lambda x: x.split(1), x)[0],
    "linalg": lambda x: tn.linalg.svd(x @ x.T + 1).S.sum() * tn.linalg.inv(x[:, :2]),
    "linalg qr": lambda x: tn.linalg.qr(x).R,
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_del_frees_the_graph(name, order):
    x = tn.randn(2, 3, requires_grad=True)
    y = PROGRAMS[name](x)
    loss = y.sum()
    if order == 1:
        loss.backward()
    if order == 2:
        (grad,) = tn.autograd.grad(loss, x, create_graph=True)
        if grad.requires_grad:
            grad.sum().backward()
        del grad
    nodes, stack = [], [loss.grad_fn]
    while stack:
        node = stack.pop()
        nodes.append(weakref.ref(node))
        stack.extend(edge for edge in node.edges if edge is not None and edge is not x)
    tensors = [weakref.ref(t) for t in (y, loss)]
    del node, stack, y, loss
    assert [r for r in nodes + tensors if r() is not None] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_objects_pile_up(name):
    """No more objects after 40 rounds than after 20, with backward or without it."""
    x = tn.randn(2, 3, requires_grad=True)

    def count(rounds):
        for i in range(rounds):
            loss = PROGRAMS[name](x).sum()
            if i % 2:
                loss.backward()
                x.grad = None
        del loss
        return len(gc.get_objects())

    count(10)  # what is made once
    before = count(10)
    assert count(20) <= before


def test_memory_is_flat_over_2000_training_steps():
    """Live objects at once, blocks of memory once the allocators' caches are full."""
    weights = [tn.randn(4, 5, requires_grad=True), tn.zeros(5, requires_grad=True)]
    x, y = tn.randn(8, 4), tn.randn(8, 5)

    def train(steps):
        for _ in range(steps):
            for w in weights:
                w.grad = None
            loss = (((x @ weights[0] + weights[1]).relu() - y) ** 2).mean()
            loss.backward()
            with tn.no_grad():
                for w in weights:
                    w.sub_(w.grad * 0.01)
        return len(gc.get_objects()), sys.getallocatedblocks()

    objects, _ = train(100)
    later_objects, blocks = train(2900)
    assert later_objects == objects
    assert train(2000)[1] - blocks < 50


def test_activations_die_before_backward_ends():
    x = tn.ones(3, requires_grad=True)
    h = x.exp()
    gone = weakref.ref(h)
    loss = (h + 1).sum()
    del h
    assert gone() is None
    loss.backward()
    assert loss.grad_fn.edges[0].edges[0].output_array is None


def test_backward_frees_saved_values():
    x = tn.ones(3, requires_grad=True)
    w = tn.ones(3) * 2
    gone = weakref.ref(w)
    loss = (x * w).sum()
    del w
    assert gone() is not None
    loss.backward()
    assert gone() is None


def test_deep_chain_forward_backward_and_double_backward():
    x = tn.tensor(1.0, dtype=tn.float64, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0001
    (g,) = tn.autograd.grad(y, x, create_graph=True)
    assert g.item() == pytest.approx(1.0001**20_000)
    y = x
    for _ in range(10_000):
        y = y.sin()
    (g,) = tn.autograd.grad(y, x, create_graph=True)
    (second,) = tn.autograd.grad(g, x)
    assert second.item() < 0 < g.item() < 1


@pytest.mark.parametrize(
    "step",
    [
        lambda y: y + 1,
        lambda y: y.view(1),
        lambda y: Twice.apply(y),
        lambda y: y.split(1)[0],
        lambda y: y.add_(1),
    ],
)
def test_freeing_a_deep_chain(step):
    y = tn.ones(1, requires_grad=True) + 0
    for _ in range(30_000):
        y = step(y)
    node = weakref.ref(y.grad_fn.edges[0])
    del y
    assert node() is None


def test_freeing_a_chain_of_100_000():
    y = tn.ones((), requires_grad=True)
    for _ in range(100_000):
        y = -y
    y.backward()
    del y
