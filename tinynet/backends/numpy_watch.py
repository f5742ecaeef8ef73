"""Seeing what NumPy computes: the backend's primitives, timed while somebody listens.

As recordings do, a `Watch` stands in front of the backend's methods for as long as it is needed, so
that it costs nothing at other times. Calls inside of calls count for the outer one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tinynet.backends.numpy_calls import Array
from tinynet.backends.numpy_layers import Layer, Method
from tinynet.backends.numpy_places import owner_of
from tinynet.backends.runs import KernelRun, Listener, flops_of

WATCHED = (
    "full arange random_bits elementwise cast copy assign reduce arg_reduce scan argsort matmul"
    " convolve convolve_input convolve_weight pool_max pick spread fold lstm lstm_backward"
    " run_kernel linalg concatenate take put nonzero"
).split()  # all that computes; views cost nothing


class Watch:
    """Stands in front of a backend from the first listener to the last."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.backend: Any = None
        self.layer: Layer = {name: partial(self.timed, name) for name in WATCHED}
        self.inside = threading.local()
        self.changing = threading.Lock()  # who listens, by several threads

    def attach(self, backend: Any, listener: Listener) -> None:
        """Tell `listener` of each call."""
        with self.changing:
            self.listeners.append(listener)
            if self.backend is None:
                self.backend = backend
                backend.layers.add(self.layer)

    def detach(self, listener: Listener) -> None:
        """Tell it no more."""
        with self.changing:
            self.listeners.remove(listener)
            if not self.listeners:
                self.backend.layers.remove(self.layer)
                self.backend = None

    def timed(self, name: str, method: Method) -> Method:
        def call(*args: Any, **named: Any) -> Any:
            if getattr(self.inside, "is_", False):
                return method(*args, **named)
            self.inside.is_ = True
            start = time.perf_counter_ns()
            try:
                result = method(*args, **named)
            finally:
                end = time.perf_counter_ns()
                self.inside.is_ = False
            self.note(name, args, result, start, end)
            return result

        return call

    def note(self, name: str, args: tuple[Any, ...], result: Any, start: int, end: int) -> None:
        """Tell the listeners of a call."""
        title = args[0] if args and type(args[0]) is str else name
        written = [*arrays_in(args[0] if result is None else result)]
        given = [*arrays_in(args)]
        nbytes = sum([x.nbytes for x in (*given, *written)])
        shape = written[0].shape if written else ()
        run = KernelRun(
            "cpu", title, "", shape, nbytes, flops_of(name, given, written), start, end,
            None, start, start, end, (title,), _memory_of(given), _memory_of(written),
        )  # fmt: skip
        for listener in [*self.listeners]:
            listener(run, ())


watch = Watch()


def _memory_of(arrays: list[Array]) -> tuple[int, ...]:
    return tuple([id(owner_of(x)) for x in arrays])


def arrays_in(item: Any) -> Iterator[Array]:
    """The arrays of an argument or a result."""
    if isinstance(item, np.ndarray):
        yield item
    elif isinstance(item, (tuple, list)):
        for part in item:
            yield from arrays_in(part)
