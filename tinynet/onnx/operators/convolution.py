"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tinynet.nn import functional
from tinynet.onnx.node import Node, Operator
from tinynet.onnx.operators.movement import ints
from tinynet.onnx.protobuf import Array
from tinynet.ops import convolution, folding, pooling
from tinynet.ops.pooling import pool_windows
from tinynet.tensor import Tensor
from tinynet.windows import Windows

Pads = list[tuple[int, int]]
PADDING = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


class Geometry:
    """Where windows lie: kernel, strides, dilations, and pads before and behind each dim."""

    def __init__(self, node: Node, size: tuple[int, ...], kernel: tuple[int, ...]) -> None:
        ndim = len(kernel)
        if not kernel:
            node.malformed("has 0 spatial dims, expected 1 or more")
        self.node = node
        self.kernel = kernel
        self.strides = node.numbers("strides", (1,) * ndim, 1)
        self.dilations = node.numbers("dilations", (1,) * ndim, 1)
        self.pads = self.read_pads(node, size)

    def read_pads(self, node: Node, size: tuple[int, ...]) -> Pads:
        """From `pads`, or from `auto_pad`: as much as gives `size / stride`, rounded up."""
        mode, ndim = node.choice("auto_pad", *PADDING), len(self.kernel)
        if mode == "VALID":
            return [(0, 0)] * ndim
        if mode == "NOTSET":
            pads = node.numbers("pads", (0,) * 2 * ndim)
            return [*zip(pads[:ndim], pads[ndim:], strict=True)]
        found = []
        for n, k, s, d in zip(size, self.kernel, self.strides, self.dilations, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            less, more = total // 2, total - total // 2
            found.append((less, more) if mode == "SAME_UPPER" else (more, less))
        return found

    def windows(self, size: tuple[int, ...], ceil_mode: bool) -> Windows:
        """For a pool; with `ceil_mode` a last window that begins before the end."""
        output = []
        rows = zip(size, self.kernel, self.strides, self.pads, self.dilations, strict=True)
        for n, k, s, (p, q), d in rows:
            room = n + p + q - (d * (k - 1) + 1)
            count = room // s + 1
            if ceil_mode and room % s and count * s < n + p:
                count += 1
            if count < 1:
                self.node.malformed(f"has kernel {self.kernel}, which is larger than {size}")
            output.append(count)
        before = tuple(p for p, _ in self.pads)
        return Windows(size, tuple(output), self.kernel, self.strides, before, self.dilations)


def around(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """`x` padded in its last dims."""
    if not any(map(any, pads)):
        return x
    return functional.pad(x, [n for pair in pads[::-1] for n in pair], value=value)


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    ndim = x.ndim - 2
    if ndim not in (1, 2, 3):
        node.refuse(f"has {ndim} spatial dims, expected 1 to 3")
    shape = Geometry(node, x.shape[2:], weight.shape[2:])
    padding: Any = tuple(p for p, _ in shape.pads)
    if any(p != q for p, q in shape.pads):
        x, padding = around(x, shape.pads), 0
    run = getattr(convolution, f"conv{ndim}d")
    y: Tensor = run(x, weight, bias, shape.strides, padding, shape.dilations, node.get("group", 1))
    return y


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The whole result, with what pads and `output_shape` cut off then taken away."""
    ndim = x.ndim - 2
    if ndim not in (1, 2, 3):
        node.refuse(f"has {ndim} spatial dims, expected 1 to 3")
    kernel = weight.shape[2:]
    strides = node.numbers("strides", (1,) * ndim, 1)
    dilations = node.numbers("dilations", (1,) * ndim, 1)
    extra = node.numbers("output_padding", (0,) * ndim, 0)
    pads = _transposed_pads(node, x.shape[2:], kernel, strides, dilations, extra)
    run = getattr(convolution, f"conv_transpose{ndim}d")
    y: Tensor = run(x, weight, None, strides, 0, 0, node.get("group", 1), dilations)
    cut = [(-p, e - q) for (p, q), e in zip(pads, extra, strict=True)]
    y = around(y, cut)
    return y if bias is None else y + bias.reshape(-1, *(1,) * ndim)


def _transposed_pads(
    node: Node,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    extra: tuple[int, ...],
) -> Pads:
    mode, ndim = node.choice("auto_pad", *PADDING), len(size)
    goal = node.get("output_shape")
    if goal is None and mode in ("NOTSET", "VALID"):
        pads = node.numbers("pads", (0,) * 2 * ndim) if mode == "NOTSET" else (0,) * 2 * ndim
        return [*zip(pads[:ndim], pads[ndim:], strict=True)]
    if goal is None:
        goal = [n * s for n, s in zip(size, strides, strict=True)]
    if len(goal) < ndim:
        node.malformed(f"has output_shape {goal}, expected {ndim} numbers")
    found = []
    rows = zip(size, kernel, strides, dilations, extra, goal[-ndim:], strict=True)
    for n, k, s, d, e, wanted in rows:
        total = s * (n - 1) + e + d * (k - 1) + 1 - wanted
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


# pools
def max_pool(node: Node, x: Tensor) -> Any:
    """Indices, where asked for, count through the whole tensor; `storage_order` 1 by columns."""
    shape = Geometry(node, x.shape[2:], node.numbers("kernel_shape", x.shape[2:], 1))
    windows = shape.windows(x.shape[2:], node.flag("ceil_mode", 0))
    y, taps = pool_windows(x, windows)
    if not node.has_output(1):
        return y
    places = pooling.positions(taps, windows)
    sizes = windows.input
    if node.flag("storage_order", 0):
        places, sizes = places[::-1], sizes[::-1]
    flat = pooling.flat_indices(places, sizes)
    channels = x.new_tensor([*range(prod(x.shape[:2]))], dtype=flat.dtype)
    first = channels.reshape(*x.shape[:2], *(1,) * len(sizes)) * prod(sizes)
    return y, flat + first


def average_pool(node: Node, x: Tensor) -> Any:
    """Divided by what windows cover: of the padded input if `count_include_pad`."""
    shape = Geometry(node, x.shape[2:], node.numbers("kernel_shape", x.shape[2:], 1))
    windows = shape.windows(x.shape[2:], node.flag("ceil_mode", 0))
    with_pads = node.flag("count_include_pad", 0)
    divisor: Any = 1
    for dim, (n, o, k, s, p, d) in enumerate(zip(*windows, strict=True)):
        low, high = (-p, n + shape.pads[dim][1]) if with_pads else (0, n)
        counts = [sum(low <= i * s - p + j * d < high for j in range(k)) for i in range(o)]
        after = (1,) * (len(windows.input) - dim - 1)
        divisor = divisor * x.new_tensor(counts).reshape(-1, *after)
    padded = around(x, [(p, max(q, 0)) for p, q in zip(windows.padding, windows.behind)])
    return _window_sums(padded, windows) / divisor


def _window_sums(x: Tensor, windows: Windows) -> Tensor:
    """Sums over windows of an input that is padded already, dim by dim."""
    for dim, (o, k, s, d) in enumerate(
        zip(windows.output, windows.kernel, windows.stride, windows.dilation), 2
    ):
        before = (slice(None),) * dim
        parts = [x[(*before, slice(j * d, j * d + (o - 1) * s + 1, s))] for j in range(k)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        x = total
    return x


def power_of(node: Node) -> int:
    """Which norm it is."""
    power: int = node.get("p", 2)
    if power < 1:
        node.malformed(f"has p {power}, expected at least 1")
    return power


def lp_pool(node: Node, x: Tensor) -> Any:
    shape = Geometry(node, x.shape[2:], node.numbers("kernel_shape", x.shape[2:], 1))
    windows = shape.windows(x.shape[2:], node.flag("ceil_mode", 0))
    power = power_of(node)
    pads = [(p, max(q, 0)) for p, q in zip(windows.padding, windows.behind)]
    return _window_sums(around(x.abs() ** power, pads), windows) ** (1 / power)


def max_unpool(node: Node, x: Tensor, index: Tensor, shape: Array | None = None) -> Tensor:
    """Elements at their indices in the whole tensor, zeros elsewhere."""
    kernel = node.numbers("kernel_shape", x.shape[2:], 1)
    ndim = len(kernel)
    strides = node.numbers("strides", (1,) * ndim, 1)
    pads = node.numbers("pads", (0,) * 2 * ndim)
    rows = zip(x.shape[2:], strides, kernel, pads[:ndim], pads[ndim:], strict=True)
    own = [(n - 1) * s + k - p - q for n, s, k, p, q in rows]
    place = x.new_zeros(x.shape[0] * x.shape[1] * prod(own))
    y = place.scatter(0, index.reshape(-1).long(), x.reshape(-1)).reshape(*x.shape[:2], *own)
    if shape is None:
        return y
    gaps = [(0, n - m) for n, m in zip(ints(shape)[2:], own, strict=True)]
    return around(y, gaps)


def global_pool(function: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Operator:
    return Operator(lambda node, x: function(x, tuple(range(2, x.ndim))))


def global_lp_pool(node: Node, x: Tensor) -> Any:
    power = power_of(node)
    return (x.abs() ** power).sum(tuple(range(2, x.ndim)), True) ** (1 / power)


def col2im(node: Node, x: Tensor, image: Array, block: Array) -> Tensor:
    """Sums of blocks, each at its place in the image."""
    if len(ints(image)) != 2:
        node.refuse(f"has {len(ints(image))} spatial dims, expected 2")
    pads = node.numbers("pads", (0, 0, 0, 0))
    height, width = ints(image)
    y = folding.fold(
        x,
        (height + pads[0] + pads[2], width + pads[1] + pads[3]),
        ints(block),
        node.numbers("dilations", (1, 1), 1),
        0,
        node.numbers("strides", (1, 1), 1),
    )
    return y[:, :, pads[0] : pads[0] + height, pads[1] : pads[1] + width]


OPERATORS: dict[str, Operator] = {
    "Conv": Operator(conv),
    "ConvTranspose": Operator(conv_transpose),
    "MaxPool": Operator(max_pool),
    "AveragePool": Operator(average_pool, 7),
    "LpPool": Operator(lp_pool, 2),
    "MaxUnpool": Operator(max_unpool, 9, (2,)),
    "GlobalAveragePool": global_pool(lambda x, dims: x.mean(dims, True)),
    "GlobalMaxPool": global_pool(lambda x, dims: x.amax(dims, True)),
    "GlobalLpPool": Operator(global_lp_pool, 2),
    "Col2Im": Operator(col2im, 18, (1, 2)),
}
