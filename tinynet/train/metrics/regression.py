"""How far a regression is off. Names and formulas are scikit-learn's."""

from __future__ import annotations

import math

import numpy as np

from tinynet.dtype import int64
from tinynet.errors import ArgumentError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import widest_float, zeros
from tinynet.shape import as_integer
from tinynet.tensor import Tensor
from tinynet.train.metrics.base import Metric
from tinynet.train.metrics.sums import State, add_to_sum, make_sum, read_sum


class _MeanError(Metric):
    """Base of means over all elements. Outputs and targets have one shape: nothing broadcasts."""

    def make_state(self, device: str | None) -> State:
        """The sum of errors, and how many there are."""
        return {**make_sum("total", (), device), "count": zeros((), dtype=int64, device=device)}

    def add(self, output: Tensor, target: Tensor) -> None:
        """Sum a batch up."""
        self.require_shape("target", target.shape, output.shape)
        dtype = self.state["total"].dtype
        add_to_sum(self.state, "total", self.error(target.to(dtype) - output.to(dtype)).sum())
        self.state["count"].add_(output.numel())

    def error(self, gap: Tensor) -> Tensor:
        """What is summed up, of target minus output."""
        raise NotImplementedError(f"{type(self).__name__} has no error, expected one")

    def compute(self) -> float:
        """The mean; NaN if there was one. Raises `StateError` without samples."""
        count = self.state["count"].item() if self.state else 0
        self.require_updates(count)
        return float(read_sum(self.state, "total")) / int(count)


class MeanSquaredError(_MeanError):
    """The mean of `(target - output) ** 2`, of tensors of one shape; its root unless `squared`.

    >>> import tinynet as tn
    >>> error = MeanSquaredError(squared=False)
    >>> error.update(tn.tensor([1.0, 2.0]), tn.tensor([4.0, 5.0]))
    >>> error.compute()
    3.0
    """

    def __init__(self, name: str | None = None, *, squared: bool = True) -> None:
        default = "mean_squared_error" if squared else "root_mean_squared_error"
        super().__init__(default if name is None else name)
        self.squared = squared

    def error(self, gap: Tensor) -> Tensor:
        """The squares."""
        return gap.square()

    def compute(self) -> float:
        """The mean or its root; NaN if there was one. Raises `StateError` without samples."""
        mean = super().compute()
        return mean if self.squared else math.sqrt(mean)


class MeanAbsoluteError(_MeanError):
    """The mean of `|target - output|`, of tensors of one shape."""

    def __init__(self, name: str = "mean_absolute_error") -> None:
        super().__init__(name)

    def error(self, gap: Tensor) -> Tensor:
        """The sizes."""
        return gap.abs()


class RSquared(Metric):
    """The coefficient of determination: the share of the targets' variance that is explained.

    `1 - sum((target - output)**2) / sum((target - mean)**2)`, for each of `n_outputs` by itself,
    then averaged, as scikit-learn's `r2_score` does. Outputs and targets are (n,) or (n, ...) with
    `n_outputs` elements in a row. 1 is perfect, 0 no better than the mean, negative worse. Where
    all targets are equal it is 1 if all outputs are right, else 0. Of a single sample it is NaN.

    The mean is not known before the last batch. Instead the spreads of batches around their own
    means are joined (Chan, Golub & LeVeque 1983, eq. 2.1), which does without the difference of two
    large numbers. All targets are taken less the very first one: equal ones have no spread then.

    >>> import tinynet as tn
    >>> score = RSquared()
    >>> score.update(tn.tensor([2.5, 0.0, 2.0, 8.0]), tn.tensor([3.0, -0.5, 2.0, 7.0]))
    >>> round(score.compute(), 4)
    0.9486
    """

    def __init__(self, n_outputs: int = 1, name: str = "r_squared") -> None:
        super().__init__(name)
        n_outputs = as_integer("RSquared", "n_outputs", n_outputs)
        if n_outputs < 1:
            raise ArgumentError(f"RSquared: n_outputs must be at least 1, got {n_outputs}")
        self.n_outputs = n_outputs

    def make_state(self, device: str | None) -> State:
        """Of the targets: count, the first, mean beyond that, spread; and the outputs' errors."""
        shape, dtype = (self.n_outputs,), widest_float(device)
        return {
            "count": zeros((), dtype=int64, device=device),
            "shift": zeros(shape, dtype=dtype, device=device),
            "mean": zeros(shape, dtype=dtype, device=device),
            **make_sum("spread", shape, device),
            **make_sum("error", shape, device),
        }

    def add(self, output: Tensor, target: Tensor) -> None:
        """Join a batch to those before."""
        self.require_shape("target", target.shape, output.shape)
        n = target.shape[0] if target.shape else 1
        if n == 0:
            return
        self.require_shape("a target", (target.numel() // n,), (self.n_outputs,))
        shift, mean, count = (self.state[name] for name in ("shift", "mean", "count"))
        y = target.reshape(n, -1).to(mean.dtype)
        gap = y - output.reshape(n, -1).to(mean.dtype)
        add_to_sum(self.state, "error", gap.square().sum(0))
        shift.copy_(where(count == 0, y[0], shift))
        y = y - shift
        own_mean = y.mean(0)
        own_spread = (y - own_mean).square().sum(0)
        share = (count + n).to(mean.dtype).reciprocal() * n
        step = own_mean - mean
        add_to_sum(self.state, "spread", own_spread + step.square() * ((1 - share) * n))
        mean.add_(step * share)
        count.add_(n)

    def compute(self) -> float:
        """The average over all outputs. Raises `StateError` without samples."""
        count = self.state["count"].item() if self.state else 0
        self.require_updates(count)
        if count < 2:
            return math.nan
        error, spread = read_sum(self.state, "error"), read_sum(self.state, "spread")
        is_constant = spread == 0
        explained = 1 - error / np.where(is_constant, 1, spread)
        return float(np.where(is_constant, error == 0, explained).mean())
