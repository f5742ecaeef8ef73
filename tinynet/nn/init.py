"""Initialisers: each fills a tensor in place, unrecorded, and returns it."""

from __future__ import annotations

import math
import warnings

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.operands import require_tensor
from tinynet.ops.random import Generator
from tinynet.tensor import Tensor

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights before this nonlinearity are scaled up. `param`: leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ArgumentError(f"calculate_gain: param must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ArgumentError(f"calculate_gain: got {nonlinearity!r}, expected one of {known}")
    return GAINS[nonlinearity]


@no_grad()
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b)."""
    return require_tensor("uniform_", tensor, "tensor").uniform_(a, b, generator=generator)


@no_grad()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with this mean and deviation."""
    return require_tensor("normal_", tensor, "tensor").normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    return require_tensor("constant_", tensor, "tensor").fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return constant_(tensor, 0.0)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform with deviation `gain * sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio 2010)."""
    bound = math.sqrt(3.0) * _xavier_deviation("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with deviation `gain * sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, _xavier_deviation("xavier_normal_", tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform with deviation gain / sqrt(fan) (He et al. 2015); `a` is leaky_relu's slope.

    `mode` "fan_in" keeps the variance on the way forward, "fan_out" on the way back.
    """
    deviation = _kaiming_deviation("kaiming_uniform_", tensor, a, mode, nonlinearity)
    if deviation is None:
        return tensor
    bound = math.sqrt(3.0) * deviation
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with deviation gain / sqrt(fan) (He et al. 2015). Arguments: `kaiming_uniform_`."""
    deviation = _kaiming_deviation("kaiming_normal_", tensor, a, mode, nonlinearity)
    return tensor if deviation is None else normal_(tensor, 0.0, deviation, generator)


def _fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs a unit has, for weights (out, in, *kernel)."""
    shape = require_tensor(op, tensor, "tensor").shape
    if len(shape) < 2:
        raise ShapeError(f"{op}: weights need at least 2 dims to count fans, got shape {shape}")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _xavier_deviation(op: str, tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / sum(_fans(op, tensor)))


def _kaiming_deviation(
    op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str
) -> float | None:
    """The deviation; None, with a warning, where there is nothing to fill."""
    if 0 in require_tensor(op, tensor, "tensor").shape:
        warnings.warn(f"{op}: nothing to fill in a tensor of shape {tensor.shape}", stacklevel=3)
        return None
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{op}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = _fans(op, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)
