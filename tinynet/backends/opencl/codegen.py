"""The text of generated kernels: all of it is written here.

A kernel computes a `Spec`: nodes (operations in order, by number) at every point of an iteration
space, whose dims are outer (a result for each point) and inner (looped over). Three kinds:

* `map`: the last dim is the inner loop; everything else is split among work-items;
* `rows`: reductions over the inner dims, then whatever needs their results, row by row;
* `columns`: reductions where neighbours in memory are results, not what is added up.

A work-item of a CPU takes a run of rows and loops; elsewhere a group of `GROUP` shares a row, or
each takes a point. Compilers make vector code of plain loops but not of calls: on CPUs, functions
such as `exp` are called on whole vectors, between loops over blocks of elements.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from tinynet.backends.opencl.ctypes import SCALARS, computed, load, store, stored
from tinynet.backends.opencl.primitives import VECTOR, cast, reduction, template
from tinynet.dtype import BY_NAME

LANES = 32  # partial results of a reduction on a CPU
RUN = 64  # numbers added up before their sum is added to the sum so far: errors grow less
BLOCK = 64  # elements between two calls of vector functions
WIDE_BLOCK = 1024  # columns that a work-item adds up at a time
GROUP = 64  # work-items in a group, but for CPUs
BYTES = 32  # of a CPU's vector


class Access(NamedTuple):
    """How a kernel reads or writes an operand: "0", "1" or "x" (an argument) for each dim's stride.

    `kind`: "memory", or "iota" for numbers that follow from their position.
    """

    dtype: str
    kind: str
    strides: tuple[str, ...]
    has_offset: bool


class Output(NamedTuple):
    """Node `node` is stored; in the memory of leaf `donor`, if that is not -1."""

    node: int
    access: Access
    donor: int


class Spec(NamedTuple):
    """All that decides a kernel's text. `splits`: a reduction's inner dim is cut in parts."""

    kind: str
    nodes: tuple[tuple[Any, ...], ...]
    leaves: tuple[Access, ...]
    outputs: tuple[Output, ...]
    scalars: tuple[str, ...]
    n_outer: int
    n_inner: int
    splits: bool
    is_cpu: bool
    index_type: str  # of positions: int, or long where int is too small


class Text(NamedTuple):
    """A kernel's name, its program and the types of its arguments."""

    name: str
    program: str
    types: tuple[Any, ...]


def arguments_of(node: tuple[Any, ...]) -> tuple[int, ...]:
    """The numbers of the nodes that a node is computed from."""
    kind = node[0]
    if kind in ("leaf", "scalar", "product"):
        return ()
    if kind == "take":
        return tuple(node[3])
    return tuple(node[3:]) if kind != "reduce" else (node[4],)


def result_type(node: tuple[Any, ...]) -> str:
    """The C type of a node's value."""
    if node[0] == "scalar":
        return str(node[1])
    name = node[1] if node[0] in ("leaf", "take", "product") else node[2]
    return computed(BY_NAME[node[3] if node[0] == "reduce" else name])


def write(spec: Spec) -> Text:
    """The kernel for `spec`."""
    return _Writer(spec).text()


def write_epilogue(spec: Spec) -> Text:
    """What a matrix product's kernel does with each element, as the macros it asks for.

    The iteration dims are batch, row and column; the node "product" is the element.
    """
    return _Writer(spec).epilogue()


class Levels:
    """Of each node of a formula: whether it differs along inner dims, and after which reductions.

    `stages` counts how many reductions must be done one after the other before a node.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.nodes = spec.nodes
        self.n_dims = spec.n_outer + spec.n_inner
        self.inner = frozenset(range(spec.n_outer, self.n_dims))

    @cached_property
    def is_full(self) -> list[bool]:
        """For each node, whether it differs along inner dims."""
        full: list[bool] = []
        for node in self.nodes:
            leaf = node[2] if node[0] in ("leaf", "take") else None
            own = leaf is not None and self.varies(self.spec.leaves[leaf])
            if node[0] == "product":
                own = True
            elif node[0] != "reduce":
                own = own or any(full[a] for a in arguments_of(node))
            full.append(own)
        return full

    def varies(self, access: Access) -> bool:
        """Whether an access moves along an inner dim."""
        return any(access.strides[d] != "0" for d in self.inner)

    @cached_property
    def stages(self) -> list[int]:
        """For each node, how many reductions must be done one after the other before it."""
        stages: list[int] = []
        for node in self.nodes:
            stage = max((stages[a] for a in arguments_of(node)), default=0)
            stages.append(stage + (node[0] == "reduce"))
        return stages

    def needed(self, targets: list[int], want: Callable[[int], bool]) -> list[int]:
        """The nodes for which `want` holds that lead to the targets, in order."""
        found: set[int] = set()
        stack = [n for n in targets if want(n)]
        while stack:
            n = stack.pop()
            if n not in found:
                found.add(n)
                stack += [a for a in arguments_of(self.nodes[n]) if want(a)]
        return sorted(found)


class _Writer(Levels):
    """Writes one kernel. Coordinates are `x0 x1 ...`, positions of accesses without the loop's own
    dim `q0 q1 ...` (leaves) and `z0 ...` (outputs), values of nodes `v0 v1 ...`, blocks of them
    `w0 ...`, partial results `a0 ...`.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.loop_dim = spec.n_outer - 1 if spec.kind == "columns" else self.n_dims - 1
        self.lines: list[str] = []

    # the whole
    def text(self) -> Text:
        """Head, body, foot."""
        body = {"map": self.write_map, "rows": self.write_rows, "columns": self.write_columns}
        parameters, types = self.parameters()
        name = self.name()
        self.add(f"kernel void {name}({', '.join(parameters)}) {{")
        if not self.spec.is_cpu and self.spec.kind == "rows":
            for n, node in enumerate(self.nodes):
                if node[0] == "reduce":
                    self.add(f"local {self.lane_type(n)} l{n}[{GROUP}];")
        body[self.spec.kind]()
        self.add("}")
        head = f"#define I {self.spec.index_type}\n#pragma OPENCL FP_CONTRACT OFF\n"
        return Text(name, head + "\n".join(self.lines) + "\n", types)

    def epilogue(self) -> Text:
        """The macros EPILOGUE_PARAMETERS and EPILOGUE(value, batch, row, column)."""
        parameters, types = self.parameters()
        ctype = next(computed(BY_NAME[n[1]]) for n in self.nodes if n[0] == "product")
        self.add(f"const {ctype} product = (value_);")
        self.add("const I x0 = (batch_), x1 = (row_), k = (column_);")
        self.bases(lambda access: True)
        for n in range(len(self.nodes)):
            self.declare(n)
        self.store_all(list(range(len(self.spec.outputs))), self.name_of)
        declared = "".join(f", {parameter}" for parameter in parameters)
        program = (
            f"#define I {self.spec.index_type}\n#define EPILOGUE_INIT\n"
            f"#define EPILOGUE_PARAMETERS {declared}\n"
            f"#define EPILOGUE(value_, batch_, row_, column_) {{ {' '.join(self.lines)} }}\n"
        )
        return Text(self.name(), program, types)

    def name(self) -> str:
        """Kind and operations, as far as they fit."""
        ops = [
            node[1] if node[0] == "reduce" else node[0]
            for node in self.nodes
            if node[0] not in ("leaf", "scalar")
        ]
        return "_".join([self.spec.kind, *ops])[:60]

    def parameters(self) -> tuple[list[str], tuple[Any, ...]]:
        """The parameters' declarations and types, in the order in which they are passed."""
        spec = self.spec
        declared: list[str] = []
        types: list[Any] = []
        donors = {output.donor for output in spec.outputs}
        for i, leaf in enumerate(spec.leaves):
            if leaf.kind == "memory":
                constant = "" if i in donors else "const "
                ctype = stored(BY_NAME[leaf.dtype])
                declared.append(f"global {constant}{ctype} *restrict p{i}")
                types.append(None)
        for j, output in enumerate(spec.outputs):
            if output.donor < 0:
                ctype = stored(BY_NAME[output.access.dtype])
                declared.append(f"global {ctype} *restrict o{j}")
                types.append(None)
        scalars = self.numbers()
        declared += [f"const {ctype} {name}" for name, ctype in scalars]
        return declared, (*types, *(SCALARS[ctype] for _, ctype in scalars))

    def numbers(self) -> list[tuple[str, str]]:
        """Names and types of the parameters that are numbers."""
        spec, index = self.spec, self.spec.index_type
        scalars = [(f"s{j}", ctype) for j, ctype in enumerate(spec.scalars)]
        if spec.kind != "epilogue":
            scalars += [(f"n{d}", index) for d in range(self.n_dims)]
        for prefix, accesses in (
            ("", spec.leaves),
            ("o", [output.access for output in spec.outputs]),
        ):
            for i, access in enumerate(accesses):
                if access.has_offset:
                    scalars.append((f"f{prefix}{i}", index))
                scalars += [
                    (f"t{prefix}{i}_{d}", index) for d, s in enumerate(access.strides) if s == "x"
                ]
        for n, node in enumerate(self.nodes):
            if node[0] == "take":
                for k in range(len(node[3])):
                    scalars += [(f"e{n}_{k}", "long"), (f"m{n}_{k}", "long")]
        if spec.splits:
            scalars.append(("parts", index))
        return scalars

    def add(self, line: str) -> None:
        self.lines.append(line)

    # positions
    def coordinates(self, position: str, dims: list[int]) -> None:
        """Declare x for `dims`, the last of which changes fastest."""
        if not dims:
            return
        if len(dims) == 1:
            self.add(f"const I x{dims[0]} = {position};")
            return
        self.add(f"I rest_{dims[0]} = {position};")
        for d in reversed(dims[1:]):
            self.add(f"const I x{d} = rest_{dims[0]} % n{d}; rest_{dims[0]} /= n{d};")
        self.add(f"const I x{dims[0]} = rest_{dims[0]};")

    def product(self, dims: list[int]) -> str:
        """The number of points along `dims`, in C."""
        return " * ".join(f"n{d}" for d in dims) or "1"

    def base(self, access: Access, number: str) -> str:
        """An access's position, but for the share of the loop's dim."""
        parts = [f"f{number}"] if access.has_offset else []
        for d, stride in enumerate(access.strides):
            if d != self.loop_dim and stride != "0":
                parts.append(f"x{d}" if stride == "1" else f"x{d} * t{number}_{d}")
        return " + ".join(parts) or "0"

    def bases(self, want: Callable[[Access], bool]) -> None:
        """Declare q and z of the accesses for which `want` holds."""
        for i, leaf in enumerate(self.spec.leaves):
            if want(leaf):
                self.add(f"const I q{i} = {self.base(leaf, str(i))};")
        outer = self.product(list(range(self.spec.n_outer)))
        part = f" + part * ({outer})" if self.spec.splits else ""
        for j, output in enumerate(self.spec.outputs):
            if want(output.access):
                self.add(f"const I z{j} = {self.base(output.access, f'o{j}')}{part};")

    def at(self, base: str, access: Access, number: str) -> str:
        """An access's position at `k` of the loop's dim."""
        stride = access.strides[self.loop_dim] if self.n_dims else "0"
        step = {"0": "", "1": " + k"}.get(stride, f" + k * t{number}_{self.loop_dim}")
        return base + step

    # one node
    def expression(self, n: int, value: Callable[[int], str]) -> str:
        """Node `n` in C, its arguments' values given by `value`."""
        node = self.nodes[n]
        if node[0] == "leaf":
            return self.leaf(node[2])
        if node[0] == "take":
            return self.taken(n, value)
        if node[0] == "product":
            return "product"
        args = [value(a) for a in arguments_of(node)]
        if node[0] == "cast":
            return cast(BY_NAME[node[1]], BY_NAME[node[2]]).format(a=args[0])
        named = dict(zip("abc", args))
        return template(node[0], BY_NAME[node[1]]).format(**named)

    def leaf(self, i: int) -> str:
        """The value of a leaf at the present point."""
        access = self.spec.leaves[i]
        dtype = BY_NAME[access.dtype]
        position = self.at(f"q{i}", access, str(i))
        if access.kind == "iota":
            start, step = (f"s{j}" for j in self.iota_scalars(i))
            return cast_to(dtype.name, f"{start} + ({position}) * {step}")
        return load(dtype, f"p{i}", position)

    def iota_scalars(self, i: int) -> tuple[int, int]:
        """The numbers of the scalars that hold an iota's start and step: the last ones."""
        iotas = [k for k, leaf in enumerate(self.spec.leaves) if leaf.kind == "iota"]
        first = len(self.spec.scalars) - 2 * len(iotas) + 2 * iotas.index(i)
        return first, first + 1

    def taken(self, n: int, value: Callable[[int], str]) -> str:
        """An element picked by indices; negative ones count from the end where they may occur."""
        _, dtype, i, indices, may_be_negative = self.nodes[n]
        position = [self.at(f"q{i}", self.spec.leaves[i], str(i))]
        for k, index in enumerate(indices):
            found = value(index)
            if may_be_negative[k]:
                found = f"({found} < 0 ? {found} + m{n}_{k} : {found})"
            position.append(f"{found} * e{n}_{k}")
        return load(BY_NAME[dtype], f"p{i}", " + ".join(position))

    def name_of(self, n: int) -> str:
        """The variable that holds a node's value."""
        node = self.nodes[n]
        return f"s{node[2]}" if node[0] == "scalar" else f"v{n}"

    def declare(self, n: int, value: Callable[[int], str] | None = None) -> None:
        """Compute node `n`."""
        if self.nodes[n][0] not in ("scalar", "reduce"):
            expression = self.expression(n, value or self.name_of)
            self.add(f"const {result_type(self.nodes[n])} v{n} = {expression};")

    # loops over elements
    def is_vector(self, n: int) -> bool:
        """Whether node `n` is a function that this device computes on whole vectors."""
        node = self.nodes[n]
        is_function = self.spec.is_cpu and node[0] in VECTOR
        return is_function and node[1] in ("float32", "float64")

    def loop(
        self,
        targets: list[int],
        consume: Callable[[Callable[[int], str]], None],
        bounds: tuple[str, str],
        want: Callable[[int], bool],
        lanes: int = 0,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Compute `targets` for k in bounds and hand each point to `consume`.

        `want` says what is to be computed in the loop; `lanes`: in blocks of so many at most, in
        which `u` counts.
        """
        nodes = self.needed(targets, want)
        begin, end = bounds
        if not lanes and not any(self.is_vector(n) for n in nodes):
            self.add(f"for (I k = {begin}; k < {end}; k++) {{")
            for n in nodes:
                self.declare(n)
            consume(self.name_of)
            self.add("}")
            return
        size = lanes or BLOCK
        self.add(f"for (I k0 = {begin}; k0 < {end}; k0 += {size}) {{")
        self.add(f"const int m = min((I){size}, (I)({end} - k0));")
        _Block(self, nodes, targets, size).write(consume)
        after()
        self.add("}")

    def store_all(self, numbers: list[int], value: Callable[[int], str]) -> None:
        """Store outputs at the present point."""
        for j in numbers:
            output = self.spec.outputs[j]
            pointer = f"p{output.donor}" if output.donor >= 0 else f"o{j}"
            position = self.at(f"z{j}", output.access, f"o{j}")
            dtype = BY_NAME[output.access.dtype]
            self.add(store(dtype, pointer, position, value(output.node)))

    # map
    def write_map(self) -> None:
        """Rows are shared out along the second dim of the work size, points along the first."""
        spec = self.spec
        outer = list(range(spec.n_outer))
        loop = self.loop_dim
        rows = self.product(outer)
        if spec.is_cpu:
            self.run("row", rows, 1)
            self.run("k", f"n{loop}", 0)
            self.add("for (I row = row_begin; row < row_end; row++) {")
            bounds = "k_begin", "k_end"
        else:
            self.add(f"for (I row = get_global_id(1); row < {rows}; row += get_global_size(1)) {{")
        self.coordinates("row", outer)
        self.bases(lambda access: True)
        for n in self.needed(list(range(len(self.nodes))), lambda n: not self.is_full[n]):
            self.k_free(n)
        targets = [output.node for output in spec.outputs]
        every = list(range(len(targets)))

        def consume(value: Callable[[int], str]) -> None:
            self.store_all(every, value)

        if spec.is_cpu:
            self.loop(targets, consume, bounds, lambda n: self.is_full[n])
        else:
            self.add(f"for (I k = get_global_id(0); k < n{loop}; k += get_global_size(0)) {{")
            for n in self.needed(targets, lambda n: self.is_full[n]):
                self.declare(n)
            consume(self.name_of)
            self.add("}")
        self.add("}")

    def k_free(self, n: int) -> None:
        """Compute a node that is the same at every k: positions then have no k."""
        self.declare(n)

    def run(self, name: str, count: str, axis: int) -> None:
        """Declare the part of `count` that this work-item of a CPU does."""
        self.add(f"const I {name}_count = {count};")
        self.add(
            f"const I {name}_run = ({name}_count + (I)get_global_size({axis}) - 1)"
            f" / (I)get_global_size({axis});"
        )
        self.add(f"const I {name}_begin = (I)get_global_id({axis}) * {name}_run;")
        self.add(f"const I {name}_end = min({name}_count, {name}_begin + {name}_run);")

    # rows
    def lane_type(self, n: int) -> str:
        """The C type in which reduction `n` accumulates."""
        return computed(BY_NAME[self.nodes[n][2]])

    def write_rows(self) -> None:
        """Each row: stage after stage of reductions, then what is stored at every point."""
        spec = self.spec
        outer = list(range(spec.n_outer))
        rows = self.product(outer) + (" * parts" if spec.splits else "")
        if spec.is_cpu:
            self.run("item", rows, 0)
            self.add("for (I item = item_begin; item < item_end; item++) {")
        else:
            self.add("const int lane = get_local_id(0);")
            self.add(f"for (I item = get_group_id(0); item < {rows}; item += get_num_groups(0)) {{")
        self.start_item(outer)
        self.bases(lambda access: not self.varies(access))
        self.settle_rows(0)
        for stage in range(1, max(self.stages) + 1):
            self.reduce_stage(stage)
            self.settle_rows(stage)
        full = [j for j, output in enumerate(spec.outputs) if self.varies(output.access)]
        if full:
            targets = [spec.outputs[j].node for j in full]
            self.over_inner(targets, lambda value: self.store_all(full, value), 0)
        flat = [j for j in range(len(spec.outputs)) if j not in full]
        if flat:
            self.add("{" if spec.is_cpu else "if (lane == 0) {")
            self.store_all(flat, self.name_of)
            self.add("}")
        if not spec.is_cpu:
            self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add("}")

    def start_item(self, outer: list[int]) -> None:
        """Declare an item's outer coordinates, and its part of the first inner dim."""
        first = self.spec.n_outer
        if not self.spec.splits:
            self.coordinates("item", outer)
            self.add(f"const I begin = 0, end = n{first};")
            return
        self.coordinates(f"item % ({self.product(outer)})", outer)
        self.add(f"const I part = item / ({self.product(outer)});")
        self.add(f"const I share = (n{first} + parts - 1) / parts;")
        self.add(f"const I begin = min(n{first}, part * share);")
        self.add(f"const I end = min(n{first}, begin + share);")

    def settle_rows(self, stage: int) -> None:
        """Compute what is the same all along a row, once its reductions are there."""
        for n, node in enumerate(self.nodes):
            if not self.is_full[n] and self.stages[n] == stage and node[0] != "reduce":
                self.declare(n)

    def reductions_of(self, stage: int) -> list[int]:
        return [
            n
            for n, node in enumerate(self.nodes)
            if node[0] == "reduce" and self.stages[n] == stage
        ]

    def reduce_stage(self, stage: int) -> None:
        """Accumulate the reductions of a stage along the inner dims; fold each to one value."""
        numbers = self.reductions_of(stage)
        is_cpu = self.spec.is_cpu
        place = "[u]" if is_cpu else ""
        size = LANES if is_cpu else 0
        self.declare_partial(numbers, size, str(LANES))

        def accumulate(value: Callable[[int], str]) -> None:
            for n in numbers:
                _, step = self.combination(n)
                text = step.format(a=f"a{n}{place}", b=value(self.nodes[n][4]))
                self.add(f"a{n}{place} = {text};")

        self.over_inner(
            [self.nodes[n][4] for n in numbers], accumulate, LANES,
            lambda: self.end_run(numbers, size, str(LANES), False),
        )  # fmt: skip
        self.end_run(numbers, size, str(LANES), True)
        for n in numbers:
            self.fold(n)

    def sums(self, numbers: list[int]) -> list[int]:
        """The sums of floats among reductions, which are done in runs."""
        return [
            n for n in numbers
            if self.nodes[n][1] == "sum" and BY_NAME[self.nodes[n][2]].rank == 2
        ]  # fmt: skip

    def declare_partial(self, numbers: list[int], size: int, count: str) -> None:
        """Declare where reductions accumulate: `a`, and the sum of earlier runs, `b`.

        `size`: so many side by side, of which `count` are used; 0: one.
        """
        sums = self.sums(numbers)
        for n in numbers:
            start, _ = self.combination(n)
            kind = self.lane_type(n)
            for name in ("a", "b") if n in sums else ("a",):
                if size:
                    self.add(f"{kind} {name}{n}[{size}];")
                    self.add(f"for (int u = 0; u < {count}; u++) {name}{n}[u] = {start};")
                else:
                    self.add(f"{kind} {name}{n} = {start};")
        if sums:
            self.add(f"int run{numbers[0]} = 0;")

    def end_run(self, numbers: list[int], size: int, count: str, is_last: bool) -> None:
        """Add sums up to those of earlier runs, now and then and at the end."""
        sums = self.sums(numbers)
        if not sums:
            return
        run = f"run{numbers[0]}"
        place = "[u]" if size else ""
        loop = f"for (int u = 0; u < {count}; u++) " if size else ""
        after = "a{n}{p} += b{n}{p};" if is_last else "b{n}{p} += a{n}{p}; a{n}{p} = 0;"
        text = " ".join(after.format(n=n, p=place) for n in sums)
        self.add(f"{loop}{{ {text} }}" if is_last else
                 f"if (++{run} == {RUN}) {{ {run} = 0; {loop}{{ {text} }} }}")  # fmt: skip

    def combination(self, n: int) -> tuple[str, str]:
        """Where reduction `n` starts, and its step."""
        _, op, source, _, _ = self.nodes[n]
        return reduction(op, BY_NAME[source])

    def fold(self, n: int) -> None:
        """One value of the partial results; on accelerators everybody in the group gets it."""
        _, step = self.combination(n)
        if self.spec.is_cpu:
            both = step.format(a=f"a{n}[u]", b=f"a{n}[u + w]")
            self.add(f"for (int w = {LANES // 2}; w; w /= 2)")
            self.add(f"    for (int u = 0; u < w; u++) a{n}[u] = {both};")
            self.finish_reduction(n, f"a{n}[0]")
            return
        both = step.format(a=f"l{n}[lane]", b=f"l{n}[lane + w]")
        self.add(f"l{n}[lane] = a{n};")
        self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add(f"for (int w = {GROUP // 2}; w; w /= 2) {{")
        self.add(f"if (lane < w) l{n}[lane] = {both};")
        self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add("}")
        self.finish_reduction(n, f"l{n}[0]")

    def finish_reduction(self, n: int, value: str) -> None:
        """Declare the value of reduction `n`, rounded to its dtype."""
        self.add(f"const {result_type(self.nodes[n])} v{n} = {self.rounded(n, value)};")

    def rounded(self, n: int, value: str) -> str:
        _, _, source, dtype, _ = self.nodes[n]
        if dtype in ("float16", "bfloat16"):
            return f"round_{dtype}({value})"
        return value if source == dtype else cast(BY_NAME[source], BY_NAME[dtype]).format(a=value)

    def over_inner(
        self,
        targets: list[int],
        consume: Callable[[Callable[[int], str]], None],
        lanes: int,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Loop over all inner dims of the present row; `after` writes what ends each pass."""
        inner = list(range(self.spec.n_outer, self.n_dims))
        nested = inner[:-1]

        def want(n: int) -> bool:
            return self.is_full[n]

        if not self.spec.is_cpu:
            self.share_inner(inner, targets, consume, after)
            return
        for d in nested:
            begin, end = ("begin", "end") if d == inner[0] else ("0", f"n{d}")
            self.add(f"for (I x{d} = {begin}; x{d} < {end}; x{d}++) {{")
        self.add("{")
        self.bases(self.varies)
        bounds = ("begin", "end") if not nested else ("0", f"n{inner[-1]}")
        self.loop(targets, consume, bounds, want, lanes, after)
        self.add("}" * (len(nested) + 1))

    def share_inner(
        self,
        inner: list[int],
        targets: list[int],
        consume: Callable[[Callable[[int], str]], None],
        after: Callable[[], None],
    ) -> None:
        """The points of a row's inner dims, shared among the work-items of a group."""
        rest = " * ".join(f"n{d}" for d in inner[1:])
        factor = f" * {rest}" if rest else ""
        self.add(f"for (I point = begin{factor} + lane; point < end{factor}; point += {GROUP}) {{")
        self.coordinates("point", inner)
        self.add(f"const I k = x{inner[-1]};")
        self.bases(self.varies)
        for n in self.needed(targets, lambda n: self.is_full[n]):
            self.declare(n)
        consume(self.name_of)
        after()
        self.add("}")

    # columns
    def write_columns(self) -> None:
        """Neighbours along the last outer dim are accumulated side by side."""
        spec = self.spec
        outer = list(range(spec.n_outer))
        others, loop = outer[:-1], self.loop_dim
        size = WIDE_BLOCK if spec.is_cpu else 1
        blocks = f"((n{loop} + {size - 1}) / {size})" if size > 1 else f"n{loop}"
        items = " * ".join([blocks, *(f"n{d}" for d in others)])
        parts = " * parts" if spec.splits else ""
        if spec.is_cpu:
            self.run("item", items + parts, 0)
            self.add("for (I item = item_begin; item < item_end; item++) {")
        else:
            self.add(f"for (I item = get_global_id(0); item < ({items}){parts};"
                     " item += get_global_size(0)) {")  # fmt: skip
        self.add(f"const I block = item % {blocks};")
        self.split_columns(items, blocks)
        self.coordinates(f"item / {blocks}" if not spec.splits else f"item % ({items}) / {blocks}",
                         others)  # fmt: skip
        self.add(f"const I c0 = block * {size};")
        self.bases(lambda access: not self.varies(access))
        self.accumulate_columns(size)
        self.finish_columns(size)
        self.add("}")

    def split_columns(self, items: str, blocks: str) -> None:
        """Declare the part of the first inner dim that an item adds up."""
        first = self.spec.n_outer
        if not self.spec.splits:
            self.add(f"const I begin = 0, end = n{first};")
            return
        self.add(f"const I part = item / ({items});")
        self.add(f"const I share = (n{first} + parts - 1) / parts;")
        self.add(f"const I begin = min(n{first}, part * share);")
        self.add(f"const I end = min(n{first}, begin + share);")

    def accumulate_columns(self, size: int) -> None:
        """Loop over the inner dims, and within over the block of columns."""
        numbers = self.reductions_of(1)
        place = "[u]" if size > 1 else ""
        self.add(f"const int m = min((I){size}, n{self.loop_dim} - c0);")
        many = size if size > 1 else 0
        self.declare_partial(numbers, many, "m")
        for d in range(self.spec.n_outer, self.n_dims):
            begin, end = ("begin", "end") if d == self.spec.n_outer else ("0", f"n{d}")
            self.add(f"for (I x{d} = {begin}; x{d} < {end}; x{d}++) {{")
        self.bases(self.varies)

        def accumulate(value: Callable[[int], str]) -> None:
            for n in numbers:
                _, step = self.combination(n)
                text = step.format(a=f"a{n}{place}", b=value(self.nodes[n][4]))
                self.add(f"a{n}{place} = {text};")

        targets = [self.nodes[n][4] for n in numbers]
        self.column_block(targets, accumulate, size, lambda n: True)
        self.end_run(numbers, many, "m", False)
        self.add("}" * self.spec.n_inner)
        self.end_run(numbers, many, "m", True)

    def column_block(
        self,
        targets: list[int],
        consume: Callable[[Callable[[int], str]], None],
        size: int,
        want: Callable[[int], bool],
    ) -> None:
        """One pass over a block of columns."""
        nodes = [n for n in self.needed(targets, want) if self.nodes[n][0] != "reduce"]
        if size > 1:
            self.add("{")
            self.add("const I k0 = c0;")
            _Block(self, nodes, targets, size).write(consume)
            self.add("}")
            return
        self.add("{")
        self.add("const I k = c0;")
        for n in nodes:
            self.declare(n)
        consume(self.name_of)
        self.add("}")

    def finish_columns(self, size: int) -> None:
        """What follows from the results, column by column."""
        spec = self.spec
        place = "[u]" if size > 1 else ""
        targets = [output.node for output in spec.outputs]

        def is_wanted(n: int) -> bool:
            return not self.is_full[n]

        def value_of(n: int) -> str:
            if self.nodes[n][0] == "reduce":
                return "(" + self.rounded(n, f"a{n}{place}") + ")"
            return self.name_of(n)

        numbers = list(range(len(spec.outputs)))
        nodes = [n for n in self.needed(targets, is_wanted) if self.nodes[n][0] != "reduce"]
        self.add("for (int u = 0; u < m; u++) { const I k = c0 + u;")
        for n in nodes:
            self.declare(n, value_of)
        self.store_all(numbers, value_of)
        self.add("}")


class _Block:
    """Nodes computed for a block of points `k0 + u`, u < m: loops, and between them vector calls.

    A node's phase is the number of vector calls before it. What a later phase or a vector call
    needs is kept in an array `w`; loads are done again instead.
    """

    def __init__(self, writer: _Writer, nodes: list[int], targets: list[int], size: int) -> None:
        self.writer = writer
        self.nodes = nodes
        self.size = size
        self.targets = targets
        self.phase: dict[int, int] = {}
        for n in nodes:
            self.phase[n] = max((self.after(a) for a in self.arguments(n)), default=0)
        self.last = max((self.after(n) for n in targets if n in self.phase), default=0)
        self.kept = self.find_kept()

    def arguments(self, n: int) -> list[int]:
        """The arguments of a node that are computed in this block too."""
        return [a for a in arguments_of(self.writer.nodes[n]) if a in self.phase]

    def after(self, n: int) -> int:
        """The first phase in which node `n` is there."""
        return self.phase[n] + self.writer.is_vector(n)

    def is_load(self, n: int) -> bool:
        return self.writer.nodes[n][0] in ("leaf", "scalar")

    def find_kept(self) -> set[int]:
        """The nodes whose values outlive their phase."""
        kept = {n for n in self.nodes if self.writer.is_vector(n)}
        for n in self.nodes:
            for a in self.arguments(n):
                is_later = self.phase[n] > self.phase[a] and not self.is_load(a)
                if is_later or self.writer.is_vector(n):
                    kept.add(a)
        kept |= {
            n
            for n in self.targets
            if n in self.phase and self.phase[n] < self.last and not self.is_load(n)
        }
        return {n for n in kept if self.writer.nodes[n][0] != "scalar"}

    def write(self, consume: Callable[[Callable[[int], str]], None]) -> None:
        """The loops, the calls, and `consume` in the last loop."""
        add, writer = self.writer.add, self.writer
        for n in sorted(self.kept):
            kind = result_type(writer.nodes[n])
            add(f"{kind} w{n}[{self.size}] __attribute__((aligned({BYTES})));")
        for phase in range(self.last + 1):
            add("for (int u = 0; u < m; u++) { const I k = k0 + u;")
            self.write_phase(phase)
            if phase == self.last:
                consume(lambda n: self.value(n, self.last))
            add("}")
            for n in self.nodes:
                if writer.is_vector(n) and self.phase[n] == phase:
                    self.call(n)

    def write_phase(self, phase: int) -> None:
        """The nodes that are computed in a phase, and the loads that it needs again."""
        writer = self.writer
        users = [n for n in self.nodes if self.phase[n] == phase]
        wanted = {a for n in users for a in self.arguments(n)}
        if phase == self.last:
            wanted |= {n for n in self.targets if n in self.phase}
        for n in self.nodes:
            is_again = self.is_load(n) and n in wanted and n not in self.kept
            if writer.is_vector(n) or not (self.phase[n] == phase or is_again):
                continue
            if self.is_load(n) and n not in wanted and n not in self.kept:
                continue
            writer.declare(n, lambda a: self.value(a, phase))
            if n in self.kept:
                writer.add(f"w{n}[u] = v{n};")

    def value(self, n: int, phase: int) -> str:
        """How a node's value is written in a phase."""
        if n not in self.phase:
            return self.writer.name_of(n)
        if self.writer.is_vector(n) or (self.phase[n] < phase and n in self.kept):
            return f"w{n}[u]"
        return self.writer.name_of(n)

    def call(self, n: int) -> None:
        """A vector function, on whole vectors where the block is full."""
        writer = self.writer
        kind = result_type(writer.nodes[n])
        width = BYTES // (8 if kind == "double" else 4)
        vector = f"{kind}{width}"

        def many(a: int) -> str:
            if a in self.phase and writer.nodes[a][0] != "scalar":
                return f"(*({vector} *)(w{a} + u))"
            return f"(({vector})({writer.name_of(a)}))"

        def one(a: int) -> str:
            is_block = a in self.phase and writer.nodes[a][0] != "scalar"
            return f"w{a}[u]" if is_block else writer.name_of(a)

        add = writer.add
        add(f"if (m == {self.size}) for (int u = 0; u < {self.size}; u += {width})")
        add(f"    *({vector} *)(w{n} + u) = {writer.expression(n, many)};")
        add(f"else for (int u = 0; u < m; u++) w{n}[u] = {writer.expression(n, one)};")


def cast_to(dtype: str, text: str) -> str:
    """`text` as a value of `dtype`."""
    target = BY_NAME[dtype]
    if dtype in ("float16", "bfloat16"):
        return cast(BY_NAME["float32"], target).format(a=f"(float)({text})")
    return cast(BY_NAME["int64"], target).format(a=f"({text})")
