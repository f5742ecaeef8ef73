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

EXTRA = "_extra_state"  # the key of what `get_extra_state` returns
Places = dict[str, tuple["Module", str, "Tensor | None"]]  # full name: owner, name there, tensor


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the state, and what it did not find a place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def collect(
    module: Module, destination: MutableMapping[str, Any], prefix: str, keep_vars: bool
) -> None:
    """Put the module's state into `destination`, every name behind `prefix`."""
    owners = [(prefix + path, owner) for path, owner in _owners(module)]
    for path, owner in owners:
        for hook in _hooks(owner, "state_pre"):
            hook(owner, path, keep_vars)
        for name, part in _parts(owner):
            if part is None:
                destination[path + name] = owner.get_extra_state()  # type: ignore[attr-defined]
            else:
                destination[path + name] = part if keep_vars else part.detach()
    for path, owner in reversed(owners):
        for hook in _hooks(owner, "state"):
            hook(owner, destination, path, {})


def load(
    module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Copy values into the module, or assign them, after everything is checked."""
    if not isinstance(state_dict, Mapping):
        raise ArgumentTypeError(
            f"load_state_dict: expected a dict of tensors, got {type(state_dict).__name__}"
        )
    values, owners = dict(state_dict), list(_owners(module))
    keys, problems = IncompatibleKeys([], []), list[str]()
    for path, owner in owners:
        for hook in _hooks(owner, "load_pre"):
            hook(owner, values, path, {}, strict, *keys, problems)
    places: Places = {
        path + name: (owner, name, part) for path, owner in owners for name, part in _parts(owner)
    }
    keys.missing_keys.extend(name for name in places if name not in values)
    keys.unexpected_keys.extend(name for name in values if name not in places)
    found = {name: values[name] for name in places if name in values}
    problems += _misfits(places, found)
    after = [(owner, hook) for _, owner in reversed(owners) for hook in _hooks(owner, "load")]
    if problems or not after:  # hooks may take keys off the lists, once values are there
        _check(module, keys, problems, strict)
    with no_grad():
        for name, value in found.items():
            _put(*places[name], value, assign)
    for owner, hook in after:
        hook(owner, keys)
    _check(module, keys, [], strict)
    return keys


def _owners(module: Module) -> Iterator[tuple[str, Module]]:
    """The module and all below it, with what goes before the names of their parts."""
    for path, owner in module.named_modules(remove_duplicate=False):
        yield (f"{path}." if path else ""), owner


def _hooks(owner: Module, kind: str) -> list[Any]:
    return [] if owner._hooks is None else list(getattr(owner._hooks, kind).values())


def _parts(owner: Module) -> Iterator[tuple[str, Tensor | None]]:
    """What a module's own state consists of; None stands for its extra state."""
    yield from owner.own_parameters()
    for name, buffer in owner.own_buffers():
        if owner._buffers[name]:
            yield name, buffer
    if hasattr(type(owner), "get_extra_state"):
        yield EXTRA, None


def _misfits(places: Places, values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with values that have a place."""
    for name, value in values.items():
        part = places[name][2]
        if part is None:
            continue
        if not isinstance(value, Tensor):
            yield f"{name}: got {type(value).__name__}, expected a Tensor"
        elif value.shape != part.shape:
            yield f"{name}: got shape {value.shape}, expected {part.shape}"


def _check(module: Module, keys: IncompatibleKeys, problems: list[str], strict: bool) -> None:
    """Raise one error that says everything that is wrong."""
    listed = [
        f"{what}: " + ", ".join(map(str, names))
        for what, names in zip(("missing", "unexpected"), keys, strict=True)
        if strict and names
    ]
    if listed or problems:
        raise StateError(
            f"load_state_dict: the state does not fit {type(module).__name__}:\n  "
            + "\n  ".join([*listed, *problems])
        )


def _put(owner: Module, name: str, part: Tensor | None, value: Any, assign: bool) -> None:
    """Copy `value` into a parameter or buffer, or put it in its place."""
    if part is None:
        owner.set_extra_state(value)  # type: ignore[attr-defined]
    elif not assign:
        part.copy_(value)
    else:
        if isinstance(part, Parameter):
            own = value if isinstance(value, Parameter) else Parameter(value, False)
            value = own.requires_grad_(part.requires_grad)
        setattr(owner, name, value)
