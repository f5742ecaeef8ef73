"""Tables in files: CSV, and NumPy's `.npy` and `.npz`."""

import csv
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import TensorDataset
from tinynet.dtype import BY_NAME, DType, float32
from tinynet.errors import ArgumentError, DataError
from tinynet.files import decoding, to_read
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor

MISSING = frozenset(["", "?", "na", "n/a", "nan", "null", "none"])  # in small letters
Column = str | int


class TableDataset(TensorDataset):
    """Rows of a table: `dataset[i]` is `(inputs[i], targets[i])`, or `(inputs[i],)` without target.

    `inputs` is (n, d), `columns` are d names; `targets` is (n,), int64 classes if `classes`, their
    names, is not None.
    """

    def __init__(
        self,
        inputs: Tensor,
        columns: tuple[str, ...],
        targets: Tensor | None = None,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(*([inputs] if targets is None else [inputs, targets]))
        self.inputs = inputs
        self.targets = targets
        self.columns = columns
        self.classes = classes


def read_csv(
    path: str | os.PathLike[str],
    target: Column | None = None,
    *,
    columns: Iterable[Column] | None = None,
    categorical: Iterable[Column] = (),
    header: bool = True,
    delimiter: str = ",",
    missing: str | float = "raise",
    encoding: str = "utf-8-sig",
    dtype: DType = float32,
    device: str | None = None,
) -> TableDataset:
    r"""A data set of a text file with a row for each sample (RFC 4180: cells may be quoted).

    Columns are called by their names in the first line, or by number from 0 (from the end if
    negative); without `header`, all lines are samples. `columns` are the inputs, by default all but
    the target. Cells are finite numbers, except in `categorical` columns: of these, each word that
    comes up is a class, in alphabetical order; inputs become a column of 0 and 1 for each class,
    named `column=word`, a target becomes the class's number.

    Cells that are empty, or say NA, NaN, null, None or ?, are missing: `missing` is "raise", "drop"
    (leaves the row out), or a number to take instead. Raises `DataError` with line and column for
    whatever else does not fit.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "flowers.csv")
    >>> _ = path.write_text("petal,color,kind\n1.5,red,rose\n2,white,lily\n1,red,rose\n")
    >>> table = read_csv(path, "kind", categorical=["color", "kind"])
    >>> table.columns, table.classes
    (('petal', 'color=red', 'color=white'), ('lily', 'rose'))
    >>> table.inputs.tolist()
    [[1.5, 1.0, 0.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    >>> table.targets.tolist()
    [1, 0, 1]
    """
    if missing not in ("raise", "drop") and isinstance(missing, str):
        raise ArgumentError(
            f"read_csv: missing is {missing!r}, expected 'raise', 'drop' or a number"
        )
    table = _read_table(path, header, delimiter, encoding)
    goal = None if target is None else table.place(target)
    chosen = [table.place(column) for column in columns] if columns is not None else [
        i for i in range(len(table.names)) if i != goal
    ]  # fmt: skip
    if not chosen:
        raise DataError(f"read_csv: {table.path}: no columns for inputs, expected at least one")
    if goal in chosen:
        raise ArgumentError(f"read_csv: the target {target!r} is among the columns of inputs")
    classes = {table.place(column) for column in categorical}
    used = [*chosen, *([] if goal is None else [goal])]
    rows = _complete(table, used, missing)
    parts: list[NDArray[np.float64]] = []
    names: list[str] = []
    for i in chosen:
        values, words = _convert(table, rows, i, i in classes, missing)
        if words is None:
            parts.append(values[:, None])
            names.append(table.names[i])
        else:
            parts.append(values[:, None] == np.arange(len(words)))
            names += [f"{table.names[i]}={word}" for word in words]
    inputs = from_numpy(np.concatenate(parts, 1).astype(np.float64)).to(dtype).to(device)
    if goal is None:
        return TableDataset(inputs, tuple(names))
    values, words = _convert(table, rows, goal, goal in classes, missing)
    targets = from_numpy(values).to(dtype) if words is None else from_numpy(values.astype("i8"))
    return TableDataset(inputs, tuple(names), targets.to(device), words)


@dataclass(frozen=True)
class Table:
    """Cells by row, the number of each row's line, and the columns' names."""

    path: str
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def place(self, column: Column) -> int:
        """The number of a column that is called by name or number."""
        n = len(self.names)
        if isinstance(column, int) and not isinstance(column, bool):
            if -n <= column < n:
                return column % n
            raise DataError(f"read_csv: {self.path}: no column {column}, there are {n}")
        found = [i for i, name in enumerate(self.names) if name == column]
        if len(found) != 1:
            problem = "no column" if not found else "several columns"
            raise DataError(
                f"read_csv: {self.path}: {problem} {column!r}, expected one of "
                f"{', '.join(map(repr, self.names)):.200}"
            )
        return found[0]


def _read_table(path: str | os.PathLike[str], header: bool, delimiter: str, encoding: str) -> Table:
    rows: list[list[str]] = []
    lines: list[int] = []
    with to_read("read_csv", path) as name, decoding("read_csv", name, encoding):
        try:
            with open(name, newline="", encoding=encoding) as file:
                for line, row in _lines(csv.reader(file, delimiter=delimiter, strict=True), name):
                    rows.append([cell.strip() for cell in row])
                    lines.append(line)
        except TypeError as error:  # of the csv module, for delimiters
            raise ArgumentError(f"read_csv: delimiter {delimiter!r}: {error}") from None
    names = tuple(rows.pop(0)) if header and rows else ()
    lines = lines[1:] if header else lines
    if not rows:
        raise DataError(f"read_csv: {name}: has no rows, expected at least one")
    names = names or tuple([str(i) for i in range(len(rows[0]))])
    for row, line in zip(rows, lines):
        if len(row) != len(names):
            raise DataError(
                f"read_csv: {name}, line {line}: {len(row)} cells, expected {len(names)}"
            )
    return Table(name, names, rows, lines)


def _lines(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, and the number of its last line."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = reader.line_num  # type: ignore[attr-defined]
            raise DataError(f"read_csv: {name}, line {line}: {error}") from None
        if row:
            yield reader.line_num, row  # type: ignore[attr-defined]


def _complete(table: Table, used: Sequence[int], missing: str | float) -> list[int]:
    """The rows to take; raises for a missing cell if so asked."""
    rows = []
    for i, row in enumerate(table.rows):
        gaps = [j for j in used if row[j].lower() in MISSING]
        if gaps and missing == "raise":
            raise DataError(
                f"read_csv: {table.path}, line {table.lines[i]}, column {table.names[gaps[0]]!r}: "
                f"{row[gaps[0]]!r} is missing; missing='drop' leaves it out, numbers fill in"
            )
        if not gaps or missing != "drop":
            rows.append(i)
    if not rows:
        raise DataError(f"read_csv: {table.path}: a cell is missing in every row")
    return rows


def _convert(
    table: Table, rows: Sequence[int], column: int, is_categorical: bool, missing: str | float
) -> tuple[NDArray[np.float64], tuple[str, ...] | None]:
    """A column's values, or the numbers of its classes and the classes."""
    cells = [table.rows[i][column] for i in rows]
    if is_categorical:
        words, numbers = np.unique(cells, return_inverse=True)
        return numbers.astype(np.float64), tuple(words.tolist())
    values = np.empty(len(cells))
    for k, cell in enumerate(cells):
        try:
            values[k] = missing if cell.lower() in MISSING else float(cell)
        except ValueError:
            values[k] = math.nan
        if not math.isfinite(values[k]) and cell.lower() not in MISSING:
            raise DataError(
                f"read_csv: {table.path}, line {table.lines[rows[k]]}, column "
                f"{table.names[column]!r}: {cell!r:.60} is no finite number; if these are words, "
                "name the column in categorical="
            )
    return values, None


def read_numpy(
    path: str | os.PathLike[str], device: str | None = None
) -> Tensor | dict[str, Tensor]:
    """The tensor in a `.npy` file, or those in a `.npz` file by name.

    Nothing that is pickled is read, since that could run any program. Raises `DataError` for
    damaged files and for what is no array of a dtype of tinynet's.
    """
    with to_read("read_numpy", path) as name, open(name, "rb") as file:
        try:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return _as_tensor(name, found).to(device)
            with found:
                return {key: _as_tensor(f"{name}: {key}", found[key]).to(device) for key in found}
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"read_numpy: {name}: is no whole file of NumPy's ({error})") from error


def _as_tensor(name: str, array: NDArray[np.generic]) -> Tensor:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.name not in BY_NAME:
        raise DataError(f"read_numpy: {name}: {array.dtype} is no dtype of tinynet's")
    return from_numpy(np.array(native, order="C"))
