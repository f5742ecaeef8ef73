"""Writes in place, and the graph: a tensor that is written becomes the output of the write.

Writing through a view changes its base, so the base becomes the output of a `WriteView`; other
views find out when they are used next (`graph.refresh`).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import (
    FIXED,
    Node,
    Step,
    Variable,
    base_of,
    clock,
    move,
    record,
    refresh,
    replay,
    wrap,
)
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import int64
from tinynet.errors import ArgumentError, GradientError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def needs_recording(x: Tensor, operands: Iterable[Any]) -> bool:
    """Whether a write into `x` of something made from `operands` belongs in the graph."""
    if not mode.enabled or x.dtype.rank != 2:
        return False
    if x.needs_grad or (x.origin is not None and base_of(x)[0].needs_grad):
        return True
    for y in operands:
        if isinstance(y, Variable):
            if y.origin is not None:
                refresh(y)  # type: ignore[arg-type]
            if y.needs_grad:
                return True
    return False


def check_writable(op: str, x: Tensor, is_recorded: bool) -> None:
    """Raise where `x` must not be written: a leaf that needs grad, or memory used many times."""
    if is_recorded:
        base, _ = base_of(x)
        if base.needs_grad and base.node is None:
            what = "a view of a leaf tensor" if base is not x else "a leaf tensor"
            raise GradientError(
                f"{op}: {what} that requires grad cannot be changed in place while recording; "
                "do it under no_grad()"
            )
        if x.origin is not None and x.origin.is_fixed:
            raise GradientError(
                f"{op}: a view {FIXED} cannot be changed in place while recording; clone() it first"
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
    old = place_of(x)
    old.array = x.backend.copy(x.array)
    return old


def place_of(x: Tensor) -> Tensor:
    """A tensor on `x`'s memory that keeps its place in the graph when `x` moves on."""
    old = wrap(x.array, x.dtype, x.backend)
    old.node, old.needs_grad = x.node, x.needs_grad
    return old


def note_write(x: Tensor) -> None:
    """Count a write into `x`'s memory."""
    if x.writes is None:
        x.writes = [0, 0]
    x.writes[0] += 1
    x.writes[1] = next(clock)


def after_write(x: Tensor, value: Tensor) -> None:
    """`x` holds `value` now, the whole of it."""
    note_write(x)
    if mode.enabled:
        take_place(x, value)


def take_place(x: Tensor, value: Tensor) -> None:
    """Give `x` the place of `value` in the graph, which nobody else has."""
    if x.origin is None:
        if value.needs_grad:
            move(x, value.node)
        return
    base, steps = base_of(x)
    if value.needs_grad or base.needs_grad:
        write_view(base, steps, value)
        assert x.writes is not None
        x.origin.seen = x.writes[0]
        move(x, replay(steps, base).node)


def write_view(base: Tensor, steps: list[Step], value: Tensor) -> None:
    """Make `base` the output of a write of `value` into the view that `steps` make of it."""
    output = wrap(base.array, base.dtype, base.backend)
    record(WriteView, output, (place_of(base), value), (), steps)
    move(base, output.node)


class WriteView(Op):
    """`base` with part of it replaced by `value`. `params`: the steps that lead to the part."""

    op = "write"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        needs_base, needs_value = ctx.needs_input_grad
        value_grad = replay(ctx.params, grad.contiguous()) if needs_value else None
        return (_without_part(grad, ctx.params) if needs_base else None), value_grad


def _without_part(grad: Tensor, steps: list[Step]) -> Tensor:
    """A copy of `grad` with zeros in the part that `steps` lead to."""
    kept = grad.clone()
    part = replay(steps, kept)
    if base_of(part)[0] is kept:
        part.zero_()
        return kept
    # The base's strides allowed views where those of this copy do not: find the part by number.
    count = prod(grad.shape)
    numbers = wrap(grad.backend.arange(count, 0, 1, int64), int64, grad.backend)
    places = replay(steps, numbers.reshape(grad.shape)).reshape(-1)
    return grad.reshape(-1).index_put((places,), grad.new_zeros(())).reshape(grad.shape)
