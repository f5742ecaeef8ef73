"""`DataLoader`: batches of a data set, in order or shuffled (`torch.utils.data.DataLoader`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tinynet.data.dataset import Dataset
from tinynet.dtype import float64
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.creation import tensor
from tinynet.ops.joining import stack
from tinynet.ops.random import Generator, randperm
from tinynet.tensor import Tensor


def default_collate(samples: Sequence[Any]) -> Any:
    """One batch of a list of samples: tensors stacked, numbers made tensors, containers kept.

    >>> default_collate([(1, "one"), (2, "two")])
    [tensor([1, 2]), ['one', 'two']]
    """
    first = samples[0]
    if isinstance(first, Tensor):
        return stack(list(samples))
    if isinstance(first, float):
        return tensor(list(samples), dtype=float64)
    if isinstance(first, int):
        return tensor(list(samples))
    if isinstance(first, str | bytes):
        return list(samples)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        lengths = sorted({len(sample) for sample in samples})
        if len(lengths) > 1:
            raise ShapeError(f"default_collate: samples of {lengths} parts, expected equal numbers")
        return [default_collate(parts) for parts in zip(*samples)]
    if hasattr(first, "__array__"):
        return stack([tensor(sample) for sample in samples])
    raise ArgumentTypeError(
        f"default_collate: a sample holds {type(first).__name__}, expected tensors, arrays,"
        " numbers, strings, or dicts, lists or tuples of them; or pass collate_fn="
    )


class DataLoader:
    """An iterable over the batches of `dataset`; each `for` loop over it is an epoch.

    With `shuffle`, each epoch has an order of its own, drawn from `generator` (default: the global
    one), so that a seed repeats all of them. `drop_last` leaves out a last batch that is smaller.
    `collate_fn` makes a batch of a list of samples. Data sets of tensors skip that list: a batch is
    one indexing operation for each tensor, and without `shuffle` a view.

    >>> import tinynet as tn
    >>> loader = DataLoader(tn.data.TensorDataset(tn.arange(5)), batch_size=2)
    >>> [batch.tolist() for [batch] in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        collate_fn: Callable[[Sequence[Any]], Any] = default_collate,
        drop_last: bool = False,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ArgumentError(
                f"DataLoader: batch_size is {batch_size!r}, expected a positive int"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.generator = generator

    def __len__(self) -> int:
        n_whole, rest = divmod(len(self.dataset), self.batch_size)
        return n_whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        n = len(self.dataset)
        order = randperm(n, generator=self.generator) if self.shuffle else None
        slices = [
            slice(i * self.batch_size, min((i + 1) * self.batch_size, n)) for i in range(len(self))
        ]
        if self.collate_fn is default_collate and getattr(
            self.dataset, "has_batch_indexing", False
        ):
            return self._index_batches(order, slices)
        return self._collate_batches(range(n) if order is None else order.tolist(), slices)

    def _index_batches(self, order: Tensor | None, slices: list[slice]) -> Iterator[Any]:
        for batch in slices:
            yield list(self.dataset[batch if order is None else order[batch]])

    def _collate_batches(self, order: Sequence[int], slices: list[slice]) -> Iterator[Any]:
        for batch in slices:
            yield self.collate_fn([self.dataset[i] for i in order[batch]])
