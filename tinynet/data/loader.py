"""`DataLoader`: batches of a data set, in order or shuffled (`torch.utils.data.DataLoader`)."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinynet.data.collate import default_collate
from tinynet.data.dataset import Dataset
from tinynet.data.epochs import Batching, Epoch
from tinynet.data.prefetching import prefetched
from tinynet.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    StratifiedSampler,
    check_count,
)
from tinynet.errors import ArgumentError, ArgumentTypeError, StateError
from tinynet.ops.random import Generator, check_generator, default_generator, randint

PARTS = ("epoch", "generators", "sampler_state")  # of a state, beside what must be equal

Transform = Callable[[Any, Generator], Any]
Fetch = Callable[[Epoch, int], Any]


class DataLoader:
    """An iterable over the batches of `dataset`; each `for` loop over it is an epoch.

    With `shuffle`, each epoch has an order of its own, drawn from `generator` (default: the global
    one), so that a seed repeats all of them. A `sampler`, any iterable of indices, says the order
    instead; a `batch_sampler`, of lists of indices, the batches too. The order is drawn whole when
    the loop begins. `drop_last` leaves out a last batch that is smaller.

    `collate_fn` makes a batch of a list of samples. Data sets of tensors skip that list: a batch is
    one indexing operation for each tensor, and without shuffling a view.

    `transform(batch, generator)` returns the batch to use, and may write into the one it gets. Its
    generator starts from a seed drawn for the epoch and from the batch's number. With `prefetch=n`
    a background thread makes up to n batches ahead: data set, `collate_fn` and `transform` run
    there, with the same results as long as only `transform` uses random numbers, those of its
    generator. The thread ends with the loop, also where that is left early.

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
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        collate_fn: Callable[[Sequence[Any]], Any] = default_collate,
        drop_last: bool = False,
        generator: Generator | None = None,
        prefetch: int = 0,
        transform: Transform | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise ArgumentTypeError(
                f"DataLoader: the data set is of type {type(dataset).__name__}, expected one with "
                "__len__ and __getitem__, such as a Dataset or a list"
            )
        if not len(dataset):
            raise ArgumentError("DataLoader: the data set is empty, expected at least one sample")
        if not isinstance(prefetch, int) or isinstance(prefetch, bool) or prefetch < 0:
            raise ArgumentError(f"DataLoader: prefetch is {prefetch!r}, expected an int from 0 on")
        check_generator("DataLoader", generator)
        self.dataset = dataset
        self.shuffle = shuffle
        self.collate_fn = collate_fn
        self.generator = generator
        self.prefetch = prefetch
        self.transform = transform
        self._batching = self._plan(batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.batch_size = self._batching.batch_size
        self.drop_last = self._batching.drop_last
        self.sampler = self._batching.sampler
        self._epoch: Epoch | None = None  # the one that was begun last, until its end
        self._is_resumed = False  # whether the next loop goes on with it

    def _plan(
        self, batch_size: int, shuffle: bool, sampler: Any, batch_sampler: Any, drop_last: bool
    ) -> Batching:
        if batch_sampler is not None:
            if sampler is not None or (batch_size, shuffle, drop_last) != (1, False, False):
                raise ArgumentError(
                    "DataLoader: batch_sampler with batch_size, shuffle, sampler or drop_last,"
                    " expected it alone"
                )
            _check_iterable("batch_sampler", batch_sampler)
            if type(batch_sampler) is not BatchSampler:
                return Batching(self.dataset, batch_sampler, None, False)
            sampler, batch_size = batch_sampler.sampler, batch_sampler.batch_size
            drop_last = batch_sampler.drop_last
        check_count("DataLoader", "batch_size", batch_size)
        if sampler is not None and shuffle:
            raise ArgumentError("DataLoader: sampler and shuffle, expected one of them")
        if sampler is not None:
            _check_iterable("sampler", sampler)
        if isinstance(sampler, StratifiedSampler):
            self._check_stratified(sampler, batch_size)
        if sampler is None:
            sampler = (
                RandomSampler(self.dataset, generator=self.generator)
                if shuffle
                else SequentialSampler(self.dataset)
            )
        return Batching(self.dataset, sampler, batch_size, drop_last)

    def _check_stratified(self, sampler: StratifiedSampler, batch_size: int) -> None:
        if sampler.batch_size != batch_size:
            raise ArgumentError(
                f"DataLoader: batch_size is {batch_size}, expected {sampler.batch_size}, that of"
                " the StratifiedSampler"
            )
        if len(sampler) != len(self.dataset):
            raise ArgumentError(
                f"DataLoader: a StratifiedSampler of {len(sampler)} labels, expected"
                f" {len(self.dataset)}, one for each sample"
            )

    def __len__(self) -> int:
        return len(self._batching)

    def __iter__(self) -> Iterator[Any]:
        if not self._is_resumed or self._epoch is None:
            self._epoch = self._batching.draw()
            if self.transform is not None:
                seed = randint(2**63 - 1, (1,), generator=self.generator, device="cpu")
                self._epoch.seed = int(seed.item())
        self._is_resumed = False
        return self._serve(self._epoch)

    def _serve(self, epoch: Epoch) -> Iterator[Any]:
        numbers = range(epoch.done, len(epoch.runs))
        has_batches = getattr(self.dataset, "has_batch_indexing", False)
        is_fetched_whole = has_batches and self.collate_fn is default_collate
        fetch: Fetch = self._fetch if is_fetched_whole else self._collect
        if self.transform is not None:
            fetch = functools.partial(self._transformed, fetch)
        make = functools.partial(fetch, epoch)
        for batch in (
            prefetched(make, numbers, self.prefetch) if self.prefetch else map(make, numbers)
        ):
            epoch.done += 1
            yield batch
        if self._epoch is epoch:
            self._epoch = None

    def _transformed(self, fetch: Fetch, epoch: Epoch, number: int) -> Any:
        assert self.transform is not None
        return self.transform(fetch(epoch, number), epoch.generator(number))

    def _collect(self, epoch: Epoch, number: int) -> Any:
        """A batch of samples that are got one by one."""
        return self.collate_fn([self.dataset[i] for i in epoch.samples(number)])

    def _fetch(self, epoch: Epoch, number: int) -> Any:
        """A batch that is got in one step."""
        may_be_view = self.transform is None  # which may write into its batch
        index = epoch.index(number, self.dataset.index_device, may_be_view)
        batch = self.dataset[index]
        return list(batch) if isinstance(batch, tuple) else batch

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch that was begun last is, as values that `tinynet.save` takes.

        It is up to date between two batches. Of a sampler with `state_dict` that is saved too; the
        global generator's state is not. Where samplers are not tinynet's, the indices that are left
        of the epoch are saved.
        """
        return {
            **self._identity(),
            "epoch": None if self._epoch is None else self._epoch.state_dict(),
            "generators": [generator.get_state() for generator in self._generators()],
            "sampler_state": self.sampler.state_dict() if _has_state(self.sampler) else None,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next loop go on where `state_dict` was called: same order, same transforms.

        Generators given to the loader or its sampler continue as they were there; the global one is
        left alone. Raises `StateError` where data set, batches or sampler are others.
        """
        own = self._identity()
        if not isinstance(state_dict, Mapping) or state_dict.keys() != {*own, *PARTS}:
            raise StateError(
                "DataLoader.load_state_dict: expected what DataLoader.state_dict gives, got"
                f" {state_dict!r:.60}"
            )
        for name, value in own.items():
            if state_dict[name] != value:
                raise StateError(
                    f"DataLoader.load_state_dict: {name} was {state_dict[name]!r}, expected this"
                    f" loader's, {value!r}"
                )
        if _has_state(self.sampler):
            self.sampler.load_state_dict(state_dict["sampler_state"])
        epoch = state_dict["epoch"]
        self._epoch = None if epoch is None else self._batching.restore(epoch)
        self._is_resumed = epoch is not None
        for generator, state in zip(self._generators(), state_dict["generators"]):
            generator.set_state(state)

    def _identity(self) -> dict[str, Any]:
        """What must be equal for an epoch to go on."""
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "sampler": type(self.sampler).__name__,
            "has_transform": self.transform is not None,
            "n_generators": len(self._generators()),
        }

    def _generators(self) -> list[Generator]:
        """Those that are not the global one."""
        found = [self.generator, getattr(self.sampler, "generator", None)]
        own = {id(each): each for each in found if isinstance(each, Generator)}
        return [each for each in own.values() if each is not default_generator]


def _check_iterable(name: str, given: Any) -> None:
    """Raise for what gives no indices, or only once."""
    if not isinstance(given, Iterable) or isinstance(given, Iterator):
        raise ArgumentTypeError(
            f"DataLoader: {name} is of type {type(given).__name__}, expected what can be iterated"
            " over in every epoch, such as a list or a Sampler"
        )


def _has_state(sampler: Any) -> bool:
    return hasattr(sampler, "state_dict") and hasattr(sampler, "load_state_dict")
