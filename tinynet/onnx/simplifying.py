"""Nodes that say the same in fewer: softmax, products with a bias; and none that nobody needs."""

from __future__ import annotations


from tinynet.onnx.building import NodeSpec
from tinynet.onnx.protobuf import Array


def simplify(
    nodes: list[NodeSpec], outputs: list[str], initializers: dict[str, Array]
) -> list[NodeSpec]:
    """The nodes that `outputs` need, with softmax as itself."""
    nodes = _with_softmax(nodes, initializers)
    needed = set(outputs)
    kept: list[NodeSpec] = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


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

    def summed(name: str) -> NodeSpec | None:
        """The sum of exponentials: a ReduceSum, perhaps kept from being 0 by a Max with 1."""
        total = made(name, "ReduceSum")
        return total

    if node.op == "Div":
        exps, total, kind = made(node.inputs[0], "Exp"), summed(node.inputs[1]), "Softmax"
    elif node.op == "Sub":
        log = made(node.inputs[1], "Log")
        total = summed(log.inputs[0]) if log else None
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
