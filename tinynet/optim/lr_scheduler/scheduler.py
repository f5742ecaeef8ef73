"""`LRScheduler`, what all schedules share, and `FormulaLR`, for schedules that are one formula."""

from __future__ import annotations

import contextlib
import copy
import inspect
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError, StateError
from tinynet.numbers import SIMPLE, Numbers, is_recording
from tinynet.optim.optimizer import Optimizer


class LRScheduler:
    """Base class of schedules, which set the rate `lr` of an optimiser's groups at each `step()`.

    `last_epoch` counts steps, from 0 where the constructor sets the first rates; `last_epoch=k`
    goes on after step k, with the `initial_lr` that the loaded groups have. `base_lrs` are the
    rates the groups began with. A subclass writes `rate`, or `get_lr` as in PyTorch, or derives
    from `FormulaLR`.
    """

    _unsaved: tuple[str, ...] = ("optimizer", "_arguments")
    _arguments: Mapping[str, Any] = {}
    _takes_new_groups = False
    # PyTorch's names; they are in its state dicts
    _is_initial = False
    _get_lr_called_within_step = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Note the arguments, for `repr`."""
        schedule = super().__new__(cls)
        with contextlib.suppress(TypeError):  # which __init__ words better
            bound = inspect.signature(cls.__init__).bind(schedule, *args, **kwargs)
            bound.apply_defaults()
            ours = ("self", "optimizer", "last_epoch")
            schedule._arguments = {k: x for k, x in bound.arguments.items() if k not in ours}
        return schedule

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self._name, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise StateError(
                    f"{self._name}: last_epoch is {last_epoch}, but param_groups[{i}] has no "
                    "'initial_lr'; load the optimizer's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def rate(self, i: int) -> float:
        """The rate of group `i` at `last_epoch`; the group's "lr" still is the one before."""
        raise NotImplementedError(f"{self._name}: rate is not written")

    def get_lr(self) -> list[float]:
        """The rates that `step` is about to set; those that are set gives `get_last_lr`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                f"{self._name}: get_lr() computes rates for step(); get_last_lr() gives the last",
                stacklevel=2,
            )
        if not self._takes_new_groups:
            self._check_groups(len(self.base_lrs))
        return [self.rate(i) for i in range(len(self.optimizer.param_groups))]

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next rates, or those of `epoch`; to be called after `optimizer.step()`."""
        if self._step_count == 1 and _is_waiting(self.optimizer):
            warnings.warn(
                f"{self._name}: step() was called before the optimizer's; call optimizer.step() "
                "first, or the schedule's first rate is skipped",
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: int | None = None) -> None:
        self._check_not_recording()
        self._get_lr_called_within_step = True
        try:
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            rates = self.get_lr() if epoch is None else self._get_closed_form_lr()
        finally:
            self._get_lr_called_within_step = False
        self._set_rates(rates)

    def _get_closed_form_lr(self) -> list[float]:
        """The rates of an epoch that need not follow the one before."""
        return self.get_lr()

    def _set_rates(self, rates: Iterable[float]) -> None:
        rates = [float(rate) for rate in rates]
        self._check_groups(len(rates))
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._note_rates()

    def _check_groups(self, expected: int) -> None:
        n = len(self.optimizer.param_groups)
        if n != expected:
            raise StateError(
                f"{self._name}: the optimizer has {n} groups, expected {expected}; make the "
                "schedule after the last add_param_group"
            )

    def _note_rates(self) -> None:
        self._last_lr: list[float] = [group["lr"] for group in self.optimizer.param_groups]

    def _check_not_recording(self) -> None:
        if is_recording():
            raise RecordingError(
                f"{self._name}: replays of a function that jit records would not call step(); "
                "call it after the function"
            )

    # State
    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser, which has a state of its own."""
        return {key: value for key, value in vars(self).items() if key not in self._unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; the rates themselves are in the optimiser's state."""
        if not isinstance(state_dict, Mapping):
            raise StateError(
                f"{self._name}.load_state_dict: got {type(state_dict).__name__}, expected a dict"
            )
        vars(self).update(state_dict)

    # Looking ahead
    def rates(self, steps: int, group: int = 0) -> list[float]:
        """The rates of a group in the next `steps` steps of the optimiser, from the present one.

        Nothing changes: a copy steps.

        >>> import tinynet as tn
        >>> optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=1.0)
        >>> tn.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5).rates(5)
        [1.0, 1.0, 0.5, 0.5, 0.25]
        """
        return [rates[group] for rates in self._rates(steps)]

    def table(self, steps: int) -> str:
        """The rates of all groups in the next `steps` steps of the optimiser, as lines of text."""
        rows = [(str(i), *map("{:.6g}".format, rates))
                for i, rates in enumerate(self._rates(steps), self._position())]  # fmt: skip
        n = len(self.optimizer.param_groups)
        names = ["lr"] if n == 1 else [f"lr[{i}]" for i in range(n)]
        rows.insert(0, ("step", *names))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [[x.rjust(width) for x, width in zip(row, widths, strict=True)] for row in rows]
        return "\n".join("  ".join(line) for line in lines)

    def _rates(self, steps: int) -> list[list[float]]:
        if steps < 0:
            raise ArgumentError(f"{self._name}: steps cannot be negative, got {steps}")
        optimizer = copy.copy(self.optimizer)
        optimizer.has_stepped = True
        optimizer.param_groups = [Numbers(group) for group in optimizer.param_groups]
        schedule: LRScheduler = copy.deepcopy(self, {id(self.optimizer): optimizer})
        rates = []
        for i in range(steps):
            if i > 0:
                schedule._advance()
            rates.append([group["lr"] for group in optimizer.param_groups])
        return rates

    def _advance(self) -> None:
        self.step()

    def _position(self) -> int:
        return self.last_epoch

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        shown = {
            name: kept if isinstance(kept := vars(self).get(name), SIMPLE[:-1]) else given
            for name, given in self._arguments.items()
            if given is not None
        }
        words = [f"{name}={getattr(x, '__name__', repr(x))}" for name, x in shown.items()]
        return f"{self._name}({', '.join(words)})"


class FormulaLR(LRScheduler):
    """A schedule of one formula: the rate is `eta_min + (base_lr - eta_min) * formula(epoch)`.

    Each step multiplies the present rate by the formula's change, so that schedules
    multiply when they are chained, and a rate that the user sets is where they go on from.
    `step(epoch)` computes it from `base_lr`. A subclass writes `formula`:

    >>> import tinynet as tn
    >>> class Halving(FormulaLR):
    ...     def formula(self, epoch):
    ...         return 0.5**epoch
    >>> optimizer = tn.optim.SGD([tn.ones(1, requires_grad=True)], lr=8.0)
    >>> Halving(optimizer).rates(4)
    [8.0, 4.0, 2.0, 1.0]
    """

    eta_min: float = 0.0
    _takes_new_groups = True
    _steps_when_resumed = False  # whether last_epoch=k, too, changes the rate, as in PyTorch

    def formula(self, epoch: int) -> float:
        """What part of the base rate is left at `epoch`."""
        raise NotImplementedError(f"{self._name}: formula is not written")

    def rate(self, i: int) -> float:
        """From the rate before; where that was `eta_min`, what the formula adds to it."""
        lr: float = self.optimizer.param_groups[i]["lr"]
        epoch = self.last_epoch
        if epoch > 0 and self._is_initial and not self._steps_when_resumed:
            return lr
        before = self.formula(epoch - 1) if epoch > 0 else 1.0
        factor = self.formula(epoch)
        if factor == before:
            return lr
        if before == 0:
            self._check_groups(len(self.base_lrs))
            return lr + (self.base_lrs[i] - self.eta_min) * factor
        return self.eta_min + (lr - self.eta_min) * (factor / before)

    def _get_closed_form_lr(self) -> list[float]:
        factor = self.formula(self.last_epoch)
        return [self.eta_min + (lr - self.eta_min) * factor for lr in self.base_lrs]


def check_optimizer(op: str, optimizer: Any) -> None:
    """Raise for what is no optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(f"{op}: expected an Optimizer, got {type(optimizer).__name__}")


def as_list(op: str, name: str, value: Any, optimizer: Any) -> list[Any]:
    """`value` for each group, or the list of values that it is."""
    check_optimizer(op, optimizer)
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ArgumentError(
            f"{op}: {name} has {len(value)} items, expected one for each group, {n}"
        )
    return list(value)


def check_positive(op: str, **options: float) -> None:
    """Raise for an option that is not above zero."""
    for name, value in options.items():
        if not value > 0:
            raise ArgumentError(f"{op}: {name} must be positive, got {value}")


def check_choice(op: str, name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise for a word that is none of `choices`."""
    if value not in choices:
        raise ArgumentError(f"{op}: {name} must be one of {[*choices]}, got {value!r}")


def _is_waiting(optimizer: Optimizer) -> bool:
    """Whether it is known that no step was made yet: who writes `step` anew need not tell."""
    return not optimizer.has_stepped and type(optimizer).step is Optimizer.step
