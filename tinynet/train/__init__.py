"""Training: a loop made of parts, and what one does around it.

* `validation`: `cross_validate`, and `scores`: mean and spread
* `search`: hyperparameters by grid, at random, coarse to fine, by successive halving, by Optuna
* `restarts`: `restart`, the best of several initial points
* `annealing`: `SimulatedAnnealing`, a search that needs no gradients
"""

from tinynet.train import search
from tinynet.train.annealing import (
    GeometricCooling,
    LinearCooling,
    LogarithmicCooling,
    SimulatedAnnealing,
)
from tinynet.train.restarts import Restarts, restart
from tinynet.train.scores import Scores
from tinynet.train.validation import CrossValidation, cross_validate

__all__ = [
    "CrossValidation",
    "GeometricCooling",
    "LinearCooling",
    "LogarithmicCooling",
    "Restarts",
    "Scores",
    "SimulatedAnnealing",
    "cross_validate",
    "restart",
    "search",
]
