"""What profiles note: a kernel that ran on a device, or a primitive that NumPy computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any


@dataclass(slots=True)
class KernelRun:
    """A kernel's way through: `called` and `returned` are the host's `perf_counter_ns`.

    `nbytes` (read and written) and `flops` are the launcher's estimates, 0 where it has none.
    `enqueued`, `start` and `end` are the device's nanoseconds, 0 until `measure` has asked it;
    `enqueued` is when its clock saw the call, which ties the two clocks together. `ops` are the
    primitives that were fused in it, in order; `reads` and `writes` tell buffers apart.
    """

    device: str
    name: str
    text: str = field(repr=False)
    size: tuple[int, ...]
    nbytes: int
    flops: int
    called: int
    returned: int
    event: Any = None
    enqueued: int = 0
    start: int = 0
    end: int = 0
    ops: tuple[str, ...] = ()
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()

    @property
    def duration(self) -> int:
        """Nanoseconds from start to end."""
        return self.end - self.start

    def measure(self) -> None:
        """Wait for the kernel's end and note its times, once; the event goes."""
        event = self.event  # profiles of two threads may measure the same run at once
        if event is None:
            return
        event.wait()
        times = event.profile
        self.enqueued, self.start, self.end = times.queued, times.start, times.end
        self.event = None


# is told of a run, and of the lazy values that it computes; it must not keep these
Listener = Callable[[KernelRun, Sequence[Any]], None]


def say_size(run: KernelRun) -> str:
    """A launch's size: "256x4"."""
    return "x".join(map(str, run.size))


def rates(runs: Sequence[KernelRun]) -> list[str]:
    """GB/s and GFLOP/s; a dash for what nobody estimated."""
    amounts = (sum(run.nbytes for run in runs), sum(run.flops for run in runs))
    duration = max(sum(run.duration for run in runs), 1)
    return [f"{amount / duration:.1f}" if amount else "-" for amount in amounts]


def flops_of(name: str, given: Sequence[Any], written: Sequence[Any]) -> int:
    """A primitive's operations on floats, 2 for each multiply-add; 0 where nobody counts them.

    `given` and `written` are arrays, or what has their `shape` and `dtype`.
    """
    if not written or written[0].dtype.kind != "f":
        return 0
    out: tuple[int, ...] = written[0].shape
    shapes: list[tuple[int, ...]] = [x.shape for x in given]
    if name == "matmul":
        return 2 * prod(out) * shapes[0][-1]
    if name == "convolve":
        return 2 * prod(out) * prod(shapes[1][1:])
    if name == "convolve_input":
        return 2 * prod(shapes[0]) * prod(shapes[1][1:])
    if name == "convolve_weight":
        return 2 * prod(shapes[1]) * prod(out[1:])
    if name in ("elementwise", "put"):
        return prod(out)
    return prod(shapes[0]) if name in ("reduce", "scan") and given else 0
