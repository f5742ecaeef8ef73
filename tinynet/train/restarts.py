"""The best of several minimisations from different initial points."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from tinynet.errors import ArgumentError, SearchError
from tinynet.train.scores import Scores
from tinynet.train.search.table import check_mode
from tinynet.train.search.trial import Evaluation, Outcome, Trial, draw, warn_of_failure
from tinynet.train.search.workers import run_trials

NEAR = 0.01  # of the scores' range: who ends so near the best has found the same


class Restarts:
    """What came of each start, in order: `scores`, `best`, and how they spread.

    `best` has the `score`, the `result` that the run gave beside it, and the `start`.
    """

    def __init__(self, rows: Sequence[Outcome], mode: str = "min") -> None:
        self.rows = list(rows)
        self.mode = mode

    @property
    def scores(self) -> list[float | None]:
        """The score from each start; None where the run failed."""
        return [row.score for row in self.rows]

    @property
    def best(self) -> Outcome:
        """The best outcome, the first of equal ones. `SearchError` if all runs failed."""
        done = [row for row in self.rows if row.score is not None]
        if not done:
            raise SearchError(
                f"restart: of {len(self.rows)} runs none succeeded, expected one; the first:"
                f" {self.rows[0].error}"
            )
        choose = min if self.mode == "min" else max
        return choose(done, key=lambda row: row.score or 0.0)

    @property
    def start(self) -> Any:
        """Where the best run started."""
        return self.best["start"]

    @property
    def score(self) -> float:
        """The best score."""
        return self.best.score or 0.0

    @property
    def result(self) -> Any:
        """What the best run gave beside its score."""
        return self.best.result

    def __str__(self) -> str:
        done = [row.score for row in self.rows if row.score is not None]
        if not done:
            return f"all {len(self.rows)} runs failed"
        best = self.score
        reach = NEAR * (max(done) - min(done))
        near = sum(abs(score - best) <= reach for score in done)
        failed = len(self.rows) - len(done)
        spread = f"; all: {Scores(done)}" if len(done) > 1 else ""
        return (
            f"best {best:.6g} from start {self.best.trial.number} of {len(self.rows)}"
            f" ({near} came as near){spread}" + f"; {failed} failed" * bool(failed)
        )

    def __repr__(self) -> str:
        return f"Restarts({len(self.rows)} runs, mode={self.mode!r})"


def restart(
    run: Callable[[Any], Any],
    starts: int | Iterable[Any],
    *,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
) -> Restarts:
    """Call `run(start)` for each of `starts`; keep the best.

    `run` returns a score, or a pair of the score and what shall be kept of the best run, such as
    the point or a `state_dict()`. With an int there are that many starts, 0, 1, ...: each run
    finds tinynet's, NumPy's and Python's global random numbers seeded by `seed` and its number, so
    that a model that it makes has other initial weights each time, and every time the same.

    A run that raises, or gives no finite number, has no score, and is warned of. With `processes`
    more than 1, runs are in spawned processes; `run` must then be a function at the top level of a
    module, as in `search.random_search`. Ctrl-C ends it with what has come so far.

    >>> def descend(x):  # to one of the two minima of x**4 - 2 x**2 + 0.3 x
    ...     for _ in range(100):
    ...         x = x - 0.05 * (4 * x**3 - 4 * x + 0.3)
    ...     return x**4 - 2 * x**2 + 0.3 * x, x
    >>> found = restart(descend, [-1.5, -0.5, 0.5, 1.5])
    >>> round(found.score, 3), round(found.result, 3), found.start
    (-1.305, -1.036, -1.5)
    """
    check_mode("restart", mode)
    if isinstance(starts, int) and not isinstance(starts, bool):
        starts = range(starts)
    if not isinstance(starts, Iterable):
        raise ArgumentError(f"restart: starts is {starts!r}, expected initial points or a number")
    trials = [Trial(i, {"start": start}, draw(seed, i, 0)[0]) for i, start in enumerate(starts)]
    if not trials:
        raise ArgumentError("restart: no starts, expected at least one")
    rows: dict[int, Outcome] = {}

    def receive(outcome: Outcome) -> None:
        rows[outcome.trial.number] = outcome
        if outcome.score is None:
            warn_of_failure("restart", outcome)
            return
        best = Restarts([rows[i] for i in sorted(rows)], mode).best
        for i, row in rows.items():  # weights of all runs might not fit into memory
            if row is not best and row.result is not None:
                rows[i] = replace(row, result=None)

    evaluate = Evaluation("restart", FromStart(run), True)
    try:
        run_trials("restart", evaluate, trials, processes, receive)
    except KeyboardInterrupt:
        if not rows:
            raise
        warnings.warn(f"restart: interrupted after {len(rows)} runs", stacklevel=2)
    return Restarts([rows[i] for i in sorted(rows)], mode)


class FromStart:
    """A run as an objective; a class, so that other processes can have it."""

    def __init__(self, run: Callable[[Any], Any]) -> None:
        if not callable(run):
            raise ArgumentError(f"restart: run is {run!r:.60}, expected a function of a start")
        self.run = run

    def __call__(self, trial: Trial) -> Any:
        """What the run gives from the start that the trial has."""
        return self.run(trial["start"])
