"""Devices that kernels are tested on, and what passes between them and NumPy."""

import copy
import os
from pathlib import Path

import numpy as np
import pyopencl as cl
import pytest

from tinynet import dtype as dtypes
from tinynet.backends import open_backend
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.memory import Block

SOME = [dtypes.bool_, dtypes.int64, dtypes.bfloat16, dtypes.float32]

reference = open_backend("cpu")  # says what kernels should return


def find_device(platform):
    """A device of the platform whose name contains `platform`; else one that does not simulate."""
    try:
        found = [(p.name, device) for p in cl.get_platforms() for device in p.get_devices()]
    except cl.LogicError:  # no platform
        found = []
    if not found:
        pytest.skip("there is no OpenCL device: pip install pocl-binary-distribution brings one")
    fits = [device for name, device in found if platform in name]
    if platform and not fits:
        raise RuntimeError(f"no OpenCL platform {platform!r}, there are {[n for n, _ in found]}")
    fits.sort(key=lambda device: (is_simulator(device), not device.type & cl.device_type.CPU))
    return fits[0]


def is_simulator(device):
    """Whether a device (ours or pyopencl's) is Oclgrind's, which checks and is slow."""
    return "Oclgrind" in getattr(device, "cl_device", device).platform.name


def as_accelerator(device):
    """The same device, launched like a GPU: in groups, a work-item doing little."""
    other = copy.copy(device)
    other.is_cpu = False
    return other


def each_in_styles(dtypes_):
    """The test runs for each dtype launched as on CPUs, and for SOME as on accelerators.

    What a launch does does not depend on the dtype, and compiling takes most of the time.
    """
    cases = [("cpu", dtype) for dtype in dtypes_]
    cases += [("accelerator", dtype) for dtype in dtypes_ if dtype in SOME]
    names = [f"{style}-{dtype.name}" for style, dtype in cases]
    return pytest.mark.parametrize(("device", "dtype"), cases, indirect=["device"], ids=names)


def sizes(device, small, large=()):
    """Sizes to test: the simulator does only the small ones."""
    return [*small, *(() if is_simulator(device) else large)]


def upload(device, array):
    """A block that holds what an array does."""
    if not array.size:
        return device.pool.allocate(0)
    return device.pool.upload(np.ascontiguousarray(array))


def download(device, block, shape, dtype):
    """What a block or buffer holds, as an array of a NumPy dtype."""
    array = np.empty(shape, dtype)
    if array.size:
        device.read(block.buffer if isinstance(block, Block) else block, array)
    return array


def needs(device, dtype):
    """Skip the test where a device cannot compute with a dtype."""
    if dtype is dtypes.float64 and not device.has_fp64:
        pytest.skip("the device has no float64")


def assert_same(found, expected):
    """Equal bit by bit, but that any NaN equals any other."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype.kind not in "biu":
        found, expected = found.astype(np.float64), expected.astype(np.float64)
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))
    np.testing.assert_array_equal(found, expected)


class Reports:
    """What the simulator reports: races, places out of bounds, uninitialised values.

    It must exist before the device's context, which reads the environment.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.path.touch()
        self.read = 0
        os.environ["OCLGRIND_LOG"] = str(path)

    def take(self, device):
        """What was reported since the last time, once the device is done."""
        device.queue.finish()
        text = self.path.read_text(encoding="utf-8")
        new, self.read = text[self.read :], len(text)
        return new.strip()


def start(platform, log):
    """A device to test on, and its reports."""
    reports = Reports(log)
    device = Device(find_device(platform), "opencl")
    if is_simulator(device):
        device.pool.take_back = Graveyard()
    return device, reports


class Graveyard(list):
    """Takes the place of `Pool.take_back`, and keeps all buffers for good.

    For memory that was used before is not uninitialised; and where a buffer was released, the
    simulator takes what is next put there, if it is larger, for uninitialised.
    """

    def __call__(self, block):
        self.append(block.buffer)
