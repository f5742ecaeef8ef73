"""Tables in CSV files: a row for each sample, a column that is to be told from the others."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tinynet as tn
from tinynet.cli.recipes import TableRecipe
from tinynet.cli.tasks import Arrays, Reading, Task, as_dataset, hold_out, limited, refuse
from tinynet.data.tables import MISSING, TableDataset
from tinynet.errors import ArgumentError, DataError


def load_table(path: Path, reading: Reading, device: str | None) -> Task:
    """The rows of a CSV file with a line of names; inputs and numbers to tell are standardized.

    Columns with words are categorical. The target, `reading.target`, is a class if it has words, or
    if `reading.kind` says so. Rows where a cell is missing are left out.
    """
    if not reading.target:
        raise ArgumentError(f"train: {path}: a table, expected --target COLUMN, what is to be told")
    refuse(str(path), reading, "size")
    words = [name for name in find_words(path) if name != reading.target]
    has_classes = reading.kind == "classes" or (
        reading.kind == "auto" and reading.target in find_words(path)
    )
    categorical = [*words, *([reading.target] if has_classes else [])]
    table = tn.data.read_csv(path, reading.target, categorical=categorical, missing="drop")
    assert table.targets is not None
    samples = Arrays(table.inputs.numpy(), table.targets.numpy())
    train, test = hold_out(samples, reading, has_classes)
    train = limited(train, reading.limit)
    mean, std = _moments(train.inputs)
    goal = _moments(train.targets[:, None]) if not has_classes else (np.zeros(1), np.ones(1))
    recipe = TableRecipe(
        table.classes, table.columns, tuple(words), tuple(mean.tolist()), tuple(std.tolist()),
        reading.target, float(goal[0][0]), float(goal[1][0]),
    )  # fmt: skip
    parts = [as_dataset(_standardized(part, recipe), device) for part in (train, test)]
    return Task(path.stem, parts[0], parts[1], recipe)


def read_rows(path: Path, recipe: TableRecipe) -> NDArray[np.float32]:
    """The rows of a file as a model's inputs, (n, columns); it needs no column of the target's."""
    raw = list(dict.fromkeys(_column_of(name, recipe) for name in recipe.columns))
    table = tn.data.read_csv(path, columns=raw, categorical=recipe.categorical)
    return _scaled(_aligned(path, table, recipe), recipe)


def _column_of(name: str, recipe: TableRecipe) -> str:
    """The column of the file from which an input comes."""
    heads = [head for head in recipe.categorical if name.startswith(f"{head}=")]
    return max(heads, key=len) if heads else name


def find_words(path: Path) -> list[str]:
    """The columns, by name, with a cell that is neither a number nor missing."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"train: {path}: is no table that can be read ({error})") from error
    if not rows:
        raise DataError(f"train: {path}: is empty, expected a line of names, and rows")
    columns = zip(*rows[1:], strict=False)
    return [name.strip() for name, cells in zip(rows[0], columns) if any(map(_is_word, cells))]


def _is_word(cell: str) -> bool:
    text = cell.strip()
    if text.lower() in MISSING:
        return False
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return True


def _aligned(path: Path, table: TableDataset, recipe: TableRecipe) -> NDArray[np.float32]:
    """The inputs with the columns that the model knows, in its order."""
    values = table.inputs.numpy()
    strange = [name for name in table.columns if name not in recipe.columns]
    if strange:
        raise DataError(f"predict: {path}: {strange[0]!r}, expected one that the model learnt from")
    aligned = np.zeros((len(values), len(recipe.columns)), np.float32)
    for j, name in enumerate(recipe.columns):
        if name in table.columns:
            aligned[:, j] = values[:, table.columns.index(name)]
    return aligned


def _moments(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, std = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    return mean, np.where(std > 0, std, 1)


def _standardized(samples: Arrays, recipe: TableRecipe) -> Arrays:
    targets = samples.targets
    if recipe.classes is None:
        scaled = (targets - recipe.target_mean) / recipe.target_std
        targets = scaled.astype(np.float32)[:, None]
    return Arrays(_scaled(samples.inputs, recipe), targets)


def _scaled(inputs: NDArray[np.float32], recipe: TableRecipe) -> NDArray[np.float32]:
    means, stds = (np.array(x, np.float32) for x in (recipe.mean, recipe.std))
    scaled: NDArray[np.float32] = (inputs - means) / stds
    return scaled
