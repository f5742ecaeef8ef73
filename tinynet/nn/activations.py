"""Activations as modules; the functions are in `functional/activations.py`."""

from __future__ import annotations

from typing import ClassVar

from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class _Activation(Module):
    """Base of the classes below: `repr` shows the arguments named in `shown`."""

    shown: ClassVar[tuple[str, ...]] = ()
    inplace: bool = False

    def extra_repr(self) -> str:
        """Arguments."""
        parts = [f"{name}={getattr(self, name)!r}" for name in self.shown]
        return ", ".join([*parts, "inplace=True"] if self.inplace else parts)


class ReLU(_Activation):
    """`max(x, 0)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.relu(input, self.inplace)


class LeakyReLU(_Activation):
    """`x` where positive, `negative_slope * x` elsewhere."""

    shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.leaky_relu(input, self.negative_slope, self.inplace)


class ELU(_Activation):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere."""

    shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.elu(input, self.alpha, self.inplace)


class SELU(_Activation):
    """ELU scaled so that mean 0 and variance 1 persist from layer to layer."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.selu(input, self.inplace)


class GELU(_Activation):
    """`x` times the normal distribution function at x, or its approximation "tanh"."""

    shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.gelu(input, approximate=self.approximate)


class SiLU(_Activation):
    """`x * sigmoid(x)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.silu(input, self.inplace)


class Sigmoid(_Activation):
    """`1 / (1 + exp(-x))`."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return input.sigmoid()


class Tanh(_Activation):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return input.tanh()


class Softplus(_Activation):
    """`log(1 + exp(beta * x)) / beta`; `x` itself where `beta * x` is above `threshold`."""

    shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.softplus(input, self.beta, self.threshold)


class Hardtanh(_Activation):
    """`x` held between `min_val` and `max_val`."""

    shown = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Softmax(_Activation):
    """`exp(x) / sum(exp(x))` along `dim`."""

    shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        return functional.softmax(input, self.dim)


class LogSoftmax(_Activation):
    """`log(softmax(x))` along `dim`."""

    shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        return functional.log_softmax(input, self.dim)
