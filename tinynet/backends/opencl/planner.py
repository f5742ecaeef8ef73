"""How a value is computed: by which kernel, of what size, with which arguments (see `plans`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import prod
from typing import Any

from tinynet.backends.opencl import (
    convolution,
    convolution_cpu,
    convolution_gpu,
    matmul,
    products,
)
from tinynet.backends.opencl.array import Value, View
from tinynet.backends.opencl.compiler import Compiler
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.fusion import Formula, Graph, Leaf
from tinynet.backends.opencl.plans import Cold, First, Launch, Layout, Offset, Plan, Size, Stored
from tinynet.backends.opencl.primitives import VECTOR
from tinynet.backends.opencl.spaces import (
    Result,
    Space,
    Strides,
    merge,
    merge_product,
    merged_batch,
    results_of,
)
from tinynet.backends.opencl.spec import (
    GROUP,
    LARGE_GROUP,
    WIDE_BLOCK,
    Access,
    Output,
    Spec,
    beginning,
    stages_of,
)
from tinynet.backends.opencl.tuner import open_tuner
from tinynet.dtype import DType, bfloat16, float16, float32

SMALL = 8192  # elements that one work-item of a CPU computes sooner than two
RUN = 4096  # elements that are worth a work-item of a CPU
ROW = 64  # elements that take a CPU as long as the rest of what it does for a row
FEW_ROWS = 2  # for each core of a CPU: with fewer, rows are cut
# Of accelerators: work-items for each core that hide how long memory takes; elements that are worth
# one of them; those of a row that one reads sooner than many; those of a row that is long; columns
# for each core that are read sooner side by side than each by a group; elements worth a launch.
ITEMS, ITEM_RUN, SHORT_ROW, LONG_ROW, MANY_COLUMNS, LARGE = 1024, 32, 32, 1024, 32, 1 << 20
MOST_GROUPS = 65535  # of a reduction on accelerators
LARGEST_STEP = MOST_GROUPS * GROUP  # that loops of their kernels make: so many work-items in all
MOST_LEAVES = 32
LONGEST_EPILOGUE = 4  # operations on each element of a product


class Planner:
    """Makes plans for one device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.workers = 4 * device.cores
        self.compiler = Compiler(device)
        self.tuner = open_tuner(device.cl_device)

    def plan(
        self, graph: Graph, target: View | None = None,
        may_donate: Callable[[Value, Value], bool] | None = None,
    ) -> Plan:  # fmt: skip
        """How the first value of `graph` is computed; with `target`, into that window.

        `may_donate` says whether a value's memory may become that of a result.
        """
        formula = Formula(graph)
        formula.may_donate = may_donate
        if formula.first:  # only one: more may fit in once that is there
            return self.compute_first(formula, formula.first[0])
        is_plain = formula.product is None and formula.inner is None
        if len(formula.leaves) > MOST_LEAVES or (target is not None and not is_plain):
            return self.compute_first(formula, self.operand_of(formula.root))
        if formula.product is not None:
            return self.plan_product(formula, formula.product)
        if formula.inner is not None:
            return self.plan_reduction(formula)
        return self.plan_map(formula, target)

    @staticmethod
    def compute_first(formula: Formula, value: Value) -> First:
        return First(formula.graph.places[value])

    @staticmethod
    def operand_of(root: Value) -> Value:
        """An operand of a formula of too many parts that can be computed by itself."""
        operands = [x.value if type(x) is View else x for x in root.args]
        return max((x for x in operands if type(x) is Value), key=lambda operand: operand.weight)

    # launches
    def spec(
        self, kind: str, formula: Formula, results: list[Result], space: Space, donors: list[int],
        splits: bool = False, group: int = 1,
    ) -> tuple[Spec, list[int | Offset]]:  # fmt: skip
        """The structure of a kernel, and its arguments behind the numbers of the graph."""
        leaves = []
        positions: list[int | Offset] = []
        n_leaves = len(formula.leaves)
        iotas: list[str] = []
        for leaf, strides in zip(formula.leaves, space.strides):
            access = _access(leaf.value.dtype, leaf.value.op, strides, leaf.offset)
            leaves.append(access)
            positions += _positions(access, strides, leaf.offset)
            if leaf.value.op == "iota":
                iotas += [_iota_type(leaf.value.dtype, self.device)] * 2
        outputs = []
        for result, strides, donor in zip(results, space.strides[n_leaves:], donors):
            access = _access(result.value.dtype, "memory", strides, result.offset)
            outputs.append(Output(result.node, access, donor))
            positions += _positions(access, strides, result.offset)
        scalars = (*[ctype for _, ctype in formula.scalars], *iotas)
        spec = Spec(
            kind, tuple(formula.nodes), tuple(leaves), tuple(outputs), scalars, space.n_outer,
            len(space.sizes) - space.n_outer, splits, self.device.is_cpu,
            self.index_type(formula, results), group,
        )  # fmt: skip
        sizes = [] if kind == "epilogue" else space.sizes
        picks = [number for pick in formula.picks for number in pick]
        return spec, [*sizes, *positions, *picks]

    def launch(
        self, formula: Formula, results: list[Result], spec: Spec, tail: list[int | Offset],
        kernel: Kernel | Cold, size: Size, group: Size, **more: Any,
    ) -> Launch:  # fmt: skip
        """The plan of a launch, in terms of the graph's places."""
        places = formula.graph.places
        stored = []
        for result, output in zip(results, spec.outputs):
            nbytes = prod(result.value.shape) * result.value.dtype.itemsize
            donor = places[formula.leaves[output.donor].value] if output.donor >= 0 else -1
            stored.append(Stored(places.get(result.value, -1), nbytes, donor))
        numbers = [*formula.scalars]
        leaves = []
        read = 0
        for leaf in formula.leaves:
            value = leaf.value
            if value.op == "iota":
                ctype = _iota_type(value.dtype, self.device)
                numbers += [(formula.number_places[value, i], ctype) for i in (0, 1)]
            else:
                leaves.append(places[value])
                read += prod(value.shape) * value.dtype.itemsize
        options = {"factors": (), "product": None, "begins": (), "parts": None, "flops": 0, **more}
        options["flops"] += prod(formula.shape) * _count_operations(formula.nodes)
        nbytes = read + sum([item.nbytes for item in stored]) + options.pop("read", 0)
        ready, cold = (None, kernel) if isinstance(kernel, Cold) else (kernel, None)
        return Launch(
            ready, cold, size, group, options["factors"], options["product"], options["begins"],
            tuple(leaves), tuple(stored), tuple(numbers), Layout.of(tail, formula.graph),
            options["parts"], nbytes, options["flops"],
        )  # fmt: skip

    def index_type(self, formula: Formula, results: list[Result]) -> str:
        """The C type that positions fit: on accelerators int where it does, for speed.

        It must hold what loops end with too, a step past the last position.
        """
        if self.device.is_cpu:
            return "long"
        largest = max(
            [prod(formula.shape)]
            + [prod(leaf.value.shape) for leaf in formula.leaves]
            + [prod(result.value.shape) for result in results]
        )
        return "int" if largest < 2**31 - LARGEST_STEP else "long"

    def donors(self, formula: Formula, results: list[Result]) -> list[int]:
        """For each result the leaf whose memory it takes over, or -1: one that nobody else needs,
        read at each point just where the result is written.

        The leaf that a result begins with comes first, which it is the new value of after an
        operation in place: whatever else may be donated, the kernel is the same.
        """
        taken = {node[2] for node in formula.nodes if node[0] == "take"}
        factors = formula.product.args if formula.product is not None else ()
        spared = {id(factor.value) for factor in factors}
        able = [
            i
            for i, leaf in enumerate(formula.leaves)
            if i not in taken and id(leaf.value) not in spared
        ]
        donors = [-1] * len(results)
        for is_any in (False, True):
            for place, result in enumerate(results):
                wanted = able if is_any else [beginning(formula.nodes, result.node)]
                for i in wanted if donors[place] < 0 else ():
                    is_free = i in able and i not in donors
                    if is_free and self.can_donate(formula, formula.leaves[i], result):
                        donors[place] = i
                        break
        return donors

    def can_donate(self, formula: Formula, leaf: Leaf, result: Result) -> bool:
        """Whether the memory of a leaf can hold a result from now on."""
        value, other = leaf.value, result.value
        return (
            value.op == "memory"
            and value.dtype is other.dtype
            and not leaf.offset
            and leaf.strides == result.strides
            and prod(value.shape) == prod(other.shape)
            and sum([x.value is value for x in formula.leaves]) == 1
            and not formula.graph.is_held(value)
            and (formula.may_donate is None or formula.may_donate(value, other))
        )

    # maps
    def plan_map(self, formula: Formula, target: View | None) -> Launch:
        """An elementwise kernel; with a target, the root is written there."""
        results = results_of(formula)
        if target is None:
            donors = self.donors(formula, results)
        else:
            node = next(r.node for r in results if r.value is formula.root)
            results = [Result(target.value, node, target.strides, target.offset)]
            donors = [-1]
        space = merge(formula, results, [list(range(len(formula.shape)))])
        spec, tail = self.spec("map", formula, results, space, donors)
        size, group = self.map_size(space)
        kernel = self.compiler.kernel_or_cold(spec, formula, results, space)
        return self.launch(formula, results, spec, tail, kernel, size, group)

    def map_size(self, space: Space) -> tuple[Size, Size]:
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
    def plan_reduction(self, formula: Formula) -> Plan:
        """A reduction with what leads to it and what follows from it."""
        results = results_of(formula)
        assert formula.inner is not None
        inner = formula.inner
        outer = [d for d in range(len(formula.shape)) if d not in inner]
        space = merge(formula, results, [outer, inner])
        is_plain = (
            formula.root.op == "reduce" and len(results) == 1
            and sum([node[0] == "reduce" for node in formula.nodes]) == 1
        )  # fmt: skip
        kind = self.reduction_kind(formula, space, is_plain)
        parts = self.parts(kind, space, is_plain) if kind else 1
        if kind is None or (parts > 1 and not is_plain):
            return self.compute_first(formula, self.part_of(formula))
        if parts > 1:
            return self.plan_parts(formula, results[0], space, kind, parts)
        donors, items = self.donors(formula, results), self.items_of(kind, space, 1)
        spec, tail = self.spec(kind, formula, results, space, donors, group=items)
        size, group = self.reduction_size(kind, space, 1)
        kernel = self.compiler.kernel_or_cold(spec, formula, results, space)
        return self.launch(formula, results, spec, tail, kernel, size, group)

    def reduction_kind(self, formula: Formula, space: Space, is_plain: bool) -> str | None:
        """The kernel's kind, "rows" or "columns"; None: rows would hop about in memory too much."""
        first = space.n_outer
        moving = [
            (prod(leaf.value.shape), strides)
            for leaf, strides in zip(formula.leaves, space.strides)
            if leaf.value.op == "memory" and any(strides[first:])
        ]
        if not moving:
            return "rows"
        _, main = max(moving, key=lambda pair: pair[0])
        if abs(main[-1]) == 1 or not first:
            return "rows"
        n_leaves = len(formula.leaves)
        is_flat = not any(any(s[first:]) for s in space.strides[n_leaves:])
        if abs(main[first - 1]) == 1 and is_flat and max(stages_of(formula.nodes)) == 1:
            return "columns" if self.are_columns_enough(space) else "rows"
        is_large = prod(space.sizes) > 8 * SMALL
        return None if is_large and not is_plain else "rows"

    def are_columns_enough(self, space: Space) -> bool:
        """Whether columns keep an accelerator busy, side by side; else each is a group's row."""
        total, columns = prod(space.sizes), prod(space.sizes[: space.n_outer])
        return (
            self.device.is_cpu or total >= LARGE or total <= SHORT_ROW * columns
            or columns >= MANY_COLUMNS * self.device.cores
        )  # fmt: skip

    @staticmethod
    def part_of(formula: Formula) -> Value:
        """A part of a formula that is computed by itself, so that the rest can be planned anew."""
        reductions = [v for v, _, _ in formula.inlined if v.op == "reduce"]
        others = [v for v, _, _ in formula.inlined if v.weight]
        return next(v for v in [*reductions, *others] if v is not formula.root)

    def columns_of(self, space: Space) -> int:
        """The blocks of neighbouring columns that work-items of a CPU take."""
        *others, columns = space.sizes[: space.n_outer]
        blocks: int = prod(others) * -(-columns // WIDE_BLOCK)
        return blocks

    def parts(self, kind: str, space: Space, is_plain: bool) -> int:
        """In how many parts a reduction is cut, so that there is work for everybody.

        What is more than a plain reduction would become several kernels.
        """
        sizes, first = space.sizes, space.n_outer
        total, items = prod(sizes), prod(sizes[:first])
        if self.device.is_cpu:
            items = self.columns_of(space) if kind == "columns" else items
            wanted, least = 2 * FEW_ROWS * self.device.cores, RUN
        else:
            items *= GROUP if kind == "rows" else 1
            wanted, least = ITEMS * self.device.cores, ITEM_RUN * items
        is_shared = not self.device.is_cpu and items >= GROUP * self.device.cores
        if 2 * items >= wanted or total < 4 * SMALL or (is_shared and not is_plain):
            return 1
        parts: int = min(sizes[first], -(-wanted // items), total // least)
        return max(1, parts)

    def plan_parts(
        self, formula: Formula, result: Result, space: Space, kind: str, parts: int
    ) -> Launch:
        """Reduce parts first; what is left is a reduction of their results."""
        root = formula.root
        dtype = float32 if root.dtype in (float16, bfloat16) else root.dtype
        node = formula.nodes[result.node]
        formula.nodes[result.node] = (*node[:3], dtype.name, node[4])
        shape = (parts, *root.shape)
        results = [result._replace(value=Value("partial", dtype, shape))]
        items = self.items_of(kind, space, parts)
        spec, tail = self.spec(kind, formula, results, space, [-1], True, items)
        size, group = self.reduction_size(kind, space, parts)
        return self.launch(
            formula, results, spec, [*tail, parts], self.compiler.kernel(spec), size, group,
            parts=(dtype, shape),
        )  # fmt: skip

    def items_of(self, kind: str, space: Space, parts: int) -> int:
        """How many work-items share a row."""
        if self.device.is_cpu or kind == "columns":
            return 1
        rows = prod(space.sizes[: space.n_outer]) * parts
        length = prod(space.sizes) // rows
        if length <= SHORT_ROW:
            return 1
        is_scarce = length >= LONG_ROW and rows < 4 * self.device.cores
        most: int = self.device.cl_device.max_work_group_size
        return LARGE_GROUP if is_scarce and most >= LARGE_GROUP else GROUP

    def reduction_size(self, kind: str, space: Space, parts: int) -> tuple[Size, Size]:
        """Work size and group of a reduction."""
        sizes, first = space.sizes, space.n_outer
        rows = prod(sizes[:first]) * parts
        if self.device.is_cpu:
            items = self.columns_of(space) * parts if kind == "columns" else rows
            work = max(prod(sizes), 0 if kind == "columns" else rows * ROW)
            return (max(1, min(self.share(work), items)),), (1,)
        items = self.items_of(kind, space, parts)
        if items == 1:
            return (min(-(-rows // GROUP), MOST_GROUPS) * GROUP,), (GROUP,)
        return (min(rows, MOST_GROUPS) * items,), (items,)

    # matrix products
    def plan_product(self, formula: Formula, product: Value) -> Plan:
        """A matrix product, and what is made of its elements."""
        results = results_of(formula)
        space = merge_product(formula, results)
        is_alone = formula.root is product
        if space is None or (not is_alone and self.is_slow_epilogue(formula)):
            return self.compute_first(formula, product)
        spec, tail = self.spec("epilogue", formula, results, space, self.donors(formula, results))
        planned, work = self.product_plan(product)
        if not is_alone and self.compiler.is_cold_epilogue(spec, planned, prod(formula.shape)):
            return First(formula.graph.places[product], (spec, planned.text))
        kernel = self.compiler.product_kernel(spec, planned)
        factors = tuple([formula.graph.places[factor.value] for factor in product.args])
        begins = tuple([formula.graph.place_of_offset(factor.offset) for factor in product.args])
        return self.launch(
            formula, results, spec, tail, kernel, planned.size, planned.group, factors=factors,
            product=planned, begins=begins, flops=work,
            read=sum([prod(factor.shape) for factor in product.args]) * product.dtype.itemsize,
        )  # fmt: skip

    def is_slow_epilogue(self, formula: Formula) -> bool:
        """Whether a CPU is quicker with a map afterwards: its loops become vector code, an epilogue
        of more than a few operations does not.
        """
        is_called = any(node[0] in VECTOR for node in formula.nodes)
        is_long = _count_operations(formula.nodes) > LONGEST_EPILOGUE
        return self.device.is_cpu and (is_called or is_long) and prod(formula.shape) > SMALL // 4

    def product_plan(self, product: Value) -> tuple[products.Plan, int]:
        """The kernel of a product, but for its epilogue, and how many operations it takes.

        It is that of factors without offsets, which each launch has its own of.
        """
        a, b = product.args
        if product.op == "matmul":
            return self.matrix_plan(product), 2 * prod(product.shape) * a.shape[-1]
        operands = [convolution.Operand(x.shape, x.strides, 0) for x in (a, b)]
        planner = convolution_cpu if self.device.is_cpu else convolution_gpu
        planned = planner.plan(self.device, product.dtype, product.params, *operands)
        return planned, convolution.flops(product.params, a.shape, b.shape)

    def matrix_plan(self, product: Value) -> products.Plan:
        """The kernel of a matrix product, but for its epilogue."""
        a, b = product.args
        *batch, m, n = product.shape
        sizes, strides = merged_batch(batch, a, b)
        while len(sizes) < 2:
            sizes.insert(0, 1)
            for s in strides:
                s.insert(0, 0)
        factors = [
            products.Factor((*s, *x.strides[-2:]), x.offset) for s, x in zip(strides, (a, b))
        ]
        shape = (sizes[0], sizes[1], m, n, a.shape[-1])
        tile = self.tile(product, shape, factors)
        unmoved = [factor._replace(offset=0) for factor in factors]
        return matmul.plan(self.device, product.dtype, shape, *unmoved, tile)

    def tile(self, product: Value, shape: tuple[int, ...], factors: list[products.Factor]) -> Any:
        """How a product of this class of shapes is best divided: known, measured or guessed."""
        device, dtype = self.device, product.dtype
        candidates = matmul.candidates(device, dtype, shape, *factors)
        if len(candidates) == 1:
            return candidates[0]
        classes = [1 << (n - 1).bit_length() for n in (shape[0] * shape[1], *shape[2:])]
        steps = ["".join("01"[s == 1] for s in factor.strides[2:]) for factor in factors]
        key = f"matmul {dtype.name} {classes} {steps}"

        def measure(tile: Any) -> float:
            return matmul.measure(device, dtype, shape, factors, product.args, tile)

        recorder = device.recorder
        is_recorded = recorder is not None and recorder.is_here()
        with recorder.paused() if is_recorded else nullcontext():
            return self.tuner.choose(key, candidates, measure)


def _count_operations(nodes: list[tuple[Any, ...]]) -> int:
    return sum([node[0] not in ("leaf", "scalar", "take", "product", "load") for node in nodes])


def _access(dtype: DType, op: str, strides: Strides, offset: int) -> Access:
    classes = tuple(["0" if s == 0 else "1" if s == 1 else "x" for s in strides])
    return Access(dtype.name, "iota" if op == "iota" else "memory", classes, offset != 0)


def _positions(access: Access, strides: Strides, offset: int) -> list[int | Offset]:
    """The numbers that an access needs as arguments."""
    numbers: list[int | Offset] = [Offset(offset)] if offset else []
    return numbers + [s for s, kind in zip(strides, access.strides) if kind == "x"]


def _iota_type(dtype: DType, device: Device) -> str:
    if dtype.rank != 2:
        return "long"
    return "double" if device.has_fp64 else "float"
