"""Writes in place, and the graph: a tensor that is written becomes the output of the write.

Writing through a view changes its base, so the base becomes the output of a `WriteView`; other
views find out when they are used next (`graph.refresh`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynet.autograd.graph import Gradients, Node, Op, clock, record, refresh, replay, wrap
from tinynet.autograd.mode import mode
from tinynet.errors import ArgumentError, GradientError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def check_writable(op: str, x: Tensor) -> None:
    """Raise where `x` must not be written: a leaf that needs grad, or memory used many times."""
    if mode.enabled:
        base = x if x.origin is None else x.origin.base
        if base.needs_grad and base.node is None:
            what = "a view of a leaf tensor" if base is not x else "a leaf tensor"
            raise GradientError(
                f"{op}: {what} that requires grad cannot be changed in place while recording; "
                "do it under no_grad()"
            )
    if not x.backend.is_writable(x.array):
        raise ArgumentError(
            f"{op}: the tensor of shape {x.shape} cannot be written: its memory is read-only or "
            "several elements share it (expand); clone() it first"
        )


def before_write(x: Tensor) -> Tensor:
    """A tensor that keeps `x`'s value and place in the graph when `x` is written."""
    if x.origin is not None:
        refresh(x)
    old = wrap(x.backend.copy(x.array), x.dtype, x.backend)
    old.node, old.needs_grad = x.node, x.needs_grad
    return old


def note_write(x: Tensor) -> None:
    """Count a write into `x`'s memory."""
    if x.writes is None:
        x.writes = [0, 0]
    x.writes[0] += 1
    x.writes[1] = next(clock)


def after_write(x: Tensor, value: Tensor) -> None:
    """`x` holds `value` now, the whole of it: give it `value`'s place in the graph."""
    note_write(x)
    if not mode.enabled:
        return
    if value.origin is not None:
        refresh(value)
    if x.origin is not None and (value.needs_grad or x.origin.base.needs_grad):
        rewrite_base(x, value)
    elif value.needs_grad or x.needs_grad:
        x.node, x.needs_grad = value.node, value.needs_grad
        if value.needs_grad and value.node is None:  # a leaf was copied in
            record(Copy, x, (value,), (), ())


def rewrite_base(x: Tensor, value: Tensor) -> None:
    """The base of view `x` becomes the output of a write of `value` into part of it."""
    view, writes = x.origin, x.writes
    assert view is not None
    assert writes is not None
    base = view.base
    old = wrap(base.array, base.dtype, base.backend)
    old.node, old.needs_grad = base.node, base.needs_grad
    record(WriteView, base, (old, value), (), view.steps)
    latest = replay(view.steps, base)
    x.node, x.needs_grad = latest.node, latest.needs_grad
    view.seen = writes[0]


class Copy(Op):
    """The identity."""

    op = "copy"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        return grad


class WriteView(Op):
    """`base` with part of it replaced by `value`; `params`: the view's steps."""

    op = "write"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        needs_base, needs_value = ctx.needs_input_grad
        base_grad = value_grad = None
        if needs_value:
            value_grad = replay(ctx.params, grad)
        if needs_base:
            base_grad = grad.clone()
            replay(ctx.params, base_grad).zero_()
        return base_grad, value_grad
