"""Every optimiser beside PyTorch's: 20 and 100 steps, in both dtypes, on both devices."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

DTYPES = {torch.float32: (1e-5, 1e-6), torch.float64: (1e-10, 1e-12)}


def grid(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


BETAS = [(0.9, 0.999), (0.5, 0.6)]
GRIDS = {
    "SGD": grid(lr=[0.03], momentum=[0, 0.9], weight_decay=[0, 0.1], maximize=[False, True]),
    "Adam": grid(lr=[0.05], betas=BETAS, amsgrad=[False, True], weight_decay=[0, 0.1]),
    "AdamW": grid(lr=[0.05], betas=BETAS, amsgrad=[False, True]),
    "Adagrad": grid(
        lr=[0.1], lr_decay=[0, 0.1], weight_decay=[0, 0.1], initial_accumulator_value=[0, 0.5]
    ),
    "Adadelta": grid(rho=[0.9, 0.5], eps=[1e-6, 1e-2], weight_decay=[0, 0.1]),
    "RMSprop": grid(
        alpha=[0.99, 0.5], momentum=[0, 0.9], centered=[False, True], weight_decay=[0, 0.1]
    ),
    "Adamax": grid(betas=BETAS, weight_decay=[0, 0.1]),
    "NAdam": grid(
        betas=BETAS, weight_decay=[0, 0.1], momentum_decay=[4e-3, 0.1],
        decoupled_weight_decay=[False, True],
    ),
    "RAdam": grid(betas=BETAS, weight_decay=[0, 0.1], decoupled_weight_decay=[False, True]),
    "ASGD": grid(lambd=[1e-4, 0.1], alpha=[0.75, 0.3], t0=[1e6, 5], weight_decay=[0, 0.1]),
    "Rprop": grid(etas=[(0.5, 1.2), (0.3, 1.5)], step_sizes=[(1e-6, 50), (1e-2, 0.1)]),
    "Adafactor": grid(weight_decay=[0, 0.1], beta2_decay=[-0.8, -0.3], d=[1.0, 3.0]),
    "Muon": grid(
        weight_decay=[0.1, 0], nesterov=[True, False], adjust_lr_fn=[None, "match_rms_adamw"]
    ),
}  # fmt: skip
GRIDS["Adafactor"].append({"eps": (1e-3, 1e-2)})
GRIDS["Muon"].append({"momentum": 0.5, "ns_steps": 3})
for name in GRIDS:
    if name != "Muon":
        GRIDS[name].append({"maximize": True})
SHAPES = {"Muon": [(3, 4), (6, 2), (5, 5)]}
# Muon computes with bfloat16, whose products are rounded in another order; NAdam and ASGD have
# numbers in float32 at PyTorch, in float64 here.
ROUNDED = {"Muon": (2e-2, 2e-2), "NAdam": (1e-5, 1e-6), "ASGD": (1e-5, 1e-6)}
CASES = [(name, options) for name, many in GRIDS.items() for options in many]


def tensors(name, seed, dtype):
    random = torch.Generator().manual_seed(seed)
    shapes = SHAPES.get(name, [(3, 4), (5,), (), (2, 3, 2)])
    return [torch.randn(shape, dtype=dtype, generator=random) for shape in shapes]


def trained(module, name, options, dtype, device="cpu", steps=20):
    """Parameters after steps with given gradients, those of the last group at another rate."""

    def values(seed):
        made = tensors(name, seed, dtype)
        return made if module is torch else [converted(x).to(device) for x in made]

    parameters = [p.requires_grad_() for p in values(0)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.02}]
    optimizer = getattr(module.optim, name)(groups, **options)
    for seed in range(1, steps + 1):
        for p, grad in zip(parameters, values(seed)):
            p.grad = grad
        optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_twenty_steps(device, name, options, dtype):
    expected, _ = trained(torch, name, options, dtype)
    got, _ = trained(tn, name, options, dtype, device)
    found = differences(expected, [x.cpu() for x in got], ROUNDED.get(name, DTYPES[dtype]))
    assert not found, found


@pytest.mark.parametrize("name", GRIDS)
def test_a_hundred_steps(device, name):
    dtype = torch.float64
    expected, _ = trained(torch, name, GRIDS[name][-1], dtype, steps=100)
    got, _ = trained(tn, name, GRIDS[name][-1], dtype, device, steps=100)
    found = differences(expected, [x.cpu() for x in got], ROUNDED.get(name, DTYPES[dtype]))
    assert not found, found


# State
@pytest.mark.parametrize("name", GRIDS)
def test_state_goes_to_and_fro(device, name):
    """Each goes on from the other's state as that one would have."""
    dtype, options = torch.float64, GRIDS[name][-1]
    parameters, theirs = trained(torch, name, options, dtype, steps=7)
    our_parameters, ours = trained(tn, name, options, dtype, device, steps=7)
    only_pytorch_s = {"foreach", "capturable", "differentiable", "fused"}
    for mine, other in zip(ours.param_groups, theirs.param_groups):
        assert set(mine) == set(other) - only_pytorch_s
    expected = theirs.state_dict()
    got = ours.state_dict()
    for number, state in expected["state"].items():
        assert set(got["state"][number]) == set(state)

    fresh = [converted(p.detach()).to(device).requires_grad_() for p in parameters]
    groups = [{"params": fresh[:2]}, {"params": fresh[2:]}]
    mine = getattr(tn.optim, name)(groups, **options)
    mine.load_state_dict(as_tinynet(expected, device))
    back = [torch.tensor(np.array(p.detach().cpu())).requires_grad_() for p in our_parameters]
    groups = [{"params": back[:2]}, {"params": back[2:]}]
    other = getattr(torch.optim, name)(groups, **options)
    other.load_state_dict(as_pytorch(got, expected))
    for seed in range(50, 55):
        for many, optimizer in ((parameters, theirs), (fresh, mine), (back, other)):
            for p, grad in zip(many, tensors(name, seed, dtype)):
                p.grad = grad if optimizer is not mine else converted(grad).to(device)
            optimizer.step()
    tolerance = ROUNDED.get(name, DTYPES[torch.float64])
    assert not differences(parameters, [x.cpu() for x in fresh], tolerance)
    assert not differences(back, [x.cpu() for x in fresh], tolerance)


def as_tinynet(state_dict, device):
    """PyTorch's state dict, with tinynet's tensors."""
    moved = converted(state_dict)
    for state in moved["state"].values():
        for key, value in state.items():
            if isinstance(value, tn.Tensor):
                state[key] = value.to(device)
    return moved


def as_pytorch(state_dict, like):
    """tinynet's state dict with PyTorch's tensors; numbers become what they are in `like`."""
    moved = {"state": {}, "param_groups": like["param_groups"]}
    for number, state in state_dict["state"].items():
        moved["state"][number] = {
            key: torch.tensor(np.array(value.cpu()))
            if isinstance(value, tn.Tensor)
            else torch.full_like(like["state"][number][key], value)
            if isinstance(like["state"][number][key], torch.Tensor)
            else value
            for key, value in state.items()
        }
    return moved


# L-BFGS
def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize(
    "options",
    [{}, {"history_size": 2}, {"max_iter": 5, "max_eval": 6}, {"tolerance_change": 1e-3}],
    ids=str,
)
def test_lbfgs(device, search, options):
    results = []
    for module in (torch, tn):
        start = [-1.2, 1.0, 0.5, 0.8]
        x = module.tensor(start, dtype=module.float64)
        x = (x if module is torch else x.to(device)).requires_grad_()
        lr = 1.0 if search else 1e-3
        optimizer = module.optim.LBFGS([x], lr=lr, line_search_fn=search, **options)

        def closure():
            optimizer.zero_grad()
            loss = rosenbrock(x)
            loss.backward()
            return loss

        steps = []
        for _ in range(6):
            loss = optimizer.step(closure)
            steps += [loss.item(), *x.tolist()]
        state = optimizer.state[x]
        results.append((steps, state["func_evals"], state["n_iter"]))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-6)
    assert results[1][1:] == results[0][1:]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Adagrad", {"lr": -1}), ("Adagrad", {"lr_decay": -1}), ("Adagrad", {"eps": -1}),
        ("Adagrad", {"initial_accumulator_value": -1}), ("Adagrad", {"weight_decay": -1}),
        ("Adadelta", {"lr": -1}), ("Adadelta", {"rho": 1.5}), ("Adadelta", {"eps": -1}),
        ("RMSprop", {"lr": -1}), ("RMSprop", {"alpha": -1}), ("RMSprop", {"momentum": -1}),
        ("Adamax", {"betas": (1.0, 0.9)}), ("Adamax", {"eps": -1}), ("Adamax", {"lr": -1}),
        ("NAdam", {"momentum_decay": -1}), ("NAdam", {"betas": (0.9, 1.0)}), ("NAdam", {"lr": -1}),
        ("RAdam", {"betas": (-0.1, 0.9)}), ("RAdam", {"eps": -1}), ("RAdam", {"lr": -1}),
        ("ASGD", {"lr": -1}), ("ASGD", {"weight_decay": -1}), ("Rprop", {"lr": -1}),
        ("Rprop", {"etas": (1.1, 1.2)}), ("Rprop", {"etas": (0.5, 0.9)}),
        ("Adafactor", {"lr": -1}), ("Adafactor", {"beta2_decay": 0.1}), ("Adafactor", {"d": 0.5}),
        ("Muon", {"lr": -1}), ("Muon", {"momentum": -1}), ("Muon", {"adjust_lr_fn": "any"}),
        ("LBFGS", {"lr": -1}),
    ],
    ids=str,
)  # fmt: skip
def test_options_that_are_refused(name, options):
    with pytest.raises(ValueError, match=r"Invalid|should|must|not supported"):
        getattr(torch.optim, name)([torch.ones(2, 2)], **options)
    with pytest.raises(TinynetError):
        getattr(tn.optim, name)([tn.ones(2, 2)], **options)


# Averages
@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_averaged_models(device, kind, use_buffers):
    results = []
    for module in (torch, tn):
        torch.manual_seed(0)
        theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).double()
        model = theirs
        if module is tn:
            model = tn.nn.Sequential(tn.nn.Linear(3, 4), tn.nn.BatchNorm1d(4)).to(device).double()
            model.load_state_dict(as_moved(theirs.state_dict(), device))
        tools = module.optim.swa_utils
        average = None if kind == "swa" else tools.get_ema_avg_fn(0.7)
        averaged = tools.AveragedModel(model, avg_fn=average, use_buffers=use_buffers)
        random = torch.Generator().manual_seed(0)
        batches = [torch.randn(8, 3, dtype=torch.float64, generator=random) for _ in range(4)]
        if module is tn:
            batches = [converted(x).to(device) for x in batches]
        optimizer = module.optim.SGD(model.parameters(), lr=0.01)
        for x in batches:
            optimizer.zero_grad()
            (model(x) ** 3).sum().backward()
            optimizer.step()
            averaged.update_parameters(model)
        first = dict(averaged.state_dict())
        first = {key: value.clone() for key, value in first.items()}
        tools.update_bn(batches, averaged)
        results.append((first, dict(averaged.state_dict())))
    for expected, got in zip(*results):
        assert list(got) == list(expected)
        for key, value in expected.items():
            found = differences(value, got[key].cpu(), (1e-9, 1e-11))
            assert not found, f"{key}: {found}"


def as_moved(state, device):
    return {key: converted(value).to(device) for key, value in state.items()}
