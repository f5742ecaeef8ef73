"""The backward walk: `backward()` and `grad()`.

Nodes are visited once each, newest first, from a heap: by then every consumer has delivered its
gradient. Gradients on the way live in a table of the walk's own. The engine, not the rules, sums
gradients back over broadcast dims and casts them back to the input's dtype.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd import anomaly
from tinynet.autograd.graph import Edge, Node, Variable, clock, refresh, wrap
from tinynet.autograd.mode import mode
from tinynet.errors import ArgumentTypeError, GradientError, ShapeError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of `tensors` to `.grad` of the leaves they were made from.

    Each tensor that is not a single number needs its `grad_tensors` entry, of its shape: what the
    gradient of the final result with respect to it is. With `inputs`, only those get gradients.
    Raises `GradientError` where a tensor has no graph, or its graph was used up.
    """
    roots = _as_list(tensors)
    seeds = _seeds("backward", roots, _as_list(grad_tensors) if grad_tensors is not None else None)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _Walk(roots, seeds, retain, create_graph, None).run()
        return
    wanted = _as_list(inputs)
    walk = _Walk(roots, seeds, retain, create_graph, [_edge("backward", x) for x in wanted])
    walk.run()
    for x in wanted:
        found = walk.found.get(_edge("backward", x))
        if found is not None and not x.is_leaf:
            x.grad = found.clone() if x.grad is None else x.grad + found


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; `.grad` stays as it is.

    With `create_graph` the gradients can be differentiated themselves. An input that no output
    depends on is an error unless `allow_unused` (its gradient is then None) or
    `materialize_grads` (zeros).

    >>> import tinynet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> (first,) = tn.autograd.grad(x**3, x, create_graph=True)
    >>> tn.autograd.grad(first, x)
    (tensor(18.),)
    """
    roots, wanted = _as_list(outputs), _as_list(inputs)
    seeds = _seeds("grad", roots, _as_list(grad_outputs) if grad_outputs is not None else None)
    retain = create_graph if retain_graph is None else retain_graph
    edges = [_edge("grad", x) for x in wanted]
    walk = _Walk(roots, seeds, retain, create_graph, edges, accumulate=False)
    walk.run()
    results = [walk.found.get(edge) for edge in edges]
    for i, found in enumerate(results):
        if found is not None:
            continue
        if materialize_grads:
            results[i] = wanted[i].new_zeros(wanted[i].shape)
        elif not allow_unused:
            raise GradientError(
                f"grad: the outputs do not depend on input {i}, shape {wanted[i].shape}; "
                "pass allow_unused=True to get None for it"
            )
    return tuple(results)


def gradients_since(
    since: int, outputs: list[Tensor], seeds: list[Tensor], wanted: Sequence[Edge]
) -> tuple[Tensor | None, ...]:
    """Gradients with respect to leaves and to nodes made before `since`, going no further.

    The gradients are recorded if operations are.
    """
    walk = _Walk(outputs, seeds, mode.enabled, mode.enabled, list(wanted), False, since)
    walk.run()
    return tuple(walk.found.get(edge) for edge in wanted)


class _Walk:
    """One traversal. `found`: gradients of the edges asked for; leaves' gradients otherwise.

    Nodes of order `since` and older are ends: nothing beyond them is visited, no hook is run.
    """

    def __init__(
        self,
        roots: list[Tensor],
        seeds: list[Tensor],
        retain_graph: bool,
        create_graph: bool,
        wanted: list[Edge] | None,
        accumulate: bool = True,
        since: int = 0,
    ) -> None:
        self.pending: dict[Edge, Tensor] = {}
        self.heap: list[tuple[int, Node]] = []
        self.leaves: dict[Any, tuple[Tensor, bool]] = {}
        self.retain_graph = retain_graph
        self.create_graph = create_graph
        self.accumulate = accumulate
        self.since = since
        self.marked: Node | None = None
        self.found: dict[Edge, Tensor] = {}
        self.wanted = None if wanted is None else set(wanted)
        starts = [_edge("backward", root) for root in roots]
        self.leading = None if self.wanted is None else _leading_to(self.wanted, starts, since)
        self.seeds = list(zip(starts, seeds, strict=True))

    def run(self) -> None:
        """Visit everything; then hand leaves their gradients."""
        previous, mode.enabled = mode.enabled, self.create_graph
        try:
            for edge, seed in self.seeds:
                self.deliver(edge, seed, False)
            self.visit_all()
            for leaf, (gradient, is_new) in self.leaves.items():
                self.finish_leaf(leaf, gradient, is_new)
        finally:
            mode.enabled = previous
            if self.marked is not None:
                self.marked.needed = None

    def visit_all(self) -> None:
        """Run every node's rule, newest first, and deliver what it returns."""
        pending, heap, leading, since = self.pending, self.heap, self.leading, self.since
        retain_graph = self.retain_graph
        while heap:
            node = heappop(heap)[1]
            gradient = pending.pop(node)
            if node.hooks and node.order > since:
                gradient = _run_hooks(node.hooks, gradient)
            if leading is not None and not self.is_wanted(node, gradient):
                continue
            gradients = _apply_rule(node, gradient)
            for edge, g in zip(node.edges, gradients, strict=True):
                if edge is None or g is None:
                    continue
                if g.shape != edge.shape or g.dtype is not edge.dtype:
                    g = _match(g, edge, node)
                if leading is None and edge.order:  # `deliver`, without the call
                    before = pending.get(edge)
                    if before is None:
                        pending[edge] = g
                        heappush(heap, (-edge.order, edge))
                    else:
                        pending[edge] = before + g
                else:
                    self.deliver(edge, g, g is not gradient and _is_new(g, node, gradients))
            if not retain_graph:
                node.free()

    def deliver(self, edge: Edge, gradient: Tensor, is_new: bool) -> None:
        """Add a gradient to what a node or leaf has received. `is_new`: nobody else holds it."""
        if not edge.order:
            earlier = self.leaves.get(edge)
            if earlier is not None:
                gradient, is_new = earlier[0] + gradient, True
            self.leaves[edge] = (gradient, is_new)
        elif edge in self.pending:
            self.pending[edge] = self.pending[edge] + gradient
        elif self.leading is None or edge in self.leading or edge in self.wanted:  # type: ignore[operator]
            self.pending[edge] = gradient
            heappush(self.heap, (-edge.order, edge))

    def is_wanted(self, node: Node, gradient: Tensor) -> bool:
        """With only some gradients asked for: keep one that is, and say whether to go on."""
        assert self.wanted is not None
        assert self.leading is not None
        if node in self.wanted:
            self.found[node] = gradient
        if node not in self.leading:
            return False
        self.marked = node
        node.needed = tuple(edge in self.leading or edge in self.wanted for edge in node.edges)
        return True

    def finish_leaf(self, leaf: Tensor, gradient: Tensor, is_new: bool) -> None:
        """Run a leaf's hooks; add to its `.grad`."""
        if self.wanted is not None and leaf not in self.wanted:
            return
        if leaf.hooks and not self.since:
            gradient, is_new = _run_hooks(leaf.hooks, gradient), False  # hooks may keep it
        if not self.accumulate:
            self.found[leaf] = gradient
        elif leaf.grad is None:
            leaf.grad = gradient if is_new else gradient.clone()
        elif self.create_graph:
            leaf.grad = leaf.grad + gradient
        else:
            leaf.grad.add_(gradient)


def _is_new(gradient: Tensor, node: Node, gradients: tuple[Any, ...]) -> bool:
    """Whether nobody else holds the memory of a gradient that `node` returned."""
    if not node.function.makes_gradients or gradient.is_alias:
        return False
    places = 0
    for holder in (*gradients, *(node.saved or ())):
        if holder is gradient:
            places += 1
    return places <= 1


def _apply_rule(node: Node, gradient: Tensor) -> tuple[Any, ...]:
    """The gradients of the node's inputs."""
    rule = node.function.backward
    is_watched = anomaly.state.enabled
    gradients = anomaly.unwatched(rule, node, gradient) if is_watched else rule(node, gradient)
    node.needed = None
    if type(gradients) is not tuple:
        gradients = (gradients,)
    if len(gradients) != len(node.edges):
        raise GradientError(
            f"backward: {node.name} returned {len(gradients)} gradients, "
            f"expected {len(node.edges)}, one per input"
        )
    if is_watched:
        for g in gradients:
            if isinstance(g, Variable):
                anomaly.check_backward(node.name, node.made_at, g)
    return gradients


def _match(gradient: Tensor, edge: Edge, node: Node) -> Tensor:
    """Undo broadcasting and promotion, so that a gradient has its input's shape and dtype."""
    if gradient.shape != edge.shape:
        try:
            fits = shapes.broadcast(node.name, gradient.shape, edge.shape) == gradient.shape
        except ShapeError:
            fits = False
        if not fits:
            raise GradientError(
                f"backward: {node.name} returned a gradient of shape {gradient.shape} for "
                f"input {[e is edge for e in node.edges].index(True)}, expected {edge.shape}"
            )
        gradient = gradient.sum_to_size(edge.shape)
    return gradient.to(edge.dtype)


def _leading_to(wanted: set[Edge], starts: list[Edge], since: int) -> set[Node]:
    """The nodes, made after `since`, from which a wanted edge can be reached."""
    reached: set[Node] = set()
    stack = [edge for edge in starts if isinstance(edge, Node)]
    while stack:
        node = stack.pop()
        if node not in reached and node.order > since:
            reached.add(node)
            stack.extend(edge for edge in node.edges if isinstance(edge, Node))
    leading: set[Node] = set()
    for node in sorted(reached, key=lambda node: node.order):
        if any(edge in wanted or edge in leading for edge in node.edges):
            leading.add(node)
    return leading


class HookHandle:
    """What `register_hook` returns: `remove()` takes the hook away."""

    def __init__(self, place: Edge, hook: Any) -> None:
        self.key = next(clock)
        self.hook = hook
        self.move(place)

    def move(self, place: Edge) -> None:
        """Wait for the gradient of `place`, a node or a leaf, from here on."""
        if place.hooks is None:
            place.hooks = {}
        self.hooks: dict[int, Any] = place.hooks
        self.hooks[self.key] = self.hook

    def remove(self) -> None:
        """Do not call the hook any more."""
        self.hooks.pop(self.key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register_hook(tensor: Tensor, hook: Any) -> HookHandle:
    """Call `hook(grad)` when the gradient of `tensor` is complete."""
    if not callable(hook):
        raise ArgumentTypeError(f"register_hook: expected a function, got {type(hook).__name__}")
    return HookHandle(_edge("register_hook", tensor), hook)


def retain_grad(tensor: Tensor) -> None:
    """Have `backward` set `.grad` of a tensor that is no leaf."""
    if _edge("retain_grad", tensor) is tensor or tensor.retained is not None:
        return
    kept = weakref.ref(tensor)

    def keep(gradient: Tensor) -> None:
        target = kept()
        if target is not None:
            target.grad = gradient.clone() if target.grad is None else target.grad + gradient

    tensor.retained = register_hook(tensor, keep)


def _run_hooks(hooks: dict[int, Any], gradient: Tensor) -> Tensor:
    for hook in list(hooks.values()):
        replaced = hook(gradient)
        if replaced is None:
            continue
        if not isinstance(replaced, Variable) or replaced.shape != gradient.shape:
            raise GradientError(
                f"register_hook: a hook must return None or a tensor of shape {gradient.shape}, "
                f"got {getattr(replaced, 'shape', type(replaced).__name__)}"
            )
        gradient = replaced  # type: ignore[assignment]
    return gradient


def _edge(op: str, tensor: Tensor) -> Edge:
    """The place in the graph that `tensor` stands for."""
    if not isinstance(tensor, Variable):
        raise GradientError(f"{op}: expected tensors, got {type(tensor).__name__}")
    if tensor.origin is not None:
        refresh(tensor)
    if not tensor.needs_grad:
        raise GradientError(
            f"{op}: a tensor of shape {tensor.shape} does not require grad and has no graph"
        )
    return tensor if tensor.node is None else tensor.node


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, (tuple, list)) else [tensors]


def _seeds(op: str, roots: list[Tensor], seeds: list[Any] | None) -> list[Tensor]:
    """The gradients to start from: ones for single numbers, else what the caller gave."""
    if seeds is None:
        seeds = [None] * len(roots)
    if len(seeds) != len(roots):
        raise GradientError(f"{op}: {len(roots)} outputs but {len(seeds)} gradients")
    result: list[Tensor] = []
    for root, seed in zip(roots, seeds, strict=True):
        _edge(op, root)
        if seed is None:
            if root.numel() != 1:
                raise GradientError(
                    f"{op}: a gradient can start only from a single number, got shape "
                    f"{root.shape}; reduce it, or pass the gradient to start from"
                )
            seed = wrap(root.backend.full(root.shape, 1, root.dtype), root.dtype, root.backend)
        elif not isinstance(seed, Variable):
            raise GradientError(f"{op}: gradients must be tensors, got {type(seed).__name__}")
        elif seed.shape != root.shape:
            raise GradientError(
                f"{op}: the gradient passed has shape {seed.shape}, the tensor {root.shape}"
            )
        result.append(seed if seed.dtype is root.dtype else seed.to(root.dtype))
    return result
