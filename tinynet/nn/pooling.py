"""Pools as modules, and `Unfold` and `Fold`. In 1, 2 and 3 dims they differ in their names only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tinynet.nn import functional
from tinynet.nn.module import Module
from tinynet.tensor import Tensor
from tinynet.windows import Sizes

OutputSize = int | Sequence[int | None]


class _Pool(Module):
    """What pools have in common: a function, and the options that it takes behind the input."""

    function: ClassVar[Callable[..., Any]]

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Any:
        """(*, channels, *sizes); with `return_indices`, values and indices."""
        return type(self).function(input, *self.options())


class _MaxPool(_Pool):
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

    function = functional.max_pool1d


class MaxPool2d(_MaxPool):
    """The largest of each window of (*, channels, height, width)."""

    function = functional.max_pool2d


class MaxPool3d(_MaxPool):
    """The largest of each window of (*, channels, depth, height, width)."""

    function = functional.max_pool3d


class _MaxUnpool(Module):
    """Arguments are those of `functional.max_unpool1d`."""

    ndim: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = _repeated(kernel_size, self.ndim)
        self.stride = _repeated(kernel_size if stride is None else stride, self.ndim)
        self.padding = _repeated(padding, self.ndim)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """`output_size`: what was pooled, where several sizes give the same."""
        return type(self).function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Undoes `MaxPool1d`, with the indices that it returned."""

    ndim = 1
    function = functional.max_unpool1d


class MaxUnpool2d(_MaxUnpool):
    """Undoes `MaxPool2d`, with the indices that it returned."""

    ndim = 2
    function = functional.max_unpool2d


class MaxUnpool3d(_MaxUnpool):
    """Undoes `MaxPool3d`, with the indices that it returned."""

    ndim = 3
    function = functional.max_unpool3d


class _AvgPool(_Pool):
    """Arguments are those of `functional.avg_pool2d`; in one dim there is no `divisor_override`."""

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


class AvgPool1d(_AvgPool):
    """The mean of each window of (*, channels, length)."""

    function = functional.avg_pool1d

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        kernel = _repeated(kernel_size, 1)
        steps = kernel if stride is None else _repeated(stride, 1)
        super().__init__(kernel, steps, _repeated(padding, 1), ceil_mode, count_include_pad)

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return super().options()[:-1]


class AvgPool2d(_AvgPool):
    """The mean of each window of (*, channels, height, width)."""

    function = functional.avg_pool2d


class AvgPool3d(_AvgPool):
    """The mean of each window of (*, channels, depth, height, width)."""

    function = functional.avg_pool3d


class _LPPool(_Pool):
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

    function = functional.lp_pool1d


class LPPool2d(_LPPool):
    """The norm of each window of (*, channels, height, width)."""

    function = functional.lp_pool2d


class LPPool3d(_LPPool):
    """The norm of each window of (*, channels, depth, height, width)."""

    function = functional.lp_pool3d


class _AdaptivePool(_Pool):
    """`output_size`: how many windows, along all dims or each."""

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        self.output_size: Any = output_size

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return (self.output_size,)

    def extra_repr(self) -> str:
        """Size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means of so many windows, whatever the length."""

    function = functional.adaptive_avg_pool1d


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means of so many windows, whatever height and width are."""

    function = functional.adaptive_avg_pool2d


class AdaptiveAvgPool3d(_AdaptivePool):
    """Means of so many windows, whatever depth, height and width are."""

    function = functional.adaptive_avg_pool3d


class _AdaptiveMaxPool(_AdaptivePool):
    """With `return_indices`, `forward` gives values and indices."""

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def options(self) -> tuple[Any, ...]:
        """What follows the input."""
        return self.output_size, self.return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever the length."""

    function = functional.adaptive_max_pool1d


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever height and width are."""

    function = functional.adaptive_max_pool2d


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of so many windows, whatever depth, height and width are."""

    function = functional.adaptive_max_pool3d


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
