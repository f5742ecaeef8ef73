"""Signatures: what of a recorded function's arguments decides which recording serves."""

from __future__ import annotations

import numbers
import weakref
from typing import Any

import numpy as np

from tinynet import settings
from tinynet.autograd.graph import Variable
from tinynet.numbers import Number
from tinynet.ops.creation import as_tensor
from tinynet.structure import is_dataclass, leaves_of, parts_of, rebuilt
from tinynet.tensor import Tensor

PLAIN = frozenset([int, str, bool, bytes, type(None)])
NUMERIC = (complex, range, np.generic, numbers.Number)  # of which those that are equal may differ


def describe(item: Any, leaves: list[Tensor]) -> Any:
    """What of an argument decides whether a recording is of use; its tensors go to `leaves`."""
    if isinstance(item, Variable):
        leaves.append(item)  # type: ignore[arg-type]
        array = item.array
        return (
            type(item), item.shape, array.strides, item.dtype, item.backend, item.needs_grad,
        )  # fmt: skip
    kind: Any = type(item)
    if kind is Number:  # that a recording left behind
        return describe(item.value, leaves)
    if kind is np.ndarray:
        return describe(as_tensor(item, device=settings.DEVICE.get()), leaves)
    if kind is float:
        return kind, repr(item)  # 0.0 is not -0.0
    if kind in PLAIN:
        return kind, item
    if kind is tuple or kind is list:
        return (kind, *[describe(part, leaves) for part in item])
    parts = None if is_one(item) else parts_of(item)
    if parts is not None:
        return (kind, *[(_described_key(name), describe(part, leaves)) for name, part in parts])
    if isinstance(item, NUMERIC):
        return kind, repr(item)
    if kind is frozenset:
        return kind, frozenset(map(_described_key, item))
    if kind.__hash__ is object.__hash__ and kind.__eq__ is object.__eq__:
        try:
            return kind, weakref.ref(item)  # whose equality is identity; nothing is kept alive
        except TypeError:
            pass
    return kind, item


def _described_key(key: Any) -> Any:
    """What of a dict's key decides: 1 is neither 1.0 nor True. Tensors are themselves."""
    if type(key) is str:
        return key
    tensors: list[Tensor] = []
    description = describe(key, tensors)
    return key if tensors else description


def is_one(item: Any) -> bool:
    """Whether a dataclass is known by its identity: it says so, and holds no tensors."""
    kind: Any = type(item)
    if not is_dataclass(kind) or kind.__eq__ is not object.__eq__:
        return False
    return not any(isinstance(x, (Variable, np.ndarray)) for x in leaves_of(item))


def is_dead(key: Any) -> bool:
    """Whether part of a signature is an object that is gone."""
    if type(key) is tuple:
        return any(map(is_dead, key))
    return type(key) is weakref.ref and key() is None


def with_tensors(item: Any, leaves: Any) -> Any:
    """An argument with tensors for NumPy arrays; itself if it has none."""
    kind = type(item)
    if isinstance(item, Variable) or kind is np.ndarray:
        return next(leaves)
    parts = None if kind in PLAIN or is_one(item) else parts_of(item)
    if parts is None:
        return item
    new = [(name, with_tensors(part, leaves)) for name, part in parts]
    is_same = all(a is b for (_, a), (_, b) in zip(parts, new))
    return item if is_same else rebuilt(item, new)


def difference(before: Any, now: Any, function: Any) -> str:
    """What differs between the signatures of two calls, in words."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames if code is not None else ()
    for i, (a, b) in enumerate(zip(before or (), now)):
        if a != b and i:
            name: Any = names[i - 1] if i <= len(names) else i - 1
            if _is_named(a) and _is_named(b):
                name, a, b = b[0], a[1], b[1]
            if _is_value(a) and _is_value(b):
                return f"argument {name!r} ({_shown(a)}, then {_shown(b)})"
            return f"the structure, shape or dtype of argument {name!r}"
    return "the arguments' structure" if before != now else "state that it makes"


def _is_named(key: Any) -> bool:
    """Whether part of a signature is that of an argument by name."""
    return type(key) is tuple and len(key) == 2 and type(key[0]) is str


def _is_value(key: Any) -> bool:
    """Whether part of a signature is that of one plain value."""
    return type(key) is tuple and len(key) == 2 and not isinstance(key[1], tuple)


def _shown(key: Any) -> str:
    """A value of a signature."""
    kind, value = key
    if isinstance(value, weakref.ref):
        return f"a {kind.__name__}"
    return str(value) if kind is float or issubclass(kind, NUMERIC) else repr(value)
