"""What makes a graph well formed: ONNX's own schemas of its nodes, and names that are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinynet.errors import DataError
from tinynet.onnx.node import Node
from tinynet.onnx.protobuf import import_onnx


def check_node(node: Node, kinds: Mapping[str, int]) -> None:
    """Raise `DataError` for inputs, outputs and attributes that its operator does not have.

    `kinds` are the types of its attributes, as numbers of `AttributeProto`. Operators that the
    `onnx` package does not know (in this opset) go unchecked.
    """
    defs = import_onnx().defs
    if not defs.has(node.op, node.opset):
        return
    schema = defs.get_schema(node.op, node.opset)
    _check_places(node, "inputs", node.inputs, schema.inputs, schema.min_input)
    _check_places(node, "outputs", node.outputs, schema.outputs, schema.min_output)
    _check_attributes(node, kinds, schema.attributes)


def _check_places(node: Node, what: str, names: tuple[str, ...], places: Any, least: int) -> None:
    """None too few (or left out, as only what is optional may be), none too many."""
    option = import_onnx().defs.OpSchema.FormalParameterOption
    is_variadic = any(place.option is option.Variadic for place in places)
    is_full = len(names) >= least and (is_variadic or len(names) <= len(places))
    if what == "inputs":  # outputs that nobody needs may go without names
        is_full = is_full and all(
            name or places[min(i, len(places) - 1)].option is option.Optional
            for i, name in enumerate(names)
        )
    if not is_full:
        labels = {option.Optional: " (optional)", option.Variadic: " (any number)"}
        expected = [place.name + labels.get(place.option, "") for place in places]
        raise DataError(
            f"onnx: {node}: has {what} {[*names]}, expected {', '.join(expected) or 'none'}"
        )


def _check_attributes(node: Node, kinds: Mapping[str, int], known: Mapping[str, Any]) -> None:
    """Those that are required, of the types that ONNX gives them, and no others."""
    name_of = import_onnx().AttributeProto.AttributeType.Name
    for name, kind in kinds.items():
        if name not in known:
            if name.startswith("__"):  # as ONNX's checker takes for somebody's own
                continue
            raise DataError(
                f"onnx: {node}: has an attribute {name!r}, expected {', '.join(known) or 'none'}"
            )
        if known[name].type.value != kind:
            raise DataError(
                f"onnx: {node}: attribute {name!r} is of type {name_of(kind)}, expected "
                f"{known[name].type.name}"
            )
    missing = [name for name, each in known.items() if each.required and name not in kinds]
    if missing:
        raise DataError(f"onnx: {node}: has no attribute {missing[0]!r}, which {node.op} needs")


def check_names(
    nodes: Iterable[Node], inputs: Iterable[str], initializers: Iterable[str], outputs: list[str]
) -> None:
    """Raise `DataError` unless each name is given once, before it is used."""
    known: set[str] = set()
    for what, names in (("input", inputs), ("initializer", initializers)):
        for name in names:
            if not name or name in known:
                raise DataError(f"onnx: {what} {name!r}: expected a name of its own")
            known.add(name)
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in known:
                raise DataError(
                    f"onnx: {node}: takes {name!r}, expected an input, an initializer or what an "
                    "earlier node gives"
                )
        for name in filter(None, node.outputs):
            if name in known:
                raise DataError(f"onnx: {node}: gives {name!r}, which is there already")
            known.add(name)
    for name in outputs:
        if name not in known:
            raise DataError(f"onnx: output {name!r}: is given by no node")
