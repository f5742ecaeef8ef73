"""Batches made ahead in a background thread."""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from tinynet.autograd.mode import is_grad_enabled, set_grad_enabled


def prefetched(make: Callable[[int], Any], numbers: range, ahead: int) -> Iterator[Any]:
    """`make(i)` for i in `numbers`, of which a thread makes up to `ahead` in advance.

    What `make` raises arrives where its result would have, with its traceback. The thread ends
    with the last batch, or when this iterator is closed or forgotten, after the batch that it is
    at. In a process forked meanwhile, where no thread is, `make` is called when it is its turn.
    """
    worker = _Worker(make, numbers, ahead)
    process = os.getpid()
    worker.start()
    try:
        for number in numbers:
            yield worker.take() if os.getpid() == process else make(number)
    finally:
        worker.stop()


class _Worker(threading.Thread):
    """The thread. Its queues are of the kind that may be used at any moment, by finalizers too."""

    def __init__(self, make: Callable[[int], Any], numbers: range, ahead: int) -> None:
        super().__init__(name="tinynet-prefetch", daemon=True)
        self.make = make
        self.numbers = numbers
        self.is_stopped = False
        self.has_grad = is_grad_enabled()  # a switch per thread
        self.made: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.wanted: SimpleQueue[None] = SimpleQueue()  # one for each batch that may be made
        for _ in range(ahead):
            self.wanted.put(None)
        _workers.add(self)

    def run(self) -> None:
        """Make what is wanted; in the thread."""
        with set_grad_enabled(self.has_grad):
            for number in self.numbers:
                self.wanted.get()
                if self.is_stopped:
                    return
                try:
                    self.made.put((self.make(number), None))
                except BaseException as error:  # noqa: BLE001 (`take` raises it)
                    self.made.put((None, error))
                    return

    def take(self) -> Any:
        """What was made, when it is; in the consumer's thread."""
        batch, error = self.made.get()
        if error is None:
            self.wanted.put(None)
            return batch
        try:
            raise error
        finally:
            del error  # whose traceback holds this frame

    def stop(self) -> None:
        """Make no more."""
        self.is_stopped = True
        self.wanted.put(None)


_workers: weakref.WeakSet[_Worker] = weakref.WeakSet()


def _stop_all() -> None:
    """Wait for the threads: none may run when the interpreter goes down."""
    for worker in [*_workers]:
        worker.stop()
        if worker.is_alive():
            worker.join()


atexit.register(_stop_all)
