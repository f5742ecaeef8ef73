"""What augmentations check before they compute."""

import math
from collections.abc import Sequence
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.ops.operands import as_number, require_same_device, require_tensor
from tinynet.tensor import Tensor

Value = float | Tensor  # one number for all images, or a tensor (n,) of one for each


def check_images(op: str, images: Any) -> Tensor:
    """`images` if they are floats of shape (n, channels, height, width), with pixels."""
    x = require_tensor(op, images, "images")
    if x.ndim != 4:
        raise ShapeError(f"{op}: images of shape {x.shape}, expected (n, channels, height, width)")
    if not x.dtype.is_floating_point:
        raise DTypeError(f"{op}: images are {x.dtype}, expected floats: images.float() / 255")
    if 0 in x.shape[1:]:
        raise ShapeError(f"{op}: images of shape {x.shape}, expected at least one pixel in each")
    return x


def check_value(op: str, name: str, value: Any, images: Tensor) -> Value:
    """`value` as a finite number, or a tensor of one for each image."""
    if isinstance(value, Tensor) and value.shape:
        if value.shape != images.shape[:1]:
            raise ShapeError(
                f"{op}: {name} of shape {value.shape}, expected a number or"
                f" {images.shape[:1]}, one for each image"
            )
        require_same_device(op, images, value)
        return value.to(images.dtype)
    return check_finite(op, name, value)


def check_pair(op: str, name: str, value: Any, images: Tensor) -> tuple[Value, Value]:
    """`value` as two values, of x and of y."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ArgumentTypeError(f"{op}: {name} is {value!r:.60}, expected a pair (x, y)")
    first, second = (check_value(op, name, each, images) for each in value)
    return first, second


def check_finite(op: str, name: str, value: Any) -> float:
    """`value` as a number that is neither infinite nor NaN."""
    number = as_number(op, name, value)
    if not math.isfinite(number):
        raise ArgumentError(f"{op}: {name} is {number}, expected a finite number")
    return float(number)


def check_positive(op: str, name: str, value: Any) -> float:
    """`value` as a number above 0."""
    number = check_finite(op, name, value)
    if number <= 0:
        raise ArgumentError(f"{op}: {name} is {value}, expected more than 0")
    return number


def check_count(op: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"{op}: {name} is {value!r:.60}, expected an int of at least {least}")
    return value


def check_chance(op: str, name: str, value: Any) -> float:
    """`value` as a probability."""
    number = as_number(op, name, value)
    if not 0 <= number <= 1:
        raise ArgumentError(f"{op}: {name} is {number}, expected a probability between 0 and 1")
    return float(number)


def check_range(op: str, name: str, value: Any) -> tuple[float, float]:
    """`value` as two finite numbers, the lower one first."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ArgumentTypeError(f"{op}: {name} is {value!r:.60}, expected a pair (low, high)")
    low, high = (check_finite(op, name, each) for each in value)
    if low > high:
        raise ArgumentError(f"{op}: {name} is {value!r:.60}, expected the lower number first")
    return low, high
