"""Time training beside PyTorch, JAX and tinygrad, each in a process of its own, in turn.

    python -m benchmarks                          steps on one batch
    python -m benchmarks epoch                    epochs of MNIST, its loading included
    python -m benchmarks --systems tinynet-jit torch --workloads mlp --repeats 101
    python -m benchmarks --python jax=other/bin/python

A column shows the median time of a system and the median of its ratios to PyTorch's time in the
same round: clocks drift, and neighbours share them. Losses are compared as well. The exit status
is 1 where a system failed, or trained wrongly.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tinynet.benchmarks.machine import (
    LIBRARIES,
    describe_libraries,
    describe_machine,
    find_library,
    find_python,
    list_systems,
)
from tinynet.benchmarks.report import (
    TITLES,
    Table,
    check_outputs,
    draw,
    print_header,
    write_json,
)
from tinynet.benchmarks.rounds import Results, Worker, WorkerError, measure_epochs, measure_steps
from tinynet.benchmarks.steps import can_train
from tinynet.benchmarks.workloads import WORKLOADS
from tinynet.errors import TinynetError

DEFAULTS = {  # the kinds of systems that a run takes
    "steps": ["tinynet", "tinynet-jit", "torch", "jax", "tinygrad"],
    "epoch": ["tinynet-jit", "torch"],
}


def main(arguments: list[str] | None = None) -> int:
    """Run what the options say; the exit status."""
    options = parse_arguments(arguments)
    wanted = [*(options.systems or DEFAULTS[options.mode]), *["torch-compile"] * options.compile]
    names = [name for name in LIBRARIES if name in map(find_library, wanted)]
    machine = describe_machine()
    libraries = describe_libraries(names, options.python, options.threads)
    print_header(machine, libraries, options.threads)
    systems = choose_systems(wanted, list_systems(libraries))
    run = run_epochs if options.mode == "epoch" else run_steps
    results = run(options, systems)
    if options.json is not None:
        header = {"mode": options.mode, "repeats": options.repeats, "threads": options.threads}
        write_json(options.json, {**header, "machine": machine, "libraries": libraries}, results)
    if options.plot is not None:
        draw(options.plot, systems, results)
    found = [result for row in results.values() for result in row.values()]
    return int(any(result.error or result.mismatch for result in found))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("mode", nargs="?", choices=DEFAULTS, default="steps", help="what to time")
    add("--workloads", nargs="+", choices=WORKLOADS, help="default: all; an epoch is of mlp")
    systems = f"of {', '.join(TITLES)}; tinynet:cpu is on one device; default: all installed"
    add("--systems", nargs="+", metavar="SYSTEM", help=systems)
    add("--compile", action="store_true", help="time torch.compile too")
    add("--repeats", type=parse_count, help="rounds; default: 31, of epochs 5")
    add("--threads", type=parse_count, default=2, help="of each system; default: 2")
    python = "the interpreter that has a library; can be repeated"
    add("--python", action="append", type=parse_python, metavar="LIBRARY=PATH", help=python)
    add("--json", type=Path, metavar="FILE", help="write all numbers there")
    add("--plot", type=Path, metavar="FILE.png", help="draw the ratios there")
    options = parser.parse_intermixed_args(arguments)
    options.python = dict(options.python or ())
    options.repeats = options.repeats or {"steps": 31, "epoch": 5}[options.mode]
    problem = find_problem(options)
    if problem:
        parser.error(problem)
    return options


def parse_count(text: str) -> int:
    """A positive number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number")
    return int(text)


def parse_python(text: str) -> tuple[str, str]:
    """A library, and the path of its interpreter."""
    library, _, path = text.partition("=")
    if library not in LIBRARIES or shutil.which(path) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected one of {', '.join(LIBRARIES)}, then =, then a program's path"
        )
    return library, path


def find_problem(options: argparse.Namespace) -> str:
    """What is wrong with the options; empty if nothing is."""
    is_epoch = options.mode == "epoch"
    known = [name for name in TITLES if not is_epoch or find_library(name) in ("tinynet", "torch")]
    for name in options.systems or ():
        if name.partition(":")[0] not in known:
            return f"--systems: no system {name!r}, there are {', '.join(known)}"
    if is_epoch and options.workloads not in (None, ["mlp"]):
        return "--workloads: an epoch is of mlp"
    try:
        check_outputs(options.json, options.plot)
    except TinynetError as error:
        return str(error)
    return ""


def choose_systems(wanted: list[str], systems: Mapping[str, str]) -> dict[str, str]:
    """Those of the systems that are asked for, in the table's order."""
    chosen = {
        system: device
        for system, device in systems.items()
        if system in wanted or system.partition(":")[0] in wanted
    }
    absent = [name for name in wanted if ":" in name and name not in systems]
    if absent or not chosen:
        there = ", ".join(systems) or "none"
        raise SystemExit(f"benchmarks: not here: {', '.join(absent or wanted)}; there are: {there}")
    return chosen


def start_workers(
    stack: ExitStack, options: argparse.Namespace, systems: Mapping[str, str]
) -> dict[str, Worker]:
    """A worker for each system."""
    return {
        system: stack.enter_context(
            Worker(system, find_python(system, options.python), options.threads)
        )
        for system in systems
    }


def run_steps(options: argparse.Namespace, systems: Mapping[str, str]) -> dict[str, Results]:
    """Time steps of each workload, with fresh workers."""
    table = Table(systems, "us")
    table.print_head()
    results = {}
    for workload in options.workloads or WORKLOADS:
        with ExitStack() as stack:
            able = {x: y for x, y in systems.items() if can_train(x, WORKLOADS[workload])}
            workers = start_workers(stack, options, able)
            results[workload] = measure_steps(workload, workers, options.repeats)
        table.print_row(workload, results[workload])
    table.print_notes()
    return results


def run_epochs(options: argparse.Namespace, systems: Mapping[str, str]) -> dict[str, Results]:
    """Time epochs of `mlp` on MNIST, which a tinynet on the CPU reads for the others."""
    table = Table(systems, "ms")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = str(Path(folder) / "digits.npz")
        count = save_digits(options, path)
        print(f"an epoch is {count:,} digits, in batches of {WORKLOADS['mlp'].batch}")
        table.print_head()
        workers = start_workers(stack, options, systems)
        results = {"mlp": measure_epochs("mlp", workers, options.repeats, path)}
    table.print_row("mlp", results["mlp"])
    table.print_notes()
    return results


def save_digits(options: argparse.Namespace, path: str) -> int:
    """Have the digits written to a file; how many there are."""
    python = find_python("tinynet", options.python)
    with Worker("tinynet:cpu", python, options.threads) as worker:
        try:
            count: int = worker.ask("save_digits", path=path)["count"]
        except WorkerError as error:
            raise SystemExit(f"benchmarks: no digits: {error}") from None
    if count != 60_000:
        print("WARNING: MNIST is not here, this is the sample that tinynet carries")
    return count


if __name__ == "__main__":
    sys.exit(main())
