"""Optimisers beside PyTorch's: a hundred steps with every combination of options."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

STEPS = 100


def grid(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def tensors(seed, dtype):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=dtype, generator=random) for shape in [(3, 4), (5,), ()]]


def trained(module, name, options, dtype=torch.float32):
    """Parameters after STEPS with given gradients, those of the last group at another rate.

    Gradients of a loss would not do: near its minimum their noise decides where Adam steps.
    """
    values = (lambda seed: tensors(seed, dtype)) if module is torch else (
        lambda seed: converted(tensors(seed, dtype))
    )  # fmt: skip
    parameters = [p.requires_grad_() for p in values(0)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.02}]
    optimizer = getattr(module.optim, name)(groups, **options)
    for seed in range(1, STEPS + 1):
        for p, grad in zip(parameters, values(seed)):
            p.grad = grad
        optimizer.step()
    return parameters, optimizer


def check(name, options, **how):
    expected, _ = trained(torch, name, options, **how)
    got, _ = trained(tn, name, options, **how)
    tolerance = None if how else (2e-6, 2e-6)
    assert not differences(expected, got, tolerance), differences(expected, got, tolerance)


@pytest.mark.parametrize(
    "options",
    grid(
        lr=[0.03], momentum=[0, 0.9], dampening=[0, 0.2], weight_decay=[0, 0.1],
        nesterov=[False], maximize=[False, True],
    )
    + grid(lr=[0.03], momentum=[0.8], weight_decay=[0, 0.1], nesterov=[True]),
)  # fmt: skip
def test_sgd(options):
    check("SGD", options)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize(
    "options",
    grid() + grid(
        lr=[0.05], betas=[(0.9, 0.999), (0.3, 0.5), (0.0, 0.0)], eps=[1e-8, 1e-2],
        weight_decay=[0, 0.1], amsgrad=[False, True],
    ) + grid(lr=[0.01], maximize=[True], amsgrad=[False, True], weight_decay=[0.1]),
)  # fmt: skip
def test_adam(name, options):
    check(name, options)


def test_adam_with_decoupled_decay():
    check("Adam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True})


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_float64(name):
    check(name, {"lr": 0.05, "weight_decay": 0.01}, dtype=torch.float64)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_and_state_have_pytorch_s_keys(name):
    options = {"momentum": 0.9} if name == "SGD" else {"amsgrad": True}
    expected = trained(torch, name, options)[1].state_dict()
    got = trained(tn, name, options)[1].state_dict()
    assert list(got) == list(expected)
    for number, state in expected["state"].items():
        assert set(got["state"][number]) == set(state)
    only_pytorch_s = {"foreach", "capturable", "differentiable", "fused"}
    for mine, theirs in zip(got["param_groups"], expected["param_groups"]):
        assert set(mine) == set(theirs) - only_pytorch_s
        assert all(mine[key] == theirs[key] for key in mine)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1}), ("SGD", {"momentum": -1}), ("SGD", {"weight_decay": -1}),
        ("SGD", {"nesterov": True}), ("SGD", {"nesterov": True, "momentum": 1, "dampening": 0.1}),
        ("Adam", {"lr": -1}), ("Adam", {"eps": -1}), ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, -0.1)}), ("Adam", {"weight_decay": -0.1}),
        ("AdamW", {"lr": -1}), ("AdamW", {"weight_decay": -0.1}),
    ],
)  # fmt: skip
def test_options_that_are_refused(name, options):
    with pytest.raises(ValueError, match=r"Invalid|Nesterov"):
        getattr(torch.optim, name)([torch.ones(1)], **options)
    with pytest.raises(TinynetError):
        getattr(tn.optim, name)([tn.ones(1)], **options)
