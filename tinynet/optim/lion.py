"""Lion: the sign of a mean."""

from __future__ import annotations

from typing import Any

from tinynet.ops.creation import zeros_like
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero, check_betas
from tinynet.tensor import Tensor


class Lion(Optimizer):
    """Steps of `lr` along the sign of the mean of gradients (Chen et al. 2023, program 1).

    Its sign is that of a mean that weighs the newest gradient by `1 - betas[0]`; the mean that is
    kept weighs it by `1 - betas[1]`. `weight_decay` is decoupled. Rates are 3 to 10 times smaller
    than Adam's, decays as much larger. Not in PyTorch.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("Lion", lr=lr, weight_decay=weight_decay)
        check_betas("Lion", betas)
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: the mean `exp_avg`."""
        if not state:
            state["exp_avg"] = zeros_like(parameter)
        mean, lr, (beta1, beta2) = state["exp_avg"], group["lr"], group["betas"]
        if group["weight_decay"] != 0:
            parameter.mul_(1 - lr * group["weight_decay"])
        parameter.add_(mean.lerp(gradient, 1 - beta1).sign_(), alpha=-lr)
        mean.lerp_(gradient, 1 - beta2)
