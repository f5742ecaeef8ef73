"""The mean loss of an epoch, without waiting for the device at each step."""

from __future__ import annotations

import math
from typing import Any

from tinynet.ops.joining import stack
from tinynet.tensor import Tensor

MANY = 128  # losses that are read at once: reading makes the device run dry for some 50 us


class RunningLoss:
    """The mean of batches' losses, weighted by their sizes.

    Losses stay on the device until `MANY` are there, or somebody asks. They are added up on the
    host, in float64 and in their order, so that the sum does not depend on when they are read.
    `bad` is the number, from 1 on, of the first batch whose loss is NaN or infinite.

    >>> import tinynet as tn
    >>> running = RunningLoss()
    >>> running.add(tn.tensor(1.0), 3)
    >>> running.add(tn.tensor(5.0), 1)
    >>> running.mean()
    2.0
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all losses."""
        self.total = 0.0
        self.samples = 0
        self.batches = 0  # whose losses are in `total`
        self.last = math.nan
        self.bad: int | None = None
        self.waiting: list[Tensor] = []
        self.sizes: list[int] = []

    def add(self, loss: Tensor, size: int) -> None:
        """Take in the loss, 0-d, of a batch of `size` samples."""
        self.waiting.append(loss)
        self.sizes.append(size)
        self.samples += size

    @property
    def is_full(self) -> bool:
        """Whether it is time to `read`."""
        return len(self.sizes) >= MANY

    def read(self) -> None:
        """Wait for the losses that are still on the device."""
        if not self.waiting:
            return
        for value, size in zip(stack(self.waiting).tolist(), self.sizes, strict=True):
            self.batches += 1
            self.last = value
            self.total += value * size
            if self.bad is None and not math.isfinite(value):
                self.bad = self.batches
                self.bad_value = value
        self.waiting.clear()
        self.sizes.clear()

    def mean(self) -> float:
        """The mean so far."""
        self.read()
        return self.total / self.samples if self.samples else math.nan

    def state_dict(self) -> dict[str, Any]:
        """Sums and counts, for checkpoints."""
        self.read()
        return {"total": self.total, "samples": self.samples, "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.reset()
        self.total, self.samples = state["total"], state["samples"]
        self.batches = state["batches"]
