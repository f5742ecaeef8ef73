"""`tinynet graph`: the operations of a network, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tinynet as tn
from tinynet.cli.modelfiles import CODE, MODEL, SHAPE, input_for, open_model
from tinynet.errors import ArgumentError

EXAMPLES = """\
  tinynet graph runs/mnist-lenet                    as text
  tinynet graph runs/mnist-lenet -o lenet.html      a page with pan and zoom
  tinynet graph lenet --shape 1,28,28 -o lenet.svg  needs graphviz
  tinynet graph mlp --shape 784 -o mlp.mmd          Mermaid, for Markdown
"""


def command(
    model: Annotated[str, MODEL],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="A file: .html, .svg, .png, .pdf, .mmd, .dot")
    ] = None,
    shape: Annotated[str, SHAPE] = "",
    code: Annotated[list[str] | None, CODE] = None,
) -> None:
    """Draw the graph that a network's output records: operations, shapes, named parameters."""
    opened = open_model(model, shape, code or [])
    x = input_for(opened, 1)
    if x is None:
        raise ArgumentError("graph: the model's file does not say what goes in, expected --shape")
    output = opened.module.eval()(x)
    drawn = tn.viz.graph(output, parameters=dict(opened.module.named_parameters()))
    if out is None:
        print(drawn)
        return
    drawn.save(out)
    print(f"Graph: {out.resolve()}")
