"""Attention: each query takes a weighted mean of values, by how well their keys fit it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from tinynet.autograd.engine import grad as differentiate
from tinynet.autograd.graph import Node, result, wrap
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Gradients, Op
from tinynet.ops.softmax import softmax, softmax_or_zeros
from tinynet.shape import Shape, broadcast

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

OP = "scaled_dot_product_attention"


class Attention(Op):
    """`params`: the scale."""

    op = OP
    saves_output = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        q, k, v, logs, *masks = ctx.saved_tensors
        mask = masks[0] if masks else None
        if mode.enabled:  # recorded, it is a function of the inputs again
            y = attention_weights(q, k, mask, ctx.params) @ v
            needed = [x for x, needs in zip((q, k, v), ctx.needs_input_grad) if needs]
            found = iter(differentiate(y, needed, grad, create_graph=True))
            return tuple([next(found) if needs else None for needs in ctx.needs_input_grad])
        made = q.backend.attention_backward(
            grad.array, q.array, k.array, v.array, None if mask is None else mask.array,
            (ctx.output.array, logs.array), ctx.params,
        )  # fmt: skip
        q_grad, k_grad, v_grad = [wrap(x, q.dtype, q.backend) for x in made]
        return q_grad, k_grad, v_grad


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """`attention_weights(query, key, mask, scale) @ value`, by a kernel of its own if it pays.

    `query` (..., L, E), `key` (..., S, E), `value` (..., S, V), of one dtype and device, give
    (..., L, V).
    """
    if mask is None or not mask.needs_grad:
        y = _at_once(query, key, value, mask, scale)
        if y is not None:
            return y
    return attention_weights(query, key, mask, scale) @ value


def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None, scale: float, has_zeros: bool = True
) -> Tensor:
    """`softmax(query @ key.mT * scale + mask)`, (..., L, S).

    `has_zeros`: a query that may look at nothing has weights of zero; else NaN, which a softmax of
    nothing is.
    """
    scores = query @ key.mT * scale
    if mask is not None:
        scores = scores + mask
    return softmax_or_zeros(scores, -1) if has_zeros else softmax(scores, -1)


def _at_once(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor | None:
    """`attention` by the backend's own kernel; None if it has none for this."""
    batch = broadcast(OP, query.shape[:-2], broadcast(OP, key.shape[:-2], value.shape[:-2]))
    if not batch or 0 in batch:
        return None
    q, k, v = [_with_heads(x, batch) for x in (query, key, value)]
    if mask is not None:
        mask = _mask_with_heads(mask, batch, key.shape[-2])
    made = q.backend.attention(
        q.array, k.array, v.array, None if mask is None else mask.array, scale
    )
    if made is None:
        return None
    logs = wrap(made[1], q.dtype, q.backend)
    saved = (q, k, v, logs) if mask is None else (q, k, v, logs, mask)
    y = result(Attention, made[0], q.dtype, (q, k, v), saved, scale)
    return y if y.shape[:2] == batch else y.reshape(*batch, *y.shape[-2:])


def _with_heads(x: Tensor, batch: Shape) -> Tensor:
    """`x` with two dims before its rows and columns, for a batch of any."""
    if x.shape[:-2] != batch:
        x = x.expand(*batch, *x.shape[-2:])
    if x.ndim == 4:
        return x
    return x.reshape(prod(batch[:-1]), batch[-1], *x.shape[-2:])


def _mask_with_heads(mask: Tensor, batch: Shape, keys: int) -> Tensor:
    """A mask with as many dims; those that are the same for all may stay 1, but that of keys."""
    mask = mask.reshape((1,) * (len(batch) + 2 - mask.ndim) + mask.shape)
    if mask.shape[-1] != keys:
        mask = mask.expand(*mask.shape[:-1], keys)
    if len(batch) == 2:
        return mask
    if max(mask.shape[:-2]) > 1:
        return _with_heads(mask, batch)
    return mask.reshape(1, 1, *mask.shape[-2:])
