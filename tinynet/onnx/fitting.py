"""Whether what a node is given fits it: ONNX's own type and shape inference is asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.onnx.node import Node
from tinynet.onnx.protobuf import ELEMENT_TYPES, import_onnx
from tinynet.tensor import Tensor


def misfit(node: Node, inputs: list[Any]) -> str | None:
    """Why ONNX does not let a node have these inputs; None if it does, or does not know.

    `inputs` are tensors, whose shapes and dtypes count, arrays, whose values do, and None.
    """
    onnx = import_onnx()
    helper = onnx.helper
    if not onnx.defs.has(node.op, node.opset):
        return None
    tensors, arrays = [], []
    names = ["" if x is None else str(i) for i, x in enumerate(inputs)]
    for name, x in zip(names, inputs, strict=True):
        if isinstance(x, Tensor):
            kind = ELEMENT_TYPES[x.dtype]
            tensors.append(helper.make_tensor_value_info(name, kind, x.shape))
        elif x is not None:
            arrays.append(onnx.numpy_helper.from_array(np.asarray(x), name))
    graph = helper.make_graph([_proto(node, names)], "node", tensors, [], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)])
    try:
        onnx.shape_inference.infer_shapes(model, True, True, True)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        return str(error).strip().splitlines()[-1]
    return None


def _proto(node: Node, inputs: list[str]) -> Any:
    """A node as ONNX's `NodeProto`."""
    onnx = import_onnx()
    known = onnx.defs.get_schema(node.op, node.opset).attributes
    outputs = [str(-i - 1) if name else "" for i, name in enumerate(node.outputs)]
    proto = onnx.helper.make_node(node.op, inputs, outputs)
    for name, value in node.attributes.items():
        if name in known and value is not None:
            given = onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            kind = known[name].type.value
            proto.attribute.append(onnx.helper.make_attribute(name, given, attr_type=kind))
    return proto
