"""Losses of margins: scores or distances should differ by a margin at least."""

from __future__ import annotations

from collections.abc import Callable

from tinynet.dtype import int64
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.nn.functional.activations import logsigmoid
from tinynet.nn.functional.distances import pairwise_distance
from tinynet.nn.functional.losses import check_class_weight, check_reduction, reduced
from tinynet.ops.arithmetic import minimum, where
from tinynet.ops.creation import arange, zeros
from tinynet.ops.embedding import as_class_index
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.tensor import Tensor


# One score, or two
def hinge_embedding_loss(
    input: Tensor, target: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """`input` where target is 1, `max(0, margin - input)` where it is -1; of input's dtype."""
    _check("hinge_embedding_loss", reduction, input=input, target=target)
    apart = where(target != 1, (margin - input).clamp(min=0), 0)
    return reduced((apart + where(target != -1, input, 0)).to(input.dtype), reduction)


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`log(1 + exp(-target * input))`, target 1 or -1."""
    _check("soft_margin_loss", reduction, input=input, target=target)
    return reduced(-logsigmoid(target * input), reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, *, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """`max(0, -target * (input1 - input2) + margin)`: target 1 wants the first to be larger."""
    op = "margin_ranking_loss"
    _check(op, reduction, input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = f"{input1.shape}, {input2.shape} and {target.shape}"
        raise ShapeError(f"{op}: expected inputs and target of as many dims, got {shapes}")
    return reduced((-target * (input1 - input2) + margin).clamp(min=0.0), reduction)


# Classes
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """The hinge loss of class scores (Weston & Watkins 1998): how far the others come within
    `margin` of the right one, `sum(max(0, margin - x[target] + x[i]) ** p) / classes`, i != target.

    `input` (n, classes) or (classes,), `target` (n,) or a number, `p` 1 or 2; `weight`, one for
    each class, is of the right class.
    """
    op = "multi_margin_loss"
    _check(op, reduction, input=input, target=target)
    if p not in (1, 2):
        raise ArgumentError(f"{op}: p must be 1 or 2, got {p}")
    x, y = _as_rows(op, input, target, target.shape)
    n, classes = x.shape
    if y.shape != (n,):
        raise ShapeError(f"{op}: target has shape {target.shape}, expected {(n,)}")
    y = as_class_index(y)
    right = x.gather(1, y[:, None])
    gap = margin - right + x
    is_other = arange(classes, device=x.device) != y[:, None]
    each = where(is_other & (gap > 0.0), gap if p == 1 else gap * gap, 0.0)
    if weight is not None:
        check_class_weight(op, weight, x, classes)
        each = each * weight[y][:, None]
    loss = each.sum(1) / classes
    return reduced(loss if target.ndim else loss.reshape(()), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """How far scores of other classes come within 1 of those of the right ones.

    `input` (n, classes) or (classes,); `target`, of that shape, has the numbers of the right ones,
    then -1.
    """
    op = "multilabel_margin_loss"
    _check(op, reduction, input=input, target=target)
    if target.shape != input.shape:
        raise ShapeError(f"{op}: target has shape {target.shape}, expected {input.shape}")
    x, y = _as_rows(op, input, target, input.shape)
    y = y.reshape(x.shape)
    y = as_class_index(y + 1) - 1  # -1 is the end, less is no class
    is_there = (y >= 0).long().cumprod(1) > 0
    known = where(is_there, y, 0)
    is_right = zeros(x.shape, dtype=int64, device=x.device).scatter_add(1, known, is_there.long())
    gap = 1.0 - x.gather(1, known)[:, :, None] + x[:, None, :]
    counts = is_there[:, :, None] & (is_right == 0)[:, None, :] & (gap > 0.0)
    loss = where(counts, gap, 0.0).sum((1, 2)) / x.shape[1]
    return reduced(loss if input.ndim > 1 else loss.reshape(()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over classes, the last dim, of minus the log-likelihood of yes or no to each."""
    op = "multilabel_soft_margin_loss"
    _check(op, reduction, input=input, target=target)
    each = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    if weight is not None:
        each = each * weight
    classes = input.shape[-1] if input.ndim else 1  # of one that broadcasts, its own
    return reduced(each.sum(-1) / classes, reduction)


# Distances
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, *, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """`1 - cos` of two vectors where target is 1, `max(0, cos - margin)` where it is -1.

    Inputs (n, d) with target (n,), or (d,) with one number.
    """
    op = "cosine_embedding_loss"
    _check(op, reduction, input1=input1, input2=input2, target=target)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise ShapeError(
            f"{op}: expected (n, d), (n, d) and (n,), or (d,), (d,) and (), got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    lengths = (input1.square().sum(-1) + 1e-12) * (input2.square().sum(-1) + 1e-12)
    cos = (input1 * input2).sum(-1) / lengths.sqrt()
    alike = where(target == 1, 1.0 - cos, 0.0)
    return reduced(alike + where(target == -1, (cos - margin).clamp(min=0.0), 0.0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)`, d the `p`-norm (Balntas 2016).

    `swap` takes d(positive, negative) where that is smaller. Vectors are the last dim.
    """
    op = "triplet_margin_loss"
    _check(op, reduction, anchor=anchor, positive=positive, negative=negative)
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = f"{anchor.shape}, {positive.shape} and {negative.shape}"
        raise ShapeError(f"{op}: expected three tensors of as many dims, got {shapes}")

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplets(op, (anchor, positive, negative), distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own; `pairwise_distance` if none is given."""
    op = "triplet_margin_with_distance_loss"
    _check(op, reduction, anchor=anchor, positive=positive, negative=negative)
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplets(op, (anchor, positive, negative), distance, margin, swap, reduction)


def _triplets(
    op: str,
    triplet: tuple[Tensor, Tensor, Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if not margin > 0:
        raise ArgumentError(f"{op}: margin must be positive, got {margin}")
    anchor, positive, negative = triplet
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0.0), reduction)


def _check(op: str, reduction: str, **tensors: Tensor) -> None:
    """Raise for a reduction that there is not, and for what is no tensor."""
    check_reduction(op, reduction)
    for name, x in tensors.items():
        require_tensor(op, x, name)


def _as_rows(
    op: str, input: Tensor, target: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) and their target, int64; without n, it is 1."""
    require_floating(op, input)
    if target.dtype is not int64:
        raise DTypeError(f"{op}: target has dtype {target.dtype}, expected int64")
    if input.ndim not in (1, 2) or (input.ndim == 1 and len(shape) > 1) or not input.shape[-1]:
        raise ShapeError(f"{op}: got shape {input.shape}, expected (n, classes) or (classes,)")
    if input.ndim == 2:
        return input, target
    return input[None], target.reshape(-1 if len(shape) < 1 or shape == (1,) else shape)
