"""Splits into training and test samples (names and rules as in `sklearn.model_selection`).

Folds come as NumPy arrays of indices, in ascending order, which index tensors and arrays and make
`Subset`s. All that is random comes from tinynet's random numbers.
"""

import math
import warnings
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import Dataset, Subset
from tinynet.data.sampler import Indices, as_classes, permutation, shares
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.random import Generator, check_generator
from tinynet.tensor import Tensor

Size = float | int | None
Labels = Sequence[Any] | NDArray[Any] | Tensor


def train_test_split(
    *arrays: Any,
    test_size: Size = None,
    train_size: Size = None,
    shuffle: bool = True,
    stratify: Labels | None = None,
    generator: Generator | None = None,
) -> list[Any]:
    """Each of `arrays` as two parts: its training samples, and its test samples.

    `arrays` are tensors, NumPy arrays, sequences (parts are lists) and data sets (parts are
    `Subset`s), all of one length. Sizes are fractions or numbers of samples; the one left out is
    the rest, and both left out make a quarter for the test. Fractions round up for the test, down
    for training. Without `shuffle` the training samples are the first. With `stratify`, labels of
    the samples, both parts have the classes' shares of the whole, by largest remainders.

    >>> import tinynet as tn
    >>> x, y = tn.arange(8), tn.arange(8) % 2
    >>> x_train, x_test, y_train, y_test = train_test_split(x, y, stratify=y)
    >>> y_train.sum().item(), y_test.sum().item()
    (3, 1)
    """
    check_generator("train_test_split", generator)
    n = _common_length(arrays)
    n_train, n_test = _count_parts(n, test_size, train_size)
    if stratify is not None:
        if not shuffle:
            raise ArgumentError("train_test_split: stratify without shuffle, expected both")
        train, test = _split_classes(_classes(stratify, n), n_train, n_test, generator)
    elif shuffle:
        order = permutation(n, generator)
        train, test = order[n_test : n_test + n_train], order[:n_test]
    else:
        train, test = np.arange(n_train), np.arange(n_train, n_train + n_test)
    return [_choose(array, part) for array in arrays for part in (train, test)]


class KFold:
    """`n_splits` folds: each sample is in the test part of one, in the training part of the others.

    Test parts are runs of consecutive samples, or random with `shuffle`, drawn anew by each call of
    `split`. The first (samples modulo `n_splits`) have one sample more.

    >>> for train, test in KFold(3).split(range(5)):
    ...     print(train, test)
    [2 3 4] [0 1]
    [0 1 4] [2 3]
    [0 1 2 3] [4]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, generator: Generator | None = None
    ) -> None:
        name = type(self).__name__
        if not isinstance(n_splits, int) or isinstance(n_splits, bool) or n_splits < 2:
            raise ArgumentError(f"{name}: n_splits is {n_splits!r}, expected an int from 2 on")
        check_generator(name, generator)
        if generator is not None and not shuffle:
            raise ArgumentError(f"{name}: a generator without shuffle, expected shuffle=True")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.generator = generator

    def get_n_splits(self, X: Any = None, y: Any = None) -> int:  # noqa: N803 (scikit-learn's)
        """How many folds."""
        return self.n_splits

    def split(self, X: Sized, y: Any = None) -> Iterator[tuple[Indices, Indices]]:  # noqa: N803
        """Indices of training and test samples of `X` (a tensor, a data set, ...), per fold."""
        folds = self._folds(X, y)
        return ((np.flatnonzero(folds != i), np.flatnonzero(folds == i)) for i in self._numbers)

    @property
    def _numbers(self) -> range:
        return range(self.n_splits)

    def _folds(self, samples: Sized, labels: Any) -> Indices:
        """The number of the fold in whose test part each sample is."""
        n = self._check_length(samples)
        folds = np.arange(n) * 0
        order = permutation(n, self.generator) if self.shuffle else np.arange(n)
        folds[order] = np.repeat(self._numbers, shares(n, self.n_splits))
        return folds

    def _check_length(self, samples: Sized) -> int:
        n = len(samples)
        if n < self.n_splits:
            raise ArgumentError(
                f"{type(self).__name__}: {n} samples for {self.n_splits} folds, expected at least"
                " one for each"
            )
        return n


class StratifiedKFold(KFold):
    """`KFold` whose parts have the classes' shares of the whole; `split` needs the labels `y`.

    Warns where a class has fewer samples than there are folds, and so is missing in some.

    >>> labels = [0, 0, 0, 1, 1, 1]
    >>> for train, test in StratifiedKFold(3).split(labels, labels):
    ...     print(train, test)
    [1 2 4 5] [0 3]
    [0 2 3 5] [1 4]
    [0 1 3 4] [2 5]
    """

    def _folds(self, samples: Sized, labels: Any) -> Indices:
        n = self._check_length(samples)
        if labels is None:
            raise ArgumentTypeError("StratifiedKFold: no labels, expected split(X, y)")
        classes = _classes(labels, n, "StratifiedKFold")
        self._check_classes(np.bincount(classes))
        # Dealt in the order of classes, counted in that of their first samples: as scikit-learn.
        firsts = np.unique(classes, return_index=True)[1]
        ranks = np.argsort(np.argsort(firsts))[classes]
        dealt = np.sort(ranks)
        folds = np.empty(n, np.int64)
        for rank in range(len(firsts)):
            counts = [int((dealt[i :: self.n_splits] == rank).sum()) for i in self._numbers]
            of_class = np.repeat(self._numbers, counts)
            if self.shuffle:
                of_class = of_class[permutation(len(of_class), self.generator)]
            folds[ranks == rank] = of_class
        return folds

    def _check_classes(self, counts: Indices) -> None:
        if counts.max() < self.n_splits:
            raise ArgumentError(
                f"StratifiedKFold: no class has more than {counts.max()} samples, expected at least"
                f" one for each of {self.n_splits} folds"
            )
        if counts.min() < self.n_splits:
            warnings.warn(
                f"StratifiedKFold: the smallest class has {counts.min()} samples for"
                f" {self.n_splits} folds, so some folds have none of it",
                stacklevel=4,
            )


def _common_length(arrays: Sequence[Any]) -> int:
    if not arrays:
        raise ArgumentError("train_test_split: no arrays, expected at least one")
    lengths = [len(array) for array in arrays]
    if min(lengths) != max(lengths):
        raise ShapeError(f"train_test_split: lengths {lengths}, expected equal lengths")
    return lengths[0]


def _count_parts(n: int, test_size: Size, train_size: Size) -> tuple[int, int]:
    """Numbers of training and of test samples."""
    if test_size is None and train_size is None:
        test_size = 0.25
    n_train = _count(n, "train_size", train_size, math.floor)
    n_test = _count(n, "test_size", test_size, math.ceil)
    n_train = n - n_test if train_size is None else n_train
    n_test = n - n_train if test_size is None else n_test
    if n_train + n_test > n or n_train < 1 or n_test < 1:
        raise ArgumentError(
            f"train_test_split: {n_train} samples to train on and {n_test} to test on, expected at"
            f" least one for each, of {n}"
        )
    return n_train, n_test


def _count(n: int, name: str, size: Size, rounded: Any) -> int:
    if size is None:
        return 0
    if isinstance(size, int) and not isinstance(size, bool) and 0 < size < n:
        return size
    if isinstance(size, float) and 0 < size < 1:
        return int(rounded(size * n))
    raise ArgumentError(
        f"train_test_split: {name} is {size!r}, expected a fraction between 0 and 1 or an int"
        f" between 0 and the number of samples, {n}"
    )


def _classes(labels: Any, n: int, op: str = "train_test_split") -> Indices:
    classes = as_classes(op, labels)
    if len(classes) != n:
        raise ShapeError(f"{op}: {len(classes)} labels for {n} samples, expected one for each")
    return classes


def _split_classes(
    classes: Indices, n_train: int, n_test: int, generator: Generator | None
) -> tuple[Indices, Indices]:
    counts = np.bincount(classes)
    if counts.min() < 2:
        raise ArgumentError(
            "train_test_split: a class of stratify has a single sample, expected at least 2"
        )
    if min(n_train, n_test) < len(counts):
        raise ArgumentError(
            f"train_test_split: {n_train} samples to train on and {n_test} to test on, expected at"
            f" least one of each of the {len(counts)} classes in stratify"
        )
    for_train = _apportion(counts, n_train, generator)
    for_test = _apportion(counts - for_train, n_test, generator)
    order = permutation(len(classes), generator)
    train, test = [], []
    for k, (i, j) in enumerate(zip(for_train, for_test)):
        of_class = order[classes[order] == k]
        train.append(of_class[:i])
        test.append(of_class[i : i + j])
    mixed = [np.concatenate(part) for part in (train, test)]
    return tuple(part[permutation(len(part), generator)] for part in mixed)  # type: ignore[return-value]


def _apportion(counts: Indices, total: int, generator: Generator | None) -> Indices:
    """`total` in proportion to `counts`, by largest remainders; ties are drawn."""
    whole, rest = np.divmod(counts * total, counts.sum())
    ties = permutation(len(counts), generator)
    first = ties[np.argsort(-rest[ties], kind="stable")]
    whole[first[: total - whole.sum()]] += 1
    return whole


def _choose(array: Any, indices: Indices) -> Any:
    """The part of an array, a sequence or a data set."""
    if isinstance(array, Dataset):
        return Subset(array, indices)
    if isinstance(array, Tensor | np.ndarray):
        return array[indices]
    if isinstance(array, Sequence):
        return [array[i] for i in indices]
    raise ArgumentTypeError(
        f"train_test_split: got {type(array).__name__}, expected tensors, arrays, sequences or"
        " data sets"
    )
