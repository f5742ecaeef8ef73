"""Long short-term memory over all time steps in one launch: kernels for CPUs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.backends.opencl.device import Device, Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.dtype import DType, float32

COLUMNS = 24  # of a panel, as in kernels/lstm_cpu.cl
ROWS = 4  # of a tile
MOST_ROWS = 16  # of sequences that a work-item takes
FEWEST_STEPS = 4  # that pay for packing the weight
LARGEST = 4 * 1024 * 1024  # bytes of a weight for each sequence that shares it
PACK_TYPES = (None, None, np.int32, np.int32, np.int64, np.int64)
SIZES = (np.int32,) * 5


def has_kernels(device: Device, dtype: DType, steps: int, n: int, hidden: int) -> bool:
    """Whether the kernels are for this task, and pay."""
    pays = steps >= FEWEST_STEPS and 16 * hidden * hidden <= n * LARGEST
    return device.is_cpu and dtype is float32 and pays


def forward(
    device: Device, blocks: list[Block], sizes: tuple[int, int, int], is_reverse: bool
) -> tuple[Block, Block, Block]:
    """Outputs, states and gates.

    `blocks`: the gates' sums, the weight, the first output and the first state; `sizes`: steps,
    sequences and hidden units.
    """
    sums, weight, *states = blocks
    steps, n, hidden = sizes
    panels = _packed(device, weight, (hidden, 4 * hidden), (1, hidden))
    made = _blocks(device, steps * n * hidden, (1, 1, 4))
    _launch(device, "forward", (sums, panels, *states, *made), sizes, is_reverse)
    return made


def backward(
    device: Device, blocks: list[Block], sizes: tuple[int, int, int], is_reverse: bool
) -> tuple[Block, Block, Block]:
    """Gradients of the sums, the first output and the first state.

    `blocks`: the gradients of the outputs and of the last state, the weight, the gates, the states
    and the first state.
    """
    grad, grad_last, weight, *others = blocks
    steps, n, hidden = sizes
    panels = _packed(device, weight, (4 * hidden, hidden), (hidden, 1))
    made = _blocks(device, n * hidden, (4 * steps, 1, 1))
    args = (grad, grad_last, panels, *others, *made)
    _launch(device, "backward", args, sizes, is_reverse)
    return made


def _blocks(device: Device, unit: int, counts: tuple[int, int, int]) -> tuple[Block, Block, Block]:
    """Memory for so many units of float32."""
    a, b, c = [device.pool.allocate(4 * unit * count) for count in counts]
    return a, b, c


def _packed(
    device: Device, weight: Block, shape: tuple[int, int], strides: tuple[int, int]
) -> Block:
    """A factor of this shape and these strides in panels."""
    count = -(-shape[1] // COLUMNS)
    panels = device.pool.allocate(4 * count * COLUMNS * shape[0])
    kernel = device.kernel("lstm_cpu", "pack", PACK_TYPES, PACK=1)
    args = (weight.buffer, panels.buffer, *shape, *strides)
    device.launch(kernel, (count,), (1,), *args, nbytes=2 * panels.nbytes)
    return panels


def _launch(
    device: Device,
    name: str,
    blocks: tuple[Block, ...],
    sizes: tuple[int, int, int],
    is_reverse: bool,
) -> None:
    steps, n, hidden = sizes
    share = _share(n, device.cores)
    device.launch(
        _kernel(device, name, len(blocks)), (-(-n // share),), (1,), *[x.buffer for x in blocks],
        *sizes, share, int(is_reverse),
        nbytes=52 * steps * n * hidden, flops=8 * steps * n * hidden * hidden,
    )  # fmt: skip


def _kernel(device: Device, name: str, count: int) -> Kernel:
    types: tuple[Any, ...] = (*(None,) * count, *SIZES)
    return device.kernel("functions lstm_cpu", name, types, **{name.upper(): 1})


def _share(n: int, cores: int) -> int:
    """Sequences for a work-item: whole tiles, and as much for every core."""
    rounds = -(-n // (cores * MOST_ROWS))
    return -(-n // (cores * rounds * ROWS)) * ROWS
