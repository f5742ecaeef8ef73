"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentTypeError, ShapeError
from tinynet.ops.joining import cat
from tinynet.tensor import Tensor


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
