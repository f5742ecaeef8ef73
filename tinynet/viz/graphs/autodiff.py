"""The graph that autodiff recorded, as a `Graph` to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tinynet.autograd.function import Output
from tinynet.autograd.graph import Node, Variable, edge_of
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.shape import Shape
from tinynet.tensor import Tensor
from tinynet.viz.graphs.model import Graph, Vertex

Named = Mapping[str, Tensor]


def graph(
    tensor: Tensor | Sequence[Tensor],
    parameters: Module | Named | None = None,
    *,
    inputs: Named | None = None,
) -> Graph:
    """The operations that lead to `tensor` (or to several), as autodiff recorded them.

    `parameters` gives leaves their names: a module, or tensors by name; so does `inputs`.
    Operations are grouped with the parameters that they use. Tensors that need no gradient are seen
    where an operation has saved them, until a backward pass frees them. Raises `GradientError` for
    a tensor without a graph.

    >>> import tinynet as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(2, 1), tn.nn.Tanh())
    >>> print(graph(model(tn.ones(3, 2)).sum(), model))
    graph: 1 input, 2 parameters, 3 operations, 1 output, 6 edges
      tensor    tensor    3x2 float32
      0.weight  0.weight  1x2 float32
      0.bias    0.bias    1 float32
      linear    linear    3x1 float32  tensor, 0.weight, 0.bias
      tanh      tanh      3x1 float32  linear
      sum       sum       scalar float32  tanh
      output    output    scalar float32  sum
    """
    outputs: list[Any] = list(tensor) if isinstance(tensor, (tuple, list)) else [tensor]
    if not outputs:
        raise ArgumentError("graph: no tensors, expected at least one")
    names = _Names("parameters", _named(parameters))
    names.take("inputs", dict(inputs or {}))
    return _Drawing(names).draw([(edge_of("graph", x), x) for x in outputs])


def shape_text(shape: Shape, dtype: Any) -> str:
    """A shape for people: "3x2 float32"."""
    return f"{'x'.join(map(str, shape)) or 'scalar'} {dtype.name}"


def _named(parameters: Any) -> dict[str, Tensor]:
    if isinstance(parameters, Module):
        return dict(parameters.named_parameters())
    if isinstance(parameters, Tensor) or not isinstance(parameters, (Mapping, type(None))):
        raise ArgumentTypeError(
            f"graph: parameters is a {type(parameters).__name__}, expected a Module, or a mapping "
            "of names to tensors"
        )
    return dict(parameters or {})


class _Names:
    """What users call tensors."""

    def __init__(self, what: str, tensors: dict[str, Tensor]) -> None:
        self.names: dict[int, str] = {}
        self.kinds: dict[int, str] = {}
        self.tensors: list[Tensor] = []  # whose ids these are
        self.take(what, tensors)

    def take(self, what: str, tensors: dict[str, Tensor]) -> None:
        for name, x in tensors.items():
            if not isinstance(name, str) or not isinstance(x, Tensor):
                raise ArgumentTypeError(
                    f"graph: {what} has {name!r}: {type(x).__name__}, expected tensors by name"
                )
            self.names.setdefault(id(x), name)
            self.kinds.setdefault(id(x), what[:-1])
            self.tensors.append(x)


class _Drawing:
    """Vertices and edges on the way."""

    def __init__(self, names: _Names) -> None:
        self.given = names
        self.taken = set(names.names.values())
        self.counts: Counter[str] = Counter()  # of names with this label and a number
        self.vertices: list[Vertex] = []
        self.edges: list[tuple[int, int]] = []
        self.places: dict[int, int] = {}  # of nodes and leaves, by id; the graph keeps them alive

    def draw(self, ends: list[tuple[Any, Tensor]]) -> Graph:
        for node in collect([edge for edge, _ in ends]):
            self.add_node(node)
        for edge, x in ends:
            source = self.leaf(edge) if isinstance(edge, Variable) else self.places[id(edge)]
            place = self.add("output", "output", shape_text(x.shape, x.dtype), _facts(x))
            self.edges.append((source, place))
        return Graph("graph", self.vertices, self.edges)

    def add_node(self, node: Node) -> None:
        """An operation, after the leaves that it is the first to use."""
        sources = [
            self.leaf(edge) if isinstance(edge, Variable) else self.places[id(edge)]
            for edge in (*_unseen(node), *node.edges)
            if edge is not None
        ]
        groups = [self.vertices[i].group for i in sources if self.vertices[i].kind == "parameter"]
        label = _label(node)
        place = self.add("operation", label, _says(node), _node_facts(node), max([*groups, ""]))
        self.places[id(node)] = place
        self.edges += [(source, place) for source in sources]

    def leaf(self, x: Any) -> int:
        """The place of a leaf."""
        if id(x) not in self.places:
            name = self.given.names.get(id(x))
            kind = "parameter" if isinstance(x, Parameter) else "input"
            kind = self.given.kinds.get(id(x), kind)
            label = name or (kind if x.requires_grad else "tensor")
            group = name.rpartition(".")[0] if name and kind == "parameter" else ""
            says = shape_text(x.shape, x.dtype)
            self.places[id(x)] = self.add(kind, label, says, _facts(x), group, name)
        return self.places[id(x)]

    def add(
        self, kind: str, label: str, note: str, facts: dict[str, str], group: str = "",
        name: str | None = None,
    ) -> int:  # fmt: skip
        """Note a vertex. Without a name it gets its label, numbered where there are several."""
        if name is None:
            name = label
            while name in self.taken:
                self.counts[label] += 1
                name = f"{label}_{self.counts[label]}"
            self.taken.add(name)
        details = tuple(({"name": name} | facts | ({"module": group} if group else {})).items())
        self.vertices.append(Vertex(name, kind, label, note, details, group))
        return len(self.vertices) - 1


def collect(ends: list[Any]) -> list[Node]:
    """All nodes, oldest first: without recursion, since graphs are deep."""
    seen: dict[int, Node] = {}
    waiting = [x for x in ends if isinstance(x, Node)]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            waiting += [edge for edge in node.edges if isinstance(edge, Node)]
    return sorted(seen.values(), key=lambda node: node.order)


def _unseen(node: Node) -> list[Any]:
    """Tensors that need no gradient, and are known since the node has saved them."""
    if None not in node.edges:
        return []
    saved = [x for x in node.saved or () if isinstance(x, Variable)]
    return [x for x in saved if x.backend is not None and not x.needs_grad and x.node is None]


def _label(node: Node) -> str:
    if node.function is Output:
        return f"output {node.params}"
    return (node.several or node.function).op or node.name.removesuffix("Backward")


def _says(node: Node) -> str:
    if node.output_kinds:
        return ", ".join(shape_text(shape, dtype) for shape, dtype, _ in node.output_kinds)
    return shape_text(node.shape, node.dtype)


def _facts(x: Any) -> dict[str, str]:
    facts = {"shape": str(tuple(x.shape)), "dtype": x.dtype.name, "device": str(x.device)}
    facts["requires_grad"] = str(x.requires_grad)
    return facts if x.node is None else facts | {"grad_fn": repr(x.node)}


def _node_facts(node: Node) -> dict[str, str]:
    shape = ", ".join(str(s) for s, _, _ in node.output_kinds) or str(tuple(node.shape))
    facts = {"shape": shape, "dtype": node.dtype.name, "grad_fn": node.name}
    return facts | ({"made at": node.made_at.strip()} if node.made_at else {})
