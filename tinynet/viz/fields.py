"""Receptive fields: which pixels of the input a unit of some layer sees.

The arithmetic: Dumoulin & Visin 2016, arXiv:1603.07285, and Araujo, Norris & Sim 2019,
doi:10.23915/distill.00021.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinynet import nn
from tinynet.errors import ArgumentTypeError
from tinynet.nn import Module
from tinynet.shape import Shape
from tinynet.viz.layers import Unit, list_path, read_windows

# What gives each unit from the one at the same place: the field stays as it is.
POINTWISE = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh),
    *(nn.Hardtanh, nn.Softplus, nn.Dropout, nn.Identity, nn.BatchNorm2d),
)


@dataclass(frozen=True)
class ReceptiveField:
    """Where the units of a feature map look; pairs are for rows and columns, in pixels.

    Unit i of a dim sees the `size` pixels from `start + i * stride` on. Those before 0, and those
    past the end of the image, are padding. At the end a unit may see less: where strides leave a
    rest, the maps of later layers end before the image does, and what these layers pad is zeros.
    """

    size: Shape = (1, 1)
    stride: Shape = (1, 1)
    start: Shape = (0, 0)

    def slices(self, unit: Unit | Shape) -> tuple[slice, slice]:
        """The rows and the columns of the image that a unit, or a (row, column), sees.

        >>> ReceptiveField(size=(6, 6), stride=(2, 2), start=(-2, -2)).slices((0, 3))
        (slice(0, 4, None), slice(4, 10, None))
        """
        rows, columns = (
            slice(max(start + i * stride, 0), max(start + i * stride + size, 0))
            for i, size, stride, start in zip(unit[-2:], self.size, self.stride, self.start)
        )
        return rows, columns


def receptive_field(model: Module, layer: Module | str) -> ReceptiveField:
    """The receptive fields of the units of `layer`, a module in `model` or its dotted name.

    From the geometry of the layers alone: `model` must be made of `Sequential`, and have before
    and at `layer` only convolutions, pools and layers that work unit by unit, such as activations
    and, in evaluation mode, batch norms. Windows with gaps (`dilation`) count with their gaps.

    >>> from tinynet import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
    >>> receptive_field(model, "2")
    ReceptiveField(size=(6, 6), stride=(2, 2), start=(-2, -2))
    """
    field = ReceptiveField()
    for module in list_path("receptive_field", model, layer):
        if not isinstance(module, POINTWISE):
            field = _look_through(module, field)
    return field


def _look_through(module: Module, field: ReceptiveField) -> ReceptiveField:
    """What units see through a module's windows, whose input's units see `field`."""
    op = "receptive_field"
    if not isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        raise ArgumentTypeError(
            f"{op}: what a unit of {module!r} sees is unknown, expected a convolution, a pool of "
            "fixed size or a layer that works unit by unit"
        )
    kernel, stride, dilation, (padding, _) = read_windows(op, module)
    return ReceptiveField(
        tuple(
            [n + (k - 1) * d * s for n, k, d, s in zip(field.size, kernel, dilation, field.stride)]
        ),
        tuple([s * outer for s, outer in zip(field.stride, stride)]),
        tuple([start - p * s for start, p, s in zip(field.start, padding, field.stride)]),
    )
