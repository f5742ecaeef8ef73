"""Python numbers that a recorded function must read anew whenever it is replayed.

A learning rate, a count of steps or the position in a stream of random numbers is no tensor, and
yet it changes from call to call. Such numbers live in `Numbers`, a dict. While a function is being
recorded (`tinynet.jit`), reading one gives a `Number`: its value now, and its place in a `Script`,
which notes the arithmetic that is done with it, to do it again at each replay. A comparison, or any
other use that needs the plain value, notes a condition: a replay whose numbers answer differently
is none, and the function is recorded again. So nothing that is read here goes stale.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable
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

    def __setitem__(self, key: str, value: Any) -> None:
        script = current.script
        if script is not None:
            value = script.write(self, key, value)
        dict.__setitem__(self, key, value)


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
        self.script.conditions[self.slot] = self.value
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

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

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

    `run` does it again. `conditions`: slots, and what they must hold for the recording to be of
    use. `reads` and `writes` are places in `Numbers`, held weakly.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.steps: list[tuple[Callable[..., Any], int, int, int]] = []
        self.reads: list[tuple[weakref.ref[Numbers], str, int, type]] = []
        self.writes: dict[tuple[int, str], tuple[weakref.ref[Numbers], str, int]] = {}
        self.conditions: dict[int, Any] = {}
        self.expected: dict[Any, tuple[weakref.ref[Numbers], Callable[..., Any], Any, Any]] = {}
        self.known: dict[Any, Number] = {}
        self.failed = ""

    # while recording
    def slot(self, value: Any) -> int:
        """A new slot that holds `value`."""
        self.values.append(value)
        return len(self.values) - 1

    def read(self, owner: Numbers, key: str, value: Any) -> Any:
        """What a recorded function sees of a value in `owner`."""
        place = (id(owner), key)
        if place in self.writes or (place in self.known and self.known[place].value is value):
            return self.known.get(place, value)
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
        elif type(value) in PLAIN:
            self.known[place] = Number(self, self.slot(value), value)
            slot, plain = self.known[place].slot, value
        else:
            self.known.pop(place, None)
            return value
        self.writes[place] = weakref.ref(owner), key, slot
        return plain

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
        key = (type(value), value)
        if key not in self.known:
            self.known[key] = Number(self, self.slot(value), value)
        return self.known[key].slot

    def decide(self, function: Callable[..., Any], *operands: Any) -> bool:
        """A yes or no, on condition that it is the same in replays."""
        answer = self.apply(function, *operands)
        self.conditions[answer.slot] = answer.value
        return bool(answer.value)

    def close(self) -> None:
        """Forget what only recording needs."""
        self.known.clear()

    # when replayed
    def run(self) -> bool:
        """Compute all values from what the places hold now. False if a condition does not hold."""
        values = self.values
        for owner, key, slot, kind in self.reads:
            place = owner()
            value = None if place is None else dict.get(place, key)
            if type(value) is not kind:
                return self.fail(key)
            values[slot] = value
        for function, a, b, result in self.steps:
            values[result] = function(values[a]) if b < 0 else function(values[a], values[b])
        for slot, wanted in self.conditions.items():
            if values[slot] != wanted:
                return self.fail(self.place_of(slot))
        for owner, question, args, answer in self.expected.values():
            place = owner()
            if place is None or not _is_same(question(place, *args), answer):
                return self.fail(str(args[0]) if args else "state")
        return True

    def commit(self) -> None:
        """Store what the function stored."""
        for owner, key, slot in self.writes.values():
            place = owner()
            if place is not None:
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
            seen += [n for _, a, b, result in self.steps if result == number for n in (a, b)]
        return "a number"


def _is_same(found: Any, wanted: Any) -> bool:
    return found is wanted or (isinstance(wanted, SIMPLE) and bool(found == wanted))


def as_float(value: Any) -> Any:
    """A float; of a number that is being recorded, itself."""
    return value if type(value) is Number else float(value)
