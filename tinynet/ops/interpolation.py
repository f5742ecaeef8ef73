"""Resizing along one dim: by weights (one small matrix for each dim) or by picking elements.

An output element lies at a place of the input, between elements; `linear`, `cubic` and others say
with which weights its neighbours count. `nn.functional.interpolate` puts the dims together.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.operation import Op
from tinynet.dtype import int64
from tinynet.ops.arithmetic import eq
from tinynet.ops.linear import matmul
from tinynet.ops.movement import (
    basic_index,
    full_ranges,
    inverse_order,
    memory_order,
    permute_to,
    reshape_to,
)
from tinynet.ops.operands import cast_to

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Rows = tuple[tuple[float, ...], ...]  # for each output element the weights of the input's
Taps = dict[int, float]  # those that are not 0, by place


def weighted_along(x: Tensor, dim: int, rows: Rows) -> Tensor:
    """Each output element along `dim` is the sum of the input's times a row of weights."""
    return _multiplied(x, dim, type(x.detach())(rows, dtype=x.dtype, device=x.device))


def _multiplied(x: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """The product of `matrix` and every vector along `dim`; dims lie in memory as before."""

    def multiply(x: Tensor, dim: int) -> Tensor:
        before, size, behind = x.shape[:dim], x.shape[dim], x.shape[dim + 1 :]
        if prod(behind) == 1:
            y = matmul(reshape_to(x, (prod(before), size)), matrix.T)
        else:
            y = matmul(matrix, reshape_to(x, (prod(before), size, prod(behind))))
        return reshape_to(y, (*before, matrix.shape[0], *behind))

    return _in_memory_order(multiply, x, dim)


def _in_memory_order(function: Callable[[Tensor, int], Tensor], x: Tensor, dim: int) -> Tensor:
    """`function(x, dim)`, done where the dims are in their order in memory: it may reshape."""
    order = memory_order(x)
    if order == tuple(range(x.ndim)):
        return function(x, dim)
    return permute_to(function(permute_to(x, order), order.index(dim)), inverse_order(order))


class Selection(Op):
    """Elements along a dim. `params`: the dim, their places, and how many there are."""

    op = "index_select"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        dim, places, size = ctx.params
        backend = grad.backend
        rows = wrap(backend.arange(size, 0, 1, int64), int64, backend)
        is_taken = eq(reshape_to(rows, (size, 1)), places)
        return _multiplied(grad, dim, cast_to(is_taken, grad.dtype))  # a scatter would be slower


def selected_along(x: Tensor, dim: int, places: tuple[int, ...]) -> Tensor:
    """The elements along `dim` at ascending `places`."""
    size, count = x.shape[dim], len(places)
    step = places[1] - places[0] if count > 1 else 1
    if step and places == tuple(range(places[0], places[0] + step * count, step)):
        return _in_memory_order(lambda x, dim: _stepped(x, dim, places[0], step, count), x, dim)
    if size and count % size == 0 and places == tuple([i // (count // size) for i in range(count)]):
        return _in_memory_order(lambda x, dim: _repeated(x, dim, count // size), x, dim)
    return _in_memory_order(lambda x, dim: _taken(x, dim, places), x, dim)


def _stepped(x: Tensor, dim: int, start: int, step: int, count: int) -> Tensor:
    return _every(x, dim, start, step, count).clone()


def _every(x: Tensor, dim: int, start: int, step: int, count: int) -> Tensor:
    """A view of elements `step` apart along `dim`."""
    ranges = full_ranges(x.shape)
    ranges[dim] = (start, step, count)
    return basic_index(x, tuple(ranges), (*x.shape[:dim], count, *x.shape[dim + 1 :]))


class Repeat(Op):
    """Each element along a dim several times in a row. `params`: the dim and how often."""

    op = "repeat"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        dim, times = ctx.params
        count = grad.shape[dim] // times
        total = _every(grad, dim, 0, times, count)
        for i in range(1, times):  # NumPy is slow to sum over a short last dim
            total = total + _every(grad, dim, i, times, count)
        return total


def _repeated(x: Tensor, dim: int, times: int) -> Tensor:
    backend = x.backend
    shape = (*x.shape[:dim], x.shape[dim] * times, *x.shape[dim + 1 :])
    array = backend.full(shape, 0, x.dtype)
    ranges = full_ranges(shape)
    for i in range(times):
        ranges[dim] = (i, times, x.shape[dim])
        backend.assign(backend.slice(array, tuple(ranges)), x.array)
    return result(Repeat, array, x.dtype, (x,), (), (dim, times))


def _taken(x: Tensor, dim: int, places: tuple[int, ...]) -> Tensor:
    index: Tensor = type(x.detach())(list(places), dtype=int64, device=x.device)
    indices = (*(None,) * dim, index.array, *(None,) * (x.ndim - dim - 1))
    array = x.backend.copy(x.backend.take(x.array, indices))  # NumPy's has `dim` first in memory
    return result(Selection, array, x.dtype, (x,), (), (dim, index, x.shape[dim]))


# Where output elements lie, and the weights of the input's; `scale` is the input's size over the
# output's, or what a user says it is.
def scale_between(size: int, count: int, factor: float | None, align_corners: bool) -> float:
    """Input elements from one output element to the next."""
    if align_corners:
        return (size - 1) / (count - 1) if count > 1 else 0.0
    return 1.0 / factor if factor is not None and factor > 0 else size / count


def nearest(size: int, count: int, factor: float | None, offset: float) -> tuple[int, ...]:
    """Places of the elements to pick: `floor((i + offset) * scale)`, in float32 as PyTorch's."""
    if offset == 0.0 and count in (size, 2 * size):  # whatever the factor is
        return tuple([i * size // count for i in range(count)])
    scale = _as_float32(scale_between(size, count, factor, False))
    return tuple([min(int(_as_float32((i + offset) * scale)), size - 1) for i in range(count)])


@lru_cache(maxsize=32)
def linear(size: int, count: int, factor: float | None, align_corners: bool) -> Rows:
    """The two neighbours, by their distance; at the ends the last element alone."""
    scale = scale_between(size, count, factor, align_corners)

    def taps(i: int) -> Taps:
        if size == count:
            return {i: 1.0}
        place = scale * i if align_corners else max(scale * (i + 0.5) - 0.5, 0.0)
        first = min(int(place), size - 1)
        share = min(place - first, 1.0)
        if first == size - 1:
            return {first: 1.0}
        return {first: 1.0 - share, first + 1: share}

    return _as_rows(size, count, taps)


@lru_cache(maxsize=32)
def cubic(size: int, count: int, factor: float | None, align_corners: bool) -> Rows:
    """Four neighbours (Keys 1981, with a = -0.75); beyond the ends the last element repeats."""
    scale = scale_between(size, count, factor, align_corners)

    def taps(i: int) -> Taps:
        place = scale * i if align_corners else scale * (i + 0.5) - 0.5
        first = math.floor(place)
        weights: Taps = {}
        for j in range(first - 1, first + 3):
            at = min(max(j, 0), size - 1)
            weights[at] = weights.get(at, 0.0) + _cubic_weight(place - j, -0.75)
        return weights

    return _as_rows(size, count, taps)


@lru_cache(maxsize=32)
def antialiased(
    size: int, count: int, factor: float | None, align_corners: bool, mode: str
) -> Rows:
    """A filter as wide as the distance of output elements, or of input elements if that is more."""
    scale = scale_between(size, count, factor, align_corners)
    radius, weight_of = FILTERS[mode]
    stretch = max(scale, 1.0)
    reach = radius * stretch

    def taps(i: int) -> Taps:
        centre = scale * (i + 0.5)
        start = max(int(centre - reach + 0.5), 0)
        stop = min(int(centre + reach + 0.5), size)
        weights = {j: weight_of((j - centre + 0.5) / stretch) for j in range(start, stop)}
        total = sum(weights.values())
        return {j: weight / total if total else weight for j, weight in weights.items()}

    return _as_rows(size, count, taps)


def _as_rows(size: int, count: int, taps: Callable[[int], Taps]) -> Rows:
    rows = []
    for i in range(count):
        row = [0.0] * size
        for place, weight in taps(i).items():
            row[place] = weight
        rows.append(tuple(row))
    return tuple(rows)


def _as_float32(value: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def _cubic_weight(distance: float, a: float) -> float:
    x = abs(distance)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((x - 5) * x + 8) * x * a - 4 * a if x < 2 else 0.0


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


FILTERS: dict[str, tuple[int, Callable[[float], float]]] = {  # how far each reaches, and its curve
    "bilinear": (1, lambda x: max(1.0 - abs(x), 0.0)),
    "bicubic": (2, lambda x: _cubic_weight(x, -0.5)),
    "lanczos": (3, lambda x: _sinc(x) * _sinc(x / 3) if abs(x) < 3 else 0.0),
}
