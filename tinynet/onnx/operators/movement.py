"""Operators that move elements: shapes, axes, slices, padding, joining; and make constants."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import DTYPES, Array
from tinynet.ops import creation, joining
from tinynet.ops.arithmetic import where
from tinynet.tensor import Tensor


def ints(values: Any) -> tuple[int, ...]:
    """A 1-d array, or an attribute, as ints."""
    return tuple(int(n) for n in np.asarray(values).reshape(-1))


def axes_of(node: Node, given: Array | None, since: int) -> tuple[int, ...] | None:
    """Axes: an input from opset `since` on, an attribute before."""
    if node.opset < since:
        given = node.get("axes")
    return None if given is None else ints(given)


def reshape(node: Node, x: Tensor, shape: Array) -> Tensor:
    """0 keeps a size, unless `allowzero`."""
    sizes = ints(shape)
    if not node.get("allowzero", 0):
        sizes = tuple(x.shape[i] if n == 0 else n for i, n in enumerate(sizes))
    return x.reshape(sizes)


def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def squeeze(node: Node, x: Tensor, axes: Array | None = None) -> Tensor:
    given = axes_of(node, axes, 13)
    return x.squeeze() if given is None else x.squeeze(given)


def unsqueeze(node: Node, x: Tensor, axes: Array | None = None) -> Tensor:
    given = axes_of(node, axes, 13)
    assert given is not None
    ndim = x.ndim + len(given)
    for axis in sorted(axis % ndim for axis in given):
        x = x.unsqueeze(axis)
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", tuple(range(x.ndim))[::-1]))


def expand(node: Node, x: Tensor, shape: Array) -> Tensor:
    return x.expand(np.broadcast_shapes(x.shape, ints(shape)))


def tile(node: Node, x: Tensor, repeats: Array) -> Tensor:
    return x.tile(ints(repeats))


def concat(node: Node, *inputs: Tensor) -> Tensor:
    return joining.cat(inputs, node.get("axis", 1))


def split(node: Node, x: Tensor, sizes: Array | None = None) -> tuple[Tensor, ...]:
    """Into pieces of the sizes given, else into as many as are asked for."""
    axis = node.get("axis", 0)
    given: Any = sizes if node.opset >= 13 else node.get("split")
    if given is not None:
        return tuple(x.split(list(ints(given)), axis))
    count = node.get("num_outputs", len(node.outputs))
    return tuple(x.split(-(-x.shape[axis] // count), axis))


def slice_(
    node: Node, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Tensor:
    if node.opset < 10:
        starts, ends, axes = (node.get(name) for name in ("starts", "ends", "axes"))
    first, last = ints(starts), ints(ends)
    where_ = range(len(first)) if axes is None else ints(axes)
    step = (1,) * len(first) if steps is None else ints(steps)
    for axis, i, j, k in zip(where_, first, last, step, strict=True):
        size = x.shape[axis]
        places = range(*slice(i, j, k).indices(size))
        if k > 0:
            x = x.narrow(axis, places.start, max(places.stop - places.start, 0))[
                (slice(None),) * (axis % x.ndim) + (slice(None, None, k),)
            ]
        else:
            flipped = x.flip(axis)
            turned = range(size - 1 - places.start, size - 1 - places.stop, -k)
            index = slice(turned.start, turned.start + len(turned) * -k, -k)
            x = flipped[(slice(None),) * (axis % x.ndim) + (index,)]
    return x


def pad(
    node: Node, x: Tensor, pads: Any = None, value: Any = None, axes: Array | None = None
) -> Tensor:
    """Before opset 11 all is in attributes; negative pads take away."""
    if node.opset < 11:
        pads, value = node.get("pads"), node.get("value", 0.0)
    widths = ints(pads)
    half = len(widths) // 2
    pairs = [(0, 0)] * x.ndim
    for axis, pair in zip(
        range(x.ndim) if axes is None else ints(axes),
        zip(widths[:half], widths[half:], strict=True),
        strict=True,
    ):
        pairs[axis] = pair
    mode = {"edge": "replicate", "wrap": "circular"}.get(node.get("mode", "constant"))
    mode = mode or node.get("mode", "constant")
    if mode == "constant":
        number = 0 if value is None else np.asarray(value).item()
        return functional.pad(x, [n for pair in pairs[::-1] for n in pair], value=number)
    return _taken(x, pairs, mode)


def _taken(x: Tensor, pairs: list[tuple[int, int]], mode: str) -> Tensor:
    """Padding by what is there, dim by dim, as a choice of indices."""
    modes: dict[str, Any] = {"replicate": "edge", "circular": "wrap", "reflect": "reflect"}
    for axis, (i, j) in enumerate(pairs):
        if i or j:
            places = np.arange(x.shape[axis])[max(-i, 0) : x.shape[axis] + min(j, 0)]
            places = np.pad(places, (max(i, 0), max(j, 0)), modes[mode])
            x = x.index_select(axis, creation.tensor(places.copy(), device=x.device))
    return x


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    size = node.attributes["blocksize"]
    rest = channels // size**2
    if node.get("mode", "DCR") == "DCR":
        parts = x.reshape(n, size, size, rest, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, rest, size, size, height, width).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, rest, height * size, width * size)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    size = node.attributes["blocksize"]
    parts = x.reshape(n, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if node.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.permute(order).reshape(n, channels * size**2, height // size, width // size)


def trilu(node: Node, x: Tensor, k: Array | None = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return x.triu(diagonal) if node.get("upper", 1) else x.tril(diagonal)


def reverse_sequence(node: Node, x: Tensor, lengths: Array) -> Tensor:
    """The first elements of each sequence in reverse order, the rest as they are."""
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    steps = np.arange(x.shape[time])[:, None]
    turned = np.where(steps < lengths, lengths - 1 - steps, steps)
    index = creation.tensor(turned, device=x.device)
    rows = x.movedim((time, batch), (0, 1))
    columns = creation.arange(rows.shape[1], device=x.device)
    return rows[index, columns].movedim((0, 1), (time, batch))


# constants
def eye_like(node: Node, x: Tensor) -> Any:
    dtype = DTYPES[node.attributes["dtype"]] if node.get("dtype") else x.dtype
    rows, columns = x.shape
    steps = creation.arange(columns, device=x.device)
    diagonal = creation.arange(rows, device=x.device).unsqueeze(1) + node.get("k", 0)
    return (steps == diagonal).to(dtype)


def one_hot(node: Node, index: Tensor, depth: Array, values: Tensor) -> Any:
    """Negative indices count from the end; those out of range are nowhere."""
    count, axis = int(np.asarray(depth).reshape(-1)[0]), node.get("axis", -1)
    axis += index.ndim + 1 if axis < 0 else 0
    places = index.long()
    places = where(places < 0, places + count, places).unsqueeze(axis)
    steps = creation.arange(count, device=index.device)
    hit = places == steps.reshape(-1, *(1,) * (index.ndim - axis))
    return where(hit, values[1], values[0])


def center_crop_pad(node: Node, x: Tensor, shape: Array) -> Tensor:
    """Cut or padded with zeros, as much on both sides."""
    axes = node.get("axes", tuple(range(x.ndim)))
    for axis, size in zip(axes, ints(shape), strict=True):
        gap = size - x.shape[axis]
        if gap < 0:
            x = x.narrow(axis, -gap // 2, size)
        elif gap:
            widths = [0] * (2 * x.ndim)
            place = 2 * (x.ndim - 1 - axis % x.ndim)
            widths[place : place + 2] = gap // 2, gap - gap // 2
            x = functional.pad(x, widths)
    return x


def shape_of(node: Node, x: Tensor) -> Array:
    return np.array(x.shape[slice(node.get("start"), node.get("end"))], np.int64)


def size_of(node: Node, x: Tensor) -> Array:
    return np.array(x.numel())


def constant_of_shape(node: Node, shape: Array) -> Array:
    value = node.get("value", np.zeros(1, np.float32))
    return np.full(ints(shape), value.reshape(-1)[0], value.dtype)


def range_(node: Node, start: Array, limit: Array, delta: Array) -> Array:
    count = max(int(np.ceil((limit - start) / delta)), 0)
    return (np.arange(count) * delta + start).astype(start.dtype)


def constant(node: Node) -> Array:
    """The value, under whichever of its names."""
    if any(node.get(name) is not None for name in ("value_string", "value_strings")) or not any(
        value is not None for value in node.attributes.values()
    ):
        node.refuse("holds strings or a sparse tensor")
    if node.get("value") is not None:
        return np.asarray(node.attributes["value"])
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        for key in (name, name + "s"):
            if node.get(key) is not None:
                return np.asarray(node.attributes[key], dtype)
    raise AssertionError(node)


OPERATORS: dict[str, Operator] = {
    "Reshape": Operator(reshape, 5, (1,)),
    "Flatten": Operator(flatten),
    "Squeeze": Operator(squeeze, 1, (1,)),
    "Unsqueeze": Operator(unsqueeze, 1, (1,)),
    "Transpose": Operator(transpose),
    "Expand": Operator(expand, 8, (1,)),
    "Tile": Operator(tile, 6, (1,)),
    "Concat": Operator(concat, 4),
    "Split": Operator(split, 2, (1,)),
    "Slice": Operator(slice_, 1, (1, 2, 3, 4)),
    "Pad": Operator(pad, 2, (1, 2, 3)),
    "DepthToSpace": Operator(depth_to_space),
    "SpaceToDepth": Operator(space_to_depth),
    "Trilu": Operator(trilu, 14, (1,)),
    "ReverseSequence": Operator(reverse_sequence, 10, (1,)),
    "EyeLike": Operator(eye_like, 9),
    "OneHot": Operator(one_hot, 9, (1,)),
    "CenterCropPad": Operator(center_crop_pad, 18, (1,)),
    "Shape": Operator(shape_of),
    "Size": Operator(size_of),
    "ConstantOfShape": Operator(constant_of_shape, 9, (0,)),
    "Range": Operator(range_, 11, (0, 1, 2)),
    "Constant": Operator(constant),
}
