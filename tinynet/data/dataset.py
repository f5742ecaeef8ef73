"""Data sets: anything with a length and samples by index (names as in `torch.utils.data`)."""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.autograd.graph import wrap
from tinynet.dtype import int64
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, ShapeError
from tinynet.ops.creation import from_numpy
from tinynet.ops.joining import cat
from tinynet.ops.random import Generator, randperm
from tinynet.shape import as_integer
from tinynet.tensor import Tensor

Index = int | slice | Sequence[int] | NDArray[Any] | Tensor


class Dataset:
    """Base of data sets: a subclass has `__len__` and `__getitem__`, which takes an int.

    Where `has_batch_indexing` is true, `__getitem__` also takes a slice or an int64 tensor of
    indices and gives a whole batch; `DataLoader` then loads a batch in one step, with indices on
    `index_device`. `a + b` is `ConcatDataset([a, b])`.
    """

    has_batch_indexing = False
    index_device = "cpu"

    def __len__(self) -> int:
        """The number of samples."""
        raise NotImplementedError(f"{type(self).__name__} has no __len__, expected one")

    def __getitem__(self, index: Any) -> Any:
        """The sample at `index`."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__, expected one")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        if not isinstance(other, Dataset):
            return NotImplemented
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Tensors of one length: sample `i` is the tuple of their rows `i`, -1 the last.

    A slice gives views, a tensor of indices copies.

    >>> import tinynet as tn
    >>> dataset = TensorDataset(tn.arange(6).reshape(3, 2), tn.tensor([0, 1, 0]))
    >>> dataset[1]
    (tensor([2, 3]), tensor(1))
    """

    has_batch_indexing = True

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: no tensors, expected at least one")
        for each in tensors:
            if not isinstance(each, Tensor):
                raise ArgumentTypeError(
                    f"TensorDataset: got {type(each).__name__}, expected tensors; from_numpy makes"
                    " one of an array"
                )
        if any(each.ndim == 0 for each in tensors):
            raise ShapeError("TensorDataset: a 0-d tensor, expected a dim of samples in each")
        sizes = [len(each) for each in tensors]
        if min(sizes) != max(sizes):
            raise ShapeError(f"TensorDataset: tensors of lengths {sizes}, expected equal lengths")
        self.tensors = tensors

    @property
    def index_device(self) -> str:  # type: ignore[override]
        """Where the first tensor is."""
        return self.tensors[0].device

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Index) -> tuple[Tensor, ...]:
        index = read_index(self, index)
        if isinstance(index, Tensor):
            return tuple([_rows(each, index) for each in self.tensors])
        return tuple([each[index] for each in self.tensors])


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order.

    `indices` are a sequence of ints, a range, an array or a tensor; repeats are allowed.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | NDArray[Any] | Tensor) -> None:
        self.dataset = dataset
        self.indices = indices
        self.has_batch_indexing = getattr(dataset, "has_batch_indexing", False)
        self.index_array = as_indices("Subset", indices)
        check_range("Subset", self.index_array, len(dataset), allow_negative=True)

    def __len__(self) -> int:
        return len(self.index_array)

    def __getitem__(self, index: Index) -> Any:
        index = read_index(self, index)
        if isinstance(index, int):
            return self.dataset[int(self.index_array[index])]
        chosen = index if isinstance(index, slice) else _positions(self, index)
        return self.dataset[from_numpy(self.index_array[chosen])]


class ConcatDataset(Dataset):
    """The samples of several data sets, one set after the other.

    >>> import tinynet as tn
    >>> both = ConcatDataset([TensorDataset(tn.arange(3)), TensorDataset(tn.arange(10, 12))])
    >>> len(both), both[3], both[-1]
    (5, (tensor(10),), (tensor(11),))
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = [*datasets]
        if not self.datasets:
            raise ArgumentError("ConcatDataset: no data sets, expected at least one")
        self.cumulative_sizes = [*itertools.accumulate(map(len, self.datasets))]
        self.has_batch_indexing = all(
            getattr(each, "has_batch_indexing", False) for each in self.datasets
        )

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Index) -> Any:
        index = read_index(self, index)
        if isinstance(index, int):
            which = bisect.bisect_right(self.cumulative_sizes, index)
            return self.datasets[which][index - self._start(which)]
        if isinstance(index, slice):
            return self._gather(np.arange(len(self))[index])
        return self._gather(_positions(self, index))

    def _start(self, which: int) -> int:
        return self.cumulative_sizes[which - 1] if which else 0

    def _gather(self, places: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Each set's samples in one step, then all of them in the order of `places`."""
        owners = np.searchsorted(self.cumulative_sizes, places, side="right")
        order = np.argsort(owners, kind="stable")
        parts = [
            self.datasets[which][from_numpy(places[owners == which] - self._start(which))]
            for which in np.unique(owners)
        ] or [self.datasets[0][from_numpy(places)]]
        if len(parts) == 1:
            return tuple(parts[0])
        numbers = sorted({len(part) for part in parts})
        if len(numbers) > 1:
            raise ShapeError(f"ConcatDataset: samples of {numbers} tensors, expected equal numbers")
        inverse = from_numpy(np.argsort(order, kind="stable"))
        joined = [cat(list(tensors)) for tensors in zip(*parts)]
        return tuple([each[inverse.to(each.device)] for each in joined])


def random_split(
    dataset: Dataset, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Disjoint random subsets of `dataset`, of the given lengths, or fractions that sum to 1.

    What rounding fractions down leaves over goes to the first subsets, one sample each.
    """
    n = len(dataset)
    counts = _as_counts(lengths, n)
    order = randperm(n, generator=generator).tolist()
    stops = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [Subset(dataset, order[stop - n : stop]) for n, stop in zip(counts, stops)]


def read_index(dataset: Dataset, index: Any) -> int | slice | Tensor:
    """`index` as a position that is there and not negative, a slice, or a tensor of indices."""
    name, n = type(dataset).__name__, len(dataset)
    if isinstance(index, list | np.ndarray):
        index = from_numpy(as_indices(name, index))
    if not isinstance(index, slice) and not (isinstance(index, Tensor) and index.ndim > 0):
        place = as_integer(name, "an index", index)
        if not -n <= place < n:
            raise DimError(f"{name}: index {place}, expected one of a data set of {n} samples")
        return place % n
    if not dataset.has_batch_indexing:
        raise ArgumentTypeError(
            f"{name}: index of type {type(index).__name__}, expected an int, since samples are not"
            " all from data sets with batch indexing"
        )
    return index


def as_indices(op: str, indices: Any) -> NDArray[np.int64]:
    """Integers in a sequence, an array or a tensor, as a vector of int64."""
    found = indices.cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ArgumentTypeError(
            f"{op}: indices are {found.dtype.name} of shape {found.shape}, expected a vector of"
            " integers"
        )
    return found.astype(np.int64, copy=False)


def check_range(op: str, indices: NDArray[np.int64], n: int, allow_negative: bool = False) -> None:
    """Raise `DimError` for the first of `indices` that no data set of `n` samples has."""
    wrong = (indices >= n) | (indices < (-n if allow_negative else 0))
    if wrong.any():
        raise DimError(
            f"{op}: index {indices[wrong][0]}, expected one of a data set of {n} samples"
        )


def _positions(dataset: Dataset, index: Tensor) -> NDArray[np.int64]:
    """An index tensor as positions that are there, none negative."""
    name, n = type(dataset).__name__, len(dataset)
    places = as_indices(name, index)
    check_range(name, places, n, allow_negative=True)
    return np.where(places < 0, places + n, places)


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """`x[index]`, for a vector of int64 by less general functions, which cost less."""
    backend = x.backend
    if index.backend is not backend:
        index = index.to(backend.name)
    if index.dtype is not int64 or index.ndim != 1 or x.requires_grad:
        return x[index]
    if backend.name != "cpu" or not x.numpy().flags.c_contiguous:  # NumPy's take would copy all
        places_of_rows = (index.array, *[None] * (x.ndim - 1))
        return wrap(backend.take(x.array, places_of_rows), x.dtype, backend)
    places = index.numpy()
    try:
        return wrap(x.numpy().take(places, 0), x.dtype, backend)
    except IndexError:
        check_range("TensorDataset", places, len(x), allow_negative=True)
        raise


def _as_counts(lengths: Any, n: int) -> list[int]:
    """How many samples each subset gets."""
    if isinstance(lengths, str) or not isinstance(lengths, Iterable):
        raise ArgumentTypeError(f"random_split: lengths are {lengths!r:.60}, expected a list")
    numbers: list[Any] = [*lengths]
    others = [x for x in numbers if not isinstance(x, Real)]
    if others:
        raise ArgumentTypeError(f"random_split: a length is {others[0]!r:.60}, expected a number")
    for number in numbers:
        if not 0 <= number < math.inf:
            raise ArgumentError(f"random_split: a length is {number}, expected 0 or more")
    total = sum(numbers)
    if math.isclose(total, 1):
        return _count_fractions(numbers, n)
    if total != n or any(number != int(number) for number in numbers):
        raise ArgumentError(
            f"random_split: lengths {numbers} sum to {total:.6g}, expected whole numbers that sum"
            f" to {n}, the data set's length, or fractions that sum to 1"
        )
    return [*map(int, numbers)]


def _count_fractions(fractions: Sequence[float], n: int) -> list[int]:
    counts = [math.floor(n * fraction) for fraction in fractions]
    for i in range(n - sum(counts)):
        counts[i % len(counts)] += 1
    return counts
