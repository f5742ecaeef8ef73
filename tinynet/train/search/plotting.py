"""Figures of a search's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinynet.errors import ArgumentError, MissingDependencyError
from tinynet.train.search.space import Choice, label

if TYPE_CHECKING:
    from tinynet.train.search.table import SearchResults

INCHES = 3.2  # the side of an axes
COLUMNS = 3


def plot_results(results: SearchResults, is_log: bool = False) -> Any:
    """A figure with an axes for each parameter: the trials' scores against its values."""
    try:
        from matplotlib import colormaps
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "SearchResults.plot: matplotlib is not installed, expected it:"
            " pip install 'tinynet[viz]'"
        ) from error
    names = results.names
    if not names:
        raise ArgumentError("SearchResults.plot: no trials, expected at least one")
    rounds = _rounds(results)
    shades = colormaps["viridis_r"]
    colors = {round_: shades(i / max(1, len(rounds) - 1)) for i, round_ in enumerate(rounds)}
    n_columns = min(len(names), COLUMNS)
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(INCHES * n_columns + 1, INCHES * n_rows), layout="constrained")
    all_axes = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    for axes, name in zip(all_axes.flat, names):
        _plot_parameter(axes, results, name, colors)
    for axes in all_axes.flat[len(names) :]:
        axes.set_axis_off()
    for axes in all_axes[:, 0]:
        axes.set(ylabel="score", yscale="log" if is_log else "linear")
    figure.align_ylabels()
    _add_legend(figure, results, colors)
    return figure


def _plot_parameter(
    axes: Any, results: SearchResults, name: str, colors: Mapping[int, Any]
) -> None:
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
    for round_ in _rounds(results):
        of_round = [i for i, row in enumerate(ranked) if row.trial.round == round_]
        axes.scatter(
            [places[i] for i in of_round],
            [ranked[i].score for i in of_round],
            color=colors[round_],
            s=22,
            edgecolors="black",
            linewidths=0.4,
        )
    if ranked:
        axes.plot(places[0], ranked[0].score, "*", color="red", ms=14, markeredgecolor="black")
    if results.failed:
        bottom = axes.get_xaxis_transform()  # x in values, y in parts of the axes
        failed = places[len(ranked) :]
        axes.plot(failed, [0] * len(failed), "|", color="red", transform=bottom, ms=14)
    axes.set_xlabel(name)


def _rounds(results: SearchResults) -> list[int]:
    """The rounds in which a trial succeeded, the first one first, so that later ones lie above."""
    return sorted({row.trial.round for row in results.ranked()})


def _add_legend(figure: Any, results: SearchResults, colors: Mapping[int, Any]) -> None:
    """What the colors of rounds and the red marks mean, where there are several of them."""
    from matplotlib.lines import Line2D

    budgets = {row.trial.round: row.trial.budget for row in results}
    marks = []
    for round_ in _rounds(results) if len(_rounds(results)) > 1 else []:
        budget = budgets[round_]
        name = f"round {round_ + 1}" if budget is None else f"budget {budget:g}"
        marks.append(Line2D([], [], marker="o", linestyle="", color=colors[round_], label=name))
    if results.failed:
        marks.append(Line2D([], [], marker="|", linestyle="", color="red", ms=14, label="failed"))
    if marks:
        figure.legend(handles=marks, loc="outside right upper")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
