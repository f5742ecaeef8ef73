"""The backward walk: `backward()` and `grad()`.

Nodes are visited once each, newest first, from a heap: by then every consumer has delivered its
gradient. Gradients on the way live in a table of the walk's own. The engine, not the rules, sums
gradients back over broadcast dims and casts them back to the input's dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd import anomaly, observing
from tinynet.autograd.graph import Edge, Node, Variable, edge_of, wrap
from tinynet.autograd.hooks import run_hooks
from tinynet.autograd.mode import mode
from tinynet.errors import ArgumentError, DeviceError, GradientError, ShapeError

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
    Raises `GradientError` where a tensor has no graph, or its graph was used up, `DeviceError`
    where its entry is on another device.
    """
    starts = _starts("backward", tensors, grad_tensors)
    walk = _Walk(starts, create_graph if retain_graph is None else retain_graph, create_graph)
    wanted = [] if inputs is None else _as_list(inputs)
    if inputs is not None:
        if not wanted:
            raise ArgumentError("backward: inputs is empty, expected tensors, or None for all")
        walk.restrict([edge_of("backward", x) for x in wanted])
    walk.run()
    for x in {id(x): x for x in wanted}.values():
        found = walk.found.get(edge_of("backward", x))
        if found is not None and not x.is_leaf and x.retained is None:
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
    `materialize_grads` (zeros), which does not go with `allow_unused=False`.

    >>> import tinynet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> (first,) = tn.autograd.grad(x**3, x, create_graph=True)
    >>> tn.autograd.grad(first, x)
    (tensor(18.),)
    """
    starts = _starts("grad", outputs, grad_outputs)
    wanted = _as_list(inputs)
    if not wanted:
        raise ArgumentError("grad: inputs are empty, expected at least one tensor")
    if materialize_grads and allow_unused is False:
        raise ArgumentError("grad: materialize_grads allows unused inputs, got allow_unused=False")
    edges = [edge_of("grad", x) for x in wanted]
    walk = _Walk(starts, create_graph if retain_graph is None else retain_graph, create_graph)
    walk.restrict(edges)
    walk.accumulates = False
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
    walk = _Walk(_starts("backward", outputs, seeds), mode.enabled, mode.enabled)
    walk.restrict(list(wanted), since)
    walk.accumulates = False
    walk.run()
    return tuple(walk.found.get(edge) for edge in wanted)


class _Walk:
    """One traversal. `found`: gradients of the edges asked for; leaves' gradients otherwise.

    Nodes of order `since` and older are ends: nothing beyond them is visited, no hook is run.
    """

    accumulates = True
    since = 0
    wanted: set[Edge] | None = None
    open_edges: set[Edge] | None = None  # those wanted, and those that lead to them
    marked: Node | None = None

    def __init__(self, starts: list[tuple[Edge, Tensor]], retain: bool, create: bool) -> None:
        self.pending: dict[Node, Tensor] = {}
        self.heap: list[tuple[int, Node]] = []
        self.leaves: dict[Tensor, tuple[Tensor, bool]] = {}  # and whether nobody else holds it
        self.found: dict[Edge, Tensor] = {}
        self.starts = starts
        self.retain_graph = retain
        self.create_graph = create

    def restrict(self, wanted: list[Edge], since: int = 0) -> None:
        """Find the gradients of these edges alone."""
        self.wanted, self.since = set(wanted), since
        leading = _leading_to(self.wanted, [edge for edge, _ in self.starts], since)
        self.open_edges = self.wanted | leading

    def run(self) -> None:
        """Visit everything; then hand leaves their gradients."""
        previous, mode.enabled = mode.enabled, self.create_graph
        try:
            for edge, seed in self.starts:
                self.deliver(edge, seed)
            self.visit_all()
            self.finish_leaves()
        finally:
            mode.enabled = previous
            self.unmark()

    def deliver(self, edge: Edge, gradient: Tensor) -> None:
        """Take a gradient to start from."""
        if self.open_edges is not None and edge not in self.open_edges:
            return
        if not edge.order:
            earlier = self.leaves.get(edge)
            self.leaves[edge] = (earlier[0] + gradient if earlier else gradient, False)
        elif edge in self.pending:
            self.pending[edge] = self.pending[edge] + gradient
        else:
            self.pending[edge] = gradient
            heappush(self.heap, (-edge.order, edge))

    def visit_all(self) -> None:
        """Run every node's rule, newest first, and deliver what it returns."""
        pending, heap, leaves, open_edges = self.pending, self.heap, self.leaves, self.open_edges
        retain_graph, is_watched = self.retain_graph, anomaly.state.watches
        while heap:
            node = heappop(heap)[1]
            gradient = pending.pop(node)
            if node.hooks or open_edges is not None:
                gradient = self.prepared(node, gradient)
            if gradient is None:
                continue
            function = node.function
            rule = observing.watched_rule if is_watched else function.backward
            gradients = rule(node, gradient)
            if type(gradients) is not tuple or len(gradients) != len(node.edges):
                gradients = _as_many(gradients, node)
            edges = node.edges if open_edges is None else self.open_of(node)
            for edge, g in zip(edges, gradients):
                if edge is None or g is None:
                    continue
                if g.shape != edge.shape or g.dtype is not edge.dtype:
                    g = _match(g, edge, node)
                if not edge.order:
                    if edge in leaves:
                        leaves[edge] = leaves[edge][0] + g, True
                    else:
                        is_new = function.makes_gradients and g is not gradient
                        leaves[edge] = g, is_new and not g.is_alias
                elif edge in pending:
                    pending[edge] = pending[edge] + g
                else:
                    pending[edge] = g
                    heappush(heap, (-edge.order, edge))
            if not retain_graph:
                node.free()

    def prepared(self, node: Node, gradient: Tensor) -> Any:
        """What hooks make of a node's gradient; None if nothing beyond the node is wanted."""
        if node.hooks and node.order > self.since:
            gradient = run_hooks(node.hooks, gradient)
        if self.open_edges is None or self.wanted is None:
            return gradient
        if node in self.wanted:
            self.found[node] = gradient
        needed = tuple(edge in self.open_edges for edge in node.edges)
        if node.order <= self.since or not any(needed):
            return None
        self.unmark()
        self.marked, node.needed = node, needed
        return gradient

    def open_of(self, node: Node) -> list[Edge]:
        """The node's edges, None for those that lead to nothing wanted."""
        assert self.open_edges is not None
        return [edge if edge in self.open_edges else None for edge in node.edges]

    def unmark(self) -> None:
        """Let the last node's rule compute every gradient again."""
        if self.marked is not None:
            self.marked.needed = None

    def finish_leaves(self) -> None:
        """Run the leaves' hooks; add to their `.grad`."""
        for leaf, (gradient, is_new) in self.leaves.items():
            if gradient.backend is not leaf.backend:  # a user's rule made it there
                raise DeviceError(
                    f"backward: the gradient of a leaf on {leaf.backend.name} is on "
                    f"{gradient.backend.name}; a rule has to return it with .to()"
                )
            if leaf.hooks and not self.since:
                gradient, is_new = run_hooks(leaf.hooks, gradient), False  # hooks may keep it
            if not self.accumulates:
                self.found[leaf] = gradient
            elif leaf.grad is None:
                leaf.grad = gradient if is_new else gradient.clone()
            elif self.create_graph:
                leaf.grad = leaf.grad + gradient
            else:
                leaf.grad.add_(gradient)


def _as_many(returned: Any, node: Node) -> tuple[Any, ...]:
    """What a rule returned as a tuple of as many gradients as the node has inputs."""
    gradients: tuple[Any, ...] = returned if type(returned) is tuple else (returned,)
    if len(gradients) != len(node.edges):
        raise GradientError(
            f"backward: {node.name} returned {len(gradients)} gradients, "
            f"expected {len(node.edges)}, one per input"
        )
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


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, (tuple, list)) else [tensors]


def _starts(op: str, outputs: Any, gradients: Any) -> list[tuple[Edge, Tensor]]:
    """Where to start, and with which gradients: ones for single numbers unless given."""
    roots = _as_list(outputs)
    seeds = [None] * len(roots) if gradients is None else _as_list(gradients)
    if len(seeds) != len(roots):
        raise GradientError(f"{op}: {len(roots)} outputs but {len(seeds)} gradients")
    return [(edge_of(op, roots[i]), _seed(op, roots[i], seeds[i])) for i in range(len(roots))]


def _seed(op: str, root: Tensor, seed: Any) -> Tensor:
    if seed is None:
        if root.numel() != 1:
            raise GradientError(
                f"{op}: a gradient can start only from a single number, got shape "
                f"{root.shape}; reduce it, or pass the gradient to start from"
            )
        return wrap(root.backend.full(root.shape, 1, root.dtype), root.dtype, root.backend)
    if not isinstance(seed, Variable):
        raise GradientError(f"{op}: gradients must be tensors, got {type(seed).__name__}")
    if seed.shape != root.shape:
        raise GradientError(
            f"{op}: the gradient passed has shape {seed.shape}, the tensor {root.shape}"
        )
    if seed.backend is not root.backend:
        raise DeviceError(
            f"{op}: the gradient passed is on {seed.backend.name}, the tensor on "
            f"{root.backend.name}, move one with .to()"
        )
    return seed.to(root.dtype)  # type: ignore[attr-defined, no-any-return]
