"""What decides shapes, computed in NumPy: `Shape`, and all that is made of constants.

Shapes, axes and slices must be known before anything is computed with them; on the host they are,
also while `tinynet.jit` records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backends.host import numpy_dtype
from tinynet.onnx.node import Node
from tinynet.onnx.operators.movement import axes_of, ints, sizes_of, slices_of
from tinynet.onnx.protobuf import Array, dtype_of
from tinynet.shape import broadcast, check_sizes, permuted, reshaped

LARGEST = 4096  # elements; what is larger than a shape belongs on the device


def _cast(node: Node, x: Array) -> Array:
    return x.astype(numpy_dtype(dtype_of(f"onnx: {node}", node.attributes["to"])))


def _gather(node: Node, x: Array, index: Array) -> Array:
    axis = node.axis(x.ndim, node.get("axis", 0))
    size = x.shape[axis]
    if ((index < -size) | (index >= size)).any():
        node.malformed(f"has indices {index.tolist()} along a dim of {size}")
    return np.asarray(np.take(x, index, axis))


def _concat(node: Node, *parts: Array) -> Array:
    return np.concatenate(parts, node.axis(parts[0].ndim, node.need("axis")))


def _transpose(node: Node, x: Array) -> Array:
    perm = node.get("perm", tuple(range(x.ndim))[::-1])
    return x.transpose(permuted(f"onnx: {node}", x.ndim, perm))


def _squeeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, axes_of(node, axes, 13))


def _unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, axes_of(node, axes, 13) or ())


def _reshape(node: Node, x: Array, shape: Array) -> Array:
    sizes = sizes_of(node, x.shape, shape)
    return x.reshape(reshaped(f"onnx: {node}", x.shape, sizes))


def _slice(node: Node, x: Array, *limits: Any) -> Array:
    index = [slice(None)] * x.ndim
    for axis, i, j, k in slices_of(node, x.ndim, *limits):
        index[axis] = slice(*_bounds(i, j, k, x.shape[axis]))
    return x[tuple(index)]


def _bounds(start: int, stop: int, step: int, size: int) -> tuple[int, int | None, int]:
    places = range(*slice(start, stop, step).indices(size))
    return places.start, None if places.stop < 0 else places.stop, step


def _expand(node: Node, x: Array, shape: Array) -> Array:
    sizes = check_sizes(f"onnx: {node}", ints(shape))
    return np.broadcast_to(x, broadcast(f"onnx: {node}", x.shape, sizes))


def _div(node: Node, a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda node, *inputs: np.asarray(function(*inputs))


ON_HOST: dict[str, Callable[..., Array]] = {
    "Add": _plain(np.add), "Sub": _plain(np.subtract), "Mul": _plain(np.multiply), "Div": _div,
    "Mod": _plain(np.mod), "Max": _plain(np.maximum), "Min": _plain(np.minimum),
    "Equal": _plain(np.equal), "Less": _plain(np.less), "Greater": _plain(np.greater),
    "Not": _plain(np.logical_not), "And": _plain(np.logical_and), "Or": _plain(np.logical_or),
    "Where": _plain(np.where), "Floor": _plain(np.floor), "Ceil": _plain(np.ceil),
    "Neg": _plain(np.negative), "Identity": _plain(lambda x: x), "Sqrt": _plain(np.sqrt),
    "Concat": _concat,
    "Transpose": _transpose,
    "Expand": _expand,
    "Cast": _cast, "Gather": _gather, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Reshape": _reshape, "Slice": _slice,
}  # fmt: skip


def can_compute(node: Node, inputs: list[Any]) -> bool:
    """Whether a node is computed here: all that goes in is on the host, and small."""
    return node.op in ON_HOST and all(
        x is None or (isinstance(x, np.ndarray) and x.size <= LARGEST) for x in inputs
    )
