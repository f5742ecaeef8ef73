"""`tinynet predict`: what a trained network makes of files."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import tinynet as tn
from tinynet.cli.choices import choose
from tinynet.cli.console import print_table
from tinynet.cli.images import INVERT, find_images, normalized, prepare, read_pixels
from tinynet.cli.modelfiles import CODE, Opened, open_model
from tinynet.cli.pictures import draw_grid
from tinynet.cli.recipes import ImageRecipe, TableRecipe
from tinynet.cli.tables import read_rows
from tinynet.errors import ArgumentError, DataError
from tinynet.train import predict

EXAMPLES = """\
  tinynet predict runs/mnist-lenet 3.png 7.jpg
  tinynet predict runs/mnist-lenet digits/ --grid digits.png
  tinynet predict runs/photos-lenet new/ --top 3 --csv > labels.csv
  tinynet predict runs/iris-mlp flowers.csv --json
"""


@dataclass(frozen=True)
class Prediction:
    """What a model says of a file, or of a row of one: labels, the likeliest first, or a value."""

    file: str
    ranking: list[tuple[str, float]]  # labels with their probabilities
    value: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        if self.value is not None:
            return {"file": self.file, "value": self.value}
        label, probability = self.ranking[0]
        top = [{"label": name, "probability": p} for name, p in self.ranking]
        return {"file": self.file, "label": label, "probability": probability, "top": top}


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL",
        help="A folder that `tinynet train` left, or the model.safetensors in it.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILES...",
        help="Pictures of any size and kind, folders of them, or CSV files.")],
    as_json: Annotated[bool, typer.Option("--json", help="A list in JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Lines of CSV.")] = False,
    top: Annotated[int, typer.Option(min=1, help="Labels to show for each.")] = 1,
    grid: Annotated[Path | None, typer.Option(
        help="Write a picture there: what the model sees, and its labels.")] = None,
    invert: Annotated[str, typer.Option(
        help="Dark for bright: yes, no, or auto: as the ground was in training.")] = "auto",
    code: Annotated[list[str] | None, CODE] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="See `tinynet devices`.")] = "",
) -> None:  # fmt: skip
    """Tell what files show: labels with their probabilities, or a number.

    Pictures become what the network learnt from. Digits drawn dark on bright are inverted, cut out,
    scaled and centred as MNIST's are; other pictures are fitted in with their shape kept.
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv, expected one of them")
    invert = choose("--invert", invert, INVERT)
    opened = open_model(model, code=code or [], device=device or None)
    if isinstance(opened.recipe, TableRecipe):
        if grid is not None:
            raise ArgumentError("--grid: the model takes tables, expected one that takes images")
        found = predict_tables(opened, opened.recipe, files, top)
    elif isinstance(opened.recipe, ImageRecipe):
        paths = find_images("predict", files)
        seen = [see(path, opened.recipe, invert) for path in paths]
        found = predict_images(opened, opened.recipe, paths, seen, top)
    else:
        raise DataError(
            f"predict: {model}: says neither classes nor sizes of inputs, expected a model that "
            "`tinynet train` wrote"
        )
    show(found, as_json, as_csv)
    if grid is not None:
        titles = [f"{Path(x.file).name}: {x.ranking[0][0]} {x.ranking[0][1]:.0%}" for x in found]
        draw_grid(grid, seen, titles)
        print(f"Picture: {grid.resolve()}", file=sys.stderr)


def see(path: Path, recipe: ImageRecipe, invert: str) -> NDArray[np.float32]:
    """A picture file as the model sees it, (channels, height, width) in [0, 1]."""
    return prepare(read_pixels("predict", path, recipe.shape[0]), recipe, invert, str(path))


def predict_images(
    opened: Opened, recipe: ImageRecipe, paths: list[Path], seen: list[NDArray[np.float32]],
    top: int,
) -> list[Prediction]:  # fmt: skip
    """What the model says of each picture."""
    inputs = tn.from_numpy(normalized(np.stack(seen), recipe.mean, recipe.std))
    names = [str(path) for path in paths]
    return rank(names, predict(opened.module, inputs, jit=False), recipe.classes, top)


def predict_tables(
    opened: Opened, recipe: TableRecipe, files: list[Path], top: int
) -> list[Prediction]:
    """What the model says of each row; rows are numbered from 1."""
    found: list[Prediction] = []
    for path in files:
        rows = read_rows(path, recipe)
        outputs = predict(opened.module, tn.from_numpy(rows), jit=False)
        names = [f"{path}:{i}" for i in range(1, len(rows) + 1)]
        if recipe.classes is not None:
            found += rank(names, outputs, recipe.classes, top)
        else:
            values = outputs.flatten().cpu().numpy() * recipe.target_std + recipe.target_mean
            found += [Prediction(name, [], float(x)) for name, x in zip(names, values)]
    return found


def rank(
    names: list[str], outputs: tn.Tensor, classes: tuple[str, ...], top: int
) -> list[Prediction]:
    """Labels with their probabilities, the likeliest first."""
    if outputs.ndim != 2 or outputs.shape[1] != len(classes):
        raise DataError(
            f"predict: the model puts out {outputs.shape}, expected ({len(names)}, {len(classes)})"
        )
    shares = outputs.double().softmax(dim=1).cpu().numpy()
    found = []
    for name, row in zip(names, shares):
        order = np.argsort(-row, kind="stable")[:top]
        found.append(Prediction(name, [(classes[i], float(row[i])) for i in order]))
    return found


def show(found: list[Prediction], as_json: bool, as_csv: bool) -> None:
    """Print a table, JSON, or CSV."""
    if as_json:
        is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        print(json.dumps([x.as_dict() for x in found], indent=1, ensure_ascii=not is_unicode))
        return
    is_number = bool(found) and found[0].value is not None
    if is_number:
        titles = ["file", "value"]
        rows = [[x.file, f"{x.value:.6g}"] for x in found]
    else:
        n = max(len(x.ranking) for x in found)
        titles = ["file", "label", "probability"]
        titles += [f"{title} {i}" for i in range(2, n + 1) for title in ("label", "probability")]
        rows = [
            [x.file, *(cell for name, p in x.ranking for cell in (name, f"{p:.4f}"))] for x in found
        ]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([titles, *rows])
    else:
        print_table(titles, rows, right="value|probability")
