"""What a tape on the CPU does, and where: made from what a recorder noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backends import numpy_lowering as lowering
from tinynet.backends.numpy_calls import Array
from tinynet.backends.numpy_lowering import Call
from tinynet.backends.numpy_places import Place, Places
from tinynet.errors import RecordingError

ALIGNMENT = 64  # bytes
ENDLESS = np.iinfo(np.int64).max


class Buffer:
    """Bytes of a block that are needed from the `first` to the `last` call of these numbers."""

    start = last = 0

    def __init__(self, nbytes: int, first: int) -> None:
        self.nbytes = -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT
        self.first = first


class Plan:
    """What a tape does and where: made from a recorder's notes."""

    def __init__(self, recorder: Any, outputs: tuple[Place, ...], kept: tuple[Place, ...]) -> None:
        self.backend = recorder.backend
        places: Places = recorder.places
        self.made = places.made
        self.outputs, self.kept = outputs, kept
        self.calls = self.needed(self.without_constants(recorder.calls, places))
        self.constants = places.same
        if not all(x.storage in self.made for x in kept):
            raise RecordingError("jit: a .grad is set to a view of other memory; clone() it first")
        own = {x.storage: x.reach for x in kept}
        self.own = {key: i for i, key in enumerate(own)}
        self.own_sizes = list(own.values())
        self.buffers: dict[int, Buffer] = {}  # of storages
        self.share_memory()
        self.slots = len(recorder.inputs)
        self.moves: list[tuple[Callable[..., Array], int, tuple[Any, ...]]] = []
        for place in (*kept, *outputs, *[x for y in self.calls for x in (*y.reads, *y.outs)]):
            self.decide(place)

    # what is to be done
    def without_constants(self, calls: list[Call], places: Places) -> list[Call]:
        """The calls, but for those that give the same each time, whose results are kept."""
        for place in (*self.kept, *self.outputs):
            places.change(place)
        rest = []
        for call in calls:
            if not all(out.storage in places.same for out in call.outs):
                rest.append(call)
                for out in call.outs:
                    places.change(out)
        return rest

    def needed(self, calls: list[Call]) -> list[Call]:
        """The calls that outputs, or memory from outside, depend on."""
        live = {x.storage for x in (*self.outputs, *self.kept)}
        found = []
        for call in reversed(calls):
            owners = {out.storage for out in call.outs}
            if owners & live or not owners <= self.made.keys():
                if call.is_new:
                    live -= owners
                live |= {x.storage for x in call.reads}
                found.append(call)
        return found[::-1]

    # where results lie
    def share_memory(self) -> None:
        """Choose where in one block what the calls make lies.

        Memory is free again after the last call that needs it; an elementwise call may write over
        an operand that nobody needs afterwards.
        """
        last: dict[int, int] = {}
        for i, call in enumerate(self.calls):
            last.update(dict.fromkeys([x.storage for x in (*call.reads, *call.outs)], i))
        last.update({x.storage: len(self.calls) for x in self.outputs})
        for i, call in enumerate(self.calls):
            for out in call.outs if call.is_new else ():
                key = out.storage
                if key in self.own or key in self.buffers:
                    continue
                donor = self.donor(call, i, last)
                if donor is None:
                    self.buffers[key] = Buffer(self.made[key], i)
                else:
                    self.buffers[key] = self.buffers[donor]
                self.buffers[key].last = last[key]
        self.nbytes = lay_out([*{id(x): x for x in self.buffers.values()}.values()])

    def donor(self, call: Call, i: int, last: dict[int, int]) -> int | None:
        """The storage of an operand that the result of a call may be written over.

        NumPy minds operands that overlap with the result otherwise.
        """
        if call.method != "elementwise":
            return None
        out = call.outs[0]
        for x in lowering.spared(call.args):
            key = x.storage
            if last[key] != i or key not in self.buffers:
                continue
            is_whole = self.made[key] == x.nbytes == out.nbytes
            if is_whole and x.dtype == out.dtype and x.strides == out.strides:
                return key
        return None

    # where everything lies
    def decide(self, place: Place) -> None:
        """Say what kind of memory a place is in, and which slot or buffer it is."""
        key = place.storage
        if place.kind == "slot":
            self.add_move(place)
        elif key in self.constants:
            place.kind = "constant"
        elif key not in self.made:
            place.kind = "outside"
        elif key in self.own:
            place.kind, place.number = "own", self.own[key]
        else:
            place.kind, place.number = "buffer", self.buffers[key].start

    def add_move(self, place: Place) -> None:
        """See that the slot of a view is filled."""
        if place.origin is not None:
            name, parent, args = place.origin
            self.add_move(parent)
            self.moves.append((getattr(type(self.backend), name), parent.number, args))
            place.number = self.slots + len(self.moves) - 1
            place.origin = None


def lay_out(buffers: list[Buffer]) -> int:
    """Find room for each in one block, the largest first, in the smallest gap; bytes of the block.

    Greedy by size for offset calculation: Pisarchyk and Lee 2020, arXiv:2001.03288.
    """
    laid = np.zeros((4, len(buffers)), np.int64)  # what has its room, in the order of the block
    for n, buffer in enumerate(sorted(buffers, key=lambda x: -x.nbytes)):
        first, last, start, end = laid[:, :n]
        meanwhile = (first <= buffer.last) & (buffer.first <= last)
        ends = np.maximum.accumulate(np.append(0, end[meanwhile]))
        gaps = np.append(start[meanwhile], ENDLESS) - ends  # before each, and behind the last
        buffer.start = int(ends[np.where(gaps < buffer.nbytes, ENDLESS, gaps).argmin()])
        i = int(start.searchsorted(buffer.start))
        laid[:, i + 1 : n + 1] = laid[:, i:n]
        laid[:, i] = buffer.first, buffer.last, buffer.start, buffer.start + buffer.nbytes
    return int(laid[3].max(initial=0))
