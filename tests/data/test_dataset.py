"""Data sets, their subsets and random splits."""

import pytest

import tinynet as tn
from tinynet.data import Dataset, Subset, TensorDataset, random_split
from tinynet.errors import ArgumentError, DimError, ShapeError


class Squares(Dataset):
    """A data set of plain Python: sample i is (i, i squared)."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index, index**2


def make_pairs(n):
    return TensorDataset(tn.arange(n) * 10, tn.arange(n))


def test_tensor_dataset_by_index_slice_and_tensor():
    dataset = make_pairs(5)
    assert len(dataset) == 5
    assert [part.item() for part in dataset[-1]] == [40, 4]
    assert [part.tolist() for part in dataset[1:3]] == [[10, 20], [1, 2]]
    assert [part.tolist() for part in dataset[tn.tensor([3, 0])]] == [[30, 0], [3, 0]]


def test_tensor_dataset_is_iterable():
    assert [(x.item(), y.item()) for x, y in make_pairs(3)] == [(0, 0), (10, 1), (20, 2)]


def test_tensor_dataset_of_nothing():
    with pytest.raises(ArgumentError) as caught:
        TensorDataset()
    assert str(caught.value) == "TensorDataset: no tensors, expected at least one"


def test_tensor_dataset_of_unequal_lengths():
    with pytest.raises(ShapeError) as caught:
        TensorDataset(tn.zeros(3, 2), tn.zeros(4))
    assert str(caught.value) == "TensorDataset: tensors of lengths [3, 4], expected equal lengths"


def test_tensor_dataset_of_a_scalar():
    with pytest.raises(ShapeError) as caught:
        TensorDataset(tn.tensor(1.0))
    assert str(caught.value) == "TensorDataset: a 0-d tensor, expected a dim of samples in each"


def test_dataset_without_its_methods():
    with pytest.raises(NotImplementedError, match="Dataset has no __len__, expected one"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset has no __getitem__, expected one"):
        Dataset()[0]


def test_subset():
    subset = Subset(make_pairs(5), [4, 0, 2])
    assert len(subset) == 3
    assert [part.item() for part in subset[0]] == [40, 4]
    assert [part.tolist() for part in subset[1:]] == [[0, 20], [0, 2]]
    assert Subset(Squares(9), [8, 3])[1] == (3, 9)
    assert Subset(subset, [2])[0][1].item() == 2


def test_subset_of_what_is_not_there():
    with pytest.raises(DimError) as caught:
        Subset(make_pairs(5), [0, 5])
    assert str(caught.value) == "Subset: index 5, expected one of a data set of 5 samples"


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([7, 3], [7, 3]), ([0.5, 0.25, 0.25], [6, 2, 2]), ([1.0], [10]), ([0, 10], [0, 10])],
)
def test_random_split_parts_the_set(lengths, expected):
    parts = random_split(make_pairs(10), lengths, tn.Generator().manual_seed(1))
    assert [len(part) for part in parts] == expected
    assert sorted(index for part in parts for index in part.indices) == list(range(10))


def test_random_split_repeats_from_a_seed():
    first, second = (
        random_split(Squares(20), [10, 10], tn.Generator().manual_seed(3))[0].indices
        for _ in range(2)
    )
    assert first == second
    assert first != list(range(10))


@pytest.mark.parametrize(
    ("lengths", "total"), [([4, 5], 9), ([11, -1], 10), ([0.5, 0.4], 0), ([], 0)]
)
def test_random_split_of_lengths_that_do_not_fit(lengths, total):
    with pytest.raises(ArgumentError) as caught:
        random_split(Squares(10), lengths)
    assert str(caught.value) == (
        f"random_split: lengths {lengths} sum to {total}, expected 10, the data set's length,"
        " or fractions that sum to 1"
    )
