"""Convolutions in one, two and three dims, and their transposes.

A convolution is linear in its input and in its weight, so three primitives, each the transpose of
another, give gradients of every order: `convolve`, `convolve_input` and `convolve_weight`. A
transposed convolution is `convolve_input`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet import windows as geometry
from tinynet.autograd.graph import CONSTANT, Node, result
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import bool_
from tinynet.errors import ArgumentError, DTypeError, ShapeError
from tinynet.ops.movement import reshape_to
from tinynet.ops.operands import require_same_device, require_tensor
from tinynet.shape import Shape, as_integer
from tinynet.windows import SPATIAL, Sizes, Windows, as_padding, as_sizes

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Convolve(Op):
    """(x, weight, bias) to y. `params`: windows and groups."""

    op = "convolve"
    spares_first = spares_second = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _convolve_input(grad, weight, None, *ctx.params) if needs_x else None,
            _convolve_weight(x, grad, *ctx.params) if needs_weight else None,
            _sum_of_channels(grad) if needs_bias else None,
        )


class ConvolveInput(Op):
    """(y, weight, bias) to x. `params`: windows and groups."""

    op = "convolve_input"
    spares_first = spares_second = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        y, weight = ctx.saved_tensors
        needs_y, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _convolve(grad, weight, None, *ctx.params) if needs_y else None,
            _convolve_weight(grad, y, *ctx.params) if needs_weight else None,
            _sum_of_channels(grad) if needs_bias else None,
        )


class ConvolveWeight(Op):
    """(x, y) to weight. `params`: windows and groups."""

    op = "convolve_weight"
    spares_first = spares_second = True

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        return (
            _convolve_input(y, grad, None, *ctx.params) if needs_x else None,
            _convolve(x, grad, None, *ctx.params) if needs_y else None,
        )


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int
) -> Tensor:
    shape = (x.shape[0], weight.shape[0], *windows.output)
    if 0 in x.shape or 0 in shape:
        array = x.backend.full(shape, 0, x.dtype)
    else:
        array = x.backend.convolve(x.array, weight.array, windows, groups)
    return _with_bias(Convolve, array, x, weight, bias, (windows, groups))


def _convolve_input(
    y: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int
) -> Tensor:
    shape = (y.shape[0], weight.shape[1] * groups, *windows.input)
    if 0 in y.shape or 0 in shape:
        array = y.backend.full(shape, 0, y.dtype)
    else:
        array = y.backend.convolve_input(y.array, weight.array, windows, groups)
    return _with_bias(ConvolveInput, array, y, weight, bias, (windows, groups))


def _convolve_weight(x: Tensor, y: Tensor, windows: Windows, groups: int) -> Tensor:
    if 0 in x.shape or 0 in y.shape:
        shape = (y.shape[1], x.shape[1] // groups, *windows.kernel)
        array = x.backend.full(shape, 0, x.dtype)
    else:
        array = x.backend.convolve_weight(x.array, y.array, windows, groups)
    return result(ConvolveWeight, array, x.dtype, (x, y), (x, y), (windows, groups))


def _with_bias(
    function: type[Op], array: Any, x: Tensor, weight: Tensor, bias: Tensor | None, params: Any
) -> Tensor:
    if bias is None:
        return result(function, array, x.dtype, (x, weight, CONSTANT), (x, weight), params)
    backend = x.backend
    column = backend.reshape(bias.array, (*bias.shape, *(1,) * (x.ndim - 2)))
    array = backend.elementwise("add", array, column, out=array)
    return result(function, array, x.dtype, (x, weight, bias), (x, weight), params)


def _sum_of_channels(grad: Tensor) -> Tensor:
    """Over all but dim 1."""
    return grad.sum((0, *range(2, grad.ndim)))


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The cross-correlation that deep learning calls convolution.

    Input (batch, in, length) or (in, length), weight (out, in / groups, kernel), bias (out,).
    `padding`: zeros on both sides, "valid" (none), or "same" (as much as keeps the size).
    """
    return _forward("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """As `conv1d`, of (batch, in, height, width), with weight (out, in / groups, *kernel).

    >>> import tinynet as tn
    >>> image = tn.ones(1, 1, 3, 3)
    >>> tn.conv2d(image, tn.ones(1, 1, 2, 2), padding=1).tolist()[0][0][:2]
    [[1.0, 2.0, 2.0, 1.0], [2.0, 4.0, 4.0, 2.0]]
    """
    return _forward("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """As `conv1d`, of (batch, in, depth, height, width)."""
    return _forward("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`: what its gradient does, as an upsampling.

    Input (batch, in, length) or (in, length), weight (in, out / groups, kernel), bias (out,).
    The length becomes `(length - 1) * stride - 2 * padding + dilation * (kernel - 1) +
    output_padding + 1`.
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """As `conv_transpose1d`, of (batch, in, height, width)."""
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """As `conv_transpose1d`, of (batch, in, depth, height, width)."""
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def _forward(
    op: str, ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes,
    padding: Sizes | str, dilation: Sizes, groups: int,
) -> Tensor:  # fmt: skip
    x, batched = _operands(op, ndim, input, weight, bias)
    groups = _checked_groups(op, groups, weight.shape[0], "out channels", weight)
    if x.shape[1] != weight.shape[1] * groups:
        raise ShapeError(
            f"{op}: input {input.shape} has {x.shape[1]} channels, weight {weight.shape} "
            f"takes {weight.shape[1] * groups} in {groups} groups"
        )
    _check_bias(op, bias, weight.shape[0])
    kernel = weight.shape[2:]
    strides = as_sizes(op, "stride", stride, ndim, 1)
    dilations = as_sizes(op, "dilation", dilation, ndim, 1)
    pads = as_padding(op, padding, kernel, strides, dilations)
    windows = geometry.place(op, x.shape[2:], kernel, strides, pads, dilations)
    y = _convolve(x, weight, bias, windows, groups)
    return y if batched else reshape_to(y, y.shape[1:])


def _transposed(
    op: str, ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes,
    padding: Sizes, output_padding: Sizes, groups: int, dilation: Sizes,
) -> Tensor:  # fmt: skip
    x, batched = _operands(op, ndim, input, weight, bias)
    groups = _checked_groups(op, groups, weight.shape[0], "in channels", weight)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{op}: input {input.shape} has {x.shape[1]} channels, weight {weight.shape} "
            f"takes {weight.shape[0]}"
        )
    _check_bias(op, bias, weight.shape[1] * groups)
    kernel = weight.shape[2:]
    strides = as_sizes(op, "stride", stride, ndim, 1)
    pads = as_sizes(op, "padding", padding, ndim)
    dilations = as_sizes(op, "dilation", dilation, ndim, 1)
    more = as_sizes(op, "output_padding", output_padding, ndim)
    if any(a >= max(s, d) for a, s, d in zip(more, strides, dilations, strict=True)):
        raise ArgumentError(
            f"{op}: output_padding {more} must be smaller than stride {strides} or "
            f"dilation {dilations}"
        )
    sizes = tuple([
        (n - 1) * s - 2 * p + d * (k - 1) + a + 1
        for n, k, s, p, d, a in zip(
            x.shape[2:], kernel, strides, pads, dilations, more, strict=True
        )
    ])  # fmt: skip
    if any(n < 1 for n in sizes):
        raise ShapeError(f"{op}: the output of input {input.shape} would have sizes {sizes}")
    windows = Windows(sizes, x.shape[2:], kernel, strides, pads, dilations)
    y = _convolve_input(x, weight, bias, windows, groups)
    return y if batched else reshape_to(y, y.shape[1:])


def _operands(
    op: str, ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, bool]:
    """The input with a batch dim, and whether it had one."""
    x = require_tensor(op, input)
    require_tensor(op, weight, "weight")
    batched = geometry.split_batch(op, x.shape, ndim)
    if weight.ndim != ndim + 2 or 0 in weight.shape:
        raise ShapeError(
            f"{op}: weight must be (channels, channels / groups, {SPATIAL[ndim]}) "
            f"without sizes of 0, got {weight.shape}"
        )
    given = [("weight", weight)] if bias is None else [("weight", weight), ("bias", bias)]
    for name, y in given:
        require_tensor(op, y, name)
        if y.dtype is not x.dtype:
            raise DTypeError(f"{op}: {name} has {y.dtype}, the input {x.dtype}")
        if y.backend is not x.backend:
            require_same_device(op, x, y)
    if x.dtype is bool_:
        raise DTypeError(f"{op}: not defined for {bool_}")
    return (x if batched else reshape_to(x, (1, *x.shape))), batched


def _checked_groups(op: str, groups: int, channels: int, name: str, weight: Tensor) -> int:
    groups = as_integer(op, "groups", groups)
    if groups < 1 or channels % groups:
        raise ShapeError(
            f"{op}: {groups} groups do not divide the {channels} {name} of weight {weight.shape}"
        )
    return groups


def _check_bias(op: str, bias: Tensor | None, channels: int) -> None:
    expected: Shape = (channels,)
    if bias is not None and bias.shape != expected:
        raise ShapeError(f"{op}: bias has shape {bias.shape}, expected {expected}")
