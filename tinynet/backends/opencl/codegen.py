"""The text of generated kernels.

A kernel computes what a `Spec` says. There are three kinds:

* `map`: the last dim is the inner loop; everything else is split among work-items;
* `rows`: reductions over the inner dims, then whatever needs their results, row by row;
* `columns`: reductions where neighbours in memory are results, not what is added up.

A work-item of a CPU takes a run of rows and loops; elsewhere a group shares a row, or each takes a
short row, or a point. `writer` has what the three have in common.
"""

from __future__ import annotations

from collections.abc import Callable

from tinynet.backends.opencl.ctypes import computed
from tinynet.backends.opencl.primitives import cast, reduction
from tinynet.backends.opencl.spec import WIDE_BLOCK, Spec, Text, result_type
from tinynet.backends.opencl.writer import Block, Writer
from tinynet.dtype import BY_NAME

LANES = 32  # partial results of a reduction on a CPU
RUN = 64  # numbers added up before their sum is added to the sum so far: errors grow less
# Rows of a matrix that a CPU adds to the sums of their columns in one pass (0.65 times as long as a
# pass for each); and the most nodes of what is added that are worth the longer program.
ROWS, SIMPLE = 4, 12


def write(spec: Spec) -> Text:
    """The kernel for `spec`."""
    return _KernelWriter(spec).text()


def write_epilogue(spec: Spec) -> Text:
    """What a matrix product's kernel does with each element, as the macros it asks for.

    The iteration dims are batch, row and column; the node "product" is the element.
    """
    return _KernelWriter(spec).epilogue()


class _KernelWriter(Writer):
    """Writes one kernel of any kind."""

    def text(self) -> Text:
        """Head, body, foot."""
        body = {"map": self.write_map, "rows": self.write_rows, "columns": self.write_columns}
        parameters, types = self.parameters()
        name = self.name()
        one_item = "ONE_ITEM " if self.spec.is_cpu else ""
        self.add(f"kernel {one_item}void {name}({', '.join(parameters)}) {{")
        if self.is_shared:
            for n, node in enumerate(self.nodes):
                if node[0] == "reduce":
                    self.add(f"local {self.lane_type(n)} l{n}[{self.spec.group}];")
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
        else:  # who has no point reads nothing either: others may write there by then
            self.add(f"if (get_global_id(0) >= n{loop}) return;")
            self.add(f"for (I row = get_global_id(1); row < {rows}; row += get_global_size(1)) {{")
        self.coordinates("row", outer)
        self.bases(lambda access: True)
        for n in self.needed(list(range(len(self.nodes))), lambda n: not self.is_full[n]):
            self.declare(n)  # the same at every k: positions then have none
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

    def run(self, name: str, count: str, axis: int) -> None:
        """Declare the part of `count` that this work-item of a CPU does."""
        self.add(f"const I {name}_count = {count};")
        self.add(
            f"const I {name}_run = ({name}_count + (I)get_global_size({axis}) - 1)"
            f" / (I)get_global_size({axis});"
        )
        self.add(f"const I {name}_begin = (I)get_global_id({axis}) * {name}_run;")
        self.add(f"const I {name}_end = LEAST({name}_count, {name}_begin + {name}_run);")

    # rows
    @property
    def is_shared(self) -> bool:
        """Whether work-items of a group share a row."""
        return self.spec.kind == "rows" and self.spec.group > 1

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
            first, count = "get_global_id(0)", "get_global_size(0)"
            if self.is_shared:
                self.add("const int lane = get_local_id(0);")
                first, count = "get_group_id(0)", "get_num_groups(0)"
            self.add(f"for (I item = {first}; item < {rows}; item += {count}) {{")
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
            self.add("if (lane == 0) {" if self.is_shared else "{")
            self.store_all(flat, self.name_of)
            self.add("}")
        if self.is_shared:
            self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add("}")

    def start_item(self, outer: list[int]) -> None:
        """Declare an item's outer coordinates, and its part of the first inner dim."""
        rows = self.product(outer)
        self.coordinates(f"item % ({rows})" if self.spec.splits else "item", outer)
        self.take_part(rows)

    def take_part(self, items: str) -> None:
        """Declare an item's part of the first inner dim; there are `items` for each part."""
        first = self.spec.n_outer
        if not self.spec.splits:
            self.add(f"const I begin = 0, end = n{first};")
            return
        self.add(f"const I part = item / ({items});")
        self.add(f"const I share = (n{first} + parts - 1) / parts;")
        self.add(f"const I begin = LEAST(n{first}, part * share);")
        self.add(f"const I end = LEAST(n{first}, begin + share);")

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
                    aligned = "ALIGNED" if size <= LANES else "PAGED"
                    self.add(f"{aligned} {kind} {name}{n}[{size}];")
                    self.add(f"for (int u = 0; u < {count}; u++) {name}{n}[u] = {start};")
                else:
                    self.add(f"{kind} {name}{n} = {start};")
        if sums:
            self.add(f"int run{numbers[0]} = 0;")

    def end_run(
        self, numbers: list[int], size: int, count: str, is_last: bool, done: int = 1
    ) -> None:
        """Add sums up to those of earlier runs, now and then and at the end.

        `done`: how many numbers each has added up since this was last asked.
        """
        sums = self.sums(numbers)
        if not sums:
            return
        run = f"run{numbers[0]}"
        place = "[u]" if size else ""
        loop = f"for (int u = 0; u < {count}; u++) " if size else ""
        after = "a{n}{p} += b{n}{p};" if is_last else "b{n}{p} += a{n}{p}; a{n}{p} = 0;"
        text = " ".join(after.format(n=n, p=place) for n in sums)
        if is_last:
            self.add(f"{loop}{{ {text} }}")
        else:
            self.add(f"if (({run} += {done}) >= {RUN}) {{ {run} = 0; {loop}{{ {text} }} }}")

    def combination(self, n: int) -> tuple[str, str]:
        """Where reduction `n` starts, and its step."""
        _, op, source, _, _ = self.nodes[n]
        return reduction(op, BY_NAME[source])

    def fold(self, n: int) -> None:
        """One value of the partial results, which everybody in a group gets.

        Some work-items combine a few each; then all read what these have, which saves barriers.
        """
        _, step = self.combination(n)
        if self.spec.is_cpu:
            half = LANES // 2
            both = step.format(a=f"a{n}[u]", b=f"a{n}[u + {half}]")
            self.add(f"ALIGNED {self.lane_type(n)} h{n}[{half}];")
            self.add(f"for (int u = 0; u < {half}; u++) h{n}[u] = {both};")
            while half > 1:  # loops of known lengths become vector code
                half //= 2
                both = step.format(a=f"h{n}[u]", b=f"h{n}[u + {half}]")
                self.add(f"for (int u = 0; u < {half}; u++) h{n}[u] = {both};")
            self.finish_reduction(n, f"h{n}[0]")
            return
        if not self.is_shared:
            self.finish_reduction(n, f"a{n}")
            return
        some = 1 << (self.spec.group.bit_length() // 2)
        self.add(f"l{n}[lane] = a{n};")
        self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add(f"if (lane < {some})")
        self.add(f"for (int u = lane + {some}; u < {self.spec.group}; u += {some})")
        self.add(f"a{n} = {step.format(a=f'a{n}', b=f'l{n}[u]')};")
        self.add(f"if (lane < {some}) l{n}[lane] = a{n};")
        self.add("barrier(CLK_LOCAL_MEM_FENCE);")
        self.add(f"a{n} = l{n}[0];")
        self.add(f"for (int u = 1; u < {some}; u++) a{n} = {step.format(a=f'a{n}', b=f'l{n}[u]')};")
        self.finish_reduction(n, f"a{n}")

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
        """The points of a row's inner dims, for one work-item or shared among those of a group."""
        rest = " * ".join(f"n{d}" for d in inner[1:])
        factor = f" * {rest}" if rest else ""
        lane = " + lane" if self.is_shared else ""
        self.add(f"for (I point = begin{factor}{lane}; point < end{factor};"
                 f" point += {self.spec.group}) {{")  # fmt: skip
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
        self.take_part(items)
        self.coordinates(f"item / {blocks}" if not spec.splits else f"item % ({items}) / {blocks}",
                         others)  # fmt: skip
        self.add(f"const I c0 = block * {size};")
        self.bases(lambda access: not self.varies(access))
        self.accumulate_columns(size)
        self.finish_columns(size)
        self.add("}")

    def accumulate_columns(self, size: int) -> None:
        """Loop over the inner dims, and within over the block of columns."""
        numbers = self.reductions_of(1)
        place = "[u]" if size > 1 else ""
        self.add(f"const int m = LEAST((I){size}, n{self.loop_dim} - c0);")
        many = size if size > 1 else 0
        self.declare_partial(numbers, many, "m")

        def accumulate(value: Callable[[int], str]) -> None:
            for n in numbers:
                _, step = self.combination(n)
                text = step.format(a=f"a{n}{place}", b=value(self.nodes[n][4]))
                self.add(f"a{n}{place} = {text};")

        targets = [self.nodes[n][4] for n in numbers]
        *others, row = range(self.spec.n_outer, self.n_dims)
        for d in others:
            begin, end = ("begin", "end") if d == self.spec.n_outer else ("0", f"n{d}")
            self.add(f"for (I x{d} = {begin}; x{d} < {end}; x{d}++) {{")
        begin, end = ("0", f"n{row}") if others else ("begin", "end")
        self.add(f"I x{row} = {begin};")
        if many and self.are_rows_simple(targets):
            self.add(f"for (; x{row} + {ROWS} <= {end}; x{row} += {ROWS}) {{")
            self.several_rows(row, targets, accumulate)
            self.end_run(numbers, many, "m", False, ROWS)
            self.add("}")
        self.add(f"for (; x{row} < {end}; x{row}++) {{")
        self.bases(self.varies)
        self.column_block(targets, accumulate, size)
        self.end_run(numbers, many, "m", False)
        self.add("}" * self.spec.n_inner)
        self.end_run(numbers, many, "m", True)

    def are_rows_simple(self, targets: list[int]) -> bool:
        """Whether what is added up is computed in few steps, none of them a vector's function."""
        nodes = self.needed(targets, lambda n: True)
        return len(nodes) <= SIMPLE and not any(self.is_vector(n) for n in nodes)

    def several_rows(
        self, row: int, targets: list[int], accumulate: Callable[[Callable[[int], str]], None]
    ) -> None:
        """One pass over a block of columns that takes ROWS rows, from x of dim `row` on."""
        self.add(f"const I first = x{row};")
        self.add("for (int u = 0; u < m; u++) { const I k = c0 + u;")
        self.add("#pragma unroll")
        self.add(f"for (int next = 0; next < {ROWS}; next++) {{ const I x{row} = first + next;")
        self.bases(self.varies)
        for n in self.needed(targets, lambda n: True):
            self.declare(n)
        accumulate(self.name_of)
        self.add("} }")

    def column_block(
        self,
        targets: list[int],
        consume: Callable[[Callable[[int], str]], None],
        size: int,
    ) -> None:
        """One pass over a block of columns."""
        nodes = [n for n in self.needed(targets, lambda n: True) if self.nodes[n][0] != "reduce"]
        if size > 1:
            self.add("{")
            self.add("const I k0 = c0;")
            Block(self, nodes, targets, size).write(consume)
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
