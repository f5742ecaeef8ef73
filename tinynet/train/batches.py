"""Batches of training data: what they are made of, and where they go."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import settings
from tinynet.data.dataset import Dataset
from tinynet.errors import ArgumentTypeError, ShapeError
from tinynet.ops.creation import as_tensor
from tinynet.tensor import Tensor


def check_loader(op: str, name: str, loader: Any) -> None:
    """Raise `ArgumentTypeError` for what gives no batches: a data set gives samples."""
    if isinstance(loader, Dataset):
        raise ArgumentTypeError(
            f"{op}: {name} is a {type(loader).__name__}, whose items are single samples, expected "
            "batches: DataLoader(dataset, batch_size)"
        )
    if not hasattr(loader, "__iter__"):
        raise ArgumentTypeError(
            f"{op}: {name} is a {type(loader).__name__}, expected an iterable of batches"
        )


def split_batch(op: str, batch: Any) -> tuple[Any, Any]:
    """Inputs and targets. Raises `ArgumentTypeError` for a batch that is no pair."""
    if type(batch) in (list, tuple) and len(batch) == 2:
        return batch[0], batch[1]
    what = f"a {type(batch).__name__}"
    if isinstance(batch, (list, tuple)):
        what += f" of {len(batch)} parts"
    raise ArgumentTypeError(f"{op}: a batch is {what}, expected a pair (inputs, targets)")


def inputs_of(op: str, batch: Any) -> Any:
    """The inputs of a batch that may come without targets: a tensor, `[inputs]`, or a pair."""
    if isinstance(batch, (Tensor, np.ndarray)):
        return batch
    if type(batch) in (list, tuple) and len(batch) == 1:
        return batch[0]
    return split_batch(op, batch)[0]


def to_device(part: Any, device: str) -> Any:
    """Tensors and arrays in tuples, lists and dicts, on `device`; others are as they were."""
    if isinstance(part, Tensor):
        return part if part.backend.name == device else part.to(device)
    if isinstance(part, (tuple, list)) and not hasattr(part, "_fields"):
        return type(part)([to_device(item, device) for item in part])
    if isinstance(part, dict):
        return {name: to_device(item, device) for name, item in part.items()}
    if isinstance(part, np.ndarray):
        return as_tensor(part, device=device)
    return part


def count_samples(op: str, targets: Any) -> int:
    """The size of the first dim of the first tensor in tuples, lists and dicts."""
    if isinstance(targets, Tensor):
        if not targets.shape:
            raise ShapeError(f"{op}: targets have no dims, expected one for the samples")
        return targets.shape[0]
    if isinstance(targets, (tuple, list, dict)) and targets:
        parts = targets.values() if isinstance(targets, dict) else targets
        return count_samples(op, next(iter(parts)))
    raise ArgumentTypeError(
        f"{op}: targets are of type {type(targets).__name__}, expected a tensor, or a tuple, list "
        "or dict of them"
    )


def call(model: Any, inputs: Any) -> Any:
    """The model's output: a tuple or list is its arguments, a dict its named arguments."""
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(**inputs) if isinstance(inputs, dict) else model(inputs)


def device_of(model: Any) -> str:
    """Where the model's parameters are, or its buffers; the default device if it has neither."""
    for x in (*model.parameters(), *model.buffers()):
        return str(x.device)
    return settings.DEVICE.get()
