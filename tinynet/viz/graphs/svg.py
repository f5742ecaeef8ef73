"""A graph as an SVG drawing."""

from __future__ import annotations

import html
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from tinynet.viz.graphs.layout import Layout, Point, lay_out
from tinynet.viz.graphs.texts import COLOURS, ROUND, printable

if TYPE_CHECKING:
    from tinynet.viz.graphs.model import Graph, Vertex

LETTER = 6.4  # the width of one, about, at 11 pixels
LINE = 15.0
PADDING = 8.0
MARGIN = 12.0
LONGEST = 42  # letters of a line; the tooltip has them all
STYLE = """
text { font: 11px Helvetica, Arial, sans-serif; text-anchor: middle; fill: #111; }
.label { font-weight: bold; } .note { fill: #444; }
.edge { fill: none; stroke: #888; stroke-width: 1.1; }
"""


def draw(graph: Graph) -> str:
    """The whole drawing, as a file of its own."""
    return "\n".join(elements(graph, standalone=True)) + "\n"


def elements(graph: Graph, *, standalone: bool) -> Iterator[str]:
    """The lines of the drawing. For the page, tooltips are the page's and the size is free."""
    sizes = [_size(vertex) for vertex in graph.vertices]
    layout = lay_out(sizes, graph.edges)
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    size = f' width="{width:.0f}" height="{height:.0f}"' if standalone else ' id="drawing"'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg"{size} viewBox="0 0 {width:.1f} {height:.1f}" '
        f'role="img" aria-label="{_text(graph.title)}">'
    )
    yield f"<style>{STYLE}</style>"
    yield (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#888"/></marker></defs>'
    )
    yield f'<g id="view"><g transform="translate({MARGIN},{MARGIN})">'
    yield from _edges(graph, layout)
    for i, (vertex, size_of, point) in enumerate(zip(graph.vertices, sizes, layout.points)):
        yield _vertex(i, vertex, size_of, point, has_title=standalone)
    yield "</g></g></svg>"


def _size(vertex: Vertex) -> Point:
    lines = _lines(vertex)
    longest = max(map(len, lines))
    return longest * LETTER + 2 * PADDING, len(lines) * LINE + PADDING


def _lines(vertex: Vertex) -> list[str]:
    lines = [printable(x) for x in (vertex.label or vertex.name, vertex.note) if x]
    return [x if len(x) <= LONGEST else x[: LONGEST - 1] + "…" for x in lines]


def _edges(graph: Graph, layout: Layout) -> Iterator[str]:
    for (a, b), route in zip(graph.edges, layout.routes):
        yield (
            f'<path class="edge" data-from="{a}" data-to="{b}" d="{_curve(route)}" '
            'marker-end="url(#arrow)"/>'
        )


def _curve(route: list[Point]) -> str:
    """Through all points, vertical in each."""
    text = f"M{route[0][0]:.1f},{route[0][1]:.1f}"
    for (x, y), (u, v) in pairwise(route):
        middle = (y + v) / 2
        text += f" C{x:.1f},{middle:.1f} {u:.1f},{middle:.1f} {u:.1f},{v:.1f}"
    return text


def _vertex(number: int, vertex: Vertex, size: Point, point: Point, *, has_title: bool) -> str:
    fill, stroke = COLOURS[vertex.kind]
    (w, h), (x, y) = size, point
    round_by = h / 2 if vertex.kind in ROUND else 3
    first = y - h / 2 + PADDING / 2 + LINE * 0.75
    texts = "".join(
        f'<text class="{kind}" x="{x:.1f}" y="{first + LINE * i:.1f}">{_text(line)}</text>'
        for i, (kind, line) in enumerate(zip(("label", "note"), _lines(vertex)))
    )
    title = "\n".join(f"{key}: {value}" for key, value in vertex.details)
    tooltip = f"<title>{_text(title)}</title>" if has_title and title else ""
    return (
        f'<g class="vertex {vertex.kind}" data-n="{number}">{tooltip}<rect x="{x - w / 2:.1f}" '
        f'y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{round_by:.1f}" fill="{fill}" '
        f'stroke="{stroke}"/>{texts}</g>'
    )


def _text(text: str) -> str:
    return "\n".join(html.escape(printable(line)) for line in text.split("\n"))
