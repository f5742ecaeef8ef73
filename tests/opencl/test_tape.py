"""What a recorded function launches on an OpenCL device."""

import gc

import numpy as np
import pyopencl as cl
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.backends import open_backend
from tinynet.backends.opencl.tape import LONG_PATIENCE
from tinynet.backends.opencl.tuner import Tuner
from tinynet.errors import OutOfMemoryError


def make_step():
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)).to("opencl")
    optimizer = tn.optim.Adam(model.parameters())

    @tn.jit
    def step(x, labels):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = tn.rand(16, 20, device="opencl")
    labels = tn.randint(5, (16,), device="opencl")
    return step, x, labels


def needs_a_cpu():
    if not open_backend("opencl").device.is_cpu:
        pytest.skip("accelerators launch kernels one by one")


def test_a_replay_launches_its_tape_and_nothing_else():
    step, x, labels = make_step()
    for _ in range(3):
        step(x, labels)
    before = tn.counters()
    losses = [step(x, labels) for _ in range(5)]
    after = tn.counters()
    assert after.launches - before.launches == 5 * len(step.tape.launches)
    assert after.compiled == before.compiled
    assert after.bytes_read == before.bytes_read
    assert losses[-1].item() < losses[0].item()


def test_what_is_measured_for_a_product_is_not_replayed(compiled, monkeypatch, tmp_path):
    needs_a_cpu()  # elsewhere candidates are few
    tuner = Tuner(tmp_path / "tuned.json", True, "here")
    monkeypatch.setattr(compiled.scheduler.planner, "tuner", tuner)
    x, y = tn.rand(300, 310, device="opencl"), tn.rand(310, 320, device="opencl")
    total = tn.jit(lambda x, y: (x @ y).sum(), warm_up=False)
    assert total(x, y).item() == pytest.approx(total(x, y).item(), rel=1e-5)
    assert tuner.path.exists()
    assert len(total.tape.launches) <= 4  # a product, perhaps what it packs, a sum of two


def test_numbers_are_new_for_who_watches_too():
    """A profile sees launches one by one, whose numbers are not those of the chain."""
    weight = nn.Parameter(tn.zeros(4, device="opencl"))
    optimizer = tn.optim.SGD([weight], lr=1.0)

    @tn.jit
    def step():
        optimizer.zero_grad()
        ((weight * weight).sum() * 0 + weight.sum()).backward()
        optimizer.step()

    for _ in range(LONG_PATIENCE + 4):
        step()
    for rate in (0.5, 0.25):
        before = weight[0].item()
        optimizer.param_groups[0]["lr"] = rate
        with tn.profile():
            step()
        assert weight[0].item() == before - rate
        step()
        assert weight[0].item() == before - 2 * rate


def test_a_driver_that_cannot_clone_kernels(monkeypatch):
    """As one that says it has OpenCL 2.1 may: each launch then sets its arguments anew."""
    device = open_backend("opencl").device
    if not device.can_clone:
        pytest.skip("the driver does not say that it can")

    def clone(kernel):
        raise cl.LogicError("clCloneKernel failed: INVALID_OPERATION")

    step, x, labels = make_step()
    expected = [step(x, labels).item() for _ in range(12)]
    monkeypatch.setattr(device, "can_clone", True)  # and as it was afterwards
    monkeypatch.setattr(cl.Kernel, "clone", clone)
    step, x, labels = make_step()
    assert [step(x, labels).item() for _ in range(12)] == pytest.approx(expected, rel=1e-5)
    assert not device.can_clone
    assert all(launch.own is None for launch in step.tape.launches)


def test_times_in_the_list():
    step, x, labels = make_step()
    for _ in range(3):
        step(x, labels)
    assert " us" not in str(step.tape)
    with tn.profile():
        step(x, labels)
    assert str(step.tape).count(" us") == len(step.tape.launches)


def test_memory_of_tapes_is_counted_and_given_back():
    def compute(x):
        return ((x * 2) @ x).relu() @ x

    compute(tn.ones(100, 100, device="opencl")).tolist()  # what an interpreter keeps of it
    gc.collect()
    before = tn.memory("opencl").used
    f = tn.jit(compute)
    x = tn.ones(100, 100, device="opencl")
    for _ in range(3):
        f(x)
    assert tn.memory("opencl").used - before >= f.tape.nbytes >= 40_000
    del f, x
    gc.collect()
    assert tn.memory("opencl").used <= before


def test_what_is_queued_keeps_its_memory():
    """A recording frees what the pool holds, also of kernels that have yet to run."""
    x = tn.arange(1_000_000, dtype=tn.float32, device="opencl").reshape(1000, 1000) / 1e6
    f = tn.jit(lambda a: (a * 0 - 7) @ a)
    f(x)
    y = (x + 1).realize()
    product, sums = (y @ x).realize(), y.sum(1).realize()
    del y
    f(x)
    assert f.tape is not None
    other = np.asarray(x)
    np.testing.assert_allclose(np.asarray(product), (other + 1) @ other, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(sums), (other + 1).sum(1), rtol=1e-5)


def test_memory_stays_flat():
    step, x, labels = make_step()
    for _ in range(LONG_PATIENCE + 5):
        step(x, labels)
    before = tn.memory("opencl")
    for _ in range(100):
        step(x, labels)
    after = tn.memory("opencl")
    assert (after.used, after.held) == (before.used, before.held)


@pytest.mark.parametrize("op", ["cumsum", "cumprod", "argsort", "logcumsumexp"])
def test_kernels_of_their_own_get_kernel_objects_too(op):
    """And survive it: PoCL crashes where one without a buffer is cloned."""
    run = tn.jit(lambda x: getattr(tn, op)(x, 0))
    for seed in range(LONG_PATIENCE + 4):
        x = tn.tensor(np.random.default_rng(seed).random((5, 4), np.float32), device="opencl")
        assert tn.allclose(run(x), getattr(tn, op)(x, 0))


def test_a_replay_without_memory_does_nothing(monkeypatch):
    """Nor do an optimiser's counts go on: the next replay is as if it had not been."""

    def train(fails):
        weight = tn.zeros(1, device="opencl", requires_grad=True)
        optimizer = tn.optim.Adam([weight], lr=0.1, betas=(0.5, 0.9))

        @tn.jit
        def step(x):
            optimizer.zero_grad()
            loss = ((weight - x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        def full(nbytes):
            raise OutOfMemoryError("allocate: full")

        x = tn.ones(1, device="opencl")
        for i in range(6):
            if fails and i == 3:
                with monkeypatch.context() as patch:
                    patch.setattr(open_backend("opencl").device.pool, "allocate", full)
                    with pytest.raises(OutOfMemoryError):
                        step(x)
            step(x)
        return weight.item()

    assert train(True) == train(False)


def test_a_long_chain_of_products_that_is_needed_within_the_function():
    weight = tn.eye(8, device="opencl")

    @tn.jit(warm_up=False)
    def function(x):
        for _ in range(1100):
            x = (x @ weight + x) * 0.5
        return x.cumsum(1)

    x = tn.ones(4, 8, device="opencl")
    for _ in range(2):
        assert function(x)[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
