"""Convolutions: every kernel and tile against NumPy's backend, which other tests hold to loops."""

from math import prod

import numpy as np
import pytest

from tests.kernels.devices import download, is_simulator, needs, reference, sizes
from tests.kernels.test_matmul import place
from tinynet import dtype as dtypes
from tinynet.backends.opencl import convolution_cpu, convolution_gpu
from tinynet.backends.opencl.convolution import Operand, Task, problem
from tinynet.backends.opencl.matmul import STORE_EPILOGUE, run
from tinynet.windows import Windows
from tinynet.windows import place as place_windows

KINDS = ["convolve", "convolve_input", "convolve_weight"]
each_kind = pytest.mark.parametrize("kind", KINDS)
# input, kernel, stride, padding, dilation; then images, channels of x, channels of y, groups
# (few kernel widths and strides, so that few kernels are compiled)
SMALL = [
    ((4, 5), (3, 3), (1, 1), (1, 1), (1, 1), 3, 2, 3, 1),
    ((5, 7), (2, 3), (3, 2), (1, 2), (1, 1), 1, 4, 6, 2),
    ((6, 7), (2, 3), (3, 2), (0, 2), (2, 2), 2, 1, 2, 1),
    ((5, 4), (1, 1), (1, 1), (0, 0), (1, 1), 2, 3, 9, 1),
    ((5, 6), (3, 3), (2, 2), (1, 1), (1, 1), 2, 4, 4, 4),
    ((4, 4), (2, 3), (1, 1), (0, 1), (1, 1), 1, 2, 6, 2),
    ((9,), (9,), (1,), (5,), (1,), 2, 3, 2, 1),
    ((3, 4, 3), (2, 2, 3), (1, 2, 1), (1, 0, 2), (1, 1, 2), 2, 2, 3, 1),
]
LARGE = [
    ((15, 16), (3, 3), (2, 2), (1, 1), (1, 1), 7, 65, 33, 1),
    ((20, 65), (2, 5), (3, 1), (1, 4), (2, 3), 1, 6, 9, 3),
    ((9, 9), (1, 1), (1, 1), (0, 0), (1, 1), 18, 64, 33, 1),
    ((7, 8, 9), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 3, 5, 10, 5),
    # on CPUs: worth the tile for large ones, channels and tiles in several parts, a block not full
    ((9, 9), (3, 3), (1, 1), (1, 1), (1, 1), 19, 70, 50, 1),
    ((8, 8), (3, 3), (2, 2), (1, 1), (1, 1), 64, 64, 64, 1),
]
# every tile, but not with every kind: what depends on the kind does not on the tile
TILES = [*convolution_gpu.TILES, convolution_gpu.Tile(2, 2, 4, 4, 8)]
TILED = [(KINDS[0], tile) for tile in TILES]
TILED += [(kind, tile) for kind in KINDS[1:] for tile in (TILES[7], *TILES[-2:])]


@each_kind
def test_shapes(device, kind):
    for shape in sizes(device, SMALL, LARGE):
        check(device, kind, *shape)


@pytest.mark.parametrize(("kind", "tile"), TILED, ids=str)
def test_tiles_of_accelerators(started, kind, tile):
    """A kernel may run on any device, so a CPU checks them all; blocks end in each direction."""
    shapes = sizes(started[0], SMALL[:1], LARGE[1:2] if prod(tile.group) > 1 else ())
    for shape in shapes:
        check(started[0], kind, *shape, tile=tile)


@pytest.mark.parametrize("rows", [63, 64, 65])
@pytest.mark.parametrize("width", [127, 128, 129])
def test_edges_of_tiles(started, rows, width):
    """As many rows, columns and steps as a tile has, one less, one more."""
    if is_simulator(started[0]):
        pytest.skip("slow; the smaller tiles have the same edges")
    tile = convolution_gpu.TILES[0]
    for channels in (15, 16, 17):
        shape = ((width,), (1,), (1,), (0,), (1,), 1)
        check(started[0], "convolve", *shape, channels, rows, 1, tile=tile)
        check(started[0], "convolve_input", *shape, rows, channels, 1, tile=tile)
        shape = ((channels,), (1,), (1,), (0,), (1,), 1)
        check(started[0], "convolve_weight", *shape, width, rows, 1, tile=tile)


@each_kind
@pytest.mark.parametrize("images", [1, 2, 5, 16, 17, 33])
def test_images(device, kind, images):
    """On CPUs few images are cut in strips to fill vectors, and the last block is not full."""
    if is_simulator(device) and images not in (1, 17):
        pytest.skip("slow")
    check(device, kind, (3, 11), (2, 3), (1, 1), (0, 1), (1, 1), images, 2, 3, 1)


@each_kind
@pytest.mark.parametrize("name", ["float64", "int8", "int64"])
def test_dtypes(device, kind, name):
    """Integers wrap around."""
    dtype = dtypes.BY_NAME[name]
    needs(device, dtype)
    shape = SMALL[1] if is_simulator(device) else LARGE[1]
    check(device, kind, *shape, dtype=dtype)


@each_kind
def test_any_strides(device, kind):
    """Operands that lie in a larger array, backwards, with steps, transposed, repeated."""
    windows, *shape = windows_of(*SMALL[1])
    a, b = operands(kind, windows, *shape, dtypes.float32)
    for change in (backwards, spread, in_a_corner, transposed, batch_innermost, repeated):
        check_operands(device, kind, windows, shape[3], change(a), change(b))
    check_operands(device, kind, windows, shape[3], spread(a), transposed(b))


@each_kind
def test_windows_outside(device, kind):
    """Some cover nothing at all, some hang over the end, some of the input is covered by none."""
    for windows in [
        Windows((3, 4), (5, 7), (2, 3), (2, 1), (3, 4), (1, 1)),
        Windows((5, 2), (4, 6), (1, 3), (2, 1), (1, 4), (1, 2)),
        Windows((9, 12), (2, 3), (2, 1), (2, 5), (0, 1), (1, 1)),
    ]:
        a, b = operands(kind, windows, 3, 2, 4, 2, dtypes.float32)
        check_operands(device, kind, windows, 2, a, b)


@each_kind
def test_wide_addresses(started, kind, monkeypatch):
    """Where numbers of 32 bits do not suffice."""
    monkeypatch.setattr(convolution_gpu.Product, "index_type", lambda product, parts: "long")
    for shape in sizes(started[0], SMALL[1:2], LARGE[1:2]):
        check(started[0], kind, *shape, tile=TILES[-1])


def test_when_addresses_are_wide(device):
    def index_type(*shape, groups=1):
        windows = place_windows("", shape[2:], (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
        steps = [prod(shape[i + 1 :]) for i in range(4)]
        weight = Operand((8, shape[1], 3, 3), (9 * shape[1], 9, 3, 1), 0)
        task = Task("convolve", windows, groups)
        made = problem(device, dtypes.float32, task, Operand(shape, tuple(steps), 0), weight)
        return convolution_gpu.as_product(made).index_type(1)

    assert index_type(64, 16, 256, 256) == "int"
    assert index_type(64, 16, 2048, 2048) == "long"


@each_kind
def test_sums_in_parts(device, kind):
    """Few weights, many places: parts of the sum are computed side by side; none gets lost."""
    n = 3 if is_simulator(device) else 40
    check(device, kind, (10, 13), (2, 2), (1, 1), (0, 0), (1, 1), n, 2, 3, 1)
    check(device, kind, (10, 13), (2, 2), (1, 1), (0, 0), (1, 1), n, 3, 3, 3)


@pytest.mark.parametrize("groups", [1, 4])
@each_kind
def test_epilogue(device, kind, groups):
    """An epilogue sees each element once, knows its place and has parameters of its own."""
    windows, *shape = windows_of((3, 4), (1, 3), (2, 1), (0, 1), (1, 1), 3, 4, 8, groups)
    a, b = operands(kind, windows, *shape, dtypes.float32)
    wanted = getattr(reference, kind)(a, b, windows, groups)
    batch, rows, columns = as_matrices(kind, wanted.shape)
    epilogue = f"""
#define EPILOGUE_PARAMETERS , global float *restrict y0, global const float *restrict bias0
#define EPILOGUE_INIT const float two0 = 2;
#define EPILOGUE(value, batch, row, column) \\
    y0[((batch) * {rows} + (row)) * {columns} + (column)] += value * two0 + bias0[row];
"""
    bias = np.arange(rows, dtype=np.float32)
    c, y = (device.pool.upload(x) for x in (bias, np.zeros(wanted.shape, np.float32)))
    launch(device, kind, windows, groups, a, b, epilogue, (y.buffer, c.buffer), (None, None))
    found = download(device, y, (batch, rows, columns), np.float32)
    wanted = wanted.reshape(found.shape) * 2 + bias[:, None]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_same_program_for_other_sizes(device):
    """Sizes are arguments: a last, smaller batch that fills vectors as well compiles nothing."""
    if is_simulator(device):
        pytest.skip("slow, and nothing to check")
    for kind in KINDS:
        check(device, kind, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 128, 16, 16, 1)
        compiled = device.compiled
        check(device, kind, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 112, 16, 16, 1)
        assert device.compiled == compiled


@pytest.mark.parametrize("shape", [LARGE[0], LARGE[1], SMALL[0]], ids=str)
@each_kind
def test_candidates(started, kind, shape):
    """Tiles that the device has room for, distinct."""
    device = started[0]
    windows, *rest = windows_of(*shape)
    a, b = (contiguous(x) for x in operands(kind, windows, *rest, dtypes.float32))
    task = Task(kind, windows, rest[3])
    product = convolution_gpu.as_product(problem(device, dtypes.float32, task, a, b))
    tiles = convolution_gpu.candidates(device, dtypes.float32, product)
    assert len(set(tiles)) == len(tiles) > 1
    assert all(prod(tile.group) <= device.cl_device.max_work_group_size for tile in tiles)


# how operands may lie in memory
def backwards(x):
    return np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1]


def spread(x):
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def in_a_corner(x):
    wide = np.zeros(tuple(n + 3 for n in x.shape), x.dtype)
    view = wide[tuple(slice(2, n + 2) for n in x.shape)]
    view[...] = x
    return view


def transposed(x):
    return np.ascontiguousarray(x.T).T


def batch_innermost(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def repeated(x):
    return np.broadcast_to(x[:1, :, :1], x.shape)


def contiguous(x):
    return Operand(x.shape, tuple(s // x.itemsize for s in x.strides), 0)


def windows_of(input, kernel, stride, padding, dilation, *rest):
    """The windows of a shape, and images, channels of x and of y, groups."""
    return place_windows("", input, kernel, stride, (padding, padding), dilation), *rest


def operands(kind, windows, images, channels, outputs, groups, dtype):
    """Small whole numbers, whose sums every dtype represents or wraps around."""
    random = np.random.default_rng(images + 10 * channels + 100 * outputs)
    least = 0 if dtype.kind == "u" else -9

    def numbers(*shape):
        return random.integers(least, 9, shape).astype(dtype.name)

    x = numbers(images, channels, *windows.input)
    y = numbers(images, outputs, *windows.output)
    weight = numbers(outputs, channels // groups, *windows.kernel)
    return {"convolve": (x, weight), "convolve_input": (y, weight), "convolve_weight": (x, y)}[kind]


def check(device, kind, *shape, dtype=dtypes.float32, tile=None):
    """The result is NumPy's."""
    windows, *rest = windows_of(*shape)
    a, b = operands(kind, windows, *rest, dtype)
    check_operands(device, kind, windows, rest[3], a, b, tile)


def check_operands(device, kind, windows, groups, a, b, tile=None):
    wanted = getattr(reference, kind)(a, b, windows, groups)
    _, rows, columns = as_matrices(kind, wanted.shape)
    y = device.pool.allocate(wanted.nbytes)
    args, types = (y.buffer, columns, rows * columns), (None, np.int64, np.int64)
    launch(device, kind, windows, groups, a, b, STORE_EPILOGUE, args, types, tile)
    found = download(device, y, wanted.shape, wanted.dtype)
    np.testing.assert_array_equal(found, wanted)


def as_matrices(kind, shape):
    """Batch, rows and columns of a result."""
    if kind == "convolve_weight":
        return 1, shape[0], prod(shape[1:])
    return shape[0], shape[1], prod(shape[2:])


def launch(device, kind, windows, groups, a, b, epilogue, args, types, tile=None):
    """Enqueue a convolution of two arrays; with a tile, by an accelerator's kernel."""
    (a_block, a_factor), (b_block, b_factor) = place(device, a), place(device, b)
    task, dtype = Task(kind, windows, groups), dtypes.BY_NAME[a.dtype.name]
    both = [Operand(x.shape, f.strides, f.offset) for x, f in ((a, a_factor), (b, b_factor))]
    if tile is None and is_simulator(device) and not device.is_cpu:
        product = convolution_gpu.as_product(problem(device, dtype, task, *both))
        tile = None if convolution_gpu.is_direct(product) else TILES[-1]  # others are slow there
    if tile is not None:
        planned = convolution_gpu.plan(device, dtype, task, *both, tile)
    else:
        planner = convolution_cpu if device.is_cpu else convolution_gpu
        planned = planner.plan(device, dtype, task, *both)
    run(device, planned, a_block.buffer, b_block.buffer, epilogue, args, types)
