"""Penalties on weights, to add to a loss, and a bound on their size, to keep after a step.

What they take as `parameters` is a module, a tensor, or tensors. No tensors have a penalty of 0.

>>> import tinynet as tn
>>> from tinynet import nn
>>> layer = nn.Linear(2, 2)
>>> loss = layer(tn.ones(1, 2)).sum() + 0.01 * nn.l2_penalty(layer)
>>> loss.backward()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError
from tinynet.nn.module import Module
from tinynet.ops.creation import zeros
from tinynet.ops.joining import stack
from tinynet.shape import as_dim
from tinynet.tensor import Tensor

Parameters = Module | Tensor | Iterable[Tensor]
TINY = 1e-12  # what a norm is at least, where something is divided by it


def l1_penalty(parameters: Parameters) -> Tensor:
    """The sum of magnitudes, which makes weights 0 (Tibshirani 1996). Its gradient at 0 is 0."""
    return _total(parameters, lambda x: x.abs().sum())


def l2_penalty(parameters: Parameters) -> Tensor:
    """Half the sum of squares, whose gradient is the weight: what SGD's `weight_decay` adds."""
    return _total(parameters, lambda x: x.square().sum()) * 0.5


def norm_penalty(parameters: Parameters, p: float = 2.0) -> Tensor:
    """The p-norm of all elements together, `p` 1 or more, or inf. Its gradient at 0 is 0."""
    if not p >= 1:
        raise ArgumentError(f"norm_penalty: p must be 1 or more, got {p}")
    tensors = _listed(parameters)
    if not tensors:
        return zeros(())
    return stack([x.norm(p).to(tensors[0].device) for x in tensors]).norm(p)


@no_grad()
def max_norm_(parameters: Parameters, max_norm: float, dim: int = 0) -> None:
    """Scale down, in place, slices along `dim` whose length is above `max_norm`.

    Call it after the optimiser's step. With `dim` 0 a slice is what comes into a unit, of `Linear`
    and convolutions (Srivastava et al. 2014, section 5.1). Vectors, such as biases, are left alone.
    """
    if not max_norm >= 0:
        raise ArgumentError(f"max_norm_: max_norm cannot be negative, got {max_norm}")
    for x in _listed(parameters):
        if x.ndim > 1:
            own = as_dim("max_norm_", dim, x.ndim)
            lengths = x.norm(2, [i for i in range(x.ndim) if i != own], keepdim=True)
            x.mul_((max_norm / lengths.clamp(min=TINY)).clamp(max=1.0))


def _listed(parameters: Parameters) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        return [parameters]
    return list(parameters.parameters() if isinstance(parameters, Module) else parameters)


def _total(parameters: Parameters, penalty: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of all tensors' penalties, on the first one's device."""
    tensors = _listed(parameters)
    if not tensors:
        return zeros(())
    total = penalty(tensors[0])
    for x in tensors[1:]:
        total = total + penalty(x).to(total.device)
    return total
