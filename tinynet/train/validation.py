"""K-fold cross-validation: how well a way of training does on data that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from tinynet.data.dataset import Dataset, Subset
from tinynet.data.splitting import KFold, StratifiedKFold
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.random import Generator
from tinynet.tensor import Tensor
from tinynet.train.scores import Scores
from tinynet.train.search.trial import as_score


class Splitter(Protocol):
    """What splits a data set: `KFold`, or a class of yours."""

    def split(self, X: Any, y: Any = None) -> Iterable[tuple[Any, Any]]:  # noqa: N803
        """Indices for training and for validation, of each fold."""
        ...


class CrossValidation:
    """The scores of all folds: `result["accuracy"]` is a `Scores`, of one metric also the result.

    `scores` (a list), `mean`, `std` and `standard_error` are those of the only metric, or of the
    first. `seconds` is what each fold took.

    Training sets of different folds overlap, so scores are not independent, and the standard error
    is too small; no estimate from one cross-validation is right (Bengio & Grandvalet 2004).
    """

    def __init__(self, metrics: Mapping[str, Sequence[float]], seconds: Sequence[float]) -> None:
        self.metrics = {name: Scores(values) for name, values in metrics.items()}
        self.seconds = list(seconds)

    @property
    def _first(self) -> Scores:
        return next(iter(self.metrics.values()))

    @property
    def scores(self) -> list[float]:
        """The score of each fold."""
        return self._first.values

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return self._first.mean

    @property
    def std(self) -> float:
        """The sample standard deviation over the folds."""
        return self._first.std

    @property
    def standard_error(self) -> float:
        """`std` divided by the root of the number of folds."""
        return self._first.standard_error

    def __getitem__(self, name: str) -> Scores:
        if name not in self.metrics:
            raise ArgumentError(
                f"CrossValidation: no metric {name!r}, expected one of {[*self.metrics]}"
            )
        return self.metrics[name]

    def __len__(self) -> int:
        return len(self.seconds)

    def __str__(self) -> str:
        lines = [["fold", *self.metrics, "seconds"]]
        for i, seconds in enumerate(self.seconds):
            values = [f"{scores.values[i]:.4g}" for scores in self.metrics.values()]
            lines.append([str(i + 1), *values, f"{seconds:.3g}"])
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = ["  ".join(map(str.rjust, line, widths)) for line in lines]
        return "\n".join(text + [f"{name}: {scores}" for name, scores in self.metrics.items()])

    def __repr__(self) -> str:
        found = ", ".join(f"{name}: {scores}" for name, scores in self.metrics.items())
        return f"CrossValidation({len(self)} folds, {found})"


def cross_validate(
    run: Callable[[Subset, Subset], Any],
    dataset: Dataset,
    folds: int | Splitter = 5,
    *,
    stratify: Tensor | Sequence[Any] | None = None,
    shuffle: bool = True,
    generator: Generator | None = None,
) -> CrossValidation:
    """Train on all folds but one and score on that one, for each of `folds` (Stone 1974).

    `run(train, validation)` is given two subsets of `dataset`. It makes a new model, trains it on
    the first, and returns its score on the second: a number (or a tensor of one), or a dict of
    numbers by name. What learns from data, normalisation included, belongs inside it.

    stratify: a label for each sample; each fold then has the classes in the same proportions.
    shuffle: whether samples are put in a random order first, drawn from `generator` (default: the
        global one). Without, folds are stretches of the data: for series.
    folds: a number, or an object with `split(X, y)`, such as a `KFold`, to which the other options
        belong then.

    Raises `ArgumentError` for a score that is no finite number. What `run` raises passes through.

    >>> import tinynet as tn
    >>> dataset = tn.data.TensorDataset(tn.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    >>> def run(train, validation):  # how far the mean of the one is from that of the other
    ...     return abs(train[:][0].mean() - validation[:][0].mean())
    >>> cross_validate(run, dataset, folds=3, shuffle=False).scores
    [3.0, 0.0, 3.0]
    """
    if not callable(run):
        raise ArgumentTypeError(
            f"cross_validate: run is {run!r:.60}, expected a function of two data sets"
        )
    splitter = _make_splitter(folds, stratify is not None, shuffle, generator)
    n = len(dataset)
    if stratify is not None and len(stratify) != n:
        raise ShapeError(
            f"cross_validate: {len(stratify)} labels to stratify by, expected {n}, one for each"
            " sample"
        )
    found: list[dict[str, float]] = []
    seconds = []
    for train, validation in splitter.split(range(n), stratify):
        start = time.perf_counter()
        value = run(_subset(dataset, train), _subset(dataset, validation))
        found.append(_as_metrics(value, found))
        seconds.append(time.perf_counter() - start)
    return CrossValidation({name: [row[name] for row in found] for name in found[0]}, seconds)


def _make_splitter(
    folds: Any, is_stratified: bool, shuffle: bool, generator: Generator | None
) -> Splitter:
    if isinstance(folds, int):
        kind = StratifiedKFold if is_stratified else KFold
        made: Splitter = kind(folds, shuffle=shuffle, generator=generator if shuffle else None)
        return made
    if isinstance(folds, str) or not hasattr(folds, "split"):
        raise ArgumentTypeError(
            f"cross_validate: folds is {folds!r:.60}, expected an int or an object with split(X, y)"
        )
    splitter: Splitter = folds
    return splitter


def _subset(dataset: Dataset, indices: Any) -> Subset:
    return Subset(dataset, indices.tolist() if hasattr(indices, "tolist") else list(indices))


def _as_metrics(value: Any, before: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The scores of a fold by name, checked."""
    who = f"cross_validate: fold {len(before) + 1}"
    if before:
        who += f" (folds before gave {[next(iter(row.values())) for row in before]})"
    values = value if isinstance(value, Mapping) else {"score": value}
    if not values or (before and set(values) != set(before[0])):
        expected = [*before[0]] if before else "at least one"
        raise ArgumentError(f"{who} returned the metrics {[*values]}, expected {expected}")
    return {name: as_score(who, values[name]) for name in (before[0] if before else values)}
