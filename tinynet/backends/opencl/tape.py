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
from tinynet.backends.opencl.scheduler import fitted
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


class Place:
    """Memory that launches use and that may be another one in each replay.

    `uses`: the arguments of each launch that are it; `written`: whether a replay changes it, and
    then `bounds` are those of what it leaves there.
    """

    def __init__(self, block: Block) -> None:
        self.block = block  # as recorded, then the last one used
        self.uses: list[tuple[list[Any], int]] = []
        self.written = False
        self.bounds: Bounds = None

    def find_uses(self, launches: list[Launch]) -> None:
        """Note where the launches use the recorded buffer."""
        buffer = self.block.buffer
        self.uses = [
            (launch.args, i)
            for launch in launches
            for i, x in enumerate(launch.args)
            if x is buffer
        ]

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

    def add_input(self, array: Array) -> Array:
        self.originals.append(array)
        self.is_paused = True
        try:
            array = prepared(self.backend, array, needs_bounds=True)
        finally:
            self.is_paused = False
        self.inputs.append(array)
        if 0 not in array.shape:
            self.add_source(array, True)
        return array

    def add_state(self, array: Array) -> None:
        if 0 not in array.storage.value.shape:
            self.add_source(array, False)

    def add_source(self, array: Array, is_input: bool) -> None:
        storage = array.storage
        if id(storage) in self.sources:
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
            given = [self.settled(x) for x in outputs]
            held = [self.settled(x) for x in kept]
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

    def settled(self, x: Array) -> Array:
        """An output, computed into memory of its own, unless it is a view from outside."""
        backend = self.backend
        value = x.storage.value
        is_same = value.op == "full" and type(value.params) is not Number
        if id(x.storage) in self.sources or 0 in x.shape or is_same:
            return x
        del value
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
                window = View(there, value.shape, row_major(value.shape), 0)
                backend.scheduler.compute(backend.loaded(value), window)
                source.storage.value = there
        self.is_paused = True
        for original, x in zip(self.originals, self.inputs):
            if original is not x and self.sources[id(x.storage)].place.written:
                backend.assign(original, x)


class Tape:
    """Launches that were recorded. `replay` makes them; printed, it lists them."""

    def __init__(self, recorder: Recorder, outputs: list[Array], kept: list[Array]) -> None:
        self.backend = recorder.backend
        self.device = recorder.device
        self.launches = recorder.launches
        self.minds_bounds = recorder.minds_bounds
        self.constants = recorder.constants
        self.nbytes = recorder.pool.used + recorder.pool.held
        sources = recorder.sources
        each: Any
        for each in sources.values():
            each.place.find_uses(self.launches)
        self.states = [s for s in sources.values() if not s.is_input]
        self.state_ids = {id(s.storage) for s in self.states}
        self.inputs = [sources.get(id(x.storage)) for x in recorder.inputs]
        self.pattern = self.pattern_of(recorder.originals)
        self.shapes = [(x.shape, x.dtype) for x in recorder.inputs]
        for key, source in zip(self.shapes, self.inputs):
            if source is not None and source.bounds is not None and self.minds_bounds:
                self.backend.seen_bounds[key] = source.bounds
        self.outputs = [self.output(x, recorder) for x in outputs]
        self.kept_places = [self.place_of(x) for x in kept]
        self.kept_like = [(x.dtype, x.shape, x.storage.value.bounds) for x in kept]
        self.numbers = [
            (launch.args, i, slot, _ctype(launch.kernel.types[i]))
            for launch in self.launches
            for i, slot in launch.numbers
        ]
        self.bind()

    def pattern_of(self, inputs: list[Array]) -> list[int]:
        """Which inputs share their memory with others, or with tensors from outside."""
        ids = [id(x.storage) if x.steps is None else -i for i, x in enumerate(inputs)]
        return [-1 if key in self.state_ids else ids.index(key) for key in ids]

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
        return "new", self.place_of(x), x

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
            for x, source in zip(inputs, self.inputs):
                if source is not None and source.bounds is not None:
                    if not _is_within(prepared(self.backend, x, True), source.bounds):
                        return False
            for state in self.states:
                if state.bounds is not None and not _is_inside(state.storage.value, state.bounds):
                    return False
        return True

    def replay(self, inputs: list[Array], numbers: list[Any]) -> list[Array]:
        """Launch everything again. Returns the outputs."""
        backend = self.backend
        given = [prepared(backend, x, False) for x in inputs]
        for x, source in zip(given, self.inputs):
            if source is None:
                continue
            self.lay_open(x.storage, source.place)
        for state in self.states:
            self.lay_open(state.storage, state.place)
        for args, i, slot, ctype in self.numbers:
            args[i] = fitted(numbers[slot], ctype)
        results = [self.result(*output, given) for output in self.outputs]
        self.launch_all()
        for original, x, source in zip(inputs, given, self.inputs):
            if original is not x and source is not None and source.place.written:
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

    def result(self, kind: str, what: Any, like: Array, inputs: list[Array]) -> Array:
        """An output of the replay that is about to begin."""
        if kind == "same":
            return as_array(Value("full", like.dtype, like.shape, params=what.params))
        if kind in ("input", "state"):
            storage = inputs[what].storage if kind == "input" else what
            return Array(storage, like.dtype, like.shape, like.steps, like.offset)
        known = like.storage.value
        value = Value("memory", known.dtype, known.shape, bounds=known.bounds)
        value.block = self.device.pool.allocate(what.block.nbytes)
        what.use(value.block)
        return as_array(value)

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


def prepared(backend: Any, x: Array, needs_bounds: bool) -> Array:
    """`x`, or a copy where it is but a part of its storage, or in another order."""
    if x.steps is not None and 0 not in x.shape:
        x = as_array(backend.elements(x))
    value = x.storage.value
    if needs_bounds and x.dtype.rank == 1 and value.bounds is None and 0 not in x.shape:
        places = backend.to_numpy(x)
        value.bounds = int(places.min()), int(places.max())
    return x


def as_view(storage: Storage) -> Array:
    """All of a storage."""
    value = storage.value
    return Array(storage, value.dtype, value.shape, None, 0)


def _is_within(x: Array, bounds: Bounds) -> bool:
    return _is_inside(x.storage.value, bounds)


def _is_inside(value: Value, bounds: Bounds) -> bool:
    known = value.bounds
    return bounds is None or (known is not None and bounds[0] <= known[0] and known[1] <= bounds[1])


def _ctype(kind: Any) -> str:
    """What `fitted` calls a kernel argument's NumPy type."""
    return {"float32": "float", "float64": "double"}.get(np.dtype(kind).name, "long")
