"""The matrix product: every kernel and tile against NumPy."""

import ctypes
import itertools
from math import prod

import numpy as np
import pytest

from tests.kernels.devices import download, is_simulator, needs, sizes
from tinynet import dtype as dtypes
from tinynet.backends.opencl.matmul import STORE_EPILOGUE, candidates, plan, run
from tinynet.backends.opencl.products import Factor, Tile

ORIENTATIONS = ["NN", "NT", "TN", "TT"]
EDGES = [1, 2, 5, 6, 7, 15, 16, 17, 31, 33, 64, 65, 100]
SMALL = [(1, 1, 1), (1, 9, 5), (9, 1, 5), (7, 17, 9), (6, 16, 8), (13, 33, 17), (3, 20, 2)]
# small blocks, so that products of a few rows have several, and several parts of k
CPU_TILES = [
    Tile("cpu", 2, 8, 4, 8, 4, 16),
    Tile("packed", 2, 8, 4, 8, 4, 16),
    Tile("cpu", 5, 16, 16, 32, 10, 32),
    Tile("packed", 6, 8, 4, 12, 12, 16),
    Tile("cpu", 6, 16, 8, 320, 144, 256),
    Tile("packed", 6, 16, 8, 256, 96, 128),
]
GPU_TILES = [
    Tile("gpu", 4, 4, 1, 16, 64, 64),
    Tile("gpu", 2, 2, 1, 4, 8, 8),
    Tile("gpu", 1, 2, 1, 16, 4, 128),
    Tile("gpu", 2, 1, 1, 16, 128, 4),
    Tile("gpu", 1, 1, 1, 16, 1, 1),
]
orientations = pytest.mark.parametrize("orientation", ORIENTATIONS)


@orientations
def test_default_tiles(device, orientation):
    random = np.random.default_rng(1)
    large = [tuple(random.choice(EDGES, 3)) for _ in range(25)] + [(130, 70, 700), (1, 2100, 40)]
    large += [(10, 300, 530), (2, 33, 300), (300, 2, 301), (31, 32, 769)]  # dot products, if NT
    for m, n, k in sizes(device, SMALL, large):
        check(device, operand(m, k, orientation[0]), operand(k, n, orientation[1]))


@pytest.mark.parametrize("orientation", ["NN", "NT", "TN"])
@pytest.mark.parametrize("tile", CPU_TILES + GPU_TILES, ids=str)
def test_tiles(started, tile, orientation):
    """A kernel may run on any device, so a CPU checks them all."""
    device = started[0]
    small = [(7, 9, 17), (13, 5, 9)] if tile.kind == "gpu" else SMALL[3:6]
    large = [(13, 33, 17), (33, 65, 31), (100, 64, 70), (16, 7, 33), (5, 100, 6)]
    for m, n, k in sizes(device, small, large):
        check(device, operand(m, k, orientation[0]), operand(k, n, orientation[1]), tile=tile)


@pytest.mark.parametrize("tile", [Tile("dots", 2, 3, 4, 1, 4, 6), Tile("dots", 6, 4, 8, 1, 6, 4)])
def test_dot_products(started, tile):
    """Both factors lie along k; blocks of several tiles, and of one; lines left over, and of k."""
    device = started[0]
    for m, n, k in sizes(device, SMALL, [(33, 65, 31), (100, 64, 70), (16, 7, 33), (2, 2, 3)]):
        check(device, operand(m, k, "N"), operand(k, n, "T"), tile=tile)


@pytest.mark.parametrize("orientation", ["NT", "TN"])
@pytest.mark.parametrize("kind", ["float64", "int8", "uint8", "uint16", "int32", "int64"])
def test_dtypes(device, kind, orientation):
    """Integers wrap around."""
    dtype = dtypes.BY_NAME[kind]
    needs(device, dtype)
    for m, n, k in sizes(device, [(13, 33, 17), (1, 20, 9)], [(50, 65, 330), (70, 1, 65)]):
        a, b = operand(m, k, orientation[0], dtype), operand(k, n, orientation[1], dtype)
        check(device, a, b)
        if device.is_cpu and min(m, n) > 1:
            check(device, a, b, tile=Tile("packed", 6, 8, 4, 16, 12, 16))


@pytest.mark.parametrize("tile", [None, CPU_TILES[1], GPU_TILES[1]], ids=str)
def test_batches(started, tile):
    """Two batch dims, each of which an operand may repeat."""
    device = started[0]
    batches = [(1, 1), (3, 1), (1, 2), (3, 2)]
    few = [((1, 1), (3, 2)), ((3, 1), (1, 2)), ((3, 2), (3, 1))]
    for a_batch, b_batch in few if is_simulator(device) else itertools.product(batches, repeat=2):
        for m, n in [(7, 9), (1, 9), (20, 2)]:
            a = np.broadcast_to(operand(m, 5, "T", batch=a_batch), (3, 2, m, 5))
            b = np.broadcast_to(operand(5, n, "N", batch=b_batch), (3, 2, 5, n))
            check(device, a, b, tile=tile)


@pytest.mark.parametrize("tile", [None, *CPU_TILES[:2], GPU_TILES[1]], ids=str)
def test_any_strides(started, tile):
    """Operands that lie in a larger array, backwards, with steps, with no contiguous dim."""
    device = started[0]
    m, n, k = (13, 17, 20) if is_simulator(device) else (40, 50, 60)
    a, b = operand(m, k, "N")[0, 0], operand(k, n, "N")[0, 0]
    views = [
        (a[::-1], b[:, ::-1]),
        (a[:, ::-1], b[::-1]),
        (a[3:12, 5:19], b[5:19, 7:]),
        (a[::3, ::2], b[::2, ::3]),
        (a[:1, ::2], b[::2, :30]),
        (a[:, :1].T, b[:m, ::2]),
        (np.broadcast_to(a[:1], (9, k)), np.broadcast_to(b[:, :1], (k, 20))),
    ]
    for left, right in views:
        check(device, left, right, tile=tile)


@pytest.mark.parametrize("tile", [None, CPU_TILES[1], GPU_TILES[1]], ids=str)
def test_epilogue(started, tile):
    """An epilogue sees each element once, knows its place and has parameters of its own."""
    device = started[0]
    epilogue = """
#define EPILOGUE_PARAMETERS , global float *restrict y0, global const float *restrict bias0
#define EPILOGUE_INIT const float two0 = 2;
#define EPILOGUE(value, batch, row, column) \\
    y0[((batch) * 9 + (row)) * 7 + (column)] += value * two0 + bias0[column];
"""
    a, b = operand(9, 5, "N", batch=(2, 3)), operand(5, 7, "N", batch=(2, 3))
    bias = np.arange(7, dtype=np.float32)
    c, y = (device.pool.upload(x) for x in (bias, np.zeros((2, 3, 9, 7), np.float32)))
    launch(device, a, b, tile, epilogue, (y.buffer, c.buffer), (None, None))
    found = download(device, y, (2, 3, 9, 7), np.float32)
    np.testing.assert_allclose(found, a @ b * 2 + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 300, 300, 300), (6, 2, 1, 500, 64), (1, 1, 9, 2, 40)])
def test_candidates(device, shape):
    """What a tuner may choose from: distinct, and each makes a plan from plain numbers."""
    a, b = Factor((0, 0, shape[4], 1), 0), Factor((0, 0, shape[3], 1), 0)
    tiles = candidates(device, dtypes.float32, shape, a, b)
    assert len(set(tiles)) == len(tiles) > 1
    plans = [plan(device, dtypes.float32, shape, a, b, tuple(tile)) for tile in tiles]
    limit = device.cl_device.max_work_group_size
    assert all(prod(planned.group) <= limit for planned in plans)


def test_same_program_for_other_sizes(device):
    """Sizes are arguments: a last, smaller batch compiles nothing."""
    if is_simulator(device):
        pytest.skip("slow, and nothing to check")
    check(device, operand(128, 60, "N"), operand(60, 40, "T"))
    compiled = device.compiled
    check(device, operand(97, 60, "N"), operand(60, 40, "T"))
    assert device.compiled == compiled


def operand(rows, columns, orientation, dtype=dtypes.float32, batch=(1, 1)):
    """A random matrix in each batch, "N" with contiguous rows or "T" with contiguous columns."""
    random = np.random.default_rng(rows * 1000 + columns)
    shape = (*batch, rows, columns) if orientation == "N" else (*batch, columns, rows)
    kind = np.dtype(dtype.name)
    if kind.kind == "f":
        x = random.standard_normal(shape).astype(kind)
    else:
        limits = np.iinfo(kind)
        x = random.integers(limits.min, limits.max, shape, kind, endpoint=True)
    return x if orientation == "N" else x.swapaxes(-1, -2)


def check(device, a, b, tile=None):
    """The product of two arrays of 2 to 4 dims is NumPy's."""
    a, b = (x[(None,) * (4 - x.ndim)] for x in (a, b))
    shape = (*a.shape[:2], a.shape[2], b.shape[3])
    y = device.pool.allocate(prod(shape) * a.itemsize)
    args = (y.buffer, shape[3], shape[2] * shape[3])
    launch(device, a, b, tile, STORE_EPILOGUE, args, (None, np.int64, np.int64))
    found = download(device, y, shape, a.dtype)
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(found, a @ b)
        return
    near = 50 * np.finfo(a.dtype).eps
    np.testing.assert_allclose(found, a @ b, rtol=near, atol=near * a.shape[3] ** 0.5)


def launch(device, a, b, tile, epilogue, args, types):
    """Enqueue the product of two arrays of 4 dims."""
    a_block, a_factor = place(device, a)
    b_block, b_factor = place(device, b)
    dtype = dtypes.BY_NAME[a.dtype.name]
    shape = (*a.shape[:3], b.shape[3], a.shape[3])
    tile = tile or candidates(device, dtype, shape, a_factor, b_factor)[0]
    planned = plan(device, dtype, shape, a_factor, b_factor, tile)
    run(device, planned, a_block.buffer, b_block.buffer, epilogue, args, types)


def place(device, x):
    """The memory that an array looks at, on the device, and where in it the array lies."""
    low, high = np.lib.array_utils.byte_bounds(x)
    memory = np.frombuffer((ctypes.c_char * (high - low)).from_address(low), x.dtype)
    start = (x.__array_interface__["data"][0] - low) // x.itemsize
    return device.pool.upload(memory), Factor(tuple(s // x.itemsize for s in x.strides), start)
