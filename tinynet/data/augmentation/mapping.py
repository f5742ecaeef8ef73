"""Where the pixels of a transformed image come from: affine maps, for each image its own.

A transform is kept as its inverse, from the output's places to the input's, both counted from the
image's centre, rows downwards. One after the other makes a third one, so a whole chain needs the
image to be read once only (each reading blurs it, and loses what leaves the frame).
"""

import math
from typing import NamedTuple

from tinynet.data.augmentation.checks import Value
from tinynet.data.augmentation.resampling import computing_dtype, sample
from tinynet.dtype import DType
from tinynet.ops.creation import arange
from tinynet.ops.joining import cat
from tinynet.tensor import Tensor

PIXELS_AT_ONCE = 2**19


class AffineMap(NamedTuple):
    """Output (row, column) to input (yy * row + yx * column + y, xy * row + xx * column + x)."""

    yy: Value = 1.0
    yx: Value = 0.0
    xy: Value = 0.0
    xx: Value = 1.0
    y: Value = 0.0
    x: Value = 0.0

    def then(self, other: "AffineMap") -> "AffineMap":
        """The map of this transform followed by another one."""
        a, b = self, other
        return AffineMap(
            _sum(_product(a.yy, b.yy), _product(a.yx, b.xy)),
            _sum(_product(a.yy, b.yx), _product(a.yx, b.xx)),
            _sum(_product(a.xy, b.yy), _product(a.xx, b.xy)),
            _sum(_product(a.xy, b.yx), _product(a.xx, b.xx)),
            _sum(_product(a.yy, b.y), _product(a.yx, b.x), a.y),
            _sum(_product(a.xy, b.y), _product(a.xx, b.x), a.x),
        )


def rotation(angle: Value) -> AffineMap:
    """By `angle` degrees, counterclockwise."""
    cos, sin = _cos(angle), _sin(angle)
    return AffineMap(cos, sin, -sin, cos)


def scaling(x: Value, y: Value) -> AffineMap:
    """Larger by the factors `x` and `y`."""
    return AffineMap(yy=1 / y, xx=1 / x)


def shearing(x: Value, y: Value) -> AffineMap:
    """Vertical lines lean to the right by `x` degrees, then horizontal ones rise by `y` degrees."""
    tan_x, tan_y = _sin(x) / _cos(x), _sin(y) / _cos(y)
    return AffineMap(1.0, tan_y, tan_x, 1 + tan_x * tan_y)


def translation(x: Value, y: Value) -> AffineMap:
    """To the right by `x` pixels and down by `y`."""
    return AffineMap(y=-y, x=-x)


def _cos(degrees: Value) -> Value:
    if isinstance(degrees, Tensor):
        return (degrees * (math.pi / 180)).cos()
    return math.cos(math.radians(degrees))


def _sin(degrees: Value) -> Value:
    if isinstance(degrees, Tensor):
        return (degrees * (math.pi / 180)).sin()
    return math.sin(math.radians(degrees))


def warp(
    images: Tensor,
    map_: AffineMap,
    order: int,
    mode: str,
    cval: float,
    displacements: Tensor | None = None,
) -> Tensor:
    """The images under an affine transform, followed by an elastic one.

    `displacements` (n, 2, height, width) says how many rows and columns from itself each pixel
    of the output is to be looked for.
    """
    parts = []
    for part in parts_of(images):
        maps = AffineMap(*[x[part] if isinstance(x, Tensor) else x for x in map_])
        field = displacements
        if field is not None and field.shape[0] > 1:
            field = field[part]
        parts.append(_warp(images[part], maps, order, mode, cval, field))
    return parts[0] if len(parts) == 1 else cat(parts)


def parts_of(images: Tensor) -> list[slice]:
    """Slices of a large batch that fit a processor's cache: as one it would take twice the time."""
    n, _, height, width = images.shape
    step = max(PIXELS_AT_ONCE // (height * width), 1)
    return [slice(i, min(i + step, n)) for i in range(0, max(n, 1), step)]


def _warp(
    images: Tensor,
    map_: AffineMap,
    order: int,
    mode: str,
    cval: float,
    displacements: Tensor | None,
) -> Tensor:
    height, width = images.shape[2:]
    dtype = computing_dtype(images.dtype)
    rows: Value = _centred(height, images).reshape(1, 1, height, 1)
    columns: Value = _centred(width, images).reshape(1, 1, 1, width)
    if displacements is not None:
        rows = rows + displacements[:, 0:1].to(dtype)
        columns = columns + displacements[:, 1:2].to(dtype)
    yy, yx, xy, xx, y, x = (_for_pixels(value, dtype) for value in map_)
    # half a pixel, where the middle is between two
    y, x = _sum(y, (height - 1) % 2 / 2), _sum(x, (width - 1) % 2 / 2)
    places = (
        _sum(_sum(_product(rows, yy), y), _product(columns, yx)),
        _sum(_sum(_product(rows, xy), x), _product(columns, xx)),
    )
    origin = (height - 1) // 2, (width - 1) // 2
    return sample(images, *places, order, mode, cval, origin)  # type: ignore[arg-type]


def _centred(size: int, like: Tensor) -> Tensor:
    """Pixels counted from the middle."""
    half = (size - 1) / 2
    return arange(size, dtype=computing_dtype(like.dtype), device=like.device) - half


def _for_pixels(value: Value, dtype: DType) -> Value:
    return value.to(dtype).reshape(-1, 1, 1, 1) if isinstance(value, Tensor) else value


# Most entries of most maps are 0 or 1: nothing is computed with these.
def _product(a: Value, b: Value) -> Value:
    for one, other in ((a, b), (b, a)):
        if not isinstance(one, Tensor) and one in (0, 1):
            return other if one == 1 else 0.0
    return a * b


def _sum(*values: Value) -> Value:
    total: Value = 0.0
    for value in values:
        if isinstance(total, Tensor) or total != 0:
            total = total if not isinstance(value, Tensor) and value == 0 else total + value
        else:
            total = value
    return total
