"""Conformance: convolutions and their transposes, against loops over all places of a window."""

import itertools

import numpy as np
import pytest

from tests.backends.arrays import FLOATS, each, in_layouts, numbers, same
from tinynet import dtype as dtypes
from tinynet.backends import numpy_convolution
from tinynet.windows import Windows

# input, output, kernel, stride, padding (before), dilation; what lies behind follows from them
# (few kernel widths and strides, so that few kernels are compiled)
GEOMETRY = {
    "plain": Windows((5, 6), (3, 4), (3, 3), (1, 1), (0, 0), (1, 1)),
    "padded": Windows((5, 6), (5, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
    "one by one": Windows((4, 5), (4, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
    "strides": Windows((7, 9), (4, 4), (2, 3), (3, 2), (1, 0), (1, 1)),
    "strides larger than the kernel": Windows((8, 12), (3, 3), (2, 1), (3, 5), (0, 0), (1, 1)),
    "dilation": Windows((7, 9), (5, 4), (2, 3), (1, 2), (2, 0), (3, 2)),
    "strides that dilations share factors with": Windows(
        (13, 9), (3, 4), (4, 3), (6, 2), (5, 3), (4, 2)
    ),
    "padding only behind": Windows((4, 5), (5, 7), (2, 3), (1, 1), (0, 0), (1, 1)),
    "padding only before": Windows((4, 5), (5, 6), (3, 3), (1, 1), (3, 3), (1, 1)),
    "hanging over the end": Windows((4, 5), (3, 3), (3, 3), (3, 2), (0, 1), (1, 1)),
    "far beyond the end": Windows((3, 4), (4, 6), (2, 3), (2, 2), (0, 0), (1, 1)),
    "far before the beginning": Windows((3, 4), (5, 9), (2, 3), (1, 1), (3, 6), (1, 1)),
    "not reaching the end": Windows((9, 12), (2, 3), (2, 3), (2, 2), (0, 1), (1, 1)),
    "one window": Windows((4, 3), (1, 1), (4, 3), (1, 1), (0, 0), (1, 1)),
    "one place": Windows((1, 1), (3, 3), (3, 3), (1, 1), (2, 2), (1, 1)),
    "wide": Windows((2, 70), (2, 70), (1, 3), (1, 1), (0, 1), (1, 1)),
    "one dim": Windows((11,), (6,), (3,), (2,), (2,), (1,)),
    "one dim, wide kernel": Windows((20,), (12,), (9,), (1,), (0,), (1,)),
    "three dims": Windows((4, 3, 5), (2, 3, 5), (3, 2, 3), (2, 1, 1), (1, 0, 1), (1, 1, 1)),
    "three dims, dilation": Windows(
        (5, 4, 8), (3, 2, 4), (2, 2, 3), (1, 2, 1), (0, 1, 0), (2, 3, 2)
    ),
}
in_geometry = pytest.mark.parametrize("name", GEOMETRY)
# images, channels of x, channels of y, groups
SIZES = [(3, 4, 6, 2), (1, 3, 2, 1), (2, 3, 3, 3), (2, 2, 6, 2), (33, 1, 5, 1)]
in_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)
KINDS = ["convolve", "convolve_input", "convolve_weight"]
each_kind = pytest.mark.parametrize("kind", KINDS)
TOLERANCE = {
    dtypes.float16: 1e-3, dtypes.bfloat16: 8e-3, dtypes.float32: 1e-6, dtypes.float64: 1e-14
}  # fmt: skip


@each_kind
@in_geometry
def test_geometry(backend, kind, name):
    check(backend, kind, dtypes.float32, GEOMETRY[name], SIZES[0])


@each_kind
@in_sizes
def test_sizes(backend, kind, sizes):
    check(backend, kind, dtypes.float32, GEOMETRY["padded"], sizes)


@each_kind
@each([dtypes.uint8, dtypes.int16, dtypes.int64, *FLOATS])
def test_dtypes(backend, kind, dtype):
    """Integers wrap around; 16-bit floats are summed as float32."""
    check(backend, kind, dtype, GEOMETRY["strides"], SIZES[0])


@each_kind
@in_layouts
def test_layouts(backend, kind, layout):
    for name in ("strides", "three dims"):
        check(backend, kind, dtypes.float32, GEOMETRY[name], SIZES[0], layout, layout)


@each_kind
@in_layouts
def test_layouts_of_the_second(backend, kind, layout):
    check(backend, kind, dtypes.float32, GEOMETRY["strides"], SIZES[0], second=layout)


@each_kind
def test_repeated_elements(backend, kind):
    """Operands that are expanded: strides of 0."""
    windows, sizes = GEOMETRY["strides"], SIZES[0]
    a, b = operands(kind, dtypes.float32, windows, sizes)
    a, b = (np.broadcast_to(x[:1, :, :1], x.shape) for x in (a, b))

    def repeat(backend, x):
        return backend.expand(backend.from_numpy(np.array(x[:1, :, :1])), x.shape)

    found = getattr(backend, kind)(repeat(backend, a), repeat(backend, b), windows, sizes[3])
    same(backend, found, expected(kind, a, b, windows, sizes[3]), TOLERANCE[dtypes.float32])


@each_kind
def test_many_channels_and_places(backend, kind):
    """Several tiles in each direction, the last ones cut off."""
    windows = Windows((9, 19), (9, 19), (3, 3), (1, 1), (1, 1), (1, 1))
    for sizes in [(9, 35, 37, 1), (2, 76, 76, 2)]:
        check(backend, kind, dtypes.float32, windows, sizes)


@each_kind
@in_geometry
def test_blocks(backend, kind, name, monkeypatch):
    """Where the CPU takes a few images, and a row of the output, at a time."""
    monkeypatch.setattr(numpy_convolution, "BATCH", 2)
    monkeypatch.setattr(numpy_convolution, "BYTES", 1)
    check(backend, kind, dtypes.float32, GEOMETRY[name], (5, 4, 6, 2))


@each_kind
def test_nan_and_infinity_stay_where_windows_reach_them(backend, kind):
    """Padding is nothing, not a number that is multiplied."""
    windows, sizes = GEOMETRY["padded"], (2, 2, 2, 1)
    a, b = operands(kind, dtypes.float32, windows, sizes)
    b[np.abs(b) < 0.5] = 1
    a[0, 0, 0, 0], a[1, 1, 2, 3] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        wanted = expected(kind, a, b, windows, 1)
    arrays = backend.from_numpy(a), backend.from_numpy(b)
    same(backend, getattr(backend, kind)(*arrays, windows, 1), wanted, 1e-5)


def check(backend, kind, dtype, windows, sizes, first=None, second=None):
    """The result is that of loops over float64, or of integers that wrap around."""
    a, b = operands(kind, dtype, windows, sizes)
    arrays = [
        layout(backend, x) if layout else backend.from_numpy(x)
        for layout, x in ((first, a), (second, b))
    ]
    found = getattr(backend, kind)(*arrays, windows, sizes[3])
    wanted = expected(kind, a, b, windows, sizes[3])
    same(backend, found, wanted, TOLERANCE.get(dtype, 0))


def operands(kind, dtype, windows, sizes):
    """Small whole and half numbers, whose products and sums float32 represents."""
    images, channels, outputs, groups = sizes
    x = numbers((images, channels, *windows.input), dtype, seed=1)
    y = numbers((images, outputs, *windows.output), dtype, seed=2)
    weight = numbers((outputs, channels // groups, *windows.kernel), dtype, seed=3)
    return {"convolve": (x, weight), "convolve_input": (y, weight), "convolve_weight": (x, y)}[kind]


def expected(kind, a, b, windows, groups):
    """By the definition, in float64, or in integers that wrap around."""
    dtype = a.dtype
    wide = dtype if dtype.kind in "iu" else np.float64
    a, b = (x.astype(wide) for x in (a, b))
    images = len(a)
    channels = b.shape[1] if kind != "convolve_weight" else a.shape[1] // groups
    outputs = b.shape[0] if kind != "convolve_weight" else b.shape[1]
    zeros = {
        "convolve": (images, outputs, *windows.output),
        "convolve_input": (images, channels * groups, *windows.input),
        "convolve_weight": (outputs, channels, *windows.kernel),
    }
    result = np.zeros(zeros[kind], wide)
    x, y, weight = {
        "convolve": (a, result, b), "convolve_input": (result, a, b),
        "convolve_weight": (a, b, result),
    }[kind]  # fmt: skip
    for group, (tap, inside, places) in itertools.product(range(groups), pairs(windows)):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        of_group = slice(group * channels, (group + 1) * channels)
        w, xs, ys = weight[(rows, slice(None), *tap)], x[:, of_group], y[:, rows]
        index = (slice(None), slice(None))
        if kind == "convolve":
            ys[index + places] += np.einsum("rc,nc...->nr...", w, xs[index + inside])
        elif kind == "convolve_input":
            xs[index + inside] += np.einsum("rc,nr...->nc...", w, ys[index + places])
        else:
            flat = [x.reshape(*x.shape[:2], -1) for x in (ys[index + places], xs[index + inside])]
            w += np.einsum("nrp,ncp->rc", *flat)
    return result.astype(dtype)


def pairs(windows):
    """For each tap where it lies inside of the input, and the places of these windows."""
    for tap in itertools.product(*map(range, windows.kernel)):
        inside, places = [], []
        for k, n, m, _, s, p, d in zip(tap, *windows):
            found = [o for o in range(m) if 0 <= o * s - p + k * d < n]
            places.append(found)
            inside.append([o * s - p + k * d for o in found])
        if all(places):
            yield tap, np.ix_(*inside), np.ix_(*places)
