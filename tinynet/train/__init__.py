"""Training: a loop made of parts, and what one does around it.

* `loop`: `fit` and `Trainer`; its parts are `steps` (what is recorded), `batches`, `losses`,
  `checkpoint` (runs that go on from a file), `interrupts` (Ctrl-C) and `progress`
* `callbacks`: early stopping, checkpoints of the model, and your own
* `evaluation`: `evaluate` and `predict`
* `metrics`: numbers that say how good a model is, gathered on the device
* `history`: `History`, what each epoch measured
* `tensorboard`: `TensorBoard`, a callback; `model_graph` is what it draws of the model
* `checking`: `gradient_check` of a whole model
* `uncertainty`: how sure a network is, by Monte Carlo dropout
"""

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
from tinynet.train.tensorboard import TensorBoard
from tinynet.train.uncertainty import DropoutSamples, monte_carlo_dropout

__all__ = [
    "F1",
    "Accuracy",
    "BinaryAccuracy",
    "Callback",
    "ConfusionMatrix",
    "DropoutSamples",
    "EarlyStopping",
    "ExponentialMean",
    "FunctionMetric",
    "GradientReport",
    "History",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "ModelCheckpoint",
    "Precision",
    "RSquared",
    "Recall",
    "RunningMean",
    "TensorBoard",
    "TopK",
    "Trainer",
    "evaluate",
    "fit",
    "gradient_check",
    "monte_carlo_dropout",
    "predict",
]
