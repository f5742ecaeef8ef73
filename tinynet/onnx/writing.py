"""Traces as a `ModelProto`: nodes, initializers, inputs and outputs with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinynet.onnx.building import Builder, NodeSpec, Size, check_alike, needed_by
from tinynet.onnx.composites import WRITERS
from tinynet.onnx.lowering import LOWERINGS, element_type
from tinynet.onnx.protobuf import ELEMENT_TYPES, Array, import_onnx
from tinynet.onnx.simplifying import simplify
from tinynet.onnx.tracing import Trace
from tinynet.tensor import Tensor

REASONS = {
    "random_bits": "draws random numbers",
    "nonzero": "looks for what is not zero",
    "linalg": "uses linear algebra",
}


class Run(NamedTuple):
    """What a module did on some inputs."""

    trace: Trace
    inputs: tuple[Tensor, ...]
    outputs: list[Tensor]


def make_model(
    b: Builder,
    inputs: list[str],
    outputs: list[str],
    first: Run,
    second: Run,
    metadata: Mapping[str, str],
) -> Any:
    """The `ModelProto`."""
    write_nodes(b, inputs, outputs, [y.array for y in first.outputs])
    onnx = import_onnx()
    helper = onnx.helper
    used = {name for node in b.nodes for name in node.inputs}
    state = {v.name: v.array for v in b.first.values if v.name and v.name not in inputs}
    arrays = {**{n: a for n, a in state.items() if n in used},
              **{n: a for n, a in b.initializers.items() if n in used}}  # fmt: skip
    by_name = {v.name: i for i, v in reversed([*enumerate(b.first.values)]) if v.name}
    infos = [
        helper.make_tensor_value_info(
            name, element_type(b, by_name[name]), _labels(b.shape(by_name[name]))
        )
        for name in inputs
    ]
    results = [
        helper.make_tensor_value_info(
            name, ELEMENT_TYPES[x.dtype], _labels(b.sizes(x.shape, y.shape))
        )
        for name, x, y in zip(outputs, first.outputs, second.outputs, strict=True)
    ]
    nodes, taken = [], dict[str, int]()
    for node in b.nodes:
        stem = f"/{node.path}/{node.op}".replace("//", "/")
        taken[stem] = taken.get(stem, -1) + 1
        name = f"{stem}_{taken[stem]}" if taken[stem] else stem
        nodes.append(helper.make_node(node.op, node.inputs, node.outputs, name, **node.attributes))
    graph = helper.make_graph(
        nodes,
        "tinynet",
        infos,
        results,
        [
            onnx.numpy_helper.from_array(np.ascontiguousarray(a).reshape(a.shape), name)
            for name, a in arrays.items()
        ],
    )
    version = helper.make_opsetid("", b.opset)
    model = helper.make_model(graph, opset_imports=[version], producer_name="tinynet")
    model.ir_version = helper.find_min_ir_version_for([version])
    helper.set_model_props(model, dict(metadata))
    return model


def write_nodes(b: Builder, inputs: list[str], outputs: list[str], arrays: list[Array]) -> None:
    """All nodes, the last ones giving the outputs their names."""
    check_alike(b)
    table = {**LOWERINGS, **WRITERS}
    outputs_at = [b.first.current[id(array)] for array in arrays]
    b.needed = needed_by(outputs_at, b.first.calls)
    for call, other in zip(b.first.calls, b.second.calls):
        b.path = call.path
        if b.needed.isdisjoint(call.outs) or all(b.is_fixed(ref) for ref in call.outs):
            continue
        if call.op not in table:
            b.refuse(
                f"{REASONS.get(call.op, f'computes {call.op}')}, which has no counterpart in ONNX"
            )
        made = table[call.op](b, call, other)
        names = made if isinstance(made, list) else [made]
        b.names.update({ref: name for ref, name in zip(call.outs, names) if name})
    b.path = ""
    results = [b.name_of(ref) for ref in outputs_at]
    vectors = {value.name for value in b.first.values if value.name and value.array.ndim == 1}
    b.nodes = simplify(b.nodes, results, b.initializers, vectors)
    made_by = {name for node in b.nodes for name in node.outputs}
    renamed = dict[str, str]()
    for name, output in zip(results, outputs, strict=True):
        if name in made_by and name not in renamed:
            renamed[name] = output
    b.nodes = [
        node._replace(
            inputs=[renamed.get(name, name) for name in node.inputs],
            outputs=[renamed.get(name, name) for name in node.outputs],
        )
        for node in b.nodes
    ]
    for name, output in zip(results, outputs, strict=True):
        if renamed.get(name) != output:
            b.nodes.append(NodeSpec("Identity", [renamed.get(name, name)], [output], {}, ""))


def _labels(sizes: Sequence[int | Size]) -> list[int | str | None]:
    """Sizes as ONNX declares them: numbers and names; none for what is computed from these."""
    return [
        size if not isinstance(size, Size)
        else size.symbols[0].name if size.factor == 1 and len(size.symbols) == 1
        else None
        for size in sizes
    ]  # fmt: skip
