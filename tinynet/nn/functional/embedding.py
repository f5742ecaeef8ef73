"""Rows of a table, picked by number: embeddings, and one-hot vectors, which are such rows."""

from __future__ import annotations

from tinynet.autograd.mode import no_grad
from tinynet.dtype import int64
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.numbers import is_recording
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange
from tinynet.ops.operands import require_tensor
from tinynet.ops.sorting import unique
from tinynet.tensor import Tensor


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The rows of `weight` (count, features) whose numbers `input` holds: (*, features).

    The row `padding_idx` gets no gradient. With `max_norm` rows that are picked and longer, by the
    `norm_type`-norm, are first shortened in place.
    """
    op = "embedding"
    places = require_tensor(op, input)
    if places.dtype.rank != 1:
        raise DTypeError(f"{op}: expected integers, got {places.dtype}")
    if require_tensor(op, weight, "weight").ndim != 2:
        raise ShapeError(f"{op}: weight must be (count, features), got shape {weight.shape}")
    if scale_grad_by_freq:
        raise ArgumentError(f"{op}: scale_grad_by_freq=True is not there, expected False")
    count = weight.shape[0]
    if padding_idx is not None and not -count <= padding_idx < count:
        raise ArgumentError(f"{op}: padding_idx must be one of {count} rows, got {padding_idx}")
    if max_norm is not None:
        _shorten(weight, places, max_norm, norm_type)
    rows: Tensor = weight[places]
    if padding_idx is None or not weight.requires_grad:
        return rows
    is_padding = (places == padding_idx % count).unsqueeze(-1)
    held: Tensor = where(is_padding, rows.detach(), rows)
    return held


@no_grad()
def _shorten(weight: Tensor, places: Tensor, max_norm: float, norm_type: float) -> None:
    """Bring the norm of the rows at `places` down to `max_norm`, in place."""
    picked = places.flatten() if is_recording() else unique(places)
    rows = weight.detach()[picked]
    norms = rows.norm(norm_type, 1, keepdim=True)
    scale = where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
    weight[picked] = rows * scale


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (*, num_classes): 1 at the class that `tensor` (*) names, 0 elsewhere.

    `num_classes` -1 is one more than the largest. Raises `ArgumentError` for a class outside.
    """
    op = "one_hot"
    x = require_tensor(op, tensor, "tensor")
    if x.dtype is not int64:
        raise DTypeError(f"{op}: expected int64, got {x.dtype}")
    if not x.numel() and num_classes <= 0:
        raise ArgumentError(f"{op}: no class tells how many there are, expected num_classes")
    if num_classes == -1:
        num_classes = int(x.max().item()) + 1
    if x.numel() and not is_recording():
        low, high = int(x.min().item()), int(x.max().item())
        if low < 0 or high >= num_classes:
            wrong = low if low < 0 else high
            raise ArgumentError(f"{op}: class {wrong} is none of 0 to {num_classes - 1}")
    is_class: Tensor = x.unsqueeze(-1) == arange(num_classes, device=x.device)
    return is_class.long()
