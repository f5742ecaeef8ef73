"""Fixtures that every test may use.

Tests of operations run on every device: those of the backends registered in
`tinynet.backends.MODULES`, or those named in the environment variable TINYNET_TEST_DEVICES
("cpu,opencl:1"), which must then be there.
"""

import gc
import os
import random
import signal

import hypothesis
import numpy as np
import pytest

import tinynet as tn
from tinynet import settings
from tinynet.backends import MODULES, open_backend
from tinynet.errors import DeviceError, MissingDependencyError

# The same examples in every run, on slow machines too; with --hypothesis-profile=random others.
for name, is_same in {"repeatable": True, "random": False}.items():
    hypothesis.settings.register_profile(
        name, deadline=None, derandomize=is_same, database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )  # fmt: skip
hypothesis.settings.load_profile("repeatable")

# Shells start what is to run in the background without Ctrl-C, which some tests press themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

NAMED = [name for name in os.environ.get("TINYNET_TEST_DEVICES", "").split(",") if name]


def pytest_collection_finish():
    """Garbage is looked for only among what tests make: all else is there to stay, and is much."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Tests in float64 are not for devices that have none, such as many GPUs."""
    try:
        return (yield)
    except DeviceError as error:
        if "the device has no tinynet.float64" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(params=NAMED or list(MODULES))
def device(request):
    """The name of a device; a test that asks for it runs once for each."""
    try:
        open_backend(request.param)
    except (DeviceError, MissingDependencyError) as error:
        if NAMED:
            raise
        pytest.skip(str(error))
    return request.param


@pytest.fixture
def on_device(device, monkeypatch):
    """Tensors made without `device=` are on `device`."""
    monkeypatch.setenv(settings.DEVICE.name, device)
    return device


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test draws the same random numbers, whatever ran before it."""
    tn.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (what tests take others' numbers from)
