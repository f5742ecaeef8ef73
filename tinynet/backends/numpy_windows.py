"""Windows on the CPU: pools, and their transposes, in any number of dims.

One tap of all windows is a strided view of the input, clipped to the windows whose tap lies inside,
so each primitive is a loop over taps, of NumPy calls on whole views. Results keep the order of dims
in memory that the operands have, and the work is done in parts of a batch (or of channels) that
stay in a core's cache from one tap to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.numpy_calls import Array
from tinynet.shape import Shape
from tinynet.windows import Windows

PART = 1 << 19  # bytes of the input that are worked on together

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
    for part in _parts(x):
        _pool_part(x[part], windows, out[0][part], out[1][part])
    return out


def _pool_part(x: Array, windows: Windows, y: Array, taps: Array) -> None:
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
    for part in _parts(x):
        source, target, numbers = x[part], y[part], taps[part]
        target.fill(0)
        for tap in taps_of(windows):
            is_here = numbers[tap.outer] == tap.number
            np.copyto(target[tap.outer], source[tap.inner], where=is_here)
    return y


def spread(y: Array, taps: Array, windows: Windows, out: Array | None = None) -> Array:
    """The transpose of `pick`."""
    x = np.empty_like(taps, y.dtype, shape=(*y.shape[:2], *windows.input)) if out is None else out
    for part in _parts(x):
        if _is_narrow(x):
            wide = np.empty_like(x[part], np.float32)
            _spread_part(y[part].astype(np.float32), taps[part], windows, wide)
            np.copyto(x[part], wide, "unsafe")
        else:
            _spread_part(y[part], taps[part], windows, x[part])
    return x


def _spread_part(y: Array, taps: Array, windows: Windows, x: Array) -> None:
    """`spread` of a part. Elements are kept or dropped as bits: infinity times 0 is NaN."""
    x.fill(0)
    is_apart = _are_apart(windows)
    bits = np.dtype(f"i{y.itemsize}")
    y_bits, x_bits = y.view(bits), x.view(bits)
    is_here = np.empty_like(taps, np.bool_)
    kept = is_here if is_apart else np.empty_like(taps, bits)
    for tap in taps_of(windows):
        outer = tap.outer
        here = np.equal(taps[outer], np.int32(tap.number), is_here[outer])
        if is_apart:
            np.multiply(y_bits[outer], here, x_bits[tap.inner])
        else:
            chosen = np.multiply(y_bits[outer], here, kept[outer])
            np.add(x[tap.inner], chosen.view(y.dtype), x[tap.inner])


def fold(parts: Array, windows: Windows, out: Array | None = None) -> Array:
    """The sums of (batch, channels, *kernel, *output), each at its place."""
    index: Any = (EVERYTHING, EVERYTHING, *(0,) * len(windows.kernel))
    one = parts[index]
    x = out
    if x is None:
        x = np.empty_like(one, shape=(*parts.shape[:2], *windows.input))
    is_apart = _are_apart(windows)
    for part in _parts(x):
        total = np.empty_like(x[part], np.float32) if _is_narrow(x) else x[part]
        total.fill(0)
        for tap in taps_of(windows):
            index = (EVERYTHING, EVERYTHING, *tap.place, *tap.outer[2:])
            source, target = parts[part][index], total[tap.inner]
            if is_apart:
                np.copyto(target, source)
            else:
                np.add(target, source, target)
        if total.dtype != x.dtype:
            np.copyto(x[part], total, "unsafe")
    return x


def _are_apart(windows: Windows) -> bool:
    """Whether no two windows have an element in common."""
    return all((k - 1) * d < s for k, s, d in zip(windows.kernel, windows.stride, windows.dilation))


def _parts(x: Array) -> Iterator[Slices]:
    """Slices of batch or channels, whichever is outermost in memory, with PART bytes each."""
    if not x.size:
        return
    dim = int(abs(x.strides[1]) > abs(x.strides[0]) or x.shape[0] == 1)
    size = x.shape[dim]
    step = max(1, PART * size // x.nbytes)
    for start in range(0, size, step):
        yield (*(EVERYTHING,) * dim, slice(start, start + step))


def _is_narrow(x: Array) -> bool:
    """Whether sums run in float32 and are rounded once."""
    return x.itemsize == 2 and x.dtype.kind not in "iu"


def _lowest(dtype: np.dtype[Any]) -> Any:
    """What no element is less than."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf
