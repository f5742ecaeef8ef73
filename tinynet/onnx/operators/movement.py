"""Operators that move elements: shapes, axes, slices, padding, joining; and make constants."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import Array, dtype_of
from tinynet.ops import creation, joining
from tinynet.ops.arithmetic import where
from tinynet.shape import broadcast, check_sizes
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
    return x.reshape(sizes_of(node, x.shape, shape))


def sizes_of(node: Node, old: tuple[int, ...], shape: Array) -> tuple[int, ...]:
    """A shape to come, with those of its sizes that are kept filled in."""
    sizes = ints(shape)
    if node.flag("allowzero", 0):
        return sizes
    if 0 in sizes[len(old) :]:
        node.malformed(f"keeps a size that {old} does not have, in {sizes}")
    return tuple(old[i] if n == 0 else n for i, n in enumerate(sizes))


def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = x.ndim if axis == x.ndim else node.axis(x.ndim, axis)
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
    return x.expand(broadcast(f"onnx: {node}", x.shape, ints(shape)))


def tile(node: Node, x: Tensor, repeats: Array) -> Tensor:
    return x.tile(ints(repeats))


def concat(node: Node, *inputs: Tensor) -> Tensor:
    return joining.cat(inputs, node.get("axis", 1))


def split(node: Node, x: Tensor, sizes: Array | None = None) -> tuple[Tensor, ...]:
    """Into pieces of the sizes given, else into as many as are asked for."""
    axis = node.axis(x.ndim, node.get("axis", 0))
    given: Any = sizes if node.opset >= 13 else node.get("split")
    if given is not None:
        if len(ints(given)) != len(node.outputs):
            node.malformed(f"has sizes {ints(given)} for {len(node.outputs)} outputs")
        return tuple(x.split(list(ints(given)), axis))
    count = node.get("num_outputs", len(node.outputs))
    if count != len(node.outputs):
        node.malformed(f"has num_outputs {count} and {len(node.outputs)} outputs")
    return tuple(x.split(-(-x.shape[axis] // count), axis))


def slice_(
    node: Node, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Tensor:
    for axis, i, j, k in slices_of(node, x.ndim, starts, ends, axes, steps):
        size = x.shape[axis]
        places = range(*slice(i, j, k).indices(size))
        if k > 0:
            x = x.narrow(axis, places.start, max(places.stop - places.start, 0))[
                (slice(None),) * axis + (slice(None, None, k),)
            ]
        else:
            flipped = x.flip(axis)
            turned = range(size - 1 - places.start, size - 1 - places.stop, -k)
            index = slice(turned.start, turned.start + len(turned) * -k, -k)
            x = flipped[(slice(None),) * axis + (index,)]
    return x


def slices_of(
    node: Node, ndim: int, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> list[tuple[int, int, int, int]]:
    """Axis, start, end and step of each slice; before opset 10 these are attributes."""
    if node.opset < 10:
        starts, ends, axes = (node.get(name) for name in ("starts", "ends", "axes"))
    first, last = ints(starts), ints(ends)
    dims = tuple(range(len(first))) if axes is None else ints(axes)
    step = (1,) * len(first) if steps is None else ints(steps)
    if not len(first) == len(last) == len(dims) == len(step) or 0 in step:
        node.malformed(f"has starts {first}, ends {last}, axes {dims} and steps {step}")
    return [(node.axis(ndim, a), i, j, k) for a, i, j, k in zip(dims, first, last, step)]


def pad(
    node: Node, x: Tensor, pads: Any = None, value: Any = None, axes: Array | None = None
) -> Tensor:
    """Before opset 11 all is in attributes; negative pads take away."""
    if node.opset < 11:
        pads, value = node.get("pads"), node.get("value", 0.0)
    widths = ints(pads)
    dims = tuple(range(x.ndim)) if axes is None else ints(axes)
    half = len(dims)
    if len(widths) != 2 * half:
        node.malformed(f"has pads {widths}, expected {2 * half}")
    pairs = [(0, 0)] * x.ndim
    for axis, i, j in zip(dims, widths[:half], widths[half:], strict=True):
        pairs[node.axis(x.ndim, axis)] = i, j
    mode = node.choice("mode", "constant", "edge", "reflect", "wrap")
    if mode == "constant":
        number = 0 if value is None else node.number("constant_value", value).item()
        return functional.pad(x, [n for pair in pairs[::-1] for n in pair], value=number)
    return _taken(x, pairs, mode)


def _taken(x: Tensor, pairs: list[tuple[int, int]], mode: Any) -> Tensor:
    """Padding by what is there, dim by dim, as a choice of indices."""
    for axis, (i, j) in enumerate(pairs):
        if i or j:
            places = np.arange(x.shape[axis])[max(-i, 0) : x.shape[axis] + min(j, 0)]
            places = np.pad(places, (max(i, 0), max(j, 0)), mode)
            x = x.index_select(axis, creation.tensor(places.copy(), device=x.device))
    return x


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    size = node.need("blocksize")
    rest = channels // size**2
    if node.choice("mode", "DCR", "CRD") == "DCR":
        parts = x.reshape(n, size, size, rest, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, rest, size, size, height, width).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, rest, height * size, width * size)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, channels, height, width = x.shape
    size = node.need("blocksize")
    parts = x.reshape(n, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if node.choice("mode", "DCR", "CRD") == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.permute(order).reshape(n, channels * size**2, height // size, width // size)


def trilu(node: Node, x: Tensor, k: Array | None = None) -> Tensor:
    diagonal = 0 if k is None else int(node.number("k", k))
    return x.triu(diagonal) if node.flag("upper", 1) else x.tril(diagonal)


def reverse_sequence(node: Node, x: Tensor, lengths: Array) -> Tensor:
    """The first elements of each sequence in reverse order, the rest as they are."""
    time = node.axis(min(x.ndim, 2), node.get("time_axis", 0))
    batch = node.axis(min(x.ndim, 2), node.get("batch_axis", 1))
    if lengths.shape != (x.shape[batch],) or time == batch:
        node.malformed(f"has sequence_lens of shape {lengths.shape} for {x.shape}")
    steps = np.arange(x.shape[time])[:, None]
    turned = np.where(steps < lengths, lengths - 1 - steps, steps)
    index = creation.tensor(turned, device=x.device)
    rows = x.movedim((time, batch), (0, 1))
    columns = creation.arange(rows.shape[1], device=x.device)
    return rows[index, columns].movedim((0, 1), (time, batch))


# constants
def eye_like(node: Node, x: Tensor) -> Any:
    kind = node.get("dtype")
    dtype = dtype_of(f"onnx: {node}", kind) if kind else x.dtype
    rows, columns = x.shape
    steps = creation.arange(columns, device=x.device)
    diagonal = creation.arange(rows, device=x.device).unsqueeze(1) + node.get("k", 0)
    return (steps == diagonal).to(dtype)


def one_hot(node: Node, index: Tensor, depth: Array, values: Tensor) -> Any:
    """Negative indices count from the end; those out of range are nowhere."""
    count = int(node.number("depth", depth))
    axis = node.axis(index.ndim + 1, node.get("axis", -1))
    places = index.long()
    places = where(places < 0, places + count, places).unsqueeze(axis)
    steps = creation.arange(count, device=index.device)
    hit = places == steps.reshape(-1, *(1,) * (index.ndim - axis))
    return where(hit, values[1], values[0])


def center_crop_pad(node: Node, x: Tensor, shape: Array) -> Tensor:
    """Cut or padded with zeros, as much on both sides."""
    axes = node.get("axes", tuple(range(x.ndim)))
    if len(ints(shape)) != len(axes):
        node.malformed(f"has shape {ints(shape)} for axes {axes}")
    for axis, size in zip([node.axis(x.ndim, axis) for axis in axes], ints(shape), strict=True):
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
    sizes = check_sizes(f"onnx: {node}", ints(shape))
    return np.full(sizes, node.number("value", value), value.dtype)


def range_(node: Node, start: Array, limit: Array, delta: Array) -> Array:
    start, limit, delta = (
        node.number(name, x) for name, x in (("start", start), ("limit", limit), ("delta", delta))
    )
    if not delta:
        node.malformed("has delta 0")
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
