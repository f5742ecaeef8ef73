"""A graph as text: DOT (graphviz), Mermaid, a table for terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinynet.viz.graphs.model import Graph, Vertex

# by kind: fill, stroke; the colours of Okabe & Ito (2008), which all eyes tell apart, made light
COLOURS = {
    "input": ("#d6ecfa", "#0072b2"),
    "parameter": ("#fdeccb", "#b36b00"),
    "operation": ("#f4f4f4", "#555555"),
    "kernel": ("#d5f0e6", "#00795a"),
    "output": ("#fbe0d0", "#b84a00"),
}
ROUND = ("input", "output")  # the rest has corners
BRACKETS = {"input": ('(["', '"])'), "output": ('(["', '"])'), "parameter": ('[("', '")]')}


def counts(graph: Graph) -> str:
    """How many vertices of each kind, and edges."""
    numbers = [(graph.count(kind), kind) for kind in COLOURS]
    numbers = [(n, kind) for n, kind in numbers if n]
    numbers.append((len(graph.edges), "edge"))
    return ", ".join(f"{n:,} {kind}{'s' * (n != 1)}" for n, kind in numbers)


def table(graph: Graph) -> str:
    """A line for each vertex: name, label, note, and what leads to it."""
    before: list[list[str]] = [[] for _ in graph.vertices]
    for a, b in graph.edges:
        before[b].append(printable(graph.vertices[a].name))
    cells = [
        [printable(x.name), printable(x.label), printable(x.note), ", ".join(names)]
        for x, names in zip(graph.vertices, before)
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells
    ]
    return "\n".join([f"{printable(graph.title)}: {counts(graph)}", *(f"  {x}" for x in lines)])


def dot(graph: Graph) -> str:
    """Graphviz's language."""
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        '  graph [rankdir=TB, fontname="Helvetica", style="rounded", color="#bbbbbb"];',
        '  node [shape=box, style="filled", fontname="Helvetica", fontsize=11, margin="0.1,0.05"];',
        '  edge [color="#777777", arrowsize=0.6];',
    ]
    for group, places in _groups(graph).items():
        inside = "  " * bool(group)
        if group:
            lines += [
                f"  subgraph {_quoted('cluster ' + group)} {{",
                f"    label={_quoted(group)};",
            ]
        lines += [f"  {inside}v{i} [{_dot_look(graph.vertices[i])}];" for i in places]
        if group:
            lines.append("  }")
    lines += [f"  v{a} -> v{b};" for a, b in graph.edges]
    return "\n".join([*lines, "}\n"])


def mermaid(graph: Graph) -> str:
    """Mermaid's language."""
    lines = ["flowchart TB"]
    for number, (group, places) in enumerate(_groups(graph).items()):
        inside = "  " * bool(group)
        if group:
            lines.append(f'  subgraph g{number}["{_entities(group)}"]')
        for i in places:
            vertex = graph.vertices[i]
            left, right = BRACKETS.get(vertex.kind, ('["', '"]'))
            text = "<br/>".join(_entities(part) for part in _says(vertex))
            lines.append(f"  {inside}v{i}{left}{text}{right}:::{vertex.kind}")
        if group:
            lines.append("  end")
    lines += [f"  v{a} --> v{b}" for a, b in graph.edges]
    for kind, (fill, stroke) in COLOURS.items():
        lines.append(f"  classDef {kind} fill:{fill},stroke:{stroke},color:#000")
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    """`text` in one line, without what terminals and XML would not take for letters."""
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)


def _groups(graph: Graph) -> dict[str, list[int]]:
    """Places of the vertices by group."""
    groups: dict[str, list[int]] = {}
    for i, vertex in enumerate(graph.vertices):
        groups.setdefault(vertex.group, []).append(i)
    return groups


def _says(vertex: Vertex) -> list[str]:
    return [printable(part) for part in (vertex.label, vertex.note) if part]


def _dot_look(vertex: Vertex) -> str:
    fill, stroke = COLOURS[vertex.kind]
    text = "\\n".join(_escaped(part) for part in _says(vertex))
    tooltip = "\\n".join(_escaped(printable(f"{key}: {x}")) for key, x in vertex.details)
    style = "rounded,filled" if vertex.kind in ROUND else "filled"
    return (
        f'label="{text}", tooltip="{tooltip or text}", style="{style}", fillcolor="{fill}", '
        f'color="{stroke}"'
    )


def _quoted(text: str) -> str:
    return f'"{_escaped(printable(text))}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entities(text: str) -> str:
    """For Mermaid's quotes: what it reads as its own becomes an entity."""
    return "".join(x if x.isalnum() or x in " ._-,():" else f"#{ord(x)};" for x in text)
