"""The file of a search: a line for each trial, written when it ends, read when it goes on."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Mapping
from typing import Any

from tinynet.errors import DataError
from tinynet.files import file_name, refuse_zeros
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
        self.path = None if path is None else file_name(op, path)
        self.space = space
        self.outcomes: dict[tuple[int, int], Outcome] = {}
        self.is_new = True  # no search has written here before
        if self.path is not None:
            self._open(self.path)

    def _open(self, path: str) -> None:
        """Read what is there; a new file gets its line of names, an old one loses half a line."""
        try:
            refuse_zeros(path)
            if os.path.exists(path):
                if not os.path.isfile(path):  # reading a device may never end
                    raise FileExistsError(errno.EEXIST, "there is something that is no file", path)
                self.is_new = os.path.getsize(path) == 0
                self.outcomes = {row.trial.key: row for row in read_rows(path, self.space)}
                os.truncate(path, len(whole_lines(path)))
            if not os.path.exists(path) or os.path.getsize(path) == 0:
                self._append(write_line(columns([*self.space])))
        except OSError as error:
            raise self._cannot_write(error) from error

    def known(self, trial: Trial, may_differ: bool = False) -> Outcome | None:
        """The outcome of `trial` from an earlier run, if there is one.

        One of other parameters raises, for the file is of another search; with `may_differ`, where
        this search has just changed its course, it does not count.
        """
        found = self.outcomes.get(trial.key)
        if found is None:
            return None
        was, now = self._described(found.trial), self._described(trial)
        for name, value in now.items():
            if not _are_same(was[name], value):
                if may_differ:
                    return None
                raise DataError(
                    f"{self.op}: {self.path} has trial {trial.number} with {name} {was[name]},"
                    f" expected {value}: it is of a search with another space, seed or method;"
                    " choose another path"
                )
        return found

    def _described(self, trial: Trial) -> dict[str, Any]:
        """What two trials must have in common to be the same: numbers, and texts of others."""
        values = {
            name: trial[name] if isinstance(trial[name], float) else kind.write(trial[name])
            for name, kind in self.space.items()
        }
        return {**values, "seed": trial.seed, "budget": trial.budget}

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
