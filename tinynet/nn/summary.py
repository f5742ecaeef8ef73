"""`summary`: what a network consists of, layer by layer, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinynet.autograd.mode import no_grad
from tinynet.dtype import DType
from tinynet.errors import ArgumentError
from tinynet.nn.module import Module
from tinynet.nn.operations import multiply_adds
from tinynet.ops.creation import zeros
from tinynet.ops.random import get_rng_state, set_rng_state
from tinynet.tensor import Tensor

TITLES = ("Layer", "Kind", "Output shape", "Parameters", "Trainable", "Multiply-adds")


class Row(NamedTuple):
    """One module: its dotted name ("" is the whole), its class, and what is its own.

    `output_shape` is that of its last call: a tuple of shapes if there were several tensors, None
    if it was not called. Parameters count where they are first; `calls` is how often the module was
    called, all of which `multiply_adds` and `activation_bytes` (of outputs) count.
    """

    name: str
    kind: str
    output_shape: Any
    parameters: int
    trainable: int
    calls: int
    multiply_adds: int
    activation_bytes: int


class Summary:
    """`rows`, as data, and totals of them; `str` or `print` gives a table.

    `parameter_bytes` are of the parameters, `buffer_bytes` of buffers, and `activation_bytes` of
    what the modules without modules in them put out.
    """

    def __init__(self, rows: list[Row], model: Module) -> None:
        self.rows = rows
        self.parameters = sum(row.parameters for row in rows)
        self.trainable = sum(row.trainable for row in rows)
        self.multiply_adds = sum(row.multiply_adds for row in rows)
        self.activation_bytes = sum(row.activation_bytes for row in rows)
        self.parameter_bytes = sum(x.nbytes for x in model.parameters())
        self.buffer_bytes = sum(x.nbytes for x in model.buffers())

    def __str__(self) -> str:
        lines = [TITLES, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        rule = "-" * len(table[0])
        held = [(self.parameter_bytes, "parameters"), (self.buffer_bytes, "buffers")]
        held.append((self.activation_bytes, "activations"))
        totals = [
            f"Parameters: {self.parameters:,}, {self.trainable:,} of them trainable",
            f"Multiply-adds: {self.multiply_adds:,}",
            "Bytes: " + ", ".join(f"{count:,} of {what}" for count, what in held),
        ]
        return "\n".join([table[0], rule, *table[1:], rule, *totals])

    __repr__ = __str__


def summary(
    model: Module,
    *inputs: Any,
    input_size: Sequence[Any] | None = None,
    depth: int | None = None,
    dtype: DType | None = None,
) -> Summary:
    """What each module of `model` puts out, holds and takes for `model(*inputs)`.

    `input_size` is the shape of an input of zeros, batch included, or a list of shapes for several,
    of `dtype`, on the model's device. Modules more than `depth` levels down count into those above.
    See `operations` for how multiply-adds are counted. The model runs in evaluation mode without
    gradients; modes, buffers and random numbers are as before afterwards. Without any input
    it does not run.

    >>> from tinynet import nn
    >>> print(nn.summary(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), input_size=(1, 8)))
    Layer  Kind        Output shape  Parameters  Trainable  Multiply-adds
    ---------------------------------------------------------------------
           Sequential  (1, 4)                 0          0              0
      0    Linear      (1, 4)                36         36             32
      1    ReLU        (1, 4)                 0          0              0
    ---------------------------------------------------------------------
    Parameters: 36, 36 of them trainable
    Multiply-adds: 32
    Bytes: 144 of parameters, 0 of buffers, 32 of activations
    """
    if input_size is not None:
        if inputs:
            raise ArgumentError("summary: expected inputs or input_size, got both")
        inputs = _zeros(model, input_size, dtype)
    calls: dict[Module, list[tuple[Any, int, int]]] = {}

    def note(module: Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        tensors = _tensors_in(output)
        shapes = tuple(x.shape for x in tensors)
        held = 0 if any(module.children()) else sum(x.nbytes for x in tensors)
        count = multiply_adds(module, (*args, *kwargs.values()), output)
        calls.setdefault(module, []).append((shapes, count, held))

    if inputs:
        with _unchanged(model), _watched(model, note), no_grad():
            model.eval()(*inputs)
    return Summary(_rows(model, calls, depth), model)


def count_parameters(model: Module, trainable_only: bool = False) -> int:
    """How many elements the parameters have; shared ones count once.

    >>> from tinynet import nn
    >>> nn.count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(x.numel() for x in model.parameters() if x.requires_grad or not trainable_only)


def _zeros(model: Module, sizes: Sequence[Any], dtype: DType | None) -> tuple[Tensor, ...]:
    """Inputs of these sizes, or of this one size."""
    is_one = all(isinstance(n, int) for n in sizes)
    first = next(model.parameters(), None)
    if dtype is None and first is not None:
        dtype = first.dtype
    device = None if first is None else str(first.device)
    return tuple(
        zeros(*size, dtype=dtype, device=device) for size in ([sizes] if is_one else sizes)
    )


@contextmanager
def _unchanged(model: Module) -> Iterator[None]:
    """Modes, buffers and random numbers are as before afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    places = [(module, name, x) for module in model.modules() for name, x in module.own_buffers()]
    values = [(x, x.detach().clone(), x._version) for x in model.buffers()]
    numbers = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(numbers)
        for module, training in modes:
            if module.training is not training:
                module.training = training
        for module, name, x in places:
            if getattr(module, name) is not x:
                setattr(module, name, x)
        for x, before, version in values:
            if x._version != version:
                with no_grad():
                    x.copy_(before)


@contextmanager
def _watched(model: Module, hook: Callable[..., None]) -> Iterator[None]:
    """All modules call `hook` after `forward`; afterwards they have the hooks they had."""
    bare = [module for module in model.modules() if module._hooks is None]
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in bare:
            del module._hooks


def _rows(model: Module, calls: dict[Module, list[Any]], depth: int | None) -> list[Row]:
    """A row for each module that is shown, with those below that are not."""
    rows: dict[str, Row] = {}
    seen: set[Tensor] = set()
    for name, module in model.named_modules():
        parts = name.split(".") if name else []
        shown = ".".join(parts[:depth])
        own = [x for _, x in module.own_parameters() if x not in seen]
        seen.update(own)
        count = sum(x.numel() for x in own), sum(x.numel() for x in own if x.requires_grad)
        made = calls.get(module, [])
        costs = sum(n for _, n, _ in made), sum(n for _, _, n in made)
        if shown == name:
            shape = None
            if made:
                shapes = made[-1][0]
                shape = shapes[0] if len(shapes) == 1 else shapes
            rows[name] = Row(name, type(module).__name__, shape, *count, len(made), *costs)
        else:
            above = rows[shown]
            rows[shown] = above._replace(
                parameters=above.parameters + count[0],
                trainable=above.trainable + count[1],
                multiply_adds=above.multiply_adds + costs[0],
                activation_bytes=above.activation_bytes + costs[1],
            )
    return list(rows.values())


def _cells(row: Row) -> tuple[str, ...]:
    """A row as text, its name further to the right the deeper it is."""
    *above, own = row.name.split(".")
    name = f"{'  ' * (len(above) + 1)}{own}" if own else ""
    shape = "-" if row.output_shape is None else str(row.output_shape)
    counts = (row.parameters, row.trainable, row.multiply_adds)
    return (name, row.kind, shape, *(f"{n:,}" for n in counts))


def _tensors_in(value: Any) -> list[Tensor]:
    """The tensors in an output, which may be nested."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    parts = value if isinstance(value, (tuple, list)) else ()
    return [x for part in parts for x in _tensors_in(part)]
