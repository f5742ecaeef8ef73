"""Modules out as ONNX files: `export`."""

from __future__ import annotations

import contextlib
import copy
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tinynet.autograd import no_grad
from tinynet.backends import open_backend
from tinynet.errors import ArgumentError, ArgumentTypeError, UnsupportedOperatorError
from tinynet.files import replacing
from tinynet.nn.module import Module
from tinynet.onnx.building import Builder, Size, Symbol, check_alike
from tinynet.onnx.composites import COMPOSITES, WRITERS
from tinynet.onnx.lowering import LOWERINGS
from tinynet.onnx.protobuf import ELEMENT_TYPES, Array, import_onnx
from tinynet.onnx.simplifying import simplify
from tinynet.onnx.tracing import Trace
from tinynet.ops import creation
from tinynet.tensor import Tensor

OPSETS = range(17, 24)
DynamicAxes = Mapping[str, Mapping[int, str] | Sequence[int]]
LARGEST = 1 << 31  # bytes that one protobuf may have


def export(
    module: Module,
    args: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: DynamicAxes | None = None,
    opset: int = 20,
    metadata: Mapping[str, str] | None = None,
    training: bool = False,
) -> Any:
    """Write what `module(*args)` computes as an ONNX file; returns the `ModelProto`.

    `args` are example tensors: the module runs on them, and what it does is written down, whatever
    it is made of. Sizes are those of the examples, but for `dynamic_axes`: by name of an input,
    dims and the names of their sizes, `{"x": {0: "batch"}}`, or only dims. What depends on such
    a size is found by running on other sizes too.

    Parameters and buffers are initializers with their names in the state dict. The module is run in
    `eval()` mode, unless `training`. The file is checked by onnx's checker. Without a `path` nothing
    is written. Raises `UnsupportedOperatorError` for what ONNX has no counterpart for: reading
    values, random numbers, sizes that decide what is done.
    """
    onnx = import_onnx()
    inputs = (args,) if isinstance(args, Tensor) else tuple(args)
    _check_arguments(module, inputs, opset)
    names = _names("input", input_names, len(inputs))
    with _in_mode(module, training) as ready:
        first, second = _sized(inputs, names, dynamic_axes)
        traces = [_trace(ready, each, names) for each in (first, second)]
    symbols = _symbols(names, first, second, dynamic_axes)
    builder = Builder(traces[0][0], traces[1][0], symbols, opset)
    builder.counts.update(dict.fromkeys([*names, *(output_names or ())], 1))
    results, others = traces[0][1], traces[1][1]
    if [y.ndim for y in results] != [y.ndim for y in others]:
        raise UnsupportedOperatorError("onnx: export: outputs depend on dynamic sizes")
    outputs = _names("output", output_names, len(results))
    _write_nodes(builder, names, outputs, [y.array for y in results])
    model = _model(builder, names, outputs, results, others, metadata or {})
    _check(onnx, model)
    if path is not None:
        _save(onnx, model, path)
    return model


def _check_arguments(module: Any, inputs: tuple[Any, ...], opset: int) -> None:
    if not isinstance(module, Module):
        raise ArgumentTypeError(f"export: expected a Module, got {type(module).__name__}")
    for x in inputs:
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(f"export: expected tensors as args, got {type(x).__name__}")
    if opset not in OPSETS:
        raise ArgumentError(
            f"export: opset must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}"
        )


def _names(what: str, given: Sequence[str] | None, count: int) -> list[str]:
    """Names of the inputs or outputs; `input`, or `input_0` and so on, by default."""
    if given is None:
        return [what] if count == 1 else [f"{what}_{i}" for i in range(count)]
    if len(given) != count or len(set(given)) != count:
        raise ArgumentError(f"export: {what}_names are {[*given]}, expected {count} different ones")
    return list(given)


@contextlib.contextmanager
def _in_mode(module: Module, training: bool) -> Iterator[Module]:
    """The module (a copy, if it is on another device) on the CPU, in the mode asked for."""
    if any(x.device != "cpu" for x in [*module.parameters(), *module.buffers()]):
        module = copy.deepcopy(module).cpu()
    modes = [(part, part.training) for part in module.modules()]
    if module.training and not training:
        warnings.warn(
            "export: the module is in training mode, it is exported in eval() mode", stacklevel=4
        )
    module.train(training)
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


def _axes(dynamic_axes: DynamicAxes | None, names: list[str]) -> list[tuple[str, int, str]]:
    """Input, dim and name of each size that is free."""
    found = []
    for name, dims in (dynamic_axes or {}).items():
        if name not in names:
            continue  # an output's sizes follow
        pairs = dims.items() if isinstance(dims, Mapping) else [(d, f"{name}_{d}") for d in dims]
        found += [(name, dim, size) for dim, size in pairs]
    return found


def _sized(
    inputs: tuple[Tensor, ...], names: list[str], dynamic_axes: DynamicAxes | None
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The examples with at least 2 in every free size, and with other sizes there."""
    axes = _axes(dynamic_axes, names)
    examples = dict(zip(names, (x.detach().cpu() for x in inputs), strict=True))
    sizes: dict[str, int] = {}
    for name, dim, size in axes:
        shape = examples[name].shape
        if not -len(shape) <= dim < len(shape):
            raise ArgumentError(
                f"export: dynamic_axes has dim {dim} of {name!r}, which has shape {shape}"
            )
        sizes.setdefault(size, max(shape[dim], 2))
    others = _other_sizes(sizes)
    pair = dict(examples), dict(examples)
    for name, dim, size in axes:
        for each, goal in zip(pair, (max(examples[name].shape[dim], 2), others[size])):
            places = [i % each[name].shape[dim] for i in range(goal)]
            each[name] = each[name].index_select(dim, creation.tensor(places))
    return tuple(pair[0].values()), tuple(pair[1].values())


def _other_sizes(sizes: dict[str, int]) -> dict[str, int]:
    """For each free size another one, smaller where it can be: modules may have a largest.

    No ratio of both is a product of others', so that a product of sizes can be told from another.
    """
    found: dict[str, int] = {}
    ratios = {Fraction(1)}
    for name, size in sizes.items():
        candidates = [*range(size - 1, 1, -1), *range(size + 1, 2 * size + 1000)]
        other = next(n for n in candidates if Fraction(n, size) not in ratios)
        found[name] = other
        ratio = Fraction(other, size)
        ratios |= {known * ratio**power for known in ratios for power in (-2, -1, 1, 2)}
    return found


def _symbols(
    names: list[str],
    first: tuple[Tensor, ...],
    second: tuple[Tensor, ...],
    dynamic_axes: DynamicAxes | None,
) -> list[Symbol]:
    shapes = {
        name: (a.shape, b.shape) for name, a, b in zip(names, first, second, strict=True)
    }
    found: dict[str, Symbol] = {}
    for name, dim, size in _axes(dynamic_axes, names):
        a, b = shapes[name]
        symbol = Symbol(size, name, dim % len(a), a[dim], b[dim])
        if size in found and found[size][3:] != symbol[3:]:
            raise ArgumentError(
                f"export: {size!r} is {found[size].first} in {found[size].input!r} and "
                f"{symbol.first} in {name!r}, expected one size"
            )
        found.setdefault(size, symbol)
    return [*found.values()]


def _trace(
    module: Module, inputs: tuple[Tensor, ...], names: list[str]
) -> tuple[Trace, list[Tensor]]:
    """What the module does on these inputs, and what it returns."""
    state = [*module.named_parameters(), *module.named_buffers()]
    known = [(name, x.array) for name, x in state]
    known += [(name, x.array) for name, x in zip(names, inputs, strict=True)]
    trace = Trace(open_backend("cpu"), known, COMPOSITES)
    trace.paths = {id(part): path for path, part in module.named_modules()}
    with no_grad(), trace:
        result = module(*inputs)
        outputs = list(_tensors_in(result))
        for y in outputs:
            trace.read(y.array)
    return trace, outputs


def _tensors_in(item: Any) -> Iterator[Tensor]:
    """The tensors of nested results, in order."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, Mapping):
        for part in item.values():
            yield from _tensors_in(part)
    elif isinstance(item, (tuple, list)):
        for part in item:
            yield from _tensors_in(part)
    elif item is not None:
        raise ArgumentTypeError(
            f"export: the module returns a {type(item).__name__}, expected tensors"
        )


def _write_nodes(b: Builder, inputs: list[str], outputs: list[str], arrays: list[Array]) -> None:
    """All nodes, the last ones giving the outputs their names."""
    check_alike(b)
    table = {**LOWERINGS, **WRITERS}
    for call, other in zip(b.first.calls, b.second.calls):
        b.path = call.path
        if all(b.is_fixed(ref) for ref in call.outs):
            continue
        if call.op not in table:
            b.refuse(f"does {REASONS.get(call.op, call.op)}, which has no counterpart in ONNX")
        made = table[call.op](b, call, other)
        names = made if isinstance(made, list) else [made]
        b.names.update({ref: name for ref, name in zip(call.outs, names) if name})
    b.path = ""
    results = [b.name_of(b.first.current[id(array)]) for array in arrays]
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
            b.nodes.append(_identity(renamed.get(name, name), output))


def _identity(source: str, target: str) -> Any:
    from tinynet.onnx.building import NodeSpec

    return NodeSpec("Identity", [source], [target], {}, "")


REASONS = {
    "random_bits": "draw random numbers",
    "nonzero": "look for what is not zero",
    "linalg": "linear algebra",
}


def _model(
    b: Builder,
    inputs: list[str],
    outputs: list[str],
    first: list[Tensor],
    second: list[Tensor],
    metadata: Mapping[str, str],
) -> Any:
    """The `ModelProto`."""
    onnx = import_onnx()
    helper = onnx.helper
    used = {name for node in b.nodes for name in node.inputs}
    state = {v.name: v.array for v in b.first.values if v.name and v.name not in inputs}
    arrays = {**{n: a for n, a in state.items() if n in used},
              **{n: a for n, a in b.initializers.items() if n in used}}  # fmt: skip
    by_name = {v.name: i for i, v in reversed([*enumerate(b.first.values)]) if v.name}
    infos = [
        helper.make_tensor_value_info(
            name, _element(b, by_name[name]), _labels(b.shape(by_name[name]))
        )
        for name in inputs
    ]
    results = [
        helper.make_tensor_value_info(
            name, ELEMENT_TYPES[x.dtype], _labels(b.sizes(x.shape, y.shape))
        )
        for name, x, y in zip(outputs, first, second, strict=True)
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
        [onnx.numpy_helper.from_array(_dense(a), name) for name, a in arrays.items()],
    )
    version = helper.make_opsetid("", b.opset)
    model = helper.make_model(graph, opset_imports=[version], producer_name="tinynet")
    model.ir_version = helper.find_min_ir_version_for([version])
    helper.set_model_props(model, dict(metadata))
    return model


def _dense(array: Array) -> Array:
    import numpy as np

    return np.ascontiguousarray(array).reshape(array.shape)


def _element(b: Builder, ref: int) -> int:
    from tinynet.onnx.lowering import element_type

    return element_type(b, ref)


def _labels(sizes: Sequence[int | Size]) -> list[int | str | None]:
    """Sizes as ONNX declares them: numbers and names; none for what is computed from these."""
    return [
        size if not isinstance(size, Size)
        else size.symbols[0].name if size.factor == 1 and len(size.symbols) == 1
        else None
        for size in sizes
    ]  # fmt: skip


def _check(onnx: Any, model: Any) -> None:
    """By onnx's own checker, with shapes inferred through the whole graph."""
    if model.ByteSize() < LARGEST:
        onnx.checker.check_model(model, full_check=True)


def _save(onnx: Any, model: Any, path: str | os.PathLike[str]) -> None:
    """In one file, or, where that would be too large for a protobuf, with the weights beside it."""
    target = Path(path)
    if model.ByteSize() >= LARGEST:
        onnx.save(
            model, os.fspath(target), save_as_external_data=True, location=target.name + ".data"
        )
        return
    with replacing(target) as partial:
        partial.write_bytes(model.SerializeToString())
