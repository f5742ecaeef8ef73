"""Training: a loop made of parts, and what one does around it.

* `loop`: `fit`, and `Trainer`, what it is made of; `steps`, `batches`, `losses`, `interrupts`: its
  parts; `progress`: its bar
* `evaluation`: `evaluate` and `predict`
* `callbacks`: `Callback`, `EarlyStopping`, `ModelCheckpoint`
* `checkpoint`, `state`: the file from which a run goes on, bit for bit
* `metrics`: numbers that say how good a model is, gathered on the device
* `history`: `History`, what each epoch measured; `curves`: how it looks in notebooks
* `tensorboard`: `TensorBoard`, a callback; `model_graph`: what it draws of the model
* `checking`: `gradient_check` of a whole model; `slopes`: what it compares
* `uncertainty`: how sure a network is, by Monte Carlo dropout
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
from tinynet.train.callbacks import Callback, EarlyStopping, ModelCheckpoint
from tinynet.train.checking import GradientReport, gradient_check
from tinynet.train.evaluation import evaluate, predict
from tinynet.train.history import History
from tinynet.train.loop import Trainer, fit
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
from tinynet.train.restarts import Restarts, restart
from tinynet.train.scores import Scores
from tinynet.train.tensorboard import TensorBoard
from tinynet.train.uncertainty import DropoutSamples, monte_carlo_dropout
from tinynet.train.validation import CrossValidation, cross_validate

__all__ = [
    "F1", "Accuracy", "BinaryAccuracy", "Callback", "ConfusionMatrix", "CrossValidation",
    "DropoutSamples", "EarlyStopping", "ExponentialMean", "FunctionMetric", "GeometricCooling",
    "GradientReport", "History", "LinearCooling", "LogarithmicCooling", "MeanAbsoluteError",
    "MeanSquaredError", "Metric", "ModelCheckpoint", "Precision", "RSquared", "Recall", "Restarts",
    "RunningMean", "Scores", "SimulatedAnnealing", "TensorBoard", "TopK", "Trainer",
    "cross_validate", "evaluate", "fit", "gradient_check", "monte_carlo_dropout", "predict",
    "restart", "search",
]  # fmt: skip
