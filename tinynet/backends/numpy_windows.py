"""Windows on the CPU: pools, and their transposes, in any number of dims.

One tap of all windows is a strided view of the input, clipped to the windows whose tap lies inside,
so each primitive is a loop over taps, of NumPy calls on whole views. Results keep the order of dims
in memory that the operands have. The work is done in parts of a batch (or of channels) that stay in
a core's cache from one tap to the next. NumPy takes as long to begin a run along memory as for some
50 elements of it, so where runs would be rows of a small image, parts are copied to have batch and
channels innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.numpy_calls import Array, is_narrow
from tinynet.shape import Shape
from tinynet.windows import Windows

PART = 1 << 19  # bytes of the input that are worked on together
SHORT = 100  # elements of a row of windows that are worth no run of their own
LINE = 64  # bytes of a line of the cache

Slices = tuple[slice, ...]
EVERYTHING = slice(None)


class Tap(NamedTuple):
    """Tap `number`, at `place` in the kernel: where it is in x for the windows `outer` of y."""

    number: int
    place: Shape
    inner: Slices
    outer: Slices


@lru_cache(maxsize=256)
def taps_of(windows: Windows) -> tuple[Tap, ...]:
    """The taps that lie inside of the input for any window, in order."""
    found = []
    for number, place in enumerate(np.ndindex(*windows.kernel)):
        ranges = [_range_of(*sizes) for sizes in zip(*windows, place, strict=True)]
        if all(outer.start < outer.stop for _, outer in ranges):
            inner, outer = zip(*ranges, strict=True) if ranges else ((), ())
            batch = (EVERYTHING, EVERYTHING)
            found.append(Tap(number, place, (*batch, *inner), (*batch, *outer)))
    return tuple(found)


def _range_of(n: int, o: int, k: int, s: int, p: int, d: int, i: int) -> tuple[slice, slice]:
    """Along one dim, where tap `i` is inside: its places in the input, and the windows."""
    start = i * d - p
    first = max(0, -(start // s))
    last = min(o, (n - 1 - start) // s + 1)
    at = first * s + start
    return slice(at, at + (last - first - 1) * s + 1, s), slice(first, last)


@lru_cache(maxsize=256)
def first_taps(windows: Windows) -> Array:
    """For each window the number of its first tap that lies inside of the input."""
    total = np.zeros(windows.output, np.int32)
    for dim, (o, k, s, p, d) in enumerate(zip(*windows[1:], strict=True)):
        first = np.clip(-((np.arange(o) * s - p) // d), 0, k - 1)
        along = tuple([-1 if i == dim else 1 for i in range(total.ndim)])
        total = total * k + first.reshape(along).astype(np.int32)
    return total


def empty_like(x: Array, windows: Windows, dtype: Any = None) -> Array:
    """An array for a result of windows on `x`, with dims in the order of `x`'s in memory."""
    return np.empty_like(x, dtype, shape=(*x.shape[:2], *windows.output))


def pool_max(x: Array, windows: Windows, out: tuple[Array, Array] | None = None) -> Any:
    """The largest element of each window, and which tap it is at."""
    if out is None:
        y = empty_like(x, windows)
        out = y, np.empty_like(y, np.int32)
    _in_parts(_pool_part, windows, x, (x,), out)
    return out


def _pool_part(windows: Windows, x: Array, y: Array, taps: Array) -> None:
    """`pool_max` of a part. Tap numbers grow, so that the latest is the largest."""
    best = np.empty_like(y, np.uint8 if windows.taps <= 256 else np.int32)
    np.copyto(best, first_taps(windows), "unsafe")
    is_more, number = np.empty_like(y, np.bool_), np.empty_like(best)
    first, *others = taps_of(windows)
    if y.shape == y[first.outer].shape:
        np.copyto(y, x[first.inner])
    else:
        y.fill(_lowest(y.dtype))
        others = [first, *others]
    for tap in others:
        source, target, at = x[tap.inner], y[tap.outer], best[tap.outer]
        more = np.greater(source, target, is_more[tap.outer])
        np.maximum(source, target, out=target)
        np.multiply(more, best.dtype.type(tap.number), number[tap.outer])
        np.maximum(at, number[tap.outer], out=at)
    if y.dtype.kind not in "iu" and np.isnan(y.max()):
        _pool_with_nan(x, windows, y, best)
    np.copyto(taps, best)


def _pool_with_nan(x: Array, windows: Windows, y: Array, best: Array) -> None:
    """`_pool_part` where there are NaNs, of which the last wins."""
    y.fill(_lowest(y.dtype))
    np.copyto(best, first_taps(windows), "unsafe")
    for tap in taps_of(windows):
        source, target = x[tap.inner], y[tap.outer]
        wins = (source > target) | np.isnan(source)
        np.copyto(target, source, where=wins)
        np.copyto(best[tap.outer], best.dtype.type(tap.number), where=wins)


def pick(x: Array, taps: Array, windows: Windows, out: Array | None = None) -> Array:
    """The element of each window at its tap."""
    y = empty_like(x, windows) if out is None else out
    _in_parts(_pick_part, windows, x, (x, taps), (y,))
    return y


def _pick_part(windows: Windows, x: Array, taps: Array, y: Array) -> None:
    y.fill(0)
    for tap in taps_of(windows):
        is_here = taps[tap.outer] == tap.number
        np.copyto(y[tap.outer], x[tap.inner], where=is_here)


def spread(y: Array, taps: Array, windows: Windows, out: Array | None = None) -> Array:
    """The transpose of `pick`."""
    x = np.empty_like(taps, y.dtype, shape=(*y.shape[:2], *windows.input)) if out is None else out
    _in_parts(_spread_part, windows, x, (y, taps), (x,))
    return x


def _spread_part(windows: Windows, y: Array, taps: Array, x: Array) -> None:
    """`spread` of a part. Elements are kept or dropped as bits: infinity times 0 is NaN."""
    is_apart = _are_apart(windows)
    total = np.empty_like(x, np.float32) if is_narrow(x.dtype) else x
    total.fill(0)
    y = y.astype(total.dtype, copy=False)
    bits = np.dtype(f"i{y.itemsize}")
    y_bits, total_bits = y.view(bits), total.view(bits)
    is_here = np.empty_like(taps, np.bool_)
    kept = is_here if is_apart else np.empty_like(taps, bits)
    for tap in taps_of(windows):
        outer = tap.outer
        here = np.equal(taps[outer], np.int32(tap.number), is_here[outer])
        if is_apart:
            np.multiply(y_bits[outer], here, total_bits[tap.inner])
        else:
            chosen = np.multiply(y_bits[outer], here, kept[outer])
            np.add(total[tap.inner], chosen.view(y.dtype), total[tap.inner])
    if total is not x:
        np.copyto(x, total, "unsafe")


def fold(parts: Array, windows: Windows, out: Array | None = None) -> Array:
    """The sums of (batch, channels, *kernel, *output), each at its place."""
    x = out
    if x is None:
        index: Any = (EVERYTHING, EVERYTHING, *(0,) * len(windows.kernel))
        x = np.empty_like(parts[index], shape=(*parts.shape[:2], *windows.input))
    _in_parts(_fold_part, windows, x, (parts,), (x,))
    return x


def _fold_part(windows: Windows, parts: Array, x: Array) -> None:
    is_apart = _are_apart(windows)
    total = np.empty_like(x, np.float32) if is_narrow(x.dtype) else x
    total.fill(0)
    if is_apart:
        for target, source in pairs_of(parts, windows, total):
            np.copyto(target, source)
    else:
        add_parts(parts, windows, total)
    if total is not x:
        np.copyto(x, total, "unsafe")


def add_parts(parts: Array, windows: Windows, x: Array) -> None:
    """Add (batch, channels, *kernel, *output) to `x`, each at its place."""
    for target, source in pairs_of(parts, windows, x):
        np.add(target, source, target)


def pairs_of(parts: Array, windows: Windows, x: Array) -> Iterator[tuple[Array, Array]]:
    """For each tap, where it lies in `x`, and what `parts` have for it."""
    for tap in taps_of(windows):
        index: Any = (EVERYTHING, EVERYTHING, *tap.place, *tap.outer[2:])
        yield x[tap.inner], parts[index]


def _are_apart(windows: Windows) -> bool:
    """Whether no two windows have an element in common."""
    return all((k - 1) * d < s for k, s, d in zip(windows.kernel, windows.stride, windows.dilation))


def _in_parts(
    function: Callable[..., None],
    windows: Windows,
    x: Array,
    sources: tuple[Array, ...],
    results: tuple[Array, ...],
) -> None:
    """Call `function(windows, *sources, *results)` for parts of the batch or of channels.

    `x` is the largest of these arrays, or what stands for them.
    """
    is_turned = _has_short_rows(x, windows)
    for part in _parts(x):
        inputs, outputs = [y[part] for y in sources], [y[part] for y in results]
        if not is_turned:
            function(windows, *inputs, *outputs)
            continue
        turned = [_planes_innermost(y.shape, y.dtype) for y in outputs]
        function(windows, *map(_turned, inputs), *turned)
        for y, z in zip(outputs, turned):
            np.copyto(y, z)


def _parts(x: Array) -> Iterator[Slices]:
    """Slices of batch or channels, whichever is outermost in memory, with PART bytes each."""
    if not x.size:
        return
    dim = int(abs(x.strides[1]) > abs(x.strides[0]) or x.shape[0] == 1)
    size = x.shape[dim]
    step = max(1, PART * size // x.nbytes)
    for start in range(0, size, step):
        yield (*(EVERYTHING,) * dim, slice(start, start + step))


def _has_short_rows(x: Array, windows: Windows) -> bool:
    """Whether runs along memory would be rows of few windows."""
    steps = [(abs(step), dim) for dim, step in enumerate(x.strides) if x.shape[dim] > 1]
    planes = x.shape[0] * x.shape[1]
    return min(steps, default=(0, 0))[1] > 1 and windows.output[-1] < min(SHORT, planes)


def _turned(x: Array) -> Array:
    """A copy with batch and channels innermost in memory; what repeats goes on to do so."""
    once = x[tuple([EVERYTHING if step else slice(1) for step in x.strides])]
    copy = _planes_innermost(once.shape, x.dtype)
    np.copyto(copy, once)
    return np.broadcast_to(copy, x.shape)


def _planes_innermost(shape: Shape, dtype: Any) -> Array:
    """An empty array with batch and channels innermost.

    From one place in a plane to the next there is an odd number of lines of the cache: after a
    power of two, places would drive each other out of it.
    """
    batch, channels, *size = shape
    planes = batch * channels
    lines = -(-planes * dtype.itemsize // LINE) | 1
    memory = np.empty((*size, lines * LINE // dtype.itemsize), dtype)
    memory = memory[..., :planes].reshape(*size, batch, channels)
    return memory.transpose(-2, -1, *range(len(size)))


def _lowest(dtype: np.dtype[Any]) -> Any:
    """What no element is less than."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf
