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
from tinynet.train.metrics.classification import Accuracy
from tinynet.train.metrics.means import FunctionMetric, RunningMean

__all__ = [
    "Accuracy",
    "FunctionMetric",
    "Metric",
    "RunningMean",
]
