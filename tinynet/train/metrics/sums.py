"""Sums that lose no digits, however many batches there are.

A float32 sum of 20 million ones stays at 16,777,216: what is added is less than half of the last
digit. So counts are int64, and sums of floats are float64. A device that has no float64 gets
float32 sums that remember what rounding took (Kahan 1965, doi:10.1145/363707.363723): their error
does not grow with the number of batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.dtype import float64
from tinynet.ops.creation import widest_float, zeros
from tinynet.shape import Shape
from tinynet.tensor import Tensor

State = dict[str, Tensor]
LOST = "_lost"  # what rounding took from the sum of this name


def make_sum(name: str, shape: Shape, device: str | None) -> State:
    """The state of a sum of floats."""
    dtype = widest_float(device)
    names = [name] if dtype is float64 else [name, name + LOST]
    return {each: zeros(shape, dtype=dtype, device=device) for each in names}


def add_to_sum(state: State, name: str, value: Tensor) -> None:
    """Add `value`, of the sum's shape, to the sum in place."""
    total, lost = state[name], state.get(name + LOST)
    value = value.to(total.dtype)
    if lost is None:
        total.add_(value)
        return
    missing = value - lost
    rounded = total + missing
    lost.copy_((rounded - total) - missing)
    total.copy_(rounded)


def read_sum(state: State, name: str) -> NDArray[Any]:
    """The sum as float64."""
    total = np.asarray(state[name].cpu().numpy(), dtype=np.float64)
    lost = state.get(name + LOST)
    return total if lost is None else total - lost.cpu().numpy().astype(np.float64)
