"""Hooks: functions that a module calls before and after `forward`, and on the way back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from tinynet.autograd.mode import is_grad_enabled
from tinynet.autograd.operation import Function
from tinynet.errors import ArgumentTypeError, GradientError
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet.nn.module import Module

Grads = tuple["Tensor | None", ...]
_numbers = count()  # no two hooks ever have one


class Hooks:
    """A module's hooks by kind, in the order in which they are called.

    Those of `forward` come with whether they take keyword arguments and are called always.
    """

    def __init__(self) -> None:
        self.forward_pre: dict[int, tuple[Callable[..., Any], bool]] = {}
        self.forward: dict[int, tuple[Callable[..., Any], bool, bool]] = {}
        self.backward_pre: dict[int, Callable[..., Any]] = {}
        self.backward: dict[int, Callable[..., Any]] = {}
        self.state_pre: dict[int, Callable[..., Any]] = {}
        self.state: dict[int, Callable[..., Any]] = {}
        self.load_pre: dict[int, Callable[..., Any]] = {}
        self.load: dict[int, Callable[..., Any]] = {}


class HookHandle:
    """What registering a hook returns: `remove()` takes the hook away, so does leaving a `with`."""

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks = hooks
        self.key = next(_numbers)
        hooks[self.key] = hook

    def remove(self) -> None:
        """Do not call the hook any more."""
        self.hooks.pop(self.key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Hooked:
    """What `Module` is: something that keeps hooks."""

    _hooks: Hooks | None = None

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs`, `hook(module, args, kwargs)`, which returns a pair of both.
        """
        return register(self._own_hooks().forward_pre, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> HookHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns replaces the output.

        With `with_kwargs`, `hook(module, args, kwargs, output)`. With `always_call` it is called
        even if `forward` or another hook raised an error; `output` is then what there was, or None.
        """
        entry = (hook, with_kwargs, always_call)
        return register(self._own_hooks().forward, entry, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(module, grad_output)` when the outputs' gradients are there.

        `grad_output` is a tuple; a tuple that the hook returns replaces it.
        """
        return register(self._own_hooks().backward_pre, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when the inputs' gradients are there.

        Both are tuples, None where there is no gradient; a tuple that the hook returns replaces
        `grad_input`.
        """
        return register(self._own_hooks().backward, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects."""
        return register(self._own_hooks().state_pre, hook, False)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {})`, which may change the dict, afterwards."""
        return register(self._own_hooks().state, hook, False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call a hook before `load_state_dict` looks for anything.

        As `hook(module, state_dict, prefix, {}, strict, missing_keys, unexpected_keys, errors)`.
        It may change the dict, which is a copy, to rename keys for one; and add to the lists.
        """
        return register(self._own_hooks().load_pre, hook, False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after `load_state_dict`, before it complains.

        The hook may change the two lists of keys.
        """
        return register(self._own_hooks().load, hook, False)


def register(hooks: dict[int, Any], hook: Any, prepend: bool) -> HookHandle:
    """Add a hook, last or (`prepend`) first."""
    others = list(hooks)
    handle = HookHandle(hooks, hook)
    for key in others if prepend else ():
        hooks[key] = hooks.pop(key)
    return handle


def call(module: Module, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with its hooks."""
    call = _Call(module, hooks, args, kwargs)
    try:
        return call.run()
    except Exception:
        call.run_always_called()
        raise


class _Call:
    """One call of a module, so far. `pending` are the forward hooks yet to be called."""

    def __init__(
        self, module: Module, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.module = module
        self.hooks = hooks
        self.args = args
        self.kwargs = kwargs
        self.output: Any = None
        self.pending = list(hooks.forward.values())

    def run(self) -> Any:
        """Hooks, `forward`, hooks; returns the output."""
        module, hooks = self.module, self.hooks
        for hook, with_kwargs in list(hooks.forward_pre.values()):
            self.args, self.kwargs = _before(module, hook, with_kwargs, self.args, self.kwargs)
        watch = None
        if (hooks.backward or hooks.backward_pre) and is_grad_enabled():
            watch = _Watch(module, hooks)
            self.args = watch.enter(self.args)
        self.output = module.forward(*self.args, **self.kwargs)
        self.pending = list(hooks.forward.values())
        while self.pending:
            hook, with_kwargs, _ = self.pending.pop(0)
            self.after(hook, with_kwargs)
        return self.output if watch is None else watch.leave(self.output)

    def after(self, hook: Callable[..., Any], with_kwargs: bool) -> None:
        """Call one forward hook."""
        given = (self.args, self.kwargs) if with_kwargs else (self.args,)
        replaced = hook(self.module, *given, self.output)
        self.output = self.output if replaced is None else replaced

    def run_always_called(self) -> None:
        """After an error: call those hooks that are called all the same. Theirs only warn."""
        for hook, with_kwargs, is_always_called in self.pending:
            if is_always_called:
                try:
                    self.after(hook, with_kwargs)
                except Exception as error:  # noqa: BLE001 (the first error is the one to raise)
                    warnings.warn(f"forward hook: raised {error!r} after an error", stacklevel=4)


def _before(
    module: Module,
    hook: Callable[..., Any],
    with_kwargs: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments after one hook."""
    if not with_kwargs:
        replaced = hook(module, args)
        if replaced is not None:
            args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs
    replaced = hook(module, args, kwargs)
    if replaced is None:
        return args, kwargs
    if not isinstance(replaced, tuple) or len(replaced) != 2:
        raise ArgumentTypeError(
            "forward pre-hook: with_kwargs=True, so it must return None or a pair of args and "
            f"kwargs, got {type(replaced).__name__}"
        )
    return replaced


class _Watch:
    """One call of a module with backward hooks.

    Tensors that go in and come out pass through a node each side, which sees their gradients.
    """

    def __init__(self, module: Module, hooks: Hooks) -> None:
        self.module = module
        self.pre_hooks = list(hooks.backward_pre.values())
        self.hooks = list(hooks.backward.values())
        self.grad_output: Grads = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that need gradients led through a node."""
        self.n_inputs = len(args)
        self.inputs, args = _led_through(_Inputs, self, args)
        return args

    def leave(self, output: Any) -> Any:
        """The output, led through a node."""
        outputs = output if isinstance(output, tuple) else (output,)
        self.n_outputs = len(outputs)
        self.outputs, outputs = _led_through(_Outputs, self, outputs)
        return outputs if isinstance(output, tuple) else outputs[0]

    def outputs_reached(self, grads: Grads) -> Grads:
        """The gradients of the outputs are there."""
        grad_output = _spread(grads, self.outputs, self.n_outputs)
        for hook in self.pre_hooks:
            grad_output = _replaced(hook(self.module, grad_output), grad_output, "pre-hook")
        self.grad_output = grad_output
        if not self.inputs:
            nothing: Grads = (None,) * self.n_inputs
            for hook in self.hooks:
                if any(g is not None for g in hook(self.module, nothing, grad_output) or ()):
                    raise GradientError(
                        "backward hook: no input requires grad, so it must return None, "
                        "got gradients"
                    )
        return tuple(grad_output[i] for i in self.outputs)

    def inputs_reached(self, grads: Grads) -> Grads:
        """The gradients of the inputs are there."""
        grad_input = _spread(grads, self.inputs, self.n_inputs)
        for hook in self.hooks:
            returned = hook(self.module, grad_input, self.grad_output)
            grad_input = _replaced(returned, grad_input, "hook")
        self.grad_output = ()
        return tuple(grad_input[i] for i in self.inputs)


class _Inputs(Function):
    """The identity, before `forward`."""

    @staticmethod
    def forward(ctx: Any, watch: _Watch, *tensors: Tensor) -> Any:
        ctx.watch = watch
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return (None, *ctx.watch.inputs_reached(grads))


class _Outputs(_Inputs):
    """The identity, after `forward`."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return (None, *ctx.watch.outputs_reached(grads))


def _led_through(
    function: type[Function], watch: _Watch, values: tuple[Any, ...]
) -> tuple[list[int], tuple[Any, ...]]:
    """`values` with the tensors that need gradients led through `function`, and their places."""
    places = [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        return places, values
    through = function.apply(watch, *(values[i] for i in places))
    all_values = list(values)
    for i, x in zip(places, through, strict=True):
        all_values[i] = x
    return places, tuple(all_values)


def _spread(grads: Grads, places: Sequence[int], count: int) -> Grads:
    """`grads` at their places among `count`, None elsewhere."""
    spread: list[Tensor | None] = [None] * count
    for i, grad in zip(places, grads, strict=True):
        spread[i] = grad
    return tuple(spread)


def _replaced(returned: Any, grads: Grads, what: str) -> Grads:
    """What a hook returned, made a tuple, or `grads` if that is None."""
    if returned is None:
        return grads
    result = returned if isinstance(returned, tuple) else (returned,)
    if len(result) != len(grads):
        raise GradientError(
            f"backward {what}: returned {len(result)} gradients, expected {len(grads)}"
        )
    return result
