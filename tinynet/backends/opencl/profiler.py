"""Seeing what runs: listeners that are told of each kernel, a list on stderr, counters.

A device that nobody watches has `watch` None, and pays a comparison for that. Otherwise its
launches go through a `Watch`, on a queue that notes when each kernel starts and ends; plain queues
don't, because that costs 1 to 2 us a launch (PoCL).
"""

from __future__ import annotations

import re
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from tinynet import settings
from tinynet.backends.opencl.array import READY
from tinynet.backends.opencl.discovery import process
from tinynet.backends.runs import KernelRun, Listener, rates, say_size


class Watchable(Protocol):
    """What is asked of a device: to launch through `watch` unless that is None, and to count.

    Counted since it was opened: kernels launched, programs compiled, bytes copied to the host.
    """

    name: str
    context: Any
    queue: Any
    lock: Any  # held while kernels are enqueued
    pool: Any  # counts too: `allocations` of the driver, bytes `uploaded` from the host
    watch: Watch | None
    launches: int
    compiled: int
    bytes_read: int

    def finish(self) -> None:
        """Wait until it has done what it was told."""


class Making(NamedTuple):
    """What a launch is for: lazy values, the result first, and the buffers they are made of."""

    values: Sequence[Any]
    reads: Sequence[Any]
    writes: Sequence[Any]


class Counters(NamedTuple):
    """What the devices did, in numbers; `bytes_*` count copies from and to the device."""

    launches: int = 0
    compiled: int = 0
    allocations: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


class Watch:
    """Launches a device's kernels while somebody listens, and hands each to all listeners."""

    def __init__(self, device: Watchable) -> None:
        import pyopencl as cl

        self.device = device
        self.listeners: list[Listener] = []
        self._launch = cl.enqueue_nd_range_kernel
        timed = cl.command_queue_properties.PROFILING_ENABLE
        queue = cl.CommandQueue(device.context, properties=timed)
        with device.lock:
            self._plain = device.queue
            self._plain.finish()  # what comes must find there what went before
            device.queue, device.watch = queue, self

    def launch(
        self, kernel: Any, size: tuple[int, ...], group: tuple[int, ...], args: Sequence[Any],
        nbytes: int, flops: int, making: Making | None = None,
        enqueued: list[Any] | None = None,
    ) -> KernelRun:  # fmt: skip
        """Enqueue a kernel whose arguments, `args`, are set; `making`: what it is for. `enqueued`
        gets the event.
        """
        events = [] if enqueued is None else enqueued
        called = time.perf_counter_ns()
        call = (self.device.queue,), (kernel.cl_kernel,), (size,), (group,)
        events.extend(map(self._launch, *call))
        event = events[-1]
        returned = time.perf_counter_ns()
        reads, writes = buffers_of(kernel, args, making)
        run = KernelRun(
            self.device.name, kernel.name, kernel.text, size, nbytes, flops, called, returned,
            event, ops=ops_of(making), reads=reads, writes=writes,
        )  # fmt: skip
        for listener in [*self.listeners]:
            listener(run, () if making is None else making.values)
        return run

    def close(self) -> None:
        """Give the device its plain queue back."""
        with self.device.lock:
            if not process.is_forked:
                self.device.queue.finish()
            self.device.queue, self.device.watch = self._plain, None


def counters() -> Counters:
    """What all opened devices did until now."""
    each = [
        (x.launches, x.compiled, x.pool.allocations, x.bytes_read, x.pool.uploaded)
        for x in _opened()
    ]
    return Counters(*map(sum, zip(*each)))


def register(device: Watchable) -> None:
    """Make a new device known: listeners are told of it, and `TINYNET_DEBUG` lists its kernels."""
    with _changing:
        _devices.add(device)
        for listener in _active:
            _attach(device, listener)
        if level := settings.DEBUG.get():
            _attach(device, Lister(level))


def attach(listener: Listener) -> None:
    """Tell `listener` of each kernel, on devices that are opened later too."""
    with _changing:
        _active.append(listener)
        if process.is_forked:  # no kernel runs here; to wait for earlier ones would take for ever
            return
        for device in _opened():
            _attach(device, listener)


def finish() -> None:
    """Wait until all devices that are watched have done what they were told."""
    for device in _opened():
        if device.watch is not None:
            device.finish()


def detach(listener: Listener) -> None:
    """Tell it no more."""
    with _changing:
        _active.remove(listener)
        for device in _opened():
            _detach(device, listener)


def ops_of(making: Making | None) -> tuple[str, ...]:
    """The primitives that are fused in a launch, each after those that it needs."""
    if making is None:
        return ()
    order: list[Any] = []
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(making.values[0], False)]
    while stack:
        value, is_left = stack.pop()
        value = getattr(value, "value", value)  # a view is of one
        if is_left:
            order.append(value)
        elif hasattr(value, "args") and value.op not in READY and id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack += [(x, False) for x in reversed(value.args)]
    return tuple([str(x.params[0] if x.op == "reduce" else x.op) for x in order])


Addresses = tuple[int, ...]


def buffers_of(
    kernel: Any, args: Sequence[Any], making: Making | None = None
) -> tuple[Addresses, Addresses]:
    """What a launch reads and what it writes: as `making` knows, else as its text declares."""
    if making is not None:
        return _addresses(making.reads), _addresses(making.writes)
    accesses = list(zip(args, _accesses(kernel.text, kernel.name)))
    return (
        _addresses([x for x, access in accesses if "r" in access]),
        _addresses([x for x, access in accesses if "w" in access]),
    )


def _addresses(buffers: Sequence[Any]) -> Addresses:
    return tuple([x.int_ptr for x in buffers if hasattr(x, "int_ptr")])


@lru_cache(maxsize=4096)
def _accesses(text: str, name: str) -> tuple[str, ...]:
    """For each parameter of a kernel "r", "w", both, or neither.

    In generated kernels, `p3` is a leaf, whose memory the result takes over if it is not const.
    Buffers come first; macros that stand for several numbers may follow.
    """
    found = re.search(rf"\b{name}\s*\(([^;{{}}]*)\)\s*{{", text)
    if found is None:
        return ()
    accesses = []
    for parameter in found[1].split(","):
        if "*" not in parameter:
            accesses.append("")
        elif re.search(r"\bconst\b", parameter):
            accesses.append("r")
        else:
            accesses.append("rw" if re.search(r"\bp\d+$", parameter.strip()) else "w")
    return tuple(accesses)


class Lister:
    """Prints each kernel on stderr once it has run; from level 2 on its rates and source too."""

    def __init__(self, level: int) -> None:
        self.level = level
        self._shown: set[str] = set()

    def __call__(self, run: KernelRun, values: Sequence[Any]) -> None:
        if self.level > 1 and run.text not in self._shown:
            self._shown.add(run.text)
            print(run.text, file=sys.stderr)
        run.measure()
        line = f"{run.device} {run.name:<32} {say_size(run):>16} {run.duration / 1e3:>10.1f} us"
        if self.level > 1:
            bandwidth, speed = rates([run])
            line += f" {bandwidth:>8} GB/s {speed:>8} GFLOP/s"
        print(line, file=sys.stderr)


_devices: weakref.WeakSet[Any] = weakref.WeakSet()
_active: list[Listener] = []  # of all devices
_changing = threading.Lock()  # who listens, by several threads


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
