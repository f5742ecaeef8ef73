"""Successive halving: many configurations with little, few with much."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.train.search.runner import Runner, check_count
from tinynet.train.search.space import check_space
from tinynet.train.search.table import RESERVED, SearchResults
from tinynet.train.search.trial import Outcome, Trial


def successive_halving(
    objective: Callable[[Trial], Any],
    space: Mapping[str, Any],
    trials: int = 27,
    min_budget: float = 1,
    max_budget: float = 27,
    factor: int = 3,
    *,
    mode: str = "min",
    seed: int = 0,
    processes: int = 1,
    path: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SearchResults:
    """Try `trials` random configurations with `min_budget`, the best 1/`factor` with more, and on.

    Each round gives `factor` times the budget to the best 1/`factor` of those left (rounded down,
    at least one), until a round of one, or until the next budget would exceed `max_budget`
    (Jamieson & Talwalkar 2016, with the factor of Li et al. 2018). So each round costs about the
    same, and a search little more than rounds * trials * min_budget. Budgets are ints where
    `min_budget` is one. The best is that of the last round; a trial that fails is not continued.

    `trial.budget` is the whole budget of a configuration, such as a number of epochs, not what is
    new in this round. Without `folder` each round trains from the start. With it, a configuration
    finds in `trial.folder` what it left there in the round before, and can go on: `fit(...,
    epochs=trial.budget, checkpoint=trial.folder / "checkpoint")` trains the epochs that are new.
    Continued trials must not depend on the budget otherwise, as a schedule of learning rates over
    `trial.budget` epochs would. Seeds stay the same in all rounds. Other options as in
    `random_search`.

    >>> from tinynet.train.search import LogUniform
    >>> def objective(trial):  # the loss after `budget` steps of gradient descent on x ** 2
    ...     return (1 - 2 * trial["lr"]) ** (2 * trial.budget)
    >>> results = successive_halving(objective, {"lr": LogUniform(1e-3, 1)}, 9, max_budget=9)
    >>> [(row.trial.budget, row.trial.number) for row in results][-4:]
    [(3, 2), (3, 5), (3, 6), (9, 6)]
    """
    kinds = check_space("successive_halving", space, RESERVED)
    check_count("successive_halving", "trials", trials)
    counts, budgets = plan_rounds(trials, min_budget, max_budget, factor)
    runner = Runner(
        "successive_halving", objective, kinds, mode, seed, processes, path, folder, retry_failed,
        on_outcome,
    )  # fmt: skip
    with runner:
        left = [runner.draw_trial(i) for i in range(trials)]
        for i, (count, budget) in enumerate(zip(counts, budgets)):
            outcomes = runner.run(
                runner.make_trial(trial.number, trial.parameters, i, budget)
                for trial in left[:count]
            )
            left = [row.trial for row in SearchResults(outcomes, mode).ranked()]
    return runner.results


def plan_rounds(
    trials: int, min_budget: float, max_budget: float, factor: int
) -> tuple[list[int], list[float]]:
    """How many configurations each round has, and with what budget.

    >>> plan_rounds(30, 1, 30, 3)
    ([30, 10, 3, 1], [1, 3, 9, 27])
    """
    if not isinstance(factor, int) or factor < 2:
        raise ArgumentError(
            f"successive_halving: factor is {factor!r}, expected an int of 2 or more"
        )
    if not 0 < min_budget <= max_budget:
        raise ArgumentError(
            f"successive_halving: budgets from {min_budget} to {max_budget}, expected"
            " 0 < min_budget <= max_budget"
        )
    counts, budgets = [trials], [min_budget]
    while counts[-1] > 1 and budgets[-1] * factor <= max_budget:
        counts.append(max(1, counts[-1] // factor))
        budgets.append(budgets[-1] * factor)
    return counts, budgets
