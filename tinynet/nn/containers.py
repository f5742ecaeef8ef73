"""Modules made of modules: `Sequential` runs them one after the other, `ModuleList` keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tinynet.errors import ArgumentTypeError, DimError
from tinynet.nn.module import Module
from tinynet.shape import as_integer

Self = TypeVar("Self", bound="_Chain")


class _Chain(Module):
    """Submodules in order; they are the attributes "0", "1" and so on, or go by given names."""

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Note no arguments that are children anyway: that would keep those alive that leave."""
        if cls.__init__ in (Sequential.__init__, ModuleList.__init__):
            return super().__new__(cls)
        return super().__new__(cls, *args, **kwargs)

    def __len__(self) -> int:
        return sum(1 for _ in self.own_children())

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self.own_children()])

    def __getitem__(self: Self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._of(list(self.own_children())[index])
        return getattr(self, self._name_at(index))

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        children = list(self.own_children())
        chosen = children[index] if isinstance(index, slice) else [(self._name_at(index), self)]
        for name, _ in chosen:
            delattr(self, name)
        self._renumber([pair for pair in children if pair[0] in vars(self)])

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before place `index`."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber([(str(i), module) for i, module in enumerate(modules)])
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out."""
        module: Module = self[index]
        del self[index]
        return module

    def _of(self: Self, children: list[tuple[str, Module]]) -> Self:
        """A container of this class with some of the children."""
        raise NotImplementedError

    def _name_at(self, index: int) -> str:
        names = [name for name, _ in self.own_children()]
        place = as_integer(type(self).__name__, "index", index)
        if not -len(names) <= place < len(names):
            raise DimError(
                f"{type(self).__name__}: index {place} is out of range for {len(names)} modules"
            )
        return names[place]

    def _renumber(self, children: list[tuple[str, Module]]) -> None:
        """Make `children` the submodules, numbers among their names without gaps."""
        for name, _ in list(self.own_children()):
            delattr(self, name)
        for i, (name, module) in enumerate(children):
            self.register_module(str(i) if name.isdecimal() else name, module)


class Sequential(_Chain):
    """Modules run one after the other, each on the output of the one before.

    `Sequential(first, second)`, or `Sequential({"name": module, ...})`.

    >>> from tinynet import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        children: Iterable[tuple[str, Module]] = ((str(i), x) for i, x in enumerate(args))
        if len(args) == 1 and isinstance(args[0], Mapping):
            children = args[0].items()
        for name, module in children:
            if module is None:
                raise ArgumentTypeError(f"Sequential: {name!r} must be a Module, got None")
            self.register_module(name, module)

    def forward(self, input: Any) -> Any:
        """The last module's output."""
        for value in list(self.__dict__.values()):
            if isinstance(value, Module):
                input = value(input)
        return input

    def _of(self, children: list[tuple[str, Module]]) -> Sequential:
        return type(self)(dict(children))

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ArgumentTypeError(
                f"Sequential: + takes another Sequential, got {type(other).__name__}"
            )
        return Sequential(*self, *other)


class ModuleList(_Chain):
    """A list of modules whose parameters count as the owner's.

    >>> from tinynet import nn
    >>> nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    ModuleList(
      (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _of(self, children: list[tuple[str, Module]]) -> ModuleList:
        return type(self)(module for _, module in children)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)

    def _described_children(self) -> list[tuple[str, str]]:
        """Neighbours that read the same are shown once, with their number."""
        described: list[tuple[str, str]] = []
        runs: list[list[int]] = []
        texts = [repr(module) for module in self]
        for i, text in enumerate(texts):
            if runs and texts[runs[-1][0]] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i])
        for first, last in runs:
            count = last - first + 1
            name = str(first) if count == 1 else f"{first}-{last}"
            described.append((name, texts[first] if count == 1 else f"{count} x {texts[first]}"))
        return described
