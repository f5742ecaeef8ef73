"""A small network learns, on every device."""

import copy
import gc

import pytest

import tinynet as tn
from tinynet import nn


def spirals(n=60):
    """Two arms that no line parts: points (2n, 2) and labels."""
    angles = tn.linspace(0.5, 9.0, n)
    arm = tn.stack([angles * angles.cos(), angles * angles.sin()], 1) / 9
    return tn.cat([arm, -arm]), tn.cat([tn.zeros(n), tn.ones(n)]).long()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: tn.optim.Adam(p, lr=0.02),
        lambda p: tn.optim.AdamW(p, lr=0.02, weight_decay=1e-4),
        lambda p: tn.optim.SGD(p, lr=0.3, momentum=0.9, nesterov=True),
    ],
)
def test_a_network_learns_two_spirals(make, on_device):
    x, y = spirals()
    net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer, loss_of = make(net.parameters()), nn.CrossEntropyLoss()
    for _ in range(400):
        optimizer.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert (net(x).argmax(1) == y).all().item()


def test_a_run_saved_and_continued_is_the_same_run():
    def train(net, optimizer, steps):
        x, y = spirals(10)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()

    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    other = copy.deepcopy(net)
    optimizer = tn.optim.Adam(net.parameters(), lr=0.1)
    train(net, optimizer, 5)
    other.load_state_dict(net.state_dict())
    continued = tn.optim.Adam(other.parameters())
    continued.load_state_dict(optimizer.state_dict())
    train(net, optimizer, 5)
    train(other, continued, 5)
    for name, value in net.state_dict().items():
        assert other.state_dict()[name].tolist() == value.tolist()


def test_training_leaves_no_garbage():
    x, y = spirals(10)
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))
    optimizer = tn.optim.Adam(net.parameters())

    def train():
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    train()
    gc.collect()
    gc.disable()
    try:
        train()
        assert gc.collect() == 0
    finally:
        gc.enable()
