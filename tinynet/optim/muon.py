"""Muon: matrices take steps that are nearly orthogonal."""

from __future__ import annotations

from typing import Any

from tinynet.errors import ArgumentError
from tinynet.ops.creation import zeros_like
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero
from tinynet.tensor import Tensor

RATES = ("original", "match_rms_adamw")


class Muon(Optimizer):
    """Steps along the mean of a matrix's gradients, made orthogonal (Jordan et al. 2024).

    For the matrices between layers only; train other parameters by AdamW. `nesterov` looks one
    gradient ahead; `ns_coefficients`, `eps` and `ns_steps` are those of the Newton-Schulz
    iteration; `weight_decay` is decoupled. `adjust_lr_fn` says how the rate depends on the shape:
    "original" (also None) by `sqrt(max(1, rows / columns))`, "match_rms_adamw" by
    `0.2 * sqrt(max(rows, columns))` (Liu et al. 2025).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_at_least_zero("Muon", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn is not None and adjust_lr_fn not in RATES:
            raise ArgumentError(f"Muon: adjust_lr_fn must be one of {RATES}, got {adjust_lr_fn!r}")
        if len(ns_coefficients) != 3:
            raise ArgumentError(f"Muon: ns_coefficients must be three, got {ns_coefficients}")
        if ns_steps >= 100:
            raise ArgumentError(f"Muon: ns_steps must be less than 100, got {ns_steps}")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check_parameter(self, parameter: Any) -> None:
        super()._check_parameter(parameter)
        if parameter.ndim != 2:
            raise ArgumentError(f"Muon: can train only matrices, got shape {parameter.shape}")

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """State: the mean of gradients `momentum_buffer`."""
        if not state:
            state["momentum_buffer"] = zeros_like(parameter)
        momentum, lr = group["momentum"], group["lr"]
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        change = orthogonalised(
            ahead, group["ns_coefficients"], int(group["ns_steps"]), group["eps"]
        )
        rows, columns = parameter.shape
        scale = max(1, rows / columns) ** 0.5
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * max(rows, columns) ** 0.5
        if group["weight_decay"] != 0:
            parameter.mul_(1 - lr * group["weight_decay"])
        parameter.add_(change.to(parameter.dtype), alpha=-lr * scale)


def orthogonalised(
    matrix: Tensor, coefficients: tuple[Any, Any, Any], steps: int, eps: float
) -> Tensor:
    """The matrix with its singular values brought near 1, by Newton-Schulz iterations.

    Each is X <- aX + bAX + cAAX with A = XX'. Computed in float32, of which every result is
    rounded to bfloat16, as it is where PyTorch computes with bfloat16.
    """
    a, b, c = coefficients
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = _rounded(matrix.T if is_tall else matrix)
    x = _rounded(x / _rounded(x.norm()).clamp(min=eps))
    for _ in range(steps):
        gram = _rounded(x @ x.T)
        series = _rounded(gram * b + (gram @ gram) * c)
        x = _rounded(x * a + series @ x)
    return x.T if is_tall else x


def _rounded(x: Tensor) -> Tensor:
    """`x` in float32 with the precision of bfloat16."""
    return x.float().bfloat16().float()
