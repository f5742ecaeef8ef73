"""LAMB: Adam for large batches."""

from __future__ import annotations

from typing import Any

from tinynet.ops.arithmetic import where
from tinynet.optim.adam import update_means
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero, check_betas, next_step
from tinynet.tensor import Tensor


class LAMB(Optimizer):
    """Adam's steps, each tensor's scaled to the norm of that tensor (You et al. 2020, alg. 2).

    `weight_decay` times the parameter is part of the step that is scaled. Where either norm is 0
    the step is taken as it is. Not in PyTorch.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("LAMB", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("LAMB", betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means `exp_avg` and `exp_avg_sq`."""
        step = next_step(state, parameter, "exp_avg", "exp_avg_sq")
        beta1, beta2 = group["betas"]
        mean, square = update_means(gradient, state, group)
        size = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        change = (mean / size).mul_(1 / (1 - beta1**step))
        if group["weight_decay"] != 0:
            change.add_(parameter, alpha=group["weight_decay"])
        norm, change_norm = parameter.norm(), change.norm()
        ratio = where((norm > 0) & (change_norm > 0), norm / change_norm, 1.0)
        parameter.sub_(change * (ratio * group["lr"]))
