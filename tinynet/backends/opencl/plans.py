"""Plans: how a value is computed, made once for each structure.

A plan names values, numbers and offsets by their place in the graph, so that it serves every graph
of the same structure: another batch, window or learning rate. It is one of three: compute another
value `First`; `Launch` a kernel; or launch one that leaves parts of a reduction (`Launch.parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tinynet.backends.opencl import products
from tinynet.backends.opencl.device import Kernel
from tinynet.backends.opencl.fusion import Graph
from tinynet.backends.opencl.interpreter import Program
from tinynet.backends.opencl.spec import Spec
from tinynet.dtype import DType
from tinynet.shape import Shape

Size = tuple[int, ...]


Epilogue = tuple[Spec, str]  # what is made of a product's elements, and the text of the product


class First(NamedTuple):
    """Compute the value at this place of the graph before anything else.

    `cold`: it is a product, which this would be the epilogue of if it were needed more often.
    """

    place: int
    cold: Epilogue | None = None


class Stored(NamedTuple):
    """A result: its place (-1: the target, or a part), its bytes, and the place of the value whose
    memory it takes over, or -1.
    """

    place: int
    nbytes: int
    donor: int


class Offset(NamedTuple):
    """A view's offset, which graphs of the same structure have different ones of."""

    number: int


class Layout(NamedTuple):
    """Numbers that say where things are.

    `offsets`: which of them are a graph's, as pairs of their place here and there.
    """

    numbers: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, numbers: list[int | Offset], graph: Graph) -> Layout:
        """The layout of these numbers in any graph of the structure that `graph` has."""
        found = [
            (i, graph.place_of_offset(x.number)) for i, x in enumerate(numbers) if type(x) is Offset
        ]
        plain = tuple([x if isinstance(x, int) else 0 for x in numbers])
        return cls(plain, tuple(found))

    def at(self, offsets: list[int]) -> Sequence[int]:
        """The numbers for a graph with these offsets."""
        if not self.offsets:
            return self.numbers
        numbers = [*self.numbers]
        for i, place in self.offsets:
            numbers[i] = offsets[place]
        return numbers


class Cold(NamedTuple):
    """What the interpreter needs in place of a kernel that is not compiled yet.

    `layout`: sizes of all dims, offset and strides of all accesses; `points`: how many outer ones.
    """

    spec: Spec
    program: Program
    layout: Layout
    picks: tuple[int, ...]
    points: int


class Launch(NamedTuple):
    """A kernel and its arguments: buffers of values, of results, numbers, and constants."""

    kernel: Kernel | None
    cold: Cold | None
    size: Size
    group: Size
    factors: tuple[int, ...]  # of a matrix product, which `product` describes
    product: products.Plan | None
    begins: tuple[int, ...]  # places of the factors' offsets
    leaves: tuple[int, ...]
    stored: tuple[Stored, ...]
    numbers: tuple[tuple[int, str], ...]
    tail: Layout
    parts: tuple[DType, Shape] | None
    nbytes: int
    flops: int


Plan = First | Launch
