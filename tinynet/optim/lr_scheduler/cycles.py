"""Schedules that go up and down, with the momentum going down and up: CyclicLR and OneCycleLR."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.optim.lr_scheduler.annealing import ANNEALINGS
from tinynet.optim.lr_scheduler.functions import attributes_of, load_attributes
from tinynet.optim.lr_scheduler.scheduler import (
    LRScheduler,
    as_list,
    check_choice,
    check_optimizer,
    check_positive,
)
from tinynet.optim.optimizer import Optimizer, check_at_least_zero


class MomentumLR(LRScheduler):
    """Base class of schedules that set the momentum too: "momentum", or the first of "betas"."""

    cycle_momentum: bool
    use_beta1: bool

    def momentum(self, i: int) -> float:
        """The momentum of group `i` at `last_epoch`."""
        raise NotImplementedError(f"{self._name}: momentum is not written")

    def _start_momentum(self, base: Any, largest: Any, last_epoch: int) -> tuple[Any, Any]:
        """Note both ends in the groups; return them, a list for all groups each."""
        optimizer = self.optimizer
        if not {"momentum", "betas"} & set(optimizer.defaults):
            raise ArgumentError(
                f"{self._name}: {type(optimizer).__name__} has neither momentum nor betas to "
                "cycle, expected cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        bases = as_list(self._name, "base_momentum", base, optimizer)
        tops = as_list(self._name, "max_momentum", largest, optimizer)
        if last_epoch == -1:
            for group, low, top in zip(optimizer.param_groups, bases, tops, strict=True):
                group["max_momentum"], group["base_momentum"] = top, low
        return bases, tops

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        if not self.cycle_momentum:
            return
        for i, group in enumerate(self.optimizer.param_groups):
            if self.use_beta1:
                group["betas"] = (float(self.momentum(i)), *group["betas"][1:])
            else:
                group["momentum"] = float(self.momentum(i))


class CyclicLR(MomentumLR):
    """From `base_lr` to `max_lr` and back in straight lines, over and over (Smith 2017).

    Up in `step_size_up` steps, down in `step_size_down` (as many, if None). `mode` scales how far
    up: "triangular" not at all, "triangular2" half as far with each cycle, "exp_range" by
    gamma ** epoch; a `scale_fn` of the cycle, from 1, or of the epoch (`scale_mode` "cycle" or
    "iterations") is used instead. Momentum goes from `max_momentum` to `base_momentum` and back.
    arXiv:1506.01186.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        base_lrs = as_list("CyclicLR", "base_lr", base_lr, optimizer)
        self.max_lrs = as_list("CyclicLR", "max_lr", max_lr, optimizer)
        down = step_size_up if step_size_down is None else step_size_down
        check_positive("CyclicLR", step_size_up=step_size_up)
        check_at_least_zero("CyclicLR", step_size_down=down)
        if scale_fn is None:
            check_choice("CyclicLR", "mode", mode, ("triangular", "triangular2", "exp_range"))
        check_choice("CyclicLR", "scale_mode", scale_mode, ("cycle", "iterations"))
        self.optimizer = optimizer
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        if scale_fn is None:
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            momentums = self._start_momentum(base_momentum, max_momentum, last_epoch)
            self.base_momentums, self.max_momentums = momentums
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs  # another schedule's, before, may have been initial_lr

    def scale_fn(self, x: float) -> float:
        """How far up, in the x-th cycle or at epoch x."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return float(self.gamma**x)
        return 0.5 ** (x - 1) if self.mode == "triangular2" else 1.0

    def rate(self, i: int) -> float:  # noqa: D102
        way = self.max_lrs[i] - self.base_lrs[i]
        return float(self.base_lrs[i] + way * self._height())

    def momentum(self, i: int) -> float:  # noqa: D102
        way = self.max_momentums[i] - self.base_momentums[i]
        return float(self.max_momentums[i] - way * self._height())

    def _height(self) -> float:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        top = self.step_ratio
        height = x / top if x <= top else (x - 1) / (top - 1)
        return height * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As all schedules'; of a `scale_fn`, attributes of a callable object."""
        return {**super().state_dict(), "_scale_fn_custom": attributes_of(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As all schedules'; attributes of a callable object are put into the one that is here."""
        load_attributes(self._scale_fn_custom, state_dict.get("_scale_fn_custom"))
        super().load_state_dict({**state_dict, "_scale_fn_custom": self._scale_fn_custom})


class OneCycleLR(MomentumLR):
    """Up to `max_lr` and far down, once, in `total_steps` steps (Smith & Topin 2018).

    `total_steps` may be given as `epochs * steps_per_epoch`. From max_lr / div_factor up, in the
    part `pct_start` of all steps, then down to that / final_div_factor; with `three_phase`, first
    down as it went up. Momentum goes from `max_momentum` to `base_momentum` and back.
    `anneal_strategy`: "cos" or "linear". arXiv:1708.07120.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        self.optimizer = optimizer
        self.total_steps = _count_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ArgumentError(
                f"OneCycleLR: pct_start must be a float between 0 and 1, got {pct_start!r}"
            )
        check_choice("OneCycleLR", "anneal_strategy", anneal_strategy, ANNEALINGS)
        self._schedule_phases = _make_phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = anneal_strategy
        max_lrs = as_list("OneCycleLR", "max_lr", max_lr, optimizer)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, max_lrs, strict=True):
                lr = top / div_factor
                group.update(initial_lr=lr, max_lr=top, min_lr=lr / final_div_factor)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def rate(self, i: int) -> float:  # noqa: D102
        return self._anneal(i, "lr")

    def momentum(self, i: int) -> float:  # noqa: D102
        return self._anneal(i, "momentum")

    def _anneal(self, i: int, what: str) -> float:
        group, epoch, start = self.optimizer.param_groups[i], self.last_epoch, 0.0
        if epoch > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {epoch} is past the end, total_steps is {self.total_steps}"
            )
        for phase in self._schedule_phases[:-1]:
            if epoch <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        length = phase["end_step"] - start
        done = (epoch - start) / length if length else 1.0
        ends = group[phase[f"start_{what}"]], group[phase[f"end_{what}"]]
        return ANNEALINGS[self._anneal_func_type](*ends, done)


def _count_steps(total: int | None, epochs: int | None, each: int | None) -> int:
    given = {"total_steps": total}
    if total is None:
        given = {"epochs": epochs, "steps_per_epoch": each}
        if epochs is None or each is None:
            raise ArgumentError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            raise ArgumentError(f"OneCycleLR: {name} must be a positive int, got {value!r}")
    return math.prod(value for value in given.values() if value is not None)


def _make_phases(total: int, part_up: float, is_three: bool) -> list[dict[str, Any]]:
    """Where phases end, and the options of a group that they lead from and to."""
    ups = [(part_up * total - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if is_three:
        ups += [
            (2 * part_up * total - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    else:
        ups += [(total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, phase, strict=True)) for phase in ups]
