"""`Parameter`: a tensor that a module owns and an optimiser changes."""

from __future__ import annotations

from tinynet.errors import ArgumentTypeError
from tinynet.ops.creation import empty
from tinynet.tensor import Tensor


class Parameter(Tensor):
    """A tensor on `data`'s memory that a module lists among its parameters.

    >>> import tinynet as tn
    >>> tn.nn.Parameter(tn.ones(2)).requires_grad
    True
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """Share memory with `data`."""
        values = empty(0) if data is None else data
        if not isinstance(values, Tensor):
            raise ArgumentTypeError(
                f"Parameter: data must be a Tensor, got {type(values).__name__}"
            )
        made = values.as_subclass(cls)
        if requires_grad:
            made.requires_grad_()
        return made

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """`__new__` has done it."""
