"""Whether indices are in range: their bounds tell where these are known, else a look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynet.backends.opencl.array import Array, Bounds
from tinynet.backends.opencl.recorder import Recorder
from tinynet.errors import DimError, RecordingError

if TYPE_CHECKING:
    from tinynet.backends.opencl.backend import OpenCLBackend


def check_indices(backend: OpenCLBackend, x: Array, indices: tuple[Array | None, ...]) -> None:
    """Raise for an index out of range. Values are read only where their bounds do not tell."""
    recorder = backend.recorder if backend.is_recorded else None
    for dim, index in enumerate(indices):
        if index is None or 0 in index.shape:
            continue
        size = x.shape[dim]
        if recorder is not None:
            recorder.rely_on_bounds(index, size)
        if _are_within(index.storage.value.bounds, size):
            continue
        if recorder is None:
            _look_at(backend, index, size, dim)
        else:
            _look_while_recording(backend, recorder, index, size, dim)


def _look_at(backend: OpenCLBackend, index: Array, size: int, dim: int) -> None:
    """Read an index, and remember what its bounds are."""
    bounds = _extremes(backend, index)
    if not _are_within(bounds, size):
        places = backend.to_numpy(index)
        wrong = places[(places < -size) | (places >= size)].flat[0]
        raise DimError(f"index: index {wrong} is out of range for dim {dim} of size {size}")
    value = index.storage.value
    if index.steps is None and value.op == "memory":
        value.bounds = bounds


def _look_while_recording(
    backend: OpenCLBackend, recorder: Recorder, index: Array, size: int, dim: int
) -> None:
    """The same, but only of what comes from outside, and as a condition of replays.

    Of a view, its whole memory must be in range, since that is what replays look at.
    """
    value = index.storage.value
    is_known = recorder.can_read(index) and value.op == "memory"
    if is_known:
        with recorder.paused():
            if index.steps is None:
                _look_at(backend, index, size, dim)
            else:
                whole = Array(index.storage, index.dtype, value.shape, None, 0)
                value.bounds = _extremes(backend, whole)
        recorder.narrow(index)
    if not is_known or not _are_within(value.bounds, size):
        known = value.bounds
        reach = "" if known is None else f" (between {known[0]} and {known[1]})"
        raise RecordingError(
            f"index: whether indices{reach} are in range for dim {dim} of size {size} depends on "
            "values that jit cannot read while it records; clamp() them, or pass them in, if that "
            "is not where one out of range comes from"
        )


def _extremes(backend: OpenCLBackend, index: Array) -> Bounds:
    """The smallest and the largest element."""
    places = backend.to_numpy(index)
    return int(places.min()), int(places.max())


def _are_within(bounds: Bounds, size: int) -> bool:
    """Whether all indices of these bounds are in range."""
    return bounds is not None and -size <= bounds[0] and bounds[1] < size
