"""Deconvnets: from the activation of a unit back to the pixels that made it.

Zeiler & Fergus 2014, section 2.1, arXiv:1311.2901. The layers are gone through backwards: a pool
puts each number where the maximum came from (its switch), a ReLU lets through what is positive, a
convolution filters with its weights, transposed. That is the walk of backpropagation except at
ReLUs, where backpropagation asks what was positive on the way forward (Simonyan et al. 2013).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet import nn
from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.nn import Module, functional
from tinynet.ops.creation import arange, tensor, zeros_like
from tinynet.tensor import Tensor
from tinynet.viz.layers import Unit, as_channel, evaluating, list_path, read_windows, strongest

OP = "reconstruct"


@no_grad()
def reconstruct(
    model: Module,
    x: Tensor,
    layer: Module | str,
    channel: int | None = None,
    position: tuple[int, int] | None = None,
) -> Tensor:
    """For each image of `x`, (n, channels, height, width), what in it one unit of `layer` sees.

    The unit is the image's most active one (`strongest`), or that of `channel`, or the one at
    `position`, (row, column), of `channel`. All else in the layer's output is set to zero, and
    the rest goes back to the pixels, in the shape of `x`. `layer` is a module in `model` or its
    dotted name. `model` must be made of `Sequential`, and have up to `layer` only Conv2d, ReLU,
    MaxPool2d, BatchNorm2d (which scales as it does in evaluation mode), Dropout and Identity.
    """
    if x.ndim != 4:
        raise ShapeError(f"{OP}: x is {x.shape}, expected (n, channels, height, width)")
    path = list_path(OP, model, layer)
    backs = [_find_back(module) for module in path]
    inputs = []
    with evaluating(model):
        for module in path:
            inputs.append(x)
            x = module(x)
    signal = _keep_units(x, _choose_units(x, channel, position))
    for module, input, back in zip(path[::-1], inputs[::-1], backs[::-1]):
        signal = back(module, input, signal)
    return signal


def _choose_units(
    maps: Tensor, channel: int | None, position: tuple[int, int] | None
) -> list[Unit]:
    """A unit of each image's maps."""
    if position is None:
        return strongest(maps, channel)
    if channel is None:
        raise ArgumentError(f"{OP}: position is {position}, expected a channel with it")
    n, channels, height, width = maps.shape
    row, column = position
    if not (0 <= row < height and 0 <= column < width):
        raise ArgumentError(
            f"{OP}: position is {position}, expected one in maps of {height, width}"
        )
    return [Unit(as_channel(OP, channel, channels), row, column)] * n


def _keep_units(maps: Tensor, units: list[Unit]) -> Tensor:
    """`maps` with zeros in place of all but one unit of each image."""
    device = str(maps.device)
    kept = zeros_like(maps)
    if units:
        index = (arange(len(units), device=device), *tensor(units, device=device).unbind(1))
        kept[index] = maps[index]
    return kept


def _filter(module: Any, input: Tensor, signal: Tensor) -> Tensor:
    """The transpose of a convolution: with `rest`, the pixels of its padded input.

    The padding is cut off here, since with padding="same" it may differ before and behind.
    """
    kernel, stride, dilation, (before, behind) = read_windows(OP, module)
    height, width = input.shape[2:]
    rest = [
        (n + p + q - d * (k - 1) - 1) % s
        for n, p, q, d, k, s in zip((height, width), before, behind, dilation, kernel, stride)
    ]
    pixels = functional.conv_transpose2d(
        signal, module.weight, None, stride, 0, tuple(rest), module.groups, dilation
    )
    top, left = before
    return pixels[:, :, top : top + height, left : left + width]


def _rectify(module: Any, input: Tensor, signal: Tensor) -> Tensor:
    return signal.relu()


def _unpool(module: Any, input: Tensor, signal: Tensor) -> Tensor:
    """As max_unpool2d does, but where windows overlap and share a maximum, their numbers add up."""
    _, switches = functional.max_pool2d(
        input,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    pixels = zeros_like(input).flatten(2)
    return pixels.scatter_add(2, switches.flatten(2), signal.flatten(2)).reshape(input.shape)


def _scale(module: Any, input: Tensor, signal: Tensor) -> Tensor:
    """What a batch norm, in evaluation mode, multiplies with."""
    if module.running_var is None:
        raise ArgumentError(f"{OP}: {module!r} has no running statistics to scale by")
    scale: Tensor = (module.running_var + module.eps).rsqrt()
    if module.weight is not None:
        scale = scale * module.weight
    return signal * scale.reshape(1, -1, 1, 1)


def _pass_on(module: Any, input: Tensor, signal: Tensor) -> Tensor:
    return signal


BACK: dict[type[Module], Callable[[Any, Tensor, Tensor], Tensor]] = {
    nn.Conv2d: _filter,
    nn.ReLU: _rectify,
    nn.MaxPool2d: _unpool,
    nn.BatchNorm2d: _scale,
    nn.Dropout: _pass_on,
    nn.Identity: _pass_on,
}


def _find_back(module: Module) -> Callable[[Any, Tensor, Tensor], Tensor]:
    """How to go back through a module; raises for one whose way back is unknown."""
    for kind, back in BACK.items():
        if isinstance(module, kind):
            return back
    names = ", ".join(kind.__name__ for kind in BACK)
    raise ArgumentTypeError(f"{OP}: cannot go back through {module!r}, expected {names}")
