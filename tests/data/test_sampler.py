"""Samplers: what they draw, how often, and from which random numbers."""

from collections import Counter
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinynet.data.sampler import permutation
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError


def seeded(seed):
    return tn.Generator().manual_seed(seed)


SAMPLERS = {
    "random": lambda g: RandomSampler(range(20), generator=g),
    "random with replacement": lambda g: RandomSampler(range(20), True, 30, g),
    "more random": lambda g: RandomSampler(range(20), num_samples=50, generator=g),
    "subset": lambda g: SubsetRandomSampler(range(5, 25), generator=g),
    "weighted": lambda g: WeightedRandomSampler(range(20), 30, generator=g),
    "weighted once": lambda g: WeightedRandomSampler(range(20), 15, False, g),
    "stratified": lambda g: StratifiedSampler([0, 1, 1, 1] * 5, 4, g),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_order_is_a_function_of_the_generator(name):
    make = SAMPLERS[name]
    first, again, other = (make(seeded(seed)) for seed in (1, 1, 2))
    orders = [list(first), list(first)]
    assert orders[0] != orders[1]
    assert [list(again), list(again)] == orders
    assert list(other) != orders[0]
    assert [len(order) for order in orders] == [len(first)] * 2


@pytest.mark.parametrize("name", SAMPLERS)
def test_default_is_the_global_generator(name):
    own = seeded(7)
    expected = list(SAMPLERS[name](own))
    tn.manual_seed(7)
    assert list(SAMPLERS[name](None)) == expected
    assert tn.get_rng_state() == own.get_state()


def test_sequential():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3


@settings(max_examples=40)
@given(n=st.integers(1, 40), count=st.integers(1, 130))
def test_random_without_replacement_visits_all_before_any_again(n, count):
    order = list(RandomSampler(range(n), num_samples=count))
    assert len(order) == count
    for i in range(0, count, n):
        part = order[i : i + n]
        assert len(set(part)) == len(part)
    assert set(order) <= set(range(n))
    assert count < n or set(order) == set(range(n))


def test_random_with_replacement_is_uniform():
    counts = np.bincount(RandomSampler(range(10), True, 20_000, seeded(0)).order(), minlength=10)
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi squared, 9 degrees of freedom, 0.1 %


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_permutation_is_randperm(n):
    expected = tn.randperm(n, generator=seeded(4)).tolist()
    assert permutation(n, seeded(4)).tolist() == expected


def test_permutation_of_equal_keys(monkeypatch):
    class Tied(tn.Generator):
        def bits(self, count, width, device):
            return super().bits(count, width, device) % 3

    found = permutation(100, Tied().manual_seed(0))
    assert found.tolist() == tn.randperm(100, generator=Tied().manual_seed(0)).tolist()
    assert sorted(found.tolist()) == list(range(100))


@pytest.mark.parametrize("indices", [[7, 3, 5], np.array([7, 3, 5]), tn.tensor([7, 3, 5])])
def test_subset(indices):
    sampler = SubsetRandomSampler(indices)
    assert {tuple(sampler) for _ in range(60)} == {
        (3, 5, 7), (3, 7, 5), (5, 3, 7), (5, 7, 3), (7, 3, 5), (7, 5, 3),
    }  # fmt: skip


@pytest.mark.parametrize("kind", [list, np.array, tn.tensor])
def test_weighted_draws_in_proportion(kind):
    sampler = WeightedRandomSampler(kind([1.0, 0.0, 3.0, 6.0]), 20_000, generator=seeded(0))
    counts = np.bincount(sampler.order(), minlength=4)
    assert counts[1] == 0
    expected = np.array([2000, 6000, 12_000])
    assert ((counts[[0, 2, 3]] - expected) ** 2 / expected).sum() < 13.8  # 2 degrees, 0.1 %


def test_weighted_without_replacement_starts_in_proportion():
    generator = seeded(0)
    sampler = WeightedRandomSampler([1.0, 3.0, 6.0, 0.0], 2, False, generator)
    drawn = [tuple(sampler) for _ in range(1000)]
    assert all(len(set(pair)) == 2 and 3 not in pair for pair in drawn)
    firsts = np.bincount([first for first, _ in drawn], minlength=3)
    expected = np.array([100, 300, 600])
    assert ((firsts - expected) ** 2 / expected).sum() < 13.8


@pytest.mark.parametrize("replacement", [True, False])
def test_weighted_by_extreme_weights(replacement):
    weights = [0.0, 1e308, 1e308, 1e-300, 0.0]
    drawn = list(WeightedRandomSampler(weights, 2, replacement))
    assert set(drawn) <= {1, 2, 3}


@pytest.mark.parametrize("weights", [[0.1] * 10, [1, 1e-16], [3, 1, 0], [1e-3] * 1000, [0.7, 0.7]])
def test_weighted_never_draws_past_the_end(weights, monkeypatch):
    sampler = WeightedRandomSampler(weights, 1)
    monkeypatch.setattr(sampler, "_uniforms", lambda n: np.full(n, np.nextafter(1.0, 0.0)))
    [index] = sampler
    assert weights[index] > 0


def test_weighted_draws_by_intervals_that_hold_their_lower_end(monkeypatch):
    sampler = WeightedRandomSampler([1, 0, 1, 2], 4)
    monkeypatch.setattr(sampler, "_uniforms", lambda n: np.array([0.0, 0.25, 0.5, 0.75]))
    assert list(sampler) == [0, 2, 3, 3]


@pytest.mark.parametrize(
    ("weights", "count", "replacement", "message"),
    [
        ([1.0, -1.0], 1, True, "weights must be finite and not negative"),
        ([1.0, float("nan")], 1, True, "weights must be finite and not negative"),
        ([0.0, 0.0], 1, True, "0 positive weights, expected at least 1"),
        ([], 1, True, "0 positive weights, expected at least 1"),
        ([1.0, 0.0], 2, False, "1 positive weights, expected at least 2"),
        ([1.0], 0, True, "num_samples is 0, expected a positive int"),
        ([1.0], 2.5, True, "num_samples is 2.5, expected a positive int"),
    ],
)
def test_weighted_of_wrong_arguments(weights, count, replacement, message):
    with pytest.raises(ArgumentError) as caught:
        WeightedRandomSampler(weights, count, replacement)
    assert str(caught.value) == f"WeightedRandomSampler: {message}"


def test_weighted_of_what_are_no_weights():
    with pytest.raises(ShapeError) as caught:
        WeightedRandomSampler([[1.0], [2.0]], 1)
    assert str(caught.value) == (
        "WeightedRandomSampler: weights of shape (2, 1), expected one for each sample"
    )
    with pytest.raises(ArgumentTypeError, match="expected numbers"):
        WeightedRandomSampler(["a"], 1)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**32),
)
def test_stratified_batches_have_the_shares_of_the_whole(sizes, batch_size, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(labels)
    order = StratifiedSampler(labels, batch_size, seeded(seed)).order()
    assert sorted(order.tolist()) == list(range(n))
    n_batches, n_rest = divmod(n, batch_size)
    counts = np.stack([np.bincount(labels[batch], minlength=len(sizes))
                       for batch in np.split(order[: n - n_rest], n_batches)]
                      ) if n_batches else np.zeros((0, len(sizes)), int)  # fmt: skip
    assert (counts.sum(1) == batch_size).all()
    assert n_batches == 0 or (counts.max(0) - counts.min(0) <= 1).all()
    last = np.bincount(labels[order[n - n_rest :]], minlength=len(sizes))
    for size, in_last in zip(sizes, last):
        assert floor(size * n_rest / n) <= in_last <= ceil(size * n_rest / n)


def test_stratified_order_within_batches_and_of_batches_is_random():
    labels = [0] * 8 + [1] * 4
    orders = [StratifiedSampler(labels, 3, seeded(seed)).order() for seed in range(200)]
    first = Counter(int(order[0]) for order in orders)
    assert len(first) == 12
    assert max(first.values()) < 40  # 17 expected


def test_stratified_surplus_goes_to_any_batch():
    labels = np.array([0] * 7 + [1] * 5)  # 2, 2, 2 and 1 of class 0 in four batches of 3
    orders = [StratifiedSampler(labels, 3, seeded(seed)).order() for seed in range(60)]
    odd = Counter(int(np.argmax(labels[order].reshape(4, 3).sum(1))) for order in orders)
    assert set(odd) == {0, 1, 2, 3}


def test_stratified_last_batch_is_of_any_class():
    labels = np.array([0] * 6 + [1] * 3)
    lasts = [labels[StratifiedSampler(labels, 8, seeded(i)).order()[-1]] for i in range(150)]
    assert 30 < sum(lasts) < 70


def test_stratified_labels_of_any_kind():
    labels = ["dog", "cat", "cat", "dog"] * 3
    order = list(StratifiedSampler(labels, 2))
    for i in range(0, 12, 2):
        assert {labels[order[i]], labels[order[i + 1]]} == {"dog", "cat"}
    assert len(StratifiedSampler(tn.tensor([0, 1, 1]), 2)) == 3


@pytest.mark.parametrize(
    ("labels", "batch_size", "error", "message"),
    [
        ([], 2, ArgumentError, "no labels, expected one at least"),
        ([[1], [2]], 2, ShapeError, "labels of shape (2, 1), expected one for each sample"),
        ([1.0, float("nan")], 2, ArgumentError,
         "a label is NaN, expected the name or number of a class"),
        ([0, 1], 0, ArgumentError, "batch_size is 0, expected a positive int"),
    ],
)  # fmt: skip
def test_stratified_of_wrong_arguments(labels, batch_size, error, message):
    with pytest.raises(error) as caught:
        StratifiedSampler(labels, batch_size)
    assert str(caught.value) == f"StratifiedSampler: {message}"


@settings(max_examples=40)
@given(n=st.integers(0, 20), batch_size=st.integers(1, 22), drop_last=st.booleans())
def test_batch_sampler(n, batch_size, drop_last):
    sampler = BatchSampler(range(n), batch_size, drop_last)
    batches = list(sampler)
    assert len(sampler) == len(batches)
    whole = n - n % batch_size if drop_last else n
    assert [i for batch in batches for i in batch] == list(range(whole))
    assert all(len(batch) == batch_size for batch in batches[:-1])


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_counts_that_are_none(count):
    with pytest.raises(ArgumentError) as caught:
        RandomSampler(range(3), num_samples=count)
    assert str(caught.value) == (
        f"RandomSampler: num_samples is {count!r}, expected a positive int"
    )
    with pytest.raises(ArgumentError) as caught:
        BatchSampler(range(3), count, False)
    assert str(caught.value) == (f"BatchSampler: batch_size is {count!r}, expected a positive int")


def test_a_generator_that_is_none():
    dataset = tn.data.TensorDataset(tn.arange(4))
    for name, make in {
        "RandomSampler": lambda **options: RandomSampler(dataset, **options),
        "SubsetRandomSampler": lambda **options: SubsetRandomSampler([1], **options),
        "WeightedRandomSampler": lambda **options: WeightedRandomSampler([1.0], 1, **options),
        "StratifiedSampler": lambda **options: StratifiedSampler([0, 1], 2, **options),
        "DataLoader": lambda **options: tn.data.DataLoader(dataset, shuffle=True, **options),
        "train_test_split": lambda **options: tn.data.train_test_split(dataset, **options),
        "KFold": lambda **options: tn.data.KFold(2, shuffle=True, **options),
        "SimulatedAnnealing": lambda **options: tn.train.SimulatedAnnealing([], 1.0, **options),
    }.items():
        with pytest.raises(ArgumentTypeError) as caught:
            make(generator=3)
        assert str(caught.value) == f"{name}: generator must be a Generator, got 3"


def test_random_order_of_nothing():
    with pytest.raises(ArgumentError) as caught:
        RandomSampler([])
    assert str(caught.value) == ("RandomSampler: the data set is empty, expected a sample at least")


def test_sampler_without_its_methods():
    with pytest.raises(NotImplementedError, match="Sampler has no __len__, expected one"):
        len(Sampler())
    with pytest.raises(NotImplementedError, match="Sampler has neither order nor __iter__"):
        iter(Sampler())
