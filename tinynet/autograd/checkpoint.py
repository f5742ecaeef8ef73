"""Trade time for memory: keep no intermediate values, compute them again in backward.

>>> import tinynet as tn
>>> x = tn.tensor([1.0, 2.0], requires_grad=True)
>>> checkpoint(lambda x: x.exp().sin(), x).sum().backward()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tinynet.autograd.engine import gradients_since
from tinynet.autograd.function import record_several
from tinynet.autograd.graph import Edge, Node, Variable, clock, wrap
from tinynet.autograd.mode import enable_grad, mode
from tinynet.autograd.operation import Function, Gradients
from tinynet.errors import GradientError
from tinynet.structure import leaves_of, mapped

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class RandomSource(Protocol):
    """Something that numbers are drawn from, whose draws can be repeated."""

    def get_state(self) -> Any:
        """What to pass to `set_state` later."""

    def set_state(self, state: Any) -> Any:
        """Draw again what was drawn after `get_state`."""


_SAVED: Any = object()  # stands for a tensor among arguments
random_sources: list[RandomSource] = []  # what draws inside a checkpoint are repeated from


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which only the arguments are kept; backward runs it again.

    Gradients reach everything that `function` uses: tensors among the arguments, weights, other
    tensors. The second run draws the same random numbers, unless `preserve_rng_state` is false; it
    must do the same as the first. `use_reentrant` is PyTorch's choice between two ways of doing
    this; there is one here. Of what `function` returns, tensors are computed again that are in
    lists, tuples, dicts and dataclasses; those in other objects keep their graphs. (Chen et al.
    2016, "Training deep nets with sublinear memory cost".)
    """
    if not mode.enabled:
        return function(*args, **kwargs)
    states = [(source, source.get_state()) for source in random_sources]
    since = next(clock)
    returned = function(*args, **kwargs)
    outputs = _outputs_in(returned)
    edges = _ends(outputs, since)
    if not edges:
        return returned
    fresh = [wrap(y.array, y.dtype, y.backend) for y in outputs]
    _record(function, args, kwargs, states if preserve_rng_state else [], fresh, edges)
    results = {id(y): z for y, z in zip(outputs, fresh)}
    return mapped(returned, lambda y: results.get(id(y), y))


def _outputs_in(returned: Any) -> list[Tensor]:
    """The tensors with a graph among what a function gave."""
    return [y for y in leaves_of(returned) if _has_graph(y)]


def _has_graph(y: Any) -> bool:
    return isinstance(y, Variable) and y.requires_grad  # type: ignore[attr-defined]


def _ends(outputs: list[Tensor], since: int) -> list[Edge]:
    """The leaves, and the nodes made before `since`, that `outputs` were made from."""
    ends: dict[Edge, None] = {}
    seen: set[Edge] = set()
    stack: list[Edge] = [y.node or y for y in outputs]
    while stack:
        edge = stack.pop()
        if edge is None or edge in seen:
            continue
        seen.add(edge)
        if edge.order <= since:
            ends[edge] = None
        else:
            stack.extend(edge.edges)
    return list(ends)


def _record(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    states: list[tuple[RandomSource, Any]],
    outputs: list[Tensor],
    edges: list[Edge],
) -> None:
    """Join `outputs` to the ends of the graph they had."""
    values = [*args, *kwargs.values()]
    tensors = tuple(x for x in values if isinstance(x, Variable))
    others = [_SAVED if isinstance(x, Variable) else x for x in values]
    call = (function, others, tuple(kwargs), states)
    anchor = wrap(outputs[0].array, outputs[0].dtype, outputs[0].backend)
    anchor.needs_grad = True
    node = record_several(Recomputed, outputs, (anchor,), tensors, call)
    assert node is not None
    node.edges = tuple(edges)


class Recomputed(Function):
    """A function whose graph is built only in backward. `params`: the call, less its tensors."""

    @staticmethod
    def backward(ctx: Node, *grads: Any) -> Gradients:
        """Run the function again, recording, and walk back through what it did."""
        function, others, names, states = ctx.params
        tensors = iter(ctx.saved_tensors)
        values = [next(tensors) if x is _SAVED else x for x in others]
        count = len(values) - len(names)
        kwargs = dict(zip(names, values[count:], strict=True))
        now = [(source, source.get_state()) for source, _ in states]
        for source, state in states:
            source.set_state(state)
        try:
            since = next(clock)
            with enable_grad():
                returned = function(*values[:count], **kwargs)
        finally:
            for source, state in now:
                source.set_state(state)
        outputs = _outputs_in(returned)
        if len(outputs) != len(grads):
            raise GradientError(
                f"checkpoint: the function gave {len(outputs)} outputs with a graph run again, "
                f"{len(grads)} the first time"
            )
        return gradients_since(since, outputs, list(grads), ctx.edges)
