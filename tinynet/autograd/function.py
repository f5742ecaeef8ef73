"""Operations with several outputs, and `Function.apply`, which runs a user's own.

A node has one gradient coming in. An operation with several outputs gets a small `Output` node for
each, which hands its gradient on as the right part of a `Parts` for the operation's own node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import CONSTANT, Node, SavedOutput, Variable, record, refresh, wrap
from tinynet.autograd.inplace import check_writable, note_write, take_place
from tinynet.autograd.mode import mode
from tinynet.autograd.operation import Function, Gradients, Op
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


class Several(Function):
    """Stands before an operation with several outputs: unpacks the `Parts` for its rule."""

    @staticmethod
    def backward(ctx: Node, parts: Parts) -> Gradients:
        assert ctx.several is not None
        return ctx.several.backward(ctx, *_unpacked(ctx, parts))


def _unpacked(ctx: Node, parts: Parts) -> list[Tensor | None]:
    """A gradient for each output: zeros (or None, as `ctx` wants it) where none came."""
    gradients: list[Tensor | None] = []
    for place, (shape, dtype, backend) in enumerate(ctx.output_kinds):
        gradient = parts.by_place.get(place)
        if gradient is None and ctx.materialize_grads:
            gradient = wrap(backend.full(shape, 0, dtype), dtype, backend)
        gradients.append(gradient)
    return gradients


class Custom(Function):
    """Stands before a user's operation: checks what its `backward` returns."""

    @staticmethod
    def backward(ctx: Node, grad: Any) -> Gradients:
        function = ctx.several
        assert function is not None
        gradients = _unpacked(ctx, grad) if ctx.output_kinds else [grad]
        returned = function.backward(ctx, *gradients)
        items = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        while len(items) > len(ctx.edges) and items[-1] is None:
            items.pop()
        for item in items:
            if item is not None and not isinstance(item, Variable):
                raise GradientError(
                    f"{function.__name__}.backward: must return tensors or None, "
                    f"got {type(item).__name__}"
                )
        return tuple(items)


def apply(function: type[Function], *args: Any) -> Any:
    """Run `function.forward` unrecorded, then record the whole of it as one node."""
    ctx = Node()
    inputs: tuple[Any, ...] = tuple(arg if isinstance(arg, Variable) else CONSTANT for arg in args)
    for x in inputs:
        if x.origin is not None:
            refresh(x)
    ctx.edges = tuple(x if x.needs_grad else None for x in inputs)
    is_recorded, mode.enabled = mode.enabled, False
    try:
        if function.setup_context is None:
            returned = function.forward(ctx, *args)
        else:
            returned = function.forward(*args)
            function.setup_context(ctx, args, returned)
    finally:
        mode.enabled = is_recorded
    outputs = returned if isinstance(returned, tuple) else (returned,)
    for y in outputs:
        if not isinstance(y, Variable):
            raise ArgumentTypeError(
                f"{function.__name__}.forward: must return tensors, got {type(y).__name__}"
            )
    needs_grad = is_recorded and any(x.needs_grad for x in inputs)
    for x in ctx.dirty:
        check_writable(function.__name__, x, needs_grad)
        note_write(x)
    if not needs_grad:
        return returned
    results = _record(function, ctx, outputs, inputs)
    return results if isinstance(returned, tuple) else results[0]


def _record(
    function: type[Function], ctx: Node, outputs: tuple[Tensor, ...], inputs: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    """Make `ctx` the node of a user's outputs; what the user then gets."""
    is_dirty = [_is_among(y, ctx.dirty) for y in outputs]
    # An input that comes back is another tensor: the input itself keeps its place in the graph.
    fresh = tuple(_on_memory_of(y) if _is_among(y, inputs) else y for y in outputs)
    made = [y for y, z in zip(outputs, fresh, strict=True) if y is z or _is_among(y, ctx.dirty)]
    saved = tuple(
        SavedOutput(x, [y is x for y in outputs].index(True)) if _is_among(x, made) else x
        for x in ctx.saved or ()
    )
    differentiable = [
        z
        for y, z in zip(outputs, fresh, strict=True)
        if y.dtype.is_floating_point and not _is_among(y, ctx.non_differentiable)
    ]
    ctx.several = function
    if len(outputs) == 1 and differentiable:
        record(Custom, fresh[0], inputs, saved, (), ctx)
    elif differentiable:
        record_several(Custom, fresh, inputs, saved, (), ctx)
        for z in fresh:
            if not _is_among(z, differentiable):
                z.node, z.needs_grad = None, False
    ctx.function, ctx.several = Custom, function  # which recording may have changed
    ctx.dirty = ctx.non_differentiable = ()  # they would lead back to the node
    for y, z, dirty in zip(outputs, fresh, is_dirty, strict=True):
        if dirty:
            take_place(y, z)
    return tuple(y if dirty else z for y, z, dirty in zip(outputs, fresh, is_dirty, strict=True))


def _is_among(x: Any, tensors: Iterable[Any]) -> bool:
    """`x in tensors`, by identity: `==` compares elements."""
    return any(x is y for y in tensors)


def _on_memory_of(x: Tensor) -> Tensor:
    x.writes = x.writes or [0, 0]
    y = wrap(x.array, x.dtype, x.backend)
    y.writes, y.is_alias = x.writes, True
    return y
