"""What the runs print and write: the header, the table, the JSON file, the picture."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinynet.benchmarks.machine import QUIET, Description
from tinynet.benchmarks.rounds import Result, Results
from tinynet.errors import ArgumentError, DataError
from tinynet.train.checkpoint import check_folder
from tinynet.viz.figures import make_figure

TITLES = {  # of a column, above its device
    "tinynet": ("tinynet", "eager"),
    "tinynet-jit": ("tinynet", "jit"),
    "torch": ("PyTorch", "eager"),
    "torch-compile": ("PyTorch", "compile"),
    "jax": ("JAX", "jit"),
    "tinygrad": ("tinygrad", "TinyJit"),
}
WIDTH = 11  # of a column
UNSTEADY = 1.5  # a median is worth little that is so many times the quickest block


def print_header(machine: Description, libraries: Mapping[str, Description], threads: int) -> None:
    """Where and with what it is measured."""
    load = machine["load"]
    print(f"date     {machine['date']}, commit {machine['commit'] or 'unknown'}")
    print(f"machine  {machine['cpu']}, {machine['cores']} cores, {machine['system']}")
    print(f"load     {'unknown' if load is None else f'{load:.2f}'}; {threads} threads a system")
    for library, description in libraries.items():
        if description["version"] is not None:
            print(f"{library:8} {_describe_versions(description)}")
        for name, device in description.get("devices", {}).items():
            if device and name != "cpu":
                print(f"{'':8} {device}")
    missing = [name for name, description in libraries.items() if description["version"] is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    if load is not None and load > QUIET:
        print(f"WARNING: the load average is {load:.2f}: wait until the machine is quiet")


def _describe_versions(description: Description) -> str:
    if "error" in description:
        return f"failed: {description['error']}"
    return "{version}, NumPy {numpy}, Python {python}".format(**description)


class Table:
    """A table that is printed row by row, a column for each system, then its footnotes."""

    def __init__(self, systems: Mapping[str, str], unit: str) -> None:
        self.systems = systems  # with their devices
        self.unit = unit
        self.scale = {"us": 1e6, "ms": 1e3}[unit]
        self.notes: list[str] = []

    def print_head(self) -> None:
        """The names of the columns."""
        titles = [(*name_system(system), device) for system, device in self.systems.items()]
        print()
        for line in zip(*titles, strict=True):
            print(f"{'':16}" + "".join(f"{word:>{WIDTH}}" for word in line))

    def print_row(self, workload: str, results: Results) -> None:
        """Two lines: the median times, and the median ratios to PyTorch."""
        times, ratios = [], []
        for system in self.systems:
            result = results.get(system)
            if result is None:  # not written for it
                times.append("-")
                ratios.append("")
                continue
            note = self.add_note(workload, system, result)
            times.append("failed" if result.error else f"{result.time * self.scale:.1f}")
            ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
            ratios.append(f"{note} {ratio}".strip())
        for name, words in ((f"{workload:9}{self.unit:>7}", times), (f"{'ratio':>16}", ratios)):
            if any(words):
                print(name + "".join(f"{word:>{WIDTH}}" for word in words), flush=True)

    def add_note(self, workload: str, system: str, result: Result) -> str:
        """The mark of a footnote, empty where there is nothing to say."""
        if result.error:
            note = f"ERROR: {system} failed: {result.error}"
        elif result.mismatch:
            note = f"ERROR: {system} trains {workload} wrongly: {result.mismatch}"
        elif result.time > UNSTEADY * min(result.times):
            quickest = f"{min(result.times) * self.scale:.1f} {self.unit}"
            note = f"WARNING: something disturbed {system} on {workload}, at best {quickest}"
        else:
            return ""
        if note not in self.notes:
            self.notes.append(note)
        return f"[{self.notes.index(note) + 1}]"

    def print_notes(self) -> None:
        """What the marks stand for."""
        for number, note in enumerate(self.notes, 1):
            print(f"[{number}] {note}")


def name_system(system: str) -> tuple[str, str]:
    """The library, and how it runs."""
    return TITLES[system.partition(":")[0]]


def check_outputs(numbers: Path | None, plot: Path | None) -> None:
    """Raise for files that could not be written once everything is measured."""
    for option, path in (("--json", numbers), ("--plot", plot)):
        if path is not None:
            check_folder(option, path.parent)
            if path.is_dir():
                raise DataError(f"{option}: {str(path)!r} is a folder, expected a file")
    if plot is not None:
        endings = make_figure("--plot", 1, 1).canvas.get_supported_filetypes()
        if plot.suffix.lower().removeprefix(".") not in endings:
            raise ArgumentError(f"--plot: {str(plot)!r}, expected an ending such as .png or .svg")


def write_json(path: Path, header: Mapping[str, Any], results: Mapping[str, Results]) -> None:
    """All that is known, in seconds."""
    numbers = {
        workload: {system: dataclasses.asdict(result) for system, result in row.items()}
        for workload, row in results.items()
    }
    text = json.dumps({**header, "results": numbers}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


# Okabe & Ito 2008: the colour-blind tell them apart, and so do prints in grey.
COLORS = ("#0072b2", "#e69f00", "#bbbbbb", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")


def draw(path: Path, systems: Mapping[str, str], results: Mapping[str, Results]) -> None:
    """Bars of the ratios, a group for each workload, and a line at 1, which is PyTorch's."""
    if all(result.ratio is None for row in results.values() for result in row.values()):
        print("no picture: without PyTorch's times there are no ratios")
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = 2 + 0.2 * len(results) * (1 + len(systems)), 4
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    width = 0.8 / len(systems)
    for i, (system, device) in enumerate(systems.items()):
        ratios = [row[system].ratio or 0 if system in row else 0 for row in results.values()]
        places = [group + (i - (len(systems) - 1) / 2) * width for group in range(len(ratios))]
        label = " ".join((*name_system(system), device))
        bars = axes.bar(places, ratios, width, label=label, color=COLORS[i % len(COLORS)])
        axes.bar_label(bars, [f"{ratio:.2f}" if ratio else "" for ratio in ratios], fontsize=7)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(results)), list(results))
    axes.set_ylabel("time / PyTorch's (less is quicker)")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
