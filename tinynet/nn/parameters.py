"""Parameters in lists and dicts: `ParameterList` and `ParameterDict`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, KeysView, Mapping
from typing import Any, TypeVar

from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, PartError
from tinynet.nn.containers import pairs_of
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.shape import as_integer
from tinynet.tensor import Tensor

Self = TypeVar("Self", bound="ParameterList")


class ParameterList(Module):
    """A list of parameters, which count as the owner's; tensors become parameters.

    Other values may be in it too.

    >>> import tinynet as tn
    >>> tn.nn.ParameterList([tn.ones(2, 3), tn.ones(3)])
    ParameterList(
        (0): Parameter containing: [tinynet.float32 of size 2x3]
        (1): Parameter containing: [tinynet.float32 of size 3]
    )
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def _values(self) -> list[Any]:
        return [value for name, value in vars(self).items() if name.isdecimal()]

    def __len__(self) -> int:
        return len(self._values())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __getitem__(self: Self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(self._values()[index])
        return vars(self)[self._name_at(index)]

    def __setitem__(self, index: int, param: Any) -> None:
        setattr(self, self._name_at(index), _as_parameter(param))

    def __iadd__(self: Self, parameters: Iterable[Any]) -> Self:
        return self.extend(parameters)

    def _name_at(self, index: int) -> str:
        count = len(self)
        place = as_integer("ParameterList", "index", index)
        if not -count <= place < count:
            raise DimError(f"ParameterList: index {place} is out of range for {count} values")
        return str(place % count)

    def append(self: Self, value: Any) -> Self:
        """Add a value at the end."""
        setattr(self, str(len(self)), _as_parameter(value))
        return self

    def extend(self: Self, values: Iterable[Any]) -> Self:
        """Add values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise ArgumentTypeError(
                f"ParameterList: expected values to add, got {type(values).__name__}"
            )
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """A line for each value."""
        return _lines(enumerate(self))


class ParameterDict(Module):
    """A dict of parameters, which count as the owner's; tensors become parameters.

    Other values may be in it too. Items of a plain dict are taken in the order of their sorted
    keys, as PyTorch does; those of an `OrderedDict` and pairs in their own.
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise PartError(f"ParameterDict: there is no {key!r}")
        return vars(self)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise ArgumentTypeError(f"ParameterDict: a key must be a string, got {key!r}")
        if key not in self._keys and hasattr(self, key):
            raise ArgumentError(f"ParameterDict: {key!r} cannot be a key, it is an attribute")
        if isinstance(value, Tensor) and key not in self._keys:
            self.register_parameter(key, _as_parameter(value))
        else:
            setattr(self, key, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)
        del self._keys[key]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __or__(self, other: ParameterDict) -> ParameterDict:
        both = self.copy()
        both.update(other)
        return both

    def __ror__(self, other: Any) -> Any:
        both = other.copy()
        both.update(self)
        return both

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def keys(self) -> KeysView[str]:
        """The keys, in order."""
        return self._keys.keys()

    def values(self) -> Iterator[Any]:
        """The values, in order."""
        return (self[key] for key in self._keys)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pairs of key and value, in order."""
        return ((key, self[key]) for key in self._keys)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, `default` where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 (this is what `get` is)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, which becomes `default` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, parameters: Any) -> None:
        """Set all items of a mapping, of another `ParameterDict`, or of pairs."""
        pairs = pairs_of("ParameterDict", parameters)
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            pairs = sorted(pairs, key=lambda pair: pair[0])
        for key, value in pairs:
            self[key] = value

    def pop(self, key: str) -> Any:
        """Take a value out."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the last pair out."""
        if not self._keys:
            raise PartError("ParameterDict: popitem of an empty dict")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Take all values out."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(list(self.items()))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict in which all keys have one value."""
        return ParameterDict([(key, default) for key in keys])

    def extra_repr(self) -> str:
        """A line for each value."""
        return _lines(self.items())


def _as_parameter(value: Any) -> Any:
    is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if is_plain else value


def _lines(items: Iterable[tuple[Any, Any]]) -> str:
    """What `repr` shows of keys and values, a line for each."""
    lines = []
    for key, value in items:
        text = f"Object of type: {type(value).__name__}"
        if isinstance(value, Tensor):
            size = "x".join(map(str, value.shape))
            where = "" if str(value.device) == "cpu" else f" ({value.device})"
            text = f"{type(value).__name__} containing: [{value.dtype} of size {size}{where}]"
        lines.append(f"  ({key}): {text}")
    return "\n".join(lines)
