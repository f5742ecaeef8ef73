"""Batches made ahead in a background thread."""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from tinynet.autograd.mode import is_grad_enabled, set_grad_enabled


class Prefetcher:
    """An iterator over `make(i)` for i in `numbers`; a thread makes up to `ahead` in advance.

    What `make` raises arrives where its result would have, with its traceback. The thread ends
    with the last batch, at `close`, or when nobody holds this object any more. In a process that
    was forked meanwhile, where no thread is, the rest is made when it is asked for.
    """

    def __init__(self, make: Callable[[int], Any], numbers: range, ahead: int) -> None:
        self.numbers = iter(numbers)
        self.worker = _Worker(make, numbers, ahead)
        self.process = os.getpid()
        weakref.finalize(self, self.worker.stop).atexit = False  # _stop_all does it
        self.worker.start()

    def __iter__(self) -> "Prefetcher":
        return self

    def __next__(self) -> Any:
        number = next(self.numbers)
        if os.getpid() != self.process:
            return self.worker.make(number)
        return self.worker.take()

    def close(self) -> None:
        """Have the thread end after the batch that it is at."""
        self.worker.stop()


class _Worker(threading.Thread):
    """The thread. Its queues are of the kind that a finalizer may use at any moment."""

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
