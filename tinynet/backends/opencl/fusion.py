"""What is computed together: the formula of a value, as far as one kernel can compute it.

`survey(value)` walks what a value is made of and says what its structure is; equal structures get
equal kernels, so a plan is made once. `Formula` follows the value down to memory. What can be one
kernel becomes one: elementwise operations and loads always; reductions with what leads to them and
what follows from them, where all of it runs over the same rows; a matrix product with what is made
of it element by element. Parts that somebody else holds too are stored on the way. `first` says
what must be computed before, in kernels of its own; then the formula is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from sys import getrefcount
from typing import Any, NamedTuple

from tinynet.backends.opencl.array import OPERANDS, PRODUCTS, READY, Value, View, row_major
from tinynet.backends.opencl.ctypes import computed
from tinynet.dtype import float32
from tinynet.shape import Shape

CHEAP = 6  # operations that may be done again for each place they are broadcast to

PATTERNS = ("full", "iota")

Dims = tuple[int, ...]  # for each dim of an operand the iteration dim it runs along, or -1


class Graph:
    """What a value is made of: all values below it, each once, the value itself first.

    `places` says where each is; `numbers` are the Python scalars among their operands, in order;
    `offsets` are those of views, each once, 0 first; `key` is the structure without numbers and
    offsets; `held` says of each value whether somebody outside of this graph refers to it.
    """

    __slots__ = ("held", "key", "numbers", "offsets", "places", "values")

    def __init__(
        self, values: list[Value], places: dict[Value, int], numbers: list[Any],
        offsets: list[int], key: Hashable, held: tuple[bool, ...],
    ) -> None:  # fmt: skip
        self.values = values
        self.places = places
        self.numbers = numbers
        self.offsets = offsets
        self.key = key
        self.held = held

    def is_held(self, value: Value) -> bool:
        """Whether somebody outside this graph refers to `value`."""
        return self.held[self.places[value]]

    def place_of_offset(self, offset: int) -> int:
        """Where in `offsets` this one is, from now on if it was not there."""
        return place_in(self.offsets, offset)

    def places_of_numbers(self) -> dict[tuple[Value, int], int]:
        """Where in `numbers` each is, by whose operand it is and which."""
        owners = [(value, i) for value in self.values for i in _which_are_numbers(value)]
        return {owner: place for place, owner in enumerate(owners)}


def survey(root: Value) -> Graph:
    """Walk all that `root` is made of, breadth first. In every step, hence without detours."""
    values, counts = [root], [1]  # and how many operands in the graph are that value
    places = {root: 0}
    numbers: list[Any] = []
    offsets = [0]
    structure: list[Any] = []
    note = structure.append
    value: Any
    for value in values:  # which grows meanwhile
        op = value.op
        if op == "memory":
            note((value.dtype, value.shape))
            continue
        if op in PATTERNS:
            numbers.extend((value.params,) if op == "full" else value.params)
            note((op, value.dtype, value.shape))
            continue
        note((op, value.dtype, value.shape, value.params))
        for operand in value.args:
            kind = type(operand)
            if kind is View:
                offset = operand.offset
                note((operand.shape, operand.strides, offset and place_in(offsets, offset)))
                operand = operand.value
            elif kind is not Value:
                note(None)
                numbers.append(operand)
                continue
            place = places.get(operand)
            if place is None:
                place = places[operand] = len(values)
                values.append(operand)
                counts.append(1)
            else:
                counts[place] += 1
            note(place)
    value = operand = None  # or these two would count as holding what they stand for
    held = held_by_others(values, counts)
    return Graph(values, places, numbers, offsets, (tuple(structure), held), held)


def place_in(offsets: list[int], offset: int) -> int:
    """Where an offset is among those met so far, to which it is added if it is new."""
    if offset not in offsets:
        offsets.append(offset)
    return offsets.index(offset)


def held_by_others(values: list[Value], counts: list[int]) -> tuple[bool, ...]:
    """Of each value whether more refer to it than list, dict and `counts` of the graph."""
    return tuple([getrefcount(v) - n > _ALONE for v, n in zip(values, counts)])


_PROBE = {Value("probe", float32, ()): 0}
# what that finds of a value in nothing but a dict and a list
_ALONE, *_ = [getrefcount(v) - n for v, n in zip([*_PROBE], [0])]


def _which_are_numbers(value: Value) -> Iterable[int]:
    """Which operands are Python scalars: of a pattern, all that it consists of."""
    if value.op in PATTERNS:
        return range(1 if value.op == "full" else len(value.params))
    return [i for i, operand in enumerate(value.args) if type(operand) not in OPERANDS]


class Leaf(NamedTuple):
    """A value read from memory, or an iota: strides along the iteration dims."""

    value: Value
    strides: tuple[int, ...]
    offset: int


class Formula:
    """What leads to one value, as nodes over iteration dims (see `spec.Spec`).

    `first` collects what must be computed before; then the formula is of no use. `inner` are the
    iteration dims that reductions run over, None where there are none.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.root = root = graph.values[0]
        self.number_places = graph.places_of_numbers()
        self.shape = list(root.shape)
        self.inner: list[int] | None = None
        self.outer: set[int] = set()
        self.product: Value | None = None
        self.nodes: list[tuple[Any, ...]] = []
        self.leaves: list[Leaf] = []
        self.scalars: list[tuple[int, str]] = []  # places in the graph's numbers, and C types
        self.picks: list[tuple[int, int]] = []  # stride and size for each index of each take
        self.first: list[Value] = []
        self.along: Value | None = None
        self.memo: dict[Any, int] = {}
        self.inlined: list[tuple[Value, int, Dims]] = []
        self.may_donate: Callable[[Value, Value], bool] | None = None
        if root.op == "reduce":
            self.start_reduction(root)
        else:
            dims = tuple([i if n != 1 else -1 for i, n in enumerate(root.shape)])
            self.visit_value(root, dims)

    # operands
    def visit(self, operand: Value | View, dims: Dims) -> int:
        """The node of an operand whose dims run along `dims`."""
        if type(operand) is Value:
            return self.visit_value(operand, dims)
        return self.visit_view(operand, dims)  # type: ignore[arg-type]

    def visit_value(self, value: Value, dims: Dims) -> int:
        """The node of a value whose dims run along `dims`."""
        key = id(value), dims
        node = self.memo.get(key)
        if node is None:
            if value.op in READY:
                node = self.leaf(value, value.shape, row_major(value.shape), 0, dims)
            elif value.op == "reduce":
                node = self.visit_reduction(value, dims)
            elif value.op in PRODUCTS:
                node = self.visit_product(value, dims)
            elif self.is_costly(value, dims):
                node = self.later(value)
            elif value.op == "take":
                node = self.visit_take(value, dims)
            else:
                node = self.visit_elementwise(value, dims)
            self.memo[key] = node
            if value.op not in READY:
                self.inlined.append((value, node, dims))
        return node

    def visit_view(self, view: View, dims: Dims) -> int:
        """The node of a view: a leaf where its value is there, else the value in another order."""
        value = view.value
        if value.op in READY:
            return self.leaf(value, view.shape, view.strides, view.offset, dims)
        mapped = matched_dims(view, dims)
        return self.later(value) if mapped is None else self.visit_value(value, mapped)

    def later(self, value: Value) -> int:
        """Have `value` computed before this formula."""
        self.first.append(value)
        return 0

    def repeats(self, dims: Dims) -> bool:
        """Whether there are fewer elements along `dims` than points."""
        mapped = {d for d in dims if d >= 0}
        if self.inner is not None and mapped == self.outer:
            return False
        return len(mapped) < sum([n != 1 for n in self.shape])

    def is_costly(self, value: Value, dims: Dims) -> bool:
        """Whether a value would be computed again and again, at some cost. What is the same along
        the last dim is not: kernels compute it outside of their innermost loop.
        """
        if value.weight <= CHEAP or not self.repeats(dims):
            return False
        last = max([d for d, n in enumerate(self.shape) if n != 1])
        return last in dims or self.shape[last] < CHEAP

    def scalar(self, place: int, ctype: str) -> int:
        """The node of one of the graph's numbers, which is an argument of the kernel."""
        self.nodes.append(("scalar", ctype, len(self.scalars)))
        self.scalars.append((place, ctype))
        return len(self.nodes) - 1

    def leaf(self, value: Value, shape: Shape, strides: Shape, offset: int, dims: Dims) -> int:
        """The node of something read."""
        if value.op == "full":
            return self.scalar(self.number_places[value, 0], computed(value.dtype))
        access = self.access(value, shape, strides, offset, dims)
        key = (id(value), access.strides, offset)
        node = self.memo.get(key)
        if node is None:
            self.nodes.append(("leaf", value.dtype.name, self.add_leaf(access)))
            node = self.memo[key] = len(self.nodes) - 1
        return node

    def access(self, value: Value, shape: Shape, strides: Shape, offset: int, dims: Dims) -> Leaf:
        """Strides of an operand as strides along the iteration dims."""
        spread = [0] * (max(dims, default=-1) + 1)
        for size, stride, dim in zip(shape, strides, dims):
            if dim >= 0 and size != 1:
                spread[dim] += stride
        return Leaf(value, tuple(spread), offset)

    def add_leaf(self, leaf: Leaf) -> int:
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    # operations
    def visit_elementwise(self, value: Value, dims: Dims) -> int:
        """The node of an elementwise operation, or of a cast. `params`: the operands' dtype."""
        ndim = len(value.shape)
        nodes = []
        for i, operand in enumerate(value.args):
            if type(operand) in OPERANDS:
                nodes.append(self.visit(operand, aligned(operand.shape, dims, ndim)))
            else:
                nodes.append(self.scalar(self.number_places[value, i], computed(value.params)))
        if self.first:
            self.take_along(value)
        self.nodes.append((value.op, value.params.name, value.dtype.name, *nodes))
        return len(self.nodes) - 1

    def take_along(self, value: Value) -> None:
        """Where a product is to be computed before, and this is all that is made of it, have it
        computed together with that.
        """
        before = self.first[-1]
        if before.op in PRODUCTS or before is self.along:
            others = [x for x in value.args if x is not before and type(x) in OPERANDS]
            ready = [(x if type(x) is Value else x.value).op in READY for x in others]
            is_alone = len(others) < len([x for x in value.args if type(x) in OPERANDS])
            same = value.shape == before.shape and value is not self.root
            if same and is_alone and all(ready) and not self.graph.is_held(before):
                self.first[-1] = self.along = value

    def visit_take(self, value: Value, dims: Dims) -> int:
        """The node of elements picked by indices. `params`: stride, size, sign of each index."""
        source, *indices = value.args
        if source.value.op != "memory":
            return self.later(source.value)
        ndim = len(value.shape)
        nodes = tuple([self.visit(i, aligned(i.shape, dims, ndim)) for i in indices])
        leaf = self.access(source.value, source.shape, source.strides, source.offset, dims)
        signs = tuple([may_be_negative for _, _, may_be_negative in value.params])
        self.picks += [(stride, size) for stride, size, _ in value.params]
        self.nodes.append(("take", value.dtype.name, self.add_leaf(leaf), nodes, signs))
        return len(self.nodes) - 1

    def visit_product(self, value: Value, dims: Dims) -> int:
        """The node of a product that this formula is computed from, element by element."""
        for factor in value.args:
            if factor.value.op != "memory":
                return self.later(factor.value)
        is_whole = value.shape == self.root.shape and len(value.shape) >= 2
        is_same = all(d in (i, -1) for i, d in enumerate(dims))
        is_first = self.product is None and self.inner is None
        if not (is_whole and is_same and is_first):
            return self.later(value)
        self.product = value
        self.nodes.append(("product", value.dtype.name))
        return len(self.nodes) - 1

    def start_reduction(self, root: Value) -> None:
        """The formula of a reduction: its dims are those of what is reduced."""
        (x,), (_, reduced, keepdim) = root.args, root.params
        self.shape = list(x.shape)
        self.inner = [d for d in reduced if x.shape[d] != 1]
        kept = [d for d in range(len(x.shape)) if d not in reduced]
        self.outer = {d for d in kept if x.shape[d] != 1}
        own = range(len(x.shape)) if keepdim else kept
        places = tuple([d if d in self.outer else -1 for d in own])
        self.visit_value(root, places)

    def visit_reduction(self, value: Value, dims: Dims) -> int:
        """The node of a reduction over the inner dims, row by row."""
        (x,), (op, reduced, keepdim) = value.args, value.params
        kept = [d for d in range(len(x.shape)) if d not in reduced]
        places = dict(zip(range(len(x.shape)) if keepdim else kept, dims))
        sizes = [x.shape[d] for d in reduced if x.shape[d] != 1]
        outer = {places[d] for d in kept if x.shape[d] != 1}
        if self.product is not None:  # the product's kernel has no rows
            return self.later(self.product)
        if not self.fit_inner(outer, sizes):
            return self.later(value)
        assert self.inner is not None
        inner = iter(self.inner)
        target = [
            -1 if n == 1 else next(inner) if d in reduced else places[d]
            for d, n in enumerate(x.shape)
        ]
        node = self.visit(x, tuple(target))
        source = x.value.dtype.name if type(x) is View else x.dtype.name
        self.nodes.append(("reduce", op, source, value.dtype.name, node))
        return len(self.nodes) - 1

    def fit_inner(self, outer: set[int], sizes: list[int]) -> bool:
        """Whether a reduction of these sizes fits the rows; the first one decides what they are."""
        if -1 in outer or not sizes:
            return False
        if self.inner is None:
            free = [d for d, n in enumerate(self.shape) if n != 1 and d not in outer]
            if not free:
                free = list(range(len(self.shape), len(self.shape) + len(sizes)))
                self.shape += sizes
            self.inner, self.outer = free, outer
        return outer == self.outer and sizes == [self.shape[d] for d in self.inner]

    # results
    def outputs(self) -> list[tuple[Value, int, Dims]]:
        """The root, and what else is computed on the way and held by others."""
        return [
            (value, node, dims)
            for value, node, dims in self.inlined
            if value is self.root or (not self.repeats(dims) and self.graph.is_held(value))
        ]


def aligned(shape: Shape, dims: Dims, ndim: int) -> Dims:
    """Where the dims of an operand run that broadcasts to `ndim` dims which run along `dims`."""
    if len(shape) < ndim:
        dims = dims[ndim - len(shape) :]
    if 1 in shape:
        return tuple([-1 if n == 1 else d for n, d in zip(shape, dims)])
    return dims


def matched_dims(view: View, dims: Dims) -> Dims | None:
    """Where the dims of a view's value run, if the view only permutes and broadcasts them."""
    value = view.value
    if view.offset:
        return None
    by_stride = {
        stride: i
        for i, (n, stride) in enumerate(zip(value.shape, row_major(value.shape)))
        if n != 1
    }
    found = [-1] * len(value.shape)
    for size, stride, dim in zip(view.shape, view.strides, dims):
        if size == 1 or stride == 0:
            continue
        i = by_stride.pop(stride, None)
        if i is None or value.shape[i] != size:
            return None
        found[i] = dim
    return None if by_stride else tuple(found)
