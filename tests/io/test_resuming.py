"""Training that goes on from a file goes on as if it had never stopped."""

import inspect

import pytest

import tinynet as tn
from tinynet import nn, optim

OPTIMIZERS = [
    name
    for name, kind in vars(optim).items()
    if inspect.isclass(kind) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer
]
OPTIONS = {
    "SGD": [{"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "dampening": 0.1}],
    "Adam": [{"amsgrad": True, "weight_decay": 0.1}],
}
CASES = [(name, more) for name in OPTIMIZERS for more in [{}, *OPTIONS.get(name, [])]]


class Training:
    """A network with batch norm and dropout, in two groups, fed with random numbers."""

    def __init__(self, name, options):
        self.model = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Dropout(0.3))
        first, *rest = self.model.parameters()
        groups = [{"params": [first], "lr": 0.02}, {"params": rest}]
        self.optimizer = getattr(optim, name)(groups, **{"lr": 0.01, **options})
        self.epoch = 0

    def steps(self, n, step=None):
        for _ in range(n):
            (step or self.step)(tn.randn(5, 4), tn.randn(5, 2))
            self.epoch += 1

    def step(self, x, y):
        self.optimizer.zero_grad()
        nn.functional.mse_loss(self.model(x), y).backward()
        self.optimizer.step()

    def state(self):
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "random": tn.get_rng_state(), "epoch": self.epoch,
        }  # fmt: skip

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        tn.set_rng_state(state["random"])
        self.epoch = state["epoch"]


def plain(value):
    """`value` with numbers for tensors, to compare."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return (value.tolist(), value.dtype) if isinstance(value, tn.Tensor) else value


def test_every_optimiser_is_here():
    assert {"SGD", "Adam", "AdamW"} <= set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_resuming(tmp_path, on_device, name, options):
    path = tmp_path / "checkpoint"
    training = Training(name, options)
    training.steps(2)
    training.optimizer.param_groups[1]["lr"] *= 1 / 3  # as a scheduler does
    tn.save(training.state(), path)
    saved = plain(training.state())
    assert plain(tn.load(path)) == saved
    training.steps(2)

    tn.manual_seed(123)
    other = Training(name, options)
    other.steps(1)
    other.load(tn.load(path))
    assert plain(other.state()) == saved
    other.steps(2)
    assert plain(other.state()) == plain(training.state())


def test_resuming_in_recorded_steps(tmp_path, on_device):
    path = tmp_path / "checkpoint"
    training = Training("Adam", {})
    step = tn.jit(training.step)
    training.steps(3, step)
    tn.save(training.state(), path)
    training.steps(3, step)
    expected = plain(training.state())
    training.load(tn.load(path))  # into a network whose steps are recorded
    training.steps(3, step)
    assert plain(training.state()) == expected


def test_from_one_device_to_another(tmp_path, device):
    path = tmp_path / "checkpoint"
    training = Training("Adam", {})
    training.steps(2)
    tn.save(training.state(), path)
    state = tn.load(path, device)
    assert state["model"]["0.weight"].device == device
    assert state["optimizer"]["state"][0]["exp_avg"].device == device
    assert plain(state) == plain(training.state())
