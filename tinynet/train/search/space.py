"""What a search may try: a dict of ranges and choices by the parameter's name.

Every kind says how a number in [0, 1) becomes a value (`at`), which values a grid takes (`grid`),
what is left of it around a good value (`zoomed`), and how a value is written (`write`) and read.

>>> space = {"lr": LogUniform(1e-4, 1), "width": IntegerRange(16, 64), "kind": ["relu", "tanh"]}
>>> {name: kind.at(0.5) for name, kind in check_space("search", space).items()}
{'lr': 0.01, 'width': 40, 'kind': 'tanh'}
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, DataError

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the text of an object that has none of its own


class Kind:
    """A kind of parameter; `is_log` says on what scale it is drawn."""

    is_log = False

    def at(self, fraction: float) -> Any:
        """The value below which `fraction` of all draws lie; 0 <= fraction < 1."""
        raise NotImplementedError(f"{type(self).__name__}: at is not written")

    def grid(self, points: int) -> list[Any]:
        """`points` values from one end to the other, or all if there are fewer."""
        raise NotImplementedError(f"{type(self).__name__}: grid is not written")

    def zoomed(self, best: Sequence[Any], share: float) -> Kind:
        """A range of `share` of this one's width, within it, around the first of `best`."""
        raise NotImplementedError(f"{type(self).__name__}: zoomed is not written")

    def write(self, value: Any) -> str:
        """The value as text, from which `read` makes it again."""
        return repr(value)

    def read(self, text: str) -> Any:
        """The value that was written; `ValueError` for another text."""
        raise NotImplementedError(f"{type(self).__name__}: read is not written")


class Choice(Kind):
    """One of some values of any type: texts, numbers, classes, functions, tuples, ...

    In tables a class or function stands by its name, what else is no text by its `repr`.

    >>> Choice("relu", "tanh").at(0.7)
    'tanh'
    """

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ArgumentError("Choice: no values, expected at least one")
        self.values = values
        self.labels = [label(value) for value in values]
        for text in self.labels:
            if ADDRESS.search(text):
                raise ArgumentError(
                    f"Choice: {text:.60} is another text in each process, expected values that"
                    " read the same; choose among names, and look the value up in the objective"
                )
        if len(set(self.labels)) < len(self.labels):
            raise ArgumentError(
                f"Choice: values that read the same in a table: {self.labels}, expected distinct"
                " ones; choose among names, and look the value up in the objective"
            )

    def at(self, fraction: float) -> Any:  # noqa: D102
        return self.values[int(fraction * len(self.values))]

    def grid(self, points: int) -> list[Any]:
        """All values, however many `points` there shall be."""
        return list(self.values)

    def zoomed(self, best: Sequence[Any], share: float) -> Choice:
        """Those values that are among `best`."""
        wanted = {label(value) for value in best}
        kept = [value for value, name in zip(self.values, self.labels) if name in wanted]
        return Choice(*kept)

    def write(self, value: Any) -> str:  # noqa: D102
        return label(value)

    def read(self, text: str) -> Any:  # noqa: D102
        if text not in self.labels:
            raise ValueError(f"{text!r} is none of {self.labels}")
        return self.values[self.labels.index(text)]

    def __repr__(self) -> str:
        return f"Choice({', '.join(self.labels)})"


class Uniform(Kind):
    """Real numbers from `low` to `high`, each as likely.

    >>> Uniform(0, 0.5).grid(3)
    [0.0, 0.25, 0.5]
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = _checked_ends(type(self).__name__, low, high)

    def at(self, fraction: float) -> float:  # noqa: D102
        low, high = self._scaled(self.low), self._scaled(self.high)
        return min(max(self._unscaled(low + fraction * (high - low)), self.low), self.high)

    def grid(self, points: int) -> list[float]:  # noqa: D102
        if points == 1:
            return [self.at(0.5)]
        inner = [self.at(i / (points - 1)) for i in range(1, points - 1)]
        return [self.low, *inner, self.high]

    def zoomed(self, best: Sequence[Any], share: float) -> Uniform:  # noqa: D102
        ends = self._scaled(self.low), self._scaled(self.high)
        low, high = window(*ends, self._scaled(best[0]), share)
        return type(self)(max(self._unscaled(low), self.low), min(self._unscaled(high), self.high))

    def read(self, text: str) -> float:  # noqa: D102
        return float(text)

    def _scaled(self, value: float) -> float:
        return value

    def _unscaled(self, value: float) -> float:
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.low:g}, {self.high:g})"


class LogUniform(Uniform):
    """Real numbers from `low` > 0 to `high`, each order of magnitude as likely.

    For rates and penalties, of which one does not know the order (Bergstra & Bengio 2012).

    >>> LogUniform(1e-3, 1e-1).at(0.5)
    0.01
    """

    is_log = True

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high)
        check_log("LogUniform", self.low)

    def _scaled(self, value: float) -> float:
        return math.log10(value)

    def _unscaled(self, value: float) -> float:
        return float(10.0**value)


class IntegerRange(Kind):
    """Whole numbers from `low` to `high`, both included, `step` apart; with `log`, orders alike.

    >>> IntegerRange(1, 9, step=2).grid(10)
    [1, 3, 5, 7, 9]
    >>> IntegerRange(1, 1000, log=True).at(0.5)
    22
    """

    def __init__(self, low: int, high: int, step: int = 1, *, log: bool = False) -> None:
        for name, value in (("low", low), ("high", high), ("step", step)):
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise ArgumentTypeError(f"IntegerRange: {name} is {value!r}, expected an int")
        low, high, step = int(low), int(high), int(step)
        _checked_ends("IntegerRange", low, high)
        if step < 1 or (log and step != 1):
            raise ArgumentError(
                f"IntegerRange: step is {step}, expected 1{'' if log else ' or more'}"
            )
        if log:
            check_log("IntegerRange", low)
        self.low, self.step, self.is_log = low, step, log
        self.high = high - (high - low) % step

    def at(self, fraction: float) -> int:  # noqa: D102
        if not self.is_log:
            return self.low + self.step * int(fraction * len(self))
        low, high = math.log10(self.low - 0.5), math.log10(self.high + 0.5)
        return self._nearest(10.0 ** (low + fraction * (high - low)))

    def grid(self, points: int) -> list[int]:  # noqa: D102
        if points >= len(self):
            return [*range(self.low, self.high + 1, self.step)]
        real = (LogUniform if self.is_log else Uniform)(self.low, self.high)
        return sorted({self._nearest(value) for value in real.grid(points)})

    def zoomed(self, best: Sequence[Any], share: float) -> IntegerRange:  # noqa: D102
        low, high = self.low, self.high
        if self.is_log:
            ends = window(math.log10(low), math.log10(high), math.log10(best[0]), share)
            first, last = (self._nearest(10.0**end) for end in ends)
        else:
            first, last = map(self._nearest, window(low, high, best[0], share))
        return IntegerRange(min(first, best[0]), max(last, best[0]), self.step, log=self.is_log)

    def read(self, text: str) -> int:  # noqa: D102
        return int(text)

    def _nearest(self, value: float) -> int:
        """The number of this range that is nearest to a real one."""
        steps = round((value - self.low) / self.step)
        return min(max(self.low + self.step * steps, self.low), self.high)

    def __len__(self) -> int:
        return (self.high - self.low) // self.step + 1

    def __repr__(self) -> str:
        step = f", step={self.step}" if self.step > 1 else ""
        return f"IntegerRange({self.low}, {self.high}{step}{', log=True' if self.is_log else ''})"


def check_space(op: str, space: Any, reserved: Sequence[str] = ()) -> dict[str, Kind]:
    """The space with `Choice` for each list; raises for what is none, or has `reserved` names."""
    if not isinstance(space, Mapping):
        raise ArgumentTypeError(
            f"{op}: space is a {type(space).__name__}, expected a dict of ranges by name"
        )
    if not space:
        raise ArgumentError(f"{op}: the space is empty, expected at least one parameter")
    checked = {}
    for name, kind in space.items():
        if not isinstance(name, str) or len(name.splitlines()) != 1 or name in reserved:
            raise ArgumentError(
                f"{op}: a parameter is named {name!r}, expected a text of one line that is none of"
                f" the results' own columns {[*reserved]}"
            )
        checked[name] = _as_kind(op, name, kind)
    return checked


def _as_kind(op: str, name: str, kind: Any) -> Kind:
    if isinstance(kind, Kind):
        return kind
    if isinstance(kind, list | tuple | range):
        if not kind:
            raise ArgumentError(f"{op}: parameter {name!r} has no choices, expected at least one")
        return Choice(*kind)
    raise ArgumentTypeError(
        f"{op}: parameter {name!r} is {kind!r:.60} of type {type(kind).__name__}, expected a list"
        " of choices, Choice, Uniform, LogUniform or IntegerRange"
    )


def label(value: Any) -> str:
    """How a choice reads in a table, on one line."""
    name = value if isinstance(value, str) else getattr(value, "__name__", None)
    return " ".join((name if isinstance(name, str) else repr(value)).splitlines())


def shown(value: Any) -> str:
    """A value as people read it: numbers with four digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else label(value)


def window(low: float, high: float, center: float, share: float) -> tuple[float, float]:
    """The ends of `share` of a range around `center`, moved into the range where they leave it.

    >>> window(0, 10, 9, 0.5)
    (5.0, 10.0)
    """
    width = (high - low) * share
    start = min(max(center - width / 2, low), high - width)
    return start, start + width


def check_log(op: str, low: float) -> None:
    """Raise for a range that has no logarithm."""
    if low <= 0:
        raise ArgumentError(f"{op}: low is {low:g}, expected more than 0 on a log scale")


def _checked_ends(op: str, low: Any, high: Any) -> tuple[float, float]:
    for name, value in (("low", low), ("high", high)):
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise ArgumentTypeError(f"{op}: {name} is {value!r}, expected a number")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ArgumentError(f"{op}: from {low} to {high}, expected finite low <= high")
    return float(low), float(high)


def read_value(kind: Kind, text: str, place: str) -> Any:
    """A parameter's value from a file; `DataError` naming the place for what is none."""
    try:
        return kind.read(text)
    except ValueError as error:
        raise DataError(f"{place}: {error}, expected a value of {kind!r}") from error
