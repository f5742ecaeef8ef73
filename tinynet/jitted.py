"""Record a function of tensors once, replay it with almost no Python.

The first call with arguments of a kind runs as ever. The second one does too, and is recorded: the
backend notes its primitives (`backends.base.Recorder`), a `Capture` the tensors from outside, a
`Script` the numbers, `Guards` the Python values. Later calls bring new inputs and replay the tape.
What the recording relied on is checked before; where it does not hold, the function is recorded
again, and recordings are kept for when it does.

>>> import tinynet as tn
>>> @tn.jit
... def scaled(x, factor):
...     return (x * factor).sum()
>>> [scaled(tn.ones(3) * i, 2.0).item() for i in range(4)]
[0.0, 6.0, 12.0, 18.0]
>>> print(scaled.tape)
2 calls on cpu, ... bytes of buffers
   0  mul            float32[3], 2.0 -> float32[3] ...
   1  sum            float32[3], (0,), False -> float32[] ...
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any, overload

from tinynet import settings
from tinynet.autograd.mode import mode
from tinynet.backends.base import Tape
from tinynet.errors import ArgumentTypeError, GradientError
from tinynet.numbers import current
from tinynet.recording import Recording, map_tensors, spent
from tinynet.signature import describe, difference, is_dead, with_tensors
from tinynet.tensor import Tensor

MANY = 8  # recordings of one function after which it warns
MOST_KEPT = 32  # recordings of one function that are kept
MOST_ALIKE = 8  # those of one kind of call, which differ in what is around the function
MOST_SEEN = 4096  # signatures of one function that are remembered
KINDS = {
    "a generator function": inspect.isgeneratorfunction,
    "a coroutine function": inspect.iscoroutinefunction,
    "an asynchronous generator function": inspect.isasyncgenfunction,
}


class _Calls(threading.local):
    """The calls of recorded functions that this thread is in, which run without being recorded."""

    depth = 0


_calls = _Calls()


@overload
def jit(function: Callable[..., Any], *, warm_up: bool = True) -> Jitted: ...


@overload
def jit(*, warm_up: bool = True) -> Callable[[Callable[..., Any]], Jitted]: ...


def jit(function: Callable[..., Any] | None = None, *, warm_up: bool = True) -> Any:
    """Make a function fast by recording what it does; also a decorator, of methods too.

    Arguments are tensors and NumPy arrays (which arrive as tensors), also in tuples, lists, dicts
    and dataclasses; anything else is part of the signature: a new value is recorded anew. Weights,
    optimisers' state and options, gradients, random numbers and statistics live outside; replays
    read and write them where they are. The results are new tensors without a graph, so `backward`
    belongs into the function. Raises `RecordingError` where the function cannot be recorded:
    because it reads values, draws random numbers from Python or NumPy, or leaves tensors in Python
    objects other than `.grad`.

    The first call of a kind runs without being recorded, since it often makes state, such as an
    optimiser's, and may be the only one. Not so with `warm_up=False`: then all calls that find
    their state there run the same kernels, those of the recording, and so give the same bits.
    """
    if function is None:
        return functools.partial(jit, warm_up=warm_up)
    if not callable(function):
        raise ArgumentTypeError(f"jit: expected a function, got {type(function).__name__}")
    for kind, is_one in KINDS.items():
        if is_one(function):
            raise ArgumentTypeError(
                f"jit: expected a function that returns its results, got {kind}, which gives them "
                "one by one, or later"
            )
    return Jitted(function, warm_up)


class Jitted:
    """A function that is recorded. `tape` is what was recorded last, for people to print."""

    def __init__(self, function: Callable[..., Any], warm_up: bool = True) -> None:
        functools.update_wrapper(self, function, updated=())
        self.warm_up = warm_up
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.recordings: dict[Any, list[Recording]] = {}
        self.seen: set[Any] = set()
        self.notes: dict[Any, dict[str, dict[Any, Any]]] = {}
        self.count = 0  # of recordings made
        self.leaks: dict[Any, list[weakref.ref[Tensor]]] = {}  # of the last recording of a kind
        self.why = ""
        self.last_key: Any = None
        self.last: Recording | None = None
        self.lock = threading.RLock()
        self.bound: dict[int, tuple[weakref.ref[Any], Jitted]] = {}

    @property
    def tape(self) -> Tape | None:
        """The last tape that was recorded or replayed; None before."""
        return None if self.last is None else self.last.tape

    def __getattr__(self, name: str) -> Any:
        """Refuse, and say where it is: recorded modules are functions."""
        given = vars(self).get("__wrapped__")
        hint = ""
        if hasattr(given, name):
            hint = f", which the {type(given).__name__} has that it records"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __reduce__(self) -> Any:
        """Copies and pickles have no recordings. What a module has by its name is known by it."""
        function = self.function
        if isinstance(function, _Method):
            return getattr, (function.instance(), function.function.__name__)
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(getattr(self, "__module__", ""))
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (Jitted, (function, self.warm_up))

    def __get__(self, instance: Any, owner: type) -> Jitted:
        """The method of an instance, with recordings of its own."""
        if instance is None:
            return self
        found = self.bound.get(id(instance))
        if found is None or found[0]() is not instance:
            found = self.bound[id(instance)] = self.bind(instance)
        handle = object.__new__(_Bound)
        handle.__dict__ = found[1].__dict__
        handle.instance = instance
        return handle

    def bind(self, instance: Any) -> tuple[weakref.ref[Any], Jitted]:
        """The method of an instance that had none yet, known as long as that lives."""
        try:
            reference = weakref.ref(instance)
        except TypeError:
            raise ArgumentTypeError(
                f"jit: {self.__name__} is a method of {type(instance).__name__}, whose instances "
                "cannot have recordings of their own; add '__weakref__' to its __slots__"
            ) from None
        weakref.finalize(instance, self.bound.pop, id(instance), None)
        return reference, Jitted(_Method(self.function, instance), self.warm_up)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the function, or run it."""
        if current.script is not None or _calls.depth:  # inside of another, whose part this becomes
            return self.function(*args, **kwargs)
        leaves: list[Tensor] = []
        try:
            key: Any = (mode.enabled, *[describe(x, leaves) for x in args])
            if kwargs:
                key = (*key, *[(name, describe(x, leaves)) for name, x in kwargs.items()])
        except RecursionError:
            raise self.misfit(args, kwargs) from None
        if len(leaves) > 1:
            ids = [*map(id, leaves)]
            if len(set(ids)) < len(ids):
                key = (*key, *map(ids.index, ids))
        elif not leaves:
            key = (*key, settings.DEVICE.get())
        with self.lock:
            try:
                candidates = self.recordings.get(key)
            except TypeError:
                raise self.misfit(args, kwargs) from None
            self.why = ""
            for recording in candidates or ():
                if recording.fits(leaves):
                    self.last = recording
                    return recording.replay(leaves)
                self.why = recording.failed
            return self.run(key, args, kwargs, leaves)

    def run(self, key: Any, args: Any, kwargs: Any, leaves: list[Tensor]) -> Any:
        """Call the function itself, and record it unless this kind of call is new."""
        arguments = iter(leaves)
        args = tuple([with_tensors(x, arguments) for x in args])
        named = {name: with_tensors(x, arguments) for name, x in kwargs.items()}
        call = functools.partial(self.function, *args, **named)
        if mode.enabled and any(x.node is not None for x in leaves):
            raise GradientError(
                f"jit: an input of {self.__name__} has a graph, into which replays cannot reach; "
                "detach() it, or compute it inside"
            )
        if self.warm_up and key not in self.seen:
            if len(self.seen) > MOST_SEEN:
                self.seen.clear()
            self.seen.add(key)
            _calls.depth += 1
            try:
                result = call()
            finally:
                _calls.depth -= 1
            map_tensors(result, lambda y: spent(y) if y.node is not None else y)
            return result
        self.forget_dead()
        self.warn(key)
        function: Any = self.function
        owner = None
        if isinstance(function, _Method):
            function, owner = function.function, function.instance()
        arguments_given, notes = [*args, *named.values()], self.notes_of(key)
        recording = Recording(call, function, owner, arguments_given, leaves, notes)
        self.last_key = key
        before = self.leaks.pop(key, None)
        if recording.leaks:
            if before is not None and not recording.uses(before) and recording.find_leaks():
                raise recording.leak_error()
            if len(self.leaks) > MOST_SEEN:
                self.leaks.clear()
            self.leaks[key] = recording.leaks
            return recording.result
        self.last = recording
        kept = self.recordings.setdefault(key, [])
        kept.insert(0, recording)
        del kept[MOST_ALIKE:]
        if sum(map(len, self.recordings.values())) > MOST_KEPT:
            oldest = next(iter(self.recordings))
            self.recordings[oldest].pop()
            if not self.recordings[oldest]:
                del self.recordings[oldest]
        result, recording.result = recording.result, None
        return result

    def forget_dead(self) -> None:
        """Let go of recordings that cannot be replayed again: something that they need is gone."""
        for key, kept in [*self.recordings.items()]:
            kept[:] = [x for x in kept if x.is_alive and not x.guards.is_dead()]
            if not kept or is_dead(key):
                del self.recordings[key]

    def notes_of(self, key: Any) -> dict[str, dict[Any, Any]]:
        """What backends keep between recordings of one kind of call."""
        if len(self.notes) > MOST_SEEN:
            self.notes.clear()
        return self.notes.setdefault(key, {})

    def warn(self, key: Any) -> None:
        """Say what keeps changing, if recordings do not help."""
        self.count += 1
        if self.count == MANY + 1:
            changed = self.why or difference(self.last_key, key, self.function)
            warnings.warn(
                f"jit: {self.__name__} is recorded for the {self.count}th time, because "
                f"{changed} keeps changing; pass it as a tensor, or keep it outside",
                stacklevel=4,
            )

    def misfit(self, args: Any, kwargs: Any) -> ArgumentTypeError:
        """The error for an argument that cannot be part of the signature."""
        for name, x in (*enumerate(args), *kwargs.items()):
            try:
                hash(describe(x, []))
            except TypeError:
                return ArgumentTypeError(
                    f"jit: argument {name!r} is a {type(x).__name__}, which has no hash; expected "
                    "tensors, arrays, lists, tuples, dicts, or values that can be told apart"
                )
            except RecursionError:
                return ArgumentTypeError(
                    f"jit: argument {name!r} leads back to itself, or deeper than Python can "
                    "follow; expected tensors, also in lists, tuples, dicts and dataclasses"
                )
        raise AssertionError


class _Bound(Jitted):
    """The method of an instance, which it keeps alive: a `Jitted` whose state is another's."""

    __slots__ = ("instance",)
    instance: Any

    def __eq__(self, other: object) -> bool:
        return type(other) is _Bound and other.__dict__ is self.__dict__

    def __hash__(self) -> int:
        return id(self.__dict__)


class _Method:
    """A function bound to an instance that it does not keep alive."""

    def __init__(self, function: Callable[..., Any], instance: Any) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.instance = weakref.ref(instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.instance(), *args, **kwargs)
