"""Which classes are taken for which: `ConfusionMatrix`, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.dtype import int64
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import zeros
from tinynet.ops.operands import as_number
from tinynet.shape import as_integer
from tinynet.tensor import Tensor
from tinynet.train.metrics.base import Metric
from tinynet.train.metrics.sums import State
from tinynet.viz.figures import make_figure

AVERAGES = ("macro", "weighted", "micro", "binary")
READABLE = 20  # classes up to which a figure shows numbers


class ConfusionMatrix(Metric):
    """How often each class was taken for each: rows are targets, columns predictions.

    `output`: scores (n, n_classes) or (n, n_classes, d1, ...), whose largest is the prediction; or
    predicted classes as integers, of the target's shape; or, of two classes, a number for each
    sample, which stands for class 1 if it is above `threshold`. `target`: class indices, or
    probabilities of the scores' shape. Targets equal to `ignore_index` do not count.

    As a metric it is the accuracy. Where a division by zero is asked for (a class that was never
    predicted has no precision), the result is 0.

    >>> import tinynet as tn
    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update(tn.tensor([0, 1, 1, 1]), tn.tensor([0, 0, 1, 1]))
    >>> matrix.counts()
    array([[1, 1],
           [0, 2]])
    >>> matrix.recall()
    array([0.5, 1. ])
    """

    def __init__(
        self,
        n_classes: int,
        name: str = "matrix_accuracy",
        *,
        threshold: float = 0.5,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(name)
        n_classes = as_integer(self._op, "n_classes", n_classes)
        if n_classes < 2:
            raise ArgumentError(f"{self._op}: n_classes must be at least 2, got {n_classes}")
        self.n_classes = n_classes
        self.threshold = as_number(self._op, "threshold", threshold)
        self.ignore_index = ignore_index

    def make_state(self, device: str | None) -> State:
        """Counts: all cells in a row, then what is invalid, then what is ignored."""
        return {"cells": zeros(self.n_classes**2 + 2, dtype=int64, device=device)}

    def add(self, output: Tensor, target: Tensor) -> None:
        """Count a batch."""
        n = self.n_classes
        predicted, expected, is_valid = self.read_classes(output, target)
        is_valid = is_valid & (predicted >= 0) & (predicted < n)
        cell = where(is_valid, expected * n + predicted, n * n)
        if not target.is_floating_point():
            cell = where(expected == self.ignore_index, n * n + 1, cell)
        cell = cell.reshape(-1)
        ones = cell.new_ones(cell.shape)
        self.state["cells"].index_put_((cell,), ones, accumulate=True)

    def read_classes(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicted and expected classes, and where the latter are some."""
        n = self.n_classes
        if output.is_floating_point() and output.ndim > 1 and output.shape[1] == n:
            predicted = output.argmax(1)
            if target.is_floating_point():
                self.require_shape("target of probabilities", target.shape, output.shape)
                return predicted, target.argmax(1), target.isnan().any(1).logical_not()
        elif output.is_floating_point() and n == 2:
            predicted = (output > self.threshold).to(int64)
            if target.is_floating_point():
                self.require_shape("target", target.shape, output.shape)
                return predicted, (target == 1).to(int64), (target == 1) | (target == 0)
        elif output.is_floating_point():
            raise ShapeError(
                f"{self._op}.update: output has shape {output.shape}, expected (n, {n}) or "
                f"(n, {n}, d1, ...)"
            )
        else:
            predicted = output.to(int64)
        self.require_shape("target", target.shape, predicted.shape)
        expected = target.to(int64)
        is_valid = (expected >= 0) & (expected < n)
        if target.is_floating_point():
            is_valid = is_valid & (target == expected)
        return predicted, expected, is_valid

    # What it says
    def counts(self) -> NDArray[np.int64]:
        """The matrix, (n_classes, n_classes). Raises `DimError` for classes out of range."""
        n = self.n_classes
        cells = self.state["cells"].cpu().numpy() if self.state else np.zeros(n * n + 2, np.int64)
        self.require_valid(int(cells[n * n]), f"classes from 0 to {n - 1}, and such predictions")
        self.require_updates(int(cells[: n * n].sum()))
        return cells[: n * n].reshape(n, n).astype(np.int64)

    def accuracy(self) -> float:
        """The share of samples on the diagonal."""
        counts = self.counts()
        return float(np.trace(counts) / counts.sum())

    def compute(self) -> float:
        """The accuracy. Raises `StateError` without samples."""
        return self.accuracy()

    def precision(self) -> NDArray[np.float64]:
        """For each class, the share of those taken for it that are of it."""
        counts = self.counts()
        return _divide(np.diagonal(counts), counts.sum(0))

    def recall(self) -> NDArray[np.float64]:
        """For each class, the share of its samples that were found."""
        counts = self.counts()
        return _divide(np.diagonal(counts), counts.sum(1))

    def f1(self) -> NDArray[np.float64]:
        """For each class, the harmonic mean of precision and recall."""
        counts = self.counts()
        return _divide(2 * np.diagonal(counts), counts.sum(0) + counts.sum(1))

    def draw(self, names: Sequence[str] | None = None, *, normalize: bool = False) -> Any:
        """A matplotlib figure; `names` of the classes; `normalize` makes rows sum to 1."""
        n = self.n_classes
        if names is not None and len(names) != n:
            raise ArgumentError(f"{self._op}.draw: {len(names)} names, expected {n}")
        counts = self.counts()
        shares = _divide(counts, counts.sum(1, keepdims=True))
        shown = shares if normalize else counts
        figure = make_figure(f"{self._op}.draw", 1, 1)
        if n > 8:
            figure.set_size_inches(*2 * [min(0.5 * n, 10.0)])
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)  # colours compare within a row
        labels = range(n) if names is None else names
        if n <= READABLE:
            for (i, j), value in np.ndenumerate(shown):
                text = f"{value:.2f}" if normalize else str(value)
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
        if n <= READABLE or names is not None:
            axes.set_xticks(range(n), labels, rotation=0 if names is None else 90)
            axes.set_yticks(range(n), labels)
        axes.set(xlabel="predicted", ylabel="target", title=f"accuracy {self.accuracy():.4f}")
        return figure


class _Averaged(ConfusionMatrix):
    """Base of what each class has, made one number.

    `average`: "macro" is the mean of all `n_classes`, "weighted" that weighted by the classes'
    numbers of targets, "micro" the accuracy, "binary" the value of class 1 of two. As scikit-learn
    with `labels=range(n_classes)` and `zero_division=0`.
    """

    def __init__(
        self,
        n_classes: int,
        name: str | None = None,
        *,
        average: str = "macro",
        threshold: float = 0.5,
        ignore_index: int = -100,
    ) -> None:
        default = type(self).__name__.lower()
        super().__init__(
            n_classes,
            default if name is None else name,
            threshold=threshold,
            ignore_index=ignore_index,
        )
        if average not in AVERAGES:
            raise ArgumentError(f"{self._op}: average {average!r}, expected one of {AVERAGES}")
        if average == "binary" and n_classes != 2:
            raise ArgumentError(f"{self._op}: {n_classes} classes, expected 2 for average='binary'")
        self.average = average

    def of_each_class(self) -> NDArray[np.float64]:
        """What is averaged."""
        raise NotImplementedError(f"{type(self).__name__} has no of_each_class, expected one")

    def compute(self) -> float:
        """The average. Raises `StateError` without samples."""
        if self.average == "micro":
            return self.accuracy()
        values = self.of_each_class()
        if self.average == "binary":
            return float(values[1])
        weights = self.counts().sum(1) if self.average == "weighted" else None
        return float(np.average(values, weights=weights))


class Precision(_Averaged):
    """`ConfusionMatrix.precision`, averaged.

    `average`: "macro" (the mean of all classes), "weighted" (by their numbers of targets), "micro"
    (the accuracy), or "binary" (class 1 of two).
    """

    def of_each_class(self) -> NDArray[np.float64]:
        """Precision."""
        return self.precision()


class Recall(_Averaged):
    """`ConfusionMatrix.recall`, averaged as `Precision` is."""

    def of_each_class(self) -> NDArray[np.float64]:
        """Recall."""
        return self.recall()


class F1(_Averaged):
    """`ConfusionMatrix.f1`, averaged as `Precision` is.

    >>> import tinynet as tn
    >>> score = F1(2, average="binary")
    >>> score.update(tn.tensor([0.9, 0.2, 0.7]), tn.tensor([1, 1, 0]))
    >>> score.compute()
    0.5
    """

    def of_each_class(self) -> NDArray[np.float64]:
        """F1."""
        return self.f1()


def _divide(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """`part / whole`, 0 where that is 0 / 0."""
    quotient: NDArray[np.float64] = part / np.maximum(whole, 1)
    return quotient
