"""Trade time for memory: keep no intermediate values, compute them again in backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.autograd.graph import Function, Variable
from tinynet.autograd.mode import mode


def checkpoint(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, of which only the arguments are kept until backward runs it again.

    Gradients reach the tensors among `args` and the leaves (weights) that `function` uses. (Chen
    et al. 2016, "Training deep nets with sublinear memory cost".)
    """
    return Recomputed.apply(function, *args) if mode.enabled else function(*args)


class Recomputed(Function):
    """A function whose graph is built only in backward."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], *args: Any) -> Any:
        ctx.function = function
        ctx.is_tensor = [isinstance(arg, Variable) for arg in args]
        ctx.others = [None if isinstance(arg, Variable) else arg for arg in args]
        ctx.save_for_backward(*(arg for arg in args if isinstance(arg, Variable)))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError
