"""What a device reaches here: the speed of a large matrix product, and of a large copy.

A profile holds each kernel against these, since the numbers that vendors print are reached by
nobody, and the machine may have less than they say.

>>> import tinynet as tn
>>> peaks = tn.measure_peaks("cpu")
>>> peaks.flops > 0 and peaks.bandwidth > 0
True
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from tinynet import settings
from tinynet.backends import open_backend
from tinynet.inspection import devices
from tinynet.ops.creation import ones, zeros
from tinynet.remembered import Remembered
from tinynet.tensor import Tensor

FORMAT = 1  # raise it when other things are measured
SECONDS = 0.25  # that each of the two takes, about
SHORTEST = 4e-3  # a run that takes less is made larger: waiting for a device takes time as well
SMALLEST, LARGEST = 512, 4096  # sides of the matrices
ELEMENTS = 1 << 23  # copied: more than caches hold
MOST_COPIES = 64  # one after the other


class Peaks(NamedTuple):
    """GFLOP/s of a float32 matrix product, GB/s of a copy (bytes read and bytes written)."""

    flops: float
    bandwidth: float


def measure_peaks(device: str | None = None, *, again: bool = False) -> Peaks:
    """What `device` (default: the default device) reaches: the best of several runs.

    Takes about half a second, once: the process remembers it, and so does `peaks.json` in the
    cache folder (`TINYNET_CACHE`). `again` measures anew, as after a measurement while the machine
    was busy. Kernels whose data lie in caches may well be faster than the copy. Raises
    `DeviceError` where there is no such device.
    """
    name = open_backend(device).name
    if again:
        _remembered.cache_clear()
        _file().add(_identity(name), {"peaks": list(_measure(name))})
    return _remembered(name)


@cache
def _remembered(name: str) -> Peaks:
    """The peaks on disk, else those measured now, which go there."""
    file, identity = _file(), _identity(name)
    match file.read().get(identity, {}).get("peaks"):
        case [float() as flops, float() as bandwidth] if flops > 0 and bandwidth > 0:
            return Peaks(flops, bandwidth)
    peaks = _measure(name)
    file.add(identity, {"peaks": list(peaks)})
    return peaks


def _file() -> Remembered:
    return Remembered("measure_peaks", settings.cache_file("peaks.json"), "peaks", FORMAT)


def _identity(name: str) -> str:
    """What of a device decides its speed; a virtual machine has fewer cores than its processor."""
    info = next(x for x in devices() if x.name in (name, name.removesuffix(":0")))
    return f"{info.hardware}, {info.compute_units} units, {info.platform} {info.driver}"


def _measure(name: str) -> Peaks:
    return Peaks(_matmul_speed(name), _copy_speed(name))


def _matmul_speed(name: str) -> float:
    """GFLOP/s of square matrices, as large as it takes to keep the device busy."""
    began, side = time.perf_counter(), SMALLEST
    while True:
        a = _filled(side * side, name).reshape(side, side)
        _multiply(a)  # compiles
        seconds = _time(partial(_multiply, a))
        if seconds >= SHORTEST or side >= LARGEST:
            return 2 * side**3 / _best(partial(_multiply, a), began) / 1e9
        side *= 2


def _copy_speed(name: str) -> float:
    """GB/s of copies between two blocks of memory."""
    began, times = time.perf_counter(), 1
    source, target = _filled(ELEMENTS, name), _filled(ELEMENTS, name)
    _copy(source, target, times)  # compiles
    while True:
        run = partial(_copy, source, target, times)
        if _time(run) >= SHORTEST or times >= MOST_COPIES:
            return 2 * source.nbytes * times / _best(run, began) / 1e9
        times *= 4


def _filled(count: int, name: str) -> Tensor:
    """Ones, in memory."""
    x = zeros(count, device=name)
    x.copy_(ones(count, device=name))
    _wait(x)
    return x


def _multiply(a: Tensor) -> None:
    _wait(a @ a)


def _copy(source: Tensor, target: Tensor, times: int) -> None:
    for _ in range(times):
        target.copy_(source)
        target.backend.realize(target.array)
    _wait(target)


def _wait(x: Tensor) -> None:
    """Until `x`, and all that was enqueued before, is computed."""
    x.backend.realize(x.array)
    x.reshape(-1)[0].item()


def _best(run: Callable[[], None], began: float) -> float:
    """The shortest time that `run` takes, tried until `SECONDS` after `began`, at least twice."""
    best = min(_time(run), _time(run))
    while time.perf_counter() - began < SECONDS:
        best = min(best, _time(run))
    return best


def _time(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
