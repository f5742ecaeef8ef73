"""Backends: `base` is the protocol, `numpy` the reference; this file finds one by device name.

`opencl` is the other one; `host` is what both do with NumPy on the host, `runs` what profiles note.
The reference is made of `numpy_calls` (NumPy's functions), `numpy_special` (those it lacks),
`numpy_sums`, `numpy_convolution`, `numpy_windows` and `numpy_memory`; `numpy_layers` is what stands
before it: `numpy_watch` for profiles, `numpy_recorder` for `tinynet.jit`, which goes on with
`numpy_places`, `numpy_plan`, `numpy_lowering` and `numpy_tape`.

>>> open_backend("cpu").name
'cpu'
"""

import importlib
import re
import threading

from tinynet import settings
from tinynet.backends.base import Backend
from tinynet.errors import ArgumentTypeError, DeviceError

# device type: the module whose `open_device(index)` returns a Backend
MODULES = {"cpu": "tinynet.backends.numpy", "opencl": "tinynet.backends.opencl"}

opened: list[Backend] = []  # those in use
_by_name: dict[str, Backend] = {}  # the same, by what they were asked for
_opening = threading.RLock()


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
    found = _by_name.get(device)
    if found is None:
        with _opening:  # threads that are the first to ask must get the same one
            found = _by_name.get(device) or _open(device)
    return found


def _open(name: str) -> Backend:
    """The backend of a device that nobody has asked for by this name."""
    match = re.fullmatch(r"([a-z]+)(?::(\d{1,9}|.*\D.*))?", name)
    if match is None or match[1] not in MODULES:
        raise DeviceError(f"device: no device {name!r:.60}, there is {', '.join(MODULES)}")
    which = match[2] or "0"
    if match[1] == "cpu" and which != "0":
        raise DeviceError(f"device: no device {name!r:.60}, there is cpu")
    module = importlib.import_module(MODULES[match[1]])
    backend: Backend = module.open_device(int(which) if which.isdecimal() else which)
    if backend not in opened:
        opened.append(backend)
    _by_name[str(name)] = backend
    return backend
