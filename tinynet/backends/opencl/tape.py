"""Recording on OpenCL devices: the launches of a whole function, to be made again.

While a function is recorded, formulas and matrix products wait until it has returned: only then is
it known what of them anybody needs. The launches that compute outputs and memory from outside are
made once and noted; a replay makes them again. Their scratch memory comes from a pool of the
recording's own, where blocks are shared as lifetimes allow: replays run in the same order, on the
same queue.

Memory that may differ between replays is a *place*: inputs, tensors from outside, outputs, kept
gradients. A place knows which arguments of which launches are its buffer.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyopencl as cl

from tinynet.backends.opencl.array import (
    Array,
    Bounds,
    Storage,
    Value,
    View,
    as_array,
    is_exclusive,
    row_major,
)
from tinynet.backends.opencl.bounds import union
from tinynet.backends.opencl.device import Kernel
from tinynet.backends.opencl.memory import Block, Pool
from tinynet.backends.opencl.merging import merged
from tinynet.backends.opencl.scheduler import fitted
from tinynet.errors import RecordingError
from tinynet.numbers import Number

Size = tuple[int, ...]


class Launch:
    """A kernel and its arguments, of which `numbers` says which are numbers of a script."""

    __slots__ = ("args", "flops", "group", "kernel", "nbytes", "numbers", "run", "size")

    def __init__(
        self, kernel: Kernel, size: Size, group: Size, args: list[Any], nbytes: int, flops: int
    ) -> None:
        self.kernel, self.size, self.group = kernel, size, group
        self.nbytes, self.flops = nbytes, flops
        self.numbers = [(i, x.slot) for i, x in enumerate(args) if type(x) is Number]
        self.args = [x.value if type(x) is Number else x for x in args]
        self.run: Any = None  # of the last replay that was profiled

    @classmethod
    def of(cls, kernel: Kernel, parts: list[Launch]) -> Launch:
        """The launch of a kernel that does what all parts do."""
        args = [x for part in parts for x in part.args]
        nbytes, flops = sum([p.nbytes for p in parts]), sum([p.flops for p in parts])
        launch = cls(kernel, (1,), (1,), args, nbytes, flops)
        start = 0
        for part in parts:
            launch.numbers += [(start + i, slot) for i, slot in part.numbers]
            start += len(part.args)
        return launch


class Place:
    """Memory that launches use and that may be another one in each replay.

    `uses`: the arguments of each launch that are it; `written`: whether a replay changes it, and
    then `bounds` are those of what it leaves there.
    """

    def __init__(self, block: Block) -> None:
        self.block = block  # as recorded, then the last one used
        self.moved: Block | None = None  # where it was written to, while others read the old one
        self.uses: list[tuple[list[Any], int]] = []
        self.written = False
        self.bounds: Bounds = None

    def find_uses(self, launches: list[Launch]) -> None:
        """Note where the launches use the recorded buffers."""
        buffers = [block.buffer for block in (self.block, self.moved) if block is not None]
        self.uses = [
            (launch.args, i)
            for launch in launches
            for i, x in enumerate(launch.args)
            if any(x is buffer for buffer in buffers)
        ]
        self.block = self.moved or self.block

    def use(self, block: Block) -> None:
        """Have the launches use another block."""
        if block is not self.block:
            self.block = block
            for args, i in self.uses:
                args[i] = block.buffer


class Source:
    """Memory from outside: an input's or a tensor's storage, and its value when recording began."""

    def __init__(self, storage: Storage, is_input: bool) -> None:
        self.storage = storage
        self.is_input = is_input
        self.is_state = not is_input  # also reached in other ways than as an input
        value = storage.value
        assert value.block is not None
        self.place = Place(value.block)
        self.before = weakref.ref(value)
        self.bounds = value.bounds


class Recorder:
    """Notes what one thread asks of a device, from `start` to `stop`; the rest is in `finish`."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.device = backend.device
        self.thread = threading.get_ident()
        self.launches: list[Launch] = []
        self.sources: dict[int, Source] = {}  # by id of their storage
        self.before: dict[int, Source] = {}  # by id of the value that they had
        self.inputs: list[Array] = []
        self.products: list[weakref.ref[Value]] = []
        self.pool = Pool(self.device.context, self.device.name, self.device.pool.largest)
        self.originals: list[Array] = []  # of the inputs
        self.constants: list[Value] = []  # held, so that nothing is written over them
        self.minds_bounds = False  # whether integers were used as indices
        self.is_paused = False
        self.is_used = False

    def start(self) -> None:
        self.backend.recorder = self.device.recorder = self.device.pool.recorder = self
        planner = self.backend.scheduler.planner
        self.patience = planner.patience
        planner.patience = 0  # what is replayed is worth its compilation

    def stop(self) -> None:
        self.backend.scheduler.planner.patience = self.patience
        self.backend.recorder = self.device.recorder = self.device.pool.recorder = None

    def is_mine(self) -> bool:
        """Whether a call is to be noted."""
        return threading.get_ident() == self.thread and not self.is_paused

    def add_inputs(self, arrays: list[Array]) -> list[Array]:
        self.originals = arrays
        self.is_paused = True
        try:
            self.inputs = prepared(self.backend, arrays, True)
        finally:
            self.is_paused = False
        for x in self.inputs:
            if 0 not in x.storage.value.shape:
                self.add_source(x, True)
        return self.inputs

    def add_state(self, array: Array) -> None:
        if 0 not in array.storage.value.shape:
            self.add_source(array, False)

    def add_source(self, array: Array, is_input: bool) -> None:
        storage = array.storage
        if id(storage) in self.sources:
            self.sources[id(storage)].is_state |= not is_input
            return
        self.is_paused = True
        try:
            self.backend.memory(array)
        finally:
            self.is_paused = False
        source = self.sources[id(storage)] = Source(storage, is_input)
        self.before[id(storage.value)] = source
        if is_input and source.bounds is not None:
            key = (array.shape, array.dtype)
            source.bounds = union(source.bounds, self.backend.seen_bounds.get(key, source.bounds))
            storage.value.bounds = source.bounds

    # asked by the backend
    def read(self, index: Array) -> bool:
        """Whether values that were there before the recording can be read; they are a condition."""
        return id(index.storage) in self.sources

    def narrow(self, index: Array) -> None:
        """Make it a condition that integers from outside stay within the bounds they have."""
        source = self.sources[id(index.storage)]
        source.bounds = index.storage.value.bounds

    def postpone(self, product: Value) -> None:
        """Note a product, whose factors may still be formulas."""
        self.products.append(weakref.ref(product))
        self.is_used = True

    def hold(self, value: Value) -> None:
        """Note a constant."""
        self.constants.append(value)

    def may_donate(self, value: Value, to: Value) -> bool:
        """Whether the memory of `value` may become that of `to`: from outside, only in place."""
        source = self.before.get(id(value))
        if source is None or source.before() is not value:
            return True
        return source.storage.value is to

    def note(
        self, kernel: Kernel, size: Size, group: Size, args: tuple[Any, ...], nbytes: int,
        flops: int,
    ) -> list[Any]:  # fmt: skip
        """Note a launch; returns its arguments with plain numbers."""
        launch = Launch(kernel, size, group, list(args), nbytes, flops)
        self.launches.append(launch)
        self.is_used = True
        return launch.args

    # the end
    def finish(self, outputs: list[Array], kept: list[Array]) -> Tape:
        """Compute what is needed, and make the tape."""
        self.start()
        try:
            self.compute_products()
            given = [self.settled(x, outputs) for x in outputs]
            held = [self.settled(x, [], True) for x in kept]
            self.write_sources()
        finally:
            self.stop()
        return Tape(self, given, held)

    def compute_products(self) -> None:
        """In their order, the factors of all products that somebody needs."""
        scheduler = self.backend.scheduler
        for reference in self.products:
            product = reference()
            if product is not None and product.op == "matmul":
                for i in range(2):
                    scheduler.compute(product.args[i].value)
            del product

    def settled(self, x: Array, others: list[Array], is_kept: bool = False) -> Array:
        """An output, computed into memory of its own, unless it is a view from outside.

        What shares memory with `others` goes on to do so. What `is_kept` is always in memory.
        """
        backend = self.backend
        value = x.storage.value
        is_same = value.op == "full" and type(value.params) is not Number and not is_kept
        if id(x.storage) in self.sources or 0 in x.shape or is_same:
            return x
        del value
        if sum([y.storage is x.storage for y in others]) > 1:
            whole = self.settled(as_view(x.storage), [])
            x.storage.value = whole.storage.value
            return x
        value = backend.elements(x)
        if x.steps is None and x.storage.value is value and self.is_made(value):
            return x
        copied = backend.loaded(value)
        backend.scheduler.compute(copied)
        return as_array(copied)

    def is_made(self, value: Value) -> bool:
        """Whether a noted launch writes a value, so that each replay makes it anew."""
        assert value.block is not None
        buffer = value.block.buffer
        is_outside = any(source.place.block.buffer is buffer for source in self.sources.values())
        is_used = any(x is buffer for launch in self.launches for x in launch.args)
        return is_used and not is_outside and not any(value is x for x in self.constants)

    def write_sources(self) -> None:
        """Compute the new values of memory from outside, and bring them there."""
        backend = self.backend
        changed = [s for s in self.sources.values() if s.storage.value is not s.before()]
        for original, x in zip(self.originals, self.inputs):
            sources = [self.sources.get(id(y.storage)) for y in (original, x)]
            if (
                original.storage is not x.storage
                and None not in sources
                and not {*changed}.isdisjoint(sources)
            ):
                raise RecordingError(
                    f"jit: an input of shape {x.shape} is a view of a tensor that the function "
                    "uses too, and one of them is written; pass a clone()"
                )
        for source in changed:
            backend.memory(as_view(source.storage))
        for source in changed:
            value = source.storage.value
            source.place.written = True
            source.place.bounds = value.bounds
            assert value.block is not None
            if value.block.buffer is not source.place.block.buffer:
                there = Value("memory", value.dtype, value.shape, bounds=value.bounds)
                there.block = source.place.block
                if source.before() is not None:  # somebody outside has yet to read it
                    self.is_paused = True
                    there.block = self.device.pool.allocate(source.place.block.nbytes)
                    source.place.moved = there.block
                    self.is_paused = False
                window = View(there, value.shape, row_major(value.shape), 0)
                backend.scheduler.compute(backend.loaded(value), window)
                source.storage.value = there
        self.is_paused = True
        for original, x in zip(self.originals, self.inputs):
            if original.storage is not x.storage and self.sources[id(x.storage)].place.written:
                backend.assign(original, x)


class Tape:
    """Launches that were recorded. `replay` makes them; printed, it lists them."""

    def __init__(self, recorder: Recorder, outputs: list[Array], kept: list[Array]) -> None:
        self.backend = recorder.backend
        self.device = recorder.device
        self.launches = merged(self.device, recorder.launches, Launch.of)
        self.minds_bounds = recorder.minds_bounds
        self.constants = recorder.constants
        self.nbytes = recorder.pool.used + recorder.pool.held
        self.device.pool.used += self.nbytes
        weakref.finalize(self, _give_back, self.device.pool, self.nbytes)
        sources = recorder.sources
        each: Any
        for each in sources.values():
            each.place.find_uses(self.launches)
        self.states = [s for s in sources.values() if not s.is_input]
        self.state_ids = {id(s.storage) for s in sources.values() if s.is_state}
        self.inputs = [sources.get(id(x.storage)) for x in recorder.inputs]
        self.pattern = self.pattern_of(recorder.originals)
        self.shapes = [(x.shape, x.dtype) for x in recorder.inputs]
        for key, source in zip(self.shapes, self.inputs):
            if source is not None and source.bounds is not None and self.minds_bounds:
                self.backend.seen_bounds[key] = source.bounds
        self.fresh: list[tuple[Place, Value]] = []  # memory that each replay makes anew
        self.fresh_ids: dict[int, int] = {}
        self.outputs = [self.output(x, recorder) for x in outputs]
        self.kept_places = [self.place_of(x) for x in kept]
        self.kept_like = [(x.dtype, x.shape, x.storage.value.bounds) for x in kept]
        self.numbers = [
            (launch.args, i, slot, _ctype(launch.kernel.types[i]))
            for launch in self.launches
            for i, slot in launch.numbers
        ]
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

    def output(self, x: Array, recorder: Recorder) -> tuple[str, Any, Array]:
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
            self.fresh.append((self.place_of(x), value))
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
        self.holders: list[int] = []

    def settle(self) -> None:
        self.holders = self.count_holders()

    def is_held(self) -> bool:
        return self.count_holders() != self.holders

    def count_holders(self) -> list[int]:
        counts = [sys.getrefcount(x) for x in self.kept]
        for x in self.kept:
            counts += [sys.getrefcount(x.storage), sys.getrefcount(x.storage.value)]
        return counts

    def fits(self, inputs: list[Array]) -> bool:
        """Whether inputs share memory as those recorded did, and indices are in range."""
        if self.pattern_of(inputs) != self.pattern:
            return False
        if self.minds_bounds:
            for x, source in zip(prepared(self.backend, inputs, True), self.inputs):
                if source is not None and not _is_inside(x.storage.value, source.bounds):
                    return False
            for state in self.states:
                if not _is_inside(state.storage.value, state.bounds):
                    return False
        return True

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
        for args, i, slot, ctype in self.numbers:
            args[i] = fitted(numbers[slot], ctype)
        fresh = [self.new_storage(place, value) for place, value in self.fresh]
        results = [self.result(*output, given, fresh) for output in self.outputs]
        self.launch_all()
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

    def launch_all(self) -> None:
        """Enqueue the launches."""
        device = self.device
        queue, enqueue, watch = device.queue, cl.enqueue_nd_range_kernel, device.watch
        with device.lock:
            device.launches += len(self.launches)
            for launch in self.launches:
                kernel = launch.kernel
                kernel.set_args(*launch.args)
                if watch is None:
                    enqueue(queue, kernel.cl_kernel, launch.size, launch.group)
                else:
                    launch.run = watch.launch(
                        kernel, launch.size, launch.group, launch.nbytes, launch.flops
                    )

    def new_storage(self, place: Place, known: Value) -> Storage:
        """Memory for outputs of the replay that is about to begin."""
        value = Value("memory", known.dtype, known.shape, bounds=known.bounds)
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
        head = f"{len(self.launches)} kernels on {self.backend.name}, {self.nbytes:,} bytes of"
        return "\n".join([f"{head} buffers", *self.described()])

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
    """Inputs that are all of their storages: copies of those that are but parts, or in another
    order. Those that share a storage stay as they are.
    """
    ids = [id(x.storage) for x in inputs]
    result = []
    for x in inputs:
        if x.steps is not None and 0 not in x.shape and ids.count(id(x.storage)) == 1:
            x = as_array(backend.elements(x))
        value = x.storage.value
        if needs_bounds and x.dtype.rank == 1 and value.bounds is None and 0 not in value.shape:
            numbers = backend.to_numpy(as_view(x.storage))
            x.storage.value.bounds = int(numbers.min()), int(numbers.max())
        result.append(x)
    return result


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
