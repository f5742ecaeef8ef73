"""Optimisers beside PyTorch's: their options, states and refusals; averaged models too."""

import functools
import itertools

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

SHAPES = [(2, 3, 2), (5,), ()]
TOLERANCES = {torch.float32: (1e-5, 1e-6), torch.float64: (1e-10, 1e-12)}


def grid(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


CASES = {
    "Adagrad": [
        {},
        *grid(lr=[0.1], lr_decay=[0, 0.1], weight_decay=[0, 0.1], initial_accumulator_value=[0, 2]),
        {"lr": 0.1, "eps": 0.1, "maximize": True},
    ],
    "Adadelta": [{}, *grid(lr=[0.5], rho=[0.5, 0.95], weight_decay=[0, 0.1], maximize=[False, True],
                           eps=[1e-6, 1e-2])],
    "RMSprop": [
        {}, {"alpha": 0.3, "eps": 1e-2, "maximize": True},
        *grid(lr=[0.01], momentum=[0, 0.9], centered=[False, True], weight_decay=[0, 0.1],
              eps=[1e-3]),
    ],
    "Adamax": [{}, *grid(lr=[0.02], betas=[(0.9, 0.999), (0.3, 0.5)], weight_decay=[0, 0.1],
                         eps=[1e-8, 0.1], maximize=[False, True])],
    "NAdam": [
        {}, {"betas": (0.3, 0.5), "eps": 0.01, "maximize": True},
        *grid(lr=[0.02], weight_decay=[0, 0.1], momentum_decay=[0, 4e-3, 0.1],
              decoupled_weight_decay=[False, True]),
    ],
    "RAdam": [
        {}, *grid(betas=[(0.3, 0.5), (0, 0)], eps=[0.01], maximize=[True]),
        *grid(lr=[0.02], betas=[(0.9, 0.999), (0.9, 0.9)], weight_decay=[0, 0.1],
              decoupled_weight_decay=[False, True]),
    ],
    "ASGD": [{}, *grid(lr=[0.05], lambd=[1e-4, 0.1], alpha=[0.75, 1], t0=[1e6, 5, 2.5, 0],
                       weight_decay=[0.1]), {"lr": 0, "maximize": True}],
    "Rprop": [{}, *grid(lr=[0.05], etas=[(0.5, 1.2), (0.3, 1.5)], maximize=[False, True],
                        step_sizes=[(1e-6, 50), (0.02, 0.06)])],
    "Adafactor": [
        {}, *grid(lr=[0.5], weight_decay=[0, 0.1], d=[1.0, 3.0], eps=[(None, 1e-3), (1e-2, 2.0)]),
        {"beta2_decay": -0.3, "maximize": True}, {"beta2_decay": 0},
    ],
}  # fmt: skip


def cases(names=CASES):
    return [
        pytest.param(name, options, id="-".join([name, *(f"{k}={v}" for k, v in options.items())]))
        for name in names
        for options in CASES[name]
    ]


def tensors(seed, dtype, shapes=SHAPES):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=dtype, generator=random) for shape in shapes]


def groups_of(parameters):
    return [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.02}]


@functools.cache
def pytorch_s(name, options, dtype, steps):
    """What `trained` returns, for all devices."""
    return trained(torch, name, dict(options), dtype, steps)


def trained(module, name, options, dtype, steps, shapes=SHAPES):
    """Parameters after given gradients, the second of which has zeros, and their optimiser."""
    convert = converted if module is tn else (lambda x: x)
    parameters = [p.requires_grad_() for p in convert(tensors(0, dtype, shapes))]
    optimizer = getattr(module.optim, name)(groups_of(parameters), **options)
    for seed in range(1, steps + 1):
        for p, grad in zip(parameters, convert(tensors(seed, dtype, shapes))):
            p.grad = grad * (0 if seed == 2 else 1)
        optimizer.step()
    return parameters, optimizer


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    """PyTorch keeps numbers such as NAdam's mu_product in the default dtype."""
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "options"), cases())
def test_twenty_steps(name, options, dtype, on_device):
    expected, theirs = pytorch_s(name, tuple(options.items()), dtype, 20)
    got, ours = trained(tn, name, options, dtype, 20)
    assert not differences(expected, got, TOLERANCES[dtype])
    assert_states_alike(theirs.state_dict(), ours.state_dict(), TOLERANCES[dtype])


@pytest.mark.parametrize(
    ("name", "options"), [(name, CASES[name][i]) for name in CASES for i in (0, -1)]
)
def test_a_hundred_steps(name, options, dtype):
    expected, _ = trained(torch, name, options, dtype, 100)
    got, _ = trained(tn, name, options, dtype, 100)
    assert not differences(expected, got, TOLERANCES[dtype])


# States
PYTORCH_S = {"foreach", "capturable", "differentiable", "fused"}


def assert_states_alike(expected, got, tolerance):
    """The same keys in the same order, values alike, numbers here for 0-d tensors there."""
    assert list(got) == list(expected)
    for mine, theirs in zip(got["param_groups"], expected["param_groups"], strict=True):
        assert {**mine, **{k: theirs[k] for k in PYTORCH_S & set(theirs)}} == theirs
    assert list(got["state"]) == list(expected["state"])
    for number, theirs in expected["state"].items():
        assert set(got["state"][number]) == set(theirs)
        for key, value in theirs.items():
            mine = got["state"][number][key]
            if not isinstance(mine, tn.Tensor):
                assert mine == pytest.approx(float(value), rel=tolerance[0]), key
            else:
                assert not differences(value, mine, tolerance), key


def as_pytorch_s(item):
    """A state dict with PyTorch's tensors for ours."""
    if isinstance(item, tn.Tensor):
        return torch.from_numpy(item.numpy().copy())
    if isinstance(item, dict):
        return {key: as_pytorch_s(value) for key, value in item.items()}
    return [as_pytorch_s(part) for part in item] if isinstance(item, list) else item


OTHERS = {"SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}}


@pytest.mark.parametrize("name", [*CASES, *OTHERS])
def test_states_go_both_ways(name, dtype):
    options = OTHERS[name] if name in OTHERS else CASES[name][-1]
    expected, theirs = trained(torch, name, options, dtype, 5)
    mine, ours = trained(tn, name, options, dtype, 5)
    copies = [p.detach().clone().requires_grad_() for p in expected]
    from_ours = getattr(torch.optim, name)(groups_of(copies))
    from_ours.load_state_dict(as_pytorch_s(ours.state_dict()))
    my_copies = [p.detach().clone().requires_grad_() for p in mine]
    from_theirs = getattr(tn.optim, name)(groups_of(my_copies))
    from_theirs.load_state_dict(converted(theirs.state_dict()))
    for seed in range(6, 10):
        for p, q, r, grad in zip(expected, copies, my_copies, tensors(seed, dtype)):
            p.grad, q.grad, r.grad = grad, grad.clone(), converted(grad)
        for optimizer in (theirs, from_ours, from_theirs):
            optimizer.step()
    for p, q in zip(expected, copies):
        torch.testing.assert_close(p, q, rtol=TOLERANCES[dtype][0], atol=1e-6)
    assert not differences(expected, my_copies, TOLERANCES[dtype])


def test_adagrad_has_a_state_before_its_first_step(dtype):
    theirs = trained(torch, "Adagrad", {"initial_accumulator_value": 3}, dtype, 0)[1]
    ours = trained(tn, "Adagrad", {"initial_accumulator_value": 3}, dtype, 0)[1]
    assert_states_alike(theirs.state_dict(), ours.state_dict(), TOLERANCES[dtype])


# Muon
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (1, 3)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {}, {"lr": 0.01, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
        {"lr": 0.01, "adjust_lr_fn": "original"},
        {"weight_decay": 0, "momentum": 0.5, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5)},
        {"eps": 10.0, "ns_steps": 1},
    ],
    ids=str,
)  # fmt: skip
def test_muon(shape, options, dtype, on_device):
    expected, theirs = trained(torch, "Muon", options, dtype, 10, [shape] * 2)
    got, ours = trained(tn, "Muon", options, dtype, 10, [shape] * 2)
    assert not differences(expected, got, (1e-5, 0.02 * options.get("lr", 1e-3)))
    assert_states_alike(theirs.state_dict(), ours.state_dict(), TOLERANCES[dtype])


# LBFGS
def minimised(module, options, dtype, steps):
    """Losses, parameters, numbers of evaluations of a small regression with a hidden layer."""
    convert = converted if module is tn else (lambda x: x)
    x, y = convert(tensors(1, dtype, [(12, 3), (12, 2)]))
    parameters = [
        p.requires_grad_() for p in convert(tensors(2, dtype, [(3, 4), (4,), (4, 2), (1, 2)]))
    ]
    optimizer = module.optim.LBFGS(parameters, **options)

    def closure():
        optimizer.zero_grad()
        a, b, c, d = parameters
        loss = (((x @ a + b).tanh() @ c + d - y) ** 2).mean()
        loss.backward()
        return loss

    losses = [optimizer.step(closure) for _ in range(steps)]
    return [y.detach() for y in losses], parameters, optimizer


LBFGS = [
    *grid(line_search_fn=[None], lr=[0.1], max_iter=[1, 4], history_size=[2, 100]),
    *grid(line_search_fn=["strong_wolfe"], lr=[1, 0.2, 8], max_iter=[5], history_size=[2, 100]),
    {"line_search_fn": "strong_wolfe", "max_eval": 3}, {"max_eval": 2, "lr": 0.1},
    {"tolerance_grad": 0.2, "lr": 0.1}, {"tolerance_change": 0.05, "lr": 0.1},
    {"line_search_fn": "strong_wolfe", "tolerance_change": 0.05},
]  # fmt: skip


@pytest.mark.parametrize("options", LBFGS, ids=str)
def test_lbfgs(options, dtype, on_device):
    expected, p, theirs = minimised(torch, options, dtype, 3)
    got, q, ours = minimised(tn, options, dtype, 3)
    tolerance = {torch.float32: (2e-4, 2e-5), torch.float64: (1e-9, 1e-10)}[dtype]
    assert not differences(expected, got, tolerance)
    assert not differences(p, q, tolerance)
    theirs, ours = theirs.state[p[0]], ours.state[q[0]]
    assert set(theirs) == set(ours)
    assert (theirs["func_evals"], theirs["n_iter"]) == (ours["func_evals"], ours["n_iter"])


def test_lbfgs_long():
    torch.set_default_dtype(torch.float64)
    options = {"line_search_fn": "strong_wolfe"}
    expected = minimised(torch, options, torch.float64, 4)[0]
    got = minimised(tn, options, torch.float64, 4)[0]
    torch.set_default_dtype(torch.float32)
    assert not differences(expected, got, (1e-8, 1e-10))


def on_waves(module, seed):
    """Every loss that the closure computes while x descends over waves, in float64."""
    random = torch.Generator().manual_seed(seed)
    a, b, c, lr, tolerance = torch.rand(5, generator=random, dtype=torch.float64).tolist()
    x = module.tensor([3 * a, -2 * b], dtype=module.float64, requires_grad=True)
    optimizer = module.optim.LBFGS(
        [x], lr=10 ** (4 * lr - 2), line_search_fn="strong_wolfe", max_iter=5, max_eval=40,
        tolerance_change=10 ** (-9 + 7 * tolerance),
    )  # fmt: skip
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = (1 + b) * x[0] ** 2 + c * x[1] ** 4 + 2 * (x * (1 + 9 * a)).cos().sum()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return losses


@pytest.mark.parametrize("seeds", [range(i, i + 50) for i in (0, 100)], ids=str)
def test_lines_are_searched_alike(seeds):
    for seed in seeds:
        expected, got = on_waves(torch, seed), on_waves(tn, seed)
        assert len(got) == len(expected), seed
        assert got == pytest.approx(expected, rel=1e-4, abs=1e-4), seed  # waves amplify


LINES = {
    "straight": lambda x: (x * 0.25).sum(),
    "straight uphill": lambda x: (x * 0.1).sum() + 1e-9 * (x**4).sum(),
    "kinked": lambda x: ((x - 0.3).abs() + 0.1 * x**2).sum(),
    "flat": lambda x: (x * 0).sum(),
    "nan": lambda x: (x - 5).sqrt().sum(),
}


def searched(module, name, options):
    """Every loss that the closure computes, and where x ends."""
    x = module.tensor([1.0, 2.0], dtype=module.float64, requires_grad=True)
    optimizer = module.optim.LBFGS([x], line_search_fn="strong_wolfe", **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = LINES[name](x)
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return losses + x.tolist()


@pytest.mark.parametrize("options", [{}, {"max_eval": 4}, {"max_eval": 60, "lr": 0.125}], ids=str)
@pytest.mark.parametrize("name", LINES)
def test_odd_lines(name, options):
    expected, got = searched(torch, name, options), searched(tn, name, options)
    assert got == pytest.approx(expected, rel=1e-7, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
def test_states_of_lbfgs_go_both_ways(line_search_fn, dtype):
    options = {"line_search_fn": line_search_fn, "lr": 0.5, "max_iter": 4}
    _, p, theirs = minimised(torch, options, dtype, 1)
    _, q, ours = minimised(tn, options, dtype, 1)
    loss, grads = theirs.state[p[0]]["prev_loss"], tensors(3, dtype, [x.shape for x in p])
    assert ours.state[q[0]]["prev_loss"] == pytest.approx(loss, rel=1e-5)
    mine, their_s = as_pytorch_s(ours.state_dict()), converted(theirs.state_dict())
    theirs.load_state_dict(mine)
    ours.load_state_dict(their_s)

    def closure(parameters, module):
        for x, grad in zip(parameters, grads):
            x.grad = grad if module is torch else converted(grad)
        return module.tensor(1.0)

    theirs.step(lambda: closure(p, torch))
    ours.step(lambda: closure(q, tn))
    assert not differences(p, q, (1e-4, 1e-5))


# Averaged models
def averaged(module, make, dtype, use_buffers):
    """An averaged model, and what it computes, after five updates."""
    convert = converted if module is tn else (lambda x: x)
    nn = module.nn
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model = model.to(convert(dtype))
    options = make(module.optim.swa_utils)
    mean = module.optim.swa_utils.AveragedModel(model, **options, use_buffers=use_buffers)
    for seed in range(5):
        values = convert(tensors(seed, dtype, [tuple(p.shape) for p in model.parameters()]))
        with module.no_grad():
            for p, value in zip(model.parameters(), values):
                p.copy_(value)
        model(convert(tensors(seed, dtype, [(6, 3)])[0]))
        mean.update_parameters(model)
    batches = [convert(x) for x in tensors(9, dtype, [(6, 3), (4, 3)])]
    return mean, batches


AVERAGES = {
    "mean": lambda utils: {},
    "swa": lambda utils: {"avg_fn": utils.get_swa_avg_fn()},
    "ema": lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.7)},
    "multi swa": lambda utils: {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
    "multi ema": lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.7)},
    "own": lambda utils: {"avg_fn": lambda old, new, n: old + (new - old) / (n + 3)},
}


@pytest.mark.parametrize("use_buffers", [False, True], ids=["parameters", "buffers"])
@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_model(name, use_buffers, dtype, on_device):
    if use_buffers and name == "multi swa":
        pytest.skip("PyTorch's does not average the whole numbers of batch norms")
    theirs, batches = averaged(torch, AVERAGES[name], dtype, use_buffers)
    ours, my_batches = averaged(tn, AVERAGES[name], dtype, use_buffers)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    state = [*theirs.state_dict().values()]
    assert not differences(state, [*ours.state_dict().values()], TOLERANCES[dtype])
    torch.optim.swa_utils.update_bn([(x, 0) for x in batches], theirs)
    tn.optim.swa_utils.update_bn([(x, 0) for x in my_batches], ours)
    assert ours.module[1].momentum == theirs.module[1].momentum
    state = [*theirs.state_dict().values()]
    tolerance = (1e-5, 1e-5) if dtype is torch.float32 else (1e-10, 1e-10)
    assert not differences(state, [*ours.state_dict().values()], tolerance)
    assert not differences(theirs(batches[0]), ours(my_batches[0]), tolerance)


# Refusals
REFUSED = [
    ("Adagrad", {"lr": -1}), ("Adagrad", {"lr_decay": -1}), ("Adagrad", {"weight_decay": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}), ("Adagrad", {"eps": -1}),
    ("Adadelta", {"lr": -1}), ("Adadelta", {"rho": 1.5}), ("Adadelta", {"rho": -0.5}),
    ("Adadelta", {"eps": -1}), ("Adadelta", {"weight_decay": -1}),
    ("RMSprop", {"lr": -1}), ("RMSprop", {"alpha": -1}), ("RMSprop", {"momentum": -1}),
    ("RMSprop", {"eps": -1}), ("RMSprop", {"weight_decay": -1}),
    ("Adamax", {"lr": -1}), ("Adamax", {"betas": (1.0, 0.5)}), ("Adamax", {"eps": -1}),
    ("Adamax", {"weight_decay": -1}),
    ("NAdam", {"lr": -1}), ("NAdam", {"betas": (0.5, 1.0)}), ("NAdam", {"momentum_decay": -1}),
    ("NAdam", {"eps": -1}), ("NAdam", {"weight_decay": -1}),
    ("RAdam", {"lr": -1}), ("RAdam", {"betas": (-0.5, 0.5)}), ("RAdam", {"eps": -1}),
    ("RAdam", {"weight_decay": -1}),
    ("ASGD", {"lr": -1}), ("ASGD", {"weight_decay": -1}),
    ("Rprop", {"lr": -1}), ("Rprop", {"etas": (0.5, 0.9)}), ("Rprop", {"etas": (0, 1.2)}),
    ("Adafactor", {"lr": -1}), ("Adafactor", {"beta2_decay": 1}), ("Adafactor", {"d": 0.5}),
    ("Adafactor", {"eps": (-1, 1)}), ("Adafactor", {"eps": (None, -1)}),
    ("Adafactor", {"weight_decay": -1}),
    ("Muon", {"lr": -1}), ("Muon", {"momentum": -1}), ("Muon", {"weight_decay": -1}),
    ("Muon", {"adjust_lr_fn": "none"}), ("LBFGS", {"lr": -1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), REFUSED, ids=str)
def test_options_that_are_refused(name, options):
    with pytest.raises(ValueError, match=r"."):
        getattr(torch.optim, name)([torch.ones(1, 1)], **options)
    with pytest.raises(TinynetError):
        getattr(tn.optim, name)([tn.ones(1, 1)], **options)


OTHER_MISUSE = {
    "Muon of a vector": lambda m: m.optim.Muon([m.ones(3)]),
    "LBFGS of groups": lambda m: m.optim.LBFGS([{"params": m.ones(3)}, {"params": m.ones(2)}]),
    "LBFGS without a closure": lambda m: m.optim.LBFGS([m.ones(3)]).step(),
    "names in one group": lambda m: m.optim.SGD(
        [{"params": [("a", m.ones(3))]}, {"params": [m.ones(2)]}]
    ),
    "names of some": lambda m: m.optim.SGD([("a", m.ones(3)), m.ones(2)]),
    "both averages": lambda m: m.optim.swa_utils.AveragedModel(
        m.nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max
    ),
    "decay": lambda m: m.optim.swa_utils.get_ema_avg_fn(1.5),
}


@pytest.mark.parametrize("name", OTHER_MISUSE)
def test_other_misuse(name):
    with pytest.raises((ValueError, TypeError, AssertionError)):
        OTHER_MISUSE[name](torch)
    with pytest.raises(TinynetError):
        OTHER_MISUSE[name](tn)


# Hooks
def hooked(module):
    """What hooks see, in order."""
    x = module.ones(1, requires_grad=True)
    optimizer = module.optim.SGD([x], lr=0.5, momentum=0.9)
    seen = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", len(args))))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", len(args))))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("state"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "mine": 1})
    optimizer.register_state_dict_post_hook(lambda o, state: seen.append(sorted(state)), True)
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(sorted(state)))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.step()
    optimizer.step(lambda: seen.append("closure"))
    optimizer.load_state_dict(optimizer.state_dict())
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
    seen.append(optimizer.step())
    handle.remove()
    seen.append(optimizer.step())
    return seen


def test_hooks():
    assert hooked(tn) == hooked(torch)
