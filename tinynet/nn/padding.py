"""Padding as modules; the function is `functional.pad`, in `tinynet/ops/padding.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class _Pad(Module):
    """Base of the classes below: `padding` is one number for all sides, or one for each.

    Those of the last dim come first: (left, right, top, bottom, front, back).
    """

    ndim: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding: tuple[int, ...]
        if isinstance(padding, Sequence):
            self.padding = tuple(padding)
        else:
            self.padding = (padding,) * (2 * self.ndim)

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, *) or (c, *)."""
        return functional.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """How much to pad."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Any dims in front."""
        return functional.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """How much to pad, and with what."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` around the last dim."""

    ndim = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last 2 dims."""

    ndim = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last 3 dims."""

    ndim = 3


class _ZeroPad(_Pad):
    mode = "constant"
    value = 0.0


class ZeroPad1d(_ZeroPad):
    """Zeros around the last dim."""

    ndim = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last 2 dims."""

    ndim = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last 3 dims."""

    ndim = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """The last dim mirrored at both ends."""

    ndim = 1


class ReflectionPad2d(_ReflectionPad):
    """The last 2 dims mirrored at both ends."""

    ndim = 2


class ReflectionPad3d(_ReflectionPad):
    """The last 3 dims mirrored at both ends."""

    ndim = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """The ends of the last dim repeated."""

    ndim = 1


class ReplicationPad2d(_ReplicationPad):
    """The ends of the last 2 dims repeated."""

    ndim = 2


class ReplicationPad3d(_ReplicationPad):
    """The ends of the last 3 dims repeated."""

    ndim = 3


class _CircularPad(_Pad):
    mode = "circular"


class CircularPad1d(_CircularPad):
    """The last dim going on at its other end."""

    ndim = 1


class CircularPad2d(_CircularPad):
    """The last 2 dims going on at their other ends."""

    ndim = 2


class CircularPad3d(_CircularPad):
    """The last 3 dims going on at their other ends."""

    ndim = 3
