"""Hyperparameter search: what to try, how to choose, and a table of what came of it.

* `space`: `Choice`, `Uniform`, `LogUniform`, `IntegerRange`
* `searches`: `grid_search`, `random_search`, `coarse_to_fine`
* `halving`: `successive_halving`
* `with_optuna`: `optuna_search`, `as_optuna_objective`
* `trial`: `Trial`, which an objective is called with, `Outcome`, what came of it, and `run_trial`
* `table`, `plotting`, `journal`: `SearchResults`, their figure, and the file that they grow in
* `runner`, `workers`: trials in this process or in others

>>> def objective(trial):
...     return abs(trial["lr"] - 0.01)
>>> results = random_search(objective, {"lr": LogUniform(1e-4, 1)}, trials=30)
>>> 0.005 < results.best["lr"] < 0.02
True
"""

from tinynet.train.search.halving import successive_halving
from tinynet.train.search.searches import coarse_to_fine, grid_search, random_search
from tinynet.train.search.space import Choice, IntegerRange, LogUniform, Uniform
from tinynet.train.search.table import SearchResults
from tinynet.train.search.trial import Outcome, Trial, run_trial
from tinynet.train.search.with_optuna import as_optuna_objective, optuna_search

__all__ = [
    "Choice",
    "IntegerRange",
    "LogUniform",
    "Outcome",
    "SearchResults",
    "Trial",
    "Uniform",
    "as_optuna_objective",
    "coarse_to_fine",
    "grid_search",
    "optuna_search",
    "random_search",
    "run_trial",
    "successive_halving",
]
