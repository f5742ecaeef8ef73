"""ONNX files in: `load`, and `supported`, what they may hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tinynet.errors import DataError, UnsupportedOperatorError
from tinynet.io.safetensors import opened
from tinynet.onnx.checking import check_node
from tinynet.onnx.graph import NEWEST, Graph
from tinynet.onnx.node import Node
from tinynet.onnx.operators import OPERATORS
from tinynet.onnx.protobuf import Array, as_text, attribute_value, dtype_of, import_onnx, to_array


def load(path: str | os.PathLike[str] | Any, device: str | None = None) -> Graph:
    """A module that computes what an ONNX model does; `path` may be a `ModelProto` too.

    Its floating initializers are trainable parameters. Weights in files beside the model are found.
    Raises `UnsupportedOperatorError` for what tinynet has no operator for (`supported()` lists what
    it has), `DataError` for files that are missing, damaged or no models, and malformed graphs.
    """
    onnx = import_onnx()
    folder: str | os.PathLike[str] = ""
    if isinstance(path, onnx.ModelProto):
        model = path
    else:
        model, folder = _read(path), Path(path).parent
    if not model.graph.output:
        name = "what was given" if model is path else os.fspath(path)
        raise DataError(f"onnx: {name} is no ONNX model: it has no outputs")
    opset = _opset(model)
    graph = model.graph
    initializers: dict[str, Array] = {}
    for item in graph.initializer:
        if as_text(item.name) in initializers:
            raise DataError(f"onnx: initializer {item.name!r}: expected a name of its own")
        initializers[item.name] = to_array(item, folder)
    if graph.sparse_initializer:
        raise UnsupportedOperatorError("onnx: the model has sparse initializers")
    inputs = [item for item in graph.input if item.name not in initializers]
    return Graph(
        _nodes(model, opset),
        initializers,
        [as_text(item.name) for item in inputs],
        [as_text(item.name) for item in graph.output],
        opset,
        {as_text(item.key): as_text(item.value) for item in model.metadata_props},
        {item.name: _shape(item) for item in inputs},
        device,
    )


def supported() -> dict[str, int]:
    """The operators that imported models may have, each with the first opset it may come from.

    >>> supported()["Conv"]
    1
    """
    return {name: OPERATORS[name].since for name in sorted(OPERATORS)}


def _read(path: str | os.PathLike[str]) -> Any:
    """The model in a file, without the weights that lie in others."""
    onnx = import_onnx()
    from google.protobuf import json_format, message, text_format

    malformed = (  # of all the formats that onnx knows files by
        message.DecodeError, json_format.ParseError, text_format.ParseError,
        onnx.parser.ParseError, UnicodeDecodeError,
    )  # fmt: skip
    with opened("onnx", path) as (file, name):
        try:
            model = onnx.load(file, load_external_data=False)
        except malformed as error:
            raise DataError(f"onnx: {name} is no ONNX model: {error}") from error
    return model


def _opset(model: Any) -> int:
    """That of ONNX's own operators."""
    versions = {item.domain: item.version for item in model.opset_import}
    opset: int = versions.get("", versions.get("ai.onnx", 1))
    if opset > NEWEST:
        raise UnsupportedOperatorError(
            f"onnx: the model has opset {opset}, expected at most {NEWEST}"
        )
    return opset


def _nodes(model: Any, opset: int) -> list[Node]:
    """The graph's nodes, with calls of the model's own functions written out."""
    if model.functions:
        onnx = import_onnx()
        try:
            model = onnx.inliner.inline_local_functions(model)
        except (onnx.checker.ValidationError, RuntimeError) as error:
            raise DataError(f"onnx: the model's own functions are malformed: {error}") from error
    return [_node(item, opset) for item in model.graph.node]


def _node(item: Any, opset: int) -> Node:
    name, domain = as_text(item.op_type), as_text(item.domain)
    name = name if domain in ("", "ai.onnx") else f"{domain}.{name}"
    inputs, outputs = (tuple(map(as_text, names)) for names in (item.input, item.output))
    node = Node(name, as_text(item.name), opset, inputs, outputs, {})
    if name in OPERATORS:
        check_node(node, {as_text(each.name): each.type for each in item.attribute})
        node.attributes = {each.name: attribute_value(each) for each in item.attribute}
    return node


def _shape(item: Any) -> tuple[Any, ...] | None:
    """A declared shape: ints, names, and ? for what is not said."""
    if not item.type.HasField("tensor_type"):
        raise UnsupportedOperatorError(
            f"onnx: input {item.name!r} is no tensor (but {item.type.WhichOneof('value')})"
        )
    dtype_of(f"onnx: input {item.name!r}", item.type.tensor_type.elem_type)
    if not item.type.tensor_type.HasField("shape"):
        return None
    dims = item.type.tensor_type.shape.dim
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else as_text(dim.dim_param) or "?"
        for dim in dims
    )
