"""`Module`: what every layer and network is.

A module's parameters, buffers and children are its attributes. No second list of them exists:
`vars(module)` is read, in order of first assignment, whenever they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from tinynet.dtype import DType, bfloat16, float16, float32, float64
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, PartError
from tinynet.nn import hooks, state, tree
from tinynet.nn.arguments import Arguments
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty_like
from tinynet.tensor import Tensor, zero_grad

changes = [0]  # how often an attribute of any module was set; `tinynet.jit` watches it

Self = TypeVar("Self", bound="Module")
Named = Iterator[tuple[str, Any]]


class Module(hooks.Hooked):
    """Base class of networks and their parts.

    Subclass it, make parameters and submodules in `__init__` (after `super().__init__()`), and say
    in `forward` what the module computes. Call the module itself, which runs the hooks as well.

    >>> import tinynet as tn
    >>> from tinynet import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(tn.tensor(2.0))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tn.tensor(3.0)).item()
    6.0
    """

    training: bool
    _buffers: dict[str, bool]  # name: whether it is persistent, that is, part of the state
    _arguments: Arguments

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Note what the module is constructed with."""
        made = object.__new__(cls)
        made.__dict__["_arguments"] = Arguments(args, kwargs)
        return made

    def __init__(self) -> None:
        self.__dict__["training"] = True
        self.__dict__["_buffers"] = {}

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: forward is not written")

    forward: Callable[..., Any] = _forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, with the hooks."""
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return hooks.call(self, self._hooks, args, kwargs)

    # Attributes
    def __setattr__(self, name: str, value: Any) -> None:
        buffers = self.__dict__.get("_buffers")
        if buffers is None and isinstance(value, (Parameter, Module)):
            kind = type(self).__name__
            raise PartError(
                f"{kind}: {name!r} is set to a {type(value).__name__} before the module is ready, "
                f"call super().__init__() first in {kind}.__init__"
            )
        before = self.__dict__.get(name)
        if isinstance(before, (Tensor, Module)) and value is not None:
            self._check_replacement(name, before, value, name in (buffers or ()))
        object.__setattr__(self, name, value)
        if before is not value or value is None:
            changes[0] += 1

    def _check_replacement(self, name: str, before: Any, value: Any, is_buffer: bool) -> None:
        """A part stays what it is: a parameter, say, is not replaced by a list."""
        for what, kind in (("parameter", Parameter), ("module", Module), ("buffer", Tensor)):
            is_such = is_buffer if what == "buffer" else isinstance(before, kind)
            if is_such and not isinstance(value, kind):
                raise ArgumentTypeError(
                    f"{type(self).__name__}: cannot set {what} {name!r} to a "
                    f"{type(value).__name__}, expected a {kind.__name__} or None"
                )

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._buffers.pop(name, None)
        changes[0] += 1

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set attribute `name` to a parameter, or to None for one that this module has not."""
        self._register("register_parameter", name, param, Parameter)

    def register_module(self, name: str, module: Module | None) -> None:
        """Set attribute `name` to a submodule."""
        self._register("register_module", name, module, Module)

    add_module = register_module

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Set attribute `name` to a tensor that moves with the module but is not trained.

        `persistent` ones are part of the state dict.
        """
        self._register("register_buffer", name, tensor, Tensor)
        self._buffers[name] = persistent

    def _register(self, op: str, name: str, value: Any, kind: type) -> None:
        if not isinstance(name, str) or "." in name or not name:
            raise ArgumentError(f"{op}: a name must be a string without '.', got {name!r}")
        if hasattr(self, name) and not isinstance(vars(self).get(name, ...), (kind, type(None))):
            raise ArgumentError(f"{op}: {type(self).__name__} has an attribute {name!r} already")
        if value is not None and not isinstance(value, kind):
            raise ArgumentTypeError(
                f"{op}: {name!r} must be a {kind.__name__} or None, got {type(value).__name__}"
            )
        setattr(self, name, value)

    # Parts
    def own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """This module's own parameters with their names. Not in PyTorch."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def own_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """This module's own buffers with their names. Not in PyTorch."""
        for name in self._buffers:
            value = vars(self).get(name)
            if value is not None:
                yield name, value

    def own_children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules with their names; one of two names comes twice. Not in PyTorch."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules with their names, each once."""
        seen: set[Module] = set()
        for name, module in self.own_children():
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self.own_children():
            path = f"{prefix}.{name}" if prefix else name
            yield from module.named_modules(seen, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their dotted names; a shared one comes once, under its first name."""
        return self._named_parts(Module.own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once: what an optimiser takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Buffers with their dotted names."""
        return self._named_parts(Module.own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_parts(
        self, own: Callable[[Module], Named], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Named:
        modules: Iterator[tuple[str, Module]] = iter([(prefix, self)])
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        seen: set[int] = set()
        for path, module in modules:
            for name, part in own(module):
                if remove_duplicate and id(part) in seen:
                    continue
                seen.add(id(part))
                yield (f"{path}.{name}" if path else name), part

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; this one for an empty name."""
        module = self
        for name in target.split(".") if target else ():
            module = module._get_part("get_submodule", target, name, Module)
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` in the place of a dotted name: of one that is there, if `strict`."""
        if not isinstance(module, Module):
            raise ArgumentTypeError(
                f"set_submodule: {target!r}: got {type(module).__name__}, expected a Module"
            )
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not name or (strict and name not in dict(owner.own_children())):
            kind = type(owner).__name__
            raise PartError(f"set_submodule: {target!r}: {kind} has no module {name!r}")
        owner.register_module(name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name."""
        return self._get_in_submodule("get_parameter", target, Parameter)  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name."""
        return self._get_in_submodule("get_buffer", target, Tensor)  # type: ignore[no-any-return]

    def _get_in_submodule(self, op: str, target: str, kind: type[Any]) -> Any:
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._get_part(op, target, name, kind)

    def _get_part(self, op: str, target: str, name: str, kind: type[Any]) -> Any:
        part = vars(self).get(name)
        if not isinstance(part, kind) or (kind is Tensor and name not in self._buffers):
            what = "buffer" if kind is Tensor else kind.__name__.lower()
            raise PartError(f"{op}: {target!r}: {type(self).__name__} has no {what} {name!r}")
        return part

    # All at once
    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, children first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Set this and all modules below to training mode (dropout drops), or not."""
        if not isinstance(mode, bool):
            raise ArgumentError(f"train: mode must be a bool, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Set this and all modules below to evaluation mode."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Train all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or make them zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                zero_grad(parameter)

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move parameters and buffers: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(x)`.

        Tensors keep their identity. A dtype must be floating; integer buffers keep theirs.
        """
        device, dtype = _target(*args, **kwargs)
        for x in [*self.parameters(), *self.buffers()]:
            for part in (x, x.grad):
                if part is not None:
                    before = part.detach()
                    after = before.to(device, dtype if part.is_floating_point() else None)
                    if after is not before:
                        part.data = after
        return self

    def cpu(self: Self) -> Self:
        """Move parameters and buffers to the host."""
        return self.to("cpu")

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Move parameters and buffers without their values: memory is there, to be filled."""
        for x in [*self.parameters(recurse), *self.buffers(recurse)]:
            x.data = empty_like(x.detach(), device=device)
        return self

    def type(self: Self, dst_type: DType) -> Self:
        """All parameters and buffers, those of integers too, in one floating dtype."""
        self.to(dst_type)
        for buffer in self.buffers():
            buffer.data = buffer.detach().to(dst_type)
        return self

    def float(self: Self) -> Self:
        """Floating parameters and buffers as float32."""
        return self.to(float32)

    def double(self: Self) -> Self:
        """Floating parameters and buffers as float64."""
        return self.to(float64)

    def half(self: Self) -> Self:
        """Floating parameters and buffers as float16."""
        return self.to(float16)

    def bfloat16(self: Self) -> Self:
        """Floating parameters and buffers as bfloat16."""
        return self.to(bfloat16)

    # State
    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, on the module's own memory.

        They are detached unless `keep_vars`. A parameter with two names is there twice. What a
        module's method `get_extra_state()` returns, if it has one, is there as "_extra_state";
        loading hands it to `set_extra_state(state)`.
        """
        collected: dict[str, Tensor] = {} if destination is None else destination
        state.collect(self, collected, prefix, keep_vars)
        return collected

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy a state dict's values into this module, or with `assign` take its tensors.

        Unless `strict`, missing and unexpected keys are only reported. Raises `StateError`, which
        lists everything that does not fit, before anything is changed.
        """
        return state.load(self, state_dict, strict, assign)

    # As text
    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if not name[0].isdigit()]

    def extra_repr(self) -> str:
        """What `repr` shows in the module's own parentheses: override it."""
        return ""

    def __repr__(self) -> str:
        children = [_indented(f"({name}): {text}") for name, text in self._described_children()]
        return _in_parentheses(type(self).__name__, self.extra_repr(), children)

    def _repr_html_(self) -> str:
        """For notebooks: a tree that opens and closes, with shapes and counts of parameters."""
        return tree.module_html(self)

    def _described_children(self) -> list[tuple[str, str]]:
        return [(name, repr(child)) for name, child in self.own_children()]


def _in_parentheses(kind: str, extra: str, children: list[str]) -> str:
    """`kind(extra)` on one line, or on several with a line for each child."""
    lines = [*(_indented(line) for line in extra.split("\n") if extra), *children]
    if children or len(lines) > 1:
        return "\n".join([f"{kind}(", *lines, ")"])
    return f"{kind}({extra})"


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))


def _target(*args: Any, device: Any = None, dtype: DType | None = None) -> tuple[Any, Any]:
    """The device and the dtype, None where they stay, that arguments of `to` ask for."""
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, DType):
            dtype = arg
        elif isinstance(arg, str):
            device = arg
        elif arg is not None:
            raise ArgumentTypeError(f"to: expected a device, a dtype or a tensor, got {arg!r}")
    if dtype is not None and not dtype.is_floating_point:
        raise DTypeError(f"to: a module takes floating dtypes only, got {dtype}")
    return device, dtype
