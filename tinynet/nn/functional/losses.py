"""Losses: how far an output is from its target, as one number or (`reduction="none"`) many."""

from __future__ import annotations

import math
import warnings

from tinynet import shape as shapes
from tinynet.dtype import int64, uint8
from tinynet.errors import ArgumentError, DTypeError, GradientError, ShapeError
from tinynet.numbers import is_recording
from tinynet.ops import losses
from tinynet.ops.arithmetic import logaddexp, where
from tinynet.ops.operands import require_floating, require_same_device, require_tensor
from tinynet.ops.softmax import log_softmax
from tinynet.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


# Distances
def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """`(input - target) ** 2`; with `weight` (of input's shape) the weighted mean."""
    x, y = pair_of("mse_loss", input, target, reduction)
    if weight is None and reduction != "none" and x.shape == y.shape and x.dtype is y.dtype:
        if reduction == "sum":
            return losses.squared_error(x, y, 1.0)
        return losses.squared_error(x, y, 1.0 / x.numel() if x.numel() else math.nan)
    return _weighted("mse_loss", (x - y).square(), x, weight, reduction)


def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """`|input - target|`; with `weight` (of input's shape) the weighted mean."""
    x, y = pair_of("l1_loss", input, target, reduction, is_floating=False)
    return _weighted("l1_loss", (x - y).abs(), x, weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """`0.5 * gap**2 / beta` where `|gap| < beta`, `|gap| - 0.5 * beta` elsewhere."""
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta cannot be negative, got {beta}")
    x, y = pair_of("smooth_l1_loss", input, target, reduction)
    gap = x - y
    size = gap.abs()
    if beta > 0:
        size = where(size < beta, _square_of_small(gap, beta) * (0.5 / beta), size - 0.5 * beta)
    return reduced(size, reduction)


def _square_of_small(gap: Tensor, bound: float) -> Tensor:
    """The square of a gap below `bound`: that of an infinite one would spoil the gradient."""
    return gap.clamp(-bound, bound).square()


def huber_loss(
    input: Tensor,
    target: Tensor,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """`0.5 * gap**2` where `|gap| < delta`, `delta * (|gap| - 0.5 * delta)` elsewhere (Huber 1964).

    `weight`, of the input's shape, is multiplied in.
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    x, y = pair_of("huber_loss", input, target, reduction)
    gap = x - y
    size = gap.abs()
    each = where(size < delta, _square_of_small(gap, delta) * 0.5, (size - 0.5 * delta) * delta)
    if weight is not None and require_tensor("huber_loss", weight, "weight").shape != x.shape:
        raise ShapeError(f"huber_loss: weight has shape {weight.shape}, expected {x.shape}")
    return reduced(each if weight is None else each * weight, reduction)


# Classes
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Minus the logarithm of the probability that softmax of the scores gives the target.

    `input`: scores (classes,), (n, classes) or (n, classes, d1, ...). `target`: int64 class indices
    of that shape without the dim of classes, or probabilities of the same shape. `weight`: one per
    class; the mean is weighted with it. Targets equal to `ignore_index` do not count.
    `label_smoothing` mixes that share of the uniform distribution into the targets.
    """
    op = "cross_entropy"
    check_reduction(op, reduction)
    ignore_index = shapes.as_integer(op, "ignore_index", ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"{op}: label_smoothing must be 0 to 1, got {label_smoothing}")
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    if not x.shape:
        raise ShapeError(f"{op}: input needs at least 1 dim, got shape {x.shape}")
    log_probabilities = log_softmax(x, 1 if x.ndim > 1 else 0)
    if x.shape == y.shape and (y.is_floating_point() or x.ndim > 1):
        if ignore_index >= 0:
            raise ArgumentError(f"{op}: ignore_index is for class indices, not probabilities")
        return _against_probabilities(log_probabilities, y, weight, reduction, label_smoothing)
    loss = _picked(op, log_probabilities, y, weight, ignore_index, reduction)
    if label_smoothing == 0.0:
        return loss
    spread = _against_all(log_probabilities, y, weight, ignore_index, reduction)
    share = label_smoothing / x.shape[1 if x.ndim > 1 else 0]
    return loss * (1.0 - label_smoothing) + spread * share


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """`-input` at the target class: `cross_entropy` of what `log_softmax` has been through."""
    check_reduction("nll_loss", reduction)
    ignore_index = shapes.as_integer("nll_loss", "ignore_index", ignore_index)
    x, y = require_tensor("nll_loss", input), require_tensor("nll_loss", target, "target")
    return _picked("nll_loss", x, y, weight, ignore_index, reduction)


def _picked(
    op: str, x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """Checks, and everything brought to 2 dims or 3: (n, classes) or (n, classes, k)."""
    require_floating(op, x)
    if target.dtype not in (int64, uint8):
        raise DTypeError(f"{op}: class indices must be int64 or uint8, got {target.dtype}")
    require_same_device(op, x, target)
    if not x.shape:
        raise ShapeError(f"{op}: input needs at least 1 dim, got shape {x.shape}")
    is_single = x.ndim == 1 and target.shape in ((), (1,))
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if target.shape != expected and not is_single:
        raise ShapeError(
            f"{op}: target has shape {target.shape}, expected {expected} for input {x.shape}"
        )
    n, classes = x.shape[:2] if x.ndim > 1 else (1, x.shape[0])
    if weight is not None:
        check_class_weight(op, weight, x, classes)
        if weight.requires_grad:
            raise GradientError(f"{op}: weight cannot require grad, use weight.detach()")
    places = target if target.dtype is int64 else target.to(int64)
    if x.ndim != 2:
        count = math.prod(x.shape[2:])
        x, places = x.reshape(n, classes, count), places.reshape(n, count)
    loss = losses.negative_log_likelihood(x, places, weight, ignore_index, reduction, op)
    return loss.reshape(expected) if reduction == "none" and loss.shape != expected else loss


def check_class_weight(op: str, weight: Tensor, x: Tensor, classes: int) -> None:
    """Raise unless there is a weight for each class."""
    require_tensor(op, weight, "weight")
    require_same_device(op, x, weight)
    if weight.shape != (classes,):
        raise ShapeError(f"{op}: weight has shape {weight.shape}, expected {(classes,)}")
    if weight.dtype is not x.dtype:
        raise DTypeError(f"{op}: weight has {weight.dtype}, the input {x.dtype}")


def _against_probabilities(
    log_probabilities: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross-entropy with a distribution over the classes for each example."""
    if not target.is_floating_point():
        raise DTypeError(
            f"cross_entropy: a target of the input's shape holds probabilities, got {target.dtype}"
        )
    dim = 1 if log_probabilities.ndim > 1 else 0
    classes = log_probabilities.shape[dim]
    if label_smoothing > 0.0:
        target = target * (1.0 - label_smoothing) + label_smoothing / classes
    product = log_probabilities * target
    if weight is not None:
        check_class_weight("cross_entropy", weight, log_probabilities, classes)
        product = product * _along(weight, dim, product.ndim)
    if reduction == "none":
        return -product.sum(dim)
    total = -product.sum()
    if reduction == "sum":
        return total
    n = product.numel() // classes if classes else 0
    return total / n if n else total * math.nan


def _against_all(
    log_probabilities: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    """The loss summed over all classes: what label smoothing adds a share of."""
    dim = 1 if log_probabilities.ndim > 1 else 0
    if weight is not None:
        log_probabilities = log_probabilities * _along(weight, dim, log_probabilities.ndim)
    shape = log_probabilities.shape[:dim] + log_probabilities.shape[dim + 1 :]
    is_counted = (target != ignore_index).reshape(shape)
    each: Tensor = where(is_counted, -log_probabilities.sum(dim), 0.0)
    if reduction != "mean":
        return reduced(each, reduction)
    share: Tensor = is_counted
    if weight is not None:
        known = where(is_counted, target.to(int64).reshape(shape), 0)
        share = where(is_counted, weight[known], 0.0)
    return each.sum() / share.sum()


def _along(weight: Tensor, dim: int, ndim: int) -> Tensor:
    """A vector shaped to broadcast along `dim` of `ndim` dims."""
    return weight.reshape((-1,) + (1,) * (ndim - dim - 1))


# Yes or no
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """`-target * log(input) - (1 - target) * log(1 - input)`, `input` a probability.

    Logarithms are held at -100 or above. `weight` broadcasts to the input. An input or a target
    outside [0, 1] raises, but not while `jit` records or replays, which cannot look.
    """
    op = "binary_cross_entropy"
    x, y = same_shapes(op, input, target, reduction)
    if y.dtype is not x.dtype:
        raise DTypeError(f"{op}: target has {y.dtype}, the input {x.dtype}")
    if not is_recording():
        _check_probabilities(op, x, y)
    loss = losses.binary_cross_entropy(x, y)
    return reduced(loss if weight is None else loss * weight, reduction)


def _check_probabilities(op: str, x: Tensor, y: Tensor) -> None:
    """Refuse an input or a target outside [0, 1]; both are read at once."""
    is_in, is_right = [((p >= 0.0) & (p <= 1.0)).all() for p in (x, y)]
    if bool(is_in & is_right):
        return
    if not bool(is_in):
        raise ArgumentError(f"{op}: input must lie between 0 and 1, use ..._with_logits for scores")
    raise ArgumentError(f"{op}: target must lie between 0 and 1")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of `sigmoid(input)`, without overflow.

    `pos_weight` broadcasts to the input and weighs the positive part of the target.
    """
    op = "binary_cross_entropy_with_logits"
    x, y = same_shapes(op, input, target, reduction)
    require_floating(op, y)
    softplus = logaddexp(-x, 0.0)
    if pos_weight is not None:
        shapes.broadcast(op, x.shape, require_tensor(op, pos_weight, "pos_weight").shape)
        softplus = ((pos_weight - 1.0) * y + 1.0) * softplus
    loss = (1.0 - y) * x + softplus
    return reduced(loss if weight is None else loss * weight, reduction)


# Shared
def check_reduction(op: str, reduction: str) -> None:
    """Raise for a reduction that there is not."""
    if reduction not in REDUCTIONS:
        raise ArgumentError(f"{op}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def pair_of(
    op: str, input: Tensor, target: Tensor, reduction: str, is_floating: bool = True
) -> tuple[Tensor, Tensor]:
    """Both tensors, checked; different shapes broadcast, with a warning."""
    check_reduction(op, reduction)
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    require_same_device(op, x, y)
    if is_floating and x.dtype.rank != 2 and y.dtype.rank != 2:
        require_floating(op, x)
    if x.shape != y.shape:
        shapes.broadcast(op, x.shape, y.shape)
        warnings.warn(
            f"{op}: target has shape {y.shape}, input {x.shape}: they broadcast, which is "
            "seldom what is meant",
            stacklevel=3,
        )
    return x, y


def same_shapes(op: str, input: Tensor, target: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
    """Both tensors, checked to have one shape."""
    check_reduction(op, reduction)
    x, y = require_tensor(op, input), require_tensor(op, target, "target")
    require_same_device(op, x, y)
    require_floating(op, x)
    if x.shape != y.shape:
        raise ShapeError(f"{op}: target has shape {y.shape}, expected the input's {x.shape}")
    return x, y


def _weighted(op: str, each: Tensor, x: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is None:
        return reduced(each, reduction)
    if require_tensor(op, weight, "weight").shape != x.shape:
        raise ShapeError(f"{op}: weight has shape {weight.shape}, expected the input's {x.shape}")
    weighted = each * weight
    return weighted.sum() / weight.sum() if reduction == "mean" else reduced(weighted, reduction)


def reduced(each: Tensor, reduction: str) -> Tensor:
    """All losses as `reduction` says."""
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.mean()
