"""Images read at places between their pixels, as `scipy.ndimage` does it, whole batches at once.

A place is a row and a column, counted in pixels from the centre of the first one, so pixel centres
lie at integers. `order` 0 reads the nearest pixel, 1 interpolates between four (bilinear). `mode`
says what lies outside of the image a b c d, in SciPy's words:

* "constant": `cval` everywhere beyond the outermost pixels' centres
* "grid-constant": pixels of `cval`, between which and the outermost pixels is interpolated
* "nearest": a a a | a b c d | d d d
* "reflect": c b a | a b c d | d c b
* "mirror": d c b | a b c d | c b a
* "grid-wrap": b c d | a b c d | a b c

Places are first folded into the image, or into one with a border of what its mode puts next to it.
Then all four neighbours are inside, at fixed distances in memory, and one flat index serves them.
"""

from typing import Any

from tinynet.data.augmentation.checks import check_images
from tinynet.dtype import DType, finfo, float32, int32, int64
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange
from tinynet.ops.operands import as_number, require_same_device, require_tensor
from tinynet.ops.padding import pad
from tinynet.tensor import Tensor

MODES = ("constant", "grid-constant", "nearest", "reflect", "mirror", "grid-wrap")


def map_coordinates(
    images: Tensor,
    coordinates: Tensor,
    *,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Tensor:
    """The images' values at `coordinates`: rows `coordinates[:, 0]`, columns `coordinates[:, 1]`.

    `images` is (n, channels, height, width), floats; `coordinates` (n, 2, h, w), or (2, h, w) for
    all images; the result is (n, channels, h, w). What `scipy.ndimage.map_coordinates` gives for
    each channel of each image, except that in mode "constant" places count as inside if they are
    so but for rounding.

    >>> import tinynet as tn
    >>> images = tn.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> map_coordinates(images, tn.tensor([[[0.5]], [[0.25]]]))
    tensor([[[[1.2500]]]])
    """
    op = "map_coordinates"
    x = check_images(op, images)
    places = require_tensor(op, coordinates, "coordinates")
    places = places.unsqueeze(0) if places.ndim == 3 else places
    if places.ndim != 4 or places.shape[1] != 2 or places.shape[0] not in (1, x.shape[0]):
        raise ShapeError(
            f"{op}: coordinates of shape {coordinates.shape}, expected (2, h, w)"
            f" or ({x.shape[0]}, 2, h, w)"
        )
    require_same_device(op, x, places)
    check_resampling(op, order, mode, cval)
    places = places.to(computing_dtype(x.dtype))
    return sample(x, places[:, 0:1], places[:, 1:2], order, mode, cval)


def check_resampling(op: str, order: Any, mode: Any, cval: Any) -> None:
    """Refuse an unknown order or mode."""
    if order not in (0, 1) or isinstance(order, bool):
        raise ArgumentError(f"{op}: order is {order!r:.60}, expected 0 (nearest) or 1 (bilinear)")
    if mode not in MODES:
        raise ArgumentError(f"{op}: mode is {mode!r:.60}, expected one of {', '.join(MODES)}")
    as_number(op, "cval", cval)


def computing_dtype(dtype: DType) -> DType:
    """The dtype of places: that of the images, at least float32."""
    return float32 if dtype.itemsize < 4 else dtype


def sample(
    images: Tensor,
    rows: Tensor,
    columns: Tensor,
    order: int,
    mode: str,
    cval: float,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """The images at rows and columns that broadcast to (n, 1, h, w), counted from pixel `origin`.

    Places that are counted from the middle are smaller numbers, and so more precise ones.
    """
    top, left = -origin[0], -origin[1]
    source = _with_border(images.to(rows.dtype), mode, cval)
    border = 1 if mode == "grid-constant" else 0
    i, down = _first_pixel(rows, top - border, source.shape[2], order, mode)
    j, right = _first_pixel(columns, left - border, source.shape[3], order, mode)
    if order == 0:
        (y,) = _pixels(source, i, j, ((0, 0),))
    else:
        a, b, c, d = _pixels(source, i, j, ((0, 0), (0, 1), (1, 0), (1, 1)))
        above, below = a + (b - a) * right, c + (d - c) * right
        y = above + (below - above) * down
    if mode == "constant":
        height, width = images.shape[2:]
        is_inside = _is_inside(rows, top, height) & _is_inside(columns, left, width)
        y = where(is_inside, y, float(cval))
    return y.to(images.dtype)


def _with_border(images: Tensor, mode: str, cval: float) -> Tensor:
    """Images of at least two pixels each way, with a border where a mode interpolates into it."""
    for dim in (2, 3):
        if images.shape[dim] == 1 and mode != "grid-constant":
            images = images.repeat_interleave(2, dim)
    if mode == "grid-constant":
        return pad(images, (1, 1, 1, 1), "constant", float(cval))
    if mode == "grid-wrap":
        return pad(images, (0, 1, 0, 1), "circular")
    return images


def _is_inside(places: Tensor, low: int, size: int) -> Tensor:
    """Whether places lie between the outermost pixels' centres, but for rounding."""
    rounding = size * finfo(places.dtype).eps
    return (places >= low - rounding) & (places <= low + size - 1 + rounding)


def _folded(places: Tensor, low: int, size: int, mode: str) -> Tensor:
    """Places between the outermost pixels' centres, `low` and `low + size - 1`, that look alike."""
    if mode == "grid-wrap":  # of which the last pixel is the first one again
        return _remainder(places - low, size - 1) + low
    if mode == "reflect":
        distance = size - _remainder(places + (0.5 - low), 2 * size)
        places = (low + size - 0.5) - distance.abs()
    elif mode == "mirror":
        distance = (size - 1) - _remainder(places - low, 2 * (size - 1))
        places = (low + size - 1) - distance.abs()
    return places.clamp(low, low + size - 1)


def _remainder(places: Tensor, period: int) -> Tensor:
    return places - (places / period).floor() * period


def _first_pixel(
    places: Tensor, low: int, size: int, order: int, mode: str
) -> tuple[Tensor, Tensor]:
    """The index of the pixel nearest to places, or else of the one before; the next one's share."""
    places = _folded(places, low, size, mode)
    if order == 0:
        first, last = (places + 0.5).floor(), size - 1
    else:
        first, last = places.floor().clamp(max=low + size - 2), size - 2
    return (first.to(int32) - low).clamp(0, last), places - first


def _pixels(
    images: Tensor, rows: Tensor, columns: Tensor, steps: tuple[tuple[int, int], ...]
) -> list[Tensor]:
    """The pixels that lie `steps` down and right of (rows, columns)."""
    n, channels, height, width = images.shape
    starts = arange(n * channels, device=images.device).reshape(n, channels, 1, 1)
    index = (rows * width + columns).to(int64) + starts * (height * width)
    flat = images.reshape(-1)
    return [flat[down * width + right :][index] for down, right in steps]
