"""Attention without its weights in memory: kernels for CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynet.backends.opencl.array import Array, row_major
from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.dtype import DType, float32
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.backends.opencl.backend import OpenCLBackend

TURNED = 0, 2, 1, 3  # results have the heads behind the rows
LANES = 16  # queries side by side, as in kernels/attention_cpu.cl
WIDTH = 8  # of a vector
MOST_COLUMNS = 128  # of keys and values, which stand on the stack
FEWEST = 8  # queries and keys that pay
ITEMS = 4  # for each core: some have less to do than others


class Rows(NamedTuple):
    """Rows of an array (sequences, heads, rows, columns) as they lie in memory, in elements."""

    block: Block
    offset: int
    strides: Shape  # of sequences, heads and rows

    @property
    def scalars(self) -> Shape:
        """The arguments that say where they are."""
        return (self.offset, *self.strides)


class Attention(NamedTuple):
    """Sizes, and what is done with the mask: see kernels/attention_cpu.cl."""

    sequences: int
    heads: int
    queries: int
    keys: int
    q_size: int
    v_size: int
    mask: int
    scale: float

    @property
    def scalars(self) -> tuple[float, ...]:
        """The arguments that all kernels have."""
        return self.heads, self.queries, self.keys, self.scale

    @property
    def products(self) -> int:
        """Multiplications and additions of one product with the weights, none of them left out."""
        return 2 * self.sequences * self.heads * self.queries * self.keys


SIZES: tuple[Any, ...] = (np.int32, np.int32, np.int32, np.float32)
STRIDES: tuple[Any, ...] = (np.int64,) * 4


def has_kernels(device: Device, dtype: DType, shape: Shape, keys: int, v_size: int) -> bool:
    """Whether the kernels are for queries of this shape, and pay."""
    sequences, heads, queries, q_size = shape
    fits = all(0 < n <= MOST_COLUMNS and n % WIDTH == 0 for n in (q_size, v_size))
    pays = sequences * heads >= device.cores and min(queries, keys) >= FEWEST
    return device.is_cpu and dtype is float32 and fits and pays


def attend(
    backend: OpenCLBackend, operands: tuple[Array, Array, Array], mask: Array | None, scale: float
) -> tuple[Array, Array]:
    """Results of queries, keys and values, and the logarithms of the weights' sums."""
    q, _, v = operands
    task, barred = _task(backend, q, v, mask, scale)
    made = forward(backend.device, task, [_rows(backend, x) for x in operands], barred)
    n, heads, queries, _ = q.shape
    shapes = (n, queries, heads, v.shape[3]), (n, heads, queries)
    out, logs = backend.held(made, shapes, q.dtype)
    return backend.permute(out, TURNED), logs


def attend_backward(
    backend: OpenCLBackend,
    operands: tuple[Array, Array, Array, Array],
    mask: Array | None,
    made: tuple[Array, Array],
    scale: float,
) -> tuple[Array, Array, Array]:
    """Gradients of queries, keys and values, given that of the results before them."""
    _, q, k, v = operands
    task, barred = _task(backend, q, v, mask, scale)
    out, logs = backend.blocks(backend.permute(made[0], TURNED), made[1])
    rows = [_rows(backend, x) for x in operands]
    found = backward(backend.device, task, rows, barred, (out, logs))
    shapes = [(x.shape[0], x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
    grads = backend.held(found, shapes, q.dtype)
    q_grad, k_grad, v_grad = [backend.permute(x, TURNED) for x in grads]
    return q_grad, k_grad, v_grad


def forward(
    device: Device, task: Attention, rows: list[Rows], mask: Rows | None
) -> tuple[Block, Block]:
    """Results (sequences, queries, heads, v_size) and the logarithms of the weights' sums.

    `rows`: of queries, keys and values; of the logarithms there are (sequences, heads, queries).
    """
    items = task.sequences * task.heads
    out = device.pool.allocate(4 * items * task.queries * task.v_size)
    logs = device.pool.allocate(4 * items * task.queries)
    tiles = -(-task.queries // LANES)
    parts = min(tiles, -(-ITEMS * device.cores // items))
    buffers = [x.block.buffer for x in _all(rows, mask)]
    kernel = _kernel(device, "forward", task, len(buffers) + 2, (*SIZES, np.int32), 3)
    flops = task.products * (task.q_size + task.v_size)
    device.launch(
        kernel, (items * parts,), (1,), *buffers, out.buffer, logs.buffer, *task.scalars, parts,
        *_places(rows, mask), nbytes=_nbytes(task), flops=flops,
    )  # fmt: skip
    return out, logs


def backward(
    device: Device, task: Attention, rows: list[Rows], mask: Rows | None, made: tuple[Block, Block]
) -> tuple[Block, Block, Block]:
    """Gradients of queries, keys and values, each (sequences, rows, heads, columns).

    `rows`: of the results' gradient, queries, keys and values; `made`: what `forward` gave.
    """
    items = task.sequences * task.heads
    counts = task.queries * task.q_size, task.keys * task.q_size, task.keys * task.v_size
    q, k, v = [device.pool.allocate(4 * items * count) for count in counts]
    buffers = [x.block.buffer for x in _all(rows, mask)] + [x.buffer for x in (*made, q, k, v)]
    kernel = _kernel(device, "backward", task, len(buffers), SIZES, 4)
    device.launch(
        kernel, (items,), (1,), *buffers, *task.scalars, *_places(rows, mask),
        nbytes=2 * _nbytes(task), flops=task.products * (3 * task.q_size + 2 * task.v_size),
    )  # fmt: skip
    return q, k, v


def _task(
    backend: OpenCLBackend, q: Array, v: Array, mask: Array | None, scale: float
) -> tuple[Attention, Rows | None]:
    """What the kernels are asked, and the mask as they read it: a row for each key."""
    n, heads, queries, q_size = q.shape
    kind = 0 if mask is None else 1 if mask.shape[2] > 1 else 2
    task = Attention(n, heads, queries, v.shape[2], q_size, v.shape[3], kind, scale)
    if mask is None:
        return task, None
    turned = backend.permute(mask, (0, 1, 3, 2))
    [block] = backend.blocks(turned)
    strides = [0 if n == 1 else s for n, s in zip(turned.shape, row_major(turned.shape))]
    return task, Rows(block, 0, (*strides[:2], turned.shape[3]))


def _rows(backend: OpenCLBackend, x: Array) -> Rows:
    """Rows whose elements lie side by side."""
    if x.strides[-1] != 1:
        x = backend.copy(x)
    value = backend.memory(x)
    assert value.block is not None
    return Rows(value.block, x.offset, x.strides[:3])


def _all(rows: list[Rows], mask: Rows | None) -> list[Rows]:
    return rows if mask is None else [*rows, mask]


def _places(rows: list[Rows], mask: Rows | None) -> list[int]:
    places = [n for x in rows for n in x.scalars]
    return places if mask is None else [*places, *mask.strides]


def _nbytes(task: Attention) -> int:
    """Bytes that are read and written, once each."""
    columns = task.q_size + task.v_size
    return 4 * task.sequences * task.heads * (task.queries + task.keys) * columns


def _kernel(
    device: Device, name: str, task: Attention, buffers: int, sizes: tuple[Any, ...], operands: int
) -> Kernel:
    types = (None,) * buffers + sizes + STRIDES * operands + STRIDES[:3] * (task.mask > 0)
    vectors = 1 if task.q_size % (2 * WIDTH) or task.v_size % (2 * WIDTH) else 2
    return device.kernel(
        "functions vectors_cpu attention_cpu", name, types, U="float", VECTOR="float8", WIDTH=WIDTH,
        VECTORS=vectors, Q_SIZE=task.q_size, V_SIZE=task.v_size, MASK=task.mask,
        **{name.upper(): 1},
    )  # fmt: skip
