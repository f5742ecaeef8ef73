"""Elastic distortion: every pixel is moved by a smooth random field (Simard et al. 2003)."""

import math
from functools import lru_cache
from typing import Any

from tinynet.data.augmentation.checks import check_finite, check_images, check_positive
from tinynet.data.augmentation.mapping import AffineMap, parts_of, warp
from tinynet.data.augmentation.resampling import check_resampling, computing_dtype
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.interpolation import weighted_along
from tinynet.ops.joining import cat
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.ops.random import Generator, uniform
from tinynet.tensor import Tensor

FILTER_MODES = ("constant", "nearest", "reflect", "mirror", "grid-wrap")


def gaussian_filter(
    images: Tensor, sigma: float, *, mode: str = "reflect", truncate: float = 4.0
) -> Tensor:
    """Images smoothed by a Gaussian of deviation `sigma` pixels, cut off at `truncate` deviations.

    What `scipy.ndimage.gaussian_filter` gives for each channel of each image. `mode` says what
    lies outside of the image, as in `resampling`; "constant" is zeros.
    """
    op = "gaussian_filter"
    y = check_images(op, images)
    if mode not in FILTER_MODES:
        known = ", ".join(FILTER_MODES)
        raise ArgumentError(f"{op}: mode is {mode!r:.60}, expected one of {known}")
    deviation = check_positive(op, "sigma", sigma)
    radius = int(check_positive(op, "truncate", truncate) * deviation + 0.5)
    for dim in (2, 3):
        y = weighted_along(y, dim, _gaussian_rows(y.shape[dim], deviation, radius, mode))
    return y


@lru_cache(maxsize=16)
def _gaussian_rows(
    size: int, sigma: float, radius: int, mode: str
) -> tuple[tuple[float, ...], ...]:
    """For each output pixel of a line the weights of the input's."""
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(-radius, radius + 1)]
    total = sum(weights)
    rows = []
    for i in range(size):
        row = [0.0] * size
        for step, weight in enumerate(weights, i - radius):
            place = _folded(step, size, mode)
            if place is not None:
                row[place] += weight / total
        rows.append(tuple(row))
    return tuple(rows)


def _folded(place: int, size: int, mode: str) -> int | None:
    """The pixel that is to be seen at a place, which may lie outside; None if there is none."""
    if mode == "nearest":
        return min(max(place, 0), size - 1)
    if mode == "grid-wrap":
        return place % size
    if mode == "reflect":
        place %= 2 * size
        return min(place, 2 * size - 1 - place)
    if mode == "mirror":
        period = max(2 * size - 2, 1)
        place %= period
        return min(place, period - place)
    return place if 0 <= place < size else None


def elastic_displacements(
    images: Tensor,
    alpha: float = 34.0,
    sigma: float = 4.0,
    generator: Generator | None = None,
) -> Tensor:
    """Random displacements (n, 2, height, width), in rows and columns, for `elastic`.

    Uniform numbers between -1 and 1, smoothed by a Gaussian of deviation `sigma` (with zeros
    outside of the image), times `alpha`: with the defaults, which are Simard's for digits, a pixel
    moves by about 1.4 in each direction (`alpha / (sigma * 6.14)`).
    """
    x = check_images("elastic_displacements", images)
    amount = check_finite("elastic_displacements", "alpha", alpha)
    parts = []
    for part in parts_of(x):
        shape = (part.stop - part.start, 2, *x.shape[2:])
        noise = uniform(
            -amount, amount, shape,
            generator=generator, dtype=computing_dtype(x.dtype), device=x.device,
        )  # fmt: skip
        parts.append(gaussian_filter(noise, sigma, mode="constant"))
    return parts[0] if len(parts) == 1 else cat(parts)


def elastic(
    images: Tensor,
    displacements: Tensor,
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """Images whose pixel (i, j) shows what is at (i, j) + `displacements[:, :, i, j]` of the input.

    `displacements` is (n, 2, height, width), or (1, 2, height, width) for all images. Simard,
    Steinkraus & Platt 2003, "Best practices for convolutional neural networks applied to visual
    document analysis".
    """
    op = "elastic"
    x = check_images(op, images)
    check_resampling(op, order, mode, cval)
    field: Any = require_tensor(op, displacements, "displacements")
    require_same_device(op, x, field)
    n, _, height, width = x.shape
    if field.shape not in ((n, 2, height, width), (1, 2, height, width)):
        raise ShapeError(
            f"{op}: displacements of shape {field.shape}, expected {(n, 2, height, width)}"
        )
    return warp(x, AffineMap(), order, mode, cval, field)
