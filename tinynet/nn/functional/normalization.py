"""Normalisation: inputs made to have mean 0 and deviation 1, or norm 1.

Half precision is computed in float32, as sums of many elements would overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tinynet import shape as shapes
from tinynet.autograd.mode import no_grad
from tinynet.dtype import finfo, float32
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.ops.movement import reshape_to
from tinynet.ops.normalization import normalize_over, standardize
from tinynet.ops.operands import (
    as_number,
    as_operand,
    cast_to,
    require_floating,
    require_same_device,
    require_tensor,
)
from tinynet.ops.pooling import mean_windows
from tinynet.tensor import Tensor
from tinynet.windows import Windows


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (dim 1) normalised over the batch and all positions (Ioffe & Szegedy 2015).

    In training with the batch's own statistics, which move the running ones, where there are any,
    by the share `momentum` (their variance divides by n - 1); otherwise with the running ones.
    """
    op = "batch_norm"
    x = _checked(op, input, 2, weight=weight, bias=bias, mean=running_mean, var=running_var)
    channels = x.shape[1]
    _check_sizes(op, channels, weight=weight, bias=bias)
    _check_sizes(op, channels, running_mean=running_mean, running_var=running_var)
    eps = as_number(op, "eps", eps)
    if eps < 0 or (training and eps == 0):
        raise ArgumentError(f"{op}: eps must be positive, got {eps}")
    shape = (1, channels, *(1,) * (x.ndim - 2))
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                f"{op}: running_mean and running_var must be tensors unless training, got "
                f"{type(running_mean).__name__} and {type(running_var).__name__}"
            )
        return _with_running(x, running_mean, running_var, weight, bias, eps, shape)
    count = x.shape[0] * prod(x.shape[2:])
    if count == 1:
        raise ShapeError(
            f"{op}: training needs more than 1 value for each channel, got shape {x.shape}"
        )
    dims = (0, *range(2, x.ndim))
    y, mean, variance = _normalized(x, dims, eps, _along(weight, shape), _along(bias, shape))
    if count:
        _move(op, running_mean, mean, momentum, 1.0)
        _move(op, running_var, variance, momentum, count / (count - 1))
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example normalised over all positions (Ulyanov et al. 2016).

    With `use_input_stats` running statistics, where there are any, move by the share `momentum`;
    otherwise the input is normalised with them.
    """
    op = "instance_norm"
    x = _checked(op, input, 3, weight=weight, bias=bias, mean=running_mean, var=running_var)
    n, channels = x.shape[:2]
    eps = as_number(op, "eps", eps)
    _check_sizes(op, channels, weight=weight, bias=bias)
    _check_sizes(op, channels, running_mean=running_mean, running_var=running_var)
    if (running_mean is None) != (running_var is None) or (
        running_mean is None and not use_input_stats
    ):
        raise ArgumentError(
            f"{op}: running_mean and running_var must come together, and unless use_input_stats "
            f"they must be tensors, got {type(running_mean).__name__} and "
            f"{type(running_var).__name__}"
        )
    shape = (1, channels, *(1,) * (x.ndim - 2))
    if running_mean is not None and running_var is not None and not use_input_stats:
        return _with_running(x, running_mean, running_var, weight, bias, eps, shape)
    count = prod(x.shape[2:])
    if count == 1:
        raise ShapeError(f"{op}: there must be more than 1 position, got shape {x.shape}")
    dims = tuple(range(2, x.ndim))
    y, mean, variance = _normalized(x, dims, eps, _along(weight, shape), _along(bias, shape))
    if count and n:
        _move(op, running_mean, mean, momentum, 1.0)
        _move(op, running_var, variance, momentum, count / (count - 1))
    return y


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each example's channels normalised in `num_groups` groups (Wu & He 2018)."""
    op = "group_norm"
    x = _checked(op, input, 2, weight=weight, bias=bias)
    n, channels = x.shape[:2]
    num_groups, eps = shapes.as_integer(op, "num_groups", num_groups), as_number(op, "eps", eps)
    if num_groups < 1 or channels % num_groups:
        raise ArgumentError(f"{op}: {channels} channels do not part into {num_groups} groups")
    _check_sizes(op, channels, weight=weight, bias=bias)
    size = channels // num_groups
    if n * size * prod(x.shape[2:]) == 1:
        raise ShapeError(
            f"{op}: there must be more than 1 value for each group, got shape {x.shape} and "
            f"{num_groups} groups"
        )
    parted = x.reshape(n, num_groups, size, *x.shape[2:])
    shape = (1, num_groups, size, *(1,) * (x.ndim - 2))
    dims = tuple(range(2, parted.ndim))
    y, _, _ = _normalized(parted, dims, eps, _along(weight, shape), _along(bias, shape))
    return y.reshape(x.shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalised over the last dims, which have `normalized_shape` (Ba et al. 2016)."""
    op = "layer_norm"
    x = _checked(op, input, 1, weight=weight, bias=bias)
    eps = as_number(op, "eps", eps)
    dims = _last_dims(op, x, normalized_shape, weight=weight, bias=bias)
    shape = (1,) * dims[0] + x.shape[dims[0] :]
    y, _, _ = _normalized(x, dims, eps, _along(weight, shape), _along(bias, shape))
    return y


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divided by the root of the mean square over the last dims (Zhang & Sennrich 2019).

    `eps` None is the smallest number that makes a difference to 1 in the input's dtype.
    """
    op = "rms_norm"
    x = _checked(op, input, 1, weight=weight)
    dims = _last_dims(op, x, normalized_shape, weight=weight)
    shape = (1,) * dims[0] + x.shape[dims[0] :]
    if eps is None:
        eps = finfo(float32 if x.dtype.itemsize == 2 else x.dtype).eps
    eps = as_number(op, "eps", eps)
    y, _, _ = _normalized(x, dims, eps, _along(weight, shape), None, is_centred=False)
    return y


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """`x / (k + alpha * mean(x**2)) ** beta`, the mean over `size` channels around each.

    Krizhevsky et al. 2012, section 3.3. Channels that are not there count as 0.
    """
    op = "local_response_norm"
    x = _checked(op, input, 3)
    if shapes.as_integer(op, "size", size) < 1:
        raise ArgumentError(f"{op}: size must be positive, got {size}")
    if not x.numel():
        return x
    squares = (x * x).transpose(1, 2)  # channels become the first of the dims to pool over
    sizes, ones = squares.shape[2:], (1,) * (x.ndim - 2)
    kernel, padding = (size, *ones[1:]), (size // 2, *[0] * (x.ndim - 3))
    windows = Windows(sizes, sizes, kernel, ones, padding, ones)
    mean = mean_windows(squares, windows, size).transpose(1, 2)
    return x / (mean * alpha + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12
) -> Tensor:
    """Divided by the p-norm over `dim`, or by `eps` where that is larger."""
    x = require_tensor("normalize", input)
    require_floating("normalize", x)
    return x / x.norm(p, dim, keepdim=True).clamp(min=eps)


def _checked(op: str, input: Tensor, least: int, **others: Tensor | None) -> Tensor:
    """The input, checked; so are the dtypes and devices of what goes with it."""
    x = require_tensor(op, input)
    require_floating(op, x)
    if x.ndim < least:
        raise ShapeError(f"{op}: the input needs at least {least} dims, got shape {x.shape}")
    for name, other in others.items():
        if other is None:
            continue
        require_same_device(op, x, require_tensor(op, other, name))
        if other.dtype is not x.dtype and not (x.dtype.itemsize == 2 and other.dtype is float32):
            raise DTypeError(f"{op}: {name} has {other.dtype}, the input {x.dtype}")
    return x


def _check_sizes(op: str, channels: int, **vectors: Tensor | None) -> None:
    for name, vector in vectors.items():
        if vector is not None and vector.numel() != channels:
            raise ShapeError(f"{op}: {name} has shape {vector.shape}, expected {(channels,)}")


def _last_dims(
    op: str, x: Tensor, normalized_shape: Sequence[int], **others: Tensor | None
) -> shapes.Shape:
    """The dims that `normalized_shape` names, checked to be the last ones."""
    if not isinstance(normalized_shape, Sequence):
        raise ArgumentTypeError(
            f"{op}: normalized_shape must be a tuple of ints, got {normalized_shape!r}"
        )
    shape = shapes.as_shape(op, normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"{op}: an input of shape {x.shape} does not end in {shape}")
    for name, other in others.items():
        if other is not None and other.shape != shape:
            raise ShapeError(f"{op}: {name} has shape {other.shape}, expected {shape}")
    return tuple(range(x.ndim - len(shape), x.ndim))


def _along(vector: Tensor | None, shape: shapes.Shape) -> Tensor | None:
    """A weight or bias with the sizes of the dims that it belongs to."""
    return None if vector is None else reshape_to(vector, shape)


def _normalized(
    x: Tensor,
    dims: shapes.Shape,
    eps: float,
    weight: Tensor | None,
    bias: Tensor | None,
    is_centred: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """`normalize_over`, half precision in float32."""
    wide = float32 if x.dtype.itemsize == 2 else x.dtype
    weight, bias = (None if y is None else cast_to(y, wide) for y in (weight, bias))
    y, mean, variance = normalize_over(cast_to(x, wide), dims, eps, weight, bias, is_centred)
    return cast_to(y, x.dtype), mean, variance


def _with_running(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    shape: shapes.Shape,
) -> Tensor:
    """The input normalised with statistics from before."""
    wide = float32 if x.dtype.itemsize == 2 else x.dtype
    scale = (cast_to(variance.detach(), wide) + eps).rsqrt()
    if weight is not None:
        scale = scale * cast_to(weight, wide).reshape(scale.shape)
    centre = reshape_to(cast_to(mean.detach(), wide), shape)
    shift = None if bias is None else reshape_to(cast_to(bias, wide), shape)
    y = standardize(cast_to(x, wide), centre, reshape_to(scale, shape), shift)
    return cast_to(y, x.dtype)


@no_grad()
def _move(
    op: str, running: Tensor | None, batch: Tensor | None, momentum: float | Tensor, factor: float
) -> None:
    """Let a running statistic follow the batch's (of each example's, the mean), in place."""
    if running is None or batch is None:
        return
    momentum = as_operand(f"{op}: momentum", momentum, running)
    if batch.shape[0] != 1:
        batch = batch.mean(0)
    moved = cast_to(reshape_to(batch, running.shape) * (momentum * factor), running.dtype)
    running.mul_(1.0 - momentum).add_(moved)
