"""Tables on stdout: rich's in a terminal, plain columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """A row for each of `rows`; columns whose title is a word of `right` end at their right side.

    >>> print_table(["name", "count"], [["a", "1"], ["bcd", "23"]], right="count")
    name  count
    a         1
    bcd      23
    """
    ends = set(right.split("|"))
    if sys.stdout.isatty():
        _print_rich(titles, rows, ends)
        return
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for line in (titles, *rows):
        cells = [
            cell.rjust(width) if title in ends else cell.ljust(width)
            for title, cell, width in zip(titles, line, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _print_rich(titles: Sequence[str], rows: Sequence[Sequence[str]], ends: set[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in titles:
        table.add_column(title, justify="right" if title in ends else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)
