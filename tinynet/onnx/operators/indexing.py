"""Operators that pick elements by index, and put them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.dtype import int64
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import Array
from tinynet.ops import creation
from tinynet.ops.arithmetic import where
from tinynet.tensor import Tensor

COMBINE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def wrapped(index: Tensor, size: int) -> Any:
    """Negative indices count from the end."""
    index = index.long()
    return where(index < 0, index + size, index)


def gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.axis(x.ndim, node.get("axis", 0))
    y = x[(slice(None),) * axis + (index.long().reshape(index.shape or (1,)),)]
    return y if index.shape else y.squeeze(axis)


def gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.axis(x.ndim, node.get("axis", 0))
    return x.gather(axis, wrapped(index, x.shape[axis]))


def gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    """Rows of `index` are places in `x`, behind `batch_dims` dims that both have.

    An empty row is the place of all there is.
    """
    batch = node.get("batch_dims", 0)
    y = x[(*_batch_grid(x, index, batch), *index.long().unbind(-1))]
    return y if index.shape[-1] else y.expand(*index.shape[:-1], *x.shape[batch:])


def _batch_grid(x: Tensor, index: Tensor, batch: int) -> list[Tensor]:
    """For each batch dim its positions, broadcast with rows of `index`."""
    ndim = index.ndim - 1
    return [
        creation.arange(x.shape[dim], device=x.device).reshape(-1, *(1,) * (ndim - dim - 1))
        for dim in range(batch)
    ]


def scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    axis = node.axis(x.ndim, node.get("axis", 0))
    places = wrapped(index, x.shape[axis])
    mode = node.choice("reduction", "none", *COMBINE)
    if mode == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, COMBINE[mode])


def scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """As indices of elements of `x`, laid flat: so that all ways to combine are there."""
    depth = index.shape[-1]
    width = int(np.prod(x.shape[depth:]))
    flat: Any = creation.zeros(index.shape[:-1], dtype=int64, device=x.device)
    for dim, places in enumerate(index.long().unbind(-1)):
        flat = flat * x.shape[dim] + wrapped(places, x.shape[dim])
    steps = creation.arange(width, device=x.device)
    places = (flat.reshape(-1, 1) * width + steps).reshape(-1)
    mode = node.choice("reduction", "none", *COMBINE)
    rows, values = x.reshape(-1), updates.reshape(-1)
    if mode == "none":
        y = rows.scatter(0, places, values)
    else:
        y = rows.scatter_reduce(0, places, values, COMBINE[mode])
    return y.reshape(x.shape)


def compress(node: Node, x: Tensor, condition: Array) -> Tensor:
    """Those along an axis (of all elements, without one) where `condition` holds."""
    axis = node.get("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = node.axis(x.ndim, axis)
    kept = np.flatnonzero(condition.reshape(-1)[: x.shape[axis]])
    return x.index_select(axis, creation.tensor(kept, device=x.device))


def non_zero(node: Node, x: Tensor) -> Any:
    return x.nonzero().mT if x.ndim else x.reshape(1).nonzero()[:, :0].mT


def tensor_scatter(
    node: Node, past: Tensor, update: Tensor, starts: Tensor | None = None
) -> Tensor:
    """A cache with `update` written from `starts` on, for each example; round the end, if asked."""
    axis = node.axis(past.ndim, node.get("axis", -2))
    size, count = past.shape[axis], update.shape[axis]
    steps = creation.arange(count, device=past.device).reshape(-1, *(1,) * (past.ndim - axis - 1))
    if starts is not None:
        steps = steps + starts.long().reshape(-1, *(1,) * (past.ndim - 1))
    if node.choice("mode", "linear", "circular") == "circular":
        steps = steps % size
    return past.scatter(axis, steps.expand(update.shape), update)


def unique(node: Node, x: Tensor) -> tuple[Tensor, ...]:
    """Values decide the shape, so NumPy finds them."""
    axis = node.get("axis")
    axis = None if axis is None else node.axis(x.ndim, axis)
    array = x.numpy(force=True)
    y, first, inverse, counts = np.unique(array, True, True, True, axis=axis)
    if not node.flag("sorted", 1):
        order = np.argsort(first)
        rank = np.argsort(order)
        y = np.take(y, order, axis or 0)
        first, counts, inverse = first[order], counts[order], rank[inverse.reshape(-1)]
    parts = (y, first, inverse.reshape(-1), counts)
    return tuple(creation.tensor(part, device=x.device) for part in parts)


OPERATORS: dict[str, Operator] = {
    "Gather": Operator(gather),
    "GatherElements": Operator(gather_elements, 11),
    "GatherND": Operator(gather_nd, 11),
    "Scatter": Operator(scatter_elements, 9),
    "ScatterElements": Operator(scatter_elements, 11),
    "ScatterND": Operator(scatter_nd, 11),
    "TensorScatter": Operator(tensor_scatter, 24),
    "Compress": Operator(compress, 9, (1,)),
    "NonZero": Operator(non_zero, 9),
    "Unique": Operator(unique, 11),
}
