"""Layers within a model: which they are, in what order they run, what they give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn.containers import Sequential
from tinynet.nn.module import Module
from tinynet.shape import Shape
from tinynet.tensor import Tensor
from tinynet.windows import as_padding, as_sizes


class Unit(NamedTuple):
    """One number of a feature map: its channel, its row and its column."""

    channel: int
    row: int
    column: int


def feature_maps(model: Module, x: Tensor, layer: Module | str) -> Tensor:
    """What `layer`, a module in `model` or its dotted name, gives when the model runs on `x`.

    The model runs in evaluation mode, and is in its own mode again after that. The result has a
    graph if that of any other call of the model would. Of a layer that runs several times it is
    the last output.

    >>> import tinynet as tn
    >>> from tinynet import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> tn.viz.feature_maps(model, tn.ones(5, 2), "1").shape
    (5, 3)
    """
    target = find_layer("feature_maps", model, layer)
    outputs: list[Any] = []

    def keep(module: Module, args: Any, output: Any) -> None:
        outputs[:] = [output]

    with target.register_forward_hook(keep), evaluating(model):
        model(x)
    if not outputs:
        raise ArgumentError(f"feature_maps: the model did not run the layer {layer!r}")
    if not isinstance(outputs[0], Tensor):
        raise ArgumentTypeError(
            f"feature_maps: the layer {layer!r} gave a {type(outputs[0]).__name__}, "
            "expected one tensor"
        )
    return outputs[0]


def strongest(maps: Tensor, channel: int | None = None) -> list[Unit]:
    """For each image, its most active unit in `maps`, (n, channels, height, width).

    With `channel`, the most active unit of that channel.

    >>> import tinynet as tn
    >>> tn.viz.strongest(tn.tensor([[[[1.0, 9.0], [2.0, 3.0]], [[4.0, 5.0], [8.0, 6.0]]]]))
    [Unit(channel=0, row=0, column=1)]
    """
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise ShapeError(
            f"strongest: the maps are {maps.shape}, expected (n, channels, height, width)"
        )
    _, _, height, width = maps.shape
    if channel is None:
        first, places = 0, maps.flatten(1).argmax(dim=1).tolist()
    else:
        first = as_channel("strongest", channel, maps.shape[1])
        places = maps[:, first].flatten(1).argmax(dim=1).tolist()
    return [Unit(first + i // (height * width), i // width % height, i % width) for i in places]


def as_channel(op: str, channel: int, count: int) -> int:
    """A channel's number, from the end if negative, checked."""
    if not -count <= channel < count:
        raise ArgumentError(f"{op}: channel is {channel}, expected one of {count}")
    return channel % count


def find_layer(op: str, model: Module, layer: Module | str) -> Module:
    """The module that `layer` is or names, which must be in `model`."""
    if isinstance(layer, str):
        return model.get_submodule(layer)
    if not isinstance(layer, Module):
        raise ArgumentTypeError(
            f"{op}: layer is a {type(layer).__name__}, expected a module or its dotted name"
        )
    if not any(module is layer for module in model.modules()):
        raise ArgumentError(f"{op}: the layer {layer!r} is not in the model")
    return layer


def list_path(op: str, model: Module, layer: Module | str) -> list[Module]:
    """The modules without children that run from the model's input to the output of `layer`.

    Only `Sequential` says in what order its children run, so the model must be made of these.
    """
    target = find_layer(op, model, layer)
    path: list[Module] = []
    for module in _walk(op, model):
        if not isinstance(module, Sequential):
            path.append(module)
        if module is target:
            break
    return path


def _walk(op: str, model: Module) -> Iterator[Module]:
    """Modules in the order in which they are done: a `Sequential` after its children."""
    if isinstance(model, Sequential) and type(model).forward is Sequential.forward:
        for child in model:
            yield from _walk(op, child)
    elif next(model.children(), None) is not None:
        raise ArgumentTypeError(
            f"{op}: the order in which {type(model).__name__} runs its layers is unknown, expected "
            "Sequential; pass one that is part of the model"
        )
    yield model


def read_windows(op: str, module: Any) -> tuple[Shape, Shape, Shape, tuple[Shape, Shape]]:
    """Kernel, stride, dilation and padding, before and behind, of a 2-d convolution or pool."""
    mode = getattr(module, "padding_mode", "zeros")
    if mode != "zeros":
        raise ArgumentError(f"{op}: {module!r} pads with {mode!r}, expected padding_mode='zeros'")
    kernel = as_sizes(op, "kernel_size", module.kernel_size, 2)
    stride = as_sizes(op, "stride", module.stride, 2)
    dilation = as_sizes(op, "dilation", getattr(module, "dilation", 1), 2)
    return kernel, stride, dilation, as_padding(op, module.padding, kernel, stride, dilation)


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """The model in evaluation mode, then every module in its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
