"""Whole models in a safetensors file: their architecture, as JSON, and their tensors.

The file has a table of modules. Each says its class, what it was constructed with, and all its
attributes, in order. A model is constructed again, from the outside in, and then given those
attributes: so what was changed after construction comes back too. What neither a file can hold nor
the constructor makes again is refused when the model is saved.

Which classes may be built is in `classes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinynet import nn, settings
from tinynet.dtype import BY_NAME, DType
from tinynet.errors import ArgumentTypeError, DataError
from tinynet.io.classes import (
    Classes,
    allowed,
    find,
    is_functional,
    is_module_class,
    is_own,
    name_of,
)
from tinynet.io.nested import ALLOWED, Decoder, Encoder, Keys, as_json, decoding, place_of
from tinynet.io.safetensors import KEY, Reader, opened, write
from tinynet.nn import hooks
from tinynet.nn.arguments import Like, Unknown, construct
from tinynet.nn.module import changes
from tinynet.nn.parameter import Parameter
from tinynet.ops.random import get_rng_state, set_rng_state
from tinynet.tensor import Tensor

NOT_KEPT = ("_arguments",)  # attributes that are no state
# What a constructor may raise when it is called with what a damaged file says.
CONSTRUCTION_ERRORS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


def save_model(
    model: nn.Module, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a model, its architecture and its weights, to `path`, whole or not at all.

    Kept are classes, their constructors' arguments, attributes of plain values, parameters and
    buffers, ties between them, and the training flag; not kept are gradients, and which tensors
    are views of others. Tensors have the names that `state_dict` gives them, tied ones the first.

    Raises `ArgumentTypeError` for a module with arguments, attributes or hooks that a file cannot
    hold, such as functions of your own, unless its constructor makes them again by itself.
    To find that out, such a model is constructed once more.
    """
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise ArgumentTypeError(f"save_model: got {kind}, expected a Module")
    encoder = _ModelEncoder()
    encoder.module(model, ())
    if encoder.refused:
        raise encoder.refused[0]
    encoder.check_objects()
    own = {KEY: as_json(model=encoder.architecture())}
    write("save_model", path, encoder.tensors, metadata, own)


def load_model(
    path: str | os.PathLike[str], classes: Classes = (), device: str | None = None
) -> Any:
    """The model that `save_model` wrote, on `device`.

    Only modules of `tinynet.nn`, classes given to `tn.io.register` and `classes` are built:
    a list of classes, or a dict from the names in the file ("Net", "package.module.Net").

    >>> import os, tempfile
    >>> import tinynet as tn
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> tn.save_model(tn.nn.Sequential(tn.nn.Linear(2, 3), tn.nn.ReLU()), path)
    >>> tn.load_model(path)
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )

    Raises `DataError` for a file that is missing, damaged, no model, or names another class.
    """
    by_name = allowed("load_model", classes)
    with opened("load_model", path) as (file, name):
        reader = Reader(file, name)
        with decoding(reader) as own, _no_random_numbers_used():
            if "model" not in own:
                raise DataError(
                    f"load_model: {name}: has no architecture, expected what save_model writes; "
                    "tn.load reads the tensors"
                )
            target = device or settings.DEVICE.get()
            tensors = dict(reader.tensors(target))
            builder = _Builder(own["model"], tensors, by_name, target)
            try:
                return builder.module(0, None)
            except DataError as error:
                raise DataError(f"load_model: {name}: {error}") from error.__cause__


@contextmanager
def _no_random_numbers_used() -> Iterator[None]:
    """Weights that are drawn only to be replaced leave the random numbers as they are."""
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


class _ModelEncoder(Encoder):
    """Takes modules apart: `rows` is their table; what is met twice is written once."""

    op = "save_model"
    allowed = f"{ALLOWED}, dtypes, modules, their classes, functions of nn.functional"

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[nn.Module] = []
        self.rows: list[dict[str, Any]] = []
        self.numbers: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.kept: dict[str, list[bool]] = {}
        self.refused: list[ArgumentTypeError] = []
        self.objects: list[tuple[int, str, str]] = []  # module, attribute, why it is no plain value

    def architecture(self) -> dict[str, Any]:
        """What the file says beside the tensors."""
        return {"modules": self.rows, "tensors": self.kept}

    def module(self, module: nn.Module, keys: Keys) -> int:
        """Add a module and all below it; its number in the table."""
        if id(module) in self.numbers:
            return self.numbers[id(module)]
        number = self.numbers[id(module)] = len(self.rows)
        row: dict[str, Any] = {"class": self.class_name(type(module), keys)}
        self.modules.append(module)
        self.rows.append(row)
        attributes: list[list[Any]] = []
        for name, value in vars(module).items():
            has_hooks = not isinstance(value, hooks.Hooks) or any(vars(value).values())
            if name not in NOT_KEPT and has_hooks:
                attributes.append([name, self.attribute(number, name, value, (*keys, name))])
        row["attributes"] = attributes
        row["arguments"] = self.arguments(module, keys)
        return number

    def class_name(self, kind: type[nn.Module], keys: Keys) -> str:
        """The name by which the class is found again."""
        name = name_of(kind)
        if kind.__module__.startswith("tinynet.") and not is_own(kind):
            self.refused.append(
                ArgumentTypeError(
                    f"save_model: {place_of(keys)} is of the class {kind.__qualname__}, made while "
                    "the program ran, expected one with a name in tinynet.nn; parametrizations "
                    "must be removed first"
                )
            )
        return name

    def attribute(self, number: int, name: str, value: Any, keys: Keys) -> Any:
        """An attribute's value, or, for what only the constructor can make, what it is."""
        try:
            return self.encode(value, keys)
        except ArgumentTypeError as error:
            self.objects.append((number, name, str(error)))
            return {"object": _described(value)}

    def arguments(self, module: nn.Module, keys: Keys) -> Any:
        """The constructor's arguments by name."""
        kind = type(module)
        try:
            found = module._arguments.by_name(kind)
            if any(isinstance(x, Like) for x in _leaves(found)):
                self.objects.append((self.numbers[id(module)], "", ""))  # construct it, to be sure
            return self.encode(found, (*keys, f"{kind.__qualname__}()"))
        except ArgumentTypeError as error:  # and not only some attribute of a module above
            self.refused.append(error)
        except TypeError as error:
            message = f"arguments of {kind.__qualname__}: {error}, expected those of __init__"
            self.refused.append(ArgumentTypeError(f"save_model: {message}"))
        return None

    def add(self, x: Tensor, keys: Keys) -> str:
        if id(x) not in self.names:
            name = self.names[id(x)] = super().add(x, keys)
            self.kept[name] = [isinstance(x, Parameter), x.is_leaf and x.requires_grad]
        return self.names[id(x)]

    def encode_object(self, value: Any, keys: Keys) -> Any:
        if isinstance(value, nn.Module):
            return {"module": self.module(value, keys)}
        if isinstance(value, DType):
            return {"dtype": value.name}
        if isinstance(value, Like):
            return {"like": [[*value.shape], value.dtype.name, value.is_parameter]}
        if is_module_class(value) or is_functional(value):
            return {"name": name_of(value)}
        if isinstance(value, Unknown):
            raise ArgumentTypeError(self._message(f"{place_of(keys)} is of type {value.kind}"))
        return super().encode_object(value, keys)

    def check_objects(self) -> None:
        """Construct the model as loading would; raise for what comes out otherwise than it is."""
        if not self.objects:
            return
        tensors = {name: x.detach() for name, x in self.tensors.items()}
        builder = _Builder(self.architecture(), tensors, {}, None)
        builder.known = dict(enumerate(map(type, self.modules)))
        try:
            with _no_random_numbers_used():
                builder.module(0, None)
        except DataError as error:
            raise ArgumentTypeError(f"save_model: {error}") from error
        for number, name, problem in self.objects:
            made = vars(builder.made[number])
            if name and not _is_alike(vars(self.modules[number])[name], made.get(name)):
                raise ArgumentTypeError(f"{problem}; the constructor makes another")


class _Builder(Decoder):
    """Makes modules of their table. `made` are those that are ready, by number."""

    def __init__(
        self, architecture: Any, tensors: Mapping[str, Tensor],
        allowed: Mapping[str, type[nn.Module] | None], device: str | None,
    ) -> None:  # fmt: skip
        super().__init__(tensors)
        self.rows, self.kept = architecture["modules"], architecture["tensors"]
        self.allowed = allowed
        self.device = device
        self.known: dict[int, type[nn.Module]] = {}
        self.made: dict[int, nn.Module] = {}
        self.pending: set[int] = set()
        self.ready: dict[str, Tensor] = {}
        self.used: set[int] = set()  # ids of what `made` and `ready` have
        self.kinds["module"] = lambda number: self.module(number, None)
        self.kinds["tensor"] = lambda name: self.tensor(name, None)
        self.kinds["dtype"] = BY_NAME.__getitem__
        self.kinds["like"] = lambda parts: Like(tuple(parts[0]), BY_NAME[parts[1]], parts[2])
        self.kinds["name"] = lambda name: find(name, self.allowed)

    def module(self, number: int, existing: Any) -> nn.Module:
        """A module of the table: `existing`, which a constructor made, if it fits, or a new one."""
        if number in self.made:
            return self.made[number]
        if number in self.pending or type(number) is not int or number < 0:
            raise ValueError(f"module {number!r} is among its own arguments")
        self.pending.add(number)
        row = self.rows[number]
        kind = self.known.get(number) or find(row["class"], self.allowed)
        if not isinstance(kind, type):
            raise DataError(f"{row['class']!r} is a function, expected a module's class")
        arguments = self.decode(row["arguments"])
        if self.fits(existing, kind, arguments):
            module: nn.Module = existing
        else:
            try:
                module = construct(kind, arguments, self.device)
            except CONSTRUCTION_ERRORS as error:
                raise DataError(f"{kind.__qualname__} cannot be constructed: {error}") from error
        self.made[number] = module
        self.used.add(id(module))
        self.restore(module, row["attributes"])
        return module

    def fits(self, existing: Any, kind: type[nn.Module], arguments: Any) -> bool:
        """Whether a module is what constructing one would give, and not in use yet."""
        if type(existing) is not kind or id(existing) in self.used:
            return False
        module: nn.Module = existing
        return bool(module._arguments.by_name(kind) == arguments)

    def restore(self, module: nn.Module, attributes: list[list[Any]]) -> None:
        """Give a module its attributes, in order; parts that it had not when saved go."""
        fields = vars(module)
        found = {name: self.attribute(name, code, fields) for name, code in attributes}
        for name, kind in (("training", bool), ("_buffers", dict), ("_hooks", hooks.Hooks)):
            if name in found and type(found[name]) is not kind:
                raise ValueError(f"{name} is {found[name]!r:.60}")
        if not all(isinstance(name, str) and name not in NOT_KEPT for name in found):
            raise ValueError("an attribute has a name that is none")
        others = {
            name: value
            for name, value in fields.items()
            if name not in found and not isinstance(value, (nn.Module, Tensor))
        }
        fields.clear()
        fields.update(others | found)
        changes[0] += 1

    def attribute(self, name: str, code: Any, fields: Mapping[str, Any]) -> Any:
        """An attribute's value; parts that the constructor made are used again, if they fit."""
        existing = fields.get(name)
        if isinstance(code, dict):
            [(kind, content)] = code.items()
            if kind == "module":
                return self.module(content, existing)
            if kind == "tensor":
                return self.tensor(content, existing)
            if kind == "object":
                if name not in fields or _described(existing) != content:
                    got = _described(existing) if name in fields else "nothing"
                    raise DataError(
                        f"attribute {name!r} was {content!r:.200}, which no file holds, expected "
                        f"the constructor to make it, got {got}"
                    )
                return existing
        return self.decode(code)

    def tensor(self, name: str, existing: Any) -> Tensor:
        """A tensor of the file, as the object that the constructor made for it, if there is one."""
        if name in self.ready:
            return self.ready[name]
        is_parameter, requires_grad = self.kept[name]
        made = self.tensors[name]
        kind = Parameter if is_parameter else Tensor
        if type(existing) is kind and id(existing) not in self.used and existing.is_leaf:
            existing.data = made
            made = existing
        elif is_parameter:
            made = Parameter(made, False)
        self.ready[name] = made.requires_grad_(requires_grad)
        self.used.add(id(made))
        return made


def _leaves(value: Any) -> Iterator[Any]:
    """Everything in lists, tuples and dicts."""
    if type(value) in (list, tuple, dict):
        for item in value.values() if type(value) is dict else value:
            yield from _leaves(item)
    else:
        yield value


def _described(value: Any) -> str:
    """What an object is, as far as that is the same in every process."""
    if isinstance(value, hooks.Hooks):
        kinds = {kind: list(found.values()) for kind, found in vars(value).items() if found}
        return "; ".join(
            f"{kind} hooks: " + ", ".join(_described(hook) for hook in _leaves(found))
            for kind, found in kinds.items()
        )
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_alike(value: Any, made: Any) -> bool:
    """Whether a constructor has made the same object again, as far as it can be compared."""
    if _described(value) != _described(made):
        return False
    kind: Any = type(value)
    return kind.__eq__ is object.__eq__ or bool(np.all(value == made))
