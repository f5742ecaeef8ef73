"""Which of several ways to run a kernel is fastest on a device: measured once, kept on disk.

The file is a `tinynet.remembered`, {"format": 2, "choices": {device: {key: choice}}}.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyopencl as cl

from tinynet import settings
from tinynet.backends.opencl.discovery import describe
from tinynet.errors import KernelError, TinynetError
from tinynet.remembered import Remembered

FORMAT = 2  # raise it when kernels change so that what was measured before misleads
RUNS = 5  # a candidate's time is the median of these, ...
SECONDS = 0.2  # ... or of as many as begin within this time
HOPELESS = 3  # a candidate that takes this many times the best is not run again

Choice = tuple[Any, ...]  # of numbers, texts and bools


class Tuner:
    """Chooses for one device. `path`: the file; `device`: the name that its choices have there.

    Without a path choices last as long as the process. Without `enabled` nothing is measured, but
    what was measured before counts.
    """

    def __init__(self, path: Path | None, enabled: bool, device: str) -> None:
        self.path = path
        self.enabled = enabled
        self.device = device
        self._choices: dict[str, list[Any]] | None = None  # None: not read yet
        self._file = Remembered("tune", path, "choices", FORMAT)

    def choose(
        self, key: str, candidates: Sequence[Choice], measure: Callable[[Choice], float]
    ) -> Choice:
        """The remembered choice for `key`, else the fastest candidate, else (disabled) the first.

        `key` names all that the best choice depends on: kernel, dtype, class of shapes.
        `measure` runs a candidate once, waits for its end and returns seconds. What it raises
        rules the candidate out; `KernelError` when that happens to all.
        """
        if self._choices is None:
            self._choices = self._file.read().get(self.device, {})
        remembered = tuple(self._choices.get(key, ()))
        if remembered in candidates:
            return remembered
        if not self.enabled:
            return candidates[0]
        choice = fastest(key, candidates, measure)
        self._choices[key] = list(choice)
        self._file.add(self.device, self._choices)
        return choice


def open_tuner(cl_device: Any) -> Tuner:
    """The tuner of a device, as the settings say.

    Its name in the file has all that may change which kernel is best: PoCL gives many processors
    the same name, and a virtual machine has fewer cores than the processor.
    """
    info = describe(cl_device, 0)
    device = f"{info.hardware}, {info.compute_units} units, {info.platform} {info.driver}"
    return Tuner(settings.cache_file("tuned.json"), bool(settings.TUNE.get()), device)


def fastest(key: str, candidates: Sequence[Choice], measure: Callable[[Choice], float]) -> Choice:
    """The candidate with the smallest median time."""
    failures: list[Exception] = []
    best, choice = math.inf, None
    for candidate in candidates:
        try:
            seconds = _median(functools.partial(measure, candidate), best)
        except (TinynetError, cl.Error) as error:  # a tile that the device has no room for
            failures.append(error)
            continue
        if seconds < best:
            best, choice = seconds, candidate
    if choice is None:
        why = failures[-1] if failures else "no time is a number"
        raise KernelError(f"tune {key}: none of {len(candidates)} candidates ran: {why}")
    return choice


def _median(run: Callable[[], float], best: float) -> float:
    run()  # compiles, and warms caches
    began = time.perf_counter()
    times = [run()]
    while len(times) < RUNS and time.perf_counter() - began < SECONDS:
        if times[0] > HOPELESS * best:
            break
        times.append(run())
    return statistics.median(times)
