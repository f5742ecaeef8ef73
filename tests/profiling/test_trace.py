"""Traces: events as Chrome's format wants them, rows that nest, arrows with both ends."""

import json
import sys
import threading

import pytest

import tinynet as tn
from tests.profiling.test_profile import make_run
from tinynet.profiling import profile
from tinynet.profiling.trace import DEVICES, PYTHON, trace

FIELDS = {"M": {"args"}, "X": {"ts", "dur", "args"}, "s": {"ts", "id", "cat"},
          "f": {"ts", "id", "cat", "bp"}}  # fmt: skip


def check(events):
    """What the format asks of all traces; the slices by row."""
    rows, named = {}, {}
    for event in events:
        assert FIELDS[event["ph"]] | {"name", "ph", "pid", "tid"} == set(event)
        row = event["pid"], event["tid"]
        if event["ph"] == "M" and event["name"] == "thread_name":
            assert row not in named
            named[row] = event["args"]["name"]
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert isinstance(event["args"], dict)
            rows.setdefault(row, []).append(event)
    assert set(rows) <= set(named)
    for slices in rows.values():
        check_nesting(slices)
    check_arrows(events, rows)
    return {named[row]: slices for row, slices in rows.items()}


def check_nesting(slices):
    """Each lies in another, or beside it."""
    open_ends = []
    for event in sorted(slices, key=lambda x: (x["ts"], -x["dur"])):
        end = event["ts"] + event["dur"]
        while open_ends and open_ends[-1] <= event["ts"] + 1e-3:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1] + 1e-3
        open_ends.append(end)


def check_arrows(events, rows):
    """Every one starts once and ends once, both times in a slice, and leads forward in the list."""
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert set(starts) == set(ends)
    assert len(starts) + len(ends) == sum(event["ph"] in "sf" for event in events)
    for event in (*starts.values(), *ends.values()):
        row = rows[event["pid"], event["tid"]]
        assert any(x["ts"] - 1e-3 <= event["ts"] <= x["ts"] + x["dur"] + 1e-3 for x in row)
    for number, start in starts.items():
        assert start["cat"] == ends[number]["cat"]
        assert ends[number]["bp"] == "e"


def test_clocks_are_set_to_the_host_s():
    runs = [
        make_run("add", 5_000, 6_000, called=100_000, returned=103_000, enqueued=4_000, text="x"),
        make_run("mul", 9_000, 9_500, called=104_000, returned=109_000, enqueued=8_000, text="x"),
        make_run("add", 500, 700, called=105_000, returned=106_000, enqueued=400, text="x",
                 device="opencl:1"),
    ]  # fmt: skip
    rows = check(list(trace(runs)))
    found = {name: [(x["name"], x["ts"], x["dur"]) for x in row] for name, row in rows.items()}
    assert found == {
        "launches": [("add", 100.0, 3.0), ("mul", 104.0, 5.0), ("add", 105.0, 1.0)],
        "opencl": [("add", 104.0, 1.0), ("mul", 108.0, 0.5)],
        "opencl:1": [("add", 106.1, 0.2)],
    }


@pytest.fixture
def saved(device, tmp_path):
    weight = tn.ones(32, 16, device=device, requires_grad=True)
    with profile(tmp_path / "trace.json") as seen, seen.range("epoch"):
        for i in range(2):
            with seen.range(f"step {i}"):
                (tn.ones(8, 32, device=device) @ weight).relu().sum().backward()
    return seen, json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_a_saved_trace(device, saved):
    seen, events = saved
    rows = check(events)
    assert [x["name"] for x in rows["ranges"]] == ["step 0", "step 1", "epoch"]
    rules = [x["name"] for x in rows["gradient rules"]]
    assert rules == ["SumBackward", "ReLUBackward", "MatMulBackward"] * 2
    assert len(rows[device]) == len(seen.kernels)
    assert ("launches" in rows) == (device != "cpu")
    kinds = [event["cat"] for event in events if event["ph"] == "s"]
    assert kinds.count("backward") >= 6
    assert kinds.count("launch") == (len(seen.kernels) if device != "cpu" else 0)
    assert kinds.count("forward") + kinds.count("backward") == 6 + len(seen.links)


def test_arrows_lead_from_operations_to_their_own_rules(saved):
    _, events = saved
    slices = [x for x in events if x["ph"] == "X" and "node" in x["args"]]
    numbers = {}
    for x in slices:
        if x["args"]["node"]:
            numbers.setdefault(x["args"]["node"], []).append(x)
    assert all(len(group) == 2 for group in numbers.values())
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    for event in events:
        if event["ph"] == "s" and event["cat"] == "backward" and ends[event["id"]]["pid"] == PYTHON:
            (pair,) = (
                (a, b) for a, b in numbers.values()
                if a["ts"] == event["ts"] and a["tid"] == event["tid"]
            )  # fmt: skip
            assert ends[event["id"]]["ts"] == pair[1]["ts"]


def test_threads_have_rows_of_their_own(tmp_path):
    def work():
        (tn.ones(8, requires_grad=True) * 2).sum().backward()

    with profile(tmp_path / "trace.json"):
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    rows = check(json.loads((tmp_path / "trace.json").read_text())["traceEvents"])
    assert {name for name in rows if name.startswith("operations")} == {
        "operations, thread 0", "operations, thread 1",
    }  # fmt: skip


def test_calls_of_tinynet_from_outside(tmp_path):
    class Net(tn.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = tn.nn.Linear(2, 2)

        def forward(self, x):
            return self.inner(x)

    net, x = Net(), tn.ones(3, 2)
    before = sys.getprofile()
    with profile(tmp_path / "trace.json", calls=True) as seen, seen.range("all"):
        net(x).sum().backward()
    assert sys.getprofile() is before
    calls = [span.name for span in seen.spans if span.kind == "call"]
    # Python 3.11 knows that backward is Tensor.backward
    assert [name.rpartition(".")[2] for name in calls] == ["Linear", "Net", "sum", "backward"]
    rows = check(json.loads((tmp_path / "trace.json").read_text())["traceEvents"])
    inner, outer = rows["calls"][:2]
    assert outer["ts"] <= inner["ts"]
    assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]


def test_processes_are_python_and_devices(saved):
    _, events = saved
    names = {x["pid"]: x["args"]["name"] for x in events if x["name"] == "process_name"}
    assert names == {PYTHON: "Python", DEVICES: "devices"}
