"""Schedules that go from one rate to another along a curve: warm restarts, and SWALR."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinynet.errors import ArgumentError
from tinynet.optim.lr_scheduler.scheduler import LRScheduler, as_list, check_choice
from tinynet.optim.optimizer import Optimizer

# By how it is called, the way from `start` to `end` of which the part `done` is done.
ANNEALINGS: dict[str, Callable[[float, float, float], float]] = {
    "cos": lambda start, end, done: end + (start - end) / 2 * (1 + math.cos(math.pi * done)),
    "linear": lambda start, end, done: start + (end - start) * done,
}


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the base rate to `eta_min`, again and again (Loshchilov & Hutter 2017).

    The first takes `T_0` epochs, each other `T_mult` times as many as the one before. `step` may
    be given fractions of epochs, as in `step(epoch + batch / batches)`. arXiv:1608.03983.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{self._name}: {name} must be a positive int, got {value!r}")
        if not isinstance(eta_min, (int, float)):
            raise ArgumentError(f"{self._name}: eta_min must be a number, got {eta_min!r}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def rate(self, i: int) -> float:  # noqa: D102
        return ANNEALINGS["cos"](self.base_lrs[i], self.eta_min, self.T_cur / self.T_i)

    def step(self, epoch: float | None = None) -> None:
        """Set the next rates, or those of `epoch`, which may have a fraction."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise ArgumentError(f"{self._name}: epoch cannot be negative, got {epoch}")
            self.T_cur, self.T_i = self._find_period(epoch)
        self._update_lr(math.floor(epoch))

    def _find_period(self, epoch: float) -> tuple[float, int]:
        """How far `epoch` is in its period, and how long that is."""
        period = self.T_0
        if self.T_mult == 1:
            return epoch % period, period
        while epoch >= period:
            epoch -= period
            period *= self.T_mult
        return epoch, period


class SWALR(LRScheduler):
    """To `swa_lr` in `anneal_epochs` steps, and there it stays, for the averaging of weights.

    `anneal_strategy`: "cos" or "linear". `swa_lr` may be a list, one for each group. (Izmailov et
    al. 2018, arXiv:1803.05407.)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = as_list("SWALR", "swa_lr", swa_lr, optimizer)
        check_choice("SWALR", "anneal_strategy", anneal_strategy, ANNEALINGS)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ArgumentError(
                f"SWALR: anneal_epochs must be an int, at least 0, got {anneal_epochs!r}"
            )
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def rate(self, i: int) -> float:
        """Along the curve that began where the present rate must have come from."""
        group = self.optimizer.param_groups[i]
        target: float = group["swa_lr"]
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._done(step - 1), self._done(step)
        start = target if before == 1 else (group["lr"] - before * target) / (1 - before)
        return target * now + start * (1 - now)

    def _done(self, step: int) -> float:
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return ANNEALINGS[self._anneal_strategy](0.0, 1.0, part)
