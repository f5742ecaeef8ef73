"""A graph in the making: nodes, initializers, and sizes that are known only when it runs.

Sizes that are free are found by comparing two traces, on inputs of different sizes: a number that
differs between them must be a product of free sizes and a constant. Such a product is written as a
part of the input's shape, or as the -1 of a Reshape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinynet.errors import UnsupportedOperatorError
from tinynet.onnx.naming import Names
from tinynet.onnx.protobuf import Array, import_onnx
from tinynet.onnx.tracing import Call, Ref, Trace, refs_in


class Symbol(NamedTuple):
    """A free size: its name, which input has it in which dim, and what it is in both traces."""

    name: str
    input: str
    dim: int
    first: int
    second: int


class Size(NamedTuple):
    """A size that depends on free ones: `factor` times these, or, without any, in another way.

    `pair` is what it is in both traces.
    """

    factor: int
    symbols: tuple[Symbol, ...]
    pair: tuple[int, int]


class NodeSpec(NamedTuple):
    """A node to be: operator, names of inputs and outputs, attributes, its module's path."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    path: str


class Builder:
    """What two traces of one module have in common, as nodes."""

    def __init__(
        self, first: Trace, second: Trace, symbols: list[Symbol], opset: int, taken: Names
    ) -> None:
        self.first, self.second = first, second
        self.symbols = symbols
        self.opset = opset
        self.unique = taken.unique
        self.nodes: list[NodeSpec] = []
        self.initializers: dict[str, Array] = {}
        self.names: dict[int, str] = {}
        self.path = ""
        self.cache: dict[Any, str] = {}
        self.needed: set[int] = set()  # values that outputs depend on

    # names
    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of what it gives, or a list of names."""
        if not import_onnx().defs.has(op, self.opset):
            self.refuse(f"needs the operator {op}, which opset {self.opset} does not have yet")
        stem = f"{self.path}/{op}" if self.path else op
        names = [self.unique(stem) for _ in range(outputs)]
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(NodeSpec(op, list(inputs), names, given, self.path))
        return names[0] if outputs == 1 else names

    def constant(self, array: Any, dtype: Any = None) -> str:
        """The name of an initializer that holds `array`."""
        value = np.asarray(array, dtype)
        key = (value.dtype.name, value.shape, value.tobytes())
        if key not in self.cache:
            self.cache[key] = self.unique("constant")
            self.initializers[self.cache[key]] = value
        return self.cache[key]

    def ints(self, *values: int) -> str:
        """The name of a vector of int64."""
        return self.constant(np.array(values, np.int64))

    def name_of(self, ref: int) -> str:
        """The name of a traced value."""
        if ref not in self.names:
            value = self.first.values[ref]
            if value.name:
                self.names[ref] = value.name
                return value.name
            self.names[ref] = self.constant(self.fixed(ref))
        return self.names[ref]

    def is_fixed(self, ref: int) -> bool:
        """Whether a value is the same whatever comes in."""
        a, b = self.first.values[ref].constant, self.second.values[ref].constant
        return a is not None and b is not None and _same(a, b)

    def fixed(self, ref: int) -> Array:
        """A value that must be the same whatever comes in."""
        a, b = self.first.values[ref].constant, self.second.values[ref].constant
        if a is None or b is None or not _same(a, b):
            self.refuse("has a constant that depends on a dynamic size", ref)
        assert a is not None
        return a

    def refuse(self, why: str, ref: int | None = None) -> Any:
        """Raise `UnsupportedOperatorError`."""
        where = self.path or "the module"
        what = "" if ref is None else f" (of shape {self.first.values[ref].array.shape})"
        raise UnsupportedOperatorError(f"onnx: export: {where} {why}{what}")

    # what is known of values
    def dtype(self, ref: int) -> Any:
        """The NumPy dtype of a value."""
        return self.first.values[ref].array.dtype

    def ndim(self, ref: int) -> int:
        """How many dims a value has."""
        return self.first.values[ref].array.ndim

    def shape(self, ref: int) -> list[int | Size]:
        """The shape of a value."""
        pair = self.first.values[ref].array.shape, self.second.values[ref].array.shape
        return self.sizes(*pair)

    def sizes(self, a: Sequence[int], b: Sequence[int]) -> list[int | Size]:
        """Numbers of two traces, as what they are in all."""
        if len(a) != len(b):
            self.refuse("has shapes whose length depends on a dynamic size")
        return [self.size(n, m) for n, m in zip(a, b, strict=True)]

    def size(self, n: int, m: int) -> int | Size:
        """A number of two traces: itself if they agree, else a function of free sizes."""
        if n == m:
            return int(n)
        for count in (1, 2, 3):
            for chosen in combinations_with_replacement(self.symbols, count):
                whole, other = prod(s.first for s in chosen), prod(s.second for s in chosen)
                if n % whole == 0 and m % other == 0 and n // whole == m // other:
                    return Size(n // whole, chosen, (n, m))
        return Size(0, (), (n, m))

    def vector(self, sizes: Sequence[int | Size]) -> str:
        """The name of a vector of int64 that holds them."""
        if all(isinstance(n, int) for n in sizes):
            return self.ints(*[int(n) for n in sizes])  # type: ignore[arg-type]
        parts: list[str] = []
        plain: list[int] = []
        for n in sizes:
            if isinstance(n, int):
                plain.append(n)
                continue
            parts += [self.ints(*plain)] * bool(plain)
            plain = []
            parts.append(self.length(n))
        parts += [self.ints(*plain)] * bool(plain)
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def length(self, size: int | Size) -> str:
        """The name of a vector of one int64."""
        if isinstance(size, int):
            return self.ints(size)
        if not size.symbols:
            self.refuse(
                f"computes with a size that is {size.pair[0]} here, no product of dynamic ones"
            )
        names = [self.symbol(symbol) for symbol in size.symbols]
        if size.factor != 1:
            names.append(self.ints(size.factor))
        total = names[0]
        for name in names[1:]:
            total = self.node("Mul", total, name)
        return total

    def symbol(self, symbol: Symbol) -> str:
        """A free size, read from its input's shape."""
        if symbol not in self.cache:
            path, self.path = self.path, ""
            shape = self.node("Shape", symbol.input)
            self.cache[symbol] = self.node("Gather", shape, self.ints(symbol.dim))
            self.path = path
        return self.cache[symbol]


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def needed_by(values: Iterable[int], calls: Sequence[Call]) -> set[int]:
    """These values and all that calls make them from."""
    needed = set(values)
    for call in reversed(calls):
        if not needed.isdisjoint(call.outs):
            needed.update(refs_in(call.args))
    return needed


def check_alike(builder: Builder) -> None:
    """Raise unless both traces make the same calls."""
    first, second = builder.first.calls, builder.second.calls
    for a, b in zip(first, second):
        if a.op != b.op or a.outs != b.outs or _outline(a) != _outline(b):
            builder.path = a.path
            builder.refuse(f"does other things for other dynamic sizes ({a.op}, {b.op})")
    if len(first) != len(second):
        builder.refuse(
            f"does other things for other dynamic sizes ({len(first)} and {len(second)} operations)"
        )


def _outline(item: Any) -> Any:
    """Arguments with all but values left out."""
    if isinstance(item, Call):
        return _outline(item.args)
    if type(item) is Ref:
        return item
    if type(item) in (tuple, list):
        return [_outline(part) for part in item]
    return type(item)
