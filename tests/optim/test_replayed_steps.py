"""Optimisers under jit: recorded once, replayed while rates and momenta change; few kernels."""

import pytest

import tinynet as tn
from tests.opencl.test_tape import needs_a_cpu
from tinynet import optim
from tinynet.backends.opencl import tape
from tinynet.errors import RecordingError
from tinynet.optim import swa_utils

# Options; those in CHANGING are others in every call.
RULES = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.1},
    "ASGD": {"t0": 4, "weight_decay": 0.1, "lambd": 0.01},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {},
    "Adamax": {"weight_decay": 0.1},
    "NAdam": {"weight_decay": 0.1, "decoupled_weight_decay": True},
    "RAdam": {"weight_decay": 0.1},
    "Adagrad": {"lr_decay": 0.1, "weight_decay": 0.1},
    "Adadelta": {"weight_decay": 0.1},
    "RMSprop": {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "eps": 0.01},
    "Rprop": {},
    "Adafactor": {"weight_decay": 0.1},
    "LAMB": {"weight_decay": 0.1},
    "Lion": {"weight_decay": 0.1},
    "Muon": {},
}
ELEMENTWISE = sorted({*RULES} - {"Adafactor", "LAMB", "Muon"})
CHANGING = {"weight_decay": 0.01, "momentum": 0.02, "alpha": -0.02, "rho": -0.02, "eps": 1e-3}


def change(group, i):
    """Another rate, decay, momentum in each call."""
    group["lr"] = 0.05 / (1 + i)
    for option, step in CHANGING.items():
        if type(dict.get(group, option)) is float and group[option]:
            group[option] += step / 10
    if "betas" in group:
        group["betas"] = (0.8 + 0.01 * i, 0.95 - 0.003 * i)


def trained(name, transform, steps=12):
    """Losses, the last parameters and state, the step."""
    tn.manual_seed(3)
    weight = tn.randn(3, 2).requires_grad_()
    optimizer = getattr(optim, name)([weight], lr=0.05, **RULES[name])
    x, y = tn.randn(8, 3), tn.randn(8, 2)

    @transform
    def step(x, y):
        optimizer.zero_grad()
        loss = ((x @ weight - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for i in range(steps):
        change(optimizer.param_groups[0], i)
        losses.append(step(x, y).item())
    return losses, weight.tolist(), dict(optimizer.state[weight]), step


@pytest.mark.parametrize("name", RULES)
def test_replays_are_what_eager_steps_are(name, on_device):
    losses, weight, state, _ = trained(name, lambda function: function)
    replayed, replayed_weight, replayed_state, step = trained(name, tn.jit)
    assert replayed == pytest.approx(losses, rel=1e-5)
    for mine, other in zip(replayed_weight, weight, strict=True):
        assert mine == pytest.approx(other, rel=1e-5, abs=1e-6)
    assert replayed_state.get("step") == state.get("step")
    assert step.count == (2 if name in ("RAdam", "ASGD") else 1)  # a branch that is left for good


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_rule_is_one_launch(name, monkeypatch):
    monkeypatch.setattr(tape, "LONG_PATIENCE", 1)
    if not any(found.name.startswith("opencl") for found in tn.devices()):
        pytest.skip("no OpenCL device")
    needs_a_cpu()
    x = tn.ones(64, device="opencl").requires_grad_()
    optimizer = getattr(optim, name)([x], lr=0.05, **RULES[name])
    x.grad = tn.full((64,), 0.5, device="opencl")
    step = tn.jit(optimizer.step)
    for i in range(12):
        before = tn.counters().launches
        step()
        launches = tn.counters().launches - before
        if i not in (0, 1, 5, 6):  # the first makes the state, others are recorded
            assert launches == 1, i


def test_lbfgs_is_not_recorded(on_device):
    x = tn.ones(2, requires_grad=True)
    optimizer = optim.LBFGS([x], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    step = tn.jit(lambda: optimizer.step(closure))
    step()
    with pytest.raises(RecordingError, match=r"^jit: LBFGS decides by the values of losses"):
        step()


def test_lbfgs_takes_a_closure_that_is_recorded(on_device):
    x = tn.tensor([3.0, -4.0], requires_grad=True)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")

    @tn.jit
    def closure():
        optimizer.zero_grad()
        loss = ((x - 1) ** 4).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert x.tolist() == pytest.approx([1.0, 1.0], abs=0.02)
    assert closure.count <= 2


@pytest.mark.parametrize("kind", ["mean", "ema", "multi"])
def test_averages_inside_of_a_recorded_step(kind, on_device):
    def train(transform):
        tn.manual_seed(5)
        model = tn.nn.Sequential(tn.nn.Linear(2, 3), tn.nn.BatchNorm1d(3))
        averaged = swa_utils.AveragedModel(
            model,
            avg_fn=swa_utils.get_ema_avg_fn(0.8) if kind == "ema" else None,
            multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8) if kind == "multi" else None,
        )
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        x = tn.randn(4, 2)

        @transform
        def step(x):
            optimizer.zero_grad()
            ((model(x) - 0.5) ** 4).mean().backward()
            optimizer.step()
            averaged.update_parameters(model)

        for _ in range(6):
            step(x)
        return [y.tolist() for y in averaged.state_dict().values()], step

    eager, _ = train(lambda function: function)
    replayed, step = train(tn.jit)
    assert eager[0] == replayed[0] == 6
    for mine, other in zip(replayed, eager, strict=True):
        assert tn.allclose(tn.tensor(mine) * 1.0, tn.tensor(other) * 1.0, rtol=1e-5)
    assert step.count == 1
