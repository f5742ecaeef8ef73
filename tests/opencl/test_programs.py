"""Programs: kept from one process to the next, and errors that say where they are."""

import os
import time
from types import SimpleNamespace

import numpy as np
import pyopencl as cl
import pytest

import tinynet as tn
from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.programs import OPTIONS, Builder, outlined
from tinynet.errors import DeviceError, KernelError

TEXT = "kernel void twice(global float *x) { x[get_global_id(0)] *= 2; }"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path))
    return tmp_path / "programs"


def test_a_mistake_is_shown_with_its_line(backend):
    text = "// a comment\nkernel void wrong(global float *x) {\n    x[0] = nothing;\n}\n"
    with pytest.raises(
        KernelError, match=r"^kernel wrong: line 3: .*nothing.*\n    x\[0\] = nothing;"
    ):
        backend.device.build(text, "wrong", (None,))


def test_a_mistake_in_a_macro_is_shown_with_the_line_that_uses_it(backend):
    text = (
        "#define SUM(a) (a + nothing)\n\nkernel void wrong(global float *x) {\n    *x = SUM(1);\n}"
    )
    message = r"^kernel wrong: line 4: .*nothing.*\n    \*x = SUM\(1\);"
    with pytest.raises(KernelError, match=message):
        backend.device.build(text, "wrong", (None,))


def test_a_launch_that_is_refused_names_the_kernel(backend):
    kernel = backend.device.build(TEXT, "twice", (None,))
    block = backend.device.upload(np.ones(8, np.float32))
    with pytest.raises(
        KernelError, match=r"^kernel twice: opencl refused .*INVALID_WORK_GROUP_SIZE"
    ):
        backend.device.launch(kernel, (8,), (7,), block.buffer)


PLACES = """\
kernel ONE_ITEM void places(global int *restrict x, const int factor) {
x[get_global_id(0) + get_global_size(0) * get_global_id(1)] = factor * get_global_size(1);
}
"""


def test_a_kernel_s_body_becomes_a_function(backend):
    assert "places_item(get_global_id(0)" in outlined(PLACES)
    kernel = backend.device.build(PRELUDE + PLACES, "places", (None, np.int32))
    block = backend.device.upload(np.zeros(7, np.int32))
    backend.device.launch(kernel, (3, 2), (1, 1), block.buffer, 5)
    found = np.empty(7, np.int32)
    backend.device.read(block.buffer, found)
    assert found.tolist() == [10] * 6 + [0]
    text = PRELUDE + PLACES.replace("get_global_id", "oops")
    with pytest.raises(KernelError, match=r"^kernel places: line \d+: .*\n    x\[oops\(0\)"):
        backend.device.build(text, "places", (None, np.int32))


@pytest.mark.parametrize(
    "parameters", ["PARAMETERS", "global int *x OTHERS", "global int *x, MORE"]
)
def test_a_kernel_whose_parameters_are_hidden_stays_as_it_is(parameters):
    for start in ("kernel ONE_ITEM void", "kernel void"):
        text = f"{start} f({parameters}) {{\n}}\n"
        assert outlined(text) == text


def test_what_a_user_s_kernel_calls_changes_no_other_s_compilation(backend, folder):
    builder = Builder(backend.device.context, backend.device.cl_device)
    before = builder.is_header_kept_out
    builder.build("twice", TEXT.replace("*= 2", "= native_exp(2.0f)"))
    assert builder.is_header_kept_out == before


def test_programs_are_kept(backend, folder):
    device = backend.device
    builder = Builder(device.context, device.cl_device)
    if not builder.is_pocl:
        pytest.skip("pyopencl keeps the programs of this driver")
    builder.build("twice", TEXT)
    assert not builder.is_saved(TEXT)
    builder.save()
    assert builder.is_saved(TEXT)
    [file] = folder.iterdir()
    again = Builder(device.context, device.cl_device)
    assert again.load(file) is not None
    other = file.with_name("0" * 64)
    other.write_bytes(file.read_bytes())  # another program's
    assert again.load(other) is None
    other.unlink()
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert again.load(file) is None
    again.build("twice", TEXT)
    old, new = folder / ".hash.7.0a1b2c3d.part", folder / ".hash.8.0a1b2c3d.part"
    for partial in (old, new):
        partial.write_text("of a process that was killed")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    again.save()
    assert again.load(file) is not None
    assert {*folder.iterdir()} == {file, new}


@pytest.mark.parametrize(
    ("platform", "kind", "macros"),
    [
        ("Intel(R) OpenCL", cl.device_type.CPU, ["-DHAS_BUILTINS"]),
        ("Intel(R) OpenCL Graphics", cl.device_type.GPU, []),
        ("NVIDIA CUDA", cl.device_type.GPU, []),
    ],
)
def test_what_kernels_are_told_of_the_driver(platform, kind, macros):
    """Functions of the compiler's own are there in CPUs' drivers made of Clang, not everywhere."""
    device = SimpleNamespace(
        platform=SimpleNamespace(name=platform, version="3.0"),
        type=kind,
        name="",
        driver_version="",
    )
    assert Builder(None, device).options == [*OPTIONS, *macros]


def test_what_is_kept_is_not_interpreted(backend, folder, monkeypatch):
    compiler, plans = backend.scheduler.planner.compiler, backend.scheduler.plans
    builder = backend.device.builder
    if not builder.is_pocl:
        pytest.skip("this driver's programs are kept by pyopencl")

    def compute(patience):
        """Of a process that knows nothing: what it interpreted."""
        plans.clear()
        monkeypatch.setattr(compiler, "patience", patience)
        for known in ("kernels", "programs", "uses"):
            monkeypatch.setattr(compiler, known, {})
        x = backend.elementwise("mul", backend.from_numpy(np.ones((3, 5), np.float32)), 0.25)
        backend.realize(backend.elementwise("sub", x, 7.0))
        found = [plan.cold for plan in plans.values() if plan.cold is not None]
        plans.clear()
        return found

    assert len(compute(12)) == 1
    monkeypatch.setattr(builder, "unsaved", [])  # others' would be saved first, for half a second
    assert compute(0) == []
    builder.save()
    assert compute(12) == []


def test_without_a_folder_programs_are_not_kept(backend, monkeypatch):
    monkeypatch.setattr("tinynet.settings.cache_folder", lambda: None)
    device = backend.device
    builder = Builder(device.context, device.cl_device)
    assert builder.build("twice", TEXT) is not None
    assert not builder.is_saved(TEXT)
    assert builder.unsaved == []


def test_a_folder_that_cannot_be_written_does_no_harm(backend, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    device = backend.device
    for folder in (tmp_path / "file", tmp_path / ("a" * 300)):  # too long a name to look for
        monkeypatch.setenv("TINYNET_CACHE", str(folder))
        builder = Builder(device.context, device.cl_device)
        assert not builder.is_saved(TEXT)
        builder.build("twice", TEXT)
        builder.save()


def test_a_device_without_fp64_says_so(backend, monkeypatch):
    from tinynet import dtype

    monkeypatch.setattr(backend.device, "has_fp64", False)
    message = r"^opencl: the device has no tinynet.float64, use tinynet.float32$"
    with pytest.raises(DeviceError, match=message):
        backend.full((2,), 1, dtype.float64)
    with pytest.raises(DeviceError, match=message):
        backend.from_numpy(np.ones(2))
    x = backend.from_numpy(np.ones(2, np.float32))
    with pytest.raises(DeviceError, match=message):
        backend.cast(x, dtype.float64)
    y = backend.elementwise("add", backend.arange(2, 0, 1, dtype.float32), x)
    assert backend.to_numpy(y).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("start", "step"), [(-50.0, 0.1), (2**24 + 1, 1), (-(2.0**24), 3.0), (1, 2.0)]
)
def test_steps_are_rounded_once_without_fp64(backend, monkeypatch, start, step):
    from tinynet import dtype

    monkeypatch.setattr(backend.device, "has_fp64", False)
    steps = backend.to_numpy(backend.arange(2000, start, step, dtype.float32))
    assert steps.tolist() == (np.arange(2000) * step + start).astype(np.float32).tolist()


def test_what_computes_in_float64_does_without(compiled, monkeypatch):
    monkeypatch.setattr(compiled.device, "has_fp64", False)
    weights = tn.tensor([[0.0, 1.0, 3.0, 0.0]] * 2, device="opencl")
    try:
        powers = tn.logspace(0, 3, 4, device="opencl")
        drawn = tn.multinomial(weights, 4000, replacement=True)
        both = tn.multinomial(weights, 2).sort(1).values
    except DeviceError as error:
        pytest.fail(str(error))  # it would be skipped
    assert powers.tolist() == [1, 10, 100, 1000]
    assert set(drawn.flatten().tolist()) == {1, 2}
    assert (drawn == 2).float().mean(1).tolist() == pytest.approx([0.75, 0.75], abs=0.05)
    assert both.tolist() == [[1, 2]] * 2
