"""`Scores`: several numbers of one kind, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinynet.errors import ArgumentError


class Scores:
    """Numbers of one kind, their mean and their spread.

    >>> scores = Scores([0.9, 0.8, 0.7])
    >>> round(scores.mean, 3), round(scores.std, 3), round(scores.standard_error, 3)
    (0.8, 0.1, 0.058)
    >>> print(scores)
    0.8 +- 0.1 (standard error 0.058)
    """

    def __init__(self, values: Sequence[float]) -> None:
        if not values:
            raise ArgumentError("Scores: no values, expected at least one")
        self.values = [float(value) for value in values]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float:
        """The sample standard deviation, with n - 1; NaN for one value."""
        if len(self.values) < 2:
            return math.nan
        mean = self.mean
        return math.sqrt(math.fsum((x - mean) ** 2 for x in self.values) / (len(self.values) - 1))

    @property
    def standard_error(self) -> float:
        """The standard deviation of the mean, `std / sqrt(n)`, if the values were independent."""
        return self.std / math.sqrt(len(self.values))

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        return f"{self.mean:.4g} +- {self.std:.2g} (standard error {self.standard_error:.2g})"

    def __repr__(self) -> str:
        return f"Scores({self.values})"
