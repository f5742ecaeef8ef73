"""The file of a search: a line for each trial, written when it ends, read when it goes on."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Mapping
from typing import Any

from tinynet.errors import DataError
from tinynet.train.search.space import Kind
from tinynet.train.search.table import columns, read_rows, to_cells, whole_lines, write_line
from tinynet.train.search.trial import Outcome, Trial


class Journal:
    """The outcomes of a search by trial, kept in a csv file at `path` if there is one.

    A line is one write, which reaches the disk before the search goes on: whatever kills it then
    costs the trials that run. A line that was cut off is removed before the next is written.
    """

    def __init__(
        self, op: str, path: str | os.PathLike[str] | None, space: Mapping[str, Kind]
    ) -> None:
        self.op = op
        self.path = None if path is None else os.fspath(path)
        self.space = space
        self.outcomes: dict[tuple[int, int], Outcome] = {}
        if self.path is not None:
            self._open(self.path)

    def _open(self, path: str) -> None:
        """Read what is there; a new file gets its line of names, an old one loses half a line."""
        try:
            if os.path.exists(path):
                if not os.path.isfile(path):  # reading a device may never end
                    raise FileExistsError(errno.EEXIST, "there is something that is no file", path)
                self.outcomes = {row.trial.key: row for row in read_rows(path, self.space)}
                os.truncate(path, len(whole_lines(path)))
            if not os.path.exists(path) or os.path.getsize(path) == 0:
                self._append(write_line(columns([*self.space])))
        except OSError as error:
            raise self._cannot_write(error) from error

    def known(self, trial: Trial) -> Outcome | None:
        """The outcome of `trial` from an earlier run; raises if that tried something else."""
        found = self.outcomes.get(trial.key)
        if found is None:
            return None
        was = {**found.parameters, "seed": found.trial.seed, "budget": found.trial.budget}
        now = {**trial.parameters, "seed": trial.seed, "budget": trial.budget}
        for name, value in now.items():
            if not _are_same(was[name], value):
                raise DataError(
                    f"{self.op}: {self.path} has trial {trial.number} with {name} {was[name]!r},"
                    f" expected {value!r}: it is of a search with another space, seed or method;"
                    " choose another path"
                )
        return found

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in the file first."""
        if self.path is not None:
            try:
                self._append(write_line(to_cells(outcome, [*self.space], self.space)))
            except OSError as error:
                raise self._cannot_write(error) from error
        self.outcomes[outcome.trial.key] = outcome

    def _append(self, line: str) -> None:
        assert self.path is not None
        with open(self.path, "ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def _cannot_write(self, error: OSError) -> DataError:
        return DataError(
            f"{self.op}: cannot write {self.path!r} ({error.strerror}); what is in it stays, and"
            " the same call goes on from there"
        )


def _are_same(a: Any, b: Any) -> bool:
    """Equal, up to what the mathematics of another machine may round otherwise."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9)
    return bool(a == b)
