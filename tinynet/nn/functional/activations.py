"""Activations. `inplace=True` writes the result into the input's memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from tinynet.dtype import DType
from tinynet.errors import ArgumentError
from tinynet.ops import arithmetic
from tinynet.ops import softmax as softmax_ops
from tinynet.ops.arithmetic import where
from tinynet.ops.inplace import in_place
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.tensor import Tensor

SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, appendix 1
SELU_SCALE = 1.0507009873554804934193349852946


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`; the gradient at 0 is 0."""
    return input.relu_() if inplace else arithmetic.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere."""
    return _run("leaky_relu", _leaky_relu, inplace, input, negative_slope)


def _leaky_relu(x: Tensor, negative_slope: float) -> Any:
    return where(x > 0.0, x, x * negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al. 2016)."""
    return _run("elu", _elu, inplace, input, alpha)


def _elu(x: Tensor, alpha: float) -> Any:
    # exp only of what it is wanted for: where x is large, its infinity would spoil the gradient
    return where(x > 0.0, x, x.clamp(max=0.0).expm1() * alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _run("selu", _selu, inplace, input)


def _selu(x: Tensor) -> Any:
    return where(x > 0.0, x * SELU_SCALE, x.clamp(max=0.0).expm1() * (SELU_ALPHA * SELU_SCALE))


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """`x` times the normal distribution function at x (Hendrycks & Gimpel 2016).

    `approximate="tanh"` is `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))`.
    """
    if approximate == "none":
        return _run("gelu", _gelu, False, input)
    if approximate == "tanh":
        return _run("gelu", _gelu_tanh, False, input)
    raise ArgumentError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * ((x * math.sqrt(0.5)).erf() + 1.0)


def _gelu_tanh(x: Tensor) -> Tensor:
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (inner.tanh() + 1.0)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * sigmoid(x)`, also called swish."""
    return _run("silu", _silu, inplace, input)


def _silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta * x)) / beta`; `x` itself where `beta * x` is above `threshold`."""
    return _run("softplus", _softplus, False, input, beta, threshold)


def _softplus(x: Tensor, beta: float, threshold: float) -> Any:
    scaled = x * beta
    return where(scaled > threshold, x, scaled.clamp(max=threshold).exp().log1p() / beta)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`x` held between `min_val` and `max_val`; the gradient at both is 0."""
    if min_val > max_val:
        raise ArgumentError(
            f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}"
        )
    return _run("hardtanh", _hardtanh, inplace, input, float(min_val), float(max_val))


def _hardtanh(x: Tensor, min_val: float, max_val: float) -> Any:
    return where(x <= min_val, min_val, where(x >= max_val, max_val, x))


def softmax(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """`exp(x) / sum(exp(x))` along `dim`."""
    return softmax_ops.softmax(input, _dim_of("softmax", input, dim), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """`softmax(-x)` along `dim`."""
    return softmax_ops.softmin(input, _dim_of("softmin", input, dim), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """`log(softmax(x))` along `dim`, without overflow."""
    return softmax_ops.log_softmax(input, _dim_of("log_softmax", input, dim), dtype=dtype)


def _dim_of(op: str, input: Tensor, dim: int | None) -> int:
    """PyTorch's old rule where `dim` is left out: 0 for 0, 1 and 3 dims, else 1."""
    if dim is not None:
        return dim
    chosen = 0 if require_tensor(op, input).ndim in (0, 1, 3) else 1
    warnings.warn(f"{op}: dim is left out, {chosen} is taken: pass dim", stacklevel=3)
    return chosen


def _run(
    op: str, function: Callable[..., Any], inplace: bool, input: Tensor, *arguments: Any
) -> Tensor:
    """`function(input, *arguments)` of a floating tensor."""
    require_floating(op, require_tensor(op, input))
    result: Tensor = (in_place(function) if inplace else function)(input, *arguments)
    return result
