"""Steps with pools, recorded: the same as without jit."""

import numpy as np

import tinynet as tn
from tinynet import nn

F = nn.functional


def network(seed):
    """Pools of all kinds between linear maps of single places."""
    tn.manual_seed(seed)
    return nn.Sequential(
        nn.MaxPool2d(2), nn.Linear(6, 9), nn.MaxPool2d(3, 2, 1), nn.ReLU(), nn.AvgPool2d(2, 1),
        nn.AdaptiveMaxPool2d(3), nn.AvgPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def step(layers, optimiser, x, y):
    loss = F.mse_loss(layers(x), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


def same(got, expected):
    """Equal but for the last bits: a recording fuses more into one kernel."""
    np.testing.assert_allclose(got.numpy(force=True), expected.numpy(force=True), 1e-5, 1e-6)


def test_a_step_with_pools():
    losses, weights = [], []
    for compile in (lambda function: function, tn.jit):
        layers = network(1)
        optimiser = tn.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9)
        run = compile(lambda x, y: step(layers, optimiser, x, y))
        tn.manual_seed(2)
        batches = [(tn.randn(4, 3, 14, 12), tn.randn(4, 3)) for _ in range(6)]
        losses.append(tn.stack([run(x, y) for x, y in batches]))
        weights.append([*layers.parameters()])
    same(losses[1], losses[0])
    for got, expected in zip(weights[1], weights[0], strict=True):
        same(got, expected)


def test_gradients_of_the_input():
    def gradients(x, weight):
        x = x.detach().requires_grad_()
        y = F.max_pool2d(x * weight, 3, 2, 1) * F.avg_pool2d(x, 3, 2, 1, ceil_mode=False)
        (grad,) = tn.autograd.grad((y * y).sum(), [x], create_graph=True)
        (second,) = tn.autograd.grad((grad * grad).sum(), [x])
        return grad, second

    jitted = tn.jit(gradients)
    for seed in range(4):
        tn.manual_seed(seed)
        x, weight = tn.randn(2, 3, 7, 8), tn.randn(3, 1, 1)
        for got, expected in zip(jitted(x, weight), gradients(x, weight), strict=True):
            same(got, expected)


def test_indices_and_unpooling():
    def restored(x):
        y, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        return F.max_unpool2d(y, indices, 3, 2, 1, x.shape), indices

    jitted = tn.jit(restored)
    for seed in range(4):
        tn.manual_seed(seed)
        x = tn.randn(2, 3, 7, 9)
        for got, expected in zip(jitted(x), restored(x), strict=True):
            assert got.tolist() == expected.tolist()


def test_columns():
    def smooth(x):
        columns = F.unfold(x, 3, padding=1)
        return F.fold(columns * 0.5, (6, 5), 3, padding=1)

    jitted = tn.jit(smooth)
    for seed in range(4):
        tn.manual_seed(seed)
        x = tn.randn(2, 3, 6, 5)
        assert jitted(x).tolist() == smooth(x).tolist()


def test_results_are_not_overwritten_by_the_next_replay():
    pool = tn.jit(lambda x: F.max_pool2d(x, 2, return_indices=True))
    inputs = [tn.arange(32.0).reshape(2, 1, 4, 4).roll(n, -1) for n in range(5)]
    results = [pool(x) for x in inputs]
    for x, (y, indices) in zip(inputs, results, strict=True):
        expected = F.max_pool2d(x, 2, return_indices=True)
        assert y.tolist() == expected[0].tolist()
        assert indices.tolist() == expected[1].tolist()
