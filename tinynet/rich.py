"""How tensors look in notebooks: a line of facts, and small ones as a coloured table."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from tinynet.printing import format_numbers, format_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

MOST_ROWS, MOST_COLUMNS = 16, 12  # larger ones are shown as they print
BLUE, ORANGE = "0,114,178", "213,94,0"  # of Okabe & Ito (2008): positive and negative


def tensor_html(x: Tensor) -> str:
    """A tensor for a notebook.

    >>> import tinynet as tn
    >>> print(tensor_html(tn.tensor([[True, False]])))
    <div><b>tensor</b> 1x2 bool on cpu</div><table ...><tr><td ...>True</td>...</tr></table>
    """
    kind = "Parameter" if type(x).__name__ == "Parameter" else "tensor"
    shape = "x".join(map(str, x.shape)) or "a number"
    facts = f"{shape} {x.dtype.name} on {x.device}"
    if x.grad_fn is not None:
        facts += f", made by {x.grad_fn.name}"
    elif x.requires_grad:
        facts += ", requires grad"
    head = f"<div><b>{kind}</b> {html.escape(facts)}</div>"
    rows, columns = (1, 1, *x.shape)[-2:]
    if x.ndim in (1, 2) and 0 < rows <= MOST_ROWS and 0 < columns <= MOST_COLUMNS:
        return head + _table(x.reshape(rows, columns))
    return f"{head}<pre>{html.escape(format_tensor(x))}</pre>"


def _table(x: Tensor) -> str:
    """The numbers, on colours that say how large they are."""
    values: list[list[Any]] = x.tolist()
    texts = format_numbers(x)
    largest = max((abs(float(v)) for row in values for v in row if abs(float(v)) < float("inf")),
                  default=0.0)  # fmt: skip
    lines = []
    for row, names in zip(values, texts):
        cells = [
            f'<td style="text-align:right;background:{_colour(float(value), largest)}">'
            f"{html.escape(text)}</td>"
            for value, text in zip(row, names)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table style="font-family:monospace">{"".join(lines)}</table>'


def _colour(value: float, largest: float) -> str:
    """Blue for what is above zero, orange for what is below, red where it is no number."""
    if value != value or abs(value) == float("inf"):
        return "rgba(255,0,0,0.5)"
    strength = abs(value) / largest / 2 if largest else 0.0
    return f"rgba({BLUE if value > 0 else ORANGE},{strength:.2f})"
