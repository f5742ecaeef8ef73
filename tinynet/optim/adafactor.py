"""Adafactor: Adam's sizes of gradients in the memory of a row and a column."""

from __future__ import annotations

from typing import Any

from tinynet.dtype import finfo
from tinynet.errors import ArgumentError
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero
from tinynet.tensor import Tensor


class Adafactor(Optimizer):
    """Scales by the gradients' size, for matrices the product of rows' and columns' mean sizes.

    From Shazeer & Stern 2018, algorithms 4 and 5. `lr` bounds the step relative to the parameter,
    which falls as `1 / sqrt(step)`; the mean of squares keeps `1 - step ** beta2_decay`; `eps` are
    the least square (None: the dtype's eps, squared) and the least size of a parameter; steps
    larger than `d` are scaled down to it. `weight_decay` is decoupled.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("Adafactor", lr=lr, weight_decay=weight_decay)
        check_at_least_zero("Adafactor: eps", first=0 if eps[0] is None else eps[0], second=eps[1])
        if not beta2_decay <= 0:
            raise ArgumentError(f"Adafactor: beta2_decay cannot be positive, got {beta2_decay}")
        if not d >= 1:
            raise ArgumentError(f"Adafactor: d must be at least 1, got {d}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def state_shapes(self, parameter: Tensor) -> tuple[tuple[int, ...], ...]:
        """Those of rows and columns; of the parameter where it has neither."""
        shape = parameter.shape
        if len(shape) < 2:
            return (), shape
        return (), (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the means of squares `row_var` and `col_var`, or `variance`."""
        if not state:
            state["step"] = 0
            names = ["row_var", "col_var"] if parameter.ndim > 1 else ["variance"]
            for name, shape in zip(names, self.state_shapes(parameter)[1:], strict=True):
                state[name] = gradient.new_zeros(shape)
        state["step"] += 1
        step, lr, (least, smallest) = state["step"], group["lr"], group["eps"]
        least = finfo(parameter.dtype).eps if least is None else least
        root = parameter.numel() ** 0.5
        step_size = (parameter.norm() / root).clamp(min=smallest) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            parameter.mul_(1 - lr * group["weight_decay"])
        square = _mean_square(gradient, state, step ** group["beta2_decay"], least)
        change = square.clamp(min=least * least).rsqrt_().mul_(gradient)
        size = (change.norm() / (root * group["d"])).clamp(min=1.0)
        parameter.sub_(change * (step_size / size))


def _mean_square(gradient: Tensor, state: dict[str, Any], share: Any, least: Any) -> Tensor:
    """The running mean of squared gradients, `share` of which is new."""
    square = gradient.square()
    if gradient.ndim < 2:
        return _mixed(state["variance"], square, share)
    rows = _mixed(state["row_var"], square.mean(-1, keepdim=True), share)
    columns = _mixed(state["col_var"], square.mean(-2, keepdim=True), share)
    product: Tensor = rows * columns / rows.mean(-2, keepdim=True).clamp(min=least)
    return product


def _mixed(kept: Tensor, new: Tensor, share: Any) -> Tensor:
    """The mean with `share` of `new` in it; unlike `lerp`, exact where that is 1."""
    return kept.mul_(1 - share).add_(new, alpha=share)
