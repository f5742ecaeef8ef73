"""Small tools for training: clipping gradients, parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentTypeError, GradientError, ShapeError
from tinynet.ops.creation import zeros
from tinynet.ops.joining import cat, stack
from tinynet.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients down, in place, so that the norm of all together is at most `max_norm`.

    Returns the norm before.
    """
    grads = _gradients(parameters)
    if not grads:
        return zeros(())
    norms = stack([grad.norm(norm_type).to(grads[0].device) for grad in grads])
    total = norms.norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise GradientError(f"clip_grad_norm_: the norm of the gradients is {total.item()}")
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale.to(grad.device))
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Hold every element of the gradients, in place, between `-clip_value` and `clip_value`."""
    for grad in _gradients(parameters):
        grad.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one behind the other."""
    return cat([parameter.reshape(-1) for parameter in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the parts of a vector into parameters, in order."""
    if not isinstance(vec, Tensor):
        raise ArgumentTypeError(
            f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}"
        )
    targets = list(parameters)
    total = sum(parameter.numel() for parameter in targets)
    if vec.shape != (total,):
        raise ShapeError(
            f"vector_to_parameters: vec has shape {vec.shape}, the parameters need {(total,)}"
        )
    start = 0
    for parameter in targets:
        stop = start + parameter.numel()
        parameter.copy_(vec[start:stop].reshape(parameter.shape))
        start = stop


def _gradients(parameters: Tensors) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    return [x.grad for x in tensors if x.grad is not None]
