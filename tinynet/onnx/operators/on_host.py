"""What decides shapes, computed in NumPy: `Shape`, and all that is made of constants.

Shapes, axes and slices must be known before anything is computed with them; on the host they are,
also while `tinynet.jit` records.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
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
    """Of integers toward 0: what is left over is taken away first."""
    if b.dtype.kind not in "iu":
        return np.asarray(a / b)
    _check_divisor(node, b)
    return np.asarray((a - np.fmod(a, b)) // b)


def _mod(node: Node, a: Array, b: Array) -> Array:
    if b.dtype.kind in "iu":
        _check_divisor(node, b)
    return np.asarray((np.fmod if node.flag("fmod", 0) else np.mod)(a, b))


def _check_divisor(node: Node, b: Array) -> None:
    if not b.all():
        node.malformed(f"divides integers by {b.tolist()}, expected no 0 among them")


def _where(node: Node, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


# NumPy's functions would write into an operand too many: so it is said how many there are
def _unary(function: Callable[[Array], Any]) -> Callable[..., Array]:
    return lambda node, x: np.asarray(function(x))


def _binary(function: Callable[[Array, Array], Any]) -> Callable[..., Array]:
    return lambda node, a, b: np.asarray(function(a, b))


def _folded(function: Callable[[Array, Array], Any]) -> Callable[..., Array]:
    return lambda node, *inputs: np.asarray(reduce(function, inputs))


ON_HOST: dict[str, Callable[..., Array]] = {
    "Add": _binary(np.add), "Sub": _binary(np.subtract), "Mul": _binary(np.multiply),
    "Div": _div, "Mod": _mod, "Max": _folded(np.maximum), "Min": _folded(np.minimum),
    "Equal": _binary(np.equal), "Less": _binary(np.less), "Greater": _binary(np.greater),
    "And": _binary(np.logical_and), "Or": _binary(np.logical_or), "Not": _unary(np.logical_not),
    "Floor": _unary(np.floor), "Ceil": _unary(np.ceil), "Neg": _unary(np.negative),
    "Sqrt": _unary(np.sqrt), "Identity": _unary(lambda x: x),
    "Where": _where,
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
