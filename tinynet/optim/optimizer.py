"""`Optimizer`: everything that optimisers share. A new one adds its state and its update rule."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar

from tinynet.autograd.mode import enable_grad, no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, StateError
from tinynet.nn.hooks import HookHandle, register
from tinynet.numbers import Numbers
from tinynet.ops.creation import zeros_like
from tinynet.tensor import Tensor, zero_grad

Group = Numbers


class Optimizer:
    """Base class. `params`: tensors, pairs of name and tensor, or dicts (groups) with "params".

    A group has its own options; those it does not name are `defaults`. `state` holds what the
    update rule keeps for each parameter. A subclass writes `update`:

    >>> import tinynet as tn
    >>> class SignDescent(tn.optim.Optimizer):
    ...     def update(self, parameter, gradient, state, group):
    ...         parameter.sub_(gradient.sign() * group["lr"])
    >>> x = tn.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = SignDescent([x], {"lr": 0.5})
    >>> x.square().sum().backward()
    >>> optimizer.step()
    >>> x.detach()
    tensor([ 2.5000, -3.5000])
    """

    has_stepped = False  # which schedules of rates look at
    numbers: ClassVar[tuple[str, ...]] = ("step",)  # in the state; PyTorch's are 0-d tensors

    def __init__(self, params: Any, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.hooks: defaultdict[str, dict[int, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self.state: defaultdict[Tensor, Numbers] = defaultdict(Numbers)
        groups = self._as_list("params", params)
        if not groups:
            raise ArgumentError(f"{self._name}: params is empty, expected tensors or groups")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        """Change `parameter` in place; `state` is its own, empty at first. `gradient` stays."""
        raise NotImplementedError(f"{self._name}: update is not written")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` does, called first."""
        self.has_stepped = True
        args: Any = (self,) if closure is None else (self, closure)
        kwargs: Any = {}
        for hook in [*self.hooks["step_pre"].values()]:
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                if not isinstance(replaced, tuple) or len(replaced) != 2:
                    raise ArgumentTypeError(
                        f"{self._name}: a step pre-hook must return None or a pair of args and "
                        f"kwargs, got {replaced!r:.60}"
                    )
                args, kwargs = replaced
        loss = self._step(*args[1:], **kwargs)
        for hook in [*self.hooks["step_post"].values()]:
            hook(self, args, kwargs)
        return loss

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        """`step` without its hooks."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                maximize = group.get("maximize", False)
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is not None:
                        descent = -gradient if maximize else gradient
                        self.update(parameter, descent, self.state[parameter], group)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or make them zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    zero_grad(parameter)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train more parameters, with options of their own."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise ArgumentTypeError(
                f"{self._name}: a group must be a dict with 'params', got {param_group!r}"
            )
        group = Numbers(param_group)
        params = self._as_list("a group's params", group["params"])
        if params and all(isinstance(item, tuple) for item in params):
            group["param_names"] = [name for name, _ in params]
            params = [parameter for _, parameter in params]
        for parameter in params:
            self._check_parameter(parameter)
        if len(set(params)) < len(params):
            warnings.warn(f"{self._name}: a group has a parameter twice", stacklevel=3)
        group["params"] = params
        for option, value in self.defaults.items():
            group.setdefault(option, value)
        known: set[Tensor] = set()
        for other in self.param_groups:
            known.update(other["params"])
            if ("param_names" in other) != ("param_names" in group):
                raise ArgumentError(f"{self._name}: expected names in all groups, or in none")
        if not known.isdisjoint(params):
            raise ArgumentError(f"{self._name}: a parameter is in more than one group")
        self.param_groups.append(group)

    def _as_list(self, what: str, params: Any) -> list[Any]:
        if isinstance(params, Tensor) and what != "params":
            return [params]
        if isinstance(params, (Tensor, set, Mapping)) or not isinstance(params, Iterable):
            raise ArgumentTypeError(
                f"{self._name}: {what} must be a list of tensors or groups, "
                f"got {type(params).__name__}"
            )
        return list(params)

    def _check_parameter(self, parameter: Any) -> None:
        if not isinstance(parameter, Tensor):
            raise ArgumentTypeError(
                f"{self._name}: can train only tensors, got {type(parameter).__name__}"
            )
        if not parameter.is_leaf and not parameter.retains_grad:
            raise ArgumentError(
                f"{self._name}: can train only leaf tensors, got one of shape {parameter.shape} "
                "that an operation made"
            )

    # State
    def state_dict(self) -> dict[str, Any]:
        """The state by number of the parameter, and the groups with numbers for parameters."""
        for hook in [*self.hooks["state_dict_pre"].values()]:
            hook(self)
        numbers: dict[Tensor, int] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(parameter, len(numbers))
        state_dict: dict[str, Any] = {
            "state": {numbers[parameter]: {**kept} for parameter, kept in self.state.items()},
            "param_groups": [
                {**group, "params": [numbers[parameter] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }
        return self._passed_through("state_dict_post", state_dict)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options of an optimiser of as many parameters in as many groups.

        Tensors are copied, in the parameter's dtype; those of PyTorch that are `numbers` here
        become such. Raises `StateError`, changing nothing.
        """
        op = f"{self._name}.load_state_dict"
        given: Any = {**state_dict} if isinstance(state_dict, Mapping) else state_dict
        state_dict = self._passed_through("load_pre", given)
        _check_form(op, state_dict)
        by_number = self._match_groups(state_dict)
        wrong = [
            f"state[{number}][{key!r}]: got shape {value.shape}, "
            f"expected {() if key in self.numbers else parameter.shape}"
            for number, parameter in by_number.items()
            for key, value in state_dict["state"].get(number, {}).items()
            if isinstance(value, Tensor) and not self._fits(key, value, parameter)
        ]
        if wrong:
            raise StateError(f"{op}: " + "; ".join(wrong))
        state = {
            by_number[number]: self._own(by_number[number], kept)
            for number, kept in state_dict["state"].items()
        }
        self.state.clear()
        self.state.update(state)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        for hook in [*self.hooks["load_post"].values()]:
            hook(self)

    def state_shapes(self, parameter: Tensor) -> tuple[tuple[int, ...], ...]:
        """The shapes that tensors in the state of `parameter` may have."""
        return (), parameter.shape

    def _fits(self, key: str, value: Tensor, parameter: Tensor) -> bool:
        """Whether a tensor may be in the state of `parameter`."""
        if key in self.numbers:
            return value.numel() == 1
        return value.shape in self.state_shapes(parameter)

    def _own(self, parameter: Tensor, kept: Mapping[str, Any]) -> Numbers:
        """The state of a parameter, from a state dict."""
        return Numbers(
            {
                key: value.item()
                if key in self.numbers and isinstance(value, Tensor)
                else _copied_for(parameter, value)
                for key, value in kept.items()
            }
        )

    def _passed_through(self, kind: str, state_dict: dict[str, Any]) -> dict[str, Any]:
        """A state dict, as hooks return it."""
        for hook in [*self.hooks[kind].values()]:
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        return state_dict

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but hooks."""
        return {**self.__dict__, "hooks": defaultdict(dict)}

    def _match_groups(self, state_dict: Mapping[str, Any]) -> dict[Any, Tensor]:
        """Which parameter each number in a state dict stands for."""
        op = f"{self._name}.load_state_dict"
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in state_dict["param_groups"]]
        if sizes != saved_sizes:
            raise StateError(
                f"{op}: the state has groups of {saved_sizes} parameters, expected {sizes}"
            )
        by_number: dict[Any, Tensor] = {}
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            by_number.update(zip(saved["params"], group["params"], strict=True))
        unknown = [number for number in state_dict["state"] if number not in by_number]
        if unknown:
            raise StateError(f"{op}: the state is of parameters {unknown} that no group has")
        return by_number

    # Hooks
    def register_step_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` before each step.

        `args` are `(optimizer,)` or `(optimizer, closure)`; a pair that it returns replaces both.
        """
        return register(self.hooks["step_pre"], hook, False)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return register(self.hooks["step_post"], hook, False)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(optimizer)` before `state_dict` does anything."""
        return register(self.hooks["state_dict_pre"], hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(optimizer, state_dict)` with what `state_dict` returns, or replace it."""
        return register(self.hooks["state_dict_post"], hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`, or replace its argument."""
        return register(self.hooks["load_pre"], hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> HookHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return register(self.hooks["load_post"], hook, prepend)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _check_form(op: str, state_dict: Any) -> None:
    """Raise for what is no state dict of an optimiser."""
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
        raise StateError(f"{op}: expected a dict with 'state' and 'param_groups'")
    state, groups = state_dict["state"], state_dict["param_groups"]
    if not isinstance(state, Mapping) or not all(isinstance(x, Mapping) for x in state.values()):
        raise StateError(f"{op}: 'state' must be a dict of dicts, got {state!r:.60}")
    if not isinstance(groups, (list, tuple)) or not all(map(_is_group, groups)):
        raise StateError(
            f"{op}: 'param_groups' must be a list of dicts with lists of numbers as 'params', "
            f"got {groups!r:.60}"
        )


def _is_group(group: Any) -> bool:
    params = group.get("params") if isinstance(group, Mapping) else None
    return isinstance(params, (list, tuple, range)) and all(isinstance(x, Hashable) for x in params)


def check_at_least_zero(op: str, **options: float) -> None:
    """Raise for a negative (or NaN) option."""
    for name, value in options.items():
        if not value >= 0:
            raise ArgumentError(f"{op}: {name} cannot be negative, got {value}")


def check_betas(op: str, betas: tuple[float, float]) -> None:
    """Raise for decay rates outside [0, 1)."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ArgumentError(f"{op}: betas must be two numbers in [0, 1), got {betas}")


def next_step(state: dict[str, Any], parameter: Tensor, *keys: str) -> Any:
    """Count a step and return its number; before the first, `keys` of the state become zeros."""
    if not state:
        state["step"] = 0
        for key in keys:
            state[key] = zeros_like(parameter)
    state["step"] += 1
    return state["step"]


def decayed(parameter: Tensor, gradient: Tensor, group: Group) -> Tensor:
    """The gradient plus `weight_decay` times the parameter.

    If `decoupled_weight_decay`, the gradient; the parameter loses `lr * weight_decay` of itself.
    """
    decay = group["weight_decay"]
    if decay == 0:
        return gradient
    if not group.get("decoupled_weight_decay", False):
        return gradient.add(parameter, alpha=decay)
    parameter.mul_(1 - group["lr"] * decay)
    return gradient


def _copied_for(parameter: Tensor, value: Any) -> Any:
    if isinstance(value, list):
        return [_copied_for(parameter, part) for part in value]
    if not isinstance(value, Tensor):
        return value
    if parameter.is_floating_point() and value.is_floating_point():
        value = value.to(parameter.dtype)
    return value.detach().to(parameter.device).clone()
