"""Tables in CSV files: a row for each sample, a column that is to be told from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tinynet as tn
from tinynet.cli.recipes import TableRecipe
from tinynet.cli.tasks import Arrays, Reading, Task, as_dataset, hold_out, limited, refuse
from tinynet.data.tables import Table, TableDataset, is_missing, parse_number, read_table
from tinynet.errors import ArgumentError, DataError


def load_table(path: Path, reading: Reading, device: str | None) -> Task:
    """The rows of a CSV file with a line of names; inputs and numbers to tell are standardized.

    Columns with words are categorical. The target, `reading.target`, is a class if it has words, or
    if `reading.kind` says so. Rows where a cell is missing are left out.
    """
    if not reading.target:
        raise ArgumentError(f"train: {path}: a table, expected --target COLUMN, what is to be told")
    refuse(str(path), reading, "size")
    cells = read_table(path)
    place = cells.place(reading.target)
    found = find_words(cells)
    words = [name for name in found if name != reading.target]
    _check_names(cells, words)
    has_classes = reading.kind == "classes" or (reading.kind == "auto" and reading.target in found)
    if not has_classes:
        _require_numbers("train", cells, place, "expected numbers, or --kind classes")
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
    cells = read_table(path)
    for name in raw:
        j = cells.place(name)
        for i, row in enumerate(cells.rows):
            if is_missing(row[j]):
                raise DataError(
                    f"predict: {cells.place_of(i, j)}: {row[j]!r} is missing, expected a value"
                )
        if name not in recipe.categorical:
            _require_numbers("predict", cells, j, "expected numbers, as in training")
    table = tn.data.read_csv(path, columns=raw, categorical=recipe.categorical)
    return _scaled(_aligned(path, table, recipe), recipe)


def _column_of(name: str, recipe: TableRecipe) -> str:
    """The column of the file from which an input comes."""
    heads = [head for head in recipe.categorical if name.startswith(f"{head}=")]
    return heads[0] if heads else name


def find_words(table: Table) -> list[str]:
    """The columns, by name, with a cell that is neither a number nor missing.

    Raises `DataError` for a column of numbers of which one is infinite, or written as 1_000.
    """
    found = []
    for j, name in enumerate(table.names):
        words = [row[j] for row in table.rows if _is_word(row[j])]
        if not words:
            continue
        if all(map(_is_number_in_python, words)):
            _require_numbers("train", table, j, "expected one as the others are")
        found.append(name)
    return found


def _is_word(cell: str) -> bool:
    return not is_missing(cell) and parse_number(cell) is None


def _is_number_in_python(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _require_numbers(op: str, table: Table, column: int, expected: str) -> None:
    """Raise for the first cell of a column that is a word."""
    for i, row in enumerate(table.rows):
        if _is_word(row[column]):
            raise DataError(
                f"{op}: {table.place_of(i, column)}: {row[column]!r:.60} is no finite number, "
                f"{expected}"
            )


def _check_names(table: Table, words: Iterable[str]) -> None:
    """Raise for names with which `tinynet predict` could not tell which column is meant."""
    for name, n in Counter(table.names).items():
        if n > 1:
            raise DataError(f"train: {table.path}: {n} columns {name!r}, expected different names")
        for word in words:
            if name.startswith(f"{word}="):
                raise DataError(
                    f"train: {table.path}: the column {name!r} has the name of an input that is "
                    f"made of the words in {word!r}, expected another name"
                )


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
