"""The table of a profile: kernels by name, the longest in total first, against measured peaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tinynet.backends.runs import KernelRun
from tinynet.peaks import Peaks

HEAD = ("kernel", "device", "calls", "total ms", "share", "GFLOP/s", "GB/s", "of peak", "limit")
BEYOND = 1.25  # of the peak of arithmetic: more than noise, and caches are no reason


class Row(NamedTuple):
    """A kernel's runs together. `total` in seconds, `flops` and `nbytes` in all.

    `of_peak` is the larger of the shares that it reaches of the device's GFLOP/s and of its GB/s,
    and `limit` says which: "compute", "memory", or "" where nobody estimated either.
    """

    kernel: str
    device: str
    calls: int
    total: float
    share: float
    flops: int
    nbytes: int
    of_peak: float
    limit: str


def rows(runs: Iterable[KernelRun], peaks: Mapping[str, Peaks]) -> list[Row]:
    """A row for each device and kernel, the longest in total first."""
    groups: dict[tuple[str, str], list[KernelRun]] = {}
    for run in runs:
        groups.setdefault((run.name, run.device), []).append(run)
    everything = max(sum(run.duration for group in groups.values() for run in group), 1)
    found = []
    for (name, device), group in groups.items():
        duration = sum(run.duration for run in group)
        flops, nbytes = sum(run.flops for run in group), sum(run.nbytes for run in group)
        of_peak, limit = _held_against(peaks[device], flops, nbytes, max(duration, 1))
        totals = len(group), duration / 1e9, duration / everything, flops, nbytes
        found.append(Row(name, device, *totals, of_peak, limit))
    return sorted(found, key=lambda row: (-row.total, row.kernel, row.device))


def write(found: Sequence[Row], peaks: Mapping[str, Peaks]) -> str:
    """The rows as text, with the sum of all, and the peaks below."""
    if not found:
        return "nothing ran"
    cells = [HEAD, *map(_cells, found), _total(found)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, 1, 8) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
    for name, peak in peaks.items():
        foot = f"peak of {name}, measured: {peak.flops:.1f} GFLOP/s, {peak.bandwidth:.1f} GB/s"
        if any(row.device == name and _is_beyond(row) for row in found):
            foot += f" (too low; tinynet.measure_peaks({name!r}, again=True) measures anew)"
        lines.append(foot)
    return "\n".join(lines)


def _is_beyond(row: Row) -> bool:
    """Whether a kernel was quicker than what was measured, as on a machine that was busy then."""
    return row.limit == "compute" and row.of_peak > BEYOND


def _held_against(peak: Peaks, flops: int, nbytes: int, duration: int) -> tuple[float, str]:
    """The share of the peak that is the limit, and which; rates are per nanosecond, so in G."""
    shares = [(flops / duration / peak.flops, "compute")] if flops else []
    if nbytes:
        shares.append((nbytes / duration / peak.bandwidth, "memory"))
    return max(shares, default=(0.0, ""))


def _cells(row: Row) -> tuple[str, ...]:
    nanoseconds = max(row.total * 1e9, 1.0)
    rates = [f"{x / nanoseconds:.1f}" if x else "-" for x in (row.flops, row.nbytes)]
    of_peak = f"{row.of_peak:.0%}" if row.limit else "-"
    return (
        row.kernel, row.device, str(row.calls), f"{row.total * 1e3:.3f}", f"{row.share:.1%}",
        *rates, of_peak, row.limit,
    )  # fmt: skip


def _total(found: Sequence[Row]) -> tuple[str, ...]:
    calls, seconds = sum(row.calls for row in found), sum(row.total for row in found)
    return ("total", "", str(calls), f"{seconds * 1e3:.3f}", f"{1:.1%}", "", "", "", "")
