"""Every optimiser: it learns, is recorded by jit whatever its options do, and takes few kernels."""

import math

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError
from tinynet.optim import swa_utils

F = nn.functional

# name: options of a good start, how many kernels a step may take for each parameter on OpenCL
OPTIMISERS = {
    "SGD": ({"lr": 0.1, "momentum": 0.9}, 1),
    "Adam": ({"lr": 0.02}, 1),
    "AdamW": ({"lr": 0.02}, 1),
    "Adagrad": ({"lr": 0.1}, 1),
    "Adadelta": ({"lr": 3.0}, 3),
    "RMSprop": ({"lr": 0.01, "centered": True, "momentum": 0.5}, 1),
    "Adamax": ({"lr": 0.02}, 1),
    "NAdam": ({"lr": 0.02}, 1),
    "RAdam": ({"lr": 0.05}, 2),
    "ASGD": ({"lr": 0.2, "t0": 5}, 2),
    "Rprop": ({}, 2),
    "Adafactor": ({"lr": 0.1}, 5),
    "Lion": ({"lr": 0.01}, 3),
    "LAMB": ({"lr": 0.05}, 2),
}


def make_problem():
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
    x = tn.randn(60, 5)
    return model, x, (x[:, :3] + 0.3 * x[:, 2:]).argmax(1)


def trained(name, options, rates, record):
    """The losses of steps at the given rates, and the function that was called."""
    model, x, labels = make_problem()
    parameters = [*model.parameters()]
    if name == "Muon":
        parameters = [p for p in parameters if p.ndim == 2]
    optimizer = getattr(tn.optim, name)(parameters, **options)

    def step(x, labels):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = tn.jit(step) if record else step
    losses = []
    for rate in rates:
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses.append(step(x, labels).item())
    return losses, step


MUON = ({"lr": 0.02}, 99)


@pytest.mark.parametrize("name", [*OPTIMISERS, "Muon"])
def test_recorded_steps_at_changing_rates(on_device, name):
    """RAdam and ASGD branch on the number of steps, which is recorded anew; nothing else is."""
    options, _ = {**OPTIMISERS, "Muon": MUON}[name]
    rate = options.get("lr", 0.01)
    rates = [rate * (1 + 0.5 * math.sin(i)) for i in range(25)]
    expected, _ = trained(name, options, rates, record=False)
    losses, step = trained(name, options, rates, record=True)
    assert losses == pytest.approx(expected, rel=2e-3 if name in ("Muon", "Rprop") else 1e-4)
    assert losses[-1] < 0.7 * losses[0]
    assert step.count <= {"RAdam": 2, "ASGD": 3}.get(name, 1)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_kernels_of_a_step(name):
    options, most = OPTIMISERS[name]
    parameters = [nn.Parameter(tn.ones(20, 30, device="opencl") * i) for i in (1, 2, 3)]
    optimizer = getattr(tn.optim, name)(parameters, **options)
    for i in range(4):
        for p in parameters:
            p.grad = tn.full_like(p, i + 1.0).realize()
        before = tn.counters().launches
        optimizer.step()
        for p in parameters:
            p.realize()
    kept = [x for state in optimizer.state.values() for x in state.values()]
    for x in kept:
        if isinstance(x, tn.Tensor):
            x.realize()
    assert tn.counters().launches - before <= most * len(parameters)


# What PyTorch does not have, by the formulas of the papers
def numbers(make, gradients, start=0.5):
    x = tn.tensor([start, -start], dtype=tn.float64, requires_grad=True)
    optimizer = make([x])
    for gradient in gradients:
        x.grad = tn.tensor([gradient, -gradient], dtype=tn.float64)
        optimizer.step()
    a, b = x.tolist()
    assert a == -b
    return a


GRADIENTS = [math.sin(3 * i) + 0.1 for i in range(50)]


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "betas": (0.5, 0.8)}, {"lr": 0.01}])
def test_lion(options):
    lr, (beta1, beta2) = options.get("lr", 1e-4), options.get("betas", (0.9, 0.99))
    x, mean = 0.5, 0.0
    for g in GRADIENTS:
        ahead = beta1 * mean + (1 - beta1) * g
        x -= lr * (math.copysign(1, ahead) + options.get("weight_decay", 0) * x)
        mean = beta2 * mean + (1 - beta2) * g
    assert numbers(lambda p: tn.optim.Lion(p, **options), GRADIENTS) == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "betas": (0.5, 0.8), "eps": 0.1}])
def test_lamb(options):
    lr, eps = 1e-3, options.get("eps", 1e-6)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    x, mean, square = 0.5, 0.0, 0.0
    for i, g in enumerate(GRADIENTS, 1):
        mean = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * g * g
        change = mean / (1 - beta1**i) / (math.sqrt(square / (1 - beta2**i)) + eps)
        change += options.get("weight_decay", 0) * x
        x -= lr * abs(x) / abs(change) * change
    assert numbers(lambda p: tn.optim.LAMB(p, **options), GRADIENTS) == pytest.approx(x, rel=1e-10)


def test_lamb_moves_zeros():
    x = tn.zeros(2, requires_grad=True)
    x.grad = tn.tensor([1.0, -1.0])
    tn.optim.LAMB([x], lr=0.1).step()
    assert x.tolist() == pytest.approx([-0.1, 0.1], rel=1e-4)


def test_muon_s_steps_are_nearly_orthogonal(on_device):
    for shape in ((6, 4), (4, 6)):
        x = tn.zeros(shape, requires_grad=True)
        x.grad = tn.randn(shape)
        tn.optim.Muon([x], lr=1.0, weight_decay=0.0).step()
        values = tn.linalg.svd(x.detach())[1]
        scale = max(1, shape[0] / shape[1]) ** 0.5
        assert 0.5 * scale < values.min().item() < values.max().item() < 1.3 * scale


# L-BFGS
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_finds_the_minimum(on_device, search):
    x = tn.tensor([-1.2, 1.0], dtype=tn.float64, requires_grad=True)
    optimizer = tn.optim.LBFGS([x], lr=1 if search else 0.1, max_iter=50, line_search_fn=search)

    def closure():
        optimizer.zero_grad()
        loss = 10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        loss.backward()
        return loss

    for _ in range(4):
        optimizer.step(closure)
    assert x.tolist() == pytest.approx([1, 1], abs=1e-3)


def test_lbfgs_and_jit():
    x = tn.ones(2, requires_grad=True)
    optimizer = tn.optim.LBFGS([x])

    @tn.jit
    def step():
        return optimizer.step(lambda: (x * x).sum())

    step()
    with pytest.raises(RecordingError, match="let jit record the closure instead"):
        step()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: tn.optim.LBFGS([tn.ones(1)]).step(), ArgumentTypeError,
         "LBFGS: step needs a closure that computes the loss, got None"),
        (lambda: tn.optim.LBFGS([tn.ones(1)], line_search_fn="armijo"), ArgumentError,
         "LBFGS: line_search_fn must be None or 'strong_wolfe', got 'armijo'"),
        (lambda: tn.optim.LBFGS([{"params": [tn.ones(1)]}, {"params": [tn.ones(1)]}]),
         ArgumentError, "LBFGS: expected one group of parameters, got another"),
        (lambda: tn.optim.Muon([tn.ones(3)]), ArgumentError,
         "Muon: can train only matrices, got shape (3,)"),
        (lambda: tn.optim.Rprop([tn.ones(3)], etas=(1.5, 2)), ArgumentError,
         "Rprop: etas must be below and above 1, got (1.5, 2)"),
        (lambda: tn.optim.Adadelta([tn.ones(3)], rho=2), ArgumentError,
         "Adadelta: rho must be in [0, 1], got 2"),
        (lambda: swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max),
         ArgumentError, "AveragedModel: expected avg_fn or multi_avg_fn, got both"),
        (lambda: swa_utils.get_ema_avg_fn(2), ArgumentError,
         "get_ema_avg_fn: decay must be in [0, 1], got 2"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


# Hooks
def test_hooks_of_steps_and_states():
    x = tn.ones(1, requires_grad=True)
    x.grad = tn.ones(1)
    optimizer, seen = tn.optim.SGD([x], lr=0.5), []
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after")),
    ]
    optimizer.step()
    assert seen == ["before", "after"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert seen == ["before", "after"]
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    assert optimizer.state_dict()["more"] == 1
    optimizer.register_load_state_dict_pre_hook(
        lambda o, state: {k: v for k, v in state.items() if k != "more"}
    )
    optimizer.load_state_dict(optimizer.state_dict())


# Averages
@pytest.mark.parametrize("make", [swa_utils.get_swa_avg_fn, swa_utils.get_ema_avg_fn])
def test_averages_are_recorded(on_device, make):
    results = []
    for record in (False, True):
        model, x, labels = make_problem()
        averaged = swa_utils.AveragedModel(model, avg_fn=make())
        optimizer = tn.optim.SGD(model.parameters(), lr=0.3)

        def step(x, labels, model=model, averaged=averaged, optimizer=optimizer):
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            averaged.update_parameters(model)
            return loss.detach()

        step = tn.jit(step) if record else step
        for _ in range(8):
            step(x, labels).item()
        assert averaged.n_averaged.item() == 8
        results.append([p.detach().cpu() for p in averaged.parameters()])
    assert all(tn.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(*results))
