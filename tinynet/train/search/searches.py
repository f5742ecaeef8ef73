"""Grid, random and coarse-to-fine search."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.train.search.runner import Runner, check_count
from tinynet.train.search.space import check_space
from tinynet.train.search.table import RESERVED, SearchResults
from tinynet.train.search.trial import Outcome, Trial

Objective = Callable[[Trial], Any]
Path = str | os.PathLike[str]


def grid_search(
    objective: Objective,
    space: Mapping[str, Any],
    points: int | Mapping[str, int] = 5,
    *,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    path: Path | None = None,
    folder: Path | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SearchResults:
    """Try all combinations of all choices and of `points` values of each range.

    `points` may be a dict of numbers by parameter; the others have 5. The last parameter changes
    fastest. Other options as in `random_search`.

    >>> from tinynet.train.search import IntegerRange
    >>> def objective(trial):
    ...     return (trial["x"] - 3) ** 2 + (trial["kind"] == "bad")
    >>> space = {"x": IntegerRange(1, 5), "kind": ["good", "bad"]}
    >>> results = grid_search(objective, space)
    >>> len(results), results.best.parameters
    (10, {'x': 3, 'kind': 'good'})
    """
    kinds = check_space("grid_search", space, RESERVED)
    counts = dict.fromkeys(kinds, points) if isinstance(points, int) else {**points}
    for name, count in counts.items():
        if name not in kinds:
            raise ArgumentError(
                f"grid_search: points of {name!r}, expected parameters of the space {[*kinds]}"
            )
        check_count("grid_search", f"points of {name!r}", count)
    runner = Runner(
        "grid_search",
        objective,
        kinds,
        mode,
        seed,
        processes,
        path,
        folder,
        retry_failed,
        on_outcome,
    )
    values = [kind.grid(counts.get(name, 5)) for name, kind in kinds.items()]
    with runner:
        runner.run(
            runner.make_trial(i, dict(zip(kinds, combination)))
            for i, combination in enumerate(itertools.product(*values))
        )
    return runner.results


def random_search(
    objective: Objective,
    space: Mapping[str, Any],
    trials: int = 20,
    *,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    path: Path | None = None,
    folder: Path | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SearchResults:
    """Try `trials` random draws from the space (Bergstra & Bengio 2012).

    `objective(trial)` returns the score, a number of which the best is the lowest, or with
    `mode="max"` the highest. It finds its parameters in `trial["name"]`, and tinynet's, NumPy's and
    Python's global random numbers seeded with `trial.seed`. Parameters and seed of a trial follow
    from `seed` and its number: results do not depend on `processes`, and more `trials` go on where
    fewer ended.

    A trial that raises, or whose score is no finite number, is a row of the results with its error,
    and so is one whose process is killed; the search goes on. The first is warned of at once.

    processes: with 1, trials run in this process. With more, in spawned ones: the objective must be
        a function at the top level of a module, and a script's own work stands below
        `if __name__ == "__main__":`. Each process has an OpenCL context of its own, and as many
        threads as one alone has: OMP_NUM_THREADS=1 in the environment keeps NumPy's products in
        each to one core.
    path: a csv file that gets a line as each trial ends. If it is there, its trials are not run
        again, failed ones only with `retry_failed`: the same call goes on after a kill.
    folder: gets a folder for each trial, `trial.folder`, for what it wants to keep, and is where
        the file, results.csv, is if there is no `path`.
    on_outcome: called with each outcome as it comes; `print` shows a line.

    Ctrl-C ends the search with the results so far (`results.interrupted`); trials that ran then are
    not among them.

    >>> from tinynet.train.search import Uniform
    >>> results = random_search(lambda trial: (trial["x"] - 0.5) ** 2, {"x": Uniform(0, 1)}, 50)
    >>> round(results.best["x"], 1)
    0.5
    """
    kinds = check_space("random_search", space, RESERVED)
    check_count("random_search", "trials", trials)
    runner = Runner(
        "random_search", objective, kinds, mode, seed, processes, path, folder, retry_failed,
        on_outcome,
    )  # fmt: skip
    with runner:
        runner.run(runner.draw_trial(i) for i in range(trials))
    return runner.results


def coarse_to_fine(
    objective: Objective,
    space: Mapping[str, Any],
    trials: int = 20,
    rounds: int = 3,
    shrink: float = 0.4,
    *,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    path: Path | None = None,
    folder: Path | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SearchResults:
    """Random search in `rounds`, of `trials` each: the first in the space, others around the best.

    Each round's ranges have `shrink` times the width of those before (on their own scale: a log
    range shrinks by orders of magnitude), around the best values so far, within the space. Of
    choices those are left that are among the best quarter of the trials so far. Other options as in
    `random_search`.

    >>> from tinynet.train.search import Uniform
    >>> results = coarse_to_fine(lambda trial: (trial["x"] - 0.3) ** 2, {"x": Uniform(0, 1)}, 10)
    >>> len(results), round(results.best["x"], 2)
    (30, 0.3)
    """
    kinds = check_space("coarse_to_fine", space, RESERVED)
    check_count("coarse_to_fine", "trials", trials)
    check_count("coarse_to_fine", "rounds", rounds)
    if not 0 < shrink < 1:
        raise ArgumentError(f"coarse_to_fine: shrink is {shrink}, expected 0 < shrink < 1")
    runner = Runner(
        "coarse_to_fine", objective, kinds, mode, seed, processes, path, folder, retry_failed,
        on_outcome,
    )  # fmt: skip
    with runner:
        for i in range(rounds):
            ranked = runner.results.ranked()
            best = ranked[: max(1, len(ranked) // 4)]
            if best:  # else all failed, and there is nothing to go after
                runner.space = {
                    name: kind.zoomed([row[name] for row in best], shrink**i)
                    for name, kind in kinds.items()
                }
            runner.run(runner.draw_trial(i * trials + j, round_=i) for j in range(trials))
    return runner.results
