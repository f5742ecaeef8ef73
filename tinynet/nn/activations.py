"""Activations as modules; the functions are in `functional/activations.py`."""

from __future__ import annotations

from typing import ClassVar

from tinynet.dtype import DType
from tinynet.errors import ShapeError
from tinynet.nn import functional
from tinynet.nn.init import constant_
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
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

    shown: ClassVar[tuple[str, ...]] = ("min_val", "max_val")

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


class Softmin(_Activation):
    """`softmax(-x)` along `dim`."""

    shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        return functional.softmin(input, self.dim)


class Softmax2d(_Activation):
    """Softmax over the channels of (n, c, h, w) or (c, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape."""
        if input.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d: expected (n, c, h, w) or (c, h, w), got {input.shape}")
        return functional.softmax(input, -3)


class ReLU6(Hardtanh):
    """`x` held between 0 and 6."""

    shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Hardsigmoid(_Activation):
    """`x / 6 + 1 / 2` held between 0 and 1."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.hardsigmoid(input, self.inplace)


class Hardswish(_Activation):
    """`x * hardsigmoid(x)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        """Nothing, as PyTorch has it."""
        return ""


class Threshold(_Activation):
    """`x` where it is above `threshold`, `value` elsewhere."""

    shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.threshold(input, self.threshold, self.value, self.inplace)


class Hardshrink(_Activation):
    """`x` where its size is above `lambd`, 0 elsewhere."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """Argument."""
        return str(self.lambd)


class Softshrink(_Activation):
    """`x` with `lambd` taken off its size, 0 where that is less."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """Argument."""
        return str(self.lambd)


class Tanhshrink(_Activation):
    """`x - tanh(x)`."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.tanhshrink(input)


class Softsign(_Activation):
    """`x / (1 + |x|)`."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.softsign(input)


class LogSigmoid(_Activation):
    """`log(sigmoid(x))`."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.logsigmoid(input)


class Mish(_Activation):
    """`x * tanh(log(1 + exp(x)))`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.mish(input, self.inplace)


class CELU(_Activation):
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere."""

    shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.celu(input, self.alpha, self.inplace)


class PReLU(_Activation):
    """`x` where positive, `weight * x` elsewhere; the weight is learnt, for all or by channel."""

    shown = ("num_parameters",)
    weight: Parameter

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All weights as they were first."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Channels are dim 1."""
        return functional.prelu(input, self.weight)


class RReLU(_Activation):
    """`x` where positive, `slope * x` elsewhere; in training the slope is random."""

    shown = ("lower", "upper")

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return functional.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class GLU(_Activation):
    """The first half along `dim` times the sigmoid of the second."""

    shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Half the input's size along `dim`."""
        return functional.glu(input, self.dim)
