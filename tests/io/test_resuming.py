"""Training that goes on from a file goes on as if it had never stopped."""

import copy
import inspect
import math

import pytest

import tinynet as tn
from tinynet import nn, optim
from tinynet.backends import open_backend
from tinynet.backends.opencl.discovery import list_devices
from tinynet.optim import lr_scheduler as schedules

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
    """A network with batch norm and dropout, in two groups, fed with random numbers.

    A bias before batch norm would have gradients that are rounding errors alone.
    """

    def __init__(self, name, options):
        layers = nn.Linear(4, 2, bias=False), nn.BatchNorm1d(2), nn.Dropout(0.3)
        self.model = nn.Sequential(*layers)
        first, *rest = self.model.parameters()
        groups = [{"params": [first], "lr": 0.02}, {"params": rest}]
        if name in ("LBFGS", "Muon"):  # which take one group, or matrices alone
            groups = [first]
        self.optimizer = getattr(optim, name)(groups, **{"lr": 0.01, **options})
        self.epoch = 0

    def steps(self, n, step=None):
        for _ in range(n):
            (step or self.step)(tn.randn(5, 4), tn.randn(5, 2))
            self.epoch += 1

    def step(self, x, y):
        def loss():
            self.optimizer.zero_grad()
            found = nn.functional.mse_loss(self.model(x), y)
            found.backward()
            return found

        self.optimizer.step(loss)

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


def assert_went_on(got, expected, device):
    """Both states are the same; OpenCL may fuse, and so round, otherwise."""
    if device == "cpu":
        assert plain(got) == plain(expected)
    assert got["random"] == expected["random"]
    for name, x in expected["model"].items():
        assert tn.allclose(got["model"][name], x, rtol=1e-5, atol=1e-6), name


@pytest.fixture(autouse=True)
def none_compiled(monkeypatch):
    """What is compiled after a while, or once it is on the disk, is rounded otherwise from then on.

    So all that can be interpreted is, which takes a tenth of the time too.
    """
    if list_devices():
        backend = open_backend("opencl")
        monkeypatch.setattr(backend.scheduler.planner.compiler, "patience", math.inf)
        monkeypatch.setattr(backend.device, "is_built", lambda program: False)


def test_every_optimiser_is_here():
    assert {"SGD", "Adam", "AdamW"} <= set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_resuming(tmp_path, on_device, name, options):
    path = tmp_path / "checkpoint"
    training = Training(name, options)
    training.steps(2)
    training.optimizer.param_groups[-1]["lr"] *= 1 / 3  # as a scheduler does
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
    assert_went_on(other.state(), training.state(), on_device)


SCHEDULES = {
    "StepLR": lambda kind, optimizer: kind(optimizer, 2),
    "LambdaLR": lambda kind, optimizer: kind(optimizer, lambda epoch: 0.9**epoch),
    "OneCycleLR": lambda kind, optimizer: kind(optimizer, 0.1, 8),
    "CosineAnnealingWarmRestarts": lambda kind, optimizer: kind(optimizer, 3),
    "ReduceLROnPlateau": lambda kind, optimizer: kind(optimizer, patience=0),
    "SequentialLR": lambda kind, optimizer: kind(
        optimizer,
        [schedules.LinearLR(optimizer), schedules.ExponentialLR(optimizer, 0.9)],
        milestones=[2],
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_go_on(tmp_path, name):
    def make():
        training = Training("SGD", {"momentum": 0.9})
        return training, SCHEDULES[name](getattr(schedules, name), training.optimizer)

    def run(training, schedule, n):
        rates = []
        for _ in range(n):
            training.steps(1)
            schedule.step(*[1.0] * (name == "ReduceLROnPlateau"))
            rates.append([group["lr"] for group in training.optimizer.param_groups])
        return rates

    training, schedule = make()
    run(training, schedule, 3)
    state = {**training.state(), "schedule": schedule.state_dict()}
    tn.save(state, tmp_path / "checkpoint")
    loaded = tn.load(tmp_path / "checkpoint")
    assert plain(loaded) == plain(state)
    expected = run(training, schedule, 4), plain(training.state())
    other, other_schedule = make()
    other.load(loaded)
    other_schedule.load_state_dict(loaded["schedule"])
    assert (run(other, other_schedule, 4), plain(other.state())) == expected


def test_resuming_in_recorded_steps(tmp_path, on_device):
    path = tmp_path / "checkpoint"
    training = Training("Adam", {})
    step = tn.jit(training.step)
    training.steps(3, step)
    tn.save(training.state(), path)
    training.steps(3, step)
    expected = copy.deepcopy(training.state())
    training.load(tn.load(path))  # into a network whose steps are recorded
    training.steps(3, step)
    assert_went_on(training.state(), expected, on_device)


def test_from_one_device_to_another(tmp_path, device):
    path = tmp_path / "checkpoint"
    training = Training("Adam", {})
    training.steps(2)
    tn.save(training.state(), path)
    state = tn.load(path, device)
    assert state["model"]["0.weight"].device == device
    assert state["optimizer"]["state"][0]["exp_avg"].device == device
    assert plain(state) == plain(training.state())
