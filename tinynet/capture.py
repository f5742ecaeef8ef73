"""What a function does to tensors it was not given: which it uses, writes, gives gradients.

While a `Capture` is open, `Variable.array` and `Variable.grad` are properties, so every use of a
tensor is seen, whoever makes it. Only the thread that opened it is watched, and one at a time.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynet.autograd.graph import Variable
from tinynet.errors import DeviceError, GradientError, RecordingError

if TYPE_CHECKING:
    from tinynet.backends.base import Recorder
    from tinynet.tensor import Tensor

lock = threading.RLock()  # one recording at a time


class GradChange:
    """What became of the `.grad` of a tensor, which was `before`, if it `was_read` first."""

    def __init__(self, tensor: Tensor, before: Tensor | None, was_read: bool) -> None:
        self.tensor = tensor
        self.before = before
        self.was_read = was_read


class Used(NamedTuple):
    """A tensor from outside, as it was before it was used."""

    tensor: Tensor
    array: Any
    version: int
    needed_grad: bool


class Capture:
    """A context manager. `inputs` are the function's own tensors, `recorders` of all backends.

    `known` are the ids of tensors that the function can reach in other ways than as inputs, and
    whether they need gradients before it.

    Afterwards `tensors` are those from outside that were used, and `grads` what became of those
    that have one, by id.
    """

    def __init__(
        self, inputs: list[Tensor], known: dict[int, bool], recorders: dict[Any, Recorder]
    ) -> None:
        self.inputs = inputs
        self.known = known
        self.recorders = recorders
        self.backend: Any = None
        self.tensors: dict[int, Used] = {}
        self.grads: dict[int, GradChange] = {}
        self.made: list[weakref.ref[Tensor]] = []
        self.mark = object()  # that tensors made meanwhile bear
        self.replaced: list[tuple[Tensor, Any]] = []  # inputs, and the arrays they had

    def __enter__(self) -> Capture:
        self.thread = threading.get_ident()
        with ExitStack() as begun:
            begun.enter_context(lock)
            for recorder in self.recorders.values():
                recorder.start()
                begun.callback(recorder.stop)
            begun.callback(self.give_back)
            self.add_inputs()
            self.begun = begun.pop_all()  # what the end has to undo
        Variable.array = property(self.get_array, self.set_array)
        Variable.grad = property(self.get_grad, self.set_grad)  # type: ignore[assignment]
        return self

    def add_inputs(self) -> None:
        """Tell the recorder of the inputs, and take what it wants in their place."""
        inputs = [*{id(x): x for x in self.inputs}.values()]
        for x in inputs:
            self.check(x)
        if not inputs:
            return
        recorder = self.recorders[self.backend]
        arrays = recorder.add_inputs([x.array for x in inputs])
        for x, array in zip(inputs, arrays):
            if x.array is not array:
                self.replaced.append((x, x.array))
                x.array = array
            self.note(x, array)
            if id(x) in self.known:
                recorder.add_state(array)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del Variable.array
        Variable.grad = None
        self.begun.close()
        if error is not None:
            for recorder in self.recorders.values():
                recorder.abandon()

    def give_back(self) -> None:
        """Let the inputs have their arrays again."""
        for x, original in self.replaced:
            x.array = original

    def is_outside(self, fields: dict[str, Any]) -> bool:
        """Whether this thread touches a tensor that was there before."""
        return fields.get("made_in") is not self.mark and threading.get_ident() == self.thread

    def has_made(self, x: Tensor) -> bool:
        """Whether a tensor was made meanwhile."""
        return x.__dict__.get("made_in") is self.mark

    def get_array(self, x: Any) -> Any:
        """What `x.array` is meanwhile."""
        fields = x.__dict__
        array = fields["array"]
        if id(x) not in self.tensors and self.is_outside(fields):
            self.check(x)
            self.note(x, array)
            self.recorders[x.backend].add_state(array)
        return array

    def set_array(self, x: Any, array: Any) -> None:
        """What `x.array = array` does meanwhile."""
        fields = x.__dict__
        if threading.get_ident() == self.thread:
            if "array" not in fields:
                fields["made_in"] = self.mark
                self.made.append(weakref.ref(x))
            elif fields.get("made_in") is not self.mark:
                raise RecordingError(
                    f"jit: the function gives a tensor of shape {x.shape} other memory "
                    "(.data = ..., .to()), which replays cannot do; write into it with copy_()"
                )
        fields["array"] = array

    def note(self, x: Tensor, array: Any) -> None:
        """Take a tensor from outside to those that are used."""
        needed_grad = self.known.get(id(x), x.needs_grad)
        self.tensors.setdefault(id(x), Used(x, array, version(x), needed_grad))

    def check(self, x: Tensor) -> None:
        """Refuse a tensor that a recording cannot use."""
        if self.backend is None:
            self.backend = x.backend
        if x.backend is not self.backend:
            raise DeviceError(
                f"jit: the function uses tensors on {self.backend.name} and {x.backend.name}, "
                "expected one device"
            )
        if x.node is not None and x.needs_grad:
            raise GradientError(
                f"jit: the function uses a tensor of shape {x.shape} that has a graph outside of "
                "it, into which replays cannot reach; detach() it, or compute it inside"
            )

    def get_grad(self, x: Any) -> Any:
        """What `x.grad` is meanwhile."""
        grad = x.__dict__.get("grad")
        if self.is_outside(x.__dict__):
            self.grads.setdefault(id(x), GradChange(x, grad, True))
        return grad

    def set_grad(self, x: Any, grad: Any) -> None:
        """What `x.grad = grad` does meanwhile."""
        if self.is_outside(x.__dict__):
            self.grads.setdefault(id(x), GradChange(x, None, False))
        x.__dict__["grad"] = grad


def version(x: Tensor) -> int:
    """How often a tensor's memory was written in place."""
    return x.writes[0] if x.writes else 0
