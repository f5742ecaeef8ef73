"""For each of the backend's primitives the ONNX nodes that do the same: `LOWERINGS`.

A function gets the builder and the call in both traces, and returns the names of the results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backends.base import Range
from tinynet.dtype import BY_NAME
from tinynet.onnx.building import Builder, Size
from tinynet.onnx.elementwise import LARGEST, elementwise, number
from tinynet.onnx.protobuf import ELEMENT_TYPES, Array
from tinynet.onnx.tracing import Call
from tinynet.shape import Shape

Lowering = Callable[[Builder, Call, Call], Any]


# creation
def full(b: Builder, call: Call, other: Call) -> str:
    value = call.args[1]
    kind = b.dtype(call.outs[0])
    return str(b.node("Expand", number(b, value, kind), b.vector(b.shape(call.outs[0]))))


def arange(b: Builder, call: Call, other: Call) -> str:
    """From 0 in steps of 1 as integers, then as asked."""
    _, start, step, _ = call.args
    if (start, step) != other.args[1:3]:
        b.refuse("counts from or in steps of a dynamic size")
    count = b.node("Squeeze", b.length(b.shape(call.outs[0])[0]), b.ints(0))
    zero, one = (b.constant(np.int64(n)) for n in (0, 1))
    steps = b.node("Range", zero, count, one)
    kind = b.dtype(call.outs[0])
    if kind != np.int64:
        steps = b.node("Cast", steps, to=element_type(b, call.outs[0]))
    if step != 1:
        steps = b.node("Mul", steps, number(b, step, kind))
    return str(b.node("Add", steps, number(b, start, kind)) if start else steps)


def element_type(b: Builder, ref: int) -> int:
    """`TensorProto.DataType` of a value."""
    return ELEMENT_TYPES[BY_NAME[b.dtype(ref).name]]


def cast(b: Builder, call: Call, other: Call) -> str:
    return str(b.node("Cast", b.name_of(call.args[0]), to=element_type(b, call.outs[0])))


def same(b: Builder, call: Call, other: Call) -> str:
    return b.name_of(call.args[0])


# reduction
def reduce(b: Builder, call: Call, other: Call) -> str:
    op, x, dims, keepdim = call.args
    if not dims:
        return b.name_of(x)
    name, is_bool = b.name_of(x), op in ("any", "all")
    op = {"any": "max", "all": "min"}.get(op, op)
    if b.dtype(x) == np.bool_:
        name = b.node("Cast", name, to=6)
    y = _reduced(b, op, name, dims, keepdim)
    return str(b.node("Cast", y, to=9) if b.dtype(x) == np.bool_ or is_bool else y)


def _reduced(b: Builder, op: str, name: str, dims: Any, keepdim: bool) -> str:
    kind = "Reduce" + op.title()
    if op == "sum" or b.opset >= 18:
        return str(b.node(kind, name, b.ints(*dims), keepdims=int(keepdim)))
    return str(b.node(kind, name, axes=list(dims), keepdims=int(keepdim)))


def arg_reduce(b: Builder, call: Call, other: Call) -> str:
    op, x, dim, keepdim = call.args
    return str(b.node("Arg" + op.title(), b.name_of(x), axis=dim, keepdims=int(keepdim)))


def scan(b: Builder, call: Call, other: Call) -> str:
    op, x, dim = call.args
    if op != "sum":
        b.refuse(f"computes a running {op}, which has no counterpart in ONNX")
    return str(b.node("CumSum", b.name_of(x), b.constant(np.int64(dim))))


def argsort(b: Builder, call: Call, other: Call) -> str:
    x, dim, descending = call.args
    count = b.length(b.shape(x)[dim])
    names = b.node("TopK", b.name_of(x), count, outputs=2, axis=dim, largest=int(descending))
    return str(names[1])


def matmul(b: Builder, call: Call, other: Call) -> str:
    return str(b.node("MatMul", b.name_of(call.args[0]), b.name_of(call.args[1])))


# windows
def _geometry(b: Builder, windows: Any, other: Any) -> dict[str, Any]:
    """Attributes; padding behind is that before, where it gives as many windows."""
    behind = []
    for each in (windows, other):
        found = []
        for n, o, k, s, p, d, q in zip(*each, each.behind, strict=True):
            is_even = (n + 2 * p - d * (k - 1) - 1) // s + 1 == o
            found.append(p if is_even else max(q, 0))
        behind.append(found)
    if behind[0] != behind[1]:
        b.refuse("pads by how much depends on a dynamic size")
    return {
        "kernel_shape": list(windows.kernel),
        "strides": list(windows.stride),
        "pads": [*windows.padding, *behind[0]],
        "dilations": list(windows.dilation),
    }


def convolve(b: Builder, call: Call, other: Call) -> str:
    x, weight, windows, groups = call.args
    shape = _geometry(b, windows, other.args[2])
    return str(b.node("Conv", b.name_of(x), b.name_of(weight), **shape, group=groups))


def convolve_input(b: Builder, call: Call, other: Call) -> str:
    """The transpose; `output_padding` is what windows leave of the input."""
    y, weight, windows, groups = call.args
    windows_b = other.args[2]
    extra, extra_b = (
        [max(-(q - p), 0) for q, p in zip(w.behind, w.padding, strict=True)]
        for w in (windows, windows_b)
    )
    pads = [max(q, 0) for q in windows.behind]
    even = [p if e else q for p, q, e in zip(windows.padding, pads, extra, strict=True)]
    if extra != extra_b:
        b.refuse("pads by how much depends on a dynamic size")
    return str(
        b.node(
            "ConvTranspose",
            b.name_of(y),
            b.name_of(weight),
            kernel_shape=list(windows.kernel),
            strides=list(windows.stride),
            pads=[*windows.padding, *even],
            dilations=list(windows.dilation),
            output_padding=extra,
            group=groups,
        )
    )


def pool_max(b: Builder, call: Call, other: Call) -> list[str]:
    x, windows = call.args
    if call.outs[1] in b.needed:
        b.refuse("uses the indices of a max pool (return_indices), which ONNX counts otherwise")
    return [b.node("MaxPool", b.name_of(x), **_geometry(b, windows, other.args[1])), ""]


# movement
def reshape(b: Builder, call: Call, other: Call) -> str:
    """One size that is not known is -1; sizes that stay are 0, which keeps them."""
    x, name = call.args[0], b.name_of(call.args[0])
    goal, source = b.shape(call.outs[0]), b.shape(x)
    if goal == source:
        return name
    free = [i for i, n in enumerate(goal) if isinstance(n, Size)]
    if len(free) > 1:
        kept = [i for i in free if i < len(source) and goal[i] == source[i]]
        goal = [0 if i in kept[: len(free) - 1] else n for i, n in enumerate(goal)]
        free = [i for i, n in enumerate(goal) if isinstance(n, Size)]
    if len(free) == 1:
        goal = [-1 if i == free[0] else n for i, n in enumerate(goal)]
    return str(b.node("Reshape", name, b.vector(goal)))


def permute(b: Builder, call: Call, other: Call) -> str:
    x, dims = call.args
    if tuple(dims) == tuple(range(len(dims))):
        return b.name_of(x)
    return str(b.node("Transpose", b.name_of(x), perm=list(dims)))


def expand(b: Builder, call: Call, other: Call) -> str:
    """Sizes that are there already are 1, which broadcasts to them."""
    x = call.args[0]
    goal, source = b.shape(call.outs[0]), b.shape(x)
    added = len(goal) - len(source)
    sizes: list[int | Size] = [
        1 if i >= added and n == source[i - added] else n for i, n in enumerate(goal)
    ]
    if all(n == 1 for n in sizes) and not added:
        return b.name_of(x)
    return str(b.node("Expand", b.name_of(x), b.vector(sizes)))


def slice_(b: Builder, call: Call, other: Call) -> str:
    x = call.args[0]
    shapes = [t.values[x].array.shape for t in (b.first, b.second)]
    starts, axes, steps = [], [], []
    ends: list[int | Size] = []
    rows = zip(call.args[1], other.args[1], *shapes, strict=True)
    for axis, (range_, range_b, n, m) in enumerate(rows):
        if range_ == (0, 1, n) and range_b == (0, 1, m):
            continue
        first, last = _limits(range_, n), _limits(range_b, m)
        common = [pair for pair in first if pair in last]
        start, end = common[0] if common else _dynamic_limits(b, range_, range_b)
        if range_[1] != range_b[1]:
            b.refuse("cuts a slice whose steps depend on a dynamic size")
        starts.append(start)
        ends.append(end)
        axes.append(axis)
        steps.append(range_[1])
    if not axes:
        return b.name_of(x)
    return str(
        b.node(
            "Slice", b.name_of(x), b.ints(*starts), b.vector(ends), b.ints(*axes), b.ints(*steps)
        )
    )


def _limits(range_: Range, size: int) -> list[tuple[int, int]]:
    """All ways to say where a slice starts and ends: from the front, from the end, to the end."""
    start, step, count = range_
    stop = start + step * count
    if step < 0:
        ends = [stop] if stop >= 0 else [-LARGEST]
        return [(first, end) for first in (start, start - size) for end in ends]
    ends = [LARGEST, stop] if stop >= size else [stop, stop - size]
    if not count:
        return [(0, 0)]
    return [(first, end) for first in (start, start - size) for end in ends]


def _dynamic_limits(b: Builder, range_: Any, other: Any) -> tuple[int, int | Size]:
    """Of a slice that ends at a free size."""
    (start, step, count), (start_b, step_b, count_b) = range_, other
    if start != start_b or step < 0:
        b.refuse("cuts a slice whose limits depend on a dynamic size")
    return start, b.size(start + step * count, start_b + step_b * count_b)


def strided(b: Builder, call: Call, other: Call) -> str:
    """By the places of its elements in what it views, laid out row by row."""
    x = call.args[0]
    places = []
    for trace, (_, shape, strides, offset) in ((b.first, call.args), (b.second, other.args)):
        array = trace.values[x].array
        own = _addresses(array.shape, trace.backend.strides(array))
        asked = _addresses(shape, strides) + offset
        start = own.min(initial=0)
        table = np.zeros(own.max(initial=0) - start + 1, np.int64)
        table[own - start] = np.arange(array.size).reshape(array.shape)
        places.append(table[asked - start])
    if places[0].shape != places[1].shape or (places[0] != places[1]).any():
        b.refuse("views memory by strides that depend on a dynamic size")
    flat = b.node("Reshape", b.name_of(x), b.ints(-1))
    return str(b.node("Gather", flat, b.constant(places[0]), axis=0))


def _addresses(shape: Shape, strides: Shape) -> Array:
    """How far in memory each element of a view is from its first."""
    places: Array = np.zeros(shape, np.int64)
    for dim, (n, step) in enumerate(zip(shape, strides, strict=True)):
        places = places + np.arange(n).reshape(-1, *(1,) * (len(shape) - dim - 1)) * step
    return places


def concatenate(b: Builder, call: Call, other: Call) -> str:
    arrays, dim = call.args
    return str(b.node("Concat", *[b.name_of(x) for x in arrays], axis=dim))


# indexing
def take(b: Builder, call: Call, other: Call) -> str:
    """Along one dim, or at places along several that are next to each other."""
    x, indices = call.args
    dims = [i for i, index in enumerate(indices) if index is not None]
    if len(dims) == 1:
        index = b.name_of(indices[dims[0]])
        return str(b.node("Gather", b.name_of(x), index, axis=dims[0]))
    if dims != [*range(len(dims))]:
        b.refuse("indexes dims that are not the first ones together")
    return str(b.node("GatherND", b.name_of(x), _places(b, indices[: len(dims)])))


def _places(b: Builder, indices: Any) -> str:
    """Index arrays, broadcast, as rows of coordinates."""
    shape = (
        b.node("Shape", b.node("Add", *[b.name_of(i) for i in indices[:2]]))
        if len(indices) > 1
        else ""
    )
    for index in indices[2:]:
        shape = b.node("Shape", b.node("Expand", b.name_of(index), shape))
    parts = []
    for index in indices:
        name = b.node("Expand", b.name_of(index), shape) if shape else b.name_of(index)
        parts.append(b.node("Unsqueeze", name, b.ints(-1)))
    return parts[0] if len(parts) == 1 else str(b.node("Concat", *parts, axis=-1))


def put(b: Builder, call: Call, other: Call) -> str:
    x, indices, values, mode = call.args
    dims = [i for i, index in enumerate(indices) if index is not None]
    if dims != [*range(len(dims))] or (mode != "set" and b.opset < 18):
        b.refuse("writes by an index that ONNX has no counterpart for")
    places = _places(b, indices[: len(dims)])
    shape = [*_broadcast_shape(b, indices[: len(dims)]), *b.shape(x)[len(dims) :]]
    source = b.node("Expand", b.name_of(values), b.vector(shape))
    reduction = {"set": "none"}.get(mode, mode)
    return str(b.node("ScatterND", b.name_of(x), places, source, reduction=reduction))


def _broadcast_shape(b: Builder, indices: Any) -> list[int | Size]:
    shapes = [
        np.broadcast_shapes(*[t.values[i].array.shape for i in indices])
        for t in (b.first, b.second)
    ]
    return b.sizes(*shapes)


def assign(b: Builder, call: Call, other: Call) -> str:
    """The source, cast and broadcast to what it is written into."""
    source, target = call.args[0], call.outs[0]
    name = b.name_of(source)
    if b.dtype(source) != b.dtype(target):
        name = b.node("Cast", name, to=element_type(b, target))
    if b.shape(source) != b.shape(target):
        name = b.node("Expand", name, b.vector(b.shape(target)))
    return str(name)


def put_slice(b: Builder, call: Call, other: Call) -> str:
    """A slice of something replaced: by padding, where the rest is one number."""
    before, value, ranges = call.args
    blank = [t.values[before].constant for t in (b.first, b.second)]
    shapes = [t.values[before].array.shape for t in (b.first, b.second)]
    is_blank = all(x is not None and x.size and (x == x.flat[0]).all() for x in blank)
    if is_blank and all(step == 1 for _, step, _ in ranges):
        pads = []
        for shape, place in ((shapes[0], ranges), (shapes[1], other.args[2])):
            after = [n - s - c for n, (s, _, c) in zip(shape, place, strict=True)]
            pads.append([*[s for s, _, _ in place], *after])
        if pads[0] == pads[1]:
            number = b.constant(blank[0].flat[0])
            return str(b.node("Pad", b.name_of(value), b.ints(*pads[0]), number))
    return _put_where(b, call, other)


def _put_where(b: Builder, call: Call, other: Call) -> str:
    """The value, laid out as the whole is, where a mask says so."""
    before, value, ranges = call.args
    shapes = [t.values[before].array.shape for t in (b.first, b.second)]
    rows = [*zip(*shapes, ranges, other.args[2], strict=True)]
    mask = np.ones([1] * len(rows), np.bool_)
    name = b.name_of(value)
    for dim, (n, m, range_, range_b) in enumerate(rows):
        if range_ == (0, 1, n) and range_b == (0, 1, m):
            continue
        if n != m or range_ != range_b:
            b.refuse("writes into a slice whose limits depend on a dynamic size")
        start, step, count = range_
        places = start + step * np.arange(count)
        index = np.zeros(n, np.int64)
        index[places] = np.arange(count)
        inside = np.isin(np.arange(n), places)
        mask = mask & inside.reshape(-1, *(1,) * (len(rows) - dim - 1))
        name = b.node("Gather", name, b.constant(index), axis=dim)
    return str(b.node("Where", b.constant(mask), name, b.name_of(before)))


def put_flat(b: Builder, call: Call, other: Call) -> str:
    before, value, places = call.args
    if places.shape != other.args[2].shape or (places != other.args[2]).any():
        b.refuse("writes into a part of something of a dynamic size")
    return _flat_put(b, before, value, places)


def _flat_put(b: Builder, before: int, value: int, places: Any) -> str:
    flat, source = (b.node("Reshape", b.name_of(x), b.ints(-1)) for x in (before, value))
    index = b.constant(places.reshape(-1, 1).astype(np.int64))
    y = b.node("ScatterND", flat, index, source)
    return str(b.node("Reshape", y, b.vector(b.shape(before))))


LOWERINGS: dict[str, Lowering] = {
    "elementwise": elementwise, "full": full, "arange": arange, "cast": cast, "copy": same,
    "reduce": reduce, "arg_reduce": arg_reduce, "scan": scan, "argsort": argsort,
    "matmul": matmul, "convolve": convolve, "convolve_input": convolve_input,
    "pool_max": pool_max, "reshape": reshape, "permute": permute, "expand": expand,
    "slice": slice_, "strided": strided, "concatenate": concatenate, "take": take, "put": put,
    "assign": assign, "put_slice": put_slice, "put_flat": put_flat,
}  # fmt: skip
