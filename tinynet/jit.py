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
   1  sum            float32[3], [0], False -> float32[] ...
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinynet import backends, settings
from tinynet.autograd.graph import Node, Variable, clock, wrap
from tinynet.autograd.inplace import note_write
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Function
from tinynet.backends.base import Tape
from tinynet.capture import Capture, GradChange, version
from tinynet.errors import ArgumentTypeError, GradientError, RecordingError
from tinynet.guards import Guards
from tinynet.numbers import Number, Script, current
from tinynet.ops.creation import as_tensor
from tinynet.tensor import Tensor

MANY = 8  # recordings of one function after which it warns
MOST_KEPT = 32  # recordings of one function that are kept
MOST_SEEN = 4096  # signatures of one function that are remembered

Callee = TypeVar("Callee", bound=Callable[..., Any])


def jit(function: Callable[..., Any]) -> Jitted:
    """Make a function fast by recording what it does; also a decorator, of methods too.

    Arguments are tensors and NumPy arrays (which arrive as tensors), also in tuples, lists and
    dicts; anything else is part of the signature, and a new value is recorded anew. Weights,
    optimisers' state and options, gradients, random numbers and statistics live outside; replays
    read and write them where they are. The results are new tensors without a graph, so `backward`
    belongs into the function. Raises `RecordingError` where the function cannot be recorded:
    because it reads values, or leaves tensors in Python objects other than `.grad`.
    """
    if not callable(function):
        raise ArgumentTypeError(f"jit: expected a function, got {type(function).__name__}")
    return Jitted(function)


class Jitted:
    """A function that is recorded. `tape` is what was recorded last, for people to print."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.recordings: dict[Any, list[Recording]] = {}
        self.seen: set[Any] = set()
        self.count = 0  # of recordings made
        self.leaks = 0
        self.why = ""
        self.last_key: Any = None
        self.last: Recording | None = None
        self.lock = threading.RLock()
        self.bound: dict[int, tuple[weakref.ref[Any], Jitted]] = {}

    @property
    def tape(self) -> Tape | None:
        """The last tape that was recorded or replayed; None before."""
        return None if self.last is None else self.last.tape

    def __get__(self, instance: Any, owner: type) -> Jitted:
        """The method of an instance, with recordings of its own."""
        if instance is None:
            return self
        found = self.bound.get(id(instance))
        if found is None or found[0]() is not instance:
            method = Jitted(_Method(self.function, instance))
            found = self.bound[id(instance)] = weakref.ref(instance), method
            weakref.finalize(instance, self.bound.pop, id(instance), None)
        return found[1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the function, or run it."""
        if current.script is not None:  # inside of another recording, whose part this becomes
            return self.function(*args, **kwargs)
        leaves: list[Tensor] = []
        key: Any = (mode.enabled, *[_describe(x, leaves) for x in args])
        if kwargs:
            key = (*key, *[(name, _describe(x, leaves)) for name, x in sorted(kwargs.items())])
        if len(leaves) > 1:
            ids = [*map(id, leaves)]
            if len(set(ids)) < len(ids):
                key = (*key, *map(ids.index, ids))
        with self.lock:
            try:
                candidates = self.recordings.get(key)
            except TypeError:
                raise self.unhashable(args, kwargs) from None
            if candidates:
                for recording in candidates:
                    if recording.fits(leaves):
                        self.last = recording
                        return recording.replay(leaves)
                self.why = candidates[-1].failed
                candidates[:] = [x for x in candidates if x.is_alive]
            return self.run(key, args, kwargs, leaves)

    def run(self, key: Any, args: Any, kwargs: Any, leaves: list[Tensor]) -> Any:
        """Call the function itself, and record it unless this kind of call is new."""
        arguments = iter(leaves)
        args = tuple([_with_tensors(x, arguments) for x in args])
        named = {name: _with_tensors(kwargs[name], arguments) for name in sorted(kwargs)}
        call = functools.partial(self.function, *args, **named)
        if mode.enabled and any([x.node is not None for x in leaves]):
            raise GradientError(
                f"jit: an input of {self.__name__} has a graph, into which replays cannot reach; "
                "detach() it, or compute it inside"
            )
        if key not in self.seen:
            if len(self.seen) > MOST_SEEN:
                self.seen.clear()
            self.seen.add(key)
            result = call()
            _map_tensors(result, lambda y: _spent(y) if y.node is not None else y)
            return result
        self.warn(key)
        recording = Recording(call, self.function, [*args, *named.values()], leaves)
        self.last_key = key
        if recording.leaks:
            self.leaks += 1
            if self.leaks > 1 and recording.find_leaks():
                raise recording.leak_error()
            return recording.result
        self.leaks = 0
        self.last = recording
        kept = self.recordings.setdefault(key, [])
        kept.insert(0, recording)
        if sum(map(len, self.recordings.values())) > MOST_KEPT:
            oldest = next(iter(self.recordings))
            self.recordings[oldest].pop()
            if not self.recordings[oldest]:
                del self.recordings[oldest]
        result, recording.result = recording.result, None
        return result

    def warn(self, key: Any) -> None:
        """Say what keeps changing, if recordings do not help."""
        self.count += 1
        if self.count == MANY + 1:
            changed = self.why or _difference(self.last_key, key, self.function)
            warnings.warn(
                f"jit: {self.__name__} is recorded for the {self.count}th time, because "
                f"{changed} keeps changing; pass it as a tensor, or keep it outside",
                stacklevel=4,
            )

    def unhashable(self, args: Any, kwargs: Any) -> ArgumentTypeError:
        """The error for an argument that cannot be part of the signature."""
        for name, x in (*enumerate(args), *kwargs.items()):
            try:
                hash(_describe(x, []))
            except TypeError:
                return ArgumentTypeError(
                    f"jit: argument {name!r} is a {type(x).__name__}, which has no hash; expected "
                    "tensors, arrays, lists, tuples, dicts, or values that can be told apart"
                )
        raise AssertionError


class _Method:
    """A function bound to an instance that it does not keep alive."""

    def __init__(self, function: Callable[..., Any], instance: Any) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.instance = weakref.ref(instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.instance(), *args, **kwargs)


class Recording:
    """One recorded call and all that its replays need."""

    def __init__(
        self, call: Callable[[], Any], function: Any, arguments: list[Any], inputs: list[Tensor]
    ) -> None:
        self.failed = ""
        self.is_alive = True
        self.script = Script()
        if isinstance(function, _Method):
            self.guards = Guards(function.function, function.instance(), arguments)
        else:
            self.guards = Guards(function, None, arguments)
        chosen = {x.backend for x in inputs} or set(backends.opened)
        recorders = {backend: backend.record() for backend in chosen}
        capture = Capture(inputs, self.guards.tensors, recorders)
        self.n_inputs = len(inputs)
        with _settled_again(), capture:
            current.script = self.script
            try:
                result = call()
            finally:
                current.script = None
        self.finish(capture, inputs, result)

    def finish(self, capture: Capture, inputs: list[Tensor], result: Any) -> None:
        """Make the tape, and note what becomes of everything else."""
        positions = {id(x): i for i, x in reversed([*enumerate(inputs)])}
        self.inputs = [*dict.fromkeys(map(id, inputs))]
        self.first = [positions[key] for key in self.inputs]
        self.outputs: list[Any] = []  # arrays while this runs
        self.states = [
            (weakref.ref(x), array)
            for x, array, _ in capture.tensors.values()
            if id(x) not in positions
        ]
        self.written: list[Any] = [
            positions.get(id(x), weakref.ref(x))
            for x, _, before in capture.tensors.values()
            if version(x) != before
        ]
        kept = self.note_grads(capture.grads, positions)
        self.made: dict[int, tuple[int, Any, Any]] = {}
        self.structure = _map(result, lambda y: self.note_output(y, capture, positions))
        backend = capture.backend
        if backend is None:
            made = [y.backend for y in _tensors_in(result)]
            backend = made[0] if made else next(iter(capture.recorders))
            if any(r.is_used for b, r in capture.recorders.items() if b is not backend):
                raise RecordingError("jit: the function uses several devices, expected one")
        self.backend = backend
        self.result = result
        for y in _tensors_in(result):
            if "made_in" in y.__dict__:
                y.origin = None
                if y.node is not None:
                    _spent(y)
        spared = {id(y) for y in _tensors_in(result)} | {id(x) for x in kept}
        spared |= {id(change.tensor.grad) for change in capture.grads.values()}
        self.leaks = [r for r in capture.made if r() is not None and id(r()) not in spared]
        self.script.close()
        if self.leaks:
            return
        recorder = capture.recorders[backend]
        self.tape = recorder.finish(self.outputs, [x.array for x in kept])
        self.outputs.clear()
        self.kept = [wrap(array, x.dtype, backend) for array, x in zip(self.tape.kept, kept)]
        self.settle()
        _all.add(self)

    # what is noted
    def note_grads(self, grads: dict[int, GradChange], positions: dict[int, int]) -> list[Tensor]:
        """Which `.grad`s must be as they were, and what becomes of them; returns those to keep."""
        kept: list[Tensor] = []
        self.expected_grads: list[tuple[Any, Any]] = []
        self.new_grads: list[tuple[Any, str, Any]] = []  # tensor, kind, what it gets
        for change in grads.values():
            x, before = change.tensor, change.before
            who = positions.get(id(x), weakref.ref(x))
            after = x.__dict__.get("grad")
            if change.was_read:
                self.expected_grads.append((who, None if before is None else weakref.ref(before)))
            if after is None:
                self.new_grads.append((who, "none", None))
            elif after is before and change.was_read:
                continue
            elif id(after) in positions:
                self.new_grads.append((who, "input", positions[id(after)]))
            elif "made_in" not in after.__dict__:
                self.new_grads.append((who, "tensor", weakref.ref(after)))
            elif type(who) is int:
                self.new_grads.append((who, "output", len(self.outputs)))
                self.outputs.append(after.array)
            else:
                self.new_grads.append((who, "kept", len(kept)))
                kept.append(after)
        return kept

    def note_output(self, y: Any, capture: Capture, positions: dict[int, int]) -> Any:
        """What stands for a result: a function of inputs, arrays and numbers of a replay."""
        if type(y) is Number:
            return _Result("number", y.slot)
        if not isinstance(y, Variable):
            return y
        if id(y) in positions:
            return _Result("input", positions[id(y)])
        for who, kind, place in self.new_grads:
            owner = None if type(who) is int else who()
            if kind == "kept" and owner is not None and owner.grad is y:
                return _Result("kept", place)
        if "made_in" not in y.__dict__:
            return _Result("tensor", weakref.ref(y))
        if id(y) not in self.made:
            node = _spent_node(y) if y.needs_grad else None  # type: ignore[arg-type]
            self.made[id(y)] = (len(self.outputs), y.dtype, node)
            self.outputs.append(y.array)
        return _Result("new", self.made[id(y)])

    def find_leaks(self) -> list[Any]:
        """The tensors made inside that are still there, once garbage is collected."""
        gc.collect()
        self.leaks = [r for r in self.leaks if r() is not None]
        return self.leaks

    def leak_error(self) -> RecordingError:
        """What to raise about them."""
        found = [r() for r in self.leaks[:3]]
        shapes = ", ".join([str(x.shape) for x in found if x is not None])
        return RecordingError(
            f"jit: the function leaves tensors of shape {shapes} in Python objects (an attribute, "
            "a list, a variable), which replays cannot do; return them, or write into a tensor "
            "that is there with copy_()"
        )

    # replays
    def fits(self, leaves: list[Tensor]) -> bool:
        """Whether everything that the recording relied on holds."""
        for state, array in self.states:
            x = state()
            if x is None or x.array is not array:
                self.is_alive = False
                self.failed = "a tensor that it uses"
                return False
        if not self.guards.holds():
            self.failed = f"the value of {self.guards.failed!r}"
            return False
        for who, before in self.expected_grads:
            if type(who) is not int and who().grad is not (None if before is None else before()):
                self.failed = "whether a tensor has a gradient"
                return False
        if not self.tape.fits([leaves[i].array for i in self.first]):
            self.failed = "whether inputs share memory, or the range of an index,"
            return False
        if not self.script.run():
            self.failed = f"the number {self.script.failed!r}"
            return False
        return True

    def replay(self, leaves: list[Tensor]) -> Any:
        """Do on `leaves` what was recorded."""
        if self.kept and self.is_held():
            self.renew()
        values = self.script.values
        self.script.commit()
        arrays = self.tape.replay([leaves[i].array for i in self.first], values)
        for who in self.written:
            note_write(leaves[who] if type(who) is int else who())
        for who, kind, what in self.new_grads:
            x = leaves[who] if type(who) is int else who()
            if kind == "kept":
                x.grad = self.kept[what]
            elif kind == "input":
                x.grad = leaves[what]
            elif kind == "output":
                x.grad = wrap(arrays[what], x.dtype, self.backend)
            else:
                x.grad = None if what is None else what()
        if type(self.structure) is _Result:
            return self.result_of(self.structure, leaves, arrays, {})
        made: dict[int, Tensor] = {}
        return _map(
            self.structure,
            lambda item: (
                self.result_of(item, leaves, arrays, made) if type(item) is _Result else item
            ),
        )

    def result_of(
        self, result: _Result, leaves: list[Tensor], arrays: list[Any], made: dict[int, Tensor]
    ) -> Any:
        """One of the results of a replay."""
        kind, what = result.kind, result.what
        if kind == "new":
            place, dtype, node = what
            y = made.get(place)
            if y is None:
                y = made[place] = wrap(arrays[place], dtype, self.backend)
                if node is not None:
                    y.node, y.needs_grad = node, True
            return y
        if kind == "number":
            return self.script.values[what]
        if kind == "input":
            return leaves[what]
        return self.kept[what] if kind == "kept" else what()

    # gradients that are kept
    def is_held(self) -> bool:
        """Whether somebody else holds a gradient that is about to be overwritten."""
        return self.tape.is_held() or self.count_holders() != self.holders

    def count_holders(self) -> list[int]:
        """For each kept gradient how many refer to it, but for `.grad` of its tensor."""
        counts = [sys.getrefcount(x) for x in self.kept]
        for who, kind, what in self.new_grads:
            if kind == "kept":
                x = who()
                counts[what] -= x is not None and x.__dict__.get("grad") is self.kept[what]
        return counts

    def settle(self) -> None:
        """Whoever holds the kept gradients now does so knowingly."""
        self.tape.settle()
        self.holders = self.count_holders()

    def renew(self) -> None:
        """Go on with new gradients; the old ones stay with those who hold them."""
        self.tape.bind()
        self.kept = [
            wrap(array, x.dtype, self.backend) for array, x in zip(self.tape.kept, self.kept)
        ]
        self.settle()


class _Result:
    """Stands for a tensor, or a number, among a recorded function's results."""

    def __init__(self, kind: str, what: Any) -> None:
        self.kind = kind
        self.what = what


class _settled_again:  # noqa: N801 (a context manager)
    """Recordings whose kept gradients nobody else holds go on so, though a new one reads them."""

    def __enter__(self) -> None:
        self.free = [recording for recording in _all if recording.kept and not recording.is_held()]

    def __exit__(self, *error: object) -> None:
        for recording in self.free:
            recording.settle()


_all: weakref.WeakSet[Recording] = weakref.WeakSet()


class Recorded(Function):
    """What a recorded function's results come from, as far as their graph goes."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Refuse."""
        raise GradientError(
            "backward: a result of a function that jit records has no graph; call backward() "
            "inside of the function, or take gradients with respect to its inputs there"
        )


def _spent_node(y: Tensor) -> Node:
    node = Node()
    node.function, node.shape, node.dtype, node.order = Recorded, y.shape, y.dtype, next(clock)
    return node


def _spent(y: Tensor) -> Tensor:
    """A result that was computed with a graph, without it."""
    y.node = _spent_node(y)
    return y


def _describe(item: Any, leaves: list[Tensor]) -> Any:
    """What of an argument decides whether a recording is of use; its tensors go to `leaves`."""
    if isinstance(item, Variable):
        leaves.append(item)  # type: ignore[arg-type]
        array = item.array
        return (
            type(item), item.shape, array.strides, item.dtype, item.backend, item.needs_grad,
        )  # fmt: skip
    kind = type(item)
    if kind is np.ndarray:
        return _describe(as_tensor(item, device=settings.DEVICE.get()), leaves)
    if kind is tuple or kind is list:
        return (kind, *[_describe(part, leaves) for part in item])
    if kind is dict:
        return (kind, *[(name, _describe(part, leaves)) for name, part in item.items()])
    return kind, item


def _with_tensors(item: Any, leaves: Any) -> Any:
    """An argument with tensors for NumPy arrays."""
    kind = type(item)
    if isinstance(item, Variable) or kind is np.ndarray:
        return next(leaves)
    if kind is tuple or kind is list:
        return kind([_with_tensors(part, leaves) for part in item])
    if kind is dict:
        return {name: _with_tensors(part, leaves) for name, part in item.items()}
    return item


def _map(item: Any, function: Callable[[Any], Any]) -> Any:
    """A structure of results with `function` applied to its parts."""
    kind = type(item)
    if kind is tuple or kind is list:
        return kind([_map(part, function) for part in item])
    if kind is dict:
        return {name: _map(part, function) for name, part in item.items()}
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return kind(*[_map(part, function) for part in item])
    return function(item)


def _map_tensors(item: Any, function: Callable[[Tensor], Any]) -> Any:
    return _map(item, lambda part: function(part) if isinstance(part, Tensor) else part)


def _tensors_in(item: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map_tensors(item, found.append)
    return found


def _difference(before: Any, now: Any, function: Any) -> str:
    """What differs between the signatures of two calls, in words."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames if code is not None else ()
    for i, (a, b) in enumerate(zip(before or (), now)):
        if a != b and i:
            name = names[i - 1] if i <= len(names) else i - 1
            if isinstance(b, tuple) and len(b) == 2:
                return f"argument {name!r} ({a[1]!r}, then {b[1]!r})"
            return f"the shape or dtype of argument {name!r}"
    return "the arguments' structure"
