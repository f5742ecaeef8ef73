"""One OpenCL device at work: its context and queue, kernels built for it and launched on it."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import pyopencl as cl

from tinynet.backends.opencl import profiler
from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.discovery import describe, process
from tinynet.backends.opencl.memory import Block, Pool
from tinynet.backends.opencl.programs import KERNELS, Builder
from tinynet.errors import KernelError

HEAD = PRELUDE + (KERNELS / "functions.cl").read_text(encoding="utf-8")  # of generated programs


class Kernel:
    """A compiled kernel, ready to be launched."""

    __slots__ = ("cl_kernel", "name", "set_args", "text", "types")

    def __init__(self, name: str, cl_kernel: Any, text: str, types: tuple[Any, ...]) -> None:
        self.types = types
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
        facts = describe(cl_device, 0)
        # whether kernel objects can be copied, arguments and all
        self.can_clone = cl_device.version >= "OpenCL 2.1" and hasattr(cl.Kernel, "clone")
        self.has_fp64 = facts.has_fp64
        self.is_host = facts.shares_host_memory
        self.context = cl.Context([cl_device])
        self.queue = cl.CommandQueue(self.context)
        self.builder = Builder(self.context, cl_device)
        self.pool = Pool(self.context, name, cl_device.max_mem_alloc_size)
        self.watch: profiler.Watch | None = None
        self.recorder: Any = None  # notes launches for `tinynet.jit`
        self.lock = threading.Lock()
        self.map_lock = threading.Lock()
        self.interpreters: dict[bool, Kernel] = {}
        self.launches = 0
        self.compiled = 0
        self.bytes_read = 0
        profiler.register(self)

    @functools.cache  # noqa: B019 (a device lives as long as the process)
    def kernel(self, files: str, name: str, types: tuple[Any, ...], **defines: Any) -> Kernel:
        """Kernel `name` of `kernels/FILE.cl`, or of several, with these macros defined.

        `types`: for each argument its NumPy scalar type, or None for a buffer.
        """
        return self.build(self.text(*files.split(), **defines), name, types)

    @functools.cache  # noqa: B019
    def own_kernel(self, source: str, name: str, types: tuple[Any, ...]) -> Kernel:
        """A user's kernel; `types` as for `kernel`. Raises `KernelError` if they do not fit."""
        return self.build(source, name, types)

    @staticmethod
    def text(*files: str, **defines: Any) -> str:
        """The text of each `kernels/FILE.cl`, in order, behind the prelude and these macros."""
        head = "".join(f"#define {key} {value}\n" for key, value in defines.items())
        texts = [(KERNELS / f"{file}.cl").read_text(encoding="utf-8") for file in files]
        return "".join([PRELUDE, head, *texts])

    def build_generated(self, program: str, name: str, types: tuple[Any, ...]) -> Kernel:
        """Compile a generated program, which may call what `kernels/functions.cl` has."""
        return self.build(HEAD + program, name, types)

    def is_built(self, program: str) -> bool:
        """Whether a generated program is there, compiled by an earlier process."""
        return self.builder.is_saved(HEAD + program)

    def build(self, text: str, name: str, types: tuple[Any, ...]) -> Kernel:
        """Compile a program's text and take kernel `name` from it."""
        self.compiled += 1
        program = self.builder.build(name, text)
        try:
            cl_kernel = cl.Kernel(program, name)
        except cl.Error:
            raise KernelError(f"kernel {name}: the source has no kernel of this name") from None
        if cl_kernel.num_args != len(types):
            raise KernelError(
                f"kernel {name}: takes {cl_kernel.num_args} arguments, got {len(types)} with its "
                "outputs"
            )
        cl_kernel.set_scalar_arg_dtypes(types)
        return Kernel(name, cl_kernel, text, types)

    def launch(
        self,
        kernel: Kernel,
        size: tuple[int, ...],
        group: tuple[int, ...],
        *args: Any,
        nbytes: int = 0,
        flops: int = 0,
        making: profiler.Making | None = None,
        enqueued: list[Any] | None = None,
    ) -> None:
        """Enqueue a kernel over `size` work-items in groups of `group`. Buffers are `cl.Buffer`.

        `nbytes` that it reads and writes and `flops` are estimates for `tinynet.profile()`;
        `making`: what it is for, where that is known and somebody wants to know; `enqueued` gets
        its event, if it will run, whatever is raised afterwards.
        """
        process.check()
        enqueued = [] if enqueued is None else enqueued
        if self.recorder is not None and self.recorder.is_mine():
            args = self.recorder.note(kernel, size, group, args, nbytes, flops, making)
        try:
            with self.lock:  # a kernel keeps its arguments until it is enqueued
                self.launches += 1
                kernel.set_args(*args)
                if self.watch is None:
                    call = (self.queue,), (kernel.cl_kernel,), (size,), (group,)
                    # one step of Python's, between which Ctrl-C may come
                    enqueued.extend(map(cl.enqueue_nd_range_kernel, *call))
                else:
                    self.watch.launch(kernel, size, group, args, nbytes, flops, making, enqueued)
        except cl.Error as error:
            raise KernelError(
                f"kernel {kernel.name}: {self.name} refused {size}, {group}: {error}"
            ) from None

    def finish(self) -> None:
        """Wait until all that was enqueued is done."""
        process.check()
        self.queue.finish()

    def upload(self, array: np.ndarray[Any, Any]) -> Block:
        """Device memory that holds what a contiguous NumPy array does."""
        return self.pool.upload(array)

    def read(self, buffer: Any, array: np.ndarray[Any, Any]) -> None:
        """Copy device memory into a contiguous NumPy array, once all that was enqueued is done.

        Memory that is the host's is mapped, and copied by this thread: to wake one of the device's
        for that, and then be woken by it, takes twice as long for small arrays.
        """
        process.check()
        self.bytes_read += array.nbytes
        if not self.is_host:
            cl.enqueue_copy(self.queue, array, buffer)
            return
        queue, flags = self.queue, cl.map_flags.READ
        with self.map_lock:  # PoCL crashes where two threads map and release the same buffer
            mapped, _ = cl.enqueue_map_buffer(queue, buffer, flags, 0, array.shape, array.dtype)
            np.copyto(array, mapped)
            mapped.base.release(queue)
