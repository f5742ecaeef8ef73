"""How modules look in notebooks: a tree that opens and closes, with what each holds."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinynet.nn.module import Module

DEEPEST_OPEN = 1  # levels below the module itself that are open at first


def module_html(module: Module) -> str:
    """A module for a notebook. A parameter that several modules share counts where it is first.

    >>> from tinynet import nn
    >>> text = module_html(nn.Sequential(nn.Linear(8, 4), nn.ReLU()))
    >>> text.count("<details"), "36 parameters" in text
    (2, True)
    """
    return f'<div style="font-family:monospace">{_branch(module, "", set(), 0)}</div>'


def _branch(module: Module, name: str, seen: set[int], depth: int) -> str:
    """A module with all that is in it. `seen`: ids of the parameters that are counted already."""
    lines, before = [], set(seen)
    for title, parameter in module.named_parameters(recurse=False):
        is_new = id(parameter) not in seen
        seen.add(id(parameter))
        lines.append(_leaf(title, parameter, is_new))
    own = [_branch(child, child_name, seen, depth + 1) for child_name, child in
           module.own_children()]  # fmt: skip
    lines += [f"<li>{text}</li>" for text in own]
    count = sum(p.numel() for p in _once(module) if id(p) not in before)
    kind = f"<b>{html.escape(type(module).__name__)}</b>"
    extra = html.escape(f"({module.extra_repr()})" if module.extra_repr() else "")
    label = f"{html.escape(name)}: " if name else ""
    counted = f' <span style="color:#666">{count:,} parameters</span>' if count else ""
    head = f"{label}{kind}{extra}{counted}"
    if not lines:
        return head
    is_open = ' open=""' if depth <= DEEPEST_OPEN and len(own) > 0 else ""
    inside = "".join(lines)
    return (
        f"<details{is_open}><summary>{head}</summary>"
        f'<ul style="list-style:none;margin:0;padding-left:1.5em">{inside}</ul></details>'
    )


def _once(module: Module) -> list[Any]:
    """Its parameters, each once."""
    return list({id(p): p for p in module.parameters()}.values())


def _leaf(name: str, parameter: Any, is_new: bool) -> str:
    shape = "x".join(map(str, parameter.shape)) or "a number"
    facts = f"{shape} {parameter.dtype.name}"
    facts += "" if parameter.requires_grad else ", frozen"
    facts += "" if is_new else ", shared"
    return f'<li>{html.escape(name)} <span style="color:#666">{facts}</span></li>'
