"""The graph: tensors as autodiff sees them, the nodes that operations leave, and how they join.

An operation computes an array and calls `result`, which wraps it and, where a gradient may be
wanted, leaves a `Node` holding what the gradient rule of its `Function` needs. Edges lead from a
node to the nodes (or leaf tensors) of its inputs, never forward, so there are no cycles.

Order is time: nodes and writes in place draw from one counter. A saved tensor whose memory was
written after the node was made is caught by comparing two numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from tinynet.autograd import anomaly, observing
from tinynet.autograd.mode import mode
from tinynet.dtype import bool_
from tinynet.errors import ArgumentTypeError, GradientError
from tinynet.numbers import Number

if TYPE_CHECKING:
    from tinynet.autograd.operation import Function
    from tinynet.backends.base import Backend
    from tinynet.dtype import DType
    from tinynet.shape import Shape
    from tinynet.tensor import Tensor

NOT_TENSORS = frozenset([float, int, bool, type(None), Number])  # what else a node may save
clock = count(1)


class Variable:
    """What autodiff knows of a tensor; `Tensor` adds everything else.

    Attributes: `array`, the backend's array; `node`, the operation that made it, None for a leaf;
    `needs_grad`; `writes`, None or `[number, time of the last]` of writes in place, shared by all
    tensors on the same memory; `origin`, what it is a view of; `retained`, `retain_grad`'s hook;
    `made_in`, the mark of the recording that it was made in.
    """

    result_class: ClassVar[type[Tensor]]

    array: Any
    shape: Shape
    dtype: DType
    backend: Backend
    order: int = 0  # a leaf is older than every node
    needs_grad: bool = False
    is_alias: bool = False
    node: Node | None = None
    grad: Tensor | None = None
    writes: list[int] | None = None
    origin: View | None = None
    hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
    retained: Any = None
    made_in: Any

    def __init_subclass__(cls, is_result_class: bool = False) -> None:
        global _tensor_class
        if is_result_class:
            Variable.result_class = _tensor_class = cls  # type: ignore[assignment]


FIELDS = frozenset(Variable.__annotations__)  # other attributes users put there


class _Constant(Variable):
    """Stands for an operand that is no tensor."""

    shape = ()
    dtype = bool_
    backend = None  # type: ignore[assignment]


class View:
    """`step` makes a view of `parent`; `seen`: how many writes the view's node knows of.

    `is_fixed`: the graph cannot follow writes into it (made under no_grad, or one of several), as
    into all views of it.
    """

    __slots__ = ("is_fixed", "parent", "seen", "step")

    def __init__(self, parent: Tensor, step: Step, seen: int, is_fixed: bool) -> None:
        self.parent = parent
        self.step = step
        self.seen = seen
        self.is_fixed = is_fixed


def base_of(x: Tensor) -> tuple[Tensor, list[Step]]:
    """What `x` is a view of in the end, and the steps that lead from there."""
    steps: list[Step] = []
    while x.origin is not None:
        steps.append(x.origin.step)
        x = x.origin.parent
    steps.reverse()
    return x, steps


def replay(steps: Sequence[Step], base: Tensor) -> Tensor:
    """The view that `steps` make of another tensor."""
    for function, arguments in steps:
        base = function(base, *arguments)
    return base


FIXED = "made under no_grad(), by split() or its kin, or in a Function"
Step = tuple[Callable[..., Any], tuple[Any, ...]]
Edge = Any  # Node | Tensor (a leaf) | None


class Node:
    """One application of a `Function`: where its gradient goes, and what its rule needs.

    Rules know it as `ctx`. `order` says when it was made, `shape` and `dtype` are the output's.
    """

    function: type[Function]
    several: type[Function] | None = None  # the function, where `function` gathers its outputs
    edges: tuple[Edge, ...] = ()
    saved: tuple[Any, ...] | None = ()
    params: Any = ()
    order: int = 0
    shape: Shape = ()
    dtype: DType
    backend: Backend
    needed: tuple[bool, ...] | None = None
    output_array: Any = None
    output_writes: list[int] | None = None
    hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
    made_at: str = ""
    output_kinds: tuple[tuple[Shape, DType, Backend], ...] = ()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def name(self) -> str:
        """The name that errors and pictures of the graph show."""
        return f"{(self.several or self.function).__name__}Backward"

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each input, whether its gradient is wanted."""
        if self.needed is not None:
            return self.needed
        edges = self.edges
        if len(edges) == 2:  # the common case: a third of the time
            return edges[0] is not None, edges[1] is not None
        return tuple([edge is not None for edge in edges])

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """What was saved, checked to be unchanged since."""
        if self.saved is None:
            raise GradientError(
                f"backward: the values {self.name} saved are freed already; "
                "pass retain_graph=True to the first backward to run a second one"
            )
        has_outputs = False
        for item in self.saved:
            if type(item) in NOT_TENSORS:
                continue
            if item.writes is not None:
                self.check_unchanged(item.writes, item.shape)
            if type(item) is SavedOutput:
                has_outputs = True
        if has_outputs:
            return tuple(
                item.wrap(self) if isinstance(item, SavedOutput) else item for item in self.saved
            )
        return self.saved

    @property
    def input(self) -> Tensor:
        """The first saved tensor."""
        return self.saved_tensors[0]

    @property
    def output(self) -> Tensor:
        """The saved output as a tensor that leads back to this node."""
        output = wrap(self.output_value(), self.dtype, self.backend)
        output.writes = self.output_writes
        output.node = self
        output.needs_grad = True
        return output

    def output_value(self) -> Any:
        """The saved output's array, for rules that look only at where it is what."""
        if self.output_array is None:
            self.saved = None
            return self.saved_tensors[0]
        assert self.output_writes is not None
        self.check_unchanged(self.output_writes, self.shape)
        return self.output_array

    def check_unchanged(self, writes: list[int], shape: Shape) -> None:
        """Raise if memory was written in place after this node was made."""
        if writes[1] > self.order:
            raise GradientError(
                f"backward: {self.name} needs a tensor of shape {shape} that was changed in place "
                "after the operation; clone it before the change, or use an out-of-place operation"
            )

    def free(self) -> None:
        """Let go of saved values; using them again is an error."""
        if self.saved:
            self.saved = None
        self.output_array = None

    # what users call in forward
    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`, which finds them in `ctx.saved_tensors`."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Variable):
                raise ArgumentTypeError(
                    f"save_for_backward: expected tensors, got {type(tensor).__name__}; "
                    "keep other values as attributes of ctx"
                )
        self.saved = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs of `forward` carry no gradient."""
        self.non_differentiable = outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Say that `forward` changed these inputs in place and returns them."""
        self.dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether outputs that got no gradient pass zeros to `backward` (default) or None."""
        self.materialize_grads = value

    non_differentiable: tuple[Tensor, ...] = ()
    dirty: tuple[Tensor, ...] = ()
    materialize_grads: bool = True


class SavedOutput:
    """One of a node's own outputs, saved without the tensor, which would lead back to the node."""

    def __init__(self, output: Tensor, place: int) -> None:
        self.array, self.dtype, self.backend = output.array, output.dtype, output.backend
        self.shape = output.shape
        self.writes = output.writes = output.writes or [0, 0]
        self.place = place

    def wrap(self, node: Node) -> Tensor:
        """The output as a tensor that leads back to `node`."""
        from tinynet.autograd.function import Output

        output = wrap(self.array, self.dtype, self.backend)
        output.writes = self.writes
        if node.output_kinds:
            anchor = wrap(self.array, self.dtype, self.backend)
            anchor.node, anchor.needs_grad = node, True
            record(Output, output, (anchor,), (), self.place)
        else:
            output.node, output.needs_grad = node, True
        return output


CONSTANT: Any = _Constant()
_new = object.__new__
_tensor_class: type[Tensor]


def wrap(array: Any, dtype: DType, backend: Backend) -> Tensor:
    """A leaf tensor around a backend's array."""
    output = _new(_tensor_class)
    output.array = array
    output.shape = array.shape
    output.dtype = dtype
    output.backend = backend
    return output


def result(
    function: type[Function],
    array: Any,
    dtype: DType,
    inputs: tuple[Any, ...],
    saved: tuple[Any, ...] = (),
    params: Any = (),
) -> Tensor:
    """The tensor an operation returns, with its node where an input needs a gradient.

    `saved` and `params` are what the rule finds in `ctx.saved_tensors` and `ctx.params`. Tensors of
    the user's belong in `saved`: only there it is noticed that they were changed in place.
    """
    output = _new(_tensor_class)
    output.array = array
    output.shape = array.shape
    output.dtype = dtype
    output.backend = inputs[0].backend or inputs[1].backend  # CONSTANT has none
    if mode.enabled:
        needs_grad = False
        for x in inputs:
            if x.origin is not None:
                refresh(x)
            if x.needs_grad:
                needs_grad = True
        if needs_grad and dtype.rank == 2:
            record(function, output, inputs, saved, params)
    if anomaly.state.watches:
        observing.saw_operation(function, output, inputs)
    return output


def record(
    function: type[Function],
    output: Tensor,
    inputs: tuple[Tensor, ...],
    saved: tuple[Any, ...],
    params: Any,
    node: Node | None = None,
) -> None:
    """Give `output` a node (`node`, if it exists already). The views among `inputs` are fresh."""
    if node is None:
        node = _new(Node)
    node.function = function
    if len(inputs) == 1:  # unrolled: a comprehension costs as much as the rest
        (a,) = inputs
        node.edges = (a.node or a,)
    elif len(inputs) == 2:
        a, b = inputs
        node.edges = (
            (a.node or a) if a.needs_grad else None,
            (b.node or b) if b.needs_grad else None,
        )
    else:
        node.edges = tuple([(x.node or x) if x.needs_grad else None for x in inputs])
    if saved:
        if function.spares_first:
            if node.edges[1] is None:
                saved = (None, saved[1])
            elif node.edges[0] is None and function.spares_second:
                saved = (saved[0], None)
        node.saved = saved
    node.params = params
    node.shape = output.shape
    node.dtype = output.dtype
    if function.saves_output:
        node.output_array = output.array
        node.backend = output.backend
        node.output_writes = output.writes = [0, 0]
    node.order = next(clock)
    output.node = node
    output.needs_grad = True
    if anomaly.state.watches:
        observing.saw_node(function, node, output)


def alias(
    function: type[Function],
    array: Any,
    x: Tensor,
    step: Step,
    params: Any = (),
) -> Tensor:
    """The result of a movement operation: a tensor on `x`'s memory. `step` makes it anew."""
    output = result(function, array, x.dtype, (x,), (), params)
    output.is_alias = True
    if x.writes is None:
        x.writes = [0, 0]
    output.writes = x.writes
    is_fixed = not mode.enabled or (x.origin is not None and x.origin.is_fixed)
    output.origin = View(x, step, x.writes[0], is_fixed)
    return output


def refresh(x: Tensor) -> None:
    """Bring the node of a view up to date after its memory was written through another tensor."""
    view, writes = x.origin, x.writes
    assert view is not None
    assert writes is not None
    if view.seen == writes[0]:
        return
    base, steps = base_of(x)
    if base.node is not None and view.is_fixed:
        if mode.enabled:
            raise GradientError(
                f"view: the memory of a view of shape {x.shape}, {FIXED}, was changed in place "
                "since, and its gradient is not known; make the view again after the change"
            )
        return
    view.seen = writes[0]
    if base.node is not None:
        is_recorded, mode.enabled = mode.enabled, True
        try:
            move(x, replay(steps, base).node)
        finally:
            mode.enabled = is_recorded


def move(x: Tensor, node: Node | None) -> None:
    """`x` becomes the output of `node`."""
    x.node, x.needs_grad = node, True
    if x.retained is not None:
        x.retained.remove()
        x.retained.move(node)


def edge_of(op: str, tensor: Tensor) -> Edge:
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
