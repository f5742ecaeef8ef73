"""Python numbers that a recorded function must read anew whenever it is replayed.

A learning rate, a count of steps or the position in a stream of random numbers is no tensor, and
yet it changes from call to call. Such numbers live in `Numbers`, a dict. While a function is being
recorded (`tinynet.jit`), reading one gives a `Number`: its value now, and its place in a `Script`,
which notes the arithmetic that is done with it, to do it again at each replay. A comparison, or any
other use that needs the plain value, notes a condition: a replay whose numbers answer differently
is none, and the function is recorded again. So nothing that is read here goes stale.
"""

from __future__ import annotations

import itertools
import math
import operator
import threading
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinynet.script import Script

REAL = (int, float)  # what arithmetic is noted for; other values may not change between calls
READ = (int, float, np.float64)  # the types of values that are read anew
PLAIN = (bool, int, float, complex, str, bytes, type(None))
# What is compared between calls; everything else is known by its identity.
SIMPLE = (bool, int, float, str, bytes, tuple, type(None))
EXACT = (bool, int, str, bytes)  # of which those that are equal are the same
VALUES = (complex, range, slice, np.generic, PurePath)  # that are, too


def is_plain(value: Any) -> bool:
    """Whether a value leads to nothing, and cannot be called."""
    return type(value) in PLAIN or (type(value) is tuple and all(map(is_plain, value)))


def is_same(now: Any, before: Any) -> bool:
    """Whether a value is the one that was there, a plain one that equals it, types and signs of
    zeros included, or the same method of the same instance.
    """
    if now is before:
        return True
    if type(now) is not type(before) or type(now) is Number:
        return False
    if isinstance(before, MethodType):
        return now.__self__ is before.__self__ and now.__func__ is before.__func__
    if not isinstance(before, (*SIMPLE, *VALUES)):
        return False
    if type(before) in EXACT:
        return bool(now == before)
    if isinstance(before, tuple):
        return len(now) == len(before) and all(map(is_same, now, before))
    return repr(now) == repr(before)


class _Current(threading.local):
    """The script of the recording that this thread is in."""

    script: Script | None = None


current = _Current()
moments = itertools.count(1)  # at which recordings note calls, and what is stored in `Numbers`


class Numbers(dict[str, Any]):
    """A dict whose numbers are read anew by each replay of a function that was recorded.

    >>> numbers = Numbers(lr=0.1)
    >>> numbers["lr"]
    0.1
    """

    def __init__(self, *items: Any, **named: Any) -> None:
        super().__init__(*items, **named)
        for key, value in dict.items(self):
            if type(value) is Number:
                dict.__setitem__(self, key, value.at_hand())

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
            script.expect(self, keys_of)
        return dict.__iter__(self)

    def __setitem__(self, key: str, value: Any) -> None:
        script = current.script
        if script is not None:
            value = script.write(self, key, value)
        elif type(value) is Number:
            value = value.at_hand()
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


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if type(other) is not Number and not isinstance(other, REAL):
            return NotImplemented
        return self.applied(function, self, other)

    return method


_power = _operator(operator.pow)


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if not isinstance(other, REAL):
            return NotImplemented
        return self.applied(function, other, self)

    return method


def _comparison(function: Callable[[Any, Any], Any]) -> Callable[[Number, Any], Any]:
    def method(self: Number, other: Any) -> Any:
        if type(other) is not Number and not isinstance(other, REAL):
            return NotImplemented
        return _fixed(self.applied(function, self, other))

    return method


class Number:
    """A number read from `Numbers`, or made of such: `value` is what it is in this call.

    `slot` is where a replay's script leaves it, `recording` the script's, which the number does not
    keep alive. One that is still there when that is over, in a list, is like its plain value.
    """

    __slots__ = ("recording", "slot", "value")

    def __init__(self, recording: object, slot: int, value: Any) -> None:
        self.recording = recording
        self.slot = slot
        self.value = value

    def applied(self, function: Callable[..., Any], *operands: Any) -> Any:
        """The result of a function of numbers, noted while recording."""
        script = current.script
        if script is not None and any(map(script.owns, operands)):
            return script.apply(function, *operands)
        return function(*[x.value if type(x) is Number else x for x in operands])

    def at_hand(self) -> Any:
        """Itself while it is being recorded, then the plain value."""
        script = current.script
        return self if script is not None and script.owns(self) else self.value

    def fixed(self) -> Any:
        """The plain value; while recording, on condition that it is the same in replays."""
        script = current.script
        if script is not None and script.owns(self):
            script.demand(self)
        return self.value

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.value)  # so that isinstance() answers as it does without recording

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.value, name)  # nothing depends on what is not there
        self.fixed()
        return found

    def __copy__(self) -> Any:
        return self.at_hand()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.at_hand()

    def __reduce__(self) -> Any:
        return type(self.value), (self.fixed(),)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.fixed(), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        is_noted = method == "__call__" and len(inputs) <= 2 and ufunc.nout == 1 and not options
        if is_noted and all(type(x) is Number or isinstance(x, REAL) for x in inputs):
            result = self.applied(ufunc, *inputs)
            if isinstance(result, REAL):
                return result
        return getattr(ufunc, method)(*map(_fixed, inputs), **options)

    def __bool__(self) -> bool:
        answer: bool = _fixed(self.applied(operator.truth, self))
        return answer

    def __float__(self) -> float:
        return float(self.fixed())

    def __int__(self) -> int:
        return int(self.fixed())

    def __index__(self) -> int:
        return operator.index(self.fixed())

    def __hash__(self) -> int:
        return hash(self.fixed())

    def __repr__(self) -> str:
        return repr(self.fixed())

    def __str__(self) -> str:
        return str(self.fixed())

    def __format__(self, spec: str) -> str:
        return format(self.fixed(), spec)

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return self.applied(round, self)
        return self.applied(round, self, digits)

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if modulo is not None:
            return pow(*map(_fixed, (self, other, modulo)))
        return _power(self, other)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pos__(self) -> Any:
        return self.applied(operator.pos, self)

    def __invert__(self) -> Any:
        return self.applied(operator.invert, self)

    def __trunc__(self) -> int:
        return int(self.fixed())

    def __floor__(self) -> int:
        whole: int = math.floor(self.fixed())
        return whole

    def __ceil__(self) -> int:
        whole: int = math.ceil(self.fixed())
        return whole

    def __neg__(self) -> Any:
        return self.applied(operator.neg, self)

    def __abs__(self) -> Any:
        return self.applied(operator.abs, self)

    # fmt: off
    __add__, __radd__ = _operator(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _reflected(operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _reflected(operator.mod)
    __rpow__ = _reflected(operator.pow)
    __lshift__, __rlshift__ = _operator(operator.lshift), _reflected(operator.lshift)
    __rshift__, __rrshift__ = _operator(operator.rshift), _reflected(operator.rshift)
    __and__, __rand__ = _operator(operator.and_), _reflected(operator.and_)
    __or__, __ror__ = _operator(operator.or_), _reflected(operator.or_)
    __xor__, __rxor__ = _operator(operator.xor), _reflected(operator.xor)
    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)
    # fmt: on


def _fixed(value: Any) -> Any:
    return value.fixed() if type(value) is Number else value


def keys_of(numbers: Numbers) -> tuple[str, ...]:
    """All keys, in their order."""
    return tuple(dict.keys(numbers))


def is_recording() -> bool:
    """Whether this thread records a function: then nobody can look at the values of tensors."""
    return current.script is not None


def as_float(value: Any) -> Any:
    """A float; of a number that is being recorded, itself."""
    if type(value) is Number:
        value = value.at_hand()
    return value if type(value) is Number else float(value)
