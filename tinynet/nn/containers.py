"""Modules made of modules: `Sequential` runs them one after the other, others only keep them.

`ModuleList` is a list, `ModuleDict` a dict whose modules' parameters count as the owner's.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar

from tinynet.errors import ArgumentError, ArgumentTypeError, DimError
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
        names = [name for name, _ in self.own_children()]
        for name in names[index] if isinstance(index, slice) else [self._name_at(index)]:
            delattr(self, name)
        self._renumber(list(self))

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            name = type(self).__name__
            raise ArgumentTypeError(f"{name}: expected modules to add, got {modules!r:.60}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before place `index`, at most at the end."""
        name, modules = type(self).__name__, list(self)
        if not isinstance(module, Module):
            raise ArgumentTypeError(f"{name}: cannot insert a {type(module).__name__}")
        place = as_integer(name, "index", index)
        if not -len(modules) <= place <= len(modules):
            raise DimError(f"{name}: index {place} is out of range for {len(modules)} modules")
        modules.insert(place, module)
        self._renumber(modules)
        return self

    def pop(self, key: int | slice = -1) -> Any:
        """Take a module out, or several."""
        module = self[key]
        del self[key]
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

    def _renumber(self, modules: list[Module]) -> None:
        """Make `modules` the submodules, named by number."""
        for name, _ in list(self.own_children()):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.register_module(str(i), module)


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
        return Sequential(*self, *self._checked(other))

    def __iadd__(self, other: Sequential) -> Sequential:
        return self.extend(self._checked(other))

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*list(self) * self._checked_times(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        return self.extend(list(self) * (self._checked_times(times) - 1))

    def _checked(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ArgumentTypeError(
                f"Sequential: + takes another Sequential, got {type(other).__name__}"
            )
        return other

    def _checked_times(self, times: Any) -> int:
        if not isinstance(times, int):
            raise ArgumentTypeError(f"Sequential: * takes an int, got {type(times).__name__}")
        if times < 1:
            raise ArgumentError(f"Sequential: * takes a number above 0, got {times}")
        return times


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


class ModuleDict(Module):
    """A dict of modules whose parameters count as the owner's. A key is the module's name.

    >>> from tinynet import nn
    >>> nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    ModuleDict(
      (relu): ReLU()
      (tanh): Tanh()
    )
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._get_part("ModuleDict", key, key, Module)  # type: ignore[no-any-return]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def keys(self) -> KeysView[str]:
        """The names, in order."""
        return dict(self.own_children()).keys()

    def values(self) -> ValuesView[Module]:
        """The modules, in order."""
        return dict(self.own_children()).values()

    def items(self) -> ItemsView[str, Module]:
        """Pairs of name and module, in order."""
        return dict(self.own_children()).items()

    def update(self, modules: Any) -> None:
        """Set all items of a mapping, of another `ModuleDict`, or of pairs."""
        for key, module in pairs_of("ModuleDict", modules):
            self[key] = module

    def pop(self, key: str) -> Module:
        """Take a module out."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for key in self.keys():
            del self[key]


def pairs_of(op: str, items: Any) -> list[tuple[str, Any]]:
    """The items of something like a dict, or of pairs, checked to be such."""
    if hasattr(items, "items"):
        return list(items.items())
    if not isinstance(items, Iterable):
        raise ArgumentTypeError(
            f"{op}: expected a dict or pairs of name and value, got {type(items).__name__}"
        )
    pairs = list(items)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, Iterable):
            raise ArgumentTypeError(
                f"{op}: item {i} must be a name and a value, got {type(pair).__name__}"
            )
        if len(pair) != 2:  # type: ignore[arg-type]
            raise ArgumentError(f"{op}: item {i} must be a name and a value, got {pair!r:.60}")
    return pairs
