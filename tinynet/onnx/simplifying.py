"""Nodes that say the same in fewer: Relu, Softmax, a Conv's bias; and none that nobody needs."""

from __future__ import annotations

from collections import Counter

from tinynet.onnx.building import NodeSpec
from tinynet.onnx.protobuf import Array


def simplify(
    nodes: list[NodeSpec],
    outputs: list[str],
    initializers: dict[str, Array],
    vectors: set[str],
) -> list[NodeSpec]:
    """The nodes that `outputs` need, no more than it takes. `vectors` are names of 1-d weights."""
    nodes = _with_softmax([_with_relu(node, initializers) for node in nodes], initializers)
    nodes = _with_bias(nodes, outputs, initializers, vectors)
    needed = set(outputs)
    kept: list[NodeSpec] = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _with_relu(node: NodeSpec, initializers: dict[str, Array]) -> NodeSpec:
    """The larger of something and 0 as Relu."""
    if node.op != "Max":
        return node
    limit = initializers.get(node.inputs[1])
    if limit is None or limit.shape or limit.dtype.kind != "f" or limit != 0:
        return node
    return node._replace(op="Relu", inputs=node.inputs[:1])


def _with_bias(
    nodes: list[NodeSpec], outputs: list[str], initializers: dict[str, Array], vectors: set[str]
) -> list[NodeSpec]:
    """Convolutions with the bias that is added to nothing but their result."""
    uses = Counter([*outputs, *[name for node in nodes for name in node.inputs]])
    by_output = {name: node for node in nodes for name in node.outputs}
    found = []
    for node in nodes:
        conv, bias = (by_output.get(name) for name in (*node.inputs, "", "")[:2])
        if node.op == "Add" and conv is not None and bias is not None:
            is_free = conv.op in ("Conv", "ConvTranspose") and uses[conv.outputs[0]] == 1
            if is_free and len(conv.inputs) == 2 and _is_bias(bias, conv, initializers, vectors):
                inputs = [*conv.inputs, bias.inputs[0]]
                node = conv._replace(inputs=inputs, outputs=node.outputs)
        found.append(node)
    return found


def _is_bias(
    node: NodeSpec, conv: NodeSpec, initializers: dict[str, Array], vectors: set[str]
) -> bool:
    """Whether a node lays a vector along the channels of what `conv` gives."""
    if node.op != "Reshape" or node.inputs[0] not in vectors or node.inputs[1] not in initializers:
        return False
    ndim = len(conv.attributes["kernel_shape"])
    shape = initializers[node.inputs[1]].tolist()
    return shape[-ndim:] == [1] * ndim and shape[: -ndim - 1] in ([], [1])


def _with_softmax(nodes: list[NodeSpec], initializers: dict[str, Array]) -> list[NodeSpec]:
    """`exp(x - max) / sum` and `(x - max) - log(sum)` as Softmax and LogSoftmax."""
    by_output = {name: node for node in nodes for name in node.outputs}
    found = []
    for node in nodes:
        match = _softmax_at(node, by_output, initializers)
        found.append(node if match is None else match)
    return found


def _softmax_at(
    node: NodeSpec, by_output: dict[str, NodeSpec], initializers: dict[str, Array]
) -> NodeSpec | None:
    def made(name: str, op: str) -> NodeSpec | None:
        maker = by_output.get(name)
        return maker if maker is not None and maker.op == op else None

    if node.op == "Div":
        exps, total = made(node.inputs[0], "Exp"), made(node.inputs[1], "ReduceSum")
        kind = "Softmax"
    elif node.op == "Sub":
        log = made(node.inputs[1], "Log")
        total = made(log.inputs[0], "ReduceSum") if log else None
        exps, kind = (made(total.inputs[0], "Exp") if total else None), "LogSoftmax"
        if exps is None or exps.inputs[0] != node.inputs[0]:
            return None
    else:
        return None
    if exps is None or total is None or total.inputs[0] != exps.outputs[0]:
        return None
    shifted = made(exps.inputs[0], "Sub")
    largest = made(shifted.inputs[1], "ReduceMax") if shifted else None
    if shifted is None or largest is None or largest.inputs[0] != shifted.inputs[0]:
        return None
    axes = initializers.get(total.inputs[1])
    if axes is None or axes.shape != (1,) or not total.attributes["keepdims"]:
        return None
    return NodeSpec(kind, [shifted.inputs[0]], node.outputs, {"axis": int(axes[0])}, node.path)
