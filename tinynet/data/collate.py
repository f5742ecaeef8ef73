"""`default_collate`: one batch of a list of samples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinynet import settings
from tinynet.dtype import float64
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.creation import as_tensor, tensor
from tinynet.ops.joining import stack
from tinynet.tensor import Tensor

KINDS: dict[str, tuple[type, ...]] = {
    "tensor": (Tensor,),
    "string": (str, bytes),
    "array": (np.ndarray, np.generic),
    "bool": (bool,),
    "number": (int, float),
    "dict": (Mapping,),
    "sequence": (tuple, list),
}


def default_collate(samples: Sequence[Any]) -> Any:
    """One batch of a list of samples: tensors and arrays stacked, numbers made tensors.

    Python's floats make float64, ints int64, bools bool; strings stay in a list. Dicts, lists,
    tuples and named tuples are taken apart: their parts make batches, in a dict by the same keys,
    a named tuple of the same kind, or a list.

    >>> default_collate([(1, "one"), (2, "two")])
    [tensor([1, 2]), ['one', 'two']]
    """
    if not samples:
        raise ArgumentError("default_collate: no samples, expected at least one")
    return _collate(samples, "")


def _collate(samples: Sequence[Any], place: str) -> Any:
    first = samples[0]
    _check_kinds(samples, place)
    if isinstance(first, str | bytes):  # NumPy's too, which are arrays as well
        return list(samples)
    if isinstance(first, Tensor) or hasattr(first, "__array__"):
        return _stack(samples, place)
    if isinstance(first, int | float):
        has_floats = any(isinstance(sample, float) for sample in samples)
        return tensor(list(samples), dtype=float64 if has_floats else None)
    if isinstance(first, Mapping):
        return _collate_dicts(samples, place)
    return _collate_sequences(samples, place)


def _check_kinds(samples: Sequence[Any], place: str) -> None:
    """Raise where samples are no data, or of kinds that make no batch together."""
    types = {type(sample): None for sample in samples}
    kinds = {_kind(each): each.__name__ for each in types}
    if "" in kinds:
        raise ArgumentTypeError(
            f"default_collate: a sample holds {kinds['']}{_at(place)}, expected tensors, arrays,"
            " numbers, strings, or dicts, lists or tuples of them; or pass collate_fn="
        )
    if len(kinds) > 1:
        came = " beside ".join([*kinds.values()][:2])
        raise ArgumentTypeError(f"default_collate: {came}{_at(place)}, expected one kind")


def _kind(type_: type) -> str:
    """What makes batches together; empty for what makes none."""
    for kind, types in KINDS.items():
        if issubclass(type_, types):
            return kind
    return "array" if hasattr(type_, "__array__") else ""


def _stack(samples: Sequence[Any], place: str) -> Tensor:
    shapes = [*dict.fromkeys(sample.shape for sample in samples)]
    if len(shapes) > 1:
        raise ShapeError(
            f"default_collate: samples of shapes {shapes[0]} and {shapes[1]}{_at(place)}, expected"
            " equal shapes; pad them, or pass collate_fn="
        )
    if isinstance(samples[0], Tensor):
        return stack(list(samples))
    return as_tensor(np.stack(samples), device=settings.DEVICE.get())


def _collate_dicts(samples: Sequence[Any], place: str) -> dict[Any, Any]:
    keys = samples[0].keys()
    for sample in samples:
        if sample.keys() != keys:
            raise ArgumentError(
                f"default_collate: dicts of {[*keys]} and {[*sample.keys()]}{_at(place)}, expected"
                " equal keys"
            )
    return {key: _collate([sample[key] for sample in samples], f"{place}[{key!r}]") for key in keys}


def _collate_sequences(samples: Sequence[Any], place: str) -> Any:
    lengths = sorted({len(sample) for sample in samples})
    if len(lengths) > 1:
        raise ShapeError(
            f"default_collate: samples of {lengths} parts{_at(place)}, expected equal numbers"
        )
    parts = [_collate(part, f"{place}[{i}]") for i, part in enumerate(zip(*samples))]
    kind = type(samples[0])
    return kind(*parts) if hasattr(kind, "_fields") else parts


def _at(place: str) -> str:
    return place and f" at sample{place}"
