"""Clipping of gradients, in place, between `backward` and the optimiser's step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator

from tinynet.autograd.mode import no_grad
from tinynet.errors import GradientError
from tinynet.ops.creation import zeros
from tinynet.ops.joining import stack
from tinynet.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all tensors as if they were one vector: a scalar on the first one's device."""
    return _total_norm("get_total_norm", _listed(tensors), norm_type, error_if_nonfinite)


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor) -> None:
    """Scale all gradients by `max_norm / total_norm`, if that is below 1."""
    _scale(_gradients(parameters), max_norm, total_norm)


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients down so that the norm of all together is at most `max_norm`.

    Returns the norm before.
    """
    if isinstance(parameters, Iterator):
        parameters = list(parameters)
        if not parameters:
            warnings.warn("clip_grad_norm_: parameters is an empty generator", stacklevel=3)
    grads = _gradients(parameters)
    total = _total_norm("clip_grad_norm_", grads, norm_type, error_if_nonfinite)
    _scale(grads, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Hold every element of the gradients between `-clip_value` and `clip_value`."""
    for grad in _gradients(parameters):
        grad.clamp_(-float(clip_value), float(clip_value))


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [x.grad for x in _listed(parameters) if x.grad is not None]


def _total_norm(
    op: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool
) -> Tensor:
    if not tensors:
        return zeros(())
    norms = stack([x.norm(norm_type).to(tensors[0].device) for x in tensors])
    total = norms.norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise GradientError(f"{op}: the norm of the gradients is {total.item()}")
    return total


def _scale(grads: list[Tensor], max_norm: float, total_norm: Tensor) -> None:
    scale = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale.to(grad.device))
