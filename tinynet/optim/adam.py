"""Adam and those made from it: AdamW, Adamax, NAdam, RAdam."""

from __future__ import annotations

from typing import Any

from tinynet.ops.creation import zeros_like
from tinynet.optim.optimizer import (
    Group,
    Optimizer,
    check_at_least_zero,
    check_betas,
    decayed,
    next_step,
)
from tinynet.tensor import Tensor


class Adam(Optimizer):
    """Steps along the mean of gradients, scaled by their size (Kingma & Ba 2015, algorithm 1).

    `weight_decay` adds that much of the parameter to the gradient, or, `decoupled_weight_decay`,
    shrinks the parameter by `lr * weight_decay` first; `amsgrad` divides by the largest size so
    far (Reddi et al. 2018); `maximize` goes uphill.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_at_least_zero(self._name, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(self._name, betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means `exp_avg` and `exp_avg_sq`, amsgrad's `max_exp_avg_sq`.

        The corrections for the means' start at zero are folded into eps and the step size, which
        saves a pass over memory.
        """
        largest = ["max_exp_avg_sq"] if group["amsgrad"] else []
        step = next_step(state, parameter, "exp_avg", "exp_avg_sq", *largest)
        lr, (beta1, beta2) = group["lr"], group["betas"]
        mean, square = update_means(decayed(parameter, gradient, group), state, group)
        if group["amsgrad"]:
            square = state["max_exp_avg_sq"].maximum_(square)
        correction = (1 - beta2**step) ** 0.5
        step_size = lr * correction / (1 - beta1**step)
        parameter.addcdiv_(mean, square.sqrt().add_(group["eps"] * correction), value=-step_size)


def update_means(gradient: Tensor, state: dict[str, Any], group: Group) -> tuple[Tensor, Tensor]:
    """`exp_avg` and `exp_avg_sq`, the running means of gradients and their squares, brought on."""
    beta1, beta2 = group["betas"]
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    mean.lerp_(gradient, 1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return mean, square


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )


class Adamax(Optimizer):
    """Adam with the largest, slowly forgotten size of gradients (Kingma & Ba 2015, algorithm 2)."""

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("Adamax", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("Adamax", betas)
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
        """State: `step`, the mean `exp_avg`, the size `exp_inf`."""
        step = next_step(state, parameter, "exp_avg", "exp_inf")
        beta1, beta2 = group["betas"]
        gradient = decayed(parameter, gradient, group)
        mean, size = state["exp_avg"], state["exp_inf"]
        mean.lerp_(gradient, 1 - beta1)
        size.mul_(beta2).maximum_(gradient.abs().add_(group["eps"]))
        parameter.addcdiv_(mean, size, value=-group["lr"] / (1 - beta1**step))


class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016, algorithm 2).

    `momentum_decay` is the rate at which the momentum rises to `betas[0]`;
    `decoupled_weight_decay` as in `Adam`.
    """

    numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero(
            "NAdam", lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay
        )
        check_betas("NAdam", betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means `exp_avg` and `exp_avg_sq`, all momenta's `mu_product`."""
        if not state:
            state["step"], state["mu_product"] = 0, 1.0
            state["exp_avg"], state["exp_avg_sq"] = zeros_like(parameter), zeros_like(parameter)
        step = next_step(state, parameter)
        lr, (beta1, beta2), rate = group["lr"], group["betas"], group["momentum_decay"]
        gradient = decayed(parameter, gradient, group)
        mean, square = update_means(gradient, state, group)
        momentum = beta1 * (1 - 0.5 * 0.96 ** (step * rate))
        following = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * rate))
        state["mu_product"] *= momentum
        product = state["mu_product"]
        correction = (1 - beta2**step) ** 0.5
        share = -lr * correction * (1 - momentum) / (1 - product)
        mean_share = -lr * correction * following / (1 - product * following)
        ahead = gradient.mul(share).add_(mean, alpha=mean_share)
        parameter.addcdiv_(ahead, square.sqrt().add_(group["eps"] * correction))


class RAdam(Optimizer):
    """Adam that scales by the gradients' size once that is known well (Liu et al. 2020, alg. 2).

    Before, it steps along their mean. `decoupled_weight_decay` as in `Adam`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("RAdam", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("RAdam", betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means `exp_avg` and `exp_avg_sq`."""
        step = next_step(state, parameter, "exp_avg", "exp_avg_sq")
        beta1, beta2 = group["betas"]
        mean, square = update_means(decayed(parameter, gradient, group), state, group)
        step_size = group["lr"] / (1 - beta1**step)
        unbiased = 1 - beta2**step
        most = 2 / (1 - beta2) - 1  # degrees of freedom of the mean of squares, in the end and now
        now = most - 2 * step * beta2**step / unbiased
        if now <= 5:
            parameter.add_(mean, alpha=-step_size)
            return
        share = (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now)
        step_size = step_size * (share * unbiased) ** 0.5
        parameter.addcdiv_(mean, square.sqrt().add_(group["eps"]), value=-step_size)
