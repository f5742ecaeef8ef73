"""Tests of the OpenCL backend itself: on its first device, whatever that is."""

import pytest

from tinynet.backends import open_backend
from tinynet.backends.opencl.discovery import list_devices

if not list_devices():
    collect_ignore = [
        "test_lazy.py",
        "test_memory.py",
        "test_programs.py",
        "test_random_programs.py",
        "test_tape.py",
    ]


@pytest.fixture
def backend():
    return open_backend("opencl")


@pytest.fixture
def compiled(backend, monkeypatch):
    """Every kernel is compiled, however small what it computes."""
    monkeypatch.setattr(backend.scheduler.planner.compiler, "patience", 0)
    backend.scheduler.plans.clear()
    yield backend
    backend.scheduler.plans.clear()


@pytest.fixture
def count(backend):
    """`count(function)`: how many kernels `function` launched."""

    def launches(function):
        before = backend.device.launches
        function()
        return backend.device.launches - before

    return launches
