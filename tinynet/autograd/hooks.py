"""Hooks: functions of the user's that see, and may replace, a tensor's gradient."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tinynet.autograd.graph import Edge, Variable, clock, edge_of
from tinynet.errors import ArgumentTypeError, GradientError

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


changes = [0]  # how often hooks were added or removed, anywhere


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
        changes[0] += 1

    def remove(self) -> None:
        """Do not call the hook any more."""
        self.hooks.pop(self.key, None)
        changes[0] += 1

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register_hook(tensor: Tensor, hook: Any) -> HookHandle:
    """Call `hook(grad)` when the gradient of `tensor` is complete."""
    if not callable(hook):
        raise ArgumentTypeError(f"register_hook: expected a function, got {type(hook).__name__}")
    return HookHandle(edge_of("register_hook", tensor), hook)


def retain_grad(tensor: Tensor) -> None:
    """Have `backward` set `.grad` of a tensor that is no leaf."""
    if edge_of("retain_grad", tensor) is tensor or tensor.retained is not None:
        return
    kept = weakref.ref(tensor)

    def keep(gradient: Tensor) -> None:
        target = kept()
        if target is not None:
            target.grad = gradient.clone() if target.grad is None else target.grad + gradient

    tensor.retained = register_hook(tensor, keep)


def run_hooks(hooks: dict[int, Any], gradient: Tensor) -> Tensor:
    """What the hooks make of a gradient."""
    for hook in list(hooks.values()):
        replaced = hook(gradient)
        if replaced is None:
            continue
        if not isinstance(replaced, Variable) or replaced.shape != gradient.shape:
            raise GradientError(
                f"register_hook: a hook must return None or a tensor of shape {gradient.shape}, "
                f"got {getattr(replaced, 'shape', type(replaced).__name__)}"
            )
        if replaced.dtype is not gradient.dtype or replaced.backend is not gradient.backend:
            raise GradientError(
                f"register_hook: a hook must return a tensor of {gradient.dtype} on "
                f"{gradient.backend.name}, got {replaced.dtype} on {replaced.backend.name}"
            )
        gradient = replaced  # type: ignore[assignment]
    return gradient
