"""Attention: each query takes a weighted mean of values, by how well their keys fit it."""

from __future__ import annotations

import math

from tinynet.dtype import DType, bool_, float32, int32
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.nn.functional.dropout import dropout
from tinynet.ops.arithmetic import where
from tinynet.ops.attention import attention, attention_weights
from tinynet.ops.creation import arange, full
from tinynet.ops.operands import require_floating, require_same_device, require_tensor
from tinynet.shape import Shape, broadcast
from tinynet.tensor import Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(query @ key.mT * scale + attn_mask) @ value` (Vaswani et al. 2017, eq. 1).

    `query` (..., L, E), `key` (..., S, E), `value` (..., S, V) give (..., L, V). `attn_mask`, of a
    shape that broadcasts to (..., L, S): where it is True one may look, or numbers that are added.
    `is_causal`: query i looks at keys 0 to i. A query that may look at nothing gets zeros. `scale`:
    1 / sqrt(E), if not given. `dropout_p` of the weights are dropped, also in evaluation.
    `enable_gqa`: a head of key and value (the third dim from the end) serves several of `query`.

    >>> import tinynet as tn
    >>> x = tn.eye(3)
    >>> tn.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0]
    tensor([1., 0., 0.])
    """
    op = "scaled_dot_product_attention"
    _check(op, query, key, value)
    if is_causal and attn_mask is not None:
        raise ArgumentError(f"{op}: got attn_mask and is_causal, expected one of them")
    if enable_gqa:
        key, value = (_repeat_heads(op, query, x) for x in (key, value))
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    mask = _causal_mask(n_queries, n_keys, query.device) if is_causal else attn_mask
    if mask is not None:
        shape = (*broadcast(op, query.shape[:-2], key.shape[:-2]), n_queries, n_keys)
        mask = _additive(op, mask, query.dtype, shape)
    return attend(query, key, value, mask, scale, dropout_p)[0]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float | None = None,
    dropout_p: float = 0.0,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The weighted means of values (..., L, V), and if they are needed the weights (..., L, S).

    `mask` is added to the scores. A query that may look at nothing has weights of NaN if these are
    needed, else of zero. Halves are computed in float32.
    """
    dtype = query.dtype
    if scale is None:
        scale = 1 / math.sqrt(max(query.shape[-1], 1))
    if dtype.itemsize == 2:
        query, key, value = query.float(), key.float(), value.float()
    if not need_weights and dropout_p == 0:
        return attention(query, key, value, mask, scale).to(dtype), None
    weights = attention_weights(query, key, mask, scale, has_zeros=not need_weights)
    if dropout_p != 0:
        weights = dropout(weights, dropout_p)
    return (weights @ value).to(dtype), weights.to(dtype)


def barred(is_seen: Tensor, dtype: DType) -> Tensor:
    """What is added to scores: 0 where one may look, -inf elsewhere."""
    nothing = full((), -math.inf, device=is_seen.device, dtype=dtype)
    return where(is_seen, 0.0, nothing)  # type: ignore[no-any-return]


def _causal_mask(n_queries: int, n_keys: int, device: str) -> Tensor:
    """(L, S), True where query i may look at key j: from 0 to i.

    Computed at once: a kernel that makes scores weights reads it in less time than it compares.
    """
    rows, columns = (arange(n, device=device, dtype=int32) for n in (n_queries, n_keys))
    return (rows[:, None] >= columns).realize()


def _additive(op: str, mask: Tensor, dtype: DType, shape: Shape) -> Tensor:
    """A mask as numbers that are added to scores of `shape`; PyTorch takes float32 to all."""
    if require_tensor(op, mask, "attn_mask").dtype not in (bool_, float32, dtype):
        raise DTypeError(
            f"{op}: attn_mask has dtype {mask.dtype}, expected bool, float32 or query's, {dtype}"
        )
    if broadcast(op, mask.shape, shape) != shape:
        raise ShapeError(
            f"{op}: attn_mask has shape {mask.shape}, expected one that broadcasts to {shape}"
        )
    return barred(mask, dtype) if mask.dtype is bool_ else mask


def _check(op: str, query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raise for operands that do not fit one another."""
    named = {"query": query, "key": key, "value": value}
    for name, x in named.items():
        require_floating(op, require_tensor(op, x, name))
        if x.ndim < 2:
            raise ShapeError(f"{op}: {name} needs at least 2 dims, got shape {x.shape}")
        if x.dtype is not query.dtype:
            raise DTypeError(f"{op}: {name} has dtype {x.dtype}, expected query's, {query.dtype}")
    require_same_device(op, query, key)
    require_same_device(op, query, value)
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{op}: query {query.shape}, key {key.shape} and value {value.shape} do not fit, "
            "expected (..., L, E), (..., S, E) and (..., S, V)"
        )


def _repeat_heads(op: str, query: Tensor, x: Tensor) -> Tensor:
    """Each head of `x` as often as it takes to have query's number of heads."""
    heads, n = (y.shape[-3] if y.ndim > 2 else 1 for y in (query, x))
    if not n or heads % n:
        raise ShapeError(f"{op}: {heads} heads of query are no multiple of {n} of key or value")
    if heads == n:
        return x
    shape = (*x.shape[:-2], heads // n, *x.shape[-2:])
    return x.unsqueeze(-3).expand(shape).flatten(-4, -3)
