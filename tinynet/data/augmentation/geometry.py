"""Geometry with given parameters: affine transforms, flips and crops of batches of images.

Parameters are numbers, which hold for all images, or tensors (n,) of one for each. Angles are in
degrees, distances in pixels, pairs are (x, y); what turns or grows does so about the centre.
`order`, `mode` and `cval` are those of `resampling`.
"""

from typing import Any

from tinynet.data.augmentation import mapping
from tinynet.data.augmentation.checks import (
    Value,
    check_count,
    check_images,
    check_pair,
    check_value,
)
from tinynet.data.augmentation.mapping import AffineMap, warp
from tinynet.data.augmentation.resampling import check_resampling, computing_dtype, sample
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.creation import arange
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.tensor import Tensor

Pair = tuple[Value, Value]


def affine_transform(
    images: Tensor,
    matrix: Tensor,
    offset: Tensor | None = None,
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """Images whose place o = (row, column) shows what is at `matrix @ o + offset` of the input.

    `matrix` is (2, 2), or (n, 2, 2) with one for each image; `offset` (2,) or (n, 2). What
    `scipy.ndimage.affine_transform` gives for each channel of each image.

    >>> import tinynet as tn
    >>> images = tn.arange(4.0).reshape(1, 1, 2, 2)
    >>> affine_transform(images, tn.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([[[[0., 2.],
              [1., 3.]]]])
    """
    op = "affine_transform"
    x = check_images(op, images)
    check_resampling(op, order, mode, cval)
    dtype = computing_dtype(x.dtype)
    parts = _check_batch(op, "matrix", matrix, x, (2, 2)).to(dtype)
    yy, yx, xy, xx = (parts[:, i, j].reshape(-1, 1, 1, 1) for i in (0, 1) for j in (0, 1))
    down: Any = 0.0
    right: Any = 0.0
    if offset is not None:
        shifts = _check_batch(op, "offset", offset, x, (2,)).to(dtype)
        down, right = (shifts[:, i].reshape(-1, 1, 1, 1) for i in (0, 1))
    rows = arange(x.shape[2], dtype=dtype, device=x.device).reshape(-1, 1)
    columns = arange(x.shape[3], dtype=dtype, device=x.device)
    places = rows * yy + down + columns * yx, rows * xy + right + columns * xx
    return sample(x, *places, order, mode, cval)


def _check_batch(op: str, name: str, value: Any, images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`value` as one tensor of `shape` for each image, or one for all."""
    x = require_tensor(op, value, name)
    require_same_device(op, images, x)
    if x.shape == shape:
        return x.unsqueeze(0)
    if x.shape != (images.shape[0], *shape):
        raise ShapeError(
            f"{op}: {name} of shape {x.shape}, expected {shape} or {(images.shape[0], *shape)}"
        )
    return x


def affine(
    images: Tensor,
    angle: Value = 0.0,
    translate: Pair = (0.0, 0.0),
    scale: Value | Pair = 1.0,
    shear: Pair = (0.0, 0.0),
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """Images sheared, then scaled, then rotated, then translated, by one resampling.

    `angle` turns counterclockwise (`torchvision`'s clockwise); a positive `shear` leans vertical
    lines to the right and lets horizontal ones rise; `translate` is to the right and down.
    """
    map_ = affine_map("affine", images, angle, translate, scale, shear)
    return _warp("affine", images, map_, order, mode, cval)


def affine_map(
    op: str,
    images: Tensor,
    angle: Value = 0.0,
    translate: Pair = (0.0, 0.0),
    scale: Value | Pair = 1.0,
    shear: Pair = (0.0, 0.0),
) -> AffineMap:
    """`affine`'s map, of checked parameters."""
    x = check_images(op, images)
    pair = scale if isinstance(scale, tuple | list) else (scale, scale)
    factors = check_pair(op, "scale", pair, x)
    for factor in factors:
        if not isinstance(factor, Tensor) and factor == 0:
            raise ArgumentError(f"{op}: scale is {scale}, expected factors that are not 0")
    angles = check_pair(op, "shear", shear, x)
    for each in angles:
        if not isinstance(each, Tensor) and abs(each) >= 90:
            raise ArgumentError(f"{op}: shear is {shear}, expected less than 90 degrees")
    return (
        mapping.shearing(*angles)
        .then(mapping.scaling(*factors))
        .then(mapping.rotation(check_value(op, "angle", angle, x)))
        .then(mapping.translation(*check_pair(op, "translate", translate, x)))
    )


def _warp(op: str, images: Tensor, map_: AffineMap, order: int, mode: str, cval: float) -> Tensor:
    check_resampling(op, order, mode, cval)
    return warp(images, map_, order, mode, cval)


def rotate(
    images: Tensor, angle: Value, *, order: int = 1, mode: str = "constant", cval: float = 0.0
) -> Tensor:
    """Images turned counterclockwise by `angle` degrees about their centre, of the same size.

    >>> import tinynet as tn
    >>> rotate(tn.arange(4.0).reshape(1, 1, 2, 2), 90)
    tensor([[[[1., 3.],
              [0., 2.]]]])
    """
    return _warp("rotate", images, affine_map("rotate", images, angle), order, mode, cval)


def translate(
    images: Tensor,
    translate: Pair,
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """Images moved by (x, y) pixels to the right and down.

    >>> import tinynet as tn
    >>> translate(tn.arange(4.0).reshape(1, 1, 2, 2), (1, 0))
    tensor([[[[0., 0.],
              [0., 2.]]]])
    """
    map_ = affine_map("translate", images, translate=translate)
    return _warp("translate", images, map_, order, mode, cval)


def scale(
    images: Tensor,
    scale: Value | Pair,
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """What the images show made larger by a factor, or by (x, y); the images keep their size."""
    return _warp("scale", images, affine_map("scale", images, scale=scale), order, mode, cval)


def shear(
    images: Tensor, shear: Pair, *, order: int = 1, mode: str = "constant", cval: float = 0.0
) -> Tensor:
    """Vertical lines lean to the right by x degrees, then horizontal ones rise by y degrees."""
    return _warp("shear", images, affine_map("shear", images, shear=shear), order, mode, cval)


def horizontal_flip(images: Tensor) -> Tensor:
    """Left and right exchanged."""
    return check_images("horizontal_flip", images).flip(3)


def vertical_flip(images: Tensor) -> Tensor:
    """Above and below exchanged."""
    return check_images("vertical_flip", images).flip(2)


def crop(
    images: Tensor,
    top: Value,
    left: Value,
    height: int,
    width: int,
    *,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """`height` rows from `top` and `width` columns from `left`, which may lie outside: see `mode`.

    `top` and `left` are whole numbers.

    >>> import tinynet as tn
    >>> crop(tn.arange(4.0).reshape(1, 1, 2, 2), -1, 0, 2, 2)
    tensor([[[[0., 0.],
              [0., 1.]]]])
    """
    x = check_images("crop", images)
    check_resampling("crop", 0, mode, cval)
    dtype = computing_dtype(x.dtype)
    rows = arange(check_count("crop", "height", height), dtype=dtype, device=x.device)
    columns = arange(check_count("crop", "width", width), dtype=dtype, device=x.device)
    first_row, first_column = _check_start("top", top, x), _check_start("left", left, x)
    return sample(x, rows.reshape(-1, 1) + first_row, columns + first_column, 0, mode, cval)


def _check_start(name: str, value: Value, images: Tensor) -> Value:
    start = check_value("crop", name, value, images)
    return start.reshape(-1, 1, 1, 1) if isinstance(start, Tensor) else start
