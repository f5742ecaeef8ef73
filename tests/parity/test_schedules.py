"""Schedules beside PyTorch's: rates and momentums over 200 steps, states, refusals."""

import functools
import itertools
import math
import warnings
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

STEPS = 200
CHANGES = {7: 0.7, 50: 1e-3, 120: 2.0}  # what the user makes of the first group's rate, and when
PYTORCH = SimpleNamespace(
    **{name: getattr(torch.optim.lr_scheduler, name) for name in torch.optim.lr_scheduler.__all__},
    SWALR=torch.optim.swa_utils.SWALR,
)
LIBRARIES = {torch: PYTORCH, tn: tn.optim.lr_scheduler}


class Falling:
    """A function with a state of its own."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return 1 / (1 + self.rate * epoch)


def bumpy(epoch):
    return 1 + 0.1 * math.sin(epoch)


def grid(name, **choices):
    """A case for each combination: its id, and what makes the schedule."""
    for values in itertools.product(*choices.values()):
        options = dict(zip(choices, values))
        shown = ",".join(f"{key}={words(x)}" for key, x in options.items())
        yield f"{name}({shown})", functools.partial(made, name, options)


def words(value):
    if isinstance(value, list):
        return "+".join(map(words, value))
    if isinstance(value, Falling):
        return f"Falling{value.rate}"
    return getattr(value, "__name__", str(value)).strip("<>")


def made(name, options, library, optimizer, **more):
    return getattr(library, name)(optimizer, **options, **more)


def chained(*parts):
    return lambda library, optimizer: library.ChainedScheduler(
        [part(library, optimizer) for part in parts]
    )


def in_turn(milestones, *parts):
    return lambda library, optimizer: library.SequentialLR(
        optimizer, [part(library, optimizer) for part in parts], milestones
    )


STEP = functools.partial(made, "StepLR", {"step_size": 4, "gamma": 0.8})
WARM = functools.partial(made, "LinearLR", {"start_factor": 0.1, "total_iters": 9})
EXPONENTIAL = functools.partial(made, "ExponentialLR", {"gamma": 0.97})
COSINE = functools.partial(made, "CosineAnnealingLR", {"T_max": 30, "eta_min": 1e-3})
RESTARTS = functools.partial(made, "CosineAnnealingWarmRestarts", {"T_0": 7, "T_mult": 2})
CONSTANT = functools.partial(made, "ConstantLR", {"factor": 0.5, "total_iters": 12})
TIMES = functools.partial(made, "MultiplicativeLR", {"lr_lambda": bumpy})
RESUMABLE = dict([
    *grid("LambdaLR", lr_lambda=[bumpy, Falling(0.1), [bumpy, Falling(0.2)]]),
    *grid("MultiplicativeLR", lr_lambda=[bumpy, [bumpy, lambda epoch: 0.99]]),
    *grid("StepLR", step_size=[1, 7, 30], gamma=[0.1, 0.9, 1.1]),
    *grid("MultiStepLR", milestones=[[], [0, 3], [10, 10, 50, 199]], gamma=[0.1, 0.5]),
    *grid("ConstantLR", factor=[1 / 3, 0.1, 1.0], total_iters=[0, 1, 5, 60]),
    *grid("ConstantLR", factor=[0.0], total_iters=[300]),
    *grid("LinearLR", start_factor=[1 / 3, 1.0, 1e-3], end_factor=[1.0, 0.0, 0.5],
          total_iters=[0, 1, 5, 130]),
    *grid("ExponentialLR", gamma=[0.1, 0.97, 1.02, 0.0]),
    *grid("PolynomialLR", total_iters=[0, 5, 100, 300], power=[1.0, 0.5, 2, 3.7]),
    *grid("CosineAnnealingLR", T_max=[1, 5, 64, 200], eta_min=[0.0, 1e-3]),
    *grid("CosineAnnealingWarmRestarts", T_0=[1, 7, 300], T_mult=[1, 2, 3], eta_min=[0, 0.01]),
])  # fmt: skip
CYCLIC = dict([
    *grid("CyclicLR", base_lr=[0.01, [0.01, 0.02]], max_lr=[0.3], step_size_up=[7],
          step_size_down=[None, 1, 20], mode=["triangular", "triangular2", "exp_range"],
          gamma=[0.98]),
    *grid("CyclicLR", base_lr=[0.01], max_lr=[[0.3, 1]], step_size_up=[13], step_size_down=[0],
          scale_fn=[bumpy, Falling(0.1)], scale_mode=["cycle", "iterations"]),
    *grid("CyclicLR", base_lr=[0.1], max_lr=[0.3], base_momentum=[0.3, [0.2, 0.1]],
          max_momentum=[[0.9, 0.8]], step_size_up=[20]),
    *grid("CyclicLR", base_lr=[0.1], max_lr=[0.3], cycle_momentum=[False], step_size_up=[20]),
    *grid("OneCycleLR", max_lr=[0.5, [0.3, 0.1]], total_steps=[STEPS, 333],
          pct_start=[0.0, 0.3, 0.77], anneal_strategy=["cos", "linear"],
          three_phase=[False]),
    *grid("OneCycleLR", max_lr=[0.5], epochs=[20], steps_per_epoch=[11], pct_start=[0.1, 0.45],
          anneal_strategy=["cos", "linear"], three_phase=[True], div_factor=[10.0],
          final_div_factor=[50.0]),
    *grid("OneCycleLR", max_lr=[0.5], total_steps=[210], cycle_momentum=[True, False],
          base_momentum=[0.5, [0.5, 0.6]], max_momentum=[0.9]),
])  # fmt: skip
OTHERS = {
    **dict([
        *grid("SWALR", swa_lr=[0.05, [0.05, 0.02]], anneal_epochs=[0, 1, 10, 150],
              anneal_strategy=["cos", "linear"]),
    ]),
    "ChainedScheduler(constant,exponential)": chained(CONSTANT, EXPONENTIAL),
    "ChainedScheduler(warm,step,times)": chained(WARM, STEP, TIMES),
    "ChainedScheduler(warm,cosine)": chained(WARM, COSINE),
    "SequentialLR(warm,cosine)": in_turn([9], WARM, COSINE),
    "SequentialLR(constant,exponential,restarts)": in_turn(
        [20, 50], CONSTANT, EXPONENTIAL, RESTARTS
    ),
    "SequentialLR(times,step)": in_turn([3], TIMES, STEP),
    "SequentialLR(step,warm),0": in_turn([0], STEP, WARM),
    "SequentialLR(step)": in_turn([], STEP),
    "ChainedScheduler(SequentialLR(warm,cosine),step)": chained(in_turn([9], WARM, COSINE), STEP),
}  # fmt: skip
CASES = {**RESUMABLE, **CYCLIC, **OTHERS}


def make_optimizer(module, kind="SGD"):
    options = {"momentum": 0.9} if kind == "SGD" else {}
    parameters = [module.ones(2, requires_grad=True) for _ in range(2)]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.5}]
    return getattr(module.optim, kind)(groups, lr=0.1, **options)


def followed(module, make, kind="SGD", changes=(), steps=STEPS):
    """Everything in the groups, and the schedule's last rates, after each step."""
    optimizer = make_optimizer(module, kind)
    schedule = make(LIBRARIES[module], optimizer)
    rows = [row(optimizer, schedule)]
    optimizer.step()
    for i in range(steps):
        if i in changes:
            optimizer.param_groups[0]["lr"] = changes[i]
        schedule.step()
        rows.append(row(optimizer, schedule))
    return rows, optimizer, schedule


def row(optimizer, schedule):
    ours = {"params", "foreach", "capturable", "differentiable", "fused"}
    groups = [{k: x for k, x in group.items() if k not in ours} for group in optimizer.param_groups]
    return groups, [*schedule.get_last_lr()]


def is_close(value, other):
    """Where PyTorch's rates should reach 0, up to 1e-14 is left by rounding."""
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(map(is_close, value, other))
    return value == other or math.isclose(value, other, rel_tol=1e-12, abs_tol=1e-14)


def check_same(expected, got):
    for i, (theirs, mine) in enumerate(zip(expected, got, strict=True)):
        for there, here in zip(theirs[0], mine[0], strict=True):
            assert set(there) == set(here)
            for key, value in there.items():
                assert is_close(value, here[key]), (i, key, value, here[key])
        assert is_close(theirs[1], mine[1]), (i, theirs[1], mine[1])


@pytest.mark.parametrize("name", CASES)
def test_rates(name):
    for changes in ({}, CHANGES):
        expected = followed(torch, CASES[name], changes=changes)[0]
        check_same(expected, followed(tn, CASES[name], changes=changes)[0])


@pytest.mark.parametrize("name", CYCLIC)
def test_betas(name):
    expected = followed(torch, CYCLIC[name], "Adam")[0]
    check_same(expected, followed(tn, CYCLIC[name], "Adam")[0])


@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("last_epoch", [0, 4, 29])
def test_resumed(name, last_epoch):
    def make(library, optimizer):
        for i, group in enumerate(optimizer.param_groups):
            group["initial_lr"] = 0.2 + i
        return RESUMABLE[name](library, optimizer, last_epoch=last_epoch)

    check_same(followed(torch, make, steps=60)[0], followed(tn, make, steps=60)[0])


JUMPS = [3, 0, 50, 7, None, None, 199]


@pytest.mark.parametrize("name", [n for n in (*RESUMABLE, *CYCLIC) if "total_iters=0" not in n])
def test_jumping_to_an_epoch(name):
    results = []
    for module in (torch, tn):
        optimizer = make_optimizer(module)
        schedule = CASES[name](LIBRARIES[module], optimizer)
        optimizer.step()
        rows = []
        for epoch in JUMPS:
            with warnings.catch_warnings():  # PyTorch calls epochs deprecated
                warnings.simplefilter("ignore" if module is torch else "error")
                schedule.step(epoch)
            rows.append(row(optimizer, schedule))
        results.append(rows)
    check_same(*results)


@pytest.mark.parametrize("t_mult", [1, 2, 3])
def test_fractions_of_epochs(t_mult):
    results = []
    epochs = [i / 8 for i in range(400)] + [33.3, 2.25, None, None, 60.7, None]
    for module in (torch, tn):
        optimizer = make_optimizer(module)
        schedule = LIBRARIES[module].CosineAnnealingWarmRestarts(optimizer, 7, t_mult, 0.01)
        rows = []
        for epoch in epochs:
            schedule.step(epoch)
            rows.append((*row(optimizer, schedule), schedule.last_epoch, schedule.T_i))
        results.append(rows)
    check_same(*results)
    assert [x[2:] for x in results[0]] == [x[2:] for x in results[1]]


METRICS = [1 / (1 + 0.3 * i) + 0.3 * math.sin(i * i) * (i > 8) for i in range(STEPS)]
METRICS[33] = math.nan
METRICS[40:44] = [math.inf, -0.001, -0.001, 0.0]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"patience": 0, "factor": 0.9}, {"patience": 3, "cooldown": 4, "factor": 0.5},
        {"threshold": 0.2, "patience": 2}, {"min_lr": 1e-3, "patience": 1},
        {"min_lr": [1e-2, 1e-4], "patience": 1, "eps": 1e-3},
    ],
    ids=str,
)  # fmt: skip
def test_plateau(mode, threshold_mode, options):
    options = {"mode": mode, "threshold_mode": threshold_mode, **options}
    results, states = [], []
    for module in (torch, tn):
        optimizer = make_optimizer(module)
        schedule = LIBRARIES[module].ReduceLROnPlateau(optimizer, **options)
        rows = [row(optimizer, schedule)]
        for i, metric in enumerate(METRICS):
            schedule.step(module.tensor(metric, dtype=module.float64) if i % 2 else metric)
            rows.append(row(optimizer, schedule))
        results.append(rows)
        states.append(schedule.state_dict())
    check_same(*results)
    assert states[0].keys() == states[1].keys()
    assert states[1]["best"] == states[0]["best"]


# States
def plain(state):
    """A state with its numbers rounded, for comparison."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [plain(value) for value in state]
    return round(state, 14) + 0.0 if isinstance(state, float) else state


@pytest.mark.parametrize("name", CASES)
def test_states_are_pytorch_s(name):
    _, optimizer, schedule = followed(torch, CASES[name], steps=14)
    expected = schedule.state_dict()
    mine = followed(tn, CASES[name], steps=14)[2].state_dict()
    assert plain(mine) == plain(expected)

    my_optimizer = make_optimizer(tn)
    other = CASES[name](tn.optim.lr_scheduler, my_optimizer)
    other.load_state_dict(expected)
    for ours, theirs in zip(my_optimizer.param_groups, optimizer.param_groups):
        ours.update({key: x for key, x in theirs.items() if key in ours and key != "params"})
    my_optimizer.step()
    rows = [[], []]
    for _ in range(60):
        for i, pair in enumerate([(optimizer, schedule), (my_optimizer, other)]):
            pair[1].step()
            rows[i].append(row(*pair))
    check_same(*rows)


# Refusals
REFUSED = {
    "not an optimizer": lambda s, o: s.StepLR([o], 3),
    "LambdaLR: functions": lambda s, o: s.LambdaLR(o, [bumpy]),
    "MultiplicativeLR: functions": lambda s, o: s.MultiplicativeLR(o, [bumpy] * 3),
    "MultiplicativeLR: no function": lambda s, o: s.MultiplicativeLR(o, 0.9),
    "LambdaLR: no function": lambda s, o: s.LambdaLR(o, 0.9),
    "ConstantLR: factor": lambda s, o: s.ConstantLR(o, 1.5),
    "ConstantLR: negative": lambda s, o: s.ConstantLR(o, -0.5),
    "LinearLR: start": lambda s, o: s.LinearLR(o, 0),
    "LinearLR: start above": lambda s, o: s.LinearLR(o, 1.1),
    "LinearLR: end": lambda s, o: s.LinearLR(o, 0.5, -1),
    "LinearLR: end above": lambda s, o: s.LinearLR(o, 0.5, 2),
    "T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "T_0 float": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2.5),
    "T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 0),
    "T_mult float": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1.5),
    "restarts: eta_min": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1, "0"),
    "restarts: epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
    "CyclicLR: mode": lambda s, o: s.CyclicLR(o, 0.1, 1, mode="square"),
    "CyclicLR: base_lr": lambda s, o: s.CyclicLR(o, [0.1], 1),
    "CyclicLR: max_lr": lambda s, o: s.CyclicLR(o, 0.1, [1, 2, 3]),
    "CyclicLR: base_momentum": lambda s, o: s.CyclicLR(o, 0.1, 1, base_momentum=[0.1]),
    "OneCycleLR: no length": lambda s, o: s.OneCycleLR(o, 0.1),
    "OneCycleLR: half a length": lambda s, o: s.OneCycleLR(o, 0.1, epochs=3),
    "OneCycleLR: total_steps": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=0),
    "OneCycleLR: epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=2),
    "OneCycleLR: steps": lambda s, o: s.OneCycleLR(o, 0.1, epochs=1, steps_per_epoch=2.5),
    "OneCycleLR: pct_start": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=1.5),
    "OneCycleLR: pct_start int": lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=1),
    "OneCycleLR: strategy": lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="square"),
    "OneCycleLR: max_lr": lambda s, o: s.OneCycleLR(o, [0.1], 10),
    "OneCycleLR: past the end": lambda s, o: steps(s.OneCycleLR(o, 0.1, 10), 11),
    "plateau: factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau: mode": lambda s, o: s.ReduceLROnPlateau(o, "low"),
    "plateau: threshold_mode": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="part"),
    "plateau: min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "plateau: no optimizer": lambda s, o: s.ReduceLROnPlateau(None),
    "SequentialLR: none": lambda s, o: s.SequentialLR(o, [], []),
    "SequentialLR: milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 3)], [3]),
    "SequentialLR: other": lambda s, o: s.SequentialLR(o, [o, o], [3]),
    "SequentialLR: plateau": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    "ChainedScheduler: none": lambda s, o: s.ChainedScheduler([]),
    "ChainedScheduler: other": lambda s, o: s.ChainedScheduler([3]),
    "ChainedScheduler: plateau": lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    "SWALR: strategy": lambda s, o: s.SWALR(o, 0.1, anneal_strategy="square"),
    "SWALR: epochs": lambda s, o: s.SWALR(o, 0.1, -1),
    "SWALR: epochs float": lambda s, o: s.SWALR(o, 0.1, 1.5),
    "SWALR: swa_lr": lambda s, o: s.SWALR(o, [0.1]),
    "resumed without initial_lr": lambda s, o: s.ExponentialLR(o, 0.9, last_epoch=3),
    "LambdaLR: group added": lambda s, o: grown(s.LambdaLR(o, bumpy), o).step(),
    "OneCycleLR: group added": lambda s, o: grown(s.OneCycleLR(o, 0.1, 9), o).step(),
    "cosine: group added": lambda s, o: steps(grown(s.CosineAnnealingLR(o, 1), o), 2),
    "plateau: group added": lambda s, o: steps(
        grown(s.ReduceLROnPlateau(o, min_lr=[0, 0], patience=0), o), 2, math.inf
    ),
}  # fmt: skip


def steps(schedule, n, *args):
    schedule.optimizer.step()
    for _ in range(n):
        schedule.step(*args)


def grown(schedule, optimizer):
    module = torch if isinstance(optimizer, torch.optim.Optimizer) else tn
    optimizer.add_param_group({"params": [module.ones(1)]})
    optimizer.step()
    return schedule


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    with pytest.raises((ValueError, TypeError, KeyError, RuntimeError, AttributeError)):
        REFUSED[name](PYTORCH, make_optimizer(torch))
    with pytest.raises(TinynetError):
        REFUSED[name](tn.optim.lr_scheduler, make_optimizer(tn))


@pytest.mark.parametrize("name", ["StepLR", "ExponentialLR"])
def test_groups_may_be_added(name):
    rates = []
    for module in (torch, tn):
        optimizer = make_optimizer(module)
        schedule = getattr(LIBRARIES[module], name)(optimizer, *[1, 0.9][name == "ExponentialLR" :])
        grown(schedule, optimizer).step()
        rates.append(schedule.get_last_lr())
    assert rates[1] == pytest.approx(rates[0], rel=1e-12)
    assert len(rates[1]) == 3


def test_momentum_is_refused_where_there_is_none():
    for module, error in ((torch, ValueError), (tn, TinynetError)):
        optimizer = module.optim.Optimizer([module.ones(1)], {"lr": 0.1})
        for name, options in (("CyclicLR", (0.1, 1)), ("OneCycleLR", (0.1, 10))):
            with pytest.raises(error):
                getattr(LIBRARIES[module], name)(optimizer, *options)
            getattr(LIBRARIES[module], name)(optimizer, *options, cycle_momentum=False)


@pytest.mark.parametrize("name", [*PYTORCH.__dict__])
def test_arguments_are_pytorch_s(name):
    import inspect

    theirs, mine = (
        inspect.signature(getattr(library, name).__init__).parameters.values()
        for library in (PYTORCH, tn.optim.lr_scheduler)
    )
    assert [(x.name, x.default) for x in mine] == [(x.name, x.default) for x in theirs]
