"""What there is to learn: a known data set, a folder of images, or a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinynet as tn
from tinynet.cli.choices import hint
from tinynet.cli.images import normalized
from tinynet.cli.recipes import ImageRecipe, Recipe
from tinynet.data import TensorDataset, train_test_split
from tinynet.errors import ArgumentError, DataError, ShapeError

SETS = ("mnist", "fashion_mnist", "kmnist", "cifar10")
CENTRED = ("mnist", "kmnist")  # whose images are scaled and centred by mass
KINDS = ("auto", "classes", "numbers")
WHAT_FOR = {
    "target": "a table", "kind": "a table", "size": "a folder of images",
    "validation": "data without a test set",
}  # fmt: skip
DARK, BRIGHT = 0.25, 0.75  # the levels of a ground that is black, or white


@dataclass(frozen=True)
class Reading:
    """What `tinynet train` was told about its data."""

    target: str = ""
    kind: str = "auto"  # of a table's target: classes, numbers
    size: tuple[int, ...] = ()  # of images
    validation: float = 0.2  # the part held out, of data without a test set
    limit: int | None = None  # samples to train on


@dataclass(frozen=True)
class Arrays:
    """Samples as NumPy arrays: inputs (n, *shape) in float32, targets (n,)."""

    inputs: NDArray[np.float32]
    targets: NDArray[Any]


@dataclass(frozen=True)
class Task:
    """Data sets of tensors to train on and to test on, and how their inputs were made."""

    name: str
    train: TensorDataset
    test: TensorDataset
    recipe: Recipe

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The labels' names, None for numbers."""
        return self.recipe.classes

    @property
    def outputs(self) -> int:
        """How many numbers a model puts out."""
        return 1 if self.classes is None else len(self.classes)


def load_task(text: str, reading: Reading, device: str | None) -> Task:
    """The task that `text` names: one of `SETS`, a folder of images by class, or a CSV file.

    Raises `ArgumentError` for what is none, and `DataError` for data that cannot be had.
    """
    from tinynet.cli.folders import load_folder
    from tinynet.cli.tables import load_table

    check_reading(reading)
    path = Path(text)
    if text in SETS:
        return _load_set(text, reading, device)
    if path.is_dir():
        return load_folder(path, reading, device)
    if path.is_file():
        return load_table(path, reading, device)
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"train: {text}: there is no such file or folder, expected data")
    raise ArgumentError(
        f"train: no data set {text!r}, expected one of {', '.join(SETS)}, a folder of images by "
        f"class, or a CSV file{hint(text, SETS)}"
    )


def check_reading(reading: Reading) -> None:
    """Raise for values with which no data can be read."""
    if reading.kind not in KINDS:
        raise ArgumentError(f"--kind: {reading.kind!r}, expected one of {', '.join(KINDS)}")
    if len(reading.size) not in (0, 1, 2) or min(reading.size, default=1) < 1:
        raise ShapeError(f"--size: {reading.size}, expected a side, or height and width")
    if not 0 < reading.validation < 1:
        raise ArgumentError(f"--validation: {reading.validation}, expected a part between 0 and 1")


def refuse(what: str, reading: Reading, *names: str) -> None:
    """Raise for options that were given, though these data have no use for them."""
    for name in names:
        if getattr(reading, name) != getattr(Reading(), name):
            raise ArgumentError(
                f"--{name}: {what} takes no such option, it is for {WHAT_FOR[name]}"
            )


def image_task(
    name: str, train: Arrays, test: Arrays, classes: tuple[str, ...], is_centred: bool,
    device: str | None,
) -> Task:  # fmt: skip
    """A task of images (n, channels, height, width) in [0, 1], normalized by the training ones'."""
    mean = train.inputs.mean((0, 2, 3), dtype=np.float64)
    std = train.inputs.std((0, 2, 3), dtype=np.float64)
    std[std == 0] = 1  # of channels of one level
    recipe = ImageRecipe(
        classes=classes, shape=train.inputs.shape[1:], mean=tuple(mean.tolist()),
        std=tuple(std.tolist()), background=_find_ground(train.inputs), is_centred=is_centred,
    )  # fmt: skip
    parts = [
        Arrays(normalized(part.inputs, recipe.mean, recipe.std), part.targets)
        for part in (train, test)
    ]
    return Task(name, as_dataset(parts[0], device), as_dataset(parts[1], device), recipe)


def as_dataset(arrays: Arrays, device: str | None) -> TensorDataset:
    """Tensors of arrays, on a device."""
    inputs, targets = tn.from_numpy(arrays.inputs), tn.from_numpy(arrays.targets)
    return TensorDataset(inputs.to(device), targets.to(device))


def hold_out(arrays: Arrays, reading: Reading, has_classes: bool) -> tuple[Arrays, Arrays]:
    """The samples to train on, and those held out, each class by its share."""
    order = np.arange(len(arrays.targets))
    train, test = train_test_split(
        order, test_size=reading.validation, stratify=arrays.targets if has_classes else None
    )
    return (
        Arrays(arrays.inputs[train], arrays.targets[train]),
        Arrays(arrays.inputs[test], arrays.targets[test]),
    )


def limited(arrays: Arrays, limit: int | None) -> Arrays:
    """The first samples."""
    return Arrays(arrays.inputs[:limit], arrays.targets[:limit])


def _load_set(name: str, reading: Reading, device: str | None) -> Task:
    refuse(name, reading, "target", "kind", "size", "validation")
    train, test = getattr(tn.data, name)(device="cpu")
    parts = [Arrays(x.images.numpy(), x.labels.numpy()) for x in (train, test)]
    parts[0] = limited(parts[0], reading.limit)
    return image_task(name, parts[0], parts[1], train.classes, name in CENTRED, device)


def _find_ground(images: NDArray[np.float32]) -> int | None:
    """Whether the images' borders are black (0), white (1), or neither (None)."""
    edges = [images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]]
    levels = np.concatenate([edge.reshape(-1) for edge in edges])
    if np.quantile(levels, DARK) > BRIGHT:
        return 1
    return 0 if np.quantile(levels, BRIGHT) < DARK else None
