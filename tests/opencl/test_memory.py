"""The pool: what is freed is used again, what does not fit says so."""

import subprocess
import sys

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.backends.opencl.memory import Block, Pool, rounded
from tinynet.errors import OutOfMemoryError

DEVICE = "opencl"


def test_sizes_are_rounded_by_an_eighth_at_most():
    for nbytes in (1, 255, 256, 257, 1000, 4096, 4097, 10**6 + 1, 3 * 10**9):
        size = rounded(nbytes)
        assert nbytes <= size <= max(256, nbytes * 9 / 8 + 256)
        assert rounded(size) == size


def test_freed_memory_is_used_again(compiled):
    x = tn.ones(1000, 100, device=DEVICE).realize()
    used = tn.memory(DEVICE).used
    before = compiled.device.pool.allocations
    for _ in range(20):
        y = (x + 1).realize()
    assert compiled.device.pool.allocations <= before + 2
    del y
    assert tn.memory(DEVICE).used == used
    assert tn.memory(DEVICE).held > 0
    assert tn.memory(DEVICE, empty_cache=True).held == 0
    assert tn.memory("cpu") == (0, 0, 0)


@pytest.mark.parametrize("is_reused", [False, True])
def test_ctrl_c_leaves_the_account_right(backend, monkeypatch, is_reused):
    def interrupted(*_):
        raise KeyboardInterrupt

    pool, lost = backend.device.pool, []
    pool.empty()
    if is_reused:
        pool.allocate(1000)  # and given back at once
    used = pool.used
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    monkeypatch.setattr(Block, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.allocate(1000)
    assert (pool.used, pool.held) == (used, 0)
    assert not lost


def test_writing_in_place_takes_the_same_memory(compiled):
    x = tn.ones(1000, 100, device=DEVICE).realize()
    x.add_(1)
    x.realize()
    tn.memory(DEVICE, reset_peak=True)
    used = tn.memory(DEVICE).used
    for _ in range(5):
        x.mul_(2).add_(1)
        x.realize()
    assert tn.memory(DEVICE).peak == used


def test_a_training_loop_s_memory_is_flat():
    model = nn.Sequential(nn.Linear(50, 60), nn.ReLU(), nn.Linear(60, 5)).to(DEVICE)
    optimizer = tn.optim.Adam(model.parameters())
    x, y = tn.rand(32, 50, device=DEVICE).realize(), tn.randint(5, (32,), device=DEVICE)
    used = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()
        used.append(tn.memory(DEVICE).used)
    assert len(set(used[10:])) == 1


def test_what_does_not_fit_says_so(backend, monkeypatch):
    pool = backend.device.pool
    x = tn.ones(10, device=DEVICE).realize()
    monkeypatch.setattr(pool, "largest", 1 << 20)
    message = (
        r"^allocate: [\d,]+ bytes do not fit on opencl \(it allocates 1,048,576 at most\); [\d,]+"
    )
    with pytest.raises(OutOfMemoryError, match=message):
        (tn.ones(1 << 20, device=DEVICE) + 1).realize()
    assert (x + 1).tolist() == [2.0] * 10


def test_what_fits_before_it_is_rounded_up_fits(backend):
    pool = Pool(backend.device.context, "here", 1_000_000)
    block = pool.allocate(999_999)
    assert 999_999 <= block.nbytes <= pool.largest
    del block
    message = "^allocate: 1,000,001 bytes do not fit on here .*; 0 bytes are in use, 1,000,000 are"
    with pytest.raises(OutOfMemoryError, match=message):
        pool.allocate(1_000_001)
    pool.empty()
    with pytest.raises(OutOfMemoryError, match=r"; 0 bytes are in use, nothing is held for reuse$"):
        pool.allocate(1_000_001)


def test_a_driver_that_has_no_room_is_asked_again_without_the_pool(backend, monkeypatch):
    import pyopencl as cl

    pool = backend.device.pool
    tn.ones(5000, device=DEVICE).realize()
    calls = []
    real = cl.Buffer

    def buffer(*args, **options):
        calls.append(pool.held)
        if len(calls) == 1:
            raise cl.MemoryError("MEM_OBJECT_ALLOCATION_FAILURE")
        return real(*args, **options)

    monkeypatch.setattr(cl, "Buffer", buffer)
    x = tn.tensor(np.arange(7777, dtype=np.float32), device=DEVICE)
    assert x[-1].item() == 7776
    assert calls[0] > 0
    assert calls[1] == 0


READERS = """
import threading
import numpy as np
import tinynet as tn
shared = tn.arange(64.0, device="opencl").square().realize()
expected = np.arange(64.0) ** 2
def read():
    for _ in range(2000):
        assert (shared.cpu().numpy() == expected).all()
threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("read")
"""


def test_threads_read_the_same_memory():
    """PoCL crashes where two threads map the same buffer, so this is a process of its own."""
    ran = subprocess.run([sys.executable, "-c", READERS], capture_output=True, text=True)
    assert ran.stdout == "read\n", f"status {ran.returncode}: {ran.stderr[-2000:]}"
