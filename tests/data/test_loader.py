"""Batches: sizes, order, seeds, views, collation."""

from collections import Counter

import numpy as np
import pytest

import tinynet as tn
from tests.data.test_dataset import Squares, make_pairs
from tinynet.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    StratifiedSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError


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


@pytest.mark.parametrize("dataset", [3, None, iter([1, 2]), {1, 2}, (i for i in range(3))])
def test_what_is_no_data_set(dataset):
    with pytest.raises(ArgumentTypeError) as caught:
        DataLoader(dataset)
    assert str(caught.value) == (
        f"DataLoader: the data set is of type {type(dataset).__name__}, expected one with __len__ "
        "and __getitem__, such as a Dataset or a list"
    )


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


# Samplers
SAMPLERS = {
    "list": [3, 1, 1, 4, 0],
    "range": range(8, 0, -2),
    "array": np.array([3, 1, 1, 4, 0], np.int32),
    "tensor": tn.tensor([3, 1, 1, 4, 0]),
    "dict": {3: "a", 1: "b"},
}


@pytest.mark.parametrize("dataset", [make_pairs(9), Squares(9)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_says_the_order(name, dataset):
    sampler = SAMPLERS[name]
    order = [int(i) for i in sampler]
    loader = DataLoader(dataset, 2, sampler=sampler)
    for _ in range(2):
        batches = [y.tolist() for _, y in loader]
        assert (
            batches == [[dataset[i][1] for i in order[j : j + 2]] for j in (0, 2, 4)][: len(loader)]
        )
    assert len(loader) == -(-len(order) // 2)


def test_sampler_and_drop_last():
    loader = DataLoader(make_pairs(9), 2, sampler=[5, 6, 7], drop_last=True)
    assert [y.tolist() for _, y in loader] == [[5, 6]]
    assert len(loader) == 1


@pytest.mark.parametrize("dataset", [make_pairs(9), Squares(9)])
def test_batch_sampler_says_the_batches(dataset):
    batches = [[8, 0], [1], (2, 2, 2)]
    loader = DataLoader(dataset, batch_sampler=batches)
    assert [y.tolist() for _, y in loader] == [[dataset[i][1] for i in batch] for batch in batches]
    assert (len(loader), loader.batch_size) == (3, None)


def test_batch_sampler_of_tinynet_is_like_its_parts():
    def draw(**options):
        generator = tn.Generator().manual_seed(0)
        sampler = RandomSampler(range(9), generator=generator)
        if options:
            return DataLoader(make_pairs(9), 4, sampler=sampler, drop_last=True)
        return DataLoader(make_pairs(9), batch_sampler=BatchSampler(sampler, 4, True))

    loaders = draw(), draw(by="parts")
    assert len({str([y.tolist() for _, y in loader]) for loader in loaders}) == 1
    assert [(len(loader), loader.batch_size) for loader in loaders] == [(2, 4)] * 2


def test_stratified_batches():
    labels = tn.tensor([0, 0, 0, 1] * 6)
    loader = DataLoader(TensorDataset(labels), 4, sampler=StratifiedSampler(labels, 4))
    assert [batch.sum().item() for [batch] in loader] == [1] * 6


def test_weighted_batches():
    sampler = WeightedRandomSampler([0, 1, 0], 10)
    assert [y.tolist() for _, y in DataLoader(make_pairs(3), 5, sampler=sampler)] == [[1] * 5] * 2


@pytest.mark.parametrize("shuffle", [False, True])
def test_data_sets_may_grow_between_epochs(shuffle):
    samples = [0, 1, 2]
    loader = DataLoader(samples, 2, shuffle=shuffle)
    assert sorted(i for batch in loader for i in batch.tolist()) == samples
    samples += [3, 4]
    assert len(loader) == 3
    assert sorted(i for batch in loader for i in batch.tolist()) == samples


def test_plain_lists_are_data_sets():
    samples = [(i, str(i)) for i in range(5)]
    batches = [(x.tolist(), y) for x, y in DataLoader(samples, 3)]
    assert batches == [([0, 1, 2], ["0", "1", "2"]), ([3, 4], ["3", "4"])]


@pytest.mark.parametrize("shuffle", [False, True])
def test_data_set_on_each_device(device, shuffle):
    x = tn.arange(20, device=device)
    loader = DataLoader(TensorDataset(x, x.cpu()), 8, shuffle=shuffle)
    batches = list(loader)
    assert {(a.device, b.device) for a, b in batches} == {(device, "cpu")}
    assert [a.tolist() for a, _ in batches] == [b.tolist() for _, b in batches]
    assert sorted(i for a, _ in batches for i in a.tolist()) == list(range(20))


# Transforms
def add_noise(batch, generator):
    x, y = batch
    return [x + tn.rand(x.shape, generator=generator), y]


def run(loader, epochs=2):
    return [[part.tolist() for part in batch] for _ in range(epochs) for batch in loader]


def test_transform_gets_each_batch_and_other_numbers():
    x = tn.zeros(40, 2)
    loader = DataLoader(TensorDataset(x, tn.arange(40)), 4, transform=add_noise)
    batches = run(loader)
    assert [i for _, y in batches for i in y] == [*range(40)] * 2
    assert len({number for noise, _ in batches for row in noise for number in row}) == 160


def test_transform_repeats_from_a_seed():
    def batches(seed):
        tn.manual_seed(seed)
        return run(DataLoader(make_pairs(10), 4, shuffle=True, transform=add_noise))

    assert batches(1) == batches(1)
    assert batches(1) != batches(2)


def test_transform_leaves_the_global_random_numbers_alone():
    def transform(batch, generator):
        before = tn.get_rng_state()
        tn.rand(1000, generator=generator)
        assert tn.get_rng_state() == before
        return batch

    loader = DataLoader(make_pairs(10), 4, transform=transform)
    batches = iter(loader)
    before = tn.get_rng_state()
    assert len(list(batches)) == 3
    assert tn.get_rng_state() == before


@pytest.mark.parametrize("shuffle", [False, True])
def test_transform_may_write_into_its_batch(shuffle):
    x = tn.ones(6, 2)

    def transform(batch, generator):
        batch[0].mul_(5)
        return batch

    loader = DataLoader(TensorDataset(x), 4, shuffle=shuffle, transform=transform)
    assert [batch.sum().item() for [batch] in loader] == [40, 20]
    assert x.sum().item() == 12


def test_transform_after_collate_fn():
    loader = DataLoader(Squares(4), 2, collate_fn=dict, transform=lambda batch, _: [*batch])
    assert list(loader) == [[0, 1], [2, 3]]


# What is refused
def test_sampler_and_shuffle():
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(3), sampler=[0], shuffle=True)
    assert str(caught.value) == "DataLoader: sampler and shuffle, expected one of them"


@pytest.mark.parametrize(
    "options", [{"batch_size": 2}, {"shuffle": True}, {"drop_last": True}, {"sampler": [0]}]
)
def test_batch_sampler_and_more(options):
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(3), batch_sampler=[[0]], **options)
    assert str(caught.value) == (
        "DataLoader: batch_sampler with batch_size, shuffle, sampler or drop_last, expected it"
        " alone"
    )


@pytest.mark.parametrize("prefetch", [-1, 1.0, True, None])
def test_prefetch_that_is_none(prefetch):
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(3), prefetch=prefetch)
    assert str(caught.value) == f"DataLoader: prefetch is {prefetch!r}, expected an int from 0 on"


@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
@pytest.mark.parametrize(("given", "kind"), [(iter([0]), "list_iterator"), (3, "int")])
def test_samplers_that_serve_no_two_epochs(name, given, kind):
    with pytest.raises(ArgumentTypeError) as caught:
        DataLoader(make_pairs(3), **{name: given})
    assert str(caught.value) == (
        f"DataLoader: {name} is of type {kind}, expected what can be iterated over in every epoch,"
        " such as a list or a Sampler"
    )


@pytest.mark.parametrize("options", [{"sampler": [0, 3]}, {"batch_sampler": [[0], [3]]}])
@pytest.mark.parametrize("dataset", [make_pairs(3), Squares(3)])
def test_indices_out_of_range(dataset, options):
    with pytest.raises(DimError) as caught:
        iter(DataLoader(dataset, **options))
    assert str(caught.value) == "DataLoader: index 3, expected one of a data set of 3 samples"


def test_negative_indices_of_a_sampler():
    with pytest.raises(DimError, match="DataLoader: index -1, expected one of a data set of 3"):
        iter(DataLoader(make_pairs(3), sampler=[-1]))


@pytest.mark.parametrize("options", [{"sampler": ["a"]}, {"batch_sampler": [0, 1]}])
def test_indices_that_are_none(options):
    with pytest.raises(ArgumentTypeError, match=r"DataLoader: indices are .* expected a vector of"):
        iter(DataLoader(make_pairs(3), **options))


def test_empty_batch_of_a_batch_sampler():
    with pytest.raises(ArgumentError) as caught:
        iter(DataLoader(make_pairs(3), batch_sampler=[[0], []]))
    assert str(caught.value) == "DataLoader: batch_sampler gave no indices, expected a batch"


def test_batch_size_other_than_the_stratified_samplers():
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(4), 3, sampler=StratifiedSampler([0, 1, 0, 1], 2))
    assert str(caught.value) == (
        "DataLoader: batch_size is 3, expected 2, that of the StratifiedSampler"
    )


def test_stratified_sampler_of_other_labels():
    with pytest.raises(ArgumentError) as caught:
        DataLoader(make_pairs(5), 2, sampler=StratifiedSampler([0, 1, 0, 1], 2))
    assert str(caught.value) == (
        "DataLoader: a StratifiedSampler of 4 labels, expected 5, one for each sample"
    )
