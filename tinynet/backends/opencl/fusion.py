"""What is computed together: formulas become kernels here.

`Planner.compute(value)` follows a formula down to memory. What can be one kernel becomes one:
elementwise operations and loads always; reductions with what leads to them and what follows from
them, where all of it runs over the same rows; a matrix product with what is made of it element by
element. Parts that somebody else holds too are stored on the way. What cannot be inlined is
computed first, in a kernel of its own; then the plan is made again.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any, NamedTuple

from tinynet.backends.opencl import codegen
from tinynet.backends.opencl.array import READY, Array, Value, View, is_row_major, row_major
from tinynet.backends.opencl.ctypes import computed
from tinynet.backends.opencl.memory import Block
from tinynet.dtype import DType, float32, int64
from tinynet.shape import Shape

CHEAP = 6  # operations that may be done again for each place they are broadcast to
SMALL = 8192  # elements that one work-item of a CPU computes sooner than two
MOST_BUFFERS = 40

Dims = tuple[int, ...]  # for each dim of an operand the iteration dim it runs along, or -1


class Leaf(NamedTuple):
    """A value read from memory, or an iota: strides along the iteration dims."""

    value: Value
    strides: tuple[int, ...]
    offset: int


class Formula:
    """What leads to one value, as nodes over iteration dims (see `codegen.Spec`).

    `first` collects what must be computed before; then the formula is of no use. `inner` are the
    iteration dims that reductions run over, None where there are none.
    """

    def __init__(self, root: Value) -> None:
        self.root = root
        self.shape = list(root.shape)
        self.inner: list[int] | None = None
        self.outer: set[int] = set()
        self.product: Value | None = None
        self.nodes: list[tuple[Any, ...]] = []
        self.leaves: list[Leaf] = []
        self.scalars: list[tuple[Any, str]] = []
        self.picks: list[tuple[int, int]] = []  # stride and size for each index of each take
        self.first: list[Value] = []
        self.memo: dict[Any, int] = {}
        self.inlined: list[tuple[Value, int, Dims]] = []
        self.references: dict[int, int] = {}
        dims = tuple([i if n != 1 else -1 for i, n in enumerate(root.shape)])
        if root.op == "reduce":
            self.start_reduction(root, dims)
        else:
            self.visit_value(root, dims)

    # operands
    def visit(self, operand: Any, dims: Dims, dtype: DType) -> int:
        """The node of an operand; numbers take `dtype`."""
        if type(operand) is Value:
            return self.visit_value(operand, dims)
        if type(operand) is View:
            return self.visit_view(operand, dims)
        return self.scalar(operand, computed(dtype))

    def visit_value(self, value: Value, dims: Dims) -> int:
        """The node of a value whose dims run along `dims`."""
        key = id(value), dims
        node = self.memo.get(key)
        if node is None:
            if value.op in READY:
                node = self.leaf(value, value.shape, row_major(value.shape), 0, dims)
            elif value.op == "reduce":
                node = self.visit_reduction(value, dims)
            elif value.op == "matmul":
                node = self.visit_product(value, dims)
            elif self.repeats(dims) and value.weight > CHEAP:
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
        """Whether a value along `dims` would be computed again and again."""
        mapped = {d for d in dims if d >= 0}
        if self.inner is not None and mapped == self.outer:
            return False
        return len(mapped) < sum([n != 1 for n in self.shape])

    def scalar(self, number: Any, ctype: str) -> int:
        """The node of a number, which is an argument of the kernel."""
        self.nodes.append(("scalar", ctype, len(self.scalars)))
        self.scalars.append((number, ctype))
        return len(self.nodes) - 1

    def leaf(self, value: Value, shape: Shape, strides: Shape, offset: int, dims: Dims) -> int:
        """The node of something read."""
        if value.op == "full":
            return self.scalar(value.params, computed(value.dtype))
        access = self.access(value, shape, strides, offset, dims)
        key = (id(value), access.strides, offset)
        node = self.memo.get(key)
        if node is None:
            self.nodes.append(("leaf", value.dtype.name, self.add_leaf(access)))
            node = self.memo[key] = len(self.nodes) - 1
        return node

    def access(
        self, value: Value, shape: Shape, strides: Shape, offset: int, dims: Dims
    ) -> Leaf:
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
        self.count_references(value)
        ndim = len(value.shape)
        nodes = []
        for operand in value.args:
            kind = type(operand)
            if kind is Value or kind is View:
                nodes.append(self.visit(operand, aligned(operand.shape, dims, ndim), value.dtype))
            else:
                nodes.append(self.scalar(operand, computed(value.params)))
        self.nodes.append((value.op, value.params.name, value.dtype.name, *nodes))
        return len(self.nodes) - 1

    def count_references(self, value: Value) -> None:
        """Note whom `value` refers to, so that other holders can be told apart."""
        for operand in value.args:
            if type(operand) is View:
                operand = operand.value
            if type(operand) is Value:
                key = id(operand)
                self.references[key] = self.references.get(key, 0) + 1

    def visit_take(self, value: Value, dims: Dims) -> int:
        """The node of elements picked by indices. `params`: stride, size, sign of each index."""
        source, *indices = value.args
        if source.value.op != "memory":
            return self.later(source.value)
        self.count_references(value)
        ndim = len(value.shape)
        nodes = tuple([self.visit(i, aligned(i.shape, dims, ndim), int64) for i in indices])
        leaf = self.access(source.value, source.shape, source.strides, source.offset, dims)
        signs = tuple([may_be_negative for _, _, may_be_negative in value.params])
        self.picks += [(stride, size) for stride, size, _ in value.params]
        self.nodes.append(("take", value.dtype.name, self.add_leaf(leaf), nodes, signs))
        return len(self.nodes) - 1

    def visit_product(self, value: Value, dims: Dims) -> int:
        """The node of a matrix product that this formula is computed from, element by element."""
        is_whole = value.shape == self.root.shape and len(value.shape) >= 2
        is_same = all(d in (i, -1) for i, d in enumerate(dims))
        is_first = self.product is None and self.inner is None
        if not (is_whole and is_same and is_first):
            return self.later(value)
        self.product = value
        self.count_references(value)
        self.nodes.append(("product", value.dtype.name))
        return len(self.nodes) - 1

    def start_reduction(self, root: Value, dims: Dims) -> None:
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
        if self.product is not None or not self.fit_inner(outer, sizes):
            return self.later(value)
        assert self.inner is not None
        self.count_references(value)
        inner = iter(self.inner)
        target = [
            -1 if n == 1 else next(inner) if d in reduced else places[d]
            for d, n in enumerate(x.shape)
        ]
        node = self.visit(x, tuple(target), x.value.dtype if type(x) is View else x.dtype)
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
        found = []
        for value, node, dims in self.inlined:
            if value is self.root:
                found.append((value, node, dims))
            elif not self.repeats(dims):
                known = self.references.get(id(value), 0) + (value is self.product)
                if is_held(value, known):
                    found.append((value, node, dims))
        return found


def is_held(value: Value, known: int) -> bool:
    """Whether somebody else than the `known` operands of this formula refers to `value`."""
    return sys.getrefcount(value) - known > _ALONE


def _count_alone() -> int:
    """What `sys.getrefcount` says, in the same circumstances, of a value that nobody else has."""
    inlined = [(Value("probe", float32, ()), 0, ())]
    counts = []

    def probe(value: Value, known: int) -> None:
        counts.append(sys.getrefcount(value) - known)

    for value, _, _ in inlined:
        probe(value, 0)
    return counts[0]


_ALONE = _count_alone()


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
