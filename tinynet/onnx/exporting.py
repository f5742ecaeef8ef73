"""Modules out as ONNX files: `export`."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinynet.autograd import no_grad
from tinynet.backends import open_backend
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimError,
    ShapeError,
    UnsupportedOperatorError,
)
from tinynet.files import check_place, file_name, replacing, to_write
from tinynet.io.safetensors import checked_metadata
from tinynet.nn.module import Module
from tinynet.onnx.building import Builder, Symbol
from tinynet.onnx.composites import COMPOSITES
from tinynet.onnx.importing import load
from tinynet.onnx.naming import Names
from tinynet.onnx.protobuf import import_onnx
from tinynet.onnx.sizing import DynamicAxes, Examples
from tinynet.onnx.tracing import Trace
from tinynet.onnx.writing import Run, make_model
from tinynet.shape import as_integer
from tinynet.tensor import Tensor

OPSETS = range(17, 24)
LARGEST = (1 << 31) - (1 << 20)  # bytes of weights that fit into one protobuf


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
    external_data: bool = False,
) -> Any:
    """Write what `module(*args)` computes as an ONNX file; returns the `ModelProto`.

    `args` are example tensors: the module runs on them, and what it does is written down, whatever
    it is made of. Sizes are those of the examples, but for `dynamic_axes`: by name of an input,
    dims and the names of their sizes, `{"x": {0: "batch"}}`, or only dims. What depends on such
    a size, in outputs too, is found by running on other sizes: outputs may be named, and need not.

    Parameters and buffers are initializers with their names in the state dict. Inputs and outputs
    are called `input` and `output`, or `input_0` and so on, with a number behind that if a
    parameter is called so; names that are given must be of their own.

    The module runs in `eval()` mode, unless `training`. The model is checked by onnx's checker, and
    it computes what the module does, or is refused. Without a `path` no file is written; with
    `external_data`, and for 2 GB of weights, these go into a file beside it. Raises `DataError` for
    a path that is no place for a file, `UnsupportedOperatorError` for what ONNX has no counterpart
    for: reading values, random numbers, sizes that decide what is done.
    """
    onnx = import_onnx()
    inputs = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    _check_arguments(module, inputs, opset)
    properties = checked_metadata("export", metadata)
    if path is not None:
        path = file_name("export", path)
        check_place("export", path)
    taken = Names(name for name, _ in (*module.named_parameters(), *module.named_buffers()))
    reserved = taken.reserve("input", input_names), taken.reserve("output", output_names)
    names = taken.chosen("input", reserved[0], len(inputs))
    examples = Examples(inputs, names, dynamic_axes)
    with _in_mode(module, training) as ready:
        first = _trace(ready, examples.sized(examples.free), names)
        second = _trace_other(ready, examples, names) if examples.free else first
        outputs = taken.chosen("output", reserved[1], len(first.outputs))
        _check_axes(dynamic_axes or {}, [*names, *outputs])
        symbols = _symbols(examples, first, second)
        builder = Builder(first.trace, second.trace, symbols, opset, taken)
        model = make_model(builder, names, outputs, first, second, properties)
        _check(onnx, model)
        _compare(model, ready, [examples.sized(sizes) for sizes in examples.probes()])
    if path is not None:
        with to_write("export", path):
            _save(onnx, model, path, external_data)
    return model


def _check_arguments(module: Any, inputs: tuple[Any, ...], opset: Any) -> None:
    if not isinstance(module, Module):
        raise ArgumentTypeError(f"export: expected a Module, got {type(module).__name__}")
    for x in inputs:
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(f"export: expected tensors as args, got {type(x).__name__}")
    if as_integer("export", "opset", opset) not in OPSETS:
        raise ArgumentError(f"export: opset must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}")


def _check_axes(dynamic_axes: DynamicAxes, names: list[str]) -> None:
    unknown = [name for name in dynamic_axes if name not in names]
    if unknown:
        raise ArgumentError(f"export: dynamic_axes names {unknown[0]!r}, expected some of {names}")


@contextlib.contextmanager
def _in_mode(module: Module, training: bool) -> Iterator[Module]:
    """The module in the mode asked for; a copy, if it is on another device or is to train."""
    state = [*module.parameters(), *module.buffers()]
    if training or any(x.device != "cpu" for x in state):  # training moves statistics
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


def _trace(module: Module, inputs: tuple[Tensor, ...], names: list[str]) -> Run:
    state = [*module.named_parameters(), *module.named_buffers()]
    known = [(name, x.array) for name, x in state]
    known += [(name, x.array) for name, x in zip(names, inputs, strict=True)]
    trace = Trace(open_backend("cpu"), known, COMPOSITES)
    trace.paths = {id(part): path for path, part in module.named_modules()}
    with no_grad(), trace:
        result = module(*inputs)
        outputs = list(_tensors_in(result))
        if not outputs:
            raise ArgumentTypeError(f"export: the module returns {result!r}, expected tensors")
        for y in outputs:
            trace.read(y.array)
    return Run(trace, inputs, outputs)


def _trace_other(module: Module, examples: Examples, names: list[str]) -> Run:
    """With larger sizes, or, where the module does not take these, with smaller ones."""
    try:
        return _trace(module, examples.sized(examples.others(5)), names)
    except (ShapeError, DimError):
        return _trace(module, examples.sized(examples.others(-1)), names)


def _symbols(examples: Examples, first: Run, second: Run) -> list[Symbol]:
    """The free sizes."""
    found: dict[str, Symbol] = {}
    names = [*examples.inputs]
    for name, dim, size in examples.axes:
        a, b = (run.inputs[names.index(name)].shape for run in (first, second))
        found.setdefault(size, Symbol(size, name, dim % len(a), a[dim], b[dim]))
    return [*found.values()]


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


def _compare(model: Any, module: Module, examples: list[tuple[Tensor, ...]]) -> None:
    """Raise if the model, read again, gives other results than the module."""
    graph = load(model, "cpu")
    for inputs in examples:
        with no_grad():
            try:
                expected = [*_tensors_in(module(*inputs))]
            except (ShapeError, DimError):
                continue  # the module does not take such sizes
            found = [*_tensors_in(graph(*inputs))]
        for x, y in zip(expected, found, strict=True):
            scale = float(x.abs().amax()) if x.dtype.is_floating_point and x.numel() else 1.0
            scale = scale if math.isfinite(scale) else 1.0
            if x.shape != y.shape or not x.allclose(y, 1e-3, 1e-4 * scale, equal_nan=True):
                raise UnsupportedOperatorError(
                    "onnx: export: the graph gives other results than the module for inputs of "
                    f"{[z.shape for z in inputs]}: what the module does depends on sizes or values"
                )


def _size(model: Any) -> int:
    """About how many bytes the model's weights have."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def _check(onnx: Any, model: Any) -> None:
    """By onnx's own checker, with shapes and types inferred through the whole graph.

    What it refuses has no counterpart: operators do not take all dtypes that ours do. It cannot
    take more than a protobuf can; the comparison with the module is what is left then.
    """
    if _size(model) >= LARGEST:
        return
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise UnsupportedOperatorError(
            f"onnx: export: onnx's checker refuses the graph: {str(error).strip().splitlines()[0]}"
        ) from error


def _save(onnx: Any, model: Any, path: str, external_data: bool) -> None:
    """In one file, or with the weights beside it: these first, then the file that names them."""
    target = Path(path)
    if not external_data and _size(model) < LARGEST:
        with replacing(target) as partial:
            partial.write_bytes(model.SerializeToString())
        return
    weights = target.with_name(target.name + ".data")
    split = onnx.ModelProto()
    split.CopyFrom(model)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder, target.name)
        onnx.save(
            split, os.fspath(made), save_as_external_data=True, location=weights.name,
            size_threshold=0,
        )  # fmt: skip
        Path(folder, weights.name).replace(weights)
        made.replace(target)
