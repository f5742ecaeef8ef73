"""Recording on the CPU: the NumPy calls of a function, to be made again on buffers of their own.

A `Recorder` stands in front of the backend's primitives while a function runs: each computes as
ever, and is noted with the places of the arrays it read and wrote. The arrays themselves die as
ever, so recording takes little more memory. From the notes a `Tape` is made. What nobody needs is
dropped, what never changes is computed once, results lie in one block where lifetimes allow, and
views of it are made once. What is left is a list of functions and arguments, and a replay is a loop
over it. Memory from outside (inputs, weights) is read and written where it lies, in the order of
the recording, so it may overlap as it likes.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import numpy as np

from tinynet.backends.numpy_calls import Array
from tinynet.backends.numpy_layers import Layer, Method
from tinynet.backends.numpy_lowering import Call
from tinynet.backends.numpy_places import Places, places_in
from tinynet.backends.numpy_plan import Plan
from tinynet.backends.numpy_tape import Tape
from tinynet.errors import RecordingError
from tinynet.numbers import Number, moments

COMPUTED = (
    "full arange random_bits elementwise cast copy reduce arg_reduce scan argsort matmul linalg"
    " concatenate take convolve convolve_input convolve_weight"
    " pool_max pick spread fold"
).split()  # give new arrays
WRITTEN = ("assign", "put")  # change their first argument
MOVED = "reshape permute expand slice strided".split()  # give views, if they can
READ = {"to_numpy": "reads the values of a tensor", "nonzero": "gives a shape that values decide"}


class Recorder:
    """Notes what one thread asks of the backend, from `start` to `stop`."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.thread = threading.get_ident()
        self.calls: list[Call] = []
        self.inputs: list[Array] = []
        self.fixed: dict[int, Array] = {}  # inputs that are used in other ways too
        self.places = Places()
        self.is_inside = False

    def start(self) -> None:
        """Stand in front of the backend."""
        self.layer: Layer = {name: partial(self.noting, name) for name in (*COMPUTED, *WRITTEN)}
        self.layer |= {name: partial(self.viewing, name) for name in MOVED}
        self.layer |= {name: partial(self.refusing, why) for name, why in READ.items()}
        self.layer["from_numpy"] = self.holding
        self.backend.layers.add(self.layer)

    def stop(self) -> None:
        """Leave."""
        self.backend.layers.remove(self.layer)

    @property
    def is_used(self) -> bool:
        """Whether anything was computed."""
        return bool(self.calls)

    def add_inputs(self, arrays: list[Array]) -> list[Array]:
        """Arrays that are others in each replay."""
        self.inputs = arrays
        for i, array in enumerate(arrays):
            self.places.add_slot(array, i)
        return arrays

    def add_state(self, array: Array) -> None:
        """`array` is from outside, and the same in each replay."""
        self.fixed |= {i: array for i, x in enumerate(self.inputs) if x is array}

    def is_mine(self) -> bool:
        """Whether a call is to be noted: not those of other threads, nor calls inside calls."""
        return not self.is_inside and threading.get_ident() == self.thread

    def run(self, method: Method, args: tuple[Any, ...]) -> Any:
        """Call a method of the backend on plain numbers."""
        self.is_inside = True
        try:
            return method(*_plain(args))
        finally:
            self.is_inside = False

    def note(self, name: str, args: tuple[Any, ...], outs: tuple[Array, ...], is_new: bool) -> None:
        """Note a call. What it makes of what is the same in each replay is so too."""
        places = self.places
        given = places.of(args)
        if is_new:
            is_same = all(x.storage in places.same for x in places_in(given))
            places.add_made(outs, name == "constant" or (is_same and not _has_number(args)))
        call = Call(name, given, places.of(outs), is_new, next(moments))
        if not is_new:
            places.change(call.outs[0])
        self.calls.append(call)

    def noting(self, name: str, method: Method) -> Method:
        def call(*args: Any, out: Array | None = None) -> Any:
            if not self.is_mine():
                return method(*args) if out is None else method(*args, out=out)
            if out is not None:
                self.run(lambda *given: method(*given, out=out), args)
                self.note(name, args, (out,), False)
                return out
            result = self.run(method, args)
            if name in WRITTEN:
                self.note(name, args, (args[0],), False)
            else:
                self.note(name, args, result if type(result) is tuple else (result,), True)
            return result

        return call

    def viewing(self, name: str, method: Method) -> Method:
        def call(x: Array, *args: Any) -> Any:
            if not self.is_mine():
                return method(x, *args)
            result = self.run(method, (x, *args))
            if result.size and not np.may_share_memory(result, x):
                self.note(name, (x, *args), (result,), True)
            elif (parent := self.places.of(x)).kind == "slot":
                self.places.add_slot(result, -1, (name, parent, args))
            return result

        return call

    def holding(self, method: Method) -> Method:
        def from_numpy(array: Array) -> Any:
            if self.is_mine() and not self.places.has_memory_of(array):
                self.note("constant", (array.copy(),), (array,), True)
            return method(array)

        return from_numpy

    def refusing(self, why: str, method: Method) -> Method:
        def call(*args: Any) -> Any:
            if self.is_mine():
                raise RecordingError.reading(why)
            return method(*args)

        return call

    def abandon(self) -> None:
        """Nothing is left to do."""

    def finish(self, outputs: list[Array], kept: list[Array]) -> Tape:
        """The tape, which gives `outputs`. `kept` are arrays that others go on to hold."""
        return Tape(Plan(self, self.places.of(outputs), self.places.of(kept)), self.fixed)


def _plain(item: Any) -> Any:
    """Arguments with numbers that are being recorded replaced by their values."""
    if type(item) in (tuple, list):
        return type(item)([_plain(part) for part in item])
    return item.value if type(item) is Number else item


def _has_number(item: Any) -> bool:
    return type(item) is Number or (type(item) in (tuple, list) and any(map(_has_number, item)))
