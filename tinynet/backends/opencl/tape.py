"""Replays on OpenCL devices: the launches of a recorded function, made again.

Memory that may differ between replays is a *place* (`launches`): inputs, tensors from outside,
outputs, kept gradients.
"""

from __future__ import annotations

import math
import sys
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyopencl as cl

from tinynet.backends.opencl.array import Array, Bounds, Storage, Value, as_array, is_exclusive
from tinynet.backends.opencl.bounds import stretched
from tinynet.backends.opencl.chaining import chained
from tinynet.backends.opencl.discovery import process
from tinynet.backends.opencl.launches import Launch, Place
from tinynet.backends.opencl.memory import Pool
from tinynet.backends.opencl.scheduler import fitted
from tinynet.backends.runs import KernelRun
from tinynet.errors import KernelError

PATIENCE = 4  # replays before launches get kernel objects of their own
LONG_PATIENCE = 32  # replays before launches are chained, which may take seconds of compilation


class Source:
    """Memory from outside: an input's or a tensor's storage, and its value when recording began."""

    def __init__(self, storage: Storage, is_input: bool) -> None:
        self.storage: Any = storage
        self.is_input = is_input
        self.is_state = not is_input  # also reached in other ways than as an input
        value = storage.value
        assert value.block is not None
        self.place = Place(value.block)
        self.before = weakref.ref(value)
        self.bounds = value.bounds
        self.is_relied_on = False  # whether an index is in range because this has these bounds
        self.is_derived_from = False  # whether such an index is made of this
        self.least_size = 0  # of the dims that this itself is an index of

    def is_as_before(self, value: Value) -> bool:
        """Whether a value is the one that was there when recording began, which nobody wrote to."""
        return self.before() is value and not self.place.written

    def next_bounds(self) -> Bounds:
        """Bounds that a recording may rely on that is made because these do not hold."""
        if self.is_derived_from or not self.least_size:
            return self.bounds
        return stretched(self.bounds, self.least_size)


class Tape:
    """Launches that were recorded. `replay` makes them; printed, it lists them."""

    reached = 0  # errors come before the first launch

    def __init__(self, recorder: Any, outputs: list[Array], kept: list[Array]) -> None:
        self.backend = recorder.backend
        self.device = recorder.device
        self.launches = recorder.launches
        self.constants = recorder.constants
        self.nbytes = recorder.pool.used + recorder.pool.held
        self.device.pool.used += self.nbytes
        weakref.finalize(self, _give_back, self.device.pool, self.nbytes)
        sources = recorder.sources
        each: Any
        for each in sources.values():
            each.place.find_uses(self.launches)
            if each.place.written:
                each.place.bounds = recorder.lasting_bounds(each.storage.value)
        self.made_indices = recorder.made_indices
        self.states = [s for s in sources.values() if not s.is_input]
        self.state_ids = {id(s.storage) for s in sources.values() if s.is_state}
        self.inputs = [sources.get(id(x.storage)) for x in recorder.inputs]
        self.pattern = self.pattern_of(recorder.originals)
        for place, source in enumerate(self.inputs):
            if source is not None and source.bounds is not None and source.is_relied_on:
                recorder.seen[place] = source.next_bounds()
        self.fresh: list[tuple[Place, Value, Bounds]] = []  # memory that each replay makes anew
        self.fresh_ids: dict[int, int] = {}
        self.outputs = [self.output(x, recorder) for x in outputs]
        for source in self.inputs:
            if source is not None and not source.is_state:
                source.storage = None  # nothing of the recorded call's stays here
        self.kept_places = [self.place_of(x) for x in kept]
        self.kept_like = [
            (x.dtype, x.shape, recorder.lasting_bounds(x.storage.value)) for x in kept
        ]
        self.replays = 0
        self.chains = self.launches  # what replays enqueue, unless somebody watches
        self.unbound = _without_numbers(self.launches)
        self.numbers = _numbers_of(self.launches)
        self.chain_numbers = self.numbers
        self.bind()

    def pattern_of(self, inputs: list[Array]) -> list[Any]:
        """Which inputs share their memory, with one another or with tensors from outside."""
        ids = [id(x.storage) for x in inputs]
        if len(set(ids)) == len(ids) and self.state_ids.isdisjoint(ids):
            return ids[:0]
        return [
            (key, x.offset, x.steps) if key in self.state_ids
            else (ids.index(key), x.offset, x.steps) if ids.count(key) > 1
            else i
            for i, (key, x) in enumerate(zip(ids, inputs))
        ]  # fmt: skip

    def place_of(self, x: Array) -> Place:
        block = x.storage.value.block
        assert block is not None
        place = Place(block)
        place.find_uses(self.launches)
        return place

    def output(self, x: Array, recorder: Any) -> tuple[str, Any, Array]:
        """How a replay gives an output: kind, its memory, and an array that is like it."""
        value = x.storage.value
        if id(x.storage) in recorder.sources:
            source = recorder.sources[id(x.storage)]
            if source.is_input:
                numbers = [i for i, s in enumerate(self.inputs) if s is source]
                return "input", numbers[0], x
            return "state", x.storage, x
        if value.op != "memory" or 0 in x.shape:
            return "same", value, x
        if id(x.storage) not in self.fresh_ids:
            self.fresh_ids[id(x.storage)] = len(self.fresh)
            self.fresh.append((self.place_of(x), value, recorder.lasting_bounds(value)))
        return "new", self.fresh_ids[id(x.storage)], x

    def bind(self) -> None:
        """Go on with new memory for what is kept."""
        self.kept = []
        for place, (dtype, shape, bounds) in zip(self.kept_places, self.kept_like):
            block = self.device.pool.allocate(place.block.nbytes)
            place.use(block)
            value = Value("memory", dtype, shape, bounds=bounds)
            value.block = block
            self.kept.append(as_array(value))
        self.values: list[weakref.ref[Value]] = []
        self.holders: list[int] = []

    def settle(self) -> None:
        self.values = [weakref.ref(x.storage.value) for x in self.kept]
        self.holders = self.count_holders()

    def is_held(self) -> bool:
        """Whether somebody else holds what is kept, or has written into it."""
        is_written = any(x.storage.value is not value() for x, value in zip(self.kept, self.values))
        return is_written or self.count_holders() != self.holders

    def count_holders(self) -> list[int]:
        counts = [sys.getrefcount(x) for x in self.kept]
        for x in self.kept:
            counts += [sys.getrefcount(x.storage), sys.getrefcount(x.storage.value)]
        return counts

    def fits(self, inputs: list[Array]) -> bool:
        """Whether inputs share memory as those recorded did, and indices are in range."""
        if self.pattern_of(inputs) != self.pattern:
            return False
        for x, source in zip(inputs, self.inputs):
            is_known = source is None or not source.is_relied_on
            if not is_known and not self.is_inside(x, source.bounds):
                return False
        relied_on = [state for state in self.states if state.is_relied_on]
        if not all(_is_inside(state.storage.value, state.bounds) for state in relied_on):
            return False
        return not self.made_indices or self.are_made_within(inputs)

    def are_made_within(self, inputs: list[Array]) -> bool:
        """Whether indices that the function makes of memory from outside will be in range."""
        given = prepared(self.backend, inputs, False)
        storages = {id(source): x.storage for x, source in zip(given, self.inputs)}
        for made in self.made_indices:
            found = [storages.get(id(source), source.storage) for source in made.sources]
            values = [self.backend.memory(as_view(storage)) for storage in found]
            if not made.is_within(self.backend, values):
                return False
        return True

    def is_inside(self, x: Array, bounds: Bounds) -> bool:
        """Whether an input's integers lie within bounds; they are read only if that is unknown."""
        if _is_inside(x.storage.value, bounds):
            return True
        (x,) = prepared(self.backend, [x], True)
        return _is_inside(x.storage.value, bounds)

    def replay(self, inputs: list[Array], numbers: list[Any]) -> list[Array]:
        """Launch everything again. Returns the outputs."""
        backend = self.backend
        given = prepared(backend, inputs, False)
        for x, source in zip(given, self.inputs):
            if source is None:
                continue
            self.lay_open(x.storage, source.place)
        for state in self.states:
            self.lay_open(state.storage, state.place)
        fresh = [self.new_storage(*each) for each in self.fresh]
        results = [self.result(*output, given, fresh) for output in self.outputs]
        self.launch_all(numbers)
        for original, x, source in zip(inputs, given, self.inputs):
            if original.storage is not x.storage and source and source.place.written:
                backend.assign(original, x)
        return results

    def lay_open(self, storage: Storage, place: Place) -> None:
        """Have the launches use a storage's memory; nobody else reads what they write."""
        if storage.value.op != "memory":
            self.backend.memory(as_view(storage))
        if place.written:
            if not is_exclusive(storage):
                self.backend.own_memory(as_view(storage))
            storage.value.bounds = place.bounds
        block = storage.value.block
        if block is not place.block:
            assert block is not None
            place.use(block)

    def launch_all(self, numbers: list[Any]) -> None:
        """Enqueue the launches: chained, or one by one for who watches them."""
        process.check()
        device = self.device
        enqueue = cl.enqueue_nd_range_kernel
        with device.lock:
            queue, watch = device.queue, device.watch
            for args, i, slot, ctype in self.chain_numbers if watch is None else self.numbers:
                args[i] = fitted(numbers[slot], ctype)
            if watch is not None:
                device.launches += len(self.launches)
                for launch in self.launches:
                    self.watched(launch, watch)
                return
            self.bind_arguments()
            device.launches += len(self.chains)
            for launch in self.chains:
                if launch.own is not None:
                    enqueue(queue, launch.own, launch.size, launch.group)
                    continue
                launch.kernel.set_args(*launch.args)
                enqueue(queue, launch.kernel.cl_kernel, launch.size, launch.group)

    @staticmethod
    def watched(launch: Launch, watch: Any) -> None:
        """Enqueue a launch of which somebody wants to know."""
        launch.kernel.set_args(*launch.args)
        launch.run = watch.launch(
            launch.kernel, launch.size, launch.group, launch.args, launch.nbytes, launch.flops
        )
        launch.run.ops, (launch.run.reads, launch.run.writes) = launch.ops, launch.uses

    def bind_arguments(self) -> None:
        """Chain the launches, and give one more a kernel object of its own, which saves half of a
        launch's time.

        That takes 0.2 ms (PoCL), so a tape does so once it has been replayed a few times, launch by
        launch; those with numbers set their arguments anyway.
        """
        self.replays += 1
        if self.replays == LONG_PATIENCE:
            self.chain()
        elif self.replays > PATIENCE and self.unbound and self.device.can_clone:
            launch = self.unbound.pop()
            launch.kernel.set_args(*launch.args)
            try:
                launch.own = launch.kernel.cl_kernel.clone()
            except cl.Error:  # a driver may say that it has OpenCL 2.1, and not have all of it
                self.device.can_clone = False

    def chain(self) -> None:
        """Make as few launches as can be of all.

        Where a driver does not compile what it compiled in parts, a warning says so.
        """
        places = [source.place for source in self.inputs if source is not None]
        places += [state.place for state in self.states]
        places += [*[place for place, _, _ in self.fresh], *self.kept_places]
        try:
            self.chains = chained(self.device, self.launches, [*dict.fromkeys(places)])
        except KernelError as error:
            warnings.warn(f"jit: kernels are launched one by one: {error}", stacklevel=6)
            return
        self.chain_numbers = _numbers_of(self.chains)
        self.unbound = _without_numbers(self.chains)
        for launch in self.launches:
            launch.own = None

    def new_storage(self, place: Place, known: Value, bounds: Bounds) -> Storage:
        """Memory for outputs of the replay that is about to begin."""
        value = Value("memory", known.dtype, known.shape, bounds=bounds)
        value.block = self.device.pool.allocate(place.block.nbytes)
        place.use(value.block)
        return Storage(value)

    def result(
        self, kind: str, what: Any, like: Array, inputs: list[Array], fresh: list[Storage]
    ) -> Array:
        """An output of the replay that is about to begin."""
        if kind == "same":
            return as_array(Value("full", like.dtype, like.shape, params=what.params))
        if kind == "state":
            storage = what
        else:
            storage = inputs[what].storage if kind == "input" else fresh[what]
        return Array(storage, like.dtype, like.shape, like.steps, like.offset)

    def __str__(self) -> str:
        count, name = len(self.launches), self.backend.name
        head = f"{count} kernels on {name}, {self.nbytes:,} bytes of buffers"
        if len(self.chains) < len(self.launches):
            head += f", launched as {len(self.chains)}"
        return "\n".join([head, *self.described()])

    def runs(self) -> list[KernelRun]:
        """The launches, as profiles note them."""
        return [launch.noted(self.device.name) for launch in self.launches]

    def described(self) -> Iterator[str]:
        """A line for each launch."""
        for i, launch in enumerate(self.launches):
            size = "x".join(map(str, launch.size))
            text = f"{i:>4}  {launch.kernel.name:<40} {size:>12} {launch.nbytes:>14,} bytes"
            if launch.flops:
                text += f" {launch.flops:>14,} flops"
            if launch.run is not None:
                launch.run.measure()
                text += f" {launch.run.duration / 1e3:>9.1f} us"
            yield text


def prepared(backend: Any, inputs: list[Array], needs_bounds: bool) -> list[Array]:
    """Inputs that are all of their storages: copies of those that are but parts. Those that share a
    storage, or have its elements in another order, stay as they are.
    """
    ids = [id(x.storage) for x in inputs]
    result = []
    for x in inputs:
        is_part = x.steps is not None and 0 not in x.shape and not _is_transposed(x)
        if is_part and ids.count(id(x.storage)) == 1:
            x = as_array(backend.elements(x))
        value = x.storage.value
        if needs_bounds and x.dtype.rank == 1 and value.bounds is None and 0 not in value.shape:
            numbers = backend.to_numpy(as_view(x.storage))
            x.storage.value.bounds = int(numbers.min()), int(numbers.max())
        result.append(x)
    return result


def _is_transposed(x: Array) -> bool:
    """Whether an array is all of its storage, the dims in another order."""
    size = 1
    for stride, n in sorted(zip(x.strides, x.shape)):
        if n > 1 and stride != size:
            return False
        size *= n
    return size == math.prod(x.storage.value.shape)


def _without_numbers(launches: list[Launch]) -> list[Launch]:
    return [launch for launch in launches if not launch.numbers]


def _numbers_of(launches: list[Launch]) -> list[tuple[list[Any], int, int, str]]:
    """Where numbers of the script go: arguments, which of them, which number and its C type."""
    return [
        (launch.args, i, slot, _ctype(launch.kernel.types[i]))
        for launch in launches
        for i, slot in launch.numbers
    ]


def _give_back(pool: Pool, nbytes: int) -> None:
    pool.used -= nbytes


def as_view(storage: Storage) -> Array:
    """All of a storage."""
    value = storage.value
    return Array(storage, value.dtype, value.shape, None, 0)


def _is_inside(value: Value, bounds: Bounds) -> bool:
    known = value.bounds
    return bounds is None or (known is not None and bounds[0] <= known[0] and known[1] <= bounds[1])


def _ctype(kind: Any) -> str:
    """What `fitted` calls a kernel argument's NumPy type."""
    return {"float32": "float", "float64": "double"}.get(np.dtype(kind).name, "long")
