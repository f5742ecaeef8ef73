"""Where the windows of convolutions and pools lie on their input, in any number of dims."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from tinynet.errors import ArgumentError, ShapeError
from tinynet.shape import Shape, as_integer

Sizes = int | Sequence[int]  # one for all dims, or one for each
SPATIAL = ("", "length", "height, width", "depth, height, width")


class Windows(NamedTuple):
    """Tap k of window o lies at `o * stride - padding + k * dilation` of the input, in each dim.

    Where that is outside of the input there is nothing: a zero, or what a pool takes for it.
    All are tuples with an entry for each spatial dim; `padding` is what there is before the input.
    """

    input: Shape
    output: Shape
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return prod(self.kernel)

    @property
    def behind(self) -> Shape:
        """How far the last windows reach past the end of the input; negative where they do not."""
        return tuple(
            (o - 1) * s - p + (k - 1) * d + 1 - n for n, o, k, s, p, d in zip(*self, strict=True)
        )


def as_sizes(op: str, name: str, value: object, ndim: int, least: int = 0) -> Shape:
    """An argument such as `stride`: an int for all of `ndim` dims, or as many ints."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        sizes = tuple([as_integer(op, name, n) for n in value])
        if len(sizes) == 1:
            sizes *= ndim
    else:
        sizes = (as_integer(op, name, value),) * ndim
    if len(sizes) != ndim:
        raise ShapeError(f"{op}: {name} must be an int or {ndim} of them, got {value!r}")
    if any(n < least for n in sizes):
        raise ArgumentError(f"{op}: {name} must be at least {least}, got {value!r}")
    return sizes


def as_padding(
    op: str, value: object, kernel: Shape, stride: Shape, dilation: Shape
) -> tuple[Shape, Shape]:
    """How much to pad before and behind each dim: from numbers, pairs, 'valid' or 'same'."""
    ndim = len(kernel)
    if not isinstance(value, str):
        sizes = as_sizes(op, "padding", value, ndim)
        return sizes, sizes
    if value == "valid":
        return (0,) * ndim, (0,) * ndim
    if value != "same":
        raise ArgumentError(f"{op}: padding must be numbers, 'valid' or 'same', got {value!r}")
    if any(s != 1 for s in stride):
        raise ArgumentError(f"{op}: padding='same' needs a stride of 1, got {stride}")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([n // 2 for n in total]), tuple([n - n // 2 for n in total])


def place(
    op: str,
    input: Shape,
    kernel: Shape,
    stride: Shape,
    padding: tuple[Shape, Shape],
    dilation: Shape,
    ceil_mode: bool = False,
) -> Windows:
    """The windows that fit an input padded before and behind.

    With `ceil_mode` a last window may reach past the end, if it begins before that.
    """
    output = []
    for n, k, s, p, q, d in zip(input, kernel, stride, *padding, dilation, strict=True):
        room = n + p + q - (d * (k - 1) + 1)
        count = room // s + 1
        if ceil_mode and room % s and count * s < n + p:
            count += 1
        if count < 1:
            raise ShapeError(
                f"{op}: windows of {kernel} (dilation {dilation}) are larger than the input "
                f"{input} padded by {padding[0]} and {padding[1]}"
            )
        output.append(count)
    return Windows(input, tuple(output), kernel, stride, padding[0], dilation)


def split_batch(op: str, shape: Shape, ndim: int) -> bool:
    """Whether an input of `shape` has a batch dim before its channels and `ndim` spatial dims."""
    dims = SPATIAL[ndim]
    if len(shape) not in (ndim + 1, ndim + 2):
        raise ShapeError(
            f"{op}: the input must be (batch, channels, {dims}) or (channels, {dims}), got {shape}"
        )
    return len(shape) == ndim + 2
