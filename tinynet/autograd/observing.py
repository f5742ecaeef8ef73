"""Who looks on: profiles are told of operations and of gradient rules, while there are any.

Operations ask one switch, `state.watches`, whether anybody looks on, a profile or anomaly mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tinynet.autograd import anomaly
from tinynet.autograd.anomaly import state

if TYPE_CHECKING:
    from tinynet.autograd.graph import Node
    from tinynet.autograd.operation import Function
    from tinynet.tensor import Tensor


class Observer(Protocol):
    """What is told."""

    def operation(self, name: str, output: Any, order: int) -> None:
        """An operation has given `output`; `order` is its node's, 0 without one."""

    def enter(self, name: str, order: int) -> None:
        """A node's gradient rule begins, in this thread."""

    def leave(self, gradients: Sequence[Any]) -> None:
        """It has given these, or failed."""


def add(observer: Observer) -> None:
    """Tell `observer` from now on."""
    state.observers.append(observer)
    state.settle()


def remove(observer: Observer) -> None:
    """Tell it no more."""
    state.observers.remove(observer)
    state.settle()


def saw_operation(function: type[Function], output: Tensor, inputs: tuple[Any, ...]) -> None:
    """An operation has given `output`. Of its node, if it has one, `saw_node` has told."""
    name = function.op or function.__name__
    if output.node is None:
        for observer in state.observers:
            observer.operation(name, output, 0)
    if state.checks:
        anomaly.watch(name, output, inputs)


def saw_node(function: type[Function], node: Node, output: Tensor) -> None:
    """An operation has left a node."""
    if state.checks:
        node.made_at = anomaly.where_made()
    name = node.several or function
    if name.op != "output":  # those of operations with several outputs are no work
        for observer in state.observers:
            observer.operation(name.op or name.__name__, output, node.order)


def watched_rule(node: Node, gradient: Any) -> Any:
    """The node's rule, as whoever looks on wants it."""
    observers = [*state.observers]  # another thread's may come or go meanwhile
    for observer in observers:
        observer.enter(node.name, node.order)
    gradients: Any = ()
    try:
        rule = anomaly.watched_rule if state.checks else node.function.backward
        gradients = rule(node, gradient)
    finally:
        for observer in observers:
            observer.leave(gradients if isinstance(gradients, tuple) else (gradients,))
    return gradients
