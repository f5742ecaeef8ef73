"""Recording on OpenCL devices: what a whole function needs is computed when it has returned.

While a function is recorded, formulas and matrix products wait until it has returned: only then is
it known what of them anybody needs. The launches that compute outputs and memory from outside are
made once and noted; a `Tape` makes them again. Their scratch memory comes from a pool of the
recording's own, where blocks are shared as lifetimes allow: replays run in the same order, on the
same queue.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinynet.backends.opencl.array import (
    PRODUCTS,
    Array,
    Bounds,
    Storage,
    Value,
    View,
    as_array,
    row_major,
)
from tinynet.backends.opencl.bounds import union
from tinynet.backends.opencl.device import Kernel
from tinynet.backends.opencl.launches import Launch
from tinynet.backends.opencl.memory import Pool
from tinynet.backends.opencl.plans import Size
from tinynet.backends.opencl.profiler import Making, buffers_of, ops_of
from tinynet.backends.opencl.tape import Source, Tape, as_view, prepared
from tinynet.errors import RecordingError
from tinynet.numbers import Number

if TYPE_CHECKING:
    from tinynet.backends.opencl.checking import MadeIndex

Origins = set[Source] | None


class Recorder:
    """Notes what one thread asks of a device, from `start` to `stop`; the rest is in `finish`.

    Its memory takes the place of what the device's pool holds of runs before.
    """

    def __init__(self, backend: Any, seen: dict[int, Bounds]) -> None:
        self.backend = backend
        self.seen = seen  # bounds of inputs that recordings relied on, by place
        self.device = backend.device
        self.thread = threading.get_ident()
        self.launches: list[Launch] = []
        self.sources: dict[int, Source] = {}  # by id of their storage
        self.before: dict[int, Source] = {}  # by id of the value that they had
        self.homes: dict[int, Source] = {}  # by id of their buffer
        self.inputs: list[Array] = []
        self.products: list[weakref.ref[Value]] = []
        self.device.pool.empty()
        self.pool = Pool(self.device.context, self.device.name, self.device.pool.largest)
        self.originals: list[Array] = []  # of the inputs
        self.constants: list[Value] = []  # held, so that nothing is written over them
        self.made_indices: list[MadeIndex] = []
        # of values that were formulas, or are written in parts: see `origins_of`
        self.origins: weakref.WeakKeyDictionary[Value, Origins] = weakref.WeakKeyDictionary()
        self.is_paused = False
        self.is_used = False

    def start(self) -> None:
        self.backend.recorder = self.device.recorder = self.device.pool.recorder = self
        compiler = self.backend.scheduler.planner.compiler
        self.patience = compiler.patience
        compiler.patience = 0  # what is replayed is worth its compilation

    def stop(self) -> None:
        self.backend.scheduler.planner.compiler.patience = self.patience
        self.backend.recorder = self.device.recorder = self.device.pool.recorder = None

    def is_here(self) -> bool:
        """Whether this thread is the one that records."""
        return threading.get_ident() == self.thread

    def is_mine(self) -> bool:
        """Whether a call is to be noted."""
        return threading.get_ident() == self.thread and not self.is_paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What the thread that records does here happens now, and not in replays."""
        before, self.is_paused = self.is_paused, True
        try:
            yield
        finally:
            self.is_paused = before

    def add_inputs(self, arrays: list[Array]) -> list[Array]:
        self.originals = arrays
        with self.paused():
            self.inputs = prepared(self.backend, arrays, True)
        for place, x in enumerate(self.inputs):
            if 0 not in x.storage.value.shape:
                self.add_source(x, True)
                self.widen(x, place)
        return self.inputs

    def add_state(self, array: Array) -> None:
        if 0 not in array.storage.value.shape:
            self.add_source(array, False)

    def add_source(self, array: Array, is_input: bool) -> None:
        storage = array.storage
        if id(storage) in self.sources:
            self.sources[id(storage)].is_state |= not is_input
            return
        with self.paused():
            self.backend.memory(array)
        source = self.sources[id(storage)] = Source(storage, is_input)
        self.before[id(storage.value)] = source
        self.homes[id(source.place.block.buffer)] = source

    def widen(self, array: Array, place: int) -> None:
        """Let an input's integers have the bounds that they had before, too."""
        source = self.sources[id(array.storage)]
        if source.is_input and source.bounds is not None:
            source.bounds = union(source.bounds, self.seen.get(place, source.bounds))
            array.storage.value.bounds = source.bounds

    # asked by the backend
    def can_read(self, index: Array) -> bool:
        """Whether an index is what was there before the recording; that is a condition."""
        source = self.sources.get(id(index.storage))
        return source is not None and source.is_as_before(index.storage.value)

    def rely_on_bounds(self, index: Array, size: int) -> None:
        """Make it a condition that what an index is made of stays within the bounds it has.

        What is an index itself may be any, for a dim of `size`, in the next recording.
        """
        value = index.storage.value
        for source in self.known_origins_of(value):
            source.is_relied_on = True
            if source.is_as_before(value):
                source.least_size = min(size, source.least_size or size)
            else:
                source.is_derived_from = True

    def lasting_bounds(self, value: Value) -> Bounds:
        """The bounds that a value has in each replay.

        Where integers from outside may be any, so may what is made of them.
        """
        origins = self.known_origins_of(value)
        is_known = all(source.is_relied_on or source.bounds is None for source in origins)
        return value.bounds if is_known else None

    def known_origins_of(self, value: Value) -> Collection[Source]:
        """Its origins; all memory from outside if nobody knows any more."""
        origins = self.origins_of([value])
        return self.sources.values() if origins is None else origins

    def origins_of(self, values: list[Value]) -> Origins:
        """The memory from outside whose bounds those of some values follow from.

        None if nobody knows any more. Constants and ranges have none, nor has what may be any.
        """
        constants = {id(value) for value in self.constants}
        found: set[Source] = set()
        todo = [value for value in values if value.bounds is not None]
        while todo:
            value = todo.pop()
            source = self.before.get(id(value))
            origins: Origins = set()
            if value in self.origins:
                origins = self.origins[value]
            elif source is not None and source.before() is value:
                origins = None if source.place.written else {source}
            elif value.op == "memory":
                origins = set() if id(value) in constants else None
            else:
                # whatever it is the remainder of
                args = value.args[1:] if value.op == "remainder" else value.args
                operands = [x.value if type(x) is View else x for x in args]
                todo += [x for x in operands if type(x) is Value and x.bounds is not None]
            if origins is None:
                return None
            found |= origins
        return found

    def note_origins(self, value: Value, parts: list[Value]) -> None:
        """Note that the bounds of a value follow from those of `parts`."""
        if value.bounds is not None and self.is_mine():
            self.origins[value] = self.origins_of(parts)

    def note_write(self, storage: Storage, parts: list[Value]) -> None:
        """Note that `parts` are written to some of a storage, where it is."""
        if not self.is_mine():
            return
        self.note_origins(storage.value, [storage.value, *parts])
        source = self.sources.get(id(storage))
        if source is not None:
            source.place.written = True

    def sources_of(self, value: Value) -> list[Source] | None:
        """The memory from outside that a formula is made of; None if it is made of more, whose
        values before a replay nobody knows.
        """
        constants = {id(constant) for constant in self.constants}
        sources: dict[int, Source] = {}
        values = [value]
        for each in values:  # which grows meanwhile
            source = self.before.get(id(each))
            numbers = [*each.args, each.params] if each.op != "iota" else each.params
            if each.op in PRODUCTS or any(type(x) is Number for x in numbers):
                return None
            if source is not None and source.is_as_before(each):
                sources[id(source)] = source
            elif each.op == "memory" and id(each) not in constants:
                return None
            operands = [x.value if type(x) is View else x for x in each.args]
            values += [x for x in operands if type(x) is Value]
        return [*sources.values()]

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
        """Whether the memory of `value` may become that of `to`: from outside, only in place.

        It may be from outside though the value is not: one of several updates in place.
        """
        assert value.block is not None
        source = self.homes.get(id(value.block.buffer))
        return source is None or source.storage.value is to

    def note(
        self, kernel: Kernel, size: Size, group: Size, args: tuple[Any, ...], nbytes: int,
        flops: int, making: Making | None,
    ) -> list[Any]:  # fmt: skip
        """Note a launch; returns its arguments with plain numbers."""
        launch = Launch(kernel, size, group, list(args), nbytes, flops)
        launch.ops = ops_of(making)
        launch.uses = buffers_of(kernel, args, making)
        launch.is_planned = making is not None
        self.launches.append(launch)
        self.is_used = True
        return launch.args

    # the end
    def finish(self, outputs: list[Array], kept: list[Array]) -> Tape:
        """Compute what is needed, and make the tape."""
        self.start()
        try:
            self.compute_products()
            kept = self.apart_from(outputs, kept)
            given = [self.settled(x) for x in outputs]
            held = [self.settled(x, True) for x in kept]
            self.write_sources()
        finally:
            self.stop()
        return Tape(self, given, held)

    def abandon(self) -> None:
        """There will be no tape: bring what was written to where it belongs."""
        for original, x in zip(self.originals, self.inputs):
            source = self.sources.get(id(x.storage))
            if original.storage is x.storage or source is None:
                continue
            if source.place.written or x.storage.value is not source.before():
                self.backend.assign(original, x)

    def apart_from(self, outputs: list[Array], kept: list[Array]) -> list[Array]:
        """What is kept, copied where an output or something else that is kept has its memory."""
        taken = {id(x.storage) for x in outputs}
        apart = []
        for x in kept:
            if id(x.storage) in self.sources:
                raise RecordingError(
                    "jit: a .grad is set to a view of other memory; clone() it first"
                )
            is_taken = id(x.storage) in taken
            taken.add(id(x.storage))
            apart.append(as_array(self.backend.loaded(x.operand)) if is_taken else x)
        return apart

    def compute_products(self) -> None:
        """In their order, the factors of all products that somebody needs."""
        scheduler = self.backend.scheduler
        for reference in self.products:
            product = reference()
            if product is not None and product.op in PRODUCTS:
                for i in range(2):
                    scheduler.compute(product.args[i].value)
            del product

    def settled(self, x: Array, is_kept: bool = False) -> Array:
        """An output, in memory that each replay makes anew, unless that is from outside.

        What `is_kept` is all of its memory, whatever it was a view of.
        """
        backend, storage = self.backend, x.storage
        is_same = storage.value.op == "full" and type(storage.value.params) is not Number
        if id(storage) in self.sources or 0 in x.shape or (is_same and not is_kept):
            return x
        if is_kept and x.steps is not None:
            x.storage = storage = Storage(backend.elements(x))
            x.steps, x.offset = None, 0
        backend.memory(x)
        if not self.is_made(storage.value):
            storage.value = backend.loaded(storage.value)
            backend.memory(x)
        return x

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
        changed = [
            source
            for source in self.sources.values()
            if source.place.written or source.storage.value is not source.before()
        ]
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
                self.note_origins(there, [value])
                if source.before() is not None:  # somebody outside has yet to read it
                    with self.paused():
                        there.block = self.device.pool.allocate(source.place.block.nbytes)
                    source.place.moved = there.block
                window = View(there, value.shape, row_major(value.shape), 0)
                backend.scheduler.compute(backend.loaded(value), window)
                source.storage.value = there
        with self.paused():
            for original, x in zip(self.originals, self.inputs):
                if original.storage is not x.storage and self.sources[id(x.storage)].place.written:
                    backend.assign(original, x)
