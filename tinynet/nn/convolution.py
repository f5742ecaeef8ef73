"""Convolutions and transposed convolutions as layers."""

from __future__ import annotations

import math
from typing import ClassVar

from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty
from tinynet.tensor import Tensor
from tinynet.windows import Sizes, as_padding, as_sizes

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all of them share. `ndim`: how many spatial dims."""

    ndim: ClassVar[int]
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes,
        padding: Sizes | str, output_padding: Sizes, dilation: Sizes, groups: int, bias: bool,
        padding_mode: str, device: str | None, dtype: DType | None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: {groups} groups do not divide {in_channels} input and "
                f"{out_channels} output channels"
            )
        if padding_mode not in PADDING_MODES:
            raise ArgumentError(
                f"{name}: padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = as_sizes(name, "kernel_size", kernel_size, self.ndim, 1)
        self.stride = as_sizes(name, "stride", stride, self.ndim, 1)
        self.dilation = as_sizes(name, "dilation", dilation, self.ndim, 1)
        self.output_padding = as_sizes(name, "output_padding", output_padding, self.ndim)
        self.padding = padding
        if isinstance(padding, str):
            as_padding(name, padding, self.kernel_size, self.stride, self.dilation)
        else:
            self.padding = as_sizes(name, "padding", padding, self.ndim)
        self.groups = groups
        self.padding_mode = padding_mode
        channels = self.weight_channels()
        self.weight = Parameter(empty(*channels, *self.kernel_size, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def weight_channels(self) -> tuple[int, int]:
        """The first two sizes of the weight."""
        return self.out_channels, self.in_channels // self.groups

    def reset_parameters(self) -> None:
        """Draw new weights: uniform on +-1 / sqrt(fan in), as PyTorch has it."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        zeros, ones = (0,) * self.ndim, (1,) * self.ndim
        if self.padding != zeros:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != zeros:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Forward(_Convolution):
    """A convolution of `in_channels` to `out_channels`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: str | None = None, dtype: DType | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """(batch, in_channels, *sizes) to (batch, out_channels, *smaller sizes)."""
        padding: Sizes | str = self.padding
        if self.padding_mode != "zeros":
            sizes = as_padding("conv", padding, self.kernel_size, self.stride, self.dilation)
            pads = [n for pair in zip(*sizes, strict=True) for n in reversed(pair)]
            input = functional.pad(input, pads[::-1], self.padding_mode)
            padding = 0
        convolve = getattr(functional, f"conv{self.ndim}d")
        y: Tensor = convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )
        return y


class Conv1d(_Forward):
    """A convolution over (batch, channels, length); see `functional.conv1d`.

    `padding_mode` says what is beyond the edges: "zeros", "reflect", "replicate" or "circular".
    """

    ndim = 1


class Conv2d(_Forward):
    """A convolution over (batch, channels, height, width); see `functional.conv2d`.

    >>> import tinynet as tn
    >>> tn.nn.Conv2d(3, 8, 5, padding=2)(tn.zeros(1, 3, 28, 28)).shape
    (1, 8, 28, 28)
    """

    ndim = 2


class Conv3d(_Forward):
    """A convolution over (batch, channels, depth, height, width)."""

    ndim = 3


class _Transposed(_Convolution):
    """A transposed convolution of `in_channels` to `out_channels`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, padding_mode: str = "zeros", device: str | None = None,
        dtype: DType | None = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            name = type(self).__name__
            raise ArgumentError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation,
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def weight_channels(self) -> tuple[int, int]:
        """The first two sizes of the weight."""
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input: Tensor, output_size: Sizes | None = None) -> Tensor:
        """(batch, in_channels, *sizes) to (batch, out_channels, *larger sizes).

        `output_size` chooses among the sizes that a convolution would bring down to the input's.
        """
        more = self.output_padding if output_size is None else self.missing(input, output_size)
        convolve = getattr(functional, f"conv_transpose{self.ndim}d")
        y: Tensor = convolve(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups,
            self.dilation,
        )  # fmt: skip
        return y

    def missing(self, input: Tensor, output_size: Sizes) -> tuple[int, ...]:
        """The output padding that leads to `output_size`."""
        name = type(self).__name__
        if not isinstance(output_size, int):
            output_size = tuple(output_size)[-self.ndim :]
        wanted = as_sizes(name, "output_size", output_size, self.ndim)
        padding = as_sizes(name, "padding", self.padding, self.ndim)
        sizes = input.shape[-self.ndim :]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                sizes, self.stride, padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        pairs = zip(wanted, least, self.stride, strict=True)
        if any(not low <= n < low + s for n, low, s in pairs):
            raise ShapeError(
                f"{name}: output_size {wanted} is not between {tuple(least)} and less than a "
                f"stride {self.stride} more"
            )
        return tuple([n - low for n, low in zip(wanted, least, strict=True)])


class ConvTranspose1d(_Transposed):
    """The transpose of a convolution, over (batch, channels, length)."""

    ndim = 1


class ConvTranspose2d(_Transposed):
    """The transpose of a convolution, over (batch, channels, height, width)."""

    ndim = 2


class ConvTranspose3d(_Transposed):
    """The transpose of a convolution, over (batch, channels, depth, height, width)."""

    ndim = 3
