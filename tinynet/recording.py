"""A recorded call of a function, and all that its replays need."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

from tinynet import backends
from tinynet.autograd.graph import Node, Variable, clock, wrap
from tinynet.autograd.inplace import note_write
from tinynet.autograd.operation import Function
from tinynet.capture import Capture, lock, version
from tinynet.errors import GradientError, RecordingError
from tinynet.foreign_random import Draws
from tinynet.interrupts import Deferral
from tinynet.numbers import Number, current, is_plain, is_same
from tinynet.reaching import find_guards
from tinynet.script import Script
from tinynet.structure import leaves_of, mapped
from tinynet.tensor import Tensor


class Recording:
    """One recorded call. `function` is what was called, `owner` the instance it is a method of.

    `seen` is what backends keep between recordings of such calls.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        function: Any,
        owner: Any,
        arguments: list[Any],
        inputs: list[Tensor],
        seen: dict[str, dict[Any, Any]],
    ) -> None:
        self.failed = ""
        self.is_alive = True
        self.script = Script()
        self.guards = find_guards(function, owner, arguments)
        with lock, Deferral() as interrupts, _settled_again():
            self.record(
                call, arguments, inputs, seen, interrupts
            )  # which holds nothing any more when it returns

    def record(
        self,
        call: Callable[[], Any],
        arguments: list[Any],
        inputs: list[Tensor],
        seen: dict[str, dict[Any, Any]],
        interrupts: Deferral,
    ) -> None:
        """Make the call, watch what it does, and make a tape of that."""
        chosen = {x.backend for x in inputs} or set(backends.opened) or {backends.open_backend()}
        recorders = {b: b.record(seen.setdefault(b.name, {})) for b in chosen}
        capture = Capture(inputs, self.guards.tensors, recorders)
        given = _plain_leaves(arguments)
        with capture:
            draws = Draws(self.guards.generators)
            current.script = self.script
            try:
                interrupts.listen()
                result = call()
            except BaseException:
                self.guards.make_plain()
                raise
            finally:
                interrupts.is_on = True
                current.script = None
            draws.check()
        self.guards.settle()
        self.writes_arguments = not is_same(_plain_leaves(arguments), given)
        self.is_alive = not self.guards.changed and not self.writes_arguments
        self.finish(capture, arguments, inputs, result)

    def finish(
        self, capture: Capture, arguments: list[Any], inputs: list[Tensor], result: Any
    ) -> None:
        """Make the tape, and note what becomes of everything else."""
        positions = {id(x): i for i, x in reversed([*enumerate(inputs)])}
        self.first = [positions[key] for key in dict.fromkeys(map(id, inputs))]
        self.outputs: list[Any] = []  # arrays while this runs
        used = capture.tensors.values()
        self.states = [
            (weakref.ref(x), array, needed_grad)
            for x, array, _, needed_grad in used
            if id(x) not in positions
        ]
        self.flags: list[tuple[Any, bool]] = [  # of tensors that require a gradient now, or not
            (positions.get(id(x), weakref.ref(x)), x.needs_grad)
            for x, _, _, needed_grad in used
            if x.needs_grad is not needed_grad
        ]
        written = [x for x, _, before, _ in used if version(x) != before]
        self.written_inputs = [positions[id(x)] for x in written if id(x) in positions]
        self.written = [weakref.ref(x) for x in written if id(x) not in positions]
        kept = self.note_grads(capture, positions)
        self.made: dict[int, tuple[int, Any, Any]] = {}
        self.structure = mapped(result, lambda y: self.note_output(y, capture, positions))
        self.backend = backend = _only_backend(capture, result)
        has_numbers = any(type(y) is Number for y in leaves_of(result))
        self.result = mapped(result, _plain) if has_numbers else result
        for y in _tensors_in(result):
            if capture.has_made(y):
                y.origin = None
                if y.node is not None:
                    spent(y)
        self.script.close()
        spared = {id(y) for y in _tensors_in(result)} | {id(x) for x in kept}
        spared |= {id(change.tensor.grad) for change in capture.grads.values()}
        spared -= {id(x) for x in leaves_of(arguments)} - positions.keys()
        self.leaks = [r for r in capture.made if r() is not None and id(r()) not in spared]
        if self.leaks:
            capture.recorders[backend].abandon()
            return
        recorder = capture.recorders[backend]
        self.tape = recorder.finish(self.outputs, [x.array for x in kept])
        self.outputs.clear()
        self.kept = [wrap(array, x.dtype, backend) for array, x in zip(self.tape.kept, kept)]
        self.changes_tensors = bool(self.flags or self.kept_grads or self.new_grads)
        self.settle()
        _all.add(self)

    # what is noted
    def note_grads(self, capture: Capture, positions: dict[int, int]) -> list[Tensor]:
        """Which `.grad`s must be as they were, and what becomes of them; returns those to keep."""
        kept: list[Tensor] = []
        self.expected_grads: list[tuple[Any, Any]] = []
        self.new_grads: list[tuple[Any, str, Any]] = []  # tensor, kind, what it gets
        self.kept_grads: list[tuple[weakref.ref[Tensor], int]] = []  # tensor, which one it gets
        for change in capture.grads.values():
            x, before = change.tensor, change.before
            who: Any = positions.get(id(x), weakref.ref(x))
            after = x.__dict__.get("grad")
            if change.was_read:
                self.expected_grads.append((who, None if before is None else weakref.ref(before)))
            if after is None:
                self.new_grads.append((who, "none", None))
            elif after is before and change.was_read:
                continue
            elif id(after) in positions:
                self.new_grads.append((who, "input", positions[id(after)]))
            elif not capture.has_made(after):
                self.new_grads.append((who, "tensor", weakref.ref(after)))
            elif type(who) is int:
                self.new_grads.append((who, "output", len(self.outputs)))
                self.outputs.append(after.array)
            else:
                self.kept_grads.append((who, len(kept)))
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
        for who, place in self.kept_grads:
            owner = who()
            if owner is not None and owner.grad is y:
                return _Result("kept", place)
        if not capture.has_made(y):  # type: ignore[arg-type]
            return _Result("tensor", weakref.ref(y))
        if id(y) not in self.made:
            node = _spent_node(y) if y.needs_grad else None  # type: ignore[arg-type]
            self.made[id(y)] = (len(self.outputs), y.dtype, node)
            self.outputs.append(y.array)
        return _Result("new", self.made[id(y)])

    def uses(self, tensors: list[weakref.ref[Tensor]]) -> bool:
        """Whether all of these live and were used: they became state, such as an optimiser's."""
        used = {id(state()) for state, *_ in self.states}
        return all(reference() is not None and id(reference()) in used for reference in tensors)

    def find_leaks(self) -> list[Any]:
        """The tensors made inside that are still there, once garbage is collected."""
        gc.collect()
        self.script.close()
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
        for state, array, needs_grad in self.states:
            x = state()
            if x is None or x.array is not array:
                self.is_alive = False
                self.failed = "a tensor that it uses"
                return False
            if x.needs_grad is not needs_grad:
                self.failed = "whether a tensor requires grad"
                return False
        for i in self.written_inputs:
            if not leaves[i].backend.is_writable(leaves[i].array):
                self.failed = "whether an argument can be written"
                return False
        if self.writes_arguments:
            self.failed = "an argument, which the function itself writes,"
            return False
        if not self.guards.holds():
            self.failed = f"the value of {self.guards.failed!r}"
            return False
        for who, before in self.expected_grads:
            x = leaves[who] if type(who) is int else who()
            grad = None if before is None else before()
            is_gone = grad is None and before is not None
            if x is None or x.grad is not grad or is_gone:
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
        for i in self.written_inputs:
            note_write(leaves[i])
        for state in self.written:
            note_write(state())  # type: ignore[arg-type]  # it is there: `fits` said so
        try:
            arrays = self.tape.replay([leaves[i].array for i in self.first], values)
        except BaseException:
            self.script.commit(self.tape.reached)  # as far as the function would have come
            raise
        self.script.commit()
        if self.guards.effects:
            self.guards.write(values)
        if self.changes_tensors:
            self.bring_up_to_date(leaves, arrays)
        if type(self.structure) is _Result:
            return self.result_of(self.structure, leaves, arrays, {})
        made: dict[int, Tensor] = {}
        return mapped(
            self.structure,
            lambda item: (
                self.result_of(item, leaves, arrays, made) if type(item) is _Result else item
            ),
        )

    def bring_up_to_date(self, leaves: list[Tensor], arrays: list[Any]) -> None:
        """What the function does to tensors beside their memory: gradients, requiring them."""
        for who, needs_grad in self.flags:
            x = leaves[who] if type(who) is int else who()
            if x is not None:
                x.needs_grad = needs_grad
        for owner, what in self.kept_grads:
            x = owner()
            if x is not None:  # somebody has it still
                x.grad = self.kept[what]
        for who, kind, what in self.new_grads:
            x = leaves[who] if type(who) is int else who()
            if x is None:
                continue
            if kind == "input":
                x.grad = leaves[what]
            elif kind == "output":
                x.grad = wrap(arrays[what], x.dtype, self.backend)
            else:
                x.grad = None if what is None else what()

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
        for who, what in self.kept_grads:
            x = who()
            if x is not None and x.__dict__.get("grad") is self.kept[what]:
                counts[what] -= 1
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


def _plain_leaves(arguments: list[Any]) -> tuple[Any, ...]:
    """The plain values in arguments: numbers in a list, fields of a dataclass."""
    return tuple([x for x in leaves_of(arguments) if is_plain(x)])


def _only_backend(capture: Capture, result: Any) -> Any:
    """The backend that all of a recorded call was on."""
    made = [y.backend for y in _tensors_in(result) if capture.has_made(y)]
    used = [b for b, recorder in capture.recorders.items() if recorder.is_used]
    named = [b for b in (capture.backend, *made, *used) if b is not None]
    backend = named[0] if named else next(iter(capture.recorders))
    others = {b.name for b in named if b is not backend}
    if others:
        raise RecordingError(
            f"jit: the function uses {backend.name} and {', '.join(sorted(others))}, expected one "
            "device"
        )
    if backend not in capture.recorders:
        raise RecordingError(
            f"jit: nothing was on {backend.name} before the function put it there; make a tensor "
            "there first, or leave out warm_up=False"
        )
    return backend


class _Result:
    """Stands for a tensor, or a number, among a recorded function's results."""

    def __init__(self, kind: str, what: Any) -> None:
        self.kind = kind
        self.what = what


class _settled_again:  # noqa: N801 (a context manager)
    """Recordings whose kept gradients nobody else holds go on so, though a new one reads them."""

    def __enter__(self) -> None:
        self.free = [recording for recording in _all if recording.kept and not recording.is_held()]

    def __exit__(self, kind: object, *error: object) -> None:
        for recording in self.free if kind is None else ():  # an error's frames hold everything
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


def spent(y: Tensor) -> Tensor:
    """A result that was computed with a graph, without it."""
    y.node = _spent_node(y)
    return y


def map_tensors(item: Any, function: Callable[[Tensor], Any]) -> Any:
    """A structure of results with `function` applied to its tensors."""
    return mapped(item, lambda part: function(part) if isinstance(part, Tensor) else part)


def _plain(item: Any) -> Any:
    """The value of a number of a script; anything else itself."""
    return item.value if type(item) is Number else item


def _tensors_in(item: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_tensors(item, found.append)
    return found
