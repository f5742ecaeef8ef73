"""A profile as Chrome's trace events, which Perfetto shows.

Rows, each of a thread: Python's ranges, calls, operations (forward), gradient rules (backward);
then launches, and for each device its kernels. Arrows lead from an operation to its gradient rule,
from both to the kernels that compute what they gave, and from each launch to its kernel.

The format: docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from tinynet.backends.runs import KernelRun, say_size
from tinynet.profiling.spans import Span

PYTHON, DEVICES = 1, 2  # the two processes that the viewer shows
TITLES = {"range": "ranges", "call": "calls", "forward": "operations", "backward": "gradient rules"}
NODES = ("forward", "backward")
LAUNCHES = "launches"

Event = dict[str, Any]
Row = tuple[int, int]  # process and thread, as the format calls them
Pairs = Sequence[tuple[int, int]]


def trace(
    kernels: Sequence[KernelRun], spans: Sequence[Span] = (), links: Pairs = (), pairs: Pairs = ()
) -> Iterator[Event]:
    """All events; times in microseconds of the host's clock, to which devices' clocks are set."""
    rows: dict[Any, Row] = {}
    for span in spans:
        rows.setdefault((list(TITLES).index(span.kind), span.thread), (PYTHON, 0))
    threads = list(dict.fromkeys(span.thread for span in spans))
    for i, key in enumerate(sorted(rows, key=lambda key: (threads.index(key[1]), key[0])), 1):
        rows[key] = PYTHON, i
    launches = PYTHON, len(rows) + 1
    devices = {name: (DEVICES, i) for i, name in enumerate(_devices(kernels), 1)}
    yield from _names(rows, threads, launches if kernels else None, devices)

    arrows = count(1)
    places = [rows[list(TITLES).index(span.kind), span.thread] for span in spans]
    for span, row in zip(spans, places):
        facts = {"shape": str(span.shape), "node": span.node} if span.kind in NODES else {}
        yield _slice(span.name, row, span.start, span.end, facts)
    shifts = {name: _shift(kernels, name) for name in devices}
    for run in kernels:
        start = run.start + shifts[run.device]
        facts = {"size": say_size(run), "bytes": run.nbytes, "flops": run.flops}
        facts |= {"ops": " ".join(run.ops)} if run.ops else {}
        yield _slice(run.name, devices[run.device], start, run.end + shifts[run.device], facts)
        if run.text:  # NumPy computes where it is called
            yield _slice(run.name, launches, run.called, run.returned, facts)
            arrow = next(arrows)
            yield _end("s", arrow, "launch", launches, run.called)
            yield _end("f", arrow, "launch", devices[run.device], start)
    for a, b in pairs:
        arrow = next(arrows)
        yield _end("s", arrow, "backward", places[a], spans[a].start)
        yield _end("f", arrow, "backward", places[b], spans[b].start)
    for a, b in links:
        arrow, run = next(arrows), kernels[b]
        yield _end("s", arrow, spans[a].kind, places[a], spans[a].start)
        yield _end("f", arrow, spans[a].kind, devices[run.device], run.start + shifts[run.device])


def _devices(kernels: Sequence[KernelRun]) -> list[str]:
    return sorted({run.device for run in kernels})


def _names(
    rows: dict[Any, Row], threads: list[int], launches: Row | None, devices: dict[str, Row]
) -> Iterator[Event]:
    """What the viewer writes beside the rows."""
    titles = list(TITLES.values())
    named = {
        row: titles[kind] + (f", thread {threads.index(thread)}" if len(threads) > 1 else "")
        for (kind, thread), row in rows.items()
    }
    if launches is not None:
        named[launches] = LAUNCHES
    named |= {row: name for name, row in devices.items()}
    for pid, name in ((PYTHON, "Python"), (DEVICES, "devices")):
        yield {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": name}}
    for (pid, tid), name in named.items():
        facts = {"ph": "M", "pid": pid, "tid": tid}
        yield {"name": "thread_name", **facts, "args": {"name": name}}
        yield {"name": "thread_sort_index", **facts, "args": {"sort_index": tid}}


def _shift(kernels: Sequence[KernelRun], device: str) -> int:
    """What to add to a device's clock: by the call that was noted quickest."""
    return min(run.returned - run.enqueued for run in kernels if run.device == device) * (
        any(run.text for run in kernels if run.device == device)
    )


def _slice(name: str, row: Row, start: int, end: int, facts: Event) -> Event:
    when = {"ts": start / 1e3, "dur": (end - start) / 1e3}
    return {"name": name, "ph": "X", "pid": row[0], "tid": row[1], **when, "args": facts}


def _end(phase: str, number: int, kind: str, row: Row, when: int) -> Event:
    """One end of an arrow, in the slice that is there at that time."""
    event = {"name": kind, "cat": kind, "ph": phase, "id": number, "ts": when / 1e3}
    event |= {"pid": row[0], "tid": row[1]}
    return event | ({"bp": "e"} if phase == "f" else {})
