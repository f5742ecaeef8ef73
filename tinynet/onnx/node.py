"""A node of an imported graph, as operators see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinynet.errors import DataError, UnsupportedOperatorError


class Operator(NamedTuple):
    """How nodes of one kind are computed.

    `run(node, *inputs)` gives a tensor, or a tuple of them; inputs that are left out are None.
    `since` is the first opset whose meaning it has. `host` are the places of inputs that decide
    shapes, axes and the like: they come as NumPy arrays, all others as tensors.
    """

    run: Callable[..., Any]
    since: int = 1
    host: tuple[int, ...] = ()


class Node:
    """One node: `op` (with its domain, unless it is ONNX's own), names of what goes in and out."""

    def __init__(
        self,
        op: str,
        name: str,
        opset: int,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attributes: dict[str, Any],
    ) -> None:
        self.op = op
        self.name = name
        self.opset = opset
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        value = self.attributes.get(name)
        return default if value is None else value

    def need(self, name: str) -> Any:
        """An attribute that must be there."""
        if self.attributes.get(name) is None:
            self.malformed(f"has no attribute {name!r}, which it needs")
        return self.attributes[name]

    def numbers(self, name: str, usual: tuple[int, ...], least: int | None = None) -> Any:
        """An attribute of as many numbers as `usual` has, which it is by default."""
        found = self.get(name, usual)
        if len(found) != len(usual) or (least is not None and min(found, default=least) < least):
            limit = "" if least is None else f" of at least {least}"
            self.malformed(f"has {name} {found}, expected {len(usual)} numbers{limit}")
        return found

    def choice(self, name: str, *known: str) -> str:
        """An attribute that is one of some strings; by default the first."""
        found: str = self.get(name, known[0])
        if found not in known:
            self.malformed(f"has {name} {found!r}, expected {', '.join(known)}")
        return found

    def flag(self, name: str, usual: int) -> bool:
        """An attribute that is 0 or 1."""
        found: int = self.get(name, usual)
        if found not in (0, 1):
            self.malformed(f"has {name} {found}, expected 0 or 1")
        return bool(found)

    def axis(self, ndim: int, axis: int) -> int:
        """An axis of `ndim`, counted from the front."""
        if not -ndim <= axis < ndim:
            self.malformed(f"has axis {axis}, expected one of {ndim} dims")
        return axis % ndim

    def number(self, name: str, given: Any) -> Any:
        """The one number that an input holds, as a NumPy scalar."""
        if np.size(given) != 1:
            self.malformed(f"{name} is of shape {np.shape(given)}, expected a single number")
        return np.asarray(given).reshape(-1)[0]

    def has_output(self, place: int) -> bool:
        """Whether output number `place` is asked for."""
        return place < len(self.outputs) and bool(self.outputs[place])

    def refuse(self, why: str) -> NoReturn:
        """Raise `UnsupportedOperatorError`, saying which node it is."""
        raise UnsupportedOperatorError(f"onnx: {self}: {why}")

    def malformed(self, why: str) -> NoReturn:
        """Raise `DataError`, saying which node it is."""
        raise DataError(f"onnx: {self}: {why}")

    def __repr__(self) -> str:
        return f"node {self.name or ', '.join(self.outputs)!r} ({self.op}, opset {self.opset})"

    def signature(self) -> str:
        """The node as a line: what it gives, from what, with which attributes."""
        options = [f"{name}={_short(value)}" for name, value in self.attributes.items()]
        arguments = ", ".join([*(name or "-" for name in self.inputs), *options])
        return f"{', '.join(self.outputs)} = {self.op}({arguments})"


def _short(value: Any) -> str:
    if value is None:
        return "<graph>"
    if hasattr(value, "shape"):
        return f"<{value.dtype} {tuple(value.shape)}>" if value.size > 4 else str(value.tolist())
    return repr(value)
