"""What recordings on the CPU hold: places of arrays, and few arrays."""

import math
import random
import tracemalloc
import weakref
from itertools import pairwise

import numpy as np
import pytest

import tinynet as tn
from tinynet import settings
from tinynet.backends import numpy_memory
from tinynet.backends.numpy import NumPyBackend
from tinynet.backends.numpy_plan import ALIGNMENT, Buffer, lay_out
from tinynet.numbers import Number
from tinynet.script import Script

FIRST_TWO = ((0, 1, 2),)


class Recorded:
    """A function of a backend and an array, recorded by itself."""

    def __init__(self, function, x):
        self.backend = NumPyBackend()
        recorder = self.backend.record({})
        recorder.start()
        try:
            recorder.add_inputs([x])
            outputs = function(self.backend, x)
        finally:
            recorder.stop()
        self.tape = recorder.finish(outputs, [])

    @property
    def methods(self):
        return [call.method for call in self.tape.calls]

    def __call__(self, x):
        return [y.copy() for y in self.tape.replay([x], [])]


def peak_of(function, x):
    """Bytes that a call takes at most."""
    tracemalloc.start()
    try:
        function(x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chained(x, n=24):
    for i in range(n):
        x = (x + i) * 0.5
    return x.sum()


# Arrays die
def test_recording_takes_little_more_memory_than_running():
    x = tn.ones(1 << 18, device="cpu")
    eager = peak_of(chained, x)
    assert eager >= 2 * x.array.nbytes
    jitted = tn.jit(chained, warm_up=False)
    assert peak_of(jitted, x) <= 1.5 * eager
    assert jitted.count == 1
    assert jitted.tape.nbytes <= 2 * x.array.nbytes
    assert jitted(x * 3).item() == pytest.approx(chained(x * 3).item())


def test_arrays_die_while_they_are_recorded():
    watches = []

    def function(backend, x):
        y = backend.elementwise("mul", x, 2.0)
        part = backend.slice(y, FIRST_TWO)
        z = backend.elementwise("neg", part)
        watches.extend([weakref.ref(y), weakref.ref(part)])
        del y
        assert watches[0]() is not None  # its memory is in use
        del part
        assert [watch() for watch in watches] == [None, None]
        return [z]

    f = Recorded(function, np.arange(3.0))
    assert f(np.ones(3))[0].tolist() == [-2, -2]


def test_views_of_inputs_die_too():
    def function(backend, x):
        part = backend.slice(x, FIRST_TWO)
        y = backend.elementwise("add", backend.elementwise("neg", part), part)
        z = backend.elementwise("add", y, backend.slice(part, ((1, -1, 2),)))
        watch = weakref.ref(part)
        del part
        assert watch() is None
        return [z]

    f = Recorded(function, np.arange(3.0))
    assert f(np.array([5.0, 6.0, 7.0]))[0].tolist() == [6, 5]
    assert len(f.tape.moves) == 2  # each view is made once


# Ids come again
def test_an_array_at_the_id_of_one_that_died():
    """Results, views of inputs and views of results follow one another at few ids."""
    ids = []

    def function(backend, x):
        total = backend.elementwise("mul", backend.slice(x, FIRST_TWO), 1.0)
        for i in range(20):
            ids.append(id(backend.slice(x, FIRST_TWO)))  # dead at once
            y = backend.elementwise("add", x, float(i))
            ids.append(id(y))
            if i % 2:
                y = backend.slice(backend.elementwise("neg", y), ((1, 1, 2),))
            total = backend.elementwise("add", total, backend.slice(y, FIRST_TWO))
            ids.append(id(total))
        return [total]

    f = Recorded(function, np.zeros(3))
    assert len(set(ids)) < len(ids)
    for x in (np.array([1.0, 2.0, 4.0]), np.array([7.0, 0.0, -3.0])):
        assert f(x)[0].tolist() == function(NumPyBackend(), x)[0].tolist()


def test_memory_from_outside_is_held():
    def function(backend, x):
        there = np.full(3, 10.0)  # made by no call
        y = backend.elementwise("add", x, backend.slice(there, ((0, 1, 3),)))
        watch = weakref.ref(there)
        del there
        assert watch() is not None
        return [y]

    assert Recorded(function, np.zeros(3))(np.ones(3))[0].tolist() == [11, 11, 11]


def test_no_elements_of_a_result():
    def function(backend, x):
        y = backend.elementwise("neg", x)
        none = backend.reshape(backend.slice(y, ((0, 1, 0),)), (3, 0))
        return [backend.elementwise("exp", none), y]

    none, y = Recorded(function, np.zeros(3))(np.ones(3))
    assert (none.shape, y.tolist()) == ((3, 0), [-1, -1, -1])


# What is the same in each replay
def test_constants_are_computed_once_and_kept():
    def function(backend, x):
        rows = backend.expand(backend.arange(3, 1, 1, tn.float64), (3,))
        scale = backend.elementwise("square", rows)
        watches.append(weakref.ref(scale))
        return [backend.elementwise("mul", x, scale)]

    watches = []
    f = Recorded(function, np.zeros(3))
    assert f.methods == ["elementwise"]
    assert watches[0]() is not None
    for _ in range(3):
        assert f(np.ones(3))[0].tolist() == [1, 4, 9]


def test_what_is_written_is_no_constant_and_may_die():
    def function(backend, x):
        total = backend.full((3,), 0.0, tn.float64)
        before = backend.elementwise("add", total, 5.0)
        backend.put(total, (np.array([0, 0, 2]),), x, "add")
        after = backend.elementwise("add", total, 1.0)
        watch = weakref.ref(total)
        del total
        assert watch() is None
        return [backend.elementwise("mul", before, after)]

    f = Recorded(function, np.zeros(3))
    assert f.methods == ["full", "put", "elementwise", "elementwise"]
    for _ in range(3):
        assert f(np.array([1.0, 2.0, 3.0]))[0].tolist() == [20, 5, 20]


def test_one_of_two_constants_is_given_out():
    def function(backend, x):
        q, r = backend.linalg("qr", backend.full((2, 2), 1.0, tn.float64))
        return [q, backend.elementwise("mul", x, backend.elementwise("abs", r))]

    x = np.ones((2, 2))
    f = Recorded(function, x)
    expected = [y.tolist() for y in function(NumPyBackend(), x)]
    for _ in range(3):
        assert [y.tolist() for y in f(x)] == expected
    assert "linalg" in f.methods
    assert {out.kind for call in f.tape.calls for out in call.outs} == {"buffer"}


def test_numbers_of_a_script_make_no_constants():
    backend = NumPyBackend()
    recorder = backend.record({})
    recorder.start()
    x = backend.full((2,), 1.0, tn.float64)
    y = backend.elementwise("mul", x, Number(Script(), 0, 3.0))
    z = backend.elementwise("neg", y)
    recorder.stop()
    tape = recorder.finish([z], [])
    assert [call.method for call in tape.calls] == ["elementwise"] * 2
    assert tape.replay([], [5.0])[0].tolist() == [-5, -5]


def test_state_that_is_also_reached_as_a_numpy_array(monkeypatch):
    monkeypatch.setenv(settings.DEVICE.name, "cpu")
    memory = np.arange(3.0)
    state = tn.from_numpy(memory)

    @tn.jit(warm_up=False)
    def step():
        state.add_(1)
        return tn.from_numpy(memory) * 2

    assert [step().tolist()[0] for _ in range(4)] == [2, 4, 6, 8]
    assert memory.tolist() == [4, 5, 6]


def test_what_a_backend_has_instead_of_a_method_stays():
    backend, calls = NumPyBackend(), []
    add_up = backend.reduce
    backend.reduce = lambda *args: calls.append("reduce") or add_up(*args)
    fields = {**vars(backend)}
    recorders = [backend.record({}) for _ in range(2)]
    for recorder in recorders:
        recorder.start()
    for recorder in recorders:
        backend.reduce("sum", np.ones(3), (0,), False)
        recorder.stop()
    assert vars(backend) == fields
    assert len(calls) == 2


# Replays compute what the backend computes
@pytest.mark.parametrize("one", [0.0, -0.0])
@pytest.mark.parametrize(
    ("a", "b"), [((3, 1), (1, 1)), ((1, 1), (1, 3)), ((2, 3, 1), (1, 1)), ((1, 1), (2, 1, 3))]
)
def test_a_factor_of_one_element_is_multiplied_with_all_others(a, b, one):
    def made(shape):
        n = math.prod(shape)
        return np.full(shape, one) if n == 1 else np.resize([np.nan, np.inf, -1], n).reshape(shape)

    def function(backend, x):
        return [backend.matmul(backend.elementwise("neg", x), made(b))]

    (result,), (expected,) = Recorded(function, made(a))(made(a)), function(NumPyBackend(), made(a))
    assert np.array_equal(result, expected, equal_nan=True)
    assert np.array_equal(np.signbit(result[result == 0]), np.signbit(expected[expected == 0]))
    assert np.isnan(result).any()


# Where buffers lie
def test_buffers_that_are_needed_at_once_lie_apart():
    draw = random.Random(0)
    for _ in range(20):
        buffers = []
        for _ in range(40):
            buffer = Buffer(draw.choice([0, 1, 100, 4096, 10_000]), draw.randrange(30))
            buffer.last = buffer.first + draw.randrange(10)
            buffers.append(buffer)
        total = lay_out(buffers)
        at_once = [[x for x in buffers if x.first <= i <= x.last] for i in range(40)]
        for alive in at_once:
            alive.sort(key=lambda x: x.start)
            assert all(a.start + a.nbytes <= b.start for a, b in pairwise(alive))
        bound = max(sum([x.nbytes for x in alive]) for alive in at_once)
        assert bound <= total <= 1.3 * bound
        assert total == max(x.start + x.nbytes for x in buffers)
        assert all(x.start % ALIGNMENT == 0 for x in buffers)
    assert lay_out([]) == 0


def test_a_buffer_goes_where_it_fits_best():
    lives = [(640, 0, 9), (512, 0, 2), (448, 0, 9), (384, 0, 2), (320, 0, 9), (320, 3, 5)]
    buffers = []
    for nbytes, first, last in lives:
        buffers.append(Buffer(nbytes, first))
        buffers[-1].last = last
    assert lay_out(buffers) == 640 + 512 + 448 + 384 + 320
    assert [x.start for x in buffers] == [0, 640, 1152, 1600, 1984, 1600]


def test_a_result_is_written_over_its_operand():
    def function(backend, x):
        for _ in range(5):
            x = backend.elementwise("add", x, 1.0)
        return [backend.reduce("sum", x, (0,), False)]

    f = Recorded(function, np.zeros(1000))
    assert f.tape.nbytes < 1.1 * 8000
    assert f(np.ones(1000))[0] == 6000


# What was freed
def test_freed_memory_makes_way_for_large_blocks(monkeypatch):
    given = []
    monkeypatch.setattr(numpy_memory, "_find", lambda name: lambda pad: given.append((name, pad)))
    numpy_memory.make_way(numpy_memory.LARGEST_IN_HEAP)
    assert given == []
    numpy_memory.make_way(numpy_memory.LARGEST_IN_HEAP + 1)
    assert given == [("malloc_trim", 0)]


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(numpy_memory.sys, "platform", "darwin")
    monkeypatch.setattr(numpy_memory.ctypes, "CDLL", None)
    numpy_memory.keep_freed_memory()
    numpy_memory.make_way(1 << 40)
