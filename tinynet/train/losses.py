"""The mean loss of an epoch, gathered on the device: no step waits for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.dtype import int64
from tinynet.ops.creation import zeros
from tinynet.tensor import Tensor
from tinynet.train.metrics.sums import State, add_to_sum, make_sum, read_sum


class RunningLoss:
    """The mean of batches' losses, weighted by their sizes.

    `add` is made of Tensor operations that write in place, to be part of a recorded step; `count`
    goes with each. Together with the sum the device counts the batches after which it was finite:
    that tells which batch's loss was the first that was not.

    >>> import tinynet as tn
    >>> running = RunningLoss("cpu")
    >>> for loss, size in ((1.0, 3), (5.0, 1)):
    ...     running.add(tn.tensor(loss), size)
    ...     running.count(size)
    >>> running.mean()
    2.0
    """

    def __init__(self, device: str) -> None:
        self.state: State = {
            **make_sum("total", (), device),
            "finite": zeros((), dtype=int64, device=device),
        }
        self.samples = 0
        self.batches = 0

    def reset(self) -> None:
        """Forget all losses."""
        for x in self.state.values():
            x.zero_()
        self.samples = self.batches = 0

    def add(self, loss: Tensor, size: int) -> None:
        """Take in the loss, 0-d, of a batch of `size` samples, on the device."""
        with no_grad():
            total = self.state["total"]
            add_to_sum(self.state, "total", loss.detach().to(total.dtype) * float(size))
            self.state["finite"].add_(total.isfinite())

    def count(self, size: int) -> None:
        """Count that batch on the host."""
        self.samples += size
        self.batches += 1

    def mean(self) -> float:
        """The mean so far, NaN without any; waits for the device."""
        return float(read_sum(self.state, "total")) / self.samples if self.samples else math.nan

    def find_bad(self) -> int | None:
        """The number, from 1 on, of the first batch with a loss of NaN or infinity."""
        finite = int(self.state["finite"].item())
        return finite + 1 if finite < self.batches else None

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything, for checkpoints."""
        sums = {name: x.clone() for name, x in self.state.items()}
        return {"samples": self.samples, "batches": self.batches, "sums": sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.samples, self.batches = state["samples"], state["batches"]
        for name, x in self.state.items():
            x.copy_(state["sums"][name])
