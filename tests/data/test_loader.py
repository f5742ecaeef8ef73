"""Batches: sizes, order, seeds, views, collation."""

from collections import Counter

import numpy as np
import pytest

import tinynet as tn
from tests.data.test_dataset import Squares, make_pairs
from tinynet.data import DataLoader, Subset, TensorDataset, default_collate
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError


@pytest.mark.parametrize("dataset", [make_pairs(7), Squares(7), Subset(make_pairs(9), range(7))])
@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [(1, False, [1] * 7), (3, False, [3, 3, 1]), (3, True, [3, 3]), (7, True, [7]), (9, True, [])],
)
def test_sizes_of_batches(dataset, batch_size, drop_last, sizes):
    loader = DataLoader(dataset, batch_size, drop_last=drop_last)
    batches = list(loader)
    assert [len(y) for _, y in batches] == sizes
    assert len(loader) == len(sizes)
    assert [i for _, y in batches for i in y.tolist()] == [dataset[i][1] for i in range(sum(sizes))]


@pytest.mark.parametrize("shuffle", [False, True])
def test_empty_data_set(shuffle):
    with pytest.raises(ArgumentError) as caught:
        DataLoader(TensorDataset(tn.zeros(0, 3)), batch_size=4, shuffle=shuffle)
    assert str(caught.value) == ("DataLoader: the data set is empty, expected at least one sample")


def test_batches_in_order_are_views():
    images = tn.zeros(6, 2)
    for (batch,) in DataLoader(TensorDataset(images), batch_size=4):
        batch += 1
    assert images.sum().item() == 12


@pytest.mark.parametrize(
    "dataset", [make_pairs(50), Squares(50), Subset(make_pairs(60), range(50))]
)
def test_shuffle_gives_each_sample_once_in_another_order_each_epoch(dataset):
    loader = DataLoader(dataset, 8, shuffle=True, generator=tn.Generator().manual_seed(0))
    epochs = [[i for _, y in loader for i in y.tolist()] for _ in range(2)]
    everything = [dataset[i][1] for i in range(50)]
    assert Counter(epochs[0]) == Counter(epochs[1]) == Counter(int(y) for y in everything)
    assert epochs[0] != epochs[1]


def test_shuffle_keeps_rows_together():
    for x, y in DataLoader(make_pairs(20), 6, shuffle=True):
        assert (x == y * 10).all()


def test_seed_repeats_all_epochs():
    def run(seed):
        loader = DataLoader(
            make_pairs(30), 7, shuffle=True, generator=tn.Generator().manual_seed(seed)
        )
        return [y.tolist() for _ in range(3) for _, y in loader]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_global_seed_repeats():
    def run():
        tn.manual_seed(5)
        return [y.tolist() for _, y in DataLoader(make_pairs(30), 7, shuffle=True)]

    assert run() == run()


def test_two_loops_at_once():
    loader = DataLoader(make_pairs(4), 2)
    assert [(a.tolist(), b.tolist()) for (_, a), (_, b) in zip(loader, loader)] == [
        ([0, 1], [0, 1]),
        ([2, 3], [2, 3]),
    ]


def test_collate_fn_gets_samples():
    batches = list(DataLoader(make_pairs(3), 2, collate_fn=lambda samples: len(samples)))
    assert batches == [2, 1]


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True])
def test_batch_size_that_is_none(batch_size):
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(3), batch_size)
    assert str(caught.value) == (
        f"DataLoader: batch_size is {batch_size!r}, expected a positive int"
    )


def test_collate_dicts_arrays_and_strings():
    batch = default_collate(
        [
            {"x": np.ones(2, np.float32), "name": "a", "weight": 0.5, "is_new": True},
            {"x": np.zeros(2, np.float32), "name": "b", "weight": 1.5, "is_new": False},
        ]
    )
    assert (batch["x"].shape, batch["x"].dtype) == ((2, 2), tn.float32)
    assert batch["name"] == ["a", "b"]
    assert (batch["weight"].tolist(), batch["weight"].dtype) == ([0.5, 1.5], tn.float64)
    assert batch["is_new"].dtype is tn.bool


def test_collate_tensors():
    x, y = default_collate([(tn.zeros(2), tn.tensor(1)), (tn.ones(2), tn.tensor(2))])
    assert (x.tolist(), y.tolist()) == ([[0, 0], [1, 1]], [1, 2])


def test_collate_unequal_samples():
    with pytest.raises(ShapeError) as caught:
        default_collate([(1, 2), (1, 2, 3)])
    assert str(caught.value) == ("default_collate: samples of [2, 3] parts, expected equal numbers")


def test_collate_what_is_no_data():
    with pytest.raises(ArgumentTypeError) as caught:
        default_collate([object()])
    assert str(caught.value) == (
        "default_collate: a sample holds object, expected tensors, arrays,"
        " numbers, strings, or dicts, lists or tuples of them; or pass collate_fn="
    )
