"""What all generated kernels are written with: parameters, positions, nodes, loops over elements.

Compilers make vector code of plain loops but not of calls: on CPUs, functions such as `exp` are
called on whole vectors, between loops over blocks of elements (`Block`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.backends.opencl.ctypes import SCALARS, load, store, stored
from tinynet.backends.opencl.primitives import VECTOR, cast, template
from tinynet.backends.opencl.spec import Access, Levels, Spec, arguments_of, result_type
from tinynet.dtype import BY_NAME

BLOCK = 64  # elements between two calls of vector functions
BYTES = 32  # of a CPU's vector


class Writer(Levels):
    """Writes one kernel. Coordinates are `x0 x1 ...`, positions of accesses without the loop's own
    dim `q0 q1 ...` (leaves) and `z0 ...` (outputs), values of nodes `v0 v1 ...`, blocks of them
    `w0 ...`, partial results `a0 ...`.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.loop_dim = spec.n_outer - 1 if spec.kind == "columns" else self.n_dims - 1
        self.lines: list[str] = []

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
        return template(node[0], BY_NAME[node[1]], self.spec.is_cpu).format(**named)

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
        self.add(f"const int m = LEAST((I){size}, (I)({end} - k0));")
        Block(self, nodes, targets, size).write(consume)
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


class Block:
    """Nodes computed for a block of points `k0 + u`, u < m: loops, and between them vector calls.

    A node's phase is the number of vector calls before it. What a later phase or a vector call
    needs is kept in an array `w`; loads are done again instead.
    """

    def __init__(self, writer: Writer, nodes: list[int], targets: list[int], size: int) -> None:
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
            add(f"ALIGNED {kind} w{n}[{self.size}];")
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
        """A vector function, on whole vectors.

        Of float64, where the block is full: the library's functions of vectors round otherwise.
        """
        writer = self.writer
        kind = result_type(writer.nodes[n])
        width = BYTES // (8 if kind == "double" else 4)
        vector = f"{kind}{width}"
        blocks = [a for a in self.arguments(n) if writer.nodes[a][0] != "scalar"]

        def many(a: int) -> str:
            if a in blocks:
                return f"(*({vector} *)(w{a} + u))"
            return f"(({vector})({writer.name_of(a)}))"

        def one(a: int) -> str:
            return f"w{a}[u]" if a in blocks else writer.name_of(a)

        add = writer.add
        result = f"*({vector} *)(w{n} + u) = {writer.expression(n, many)};"
        if kind == "double":
            add(f"if (m == {self.size}) for (int u = 0; u < {self.size}; u += {width})")
            add(f"    {result}")
            add(f"else for (int u = 0; u < m; u++) w{n}[u] = {writer.expression(n, one)};")
            return
        for a in dict.fromkeys(blocks):  # the last vector may reach past m
            add(f"for (int u = m; u % {width}; u++) w{a}[u] = 0;")
        add(f"for (int u = 0; u < m; u += {width}) {result}")


def cast_to(dtype: str, text: str) -> str:
    """`text` as a value of `dtype`."""
    target = BY_NAME[dtype]
    if dtype in ("float16", "bfloat16"):
        return cast(BY_NAME["float32"], target).format(a=f"(float)({text})")
    return cast(BY_NAME["int64"], target).format(a=f"({text})")
