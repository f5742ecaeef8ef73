"""Activations as modules; the functions are in `functional/activations.py`."""

from __future__ import annotations

from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class ReLU(Module):
    """`max(x, 0)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.relu(input, self.inplace)

    def extra_repr(self) -> str:
        """Whether in place."""
        return _inplace(self.inplace)


class LeakyReLU(Module):
    """`x` where positive, `negative_slope * x` elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """Slope."""
        return _joined(f"negative_slope={self.negative_slope}", _inplace(self.inplace))


class ELU(Module):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """Alpha."""
        return _joined(f"alpha={self.alpha}", _inplace(self.inplace))


class SELU(Module):
    """ELU scaled so that mean 0 and variance 1 persist from layer to layer."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.selu(input, self.inplace)

    def extra_repr(self) -> str:
        """Whether in place."""
        return _inplace(self.inplace)


class GELU(Module):
    """`x` times the normal distribution function at x, or its approximation "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Approximation."""
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """`x * sigmoid(x)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.silu(input, self.inplace)

    def extra_repr(self) -> str:
        """Whether in place."""
        return _inplace(self.inplace)


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return input.sigmoid()


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return input.tanh()


class Softplus(Module):
    """`log(1 + exp(beta * x)) / beta`; `x` itself where `beta * x` is above `threshold`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Constants."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(Module):
    """`x` held between `min_val` and `max_val`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """Bounds."""
        bounds = f"min_val={self.min_val}, max_val={self.max_val}"
        return _joined(bounds, _inplace(self.inplace))


class Softmax(Module):
    """`exp(x) / sum(exp(x))` along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        return functional.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Dim."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """`log(softmax(x))` along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        return functional.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Dim."""
        return f"dim={self.dim}"


def _inplace(inplace: bool) -> str:
    return "inplace=True" if inplace else ""


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
