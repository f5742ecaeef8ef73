"""Tables in files: CSV, and NumPy's `.npy` and `.npz`."""

import csv
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.backends.host import numpy_dtype
from tinynet.data.dataset import TensorDataset
from tinynet.dtype import BY_NAME, DType, bool_, float32, integer_limits
from tinynet.errors import ArgumentError, DataError
from tinynet.files import decoding, to_read
from tinynet.ops.creation import check_dtype, from_numpy
from tinynet.tensor import Tensor

MISSING = frozenset(["", "?", "na", "n/a", "nan", "null", "none"])  # in small letters
Column = str | int
# What NumPy, zipfile, zlib and Python's parser raise for damaged files and for those of others.
NUMPY_ERRORS = (
    OSError, EOFError, ValueError, LookupError, AttributeError, MemoryError, OverflowError,
    RuntimeError, SyntaxError, TypeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


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
    whatever else does not fit: words, more digits or decimals than an integer `dtype` has, numbers
    beyond the range of a floating one.

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
    check_dtype("read_csv", dtype)
    _check_missing(missing, dtype)
    table = read_table(path, header, delimiter, encoding)
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
    parts: list[NDArray[Any]] = []
    names: list[str] = []
    for i in chosen:
        if i in classes:
            numbers, words = _classes(table, rows, i)
            parts.append((numbers[:, None] == np.arange(len(words))).astype(numpy_dtype(dtype)))
            names += [f"{table.names[i]}={word}" for word in words]
        else:
            parts.append(_numbers(table, rows, i, missing, dtype)[:, None])
            names.append(table.names[i])
    inputs = from_numpy(np.concatenate(parts, 1)).to(device)
    if goal is None:
        return TableDataset(inputs, tuple(names))
    if goal in classes:
        numbers, words = _classes(table, rows, goal)
        return TableDataset(inputs, tuple(names), from_numpy(numbers).to(device), words)
    targets = from_numpy(_numbers(table, rows, goal, missing, dtype)).to(device)
    return TableDataset(inputs, tuple(names), targets)


@dataclass(frozen=True)
class Table:
    """Cells by row, the number of each row's line, and the columns' names."""

    path: str
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def place_of(self, row: int, column: int) -> str:
        """Where a cell is, for errors."""
        return f"{self.path}, line {self.lines[row]}, column {self.names[column]!r}"

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


def read_table(
    path: str | os.PathLike[str], header: bool = True, delimiter: str = ",",
    encoding: str = "utf-8-sig",
) -> Table:  # fmt: skip
    """The cells of a text file, as `read_csv` says; lines without any are left out."""
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
        gaps = [j for j in used if is_missing(row[j])]
        if gaps and missing == "raise":
            raise DataError(
                f"read_csv: {table.place_of(i, gaps[0])}: {row[gaps[0]]!r} is missing; "
                "missing='drop' leaves it out, numbers fill in"
            )
        if not gaps or missing != "drop":
            rows.append(i)
    if not rows:
        raise DataError(f"read_csv: {table.path}: a cell is missing in every row")
    return rows


def _classes(
    table: Table, rows: Sequence[int], column: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The numbers of a column's classes, and their names."""
    cells = [table.rows[i][column] for i in rows]
    words, numbers = np.unique(cells, return_inverse=True)
    return numbers.astype(np.int64), tuple(words.tolist())


def _numbers(
    table: Table, rows: Sequence[int], column: int, missing: Any, dtype: DType
) -> NDArray[Any]:
    """A column's values; raises for a cell that is no number, or none that `dtype` holds."""
    cells = [table.rows[i][column] for i in rows]
    kind = float if dtype.is_floating_point else Decimal  # which loses no digit
    values = [missing if is_missing(cell) else parse_number(cell, kind) for cell in cells]
    if None in values:
        k = values.index(None)
        raise DataError(
            f"read_csv: {table.place_of(rows[k], column)}: {cells[k]!r:.60} is no finite number; "
            "if these are words, name the column in categorical="
        )
    for k in np.flatnonzero(_are_misfits(values, dtype)).tolist():
        if not is_missing(cells[k]):
            raise DataError(
                f"read_csv: {table.place_of(rows[k], column)}: {cells[k]!r:.60} does not fit "
                f"{dtype}"
            )
    wide = np.float64 if dtype.is_floating_point else numpy_dtype(dtype)
    return np.array(values, wide).astype(numpy_dtype(dtype))


def is_missing(cell: str) -> bool:
    """Whether a cell is empty, or a word that says so."""
    return cell.lower() in MISSING


def parse_number(cell: str, kind: type[float] | type[Decimal] = float) -> float | Decimal | None:
    """The finite number that a cell is; None for all else, and for 1_000, a number in Python only.

    >>> parse_number("1.50"), parse_number("1_000"), parse_number("inf")
    (1.5, None, None)
    """
    try:
        number = kind(cell)
        is_finite = math.isfinite(number)
    except (ValueError, InvalidOperation):
        return None
    return number if is_finite and "_" not in cell else None


def _are_misfits(values: Sequence[Any], dtype: DType) -> NDArray[np.bool_]:
    """Where numbers are none that `dtype` holds; floating ones may round them."""
    if dtype.is_floating_point:
        with np.errstate(over="ignore"):
            found = np.array(values, np.float64).astype(numpy_dtype(dtype))
        fits: NDArray[np.bool_] = np.isfinite(found)
        return ~fits
    low, high = (0, 1) if dtype is bool_ else integer_limits(dtype)
    return np.array([not (low <= value <= high and value == int(value)) for value in values])


def _check_missing(missing: Any, dtype: DType) -> None:
    """Raise for what cannot stand in the place of missing cells."""
    if isinstance(missing, str) and missing in ("raise", "drop"):
        return
    if not isinstance(missing, Real) or isinstance(missing, bool):
        raise ArgumentError(
            f"read_csv: missing is {missing!r:.60}, expected 'raise', 'drop' or a number"
        )
    may_be_any = dtype.is_floating_point and not math.isfinite(missing)
    if not may_be_any and _are_misfits([missing], dtype)[0]:
        raise ArgumentError(f"read_csv: missing is {missing!r}, which does not fit {dtype}")


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
            if not isinstance(found, np.ndarray):
                with found as archive:
                    found = {key: archive[key] for key in archive}
        except NUMPY_ERRORS as error:
            raise DataError(f"read_numpy: {name}: is no whole file of NumPy's ({error})") from error
    if isinstance(found, dict):
        return {key: _as_tensor(f"{name}: {key}", x).to(device) for key, x in found.items()}
    return _as_tensor(name, found).to(device)


def _as_tensor(name: str, array: Any) -> Tensor:
    if not isinstance(array, np.ndarray):  # the content of another file in a zip
        raise DataError(f"read_numpy: {name}: is no array, expected what NumPy wrote")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.name not in BY_NAME:
        raise DataError(f"read_numpy: {name}: {array.dtype} is no dtype of tinynet's")
    return from_numpy(np.asarray(native, order="C"))
