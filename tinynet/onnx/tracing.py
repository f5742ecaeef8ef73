"""What a module does, as calls of the backend's primitives: `Trace`.

A trace stands in front of the CPU backend's primitives while a module runs, as `tinynet.jit` does.
Each call is noted with the values it reads and makes. Memory is not what ONNX knows: a value is
made once. So a write in place makes a new value for the memory, and views of it are made anew when
they are next used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from tinynet.backends.numpy_layers import Layer, Method
from tinynet.errors import UnsupportedOperatorError
from tinynet.nn.module import Module
from tinynet.onnx.protobuf import Array

COMPUTED = (
    "full arange random_bits elementwise cast copy reduce arg_reduce scan argsort matmul"
    " concatenate take convolve convolve_input pool_max pick spread fold nonzero"
    " convolve_weight linalg run_kernel"
).split()
MOVED = "reshape permute expand slice strided".split()

_lock = threading.RLock()


class Ref(int):
    """The number of a value, where a call has one."""


class Call(NamedTuple):
    """One operation: `args` with values as `Ref`s, the values it makes, and the module it is of."""

    op: str
    args: tuple[Any, ...]
    outs: tuple[int, ...]
    path: str


class Value:
    """What an array was at a time. `array` has its shape and dtype, and keeps its identity.

    `name` is that of an input or of a part of the module's state, "" for others. `constant` holds
    the elements, where they come from neither.
    """

    def __init__(self, array: Array, name: str = "", constant: Array | None = None) -> None:
        self.array = array
        self.name = name
        self.constant = constant


class Trace:
    """Notes what is asked of the CPU backend, in a `with`. `known`: arrays that have names."""

    def __init__(
        self, backend: Any, known: Sequence[tuple[str, Array]], composites: dict[type, Any]
    ) -> None:
        self.backend = backend
        self.composites = composites
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.current: dict[int, int] = {}  # of arrays, by id
        self.seen: dict[int, int] = {}  # the version of its memory that an array's value has
        self.versions: dict[int, int] = {}  # how often memory was written, by id of its first array
        self.parents: dict[int, tuple[Array, str, tuple[Any, ...]]] = {}  # of views
        self.is_paused = False
        self.path: list[str] = []
        self.paths: dict[int, str] = {}
        for name, array in known:
            self.add(array, Value(array, name))

    # values
    def add(self, array: Array, value: Value) -> int:
        """Make this the value of `array`, which is no view."""
        number = len(self.values)
        self.values.append(value)
        self.current[id(array)] = number
        self.seen[id(array)] = self.versions.setdefault(id(array), 0)
        return number

    def root_of(self, array: Array) -> Array:
        """Whose memory a view has."""
        while id(array) in self.parents:
            array = self.parents[id(array)][0]
        return array

    def read(self, array: Array) -> Ref:
        """The value of an array now."""
        number = self.current.get(id(array))
        if number is None:
            return Ref(self.add(array, Value(array, "", array.copy())))
        version = self.versions[id(self.root_of(array))]
        if self.seen[id(array)] != version:  # a view of memory that was written since
            parent, op, args = self.parents[id(array)]
            self.note(op, (self.read(parent), *args), [array])
            self.seen[id(array)] = version
        return Ref(self.current[id(array)])

    def refs(self, item: Any) -> Any:
        """Arguments with values in place of arrays."""
        if isinstance(item, np.ndarray):
            return self.read(item)
        if type(item) in (tuple, list):
            return tuple([self.refs(part) for part in item])
        return item

    def note(self, op: str, args: tuple[Any, ...], outs: list[Array]) -> None:
        """A call, whose results are the values of `outs` from now on."""
        read = [self.values[ref] for ref in refs_in(args)]
        is_constant = op != "random_bits" and all(value.constant is not None for value in read)
        numbers = []
        for array in outs:
            numbers.append(len(self.values))
            self.values.append(Value(array, "", array.copy() if is_constant else None))
            self.current[id(array)] = numbers[-1]
        self.calls.append(Call(op, args, tuple(numbers), ".".join(self.path)))

    def make(self, op: str, args: tuple[Any, ...], outs: list[Array]) -> None:
        """A call that gives new arrays."""
        self.note(op, args, outs)
        for array in outs:
            self.parents.pop(id(array), None)
            self.versions[id(array)] = self.seen[id(array)] = 0

    def write(self, op: str, args: tuple[Any, ...], target: Array) -> None:
        """A call that gives memory that is there new contents."""
        root = self.root_of(target)
        self.read(target)
        before = None if root is target else self.read(root)
        self.note(op, args, [target])
        self.versions[id(root)] += 1
        if before is not None:
            value = Ref(self.current[id(target)])
            parent, how, place = self.parents[id(target)]
            if how == "reshape" and id(parent) in self.parents:  # of a slice, as `x[:, 0]` is
                self.note("reshape", (value, parent.shape), [parent])
                value = Ref(self.current[id(parent)])
                self.seen[id(parent)] = self.versions[id(root)]
                target, (parent, how, place) = parent, self.parents[id(parent)]
            is_window = parent is root and how == "slice"
            where = place[0] if is_window else self.indices(target, root)
            self.note("put_slice" if is_window else "put_flat", (before, value, where), [root])
            self.seen[id(root)] = self.versions[id(root)]
        self.seen[id(target)] = self.versions[id(root)]

    def indices(self, view: Array, root: Array) -> Array:
        """Where in `root`, row by row, the elements of a view of it are."""
        steps = []
        while view is not root:
            view, op, args = self.parents[id(view)]
            steps.append((op, args))
        places: Array = np.arange(root.size).reshape(root.shape)
        for op, args in reversed(steps):
            if op == "strided":
                raise UnsupportedOperatorError("onnx: export: a write into a view by strides")
            places = getattr(type(self.backend), op)(self.backend, places, *args)
        return places

    # primitives
    def is_mine(self) -> bool:
        """Whether a call is to be noted."""
        return not self.is_paused and threading.get_ident() == self.thread

    def paused(self, method: Method, *args: Any, **options: Any) -> Any:
        """Call it, and do not note what it calls in turn."""
        self.is_paused = True
        try:
            return method(*args, **options)
        finally:
            self.is_paused = False

    def computing(self, name: str, method: Method) -> Method:
        """A stand-in for a primitive that gives new arrays, or writes into `out`."""

        def call(*args: Any, out: Array | None = None) -> Any:
            if not self.is_mine():
                return method(*args) if out is None else method(*args, out=out)
            refs = self.refs(args)
            if out is not None:
                result = self.paused(method, *args, out=out)
                self.write(name, refs, out)
                return result
            result = self.paused(method, *args)
            self.make(name, refs, [*result] if type(result) is tuple else [result])
            return result

        return call

    def moving(self, name: str, method: Method) -> Method:
        """A stand-in for a primitive that gives views, where it can."""

        def call(x: Array, *args: Any) -> Any:
            if not self.is_mine():
                return method(x, *args)
            ref = self.read(x)
            result = self.paused(method, x, *args)
            if result is x:
                return x
            is_view = bool(result.size) and np.may_share_memory(result, x)
            if is_view and self.is_blank(x, ref) and name == "permute":
                shape = tuple(result.shape)
                full = self.calls[-1]
                self.make("full", (shape, *full.args[1:]), [result])  # the same in any order
                return result
            self.make(name, (ref, *args), [result])
            if is_view:
                self.parents[id(result)] = x, name, args
                self.seen[id(result)] = self.versions[id(self.root_of(x))]
            return result

        return call

    def is_blank(self, x: Array, ref: int) -> bool:
        """Whether `x` was just filled with a number."""
        return bool(self.calls) and self.calls[-1].op == "full" and self.calls[-1].outs == (ref,)

    def assigning(self, method: Method) -> Method:
        """A stand-in for `assign`."""

        def assign(target: Array, source: Array) -> Any:
            if not self.is_mine():
                return method(target, source)
            ref = self.read(source)
            self.paused(method, target, source)
            self.write("assign", (ref,), target)
            return None

        return assign

    def putting(self, method: Method) -> Method:
        """A stand-in for `put`."""

        def put(x: Array, indices: Any, values: Array, mode: str) -> Any:
            if not self.is_mine():
                return method(x, indices, values, mode)
            args = self.refs((x, tuple(indices), values))
            self.paused(method, x, indices, values, mode)
            self.write("put", (*args, mode), x)
            return None

        return put

    def reading(self, method: Method) -> Method:
        """A stand-in for `to_numpy`, which refuses values that depend on the inputs."""

        def to_numpy(x: Array) -> Array:
            known = self.is_mine() and id(x) in self.current
            if known and self.values[self.read(x)].constant is None:
                raise UnsupportedOperatorError(
                    f"onnx: export: {'.'.join(self.path) or 'the module'} reads the values of a "
                    "tensor (item, numpy, bool, print, ...), which a graph cannot do"
                )
            result: Array = method(x)
            return result

        return to_numpy

    # modules
    def calling(self) -> Callable[..., Any]:
        """What calls modules meanwhile: it follows their names, and knows some of them."""
        original = Module.__call__

        def call(module: Module, *args: Any, **kwargs: Any) -> Any:
            if not self.is_mine():
                return original(module, *args, **kwargs)
            self.path.append(self.paths.get(id(module), type(module).__name__))
            before, self.path = self.path[:-1], [self.path[-1]]
            try:
                composite = self.composites.get(type(module))
                if composite is not None and module._hooks is None:
                    given = signature(module.forward).bind(*args, **kwargs)
                    made = composite(self, module, *given.args)
                    if made is not NotImplemented:
                        return made
                return original(module, *args, **kwargs)
            finally:
                self.path = before

        return call

    def __enter__(self) -> Trace:
        _lock.acquire()
        self.thread = threading.get_ident()
        self.layer: Layer = {name: partial(self.computing, name) for name in COMPUTED}
        self.layer |= {name: partial(self.moving, name) for name in MOVED}
        self.layer |= {"assign": self.assigning, "put": self.putting, "to_numpy": self.reading}
        self.backend.layers.add(self.layer)
        self.original_call = Module.__call__
        Module.__call__ = self.calling()  # type: ignore[method-assign]
        return self

    def __exit__(self, *error: object) -> None:
        Module.__call__ = self.original_call  # type: ignore[method-assign]
        self.backend.layers.remove(self.layer)
        _lock.release()


def refs_in(item: Any) -> list[Ref]:
    """All values among arguments."""
    if type(item) is Ref:
        return [item]
    if type(item) in (tuple, list):
        return [ref for part in item for ref in refs_in(part)]
    return []
