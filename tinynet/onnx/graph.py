"""An imported graph as a module: `Graph`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet.backends.numpy_calls import quiet
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    TinynetError,
    UnsupportedOperatorError,
)
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.onnx.checking import check_names
from tinynet.onnx.fitting import misfit
from tinynet.onnx.node import Node
from tinynet.onnx.operators import OPERATORS
from tinynet.onnx.operators.on_host import ON_HOST, can_compute
from tinynet.onnx.protobuf import Array
from tinynet.ops import creation
from tinynet.tensor import Tensor

NEWEST = 28  # the last opset whose operators were looked at


class Graph(Module):
    """An ONNX model: a module that computes what its nodes say.

    Floating initializers are parameters, with their names (dots lead to submodules, as in a state
    dict); others are buffers, or constants, where they decide shapes. Attributes: `input_names`,
    `output_names`, `nodes`, `opset`, `metadata` (the model's properties), `shapes`, which inputs'
    shapes the model declares (names stand for sizes that are free).
    """

    def __init__(
        self,
        nodes: list[Node],
        initializers: dict[str, Array],
        input_names: list[str],
        output_names: list[str],
        opset: int,
        metadata: dict[str, str],
        shapes: dict[str, tuple[Any, ...] | None],
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.input_names, self.output_names = input_names, output_names
        self.opset = opset
        self.metadata = metadata
        self.shapes = shapes
        refuse_unknown(nodes)
        check_names(nodes, input_names, initializers, output_names)
        self.constants: dict[str, Array] = {}
        self.places: dict[str, tuple[Module, str]] = {}  # initializers: whose attributes they are
        on_host = _used_on_host(nodes)
        for name, array in initializers.items():
            if name in on_host:
                self.constants[name] = array
            else:
                self.places[name] = self._register_at(name, array, device)
        self.last_uses = _last_uses(nodes, output_names)

    def _register_at(self, name: str, array: Array, device: str | None) -> tuple[Module, str]:
        """Make an initializer a parameter or buffer, in a submodule if its name has dots."""
        owner: Module = self
        *path, last = [part or "_" for part in name.split(".")]
        for part in path:
            child = owner.__dict__.get(part)
            if not isinstance(child, Module):
                part = _free(owner, part)
                owner.register_module(part, Module())
                child = owner.__dict__[part]
            owner = child
        last = _free(owner, last)
        value = creation.tensor(array, device=device)
        if value.dtype.is_floating_point:
            owner.register_parameter(last, Parameter(value))
        else:
            owner.register_buffer(last, value)
        return owner, last

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        """The outputs: one tensor, or a tuple. Inputs in the graph's order, or by name."""
        values = self._named(inputs, named)
        given = next(iter(values.values()), None)
        device = None if given is None else given.device
        if device is None and self.places:
            device = next(self.parameters(), creation.zeros(())).device
        values.update({name: getattr(owner, at) for name, (owner, at) in self.places.items()})
        values.update(self.constants)
        values[""] = None
        for place, node in enumerate(self.nodes):
            outputs = run(node, [values[name] for name in node.inputs], device)
            values.update(zip(node.outputs, outputs))
            for name in self.last_uses[place]:
                values.pop(name, None)
        results = tuple(_on_device(values[name], device) for name in self.output_names)
        return results[0] if len(results) == 1 else results

    def _named(self, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> dict[str, Any]:
        """All inputs by name."""
        values: dict[str, Any] = {**dict(zip(self.input_names, inputs)), **named}
        missing = [name for name in self.input_names if name not in values]
        unknown = [name for name in named if name not in self.input_names[len(inputs) :]]
        if len(inputs) > len(self.input_names) or missing or unknown:
            raise ArgumentError(
                f"Graph: got {len(inputs)} inputs and {[*named]}, expected {self.input_names}"
            )
        for name, x in values.items():
            if not isinstance(x, Tensor):
                raise ArgumentTypeError(
                    f"Graph: input {name!r} is of type {type(x).__name__}, expected a Tensor"
                )
        return values

    def extra_repr(self) -> str:
        """The graph, a line for each node."""
        head = f"{', '.join(map(self._described, self.input_names))} -> " + ", ".join(
            self.output_names
        )
        return "\n".join([head, *[node.signature() for node in self.nodes]])

    def _described(self, name: str) -> str:
        shape = self.shapes.get(name)
        return name if shape is None else f"{name} ({', '.join(map(str, shape))})"

    def __repr__(self) -> str:
        lines = self.extra_repr().splitlines()
        return f"{type(self).__name__}(\n" + "".join(f"  {line}\n" for line in lines) + ")"


def run(node: Node, inputs: list[Any], device: str | None) -> tuple[Any, ...]:
    """What a node gives.

    Where its operator fails on what ONNX does not let it have, that is the model's mistake, and a
    `DataError`; all other failures come out as they are.
    """
    try:
        made = _computed(node, inputs, device)
    except TinynetError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        why = misfit(node, inputs)
        if why is None:
            raise
        raise DataError(f"onnx: {node}: {why}") from error
    if len(made) < len(node.outputs):
        raise DataError(f"onnx: {node}: gives {len(made)} outputs, expected {[*node.outputs]}")
    return made


def _computed(node: Node, inputs: list[Any], device: str | None) -> tuple[Any, ...]:
    operator = OPERATORS[node.op]
    if can_compute(node, inputs):
        return (quiet.run(ON_HOST[node.op], node, *inputs),)
    arguments = [
        x if x is None else (_on_host(x) if i in operator.host else _on_device(x, device))
        for i, x in enumerate(inputs)
    ]
    made = operator.run(node, *arguments)
    return made if isinstance(made, tuple) else (made,)


def _on_device(value: Any, device: str | None) -> Any:
    is_host = isinstance(value, (np.ndarray, np.generic))
    return creation.tensor(np.asarray(value), device=device) if is_host else value


def _on_host(value: Any) -> Any:
    return value.numpy(force=True) if isinstance(value, Tensor) else value


def refuse_unknown(nodes: Iterable[Node]) -> None:
    """Raise for the first node that tinynet has no operator for, naming all such operators."""
    unknown = [
        node for node in nodes if node.op not in OPERATORS or node.opset < OPERATORS[node.op].since
    ]
    if not unknown:
        return
    node = unknown[0]
    others = sorted({other.op for other in unknown} - {node.op})
    since = OPERATORS[node.op].since if node.op in OPERATORS else 0
    expected = f"is supported from opset {since} on" if since else "is not supported"
    also = f" (nor are {', '.join(others)})" if others else ""
    raise UnsupportedOperatorError(
        f"onnx: {node}: {node.op} {expected}{also}, see tinynet.onnx.supported()"
    )


def _used_on_host(nodes: list[Node]) -> set[str]:
    """Names that nodes use only where they want them on the host."""
    host: set[str] = set()
    device: set[str] = set()
    for node in nodes:
        for i, name in enumerate(node.inputs):
            (host if i in OPERATORS[node.op].host else device).add(name)
    return host - device


def _last_uses(nodes: list[Node], outputs: list[str]) -> list[list[str]]:
    """For each node the names that nobody needs after it: values die as early as they can."""
    seen = {*outputs, ""}
    found: list[list[str]] = []
    for node in reversed(nodes):
        names = dict.fromkeys([*node.inputs, *node.outputs])
        found.append([name for name in names if name not in seen])
        seen.update(names)
    return found[::-1]


def _free(owner: Module, name: str) -> str:
    """`name`, or with underscores behind it: one that the module has no other use for."""
    while hasattr(owner, name):
        name += "_"
    return name
