"""A run's folder: its settings, its checkpoint, and what it leaves."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.cli.modelfiles import WEIGHTS
from tinynet.errors import ArgumentError, DataError
from tinynet.files import replacing


class Run:
    """The files of a run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.safetensors"
        self.weights = folder / WEIGHTS
        self.record = folder / "run.json"
        self.history = folder / "history.csv"
        self.curves = folder / "history.png"
        self.predictions = folder / "predictions.png"

    def begin(self, settings: dict[str, Any], free: Iterable[str], is_fresh: bool) -> None:
        """Make the folder, or go on in it; `free` are settings that may differ from before.

        Raises `ArgumentError` where a run with other settings is in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if is_fresh:
            self.checkpoint.unlink(missing_ok=True)
        if self.checkpoint.exists() and self.record.exists():
            self.compare(settings, set(free))
        self.write(settings, {})

    def compare(self, settings: dict[str, Any], free: set[str]) -> None:
        """Raise `ArgumentError` unless the run that is there has these settings."""
        try:
            before = json.loads(self.record.read_text(encoding="utf-8"))["settings"]
            pairs = [(name, before.get(name), json.loads(json.dumps(value)))
                     for name, value in settings.items()]  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"train: {self.record}: is damaged ({error}); --fresh starts anew"
            ) from error
        for name, old, new in pairs:
            if old != new and name not in free:
                raise ArgumentError(
                    f"train: {self.folder} has a run with {name} {old!r}, now it is {new!r}: "
                    "--fresh starts it anew, --out chooses another folder"
                )

    def write(self, settings: dict[str, Any], results: dict[str, Any]) -> None:
        """Write run.json: what was asked for, with which versions, and what came of it."""
        versions = {
            "tinynet": tn.__version__, "numpy": np.__version__, "python": platform.python_version(),
        }  # fmt: skip
        facts = {"settings": settings, "versions": versions, "results": results}
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        with replacing(self.record, durable=False) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
