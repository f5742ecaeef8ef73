"""Simulated annealing: acceptance, cooling, repeatability, the best point."""

import copy
import math

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError, StateError
from tinynet.train.annealing import (
    GeometricCooling,
    LinearCooling,
    LogarithmicCooling,
    SimulatedAnnealing,
)


def generator(seed=0):
    return tn.Generator().manual_seed(seed)


def bumpy(x):
    return (x**2 / 10 - (5 * x).cos()).sum()


def test_finds_the_lowest_of_many_minima():
    x = tn.tensor([4.0, -3.0])
    search = SimulatedAnnealing([x], GeometricCooling(2.0, 0.99), 1.0)
    losses = [search.step(lambda: bumpy(x)) for _ in range(500)]
    assert search.best_loss == min(losses)
    search.restore_best()
    assert bumpy(x).item() == search.best_loss
    search.temperature = 0
    assert search.step(lambda: math.inf) == search.best_loss  # from there it goes on
    assert abs(x).max().item() < 0.2
    assert math.isclose(search.best_loss, -2, abs_tol=0.1)


def test_losses_follow_boltzmann_s_distribution():
    """At a temperature T, x of the loss x**2 / 2 is normal with variance T (detailed balance)."""
    temperature = 0.49
    x = tn.zeros(1, dtype=tn.float64)
    search = SimulatedAnnealing([x], temperature, 1.2)
    values = []
    for _ in range(1000):
        search.step(lambda: float(x.numpy()[0]) ** 2 / 2)
        values.append(x.item())
    assert np.mean(values) == pytest.approx(0, abs=0.15)
    assert np.var(values) == pytest.approx(temperature, rel=0.25)
    assert 0.4 < search.acceptance < 0.7


def test_at_temperature_0_only_what_is_not_worse_is_accepted():
    x = tn.tensor([2.0])
    search = SimulatedAnnealing([x], 0, 0.3)
    losses = [search.step(lambda: bumpy(x)) for _ in range(60)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) > 3
    assert search.best_loss == losses[-1]


def test_a_rejected_step_changes_nothing():
    x = tn.tensor([1.0, 2.0])
    version = x.tolist()
    search = SimulatedAnnealing([x], 0)
    losses = iter([0.0, 1.0, float("nan"), float("inf")])
    assert [search.step(lambda: next(losses)) for _ in range(3)] == [0.0] * 3
    assert x.tolist() == version
    assert search.acceptance == 0


def test_a_closure_that_raises_leaves_the_parameters():
    x = tn.tensor([1.0])
    search = SimulatedAnnealing([x], 1.0)
    search.step(lambda: 0.0)
    before = x.tolist()

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.step(fail)
    assert x.tolist() == before


def test_groups_have_step_sizes_of_their_own():
    x, y = tn.zeros(1000), tn.zeros(1000)
    search = SimulatedAnnealing([{"params": [x], "step_size": 2.0}, {"params": [y]}], 0, 0.5)
    search.step(lambda: 0.0)
    assert (x.std().item(), y.std().item()) == pytest.approx((2.0, 0.5), rel=0.1)


def test_the_same_moves_on_every_device(on_device):
    def run(device):
        x = tn.tensor([1.0, -2.0], device=device)
        search = SimulatedAnnealing([x], 0.5, generator=generator(1))
        return [search.step(lambda: (x * x).sum()) for _ in range(12)], search.acceptance

    losses, acceptance = run(on_device)
    expected, accepted = run("cpu")
    assert losses == pytest.approx(expected, rel=1e-5)
    assert acceptance == accepted


def test_trains_a_network_without_gradients():
    x = tn.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = tn.tensor([[0.0], [1.0], [1.0], [0.0]])
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    search = SimulatedAnnealing(model.parameters(), GeometricCooling(0.05, 0.97), 0.3)
    first = search.step(lambda: ((model(x) - y) ** 2).mean())
    for _ in range(150):
        search.step(lambda: ((model(x) - y) ** 2).mean())
    assert search.best_loss < 0.4 * first
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_neighbours_of_a_tour():
    """A closed tour of 8 cities on a circle: the shortest goes around."""
    angles = tn.arange(8) * (2 * math.pi / 8)
    cities = tn.stack([angles.cos(), angles.sin()], dim=1)
    tour = tn.tensor([0, 4, 2, 6, 1, 5, 3, 7])

    def reverse_a_part(order, generator):
        i, j = sorted(tn.randint(0, 8, (2,), generator=generator).tolist())
        return tn.cat([order[:i], order[i : j + 1].flip(0), order[j + 1 :]])

    def length():
        path = cities[tour]
        return (path - path.roll(1, 0)).norm(dim=1).sum()

    search = SimulatedAnnealing(
        [tour], GeometricCooling(1.0, 0.985), neighbour=reverse_a_part, generator=generator()
    )
    for _ in range(400):
        search.step(length)
    search.restore_best()
    assert length().item() == pytest.approx(16 * math.sin(math.pi / 8), rel=1e-5)
    assert sorted(tour.tolist()) == list(range(8))


def test_a_seed_repeats_a_search_and_a_state_goes_on(tmp_path):
    def start():
        x = tn.tensor([4.0])
        return x, SimulatedAnnealing([x], GeometricCooling(1.0, 0.98), 0.5, generator=generator(3))

    def run(x, search, steps):
        return [search.step(lambda: bumpy(x)) for _ in range(steps)]

    whole = run(*start(), 20)
    x, search = start()
    assert run(x, search, 8) == whole[:8]
    tn.save({"x": x, "search": search.state_dict()}, tmp_path / "checkpoint")
    saved = tn.load(tmp_path / "checkpoint")
    y, other = start()
    other.generator.manual_seed(99)
    y.copy_(saved["x"])
    other.load_state_dict(saved["search"])
    assert run(y, other, 12) == whole[8:]
    assert other.best_loss == min(whole)
    with pytest.raises(StateError):
        SimulatedAnnealing([tn.ones(2)], 1.0).load_state_dict(search.state_dict())
    assert copy.deepcopy(search).best_loss == search.best_loss


@pytest.mark.parametrize(
    ("cooling", "values"),
    [
        (GeometricCooling(2.0, 0.5), [2, 1, 0.5]),
        (LinearCooling(3.0, 2), [3, 1.5, 0, 0]),
        (LogarithmicCooling(2.0), [2, 2 / (1 + math.log(2)), 2 / (1 + math.log(3))]),
    ],
)
def test_cooling(cooling, values):
    assert [cooling(step) for step in range(len(values))] == pytest.approx(values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeometricCooling(1.0, 1.1), r"GeometricCooling: rate is 1.1, expected 0 < rate"),
        (lambda: GeometricCooling(0), "GeometricCooling: start is 0, expected a positive number"),
        (lambda: LinearCooling(1.0, 0), "LinearCooling: steps is 0, expected a positive int"),
        (lambda: SimulatedAnnealing([tn.ones(1)], -1), "SimulatedAnnealing: temperature cannot be"),
        (lambda: SimulatedAnnealing([tn.ones(1)], 1, -1), "SimulatedAnnealing: step_size cannot"),
        (lambda: SimulatedAnnealing([], 1), "SimulatedAnnealing: params is empty"),
        (lambda: step(lambda: float("nan")), ".*: the loss at the start is nan, expected a number"),
        (lambda: step(lambda: 1.0, lambda i: -1), ".*: the temperature of step 0 is -1, expected"),
        (
            lambda: SimulatedAnnealing([tn.ones(1)], 1).restore_best(),
            "SimulatedAnnealing: no best point, expected a step before",
        ),
    ],
)
def test_arguments_that_are_wrong(make, message):
    with pytest.raises(ArgumentError, match=f"^{message}"):
        make()


def step(closure, temperature=1.0):
    return SimulatedAnnealing([tn.ones(1)], temperature).step(closure)


def test_closures_that_are_none():
    with pytest.raises(ArgumentTypeError, match=r"step needs a closure that computes the loss"):
        step(None)
    with pytest.raises(ArgumentTypeError, match=r"the closure returned None, expected the loss"):
        step(lambda: None)


def test_jit_cannot_record_it_but_its_closure():
    x = tn.ones(2)
    search = SimulatedAnnealing([x], 0)
    with pytest.raises(RecordingError, match=r"^jit: SimulatedAnnealing decides"):
        tn.jit(lambda: search.step(lambda: x.sum()), warm_up=False)()
    closure = tn.jit(lambda: (x**2).sum())
    losses = [search.step(closure) for _ in range(20)]
    assert losses[-1] == (x**2).sum().item() < 2
