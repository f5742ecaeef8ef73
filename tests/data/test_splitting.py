"""Splits: sizes, shares of classes, scikit-learn's own results, and what is refused.

scikit-learn is no dependency: what it gives is from its documentation, or from its algorithm
written down anew.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tests.data.test_dataset import Squares, make_pairs
from tinynet.data import KFold, StratifiedKFold, Subset, train_test_split
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError


def seeded(seed):
    return tn.Generator().manual_seed(seed)


def as_lists(folds):
    return [(train.tolist(), test.tolist()) for train, test in folds]


# train_test_split
@pytest.mark.parametrize(
    ("n", "sizes", "expected"),
    [
        (10, {}, (7, 3)),  # a quarter, rounded up
        (10, {"test_size": 0.31}, (6, 4)),
        (10, {"train_size": 0.59}, (5, 5)),
        (10, {"test_size": 3}, (7, 3)),
        (10, {"train_size": 3}, (3, 7)),
        (10, {"test_size": 2, "train_size": 0.39}, (3, 2)),
        (10, {"test_size": 0.5, "train_size": 0.5}, (5, 5)),
        (2, {}, (1, 1)),
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_sizes_of_parts(n, sizes, expected, shuffle):
    train, test = train_test_split(tn.arange(n), shuffle=shuffle, **sizes)
    assert (len(train), len(test)) == expected
    together = [*train.tolist(), *test.tolist()]
    assert len(set(together)) == len(together)
    assert shuffle or together == list(range(sum(expected)))


def test_all_arrays_are_split_alike():
    n = 12
    arrays = (tn.arange(n), np.arange(n), list(range(n)), Subset(make_pairs(n), range(n)))
    parts = train_test_split(*arrays, Squares(n), test_size=5)
    tensors, test_tensors, arrays, _, lists, test_lists, subsets, _, squares, _ = parts
    assert isinstance(tensors, tn.Tensor)
    assert isinstance(arrays, np.ndarray)
    assert isinstance(subsets, Subset)
    assert tensors.tolist() == arrays.tolist() == lists == subsets[:][1].tolist()
    assert lists == [squares[i][0] for i in range(7)]
    assert test_tensors.tolist() == test_lists
    assert sorted(lists + test_lists) == list(range(n))


def test_tensors_are_split_where_they_are(on_device):
    train, test = train_test_split(tn.arange(4), test_size=0.5)
    assert train.device == test.device == on_device
    assert sorted(train.tolist() + test.tolist()) == [0, 1, 2, 3]


def test_seed_repeats_the_split():
    splits = [train_test_split(range(30), generator=seeded(s)) for s in (1, 1, 2)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]
    assert splits[0][0] != sorted(splits[0][0])


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(2, 20), min_size=1, max_size=5),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**32),
)
def test_stratified_parts_have_the_shares_of_the_whole(sizes, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(labels)
    n_test = int(np.ceil(share * n))
    if min(n_test, n - n_test) < len(sizes):
        return
    train, test = train_test_split(
        np.arange(n), test_size=share, stratify=labels, generator=seeded(seed)
    )
    assert sorted([*train, *test]) == list(range(n))
    assert len(test) == n_test
    for part in (train, test):
        counts = np.bincount(labels[part], minlength=len(sizes))
        assert (np.abs(counts - np.array(sizes) * len(part) / n) < 1).all()


def test_stratified_parts_are_mixed():
    labels = [0] * 50 + [1] * 50
    train, test = train_test_split(labels, stratify=labels, generator=seeded(0))
    assert sum(train) in (37, 38)
    assert train != sorted(train)
    assert test != sorted(test)


def test_ties_of_remainders_are_drawn():
    labels = [0, 0, 0, 1, 1, 1]  # 1.5 of each are to be tested
    counts = {
        sum(train_test_split(labels, test_size=3, stratify=labels, generator=seeded(seed))[1])
        for seed in range(20)
    }
    assert counts == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ArgumentError, "no arrays, expected at least one"),
        ([range(3), range(4)], ShapeError, "lengths [3, 4], expected equal lengths"),
        ([{1, 2, 3}], ArgumentTypeError,
         "got set, expected tensors, arrays, sequences or data sets"),
        ([range(1)], ArgumentError,
         "0 samples to train on and 1 to test on, expected at least one for each, of 1"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_split(arguments, error, message):
    with pytest.raises(error) as caught:
        train_test_split(*arguments)
    assert str(caught.value) == f"train_test_split: {message}"


@pytest.mark.parametrize("name", ["test_size", "train_size"])
@pytest.mark.parametrize("size", [0, 10, -1, 0.0, 1.0, 1.5, True, "0.2"])
def test_sizes_that_are_none(name, size):
    with pytest.raises(ArgumentError) as caught:
        train_test_split(range(10), **{name: size})
    assert str(caught.value) == (
        f"train_test_split: {name} is {size!r}, expected a fraction between 0 and 1 or an int"
        " between 0 and the number of samples, 10"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_size": 0.6, "train_size": 0.6},
         "6 samples to train on and 6 to test on, expected at least one for each, of 10"),
        ({"stratify": [0, 1] * 5, "shuffle": False}, "stratify without shuffle, expected both"),
        ({"stratify": [0] * 9 + [1]},
         "a class of stratify has a single sample, expected at least 2"),
        ({"stratify": [0, 1, 2, 3, 4] * 2, "test_size": 4},
         "6 samples to train on and 4 to test on, expected at least one of each of the 5 classes"
         " in stratify"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be(options, message):
    with pytest.raises(ArgumentError) as caught:
        train_test_split(range(10), **options)
    assert str(caught.value) == f"train_test_split: {message}"


def test_too_few_labels_to_stratify_by():
    with pytest.raises(ShapeError) as caught:
        train_test_split(range(10), stratify=[0, 1])
    assert str(caught.value) == "train_test_split: 2 labels for 10 samples, expected one for each"


# KFold
@settings(max_examples=40)
@given(n=st.integers(2, 40), n_splits=st.integers(2, 40), shuffle=st.booleans())
def test_folds_are_a_partition(n, n_splits, shuffle):
    if n_splits > n:
        return
    folds = as_lists(KFold(n_splits, shuffle=shuffle).split(range(n)))
    assert [len(test) for _, test in folds] == [
        n // n_splits + (i < n % n_splits) for i in range(n_splits)
    ]
    assert sorted(i for _, test in folds for i in test) == list(range(n))
    for train, test in folds:
        assert sorted(train + test) == list(range(n))
        assert train == sorted(train)
        assert test == sorted(test)
    in_order = [i for _, test in folds for i in test] == list(range(n))
    assert in_order or shuffle


def test_folds_of_the_documentation():
    assert as_lists(KFold(2).split(np.zeros((4, 2)))) == [([2, 3], [0, 1]), ([0, 1], [2, 3])]
    assert KFold(7).get_n_splits() == 7
    assert KFold().n_splits == 5


@pytest.mark.parametrize("kind", [KFold, StratifiedKFold])
def test_shuffled_folds_repeat_from_a_seed(kind):
    labels = [0, 1, 1] * 8
    first, again = (kind(4, shuffle=True, generator=seeded(3)) for _ in range(2))
    folds = [as_lists(first.split(labels, labels)) for _ in range(2)]
    assert folds[0] != folds[1]
    assert [as_lists(again.split(labels, labels)) for _ in range(2)] == folds
    assert as_lists(kind(4).split(labels, labels)) not in folds


def test_folds_index_tensors_arrays_and_data_sets(on_device):
    x = tn.arange(6)
    for train, test in KFold(3).split(x):
        assert x[train].tolist() == np.arange(6)[train].tolist()
        assert make_pairs(6)[test][1].tolist() == test.tolist()
        assert Subset(make_pairs(6), train)[:][1].tolist() == train.tolist()


@pytest.mark.parametrize("n_splits", [1, 0, 2.0, True, "3"])
@pytest.mark.parametrize("kind", [KFold, StratifiedKFold])
def test_numbers_of_folds_that_are_none(kind, n_splits):
    with pytest.raises(ArgumentError) as caught:
        kind(n_splits)
    assert str(caught.value) == (
        f"{kind.__name__}: n_splits is {n_splits!r}, expected an int from 2 on"
    )


@pytest.mark.parametrize("kind", [KFold, StratifiedKFold])
def test_more_folds_than_samples(kind):
    with pytest.raises(ArgumentError) as caught:
        kind(4).split(range(3), [0, 1, 1])
    assert str(caught.value) == (
        f"{kind.__name__}: 3 samples for 4 folds, expected at least one for each"
    )


def test_generator_without_shuffle():
    with pytest.raises(ArgumentError) as caught:
        KFold(generator=tn.Generator())
    assert str(caught.value) == "KFold: a generator without shuffle, expected shuffle=True"


# StratifiedKFold
def folds_of_scikit_learn(labels, n_splits):
    """What `sklearn.model_selection.StratifiedKFold` does without shuffling, sample by sample."""
    names = list(dict.fromkeys(labels))
    encoded = sorted(names.index(label) for label in labels)
    left = {
        name: [i for i in range(n_splits) for each in encoded[i::n_splits] if each == k]
        for k, name in enumerate(names)
    }
    return [left[label].pop(0) for label in labels]


@settings(max_examples=40)
@given(
    labels=st.lists(st.sampled_from("abcd"), min_size=3, max_size=40),
    n_splits=st.integers(2, 5),
    shuffle=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:StratifiedKFold")
def test_stratified_folds(labels, n_splits, shuffle):
    if max(labels.count(name) for name in labels) < n_splits:
        return
    folds = as_lists(StratifiedKFold(n_splits, shuffle=shuffle).split(labels, labels))
    assert sorted(i for _, test in folds for i in test) == list(range(len(labels)))
    for name in set(labels):
        counts = [sum(labels[i] == name for i in test) for _, test in folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    if not shuffle:
        expected = folds_of_scikit_learn(labels, n_splits)
        for k, (_, test) in enumerate(folds):
            assert test == [i for i, fold in enumerate(expected) if fold == k]


def test_stratified_folds_of_the_documentation():
    labels = np.hstack(([0] * 45, [1] * 5))
    folds = StratifiedKFold(3).split(np.ones((50, 1)), labels)
    assert [(np.bincount(labels[a]).tolist(), np.bincount(labels[b]).tolist()) for a, b in folds] \
        == [([30, 3], [15, 2]), ([30, 3], [15, 2]), ([30, 4], [15, 1])]  # fmt: skip
    four = StratifiedKFold(2).split(range(4), tn.tensor([0, 0, 1, 1]))
    assert as_lists(four) == [([1, 3], [0, 2]), ([0, 2], [1, 3])]


def test_a_class_smaller_than_the_number_of_folds():
    with pytest.warns(UserWarning, match="StratifiedKFold") as caught:
        StratifiedKFold(3).split(range(7), [0] * 5 + [1] * 2)
    assert str(caught[0].message) == (
        "StratifiedKFold: the smallest class has 2 samples for 3 folds, so some folds have none of"
        " it"
    )
    assert caught[0].filename == __file__


def test_all_classes_smaller_than_the_number_of_folds():
    with pytest.raises(ArgumentError) as caught:
        StratifiedKFold(3).split(range(4), [0, 0, 1, 1])
    assert str(caught.value) == (
        "StratifiedKFold: no class has more than 2 samples, expected at least one for each of 3"
        " folds"
    )


def test_stratified_folds_without_labels():
    with pytest.raises(ArgumentTypeError) as caught:
        StratifiedKFold().split(range(10))
    assert str(caught.value) == "StratifiedKFold: no labels, expected split(X, y)"
    with pytest.raises(ShapeError) as caught:
        StratifiedKFold().split(range(10), [0, 1])
    assert str(caught.value) == "StratifiedKFold: 2 labels for 10 samples, expected one for each"
