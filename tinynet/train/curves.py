"""How histories look in notebooks: small curves, and a table."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinynet.train.history import History

VALIDATION = "validation_"  # what a quantity's name begins with if validation data gave it
WIDTH, HEIGHT, MARGIN = 240, 120, 14
COLOURS = {"": "#0072b2", VALIDATION: "#d55e00"}  # of Okabe & Ito (2008)
SHOWN = 20  # rows of the table: the first and the last ones

Points = list[tuple[int, float]]


def history_html(history: History) -> str:
    """A history for a notebook: a curve for each quantity, validation's in orange; the table."""
    if not history.names:
        return f"<div>History: {len(history)} epochs</div>"
    quantities = dict.fromkeys(name.removeprefix(VALIDATION) for name in history.names)
    pictures = "".join(_picture(history, name) for name in quantities)
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{pictures}</div>{_table(history)}'


def _picture(history: History, quantity: str) -> str:
    """A quantity's curves: an inline SVG with its smallest and its largest value."""
    curves = {
        prefix: [(i, y) for i, y in enumerate(history[prefix + quantity]) if math.isfinite(y)]
        for prefix in COLOURS
        if prefix + quantity in history
    }
    values = [y for points in curves.values() for _, y in points]
    title = html.escape(quantity)
    hint = " (orange: validation)" if len(curves) > 1 else ""
    if not values:
        return f"<figure style='margin:0'><figcaption>{title}: no numbers</figcaption></figure>"
    low, high = min(values), max(values)
    lines = "".join(
        f'<polyline fill="none" stroke="{COLOURS[prefix]}" stroke-width="1.5" '
        f'points="{_path(points, len(history), low, high)}"/>'
        for prefix, points in curves.items()
    )
    return (
        f'<figure style="margin:0"><figcaption>{title}{hint}</figcaption>'
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title} by epoch">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff" stroke="#ccc"/>{lines}'
        f'<g font-size="10" fill="#444"><text x="3" y="10">{high:.4g}</text>'
        f'<text x="3" y="{HEIGHT - 3}">{low:.4g}</text></g></svg></figure>'
    )


def _path(points: Points, n: int, low: float, high: float) -> str:
    """Points in pixels; a single one is drawn as a short line."""
    across = (WIDTH - 2 * MARGIN) / max(n - 1, 1)
    up = (HEIGHT - 2 * MARGIN) / ((high - low) or 1.0)
    places = [(MARGIN + i * across, HEIGHT - MARGIN - (y - low) * up) for i, y in points]
    if len(places) == 1:
        places.append((places[0][0] + 3, places[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _table(history: History) -> str:
    names = history.names
    numbers = list(range(len(history)))
    if len(numbers) > SHOWN:
        numbers = [*numbers[: SHOWN // 2], -1, *numbers[-SHOWN // 2 :]]
    rows = ["".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *names))]
    for i in numbers:
        cells = ["..."] * (len(names) + 1)
        if i >= 0:
            row = history.rows[i]
            cells = [str(i + 1), *(f"{row[x]:.5g}" if x in row else "" for x in names)]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
