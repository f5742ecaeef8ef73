"""What a tape on the CPU does, and where: made from what a recorder noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backends import numpy_lowering as lowering
from tinynet.backends.numpy_calls import Array
from tinynet.backends.numpy_lowering import Call, Place
from tinynet.errors import RecordingError
from tinynet.numbers import Number


class Plan:
    """What a tape does and where: made from a recorder's notes."""

    def __init__(self, recorder: Any, outputs: list[Array], kept: list[Array]) -> None:
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
        return id(owner_of(array))

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
        """The storage of an operand that the result of a call may be written over.

        NumPy minds operands that overlap with the result otherwise.
        """
        if call.method != "elementwise":
            return None
        out = call.outs[0]
        for x in lowering.spared(call.args):
            key = self.storage(x)
            if last[key] != i or key not in self.buffers:
                continue
            is_whole = self.made[key].nbytes == x.nbytes == out.nbytes
            if is_whole and x.dtype == out.dtype and x.strides == out.strides:
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
        place.offset = address_of(array) - address_of(self.made[key])
        place.reach = self.made[key].nbytes
        return place


def _has_number(item: Any) -> bool:
    return type(item) is Number or (type(item) in (tuple, list) and any(map(_has_number, item)))


def owner_of(array: Array) -> Array:
    """The array that an array's memory belongs to."""
    while True:
        base = array.base
        base = getattr(base, "owner", base)  # a window of `strided`
        if not isinstance(base, np.ndarray):
            return array
        array = base


def address_of(array: Array) -> int:
    """Where an array's first element lies."""
    return int(array.__array_interface__["data"][0])


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
