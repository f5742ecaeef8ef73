"""Normalisation as modules; the functions are in `functional/normalization.py`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from tinynet.autograd.mode import no_grad
from tinynet.dtype import DType, int64
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import functional, init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.creation import empty, zeros
from tinynet.tensor import Tensor


class _Affine(Module):
    """Base of modules with a weight and a bias, 1 and 0 at first, where they have them."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_parameters(
        self,
        shape: tuple[int, ...],
        has_weight: bool,
        has_bias: bool,
        device: str | None,
        dtype: DType | None,
    ) -> None:
        for name, is_there in (("weight", has_weight), ("bias", has_weight and has_bias)):
            values = Parameter(empty(shape, device=device, dtype=dtype)) if is_there else None
            self.register_parameter(name, values)

    def reset_parameters(self) -> None:
        """Make weights 1 and biases 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)  # type: ignore[arg-type]


class _Tracking(_Affine):
    """Base of batch and instance normalisation: may follow what inputs' statistics are.

    Buffers `running_mean`, `running_var` and `num_batches_tracked` are None where it does not.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    ndims: ClassVar[tuple[int, ...]]  # of inputs

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters((num_features,), affine, bias, device, dtype)
        made: list[Tensor | None] = [None] * 3
        if track_running_stats:
            made = [empty(num_features, device=device, dtype=dtype) for _ in range(2)]
            made.append(zeros((), device=device, dtype=int64))
        for name, buffer in zip(("running_mean", "running_var", "num_batches_tracked"), made):
            self.register_buffer(name, buffer)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the inputs seen: mean 0, variance 1."""
        if self.running_mean is not None:
            self.running_mean.zero_()
        if self.running_var is not None:
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Make weights 1 and biases 0, and forget the inputs seen."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input(self, input: Tensor) -> None:
        if input.ndim not in self.ndims:
            expected = " or ".join(str(n) for n in self.ndims)
            raise ShapeError(
                f"{type(self).__name__}: expected {expected} dims, got shape {input.shape}"
            )

    def extra_repr(self) -> str:
        """Arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Tracking):
    def forward(self, input: Tensor) -> Tensor:
        """The input's shape; in training, running statistics move on."""
        self._check_input(input)
        is_tracking = self.training and self.track_running_stats
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if is_tracking and self.num_batches_tracked is not None:
            with no_grad():
                self.num_batches_tracked.add_(1)
                if self.momentum is None:  # the mean of all batches
                    momentum = 1.0 / self.num_batches_tracked.to(input.dtype)
        is_used = is_tracking or not self.training
        return functional.batch_norm(
            input,
            self.running_mean if is_used else None,
            self.running_var if is_used else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """`functional.batch_norm` of (n, c) or (n, c, length)."""

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`functional.batch_norm` of (n, c, height, width)."""

    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """`functional.batch_norm` of (n, c, depth, height, width)."""

    ndims = (5,)


class _InstanceNorm(_Tracking):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """The input's shape; in training, running statistics move on, where there are any."""
        self._check_input(input)
        is_single = input.ndim == self.ndims[0]
        channels = input.shape[0 if is_single else 1]
        if channels != self.num_features:
            message = (
                f"{type(self).__name__}: expected {self.num_features} channels, "
                f"got shape {input.shape}"
            )
            if self.affine:
                raise ShapeError(message)
            warnings.warn(message, stacklevel=2)
        y = functional.instance_norm(
            input.unsqueeze(0) if is_single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if is_single else y


class InstanceNorm1d(_InstanceNorm):
    """`functional.instance_norm` of (n, c, length) or (c, length)."""

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`functional.instance_norm` of (n, c, height, width) or (c, height, width)."""

    ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`functional.instance_norm` of (n, c, depth, height, width), or without n."""

    ndims = (4, 5)


class GroupNorm(_Affine):
    """Each example's channels normalised in `num_groups` groups."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: {num_channels} channels do not part into {num_groups} groups"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_parameters((num_channels,), affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, *)."""
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Arguments."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


def _as_shape(value: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


class LayerNorm(_Affine):
    """Normalised over the last dims, which have `normalized_shape`."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(*, *normalized_shape)."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Divided by the root of the mean square over the last dims."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        values = empty(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(values) if elementwise_affine else None)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """(*, *normalized_shape)."""
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LocalResponseNorm(Module):
    """Divided by a power of the mean square of `size` channels around each."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """(n, c, *)."""
        return functional.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
