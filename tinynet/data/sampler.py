"""Samplers: in which order an epoch visits the samples (names as in `torch.utils.data`).

All draw from tinynet's random numbers, so that a seed repeats them on every device.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import as_indices
from tinynet.dtype import float64
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.random import Generator, check_generator, default_generator, rand, randint
from tinynet.tensor import Tensor

Indices = NDArray[np.int64]


class Sampler:
    """Base of samplers: a subclass has `__len__`, and `order`, or `__iter__` as in PyTorch.

    `order` gives the indices of one epoch, drawn anew from `generator` (default: the global one)
    and from nothing else that changes: so a `DataLoader` can draw an order again, to go on in the
    middle of an epoch.

    >>> class Backwards(Sampler):
    ...     def __init__(self, n):
    ...         self.n = n
    ...     def __len__(self):
    ...         return self.n
    ...     def order(self):
    ...         return range(self.n)[::-1]
    >>> list(Backwards(3))
    [2, 1, 0]
    """

    generator: Generator | None = None

    def __len__(self) -> int:
        """How many indices an epoch has."""
        raise NotImplementedError(f"{type(self).__name__} has no __len__, expected one")

    def order(self) -> Sequence[int] | Indices:
        """The indices of an epoch."""
        raise NotImplementedError(
            f"{type(self).__name__} has neither order nor __iter__, expected one of them"
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(as_indices(type(self).__name__, self.order()).tolist())

    def source(self) -> Generator:
        """The generator that `order` draws from."""
        return default_generator if self.generator is None else self.generator


class SequentialSampler(Sampler):
    """0, 1, ... up to the last sample of `data_source`."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def order(self) -> Indices:
        """The indices in their order."""
        return np.arange(len(self.data_source))


class RandomSampler(Sampler):
    """All samples of `data_source` in random order, or `num_samples` of them.

    With `replacement` each is drawn from all samples. Without it, more than there are take several
    random orders, one after the other.

    >>> import tinynet as tn
    >>> sorted(RandomSampler(range(4), num_samples=8))
    [0, 0, 1, 1, 2, 2, 3, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        check_count("RandomSampler", "num_samples", num_samples, optional=True)
        check_generator("RandomSampler", generator)
        if not len(data_source):
            raise ArgumentError("RandomSampler: the data set is empty, expected a sample at least")
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = num_samples
        self.generator = generator

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples

    def order(self) -> Indices:
        """Random indices."""
        n, count = len(self.data_source), len(self)
        if self.replacement:
            return randint(n, (count,), generator=self.generator, device="cpu").numpy()
        orders = [permutation(n, self.generator) for _ in range(-(-count // n))]
        return orders[0][:count] if len(orders) == 1 else np.concatenate(orders)[:count]


class SubsetRandomSampler(Sampler):
    """The given indices in random order."""

    def __init__(
        self, indices: Sequence[int] | NDArray[Any] | Tensor, generator: Generator | None = None
    ) -> None:
        check_generator("SubsetRandomSampler", generator)
        self.indices = as_indices("SubsetRandomSampler", indices)
        self.generator = generator

    def __len__(self) -> int:
        return len(self.indices)

    def order(self) -> Indices:
        """The indices, shuffled."""
        return self.indices[permutation(len(self.indices), self.generator)]


class WeightedRandomSampler(Sampler):
    """`num_samples` indices, drawn with probabilities proportional to `weights`.

    Weights of 1 / (size of a sample's class) balance classes. A weight of 0 is never drawn. Without
    `replacement` no index comes twice: the smallest of exponential waiting times
    (Efraimidis & Spirakis 2006).

    >>> set(WeightedRandomSampler([0.0, 3.0, 1.0], 100)) <= {1, 2}
    True
    """

    def __init__(
        self,
        weights: Sequence[float] | NDArray[Any] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        check_count("WeightedRandomSampler", "num_samples", num_samples)
        check_generator("WeightedRandomSampler", generator)
        self.weights = _as_weights(weights)
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator
        n_positive = int((self.weights > 0).sum())
        if not n_positive or (not replacement and num_samples > n_positive):
            raise ArgumentError(
                f"WeightedRandomSampler: {n_positive} positive weights, expected at least"
                f" {1 if replacement else num_samples}"
            )

    def __len__(self) -> int:
        return self.num_samples

    def order(self) -> Indices:
        """Indices drawn by their weights."""
        places = np.flatnonzero(self.weights)
        weights = self.weights[places]
        if self.replacement:
            edges = np.cumsum(weights / weights.max())  # sums to no infinity
            goals = self._uniforms(self.num_samples) * edges[-1]
            found = np.searchsorted(edges, goals, side="right")
        else:
            with np.errstate(divide="ignore"):  # a draw of 0 has the wait 0
                waits = np.log(-np.log1p(-self._uniforms(len(places)))) - np.log(weights)
            found = np.argsort(waits, kind="stable")[: self.num_samples]
        chosen: Indices = places[found]
        return chosen

    def _uniforms(self, n: int) -> NDArray[np.float64]:
        return rand(n, generator=self.generator, dtype=float64, device="cpu").numpy()


class StratifiedSampler(Sampler):
    """All samples in random order, each run of `batch_size` with the classes' shares of the whole.

    `labels` are one for each sample. Of a class's samples, each batch gets the same number, or one
    more; so does the last, smaller batch, by its size. Samples of a class are dealt to the batches
    like cards.

    >>> labels = [0] * 60 + [1] * 30 + [2] * 10
    >>> order = list(StratifiedSampler(labels, batch_size=10))
    >>> sorted(labels[i] for i in order[:10])
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
    """

    def __init__(
        self,
        labels: Sequence[Any] | NDArray[Any] | Tensor,
        batch_size: int,
        generator: Generator | None = None,
    ) -> None:
        check_count("StratifiedSampler", "batch_size", batch_size)
        check_generator("StratifiedSampler", generator)
        self.labels = as_classes("StratifiedSampler", labels)
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        return len(self.labels)

    def order(self) -> Indices:
        """Indices, batch after batch."""
        n = len(self.labels)
        n_batches, n_rest = divmod(n, self.batch_size)
        dealt = self._by_class()
        is_last = np.zeros(n, bool)
        offset = randint(n, (1,), generator=self.generator, device="cpu").item()
        is_last[(np.arange(n_rest) * n + offset) // max(n_rest, 1)] = True  # evenly apart
        # Every n_batches-th sample goes to the same batch.
        batches = dealt[~is_last].reshape(self.batch_size, n_batches).T
        batches = batches[permutation(n_batches, self.generator)]
        return np.concatenate([self._mixed(batches).reshape(-1), self._mixed(dealt[is_last])])

    def _by_class(self) -> Indices:
        """All samples, class after class, those of a class in random order."""
        shuffled = permutation(len(self.labels), self.generator)
        return shuffled[np.argsort(self.labels[shuffled], kind="stable")]

    def _mixed(self, rows: Indices) -> Indices:
        """Each row in random order."""
        keys = rand(rows.shape, generator=self.generator, dtype=float64, device="cpu").numpy()
        places: Indices = np.argsort(keys, axis=-1, kind="stable")
        return np.take_along_axis(rows, places, axis=-1)


class BatchSampler(Sampler):
    """Lists of `batch_size` indices of `sampler`; the last may be smaller unless `drop_last`.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        check_count("BatchSampler", "batch_size", batch_size)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.generator = getattr(sampler, "generator", None)

    def __len__(self) -> int:
        return count_batches(len(self.sampler), self.batch_size, self.drop_last)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch


def count_batches(n: int, batch_size: int, drop_last: bool) -> int:
    """How many batches `n` samples make."""
    n_whole, n_rest = divmod(n, batch_size)
    return n_whole + (n_rest > 0 and not drop_last)


def check_count(op: str, name: str, value: Any, optional: bool = False) -> None:
    """Raise `ArgumentError` unless `value` is a positive int, or None where that is `optional`."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{op}: {name} is {value!r}, expected a positive int")


def shares(n: int, parts: int) -> list[int]:
    """`n` as `parts` numbers, the first ones larger by 1 where it leaves a rest."""
    return [n // parts + (i < n % parts) for i in range(parts)]


def as_classes(op: str, labels: Any) -> Indices:
    """Labels of any kind as the numbers 0, 1, ... of their classes, in the labels' order."""
    found = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if found.ndim != 1:
        raise ShapeError(f"{op}: labels of shape {found.shape}, expected one for each sample")
    if not found.size:
        raise ArgumentError(f"{op}: no labels, expected one at least")
    if found.dtype.kind == "f" and np.isnan(found).any():
        raise ArgumentError(f"{op}: a label is NaN, expected the name or number of a class")
    return np.unique(found, return_inverse=True)[1].astype(np.int64, copy=False)


def _as_weights(weights: Any) -> NDArray[np.float64]:
    found = weights.cpu().numpy() if isinstance(weights, Tensor) else np.asarray(weights)
    if found.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            f"WeightedRandomSampler: weights are {found.dtype.name}, expected numbers"
        )
    if found.ndim != 1:
        raise ShapeError(
            f"WeightedRandomSampler: weights of shape {found.shape}, expected one for each sample"
        )
    found = found.astype(np.float64)
    if not (np.isfinite(found) & (found >= 0)).all():
        raise ArgumentError("WeightedRandomSampler: weights must be finite and not negative")
    return found


def permutation(n: int, generator: Generator | None) -> Indices:
    """`randperm(n)` as an array, by a faster sort: of keys whose last bits are their numbers."""
    source = default_generator if generator is None else generator
    keys = source.bits(n, 64, "cpu").numpy()
    n_bits = np.uint64(max(n - 1, 0).bit_length())
    mask = (np.uint64(1) << n_bits) - np.uint64(1)
    marked = np.sort((keys & ~mask) | np.arange(n, dtype=np.uint64))
    leading = marked >> n_bits
    if (leading[1:] == leading[:-1]).any():  # what was replaced decides
        order: Indices = np.argsort(keys, kind="stable")
        return order
    return (marked & mask).astype(np.int64)
