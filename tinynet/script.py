"""What a recorded function did with `Numbers`: its arithmetic and decisions, to be done again."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.numbers import READ, REAL, Number, Numbers, is_plain, is_same, keys_of, moments
from tinynet.structure import leaves_of, mapped

NUMPY = (np.generic, np.ndarray)


class Script:
    """What a recorded function did with numbers, as steps on a list of values.

    `run` does it again. A step computes a slot from one or two others, or is a condition: what a
    slot must hold for the recording to be of use. `reads` and `writes` are places in `Numbers`,
    held weakly; of what is stored there the last counts, unless a replay is broken off. Of equal
    counts of one name, such as all parameters' `step`, only one is read; the others are its
    `twins`, on condition that they stay so, and what is made of them is made once.
    """

    def __init__(self) -> None:
        self.recording = object()  # what tells its numbers from others'
        self.values: list[Any] = []
        self.steps: list[tuple[Callable[..., Any] | None, int, Any, int]] = []
        self.reads: list[tuple[weakref.ref[Numbers], str, int, type]] = []
        self.twins: list[tuple[weakref.ref[Numbers], str, int]] = []  # each with the slot it equals
        self.writes: dict[Any, tuple[weakref.ref[Numbers], str, list[tuple[int, int]]]] = {}
        self.demanded: set[int] = set()  # slots with conditions
        self.expected: dict[Any, tuple[weakref.ref[Numbers], Callable[..., Any], Any, Any]] = {}
        self.known: dict[Any, Number] = {}
        self.owners: dict[int, Numbers] = {}  # alive while recording, so that ids stay theirs
        self.recorded: list[Any] = []  # the values when this was recorded
        self.stored: list[tuple[weakref.ref[Numbers], str, int]] = []
        self.failed = ""
        # what places held: the values, so that they live on, and their ids
        self.last: list[tuple[weakref.ref[Numbers], tuple[str, ...], list[Any], list[int]]] = []

    # while recording
    def slot(self, value: Any) -> int:
        """A new slot that holds `value`."""
        self.values.append(value)
        return len(self.values) - 1

    def place(self, owner: Numbers, key: Any) -> tuple[int, Any]:
        """A key for what `owner` has under another."""
        self.owners[id(owner)] = owner
        return id(owner), key

    def read(self, owner: Numbers, key: str, value: Any) -> Any:
        """What a recorded function sees of a value in `owner`."""
        place = self.place(owner, key)
        if place in self.writes or (place in self.known and self.known[place].value is value):
            return self.seen(self.known[place], value)
        if type(value) not in READ and not _has_numbers(value):
            if isinstance(value, NUMPY) or not hasattr(value, "shape"):  # tensors are watched so
                self.expect(owner, dict.get, key)
            if _may_change(value):
                self.expect(owner, _content, key)
            return value
        twin = self.known.get(("count", key, value)) if type(value) is int else None
        if twin is not None:
            self.twins.append((weakref.ref(owner), key, twin.slot))
            self.known[place] = twin
            return twin
        number = self.known[place] = Number(self.recording, self.slot(value), value)
        self.reads.append((weakref.ref(owner), key, number.slot, type(value)))
        if type(value) is int:
            self.known["count", key, value] = number
        return self.seen(number, value)

    def seen(self, number: Number, value: Any) -> Any:
        """What stands for `value`, which is in the slot of `number`: Numbers for numbers."""
        if type(value) in READ:
            return number
        if type(value) is not tuple:
            return value
        self.demand(self.apply(_types_of, number))
        return tuple(
            [
                self.apply(operator.getitem, number, i) if type(x) in READ else x
                for i, x in enumerate(value)
            ]
        )

    def write(self, owner: Numbers, key: str, value: Any) -> Any:
        """Note what a recorded function stores in `owner`; returns the plain value."""
        place = self.place(owner, key)
        if type(value) is tuple and any(map(self.owns, value)):
            items, value = value, ()
            for item in items:
                value = self.apply(_append, value, item)
        elif any(map(self.owns, leaves_of(value))) and not self.owns(value):
            value = mapped(value, lambda x: x.fixed() if self.owns(x) else x)
        if not self.owns(value):
            plain = value.value if type(value) is Number else value
            value = Number(self.recording, self.slot(plain), plain)
        self.known[place] = value
        self.store(owner, key, value.slot)
        return value.value

    def remove(self, owner: Numbers, key: str) -> None:
        """Note that a recorded function removes a key from `owner`."""
        self.known.pop(self.place(owner, key), None)
        self.store(owner, key, -1)

    def store(self, owner: Numbers, key: str, slot: int) -> None:
        """Note that `owner` gets at this moment what is in a slot; -1: that it loses the key."""
        written = self.writes.setdefault(self.place(owner, key), (weakref.ref(owner), key, []))
        written[2].append((next(moments), slot))

    def expect(self, owner: Numbers, question: Callable[..., Any], *args: Any) -> None:
        """Make it a condition that a question about `owner` has the same answer in replays."""
        place = (*self.place(owner, question), *args)
        if place not in self.expected and place[::2] not in self.writes:
            answer = question(owner, *args)
            self.expected[place] = weakref.ref(owner), question, args, answer

    def apply(self, function: Callable[..., Any], *operands: Any) -> Number:
        """The result of arithmetic, noted."""
        numbers = [x if self.owns(x) else self.constant(x) for x in operands]
        slots = [x.slot for x in numbers]
        key = (function, *slots)
        found = self.known.get(key)
        if found is None:
            try:
                value = function(*[x.value for x in numbers])
            except Exception:  # which a function may catch, to go on otherwise
                for number in numbers:
                    self.demand(number)
                raise
            found = self.known[key] = Number(self.recording, self.slot(value), value)
            self.steps.append((function, slots[0], slots[1] if slots[1:] else -1, found.slot))
        return found

    def owns(self, value: Any) -> bool:
        """Whether a value is a number of this script."""
        return type(value) is Number and value.recording is self.recording

    def constant(self, value: Any) -> Number:
        """A plain number, in a slot; also what an earlier recording left behind."""
        if type(value) is Number:
            value = value.value
        key = (type(value), repr(value))  # 0.0 is not -0.0
        if key not in self.known:
            self.known[key] = Number(self.recording, self.slot(value), value)
        return self.known[key]

    def demand(self, number: Number) -> None:
        """Make it a condition that a number is the same in replays."""
        if number.slot not in self.demanded:
            self.demanded.add(number.slot)
            self.steps.append((None, number.slot, number.value, -1))

    def close(self) -> None:
        """Forget what only recording needs, and places that were made inside and are gone."""
        self.known.clear()
        self.owners.clear()
        self.reads = [read for read in self.reads if read[0]() is not None]
        self.twins = [twin for twin in self.twins if twin[0]() is not None]
        self.expected = {k: v for k, v in self.expected.items() if v[0]() is not None}
        self.writes = {k: v for k, v in self.writes.items() if v[0]() is not None}
        self.stored = self.stored_at(math.inf)
        used = {slot for *_, stored in self.writes.values() for _, slot in stored}
        used.update(*[step[1:3] for step in self.steps if step[0] is not None])
        for slot, value in enumerate(self.values):
            is_number = isinstance(value, REAL) or is_plain(value)
            if slot not in used and not is_number:  # nothing else is kept alive, such as a tensor
                self.values[slot] = None
        self.recorded = [*self.values]

    # when replayed
    def run(self) -> bool:
        """Compute all values from what the places hold now. False if a condition does not hold."""
        if self.is_unchanged():
            return True
        values = self.values
        for owner, key, slot, kind in self.reads:
            place = owner()
            value = None if place is None else dict.get(place, key)
            if type(value) is not kind:
                return self.fail(key)
            values[slot] = value
        for owner, key, slot in self.twins:
            place = owner()
            value = None if place is None else dict.get(place, key)
            if type(value) is not int or value != values[slot]:
                return self.fail(key)
        for owner, question, args, answer in self.expected.values():
            place = owner()
            if place is None or not is_same(question(place, *args), answer):
                return self.fail(str(args[0]) if args else "state")
        if not self.compute():
            return False
        if not self.writes:
            self.remember()
        return True

    def compute(self) -> bool:
        """Do all steps. False if a condition does not hold, or what raised no error now does."""
        values = self.values
        for function, a, b, result in self.steps:
            if function is None:
                found = values[a]
                if (found != b or found == 0) and not is_same(found, b):
                    return self.fail(self.place_of(a))
                continue
            try:
                values[result] = function(values[a]) if b < 0 else function(values[a], values[b])
            except (ArithmeticError, TypeError, ValueError):  # the function may catch it
                return self.fail(self.place_of(a))
        return True

    def is_unchanged(self) -> bool:
        """Whether all places hold what they held when this ran last, which saves the rest."""
        if self.writes:
            return False
        for owner, keys, _, ids in self.last:
            place = owner()
            if place is None or keys_of(place) != keys:
                break
            if [*map(id, dict.values(place))] != ids:
                break
        else:
            if self.last:
                return True
        self.last = []
        return False

    def remember(self) -> None:
        """Note what the places hold, unless it may change in place."""
        if any(question is _content for _, question, *_ in self.expected.values()):
            return
        places: tuple[tuple[Any, ...], ...] = (*self.reads, *self.twins, *self.expected.values())
        owners: dict[int, weakref.ref[Numbers]] = {id(owner()): owner for owner, *_ in places}
        self.last = [
            (owner, keys_of(place), [*dict.values(place)], [*map(id, dict.values(place))])
            for owner in owners.values()
            if (place := owner()) is not None
        ]

    def stored_at(self, until: float) -> list[tuple[weakref.ref[Numbers], str, int]]:
        """What the function had stored at a moment: places, and the slots of the last values."""
        before = [
            (owner, key, [slot for moment, slot in stored if moment < until])
            for owner, key, stored in self.writes.values()
        ]
        return [(owner, key, slots[-1]) for owner, key, slots in before if slots]

    def commit(self, until: float | None = None) -> None:
        """Store what the function stored, or what it had stored at a moment."""
        for owner, key, slot in self.stored if until is None else self.stored_at(until):
            place = owner()
            if place is not None and slot < 0:
                dict.pop(place, key, None)
            elif place is not None:
                dict.__setitem__(place, key, self.values[slot])

    def fail(self, what: str) -> bool:
        """Note which number does not fit."""
        self.failed = what
        return False

    def place_of(self, slot: int) -> str:
        """The key of a number that the one in `slot` was made of; of one that changed, if any."""
        names = {read: key for _, key, read, _ in self.reads}
        seen = [slot]
        for number in seen:  # which grows meanwhile
            steps = [step for step in self.steps if step[3] == number and step[0] is not None]
            seen += [n for _, a, b, _ in steps for n in (a, b) if n not in seen]
        found = [number for number in seen if number in names]
        changed = [n for n in found if not is_same(self.values[n], self.recorded[n])]
        return names[(changed or found)[0]] if found else "a number"


def _has_numbers(value: Any) -> bool:
    return type(value) is tuple and value != () and all(type(x) in READ for x in value)


def _content(owner: Numbers, key: str) -> Any:
    """What is in a value that `owner` has: in lists, dicts, arrays, also in one another."""
    return _frozen(dict.get(owner, key))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple([(key, _frozen(part)) for key, part in value.items()])
    if isinstance(value, (list, tuple, set)):
        return (type(value), *map(_frozen, value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return None if _is_tensor(value) else value


def _may_change(value: Any) -> bool:
    """Whether a value may become another in place; not so lists of tensors, such as parameters."""
    if isinstance(value, (list, tuple)) and not is_plain(value):
        return not value or not all(map(_is_tensor, value))
    return isinstance(value, (dict, set, np.ndarray))


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and not isinstance(value, NUMPY)


def _types_of(values: tuple[Any, ...]) -> tuple[type, ...]:
    return tuple(map(type, values))


def _append(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    return (*values, value)
