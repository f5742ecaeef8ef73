"""Figures of a search's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinynet.errors import ArgumentError, MissingDependencyError
from tinynet.train.search.space import Choice, label

if TYPE_CHECKING:
    from tinynet.train.search.table import SearchResults

INCHES = 3.2  # the side of an axes
COLUMNS = 3


def plot_results(results: SearchResults) -> Any:
    """A figure with an axes for each parameter: the trials' scores against its values."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "SearchResults.plot: matplotlib is not installed, expected it:"
            " pip install 'tinynet[viz]'"
        ) from error
    names = results.names
    if not names:
        raise ArgumentError("SearchResults.plot: no trials, expected at least one")
    n_columns = min(len(names), COLUMNS)
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(INCHES * n_columns + 1, INCHES * n_rows), layout="constrained")
    all_axes = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    for axes, name in zip(all_axes.flat, names):
        _plot_parameter(axes, results, name)
    for axes in all_axes.flat[len(names) :]:
        axes.set_axis_off()
    for axes in all_axes[:, 0]:
        axes.set_ylabel("score")
    figure.align_ylabels()
    return figure


def _plot_parameter(axes: Any, results: SearchResults, name: str) -> None:
    kind = None if results.space is None else results.space[name]
    ranked = results.ranked()
    values = [row.parameters[name] for row in [*ranked, *results.failed]]
    has_labels = isinstance(kind, Choice) or not all(_is_number(value) for value in values)
    places: Sequence[Any] = values
    if has_labels:
        labels = kind.labels if isinstance(kind, Choice) else sorted({label(v) for v in values})
        places = [labels.index(label(value)) for value in values]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    elif kind is not None and kind.is_log:
        axes.set_xscale("log")
    n = len(ranked)
    scores = [row.score for row in ranked]
    shades = [_depth(row) for row in ranked]
    axes.scatter(
        places[:n], scores, c=shades, cmap="viridis_r", s=22, edgecolors="black", linewidths=0.4
    )
    if ranked:
        axes.plot(places[0], scores[0], "*", color="red", markersize=14, markeredgecolor="black")
    if results.failed:
        bottom = axes.get_xaxis_transform()  # x in values, y in parts of the axes
        axes.plot(places[n:], [0] * (len(places) - n), "|", color="red", transform=bottom, ms=14)
    axes.set_xlabel(name)


def _depth(row: Any) -> float:
    """How late in the search a trial was."""
    return float(row.trial.round)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
