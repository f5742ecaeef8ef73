"""Embeddings: rows of a table looked up by integers, alone or in bags; and one-hot vectors."""

from __future__ import annotations

from tinynet.autograd.mode import no_grad
from tinynet.dtype import int32, int64
from tinynet.errors import ArgumentError, DimError, DTypeError, ShapeError
from tinynet.ops.arithmetic import choose
from tinynet.ops.creation import arange, tensor
from tinynet.ops.embedding import as_class_index, range_error, take_rows
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.tensor import Tensor

MODES = ("sum", "mean", "max")
NEAR_ZERO = 1e-7  # keeps a norm of 0 from being divided by, as PyTorch does


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight` (number, size) at integers (*): (*, size).

    Row `padding_idx` gets no gradient. With `max_norm`, rows looked up whose `norm_type`-norm is
    larger are first scaled down to it, in place. `scale_grad_by_freq` divides gradients by how
    often their row is among those looked up. There are no sparse gradients.

    >>> import tinynet as tn
    >>> embedding(tn.tensor([1, 0, 1]), tn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    _check("embedding", input, weight, sparse)
    padding_idx = as_padding("embedding", padding_idx, len(weight))
    if max_norm is not None:
        _limit_norms("embedding", input, weight, max_norm, norm_type)
    return take_rows("embedding", weight, input, padding_idx, scale_grad_by_freq)


def _check(op: str, input: Tensor, weight: Tensor, sparse: bool) -> None:
    x, table = require_tensor(op, input), require_tensor(op, weight, "weight")
    if x.dtype not in (int64, int32):
        raise DTypeError(f"{op}: indices must be int64 or int32, got {x.dtype}")
    if table.ndim != 2:
        raise ShapeError(f"{op}: weight must be (number, size), got shape {table.shape}")
    require_same_device(op, x, table)
    if sparse:
        raise ArgumentError(f"{op}: there are no sparse gradients, expected sparse=False")


def as_padding(op: str, padding_idx: int | None, count: int) -> int | None:
    """`padding_idx` from the table's beginning, checked."""
    if padding_idx is None:
        return None
    if not -count <= padding_idx < max(count, 1):
        raise ArgumentError(f"{op}: padding_idx must be within {count} rows, got {padding_idx}")
    return padding_idx + count if padding_idx < 0 else padding_idx


@no_grad()
def _limit_norms(op: str, input: Tensor, weight: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale down, in place, the rows looked up that are longer than `max_norm`."""
    index = input.reshape(-1)
    rows = take_rows(op, weight, index)
    norms = rows.norm(norm_type, 1, keepdim=True)
    scale = choose(norms > max_norm, max_norm / (norms + NEAR_ZERO), 1.0)
    weight.index_put_((index,), rows * scale)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (*, num_classes): 1 at each element's class, else 0; -1 for as many as there are.

    >>> import tinynet as tn
    >>> one_hot(tn.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    x = require_tensor("one_hot", tensor, "tensor")
    if x.dtype is not int64:
        raise DTypeError(f"one_hot: classes must be int64, got {x.dtype}")
    if num_classes == -1 and x.numel():
        num_classes = int(x.max().item()) + 1
    if num_classes <= 0 and not x.numel():
        raise ArgumentError("one_hot: how many classes an empty tensor has is not known")
    count = max(num_classes, 0)
    zeros = x.new_zeros((*x.shape, count))
    try:
        return zeros.scatter(-1, as_class_index(x).unsqueeze(-1), 1)
    except DimError as error:
        raise range_error(error, "one_hot", x, count, "classes") from None


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The "sum", "mean" or "max" of each bag of rows of `weight`: (bags, size), 0 for empty bags.

    Input (bags, n); or (n,) with `offsets`, where each bag begins (with `include_last_offset` and
    where the last one ends). Index `padding_idx` does not count. With `per_sample_weights` rows
    are multiplied by them before they are added up. Other arguments: `embedding`.
    """
    op = "embedding_bag"
    _check(op, input, weight, sparse)
    if mode not in MODES:
        raise ArgumentError(f"{op}: mode must be one of {MODES}, got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ArgumentError(f"{op}: scale_grad_by_freq does not go with mode='max'")
    padding_idx = as_padding(op, padding_idx, len(weight))
    bags, count = _bags(input, offsets, include_last_offset)
    if max_norm is not None:
        _limit_norms(op, input, weight, max_norm, norm_type)
    index = input.reshape(-1)
    rows = take_rows(op, weight, index, None, scale_grad_by_freq)
    if per_sample_weights is not None:
        factors = _checked_factors(input, rows, per_sample_weights, mode)
        rows = rows * factors.reshape(-1, 1)
    if padding_idx is not None:  # into a bag of its own
        bags = choose(index == padding_idx, count, bags)
    return _collected(rows, bags, count, mode)


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[Tensor, int]:
    """The bag that each index belongs to, and how many bags there are."""
    op = "embedding_bag"
    if input.ndim == 2:
        if offsets is not None:
            raise ArgumentError(f"{op}: rows of an input {input.shape} are bags, got offsets too")
        count, n = input.shape
        bags = arange(count, device=input.device).reshape(count, 1).expand(count, n)
        return bags.reshape(-1), count
    if input.ndim != 1:
        raise ShapeError(f"{op}: input must have 1 or 2 dims, got shape {input.shape}")
    if offsets is None or require_tensor(op, offsets, "offsets").ndim != 1:
        raise ArgumentError(f"{op}: an input of 1 dim needs a vector of offsets")
    if offsets.dtype not in (int64, int32):
        raise DTypeError(f"{op}: offsets must be int64 or int32, got {offsets.dtype}")
    starts = offsets.tolist()
    ends = starts[1:] if include_last_offset else [*starts[1:], len(input)]
    sizes = [end - start for start, end in zip(starts, ends)]
    if starts[:1] not in ([], [0]) or min(sizes, default=0) < 0 or sum(sizes) > len(input):
        raise ArgumentError(f"{op}: offsets must rise from 0 to at most {len(input)}, got {starts}")
    sizes.append(len(input) - sum(sizes))  # behind the last bag
    numbers = arange(len(sizes), device=input.device)
    return numbers.repeat_interleave(tensor(sizes, device=input.device)), len(sizes) - 1


def _checked_factors(input: Tensor, rows: Tensor, factors: Tensor, mode: str) -> Tensor:
    op = "embedding_bag"
    require_tensor(op, factors, "per_sample_weights")
    if mode != "sum":
        raise ArgumentError(f"{op}: per_sample_weights need mode='sum', got {mode!r}")
    if factors.shape != input.shape:
        raise ShapeError(
            f"{op}: per_sample_weights have shape {factors.shape}, the input {input.shape}"
        )
    if factors.dtype is not rows.dtype:
        raise DTypeError(f"{op}: per_sample_weights have {factors.dtype}, the weight {rows.dtype}")
    require_same_device(op, rows, factors)
    return factors


def _collected(rows: Tensor, bags: Tensor, count: int, mode: str) -> Tensor:
    """Rows combined by bag; those of bag `count` do not count."""
    zeros = rows.new_zeros((count + 1, rows.shape[1]))
    if mode == "max":
        index = bags.unsqueeze(-1).expand(rows.shape)
        return zeros.scatter_reduce(0, index, rows, "amax", include_self=False)[:count]
    y = zeros.index_add(0, bags, rows)[:count]
    if mode == "sum":
        return y
    sizes = rows.new_zeros(count + 1).index_add(0, bags, rows.new_ones(len(rows)))
    return y / sizes[:count].clamp(min=1).unsqueeze(-1)
