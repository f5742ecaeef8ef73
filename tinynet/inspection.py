"""Seeing which devices there are, what memory they use, and waiting for them.

>>> import tinynet as tn
>>> tn.devices()[0].name
'cpu'
"""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

import numpy as np

from tinynet.backends import open_backend
from tinynet.backends.opencl.discovery import DeviceInfo, describe, list_devices
from tinynet.backends.opencl.profiler import Counters, counters

__all__ = [
    "Counters",
    "DeviceInfo",
    "Memory",
    "counters",
    "devices",
    "memory",
    "synchronize",
]


class Memory(NamedTuple):
    """Bytes of device memory: `used` by arrays now, `peak`, and `held` for reuse."""

    used: int
    peak: int
    held: int


def devices() -> list[DeviceInfo]:
    """The devices that tensors can live on: the CPU by NumPy, then OpenCL's, GPUs first.

    `for device in tinynet.devices(): print(device)` lists them.
    """
    cpu = DeviceInfo(
        name="cpu",
        hardware=platform.processor() or platform.machine(),
        platform="NumPy",
        driver=np.__version__,
        kind="cpu",
        memory=_host_memory(),
        compute_units=os.cpu_count() or 1,
        has_fp16=True,
        has_fp64=True,
        shares_host_memory=True,
    )
    found = list_devices()
    return [cpu, *(describe(device, number) for number, device in enumerate(found))]


def memory(
    device: str | None = None, *, empty_cache: bool = False, reset_peak: bool = False
) -> Memory:
    """The memory of `device` (default: the default device) that tinynet uses; of the CPU, zeros.

    `empty_cache` first gives back what is held for reuse; `reset_peak` makes the peak what is used
    now, after reporting it.
    """
    pool = getattr(getattr(open_backend(device), "device", None), "pool", None)
    if pool is None:
        return Memory(0, 0, 0)
    if empty_cache:
        pool.empty()
    report = Memory(pool.used, pool.peak, pool.held)
    if reset_peak:
        pool.peak = pool.used
    return report


def synchronize(device: str | None = None) -> None:
    """Wait until `device` (default: the default device) has done what it was told, to time it.

    What waits for somebody to ask for it has not been told yet: `x.realize()` does that. On the
    CPU everything is done when a call returns. Raises `DeviceError` where there is no such device.

    >>> import tinynet as tn
    >>> y = tn.ones(3, device="cpu").exp().realize()
    >>> tn.synchronize("cpu")  # y is there
    """
    opened = getattr(open_backend(device), "device", None)
    if opened is not None:
        opened.finish()


def _host_memory() -> int:
    """Bytes of the host's memory, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
