"""`History`: what each epoch of a training run measured."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    PartError,
    StateError,
)
from tinynet.files import replacing, to_read, to_write
from tinynet.train.curves import VALIDATION, history_html
from tinynet.viz.figures import make_figure, save_figure

EPOCH = "epoch"
MODES = {"min": min, "max": max}
DOTTED = 30  # epochs from which on curves have no dots
COLUMNS = 3  # quantities beside each other in a figure
SHOWN = 20  # rows that a table shows: the first and the last ones


class History:
    """One row per epoch: numbers by name.

    `rows` are the dicts; `history["loss"]` is a column. Validation's values are named
    `validation_` and the quantity; the learning rate is `lr`. A row may lack what others have: its
    place in a column is NaN.

    >>> history = History()
    >>> history.append({"loss": 0.5, "validation_loss": 0.7})
    >>> history.append({"loss": 0.25, "validation_loss": 0.6})
    >>> history["loss"]
    [0.5, 0.25]
    >>> history.best("validation_loss")
    1
    >>> history
    epoch  loss  validation_loss
        1   0.5              0.7
        2  0.25              0.6
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def append(self, row: Mapping[str, Any]) -> None:
        """Add an epoch. Values are kept as floats; a name is of printable characters."""
        values = {}
        for name, value in row.items():
            if not isinstance(name, str):
                raise ArgumentTypeError(f"History.append: the name {name!r}, expected a string")
            if not name or not name.isprintable() or name == EPOCH:
                raise ArgumentError(
                    f"History.append: the name {name!r}, expected printable characters, and not "
                    f"{EPOCH!r}, which is the row's number"
                )
            try:
                values[name] = float(value)
            except (TypeError, ValueError):
                raise ArgumentTypeError(
                    f"History.append: {name!r} is {value!r:.60}, expected a number"
                ) from None
        self.rows.append(values)

    @property
    def names(self) -> list[str]:
        """The columns, in the order in which they came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[float]:
        """A column, one number per epoch."""
        if name not in self.names:
            raise PartError(f"History: no column {name!r}, expected one of {self.names}")
        return [row.get(name, math.nan) for row in self.rows]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        ours, theirs = ([sorted(row.items()) for row in each.rows] for each in (self, other))
        return repr(ours) == repr(theirs)  # NaN is NaN

    __hash__ = None  # type: ignore[assignment]

    def best(self, name: str, mode: str = "min") -> int:
        """The row, counted from 0, where a column is lowest (`mode="max"`: highest).

        The first of equal ones; NaN never is. `history.rows[history.best("loss")]` is that epoch.
        """
        if mode not in MODES:
            raise ArgumentError(f"History.best: mode {mode!r}, expected 'min' or 'max'")
        numbers = [(x, i) for i, x in enumerate(self[name]) if not math.isnan(x)]
        if not numbers:
            raise ArgumentError(f"History.best: {name!r} is NaN in all epochs, expected a number")
        value = MODES[mode](x for x, _ in numbers)
        return next(i for x, i in numbers if x == value)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib figure, written to `path` if there is one; its ending says as what.

        A quantity's training and validation curves share axes. Raises `ArgumentError` for an
        ending such as .txt.
        """
        quantities = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in self.names))
        if not quantities:
            raise ArgumentError("History.plot: no epochs, expected at least one")
        columns = min(len(quantities), COLUMNS)
        rows = -(-len(quantities) // columns)
        figure = make_figure("History.plot", rows, columns)
        all_axes = figure.subplots(rows, columns, squeeze=False)
        for axes in all_axes.flat[len(quantities) :]:
            axes.set_axis_off()
        for axes, quantity in zip(all_axes.flat, quantities):
            for name, label in ((quantity, "training"), (VALIDATION + quantity, "validation")):
                if name in self:
                    points = [(x, y) for x, y in enumerate(self[name], 1) if not math.isnan(y)]
                    marker = "." if len(points) < DOTTED else ""
                    axes.plot(*zip(*points), label=label, marker=marker)
            axes.set(title=quantity, xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if VALIDATION + quantity in self:
                axes.legend()
        if path is not None:
            save_figure("History.plot", figure, path)
        return figure

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table: the names, then a line per epoch, empty where a row has no value."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([EPOCH, *self.names])
        for i, row in enumerate(self.rows):
            cells = [repr(row[name]) if name in row else "" for name in self.names]
            table.writerow([i + 1, *cells])
        with to_write("History.to_csv", path), replacing(path, durable=False) as partial:
            partial.write_bytes(text.getvalue().encode())

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> History:
        """What `to_csv` wrote, exactly. Raises `DataError` for other files."""
        try:
            with to_read("History.from_csv", path):
                text = Path(path).read_bytes().decode()  # line ends as they are
        except UnicodeDecodeError as error:
            raise DataError(f"History.from_csv: {path}: {error}, expected UTF-8 text") from error
        lines = list(csv.reader(io.StringIO(text, newline="")))
        if not lines or lines[0][:1] != [EPOCH]:
            raise DataError(f"History.from_csv: {path}: no line of names, expected 'epoch,...'")
        for i, name in enumerate(lines[0]):
            if name in lines[0][:i]:
                raise DataError(
                    f"History.from_csv: {path}: {name!r} twice, expected names that differ"
                )
        history = cls()
        for number, line in enumerate(lines[1:], start=2):
            history.append(_read_row(line, lines[0], f"{path}, line {number}"))
        return history

    def state_dict(self) -> dict[str, Any]:
        """A copy of the rows, for checkpoints."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        if set(state_dict) != {"rows"}:
            raise StateError(
                f"History.load_state_dict: got the keys {sorted(state_dict)}, expected 'rows'"
            )
        self.rows = []
        for row in state_dict["rows"]:
            self.append(row)

    def _repr_html_(self) -> str:
        """For notebooks: the curves, and the table below."""
        return history_html(self)

    def __repr__(self) -> str:
        """A table; of a long one the first and the last rows."""
        names = self.names
        if not names:
            return f"History: {len(self)} epochs"
        cells = [[EPOCH, *names]]
        for i, row in enumerate(self.rows):
            cells.append([str(i + 1), *(_shown(row.get(name)) for name in names)])
        if len(cells) > SHOWN + 1:
            dots = ["..."] * len(cells[0])
            cells = [*cells[: SHOWN // 2 + 1], dots, *cells[-SHOWN // 2 :]]
        widths = [max(map(len, column)) for column in zip(*cells)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in cells
        )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _read_row(line: list[str], names: list[str], place: str) -> dict[str, float]:
    """A row of a table's cells; the first is the number of the epoch."""
    if len(line) != len(names):
        raise DataError(
            f"History.from_csv: {place}: {len(line)} cells, expected {len(names)}: {names}"
        )
    try:
        return {name: float(cell) for name, cell in zip(names[1:], line[1:]) if cell}
    except ValueError as error:
        raise DataError(f"History.from_csv: {place}: {error}") from None
