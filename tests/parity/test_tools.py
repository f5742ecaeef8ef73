"""Initialisers, containers, parametrizations, clipping and hooks beside PyTorch's."""

import math
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")

import tinynet as tn  # noqa: E402
from tests.parity.comparing import converted, differences  # noqa: E402
from tinynet.errors import TinynetError  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def rand(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# Initialisers
EXACT = [
    ("eye_", (3, 5), {}), ("eye_", (5, 3), {}), ("constant_", (2, 3), {"val": 0.3}),
    ("ones_", (4,), {}), ("zeros_", (4,), {}), ("dirac_", (4, 3, 5), {}),
    ("dirac_", (6, 2, 3, 3), {"groups": 3}), ("dirac_", (2, 4, 2, 3, 4), {}),
]  # fmt: skip
RANDOM = [
    ("uniform_", (300, 200), {"a": -0.3, "b": 0.7}), ("normal_", (300, 200), {"std": 0.3}),
    ("normal_", (300, 200), {"mean": 2.0}), ("trunc_normal_", (300, 200), {}),
    ("trunc_normal_", (300, 200), {"mean": 0.5, "std": 0.1, "a": 0.3, "b": 0.52}),
    ("trunc_normal_", (300, 200), {"mean": 3.0, "std": 1.0, "a": -2.0, "b": 2.0}),
    ("xavier_uniform_", (300, 200), {"gain": 1.7}), ("xavier_normal_", (30, 20, 5, 5), {}),
    ("kaiming_uniform_", (300, 200), {"a": 1.0, "mode": "fan_out"}),
    ("kaiming_normal_", (30, 20, 5, 5), {"nonlinearity": "relu"}),
    ("sparse_", (300, 200), {"sparsity": 0.3, "std": 0.1}), ("orthogonal_", (300, 200), {}),
    ("orthogonal_", (20, 30, 5), {"gain": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "options"), EXACT, ids=str)
def test_initialisers_without_chance(device, name, shape, options):
    expected = getattr(torch.nn.init, name)(torch.ones(shape), **options)
    x = tn.ones(shape, device=device)
    assert getattr(tn.nn.init, name)(x, **options) is x
    assert not differences(expected, x.cpu())


@pytest.mark.parametrize(("name", "shape", "options"), RANDOM, ids=str)
def test_statistics_of_initialisers(device, name, shape, options):
    torch.manual_seed(0)
    tn.manual_seed(0)
    expected = getattr(torch.nn.init, name)(torch.empty(shape), **options)
    x = getattr(tn.nn.init, name)(tn.ones(shape, device=device), **options).cpu()
    deviation = expected.std().item()
    error = 5 * deviation / math.sqrt(expected.numel())
    assert x.mean().item() == pytest.approx(expected.mean().item(), abs=2 * error)
    assert x.std().item() == pytest.approx(deviation, rel=0.03)
    assert (x == 0).sum().item() == (expected == 0).sum().item()
    if name == "trunc_normal_":
        low, high = options.get("a", -2.0), options.get("b", 2.0)
        assert low <= x.min().item() < x.max().item() <= high
    if name in ("uniform_", "xavier_uniform_", "kaiming_uniform_"):
        assert x.min().item() == pytest.approx(expected.min().item(), abs=0.02 * deviation + 1e-3)
        assert x.max().item() == pytest.approx(expected.max().item(), abs=0.02 * deviation + 1e-3)
    if name == "orthogonal_":
        rows = x.flatten(1)
        short = rows if rows.shape[0] < rows.shape[1] else rows.T
        gram = short @ short.T / options.get("gain", 1) ** 2
        assert tn.allclose(gram, tn.eye(len(gram)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("eye_", (3,), {}), ("dirac_", (3, 3), {}), ("dirac_", (4, 3, 2), {"groups": 3}),
        ("orthogonal_", (3,), {}), ("sparse_", (3, 2, 2), {"sparsity": 0.1}),
        ("xavier_uniform_", (3,), {}),
    ],
    ids=str,
)  # fmt: skip
def test_what_initialisers_refuse(name, shape, options):
    with pytest.raises(ValueError, match=r"Only|dim|fan|divisible"):
        getattr(torch.nn.init, name)(torch.ones(shape), **options)
    with pytest.raises(TinynetError):
        getattr(tn.nn.init, name)(tn.ones(shape), **options)


GAINS = "linear conv2d sigmoid tanh relu selu leaky_relu".split()


@pytest.mark.parametrize("name", GAINS)
def test_gains(name):
    assert tn.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


# Containers
def use_sequential(nn):
    layers = [("first", nn.Linear(2, 3)), ("act", nn.ReLU()), ("last", nn.Linear(3, 1))]
    net = nn.Sequential(OrderedDict(layers))
    yield repr(net), list(net.state_dict()), len(net), type(net[1]).__name__
    part = net[:2]
    yield repr(part), [name for name, _ in part.named_children()]
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    net.append(nn.Tanh())
    net.insert(1, nn.Sigmoid())
    yield repr(net)
    removed = net.pop(0)
    yield repr(removed), repr(net)
    both = nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh())
    yield repr(both), repr(both * 2)
    del net[0]
    yield repr(net)


def use_module_dict(nn):
    table = nn.ModuleDict({"a": nn.Linear(1, 2), "b": nn.ReLU()})
    table["c"] = nn.Tanh()
    table.update([("d", nn.Sigmoid()), ("b", nn.ELU())])
    yield repr(table), list(table), "a" in table, "z" in table, len(table)
    yield [*table.keys()], [repr(x) for x in table.values()], [key for key, _ in table.items()]
    popped = table.pop("c")
    del table["d"]
    yield repr(popped), repr(table), list(table.state_dict())
    table.clear()
    yield repr(table)


def use_parameter_lists(nn):
    library = torch if nn is torch.nn else tn
    many = nn.ParameterList([library.ones(2, 3), library.zeros(4)])
    many.append(library.ones(1))
    many += [library.ones(5)]
    yield len(many), list(many.state_dict()), [tuple(p.shape) for p in many]
    yield [tuple(p.shape) for p in many[1:3]], [p.requires_grad for p in many.parameters()]
    table = nn.ParameterDict({"b": library.ones(2), "a": library.zeros(1)})
    table["c"] = library.ones(3)
    yield list(table), list(table.state_dict()), "a" in table, len(table), [*table.keys()]
    table.update({"d": library.ones(4)})
    yield tuple(table.pop("b").shape), list(table), tuple(table.get("zz", library.ones(9)).shape)


@pytest.mark.parametrize("use", [use_sequential, use_module_dict, use_parameter_lists])
def test_containers(use):
    assert [*use(tn.nn)] == [*use(torch.nn)]


# Parametrizations
LAYERS = [("Linear", (3, 4), (5, 3)), ("Conv2d", (2, 3, 3), (2, 2, 5, 5)),
          ("ConvTranspose1d", (2, 3, 3), (2, 2, 5))]  # fmt: skip


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(("kind", "args", "shape"), LAYERS, ids=str)
def test_weight_norm(device, kind, args, shape, dim):
    torch.manual_seed(0)
    theirs = torch.nn.utils.parametrizations.weight_norm(
        getattr(torch.nn, kind)(*args, dtype=torch.float64), dim=dim
    )
    ours = tn.nn.utils.parametrizations.weight_norm(getattr(tn.nn, kind)(*args), dim=dim)
    compare(theirs, ours.to(device).double(), shape, device)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(("kind", "args", "shape"), LAYERS, ids=str)
def test_spectral_norm(device, kind, args, shape, n):
    torch.manual_seed(0)
    theirs = torch.nn.utils.parametrizations.spectral_norm(
        getattr(torch.nn, kind)(*args, dtype=torch.float64), n_power_iterations=n
    )
    ours = tn.nn.utils.parametrizations.spectral_norm(
        getattr(tn.nn, kind)(*args), n_power_iterations=n
    )
    compare(theirs, ours.to(device).double(), shape, device)


def compare(theirs, ours, shape, device):
    """Three steps of training, then evaluation: outputs, gradients, states."""
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({key: converted(x).to(device) for key, x in state.items()})
    optimizers = [m.optim.SGD(x.parameters(), lr=0.1) for m, x in ((torch, theirs), (tn, ours))]
    for training in (True, True, True, False):
        x = rand(*shape)
        results = []
        for model, optimizer, y in zip(
            (theirs, ours), optimizers, (x, converted(x).to(device)), strict=True
        ):
            model.train(training)
            optimizer.zero_grad()
            output = model(y)
            (output * output).mean().backward()
            optimizer.step()
            results.append([output.detach(), *[p.detach() for p in model.state_dict().values()]])
        found = differences(results[0], [y.cpu() for y in results[1]], (1e-9, 1e-11))
        assert not found, found


# Clipping
@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("most", [0.5, 100.0])
def test_clipping(device, norm, most):
    grads = [rand(3, 4), rand(5, seed=1)]
    theirs = [torch.zeros_like(g).requires_grad_() for g in grads]
    more = {"dtype": tn.float64, "device": device, "requires_grad": True}
    ours = [tn.zeros(tuple(g.shape), **more) for g in grads]
    for p, q, g in zip(theirs, ours, grads):
        p.grad, q.grad = g.clone(), converted(g).to(device)
    expected = torch.nn.utils.clip_grad_norm_(theirs, most, norm)
    got = tn.nn.utils.clip_grad_norm_(ours, most, norm)
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(theirs, ours):
        assert not differences(p.grad, q.grad.cpu())
    total = torch.nn.utils.get_total_norm(grads, norm).item()
    moved = [converted(g).to(device) for g in grads]
    assert tn.nn.utils.get_total_norm(moved, norm).item() == pytest.approx(total, rel=1e-12)


def test_parameters_as_a_vector():
    theirs, ours = torch.nn.Linear(3, 2), tn.nn.Linear(3, 2)
    ours.load_state_dict({key: converted(x) for key, x in theirs.state_dict().items()})
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach()
    assert not differences(expected, tn.nn.utils.parameters_to_vector(ours.parameters()).detach())


# State
def test_extra_state_and_hooks_of_states():
    results = []
    for nn in (torch.nn, tn.nn):

        class Counter(nn.Module):
            def __init__(self):
                super().__init__()
                self.seen = 0

            def get_extra_state(self):
                return {"seen": self.seen}

            def set_extra_state(self, state):
                self.seen = state["seen"]

        net = nn.Sequential(nn.Linear(1, 1), Counter())
        net[1].seen = 5
        notes = []
        net.register_load_state_dict_post_hook(
            lambda module, keys, notes=notes: notes.append([*keys])
        )
        state = net.state_dict()
        other = {key: value for key, value in state.items() if key != "0.bias"}
        net[1].seen = 0
        net.load_state_dict({**other, "more": state["0.bias"]}, strict=False)
        results.append((list(state), net[1].seen, notes))
    assert results[1] == results[0]


def test_parts_by_name():
    for nn in (torch.nn, tn.nn):
        net = nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.ReLU()))
        net.set_submodule("1.0", nn.Tanh())
        assert repr(net.get_submodule("1.0")) == "Tanh()"
        assert tuple(net.get_parameter("0.weight").shape) == (2, 1)
