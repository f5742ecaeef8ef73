"""Numbers that say how good a model is, gathered batch by batch on the device.

* `base`: `Metric`, the protocol
* `means`: `RunningMean`, `ExponentialMean`, `FunctionMetric`
* `classification`: `Accuracy`, `TopK`, `BinaryAccuracy`
* `confusion`: `ConfusionMatrix`, `Precision`, `Recall`, `F1`
* `regression`: `MeanSquaredError`, `MeanAbsoluteError`, `RSquared`
* `sums`: sums that lose no digits

A metric keeps its state in tensors, made once for a device, and `update` writes into them with
Tensor operations alone. So it works inside of a function that `tinynet.jit` recorded, where it
costs no Python and no wait; only `compute` reads values.
"""

from tinynet.train.metrics.base import Metric
from tinynet.train.metrics.classification import Accuracy, BinaryAccuracy, TopK
from tinynet.train.metrics.confusion import F1, ConfusionMatrix, Precision, Recall
from tinynet.train.metrics.means import ExponentialMean, FunctionMetric, RunningMean
from tinynet.train.metrics.regression import MeanAbsoluteError, MeanSquaredError, RSquared

__all__ = [
    "F1",
    "Accuracy",
    "BinaryAccuracy",
    "ConfusionMatrix",
    "ExponentialMean",
    "FunctionMetric",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "RSquared",
    "Recall",
    "RunningMean",
    "TopK",
]
