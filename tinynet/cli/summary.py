"""`tinynet summary`: a network, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from tinynet import nn
from tinynet.cli.console import print_table
from tinynet.cli.modelfiles import CODE, MODEL, SHAPE, input_for, open_model
from tinynet.nn.summary import TITLES, Summary

EXAMPLES = """\
  tinynet summary runs/mnist-lenet               a model that `tinynet train` left
  tinynet summary model.safetensors              what tn.save_model wrote
  tinynet summary resnet20 --shape 3,32,32       a model by name
  tinynet summary net.py:Net --shape 1,28,28     a class of your own
"""


def command(
    model: Annotated[str, MODEL],
    shape: Annotated[str, SHAPE] = "",
    code: Annotated[list[str] | None, CODE] = None,
    depth: Annotated[int | None, typer.Option(min=0, help="Levels of modules to show.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in the input.")] = 1,
) -> None:
    """Show what a network consists of: outputs' shapes, parameters, and multiply-adds."""
    opened = open_model(model, shape, code or [])
    x = input_for(opened, batch)
    inputs = () if x is None else (x,)
    print_summary(nn.summary(opened.module, *inputs, depth=depth))


def print_summary(summary: Summary) -> None:
    """The table, and its totals."""
    lines = str(summary).splitlines()
    rows = [
        [("  " * row.name.count(".") + row.name.rpartition(".")[2]) or "(all)", row.kind,
         "-" if row.output_shape is None else str(row.output_shape),
         *(f"{n:,}" for n in (row.parameters, row.trainable, row.multiply_adds))]
        for row in summary.rows
    ]  # fmt: skip
    print_table(TITLES, rows, right="Parameters|Trainable|Multiply-adds")
    print("\n".join(lines[-3:]))
