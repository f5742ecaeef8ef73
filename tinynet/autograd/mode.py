"""Whether operations are recorded: a switch per thread, and the context managers that turn it."""

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar, cast

Callee = TypeVar("Callee", bound=Callable[..., Any])


class GradMode(threading.local):
    """The switch. `enabled` starts true in every thread."""

    enabled = True


mode = GradMode()


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return mode.enabled


def _turn(target: bool) -> bool:
    """Turn the switch; what it was before."""
    before, mode.enabled = mode.enabled, target
    return before


class _Switch:
    """A context manager and decorator; reusable and nestable."""

    def __init__(self, target: bool) -> None:
        self.target = target
        self.previous: list[bool] = []

    def __enter__(self) -> None:
        self.previous.append(_turn(self.target))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.enabled = self.previous.pop()

    def __call__(self, function: Callee) -> Callee:
        target = self.target
        is_generator = inspect.isgeneratorfunction(function)

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            if is_generator:
                return _SwitchedGenerator(function(*args, **kwargs), target)
            previous = _turn(target)
            try:
                return function(*args, **kwargs)
            finally:
                mode.enabled = previous

        return cast(Callee, switched)


class _SwitchedGenerator(Generator[Any, Any, Any]):
    """A generator that runs switched, while its caller does not."""

    def __init__(self, generator: Generator[Any, Any, Any], target: bool) -> None:
        self.generator = generator
        self.target = target

    def send(self, value: Any) -> Any:
        with _Switch(self.target):
            return self.generator.send(value)

    def throw(self, *error: Any) -> Any:
        with _Switch(self.target):
            return self.generator.throw(*error)


class _PlainDecorator(_Switch):
    """A switch whose class itself decorates: `@no_grad` works as well as `@no_grad()`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """The function `args` switched, where it is one; else the switch."""
        if args and callable(args[0]):
            return cls()(args[0])
        return super().__new__(cls)


class no_grad(_PlainDecorator):  # noqa: N801 (PyTorch's names, here and below)
    """Record nothing inside: faster, and values saved for gradients are not kept.

    >>> import tinynet as tn
    >>> with tn.no_grad():
    ...     (tn.ones(2, requires_grad=True) * 2).requires_grad
    False
    """

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_PlainDecorator):  # noqa: N801
    """Record inside, even within `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_PlainDecorator):  # noqa: N801
    """`no_grad` under the name PyTorch gives its stricter form; `inference_mode(False)` records."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)


class set_grad_enabled(_Switch):  # noqa: N801
    """Record operations or not from here on; as a context manager or decorator, only inside.

    >>> import tinynet as tn
    >>> with tn.set_grad_enabled(False):
    ...     (tn.ones(2, requires_grad=True) * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.before = _turn(self.target)

    def __enter__(self) -> None:
        self.previous.append(self.before)
        mode.enabled = self.target

    def __call__(self, function: Callee) -> Callee:
        mode.enabled = self.before
        return super().__call__(function)
