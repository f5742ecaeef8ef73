"""Schedules that are one formula each, by which the base rate is multiplied."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from tinynet.errors import ArgumentError
from tinynet.optim.lr_scheduler.scheduler import FormulaLR, check_positive
from tinynet.optim.optimizer import Optimizer, check_at_least_zero


class StepLR(FormulaLR):
    """gamma ** (epoch // step_size)."""

    _steps_when_resumed = True

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_positive("StepLR", step_size=step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(FormulaLR):
    """gamma ** number of milestones up to the epoch; one that is listed twice counts twice."""

    _steps_when_resumed = True

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return float(self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch))


class ConstantLR(FormulaLR):
    """`factor` before epoch `total_iters`, 1 from there on (where that is 0, never)."""

    _steps_when_resumed = True

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _check_share("ConstantLR", "factor", factor)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return 1.0 if 0 < self.total_iters <= epoch else self.factor


class LinearLR(FormulaLR):
    """From `start_factor` to `end_factor` in `total_iters` equal steps (warming up, by default)."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_positive("LinearLR", start_factor=start_factor)
        _check_share("LinearLR", "start_factor", start_factor)
        _check_share("LinearLR", "end_factor", end_factor)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        way = self.end_factor - self.start_factor
        return self.start_factor + way * _part_done(epoch, self.total_iters)


class ExponentialLR(FormulaLR):
    """gamma ** epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return float(self.gamma**epoch)

    def rate(self, i: int) -> float:
        """`lr * gamma`, at any epoch: gamma ** epoch leaves the range of floats."""
        lr: float = self.optimizer.param_groups[i]["lr"]
        return lr if self._is_initial else lr * self.gamma


class PolynomialLR(FormulaLR):
    """(1 - epoch / total_iters) ** power, and 0 from `total_iters` on."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return float((1.0 - _part_done(epoch, self.total_iters)) ** self.power)


class CosineAnnealingLR(FormulaLR):
    """Half a cosine down to `eta_min` in `T_max` steps, and up again in the next `T_max`.

    (1 + cos(pi * epoch / T_max)) / 2 (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_positive("CosineAnnealingLR", T_max=T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class InverseTimeLR(FormulaLR):
    """1 / (1 + gamma * epoch): slow enough to reach an optimum, fast enough to stay (Bottou 2012).

    Not in PyTorch.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_at_least_zero("InverseTimeLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        return 1 / (1 + self.gamma * epoch)


class InverseSqrtLR(FormulaLR):
    """min(n / warmup_steps, sqrt(warmup_steps / n)), n = epoch + 1: 1 at step `warmup_steps`.

    With an lr of (d_model * warmup_steps) ** -0.5 it is eq. 3 of Vaswani et al. 2017,
    arXiv:1706.03762. Not in PyTorch.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int, last_epoch: int = -1) -> None:
        check_positive("InverseSqrtLR", warmup_steps=warmup_steps)
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, last_epoch)

    def formula(self, epoch: int) -> float:  # noqa: D102
        n = epoch + 1
        return min(n / self.warmup_steps, math.sqrt(self.warmup_steps / n))


def _part_done(epoch: int, total: int) -> float:
    return min(epoch, total) / total if total else 0.0


def _check_share(op: str, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ArgumentError(f"{op}: {name} must be between 0 and 1, got {value}")
