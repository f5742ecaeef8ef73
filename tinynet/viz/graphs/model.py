"""`Graph`: vertices and edges, and the ways to look at them."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tinynet.errors import ArgumentError, MissingDependencyError
from tinynet.files import replacing, to_write
from tinynet.viz.graphs import page, svg, texts

KINDS = ("input", "parameter", "operation", "kernel", "output")
FRAME = 480  # pixels that a graph is high in a notebook
DOT_SECONDS = 120  # that graphviz may take


class Vertex(NamedTuple):
    """A thing in a graph. `name` is its own; `label` says what it is, `note` something about it.

    `kind` is one of "input", "parameter", "operation", "kernel", "output". `details` are what a
    tooltip says more, by name; `group` the dotted name of the module that it belongs to, or "".
    """

    name: str
    kind: str
    label: str
    note: str = ""
    details: tuple[tuple[str, str], ...] = ()
    group: str = ""


class Graph:
    """A directed graph without cycles: `vertices`, and `edges` as pairs of places among them.

    Printed it is a table. It displays itself in notebooks. `save` writes what the suffix says.

    >>> graph = Graph("sum", [Vertex("x", "input", "x", "3"), Vertex("sum", "operation", "sum")],
    ...               [(0, 1)])
    >>> print(graph)
    sum: 1 input, 1 operation, 1 edge
      x    x    3
      sum  sum     x
    >>> print(graph.to_mermaid())
    flowchart TB
      v0(["x<br/>3"]):::input
      v1["sum"]:::operation
      v0 --> v1
    ...
    """

    def __init__(
        self, title: str, vertices: Iterable[Vertex], edges: Iterable[tuple[int, int]]
    ) -> None:
        self.title = title
        self.vertices = list(vertices)
        self.edges = list(dict.fromkeys(edges))
        names = [vertex.name for vertex in self.vertices]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ArgumentError(
                f"Graph: two vertices are named {twice!r}, expected names that differ"
            )
        for a, b in self.edges:
            if not 0 <= a < b < len(names):
                raise ArgumentError(
                    f"Graph: an edge from {a} to {b}, expected edges that lead on in the list of "
                    f"{len(names)} vertices"
                )

    def __len__(self) -> int:
        """How many vertices there are."""
        return len(self.vertices)

    def __getitem__(self, name: str) -> Vertex:
        """The vertex of a name."""
        for vertex in self.vertices:
            if vertex.name == name:
                return vertex
        raise ArgumentError(f"Graph: no vertex {name!r}, there are {len(self)} others")

    def sources(self, name: str) -> list[str]:
        """The names of the vertices that lead to this one."""
        place = self.vertices.index(self[name])
        return [self.vertices[a].name for a, b in self.edges if b == place]

    def count(self, kind: str) -> int:
        """How many vertices are of a kind."""
        return sum(vertex.kind == kind for vertex in self.vertices)

    def to_dot(self) -> str:
        """The graph in graphviz's language, modules as clusters."""
        return texts.dot(self)

    def to_mermaid(self) -> str:
        """The graph in Mermaid's language, which Markdown on GitHub shows as a picture."""
        return texts.mermaid(self)

    def to_svg(self) -> str:
        """A drawing, laid out here."""
        return svg.draw(self)

    def to_html(self) -> str:
        """A page to look around in, in one file without any other.

        Drag or arrow keys move, wheel, pinch and + - zoom, 0 shows all; / searches.
        """
        return page.write(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a picture or a text, whole or not at all; the suffix says which.

        `.html`, `.mmd` (Mermaid) and `.dot` need nothing. `.svg` is graphviz's where its program
        `dot` is installed, else our own; `.png` and `.pdf` need `dot`, or raise
        `MissingDependencyError`. `ArgumentError` for other suffixes.
        """
        suffix = Path(path).suffix.lower()
        writers: dict[str, Callable[[], str]] = {
            ".html": self.to_html, ".mmd": self.to_mermaid, ".dot": self.to_dot,
            ".gv": self.to_dot, ".svg": self.to_svg,
        }  # fmt: skip
        if suffix in (".png", ".pdf") or (suffix == ".svg" and shutil.which("dot")):
            content = self._render(suffix[1:])
        elif suffix in writers:
            content = writers[suffix]().encode()
        else:
            known = ", ".join([*writers, ".png", ".pdf"])
            raise ArgumentError(f"Graph.save: the suffix {suffix!r}, expected one of {known}")
        with to_write("Graph.save", path), replacing(path, durable=False) as partial:
            partial.write_bytes(content)

    def _render(self, kind: str) -> bytes:
        """What graphviz makes of the graph."""
        program = shutil.which("dot")
        if program is None:
            raise MissingDependencyError(
                f"Graph.save: .{kind} needs graphviz's program `dot`, which is not installed (on "
                "Debian: apt install graphviz; macOS: brew install graphviz); .html, .svg, .mmd "
                "and .dot need nothing"
            )
        done = subprocess.run(
            [program, f"-T{kind}"],
            input=self.to_dot().encode(), capture_output=True, timeout=DOT_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise ArgumentError(f"Graph.save: dot gave up with {done.returncode}: {said}")
        return done.stdout

    def __str__(self) -> str:
        return texts.table(self)

    def __repr__(self) -> str:
        return f"<Graph: {texts.counts(self)}>"

    def _repr_svg_(self) -> str:
        """For what shows pictures but runs no scripts."""
        return self.to_svg()

    def _repr_html_(self) -> str:
        """For notebooks: the page in a frame of its own."""
        content = html.escape(self.to_html())
        return (
            f'<iframe srcdoc="{content}" title="{html.escape(self.title)}" '
            f'style="width:100%;height:{FRAME}px;border:1px solid #ccc"></iframe>'
        )
