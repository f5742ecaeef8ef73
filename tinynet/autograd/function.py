"""Operations with several outputs, and `Function.apply`, which runs a user's own.

A node has one gradient coming in. An operation with several outputs gets a small `Output` node for
each, which hands its gradient on as the right part of a `Parts` for the operation's own node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import (
    Function,
    Gradients,
    Node,
    Op,
    SavedOutput,
    Variable,
    record,
    refresh,
    wrap,
)
from tinynet.autograd.mode import mode
from tinynet.errors import ArgumentTypeError, GradientError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Parts:
    """The gradients of some of an operation's outputs, by place; adds up like a gradient."""

    is_alias = True

    def __init__(self, node: Node, by_place: dict[int, Tensor]) -> None:
        self.shape = node.shape
        self.dtype = node.dtype
        self.by_place = by_place

    def __add__(self, other: Parts) -> Parts:
        by_place = dict(self.by_place)
        for place, gradient in other.by_place.items():
            by_place[place] = by_place[place] + gradient if place in by_place else gradient
        total = Parts.__new__(Parts)
        total.shape, total.dtype, total.by_place = self.shape, self.dtype, by_place
        return total


class Output(Op):
    """Output number `params` of an operation with several."""

    op = "output"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        return Parts(ctx.edges[0], {ctx.params: grad})


def record_several(
    function: type[Function],
    outputs: Sequence[Tensor],
    inputs: tuple[Tensor, ...],
    saved: tuple[Any, ...] = (),
    params: Any = (),
    node: Node | None = None,
) -> Node | None:
    """Join `outputs` of one operation to the graph; its `backward` gets a gradient for each.

    Outputs among `saved` are kept without a reference cycle. Returns the node, None where no input
    needs a gradient.
    """
    for x in inputs:
        if x.origin is not None:
            refresh(x)
    if not mode.enabled or not any(x.needs_grad for x in inputs):
        return None
    first = outputs[0]
    anchor = wrap(first.array, first.dtype, first.backend)
    record(function, anchor, inputs, _without_cycles(saved, outputs), params, node)
    assert anchor.node is not None
    anchor.node.output_kinds = tuple((y.shape, y.dtype, y.backend) for y in outputs)
    anchor.node.function, anchor.node.several = Several, function
    for place, output in enumerate(outputs):
        if output.dtype.is_floating_point:
            record(Output, output, (anchor,), (), place)
    return anchor.node


def _without_cycles(saved: tuple[Any, ...], outputs: Sequence[Tensor]) -> tuple[Any, ...]:
    """`saved` with outputs replaced by what can be wrapped again."""
    return tuple(
        next((SavedOutput(y, i) for i, y in enumerate(outputs) if y is item), item)
        for item in saved
    )


class Several(Op):
    """Stands before an operation with several outputs: unpacks the `Parts` for its rule."""

    @staticmethod
    def backward(ctx: Node, parts: Parts) -> Gradients:
        gradients: list[Tensor | None] = []
        for place, (shape, dtype, backend) in enumerate(ctx.output_kinds):
            gradient = parts.by_place.get(place)
            if gradient is None and ctx.materialize_grads:
                gradient = wrap(backend.full(shape, 0, dtype), dtype, backend)
            gradients.append(gradient)
        assert ctx.several is not None
        return ctx.several.backward(ctx, *gradients)


def apply(function: type[Function], *args: Any) -> Any:
    """Run `function.forward` unrecorded, then record the whole of it as one node."""
    ctx = Node()
    ctx.function = function
    tensors = tuple(arg for arg in args if isinstance(arg, Variable))
    ctx.edges = tuple(
        arg if isinstance(arg, Variable) and arg.requires_grad else None for arg in args
    )
    is_recorded, mode.enabled = mode.enabled, False
    try:
        returned = function.forward(ctx, *args)
    finally:
        mode.enabled = is_recorded
    outputs = returned if isinstance(returned, tuple) else (returned,)
    if not tensors or not is_recorded or not any(edge is not None for edge in ctx.edges):
        return returned
    outputs = tuple(_own(function, ctx, y, tensors) for y in outputs)
    _record_outputs(function, ctx, outputs, tensors)
    edges = iter(ctx.edges)
    ctx.edges = tuple(next(edges) if isinstance(arg, Variable) else None for arg in args)
    return outputs if isinstance(returned, tuple) else outputs[0]


def _own(function: type[Function], ctx: Node, output: Any, inputs: tuple[Tensor, ...]) -> Any:
    """`output`, or another tensor on its memory where it is one of the inputs, unchanged."""
    if not isinstance(output, Variable):
        raise ArgumentTypeError(
            f"{function.__name__}.forward: must return tensors, got {type(output).__name__}"
        )
    is_input = any(output is x for x in inputs)
    is_dirty = any(output is x for x in ctx.dirty)
    if not is_input or is_dirty:
        return output
    own = wrap(output.array, output.dtype, output.backend)
    output.writes = own.writes = output.writes or [0, 0]
    return own


def _record_outputs(
    function: type[Function],
    ctx: Node,
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
) -> None:
    differentiable = [
        y
        for y in outputs
        if y.dtype.is_floating_point and not any(y is x for x in ctx.non_differentiable)
    ]
    for x in ctx.dirty:
        if x.needs_grad and x.node is None:
            raise GradientError(
                f"{function.__name__}: a leaf tensor that requires grad is changed in place"
            )
    saved = ctx.saved or ()
    if len(outputs) == 1 and differentiable:
        record(function, outputs[0], inputs, _without_cycles(saved, outputs), (), ctx)
    elif differentiable:
        record_several(function, outputs, inputs, saved, (), ctx)
        for y in outputs:
            if not any(y is x for x in differentiable):
                y.node, y.needs_grad = None, False
    for x in ctx.dirty:
        x.writes = x.writes or [0, 0]
        x.writes[0] += 1
