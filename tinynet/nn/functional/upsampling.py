"""`interpolate`: inputs resized, in 1 to 3 spatial dims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinynet import shape as shapes
from tinynet.dtype import float32
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops import interpolation
from tinynet.ops.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tinynet.ops.operands import as_number, require_floating, require_tensor
from tinynet.tensor import Tensor

NDIMS = {  # how many spatial dims a mode is for
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,),
    "bilinear": (2,), "bicubic": (2,), "trilinear": (3,), "lanczos": (2,),
}  # fmt: skip
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
WITHOUT_CORNERS = ("nearest", "nearest-exact", "area")


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Spatial dims (behind batch and channels) resized to `size`, or by `scale_factor`.

    `align_corners` puts the outermost elements of input and output at the same places, otherwise
    their outer edges. `scale_factor` itself says where elements lie, unless
    `recompute_scale_factor`: then the sizes do. `antialias` widens the filter of "bilinear",
    "bicubic" and "lanczos" (which is for it alone) where the output is smaller.
    """
    x = require_tensor("interpolate", input)
    _check_mode(x, mode, align_corners, antialias)
    sizes, factors = _sizes_and_factors(x, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ArgumentError("interpolate: recompute_scale_factor is for scale_factor, not for size")
    if recompute_scale_factor:
        factors = [None] * len(sizes)
    if min(sizes, default=1) < 1 or 0 in x.shape[1:]:
        raise ShapeError(
            f"interpolate: cannot resize from {x.shape[2:]} to {tuple(sizes)}, shape {x.shape}"
        )
    if mode == "area":
        return AREA[len(sizes)](x, sizes)
    is_narrow = x.dtype.itemsize == 2 and x.dtype.is_floating_point
    y = x.to(float32) if is_narrow else x  # rounded once, at the end
    for dim, (count, factor) in enumerate(zip(sizes, factors, strict=True), 2):
        y = _resized(y, dim, count, factor, mode, bool(align_corners), antialias)
    return y.to(x.dtype)


def _resized(
    x: Tensor,
    dim: int,
    count: int,
    factor: float | None,
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> Tensor:
    """Resized along one dim."""
    size = x.shape[dim]
    if mode in ("nearest", "nearest-exact"):
        offset = 0.0 if mode == "nearest" else 0.5
        places = interpolation.nearest(size, count, factor, offset)
        return interpolation.selected_along(x, dim, places)
    require_floating("interpolate", x)
    if antialias:
        rows = interpolation.antialiased(size, count, factor, align_corners, mode)
    else:
        weigh = interpolation.cubic if mode == "bicubic" else interpolation.linear
        rows = weigh(size, count, factor, align_corners)
    return interpolation.weighted_along(x, dim, rows)


def _check_mode(x: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if not isinstance(mode, str) or mode not in NDIMS:
        raise ArgumentError(f"interpolate: mode must be one of {', '.join(NDIMS)}, got {mode!r}")
    if x.ndim - 2 not in NDIMS[mode]:
        dims = " or ".join(str(n + 2) for n in NDIMS[mode])
        raise ShapeError(f"interpolate: mode {mode!r} needs {dims} dims, got shape {x.shape}")
    if align_corners is not None and mode in WITHOUT_CORNERS:
        raise ArgumentError(f"interpolate: mode {mode!r} takes no align_corners")
    if antialias and mode not in interpolation.FILTERS:
        raise ArgumentError(
            f"interpolate: antialias is for {', '.join(interpolation.FILTERS)}, got mode {mode!r}"
        )
    if mode == "lanczos" and (align_corners or not antialias):
        raise ArgumentError("interpolate: mode 'lanczos' needs antialias, and no align_corners")


def _sizes_and_factors(
    x: Tensor, size: Any, scale_factor: Any
) -> tuple[list[int], list[float | None]]:
    """The output's sizes, and the factors they come from, if they do."""
    ndim = x.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"interpolate: expected one of size and scale_factor, got {size} and {scale_factor}"
        )
    name, given = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    items = list(given) if isinstance(given, Sequence) else [given] * ndim
    if len(items) != ndim:
        raise ShapeError(
            f"interpolate: {name} {given} has {len(items)} numbers for {ndim} spatial dims, "
            f"shape {x.shape}"
        )
    if scale_factor is None:
        return [shapes.as_integer("interpolate", "size", n) for n in items], [None] * ndim
    factors = [float(as_number("interpolate", "scale_factor", factor)) for factor in items]
    if not all(map(math.isfinite, factors)):
        raise ArgumentError(f"interpolate: scale_factor must be finite, got {scale_factor}")
    return [int(n * factor) for n, factor in zip(x.shape[2:], factors, strict=True)], [*factors]
