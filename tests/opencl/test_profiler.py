"""Kernels as profiles see them: what is noted, counted, listed on stderr."""

import re
import threading

import numpy as np
import pytest

import tinynet as tn
from tinynet import settings
from tinynet.backends.opencl import discovery
from tinynet.backends.opencl.profiler import attach, counters, detach
from tinynet.errors import ArgumentError, DeviceError
from tinynet.profiling import profile

TEXT = """
__kernel void scale(__global float *x, float factor) { x[get_global_id(0)] *= factor; }
__kernel void shift(__global float *x, float summand) { x[get_global_id(0)] += summand; }
"""
N = 1024


def open_device():
    """A device of its own for one test, as a user's first `device="opencl"` opens it."""
    try:
        cl_device, index = discovery.find(0)
    except DeviceError as error:
        pytest.skip(str(error))
    from tinynet.backends.opencl.device import Device

    return Device(cl_device, f"opencl:{index}")


@pytest.fixture
def device(monkeypatch):
    monkeypatch.delenv(settings.DEBUG.name, raising=False)
    return open_device()


def prepare(device):
    """`scale(factor)` and `shift(summand)` change an array of ones; `read()` gives it."""
    block = device.pool.upload(np.ones(N, np.float32))
    launchers = []
    for name in ("scale", "shift"):
        kernel = device.build(TEXT, name, (None, np.float32))

        def launch(number, kernel=kernel):
            device.launch(kernel, (N,), (64,), block.buffer, number, nbytes=8 * N, flops=N)

        launchers.append(launch)

    def read():
        array = np.empty(N, np.float32)
        device.read(block.buffer, array)
        return array.tolist()

    return *launchers, read


def test_a_block_sees_its_kernels_and_the_device_computes_on(device):
    scale, shift, read = prepare(device)
    scale(3)
    with profile() as seen:
        shift(1)
        scale(2)
        scale(5)
    shift(2)
    assert read() == [42.0] * N
    assert [run.name for run in seen.kernels] == ["shift", "scale", "scale"]
    run = seen.kernels[0]
    assert (run.device, run.size, run.nbytes, run.flops) == (device.name, (N,), 8 * N, N)
    assert run.enqueued <= run.start < run.end
    assert (len(run.reads), len(run.writes), run.ops) == (0, 1, ())
    assert run.called < run.returned
    assert 0 < sum(run.duration for run in seen.kernels) / 1e9 < seen.wall
    assert device.watch is None


def test_a_device_that_is_not_watched_has_a_plain_queue(device):
    plain = device.queue
    with profile():
        assert device.queue is not plain
    assert device.queue is plain
    assert device.watch is None


def test_blocks_in_blocks(device):
    scale, shift, _ = prepare(device)
    with profile() as outer:
        scale(2)
        with profile() as inner:
            shift(2)
        scale(2)
    assert [run.name for run in inner.kernels] == ["shift"]
    assert [run.name for run in outer.kernels] == ["scale", "shift", "scale"]
    assert outer.kernels[1] is inner.kernels[0]
    assert device.watch is None


def test_a_device_that_is_opened_in_a_block(device):
    with profile() as seen:
        scale, _, _ = prepare(open_device())
        scale(2)
    assert [run.name for run in seen.kernels] == ["scale"]
    assert seen.counters.compiled == 2


def test_a_block_that_fails_is_seen_all_the_same(device):
    scale, _, _ = prepare(device)
    seen = profile()

    def fail():
        with seen:
            scale(1 / 2)
            scale(1 / 0)

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [run.name for run in seen.kernels] == ["scale"]
    assert device.watch is None


def test_counters(device):
    scale, _, read = prepare(device)
    before = counters()
    with profile() as seen:
        scale(2)
        scale(3)
        read()
    assert seen.counters == (2, 0, 0, 4 * N, 0)
    with profile() as seen:
        block = device.pool.upload(np.ones(N, np.float32))
    assert block.nbytes == 4 * N
    assert (seen.counters.bytes_written, seen.counters.launches) == (4 * N, 0)
    assert counters().launches - before.launches == 2
    assert str(seen).startswith("nothing ran\n")
    assert str(seen).endswith(" ms; 0 launches, 0 programs compiled, 1 allocations, "
                              "4,096 bytes written, 0 read")  # fmt: skip


@pytest.mark.parametrize("level", [1, 2])
def test_list_on_stderr(monkeypatch, capsys, level):
    monkeypatch.setenv(settings.DEBUG.name, str(level))
    device = open_device()
    scale, shift, _ = prepare(device)
    scale(2)
    with profile() as seen:
        shift(3)
    scale(2)
    assert [run.name for run in seen.kernels] == ["shift"]
    said = capsys.readouterr().err
    pattern = r"^opencl:0 (\w+) +1024 +[\d.]+ us"
    pattern += r" +[\d.]+ GB/s +[\d.]+ GFLOP/s$" if level == 2 else "$"
    assert re.findall(pattern, said, re.MULTILINE) == ["scale", "shift", "scale"]
    assert said.count("__kernel void scale") == level - 1
    device.watch.close()


def test_a_launch_of_another_thread_is_noted_as_its_own(compiled, monkeypatch):
    """Some launches do not wait for those that are being planned, and come in between."""
    device = compiled.device
    scale, _, _ = prepare(device)
    plain = device.launch

    def launch(*args, **more):
        monkeypatch.setattr(device, "launch", plain)
        thread = threading.Thread(target=scale, args=(2,))
        thread.start()
        thread.join()
        plain(*args, **more)

    x = tn.ones(N, device="opencl").realize()
    with profile() as seen:
        monkeypatch.setattr(device, "launch", launch)
        (x.exp() + 1).realize()
    other, own = seen.kernels
    assert (other.name, other.ops, own.ops) == ("scale", (), ("exp", "add"))
    assert set(own.writes).isdisjoint(other.writes)


def test_debug_level_that_is_none(monkeypatch):
    monkeypatch.setenv(settings.DEBUG.name, "loud")
    with pytest.raises(ArgumentError) as caught:
        settings.DEBUG.get()
    assert str(caught.value) == "TINYNET_DEBUG: expected a number from 0 to 2, got 'loud'"


def test_a_listener_that_fails_does_not_repeat_what_ran():
    """The launch wrote its result over its operand; the formula must not wait to run once more."""

    def fail(run, values):
        raise BrokenPipeError

    x = tn.zeros(4, device="opencl").realize()
    attach(fail)
    try:
        x.add_(1)
        with pytest.raises(BrokenPipeError):
            x.realize()
    finally:
        detach(fail)
    assert x.tolist() == [1.0] * 4
