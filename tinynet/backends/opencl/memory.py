"""Device memory: blocks that come from a pool, and an account of them.

A freed block stays with the pool, ready for the next request of its size: the queue runs in order,
so whoever gets it writes after everybody who still reads it. Sizes are rounded up (by at most an
eighth), so that few of them differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyopencl as cl

from tinynet.errors import OutOfMemoryError

SMALLEST = 256  # bytes


class Block:
    """A piece of device memory; it returns to its pool when nobody holds it any more.

    `is_kept`: the pool keeps it for later; not so an upload's, which brings memory of its own.
    """

    __slots__ = ("buffer", "is_kept", "nbytes", "pool")

    def __init__(self, pool: Pool, buffer: Any, nbytes: int, is_kept: bool = True) -> None:
        self.buffer = buffer
        self.nbytes = nbytes
        self.is_kept = is_kept
        pool.used += nbytes  # no step in which Ctrl-C could come lies between this and the next
        self.pool = pool
        if pool.used > pool.peak:
            pool.peak = pool.used

    def __del__(self) -> None:
        pool = getattr(self, "pool", None)  # Ctrl-C may come before anything is set
        if pool is not None:
            pool.take_back(self)


class Pool:
    """All memory of one device. Attributes count bytes: `used` now, `peak`, `held` for reuse."""

    def __init__(self, context: Any, name: str, largest: int) -> None:
        self.context = context
        self.name = name
        self.largest = largest
        self.free: dict[int, list[Any]] = {}
        self.used = self.peak = self.held = 0
        self.allocations = self.uploaded = 0
        self.recorder: Any = None  # whose pool serves its thread, while it records

    def allocate(self, nbytes: int) -> Block:
        """A block of at least `nbytes`. Raises `OutOfMemoryError`, once the pool is empty too."""
        if self.recorder is not None and self.recorder.is_mine():
            block: Block = self.recorder.pool.allocate(nbytes)
            return block
        size = min(rounded(nbytes), max(nbytes, self.largest))
        ready = self.free.get(size)
        if ready:
            self.held -= size  # before a call, in which Ctrl-C may come
            buffer = ready.pop()
        else:
            buffer = self._create(nbytes, lambda: cl.Buffer(self.context, FLAGS, size))
        return Block(self, buffer, size)

    def upload(self, array: Any) -> Block:
        """A block that holds what a contiguous NumPy array does, without waiting for the queue."""
        size = array.nbytes
        create = lambda: cl.Buffer(  # noqa: E731
            self.context, FLAGS | cl.mem_flags.COPY_HOST_PTR, hostbuf=array
        )
        buffer = self._create(size, create)
        self.uploaded += size
        return Block(self, buffer, size, is_kept=False)

    def take_back(self, block: Block) -> None:
        """Keep a block's memory for the next one of its size."""
        self.used -= block.nbytes
        if block.is_kept:
            self.held += block.nbytes
            self.free.setdefault(block.nbytes, []).append(block.buffer)

    def empty(self) -> None:
        """Give all memory that nobody uses back to the driver."""
        self.free.clear()
        self.held = 0

    def _create(self, nbytes: int, create: Callable[[], Any]) -> Any:
        """What `create` gives, which holds at least `nbytes`."""
        if nbytes > self.largest:
            raise OutOfMemoryError(self._describe(nbytes, f"it allocates {self.largest:,} at most"))
        self.allocations += 1
        try:
            return create()
        except cl.MemoryError:
            self.empty()
        try:
            return create()
        except cl.MemoryError as error:
            raise OutOfMemoryError(self._describe(nbytes, str(error))) from None

    def _describe(self, nbytes: int, why: str) -> str:
        held = f"{self.held:,} are" if self.held else "nothing is"
        return (
            f"allocate: {nbytes:,} bytes do not fit on {self.name} ({why}); "
            f"{self.used:,} bytes are in use, {held} held for reuse"
        )


def rounded(nbytes: int) -> int:
    """`nbytes` rounded up to an eighth of the power of two below it."""
    if nbytes <= SMALLEST:
        return SMALLEST
    step = max(SMALLEST, 1 << max(nbytes.bit_length() - 4, 0))
    return -(-nbytes // step) * step


FLAGS = cl.mem_flags.READ_WRITE
