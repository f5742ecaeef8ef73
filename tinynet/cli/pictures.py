"""Pictures that the commands leave: grids of images with what a model takes them for."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinynet.viz.figures import make_figure, save_figure

COLUMNS = 6
DPI = 120
INCHES = 1.5  # the width of an image
BAND, GAP = 0.2, 0.1  # above an image for its title, and between columns: parts of its width
LONGEST = 24  # characters of a title
WRONG = "#d55e00"  # which the colour-blind tell from black


def draw_grid(
    path: str | os.PathLike[str],
    images: Sequence[NDArray[np.float32]],
    titles: Sequence[str],
    are_right: Sequence[bool] = (),
) -> None:
    """Write a picture of images (1 or 3, height, width) in [0, 1] with titles, wrong ones red.

    All are one image, over which the titles are written: that is quicker than axes for each.
    """
    _, height, width = images[0].shape
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    across, down = width + max(round(GAP * width), 1), height + max(round(BAND * width), 2)
    canvas = np.ones((rows * down, columns * across, 3), np.float32)
    figure = make_figure("grid", 1, 1)
    figure.set_size_inches(columns * INCHES, rows * INCHES * down / across)
    axes = figure.subplots()
    for i, (image, title) in enumerate(zip(images, titles)):
        top, left = i // columns * down + down - height, i % columns * across
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
        short = title if len(title) <= LONGEST else f"...{title[3 - LONGEST :]}"
        color = WRONG if are_right and not are_right[i] else "black"
        axes.text(
            left + width / 2, top - 1, short, color=color, fontsize=8, ha="center", va="bottom"
        )
    axes.imshow(canvas, interpolation="nearest", extent=(0, columns * across, rows * down, 0))
    axes.set_axis_off()
    save_figure("picture", figure, path, DPI)


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
    save_figure("picture", figure, path, DPI)
