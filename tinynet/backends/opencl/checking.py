"""Whether indices are in range: their bounds tell where these are known, else a look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.backends.base import with_sign
from tinynet.backends.opencl.array import READY, Array, Bounds, Storage, Value, View
from tinynet.backends.opencl.bounds import bounds_of, cast_bounds
from tinynet.backends.opencl.recorder import Recorder
from tinynet.backends.opencl.tape import Source
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
            _check_while_recording(backend, recorder, index, size, dim)
        elif not _are_within(index.storage.value.bounds, size):
            _look_at(backend, index, size, dim)


def _look_at(backend: OpenCLBackend, index: Array, size: int, dim: int) -> None:
    """Read an index, and remember what its bounds are."""
    bounds = _extremes(backend, index)
    if not _are_within(bounds, size):
        places = backend.to_numpy(index)
        wrong = with_sign(int(places[(places < -size) | (places >= size)].flat[0]))
        raise DimError(f"index: index {wrong} is out of range for dim {dim} of size {size}")
    value = index.storage.value
    if index.steps is None and value.op == "memory":
        value.bounds = bounds


def _check_while_recording(
    backend: OpenCLBackend, recorder: Recorder, index: Array, size: int, dim: int
) -> None:
    """The same, as a condition of replays: of what comes from outside, or of what is made of it.

    Of a view, its whole memory had better be in range, since that is what replays look at.
    """
    value = index.storage.value
    if recorder.can_read(index) and not _are_within(value.bounds, size):
        with recorder.paused():
            if index.steps is None:
                _look_at(backend, index, size, dim)
            else:
                whole = Array(index.storage, index.dtype, value.shape, None, 0)
                value.bounds = _extremes(backend, whole)
        recorder.narrow(index)
    if _are_within(value.bounds, size):
        recorder.rely_on_bounds(index, size)
        return
    sources = recorder.sources_of(value)
    if sources is None:
        known = value.bounds
        reach = "" if known is None else f" (between {known[0]} and {known[1]})"
        raise RecordingError(
            f"index: whether indices{reach} are in range for dim {dim} of size {size} depends on "
            "values that jit cannot read while it records; clamp() them, or pass them in, if that "
            "is not where one out of range comes from"
        )
    made = MadeIndex(index, size, sources)
    with recorder.paused():
        if not made.is_within(backend, made.first):
            _look_at(backend, made.array(made.first), size, dim)
    made.first.clear()
    recorder.made_indices.append(made)


class MadeIndex:
    """An index that a recorded function makes of memory from outside: each replay looks at it.

    `first` are the values that the `sources` had when recording began.
    """

    def __init__(self, index: Array, size: int, sources: list[Source]) -> None:
        self.sources = sources
        self.first = [value for source in sources if (value := source.before()) is not None]
        self.stand_ins = [Value("memory", x.dtype, x.shape) for x in self.first]
        self.formula = remade(index.storage.value, self.first, self.stand_ins)
        self.look = index.dtype, index.shape, index.steps, index.offset
        bounds = index.storage.value.bounds
        # where it is known not to be negative, kernels do not count from the end
        self.range = 0 if bounds is not None and bounds[0] >= 0 else -size, size

    def array(self, values: list[Value]) -> Array:
        """The index that is made of these values."""
        return Array(Storage(remade(self.formula, self.stand_ins, values)), *self.look)

    def is_within(self, backend: OpenCLBackend, values: list[Value]) -> bool:
        """Whether it is in range; it is read only where its bounds do not tell."""
        index, (start, stop) = self.array(values), self.range
        bounds = index.storage.value.bounds
        if bounds is None or not (start <= bounds[0] and bounds[1] < stop):
            bounds = _extremes(backend, index)
        return bounds is not None and start <= bounds[0] and bounds[1] < stop


def remade(value: Value, before: list[Value], now: list[Value]) -> Value:
    """A formula of other values: those `now` in place of those `before`."""
    made: dict[int, Value] = dict(zip(map(id, before), now))

    def of(value: Value) -> Value:
        if id(value) not in made:
            made[id(value)] = value if value.op in READY else anew(value)
        return made[id(value)]

    def operand(x: Any) -> Any:
        if type(x) is View:
            return View(of(x.value), x.shape, x.strides, x.offset)
        return of(x) if type(x) is Value else x

    def anew(value: Value) -> Value:
        args = tuple(map(operand, value.args))
        bounds = None
        if value.op == "cast":
            source = args[0].value if type(args[0]) is View else args[0]
            bounds = cast_bounds(source.bounds, value.params, value.dtype)
        elif value.op not in ("reduce", "take"):
            bounds = bounds_of(value.op, args) if value.dtype.rank == 1 else None
        return Value(value.op, value.dtype, value.shape, args, value.params, value.weight, bounds)

    return of(value)


def _extremes(backend: OpenCLBackend, index: Array) -> Bounds:
    """The smallest and the largest element."""
    places = backend.to_numpy(index)
    return int(places.min()), int(places.max())


def _are_within(bounds: Bounds, size: int) -> bool:
    """Whether all indices of these bounds are in range."""
    return bounds is not None and -size <= bounds[0] and bounds[1] < size
