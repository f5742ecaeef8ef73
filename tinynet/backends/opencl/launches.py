"""What a tape is made of: launches, and places, memory that may be another one in each replay."""

from __future__ import annotations

from typing import Any

from tinynet.backends.opencl.array import Bounds
from tinynet.backends.opencl.device import Kernel
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.plans import Size
from tinynet.backends.runs import KernelRun
from tinynet.numbers import Number


class Launch:
    """A kernel and its arguments, of which `numbers` says which are numbers of a script."""

    __slots__ = (
        "args", "flops", "group", "held", "is_planned", "kernel", "nbytes", "numbers", "ops", "own",
        "run", "size", "uses",
    )  # fmt: skip

    def __init__(
        self, kernel: Kernel, size: Size, group: Size, args: list[Any], nbytes: int, flops: int
    ) -> None:
        self.kernel, self.size, self.group = kernel, size, group
        self.nbytes, self.flops = nbytes, flops
        self.numbers = [(i, x.slot) for i, x in enumerate(args) if type(x) is Number]
        self.args = [x.value if type(x) is Number else x for x in args]
        self.run: Any = None  # of the last replay that was profiled
        self.own: Any = None  # a kernel object that keeps these arguments
        self.ops: tuple[str, ...] = ()  # that were fused in it
        self.uses: Any = ((), ())  # addresses that it read and wrote when it was recorded
        self.is_planned = False  # whether these are known, not guessed
        self.held: Any = None  # memory that it needs as long as it lives

    def set_buffer(self, i: int, buffer: Any) -> None:
        """Change an argument."""
        self.args[i] = buffer
        if self.own is not None:
            self.own.set_arg(i, buffer)

    def noted(self, device: str) -> KernelRun:
        """The launch as profiles note it; with times of the last replay that one saw."""
        reads, writes = self.uses
        run = KernelRun(
            device, self.kernel.name, self.kernel.text, self.size, self.nbytes, self.flops, 0, 0,
            ops=self.ops, reads=reads, writes=writes,
        )  # fmt: skip
        if self.run is not None:
            self.run.measure()
            run.start, run.end = self.run.start, self.run.end
        return run


class Place:
    """Memory that launches use and that may be another one in each replay.

    `uses`: the arguments of each launch that are it; `addresses` that it had when it was recorded;
    `written`: whether a replay changes it, and then `bounds` are those of what it leaves there.
    """

    def __init__(self, block: Block) -> None:
        self.block = block  # as recorded, then the last one used
        self.moved: Block | None = None  # where it was written to, while others read the old one
        self.uses: list[tuple[Launch, int]] = []
        self.addresses: list[int] = []
        self.written = False
        self.bounds: Bounds = None

    def find_uses(self, launches: list[Launch]) -> None:
        """Note where the launches use the recorded buffers."""
        buffers = [block.buffer for block in (self.block, self.moved) if block is not None]
        first, last = buffers[0], buffers[-1]
        self.addresses = [buffer.int_ptr for buffer in buffers]
        self.uses = [
            (launch, i)
            for launch in launches
            for i, x in enumerate(launch.args)
            if x is first or x is last
        ]
        if self.moved is not None:
            self.use(self.moved)

    def use(self, block: Block) -> None:
        """Have the launches use another block."""
        if block is not self.block:
            self.block = block
            for launch, i in self.uses:
                launch.set_buffer(i, block.buffer)
