"""What recorded functions read of tinynet's own objects, and what they make and throw away."""

import collections
import copy
import dataclasses
import functools
import gc
import json
import math
import operator
import pickle
import types
import warnings
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.optim import lr_scheduler


def results(make, calls=6):
    """What a function gives when it is called again and again, with a change after each call."""
    function, change = make()
    given = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is recorded at each call
        for i in range(calls):
            given.append(function(tn.arange(3.0)).tolist())
            change(i)
    return given


def assert_alike(make):
    """Check that `make(tn.jit)` gives what `make` does without recording."""
    plain = results(lambda: make(lambda function: function))
    np.testing.assert_allclose(results(lambda: make(tn.jit)), plain, rtol=1e-6)


def optimizer_of(weight):
    return tn.optim.SGD([weight], lr=0.1)


def stepped(schedule):
    def change(i):
        schedule.optimizer.step()
        schedule.step()

    return change


@pytest.mark.parametrize("read", [lambda s: s.get_last_lr()[0], lambda s: s.last_epoch])
def test_schedules(on_device, read):
    def make(jit):
        schedule = lr_scheduler.StepLR(optimizer_of(tn.ones(3, requires_grad=True)), 2)
        return jit(lambda x: x * read(schedule)), stepped(schedule)

    assert_alike(make)


def test_a_schedule_that_is_reached_and_not_read_is_no_condition(on_device):
    weight = tn.ones(3, requires_grad=True)

    class Trainer:
        def __init__(self):
            self.optimizer = optimizer_of(weight)
            self.schedule = lr_scheduler.StepLR(self.optimizer, 2)

        def step(self, x):
            self.optimizer.zero_grad()
            (weight * x).sum().backward()
            self.optimizer.step()
            return x if self.schedule is None else weight.detach()

    trainer = Trainer()
    step = tn.jit(trainer.step)
    for _ in range(6):
        step(tn.ones(3))
        trainer.schedule.step()
    assert step.count == 1


def test_the_best_of_a_plateau_and_defaults(on_device):
    def make_best(jit):
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer_of(tn.ones(3, requires_grad=True)))
        return jit(lambda x: x * schedule.best), lambda i: schedule.step(10.0 - i)

    def make_defaults(jit):
        optimizer = optimizer_of(tn.ones(3, requires_grad=True))
        return jit(lambda x: x * optimizer.defaults["lr"]), (
            lambda i: optimizer.defaults.update(lr=float(i // 2))
        )

    assert_alike(make_best)
    assert_alike(make_defaults)


def test_what_users_put_on_an_optimizer(on_device):
    def make(jit):
        optimizer = optimizer_of(tn.ones(3, requires_grad=True))
        optimizer.calls, optimizer.scale = 0, 1.0

        def function(x):
            optimizer.calls += 1
            return x * optimizer.scale + optimizer.calls

        return jit(function), lambda i: setattr(optimizer, "scale", float(i // 3))

    assert_alike(make)


@pytest.mark.parametrize(
    "factors", [[0.1, 0.2], np.array([0.1, 0.2]), [np.float64(0.1)], {0: 0.1}, ([0.1],), [[0.1]]],
    ids=["list", "array", "numpy", "dict", "tuple", "nested"],
)  # fmt: skip
def test_options_that_are_changed_in_place(on_device, factors):
    def make(record):
        weight = tn.full((3,), 8.0, requires_grad=True)
        optimizer = tn.optim.SGD([weight], lr=0.1)
        group = optimizer.param_groups[0]
        group["factors"] = given = copy.deepcopy(factors)
        is_nested = isinstance(given[0], list)

        def step(x):
            first = group["factors"][0]
            weight.data.mul_(float(first[0] if is_nested else first))
            return weight * x

        target = given[0] if is_nested else given
        return record(step), lambda i: operator.setitem(target, 0, type(target[0])(0.1 + (i > 2)))

    assert_alike(make)


def test_steps_without_state_ask_little(on_device):
    weight = tn.ones(1, requires_grad=True)
    optimizer = tn.optim.SGD([weight], lr=0.1)

    @tn.jit
    def step(x):
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(tn.ones(1))
    assert step.last.script.is_unchanged()


def test_conditions_on_nan_hold(on_device):
    weight = tn.ones(1, requires_grad=True)
    optimizer = tn.optim.SGD([weight], lr=0.1)
    optimizer.param_groups[0]["lowest"] = math.nan

    @tn.jit
    def step(x):
        return x * len(str(optimizer.param_groups[0]["lowest"]))

    for _ in range(4):
        assert step(tn.ones(1)).item() == 3
    assert step.count == 1


def test_what_users_put_on_the_recorded_function(on_device):
    def make(jit):
        @jit
        def function(x):
            function.calls += 1
            return x * function.calls + function.scale

        function.calls, function.scale = 0, 1.0
        return function, lambda i: setattr(function, "scale", float(i // 3))

    def make_setting(jit):
        @jit
        def function(x):
            return x * function.count_of_users

        function.count_of_users = 1
        return function, lambda i: None

    assert_alike(make)
    assert_alike(make_setting)


def test_optimizers_that_are_made_inside(on_device):
    """They are gone when the next ones are made, often at the same address."""

    def make(jit):
        weight = tn.ones(3, requires_grad=True)

        @jit
        def function(x):
            for i in range(4):
                inner = tn.optim.SGD([{"params": [weight], "lr": 0.1 * (i + 1)}], lr=0.1)
                for _ in range(2):
                    weight.grad = x * 1
                    inner.step()
                    inner.param_groups[0]["lr"] *= 0.5
                del inner
            return weight.detach().clone()

        return function, lambda i: None

    assert_alike(make)


@pytest.mark.parametrize(
    "optimizer", [tn.optim.SGD, functools.partial(tn.optim.SGD, momentum=0.9), tn.optim.Adam]
)
def test_weights_that_are_made_and_trained_inside(on_device, optimizer):
    def make(jit):
        weight = tn.ones(3, requires_grad=True)

        @jit
        def adapted(x):
            fast = weight.detach().clone().requires_grad_()
            inner = optimizer([fast], lr=0.1)
            for _ in range(2):
                inner.zero_grad()
                (fast * x).square().sum().backward()
                inner.step()
            return fast.detach()

        return adapted, lambda i: None

    assert_alike(make)


def test_many_optimizers_made_inside_leave_nothing(on_device):
    weight = tn.ones(3, requires_grad=True)

    @tn.jit
    def function(x):
        for _ in range(6):
            inner = tn.optim.Adam([weight], lr=0.1)
            for _ in range(2):
                inner.zero_grad()
                (weight * x).square().sum().backward()
                inner.step()

    for _ in range(4):
        function(tn.ones(3))
    assert function.count == 1


# numbers that stay
def test_a_rate_that_is_left_in_an_attribute_is_plain(on_device):
    optimizer = optimizer_of(tn.ones(3, requires_grad=True))
    held = types.SimpleNamespace(lr=0.0)

    @tn.jit
    def function(x):
        held.lr = optimizer.param_groups[0]["lr"]
        return x * held.lr

    for i in range(5):
        optimizer.param_groups[0]["lr"] = 0.1 * (i // 2)
        function(tn.ones(3))
        assert (held.lr, type(held.lr)) == (0.1 * (i // 2), float)


def test_a_rate_that_is_left_elsewhere_is_like_a_float(on_device):
    optimizer, log = optimizer_of(tn.ones(3, requires_grad=True)), []

    @tn.jit
    def function(x):
        log.append(optimizer.param_groups[0]["lr"] * 2)
        return x.sum()

    for _ in range(3):
        function(tn.ones(3))
    steps, left = len(function.last.script.steps), log[-1]
    assert isinstance(left, float)
    assert (left + 1, 1 - left, -left, left < 0.5, bool(left), round(left, 1)) == (
        1.2, 0.8, -0.2, True, True, 0.2,
    )  # fmt: skip
    assert json.dumps(float(left)) == "0.2"
    assert type(pickle.loads(pickle.dumps(left))) is float
    assert copy.deepcopy([left]) == [0.2]
    assert np.array([left, 1.0]).dtype == np.float64
    assert type(sum([left, left])) is float
    assert len(function.last.script.steps) == steps
    optimizer.param_groups[0]["lr"] = left
    assert type(optimizer.param_groups[0]["lr"]) is float


@pytest.mark.parametrize(
    "use",
    [
        lambda lr, x: x * (2 if isinstance(lr, float) else 3),
        lambda lr, x: x * np.exp(-lr),
        lambda lr, x: x * np.maximum(lr, 0.25),
        lambda lr, x: x * (np.float64(2) * lr),
        lambda lr, x: x * float(np.sum([lr, 1.0])),
        lambda lr, x: x * float(np.array(lr)),
        lambda lr, x: x * lr.real,
        lambda lr, x: x * math.prod(lr.as_integer_ratio()),
        lambda lr, x: tn.linalg.vector_norm(x, lr + 1),
    ],
)
def test_rates_in_other_hands(on_device, use):
    def make(jit):
        optimizer = optimizer_of(tn.ones(3, requires_grad=True))
        group = optimizer.param_groups[0]
        return jit(lambda x: use(group["lr"], x)), lambda i: group.update(lr=0.25 * (i // 2 + 1))

    assert_alike(make)


def test_numpys_functions_of_rates_are_recorded_once(on_device):
    group = optimizer_of(tn.ones(3, requires_grad=True)).param_groups[0]
    function = tn.jit(lambda x: x * np.exp(-group["lr"]))
    for i in range(5):
        group["lr"] = 0.1 * i
        assert function(tn.ones(1)).item() == pytest.approx(math.exp(-0.1 * i))
    assert function.count == 1


@pytest.mark.parametrize("leave", ["item", "tuple", "nested", "deque"])
def test_rates_that_are_left_in_what_was_there(on_device, leave):
    """Two equal rates in a row are no sign that it stays so."""

    def make(jit):
        group = optimizer_of(tn.ones(3, requires_grad=True)).param_groups[0]
        held = types.SimpleNamespace(
            item=[0.0], tuple=(0.0,), nested={"a": [0.0]}, deque=collections.deque([0.0], 1)
        )

        def function(x):
            if leave == "item":
                before, held.item[0] = held.item[0], group["lr"]
            elif leave == "tuple":
                (before,), held.tuple = held.tuple, (group["lr"],)
            elif leave == "nested":
                before, held.nested["a"][0] = held.nested["a"][0], group["lr"]
            else:
                before = held.deque[0]
                held.deque.append(group["lr"])
            return x * before

        return jit(function), lambda i: group.update(lr=0.25 * (1 + i // 2))

    assert_alike(make)


def test_a_rate_that_is_left_keeps_nothing_alive(on_device):
    log = []

    def train():
        model = nn.Linear(3, 1)
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

        @tn.jit
        def step(x):
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
            log.append(optimizer.param_groups[0]["lr"])

        for _ in range(3):
            step(tn.ones(3))
        return weakref.ref(model.weight)

    weight = train()
    gc.collect()
    assert weight() is None
    assert json.dumps(log) == "[0.1, 0.1]"


def test_rates_from_another_recording(on_device):
    group, log = optimizer_of(tn.ones(3, requires_grad=True)).param_groups[0], []

    @tn.jit
    def leaving(x):
        log.append(group["lr"] * 2)
        raise KeyError("here")

    for _ in range(2):
        with pytest.raises(KeyError):
            leaving(tn.ones(1))
    left = log[-1]
    group["lr"] = 0.25
    scaled = tn.jit(lambda x, s: x * s + x * (group["lr"] * 1000))
    around = tn.jit(lambda x: x.clone().mul_(left) + x * group["lr"])
    assert [scaled(tn.ones(1), left).item() for _ in range(4)] == [pytest.approx(250.2)] * 4
    assert [around(tn.ones(1)).item() for _ in range(4)] == [pytest.approx(0.45)] * 4
    numbers = tn.optim.SGD([{"params": [tn.ones(1, requires_grad=True)], "lr": left}]).param_groups
    assert type(numbers[0]["lr"]) is float


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_rates_of_numpys_types(on_device, kind):
    def make(jit):
        weight = tn.ones(3, requires_grad=True)
        optimizer = optimizer_of(weight)

        def function(x):
            optimizer.zero_grad()
            (weight * x).sum().backward()
            optimizer.step()
            return weight.detach().clone()

        change = optimizer.param_groups[0].update
        return jit(function), lambda i: change(lr=kind(0.1 * (i + 1)))

    assert_alike(make)


def test_the_text_of_a_rate(on_device):
    def make(jit):
        group = optimizer_of(tn.ones(3, requires_grad=True)).param_groups[0]
        function = jit(lambda x: x * float(repr(group["lr"])) * float(f"{[group['lr']]}"[1:-1]))
        return function, lambda i: group.update(lr=0.25 * (i + 1))

    assert_alike(make)


def test_errors_of_arithmetic_that_a_function_catches(on_device):
    def make(jit):
        group = optimizer_of(tn.ones(3, requires_grad=True)).param_groups[0]

        def function(x):
            try:
                return x / (1 / (group["lr"] - 0.5))
            except ZeroDivisionError:
                return x

        return jit(function), lambda i: group.update(lr=0.25 * (i % 3))

    assert_alike(make)


@pytest.mark.parametrize(
    "pair",
    [
        lambda step, group: (step, [1, 2]),
        lambda step, group: (step, slice(0, 2)),
        lambda step, group: (step, (group["lr"], 2)),
        lambda step, group: [group["lr"]],
        lambda step, group: {"lr": group["lr"]},
    ],
)
def test_what_optimizers_of_users_store(on_device, pair):
    class Storing(tn.optim.Optimizer):
        def update(self, parameter, grad, state, group):
            state["step"] = state.get("step", 0) + 1
            state["pair"] = pair(state["step"], group)
            parameter.sub_(grad * group["lr"])

    stored = []
    for jit in (lambda function: function, tn.jit):
        weight = tn.ones(3, requires_grad=True)
        optimizer = Storing([weight], {"lr": 0.25})

        @jit
        def step(x, weight=weight, optimizer=optimizer):
            optimizer.zero_grad()
            (weight * x).sum().backward()
            optimizer.step()

        for i in range(5):
            optimizer.param_groups[0]["lr"] = 0.25 * (1 + i)
            step(tn.ones(3))
        stored.append((dict(optimizer.state[weight]), weight.tolist()))
    assert stored[0] == stored[1]


# names that coincide
def test_a_log_beside_functions_of_its_name(on_device):
    log, history = [], {"lr": []}
    held = types.SimpleNamespace(log=log, history=history)

    @tn.jit
    def step(x):
        log.append(1)
        held.log.append(1)
        held.history["lr"].append(1)
        return tn.log(x.exp()).sum() + x.exp().log().sum() + math.log(2)

    for _ in range(6):
        step(tn.ones(3))
    assert step.count == 1


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, target: (output - target).square().mean(),
        nn.functional.mse_loss,
    ],
)
def test_training_with_a_loss_of_ones_own_is_recorded_once(on_device, loss):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.samples, self.batches = 2, 1

        def forward(self, x):
            return sum(self.linear(x) for _ in range(self.samples)) / self.batches

    data = tn.data.TensorDataset(tn.rand(64, 4), tn.rand(64, 1))
    model = Model()
    trainer = tn.train.Trainer(
        model,
        tn.data.DataLoader(data, batch_size=8),
        loss,
        tn.optim.SGD(model.parameters(), lr=0.1),
        progress=False,
    )
    trainer.fit(2)
    assert trainer.steps.recorded_update.count == 1


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
@pytest.mark.parametrize(
    "optimizer",
    [tn.optim.SGD, functools.partial(tn.optim.Adam, eps=1e-3)],
    ids=["sgd", "adam"],
)
def test_steps_in_half_precision_are_recorded_once(on_device, dtype, optimizer):
    losses = []
    for jit in (lambda function: function, tn.jit):
        tn.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Softplus(), nn.Linear(16, 4)).to(dtype)
        stepped_by, x = optimizer(model.parameters(), lr=0.01), tn.rand(32, 8).to(dtype)

        @jit
        def step(x, model=model, optimizer=stepped_by):
            optimizer.zero_grad()
            loss = (model(x) * optimizer.param_groups[0]["lr"]).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        for i in range(6):
            stepped_by.param_groups[0]["lr"] = 0.01 * (1 + i % 3)
            losses.append(step(x).item())
    assert losses[:6] == losses[6:]
    assert step.count == 1


# gradients that are there, or not
def test_a_gradient_that_is_gone_is_no_gradient(on_device):
    model = nn.Linear(3, 1)

    def function(x):
        return x.sum() + sum(p.grad is not None for p in model.parameters())

    recorded = tn.jit(function)
    for i in range(5):
        model.zero_grad()
        if i < 2:
            model(tn.ones(3)).sum().backward()
        assert recorded(tn.ones(3)).item() == function(tn.ones(3)).item()


@dataclasses.dataclass
class State:
    is_odd: bool = False
    calls: int = 0


def test_dataclasses_that_are_arguments_and_change(on_device):
    def function(x, state):
        state.is_odd = not state.is_odd
        return x * (2 if state.is_odd else 3)

    recorded, states = tn.jit(function), (State(), State())
    for _ in range(8):
        given = [f(tn.ones(1), s).item() for f, s in zip((function, recorded), states, strict=True)]
        assert given[0] == given[1]
        assert states[0] == states[1]


def test_lists_that_are_arguments_and_change(on_device):
    def function(x, flags):
        flags[0] = 1 - flags[0]
        return x * (2 + flags[0])

    recorded, flags = tn.jit(function), ([0], [0])
    for _ in range(8):
        given = [f(tn.ones(1), s).item() for f, s in zip((function, recorded), flags, strict=True)]
        assert given[0] == given[1]
        assert flags[0] == flags[1]
