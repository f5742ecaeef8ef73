"""Profiles: what they see on both devices, their table, what they cost when they are over."""

import signal
from concurrent import futures

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn, peaks
from tinynet.autograd import observing
from tinynet.autograd.anomaly import state
from tinynet.backends import open_backend
from tinynet.backends.numpy_watch import watch
from tinynet.backends.opencl import profiler
from tinynet.backends.runs import KernelRun
from tinynet.errors import StateError
from tinynet.peaks import Peaks
from tinynet.profiling import block, profile, rows
from tinynet.profiling.table import write


@pytest.fixture(autouse=True)
def known_peaks(monkeypatch):
    """No test measures: 100 GFLOP/s and 10 GB/s everywhere."""
    peaks._remembered.cache_clear()
    monkeypatch.setattr(peaks, "_remembered", lambda name: Peaks(100.0, 10.0))


def make_run(name, start, end, **facts):
    known = {"device": "opencl", "text": "", "size": (64, 2), "nbytes": 0, "flops": 0,
             "called": start - 100, "returned": start - 50, "enqueued": start - 80}  # fmt: skip
    return KernelRun(name=name, start=start, end=end, **(known | facts))


RUNS = [
    make_run("matmul", 1000, 4000, nbytes=6000, flops=90_000),
    make_run("add", 0, 1_000_000, nbytes=7_500_000, flops=1000),
    make_run("matmul", 5000, 8000, nbytes=6000, flops=90_000),
    make_run("sort", 0, 3000, device="cpu"),
]
PEAKS = {"opencl": Peaks(100.0, 10.0), "cpu": Peaks(50.0, 5.0)}


def test_rows():
    add, matmul, sort = rows(RUNS, PEAKS)
    assert add[:3] == ("add", "opencl", 1)
    assert (add.of_peak, add.limit) == (pytest.approx(0.75), "memory")
    assert matmul[:3] == ("matmul", "opencl", 2)
    assert (matmul.of_peak, matmul.limit) == (pytest.approx(0.3), "compute")
    assert (matmul.flops, matmul.nbytes, matmul.total) == (180_000, 12_000, pytest.approx(6e-6))
    assert (sort.device, sort.of_peak, sort.limit) == ("cpu", 0.0, "")
    assert sum(row.share for row in (add, matmul, sort)) == pytest.approx(1)


def test_table():
    assert write(rows(RUNS, PEAKS), PEAKS).splitlines() == [
        "kernel  device  calls  total ms   share  GFLOP/s  GB/s  of peak  limit",
        "add     opencl      1     1.000   99.1%      0.0   7.5      75%  memory",
        "matmul  opencl      2     0.006    0.6%     30.0   2.0      30%  compute",
        "sort    cpu         1     0.003    0.3%        -     -        -",
        "total               4     1.009  100.0%",
        "peak of opencl, measured: 100.0 GFLOP/s, 10.0 GB/s",
        "peak of cpu, measured: 50.0 GFLOP/s, 5.0 GB/s",
    ]


def test_a_peak_that_is_too_low_is_said_to_be():
    low = {"opencl": Peaks(20.0, 10.0), "cpu": Peaks(50.0, 5.0)}
    advice = " (too low; tinynet.measure_peaks('opencl', again=True) measures anew)"
    feet = write(rows(RUNS, low), low).splitlines()[-2:]
    assert [foot.partition(" GB/s")[2] for foot in feet] == [advice, ""]
    in_caches = {"opencl": Peaks(100.0, 1.0), "cpu": Peaks(50.0, 5.0)}
    assert "too low" not in write(rows(RUNS, in_caches), in_caches)


def test_without_anything():
    with profile() as seen:
        np.ones(3)
    assert str(seen).startswith("nothing ran\nwall time ")
    assert seen.rows() == []


def test_a_profile_is_for_one_block():
    seen = profile()
    with pytest.raises(StateError, match=r"^profile: its block has not ended, expected a `with`"):
        str(seen)
    with pytest.raises(StateError, match=r"^profile: a range 'epoch' outside of its block"):
        seen.range("epoch").__enter__()
    with seen, pytest.raises(StateError, match=r"^profile: its block has not ended"):
        seen.save("nowhere")
    with pytest.raises(StateError, match=r"^profile: its block has begun before, expected a new"):
        seen.__enter__()


def train_once(device, weight):
    x = tn.ones(64, 32, device=device)
    loss = (x @ weight).relu().sum()
    loss.backward()
    weight.grad.tolist()  # lazy until somebody wants it
    return loss.item()


def test_numpy_s_primitives_are_seen_and_counted():
    weight = tn.ones(32, 16, requires_grad=True)
    with profile() as seen:
        train_once("cpu", weight)
    by_name = {row.kernel: row for row in seen.rows()}
    assert by_name["matmul"].calls == 2  # forward, and the weight's gradient
    assert by_name["matmul"].flops == 2 * (2 * 64 * 32 * 16)
    assert by_name["sum"].flops == 64 * 16
    assert by_name["sum"].nbytes == 4 * (64 * 16 + 1)
    assert {run.device for run in seen.kernels} == {"cpu"}
    assert 0 < sum(row.total for row in seen.rows()) < seen.wall


def test_convolutions_count_their_multiply_adds():
    x, w = tn.rand(2, 3, 8, 8, requires_grad=True), tn.rand(4, 3, 3, 3, requires_grad=True)
    with profile() as seen:
        tn.conv2d(x, w).sum().backward()
    flops = {run.name: run.flops for run in seen.kernels if run.name.startswith("convolve")}
    each = 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
    assert flops == {"convolve": each, "convolve_input": each, "convolve_weight": each}


def test_spans_are_linked_to_rules_and_kernels(device):
    weight = tn.ones(32, 16, device=device, requires_grad=True)
    with profile() as seen, seen.range("step"):
        train_once(device, weight)
    by_kind = {
        kind: [span.name for span in seen.spans if span.kind == kind]
        for kind in ("range", "forward", "backward")
    }
    assert by_kind["range"] == ["step"]
    assert by_kind["forward"][:3] == ["matmul", "relu", "sum"]
    assert by_kind["backward"] == ["SumBackward", "ReLUBackward", "MatMulBackward"]
    pairs = [(seen.spans[a].name, seen.spans[b].name) for a, b in seen._spans.pairs]
    assert pairs == [
        ("sum", "SumBackward"), ("relu", "ReLUBackward"), ("matmul", "MatMulBackward"),
    ]  # fmt: skip
    assert {a for a, _ in seen.links} <= set(range(len(seen.spans)))
    started = {}
    for a, b in seen.links:
        started.setdefault(seen.spans[a].name, []).append(seen.kernels[b].name)
    assert any("matmul" in name for name in started["matmul"])
    assert any("matmul" in name for name in started["MatMulBackward"])
    if device != "cpu":  # relu is fused with the sum, and so the kernel is both's
        assert set(started["relu"]) & set(started["sum"])


def test_lazy_kernels_know_what_was_fused():
    device = "opencl"
    try:
        open_backend(device)
    except tn.errors.DeviceError as error:
        pytest.skip(str(error))
    x = tn.tensor([float(i) for i in range(64)], device=device)
    with profile() as seen:
        (x.exp() * 2 + 1).sum().item()
        tn.rand(64, device=device).tolist()
    run, bits, *_ = seen.kernels
    assert run.ops == ("exp", "mul", "add", "sum")
    assert (bits.name, bits.ops, bits.reads) == ("random_bits", (), ())  # the other one's are gone


def test_no_one_looks_on_afterwards():
    backend = open_backend("cpu")
    before = dict(vars(backend))
    weight = tn.ones(32, 16, requires_grad=True)
    with profile() as outer:
        with profile() as inner:
            train_once("cpu", weight)
        assert state.watches
        weight.grad = None
        train_once("cpu", weight)
    assert not state.watches
    assert vars(backend) == before
    n = len(inner.kernels)
    assert [run.name for run in outer.kernels[:n]] == [run.name for run in inner.kernels]
    assert len(outer.kernels) == 2 * n
    train_once("cpu", weight)
    assert len(outer.kernels) == 2 * n


def test_a_block_that_fails():
    seen = profile()

    def fail():
        with seen, seen.range("all"):
            tn.ones(2) + tn.ones(2)
            tn.ones(2) @ tn.ones(3)

    with pytest.raises(tn.errors.ShapeError):
        fail()
    assert not state.watches
    assert "add" in [run.name for run in seen.kernels]
    assert [span.name for span in seen.spans if span.kind == "range"] == ["all"]


def test_profiles_do_not_hold_what_they_have_seen():
    import weakref

    with profile() as seen:
        x = tn.rand(4, requires_grad=True)
        y = x * 2
        node, array = weakref.ref(y.grad_fn), weakref.ref(y.array)
        del x, y
        assert node() is None
        assert array() is None
    assert [span.name for span in seen.spans][-1] == "mul"


def test_replays_on_the_cpu_are_seen_call_by_call():
    @tn.jit
    def scaled(x):
        return (x * 2).sum()

    x = tn.ones(8)
    with profile() as seen:
        for _ in range(4):
            assert scaled(x).item() == 16
    names = [run.name for run in seen.kernels if run.name in ("mul", "sum")]
    assert names == ["mul", "sum"] * 4
    assert scaled(x).item() == 16


def test_a_profile_inside_of_a_recording_leaves_the_recorder_in_its_place(device):
    @tn.jit
    def doubled(x):
        with profile():
            y = x * 2
        return y + 1

    for i in range(4):
        assert doubled(tn.full((3,), float(i), device=device)).tolist() == [2.0 * i + 1] * 3


def test_the_same_gradients_and_bits_as_unwatched(device):
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).to(device)
    x = tn.rand(5, 4, device=device)
    plain = tn.autograd.grad(model(x).square().sum(), list(model.parameters()))
    with profile():
        watched = tn.autograd.grad(model(x).square().sum(), list(model.parameters()))
    for a, b in zip(plain, watched):
        assert tn.allclose(a, b)


def test_custom_functions_and_anomaly_mode_go_along():
    class Twice(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = tn.ones(2, requires_grad=True)
    with profile() as seen, tn.autograd.detect_anomaly():
        Twice.apply(x).sum().backward()
    assert "Twice" in [span.name for span in seen.spans]
    assert "TwiceBackward" in [span.name for span in seen.spans]
    with profile(), tn.autograd.detect_anomaly(), pytest.raises(tn.errors.AnomalyError):
        tn.zeros(2).log()
    assert not state.watches


def test_threads_profile_at_once(device):
    """Each block sees what all threads do, so they measure the same runs."""
    base = tn.rand(50, 50, device=device).realize()

    def work():
        for i in range(60):
            with tn.profile() as profile:
                (base * i + 1).sum().item()
            assert len(profile.kernels) >= 1

    with futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()


@pytest.mark.parametrize("begins", ["before it", "during it"])
def test_a_profile_of_another_thread_overlaps_with_a_recording(device, begins):
    x, seen = tn.ones(2, device=device), profile()
    with futures.ThreadPoolExecutor(1) as other:

        def begin():
            other.submit(seen.__enter__).result()

        def end():
            other.submit(seen.__exit__, None, None, None).result()

        def nothing():
            pass

        steps = [begin, nothing, end] if begins == "before it" else [nothing, begin]
        now = iter(steps)  # jit does not watch it

        @tn.jit
        def doubled(x):
            next(now)()
            return x * 2

        if begins == "before it":
            next(now)()
        for _ in range(3):
            assert doubled(x).tolist() == [2, 2]
        if begins == "during it":
            end()
        tripled = tn.jit(lambda x: x * 3)
        assert [other.submit(tripled, x).result(9).tolist() for _ in range(3)] == [[3, 3]] * 3
    assert doubled.count == tripled.count == 1
    assert nobody_looks_on()
    assert not vars(open_backend("cpu")).keys() & {"full", "elementwise", "reshape"}


def hear_ctrl_c(*_):
    signal.raise_signal(signal.SIGINT)


def raise_it(*_):
    raise KeyboardInterrupt


def nobody_looks_on():
    return not (state.watches or observing.state.observers or watch.listeners or profiler._active)


@pytest.mark.parametrize("interrupt", [hear_ctrl_c, raise_it])
def test_ctrl_c_while_the_end_waits(device, monkeypatch, interrupt):
    monkeypatch.setattr(profiler, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt), profile() as seen:
        tn.ones(3, device=device).add_(1).realize()
    assert nobody_looks_on()
    assert [kernel.name for kernel in seen.kernels if kernel.name in str(seen)]


@pytest.mark.parametrize("interrupt", [hear_ctrl_c, raise_it])
def test_ctrl_c_while_a_block_begins(monkeypatch, interrupt):
    monkeypatch.setattr(block, "open_backend", lambda name: interrupt() or open_backend(name))
    with pytest.raises(KeyboardInterrupt), profile():
        raise AssertionError("the block begins")
    assert nobody_looks_on()
