"""Random bits: Philox4x64-10 on the device, bit for bit those of `numpy.random.Philox`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.ordering import spread

BLOCK_BYTES = 32  # four words of 64 bits
TYPES = (None, np.int64, np.int64, *(np.uint64,) * 6)
WORD = (1 << 64) - 1


def random_bits(
    device: Device, key: int, counter: int, count: int, width: Literal[32, 64]
) -> Block:
    """`count` words of `width` bits for a key of 128 and a counter of 256 bits.

    Block `counter + 1` comes first. 64-bit words give their low half first.
    """
    blocks = -(-count * width // (8 * BLOCK_BYTES))
    out = device.pool.allocate(blocks * BLOCK_BYTES)
    if not blocks:
        return out
    size, group, chunk = spread(device, blocks, 256)
    kernel = device.kernel("philox", "random_bits", TYPES, IS_CPU=int(device.is_cpu))
    words = (*_words(key, 2), *_words(counter + 1, 4))
    device.launch(kernel, size, group, out.buffer, blocks, chunk, *words)
    return out


def _words(number: int, count: int) -> list[Any]:
    """The lowest `count` words of 64 bits, least significant first."""
    return [number >> (64 * i) & WORD for i in range(count)]
