"""One OpenCL device at work: its context and queue, programs built for it, kernels launched on it."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl

from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.memory import Block, Pool
from tinynet.errors import KernelError

KERNELS = Path(__file__).parent / "kernels"
# Numbers too small for full precision count as 0: some CPUs are a hundred times slower with them.
# Warnings are switched off: pyopencl would make Python's of them.
OPTIONS = ["-cl-denorms-are-zero", "-w"]
HEAD = PRELUDE + (KERNELS / "functions.cl").read_text(encoding="utf-8")  # of generated programs


class Kernel:
    """A compiled kernel, ready to be launched. Not for several threads at a time."""

    __slots__ = ("cl_kernel", "name", "set_args", "text")

    def __init__(self, name: str, cl_kernel: Any, text: str) -> None:
        self.name = name
        self.cl_kernel = cl_kernel
        self.set_args = cl_kernel.set_args
        self.text = text


class Device:
    """A context and an in-order queue on one device.

    `is_cpu`: a work-item should do as much as a thread; elsewhere thousands share the work.
    """

    def __init__(self, cl_device: Any, name: str) -> None:
        self.cl_device = cl_device
        self.name = name
        self.is_cpu = bool(cl_device.type & cl.device_type.CPU)
        self.cores = cl_device.max_compute_units
        extensions = cl_device.extensions.split()
        self.has_fp64 = "cl_khr_fp64" in extensions
        self.context = cl.Context([cl_device])
        self.queue = cl.CommandQueue(self.context)
        self.pool = Pool(self.context, name, cl_device.max_mem_alloc_size)
        self.launches = 0
        self.compiled = 0

    @functools.cache  # noqa: B019 (a device lives as long as the process)
    def kernel(self, file: str, name: str, types: tuple[Any, ...], **defines: Any) -> Kernel:
        """Kernel `name` of `kernels/FILE.cl` with these preprocessor macros defined.

        `types`: for each argument its NumPy scalar type, or None for a buffer.
        """
        return self.build(self.text(file, **defines), name, types)

    @staticmethod
    def text(file: str, **defines: Any) -> str:
        """The text of `kernels/FILE.cl` behind the prelude and these macros."""
        head = "".join(f"#define {key} {value}\n" for key, value in defines.items())
        return PRELUDE + head + (KERNELS / f"{file}.cl").read_text(encoding="utf-8")

    def build_generated(self, program: str, name: str, types: tuple[Any, ...]) -> Kernel:
        """Compile a generated program, which may call what `kernels/functions.cl` has."""
        return self.build(HEAD + program, name, types)

    def build(self, text: str, name: str, types: tuple[Any, ...]) -> Kernel:
        """Compile a program's text and take kernel `name` from it."""
        self.compiled += 1
        try:
            program = cl.Program(self.context, text).build(OPTIONS)
        except cl.RuntimeError as error:
            raise KernelError(_describe(name, text, str(error))) from None
        cl_kernel = cl.Kernel(program, name)
        cl_kernel.set_scalar_arg_dtypes(types)
        return Kernel(name, cl_kernel, text)

    def launch(
        self, kernel: Kernel, size: tuple[int, ...], group: tuple[int, ...], *args: Any
    ) -> None:
        """Enqueue a kernel over `size` work-items in groups of `group`. Buffers are `cl.Buffer`."""
        self.launches += 1
        kernel.set_args(*args)
        cl.enqueue_nd_range_kernel(self.queue, kernel.cl_kernel, size, group)

    def upload(self, array: np.ndarray[Any, Any]) -> Block:
        """Device memory that holds what a contiguous NumPy array does."""
        return self.pool.upload(array)

    def read(self, buffer: Any, array: np.ndarray[Any, Any]) -> None:
        """Copy device memory into a contiguous NumPy array, once all that was enqueued is done."""
        cl.enqueue_copy(self.queue, array, buffer)


def _describe(name: str, text: str, log: str) -> str:
    """What the compiler said about a kernel, with the source line it points at."""
    found = re.search(r":(\d+):\d+: (?:(?:fatal )?error: )?(.*)", log)
    if found is None:
        return f"kernel {name}: does not compile: {log.strip()}"
    number = int(found[1])
    line = text.splitlines()[number - 1].strip() if number <= text.count("\n") + 1 else "?"
    return f"kernel {name}: line {number}: {found[2]}\n    {line}\n{log.strip()}"
