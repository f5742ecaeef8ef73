"""What was measured on a machine, kept on disk: all of it can be measured again.

A file is one JSON object, {"format": 1, NAME: {device: {key: list}}}. Whatever is wrong with it
costs a warning and no more.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from tinynet.files import replacing
from tinynet.frames import level_of_caller

Table = dict[str, list[Any]]  # lists of numbers, texts and bools by key


class Remembered:
    """A file of tables by device. `name`: what its entries are called, as in "choices".

    `format` is raised when what was kept before misleads; a file of another format is empty.
    Warnings begin with `op`. Without a `path` nothing is kept.
    """

    def __init__(self, op: str, path: Path | None, name: str, format: int) -> None:
        self.op, self.path, self.name, self.format = op, path, name, format
        self._has_warned = False

    def read(self) -> dict[str, Table]:
        """The tables of all devices; none where there is no file, or none that can be read."""
        if self.path is None:
            return {}
        try:
            return self._parse(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self._warn(f"{self.path} is ignored: {error}")
        return {}

    def add(self, device: str, table: Table) -> None:
        """Add a device's entries to what other processes have written meanwhile."""
        if self.path is None:
            return
        tables = self.read()
        tables.setdefault(device, {}).update(table)
        text = json.dumps({"format": self.format, self.name: tables}, indent=1, sort_keys=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path, durable=False) as partial:
                partial.write_text(text, encoding="utf-8")
        except OSError as error:
            self._warn(f"{self.name} last as long as this process: {error}")

    def _warn(self, what: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(f"{self.op}: {what}", RuntimeWarning, stacklevel=level_of_caller())

    def _parse(self, text: str) -> dict[str, Table]:
        """The tables in a file's text; none in one of another format. Raises `ValueError`."""
        try:
            content = json.loads(text)
        except RecursionError:
            raise ValueError("its lists are too deep") from None
        if not isinstance(content, dict) or "format" not in content:
            raise ValueError("it is none of tinynet's files")
        if content["format"] != self.format:
            return {}
        tables: Any = content.get(self.name)
        if not _is_table_of(dict, tables):
            raise ValueError(f"its {self.name} are not a table by device and key")
        if not all(_is_table_of(list, table) for table in tables.values()):
            raise ValueError(f"one of its {self.name} is not a list")
        return dict(tables)


def _is_table_of(kind: type, value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())
