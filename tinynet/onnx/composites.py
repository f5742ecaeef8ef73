"""Modules that ONNX has an operator for: written as that, not as the steps they are made of.

In a trace a composite stands in for the module's call: it computes what the module does, unseen,
and notes one call. It returns NotImplemented for uses that the operator does not cover.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import nn
from tinynet.onnx.building import Builder
from tinynet.onnx.tracing import Call, Trace
from tinynet.tensor import Tensor


def _noted(trace: Trace, op: str, module: Any, inputs: list[Any], call: Any, *params: Any) -> Any:
    """Run `call` unseen, and note it."""
    refs = tuple(trace.read(x.array) if isinstance(x, Tensor) else None for x in inputs)
    result = trace.paused(call)
    results = _flat(result)
    trace.make(op, (refs, *params), [y.array for y in results])
    return result


def _flat(item: Any) -> list[Tensor]:
    if isinstance(item, Tensor):
        return [item]
    return [y for part in item for y in _flat(part)]


# what modules note
def linear(trace: Trace, module: Any, x: Tensor) -> Any:
    if x.ndim != 2:
        return NotImplemented
    parts = [x, module.weight, module.bias]
    return _noted(trace, "linear", module, parts, lambda: module.forward(x))


def batch_norm(trace: Trace, module: Any, x: Tensor) -> Any:
    state = [module.weight, module.bias, module.running_mean, module.running_var]
    if module.training or any(part is None for part in state) or x.ndim < 2:
        return NotImplemented
    call = lambda: module.forward(x)  # noqa: E731
    return _noted(trace, "batch_norm", module, [x, *state], call, module.eps)


def layer_norm(trace: Trace, module: Any, x: Tensor) -> Any:
    if module.weight is None:
        return NotImplemented
    parts = [x, module.weight, module.bias]
    axis = -len(module.normalized_shape)
    return _noted(trace, "layer_norm", module, parts, lambda: module.forward(x), module.eps, axis)


def softmax(trace: Trace, module: Any, x: Tensor) -> Any:
    if module.dim is None or not x.ndim:
        return NotImplemented
    op = type(module).__name__
    return _noted(trace, "along", module, [x], lambda: module.forward(x), op, module.dim)


def gelu(trace: Trace, module: Any, x: Tensor) -> Any:
    return _noted(trace, "gelu", module, [x], lambda: module.forward(x), module.approximate)


def average_pool(trace: Trace, module: Any, x: Tensor) -> Any:
    """Of a batch; with the arguments of the 1-d, 2-d and 3-d pools."""
    ndim = int(type(module).__name__[-2])
    if x.ndim != ndim + 2 or getattr(module, "divisor_override", None) is not None:
        return NotImplemented

    def sizes(value: Any) -> tuple[int, ...]:
        return tuple(value) * (ndim if len(value) == 1 else 1) if _many(value) else (value,) * ndim

    kernel = sizes(module.kernel_size)
    stride = kernel if module.stride is None else sizes(module.stride)
    params = (kernel, stride, sizes(module.padding), module.ceil_mode, module.count_include_pad)
    return _noted(trace, "average_pool", module, [x], lambda: module.forward(x), *params)


def _many(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def global_average(trace: Trace, module: Any, x: Tensor) -> Any:
    ndim = int(type(module).__name__[-2])
    sizes = module.output_size if _many(module.output_size) else (module.output_size,)
    if x.ndim != ndim + 2 or any(n != 1 for n in sizes):
        return NotImplemented
    return _noted(trace, "global_average", module, [x], lambda: module.forward(x))


def recurrent(trace: Trace, module: Any, x: Any, hx: Any = None) -> Any:
    """LSTM, GRU and RNN of a batch of sequences that last equally long."""
    is_plain = isinstance(x, Tensor) and x.ndim == 3 and not getattr(module, "proj_size", 0)
    if not is_plain or not module.bias or (module.dropout and module.training):
        return NotImplemented
    states = [] if hx is None else (list(hx) if _many(hx) else [hx])
    count = 2 if type(module).__name__ == "LSTM" else 1
    weights = [w for layer in module.all_weights for w in layer]
    parts = [x, *(states or [None] * count), *weights]
    params = (
        type(module).__name__, module.num_layers, module.bidirectional, module.batch_first,
        module.hidden_size, getattr(module, "nonlinearity", ""), count,
    )  # fmt: skip
    call = lambda: module.forward(x, hx)  # noqa: E731
    return _noted(trace, "recurrent", module, parts, call, *params)


# what is written for them
def write_linear(b: Builder, call: Call, other: Call) -> str:
    x, weight, bias = call.args[0]
    names = [b.name_of(part) for part in (x, weight, bias) if part is not None]
    return str(b.node("Gemm", *names, transB=1))


def write_batch_norm(b: Builder, call: Call, other: Call) -> str:
    parts, eps = call.args
    return str(b.node("BatchNormalization", *map(b.name_of, parts), epsilon=float(eps)))


def write_layer_norm(b: Builder, call: Call, other: Call) -> str:
    parts, eps, axis = call.args
    names = [b.name_of(part) for part in parts if part is not None]
    return str(b.node("LayerNormalization", *names, axis=axis, epsilon=float(eps)))


def write_along(b: Builder, call: Call, other: Call) -> str:
    (x,), op, dim = call.args
    return str(b.node(op, b.name_of(x), axis=dim))


def write_gelu(b: Builder, call: Call, other: Call) -> str:
    """Its own operator from opset 20 on, before that as its definition."""
    (x,), approximate = call.args
    name, kind = b.name_of(x), b.dtype(x)
    if b.opset >= 20:
        return str(b.node("Gelu", name, approximate=approximate))

    def number(value: float) -> str:
        return b.constant(np.asarray(value).astype(kind))

    if approximate == "tanh":
        cube = b.node("Mul", b.node("Mul", name, name), name)
        inner = b.node("Add", name, b.node("Mul", cube, number(0.044715)))
        part = b.node("Tanh", b.node("Mul", inner, number((2 / np.pi) ** 0.5)))
    else:
        part = b.node("Erf", b.node("Mul", name, number(0.5**0.5)))
    return str(b.node("Mul", b.node("Mul", name, number(0.5)), b.node("Add", part, number(1.0))))


def write_average_pool(b: Builder, call: Call, other: Call) -> str:
    (x,), kernel, stride, padding, ceil_mode, with_pads = call.args
    return str(
        b.node(
            "AveragePool",
            b.name_of(x),
            kernel_shape=list(kernel),
            strides=list(stride),
            pads=[*padding, *padding],
            ceil_mode=int(ceil_mode),
            count_include_pad=int(with_pads),
        )
    )


def write_global_average(b: Builder, call: Call, other: Call) -> str:
    return str(b.node("GlobalAveragePool", b.name_of(call.args[0][0])))


ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # of the gates, in ONNX


def write_recurrent(b: Builder, call: Call, other: Call) -> list[str]:
    """A node for each layer; its weights are put in ONNX's order of gates by nodes of their own."""
    parts, kind, layers, both, batch_first, size, nonlinearity, n_states = call.args
    x, states, weights = parts[0], parts[1 : 1 + n_states], list(parts[1 + n_states :])
    directions = 2 if both else 1
    y = b.name_of(x)
    if batch_first:
        y = b.node("Transpose", y, perm=[1, 0, 2])
    ended: list[list[str]] = [[] for _ in states]
    for layer in range(layers):
        start = layer * directions
        own = [weights[4 * i : 4 * i + 4] for i in range(start, start + directions)]
        w, r = (_stacked(b, [_gates(b, each[i], kind) for each in own]) for i in (0, 1))
        biases = [
            b.node("Concat", *[_gates(b, each[i], kind) for i in (2, 3)], axis=0) for each in own
        ]
        first = [_layer_state(b, state, start, directions) for state in states]
        y, last = _layer(b, kind, nonlinearity, size, directions,
                         [y, w, r, _stacked(b, biases), "", *first], len(states))  # fmt: skip
        for found, name in zip(ended, last, strict=True):
            found.append(name)
    if batch_first:
        y = b.node("Transpose", y, perm=[1, 0, 2])
    final = [found[0] if layers == 1 else b.node("Concat", *found, axis=0) for found in ended]
    return [y, *final]


def _layer(
    b: Builder, kind: str, nonlinearity: str, size: int, directions: int, inputs: list[str],
    n_states: int,
) -> tuple[str, list[str]]:  # fmt: skip
    """One node, and its outputs (steps, directions, batch, hidden) side by side."""
    while not inputs[-1]:
        inputs.pop()
    options: dict[str, Any] = {"hidden_size": size}
    if directions == 2:
        options["direction"] = "bidirectional"
    if kind == "GRU":
        options["linear_before_reset"] = 1
    if kind == "RNN":
        options["activations"] = [nonlinearity.title()] * directions
    y, *last = b.node(kind, *inputs, outputs=1 + n_states, **options)
    if directions == 1:
        return b.node("Squeeze", y, b.ints(1)), last
    rows = b.node("Transpose", y, perm=[0, 2, 1, 3])
    return b.node("Reshape", rows, b.ints(0, 0, directions * size)), last


def _gates(b: Builder, ref: int, kind: str) -> str:
    """A weight or bias with its gates in ONNX's order."""
    order = ORDER[kind]
    if len(order) == 1:
        return b.name_of(ref)
    sizes = b.ints(*[len(b.first.values[ref].array) // len(order)] * len(order))
    pieces = b.node("Split", b.name_of(ref), sizes, outputs=len(order), axis=0)
    return str(b.node("Concat", *[pieces[i] for i in order], axis=0))


def _stacked(b: Builder, names: list[str]) -> str:
    raised = [b.node("Unsqueeze", name, b.ints(0)) for name in names]
    return raised[0] if len(raised) == 1 else str(b.node("Concat", *raised, axis=0))


def _layer_state(b: Builder, ref: int | None, start: int, count: int) -> str:
    if ref is None:
        return ""
    if len(b.first.values[ref].array) == count:
        return b.name_of(ref)
    limits = b.ints(start), b.ints(start + count), b.ints(0)
    return str(b.node("Slice", b.name_of(ref), *limits))


COMPOSITES: dict[type, Any] = {
    nn.Linear: linear, nn.LayerNorm: layer_norm, nn.GELU: gelu,
    nn.Softmax: softmax, nn.LogSoftmax: softmax,
    nn.BatchNorm1d: batch_norm, nn.BatchNorm2d: batch_norm, nn.BatchNorm3d: batch_norm,
    nn.AvgPool1d: average_pool, nn.AvgPool2d: average_pool, nn.AvgPool3d: average_pool,
    nn.AdaptiveAvgPool1d: global_average, nn.AdaptiveAvgPool2d: global_average,
    nn.AdaptiveAvgPool3d: global_average,
    nn.LSTM: recurrent, nn.GRU: recurrent, nn.RNN: recurrent,
}  # fmt: skip
WRITERS = {
    "linear": write_linear, "batch_norm": write_batch_norm, "layer_norm": write_layer_norm,
    "along": write_along, "gelu": write_gelu, "average_pool": write_average_pool,
    "global_average": write_global_average, "recurrent": write_recurrent,
}  # fmt: skip
