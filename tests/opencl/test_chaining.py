"""Which launches become one, what each waits for, and that all kernels for CPUs can be in one."""

from contextlib import nullcontext as noted
from types import SimpleNamespace

import numpy as np
import pytest

import tinynet as tn
from tests.opencl.test_tape import needs_a_cpu
from tinynet import nn
from tinynet.backends.opencl import chaining, tape
from tinynet.backends.opencl.chaining import (
    Whereabouts,
    after_which,
    chained,
    usable_cores,
)
from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.launches import Launch, Place
from tinynet.errors import KernelError


class Buffer:
    def __init__(self, number):
        self.int_ptr = number


class CPU:
    """A device that compiles nothing."""

    is_cpu = True
    cores = 4
    cl_device = SimpleNamespace(max_parameter_size=8 * 40)

    def __hash__(self):
        return id(self)

    def build_generated(self, program, name, types):
        return SimpleNamespace(text=program, name=name, types=types)

    def upload(self, array):
        return SimpleNamespace(buffer=Buffer(0), content=array)


def launch(name, size, reads, writes, is_planned=True, text=PRELUDE, numbers=()):
    text = f"{text}kernel void {name}(global float *p) {{}}\n"
    kinds = [None] * (len(reads) + len(writes)) + [np.float32] * len(numbers)
    kernel = SimpleNamespace(text=text, name=name, types=tuple(kinds))
    buffers = [Buffer(x) for x in (*reads, *writes)]
    made = Launch(kernel, (size,), (1,), [*buffers, *[0.0] * len(numbers)], 0, 0)
    made.numbers = [(len(buffers) + i, slot) for i, slot in enumerate(numbers)]
    made.uses = tuple(reads), tuple(writes)
    made.is_planned = is_planned
    return made


def test_one_waits_for_what_it_depends_on():
    """`b` reads what `a` writes, `d` writes it too, `e` writes what `c` reads."""
    launches = [
        launch("a", 2, [1], [2]), launch("c", 2, [3], [4]), launch("b", 1, [2], [5]),
        launch("d", 1, [1], [2]), launch("e", 1, [1], [3]), launch("f", 1, [1], [9]),
    ]  # fmt: skip
    assert waits(*launches) == [-1, -1, 0, 2, 1, -1]


def test_what_is_not_known_may_be_written():
    assert waits(launch("a", 2, [1], [2], False), launch("b", 2, [1], [3])) == [-1, 0]
    assert waits(launch("a", 2, [1], [2], False), launch("b", 2, [3], [4], False)) == [-1, -1]


def test_a_place_is_the_same_whatever_memory_it_has_now():
    """`a` writes a place and `b` reads it; one is known by old addresses, one by its arguments.

    The place had two addresses, since somebody had yet to read the old memory.
    """
    for first, second in [(1, 1), (1, 2), (2, 1)]:
        launches = [launch("a", 2, [5], [first]), launch("b", 2, [second], [6], False)]
        place = Place(SimpleNamespace(buffer=launches[0].args[1]))
        place.uses, place.addresses = [(launches[0], 1), (launches[1], 0)], [1, 2]
        place.use(SimpleNamespace(buffer=Buffer(77)))
        assert waits(*launches, places=[place]) == [-1, 0]
        launches[1].is_planned = True
        assert waits(*launches, places=[place]) == [-1, 0]


def waits(*launches, places=()):
    """Which launch each waits for."""
    where = Whereabouts([*places])
    return after_which([where.touched(x) for x in launches])


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    monkeypatch.setattr(chaining, "usable_cores", lambda: 100)


@pytest.mark.parametrize(
    ("content", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 7), ("", 7)]
)
def test_cores_are_those_that_may_be_used(content, expected, monkeypatch, tmp_path):
    quota = tmp_path / "cpu.max"
    quota.write_text(content, encoding="utf-8")
    monkeypatch.setattr(chaining, "QUOTA", quota)
    monkeypatch.setattr(chaining.os, "sched_getaffinity", lambda _: range(7), raising=False)
    assert usable_cores.__wrapped__() == expected


def test_cores_without_a_quota(monkeypatch, tmp_path):
    monkeypatch.setattr(chaining, "QUOTA", tmp_path / "none")
    monkeypatch.setattr(chaining.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert usable_cores.__wrapped__() == 1


def lengths(*launches, device=None):
    """How many work-items and arguments each launch has that is left."""
    left = chained(device or CPU(), list(launches), [])
    return [(x.size[0], len(x.args)) for x in left]


def test_a_work_item_for_each_core_that_has_a_task():
    assert lengths(launch("a", 9, [1], [2]), launch("b", 1, [2], [3])) == [(4, 2 + 3)]
    assert lengths(launch("a", 2, [1], [2]), launch("b", 1, [2], [3])) == [(2, 2 + 3)]
    assert lengths(launch("a", 1, [1], [2]), launch("b", 1, [2], [3])) == [(1, 2 + 3)]


def test_no_more_work_items_than_cores_to_be_used(monkeypatch):
    monkeypatch.setattr(chaining, "usable_cores", lambda: 3)
    assert lengths(launch("a", 9, [1], [2]), launch("b", 1, [2], [3])) == [(3, 2 + 3)]


def test_no_more_arguments_than_a_kernel_can_have():
    many = [launch(f"k{i}", 2, range(10 * i, 10 * i + 9), [10 * i + 9]) for i in range(8)]
    assert lengths(*many) == [(2, 32), (2, 32), (2, 22)]
    same = [launch(f"k{i}", 2, range(9), [9]) for i in range(100)]
    assert lengths(*same) == [(2, 12)]


def test_one_alone_stays_as_it_is():
    alone = [launch("a", 2, [1], [2])]
    assert chained(CPU(), alone, []) == alone


def test_kernels_of_users_and_of_groups_stay_alone():
    own = launch("own", 2, [2], [3], text="")
    group = launch("group", 2, [3], [4])
    group.group = (2,)
    others = [launch("a", 2, [1], [2]), own, launch("b", 2, [3], [4]), group]
    assert chained(CPU(), others, []) == others


def test_other_devices_launch_all():
    device = SimpleNamespace(is_cpu=False, cl_device=CPU.cl_device)
    launches = [launch("a", 1, [1], [2]), launch("b", 1, [3], [4])]
    assert chained(device, launches, []) == launches


def test_numbers_of_the_script_are_arguments_each_once():
    first, second = launch("a", 2, [1], [2], numbers=[7, 8]), launch("b", 2, [1], [3], numbers=[8])
    (chain,) = chained(CPU(), [first, second], [])
    assert chain.numbers == [(4, 7), (5, 8)]
    assert len(chain.args) == 2 + 5


def test_places_that_lie_together_now_may_part_later():
    """Two inputs in the same memory are two arguments."""
    first, second = launch("a", 2, [1], [2]), launch("b", 2, [1], [3])
    places = [Place(SimpleNamespace(buffer=x.args[0])) for x in (first, second)]
    for place, each in zip(places, (first, second)):
        place.uses = [(each, 0)]
    (chain,) = chained(CPU(), [first, second], places)
    assert [place.uses[-1] for place in places] == [(chain, 2), (chain, 4)]


# on the device
@pytest.fixture
def at_once(monkeypatch):
    needs_a_cpu()
    monkeypatch.setattr(tape, "LONG_PATIENCE", 2)


class Everything(nn.Module):
    """What has kernels of its own: convolutions, pools, attention, recurrence, and so on."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3, padding=1)
        self.strided = nn.Conv2d(4, 8, 2, stride=2)
        self.recurrence = nn.LSTM(16, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.embedding = nn.Embedding(5, 8)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 3)

    def forward(self, images, words):
        f = nn.functional
        x = f.max_pool2d(self.convolution(images).relu(), 2)
        x = f.avg_pool2d(self.strided(x), 3, stride=1, padding=1)
        x, _ = self.recurrence(x.reshape(4, 8, 16))
        x = self.norm(x + self.embedding(words))
        x, _ = self.attention(x, x, x)
        x = x.cumsum(1) + f.dropout(x, 0.5)
        order = x.detach().sum(2).argsort(1)
        x = tn.take_along_dim(x, order.unsqueeze(2), 1)
        return self.last(x.logsumexp(1))


def losses(steps):
    tn.manual_seed(0)
    model = Everything().to("opencl")
    images, words = tn.rand(4, 2, 16, 16).to("opencl"), tn.randint(5, (4, 8)).to("opencl")
    labels = tn.randint(3, (4,)).to("opencl")
    optimizer = tn.optim.AdamW(model.parameters(), lr=0.01)

    @tn.jit
    def step(images, words, labels):
        loss = nn.functional.cross_entropy(model(images, words), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        return loss

    values = [step(images, words, labels).item() for _ in range(steps)]
    return values, step.tape


def test_all_kernels_in_one(at_once, compiled):
    """The same bits as one by one, where nothing is interpreted at first."""
    found, chained_tape = losses(8)
    tape.LONG_PATIENCE = 100
    expected, plain_tape = losses(8)
    assert found == expected
    assert len(plain_tape.chains) == len(plain_tape.launches) > 80
    assert len(chained_tape.chains) <= 4


def test_what_changes_between_replays(at_once):
    """Inputs, outputs, weights given other memory, rates."""
    w = tn.ones(50, device="opencl")
    optimizer = tn.optim.SGD([w], lr=1.0)

    @tn.jit
    def step(x, y):
        w.grad = (x - y) * 2
        optimizer.step()
        return (w + x).cumsum(0), y * 3

    kept = []
    expected = np.ones(50)
    for i in range(8):
        if i == 5:
            optimizer.param_groups[0]["lr"] = 0.5
        if i == 6:
            w.data = w.clone()
        x, y = (tn.full((50,), float(n), device="opencl") for n in (i, 2 * i))
        kept.append(step(x, x if i == 7 else y))
        expected = expected - (0.5 if i >= 5 else 1) * (0 if i == 7 else -2 * i)
        assert w.tolist() == expected.tolist()
        assert kept[-1][0].tolist() == (expected + i).cumsum().tolist()
    assert [y[0].item() for _, y in kept] == [0, 6, 12, 18, 24, 30, 36, 21]


def test_who_watches_sees_each_launch(at_once):
    x = tn.rand(300, 300, device="opencl")
    f = tn.jit(lambda x: ((x @ x).relu() @ x).softmax(1))
    for _ in range(6):
        f(x)
    n = len(f.tape.launches)
    assert len(f.tape.chains) == 1 < n
    assert f"{n} kernels on opencl" in str(f.tape)
    assert ", launched as 1\n" in str(f.tape)
    before = tn.counters().launches
    f(x)
    assert tn.counters().launches - before == 1
    with tn.profile() as profile:
        f(x)
    assert profile.counters.launches == n
    assert "matmul" in str(profile)
    assert str(f.tape).count(" us") == n


def test_a_driver_that_does_not_compile_it(at_once, monkeypatch):
    """There is a warning, and replays go on."""
    x = tn.rand(30, 30, device="opencl")
    f = tn.jit(lambda x: (x @ x).exp().cumsum(0).sum(1))
    expected = f(x).tolist()

    def refuse(*_):
        raise KernelError("kernel chain: does not compile: too long")

    monkeypatch.setattr(chaining, "_build", refuse)
    for i in range(5):
        with pytest.warns(UserWarning, match="one by one: kernel chain") if i == 2 else noted():
            np.testing.assert_allclose(f(x).tolist(), expected, rtol=1e-5)
    assert len(f.tape.chains) == len(f.tape.launches) > 1
