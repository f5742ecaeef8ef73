"""Dropout as modules; the functions are in `functional/dropout.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from tinynet.errors import ArgumentError
from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class _Dropout(Module):
    """Base of the classes below: in evaluation mode they give back their input."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape; the input itself in evaluation mode."""
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeros with probability `p` and all else scaled by `1 / (1 - p)`."""

    function = staticmethod(functional.dropout)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels, of (n, c, length) or (c, length)."""

    function = staticmethod(functional.dropout1d)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels, of (n, c, height, width)."""

    function = staticmethod(functional.dropout2d)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels, of (n, c, depth, height, width), or without n."""

    function = staticmethod(functional.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps SELU's mean and variance."""

    function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels."""

    function = staticmethod(functional.feature_alpha_dropout)
