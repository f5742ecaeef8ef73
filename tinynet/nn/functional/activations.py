"""Activations. `inplace=True` writes the result into the input's memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.ops import arithmetic
from tinynet.ops import softmax as softmax_ops
from tinynet.ops.arithmetic import logaddexp, where
from tinynet.ops.creation import zeros_like
from tinynet.ops.inplace import in_place
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.ops.random import rand_like
from tinynet.shape import as_dim
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
    return where(x <= 0.0, x.clamp(max=0.0).expm1() * alpha, x)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _run("selu", _selu, inplace, input)


def _selu(x: Tensor) -> Any:
    return where(x <= 0.0, x.clamp(max=0.0).expm1() * (SELU_ALPHA * SELU_SCALE), x * SELU_SCALE)


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
    return where(scaled <= threshold, scaled.clamp(max=threshold).exp().log1p() / beta, x)


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


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`x` held between 0 and 6; the gradient at both is 0."""
    return _run("relu6", _hardtanh, inplace, input, 0.0, 6.0)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`x / 6 + 1 / 2` held between 0 and 1."""
    return _run("hardsigmoid", _hardsigmoid, inplace, input)


def _hardsigmoid(x: Tensor) -> Any:
    return where(x <= -3.0, 0.0, where(x >= 3.0, 1.0, x / 6.0 + 0.5))


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * hardsigmoid(x)` (Howard et al. 2019)."""
    return _run("hardswish", _hardswish, inplace, input)


def _hardswish(x: Tensor) -> Any:
    # products only of what they are wanted for: that of an infinite x would spoil the gradient
    middle = x.clamp(-3.0, 3.0)
    return where(x <= -3.0, 0.0, where(x >= 3.0, x, middle * (middle + 3.0) / 6.0))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`x` where it is above `threshold`, `value` elsewhere."""
    return _run("threshold", _threshold, inplace, input, threshold, value)


def _threshold(x: Tensor, threshold: float, value: float) -> Any:
    return where(x <= threshold, value, x)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` where its size is above `lambd`, 0 elsewhere."""
    return _run("hardshrink", _hardshrink, False, input, lambd)


def _hardshrink(x: Tensor, lambd: float) -> Any:
    return where((x >= -lambd) & (x <= lambd), 0.0, x)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`x` with `lambd` taken off its size, 0 where that is less."""
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd cannot be negative, got {lambd}")
    return _run("softshrink", _softshrink, False, input, lambd)


def _softshrink(x: Tensor, lambd: float) -> Any:
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, x * 0.0))


def tanhshrink(input: Tensor) -> Tensor:
    """`x - tanh(x)`."""
    return _run("tanhshrink", lambda x: x - x.tanh(), False, input)


def softsign(input: Tensor) -> Tensor:
    """`x / (1 + |x|)`."""
    return _run("softsign", lambda x: x / (x.abs() + 1.0), False, input)


def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(x))`, without overflow."""
    return _run("logsigmoid", _logsigmoid, False, input)


def _logsigmoid(x: Tensor) -> Any:
    return -logaddexp(-x, 0.0)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * tanh(log(1 + exp(x)))` (Misra 2019)."""
    return _run("mish", _mish, inplace, input)


def _mish(x: Tensor) -> Any:
    return x * _softplus(x, 1.0, 20.0).tanh()


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere (Barron 2017)."""
    if alpha == 0:
        raise ArgumentError("celu: alpha cannot be 0")
    return _run("celu", _celu, inplace, input, alpha)


def _celu(x: Tensor, alpha: float) -> Any:
    return where(x <= 0.0, (x.clamp(max=0.0) / alpha).expm1() * alpha, x)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`x` where positive, `weight * x` elsewhere (He et al. 2015).

    `weight`: one for all, or one for each channel, which is dim 1.
    """
    op = "prelu"
    require_floating(op, require_tensor(op, input))
    n = require_tensor(op, weight, "weight").numel()
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or n not in (1, channels):
        raise ShapeError(
            f"{op}: weight has shape {weight.shape}, expected 1 number or {channels}, one for "
            f"each channel of {input.shape}"
        )
    if weight.dtype is not input.dtype:
        raise DTypeError(f"{op}: weight has dtype {weight.dtype}, expected {input.dtype}")
    if input.ndim > 1 and n > 1:
        weight = weight.reshape(n, *(1,) * (input.ndim - 2))
    elif n == 1:
        weight = weight.reshape(())
    result: Tensor = where(input > 0.0, input, weight * input)
    return result


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """`leaky_relu` whose slope, in training, is drawn between `lower` and `upper` for each element.

    Else it is their mean (Xu et al. 2015).
    """
    if not lower <= upper:
        raise ArgumentError(f"rrelu: lower must not be above upper, got {lower} and {upper}")
    if not training:
        return _run("rrelu", _leaky_relu, inplace, input, (lower + upper) / 2)
    return _run("rrelu", _rrelu, inplace, input, lower, upper)


def _rrelu(x: Tensor, lower: float, upper: float) -> Any:
    return where(x > 0.0, x, x * (rand_like(x) * (upper - lower) + lower))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second (Dauphin et al. 2017)."""
    require_floating("glu", require_tensor("glu", input))
    size = input.shape[as_dim("glu", dim, input.ndim)] if input.ndim else 1
    if size % 2:
        raise ShapeError(f"glu: dim {dim} of {input.shape} has odd size {size}, expected halves")
    first, second = input.chunk(2, dim)
    return first * second.sigmoid()


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, *, dim: int = -1) -> Tensor:
    """Softmax of scores with Gumbel noise, divided by `tau`: a soft draw of a class (Jang 2017).

    `hard`: one-hot draws, with the gradient of the soft ones.
    """
    return _run("gumbel_softmax", _gumbel_softmax, False, logits, tau, hard, dim)


def _gumbel_softmax(logits: Tensor, tau: float, hard: bool, dim: int) -> Tensor:
    noise = -rand_like(logits).clamp(min=1e-38).log()
    soft = softmax_ops.softmax((logits - noise.log()) / tau, dim)
    if not hard:
        return soft
    most = soft.argmax(dim, keepdim=True)
    one_hot = zeros_like(soft).scatter(dim, most, 1.0)
    return one_hot - soft.detach() + soft


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
    """`function(input, *arguments)` of a floating tensor; of half precision in float32."""
    require_floating(op, require_tensor(op, input))
    if input.dtype.itemsize == 2:  # exp(20) and 50**3 are no halves, what comes of them may be
        function = _rounded_once(function)
    result: Tensor = (in_place(function) if inplace else function)(input, *arguments)
    return result


def _rounded_once(function: Callable[..., Any]) -> Callable[..., Any]:
    def rounded(x: Tensor, *arguments: Any) -> Any:
        return function(x.float(), *arguments).to(x.dtype)

    rounded.__name__ = function.__name__
    return rounded
