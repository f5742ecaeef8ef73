"""Data sets: anything with a length and samples by index (names as in `torch.utils.data`)."""

import math
from collections.abc import Sequence
from typing import Any

from tinynet.dtype import int64
from tinynet.errors import ArgumentError, DimError, ShapeError
from tinynet.ops.creation import tensor
from tinynet.ops.random import Generator, randperm
from tinynet.tensor import Tensor


class Dataset:
    """Base of data sets: a subclass has `__len__` and `__getitem__`, which takes an int.

    Where `has_batch_indexing` is true, `__getitem__` also takes a slice or an int64 tensor of
    indices and gives a whole batch; `DataLoader` then loads a batch in one step.
    """

    has_batch_indexing = False

    def __len__(self) -> int:
        """The number of samples."""
        raise NotImplementedError(f"{type(self).__name__} has no __len__, expected one")

    def __getitem__(self, index: Any) -> Any:
        """The sample at `index`."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__, expected one")


class TensorDataset(Dataset):
    """Tensors of one length: sample `i` is the tuple of their rows `i`.

    >>> import tinynet as tn
    >>> dataset = TensorDataset(tn.arange(6).reshape(3, 2), tn.tensor([0, 1, 0]))
    >>> dataset[1]
    (tensor([2, 3]), tensor(1))
    """

    has_batch_indexing = True

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: no tensors, expected at least one")
        if any(each.ndim == 0 for each in tensors):
            raise ShapeError("TensorDataset: a 0-d tensor, expected a dim of samples in each")
        sizes = [len(each) for each in tensors]
        if min(sizes) != max(sizes):
            raise ShapeError(f"TensorDataset: tensors of lengths {sizes}, expected equal lengths")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int | slice | Tensor) -> tuple[Tensor, ...]:
        if isinstance(index, Tensor):
            return tuple(each[index.to(each.device)] for each in self.tensors)
        return tuple(each[index] for each in self.tensors)


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        n = len(dataset)
        for index in indices:
            if not -n <= index < n:
                raise DimError(f"Subset: index {index}, expected one of a data set of {n} samples")
        self.dataset = dataset
        self.indices = indices
        self.has_batch_indexing = dataset.has_batch_indexing
        self._index_tensor = tensor(indices, dtype=int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int | slice | Tensor) -> Any:
        if isinstance(index, int):
            return self.dataset[self.indices[index]]
        return self.dataset[self._index_tensor[index]]


def random_split(
    dataset: Dataset, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Disjoint random subsets of `dataset`, of the given lengths, or fractions that sum to 1.

    What rounding fractions down leaves over goes to the first subsets, one sample each.
    """
    n = len(dataset)
    counts = _count_fractions(lengths, n) if _are_fractions(lengths) else [*map(int, lengths)]
    if sum(counts) != n or min(counts, default=0) < 0:
        raise ArgumentError(
            f"random_split: lengths {list(lengths)} sum to {sum(counts)}, expected {n},"
            " the data set's length, or fractions that sum to 1"
        )
    order = randperm(n, generator=generator).tolist()
    stops = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [Subset(dataset, order[stop - n : stop]) for n, stop in zip(counts, stops)]


def _are_fractions(lengths: Sequence[float]) -> bool:
    return math.isclose(sum(lengths), 1) and all(0 <= length <= 1 for length in lengths)


def _count_fractions(fractions: Sequence[float], n: int) -> list[int]:
    counts = [math.floor(n * fraction) for fraction in fractions]
    for i in range(n - sum(counts)):
        counts[i % len(counts)] += 1
    return counts
