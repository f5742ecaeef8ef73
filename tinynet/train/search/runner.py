"""What all searches share: trials with seeds, workers, the file of results, and Ctrl-C."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.train.search.journal import Journal
from tinynet.train.search.space import Kind
from tinynet.train.search.table import SearchResults, check_mode
from tinynet.train.search.trial import Evaluation, Outcome, Trial, draw, warn_of_failure
from tinynet.train.search.workers import run_trials


class Runner:
    """Runs the trials of one search; arguments as in `random_search`.

    Used as a context, it ends the block at `KeyboardInterrupt`: `results` are those so far.
    """

    def __init__(
        self,
        op: str,
        objective: Callable[[Trial], Any],
        space: Mapping[str, Kind],
        mode: str,
        seed: int,
        processes: int,
        path: str | os.PathLike[str] | None,
        folder: str | os.PathLike[str] | None,
        retry_failed: bool,
        on_outcome: Callable[[Outcome], None] | None,
    ) -> None:
        check_mode(op, mode)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ArgumentTypeError(f"{op}: seed is {seed!r}, expected an int")
        self.op = op
        self.evaluate = Evaluation(op, objective)
        self.whole_space = self.space = dict(space)
        self.mode, self.seed, self.processes = mode, seed, processes
        self.folder = None if folder is None else Path(folder)
        self.retry_failed = retry_failed
        self.on_outcome = on_outcome
        if path is None and self.folder is not None:
            self._make_folder(self.folder)
            path = self.folder / "results.csv"
        self.journal = Journal(op, path, self.space)
        self._check_folder()
        self.has_retried = False
        self.has_warned = False
        self.outcomes: dict[tuple[int, int], Outcome] = {}
        self.interrupted = False

    @property
    def results(self) -> SearchResults:
        """What has come so far."""
        rows = [*self.outcomes.values()]
        return SearchResults(rows, self.mode, self.whole_space, self.interrupted)

    def draw_trial(self, number: int, round_: int = 0, budget: float | None = None) -> Trial:
        """A trial with random parameters from the space."""
        _, fractions = draw(self.seed, number, len(self.space))
        values = {
            name: kind.at(fraction) for (name, kind), fraction in zip(self.space.items(), fractions)
        }
        return self.make_trial(number, values, round_, budget)

    def make_trial(
        self,
        number: int,
        parameters: Mapping[str, Any],
        round_: int = 0,
        budget: float | None = None,
    ) -> Trial:
        """A trial with its seed, and its folder if there are some."""
        seed, _ = draw(self.seed, number, 0)
        folder = None if self.folder is None else self.folder / f"trial-{number}"
        return Trial(number, parameters, seed, round_, budget, folder)

    def run(self, trials: Iterable[Trial]) -> list[Outcome]:
        """The outcomes of trials, in their order; those that the file has are not run."""
        trials = [*trials]
        waiting = []
        for trial in trials:
            known = self.journal.known(trial, may_differ=self.has_retried)
            if known is None or (self.retry_failed and known.score is None):
                waiting.append(trial)
            else:
                self.outcomes[trial.key] = replace(known, trial=trial)  # which has its folder
        # A trial that now succeeds may change what those after it try.
        self.has_retried |= any(trial.key in self.journal.outcomes for trial in waiting)
        for trial in waiting:
            if trial.folder is not None:
                self._make_folder(trial.folder)
        run_trials(self.op, self.evaluate, waiting, self.processes, self._receive)
        return [self.outcomes[trial.key] for trial in trials]

    def _check_folder(self) -> None:
        """Raise if trials would go on from what another search left in their folders."""
        if self.folder is not None and self.journal.is_new and any(self.folder.glob("trial-*")):
            raise DataError(
                f"{self.op}: {str(self.folder)!r} has folders of trials, but there is no"
                f" {self.journal.path!r} of their search, expected a new folder: trials would go"
                " on from what those have left"
            )

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{self.op}: cannot make {str(folder)!r} ({error.strerror}), expected a folder"
                " for the trial's files"
            ) from error

    def _receive(self, outcome: Outcome) -> None:
        self.journal.add(outcome)
        self.outcomes[outcome.trial.key] = outcome
        if outcome.score is None and not self.has_warned:
            self.has_warned = True
            warn_of_failure(self.op, outcome)
        if self.on_outcome is not None:
            self.on_outcome(outcome)

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            return False
        self.interrupted = True
        warnings.warn(
            f"{self.op}: interrupted after {len(self.outcomes)} trials; these are the results",
            stacklevel=3,
        )
        return True


def check_count(op: str, name: str, count: Any) -> None:
    """Raise for what is no number of things."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ArgumentError(f"{op}: {name} is {count!r}, expected a positive int")
