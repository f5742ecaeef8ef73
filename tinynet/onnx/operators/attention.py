"""Attention with its caches and masks, and rotary positions."""

from __future__ import annotations

import math
from typing import Any

from tinynet.dtype import bool_
from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.protobuf import dtype_of
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange
from tinynet.ops.joining import cat, stack
from tinynet.ops.softmax import softmax_or_zeros
from tinynet.tensor import Tensor


def attention(
    node: Node,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Any:
    """(batch, heads, length, size), or (batch, length, heads * size); see the operator's page.

    Gives the result, the keys and values with those of the past, and the scores, in that order.
    """
    is_flat = query.ndim == 3
    if is_flat:
        query = _in_heads(query, node.need("q_num_heads"))
        key, value = (_in_heads(x, node.need("kv_num_heads")) for x in (key, value))
    if past_key is not None and past_value is not None:
        key, value = cat([past_key, key], 2), cat([past_value, value], 2)
    present = key, value
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:
        key, value = (x.repeat_interleave(repeats, 1) for x in (key, value))
    before = 0 if past_key is None else past_key.shape[2]
    bias = bias_of(node, query, key, mask, before, lengths)
    y, scores = _attend(node, query, key, value, bias)
    if is_flat:
        y = y.transpose(1, 2).flatten(2)
    return y, *present, scores


def _in_heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, x.shape[2] // heads)).transpose(1, 2)


def _attend(
    node: Node, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The means of values, and the scores as they are at the stage asked for."""
    factor = math.sqrt(node.get("scale", 1 / math.sqrt(query.shape[-1])))
    scale = query.new_full((), factor)  # ONNX rounds it to query's dtype
    stages = [(query * scale) @ (key * scale).mT]
    cap = node.get("softcap", 0.0)
    capped = (stages[0] / cap).tanh() * cap if cap else stages[0]
    scores = capped if bias is None else capped + bias
    precision = node.get("softmax_precision")
    wide = dtype_of(f"onnx: {node}", precision) if precision else None
    weights = softmax_or_zeros(scores if wide is None else scores.to(wide), -1).to(query.dtype)
    stages += [capped, scores, weights]
    return weights @ value, stages[node.get("qk_matmul_output_mode", 0)]


def bias_of(
    node: Node,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    before: int,
    lengths: Tensor | None,
) -> Tensor | None:
    """What is added to scores: the mask's numbers, and -inf where a query may not look.

    Query i stands at `before + i`, or, with a cache of `lengths`, so that the last stands at the
    cache's end.
    """
    n, m = query.shape[2], key.shape[2]
    columns = arange(m, device=query.device)
    places: Any = arange(n, device=query.device).unsqueeze(1) + before
    if lengths is not None and not before:
        places = places + (lengths.long() - n).reshape(-1, 1, 1, 1)
    bars = []
    if node.flag("is_causal", 0):
        bars.append(columns > places)
    left, right = node.get("left_window_size", -1), node.get("right_window_size", -1)
    if left >= 0:
        bars.append(columns < places - left)
    if right >= 0:
        bars.append(columns > places + right)
    if lengths is not None:
        bars.append(columns >= lengths.long().reshape(-1, 1, 1, 1))
    bias = None if mask is None else _numbers(mask, query, m)
    for bar in bars:
        part = where(bar, query.new_full((), -math.inf), query.new_zeros(()))
        bias = part if bias is None else bias + part
    return bias


def _numbers(mask: Tensor, query: Tensor, count: int) -> Tensor:
    """A mask as numbers to add; keys that it does not reach are barred."""
    if mask.dtype is bool_:
        mask = where(mask, query.new_zeros(()), query.new_full((), -math.inf))
    gap = count - mask.shape[-1]
    return functional.pad(mask, (0, gap), value=-math.inf) if gap > 0 else mask


def rotary_embedding(
    node: Node, x: Tensor, cos: Tensor, sin: Tensor, places: Tensor | None = None
) -> Tensor:
    """Su et al. 2021 (arXiv:2104.09864): pairs of features turned by angles of their positions."""
    is_flat = x.ndim == 3
    heads = _in_heads(x, node.need("num_heads")) if is_flat else x
    size = node.get("rotary_embedding_dim", 0) or heads.shape[-1]
    if places is not None:
        cos, sin = cos[places.long()], sin[places.long()]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    turned, rest = heads[..., :size], heads[..., size:]
    if node.flag("interleaved", 0):
        a, b = turned[..., 0::2], turned[..., 1::2]
        y = stack([cos * a - sin * b, sin * a + cos * b], -1).flatten(-2)
    else:
        a, b = turned[..., : size // 2], turned[..., size // 2 :]
        y = cat([cos * a - sin * b, sin * a + cos * b], -1)
    y = cat([y, rest], -1)
    return y.transpose(1, 2).flatten(2) if is_flat else y


OPERATORS: dict[str, Operator] = {
    "Attention": Operator(attention, 23),
    "RotaryEmbedding": Operator(rotary_embedding, 23),
}
