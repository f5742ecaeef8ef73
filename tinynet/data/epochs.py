"""An epoch of a `DataLoader`: which samples are in which batch, and how far it got."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.data.dataset import as_indices, check_range
from tinynet.data.sampler import Indices, Sampler, SequentialSampler, count_batches
from tinynet.errors import ArgumentTypeError
from tinynet.ops.creation import from_numpy
from tinynet.ops.random import Generator


@dataclass
class Epoch:
    """`batches` holds the indices of each batch; the consumer has received the first `done`.

    `start` is the state that the sampler's generator had before it drew them, None where they
    cannot be drawn again. `seed` is what the transforms' random numbers start from.
    """

    batches: Sequence[slice | Indices]
    start: tuple[int, int] | None = None
    seed: int | None = None
    done: int = 0

    def generator(self, number: int) -> Generator:
        """The random numbers of one batch's transform: a stream of its own."""
        assert self.seed is not None
        return Generator().manual_seed(self.seed + ((number + 1) << 64))

    def state_dict(self) -> dict[str, Any]:
        """What `Batching.restore` takes."""
        state: dict[str, Any] = {"start": self.start, "seed": self.seed, "done": self.done}
        if self.start is None:
            left = [batch for batch in self.batches[self.done :] if not isinstance(batch, slice)]
            state["sizes"] = [len(batch) for batch in left]
            state["indices"] = from_numpy(np.concatenate([np.zeros(0, np.int64), *left]))
        return state


class Batching:
    """How epochs of a set of `n` samples are drawn: by a batch sampler, or a sampler and a size."""

    def __init__(
        self, n: int, sampler: Any, batch_size: int | None, drop_last: bool, by_batches: bool
    ) -> None:
        self.n = n
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.by_batches = by_batches

    def __len__(self) -> int:
        if self.batch_size is None or self.by_batches:
            return len(self.sampler)
        return count_batches(len(self.sampler), self.batch_size, self.drop_last)

    @property
    def is_in_order(self) -> bool:
        """Whether batches are runs of the data set."""
        return type(self.sampler) is SequentialSampler and len(self.sampler) == self.n

    def draw(self) -> Epoch:
        """A new epoch."""
        start = self.sampler.source().get_state() if is_redrawable(self.sampler) else None
        return Epoch(self._batches(), start)

    def _batches(self) -> Sequence[slice | Indices]:
        if self.by_batches:
            return [self._checked(batch) for batch in self.sampler]
        assert self.batch_size is not None
        if self.is_in_order:
            return [*_runs(self.n, self.batch_size, self.drop_last)]
        order = self._checked(order_of(self.sampler))
        return [order[run] for run in _runs(len(order), self.batch_size, self.drop_last)]

    def _checked(self, indices: Any) -> Indices:
        found = as_indices("DataLoader", indices)
        check_range("DataLoader", found, self.n)
        return found

    def restore(self, state: Mapping[str, Any]) -> Epoch:
        """The epoch that `Epoch.state_dict` told of; generators are as they were."""
        if state["start"] is None:
            left = self._checked(state["indices"])
            rest = np.split(left, np.cumsum(state["sizes"])[:-1]) if state["sizes"] else []
            nothing = left[:0]  # for batches that nobody asks for again
            batches: Sequence[slice | Indices] = [*[nothing] * state["done"], *rest]
        else:
            source = self.sampler.source()
            now = source.get_state()
            source.set_state(state["start"])
            try:
                batches = self._batches()
            finally:
                source.set_state(now)
        return Epoch(batches, state["start"], state["seed"], state["done"])


def is_redrawable(sampler: Any) -> bool:
    """Whether a generator's state is all that its order comes from."""
    return isinstance(sampler, Sampler) and type(sampler).__iter__ is Sampler.__iter__


def order_of(sampler: Any) -> Any:
    """The indices of an epoch."""
    if is_redrawable(sampler):
        return sampler.order()
    if hasattr(sampler, "__array__"):
        return sampler
    if not isinstance(sampler, Iterable):
        raise ArgumentTypeError(
            f"DataLoader: sampler is a {type(sampler).__name__}, expected an iterable of indices"
        )
    return [*sampler]


def _runs(n: int, batch_size: int, drop_last: bool) -> Iterator[slice]:
    for i in range(count_batches(n, batch_size, drop_last)):
        yield slice(i * batch_size, min((i + 1) * batch_size, n))
