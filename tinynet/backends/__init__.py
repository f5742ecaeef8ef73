"""Backends: `base` is the protocol, `numpy` the reference; this file finds one by device name.

>>> open_backend("cpu").name
'cpu'
"""

import importlib
import re
from functools import cache

from tinynet import settings
from tinynet.backends.base import Backend
from tinynet.errors import ArgumentTypeError, DeviceError

# device type: the module whose `open_device(index)` returns a Backend
MODULES = {"cpu": "tinynet.backends.numpy", "opencl": "tinynet.backends.opencl"}

opened: list[Backend] = []  # those in use


class Device(str):
    """A device's name, with its parts: `Device("opencl:1")` has type "opencl" and index 1."""

    @property
    def type(self) -> str:
        """The name before the colon."""
        return self.partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """The number after the colon, None where there is none."""
        number = self.partition(":")[2]
        return int(number) if number else None


def open_backend(device: str | None = None) -> Backend:
    """The backend of `device`; None means the default (`TINYNET_DEVICE`, else "cpu")."""
    if device is None:
        device = settings.DEVICE.get()
    if not isinstance(device, str):
        raise ArgumentTypeError(f"device: expected a name such as 'cpu', got {device!r}")
    return _open(str(device))


@cache
def _open(name: str) -> Backend:
    match = re.fullmatch(r"([a-z]+)(?::(.+))?", name)
    if match is None or match[1] not in MODULES:
        raise DeviceError(f"device: no device {name!r}, there is {', '.join(MODULES)}")
    which = match[2] or "0"
    if match[1] == "cpu" and which != "0":
        raise DeviceError(f"device: no device {name!r}, there is cpu")
    module = importlib.import_module(MODULES[match[1]])
    backend: Backend = module.open_device(int(which) if which.isdecimal() else which)
    if backend not in opened:
        opened.append(backend)
    return backend
