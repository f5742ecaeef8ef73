"""Stochastic gradient descent, with momentum (SGD) or with a mean of parameters (ASGD)."""

from __future__ import annotations

from typing import Any

from tinynet.errors import ArgumentError
from tinynet.ops.creation import zeros_like
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero, decayed, next_step
from tinynet.tensor import Tensor


class SGD(Optimizer):
    """`x -= lr * gradient`; with momentum `x -= lr * b`, b = momentum * b + gradient.

    `dampening` takes that share off the gradient that is added to b; `nesterov` steps along
    gradient + momentum * b (Sutskever et al. 2013); `weight_decay` adds that much of x to the
    gradient; `maximize` goes uphill.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                "SGD: nesterov needs a momentum and no dampening, "
                f"got momentum {momentum} and dampening {dampening}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `momentum_buffer`, if there is momentum."""
        momentum = group["momentum"]
        gradient = decayed(parameter, gradient, group)
        if momentum != 0:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = gradient.clone()
            else:
                buffer.mul_(momentum).add_(gradient, alpha=1 - group["dampening"])
            gradient = gradient.add(buffer, alpha=momentum) if group["nesterov"] else buffer
        parameter.add_(gradient, alpha=-group["lr"])


class ASGD(Optimizer):
    """Descent whose parameters are averaged on the side (Polyak & Juditsky 1992).

    Step k is of size `lr / (1 + lambd * lr * k) ** alpha`; `lambd` times that is taken off the
    parameter. The state's `ax` is the parameter, and from step `t0` on the mean of parameters.
    """

    numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("ASGD", lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the step's size `eta`, the newest parameter's share `mu`, the mean `ax`.

        `eta` and `mu` are those of the step to come.
        """
        if not state:
            state["step"], state["eta"], state["mu"] = 0, group["lr"], 1.0
            state["ax"] = zeros_like(parameter)
        step = next_step(state, parameter)
        lr, decay, eta = group["lr"], group["lambd"], state["eta"]
        gradient = decayed(parameter, gradient, group)
        parameter.mul_(1 - decay * eta).add_(gradient, alpha=-eta)
        past = step - group["t0"]
        if past > 1 or state["mu"] != 1:
            state["ax"].mul_(1 - state["mu"]).add_(parameter * state["mu"])  # the same for mu = 1
        else:
            state["ax"].copy_(parameter)
        state["eta"] = lr / (1 + decay * lr * step) ** group["alpha"]
        state["mu"] = 1 / past if past > 1 else 1.0
