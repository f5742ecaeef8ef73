"""What decides a kernel: `Spec`, its parts, and what follows from it alone.

A kernel computes nodes (operations in order, by number) at every point of an iteration space, whose
dims are outer (a result for each point) and inner (looped over).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tinynet.backends.opencl.ctypes import computed
from tinynet.dtype import BY_NAME

WIDE_BLOCK = 2048  # columns that a work-item of a CPU adds up at a time
GROUP = 64  # work-items in a group, but for CPUs
LARGE_GROUP = 256  # for rows that are few and long


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
    """All that decides a kernel's text.

    `splits`: a reduction's inner dim is cut in parts. `group`: how many work-items share a row.
    """

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
    group: int = 1


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


def beginning(nodes: Sequence[tuple[Any, ...]], number: int) -> int:
    """The leaf that a node begins with: its first operand, or that one's, and so on; -1 if none."""
    while arguments := arguments_of(nodes[number]):
        number = arguments[0]
    return int(nodes[number][2]) if nodes[number][0] == "leaf" else -1


def result_type(node: tuple[Any, ...]) -> str:
    """The C type of a node's value."""
    if node[0] == "scalar":
        return str(node[1])
    name = node[1] if node[0] in ("leaf", "take", "product") else node[2]
    return computed(BY_NAME[node[3] if node[0] == "reduce" else name])


def stages_of(nodes: Iterable[tuple[Any, ...]]) -> list[int]:
    """For each node, how many reductions must be done one after the other before it."""
    stages: list[int] = []
    for node in nodes:
        stage = max((stages[a] for a in arguments_of(node)), default=0)
        stages.append(stage + (node[0] == "reduce"))
    return stages


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
        return stages_of(self.nodes)

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
