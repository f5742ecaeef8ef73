"""Profiles: their table, their trace, what they count; a list of kernels on stderr."""

import json
import re

import numpy as np
import pytest

from tinynet import settings
from tinynet.backends.opencl import discovery
from tinynet.backends.opencl.profiler import KernelRun, counters, table, trace
from tinynet.errors import ArgumentError, DeviceError, StateError
from tinynet.inspection import profile

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


def make_run(name, start, end, **facts):
    known = {"device": "opencl:0", "text": "", "size": (64, 2), "nbytes": 0, "flops": 0,
             "called": start - 100, "returned": start - 50, "enqueued": start - 80,
             }  # fmt: skip
    return KernelRun(name=name, start=start, end=end, **(known | facts))


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
    assert str(seen).endswith(" ms; 0 launches, 0 programs compiled, 1 allocations, "
                              "4,096 bytes written, 0 read")  # fmt: skip


def test_a_profile_is_for_one_block():
    seen = profile()
    with pytest.raises(StateError, match=r"^profile: its block has not ended, expected a `with`"):
        str(seen)
    with seen, pytest.raises(StateError, match=r"^profile: its block has not ended"):
        seen.save("nowhere")
    with pytest.raises(StateError, match=r"^profile: its block has begun before, expected a new"):
        seen.__enter__()


def test_table():
    runs = [
        make_run("matmul", 1000, 4000, nbytes=6000, flops=900_000),
        make_run("add", 0, 1_000_000, nbytes=75_000_000),
        make_run("matmul", 5000, 8000, nbytes=6000, flops=900_000),
    ]
    assert table(runs).splitlines() == [
        "kernel   calls   total ms   share       GB/s    GFLOP/s",
        "add          1      1.000   99.4%       75.0          -",
        "matmul       2      0.006    0.6%        2.0      300.0",
        "total        3      1.006  100.0%",
    ]


def test_trace_sets_all_clocks_to_the_host_s():
    runs = [
        make_run("add", 5_000, 6_000, called=100_000, returned=103_000, enqueued=4_000),
        make_run("mul", 9_000, 9_500, called=104_000, returned=109_000, enqueued=8_000),
        make_run(
            "add", 500, 700, called=105_000, returned=106_000, enqueued=400, device="opencl:1"
        ),
    ]
    rows, spans = {}, []
    for event in trace(runs):
        if event["ph"] == "M":
            rows[event["tid"]] = event["args"]["name"]
        else:
            spans.append(
                (event["name"], event["ph"], rows[event["tid"]], event["ts"], event["dur"])
            )
    assert spans == [
        ("add", "X", "host", 100.0, 3.0), ("add", "X", "opencl:0", 104.0, 1.0),
        ("mul", "X", "host", 104.0, 5.0), ("mul", "X", "opencl:0", 108.0, 0.5),
        ("add", "X", "host", 105.0, 1.0), ("add", "X", "opencl:1", 106.1, 0.2),
    ]  # fmt: skip


def test_saved_trace(device, tmp_path):
    scale, _, _ = prepare(device)
    with profile(tmp_path / "trace.json"):
        scale(2)
    events = json.loads((tmp_path / "trace.json").read_text())
    host, kernel = (event for event in events if event["ph"] == "X")
    assert kernel["name"] == host["name"] == "scale"
    assert kernel["args"] == {"size": "1024", "bytes": 8 * N, "flops": N}
    assert host["ts"] <= kernel["ts"]


def test_without_kernels():
    with profile() as seen:
        np.ones(3)
    assert str(seen).startswith("no kernels ran (on the device cpu NumPy computes)\nwall time ")


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


def test_debug_level_that_is_none(monkeypatch):
    monkeypatch.setenv(settings.DEBUG.name, "loud")
    with pytest.raises(ArgumentError) as caught:
        settings.DEBUG.get()
    assert str(caught.value) == "TINYNET_DEBUG: expected a number from 0 to 2, got 'loud'"
