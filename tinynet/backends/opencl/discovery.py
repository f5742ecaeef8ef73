"""Which OpenCL devices there are, in the order in which `opencl:0`, `opencl:1`, ... number them.

GPUs come first, then other accelerators, then CPUs, simulators last; within a kind the order is
the drivers'. pyopencl is imported only when somebody asks, so a machine without it has a `cpu`.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from tinynet.errors import DeviceError

KINDS = ("gpu", "accelerator", "cpu", "simulator")  # the order of numbering
SIMULATORS = ("oclgrind",)  # platforms that call their device everything at once


class DeviceInfo(NamedTuple):
    """What one may want to know of a device before choosing it; `memory` is in bytes."""

    name: str
    hardware: str
    platform: str
    driver: str
    kind: str
    memory: int
    compute_units: int
    has_fp16: bool
    has_fp64: bool
    shares_host_memory: bool

    def __str__(self) -> str:
        floats = [name for name in ("fp16", "fp64") if getattr(self, f"has_{name}")]
        facts = [
            self.kind,
            f"{self.compute_units} compute units",
            f"{self.memory / 2**30:.1f} GiB" + " of the host's" * self.shares_host_memory,
            *floats,
        ]
        return f"{self.name}: {self.hardware} ({', '.join(facts)}; {self.platform} {self.driver})"


class Found(NamedTuple):
    """Devices in the order of their numbers, and what was wrong with drivers that gave none."""

    devices: list[Any]
    failures: list[str]


class Process:
    """This process: `is_forked` if it was, from one that had asked drivers for their devices."""

    def __init__(self) -> None:
        self.is_forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.note)

    def note(self) -> None:
        """Called where a fork begins."""
        self.is_forked = self.is_forked or _search.cache_info().currsize > 0

    def check(self) -> None:
        """Raise `DeviceError` where all use of a device would wait for ever."""
        if self.is_forked:
            raise DeviceError(
                "opencl: this process was forked from one that had looked for OpenCL devices, and "
                "their drivers' threads have stayed there; start it with multiprocessing's spawn, "
                "or touch no OpenCL device before the fork"
            )


process = Process()


def list_devices() -> list[Any]:
    """Every device that can be used, as pyopencl's; an empty list where there is none."""
    return list(_search().devices)


def find(index: int | str = 0) -> tuple[Any, int]:
    """The device with this number, or whose name, platform or vendor holds this text.

    Text is compared without regard to case; of several devices the first is taken. Returns
    pyopencl's device and its number. Raises `DeviceError` where there is no such device.
    """
    process.check()
    devices = _search().devices
    if isinstance(index, str) and not index.isdecimal():
        found = [i for i, cl_device in enumerate(devices) if index.lower() in _names(cl_device)]
    else:
        found = [int(index)] if 0 <= int(index) < len(devices) else []
    if not found:
        raise DeviceError(f"device: no device 'opencl:{index}', there is {_say_what_there_is()}")
    return devices[found[0]], found[0]


def describe(cl_device: Any, index: int) -> DeviceInfo:
    """The facts about a device. What a driver does not tell counts as none."""
    kind = kind_of(cl_device)
    extensions = _ask(cl_device, "extensions", "").split()
    return DeviceInfo(
        name=device_name(index),
        hardware=_ask(cl_device, "name", "unnamed").strip(),
        platform=_ask(cl_device.platform, "name", "unnamed").strip(),
        driver=_ask(cl_device, "driver_version", "").strip(),
        kind=kind,
        memory=_ask(cl_device, "global_mem_size", 0),
        compute_units=_ask(cl_device, "max_compute_units", 1),
        has_fp16="cl_khr_fp16" in extensions,
        has_fp64="cl_khr_fp64" in extensions,
        shares_host_memory=bool(_ask(cl_device, "host_unified_memory", kind == "cpu")),
    )


def device_name(number: int) -> str:
    """What tinynet calls a device: "opencl" is the first."""
    return f"opencl:{number}" if number else "opencl"


def kind_of(cl_device: Any) -> str:
    """One of `KINDS`. A type that OpenCL does not name is an accelerator."""
    if _ask(cl_device.platform, "name", "").strip().lower() in SIMULATORS:
        return "simulator"
    import pyopencl as cl

    if cl_device.type & cl.device_type.GPU:
        return "gpu"
    return "cpu" if cl_device.type & cl.device_type.CPU else "accelerator"


def search(platforms: Iterable[Any]) -> Found:
    """The usable devices of these platforms; a driver that fails costs only its own devices."""
    import pyopencl as cl

    devices, failures = [], []
    for driver in platforms:
        name = _ask(driver, "name", "an unnamed driver").strip()
        try:
            offered = driver.get_devices()
        except cl.Error as error:
            failures.append(f"{name}: {error}")
            continue
        usable = [cl_device for cl_device in offered if _is_usable(cl_device)]
        if not usable:
            what = "no device that is available and has a compiler" if offered else "no device"
            failures.append(f"{name}: {what}")
        devices += usable
    return Found(sorted(devices, key=lambda cl_device: KINDS.index(kind_of(cl_device))), failures)


@functools.cache
def _search() -> Found:
    try:
        import pyopencl as cl
    except ImportError as error:  # not installed, or without the OpenCL library that it needs
        return Found([], [f"pyopencl cannot be imported: {error}"])
    try:
        return search(cl.get_platforms())
    except cl.Error as error:  # PLATFORM_NOT_FOUND_KHR: the loader found no driver
        return Found([], [str(error)])


def _ask(owner: Any, attribute: str, default: Any) -> Any:
    """A property of a device or platform; drivers refuse the ones that they do not know."""
    import pyopencl as cl

    try:
        return getattr(owner, attribute)
    except (cl.Error, AttributeError):
        return default


def _is_usable(cl_device: Any) -> bool:
    return all(_ask(cl_device, fact, True) for fact in ("available", "compiler_available"))


def _names(cl_device: Any) -> str:
    """All that a user may call a device, in lower case: its own name, its platform's, its makers'.

    PoCL's platform is "Portable Computing Language", its vendor "The pocl project".
    """
    owners = (cl_device, cl_device.platform)
    texts = [_ask(owner, fact, "") for owner in owners for fact in ("name", "vendor")]
    return "\n".join(texts).lower()


def _say_what_there_is() -> str:
    devices, failures = _search()
    names = [
        f"{device_name(i)} ({_ask(x, 'name', 'unnamed').strip()})" for i, x in enumerate(devices)
    ]
    if names:
        return ", ".join(["cpu", *names])
    why = f" ({'; '.join(failures)})" if failures else ""
    return f"cpu alone{why}. {_say_how_to_get_one()}"


def _say_how_to_get_one() -> str:
    if sys.platform.startswith("linux") and platform.machine() == "x86_64":
        return (
            "pip install 'pyopencl[pocl]' brings an OpenCL driver for the CPU, "
            "a GPU's comes from its vendor"
        )
    return "Install the OpenCL driver of the device's vendor"
