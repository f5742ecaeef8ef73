"""Formulas without compilation: one program, `kernels/interpreter.cl`, computes any small one.

To compile a kernel takes a tenth of a second, to run it on a few thousand numbers a few
microseconds. So what is small is interpreted until it has been computed `PATIENCE` times, unless
its kernel is there from an earlier time. A first training step, an experiment at the prompt or a
test suite need not wait for kernels that run once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet.backends.opencl.bounds import limits
from tinynet.backends.opencl.device import HEAD, Device, Kernel
from tinynet.backends.opencl.primitives import BOOLS, FLOATS, INTEGERS, QUESTIONS, VECTOR
from tinynet.backends.opencl.programs import KERNELS
from tinynet.backends.opencl.spec import Levels, Spec
from tinynet.dtype import BY_NAME

PATIENCE = 12  # times that a structure is interpreted before it is compiled
LARGEST = 1 << 17  # points times operations that are interpreted at once
LONGEST = 64  # points that a work-item of an accelerator interprets
MOST_NODES, MOST_DIMS, BUFFERS = 48, 8, 16

# Their order matters: questions are together, reductions are last.
OPERATIONS = [
    "scalar", "leaf", "iota", "take", "cast", "load", "where", "maximum", "minimum",
    *sorted({*FLOATS, *VECTOR, *INTEGERS, *BOOLS} - QUESTIONS - {"load", "maximum", "minimum"}),
    "eq", *sorted(QUESTIONS - {"eq", "isfinite"}), "isfinite",
    "sum", "prod", "max", "min", "any", "all",
]  # fmt: skip
CODES = {name: i for i, name in enumerate(OPERATIONS)}
TYPES = {
    name: i
    for i, name in enumerate(
        "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32"
        " float64".split()
    )
}
SELDOM = frozenset(
    "exp2 expm1 log2 log10 log1p sin cos tan asin acos atan sinh cosh asinh acosh atanh erf pow"
    " atan2 logaddexp floor_divide remainder fmod".split()
)  # what needs the larger of the two interpreters
STARTS: dict[str, Any] = {"sum": 0, "prod": 1, "any": 0, "all": 1}


class Program:
    """A formula in the interpreter's words. `scalars` are C types of the numbers it is given."""

    def __init__(self, device: Device, spec: Spec) -> None:
        self.n_dims = spec.n_outer + spec.n_inner
        if spec.kind == "map":  # whose inner dim is one like the others
            spec = spec._replace(n_outer=self.n_dims, n_inner=0)
        self.spec = spec
        first = self.n_dims + (len(spec.leaves) + len(spec.outputs)) * (self.n_dims + 1)
        self.starts: list[int] = []  # where reductions begin, behind scalars and picks
        n_picks = sum(2 * len(node[3]) for node in spec.nodes if node[0] == "take")
        self.first_pick = first + len(spec.scalars)
        self.first_scalar = first
        self.first_start = self.first_pick + n_picks
        self.needs_all = any(node[0] in SELDOM for node in spec.nodes)
        words = np.array(self.words(), np.int32)
        self.block = device.upload(words)

    def words(self) -> list[int]:
        """The code, as `kernels/interpreter.cl` describes it."""
        spec = self.spec
        levels = Levels(spec)
        head = [
            len(spec.nodes), spec.n_outer, spec.n_inner, max(levels.stages, default=0),
            len(spec.outputs), int(any(levels.varies(o.access) for o in spec.outputs)),
        ]  # fmt: skip
        memory = [i for i, leaf in enumerate(spec.leaves) if leaf.kind == "memory"]
        buffer_of = {leaf: i for i, leaf in enumerate(memory)}
        lists: list[int] = []
        lists_at = len(head) + 8 * len(spec.nodes) + 4 * len(spec.outputs)
        nodes: list[int] = []
        pick = self.first_pick
        for n, node in enumerate(spec.nodes):
            words = self.node_words(node, buffer_of, lists_at + len(lists))
            if node[0] == "take":
                lists += [buffer_of[node[2]], pick, *node[3]]
                pick += 2 * len(node[3])
            words[3:5] = [int(levels.is_full[n]), levels.stages[n]]
            nodes += words
        outputs: list[int] = []
        own = len(memory)
        for j, output in enumerate(spec.outputs):
            if output.donor >= 0:
                buffer = buffer_of[output.donor]
            else:
                buffer, own = own, own + 1
            is_full = int(levels.varies(output.access))
            outputs += [output.node, len(spec.leaves) + j, buffer, is_full]
        return [*head, *nodes, *outputs, *lists]

    def node_words(
        self, node: tuple[Any, ...], buffer_of: dict[int, int], lists_at: int
    ) -> list[int]:
        """The eight words of a node; its level is filled in later."""
        kind = node[0]
        spec = self.spec
        if kind == "scalar":
            return [CODES[kind], 0, 0, 0, 0, self.first_scalar + node[2], -1, -1]
        if kind == "leaf":
            access, dtype = node[2], TYPES[node[1]]
            if spec.leaves[access].kind == "iota":
                iotas = [i for i, leaf in enumerate(spec.leaves) if leaf.kind == "iota"]
                place = len(spec.scalars) - 2 * len(iotas) + 2 * iotas.index(access)
                return [CODES["iota"], dtype, dtype, 0, 0, access, self.first_scalar + place, -1]
            return [CODES[kind], dtype, dtype, 0, 0, access, buffer_of[access], -1]
        if kind == "take":
            dtype = TYPES[node[1]]
            return [CODES[kind], dtype, dtype, 0, 0, node[2], len(node[3]), lists_at]
        if kind == "reduce":
            _, op, source, dtype_name, a = node
            self.starts.append(self.start(op, source))
            at = self.first_start + len(self.starts) - 1
            return [CODES[op], TYPES[source], TYPES[dtype_name], 0, 0, a, at, -1]
        arguments = [*node[3:], -1, -1][:3]
        return [CODES[kind], TYPES[node[1]], TYPES[node[2]], 0, 0, *arguments]

    @staticmethod
    def start(op: str, source: str) -> int:
        """Where a reduction begins, as the bits of a register."""
        dtype = BY_NAME[source]
        ctype = "double" if dtype.rank == 2 else "long"
        if op in STARTS:
            return _bits(STARTS[op], ctype)
        low, high = (-np.inf, np.inf) if dtype.rank == 2 else limits(dtype) or (0, 1)
        return _bits(low if op == "max" else high, ctype)

    def numbers(self, scalars: list[Any], layout: Sequence[int], picks: tuple[int, ...]) -> Any:
        """All numbers of one run, as the kernel reads them; `layout`: sizes and accesses."""
        bits = [_bits(number, ctype) for number, ctype in zip(scalars, self.spec.scalars)]
        return np.array([*layout, *bits, *picks, *self.starts], np.int64)


def _bits(number: Any, ctype: str) -> int:
    """A number of a C type as 64 bits, floats as a double's, read as a signed integer."""
    if ctype == "float":
        number = struct.unpack("f", struct.pack("f", number))[0]
    if ctype in ("float", "double"):
        return int(struct.unpack("q", struct.pack("d", number))[0])
    bits = int(number) & (1 << 64) - 1
    return bits - (1 << 64) if bits >> 63 else bits


def can_interpret(device: Device, spec: Spec, points: int, inner: int) -> bool:
    """Whether the interpreter can compute a formula in reasonable time.

    `inner`: how many of the points are computed one after the other, on accelerators too.
    """
    n_buffers = len(spec.leaves) + len(spec.outputs)
    return (
        device.has_fp64
        and spec.kind != "epilogue" and not spec.splits
        and points * len(spec.nodes) <= LARGEST
        and (device.is_cpu or inner <= LONGEST)
        and len(spec.nodes) <= MOST_NODES
        and spec.n_outer + spec.n_inner <= MOST_DIMS
        and n_buffers <= BUFFERS
    )  # fmt: skip


def kernel(device: Device, needs_all: bool) -> Kernel:
    """The interpreter's kernel; the smaller one, which is compiled sooner, unless all is needed."""
    found = device.interpreters.get(needs_all)
    if found is None:
        macros = {f"OP_{name.upper()}": code for name, code in CODES.items()}
        macros |= {f"T_{name.upper()}": code for name, code in TYPES.items()}
        macros |= {"MOST_NODES": MOST_NODES, "MOST_DIMS": MOST_DIMS}
        macros |= {"HAS_ALL": 1} if needs_all else {}
        head = "".join(f"#define {name} {value}\n" for name, value in macros.items())
        text = HEAD + head + (KERNELS / "interpreter.cl").read_text(encoding="utf-8")
        types = (None, None, np.int64, *(None,) * BUFFERS)
        found = device.interpreters[needs_all] = device.build(text, "interpret", types)
    return found
