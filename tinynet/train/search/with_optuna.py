"""Optuna's samplers on our spaces, with our seeds, processes, results and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from tinynet.errors import ArgumentError, MissingDependencyError
from tinynet.train.search.runner import Runner, check_count
from tinynet.train.search.space import Choice, IntegerRange, Kind, Uniform, check_space
from tinynet.train.search.table import RESERVED, SearchResults
from tinynet.train.search.trial import Outcome, Trial, as_score, draw, seeded

DIRECTIONS = {"min": "minimize", "max": "maximize"}


def optuna_search(
    objective: Callable[[Trial], Any],
    space: Mapping[str, Any],
    trials: int = 20,
    *,
    study: Any = None,
    batch: int | None = None,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    path: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SearchResults:
    """Try `trials` that Optuna chooses, each from what came of those before (Akiba et al. 2019).

    The sampler is TPE (Bergstra et al. 2011) with `seed`, or that of a `study` of yours, which is
    told of all trials: its pictures and its storage work. Trials are chosen `batch` at a time (by
    default `processes`), so results depend on `batch`, and on `processes` only through it. From a
    `path` that is there the search goes on, if its sampler has a seed: it is asked for all trials
    anew, and told what is known. Other options as in `random_search`.

    >>> from tinynet.train.search import Uniform
    >>> results = optuna_search(lambda trial: (trial["x"] - 0.3) ** 2, {"x": Uniform(0, 1)}, 30)
    >>> abs(results.best["x"] - 0.3) < 0.1
    True
    """
    optuna = _import_optuna("optuna_search")
    kinds = check_space("optuna_search", space, RESERVED)
    check_count("optuna_search", "trials", trials)
    batch = processes if batch is None else batch
    check_count("optuna_search", "batch", batch)
    runner = Runner(
        "optuna_search", objective, kinds, mode, seed, processes, path, folder, retry_failed,
        on_outcome,
    )  # fmt: skip
    if study is None:
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        study = optuna.create_study(direction=DIRECTIONS[mode], sampler=sampler)
    elif study.direction.name.lower() != DIRECTIONS[mode]:
        raise ArgumentError(
            f"optuna_search: mode is {mode!r} and the study's direction is"
            f" {study.direction.name.lower()!r}, expected {DIRECTIONS[mode]!r}"
        )
    with runner:
        for start in range(0, trials, batch):
            _run_batch(optuna, study, runner, min(batch, trials - start))
    return runner.results


def _run_batch(optuna: ModuleType, study: Any, runner: Runner, count: int) -> None:
    """Ask for trials, run them, and tell what came of them; of an interrupted one, that it failed.

    They are told in their order, whatever the order in which they end.
    """
    asked = [study.ask() for _ in range(count)]
    ours = [runner.make_trial(trial.number, suggest(trial, runner.whole_space)) for trial in asked]
    try:
        runner.run(ours)
    finally:
        for theirs, trial in zip(asked, ours):
            outcome = runner.outcomes.get(trial.key)
            if outcome is None or outcome.score is None:
                study.tell(theirs, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(theirs, outcome.score)


def as_optuna_objective(
    objective: Callable[[Trial], Any], space: Mapping[str, Any], *, seed: int = 0
) -> Callable[[Any], float]:
    """A function of an Optuna trial, for `study.optimize`: it suggests all parameters of `space`.

    `objective` is called with a `Trial` of ours and its own seed, as in `random_search`. What it
    raises is raised, and so is an error for a score that is no finite number: `study.optimize`
    goes on after those that its `catch` names.

    >>> import optuna
    >>> from tinynet.train.search import LogUniform
    >>> run = as_optuna_objective(lambda trial: trial["lr"], {"lr": LogUniform(1e-4, 1)})
    >>> run(optuna.trial.FixedTrial({"lr": 0.25}))
    0.25
    """
    _import_optuna("as_optuna_objective")
    kinds = check_space("as_optuna_objective", space, RESERVED)

    def run(trial: Any) -> float:
        trial_seed, _ = draw(seed, trial.number, 0)
        ours = Trial(trial.number, suggest(trial, kinds), trial_seed)
        with seeded(trial_seed):
            return as_score("as_optuna_objective: the objective", objective(ours))

    return run


def suggest(trial: Any, space: Mapping[str, Kind]) -> dict[str, Any]:
    """The parameters that an Optuna trial suggests. Choices are known to Optuna by their labels."""
    values: dict[str, Any] = {}
    for name, kind in space.items():
        if isinstance(kind, Choice):
            values[name] = kind.read(trial.suggest_categorical(name, kind.labels))
        elif isinstance(kind, IntegerRange):
            values[name] = trial.suggest_int(
                name, kind.low, kind.high, step=kind.step, log=kind.is_log
            )
        elif isinstance(kind, Uniform):
            values[name] = trial.suggest_float(name, kind.low, kind.high, log=kind.is_log)
        else:
            raise ArgumentError(
                f"optuna_search: parameter {name!r} is {kind!r}, expected Choice, Uniform,"
                " LogUniform or IntegerRange: Optuna has no other"
            )
    return values


def _import_optuna(op: str) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError(
            f"{op}: optuna is not installed, expected it: pip install 'tinynet[optuna]'"
        ) from error
    return optuna
