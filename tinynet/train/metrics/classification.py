"""How often a classifier is right."""

from __future__ import annotations

from tinynet.dtype import bool_, int64
from tinynet.errors import DTypeError, ShapeError
from tinynet.ops.creation import zeros
from tinynet.tensor import Tensor
from tinynet.train.metrics.base import Metric
from tinynet.train.metrics.sums import State


class _Share(Metric):
    """Base of metrics that are a share of the samples: how many of them are right."""

    expected = "other ones"  # what valid targets are

    def make_state(self, device: str | None) -> State:
        """Counts: of what is right, of all, and of invalid targets."""
        names = ("right", "total", "invalid")
        return {name: zeros((), dtype=int64, device=device) for name in names}

    def count(self, right: Tensor, counted: Tensor | None, invalid: Tensor) -> None:
        """Take a batch in: tensors of bools, one for each sample; None for all of them."""
        state = self.state
        if counted is None:
            state["right"].add_(right.sum())
            state["total"].add_(right.numel())
        else:
            state["right"].add_((right & counted).sum())
            state["total"].add_(counted.sum())
        state["invalid"].add_(invalid.sum())

    def compute(self) -> float:
        """The share, 0 to 1. Raises `StateError` without samples, `DimError` for bad targets."""
        counts = {name: int(x.item()) for name, x in self.state.items()}
        self.require_valid(counts.get("invalid", 0), self.expected)
        self.require_updates(counts.get("total", 0))
        return counts["right"] / counts["total"]


class Accuracy(_Share):
    """The share of samples whose largest output is at the target's class.

    `output`: scores or probabilities (n, classes) or (n, classes, d1, ...). `target`: class indices
    of that shape without the dim of classes, or probabilities of the output's shape, whose largest
    counts. Targets equal to `ignore_index` do not count. Where several outputs are largest, the
    first is taken.

    >>> import tinynet as tn
    >>> accuracy = Accuracy()
    >>> accuracy.update(tn.tensor([[0.1, 0.9], [0.8, 0.2]]), tn.tensor([1, 1]))
    >>> accuracy.compute()
    0.5
    """

    def __init__(self, name: str = "accuracy", *, ignore_index: int = -100) -> None:
        super().__init__(name)
        self.ignore_index = ignore_index
        self.expected = "class indices from 0 to less than the output's classes"

    def add(self, output: Tensor, target: Tensor) -> None:
        """Count a batch."""
        classes, invalid = self.read_classes(output, target)
        counted = classes != self.ignore_index if target is classes else None
        if counted is not None:
            invalid = invalid & counted
        self.count(self.is_right(output, classes), counted, invalid)

    def is_right(self, output: Tensor, classes: Tensor) -> Tensor:
        """For each sample, whether it is; bools."""
        return output.argmax(1).eq(classes)

    def read_classes(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The target's classes, and where they are none."""
        if output.ndim < 2 or not output.is_floating_point():
            raise ShapeError(
                f"{self._op}.update: output is {output.dtype} of shape {output.shape}, expected "
                "floats of shape (n, classes) or (n, classes, d1, ...)"
            )
        if target.is_floating_point():
            self.require_shape("target of probabilities", target.shape, output.shape)
            return target.argmax(1), target.isnan().any(1)
        if target.dtype is bool_:
            raise DTypeError(f"{self._op}.update: target is {target.dtype}, expected class indices")
        self.require_shape("target", target.shape, (output.shape[0], *output.shape[2:]))
        return target, (target < 0) | (target >= output.shape[1])
