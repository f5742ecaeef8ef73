"""ReduceLROnPlateau."""

from __future__ import annotations

import math
from typing import Any

from tinynet.errors import ArgumentError, StateError
from tinynet.optim.lr_scheduler.scheduler import LRScheduler, as_list, check_choice
from tinynet.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` after more than `patience` steps without a better metric.

    `mode` says what improves: "min" less, "max" more, by more than `threshold`, which is a part
    of the best so far ("rel") or a difference from it ("abs"). For `cooldown` steps after it
    reduced it does not count. Rates stay at or above `min_lr` (a list has one for each group),
    and changes of `eps` or less are not made.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor must be less than 1, got {factor}")
        check_choice("ReduceLROnPlateau", "mode", mode, ("min", "max"))
        check_choice("ReduceLROnPlateau", "threshold_mode", threshold_mode, ("rel", "abs"))
        self.min_lrs = as_list("ReduceLROnPlateau", "min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.optimizer = optimizer
        self.factor = factor
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._note_rates()

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take note of a metric, a number or a tensor that has one; reduce the rates if due."""
        self._check_not_recording()
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note_rates()

    @property
    def in_cooldown(self) -> bool:
        """Whether steps are not counted, because the rate was just reduced."""
        return self.cooldown_counter > 0

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bar = self.best * (1 + sign * self.threshold)
        else:
            bar = self.best + sign * self.threshold
        return metric > bar if self.mode == "max" else metric < bar

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise StateError(
                    f"ReduceLROnPlateau: min_lrs has {len(self.min_lrs)} items, "
                    f"expected one for each group, {len(groups)}"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            rate = max(group["lr"] * self.factor, least)
            if group["lr"] - rate > self.eps:
                group["lr"] = float(rate)

    def _advance(self) -> None:
        self.step(self.mode_worse)  # looking ahead, nothing improves
