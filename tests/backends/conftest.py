"""The conformance suite asks for `backend`: one after the other, every backend there is.

OpenCL's interprets what is small. With TINYNET_TEST_STYLE=compiled every kernel is compiled, with
TINYNET_TEST_STYLE=accelerator in the variants for GPUs too, whatever the device is.
"""

import functools
import os

import pytest

from tinynet.backends import open_backend

STYLE = os.environ.get("TINYNET_TEST_STYLE", "")


@pytest.fixture
def backend(device):
    backend = open_backend(device)
    return styled(backend) if STYLE and device.startswith("opencl") else backend


@functools.cache
def styled(backend):
    """Another backend on the same device that does as TINYNET_TEST_STYLE says."""
    assert STYLE in ("compiled", "accelerator"), STYLE
    device = type(backend.device)(backend.device.cl_device, backend.name)
    if device.is_cpu and STYLE == "accelerator":
        device.is_cpu = False
        device.cores = 64  # what is right for many cores is planned
    made = type(backend)(device)
    made.scheduler.planner.compiler.patience = 0
    return made
