"""How OpenCL devices are numbered, named, described and asked for; the drivers here are made up."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tinynet.backends.opencl import discovery
from tinynet.errors import DeviceError

cl = pytest.importorskip("pyopencl")

CPU, GPU, ACCELERATOR = cl.device_type.CPU, cl.device_type.GPU, cl.device_type.ACCELERATOR
CUSTOM = cl.device_type.CUSTOM


def refuse(self):
    raise cl.LogicError("clGetDeviceInfo failed: INVALID_VALUE")


class Driver(SimpleNamespace):
    """A platform; `offers` is a list of devices, or the error that listing them raises."""

    def get_devices(self):
        if isinstance(self.offers, Exception):
            raise self.offers
        return self.offers


class Silent:
    """A device whose driver tells nothing but the type."""

    def __init__(self, platform):
        self.platform, self.type = platform, GPU

    name = vendor = extensions = driver_version = global_mem_size = max_compute_units = property(
        refuse
    )
    host_unified_memory = available = compiler_available = property(refuse)


def make_driver(name, *devices, vendor=""):
    """A driver whose devices are given as (type, name) or (type, name, facts)."""
    driver = Driver(name=name, vendor=vendor, offers=[])
    for type, device, *facts in devices:
        known = {"vendor": vendor, "available": 1, "compiler_available": 1, "extensions": ""}
        known.update(*facts)
        driver.offers.append(SimpleNamespace(platform=driver, type=type, name=device, **known))
    return driver


POCL = make_driver("Portable Computing Language", (CPU, "pthread-EPYC"), vendor="The pocl project")
OCLGRIND = make_driver("Oclgrind", (15, "Oclgrind Simulator"))
NVIDIA = make_driver("NVIDIA CUDA", (GPU, "H100 "), (GPU, "H200 "), vendor="NVIDIA Corporation")
INTEL = make_driver(
    "Intel(R) OpenCL", (CPU, "Xeon"), (ACCELERATOR, "Arria"), (CUSTOM, "NPU"), (GPU, "Arc")
)
BROKEN = Driver(name="Broken", vendor="", offers=cl.RuntimeError("clGetDeviceIDs failed: -6"))
EMPTY = make_driver("Empty")


@pytest.fixture
def have(monkeypatch):
    """`have(driver, ...)` makes these all the drivers there are."""

    def replace(*drivers):
        monkeypatch.setattr(discovery, "_search", lambda: discovery.search(drivers))

    return replace


@pytest.fixture
def anew():
    """Search again in this test, and once more after it."""
    discovery._search.cache_clear()
    yield
    discovery._search.cache_clear()


def test_graphics_processors_come_first_and_simulators_last(have):
    have(OCLGRIND, POCL, INTEL, NVIDIA)
    names = [cl_device.name.strip() for cl_device in discovery.list_devices()]
    assert names == [
        "Arc", "H100", "H200", "Arria", "NPU", "pthread-EPYC", "Xeon", "Oclgrind Simulator",
    ]  # fmt: skip


def test_a_processor_that_two_drivers_offer_is_listed_twice(have):
    have(POCL, make_driver("Intel", (CPU, "EPYC")))
    assert len(discovery.list_devices()) == 2


def test_a_driver_that_fails_costs_only_its_own_devices():
    found = discovery.search([BROKEN, EMPTY, POCL])
    assert [cl_device.name for cl_device in found.devices] == ["pthread-EPYC"]
    assert found.failures == ["Broken: clGetDeviceIDs failed: -6", "Empty: no device"]


@pytest.mark.parametrize("fact", ["available", "compiler_available"])
def test_a_device_that_cannot_compile_is_no_device(fact):
    found = discovery.search([make_driver("Board", (ACCELERATOR, "Arria", {fact: 0}))])
    assert found.devices == []
    assert found.failures == ["Board: no device that is available and has a compiler"]


@pytest.mark.parametrize(
    ("asked", "index"),
    [(0, 0), (2, 2), ("1", 1), ("nvidia", 0), ("h200", 1), ("PoCL", 2), ("portable", 2),
     ("oclgrind", 3)],
)  # fmt: skip
def test_find(have, asked, index):
    have(OCLGRIND, POCL, NVIDIA)
    cl_device, found = discovery.find(asked)
    assert found == index
    assert cl_device is discovery.list_devices()[index]


@pytest.mark.parametrize("asked", [99, "99", -1, "radeon", "-1"])
def test_a_device_that_is_not_there(have, asked):
    have(OCLGRIND, NVIDIA)
    with pytest.raises(DeviceError) as caught:
        discovery.find(asked)
    assert str(caught.value) == (
        f"device: no device 'opencl:{asked}', there is cpu, opencl (H100), opencl:1 (H200), "
        "opencl:2 (Oclgrind Simulator)"
    )


@pytest.mark.parametrize(
    ("system", "machine", "advice"),
    [
        ("linux", "x86_64", "pip install 'pyopencl[pocl]' brings an OpenCL driver for the CPU, "
         "a GPU's comes from its vendor"),
        ("linux", "aarch64", "Install the OpenCL driver of the device's vendor"),
        ("darwin", "x86_64", "Install the OpenCL driver of the device's vendor"),
    ],
)  # fmt: skip
def test_no_device_at_all(have, monkeypatch, system, machine, advice):
    have(BROKEN)
    monkeypatch.setattr(discovery.sys, "platform", system)
    monkeypatch.setattr(discovery.platform, "machine", lambda: machine)
    with pytest.raises(DeviceError) as caught:
        discovery.find(0)
    assert str(caught.value) == (
        "device: no device 'opencl:0', there is cpu alone "
        f"(Broken: clGetDeviceIDs failed: -6). {advice}"
    )


def test_no_driver_at_all(anew, monkeypatch):
    def get_platforms():
        raise cl.LogicError("clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR")

    monkeypatch.setattr(cl, "get_platforms", get_platforms)
    assert discovery.list_devices() == []
    with pytest.raises(DeviceError, match=r"cpu alone \(clGetPlatformIDs .*_KHR\)\. "):
        discovery.find(0)


def test_no_pyopencl(anew, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyopencl", None)
    assert discovery.list_devices() == []
    with pytest.raises(DeviceError, match=r"cpu alone \(pyopencl cannot be imported: .*\)\. "):
        discovery.find(0)


def test_description():
    facts = {
        "extensions": "cl_khr_fp16 cl_khr_fp64",
        "driver_version": "550.54 ",
        "global_mem_size": 3 * 2**29,
        "max_compute_units": 132,
        "host_unified_memory": 0,
    }
    [cl_device] = make_driver("NVIDIA CUDA", (GPU, " H100 ", facts)).offers
    info = discovery.describe(cl_device, 1)
    assert info == discovery.DeviceInfo(
        name="opencl:1", hardware="H100", platform="NVIDIA CUDA", driver="550.54", kind="gpu",
        memory=3 * 2**29, compute_units=132, has_fp16=True, has_fp64=True,
        shares_host_memory=False,
    )  # fmt: skip
    assert str(info) == (
        "opencl:1: H100 (gpu, 132 compute units, 1.5 GiB, fp16, fp64; NVIDIA CUDA 550.54)"
    )


def test_description_by_a_driver_that_tells_nothing():
    info = discovery.describe(Silent(Driver(name="Board", offers=[])), 0)
    assert info == ("opencl", "unnamed", "Board", "", "gpu", 0, 1, False, False, False)
    cpu = discovery.describe(POCL.offers[0], 0)
    assert cpu.shares_host_memory
    assert "0.0 GiB of the host's" in str(cpu)


def test_a_device_that_tells_nothing_is_used_all_the_same(have):
    driver = Driver(name="Board", vendor="", offers=[])
    driver.offers.append(Silent(driver))
    have(driver)
    assert discovery.find("board")[1] == 0
    with pytest.raises(DeviceError, match=r"there is cpu, opencl \(unnamed\)$"):
        discovery.find(1)


def test_real_drivers():
    for index, cl_device in enumerate(discovery.list_devices()):
        info = discovery.describe(cl_device, index)
        assert info.kind in discovery.KINDS
        assert info.memory > 0
        assert discovery.find(index) == (cl_device, index)


def test_a_device_at_work_is_as_its_driver_says(backend):
    """Or tests would skip float64 where there is some, and reads take the longer way."""
    device = backend.device
    assert device.has_fp64 == ("cl_khr_fp64" in device.cl_device.extensions.split())
    assert device.is_host == bool(device.cl_device.host_unified_memory)


PENDING = "x = tn.ones(2000, 2000, device='opencl'); [(x @ x).realize() for _ in range(9)]"
FORKING = """
import os, signal
import tinynet as tn
{before}
child = os.fork()
if not child:
    signal.alarm(60)
    try:
        {inside}
    except tn.errors.DeviceError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
@pytest.mark.parametrize(
    ("before", "inside"),
    [
        ("tn.devices()", "tn.ones(3, device='opencl')"),
        ("x = tn.ones(3, device='opencl').realize()", "x.tolist()"),
        ("x = tn.ones(3, device='opencl')", "(x + tn.tensor([1.0], device='opencl')).realize()"),
        ("f = tn.jit(lambda x: x + 1); x = tn.ones(3, device='opencl'); f(x); f(x); f(x)", "f(x)"),
        (PENDING, "tn.synchronize('opencl')"),
        (f"seen = tn.profile().__enter__(); {PENDING}", "seen.__exit__(None, None, None)"),
    ],
)
def test_a_forked_process_is_told_that_it_cannot_use_devices(before, inside):
    """It would wait for ever for the driver's threads."""
    script = FORKING.format(before=before, inside=inside)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("opencl: this process was forked from one that"), ran.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_process_profiles_the_cpu():
    inside = "with tn.profile() as seen: tn.ones(3).exp(); print([x.name for x in seen.kernels])"
    script = FORKING.format(before=PENDING, inside=inside)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "['full', 'exp']", ran.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_process_may_be_the_first_to_use_devices():
    script = FORKING.format(before="tn.ones(3).sum().item()", inside="print(len(tn.devices()) > 1)")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "True", ran.stderr
