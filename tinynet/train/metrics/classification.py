"""How often a classifier is right."""

from __future__ import annotations

from tinynet.dtype import bool_, int64
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.ops.creation import arange, zeros
from tinynet.ops.operands import as_number
from tinynet.shape import as_integer
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
        counted = None if target.is_floating_point() else classes != self.ignore_index
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
        classes = target.to(int64)
        return classes, (classes < 0) | (classes >= output.shape[1])


class TopK(Accuracy):
    """The share of samples whose target is among the `k` classes with the largest outputs.

    Takes what `Accuracy` takes. Of equal outputs the first ones are taken, so a model that gives
    all classes the same is right for `k` of them. A NaN is larger than all other outputs, and never
    right. Raises `ArgumentError` where there are fewer than `k` classes.

    >>> import tinynet as tn
    >>> metric = TopK(2)
    >>> metric.update(tn.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), tn.tensor([1, 2]))
    >>> metric.name, metric.compute()
    ('top_2_accuracy', 0.5)
    """

    def __init__(self, k: int, name: str | None = None, *, ignore_index: int = -100) -> None:
        k = as_integer("TopK", "k", k)
        if k < 1:
            raise ArgumentError(f"TopK: k must be at least 1, got {k}")
        super().__init__(f"top_{k}_accuracy" if name is None else name, ignore_index=ignore_index)
        self.k = k

    def is_right(self, output: Tensor, classes: Tensor) -> Tensor:
        """For each sample, whether fewer than `k` classes come before the target."""
        n_classes = output.shape[1]
        if n_classes < self.k:
            raise ArgumentError(
                f"TopK.update: output has {n_classes} classes, expected at least k={self.k}"
            )
        places = classes.unsqueeze(1)
        own = output.gather(1, places.clamp(0, n_classes - 1))
        numbers = arange(n_classes, device=output.device).reshape(1, -1, *[1] * (output.ndim - 2))
        comes_before = (output <= own).logical_not() | (output.eq(own) & (numbers < places))
        return comes_before.sum(1).lt(self.k) & own.squeeze(1).isnan().logical_not()


class BinaryAccuracy(_Share):
    """The share of samples for which the output is above `threshold` just where the target is 1.

    `output`: floats of any shape, probabilities, or scores if `threshold` is 0. `target`: zeros and
    ones of that shape, of any dtype.

    >>> import tinynet as tn
    >>> accuracy = BinaryAccuracy()
    >>> accuracy.update(tn.tensor([0.2, 0.7, 0.9]), tn.tensor([0.0, 0.0, 1.0]))
    >>> round(accuracy.compute(), 3)
    0.667
    """

    expected = "zeros and ones"

    def __init__(self, threshold: float = 0.5, name: str = "accuracy") -> None:
        super().__init__(name)
        self.threshold = as_number("BinaryAccuracy", "threshold", threshold)

    def add(self, output: Tensor, target: Tensor) -> None:
        """Count a batch."""
        self.require_shape("target", target.shape, output.shape)
        is_one = target == 1
        invalid = (is_one | (target == 0)).logical_not()
        self.count((output > self.threshold) == is_one, None, invalid)
