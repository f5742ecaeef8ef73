"""Folders of images: a subfolder for each class, perhaps within `train` and `test`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinynet.cli.images import Pixels, fit, images_in, read_pixels
from tinynet.cli.tasks import Arrays, Reading, Task, hold_out, image_task, limited, refuse
from tinynet.errors import DataError

HELD_OUT = ("test", "val", "valid", "validation")
SIDE = 32  # of images whose sizes differ, where nobody says another


def load_folder(folder: Path, reading: Reading, device: str | None) -> Task:
    """The images in `folder`/class/..., of which a part is held out, or `folder`/train and /test.

    Images are gray if all of them are. They keep their size if all have the same; otherwise they
    are fitted into `reading.size`, by default 32 x 32.
    """
    parts = [folder / "train", *(folder / name for name in HELD_OUT)]
    has_parts = parts[0].is_dir() and any(part.is_dir() for part in parts[1:])
    refuse(str(folder), reading, "target", "kind", *["validation"] * has_parts)
    places = [parts[0], next(x for x in parts[1:] if x.is_dir())] if has_parts else [folder]
    classes = tuple(sorted(x.name for x in places[0].iterdir() if x.is_dir()))
    if len(classes) < 2:
        raise DataError(
            f"train: {places[0]}: {len(classes)} subfolders, expected one for each class, with "
            "images in it"
        )
    read = [_read(place, classes) for place in places]
    images = [image for found, _ in read for image in found]
    channels = 1 if all((image == image[:1]).all() for image in images) else 3
    size = _choose_size(images, reading.size)
    sets = [
        Arrays(np.stack([fit(x[:channels], size) for x in found]), np.array(labels, np.int64))
        for found, labels in read
    ]
    train, test = sets if has_parts else hold_out(sets[0], reading, has_classes=True)
    name = folder.resolve().name
    return image_task(name, limited(train, reading.limit), test, classes, False, device)


def _read(place: Path, classes: Sequence[str]) -> tuple[list[Pixels], list[int]]:
    """All images below a folder, as RGB, and the numbers of their classes."""
    images: list[Pixels] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = images_in("train", place / name) if (place / name).is_dir() else []
        if not files:
            raise DataError(f"train: {place / name}: no images, expected some of that class")
        images += [read_pixels("train", file, 3) for file in files]
        labels += [label] * len(files)
    return images, labels


def _choose_size(images: Sequence[Pixels], wanted: Sequence[int]) -> tuple[int, int]:
    if wanted:
        return wanted[0], wanted[-1]
    sizes = {image.shape[1:] for image in images}
    height, width = sizes.pop() if len(sizes) == 1 else (SIDE, SIDE)
    return height, width
