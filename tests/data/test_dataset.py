"""Data sets, their subsets and random splits."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, ShapeError


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
    "indices", [range(4, -1, -2), np.array([4, 2, -5]), tn.tensor([4, 2, 0]), (4, 2, 0)]
)
def test_subset_by_indices_of_many_kinds(indices):
    subset = Subset(make_pairs(5), indices)
    assert subset[:][1].tolist() == [4, 2, 0]
    assert subset[-1][1].item() == 0
    assert subset[tn.tensor([-1, 0])][1].tolist() == [0, 4]
    assert subset[[1]][1].tolist() == [2]


@pytest.mark.parametrize("indices", [[0.5], [[0, 1]], ["a"], [True]])
def test_subset_by_what_are_no_indices(indices):
    with pytest.raises(ArgumentTypeError, match=r"^Subset: indices are .* expected a vector of"):
        Subset(make_pairs(5), indices)


def make_both():
    return ConcatDataset([make_pairs(3), make_pairs(2), make_pairs(4)])


def test_concat_dataset_by_every_kind_of_index():
    everything = [0, 1, 2, 0, 1, 0, 1, 2, 3]
    both = make_both()
    assert len(both) == 9
    assert [both[i][1].item() for i in range(9)] == everything
    assert [both[i - 9][1].item() for i in range(9)] == everything
    assert both[1:8:3][1].tolist() == everything[1:8:3]
    assert both[4:4][1].tolist() == []
    places = [8, 3, 3, 0, -2]
    x, y = both[tn.tensor(places)]
    assert y.tolist() == [everything[i] for i in places]
    assert x.tolist() == [10 * i for i in y.tolist()]


def test_data_sets_add_up():
    both = Squares(2) + Squares(3)
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(5)] == [(0, 0), (1, 1), (0, 0), (1, 1), (2, 4)]
    assert not both.has_batch_indexing
    assert not (make_pairs(1) + Squares(1)).has_batch_indexing
    with pytest.raises(TypeError):
        Squares(2) + 1


def test_data_sets_nest():
    outer = Subset(make_both(), [8, 0, 4])
    assert outer[:][1].tolist() == [3, 0, 1]
    assert (outer + outer)[[5, 0]][1].tolist() == [1, 3]


def test_concat_dataset_of_nothing():
    with pytest.raises(ArgumentError) as caught:
        ConcatDataset([])
    assert str(caught.value) == "ConcatDataset: no data sets, expected at least one"


def test_concat_dataset_of_samples_that_do_not_fit():
    both = ConcatDataset([make_pairs(2), TensorDataset(tn.arange(2))])
    with pytest.raises(ShapeError) as caught:
        both[:]
    assert str(caught.value) == ("ConcatDataset: samples of [1, 2] tensors, expected equal numbers")


@pytest.mark.parametrize("index", [9, -10, [0, 9], tn.tensor([-10])])
@pytest.mark.parametrize("kind", ["TensorDataset", "Subset", "ConcatDataset"])
def test_index_out_of_range(kind, index):
    dataset = {
        "TensorDataset": make_pairs(9), "Subset": Subset(make_pairs(20), range(9)),
        "ConcatDataset": make_both(),
    }[kind]  # fmt: skip
    wrong = index if isinstance(index, int) else index[-1]
    with pytest.raises(DimError) as caught:
        dataset[index]
    assert str(caught.value) == (
        f"{kind}: index {int(wrong)}, expected one of a data set of 9 samples"
    )


@pytest.mark.parametrize("dataset", [Subset(Squares(9), range(4)), Squares(2) + Squares(3)])
@pytest.mark.parametrize("index", [slice(2), [0, 1], tn.tensor([0])])
def test_batches_of_data_sets_without_batch_indexing(dataset, index):
    with pytest.raises(ArgumentTypeError, match="expected an int, since samples are not all from"):
        dataset[index]


def test_tensor_dataset_by_what_is_no_index():
    with pytest.raises(ArgumentTypeError, match="TensorDataset: an index must be"):
        make_pairs(3)[0.5]


def test_tensor_dataset_of_arrays():
    with pytest.raises(ArgumentTypeError) as caught:
        TensorDataset(np.zeros(3))
    assert str(caught.value) == (
        "TensorDataset: got ndarray, expected tensors; from_numpy makes one of an array"
    )


@pytest.mark.parametrize("kind", [tn.float32, tn.bfloat16, tn.uint8, tn.bool])
def test_rows_of_tensors_of_any_layout(device, kind):
    x = (tn.arange(12, device=device) % 5).reshape(3, 4).to(kind)
    dataset = TensorDataset(x, x.t()[:3], x.float().requires_grad_(), tn.arange(3))
    index = tn.tensor([2, -3, 2])
    rows = dataset[index]
    assert [row.tolist() for row in rows] == [
        each.cpu()[index].tolist() for each in dataset.tensors
    ]
    assert [row.dtype for row in rows] == [each.dtype for each in dataset.tensors]
    assert [row.device for row in rows] == [device] * 3 + ["cpu"]
    assert rows[2].requires_grad


def test_rows_are_copies():
    dataset = make_pairs(3)
    dataset[tn.tensor([0, 1, 2])][0].zero_()
    assert dataset.tensors[0].tolist() == [0, 10, 20]


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
    ("lengths", "total"),
    [([4, 5], 9), ([0.5, 0.4], 0.9), ([0.5, 0.6], 1.1), ([1, 0.9], 1.9), ([3.5, 6.5], 10), ([], 0)],
)
def test_random_split_of_lengths_that_do_not_fit(lengths, total):
    with pytest.raises(ArgumentError) as caught:
        random_split(Squares(10), lengths)
    assert str(caught.value) == (
        f"random_split: lengths {lengths} sum to {total}, expected whole numbers that sum to 10,"
        " the data set's length, or fractions that sum to 1"
    )


@pytest.mark.parametrize(
    ("lengths", "kind", "message"),
    [
        ([11, -1], ArgumentError, "a length is -1, expected 0 or more"),
        ([float("nan"), 0.5], ArgumentError, "a length is nan, expected 0 or more"),
        ([float("inf"), 0.5], ArgumentError, "a length is inf, expected 0 or more"),
        (["a", 9], ArgumentTypeError, "a length is 'a', expected a number"),
        (10, ArgumentTypeError, "lengths are 10, expected a list"),
        ("55", ArgumentTypeError, "lengths are '55', expected a list"),
    ],
)
def test_random_split_of_lengths_that_are_none(lengths, kind, message):
    with pytest.raises(kind, match=f"^random_split: {message}"):
        random_split(Squares(10), lengths)
