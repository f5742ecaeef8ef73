"""Figures of matplotlib; `figure.savefig(path)` writes one, whether or not there is a screen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from tinynet.errors import ArgumentError, MissingDependencyError, ShapeError
from tinynet.files import file_name, replacing, to_write
from tinynet.optim.lr_scheduler import LRScheduler
from tinynet.tensor import Tensor
from tinynet.viz.images import stretch, tile
from tinynet.windows import as_sizes

INCHES = 4.0  # the side of the square that an image gets


def draw_images(images: Mapping[str, NDArray[Any]], columns: int | None = None) -> Any:
    """A figure of images by title, each (height, width) or (height, width, 3), in [0, 1].

    They stand in one row, or in `columns`. Gray values go from black to white.
    """
    n = len(images)
    columns = n if columns is None else columns
    if n < 1 or columns < 1:
        raise ArgumentError(
            f"draw_images: {n} images in {columns} columns, expected at least one of each"
        )
    rows = -(-n // columns)
    figure = make_figure("draw_images", rows, columns)
    all_axes = figure.subplots(rows, columns, squeeze=False)
    for axes in all_axes.flat:
        axes.set_axis_off()
    for axes, (title, image) in zip(all_axes.flat, images.items()):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title)
    return figure


def draw_occlusion(
    image: Tensor | NDArray[Any],
    scores: Tensor,
    size: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
) -> Any:
    """A figure of an image, and of the scores that `occlusion` gave for it, where they belong.

    `image` is (1 or 3, height, width); `size` and `stride` are those that `occlusion` took. A
    score is drawn around the middle of its patch: where it is low, the class needs what is there.
    """
    if len(image.shape) != 3 or scores.ndim != 2:
        raise ShapeError(
            f"draw_occlusion: the image is {tuple(image.shape)} and the scores are {scores.shape}, "
            "expected (channels, height, width) and (rows, columns)"
        )
    figure = make_figure("draw_occlusion", 1, 2)
    plain, covered = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes in (plain, covered):
        axes.imshow(tile(stretch(image[None])), cmap="gray", interpolation="nearest")
        axes.set_axis_off()
    height, width = image.shape[1:]
    heat = covered.imshow(
        scores.detach().cpu().numpy(),
        extent=_place_scores(scores, size, stride),
        cmap="viridis",
        alpha=0.7,
        interpolation="nearest",
    )
    covered.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    figure.colorbar(heat, ax=covered, shrink=0.8, label="score with this place hidden")
    return figure


def _place_scores(
    scores: Tensor, size: int | tuple[int, int], stride: int | tuple[int, int]
) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of the scores, on pixels that are centred on whole numbers.

    Score i is `stride` pixels wide, around the middle of a patch from pixel i * stride on.
    """
    sizes = as_sizes("draw_occlusion", "size", size, 2)
    strides = as_sizes("draw_occlusion", "stride", stride, 2)
    (top, bottom), (left, right) = (
        ((k - 1 - s) / 2, (k - 1 - s) / 2 + n * s) for n, k, s in zip(scores.shape, sizes, strides)
    )
    return left, right, bottom, top


def plot_schedules(schedules: LRScheduler | Mapping[str, LRScheduler], steps: int) -> Any:
    """A figure of the rates in the next `steps` steps, of a schedule or of several by title.

    Each group of an optimiser is a curve of its own. The schedules stay where they are.
    """
    if isinstance(schedules, LRScheduler):
        schedules = {type(schedules).__name__: schedules}
    figure = make_figure("plot_schedules", 1, 2)
    axes = figure.subplots()
    for title, schedule in schedules.items():
        n = len(schedule.optimizer.param_groups)
        for i in range(n):
            label = title if n == 1 else f"{title}, group {i}"
            axes.plot(schedule.rates(steps, group=i), label=label)
    axes.set(xlabel="step", ylabel="learning rate")
    axes.legend()
    return figure


def save_grid(
    path: str | os.PathLike[str],
    images: Tensor | NDArray[Any],
    columns: int | None = None,
    title: str = "",
    is_signed: bool = False,
) -> None:
    """Write a figure of many images, (n, height, width) or (n, 1 or 3, height, width), to `path`.

    Each is scaled by itself as `stretch` does, they are put together as `tile` does. The path's
    ending chooses the format: .png, .svg, .pdf. Raises `ArgumentError` for other endings.
    """
    figure = draw_images({title: tile(stretch(images, is_signed), columns)})
    save_figure("save_grid", figure, path)


def save_figure(
    op: str, figure: Any, path: str | os.PathLike[str], dpi: float | str = "figure"
) -> None:
    """Write a figure whole or not at all; the path's ending chooses the format.

    Raises `ArgumentError` for an ending that matplotlib has no format for.
    """
    ending = os.path.splitext(file_name(op, path))[1].lower().removeprefix(".")
    if ending not in figure.canvas.get_supported_filetypes():
        raise ArgumentError(f"{op}: {os.fspath(path)!r}, expected an ending such as .png or .svg")
    with to_write(op, path), replacing(path, durable=False) as partial:
        figure.savefig(partial, format=ending, dpi=dpi)


def make_figure(op: str, rows: int, columns: int) -> Any:
    """An empty figure with room for `rows` times `columns` images; `op` names the one who asks.

    Raises `MissingDependencyError` where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"{op}: matplotlib is not installed, expected it: pip install 'tinynet[viz]'"
        ) from error
    return Figure(figsize=(INCHES * columns, INCHES * rows), layout="constrained")
