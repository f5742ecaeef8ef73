"""An epoch of a `DataLoader`: which samples are in which batch, and how far it got."""

import itertools
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.autograd.graph import wrap
from tinynet.data.dataset import as_indices, check_range
from tinynet.data.sampler import Indices, Sampler, SequentialSampler, count_batches
from tinynet.errors import ArgumentError
from tinynet.ops.creation import from_numpy
from tinynet.ops.random import Generator
from tinynet.tensor import Tensor


@dataclass
class Epoch:
    """The samples of batch `i` are `order[runs[i]]`, or that run of the set where `order` is None.

    `start` is the state that the sampler's generator had before it drew the order, None where it
    cannot be drawn again. `seed` is what the transforms' random numbers start from. The consumer
    has received the first `done` batches.
    """

    order: Indices | None
    runs: Sequence[slice]
    start: tuple[int, int] | None = None
    seed: int | None = None
    done: int = 0
    _on_device: Tensor | None = None

    def index(self, number: int, device: str, may_be_view: bool) -> slice | Tensor:
        """The samples of a batch: a slice where that is a view's, else a tensor on `device`."""
        run = self.runs[number]
        if self.order is None:
            return run if may_be_view else from_numpy(np.arange(run.start, run.stop)).to(device)
        if device == "cpu":
            return from_numpy(self.order[run])
        if self._on_device is None:
            self._on_device = from_numpy(self.order).to(device)
        whole = self._on_device
        part = whole.backend.slice(whole.array, ((run.start, 1, run.stop - run.start),))
        return wrap(part, whole.dtype, whole.backend)  # as narrow() does, for less

    def samples(self, number: int) -> list[int]:
        """The samples of a batch."""
        run = self.runs[number]
        return [*range(run.start, run.stop)] if self.order is None else self.order[run].tolist()

    def generator(self, number: int) -> Generator:
        """The random numbers of one batch's transform: a stream of its own."""
        assert self.seed is not None
        return Generator().manual_seed(self.seed + (number << 64))

    def state_dict(self) -> dict[str, Any]:
        """What `Batching.restore` takes."""
        state: dict[str, Any] = {"start": self.start, "seed": self.seed, "done": self.done}
        if self.start is None and self.order is not None:
            left = self.runs[self.done :]
            begin = left[0].start if left else len(self.order)
            state["order"] = from_numpy(self.order[begin:].copy())
            state["sizes"] = [run.stop - run.start for run in left]
        return state


class Batching:
    """How epochs are drawn: by a sampler and a size, or a batch sampler where that is None."""

    def __init__(
        self, dataset: Sized, sampler: Any, batch_size: int | None, drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __len__(self) -> int:
        if self.batch_size is None:
            return len(self.sampler)
        return count_batches(len(self.sampler), self.batch_size, self.drop_last)

    @property
    def is_in_order(self) -> bool:
        """Whether batches are runs of the data set."""
        return type(self.sampler) is SequentialSampler and len(self.sampler) == len(self.dataset)

    def draw(self) -> Epoch:
        """A new epoch."""
        if self.batch_size is None:
            batches = [as_indices("DataLoader", batch) for batch in self.sampler]
            sizes = [len(batch) for batch in batches]
            if 0 in sizes:
                raise ArgumentError("DataLoader: batch_sampler gave no indices, expected a batch")
            return Epoch(self._checked(_joined(batches)), _runs(sizes))
        start = self.sampler.source().get_state() if is_redrawable(self.sampler) else None
        return Epoch(*self._drawn(), start)

    def _drawn(self) -> tuple[Indices | None, list[slice]]:
        """The order and its runs, from the sampler."""
        order = None if self.is_in_order else self._checked(order_of(self.sampler))
        n = len(self.dataset) if order is None else len(order)
        assert self.batch_size is not None
        n_whole, n_rest = divmod(n, self.batch_size)
        sizes = [self.batch_size] * n_whole
        if n_rest and not self.drop_last:
            sizes.append(n_rest)
        return order, _runs(sizes)

    def _checked(self, indices: Any) -> Indices:
        found = as_indices("DataLoader", indices)
        check_range("DataLoader", found, len(self.dataset))
        return found

    def restore(self, state: Mapping[str, Any]) -> Epoch:
        """The epoch that `Epoch.state_dict` told of; generators are as they were."""
        if state["start"] is None:
            gone = [slice(0, 0)] * state["done"]  # batches that nobody asks for again
            order, runs = self._checked(state["order"]), gone + _runs(state["sizes"])
            return Epoch(order, runs, None, state["seed"], state["done"])
        source = self.sampler.source()
        now = source.get_state()
        source.set_state(state["start"])
        try:
            return Epoch(*self._drawn(), state["start"], state["seed"], state["done"])
        finally:
            source.set_state(now)


def is_redrawable(sampler: Any) -> bool:
    """Whether a generator's state is all that its order comes from."""
    return (
        isinstance(sampler, Sampler)
        and type(sampler).__iter__ is Sampler.__iter__
        and isinstance(sampler.source(), Generator)
    )


def order_of(sampler: Any) -> Any:
    """The indices of an epoch."""
    if isinstance(sampler, Sampler) and type(sampler).__iter__ is Sampler.__iter__:
        return sampler.order()
    return sampler if hasattr(sampler, "__array__") else [*sampler]


def _runs(sizes: Iterable[int]) -> list[slice]:
    stops = [0, *itertools.accumulate(sizes)]
    return [slice(start, stop) for start, stop in itertools.pairwise(stops)]


def _joined(parts: Sequence[Indices]) -> Indices:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
