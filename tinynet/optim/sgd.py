"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

from tinynet.errors import ArgumentError
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero
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
        if group["weight_decay"] != 0:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        if momentum != 0:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = gradient.clone()
            else:
                buffer.mul_(momentum).add_(gradient, alpha=1 - group["dampening"])
            gradient = gradient.add(buffer, alpha=momentum) if group["nesterov"] else buffer
        parameter.add_(gradient, alpha=-group["lr"])
