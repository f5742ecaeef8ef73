"""Step sizes of each element's own: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from typing import Any

from tinynet.errors import ArgumentError
from tinynet.ops.creation import full_like, zeros_like
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero, decayed, next_step
from tinynet.tensor import Tensor


class Adagrad(Optimizer):
    """Divides by the root of the sum of all squared gradients (Duchi et al. 2011).

    The sum starts at `initial_accumulator_value`; with `lr_decay` the rate falls as
    `lr / (1 + lr_decay * steps)`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
        }
        check_at_least_zero("Adagrad", **defaults)
        super().__init__(params, {**defaults, "maximize": maximize})
        for group in self.param_groups:
            for parameter in group["params"]:
                self._start(parameter, self.state[parameter])

    def _start(self, parameter: Tensor, state: dict[str, Any]) -> None:
        state["step"] = 0
        state["sum"] = full_like(parameter, self.defaults["initial_accumulator_value"])

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State, there before the first step: `step`, the sum of squares `sum`."""
        if not state:
            self._start(parameter, state)
        step = next_step(state, parameter)
        gradient = decayed(parameter, gradient, group)
        step_size = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        total = state["sum"].addcmul_(gradient, gradient)
        parameter.addcdiv_(gradient, total.sqrt().add_(group["eps"]), value=-step_size)


class Adadelta(Optimizer):
    """Divides by the size of recent gradients, times that of recent changes (Zeiler 2012).

    `rho` is how much of both sizes is kept from step to step.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("Adadelta", lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0 <= rho <= 1:
            raise ArgumentError(f"Adadelta: rho must be in [0, 1], got {rho}")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means of squares `square_avg` (gradients), `acc_delta` (changes)."""
        next_step(state, parameter, "square_avg", "acc_delta")
        rho, eps = group["rho"], group["eps"]
        gradient = decayed(parameter, gradient, group)
        square, changes = state["square_avg"], state["acc_delta"]
        square.mul_(rho).addcmul_(gradient, gradient, value=1 - rho)
        change = changes.add(eps).div_(square.add(eps)).sqrt_().mul_(gradient)
        changes.mul_(rho).addcmul_(change, change, value=1 - rho)
        parameter.add_(change, alpha=-group["lr"])


class RMSprop(Optimizer):
    """Divides by the root of the mean of recent squared gradients (Hinton 2012, lecture 6e).

    `alpha` is how much of the mean is kept from step to step; `centered` takes the square of the
    gradients' mean off it (Graves 2013); with `momentum` the parameter moves by what is left of
    earlier changes, too.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero(
            "RMSprop", lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum
        )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, `square_avg`; `grad_avg` if centered; `momentum_buffer` if needed."""
        next_step(state, parameter, "square_avg")
        alpha, momentum = group["alpha"], group["momentum"]
        gradient = decayed(parameter, gradient, group)
        square = state["square_avg"].mul_(alpha).addcmul_(gradient, gradient, value=1 - alpha)
        if group["centered"]:
            mean = _zeros_at_first(state, "grad_avg", parameter).lerp_(gradient, 1 - alpha)
            square = square.addcmul(mean, mean, value=-1)
        size = square.sqrt().add_(group["eps"])
        if momentum > 0:
            buffer = _zeros_at_first(state, "momentum_buffer", parameter)
            buffer.mul_(momentum).addcdiv_(gradient, size)
            parameter.add_(buffer, alpha=-group["lr"])
        else:
            parameter.addcdiv_(gradient, size, value=-group["lr"])


def _zeros_at_first(state: dict[str, Any], key: str, parameter: Tensor) -> Tensor:
    if key not in state:
        state[key] = zeros_like(parameter)
    kept: Tensor = state[key]
    return kept
