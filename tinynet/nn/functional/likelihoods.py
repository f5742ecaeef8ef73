"""Losses that are minus the logarithm of a likelihood, or differences of such."""

from __future__ import annotations

import math
import warnings

from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn.functional.losses import check_reduction, reduced
from tinynet.numbers import is_recording
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import ones_like
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.tensor import Tensor


def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """`target * (log(target) - input)`: the Kullback-Leibler divergence, of log-probabilities
    `input`, from `target`; with `log_target` these are logarithms too.

    `reduction` "batchmean" divides the sum by the size of dim 0, as the definition has it; "mean"
    is the mean of all numbers.
    """
    op = "kl_div"
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    require_floating(op, x, y)
    if reduction == "mean":
        warnings.warn(f"{op}: 'mean' divides by all elements, see 'batchmean'", stacklevel=2)
    if reduction != "batchmean":
        check_reduction(op, reduction)
    if log_target:
        each = y.exp() * (y - x)
    else:
        each = where(y == 0.0, 0.0, y * where(y == 0.0, 1.0, y).log()) - y * x
    if reduction == "batchmean":
        return each.sum() / x.shape[0] if x.ndim else each.sum()
    return reduced(each, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """`0.5 * (log(var) + (input - target)**2 / var)`, of normal distributions (Nix & Weigend 1994).

    `var`: the variances, of the input's shape, or without its last dim, or with 1 in place of one
    dim, or one number; `eps` at least. `full` adds `0.5 * log(2 pi)`.
    """
    op = "gaussian_nll_loss"
    check_reduction(op, reduction)
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    if not isinstance(var, Tensor):
        var = ones_like(x) * var
    if var.shape != x.shape:
        unlike = [b for a, b in zip(x.shape, var.shape) if a != b]
        if var.shape == x.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != x.ndim or unlike != [1]:
            raise ShapeError(f"{op}: var has shape {var.shape}, input {x.shape}")
    if not is_recording() and (var < 0.0).any().item():
        raise ArgumentError(f"{op}: var has a negative number")
    held = var + (var.detach().clamp(min=eps) - var.detach())  # the gradient is var's, as ever
    each = (held.log() + (x - y).square() / held) * 0.5
    if full:
        each = each + 0.5 * math.log(2 * math.pi)
    return reduced(each, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """`exp(input) - target * input`, of Poisson distributions whose log-rates are `input`.

    Without `log_input`, of rates: `input - target * log(input + eps)`. `full` adds Stirling's
    approximation of `log(target!)` where target is above 1.
    """
    op = "poisson_nll_loss"
    check_reduction(op, reduction)
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    each = x.exp() - y * x if log_input else x - y * (x + eps).log()
    if full:
        large = where(y > 1.0, y, 2.0)
        stirling = large * large.log() - large + (large * (2 * math.pi)).log() * 0.5
        each = each + where(y > 1.0, stirling, 0.0)
    return reduced(each, reduction)
