"""Attention: each query takes a weighted mean of values, by how well their keys fit it."""

from __future__ import annotations

import math

from tinynet.dtype import bool_
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.nn.functional.dropout import dropout
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange
from tinynet.ops.operands import require_floating, require_same_device, require_tensor
from tinynet.ops.softmax import softmax
from tinynet.shape import broadcast
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
    weights = attention_weights(op, query, key, attn_mask, is_causal, scale)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return weights @ value


def attention_weights(
    op: str,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    is_causal: bool = False,
    scale: float | None = None,
    is_safe: bool = True,
) -> Tensor:
    """Weights (..., L, S) of keys: the softmax of their scores.

    `is_safe`: a query that may look at nothing has zeros; else NaN, which a softmax of nothing is.
    """
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = query @ key.mT * scale
    if is_causal:
        rows, columns = (arange(n, device=query.device) for n in scores.shape[-2:])
        scores = where(rows[:, None] >= columns, scores, -math.inf)
    if mask is None:
        return softmax(scores, -1)
    scores = _masked(op, scores, mask)
    if not is_safe:
        return softmax(scores, -1)
    is_blind = (scores == -math.inf).all(-1, keepdim=True)
    weights: Tensor = where(is_blind, 0.0, softmax(where(is_blind, 0.0, scores), -1))
    return weights


def _masked(op: str, scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype is not bool_ and mask.dtype is not scores.dtype:
        raise DTypeError(
            f"{op}: attn_mask has dtype {mask.dtype}, expected bool or query's, {scores.dtype}"
        )
    if broadcast(op, mask.shape, scores.shape) != scores.shape:
        raise ShapeError(
            f"{op}: attn_mask has shape {mask.shape}, expected one that broadcasts to "
            f"{scores.shape}"
        )
    return where(mask, scores, -math.inf) if mask.dtype is bool_ else scores + mask


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
    return x if heads == n else x.repeat_interleave(heads // n, -3)
