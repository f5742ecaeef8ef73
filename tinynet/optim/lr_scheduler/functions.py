"""Schedules that the user's own functions give."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinynet.errors import ArgumentTypeError, StateError
from tinynet.optim.lr_scheduler.scheduler import LRScheduler, as_list
from tinynet.optim.optimizer import Optimizer

Function = Callable[[int], float]


class LambdaLR(LRScheduler):
    """base_lr * lr_lambda(epoch); a function for all groups, or a list with one for each.

    Functions are not part of the state, attributes of callable objects are.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | Sequence[Function],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas: list[Function] = as_list(self._name, "lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise ArgumentTypeError(
                    f"{self._name}: lr_lambda must be a function, got {type(function).__name__}"
                )
        super().__init__(optimizer, last_epoch)

    def rate(self, i: int) -> float:  # noqa: D102
        return self.base_lrs[i] * self.lr_lambdas[i](self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As all schedules'; `lr_lambdas` holds attributes of callable objects."""
        return {**super().state_dict(), "lr_lambdas": [*map(attributes_of, self.lr_lambdas)]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As all schedules'; attributes of callable objects are put into those that are here."""
        kept = state_dict.get("lr_lambdas", ())
        if len(kept) != len(self.lr_lambdas):
            raise StateError(
                f"{self._name}.load_state_dict: the state has {len(kept)} lr_lambdas, "
                f"expected {len(self.lr_lambdas)}"
            )
        super().load_state_dict({**state_dict, "lr_lambdas": self.lr_lambdas})
        for function, attributes in zip(self.lr_lambdas, kept, strict=True):
            load_attributes(function, attributes)


class MultiplicativeLR(LambdaLR):
    """The present rate * lr_lambda(epoch), from epoch 1 on."""

    def rate(self, i: int) -> float:  # noqa: D102
        lr: float = self.optimizer.param_groups[i]["lr"]
        return lr if self._is_initial else lr * self.lr_lambdas[i](self.last_epoch)


def attributes_of(function: Any) -> dict[str, Any] | None:
    """The state of a callable object; None of a function, which has none to keep."""
    if isinstance(function, types.FunctionType) or not hasattr(function, "__dict__"):
        return None
    return {**vars(function)}


def load_attributes(function: Any, attributes: Mapping[str, Any] | None) -> None:
    """Give a callable object the state that `attributes_of` took."""
    if attributes:
        vars(function).update(attributes)
