"""Rprop: only the signs of gradients count."""

from __future__ import annotations

from typing import Any

from tinynet.errors import ArgumentError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import full_like, zeros_like
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero, next_step
from tinynet.tensor import Tensor


class Rprop(Optimizer):
    """Steps of each element's own size, against the gradient's sign (Riedmiller & Braun 1993).

    Where the sign stays the size grows by `etas[1]`; where it turns over the size shrinks by
    `etas[0]`, and the element stays for one step. `step_sizes` are the least and the largest. For
    gradients of all data: those of batches turn over by chance.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero("Rprop", lr=lr)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ArgumentError(f"Rprop: etas must be below and above 1, got {etas}")
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: `step`, the last gradient `prev` (0 where it turned over), `step_size`."""
        if not state:
            state["step"], state["prev"] = 0, zeros_like(parameter)
            state["step_size"] = full_like(parameter, group["lr"])
        next_step(state, parameter)
        shrink, grow = group["etas"]
        least, most = group["step_sizes"]
        size, turn = state["step_size"], gradient * state["prev"]
        changed = where(turn > 0, size * grow, where(turn < 0, size * shrink, size))
        size.copy_(changed.clamp(least, most))
        gradient = where(turn < 0, 0.0, gradient)
        parameter.addcmul_(gradient.sign(), size, value=-1)
        state["prev"].copy_(gradient)
