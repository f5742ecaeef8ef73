"""Python numbers that a recorded function must read anew whenever it is replayed.

A learning rate, a count of steps or the position in a stream of random numbers is no tensor, and
yet it changes from call to call. Such numbers live in `Numbers`, a dict. While a function is being
recorded (`tinynet.jit`), reading one gives a `Number`: its value now, and its place in a `Script`,
which notes the arithmetic that is done with it, to do it again at each replay. A comparison, or any
other use that needs the plain value, notes a condition: a replay whose numbers answer differently
is none, and the function is recorded again. So nothing that is read here goes stale.
"""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

PLAIN = (int, float)  # what arithmetic is noted for; other values may not change between calls
SIMPLE = (
    bool,
    int,
    float,
    str,
    bytes,
    tuple,
    type(None),
)  # compared; the rest is known by identity


class _Current(threading.local):
    """The script of the recording that this thread is in."""

    script: Script | None = None


current = _Current()


class Numbers(dict[str, Any]):
    """A dict whose numbers are read anew by each replay of a function that was recorded.

    >>> numbers = Numbers(lr=0.1)
    >>> numbers["lr"]
    0.1
    """

    def __getitem__(self, key: str) -> Any:
        script = current.script
        value = dict.__getitem__(self, key)
        return value if script is None else script.read(self, key, value)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, `default` where there is none."""
        if key not in self:  # which is noted
            return default
        return self[key]

    def __contains__(self, key: object) -> bool:
        script = current.script
        if script is not None:
            script.expect(self, dict.__contains__, key)
        return dict.__contains__(self, key)

    def __len__(self) -> int:
        script = current.script
        if script is not None:
            script.expect(self, dict.__len__)
        return dict.__len__(self)

    def __iter__(self) -> Iterator[str]:
        script = current.script
        if script is not None:
            script.expect(self, _keys)
        return dict.__iter__(self)

    def __setitem__(self, key: str, value: Any) -> None:
        script = current.script
        if script is not None:
            value = script.write(self, key, value)
        dict.__setitem__(self, key, value)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, which becomes `default` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        """Take over the items of others."""
        for key, value in dict(*others, **named).items():
            self[key] = value

    def keys(self) -> Any:
        """The keys."""
        return [*self] if current.script is not None else dict.keys(self)

    def values(self) -> Any:
        """The values."""
        return [self[key] for key in self] if current.script is not None else dict.values(self)

    def items(self) -> Any:
        """Pairs of keys and values."""
        if current.script is not None:
            return [(key, self[key]) for key in self]
        return dict.items(self)

    def copy(self) -> Numbers:
        """Another dict of the same items."""
        return Numbers(self.items())

    def __delitem__(self, key: str) -> None:
        script = current.script
        if script is not None:
            script.remove(self, key)
        dict.__delitem__(self, key)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key; its value."""
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Remove all keys."""
        for key in [*self]:
            del self[key]


class Number:
    """A number read from `Numbers`, or made of such: `value` is what it is in this call.

    `slot` is where a replay's script leaves it.
    """

    __slots__ = ("script", "slot", "value")

    def __init__(self, script: Script, slot: int, value: Any) -> None:
        self.script = script
        self.slot = slot
        self.value = value

    def fixed(self) -> Any:
        """The plain value, on condition that it is the same in replays."""
        self.script.demand(self)
        return self.value

    def __bool__(self) -> bool:
        return self.script.decide(operator.truth, self)

    def __float__(self) -> float:
        return float(self.fixed())

    def __int__(self) -> int:
        return int(self.fixed())

    def __index__(self) -> int:
        return operator.index(self.fixed())

    def __hash__(self) -> int:
        return hash(self.fixed())

    def __repr__(self) -> str:
        return repr(self.value)

    def __str__(self) -> str:
        return str(self.fixed())

    def __format__(self, spec: str) -> str:
        return format(self.fixed(), spec)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return self.script.apply(round, self)
        return self.script.apply(round, self, digits)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pos__(self) -> Any:
        return self.script.apply(operator.pos, self)

    def __invert__(self) -> Any:
        return self.script.apply(operator.invert, self)

    def __trunc__(self) -> int:
        return int(self.fixed())

    def __floor__(self) -> int:
        whole: int = math.floor(self.fixed())
        return whole

    def __ceil__(self) -> int:
        whole: int = math.ceil(self.fixed())
        return whole

    def __neg__(self) -> Any:
        return self.script.apply(operator.neg, self)

    def __abs__(self) -> Any:
        return self.script.apply(operator.abs, self)


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if type(other) is not Number and not isinstance(other, PLAIN):
            return NotImplemented
        return self.script.apply(function, self, other)

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if not isinstance(other, PLAIN):
            return NotImplemented
        return self.script.apply(function, other, self)

    return method


def _comparison(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if type(other) is not Number and not isinstance(other, PLAIN):
            return NotImplemented
        return self.script.decide(function, self, other)

    return method


for _name in "add sub mul truediv floordiv mod pow lshift rshift and or xor".split():
    _function = getattr(operator, f"__{_name}__")
    setattr(Number, f"__{_name}__", _operator(_function))
    setattr(Number, f"__r{_name}__", _reflected(_function))
for _name in "eq ne lt le gt ge".split():
    setattr(Number, f"__{_name}__", _comparison(getattr(operator, f"__{_name}__")))


class Script:
    """What a recorded function did with numbers, as steps on a list of values.

    `run` does it again. A step computes a slot from one or two others, or is a condition: what a
    slot must hold for the recording to be of use. `reads` and `writes` are places in `Numbers`,
    held weakly.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.steps: list[tuple[Callable[..., Any] | None, int, Any, int]] = []
        self.reads: list[tuple[weakref.ref[Numbers], str, int, type]] = []
        self.writes: dict[tuple[int, str], tuple[weakref.ref[Numbers], str, int]] = {}
        self.demanded: set[int] = set()  # slots with conditions
        self.expected: dict[Any, tuple[weakref.ref[Numbers], Callable[..., Any], Any, Any]] = {}
        self.known: dict[Any, Number] = {}
        self.failed = ""
        self.last: list[tuple[weakref.ref[Numbers], list[Any]]] = []

    # while recording
    def slot(self, value: Any) -> int:
        """A new slot that holds `value`."""
        self.values.append(value)
        return len(self.values) - 1

    def read(self, owner: Numbers, key: str, value: Any) -> Any:
        """What a recorded function sees of a value in `owner`."""
        place = (id(owner), key)
        if place in self.writes or (place in self.known and self.known[place].value is value):
            number = self.known[place]
            return number if type(value) in PLAIN else value
        if type(value) not in PLAIN:
            if not hasattr(value, "shape"):  # tensors are watched by themselves
                self.expect(owner, dict.get, key)
            return value
        number = self.known[place] = Number(self, self.slot(value), value)
        self.reads.append((weakref.ref(owner), key, number.slot, type(value)))
        return number

    def write(self, owner: Numbers, key: str, value: Any) -> Any:
        """Note what a recorded function stores in `owner`; returns the plain value."""
        place = (id(owner), key)
        if type(value) is Number:
            self.known[place] = value
            slot, plain = value.slot, value.value
        else:
            slot, plain = self.slot(value), value
            self.known[place] = Number(self, slot, value)
        self.writes[place] = weakref.ref(owner), key, slot
        return plain

    def remove(self, owner: Numbers, key: str) -> None:
        """Note that a recorded function removes a key from `owner`."""
        place = (id(owner), key)
        self.known.pop(place, None)
        self.writes[place] = weakref.ref(owner), key, -1

    def expect(self, owner: Numbers, question: Callable[..., Any], *args: Any) -> None:
        """Make it a condition that a question about `owner` has the same answer in replays."""
        place = (id(owner), question, *args)
        if place not in self.expected and place[::2] not in self.writes:
            answer = question(owner, *args)
            self.expected[place] = weakref.ref(owner), question, args, answer

    def apply(self, function: Callable[..., Any], *operands: Any) -> Number:
        """The result of arithmetic, noted."""
        slots = [x.slot if type(x) is Number else self.constant(x) for x in operands]
        key = (function, *slots)
        found = self.known.get(key)
        if found is None:
            value = function(*[x.value if type(x) is Number else x for x in operands])
            found = self.known[key] = Number(self, self.slot(value), value)
            self.steps.append((function, slots[0], slots[1] if slots[1:] else -1, found.slot))
        return found

    def constant(self, value: Any) -> int:
        """The slot of a plain number."""
        key = (type(value), repr(value))  # 0.0 is not -0.0
        if key not in self.known:
            self.known[key] = Number(self, self.slot(value), value)
        return self.known[key].slot

    def decide(self, function: Callable[..., Any], *operands: Any) -> bool:
        """A yes or no, on condition that it is the same in replays."""
        answer = self.apply(function, *operands)
        self.demand(answer)
        return bool(answer.value)

    def demand(self, number: Number) -> None:
        """Make it a condition that a number is the same in replays."""
        if number.slot not in self.demanded:
            self.demanded.add(number.slot)
            self.steps.append((None, number.slot, number.value, -1))

    def close(self) -> None:
        """Forget what only recording needs."""
        self.known.clear()

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
        for owner, question, args, answer in self.expected.values():
            place = owner()
            if place is None or not _is_same(question(place, *args), answer):
                return self.fail(str(args[0]) if args else "state")
        for function, a, b, result in self.steps:
            if function is None:
                found = values[a]
                if found != b or (found == 0 and str(found) != str(b)):
                    return self.fail(self.place_of(a))
            else:
                values[result] = function(values[a]) if b < 0 else function(values[a], values[b])
        if not self.writes:
            self.remember()
        return True

    def is_unchanged(self) -> bool:
        """Whether all places hold what they held when this ran last, which saves the rest."""
        if self.writes:
            return False
        for owner, found in self.last:
            place = owner()
            if place is None or [*map(id, dict.values(place))] != [*map(id, found)]:
                break
        else:
            if self.last:
                return True
        self.last = []
        return False

    def remember(self) -> None:
        """Note what the places hold."""
        owners = {id(read[0]): read[0] for read in self.reads}
        owners |= {id(item[0]): item[0] for item in self.expected.values()}
        places = {id(place): owner for owner in owners.values() if (place := owner()) is not None}
        self.last = [(owner, [*dict.values(owner() or {})]) for owner in places.values()]

    def commit(self) -> None:
        """Store what the function stored."""
        for owner, key, slot in self.writes.values():
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
        """The key of a number that the one in `slot` was made of."""
        names = {read: key for _, key, read, _ in self.reads}
        seen = [slot]
        for number in seen:
            if number in names:
                return names[number]
            steps = [step for step in self.steps if step[3] == number and step[0] is not None]
            seen += [n for _, a, b, _ in steps for n in (a, b)]
        return "a number"


def _keys(owner: Numbers) -> tuple[str, ...]:
    return tuple(dict.keys(owner))


def _is_same(found: Any, wanted: Any) -> bool:
    if found is wanted:
        return True
    return isinstance(wanted, SIMPLE) and repr(found) == repr(wanted)


def is_recording() -> bool:
    """Whether this thread records a function: then nobody can look at the values of tensors."""
    return current.script is not None


def as_float(value: Any) -> Any:
    """A float; of a number that is being recorded, itself."""
    return value if type(value) is Number else float(value)
