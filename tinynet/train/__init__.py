"""Training: a loop made of parts, and what one does around it.

* `loop`: `fit` and `Trainer`; its parts are `steps` (what is recorded), `batches`, `losses`,
  `checkpoint` and `state` (runs that go on from a file), `interrupts` (Ctrl-C) and `progress`
* `callbacks`: early stopping, checkpoints of the model, and your own
* `evaluation`: `evaluate` and `predict`
* `metrics`: numbers that say how good a model is, gathered on the device
* `history`: `History`, what each epoch measured
"""

from tinynet.train.callbacks import Callback, EarlyStopping, ModelCheckpoint
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

__all__ = [
    "F1",
    "Accuracy",
    "BinaryAccuracy",
    "Callback",
    "ConfusionMatrix",
    "EarlyStopping",
    "ExponentialMean",
    "FunctionMetric",
    "History",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "ModelCheckpoint",
    "Precision",
    "RSquared",
    "Recall",
    "RunningMean",
    "TopK",
    "Trainer",
    "evaluate",
    "fit",
    "predict",
]
