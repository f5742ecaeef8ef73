"""Schedules made of schedules: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, StateError
from tinynet.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinynet.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer
from tinynet.optim.optimizer import Optimizer


class CombinedLR(LRScheduler):
    """Base class of schedules that are made of others of the same optimiser."""

    _unsaved = ("optimizer", "_arguments", "_schedulers")
    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: Any, schedulers: Sequence[Any]) -> None:
        check_optimizer(self._name, optimizer)
        if len(schedulers) < 1:
            raise ArgumentError(f"{self._name}: schedulers is empty, expected at least one")
        for i, schedule in enumerate(schedulers):
            kind, where = type(schedule).__name__, f"{self._name}: schedulers[{i}]"
            if not isinstance(schedule, LRScheduler):
                raise ArgumentTypeError(f"{where} must be an LRScheduler, got {kind}")
            if isinstance(schedule, ReduceLROnPlateau):
                raise ArgumentError(f"{where} is a {kind}, whose step() wants a metric")
            if schedule.optimizer is not optimizer:
                raise ArgumentError(f"{where}, a {kind}, belongs to another optimizer")

    def _update_lr(self, epoch: int | None = None) -> None:
        """Begin, at a milestone of a SequentialLR."""
        self._reset_rates()
        self._initial_step()

    def _reset_rates(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]

    def state_dict(self) -> dict[str, Any]:
        """As all schedules'; `_schedulers` has the parts' state dicts."""
        return {
            **super().state_dict(),
            "_schedulers": [schedule.state_dict() for schedule in self._schedulers],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As all schedules', with the parts' state dicts in `_schedulers`."""
        parts = state_dict.get("_schedulers", ())
        if len(parts) != len(self._schedulers):
            raise StateError(
                f"{self._name}.load_state_dict: the state has {len(parts)} _schedulers, "
                f"expected {len(self._schedulers)}"
            )
        super().load_state_dict({**state_dict, "_schedulers": self._schedulers})
        for schedule, part in zip(self._schedulers, parts, strict=True):
            schedule.load_state_dict(part)


class SequentialLR(CombinedLR):
    """One schedule after another: the i-th begins at milestone i - 1, each counting from 0.

    >>> import tinynet as tn
    >>> from tinynet.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=1.0)
    >>> parts = [ConstantLR(optimizer, 0.25), ExponentialLR(optimizer, 0.5)]
    >>> SequentialLR(optimizer, parts, milestones=[2]).rates(5)
    [0.25, 0.25, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1 or sorted(milestones) != [*milestones]:
            raise ArgumentError(
                f"SequentialLR: milestones must be {len(schedulers) - 1} rising numbers, one less "
                f"than schedulers, got {milestones}"
            )
        self.optimizer = optimizer
        self._schedulers = schedulers
        self._milestones = milestones
        _undo_first_step(schedulers)
        self._reset_rates()
        self._initial_step()
        self.last_epoch = last_epoch + 1

    def step(self) -> None:  # type: ignore[override]
        """Set the next rates."""
        self._check_not_recording()
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._update_lr(0)
        else:
            self._schedulers[i].step()
        self._note_rates()

    def _initial_step(self) -> None:
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)]._initial_step()
        self._note_rates()


class ChainedScheduler(CombinedLR):
    """All schedules at once, each changing the rate that the one before it left."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if optimizer is None and schedulers:
            optimizer = getattr(schedulers[0], "optimizer", None)
        self._check(optimizer, schedulers)
        self.optimizer = schedulers[0].optimizer
        self._schedulers = schedulers
        self._note_rates()

    def step(self) -> None:  # type: ignore[override]
        """Set the next rates."""
        for schedule in self._schedulers:
            schedule.step()
        self._note_rates()

    def _initial_step(self) -> None:
        for schedule in self._schedulers:
            schedule._initial_step()
        self._note_rates()

    def _position(self) -> int:
        return self._schedulers[0]._position()


def _undo_first_step(schedulers: Sequence[LRScheduler]) -> None:
    for schedule in schedulers:
        if isinstance(schedule, CombinedLR):
            _undo_first_step(schedule._schedulers)
        else:
            schedule.last_epoch -= 1
