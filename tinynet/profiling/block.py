"""`profile`: a `with` block that sees what runs."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from tinynet.autograd import observing
from tinynet.backends import numpy_tape, open_backend
from tinynet.backends.numpy_watch import watch
from tinynet.backends.opencl import profiler
from tinynet.backends.opencl.discovery import process
from tinynet.backends.opencl.profiler import Counters, counters
from tinynet.backends.runs import KernelRun
from tinynet.errors import StateError
from tinynet.files import replacing, to_write
from tinynet.interrupts import Deferral
from tinynet.peaks import Peaks, measure_peaks
from tinynet.profiling.calls import Calls
from tinynet.profiling.spans import Span, Spans
from tinynet.profiling.table import Row, rows, write
from tinynet.profiling.trace import trace


class Profile:
    """What ran in a `with` block. Blocks may lie in one another; each sees all that it holds.

    After the block: `kernels` are the runs in their order (on the device cpu, the primitives that
    NumPy computed), `spans` what Python did, `links` which of these started which kernel,
    `counters` what the OpenCL devices did, `wall` the seconds it took. `print` shows a table,
    `save` writes a trace, `rows` gives the table as data.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, calls: bool = False) -> None:
        self.path = path
        self._calls: Calls | None = None
        self.kernels: list[KernelRun] = []  # grows while the block runs
        self.counters = Counters()
        self.wall = 0.0
        self._spans = Spans()
        if calls:
            self._calls = Calls(self._spans)
        self._state = "new"

    @property
    def spans(self) -> list[Span]:
        """Ranges, operations and gradient rules, in the order in which they ended."""
        return self._spans.all

    @property
    def links(self) -> list[tuple[int, int]]:
        """Pairs of a span and a kernel that computes something of it, by their places."""
        return self._spans.links

    def __enter__(self) -> Profile:
        if self._state != "new":
            raise StateError("profile: its block has begun before, expected a new profile()")
        begun = self._begun = contextlib.ExitStack()  # what the end has to undo
        begun.callback(self._settle)
        try:
            with Deferral():
                self._begin(begun)
        except BaseException:
            begun.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with Deferral():
            self._begun.close()
        if self.path is not None:
            self.save(self.path)

    def _begin(self, begun: contextlib.ExitStack) -> None:
        self._before = counters()
        profiler.attach(self._note)
        begun.callback(profiler.detach, self._note)
        watch.attach(open_backend("cpu"), self._note)
        begun.callback(watch.detach, self._note)
        numpy_tape.timing.listeners.append(self._note)
        begun.callback(numpy_tape.timing.listeners.remove, self._note)
        observing.add(self._spans)
        begun.callback(observing.remove, self._spans)
        self._state = "running"
        self._began = time.perf_counter()
        begun.callback(self._wait)
        self._spans.begin()
        if self._calls is not None:
            self._calls.start()
            begun.callback(self._calls.stop)

    def _wait(self) -> None:
        """Until the devices have done what they were told, and count that."""
        profiler.finish()
        self.wall = time.perf_counter() - self._began
        self.counters = Counters(*(b - a for a, b in zip(self._before, counters())))

    def _settle(self) -> None:
        """Nothing more comes."""
        self._state = "ended"
        self._spans.end()
        if process.is_forked:  # to wait for kernels would take for ever
            return
        for run in self.kernels:
            run.measure()

    @contextlib.contextmanager
    def range(self, name: str) -> Iterator[None]:
        """A `with` block whose time the trace shows under this name.

        >>> with profile() as seen:
        ...     with seen.range("epoch"):
        ...         pass
        >>> [span.name for span in seen.spans]
        ['epoch']
        """
        if self._state != "running":
            raise StateError(f"profile: a range {name!r} outside of its block, expected one inside")
        start = self._spans.begin()
        try:
            yield
        finally:
            self._spans.add("range", name, start)

    def rows(self) -> list[Row]:
        """The table as data, a row for each device and kernel, the longest in total first."""
        self._check_ended()
        return rows(self.kernels, self._peaks())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show."""
        self._check_ended()
        events = list(trace(self.kernels, self.spans, self.links, self._spans.pairs))
        content = {"traceEvents": events, "displayTimeUnit": "ns"}
        with to_write("profile", path), replacing(path, durable=False) as partial:
            partial.write_text(json.dumps(content), encoding="utf-8")

    def __str__(self) -> str:
        done = self.counters
        return (
            f"{write(self.rows(), self._peaks())}\nwall time {self.wall * 1e3:.3f} ms; "
            f"{done.launches:,} launches, {done.compiled:,} programs compiled, "
            f"{done.allocations:,} allocations, {done.bytes_written:,} bytes written, "
            f"{done.bytes_read:,} read"
        )

    def _note(self, run: KernelRun, values: Sequence[Any]) -> None:
        self._spans.launched(len(self.kernels), values)
        self.kernels.append(run)

    def _peaks(self) -> dict[str, Peaks]:
        return {name: measure_peaks(name) for name in sorted({run.device for run in self.kernels})}

    def _check_ended(self) -> None:
        if self._state != "ended":
            raise StateError("profile: its block has not ended, expected a `with` block before")


def profile(path: str | os.PathLike[str] | None = None, *, calls: bool = False) -> Profile:
    """A context manager that sees what runs; `path`: where to save a trace at the end.

    With `calls`, spans and trace have the calls of tinynet from your code too, in this thread; it
    takes Python's hook for profilers, which makes Python a few times slower meanwhile.

    The table holds each kernel against what the device reaches (`measure_peaks`): the larger of its
    share of the GFLOP/s and its share of the GB/s, which is what limits it. The first time on a
    device that is measured, in half a second. Kernels on data in caches may pass 100%. Inside of
    the block each operation takes some 20 microseconds longer; outside it costs nothing.

    Afterwards, the tape of a function that `tinynet.jit` recorded tells how long each call took.

    >>> with profile() as seen:
    ...     pass
    >>> print(seen)
    nothing ran
    wall time ... ms; 0 launches, 0 programs compiled, 0 allocations, 0 bytes written, 0 read
    """
    return Profile(path, calls)
