"""Images to look at, as NumPy arrays of float32: (height, width), or with a last dim for colour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import Module
from tinynet.tensor import Tensor

Image = NDArray[np.float32]


def filters(layer: Module) -> Image:
    """The weights of a `Conv2d` as one image, (height, width) or (height, width, 3), in [0, 1].

    Each filter is scaled by its own largest weight: 0.5 is zero, less is negative. With one input
    channel, or three (taken for red, green and blue), each filter is a tile. With others, each
    filter is a row, which has a tile for each input channel.
    """
    if not isinstance(layer, nn.Conv2d):
        raise ArgumentTypeError(f"filters: layer is {layer!r}, expected a Conv2d")
    weights = stretch(layer.weight, is_signed=True)
    _, channels, height, width = weights.shape
    if channels in (1, 3):
        return tile(weights)
    return tile(weights.reshape(-1, height, width), columns=channels)


def stretch(images: Tensor | NDArray[Any], is_signed: bool = False) -> Image:
    """Each of the images, along the first dim, scaled to [0, 1].

    Its least number becomes 0, its largest 1; an image that is the same everywhere becomes 0. With
    `is_signed` zero becomes 0.5, and the number farthest from it 0 or 1.

    >>> stretch(np.array([[[0, 2], [4, 8]], [[3, 3], [3, 3]]]))
    array([[[0.  , 0.25],
            [0.5 , 1.  ]],
           [[0.  , 0.  ],
            [0.  , 0.  ]]], dtype=float32)
    """
    values = _as_array(images)
    if values.ndim < 2 or 0 in values.shape:
        raise ShapeError(f"stretch: the images are {values.shape}, expected (n, height, width)")
    dims = tuple(range(1, values.ndim))
    high = (np.abs(values) if is_signed else values).max(axis=dims, keepdims=True)
    low = -high if is_signed else values.min(axis=dims, keepdims=True)
    flat = np.full_like(values, 0.5 if is_signed else 0)
    scaled: Image = np.divide(values - low, high - low, out=flat, where=high > low)
    return scaled


def tile(
    images: Tensor | NDArray[Any], columns: int | None = None, gap: int = 1, fill: float = 1.0
) -> Image:
    """One image of many, row by row, `gap` pixels of `fill` between them.

    `images` are (n, height, width), (n, 1, height, width), or (n, 3, height, width) in colour, of
    which one of (height, width, 3) is made. There are as many columns as rows, or one more, unless
    `columns` says otherwise.

    >>> tile(np.zeros((3, 1, 2))).shape
    (3, 5)
    """
    values = _as_array(images)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] not in (1, 3) or 0 in values.shape:
        raise ShapeError(
            f"tile: the images are {values.shape}, expected (n, height, width), or (n, 1 or 3, "
            "height, width)"
        )
    n, channels, height, width = values.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ArgumentError(
            f"tile: columns is {columns} and gap is {gap}, expected at least 1 and 0"
        )
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, channels, height + gap, width + gap), fill, np.float32)
    cells[:n, :, :height, :width] = values
    cells = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 3, 1, 4, 2)
    whole = cells.reshape(rows * (height + gap), columns * (width + gap), channels)
    whole = whole[: len(whole) - gap, : whole.shape[1] - gap]
    return whole[:, :, 0] if channels == 1 else whole


def _as_array(images: Tensor | NDArray[Any]) -> Image:
    values = images.detach().cpu().numpy() if isinstance(images, Tensor) else images
    return np.asarray(values, np.float32)
