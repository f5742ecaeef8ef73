"""State dicts: a module's parameters and persistent buffers by name, out and in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentTypeError, StateError
from tinynet.nn.parameter import Parameter
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the state, and what it did not find a place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def collect(
    module: Module, destination: MutableMapping[str, Tensor], prefix: str, keep_vars: bool
) -> None:
    """Put the module's state into `destination`, every name behind `prefix`."""
    for name, _, _, part in _parts(module):
        destination[prefix + name] = part if keep_vars else part.detach()


def load(
    module: Module, state_dict: Mapping[str, Tensor], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Copy values into the module, or assign them, after everything is checked."""
    if not isinstance(state_dict, Mapping):
        raise ArgumentTypeError(
            f"load_state_dict: expected a dict of tensors, got {type(state_dict).__name__}"
        )
    parts = {name: (owner, own_name, part) for name, owner, own_name, part in _parts(module)}
    missing = [name for name in parts if name not in state_dict]
    unexpected = [name for name in state_dict if name not in parts]
    found = [name for name in parts if name in state_dict]
    _check(module, missing, unexpected, parts, {n: state_dict[n] for n in found}, strict)
    with no_grad():
        for name in found:
            owner, own_name, part = parts[name]
            if assign:
                _assign(owner, own_name, part, state_dict[name])
            else:
                part.copy_(state_dict[name])
    return IncompatibleKeys(missing, unexpected)


def _parts(module: Module) -> Iterator[tuple[str, Module, str, Tensor]]:
    """What the state consists of: full name, owner, name there, tensor."""
    for path, owner in module.named_modules(remove_duplicate=False):
        for name, part in [*owner.own_parameters(), *owner.own_buffers()]:
            if owner._buffers.get(name, True):
                yield (f"{path}.{name}" if path else name), owner, name, part


def _check(
    module: Module,
    missing: list[str],
    unexpected: list[str],
    parts: dict[str, tuple[Module, str, Tensor]],
    values: Mapping[str, Any],
    strict: bool,
) -> None:
    """Raise one error that says everything that is wrong."""
    problems = []
    if strict and missing:
        problems.append("missing: " + ", ".join(missing))
    if strict and unexpected:
        problems.append("unexpected: " + ", ".join(map(str, unexpected)))
    for name, value in values.items():
        shape = parts[name][2].shape
        if not isinstance(value, Tensor):
            problems.append(f"{name}: got {type(value).__name__}, expected a Tensor")
        elif value.shape != shape:
            problems.append(f"{name}: got shape {value.shape}, expected {shape}")
    if problems:
        raise StateError(
            f"load_state_dict: the state does not fit {type(module).__name__}:\n  "
            + "\n  ".join(problems)
        )


def _assign(owner: Module, name: str, part: Tensor, value: Tensor) -> None:
    """Put `value` itself in the place of a parameter or buffer."""
    if isinstance(part, Parameter):
        own = value if isinstance(value, Parameter) else Parameter(value, False)
        value = own.requires_grad_(part.requires_grad)
    setattr(owner, name, value)
