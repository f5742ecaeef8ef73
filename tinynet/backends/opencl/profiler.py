"""Seeing what runs: a table or a trace of a block's kernels, a list of each on stderr, counters.

A device that nobody watches has `watch` None, and pays a comparison for that. Otherwise its
launches go through a `Watch`, on a queue that notes when each kernel starts and ends; plain queues
don't, because that costs 1 to 2 us a launch (PoCL).
"""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from tinynet import settings
from tinynet.errors import StateError
from tinynet.files import replacing


class Watchable(Protocol):
    """What is asked of a device: to launch through `watch` unless that is None, and to count.

    Counted since it was opened: kernels launched, programs compiled, bytes copied to the host.
    """

    name: str
    context: Any
    queue: Any
    pool: Any  # counts too: `allocations` of the driver, bytes `uploaded` from the host
    watch: Watch | None
    launches: int
    compiled: int
    bytes_read: int


class Counters(NamedTuple):
    """What the devices did, in numbers; `bytes_*` count copies from and to the device."""

    launches: int = 0
    compiled: int = 0
    allocations: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(slots=True)
class KernelRun:
    """A kernel's way through: `called` and `returned` are the host's `perf_counter_ns`.

    `nbytes` (read and written) and `flops` are the launcher's estimates, 0 where it has none.
    `enqueued`, `start` and `end` are the device's nanoseconds, 0 until `measure` has asked it;
    `enqueued` is when its clock saw the call, which ties the two clocks together.
    """

    device: str
    name: str
    text: str
    size: tuple[int, ...]
    nbytes: int
    flops: int
    called: int
    returned: int
    event: Any = None
    enqueued: int = 0
    start: int = 0
    end: int = 0

    @property
    def duration(self) -> int:
        """Nanoseconds from start to end."""
        return self.end - self.start

    def measure(self) -> None:
        """Wait for the kernel's end and note its times, once; the event goes."""
        if self.event is None:
            return
        self.event.wait()
        times = self.event.profile
        self.enqueued, self.start, self.end = times.queued, times.start, times.end
        self.event = None


Listener = Callable[[KernelRun], None]


class Watch:
    """Launches a device's kernels while somebody listens, and hands each to all listeners."""

    def __init__(self, device: Watchable) -> None:
        import pyopencl as cl

        self.device = device
        self.listeners: list[Listener] = []
        self._launch = cl.enqueue_nd_range_kernel
        self._plain = device.queue
        self._plain.finish()  # what comes must find there what went before
        timed = cl.command_queue_properties.PROFILING_ENABLE
        device.queue = cl.CommandQueue(device.context, properties=timed)
        device.watch = self

    def launch(
        self, kernel: Any, size: tuple[int, ...], group: tuple[int, ...], nbytes: int, flops: int
    ) -> KernelRun:
        """Enqueue a kernel whose arguments are set."""
        called = time.perf_counter_ns()
        event = self._launch(self.device.queue, kernel.cl_kernel, size, group)
        returned = time.perf_counter_ns()
        name = self.device.name
        run = KernelRun(
            name, kernel.name, kernel.text, size, nbytes, flops, called, returned, event
        )
        for listener in self.listeners:
            listener(run)
        return run

    def close(self) -> None:
        """Give the device its plain queue back."""
        self.device.queue.finish()
        self.device.queue = self._plain
        self.device.watch = None


class Profile:
    """The kernels of a `with` block. Blocks may lie in one another; each sees all that it holds.

    After the block: `kernels` are the runs in their order, `counters` what the devices did,
    `wall` the seconds it took; `print` shows a table, `save` writes a trace.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path
        self.kernels: list[KernelRun] = []  # grows while the block runs
        self.counters = Counters()
        self.wall = 0.0
        self._state = "new"

    def __enter__(self) -> Profile:
        if self._state != "new":
            raise StateError("profile: its block has begun before, expected a new profile()")
        self._state = "running"
        _active.append(self)
        for device in _opened():
            _attach(device, self.kernels.append)
        self._before = counters()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _active.remove(self)
        for device in _opened():
            device.queue.finish()
        self.wall = time.perf_counter() - self._began
        self.counters = Counters(*(b - a for a, b in zip(self._before, counters())))
        for device in _opened():
            _detach(device, self.kernels.append)
        for run in self.kernels:
            run.measure()
        self._state = "ended"
        if self.path is not None:
            self.save(self.path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show."""
        self._check_ended()
        with replacing(path, durable=False) as partial:
            partial.write_text(json.dumps(list(trace(self.kernels))), encoding="utf-8")

    def __str__(self) -> str:
        self._check_ended()
        done = self.counters
        return (
            f"{table(self.kernels)}\nwall time {self.wall * 1e3:.3f} ms; "
            f"{done.launches:,} launches, {done.compiled:,} programs compiled, "
            f"{done.allocations:,} allocations, {done.bytes_written:,} bytes written, "
            f"{done.bytes_read:,} read"
        )

    def _check_ended(self) -> None:
        if self._state != "ended":
            raise StateError("profile: its block has not ended, expected a `with` block before")


def counters() -> Counters:
    """What all opened devices did until now."""
    each = [
        (x.launches, x.compiled, x.pool.allocations, x.bytes_read, x.pool.uploaded)
        for x in _opened()
    ]
    return Counters(*map(sum, zip(*each)))


def register(device: Watchable) -> None:
    """Make a new device known: blocks that run see it, and `TINYNET_DEBUG` lists its kernels."""
    _devices.add(device)
    for block in _active:
        _attach(device, block.kernels.append)
    if level := settings.DEBUG.get():
        _attach(device, Lister(level))


class Lister:
    """Prints each kernel on stderr once it has run; from level 2 on its rates and source too."""

    def __init__(self, level: int) -> None:
        self.level = level
        self._shown: set[str] = set()

    def __call__(self, run: KernelRun) -> None:
        if self.level > 1 and run.text not in self._shown:
            self._shown.add(run.text)
            print(run.text, file=sys.stderr)
        run.measure()
        line = f"{run.device} {run.name:<32} {_say_size(run):>16} {run.duration / 1e3:>10.1f} us"
        if self.level > 1:
            bandwidth, speed = _rates([run])
            line += f" {bandwidth:>8} GB/s {speed:>8} GFLOP/s"
        print(line, file=sys.stderr)


def table(runs: Iterable[KernelRun]) -> str:
    """Kernels by name, the longest in total first."""
    groups: dict[str, list[KernelRun]] = {}
    for run in runs:
        groups.setdefault(run.name, []).append(run)
    if not groups:
        return "no kernels ran (on the device cpu NumPy computes)"
    total = sum(map(_duration, groups.values()))
    width = max(map(len, (*groups, "kernel")))
    lines = [f"{'kernel':<{width}}   calls   total ms   share       GB/s    GFLOP/s"]
    for name, group in sorted(groups.items(), key=lambda item: -_duration(item[1])):
        share = _duration(group) / max(total, 1)
        bandwidth, speed = _rates(group)
        lines.append(f"{name:<{width}} {_amounts(group)} {share:>7.1%} {bandwidth:>10} {speed:>10}")
    everything = [run for group in groups.values() for run in group]
    return "\n".join([*lines, f"{'total':<{width}} {_amounts(everything)} {1:>7.1%}"])


def trace(runs: list[KernelRun]) -> Iterator[dict[str, Any]]:
    """Chrome's trace events: a row of the host's calls, and one for each device; in microseconds.

    The device's clock is set to the host's by the call that was noted quickest.
    """
    rows = ["host", *sorted({run.device for run in runs})]
    for i, row in enumerate(rows):
        yield {"name": "thread_name", "ph": "M", "pid": 0, "tid": i, "args": {"name": row}}
    for i, row in enumerate(rows[1:], 1):
        mine = [run for run in runs if run.device == row]
        shift = min(run.returned - run.enqueued for run in mine)
        for run in mine:
            yield _span(run, 0, run.called, run.returned)
            yield _span(run, i, run.start + shift, run.end + shift)


_devices: weakref.WeakSet[Any] = weakref.WeakSet()
_active: list[Profile] = []  # blocks that run now, the outermost first


def _opened() -> list[Watchable]:
    return sorted(_devices, key=lambda device: str(device.name))


def _attach(device: Watchable, listener: Listener) -> None:
    watch = device.watch or Watch(device)
    watch.listeners.append(listener)


def _detach(device: Watchable, listener: Listener) -> None:
    watch = device.watch
    if watch is None:
        return
    watch.listeners.remove(listener)
    if not watch.listeners:
        watch.close()


def _span(run: KernelRun, row: int, start: int, end: int) -> dict[str, Any]:
    when = {"ts": start / 1e3, "dur": (end - start) / 1e3}
    facts = {"size": _say_size(run), "bytes": run.nbytes, "flops": run.flops}
    return {"name": run.name, "ph": "X", "pid": 0, "tid": row, **when, "args": facts}


def _say_size(run: KernelRun) -> str:
    return "x".join(map(str, run.size))


def _duration(runs: list[KernelRun]) -> int:
    return sum(run.duration for run in runs)


def _amounts(runs: list[KernelRun]) -> str:
    return f"{len(runs):>7} {_duration(runs) / 1e6:>10.3f}"


def _rates(runs: list[KernelRun]) -> list[str]:
    """GB/s and GFLOP/s; a dash for what nobody estimated."""
    amounts = (sum(run.nbytes for run in runs), sum(run.flops for run in runs))
    duration = max(_duration(runs), 1)
    return [f"{amount / duration:.1f}" if amount else "-" for amount in amounts]
