"""Picture files as a model wants them: any size, colours, dark on bright or bright on dark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.cli.recipes import ImageRecipe
from tinynet.errors import DataError, MissingDependencyError

Pixels = NDArray[np.float32]
INVERT = ("auto", "yes", "no")
BOX = 20 / 28  # the part of MNIST's side that the longer side of a digit takes
FAINT = 0.2  # of the largest value: less is paper
DEEPEST = 65535  # of 16 bits


def read_pixels(op: str, path: str | os.PathLike[str], channels: int) -> Pixels:
    """A picture file as (channels, height, width) in [0, 1]; 1 channel is gray, 3 are RGB.

    What is transparent is white. Raises `DataError` for what is no picture.
    """
    image_module = _pillow(op)
    from PIL import ImageOps

    too_large = image_module.DecompressionBombError
    try:
        with image_module.open(path) as file:
            image = ImageOps.exif_transpose(file)
            image.load()
    except FileNotFoundError:
        raise DataError(f"{op}: {os.fspath(path)}: there is no such file") from None
    except (OSError, SyntaxError, ValueError, too_large) as error:
        why = str(error) if isinstance(error, too_large) else "expected a picture, PNG or JPEG"
        raise DataError(f"{op}: {os.fspath(path)}: is not an image: {why}") from error
    if image.mode[0] in "IF":  # 16 bits, or floats
        deepest = DEEPEST if image.mode[0] == "I" else 1
        gray: Pixels = np.clip(np.asarray(image, np.float32) / deepest, 0, 1).astype(np.float32)
        return np.repeat(gray[None], channels, 0)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = image_module.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
    colours = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32)
    values: Pixels = (colours / 255).astype(np.float32)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def prepare(pixels: Pixels, recipe: ImageRecipe, invert: str, name: str) -> Pixels:
    """Pixels (channels, height, width) of any size as the model saw them when it learnt, in [0, 1].

    `invert` "auto" makes the background what it was for the model; "yes" and "no" decide. `name` is
    the file's, for errors.
    """
    is_bright = _level(pixels) > (pixels.max() + pixels.min()) / 2
    if invert == "yes" or (
        invert == "auto" and recipe.background is not None and is_bright != bool(recipe.background)
    ):
        pixels = 1 - pixels
    if recipe.is_centred:
        return centre(pixels[0], recipe.shape[1:], name)[None]
    return fit(pixels, recipe.shape[1:])


def normalized(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """Images (..., channels, height, width) with `mean` and `std` of each channel taken out."""
    means, stds = (np.array(x, np.float32)[:, None, None] for x in (mean, std))
    scaled: Pixels = (pixels - means) / stds
    return scaled


def fit(pixels: Pixels, size: Sequence[int]) -> Pixels:
    """The whole picture in (height, width) pixels, its shape kept, its border's level around it."""
    channels, rows, columns = pixels.shape
    height, width = size
    if (rows, columns) == (height, width):
        return pixels
    scale = min(height / rows, width / columns)
    inner = max(1, round(rows * scale)), max(1, round(columns * scale))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    result = np.empty((channels, height, width), np.float32)
    for channel, source in zip(result, pixels):
        channel[...] = _level(source[None])
        channel[top : top + inner[0], left : left + inner[1]] = resized(source, inner)
    return result


def centre(gray: Pixels, size: Sequence[int], name: str) -> Pixels:
    """A bright digit on a dark ground made as MNIST's are: (height, width) in [0, 1].

    What is drawn is scaled so that its longer side takes 20 of 28 pixels, its shape kept, and its
    centre of mass is put on the pixel (14, 14), counted from 0 (LeCun, Bottou, Bengio & Haffner
    1998, section III).
    Raises `DataError` for an empty picture.
    """
    ink = np.clip(gray - _level(gray[None]), 0, None)
    if ink.max() < 1 / 16:
        raise DataError(f"predict: {name}: nothing is drawn in it, expected strokes on a ground")
    ink = np.where(ink < FAINT * ink.max(), 0, ink)
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX * min(size) / max(ink.shape)
    small = resized(ink, [max(1, round(n * scale)) for n in ink.shape])
    small = np.clip(small / small.max(), 0, 1)
    canvas = np.zeros(size, np.float32)
    starts = []
    for axis, (n, whole) in enumerate(zip(small.shape, size)):
        mass = small.sum(1 - axis)
        middle = (mass @ np.arange(n)) / mass.sum()
        starts.append(int(np.clip(round(whole / 2 - middle), 0, whole - n)))
    top, left = starts
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def resized(gray: Pixels, size: Sequence[int]) -> Pixels:
    """A gray image (height, width) of another size; what becomes smaller is averaged."""
    image_module = _pillow("images")
    height, width = size
    image = image_module.fromarray(np.ascontiguousarray(gray, np.float32))
    return np.asarray(image.resize((width, height), image_module.Resampling.BILINEAR), np.float32)


def find_images(op: str, places: Sequence[Path]) -> list[Path]:
    """The files that are named, and the pictures in folders that are, in order.

    Raises `DataError` for what is not there, and where a folder has no pictures.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = images_in(op, place)
            if not inside:
                raise DataError(f"{op}: {place}: has no pictures, expected PNG or JPEG files in it")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            raise DataError(f"{op}: {place}: there is no such file")
    return found


def images_in(op: str, folder: Path) -> list[Path]:
    """The pictures in a folder and below, by their endings, in order of their names."""
    endings = _pillow(op).registered_extensions()
    return sorted(x for x in folder.rglob("*") if x.suffix.lower() in endings and x.is_file())


def _level(pixels: Pixels) -> float:
    """The level of the ground: the median along the border."""
    border = [pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]]
    return float(np.median(np.concatenate([edge.ravel() for edge in border])))


def _pillow(op: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            f"{op}: pictures need pillow: pip install 'tinynet[cli]'"
        ) from error
    return Image
