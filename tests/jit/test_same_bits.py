"""The same bits from the first call on: `jit(warm_up=False)` and deterministic algorithms."""

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentTypeError

MODELS = {
    "dropout": lambda: nn.Sequential(
        nn.Linear(20, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4)
    ),
    "batch norm": lambda: nn.Sequential(
        nn.Linear(20, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 4)
    ),
}
OPTIMIZERS = {
    "momentum": lambda weights: tn.optim.SGD(weights, lr=0.1, momentum=0.9),
    "Adam": lambda weights: tn.optim.Adam(weights, lr=0.01),
}
N_STEPS = 7


@pytest.fixture
def deterministic():
    tn.use_deterministic_algorithms(True)
    yield
    tn.use_deterministic_algorithms(False)


def test_the_first_call_is_recorded(device):
    calls = []

    @tn.jit(warm_up=False)
    def double(x):
        calls.append(x)
        return x * 2

    results = [double(tn.full((3,), float(i), device=device)).tolist() for i in range(4)]
    assert results == [[2.0 * i] * 3 for i in range(4)]
    assert len(calls) == 1
    assert double.tape is not None


def test_a_method_is_recorded_at_its_first_call(device):
    class Scaled:
        def __init__(self):
            self.calls = 0
            self.factor = tn.tensor(3.0, device=device)

        @tn.jit(warm_up=False)
        def __call__(self, x):
            return x * self.factor

    scaled = Scaled()
    assert scaled(tn.ones(2, device=device)).tolist() == [3.0, 3.0]
    assert Scaled.__call__.__get__(scaled, Scaled).tape is not None


def test_state_that_the_first_call_makes(device):
    model = MODELS["dropout"]().to(device)
    losses = []
    for jit in (lambda step: step, lambda step: tn.jit(step, warm_up=False)):
        tn.manual_seed(0)
        for module in model:
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        step = jit(make_step(model, OPTIMIZERS["momentum"](model.parameters())))
        losses.append(tn.stack([step(*batch) for batch in batches(device)]).cpu())
    assert tn.allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.usefixtures("deterministic")
def test_a_run_that_stops_and_goes_on_gives_the_same_bits(device, model, optimizer):
    whole = train(device, model, optimizer)
    for stop in (1, 2, 4):
        parts = train(device, model, optimizer, stop)
        for name, weight in whole.items():
            assert tn.equal(weight, parts[name]), (name, stop)


def make_step(model, optimizer):
    def step(x, labels):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def batches(device):
    """The third one is smaller."""
    generator = tn.Generator().manual_seed(1)
    for i in range(N_STEPS):
        n = 5 if i % 4 == 3 else 8
        x = tn.randn(n, 20, generator=generator)
        labels = tn.randint(0, 4, (n,), generator=generator)
        yield x.to(device), labels.to(device)


def train(device, model_name, optimizer_name, stop=None):
    """The weights after some steps; at `stop`, everything is made anew and its state loaded."""
    tn.manual_seed(0)
    first_weights = MODELS[model_name]().state_dict()

    def build():
        model = MODELS[model_name]()
        model.load_state_dict(first_weights)
        model.to(device)
        optimizer = OPTIMIZERS[optimizer_name](model.parameters())
        return model, optimizer, make_step(model, optimizer)

    model, optimizer, step = build()
    tn.manual_seed(2)
    recorded = tn.jit(step, warm_up=False)
    for i, batch in enumerate(batches(device)):
        if i == stop:
            states = model.state_dict(), optimizer.state_dict(), tn.get_rng_state()
            model, optimizer, step = build()
            model.load_state_dict(states[0])
            optimizer.load_state_dict(states[1])
            tn.set_rng_state(states[2])
            recorded = tn.jit(step, warm_up=False)
        (step if i == 0 else recorded)(*batch)
    return model.state_dict()


@pytest.mark.usefixtures("deterministic")
def test_a_sum_is_the_same_however_often_it_was_computed(device):
    generator = tn.Generator().manual_seed(0)
    x = tn.randn(50, 201, generator=generator).to(device)
    sums = [(x * 1.5 + 0.1).sum(1).cpu() for _ in range(16)]
    assert all(tn.equal(sums[0], other) for other in sums)


def test_the_choice_is_remembered():
    assert not tn.are_deterministic_algorithms_enabled()
    tn.use_deterministic_algorithms(True)
    assert tn.are_deterministic_algorithms_enabled()
    tn.use_deterministic_algorithms(False)
    with pytest.raises(ArgumentTypeError, match="mode is 1, expected True or False"):
        tn.use_deterministic_algorithms(1)
