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

Pixels are read by one flat index for each place: the image is padded by the pixels that its mode
puts next to it, so that all four neighbours lie at fixed distances from the first.
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

PADDING = {  # the mode of `pad` that gives the pixels around the image, once places are folded
    "constant": "replicate", "grid-constant": "constant", "nearest": "replicate",
    "reflect": "replicate", "mirror": "replicate", "grid-wrap": "circular",
}  # fmt: skip
MODES = tuple(PADDING)
MARGIN = 1, 2  # pixels of padding before and behind: places lie within -1 and `size`


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
    images: Tensor, rows: Tensor, columns: Tensor, order: int, mode: str, cval: float
) -> Tensor:
    """The images at places, rows and columns that broadcast to (n, 1, h, w)."""
    height, width = images.shape[2:]
    inside = None
    if mode == "constant":
        inside = _is_inside(rows, height) & _is_inside(columns, width)
    padded = _padded(images.to(rows.dtype), mode, cval)
    i, down = _split(_folded(rows, height, mode), height, order)
    j, right = _split(_folded(columns, width, mode), width, order)
    if order == 0:
        y = _taps(padded, i, j, ((0, 0),))[0]
    else:
        a, b, c, d = _taps(padded, i, j, ((0, 0), (0, 1), (1, 0), (1, 1)))
        above, below = a + (b - a) * right, c + (d - c) * right
        y = above + (below - above) * down
    if inside is not None:
        y = where(inside, y, float(cval))
    return y.to(images.dtype)


def _is_inside(places: Tensor, size: int) -> Tensor:
    """Whether places lie between the outermost pixels' centres, but for rounding."""
    rounding = 4 * size * finfo(places.dtype).eps
    return (places >= -rounding) & (places <= size - 1 + rounding)


def _folded(places: Tensor, size: int, mode: str) -> Tensor:
    """Places within the image, or next to it, where the same is to be seen."""
    if mode == "grid-wrap":
        return places - (places / size).floor() * size
    if mode == "grid-constant":
        return places.clamp(-1, size)
    if mode == "mirror":
        half = max(size - 1, 1)
        places = places.abs()
        places = places - (places / (2 * half)).floor() * (2 * half)
        places = half - (places - half).abs()
    elif mode == "reflect":
        places = (places + 0.5).abs()
        places = places - (places / (2 * size)).floor() * (2 * size)
        places = (size - 0.5) - (places - size).abs()
    return places.clamp(0, size - 1)


def _split(places: Tensor, size: int, order: int) -> tuple[Tensor, Tensor]:
    """Each place's first pixel, counted in the padded image, and the share of the next one."""
    first = (places + 0.5 if order == 0 else places).floor()
    before, _ = MARGIN
    return first.to(int32).clamp(-1, size) + before, places - first


def _padded(images: Tensor, mode: str, cval: float) -> Tensor:
    before, behind = MARGIN
    widths = (before, behind, before, behind)
    if PADDING[mode] == "constant":
        return pad(images, widths, "constant", float(cval))
    if PADDING[mode] == "circular":  # which has no more pixels than there are
        for dim, size in ((2, images.shape[2]), (3, images.shape[3])):
            if size < behind:
                images = images.repeat_interleave(behind, dim)
    return pad(images, widths, PADDING[mode])


def _taps(
    images: Tensor, rows: Tensor, columns: Tensor, steps: tuple[tuple[int, int], ...]
) -> list[Tensor]:
    """The pixels that lie `steps` down and right of (rows, columns)."""
    n, channels, height, width = images.shape
    starts = arange(n * channels, device=images.device).reshape(n, channels, 1, 1)
    index = (rows * width + columns).to(int64) + starts * (height * width)
    flat = images.reshape(-1)
    return [flat[down * width + right :][index] for down, right in steps]
