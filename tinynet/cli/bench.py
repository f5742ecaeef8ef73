"""`tinynet bench`: how fast networks train here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinynet.benchmarks.__main__ import main as run_benchmarks
from tinynet.benchmarks.report import TITLES, check_outputs
from tinynet.benchmarks.workloads import WORKLOADS
from tinynet.cli.choices import choose, split_names

EXAMPLES = """\
  tinynet bench                            three networks, less than a minute
  tinynet bench --workloads lenet,lstm     these
  tinynet bench --workloads all --repeats 31 --json steps.json --plot steps.png
  tinynet bench --epoch                    whole epochs of MNIST
"""
STANDARD = "nielsen,mlp,lenet"


def command(
    workloads: Annotated[
        str, typer.Option(help=f"all, or some of {', '.join(WORKLOADS)}, with commas.")
    ] = STANDARD,
    epoch: Annotated[bool, typer.Option("--epoch", help="Time epochs of MNIST.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Of each system.")] = 2,
    systems: Annotated[
        str, typer.Option(help="Such as tinynet-jit:opencl,torch; default: all that are here.")
    ] = "",
    json: Annotated[Path | None, typer.Option(help="Write all numbers there.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the ratios to PyTorch's there.")] = None,
) -> int:
    """Time training steps on every device, eager and recorded, beside PyTorch if it is installed.

    Each system trains the same network from the same weights in a process of its own, in turn; a
    column shows its median time and the ratio to PyTorch's, and losses are compared. Run it on a
    quiet machine. `python -m tinynet.benchmarks --help` has more: JAX, tinygrad, torch.compile.
    """
    names = [*WORKLOADS] if workloads == "all" else split_names(workloads)
    chosen = [choose("bench: --workloads", name, WORKLOADS) for name in names]
    options = ["epoch"] if epoch else ["steps", "--workloads", *chosen]
    options += ["--repeats", str(repeats), "--threads", str(threads)]
    options += ["--systems", *(split_names(systems) or ["tinynet", "tinynet-jit", "torch"])]
    for name in split_names(systems):
        choose("bench: --systems", name.partition(":")[0], TITLES)
    check_outputs(json, plot)
    for name, path in (("--json", json), ("--plot", plot)):
        options += [name, str(path)] if path is not None else []
    return run_benchmarks(options)
