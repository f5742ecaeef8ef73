"""Launches made one: each task is done once, after what it needs, by any number of work-items."""

import numpy as np
import pyopencl.cltypes as cltypes
import pytest

from tests.kernels.devices import download, sizes, upload
from tinynet.backends.opencl.chaining import COUNTERS, chained
from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.launches import Launch

pytestmark = pytest.mark.parametrize("device", ["cpu"], indirect=True)

HELPED = """
#define STEP {step}
typedef {kind} Number;
static Number more(Number x) {{ return x + STEP; }}
kernel void add(global const float *restrict x, global float *restrict y, const int n) {{
    for (long i = get_global_id(0); i < n; i += get_global_size(0)) y[i] = more(x[i]);
}}
"""
SUM = """
kernel void add_up(global const float *restrict x, global float *restrict y, const int n,
                   const float factor) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    y[get_global_id(0)] = sum * factor + get_global_id(0);
}
"""
GRID = """
kernel void grid(global int *restrict y, const long8 steps, const char by) {
    const int at = get_global_id(1) * get_global_size(0) + get_global_id(0);
    y[at] = get_global_id(0) * steps.s1 + get_global_id(1) * steps.s7 + by;
}
"""
SLOW = """
kernel void slow(global const float *restrict x, global float *restrict y, const int rounds) {
    const int at = get_global_id(0);
    volatile int done = 0;
    while (at == 0 && done < rounds) done++;
    y[at] = x[at] + 1;
}
"""
FUSED = """
kernel void fused(global const float *restrict x, global float *restrict y) {
    y[0] = x[0] * x[0] + x[1];
}
"""


def kernel(device, name, text, types):
    return device.build(PRELUDE + text, name, types)


def launch(kernel, size, *args, reads, writes):
    made = Launch(kernel, size, (1,) * len(size), list(args), 0, 0)
    made.uses = [x.buffer.int_ptr for x in reads], [x.buffer.int_ptr for x in writes]
    made.args = [getattr(x, "buffer", x) for x in args]
    made.is_planned = True
    return made


def run(device, *launches):
    """Do all in one launch."""
    (chain,) = chained(device, list(launches), [])
    device.launch(chain.kernel, chain.size, chain.group, *chain.args)
    state, _ = chain.held
    counted = download(device, state, (COUNTERS + len(launches),), np.int32)
    assert not counted.any()  # ready for the next time


@pytest.mark.parametrize("tasks", [1, 2, 7, 64])
def test_each_waits_for_what_it_needs(device, tasks):
    """A row of additions, where each needs all of the one before."""
    for n in sizes(device, [100], [5_000]):
        types = (None, None, np.int32)
        one = kernel(device, "add", HELPED.format(step=1, kind="float"), types)
        ten = kernel(device, "add", HELPED.format(step=10, kind="double"), types)
        add_up = kernel(device, "add_up", SUM, (*types, np.float32))
        x = upload(device, np.arange(n, dtype=np.float32))
        y, z = (upload(device, np.zeros(n, np.float32)) for _ in range(2))
        sums = upload(device, np.zeros(tasks, np.float32))
        steps = []
        for _ in range(10):
            steps.append(launch(one, (tasks,), x, y, n, reads=[x], writes=[y]))
            steps.append(launch(ten, (tasks,), y, x, n, reads=[y], writes=[x]))
            steps.append(launch(one, (1,), x, z, n, reads=[x], writes=[z]))
        steps.append(launch(add_up, (tasks,), z, sums, n, 0.5, reads=[z], writes=[sums]))
        for times in (1, 2):
            run(device, *steps)
            expected = np.arange(n, dtype=np.float32) + 110 * times
            assert download(device, x, (n,), np.float32).tolist() == expected.tolist()
            assert download(device, z, (n,), np.float32).tolist() == (expected + 1).tolist()
            total = (expected + 1).sum() / 2 + np.arange(tasks)
            found = download(device, sums, (tasks,), np.float32)
            np.testing.assert_allclose(found, total, rtol=1e-6)


def test_nobody_goes_on_while_a_task_is_not_done(device):
    """The first of two tasks takes long; whoever is done with the other one needs both."""
    slow = kernel(device, "slow", SLOW, (None, None, np.int32))
    add_up = kernel(device, "add_up", SUM, (None, None, np.int32, np.float32))
    rounds = sizes(device, [10], [5_000_000])[-1]
    x = upload(device, np.array([5, 6], np.float32))
    y, sums = (upload(device, np.zeros(2, np.float32)) for _ in range(2))
    run(
        device,
        launch(slow, (2,), x, y, rounds, reads=[x], writes=[y]),
        launch(add_up, (2,), y, sums, 2, 1.0, reads=[y], writes=[sums]),
    )
    assert download(device, sums, (2,), np.float32).tolist() == [13, 14]


def test_two_dims_and_vectors_of_numbers(device):
    grid = kernel(device, "grid", GRID, (None, cltypes.long8, np.int8))
    for size in [(3, 5), (1, 4), (6, 1)]:
        y, z = (upload(device, np.zeros(size[0] * size[1], np.int32)) for _ in range(2))
        steps = np.array([(0, 100, 0, 0, 0, 0, 0, 1)], cltypes.long8)[0]
        run(
            device,
            launch(grid, size, y, steps, 7, reads=[], writes=[y]),
            launch(grid, size, z, steps, -7, reads=[], writes=[z]),
        )
        expected = np.arange(size[0]) * 100 + np.arange(size[1])[:, None]
        for found, by in ((y, 7), (z, -7)):
            found = download(device, found, expected.shape, np.int32)
            assert found.tolist() == (expected + by).tolist()


def test_rounding_of_a_text_is_its_own(device):
    """A pragma of one text does not reach the next: both round as they do alone."""
    values = np.array([1 + 2**-12, -1], np.float32)
    x = upload(device, values)
    texts = ["\n#pragma OPENCL FP_CONTRACT OFF\n" + FUSED, FUSED]
    kernels = [kernel(device, "fused", text, (None, None)) for text in texts]
    alone, together = [], [upload(device, np.zeros(1, np.float32)) for _ in texts]
    for each in kernels:
        y = upload(device, np.zeros(1, np.float32))
        device.launch(each, (1,), (1,), x.buffer, y.buffer)
        alone.append(download(device, y, (1,), np.float32).item())
    run(device, *[launch(k, (1,), x, y, reads=[x], writes=[y]) for k, y in zip(kernels, together)])
    assert [download(device, y, (1,), np.float32).item() for y in together] == alone
