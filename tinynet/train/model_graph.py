"""The graph of a model for TensorBoard: its operations, grouped by the modules that did them."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import Counter
from typing import Any, NamedTuple

from tinynet.autograd.graph import clock
from tinynet.autograd.mode import enable_grad
from tinynet.errors import ArgumentError
from tinynet.nn.module import Module
from tinynet.ops.random import get_rng_state, set_rng_state
from tinynet.shape import Shape
from tinynet.tensor import Tensor
from tinynet.train.batches import call
from tinynet.viz.graphs.autodiff import collect


class GraphNode(NamedTuple):
    """A node: its name, with `/` between groups, what it does, where its inputs come from."""

    name: str
    op: str
    inputs: list[str]
    shape: Shape


def trace_graph(model: Module, inputs: Any) -> list[GraphNode]:
    """The operations of a copy of `model`, in training mode, on `inputs`, in the order of time.

    `inputs` are what a batch of `fit` has. Inputs are nodes of their own, "input" or "input_1" and
    so on, parameters too, under their modules, and "output" at the end. What needs no gradient, as
    integer inputs and constants, is not seen. The model and the random numbers stay as they are.

    >>> import tinynet as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(2, 1), tn.nn.Tanh())
    >>> for node in trace_graph(model, tn.ones(3, 2)):
    ...     print(node.name, node.inputs)
    input []
    Sequential/Linear[0]/weight []
    Sequential/Linear[0]/bias []
    Sequential/Linear[0]/linear ['input', 'Sequential/Linear[0]/weight', ...]
    Sequential/Tanh[1]/tanh ['Sequential/Linear[0]/linear']
    output ['Sequential/Tanh[1]/tanh']
    """
    model = copy.deepcopy(model).train().requires_grad_()
    leaves: list[Tensor] = []
    inputs = _as_leaves(inputs, leaves)
    groups = _Groups(model)
    numbers = get_rng_state()
    try:
        with enable_grad():
            outputs = _tensors_in(call(model, inputs))
    finally:
        set_rng_state(numbers)
    ends = [x.node or x for x in outputs if x.requires_grad]
    if not ends:
        raise ArgumentError(
            "trace_graph: the output has no graph, expected one that leads to inputs or parameters"
        )
    return _Names(model, groups, leaves).describe(ends, outputs)


def _as_leaves(part: Any, leaves: list[Tensor]) -> Any:
    """Tensors in tuples, lists and dicts, as leaves that need gradients where they are floats."""
    if isinstance(part, Tensor):
        if not part.is_floating_point():
            return part
        leaves.append(part.detach().requires_grad_())
        return leaves[-1]
    if isinstance(part, (tuple, list)):
        return [_as_leaves(item, leaves) for item in part]
    if isinstance(part, dict):
        return {name: _as_leaves(item, leaves) for name, item in part.items()}
    return part


def _tensors_in(value: Any) -> list[Tensor]:
    """The tensors in an output, which may be nested."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [x for part in parts for x in _tensors_in(part)] if hasattr(parts, "__iter__") else []


class _Groups:
    """Which module was at work when: the graph's clock, where modules begin and end."""

    def __init__(self, model: Module) -> None:
        self.paths = _paths(model)
        self.times: list[int] = [0]
        self.names: list[str] = [""]
        self.stack: list[str] = [""]
        for module in self.paths:
            module.register_forward_pre_hook(self.enter)
            module.register_forward_hook(self.leave)

    def enter(self, module: Module, args: Any) -> None:
        """A module begins."""
        self.stack.append(self.paths[module])
        self.note()

    def leave(self, module: Module, args: Any, output: Any) -> None:
        """A module ends: the one around it goes on."""
        self.stack.pop()
        self.note()

    def note(self) -> None:
        self.times.append(next(clock))
        self.names.append(self.stack[-1])

    def at(self, order: int) -> str:
        """The innermost module at a time."""
        return self.names[bisect_right(self.times, order) - 1]


def _paths(model: Module) -> dict[Module, str]:
    """Modules and their groups: "Net/Sequential[layers]/Linear[0]"."""
    paths: dict[Module, str] = {}
    by_name: dict[str, str] = {}
    for name, module in model.named_modules():
        above, _, own = name.rpartition(".")
        kind = type(module).__name__
        by_name[name] = f"{by_name[above]}/{kind}[{own}]" if name else kind
        paths[module] = by_name[name]
    return paths


class _Names:
    """Names for the nodes of a graph; each one once."""

    def __init__(self, model: Module, groups: _Groups, leaves: list[Tensor]) -> None:
        self.groups = groups
        self.counts: Counter[str] = Counter()
        self.names: dict[int, str] = {}
        self.nodes: list[GraphNode] = []
        self.parameters: dict[int, str] = {}
        for name, parameter in model.named_parameters():
            above, _, own = name.rpartition(".")
            self.parameters[id(parameter)] = f"{groups.paths[model.get_submodule(above)]}/{own}"
        for x in leaves:
            self.add(x, "input", "Placeholder", [], x.shape)

    def add(self, item: Any, name: str, op: str, inputs: list[str], shape: Shape) -> None:
        """Note a node, numbered if there are several of its name."""
        self.counts[name] += 1
        if self.counts[name] > 1:
            name = f"{name}_{self.counts[name] - 1}"
        self.names[id(item)] = name
        self.nodes.append(GraphNode(name, op, inputs, shape))

    def describe(self, ends: list[Any], outputs: list[Tensor]) -> list[GraphNode]:
        """All nodes that lead to `ends`, oldest first."""
        for node in collect(ends):
            edges = [edge for edge in node.edges if edge is not None]
            for leaf in edges:
                if id(leaf) not in self.names:  # the nodes among them are older, and named
                    name = self.parameters.get(id(leaf), "constant")
                    kind = "Parameter" if id(leaf) in self.parameters else "Const"
                    self.add(leaf, name, kind, [], leaf.shape)
            op = (node.several or node.function).op or node.name.removesuffix("Backward")
            group = self.groups.at(node.order)
            inputs = [self.names[id(edge)] for edge in edges]
            self.add(node, f"{group}/{op}" if group else op, op, inputs, node.shape)
        for end, x in zip(ends, (x for x in outputs if x.requires_grad)):
            if id(end) in self.names:
                self.add(None, "output", "Output", [self.names[id(end)]], x.shape)
        return self.nodes
