"""Pools as modules, and `Unfold` and `Fold`. In 1, 2 and 3 dims they differ in their names only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

Sizes = int | Sequence[int]
OutputSize = int | Sequence[int | None]


class _MaxPool(Module):
    """Arguments are those of `functional.max_pool1d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return (
            self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest of each window of (*, channels, length)."""

    def forward(self, input: Tensor) -> Any:
        """With `return_indices`, values and indices."""
        return functional.max_pool1d(input, *self.options())


class MaxPool2d(_MaxPool):
    """The largest of each window of (*, channels, height, width)."""

    def forward(self, input: Tensor) -> Any:
        """With `return_indices`, values and indices."""
        return functional.max_pool2d(input, *self.options())


class MaxPool3d(_MaxPool):
    """The largest of each window of (*, channels, depth, height, width)."""

    def forward(self, input: Tensor) -> Any:
        """With `return_indices`, values and indices."""
        return functional.max_pool3d(input, *self.options())


class _MaxUnpool(Module):
    """Arguments are those of `functional.max_unpool1d`."""

    ndim = 0

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = _repeated(kernel_size, self.ndim)
        self.stride = _repeated(kernel_size if stride is None else stride, self.ndim)
        self.padding = _repeated(padding, self.ndim)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Undoes `MaxPool1d`, with the indices that it returned."""

    ndim = 1

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """`output_size`: what was pooled, where several sizes give the same."""
        return functional.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool2d(_MaxUnpool):
    """Undoes `MaxPool2d`, with the indices that it returned."""

    ndim = 2

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """`output_size`: what was pooled, where several sizes give the same."""
        return functional.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool3d(_MaxUnpool):
    """Undoes `MaxPool3d`, with the indices that it returned."""

    ndim = 3

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """`output_size`: what was pooled, where several sizes give the same."""
        return functional.max_unpool3d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class AvgPool1d(Module):
    """The mean of each window of (*, channels, length)."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _repeated(kernel_size, 1)
        self.stride = _repeated(kernel_size if stride is None else stride, 1)
        self.padding = _repeated(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """(*, channels, length) to (*, channels, windows)."""
        return functional.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    """Arguments are those of `functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return (
            self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window of (*, channels, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """Height and width become numbers of windows."""
        return functional.avg_pool2d(input, *self.options())


class AvgPool3d(_AvgPool):
    """The mean of each window of (*, channels, depth, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """Depth, height and width become numbers of windows."""
        return functional.avg_pool3d(input, *self.options())


class _LPPool(Module):
    """Arguments are those of `functional.lp_pool1d`."""

    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode

    def extra_repr(self) -> str:
        """Norm and sizes."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The norm of each window of (*, channels, length)."""

    def forward(self, input: Tensor) -> Tensor:
        """(*, channels, length) to (*, channels, windows)."""
        return functional.lp_pool1d(input, *self.options())


class LPPool2d(_LPPool):
    """The norm of each window of (*, channels, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """Height and width become numbers of windows."""
        return functional.lp_pool2d(input, *self.options())


class LPPool3d(_LPPool):
    """The norm of each window of (*, channels, depth, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """Depth, height and width become numbers of windows."""
        return functional.lp_pool3d(input, *self.options())


class _AdaptivePool(Module):
    """`output_size`: how many windows, along all dims or each."""

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        self.output_size: Any = output_size

    def extra_repr(self) -> str:
        """Size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means of so many windows, whatever the length."""

    def forward(self, input: Tensor) -> Tensor:
        """(*, channels, length) to (*, channels, output_size)."""
        return functional.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means of so many windows, whatever height and width are."""

    def forward(self, input: Tensor) -> Tensor:
        """(*, channels, height, width) to (*, channels, *output_size)."""
        return functional.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePool):
    """Means of so many windows, whatever depth, height and width are."""

    def forward(self, input: Tensor) -> Tensor:
        """(*, channels, depth, height, width) to (*, channels, *output_size)."""
        return functional.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    """With `return_indices`, `forward` gives values and indices."""

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever the length."""

    def forward(self, input: Tensor) -> Any:
        """(*, channels, length) to (*, channels, output_size)."""
        return functional.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever height and width are."""

    def forward(self, input: Tensor) -> Any:
        """(*, channels, height, width) to (*, channels, *output_size)."""
        return functional.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever depth, height and width are."""

    def forward(self, input: Tensor) -> Any:
        """(*, channels, depth, height, width) to (*, channels, *output_size)."""
        return functional.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class Unfold(Module):
    """Windows as columns: (*, channels, height, width) to (*, channels * taps, windows)."""

    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """`functional.unfold`."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Unfold):
    """The transpose of `Unfold`: columns added up where they lie in `output_size`."""

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """`functional.fold`."""
        return functional.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        """Sizes."""
        return f"output_size={self.output_size}, {super().extra_repr()}"


def _repeated(value: Any, ndim: int) -> tuple[Any, ...]:
    """A size for each dim."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * ndim
