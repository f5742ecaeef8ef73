"""Resize and Upsample: each dim on its own, as a choice of elements or a product with weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.dtype import float32
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.operators.movement import ints
from tinynet.onnx.protobuf import Array
from tinynet.ops import creation
from tinynet.ops.interpolation import weighted_along
from tinynet.tensor import Tensor

NEAREST: dict[str, Callable[[float], float]] = {
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def resize(
    node: Node, x: Tensor, roi: Any = None, scales: Any = None, sizes: Array | None = None
) -> Tensor:
    """Opset 10 had the scales in the second place, and asymmetric coordinates.

    Where onnxruntime and PyTorch agree on more than ONNX says, it is as there: sizes and places are
    computed in float32, and what keeps its shape stays as it is.
    """
    if node.opset < 11:
        roi, scales = None, roi
    axes = [node.axis(x.ndim, axis) for axis in node.get("axes", range(x.ndim))]
    has_sizes = sizes is not None and sizes.size
    given = np.asarray(sizes if has_sizes else scales)
    if given.shape != (len(axes),) or not (given > 0).all():
        what = "sizes" if has_sizes else "scales"
        node.malformed(f"has {what} {given.tolist()}, expected {len(axes)} above 0")
    shape = [x.shape[axis] for axis in axes]
    if sizes is not None and sizes.size:
        goal, factors = _goal_of_sizes(node, shape, ints(sizes))
    else:
        factors = [float(scale) for scale in scales]
        goal = [int(np.float32(n) * np.float32(k)) for n, k in zip(shape, factors, strict=True)]
    if goal == shape:
        return x
    for axis, count, factor in zip(axes, goal, factors, strict=True):
        if factor != 1 or count != x.shape[axis]:
            x = _resized(node, x, axis, count, factor)
    return x


def _goal_of_sizes(
    node: Node, shape: list[int], sizes: tuple[int, ...]
) -> tuple[list[int], list[float]]:
    """Sizes and factors; with one factor for all, if the aspect ratio is to be kept."""
    factors = [size / n for size, n in zip(sizes, shape, strict=True)]
    policy = node.choice("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
    if policy == "stretch":
        return list(sizes), factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [math.floor(factor * n + 0.5) for n in shape], [factor] * len(shape)


def _resized(node: Node, x: Tensor, axis: int, count: int, factor: float) -> Tensor:
    mode = node.choice("mode", "nearest", "linear", "cubic")
    size = x.shape[axis]
    places = [place_of(node, i, size, count, factor) for i in range(count)]
    if mode == "nearest":
        choose = NEAREST[node.choice("nearest_mode", *NEAREST)]
        if node.opset < 11:
            choose = math.floor
        picked = np.clip([int(choose(place)) for place in places], 0, size - 1)
        return x.index_select(axis, creation.tensor(picked, device=x.device))
    rows = tuple(weights_of(node, place, size, factor) for place in places)
    is_plain = x.dtype.is_floating_point and x.dtype.itemsize > 2
    y = x if is_plain else x.to(float32)
    return weighted_along(y, axis, rows).to(x.dtype)


def place_of(node: Node, i: int, size: int, count: int, factor: float) -> float:
    """Where in the input, in elements, output number `i` of `count` lies."""
    usual = "half_pixel" if node.opset >= 11 else "asymmetric"
    mode = node.get("coordinate_transformation_mode", usual)
    at, scale = np.float32(i), np.float32(factor)
    if mode == "align_corners":
        return float(at * (size - 1) / (count - 1)) if count > 1 else 0.0
    if mode == "asymmetric":
        return float(at / scale)
    if mode == "pytorch_half_pixel" and count == 1:
        return 0.0
    if mode not in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        node.refuse(f"has coordinate_transformation_mode {mode}")
    is_symmetric = mode == "half_pixel_symmetric"  # about the middle, whatever was rounded off
    offset = size / 2 * (1 - count / (scale * size)) if is_symmetric else 0.0
    return float(offset + (at + 0.5) / scale - 0.5)


def weights_of(node: Node, place: float, size: int, factor: float) -> tuple[float, ...]:
    """How much of each input element an output element at `place` is."""
    is_cubic = node.get("mode") == "cubic"
    stretch = min(factor, 1.0) if node.flag("antialias", 0) else 1.0
    a = node.get("cubic_coeff_a", -0.75)
    reach = (2 if is_cubic else 1) / stretch
    first, last = math.floor(place - reach), math.ceil(place + reach)
    taps: dict[int, float] = {}
    for tap in range(first, last + 1):
        distance = abs(tap - place) * stretch
        weight = _cubic(distance, a) if is_cubic else max(0.0, 1 - distance)
        is_outside = not 0 <= tap < size
        if not (is_outside and node.flag("exclude_outside", 0)):
            edge = min(max(tap, 0), size - 1)
            taps[edge] = taps.get(edge, 0.0) + weight
    total = sum(taps.values())
    return tuple(taps.get(i, 0.0) / total for i in range(size))


def _cubic(x: float, a: float) -> float:
    """Keys 1981, eq. 15."""
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return a * (((x - 5) * x + 8) * x - 4) if x < 2 else 0.0


def upsample(node: Node, x: Tensor, scales: Array | None = None) -> Tensor:
    """Resize's older form: asymmetric, downwards to the nearest."""
    given = node.get("scales") if scales is None else scales
    old = Node("Resize", node.name, 10, node.inputs, node.outputs, dict(node.attributes))
    return resize(old, x, np.asarray(given))


OPERATORS: dict[str, Operator] = {
    "Resize": Operator(resize, 10, (1, 2, 3)),
    "Upsample": Operator(upsample, 7, (1,)),
}
