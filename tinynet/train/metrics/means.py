"""Means of values that come one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.creation import widest_float, zeros
from tinynet.ops.operands import as_number
from tinynet.tensor import Tensor
from tinynet.train.metrics.base import Metric
from tinynet.train.metrics.sums import State, add_to_sum, make_sum, read_sum


class _Mean(Metric):
    """Base of weighted means."""

    def make_state(self, device: str | None) -> State:
        """The sum of weighted values, and that of the weights."""
        return {**make_sum("total", (), device), **make_sum("weight", (), device)}

    def add_value(self, value: Tensor, weight: Any) -> None:
        """Take a 0-d tensor into the state, in place."""
        total = self.state["total"]
        heavy = weight if isinstance(weight, Tensor) else total.new_full((), weight)
        heavy = heavy.detach().to(total.dtype)
        add_to_sum(self.state, "total", value.to(total.dtype) * heavy)
        add_to_sum(self.state, "weight", heavy)

    def compute(self) -> float:
        """The weighted mean. Raises `StateError` where all weights together are 0."""
        weight = float(read_sum(self.state, "weight")) if self.state else 0.0
        self.require_updates(weight)
        return float(read_sum(self.state, "total")) / weight


class RunningMean(_Mean):
    """The mean of values, each with a weight: `update(value, weight=1)`, not as other metrics.

    `value` is a 0-d tensor, `weight` a number or a 0-d tensor: the size of a batch, say. Sums are
    float64 (see `sums`); a NaN among the values makes the mean NaN.

    >>> import tinynet as tn
    >>> mean = RunningMean("loss")
    >>> mean.update(tn.tensor(1.0), weight=3)
    >>> mean.update(tn.tensor(5.0))
    >>> mean.compute()
    2.0
    """

    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)

    def update(self, value: Tensor, weight: Any = 1) -> None:
        """Take a value in."""
        with no_grad():
            self.prepare(value)
            self.require_shape("value", value.shape, ())
            self.add_value(value.detach(), weight)


class ExponentialMean(Metric):
    """The mean of values of which older ones count less and less: `update(value)`.

    `mean = beta * mean + (1 - beta) * value`, from 0 on, divided by the weight that all values have
    together, `1 - beta**t` after t of them, without which the first means would be too small
    (Kingma & Ba 2015, section 3). About the last `1 / (1 - beta)` values count. A NaN stays.

    >>> import tinynet as tn
    >>> mean = ExponentialMean(beta=0.5)
    >>> for value in (4.0, 1.0):
    ...     mean.update(tn.tensor(value))
    >>> mean.compute()
    2.0
    """

    def __init__(self, beta: float = 0.98, name: str = "exponential_mean") -> None:
        super().__init__(name)
        beta = as_number("ExponentialMean", "beta", beta)
        if not 0 <= beta < 1:
            raise ArgumentError(f"ExponentialMean: beta must be in [0, 1), got {beta}")
        self.beta = beta

    def make_state(self, device: str | None) -> State:
        """The mean before the correction, and the weight of its values."""
        dtype = widest_float(device)
        return {name: zeros((), dtype=dtype, device=device) for name in ("mean", "weight")}

    def update(self, value: Tensor) -> None:  # type: ignore[override]
        """Take a value in, a 0-d tensor."""
        with no_grad():
            self.prepare(value)
            self.require_shape("value", value.shape, ())
            mean, weight = self.state["mean"], self.state["weight"]
            mean.mul_(self.beta).add_(value.detach().to(mean.dtype) * (1 - self.beta))
            weight.mul_(self.beta).add_(1 - self.beta)

    def compute(self) -> float:
        """The mean. Raises `StateError` before the first value."""
        weight = self.state["weight"].item() if self.state else 0.0
        self.require_updates(weight)
        return float(self.state["mean"].item() / weight)


class FunctionMetric(_Mean):
    """The mean of what `function(output, target)` gives for batches, weighted by their sizes.

    The function returns a 0-d tensor, the mean of a batch. With batches of one size and for
    functions that are means of samples this is the mean over all samples.

    >>> import tinynet as tn
    >>> error = FunctionMetric(tn.nn.functional.l1_loss)
    >>> error.update(tn.tensor([1.0, 2.0]), tn.tensor([1.0, 1.0]))
    >>> error.name, error.compute()
    ('l1_loss', 0.5)
    """

    def __init__(self, function: Callable[[Any, Any], Tensor], name: str | None = None) -> None:
        if not callable(function):
            raise ArgumentTypeError(
                f"FunctionMetric: expected a function, got {type(function).__name__}"
            )
        given = getattr(function, "__name__", type(function).__name__)
        super().__init__(given.strip("<>") if name is None else name)
        self.function = function

    def update(self, output: Any, target: Any) -> None:
        """Take a batch in; what it is made of is the function's affair."""
        with no_grad():
            value = self.function(output, target)
            if not isinstance(value, Tensor) or value.shape != ():
                came = value.shape if isinstance(value, Tensor) else type(value).__name__
                raise ShapeError(
                    f"{self._op}.update: {self.name} returned {came}, expected a 0-d tensor"
                )
            self.prepare(value)
            self.add_value(value.detach(), _count_samples(target, output))


def _count_samples(*values: Any) -> int:
    """The size of the first dim of the first tensor in tuples, lists and dicts; 1 for none."""
    for value in values:
        if isinstance(value, Tensor):
            return value.shape[0] if value.shape else 1
        if isinstance(value, (tuple, list, dict)):
            return _count_samples(*(value.values() if isinstance(value, dict) else value))
    return 1
