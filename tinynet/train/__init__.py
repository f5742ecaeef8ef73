"""Training: a loop made of parts, and what one does around it.

* `metrics`: numbers that say how good a model is, gathered on the device
* `history`: `History`, what each epoch measured
"""

from tinynet.train.history import History
from tinynet.train.metrics import Accuracy, FunctionMetric, Metric, RunningMean

__all__ = [
    "Accuracy",
    "FunctionMetric",
    "History",
    "Metric",
    "RunningMean",
]
