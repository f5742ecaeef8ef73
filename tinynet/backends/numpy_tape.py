"""Replays on the CPU: NumPy calls in a row, on buffers that are theirs."""

from __future__ import annotations

import operator
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.backends import numpy_lowering as lowering
from tinynet.backends.numpy_calls import Array, QuietContext
from tinynet.backends.numpy_lowering import Call, Step
from tinynet.backends.numpy_memory import make_way
from tinynet.backends.numpy_places import Place, address_of
from tinynet.backends.numpy_plan import ALIGNMENT, ENDLESS, Plan
from tinynet.backends.runs import KernelRun, Listener, flops_of
from tinynet.numbers import Number

LISTS = (tuple, list)

Filler = Callable[[list[Array], list[Any]], Any]  # of slots and numbers


class Slot(int):
    """Stands for what is known when a tape is replayed: an input, or a view of one."""


class Tape:
    """Calls on buffers. `replay` makes them; printed, it lists them.

    `kept` are the arrays that others hold between replays, written by each of them.
    """

    def __init__(self, plan: Plan, fixed: dict[int, Array]) -> None:
        self.backend = plan.backend
        self.fixed = fixed
        self.moves = plan.moves
        make_way(plan.nbytes)  # the arrays of the recording are freed
        self.block = _empty(plan.nbytes)
        self.own_sizes = plan.own_sizes
        self.calls = plan.calls
        self.kept_places = plan.kept
        storages = [place.storage for place in plan.outputs]
        self.outputs = [
            (
                place,
                place.kind in ("buffer", "own")
                and place.nbytes == place.reach
                and storages.count(place.storage) == 1,
            )
            for place in plan.outputs
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
        self.patches: list[tuple[int, Step, Filler]] = []  # steps to whose arguments replays add
        self.cells: dict[tuple[int, Any], Array] = {}  # numbers as 0-d arrays, for ufuncs
        for i, call in enumerate(self.calls):
            for step in lowering.lower(call, self.backend, self.resolve, self.cell):
                if _is_open(step[1]):
                    self.patches.append((len(self.steps), step, _filler(step[1])))
                self.steps.append(step)
                self.lines.append(i)
        self.kept = [self.resolve(place) for place in self.kept_places]
        self.results = [(self.resolve(place), place, is_whole) for place, is_whole in self.outputs]
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
            found = self.arrays[id(place)] = place.view(self.memory_of(place))
        return found

    def memory_of(self, place: Place) -> Array:
        """The memory that a place lies in, `place.reach` bytes of it."""
        if place.kind == "own":
            return self.own[place.number]
        return self.block[place.number : place.number + place.reach]

    # replays
    def fits(self, inputs: list[Array]) -> bool:
        """Memory may overlap as it likes, and indices are checked on the way."""
        return not self.fixed or all(inputs[i] is array for i, array in self.fixed.items())

    def settle(self) -> None:
        """Note who holds the kept arrays now: nobody else may when a replay begins."""
        self.alone = [sys.getrefcount(x) for x in self.watched]

    def is_held(self) -> bool:
        """Whether somebody holds a kept array, or a view of one, who did not before."""
        return [sys.getrefcount(x) for x in self.watched] != self.alone

    def replay(self, inputs: list[Array], numbers: list[Any]) -> list[Array]:
        """Do it again; returns the outputs, new arrays but for views of memory from outside."""
        self.reached = 0
        slots = inputs
        for function, x, rest in self.moves:
            slots.append(function(self.backend, slots[x], *rest))
        steps = self.steps
        for i, (function, _), filled in self.patches:
            steps[i] = function, filled(slots, numbers)
        try:
            _context.run(self.run_timed if timing.listeners else self.run_steps, numbers)
        finally:
            for i, step, _ in self.patches:  # nothing of the caller's stays here
                steps[i] = step
        self.reached = ENDLESS  # there may be no memory for the outputs
        return self.give(slots)

    def run_steps(self, numbers: list[Any]) -> None:
        """All calls, one after the other."""
        for (slot, _), cell in self.cells.items():
            cell.fill(numbers[slot])
        steps = iter(self.steps)
        try:
            for function, args in steps:
                function(*args)
        except BaseException:
            self.note_end(operator.length_hint(steps))
            raise

    def note_end(self, steps_left: int) -> None:
        """Note at which call a replay is broken off."""
        line = self.lines[len(self.lines) - steps_left - 1]
        self.reached = self.calls[line].moment

    def run_timed(self, numbers: list[Any]) -> None:
        """`run_steps`, noting how long each call takes."""
        self.timed += 1
        for (slot, _), cell in self.cells.items():
            cell.fill(numbers[slot])
        spans: list[list[int]] = []  # of calls, which may take several steps
        for line, (function, args) in zip(self.lines, self.steps):
            self.reached = self.calls[line].moment
            start = time.perf_counter_ns()
            function(*args)
            end = time.perf_counter_ns()
            self.seconds[line] += (end - start) / 1e9
            if spans and spans[-1][0] == line:
                spans[-1][2] = end
            else:
                spans.append([line, start, end])
        for line, start, end in spans:
            run = self.run_of(self.calls[line], start, end)
            for listener in [*timing.listeners]:
                listener(run, ())

    def runs(self) -> list[KernelRun]:
        """The calls, as profiles see them; with the mean times of the replays that they saw."""
        times = [int(1e9 * seconds / max(self.timed, 1)) for seconds in self.seconds]
        return [self.run_of(call, 0, end) for call, end in zip(self.calls, times)]

    @staticmethod
    def run_of(call: Call, start: int, end: int) -> KernelRun:
        """A call, as profiles want it."""
        name, given, outs = lowering.title(call), call.reads, [*call.outs]
        nbytes = sum([x.nbytes for x in (*given, *outs)])
        flops = flops_of(call.method, given, outs)
        reads, writes = (tuple([x.storage for x in each]) for each in (given, outs))
        return KernelRun(
            "cpu", name, "", outs[0].shape, nbytes, flops, start, end, None, start, start, end,
            (name,), reads, writes,
        )  # fmt: skip

    def give(self, slots: list[Array]) -> list[Array]:
        """The outputs. Those that share memory go on to do so."""
        copies: dict[int, Array] = {}
        given = []
        for array, place, is_whole in self.results:
            if type(array) is Slot:
                array = slots[array]
            elif is_whole or place.kind == "constant":
                array = array.copy("K")
            elif place.kind != "outside":
                if place.storage not in copies:
                    copies[place.storage] = self.memory_of(place).copy()
                array = place.view(copies[place.storage])
            given.append(array)
        return given

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum([memory.nbytes for memory in (self.block, *self.own)])

    def __str__(self) -> str:
        head = f"{len(self.calls)} calls on {self.backend.name}, {self.nbytes:,} bytes of buffers"
        return "\n".join([head, *self.described()])

    def described(self) -> Iterator[str]:
        """A line for each call."""
        for i, call in enumerate(self.calls):
            out = call.outs[0]
            shapes = ", ".join([str(x) for x in lowering.operands(call.args)])
            text = f"{i:>4}  {lowering.title(call):<14} {shapes} -> {out}"
            nbytes = sum([x.nbytes for x in (*call.reads, *call.outs)])
            text = f"{text:<72} {nbytes:>12,} bytes"
            if self.timed:
                text += f" {self.seconds[i] / self.timed * 1e6:>9.1f} us"
            yield text


class Timing:
    """`listeners` want to know of each call; they are blocks of `tinynet.profile`."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []


timing = Timing()
_context = QuietContext()


def _is_open(item: Any) -> bool:
    """Whether arguments have parts that each replay brings."""
    if type(item) in LISTS:
        return any(_is_open(part) for part in item)
    return type(item) in (Slot, Number)


def _filler(items: Any) -> Filler:
    """What gives these arguments with what a replay brings, once it brings it."""
    kind = type(items)
    places = [(i, x) for i, x in enumerate(items) if type(x) is Slot]
    values = [(i, x.slot) for i, x in enumerate(items) if type(x) is Number]
    parts = [(i, _filler(x)) for i, x in enumerate(items) if type(x) in LISTS and _is_open(x)]

    def filled(slots: list[Array], numbers: list[Any]) -> Any:
        result = list(items)
        for i, place in places:
            result[i] = slots[place]
        for i, value in values:
            result[i] = numbers[value]
        for i, part in parts:
            result[i] = part(slots, numbers)
        return kind(result)

    return filled


def _empty(nbytes: int) -> Array:
    """Aligned memory."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -address_of(block) % ALIGNMENT
    return block[start : start + nbytes]
