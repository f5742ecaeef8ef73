"""Recording on the CPU: the NumPy calls of a function, to be made again on buffers of their own.

A `Recorder` stands in front of the backend's primitives while a function runs: each computes as
ever, and is noted with the arrays it read and wrote. From the notes a `Tape` is made. What nobody
needs is dropped, what never changes is computed once, results get buffers that are shared when
lifetimes allow, and views of buffers are made once. What is left is a list of functions and
arguments, and a replay is a loop over it. Memory from outside (inputs, weights) is read and written
where it lies, in the order of the recording, so it may overlap as it likes.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends import numpy_lowering as lowering
from tinynet.backends.numpy_calls import Array, QuietContext
from tinynet.backends.numpy_lowering import Step
from tinynet.errors import RecordingError
from tinynet.numbers import Number

COMPUTED = (
    "full arange random_bits elementwise cast copy reduce arg_reduce scan argsort matmul linalg"
    " concatenate take"
).split()  # give new arrays
WRITTEN = ("assign", "put")  # change their first argument
MOVED = "reshape permute expand slice strided".split()  # give views, if they can
READ = {"to_numpy": "reads the values of a tensor", "nonzero": "gives a shape that values decide"}
ALIGNMENT = 64  # bytes


class Call(NamedTuple):
    """A primitive that was called: `outs` are the arrays that it wrote, new memory if `is_new`."""

    method: str
    args: tuple[Any, ...]
    outs: tuple[Array, ...]
    is_new: bool

    @property
    def reads(self) -> list[Array]:
        """The arrays among the arguments."""
        return list(_arrays_in(self.args))


class Recorder:
    """Notes what one thread asks of the backend, from `start` to `stop`."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.thread = threading.get_ident()
        self.calls: list[Call] = []
        self.inputs: list[Array] = []
        self.fixed: dict[int, Array] = {}  # inputs that are used in other ways too
        self.views: dict[int, tuple[Array, str, tuple[Any, ...]]] = {}  # by id of what they give
        self.made: dict[int, Array] = {}  # memory that calls made, by id of its owner
        self.is_inside = False

    def start(self) -> None:
        """Stand in front of the backend."""
        stand_ins = {name: self.noting(name) for name in (*COMPUTED, *WRITTEN)}
        stand_ins |= {name: self.viewing(name) for name in MOVED}
        stand_ins |= {name: self.refusing(name, why) for name, why in READ.items()}
        stand_ins["from_numpy"] = self.holding()
        vars(self.backend).update(stand_ins)

    def stop(self) -> None:
        """Leave."""
        vars(self.backend).clear()

    @property
    def is_used(self) -> bool:
        """Whether anything was computed."""
        return bool(self.calls)

    def add_inputs(self, arrays: list[Array]) -> list[Array]:
        """Arrays that are others in each replay."""
        self.inputs = arrays
        return arrays

    def add_state(self, array: Array) -> None:
        """`array` is from outside, and the same in each replay."""
        self.fixed |= {i: array for i, x in enumerate(self.inputs) if x is array}

    def is_mine(self) -> bool:
        """Whether a call is to be noted: not those of other threads, nor calls inside calls."""
        return not self.is_inside and threading.get_ident() == self.thread

    def run(self, method: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call a method of the backend on plain numbers."""
        self.is_inside = True
        try:
            return method(*_plain(args))
        finally:
            self.is_inside = False

    def noting(self, name: str) -> Callable[..., Any]:
        method = getattr(self.backend, name)

        def call(*args: Any, out: Array | None = None) -> Any:
            if not self.is_mine():
                return method(*args) if out is None else method(*args, out=out)
            if out is not None:
                self.run(lambda *given: method(*given, out=out), args)
                self.calls.append(Call(name, args, (out,), False))
                return out
            result = self.run(method, args)
            is_new = name not in WRITTEN
            outs = result if type(result) is tuple else (result,) if is_new else (args[0],)
            if is_new:
                self.made.update({id(owner): owner for owner in map(_owner, outs)})
            self.calls.append(Call(name, args, outs, is_new))
            return result

        return call

    def viewing(self, name: str) -> Callable[..., Any]:
        method = getattr(self.backend, name)

        def call(x: Array, *args: Any) -> Any:
            if not self.is_mine():
                return method(x, *args)
            result = self.run(method, (x, *args))
            if result.size and not np.may_share_memory(result, x):
                self.made[id(_owner(result))] = _owner(result)
                self.calls.append(Call(name, (x, *args), (result,), True))
            else:
                self.views[id(result)] = result, name, (x, *args)
            return result

        return call

    def holding(self) -> Callable[[Array], Array]:
        def from_numpy(array: Array) -> Array:
            if self.is_mine():
                self.made[id(_owner(array))] = _owner(array)
                self.calls.append(Call("constant", (array.copy(),), (array,), True))
            return array

        return from_numpy

    def refusing(self, name: str, why: str) -> Callable[..., Any]:
        method = getattr(self.backend, name)

        def call(*args: Any) -> Any:
            if self.is_mine():
                raise RecordingError.reading(why)
            return method(*args)

        return call

    def finish(self, outputs: list[Array], kept: list[Array]) -> Tape:
        """The tape, which gives `outputs`. `kept` are arrays that others go on to hold."""
        return Tape(self, outputs, kept)


class Slot(int):
    """Stands for what is known when a tape is replayed: an input, or a view of one."""


class Place:
    """Where an array of a tape lies.

    `kind`: "slot" (comes with each replay), "buffer", "own" (a buffer that others hold too),
    "outside" or "constant" (both are in `array`); `number` of the slot or buffer. `storage` tells
    memory apart, of which there are `reach` bytes.
    """

    kind = ""
    number = offset = storage = reach = 0
    array: Array | None = None

    def __init__(self, array: Array) -> None:
        self.shape, self.dtype, self.strides = array.shape, array.dtype, array.strides
        self.nbytes = array.nbytes
        self.is_contiguous = array.flags.c_contiguous

    def view(self, memory: Array) -> Array:
        """The array on this memory."""
        return np.ndarray(self.shape, self.dtype, memory, self.offset, self.strides)

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class _Plan:
    """What a tape does and where: made from a recorder's notes."""

    def __init__(self, recorder: Recorder, outputs: list[Array], kept: list[Array]) -> None:
        self.backend = recorder.backend
        self.inputs = {id(x): i for i, x in enumerate(recorder.inputs)}
        self.views = recorder.views
        self.made = recorder.made
        self.outputs, self.kept = outputs, kept
        self.constants: set[int] = set()
        self.calls = self.needed(self.without_constants(recorder.calls))
        if not all(self.storage(x) in self.made for x in kept):
            raise RecordingError("jit: a .grad is set to a view of other memory; clone() it first")
        own = {self.storage(x): self.made[self.storage(x)].nbytes for x in kept}
        self.own = {key: i for i, key in enumerate(own)}
        self.own_sizes = list(own.values())
        self.sizes: list[int] = []
        self.buffers: dict[int, int] = {}  # of storages
        self.share_memory()
        self.moves: list[tuple[Callable[..., Array], int, tuple[Any, ...]]] = []
        self.known: dict[int, Place] = {}

    def storage(self, array: Array) -> int:
        """Which memory an array is on: the id of its owner."""
        return id(_owner(array))

    # what is to be done
    def without_constants(self, calls: list[Call]) -> list[Call]:
        """The calls, but for those that give the same each time, whose results are kept."""
        written = {self.storage(call.outs[0]) for call in calls if not call.is_new}
        written |= {self.storage(x) for x in (*self.kept, *self.outputs)}
        rest = []
        for call in calls:
            reads = {self.storage(x) for x in call.reads}
            is_same = reads <= self.constants or call.method == "constant"
            owners = {self.storage(out) for out in call.outs}
            if call.is_new and is_same and not owners & written and not _has_number(call.args):
                self.constants |= owners
            else:
                rest.append(call)
        return rest

    def needed(self, calls: list[Call]) -> list[Call]:
        """The calls that outputs, or memory from outside, depend on."""
        live = {self.storage(x) for x in (*self.outputs, *self.kept)}
        found = []
        for call in reversed(calls):
            owners = {self.storage(out) for out in call.outs}
            if owners & live or not owners <= self.made.keys():
                if call.is_new:
                    live -= owners
                live |= {self.storage(x) for x in call.reads}
                found.append(call)
        return found[::-1]

    # where results lie
    def share_memory(self) -> None:
        """Choose buffers for what the calls make.

        A buffer is free again after the last call that needs it; an elementwise call may write
        over an operand that nobody needs afterwards.
        """
        last: dict[int, int] = {}
        for i, call in enumerate(self.calls):
            last.update(dict.fromkeys([self.storage(x) for x in (*call.reads, *call.outs)], i))
        last.update({self.storage(x): len(self.calls) for x in self.outputs})
        free: list[int] = []
        for i, call in enumerate(self.calls):
            for out in call.outs if call.is_new else ():
                key = self.storage(out)
                if key in self.own or key in self.buffers:
                    continue
                donor = self.donor(call, i, last)
                if donor is None:
                    self.buffers[key] = _choose(self.sizes, free, self.made[key].nbytes)
                else:
                    self.buffers[key] = self.buffers[donor]
                    last[donor] = -1  # the buffer lives on
            used = {self.storage(x) for x in (*call.reads, *call.outs)}
            free += [self.buffers[key] for key in used if last[key] == i and key in self.buffers]

    def donor(self, call: Call, i: int, last: dict[int, int]) -> int | None:
        """The storage of an operand that the result of a call may be written over."""
        if call.method != "elementwise":
            return None
        out = call.outs[0]
        for x in lowering.spared(call.args):
            key = self.storage(x)
            alike = [
                y.strides == out.strides and y.shape == out.shape and _address(y) == _address(x)
                for y in call.reads
                if self.storage(y) == key
            ]
            if last[key] == i and key in self.buffers and all(alike):
                if x.dtype == out.dtype and self.made[key].nbytes == x.nbytes == out.nbytes:
                    return key
        return None

    # from arrays to places
    def place(self, item: Any) -> Any:
        """Recorded arguments with places for arrays."""
        if type(item) in (tuple, list):
            return tuple([self.place(part) for part in item])
        if not isinstance(item, np.ndarray):
            return item
        found = self.known.get(id(item))
        if found is None:
            found = self.known[id(item)] = self.find(item)
        return found

    def find(self, array: Array) -> Place:
        place = Place(array)
        if id(array) in self.inputs:
            place.kind, place.number = "slot", self.inputs[id(array)]
            return place
        if id(array) in self.views:
            _, name, (x, *args) = self.views[id(array)]
            parent = self.place(x)
            if parent.kind == "slot":
                self.moves.append((getattr(type(self.backend), name), parent.number, tuple(args)))
                place.kind, place.number = "slot", len(self.inputs) + len(self.moves) - 1
                return place
        key = place.storage = self.storage(array)
        if key not in self.made or key in self.constants:
            place.kind = "constant" if key in self.made else "outside"
            place.array = array
            return place
        place.kind = "own" if key in self.own else "buffer"
        place.number = self.own[key] if key in self.own else self.buffers[key]
        place.offset = _address(array) - _address(self.made[key])
        place.reach = self.made[key].nbytes
        return place


class Tape:
    """Calls on buffers. `replay` makes them; printed, it lists them.

    `kept` are the arrays that others hold between replays, written by each of them.
    """

    def __init__(self, recorder: Recorder, outputs: list[Array], kept: list[Array]) -> None:
        self.backend = recorder.backend
        plan = _Plan(recorder, outputs, kept)
        self.fixed = recorder.fixed
        self.moves = plan.moves
        self.memory = [_empty(size) for size in plan.sizes]
        self.own_sizes = plan.own_sizes
        self.calls = [
            Call(call.method, plan.place(call.args), plan.place(call.outs), call.is_new)
            for call in plan.calls
        ]
        self.kept_places: tuple[Place, ...] = plan.place(tuple(kept))
        places: tuple[Place, ...] = plan.place(tuple(outputs))
        storages = [place.storage for place in places]
        self.outputs = [
            (
                place,
                place.kind in ("buffer", "own")
                and place.nbytes == place.reach
                and storages.count(place.storage) == 1,
            )
            for place in places
        ]
        self.seconds = [0.0] * len(self.calls)
        self.timed = 0
        self.bind()

    def bind(self) -> None:
        """Make the list of functions and arguments, with new memory for what others hold."""
        self.own = [_empty(size) for size in self.own_sizes]
        self.arrays: dict[int, Array] = {}
        self.steps: list[Step] = []
        self.lines: list[int] = []  # for each step the call that it belongs to
        self.patches: list[tuple[int, Step]] = []  # steps whose arguments each replay brings
        self.cells: dict[tuple[int, Any], Array] = {}  # numbers as 0-d arrays, for ufuncs
        for i, call in enumerate(self.calls):
            for step in lowering.lower(call, self.backend, self.resolve, self.cell):
                if _is_open(step[1]):
                    self.patches.append((len(self.steps), step))
                self.steps.append(step)
                self.lines.append(i)
        self.kept = [self.resolve(place) for place in self.kept_places]
        blocks: list[Any] = [buffer.base for buffer in self.own]
        self.watched = [*blocks, *self.kept]  # what views of the kept arrays refer to
        self.alone: list[int] = []

    def cell(self, number: Number, dtype: Any) -> Array:
        """The 0-d array that holds a number in replays: quicker than a Python number."""
        key = number.slot, dtype
        if key not in self.cells:
            self.cells[key] = np.empty((), dtype)
        return self.cells[key]

    def resolve(self, place: Place) -> Any:
        """The array at a place, or the slot that it comes in."""
        if place.kind == "slot":
            return Slot(place.number)
        if place.array is not None:
            return place.array
        found = self.arrays.get(id(place))
        if found is None:
            buffer = (self.own if place.kind == "own" else self.memory)[place.number]
            found = self.arrays[id(place)] = place.view(buffer)
        return found

    # replays
    def fits(self, inputs: list[Array]) -> bool:
        """Memory may overlap as it likes, and indices are checked on the way."""
        return all([inputs[i] is array for i, array in self.fixed.items()])

    def settle(self) -> None:
        """Note who holds the kept arrays now: nobody else may when a replay begins."""
        self.alone = [sys.getrefcount(x) for x in self.watched]

    def is_held(self) -> bool:
        """Whether somebody holds a kept array, or a view of one, who did not before."""
        return [sys.getrefcount(x) for x in self.watched] != self.alone

    def replay(self, inputs: list[Array], numbers: list[Any]) -> list[Array]:
        """Do it again; returns the outputs, new arrays but for views of memory from outside."""
        slots = inputs
        for function, x, rest in self.moves:
            slots.append(function(self.backend, slots[x], *rest))
        steps = self.steps
        for i, (function, args) in self.patches:
            steps[i] = function, _filled(args, slots, numbers)
        try:
            _context.run(self.run_timed if timing.depth else self.run_steps, numbers)
        finally:
            for i, step in self.patches:  # nothing of the caller's stays here
                steps[i] = step
        return self.give(slots)

    def run_steps(self, numbers: list[Any]) -> None:
        """All calls, one after the other."""
        for (slot, _), cell in self.cells.items():
            cell.fill(numbers[slot])
        for function, args in self.steps:
            function(*args)

    def run_timed(self, numbers: list[Any]) -> None:
        """`run_steps`, noting how long each call takes."""
        self.timed += 1
        for (slot, _), cell in self.cells.items():
            cell.fill(numbers[slot])
        for line, (function, args) in zip(self.lines, self.steps):
            start = time.perf_counter()
            function(*args)
            self.seconds[line] += time.perf_counter() - start

    def give(self, slots: list[Array]) -> list[Array]:
        """The outputs. Those that share memory go on to do so."""
        copies: dict[int, Array] = {}
        given = []
        for place, is_whole in self.outputs:
            array = self.resolve(place)
            if place.kind == "slot":
                array = slots[array]
            elif is_whole or place.kind == "constant":
                array = array.copy("K")
            elif place.kind != "outside":
                if place.storage not in copies:
                    buffer = (self.own if place.kind == "own" else self.memory)[place.number]
                    copies[place.storage] = buffer[: place.reach].copy()
                array = place.view(copies[place.storage])
            given.append(array)
        return given

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum([buffer.nbytes for buffer in (*self.memory, *self.own)])

    def __str__(self) -> str:
        head = f"{len(self.calls)} calls on {self.backend.name}, {self.nbytes:,} bytes of buffers"
        return "\n".join([head, *self.described()])

    def described(self) -> Iterator[str]:
        """A line for each call."""
        for i, call in enumerate(self.calls):
            out = call.outs[0]
            shapes = ", ".join([str(x) for x in lowering.operands(call.args)])
            text = f"{i:>4}  {lowering.title(call):<14} {shapes} -> {out}"
            nbytes = sum([x.nbytes for x in (*lowering.places_in(call.args), *call.outs)])
            text = f"{text:<72} {nbytes:>12,} bytes"
            if self.timed:
                text += f" {self.seconds[i] / self.timed * 1e6:>9.1f} us"
            yield text


class Timing:
    """`depth` says how many blocks of `tinynet.profile` want to know how long calls take."""

    depth = 0


timing = Timing()
_context = QuietContext()


def _arrays_in(item: Any) -> Iterator[Array]:
    if isinstance(item, np.ndarray):
        yield item
    elif type(item) in (tuple, list):
        for part in item:
            yield from _arrays_in(part)


def _has_number(item: Any) -> bool:
    return type(item) is Number or (type(item) in (tuple, list) and any(map(_has_number, item)))


def _is_open(item: Any) -> bool:
    """Whether arguments have parts that each replay brings."""
    if type(item) in (tuple, list):
        return any([_is_open(part) for part in item])
    return type(item) in (Slot, Number)


def _plain(item: Any) -> Any:
    """Arguments with numbers that are being recorded replaced by their values."""
    if type(item) in (tuple, list):
        return type(item)([_plain(part) for part in item])
    return item.value if type(item) is Number else item


def _filled(item: Any, slots: list[Array], numbers: list[Any]) -> Any:
    """Arguments with what this replay brings."""
    kind = type(item)
    if kind is tuple or kind is list:
        return kind([_filled(part, slots, numbers) for part in item])
    if kind is Slot:
        return slots[item]
    return numbers[item.slot] if kind is Number else item


def _owner(array: Array) -> Array:
    """The array that an array's memory belongs to."""
    while True:
        base = array.base
        base = getattr(base, "owner", base)  # a window of `strided`
        if not isinstance(base, np.ndarray):
            return array
        array = base


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _empty(nbytes: int) -> Array:
    """Aligned memory."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -_address(block) % ALIGNMENT
    return block[start : start + nbytes]


def _choose(sizes: list[int], free: list[int], nbytes: int) -> int:
    """The number of a free buffer of a fitting size, the last used first, or of a new one."""
    wanted = max(nbytes, 1)
    fitting = [n for n in free if wanted <= sizes[n] <= 4 * wanted]
    if fitting:
        best = min(reversed(fitting), key=sizes.__getitem__)
        free.remove(best)
        return best
    sizes.append(wanted)
    return len(sizes) - 1
