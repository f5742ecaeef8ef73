"""Pictures that the commands leave: grids of images with what a model takes them for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinynet.errors import ArgumentError
from tinynet.files import replacing
from tinynet.viz.figures import make_figure

COLUMNS = 6
CELL = 0.4  # of a figure's usual side, for an image


def draw_grid(
    path: str | os.PathLike[str],
    images: Sequence[NDArray[np.float32]],
    titles: Sequence[str],
    are_right: Sequence[bool] = (),
) -> None:
    """Write a picture of images (1 or 3, height, width) in [0, 1] with titles, wrong ones red."""
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = make_figure("grid", rows, columns)
    figure.set_size_inches(*(figure.get_size_inches() * CELL))
    all_axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axes in all_axes:
        axes.set_axis_off()
    for i, (axes, image, title) in enumerate(zip(all_axes, images, titles)):
        shown = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        is_wrong = bool(are_right) and not are_right[i]
        axes.set_title(title, fontsize="small", color="#d55e00" if is_wrong else "black")
    save(figure, path)


def draw_scatter(
    path: str | os.PathLike[str],
    targets: NDArray[np.floating],
    outputs: NDArray[np.floating],
    name: str,
) -> None:
    """Write a picture of what a model put out over what is true, one dot a sample."""
    figure = make_figure("scatter", 1, 1)
    axes = figure.subplots()
    axes.scatter(targets, outputs, s=6, alpha=0.6)
    axes.axline((float(targets.mean()),) * 2, slope=1, color="black", linewidth=0.8)
    axes.set(xlabel=f"{name}, true", ylabel=f"{name}, predicted")
    save(figure, path)


def save(figure: object, path: str | os.PathLike[str]) -> None:
    """Write a figure whole or not at all; the path's ending chooses the format."""
    ending = Path(path).suffix.lower().removeprefix(".")
    canvas = figure.canvas  # type: ignore[attr-defined]
    if ending not in canvas.get_supported_filetypes():
        raise ArgumentError(
            f"picture: {os.fspath(path)!r}, expected an ending such as .png or .svg"
        )
    with replacing(path, durable=False) as partial:
        figure.savefig(partial, format=ending, dpi=120)  # type: ignore[attr-defined]
