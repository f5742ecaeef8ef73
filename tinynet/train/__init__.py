"""Training: a loop made of parts, and what one does around it.

* `metrics`: numbers that say how good a model is, gathered on the device
* `history`: `History`, what each epoch measured
* `checking`: `gradient_check` of a whole model
* `uncertainty`: how sure a network is, by Monte Carlo dropout
"""

from tinynet.train.checking import GradientReport, gradient_check
from tinynet.train.history import History
from tinynet.train.metrics import (
    F1,
    Accuracy,
    BinaryAccuracy,
    ConfusionMatrix,
    ExponentialMean,
    FunctionMetric,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    Precision,
    Recall,
    RSquared,
    RunningMean,
    TopK,
)
from tinynet.train.uncertainty import DropoutSamples, monte_carlo_dropout

__all__ = [
    "F1",
    "Accuracy",
    "BinaryAccuracy",
    "ConfusionMatrix",
    "DropoutSamples",
    "ExponentialMean",
    "FunctionMetric",
    "GradientReport",
    "History",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "RSquared",
    "Recall",
    "RunningMean",
    "TopK",
    "gradient_check",
    "monte_carlo_dropout",
* `validation`: `cross_validate`, and `scores`: mean and spread
* `search`: hyperparameters by grid, at random, coarse to fine, by successive halving, by Optuna
* `restarts`: `restart`, the best of several initial points
* `annealing`: `SimulatedAnnealing`, a search that needs no gradients
from tinynet.train import search
from tinynet.train.annealing import (
    GeometricCooling,
    LinearCooling,
    LogarithmicCooling,
    SimulatedAnnealing,
from tinynet.train.restarts import Restarts, restart
from tinynet.train.scores import Scores
from tinynet.train.validation import CrossValidation, cross_validate
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
