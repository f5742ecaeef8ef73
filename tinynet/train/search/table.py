"""The results of a search: a row for each trial, in memory and in a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinynet.errors import ArgumentError, DataError, SearchError
from tinynet.files import replacing, to_read, to_write
from tinynet.train.search.plotting import plot_results
from tinynet.train.search.space import Kind, check_space, label, read_value, shown
from tinynet.train.search.trial import FAILED, KILLED, OK, Outcome, Trial
from tinynet.viz.figures import save_figure

BEFORE = ("trial", "round", "budget")  # columns to the left of the parameters
AFTER = ("score", "seconds", "seed", "status", "error")
RESERVED = BEFORE + AFTER
SHOWN = 20  # rows of a printed table


class SearchResults:
    """Outcomes in the order of their trials; `mode` says whether the best has the lowest score.

    `space` is what was searched, None where it is not known; `interrupted` is true where Ctrl-C
    ended the search. Printed, the best stand first.

    >>> rates = [2.0, 1.0]
    >>> rows = [Outcome(Trial(i, {"lr": lr}, 0), lr**2, 1.0) for i, lr in enumerate(rates)]
    >>> results = SearchResults(rows)
    >>> results.best.parameters
    {'lr': 1.0}
    >>> print(results)
    trial  lr  score  seconds
        1   1      1        1
        0   2      4        1
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        mode: str = "min",
        space: Mapping[str, Any] | None = None,
        interrupted: bool = False,
    ) -> None:
        check_mode("SearchResults", mode)
        self.rows = sorted(outcomes, key=lambda row: (row.trial.round, row.trial.number))
        self.mode = mode
        self.space = None if space is None else check_space("SearchResults", space, RESERVED)
        self.interrupted = interrupted

    @property
    def names(self) -> list[str]:
        """The parameters' names."""
        if self.space is not None:
            return [*self.space]
        return [*self.rows[0].parameters] if self.rows else []

    def ranked(self) -> list[Outcome]:
        """Those that succeeded, best first: the largest budgets, and of these the best scores."""
        sign = 1 if self.mode == "min" else -1
        done = [row for row in self.rows if row.score is not None]
        return sorted(
            done, key=lambda row: (-(row.trial.budget or 0), sign * (row.score or 0), row.trial.key)
        )

    @property
    def best(self) -> Outcome:
        """The best outcome; with budgets, of those with the largest. `SearchError` if none is."""
        ranked = self.ranked()
        if not ranked:
            why = f"; the first one: {self.rows[0].error}" if self.rows else ""
            raise SearchError(
                f"SearchResults.best: of {len(self.rows)} trials none succeeded, expected one{why}"
            )
        return ranked[0]

    @property
    def failed(self) -> list[Outcome]:
        """Those without a score."""
        return [row for row in self.rows if row.score is None]

    def plot(self, path: str | os.PathLike[str] | None = None, *, log: bool = False) -> Any:
        """A matplotlib figure of scores against each parameter, written to `path` if there is one.

        What was searched on a log scale is drawn on one. Later rounds and larger budgets are
        darker, a star marks the best, ticks at the bottom the trials that failed. With `log` the
        scores are on a log scale, too. Raises `ArgumentError` for an ending such as .txt.
        """
        figure = plot_results(self, log)
        if path is not None:
            save_figure("SearchResults.plot", figure, path)
        return figure

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with the columns that searches write, whole or not at all."""
        lines = [write_line(columns(self.names))]
        lines += [write_line(to_cells(row, self.names, self.space)) for row in self.rows]
        with to_write("SearchResults.to_csv", path), replacing(path) as partial:
            partial.write_text("".join(lines), encoding="utf-8", newline="")

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        mode: str = "min",
        space: Mapping[str, Any] | None = None,
    ) -> SearchResults:
        """Results from a file that a search or `to_csv` wrote; what a kill cut off is left out.

        Without the `space`, parameters are numbers where they read as such, else texts.
        """
        known = None if space is None else check_space("from_csv", space, RESERVED)
        return cls(read_rows(os.fspath(path), known), mode, space)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Outcome:
        return self.rows[index]

    def __str__(self) -> str:
        if not self.rows:
            return "no trials" + ", interrupted" * self.interrupted
        best = self.ranked()[:SHOWN]
        table = [self._cells(row) for row in [*best, *self.failed[: SHOWN - len(best)]]]
        names = ["trial", "budget", *self.names, "score", "seconds", "error"]
        used = [any(row[i] for row in table) for i in range(len(names))]
        lines = [[cell for cell, is_used in zip(row, used) if is_used] for row in [names, *table]]
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = ["  ".join(map(str.rjust, line, widths)).rstrip() for line in lines]
        hidden = len(self.rows) - len(table)
        notes = [f"{hidden} more trials"] * (hidden > 0)
        notes += [f"{len(self.failed)} of {len(self.rows)} trials failed"] * bool(self.failed)
        notes += ["interrupted"] * self.interrupted
        return "\n".join(text + notes)

    def _cells(self, row: Outcome) -> list[str]:
        values = [row.parameters.get(name) for name in self.names]
        numbers = (row.trial.number, row.trial.budget, *values, row.score, row.seconds)
        return [*map(shown, numbers), row.error[:60]]

    def __repr__(self) -> str:
        return f"SearchResults({len(self.rows)} trials of {self.names}, {len(self.failed)} failed)"


def check_mode(op: str, mode: Any) -> None:
    """Raise for a mode that is none."""
    if mode not in ("min", "max"):
        raise ArgumentError(f"{op}: mode is {mode!r}, expected 'min' or 'max'")


def columns(names: Sequence[str]) -> list[str]:
    """The names of a file's columns."""
    return [*BEFORE, *names, *AFTER]


def write_line(cells: Sequence[str]) -> str:
    """A line of a csv file; no cell has line breaks, so that a line is a row."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([" ".join(cell.splitlines()) for cell in cells])
    return text.getvalue()


def to_cells(row: Outcome, names: Sequence[str], space: Mapping[str, Kind] | None) -> list[str]:
    """The cells of an outcome, from which `read_rows` makes it again."""
    trial = row.trial
    values = [
        label(trial[name]) if space is None else space[name].write(trial[name]) for name in names
    ]
    budget = "" if trial.budget is None else repr(trial.budget)
    score = "" if row.score is None else repr(row.score)
    after = [score, f"{row.seconds:.6g}", str(trial.seed), row.status, row.error]
    return [str(trial.number), str(trial.round), budget, *values, *after]


def whole_lines(path: str) -> bytes:
    """A file's content up to its last line break: what follows is of a write that was cut off."""
    with to_read("search", path), open(path, "rb") as file:
        content = file.read()
    return content[: content.rfind(b"\n") + 1]


def read_rows(path: str, space: Mapping[str, Kind] | None) -> list[Outcome]:
    """The outcomes in a file; of a trial that was tried again, the last."""
    try:
        lines = [*csv.reader(io.StringIO(whole_lines(path).decode(), newline=""), strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"search: {path}: {error}, expected a csv file of results") from error
    if not lines:
        return []
    names = lines[0][len(BEFORE) : -len(AFTER)]
    wanted = names if space is None else [*space]
    if lines[0] != columns(wanted):
        raise DataError(
            f"search: {path} has the columns {lines[0]}, expected {columns(wanted)}; is it of"
            " another search?"
        )
    rows = {}
    for i, cells in enumerate(lines[1:], start=2):
        row = _read_row(cells, names, space, f"search: {path}, line {i}")
        rows[row.trial.key] = row
    return [*rows.values()]


def _read_row(
    cells: list[str], names: list[str], space: Mapping[str, Kind] | None, place: str
) -> Outcome:
    if len(cells) != len(RESERVED) + len(names):
        raise DataError(f"{place}: {len(cells)} cells, expected {len(RESERVED) + len(names)}")
    start, stop = len(BEFORE), len(BEFORE) + len(names)
    texts = dict(zip(names, cells[start:stop]))
    parameters = {
        name: _guess(text) if space is None else read_value(space[name], text, f"{place}: {name}")
        for name, text in texts.items()
    }
    number, round_, budget = cells[:start]
    score, seconds, seed, status, error = cells[stop:]
    try:
        trial = Trial(
            int(number), parameters, int(seed), int(round_), _guess(budget) if budget else None
        )
        row = Outcome(trial, float(score) if score else None, float(seconds), status, error)
    except ValueError as wrong:
        raise DataError(f"{place}: {wrong}") from wrong
    if status not in (OK, FAILED, KILLED) or (status == OK) != (row.score is not None):
        raise DataError(f"{place}: status {status!r} and score {score!r} do not go together")
    return row


def _guess(text: str) -> Any:
    """A text as the number that it is, if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
