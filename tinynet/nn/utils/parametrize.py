"""Parameters that are computed from others whenever they are used.

A parametrised module gets a class of its own, with a property in the attribute's place. What the
value is computed from, and the modules that do so, are parts of `module.parametrizations`.

>>> import tinynet as tn
>>> from tinynet import nn
>>> class Symmetric(nn.Module):
...     def forward(self, x):
...         return x.triu() + x.triu(1).T
>>> layer = nn.Linear(3, 3)
>>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
>>> bool((layer.weight == layer.weight.T).all())
True
>>> list(layer.state_dict())
['bias', 'parametrizations.weight.original']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, PartError
from tinynet.nn.containers import ModuleDict, ModuleList
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.tensor import Tensor

_caches: list[dict[tuple[int, str], Tensor]] = []  # one for each `cached` that is open


class ParametrizationList(ModuleList):
    """What computes one attribute: `modules` one after the other, the first on the originals.

    The originals are `original`, or `original0`, `original1` and so on, if the first module's
    `right_inverse` returned several tensors. `register_parametrization` makes it.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ArgumentError("ParametrizationList: expected at least one module")
        super().__init__(modules)
        self.unsafe = unsafe
        like = original.detach()
        with no_grad():
            new = self._inverted(original, must_invert=False)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            _check_alike("right_inverse", new, like.dtype)
            original.data = new.detach().clone()
            _register(self, "original", original)
        for i, tensor in enumerate([] if self.is_tensor else new):
            is_trained = original.requires_grad
            if isinstance(original, Parameter):
                tensor = Parameter(tensor.detach(), is_trained)
            _register(self, f"original{i}", tensor.requires_grad_(is_trained))
        if not unsafe:
            _check_alike("forward", self(), like.dtype, like.shape)

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals such that the attribute becomes `value`."""
        with no_grad():
            new = self._inverted(value, must_invert=True)
            tensors = [new] if isinstance(new, Tensor) else list(new)
            originals = self._originals()
            if isinstance(new, Tensor) is not self.is_tensor or len(tensors) != len(originals):
                raise ArgumentError(
                    f"right_inverse: returned {len(tensors)} tensors, expected {len(originals)}"
                )
            for original, tensor in zip(originals, tensors, strict=True):
                _check_alike("right_inverse", tensor, original.dtype)
                _write(original, tensor)

    def _inverted(self, value: Any, must_invert: bool) -> Any:
        """What the originals are for a value of the attribute."""
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    value = module.right_inverse(value)
                except NotImplementedError:
                    if must_invert:
                        raise
            elif must_invert:
                raise PartError(f"parametrize: {type(module).__name__} has no right_inverse")
        if not isinstance(value, (Tensor, Sequence)) or not all(
            isinstance(x, Tensor) for x in ([] if isinstance(value, Tensor) else value)
        ):
            raise ArgumentTypeError(
                "right_inverse: must return a tensor or a sequence of tensors, "
                f"got {type(value).__name__}"
            )
        return value

    def _originals(self) -> list[Tensor]:
        return [x for _, x in (*self.own_parameters(), *self.own_buffers())]

    def forward(self) -> Any:
        """The attribute's value."""
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on `parametrization(...)` computes the parameter or buffer `tensor_name`.

    If it has a method `right_inverse(value)`, that gives what to compute the present value, or one
    that is assigned, from: a tensor, or several as arguments of `forward`. Several
    parametrizations of one tensor are applied in the order in which they are registered. Shape and
    dtype must stay, unless `unsafe`. Returns the module.
    """
    parametrization.train(module.training)
    owner: Any = module
    if is_parametrized(module, tensor_name):
        parametrizations = owner.parametrizations[tensor_name]
        if not unsafe:
            _check_chained(getattr(module, tensor_name), parametrization)
        parametrizations.append(parametrization)
        parametrizations.unsafe |= unsafe
        return module
    parts = dict([*module.own_parameters(), *module.own_buffers()])
    if tensor_name not in parts:
        raise PartError(
            f"parametrize: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    parametrizations = ParametrizationList([parametrization], parts[tensor_name], unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        owner.parametrizations = ModuleDict()
    owner.parametrizations[tensor_name] = parametrizations
    _update_class(module)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of the module, or any, is parametrised."""
    parametrizations = vars(module).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


@no_grad()
def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make the tensor an ordinary one again, of its present value or (not `leave_parametrized`) its
    original's. A parameter with one original stays the same object. Returns the module.
    """
    if not is_parametrized(module, tensor_name):
        raise PartError(
            f"remove_parametrizations: {type(module).__name__} has no parametrization on "
            f"{tensor_name!r}"
        )
    owner: Any = module
    parametrizations = owner.parametrizations[tensor_name]
    originals = parametrizations._originals()
    if len(originals) > 1 and not leave_parametrized:
        raise ArgumentError(
            "remove_parametrizations: leave_parametrized=False needs one original, "
            f"{tensor_name!r} has {len(originals)}"
        )
    result = originals[0]
    if leave_parametrized:
        value = parametrizations()
        if parametrizations.is_tensor:  # memory of its own: others may hold the original's
            result.data = value.detach().clone()
        elif any(x.requires_grad for x in originals):
            result = Parameter(value)
        else:
            result = value
    del owner.parametrizations[tensor_name]
    _update_class(module)
    if not len(owner.parametrizations):
        del owner.parametrizations
    _register(module, tensor_name, result)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before it was parametrised."""
    return getattr(type(module), "unparametrized", type(module))


@contextmanager
def cached() -> Iterator[None]:
    """Within, a parametrised tensor is computed once, at its first use."""
    _caches.append({})
    try:
        yield
    finally:
        _caches.pop()


def _update_class(module: Any) -> None:
    """Give the module the class whose properties are the parametrised tensors."""
    names = tuple(module.parametrizations)
    base = type_before_parametrizations(module)
    module.__class__ = _class_with(base, names) if names else base


def _class_with(base: Any, names: tuple[str, ...]) -> Any:
    """A subclass with properties, which copies and pickles can make again."""

    def reduce(self: Any, protocol: Any) -> Any:
        _, _, *state = base.__reduce_ex__(self, max(int(protocol), 2))
        return (_made, (base, names), *state)

    fields = {name: _property(name) for name in names}
    own = {"unparametrized": base, "__reduce_ex__": reduce, "__doc__": base.__doc__}
    return type(f"Parametrized{base.__name__}", (base,), {**own, **fields})


def _made(base: Any, names: tuple[str, ...]) -> Any:
    """An instance that its state is yet to be given to."""
    kind = _class_with(base, names)
    return kind.__new__(kind)


def _property(name: str) -> Any:
    def value(self: Any) -> Any:
        if not _caches:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in _caches[0]:
            _caches[0][key] = self.parametrizations[name]()
        return _caches[0][key]

    def set_value(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(value, set_value, doc="Computed whenever it is used.")


def _check_chained(value: Tensor, parametrization: Module) -> None:
    """A further parametrization, and its inverse, keep shape and dtype."""
    new = parametrization(value)
    _check_alike("forward", new, value.dtype, value.shape)
    if hasattr(parametrization, "right_inverse"):
        try:
            old = parametrization.right_inverse(new)
        except NotImplementedError:
            return
        _check_alike("right_inverse", old, value.dtype, value.shape)


def _check_alike(what: str, value: Any, dtype: Any, shape: Any = None) -> None:
    """A parametrization's method returned a tensor of this dtype (and shape)."""
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"parametrize: {what} must return a tensor, got {type(value).__name__}"
        )
    if value.dtype is not dtype or (shape is not None and value.shape != shape):
        expected = f"{dtype}" + ("" if shape is None else f" and shape {shape}")
        raise ArgumentError(
            f"parametrize: {what} must return {expected}, got {value.dtype} and shape "
            f"{value.shape}; unsafe=True allows a forward that changes them"
        )


@no_grad()
def _write(target: Tensor, value: Tensor) -> None:
    """Make `value` that of `target`, which stays the same object."""
    if value.shape == target.shape:
        target.copy_(value)
    else:
        target.data = value.detach().clone()


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)
