"""Nested Python values as JSON and named tensors, and back: equal, with the same types.

JSON has no tuples, no keys but strings, no infinities, and no tensors. Those become objects of one
name, which says what they are: `{"tuple": [...]}`, `{"dict": [[key, value], ...]}`,
`{"float": "inf"}`, `{"int": "0x..."}` where others read 64 bits at most, `{"tensor": name}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.io.safetensors import KEY, Reader
from tinynet.tensor import Tensor

Keys = tuple[str | int, ...]

FORMAT = 1
DEEPEST = 100
ALLOWED = "tensors, numbers, strings, None, lists, tuples, and dicts with keys of str or int"


class Encoder:
    """Takes values apart; `tensors` are those it met, by the keys that lead to them."""

    op = "save"
    allowed = ALLOWED

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def encode(self, value: Any, keys: Keys = ()) -> Any:
        """`value` as JSON. Raises `ArgumentTypeError`, with the place, for what is not allowed."""
        kind = type(value)
        if len(keys) > DEEPEST:
            place = place_of(keys[:3])
            raise ArgumentError(
                f"{self.op}: {place} is nested deeper than {DEEPEST} levels, expected fewer, "
                "and nothing that holds itself"
            )
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            return value if abs(value) < 2**63 else {"int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind in (list, tuple):
            items = [self.encode(item, (*keys, i)) for i, item in enumerate(value)]
            return items if kind is list else {"tuple": items}
        if kind is dict:
            for key in value:
                if type(key) not in (str, int):
                    place = f"the key {key!r} of {place_of(keys)}"
                    raise ArgumentTypeError(self._message(f"{place} is {_name(key)}"))
            return {
                "dict": [
                    [self.encode(k), self.encode(item, (*keys, k))] for k, item in value.items()
                ]
            }
        if isinstance(value, Tensor):
            return {"tensor": self.add(value, keys)}
        return self.encode_object(value, keys)

    def add(self, x: Tensor, keys: Keys) -> str:
        """Keep a tensor; its name."""
        name = ".".join([_shown(key) if type(key) is int else str(key) for key in keys])
        while name in self.tensors or name == "__metadata__":
            name += "'"
        self.tensors[name] = x
        return name

    def encode_object(self, value: Any, keys: Keys) -> Any:
        """What is of no type above."""
        raise ArgumentTypeError(self._message(f"{place_of(keys)} is {_name(value)}"))

    def _message(self, what: str) -> str:
        return f"{self.op}: {what}, expected {self.allowed}"


class Decoder:
    """Puts values together. Raises `ValueError`, `TypeError` or `KeyError` for other JSON."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.kinds: dict[str, Callable[[Any], Any]] = {
            "tensor": self.tensors.__getitem__,
            "tuple": lambda items: tuple([self.decode(item) for item in items]),
            "dict": lambda pairs: {self.decode(k): self.decode(item) for k, item in pairs},
            "float": float,
            "int": lambda text: int(text, 16),
        }

    def decode(self, code: Any) -> Any:
        """The value that `code` stands for."""
        if isinstance(code, list):
            return [self.decode(item) for item in code]
        if not isinstance(code, dict):
            return code
        [(kind, content)] = code.items()
        return self.kinds[kind](content)


def as_json(**parts: Any) -> str:
    """What stands under `KEY` in the metadata."""
    return json.dumps({"format": FORMAT, **parts}, separators=(",", ":"), allow_nan=False)


@contextmanager
def decoding(reader: Reader) -> Iterator[dict[str, Any]]:
    """What stands under `KEY`, to decode; empty for a plain file.

    What decoding raises for JSON that `save` does not write becomes a `DataError`.
    """
    try:
        found = json.loads(reader.metadata.get(KEY, "{}"))
        if found and found["format"] != FORMAT:
            raise DataError(
                f"load: {reader.path}: tinynet's format {found['format']!r:.60}, expected {FORMAT}"
            )
        yield found
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise reader.error(f"what is no tensor does not decode ({error!r:.100})") from error


def place_of(keys: Keys) -> str:
    """Where a value is, as Python would ask for it."""
    shown = [_shown(key) if type(key) is int else repr(key) for key in keys]
    return "".join(f"[{key}]" for key in shown) or "what is saved"


def _shown(number: int) -> str:
    """Large numbers have no decimal digits in Python."""
    return str(number) if abs(number) < 2**63 else hex(number)


def _name(value: Any) -> str:
    return f"of type {type(value).__qualname__}"
