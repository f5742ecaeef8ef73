"""Formulas are computed here: a kernel is chosen, its arguments gathered, and it is launched."""

from __future__ import annotations

import threading
from math import prod
from typing import Any, NamedTuple

from tinynet.backends.opencl import codegen, matmul
from tinynet.backends.opencl.array import Value, View, row_major
from tinynet.backends.opencl.codegen import Access, Output, Spec, Text
from tinynet.backends.opencl.device import HEAD, Device, Kernel
from tinynet.backends.opencl.fusion import Dims, Formula, Leaf, is_held
from tinynet.dtype import DType, bfloat16, float16, float32

SMALL = 8192  # elements that one work-item of a CPU computes sooner than two
RUN = 4096  # elements that are worth a work-item of a CPU
FEW_ROWS = 2  # for each core: with fewer, rows are cut
GROUP = codegen.GROUP
MOST_LEAVES = 32

Strides = list[int]


class Result(NamedTuple):
    """A value to be stored: its node, and its strides along the iteration dims."""

    value: Value
    node: int
    strides: tuple[int, ...]
    offset: int = 0


class Space(NamedTuple):
    """An iteration space with neighbouring dims merged where every access allows it.

    `strides[a]` are those of access `a` (leaves, then outputs) along the merged dims.
    """

    sizes: list[int]
    n_outer: int
    strides: list[Strides]


class Scheduler:
    """Computes values on one device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.kernels: dict[Spec, Kernel] = {}
        self.texts: dict[Spec, Text] = {}
        self.lock = threading.RLock()
        self.workers = 4 * device.cores

    def compute(self, value: Value, target: View | None = None) -> None:
        """Have the elements of `value` in memory; with `target`, in that window of its memory."""
        with self.lock:
            while value.op != "memory":
                formula = Formula(value)
                if formula.first:
                    for other in formula.first:
                        self.compute(other)
                elif len(formula.leaves) > MOST_LEAVES:
                    self.compute_operands(value)
                elif target is not None and (formula.product or formula.inner is not None):
                    self.compute_operands(value)
                else:
                    self.run(formula, target)
                    if target is not None:
                        return

    def compute_operands(self, value: Value) -> None:
        """Compute what a formula of too many parts is made of."""
        for operand in value.args:
            part = operand.value if isinstance(operand, View) else operand
            if isinstance(part, Value) and part.weight:
                self.compute(part)

    def run(self, formula: Formula, target: View | None) -> None:
        """Launch the kernel of a formula."""
        if formula.product is not None:
            if not self.run_product(formula, formula.product):
                self.compute(formula.product)
        elif formula.inner is not None:
            self.run_reduction(formula)
        else:
            self.run_map(formula, target)

    # what is stored
    def results(self, formula: Formula) -> list[Result]:
        """The values that a formula's kernel stores."""
        found = []
        for value, node, dims in formula.outputs():
            access = formula.access(value, value.shape, row_major(value.shape), 0, dims)
            found.append(Result(value, node, access.strides))
        return found

    def space(self, formula: Formula, results: list[Result], groups: list[list[int]]) -> Space:
        """Merge the dims of each group."""
        shape = formula.shape
        accesses: list[Leaf | Result] = [*formula.leaves, *results]
        padded = [[*a.strides, *[0] * (len(shape) - len(a.strides))] for a in accesses]
        sizes: list[int] = []
        strides: list[Strides] = [[] for _ in accesses]
        n_outer = 0
        for i, dims in enumerate(groups):
            first = len(sizes)
            for d in dims:
                self.append_dim(sizes, strides, padded, d, shape[d], first)
            if i == 0 and len(groups) > 1:
                n_outer = len(sizes)
        if not sizes:
            sizes = [1]
            strides = [[0] for _ in accesses]
        if len(groups) == 1:
            n_outer = len(sizes) - 1
        return Space(sizes, n_outer, strides)

    @staticmethod
    def append_dim(
        sizes: list[int], strides: list[Strides], padded: list[Strides], d: int, n: int, first: int
    ) -> None:
        """Add dim `d` to a space, merged with the one before it where that makes no difference."""
        if n == 1:
            return
        if len(sizes) > first and all(s[-1] == p[d] * n for s, p in zip(strides, padded)):
            sizes[-1] *= n
            for s, p in zip(strides, padded):
                s[-1] = p[d]
        else:
            sizes.append(n)
            for s, p in zip(strides, padded):
                s.append(p[d])

    # kernels
    def spec(
        self, kind: str, formula: Formula, results: list[Result], space: Space, splits: bool
    ) -> tuple[Spec, list[Any]]:
        """The structure of a kernel, and its arguments but for the last (the number of parts)."""
        leaves, buffers, numbers = [], [], []
        iotas: list[tuple[Any, str]] = []
        n_leaves = len(formula.leaves)
        donors = [-1] * len(results) if splits else self.donors(formula, results)
        for leaf, strides in zip(formula.leaves, space.strides):
            value = leaf.value
            access = _access(value.dtype, value.op, strides, leaf.offset)
            leaves.append(access)
            if value.op == "iota":
                kind_of_number = _iota_type(value.dtype, self.device)
                iotas += [(number, kind_of_number) for number in value.params]
            else:
                assert value.block is not None
                buffers.append(value.block.buffer)
            numbers += _positions(access, strides, leaf.offset)
        outputs = []
        for result, strides, donor in zip(results, space.strides[n_leaves:], donors):
            access = _access(result.value.dtype, "memory", strides, result.offset)
            outputs.append(Output(result.node, access, donor))
            numbers += _positions(access, strides, result.offset)
        scalars = [*formula.scalars, *iotas]
        spec = Spec(
            kind, tuple(formula.nodes), tuple(leaves), tuple(outputs),
            tuple([ctype for _, ctype in scalars]), space.n_outer, len(space.sizes) - space.n_outer,
            splits, self.device.is_cpu, self.index_type(formula, results),
        )  # fmt: skip
        sizes = [] if kind == "epilogue" else space.sizes
        picks = [number for pick in formula.picks for number in pick]
        values = [_fitted(number, ctype) for number, ctype in scalars]
        return spec, [buffers, [*values, *sizes, *numbers, *picks]]

    def index_type(self, formula: Formula, results: list[Result]) -> str:
        """The C type that positions fit: on accelerators int where it does, for speed."""
        if self.device.is_cpu:
            return "long"
        largest = max(
            [prod(formula.shape)]
            + [prod(leaf.value.shape) for leaf in formula.leaves]
            + [prod(result.value.shape) for result in results]
        )
        return "int" if largest < 2**31 else "long"

    def donors(self, formula: Formula, results: list[Result]) -> list[int]:
        """For each result the leaf whose memory it takes over, or -1: one that nobody else needs,
        read at each point just where the result is written.
        """
        taken = {node[2] for node in formula.nodes if node[0] == "take"}
        operands = formula.product.args if formula.product is not None else ()
        spared = {id(operand.value) for operand in operands}
        donors, used = [], set()
        for result in results:
            donor = -1
            for i, leaf in enumerate(formula.leaves):
                value = leaf.value
                if (
                    i not in used
                    and i not in taken
                    and not leaf.offset
                    and leaf.strides == result.strides
                    and value.op == "memory"
                    and value.dtype is result.value.dtype
                    and prod(value.shape) == prod(result.value.shape)
                    and id(value) not in spared
                    and sum([other.value is value for other in formula.leaves]) == 1
                    and not is_held(value, formula.references.get(id(value), 0))
                ):
                    donor = i
                    used.add(i)
                    break
            donors.append(donor)
        return donors

    def kernel(self, spec: Spec) -> Kernel:
        """The compiled kernel for a structure."""
        kernel = self.kernels.get(spec)
        if kernel is None:
            name, program, types = codegen.write(spec)
            kernel = self.kernels[spec] = self.device.build_generated(program, name, types)
        return kernel

    def launch(
        self, spec: Spec, arguments: list[Any], results: list[Result], formula: Formula,
        size: tuple[int, ...], group: tuple[int, ...],
    ) -> None:  # fmt: skip
        """Run a kernel and settle its results."""
        kernel = self.kernel(spec)
        buffers, numbers = arguments
        blocks, own = self.allocate(spec, formula, results)
        self.device.launch(kernel, size, group, *buffers, *own, *numbers)
        for result, block in zip(results, blocks):
            result.value.settle(block)

    def allocate(
        self, spec: Spec, formula: Formula, results: list[Result]
    ) -> tuple[list[Any], list[Any]]:
        """The memory of each result, and the buffers among it that no leaf donates."""
        blocks, own = [], []
        for result, output in zip(results, spec.outputs):
            if output.donor >= 0:
                blocks.append(formula.leaves[output.donor].value.block)
            else:
                value = result.value
                block = self.device.pool.allocate(prod(value.shape) * value.dtype.itemsize)
                blocks.append(block)
                own.append(block.buffer)
        return blocks, own

    # maps
    def run_map(self, formula: Formula, target: View | None) -> None:
        """An elementwise kernel; with a target, the root is written there and stays a formula."""
        results = self.results(formula)
        if target is not None:
            node = next(r.node for r in results if r.value is formula.root)
            results = [Result(target.value, node, target.strides, target.offset)]
        space = self.space(formula, results, [list(range(len(formula.shape)))])
        if target is not None:
            self.write_window(formula, results, space)
            return
        spec, arguments = self.spec("map", formula, results, space, False)
        self.launch(spec, arguments, results, formula, *self.map_size(space))

    def write_window(self, formula: Formula, results: list[Result], space: Space) -> None:
        """Store the root in a window of memory that exists."""
        spec, (buffers, numbers) = self.spec("map", formula, results, space, True)
        spec = spec._replace(splits=False)
        block = results[0].value.block
        assert block is not None
        size, group = self.map_size(space)
        self.device.launch(self.kernel(spec), size, group, *buffers, block.buffer, *numbers)

    def map_size(self, space: Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Work size and group of a map."""
        *outer, points = space.sizes
        rows = prod(outer)
        if not self.device.is_cpu:
            across = min(-(-points // GROUP), 4096) * GROUP
            return (across, min(rows, 16384)), (GROUP, 1)
        workers = self.share(rows * points)
        if rows >= workers:
            return (1, workers), (1, 1)
        return (max(1, workers // rows), rows), (1, 1)

    def share(self, total: int) -> int:
        """How many work-items of a CPU share `total` elements."""
        return 1 if total < SMALL else max(1, min(self.workers, total // RUN))

    # reductions
    def run_reduction(self, formula: Formula) -> None:
        """A reduction with what leads to it and what follows from it."""
        results = self.results(formula)
        assert formula.inner is not None
        inner = formula.inner
        outer = [d for d in range(len(formula.shape)) if d not in inner]
        space = self.space(formula, results, [outer, inner])
        kind = self.reduction_kind(formula, space, results)
        if kind is None:
            self.compute_inner_reductions(formula)
            return
        n_inner = prod(space.sizes[space.n_outer :])
        parts = self.parts(kind, space, n_inner)
        if parts > 1:
            if not self.is_plain(formula, results):
                self.compute_inner_reductions(formula)
            else:
                self.run_in_parts(formula, results[0], space, kind, parts)
            return
        spec, arguments = self.spec(kind, formula, results, space, False)
        self.launch(spec, arguments, results, formula, *self.reduction_size(kind, space, 1))

    def reduction_kind(self, formula: Formula, space: Space, results: list[Result]) -> str | None:
        """ "rows" or "columns", or None: rows would hop about in memory too much."""
        first = space.n_outer
        moving = [
            (prod(leaf.value.shape), strides)
            for leaf, strides in zip(formula.leaves, space.strides)
            if leaf.value.op == "memory" and any(strides[first:])
        ]
        if not moving:
            return "rows"
        _, main = max(moving, key=lambda pair: pair[0])
        if abs(main[-1]) == 1 or (main[-1] == 0 and first == 0):
            return "rows"
        reductions = sum([node[0] == "reduce" for node in formula.nodes])
        n_leaves = len(formula.leaves)
        is_flat = all(not any(s[first:]) for s in space.strides[n_leaves:])
        stages = _stages(formula.nodes)
        if first and abs(main[first - 1]) == 1 and is_flat and stages == 1:
            return "columns"
        is_large = prod(space.sizes) > 8 * SMALL
        if is_large and (reductions > 1 or not is_flat) and not self.is_plain(formula, results):
            return None
        return "rows"

    def is_plain(self, formula: Formula, results: list[Result]) -> bool:
        """Whether one reduction is all there is."""
        return (
            formula.root.op == "reduce"
            and len(results) == 1
            and sum([node[0] == "reduce" for node in formula.nodes]) == 1
        )

    def compute_inner_reductions(self, formula: Formula) -> None:
        """Compute the reductions of a formula one by one, so that it can be planned without."""
        found = [v for v, _, _ in formula.inlined if v.op == "reduce" and v is not formula.root]
        if not found:  # the root, with others that are stored beside it
            found = [v for v, _, _ in formula.inlined if v.weight and v is not formula.root]
        self.compute(found[0])

    def parts(self, kind: str, space: Space, n_inner: int) -> int:
        """In how many parts a reduction is cut, so that there is work for everybody."""
        sizes, first = space.sizes, space.n_outer
        rows = prod(sizes[:first])
        if kind == "columns" and self.device.is_cpu:
            width = codegen.WIDE_BLOCK
            items = prod(sizes[: first - 1]) * -(-sizes[first - 1] // width)
        else:
            items = rows
        wanted = FEW_ROWS * self.device.cores if self.device.is_cpu else 8 * self.device.cores
        if items >= wanted or rows * n_inner < 4 * SMALL:
            return 1
        return max(1, min(sizes[first], -(-2 * wanted // items), n_inner * rows // RUN))

    def run_in_parts(
        self, formula: Formula, result: Result, space: Space, kind: str, parts: int
    ) -> None:
        """Reduce parts first; what is left is a reduction of their results."""
        root = formula.root
        op = root.params[0]
        dtype = float32 if root.dtype in (float16, bfloat16) else root.dtype
        node = formula.nodes[result.node]
        formula.nodes[result.node] = (*node[:3], dtype.name, node[4])
        partial = Value("partial", dtype, (parts, *root.shape))
        results = [result._replace(value=partial)]
        spec, (buffers, numbers) = self.spec(kind, formula, results, space, True)
        size, group = self.reduction_size(kind, space, parts)
        self.launch(spec, [buffers, [*numbers, parts]], results, formula, size, group)
        root.args, root.params = (partial,), (op, (0,), False)

    def reduction_size(
        self, kind: str, space: Space, parts: int
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Work size and group of a reduction."""
        sizes, first = space.sizes, space.n_outer
        rows = prod(sizes[:first])
        if self.device.is_cpu:
            items = rows * parts
            if kind == "columns":
                width = codegen.WIDE_BLOCK
                items = prod(sizes[: first - 1]) * -(-sizes[first - 1] // width) * parts
            return (max(1, min(self.share(prod(sizes)), items)),), (1,)
        if kind == "columns":
            return (min(-(-rows * parts // GROUP), 65535) * GROUP,), (GROUP,)
        return (min(rows * parts, 65535) * GROUP,), (GROUP,)

    # matrix products
    def run_product(self, formula: Formula, product: Value) -> bool:
        """A matrix product, and what is made of its elements. False: they do not go together."""
        results = self.results(formula)
        ndim = len(formula.shape)
        batch = list(range(ndim - 2))
        space = self.space(formula, results, [batch, [ndim - 2], [ndim - 1]])
        merged = self.product_space(formula, results, space)
        is_alone = formula.root is product
        if merged is None or (not is_alone and self.is_slow_epilogue(formula)):
            return False
        spec, (buffers, numbers) = self.spec("epilogue", formula, results, merged, False)
        text = self.texts.get(spec)
        if text is None:
            text = self.texts[spec] = codegen.write_epilogue(spec)
        blocks, own = self.allocate(spec, formula, results)
        self.multiply(product, text, [*buffers, *own, *numbers])
        for result, block in zip(results, blocks):
            result.value.settle(block)
        return True

    def product_space(
        self, formula: Formula, results: list[Result], space: Space
    ) -> Space | None:
        """The space of a product as batch, row and column; None if batches cannot be merged."""
        *_, m, n = formula.shape
        accesses: list[Leaf | Result] = [*formula.leaves, *results]
        ndim = len(formula.shape)
        n_batch = len(space.sizes) - (m != 1) - (n != 1)
        if prod(formula.shape) == 1:
            n_batch = 0
        if n_batch > 1:
            return None
        strides = []
        for access, merged in zip(accesses, space.strides):
            padded = [*access.strides, *[0] * (ndim - len(access.strides))]
            strides.append([merged[0] if n_batch else 0, *padded[-2:]])
        return Space([prod(formula.shape[:-2]), m, n], 2, strides)

    def is_slow_epilogue(self, formula: Formula) -> bool:
        """Whether functions would be called number by number that a map calls on vectors."""
        is_called = any(node[0] in codegen.VECTOR for node in formula.nodes)
        return self.device.is_cpu and is_called and prod(formula.shape) > SMALL

    def multiply(self, product: Value, epilogue: Text, arguments: list[Any]) -> None:
        """Launch the kernel of a matrix product."""
        a, b = product.args
        *batch, m, n = product.shape
        shape, a_strides, b_strides = _two_batch_dims(batch, a, b)
        factors = matmul.Factor(a_strides, a.offset), matmul.Factor(b_strides, b.offset)
        plan = matmul.plan(self.device, product.dtype, (*shape, m, n, a.shape[-1]), *factors)
        matmul.run(
            self.device, plan, a.value.block.buffer, b.value.block.buffer,
            HEAD + epilogue.program, arguments, epilogue.types,
        )  # fmt: skip


def _two_batch_dims(
    batch: list[int], a: View, b: View
) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
    """Batch dims merged to two, and both factors' strides; what cannot be merged is never asked."""
    sizes: list[int] = []
    strides: list[Strides] = [[], []]
    padded = [list(a.strides), list(b.strides)]
    for d, n in enumerate(batch):
        Scheduler.append_dim(sizes, strides, padded, d, n, 0)
    while len(sizes) < 2:
        sizes.insert(0, 1)
        for s in strides:
            s.insert(0, 0)
    assert len(sizes) == 2
    return (
        (sizes[0], sizes[1]),
        (*strides[0], *a.strides[-2:]),
        (*strides[1], *b.strides[-2:]),
    )


def can_merge_batch(batch: tuple[int, ...], a: View, b: View) -> bool:
    """Whether the batch dims of two factors merge to at most two."""
    sizes: list[int] = []
    strides: list[Strides] = [[], []]
    for d, n in enumerate(batch):
        Scheduler.append_dim(sizes, strides, [list(a.strides), list(b.strides)], d, n, 0)
    return len(sizes) <= 2


def _access(dtype: DType, op: str, strides: Strides, offset: int) -> Access:
    classes = tuple(["0" if s == 0 else "1" if s == 1 else "x" for s in strides])
    return Access(dtype.name, "iota" if op == "iota" else "memory", classes, offset != 0)


def _positions(access: Access, strides: Strides, offset: int) -> list[int]:
    """The numbers that an access needs as arguments."""
    numbers = [offset] if offset else []
    return numbers + [s for s, kind in zip(strides, access.strides) if kind == "x"]


def _iota_type(dtype: DType, device: Device) -> str:
    if dtype.rank != 2:
        return "long"
    return "double" if device.has_fp64 else "float"


def _fitted(number: Any, ctype: str) -> Any:
    """A Python number that the C type can hold: what is too large for a float is infinite."""
    if ctype == "float":
        number = float(number)
        if abs(number) > 3.4028235677973366e38:  # halfway to the next float there would be
            return float("inf") if number > 0 else float("-inf")
        return number
    return float(number) if ctype == "double" else int(number)


def _stages(nodes: list[tuple[Any, ...]]) -> int:
    """How many reductions depend on one another."""
    stages: list[int] = []
    for node in nodes:
        arguments = codegen.arguments_of(node)
        stage = max((stages[a] for a in arguments), default=0)
        stages.append(stage + (node[0] == "reduce"))
    return max(stages)
