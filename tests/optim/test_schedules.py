"""Schedules of learning rates by their formulas, in and outside of tinynet.jit."""

import copy
import math
import pickle
import sys

import pytest

import tinynet as tn
from tinynet import nn, viz
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    MissingDependencyError,
    RecordingError,
    StateError,
)
from tinynet.optim import SGD, Adam
from tinynet.optim import lr_scheduler as schedules


def make_optimizer(lr=1.0, n=1, make=SGD, **options):
    groups = [{"params": [tn.ones(2, requires_grad=True)], "lr": lr / 2**i} for i in range(n)]
    return make(groups, **options)


def half(epoch):
    return 0.5**epoch


def triangle(low, high, up, t):
    t %= 2 * up
    return low + (high - low) * (t if t <= up else 2 * up - t) / up


def annealed(start, end, part):
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def sequential(optimizer):
    parts = [schedules.ConstantLR(optimizer, 0.25), schedules.ExponentialLR(optimizer, 0.5)]
    return schedules.SequentialLR(optimizer, parts, [3])


def chained(optimizer):
    parts = [schedules.LinearLR(optimizer, 0.25, 1, 4), schedules.ExponentialLR(optimizer, 0.9)]
    return schedules.ChainedScheduler(parts)


# How to make one, and the rate at step t when the optimiser's is 1.
FORMULAS = {
    "LambdaLR": (lambda o: schedules.LambdaLR(o, half), half),
    "MultiplicativeLR": (
        lambda o: schedules.MultiplicativeLR(o, lambda t: t / (t + 1)), lambda t: 1 / (t + 1)
    ),
    "StepLR": (lambda o: schedules.StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
    "MultiStepLR": (
        lambda o: schedules.MultiStepLR(o, [2, 5, 5], 0.5),
        lambda t: 0.5 ** ((t >= 2) + 2 * (t >= 5)),
    ),
    "ConstantLR": (
        lambda o: schedules.ConstantLR(o, 0.2, 4), lambda t: 0.2 if t < 4 else 1
    ),
    "ConstantLR from 0": (
        lambda o: schedules.ConstantLR(o, 0.0, 4), lambda t: 0 if t < 4 else 1
    ),
    "LinearLR": (
        lambda o: schedules.LinearLR(o, 0.1, 0.7, 6), lambda t: 0.1 + 0.1 * min(t, 6)
    ),
    "ExponentialLR": (lambda o: schedules.ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "PolynomialLR": (
        lambda o: schedules.PolynomialLR(o, 8, 2.0), lambda t: (1 - min(t, 8) / 8) ** 2
    ),
    "CosineAnnealingLR": (
        lambda o: schedules.CosineAnnealingLR(o, 4, 0.1), lambda t: annealed(1, 0.1, t / 4)
    ),
    "InverseTimeLR": (lambda o: schedules.InverseTimeLR(o, 0.5), lambda t: 1 / (1 + 0.5 * t)),
    "InverseSqrtLR": (
        lambda o: schedules.InverseSqrtLR(o, 4),
        lambda t: min((t + 1) / 4, 2 / math.sqrt(t + 1)),
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2, 0.1),
        lambda t: annealed(1, 0.1, [0, 0.5, 0, 0.25, 0.5, 0.75, *[i / 8 for i in range(8)]][t]),
    ),
    "CyclicLR": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.9, 4), lambda t: triangle(0.1, 0.9, 4, t)
    ),
    "CyclicLR triangular2": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.9, 4, mode="triangular2"),
        lambda t: triangle(0.1, 0.5 if t >= 8 else 0.9, 4, t),
    ),
    "CyclicLR exp_range": (
        lambda o: schedules.CyclicLR(o, 0.0, 1.0, 4, mode="exp_range", gamma=0.5),
        lambda t: triangle(0, 1, 4, t) * 0.5**t,
    ),
    "CyclicLR scale_fn": (
        lambda o: schedules.CyclicLR(o, 0.0, 1.0, 4, scale_fn=lambda cycle: cycle),
        lambda t: triangle(0, 1, 4, t) * (t // 8 + 1),
    ),
    "OneCycleLR": (
        lambda o: schedules.OneCycleLR(o, 1.0, 14, pct_start=0.5, div_factor=10),
        lambda t: annealed(0.1, 1, t / 6) if t <= 6 else annealed(1, 1e-5, (t - 6) / 7),
    ),
    "OneCycleLR linear three_phase": (
        lambda o: schedules.OneCycleLR(
            o, 1.0, 14, pct_start=3 / 7, div_factor=10, three_phase=True, anneal_strategy="linear"
        ),
        lambda t: triangle(0.1, 1, 5, t) if t <= 10 else 0.1 + (1e-5 - 0.1) * (t - 10) / 3,
    ),
    "OneCycleLR that begins at the top": (
        lambda o: schedules.OneCycleLR(o, 1.0, 20, pct_start=0.05, div_factor=10),
        lambda t: annealed(1, 1e-5, t / 19),
    ),
    "SWALR": (
        lambda o: schedules.SWALR(o, 0.2, 4), lambda t: annealed(1, 0.2, min(t, 4) / 4)
    ),
    "SWALR linear": (
        lambda o: schedules.SWALR(o, 0.2, 4, "linear"), lambda t: 1 - 0.8 * min(t, 4) / 4
    ),
    "SWALR at once": (lambda o: schedules.SWALR(o, 0.2, 0), lambda t: 0.2),
    "SequentialLR": (sequential, lambda t: 0.25 if t < 3 else 0.5 ** (t - 3)),
    "ChainedScheduler": (
        chained, lambda t: (0.25 + 0.75 * min(t, 4) / 4) * 0.9**t
    ),
    "chained in SequentialLR": (
        lambda o: schedules.SequentialLR(o, [schedules.ConstantLR(o, 0.5), chained(o)], [2]),
        lambda t: 0.5 if t < 2 else (0.25 + 0.75 * min(t - 2, 4) / 4) * 0.9 ** (t - 2),
    ),
    "SequentialLR in SequentialLR": (
        lambda o: schedules.SequentialLR(o, [sequential(o), sequential(o)], [5]),
        lambda t: 0.25 if (t if t < 5 else t - 5) < 3 else 0.5 ** ((t if t < 5 else t - 5) - 3),
    ),
}  # fmt: skip
STEPS = 14


@pytest.mark.parametrize("name", FORMULAS)
def test_rates(name):
    make, formula = FORMULAS[name]
    optimizer = make_optimizer()
    schedule = make(optimizer)
    expected = [formula(t) for t in range(STEPS)]
    assert schedule.rates(STEPS) == pytest.approx(expected, rel=1e-12)
    optimizer.step()
    for t in range(STEPS):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected[t], rel=1e-12)
        assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        if t + 1 < STEPS:
            schedule.step()


@pytest.mark.parametrize("name", FORMULAS)
def test_looking_ahead_changes_nothing(name):
    optimizer = make_optimizer(n=2, momentum=0.5)
    schedule = FORMULAS[name][0](optimizer)
    optimizer.step()
    schedule.step()
    before = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    rates = schedule.rates(5, group=1)
    assert len(schedule.table(5).splitlines()) == 6
    assert (optimizer.state_dict(), schedule.state_dict()) == before
    for rate in rates:
        assert optimizer.param_groups[1]["lr"] == rate
        schedule.step()


@pytest.mark.parametrize("name", FORMULAS)
def test_copies_and_states_go_on_alike(name):
    make, formula = FORMULAS[name]
    optimizer = make_optimizer()
    schedule = make(optimizer)
    optimizer.step()
    for _ in range(5):
        schedule.step()
    loaded_optimizer = make_optimizer(lr=7.0)
    loaded = make(loaded_optimizer)
    loaded_optimizer.load_state_dict(optimizer.state_dict())
    loaded.load_state_dict(copy.deepcopy(schedule.state_dict()))
    expected = pytest.approx([formula(t) for t in range(5, STEPS)], rel=1e-12)
    for other in (loaded, copy.deepcopy(schedule)):
        assert other.rates(STEPS - 5) == expected
    assert repr(copy.deepcopy(schedule)) == repr(schedule)


def test_pickling():
    schedule = pickle.loads(pickle.dumps(schedules.StepLR(make_optimizer(), 2, 0.5)))
    assert repr(schedule) == "StepLR(step_size=2, gamma=0.5)"
    assert schedule.rates(4) == [1, 1, 0.5, 0.5]


# In recordings
def losses_of(make, make_optimizer, is_recorded):
    tn.manual_seed(0)
    layer = nn.Linear(3, 2)
    optimizer = make_optimizer(layer.parameters())
    schedule = make(optimizer)

    def train(x):
        loss = (layer(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = tn.jit(train) if is_recorded else train
    losses = []
    for _ in range(STEPS):
        losses.append(step(tn.ones(4, 3)).item())
        if isinstance(schedule, schedules.ReduceLROnPlateau):
            schedule.step(tn.tensor(1.0))
        elif len(losses) < STEPS:
            schedule.step()
    return losses, getattr(step, "count", 0)


RECORDED = {
    **{name: make for name, (make, _) in FORMULAS.items()},
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, patience=1, factor=0.5),
}


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_replays_read_rates_anew(on_device, name, kind):
    def optimizer(parameters):
        return SGD(parameters, 0.1, momentum=0.9) if kind == "SGD" else Adam(parameters, 0.1)

    expected, _ = losses_of(RECORDED[name], optimizer, False)
    got, count = losses_of(RECORDED[name], optimizer, True)
    assert count == 1
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_whole_numbers_do_not_record_anew():
    _, count = losses_of(FORMULAS["StepLR"][0], lambda p: SGD(p, lr=1), True)
    assert count == 1


@pytest.mark.parametrize("name", ["StepLR", "SequentialLR", "ChainedScheduler"])
def test_a_step_cannot_be_recorded(name):
    schedule = FORMULAS[name][0](make_optimizer())
    schedule.optimizer.step()
    step = tn.jit(lambda x: (x + 1, schedule.step()))
    step(tn.ones(2))
    with pytest.raises(RecordingError, match=r"LR: replays of a function that jit records would"):
        step(tn.ones(2))


# Momentum
def test_momentum_falls_while_the_rate_rises():
    optimizer = make_optimizer(momentum=0.5)
    schedule = schedules.CyclicLR(optimizer, 0.1, 0.9, 4, base_momentum=0.5, max_momentum=0.9)
    optimizer.step()
    momentums = []
    for _ in range(9):
        momentums.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    expected = [0.9, 0.8, 0.7, 0.6, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert momentums == pytest.approx(expected)


def test_adam_s_first_beta_is_its_momentum():
    optimizer = make_optimizer(make=Adam)
    schedule = schedules.OneCycleLR(optimizer, 1.0, 11, pct_start=0.5, anneal_strategy="linear")
    optimizer.step()
    betas = []
    for _ in range(11):
        betas.append(optimizer.param_groups[0]["betas"])
        schedule.step()
    assert [beta for beta, _ in betas[:3]] == pytest.approx(
        [0.95, 0.95 - 0.1 / 4.5, 0.95 - 0.2 / 4.5]
    )
    assert betas[10][0] == pytest.approx(0.95)
    assert {beta for _, beta in betas} == {0.999}


# ReduceLROnPlateau
def test_plateau():
    optimizer = make_optimizer()
    schedule = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1)
    rates = []
    for metric in [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, tn.tensor(1.0), math.nan, 1.0]:
        schedule.step(metric)
        rates += schedule.get_last_lr()
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert schedule.best == 1.0


def test_plateau_ahead_is_what_comes_when_nothing_improves():
    optimizer = make_optimizer(n=2)
    schedule = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=[0.3, 0.2])
    assert schedule.rates(4) == [1, 0.5, 0.3, 0.3]
    assert schedule.rates(4, group=1) == [0.5, 0.25, 0.2, 0.2]
    assert schedule.best == math.inf


# Going on, jumping, changes from outside
def test_going_on_after_a_step():
    optimizer = make_optimizer(0.25)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    schedule = schedules.ExponentialLR(optimizer, 0.5, last_epoch=2)
    assert schedule.last_epoch == 3
    assert schedule.base_lrs == [1.0]
    assert schedule.rates(3) == [0.25, 0.125, 0.0625]


def test_going_on_changes_the_rate_where_pytorch_s_does():
    rates = []
    for make in (schedules.StepLR, schedules.LinearLR):
        optimizer = make_optimizer(0.5)
        optimizer.param_groups[0]["initial_lr"] = 1.0
        options = {"step_size": 3} if make is schedules.StepLR else {}
        rates += make(optimizer, **options, last_epoch=2).get_last_lr()
    assert rates == pytest.approx([0.05, 0.5])


def test_rates_go_on_from_what_the_user_sets():
    optimizer = make_optimizer()
    schedule = schedules.InverseTimeLR(optimizer, 1.0)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 10.0
    assert schedule.rates(3) == pytest.approx([10, 5, 10 / 3])
    schedule.step(9)  # by the formula
    assert schedule.get_last_lr() == [0.1]
    assert schedule.last_epoch == 9


def test_fractions_of_epochs():
    optimizer = make_optimizer()
    schedule = schedules.CosineAnnealingWarmRestarts(optimizer, 1, 3)
    for epoch, period, part in [(0.5, 1, 0.5), (1.0, 3, 0), (2.5, 3, 0.5), (121, 243, 0)]:
        schedule.step(epoch)
        assert schedule.T_i == period
        assert schedule.get_last_lr() == pytest.approx([annealed(1, 0, part)])


def test_groups_have_rates_of_their_own():
    optimizer = make_optimizer(n=2)
    schedule = schedules.LambdaLR(optimizer, [half, lambda epoch: 1.0])
    assert schedule.table(2) == "step  lr[0]  lr[1]\n   0      1    0.5\n   1    0.5    0.5"


# A schedule of one's own
def test_a_new_schedule_is_its_formula():
    class Squares(schedules.FormulaLR):
        def formula(self, epoch):
            return 1 / (1 + epoch) ** 2

    schedule = Squares(make_optimizer(36.0))
    assert schedule.rates(3) == pytest.approx([36, 9, 4])
    assert repr(schedule) == "Squares()"


def test_a_schedule_written_for_pytorch():
    class Falling(schedules.LRScheduler):
        def __init__(self, optimizer, by, last_epoch=-1):
            self.by = by
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            return [lr - self.by * self.last_epoch for lr in self.base_lrs]

        def _get_closed_form_lr(self):
            return [-1.0 for lr in self.base_lrs]

    schedule = Falling(make_optimizer(), by=0.25)
    assert schedule.rates(3) == [1, 0.75, 0.5]
    assert repr(schedule) == "Falling(by=0.25)"
    schedule.optimizer.step()
    schedule.step(3)
    assert schedule.get_last_lr() == [-1]


def test_callable_objects_are_part_of_the_state():
    class Power:
        def __init__(self, base):
            self.base = base

        def __call__(self, x):
            return self.base**x

    schedule = schedules.LambdaLR(make_optimizer(), Power(0.5))
    assert schedule.state_dict()["lr_lambdas"] == [{"base": 0.5}]
    schedule.load_state_dict({**schedule.state_dict(), "lr_lambdas": [{"base": 0.1}]})
    assert schedule.lr_lambdas[0].base == 0.1
    cyclic = schedules.CyclicLR(make_optimizer(), 0, 1, 2, scale_fn=Power(2), cycle_momentum=False)
    cyclic.load_state_dict({**cyclic.state_dict(), "_scale_fn_custom": {"base": 3}})
    assert cyclic.rates(6) == [0, 1.5, 3, 1.5, 0, 4.5]


# Words
def test_repr():
    optimizer = make_optimizer()
    linear = schedules.LinearLR(optimizer, 0.5, total_iters=3)
    parts = [linear, schedules.LambdaLR(optimizer, half)]
    assert repr(schedules.SequentialLR(optimizer, parts, [3])) == (
        "SequentialLR(schedulers=[LinearLR(start_factor=0.5, end_factor=1.0, total_iters=3), "
        "LambdaLR(lr_lambda=half)], milestones=[3])"
    )
    linear.load_state_dict({"total_iters": 7})
    assert str(linear) == "LinearLR(start_factor=0.5, end_factor=1.0, total_iters=7)"


def test_a_step_before_the_optimizer_s_warns():
    schedule = schedules.ExponentialLR(make_optimizer(), 0.9)
    text = (
        "ExponentialLR: step() was called before the optimizer's; call optimizer.step() first, "
        "or the schedule's first rate is skipped"
    )
    with pytest.warns(UserWarning, match="LR: step") as caught:
        schedule.step()
    assert [str(x.message) for x in caught] == [text]
    assert caught[0].filename == __file__
    schedule.step()  # once


def test_no_warning_where_an_optimizer_steps_in_a_way_of_its_own():
    class Silent(SGD):
        def step(self, closure=None):
            return None

    schedules.ExponentialLR(make_optimizer(make=Silent), 0.9).step()


def test_get_lr_outside_of_a_step_warns():
    schedule = schedules.StepLR(make_optimizer(), 3)
    with pytest.warns(UserWarning, match=r"^StepLR: get_lr\(\) computes rates for step\(\); get_"):
        schedule.get_lr()


O = make_optimizer(n=2)  # noqa: E741
OTHER = schedules.StepLR(make_optimizer(), 3)


def grown(make):
    optimizer = make_optimizer()
    schedule = make(optimizer)
    optimizer.add_param_group({"params": [tn.ones(1)]})
    optimizer.step()
    return schedule


MISUSE = [
    (lambda: schedules.StepLR([O], 3), ArgumentTypeError,
     "StepLR: expected an Optimizer, got list"),
    (lambda: schedules.StepLR(O, 0), ArgumentError, "StepLR: step_size must be positive, got 0"),
    (lambda: schedules.StepLR(O), TypeError, None),
    (lambda: schedules.LambdaLR(O, [half]), ArgumentError,
     "LambdaLR: lr_lambda has 1 items, expected one for each group, 2"),
    (lambda: schedules.MultiplicativeLR(O, 0.9), ArgumentTypeError,
     "MultiplicativeLR: lr_lambda must be a function, got float"),
    (lambda: schedules.ConstantLR(O, 2), ArgumentError,
     "ConstantLR: factor must be between 0 and 1, got 2"),
    (lambda: schedules.LinearLR(O, 0.0), ArgumentError,
     "LinearLR: start_factor must be positive, got 0.0"),
    (lambda: schedules.CosineAnnealingLR(O, 0), ArgumentError,
     "CosineAnnealingLR: T_max must be positive, got 0"),
    (lambda: schedules.InverseTimeLR(O, -1), ArgumentError,
     "InverseTimeLR: gamma cannot be negative, got -1"),
    (lambda: schedules.InverseSqrtLR(O, 0), ArgumentError,
     "InverseSqrtLR: warmup_steps must be positive, got 0"),
    (lambda: schedules.CosineAnnealingWarmRestarts(O, 1.5), ArgumentError,
     "CosineAnnealingWarmRestarts: T_0 must be a positive int, got 1.5"),
    (lambda: schedules.CosineAnnealingWarmRestarts(O, 1, eta_min="0"), ArgumentError,
     "CosineAnnealingWarmRestarts: eta_min must be a number, got '0'"),
    (lambda: schedules.CosineAnnealingWarmRestarts(O, 1).step(-1), ArgumentError,
     "CosineAnnealingWarmRestarts: epoch cannot be negative, got -1"),
    (lambda: schedules.CyclicLR(O, 0.1, 1, 0), ArgumentError,
     "CyclicLR: step_size_up must be positive, got 0"),
    (lambda: schedules.CyclicLR(O, 0.1, 1, mode="square"), ArgumentError,
     "CyclicLR: mode must be one of ['triangular', 'triangular2', 'exp_range'], got 'square'"),
    (lambda: schedules.CyclicLR(O, 0.1, 1, scale_fn=half, scale_mode="x"), ArgumentError,
     "CyclicLR: scale_mode must be one of ['cycle', 'iterations'], got 'x'"),
    (lambda: schedules.CyclicLR(tn.optim.Optimizer([tn.ones(1)], {"lr": 1}), 0.1, 1), ArgumentError,
     "CyclicLR: Optimizer has neither momentum nor betas to cycle, expected cycle_momentum=False"),
    (lambda: schedules.OneCycleLR(O, 1.0, epochs=3), ArgumentError,
     "OneCycleLR: expected total_steps, or epochs and steps_per_epoch"),
    (lambda: schedules.OneCycleLR(O, 1.0, epochs=3, steps_per_epoch=0), ArgumentError,
     "OneCycleLR: steps_per_epoch must be a positive int, got 0"),
    (lambda: schedules.OneCycleLR(O, 1.0, 9, pct_start=1), ArgumentError,
     "OneCycleLR: pct_start must be a float between 0 and 1, got 1"),
    (lambda: schedules.OneCycleLR(O, 1.0, 9, anneal_strategy="x"), ArgumentError,
     "OneCycleLR: anneal_strategy must be one of ['cos', 'linear'], got 'x'"),
    (lambda: schedules.OneCycleLR(O, 1.0, 9).rates(11), ArgumentError,
     "OneCycleLR: step 10 is past the end, total_steps is 9"),
    (lambda: schedules.SWALR(O, 1.0, -1), ArgumentError,
     "SWALR: anneal_epochs must be an int, at least 0, got -1"),
    (lambda: schedules.ReduceLROnPlateau(O, factor=1.0), ArgumentError,
     "ReduceLROnPlateau: factor must be less than 1, got 1.0"),
    (lambda: schedules.ReduceLROnPlateau(O, "low"), ArgumentError,
     "ReduceLROnPlateau: mode must be one of ['min', 'max'], got 'low'"),
    (lambda: grown(lambda o: schedules.ReduceLROnPlateau(o, patience=0, min_lr=[0.5])).rates(3),
     StateError, "ReduceLROnPlateau: min_lrs has 1 items, expected one for each group, 2"),
    (lambda: schedules.SequentialLR(O, [OTHER], []), ArgumentError,
     "SequentialLR: schedulers[0], a StepLR, belongs to another optimizer"),
    (lambda: schedules.SequentialLR(O, [3], []), ArgumentTypeError,
     "SequentialLR: schedulers[0] must be an LRScheduler, got int"),
    (lambda: schedules.SequentialLR(O, [schedules.StepLR(O, 3) for _ in range(3)], [5, 2]),
     ArgumentError, "SequentialLR: milestones must be 2 rising numbers, one less than schedulers, "
     "got [5, 2]"),
    (lambda: schedules.ChainedScheduler([schedules.ReduceLROnPlateau(O)]), ArgumentError,
     "ChainedScheduler: schedulers[0] is a ReduceLROnPlateau, whose step() wants a metric"),
    (lambda: schedules.ChainedScheduler([], O), ArgumentError,
     "ChainedScheduler: schedulers is empty, expected at least one"),
    (lambda: schedules.ExponentialLR(make_optimizer(), 0.9, last_epoch=5), StateError,
     "ExponentialLR: last_epoch is 5, but param_groups[0] has no 'initial_lr'; "
     "load the optimizer's state first"),
    (lambda: grown(lambda o: schedules.LambdaLR(o, half)).step(), StateError,
     "LambdaLR: the optimizer has 2 groups, expected 1; "
     "make the schedule after the last add_param_group"),
    (lambda: OTHER.load_state_dict(3), StateError,
     "StepLR.load_state_dict: got int, expected a dict"),
    (lambda: schedules.LambdaLR(O, half).load_state_dict({}), StateError,
     "LambdaLR.load_state_dict: the state has 0 lr_lambdas, expected 2"),
    (lambda: chained(O).load_state_dict({}), StateError,
     "ChainedScheduler.load_state_dict: the state has 0 _schedulers, expected 2"),
    (lambda: OTHER.rates(-1), ArgumentError, "StepLR: steps cannot be negative, got -1"),
    (lambda: schedules.LRScheduler(O), NotImplementedError, "LRScheduler: rate is not written"),
    (lambda: schedules.FormulaLR(O), NotImplementedError, "FormulaLR: formula is not written"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), MISUSE)
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert message is None or str(error.value) == message


# Pictures
def test_plot():
    pytest.importorskip("matplotlib")
    two = schedules.StepLR(make_optimizer(n=2), 2, 0.5)
    figure = viz.plot_schedules({"halving": OTHER, "both": two}, steps=4)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["halving", "both, group 0", "both, group 1"]
    assert [[*line.get_ydata()] for line in lines[1:]] == [[1, 1, 0.5, 0.5], [0.5, 0.5, 0.25, 0.25]]
    assert viz.plot_schedules(OTHER, 3).axes[0].lines[0].get_label() == "StepLR"


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"^plot_schedules: matplotlib is not inst"):
        viz.plot_schedules(OTHER, 3)
