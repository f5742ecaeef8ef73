"""What changes the values of pixels, not their places; and mixing images, with given parameters."""

from collections.abc import Sequence
from typing import Any

from tinynet.data.augmentation.checks import (
    Value,
    check_count,
    check_finite,
    check_images,
    check_range,
    check_value,
)
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange, tensor
from tinynet.ops.operands import as_number, require_same_device, require_tensor
from tinynet.ops.random import Generator, randn_like
from tinynet.tensor import Tensor

Limits = tuple[float, float] | None  # pixels' lowest and highest value; None: there are no such
UNIT = (0.0, 1.0)


def normalize(
    images: Tensor, mean: float | Sequence[float], std: float | Sequence[float]
) -> Tensor:
    """`(images - mean) / std`, numbers or one for each channel, as `torchvision`'s.

    >>> import tinynet as tn
    >>> normalize(tn.tensor([[[[0.0, 0.5, 1.0]]]]), 0.5, 0.25)
    tensor([[[[-2.,  0.,  2.]]]])
    """
    x = check_images("normalize", images)
    return (x - _per_channel("mean", mean, x)) / _per_channel("std", std, x)


def _per_channel(name: str, value: Any, images: Tensor) -> float | Tensor:
    numbers = value if isinstance(value, Sequence) else [value]
    numbers = [as_number("normalize", name, number) for number in numbers]
    if len(numbers) not in (1, images.shape[1]):
        raise ShapeError(
            f"normalize: {len(numbers)} numbers for {name}, expected 1 or {images.shape[1]},"
            f" one for each channel"
        )
    if name == "std" and min(numbers) <= 0:
        raise ArgumentError(f"normalize: std is {value}, expected more than 0")
    if len(numbers) == 1:
        return float(numbers[0])
    return tensor(numbers, dtype=images.dtype, device=images.device).reshape(-1, 1, 1)


def adjust_brightness(images: Tensor, factor: Value, limits: Limits = UNIT) -> Tensor:
    """Pixels times `factor`, a number or one for each image, then held within `limits`."""
    x = check_images("adjust_brightness", images)
    return _limited("adjust_brightness", x * _as_factor("adjust_brightness", factor, x), limits)


def adjust_contrast(images: Tensor, factor: Value, limits: Limits = UNIT) -> Tensor:
    """Pixels' distances from their image's mean times `factor`, then held within `limits`."""
    x = check_images("adjust_contrast", images)
    mean = x.mean((1, 2, 3), keepdim=True)
    factors = _as_factor("adjust_contrast", factor, x)
    return _limited("adjust_contrast", (x - mean) * factors + mean, limits)


def _as_factor(op: str, factor: Value, images: Tensor) -> Value:
    value = check_value(op, "factor", factor, images)
    if isinstance(value, Tensor):
        return value.reshape(-1, 1, 1, 1)
    if value < 0:
        raise ArgumentError(f"{op}: factor is {value}, expected none below 0")
    return value


def _limited(op: str, images: Tensor, limits: Limits) -> Tensor:
    if limits is None:
        return images
    low, high = check_range(op, "limits", limits)
    return images.clamp(low, high)


def gaussian_noise(
    images: Tensor,
    std: Value = 0.1,
    limits: Limits = UNIT,
    generator: Generator | None = None,
) -> Tensor:
    """Images plus normal noise of deviation `std`, then held within `limits`."""
    op = "gaussian_noise"
    x = check_images(op, images)
    deviation = check_value(op, "std", std, x)
    if isinstance(deviation, Tensor):
        deviation = deviation.reshape(-1, 1, 1, 1)
    elif deviation < 0:
        raise ArgumentError(f"{op}: std is {deviation}, expected none below 0")
    return _limited(op, x + randn_like(x, generator=generator) * deviation, limits)


def cutout(images: Tensor, top: Value, left: Value, size: int, cval: float = 0.0) -> Tensor:
    """Images with a square of `size` pixels, from row `top` and column `left`, set to `cval`.

    `top` and `left` are numbers, or tensors (n,) of one for each image; what of the square lies
    outside is left out. DeVries & Taylor 2017.

    >>> import tinynet as tn
    >>> cutout(tn.ones(1, 1, 2, 3), 0, 1, 1)
    tensor([[[[1., 0., 1.],
              [1., 1., 1.]]]])
    """
    x = check_images("cutout", images)
    length = check_count("cutout", "size", size)
    value = check_finite("cutout", "cval", cval)
    is_cut = None
    for name, start, shape in (("top", top, (-1, 1)), ("left", left, (1, -1))):
        first: Any = check_value("cutout", name, start, x)
        first = first.reshape(-1, 1, 1, 1) if isinstance(first, Tensor) else first
        places = arange(x.shape[shape.index(-1) + 2], dtype=x.dtype, device=x.device).reshape(shape)
        is_here = (places >= first) & (places < first + length)
        is_cut = is_here if is_cut is None else is_cut & is_here
    assert is_cut is not None
    return where(is_cut, value, x)  # type: ignore[no-any-return]


def mixup(images: Tensor, targets: Tensor, partners: Tensor, share: Value) -> tuple[Tensor, Tensor]:
    """Each image's `share` of itself and the rest of its partner, and their targets likewise.

    `partners` (n,) are indices of images; `targets` (n, classes) are probabilities, or other
    numbers (n, ...); `share` is a number, or a tensor (n,). Zhang et al. 2018.

    >>> import tinynet as tn
    >>> images, targets = tn.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), tn.eye(2)
    >>> mixup(images, targets, tn.tensor([1, 0]), 0.75)[1]
    tensor([[0.7500, 0.2500],
            [0.2500, 0.7500]])
    """
    x = check_images("mixup", images)
    y, order = require_tensor("mixup", targets, "targets"), require_tensor("mixup", partners)
    require_same_device("mixup", x, y, order)
    if not y.dtype.is_floating_point:
        raise DTypeError(f"mixup: targets are {y.dtype}, expected floats: one_hot(targets).float()")
    if y.shape[:1] != x.shape[:1] or order.shape != x.shape[:1]:
        raise ShapeError(
            f"mixup: targets of shape {y.shape} and partners of shape {order.shape},"
            f" expected one of each for each of {x.shape[0]} images"
        )
    part = check_value("mixup", "share", share, x)
    return _mixed(x, order, part), _mixed(y, order, part)


def _mixed(x: Tensor, partners: Tensor, share: Value) -> Tensor:
    if isinstance(share, Tensor):
        share = share.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    other = x[partners]
    return other + (x - other) * share
