"""The OpenCL backend: lazy arrays, one kernel for each expression.

To read it, begin with what an array is and go on to how it is computed:

* `array`: values, storages, arrays; `bounds`: what is known of integers beforehand;
* `backend`: the protocol, mostly by writing formulas down; `indexing`: putting at indices;
  `checking`: whether they are in range;
* `fusion`: what becomes one kernel; `planner`: which kernel, made of `plans` and `spaces`;
  `scheduler`: launching it;
* `spec`, `codegen`, `writer`, `primitives`: its text; `interpreter`: doing without one;
  `compiler`: when;
* `matmul`, `convolution`, each with its ways on CPUs and on GPUs (`*_cpu`, `*_gpu`), made of
  `products`; `attention`, `recurrence`, `ordering`, `scattering`, `pooling`, `philox`: whole
  kernels, with text in `kernels/*.cl`;
* `recorder`, `tape`, made of `launches`, and `chaining`, which joins them: what `tinynet.jit` does;
* `discovery`, `device`, `memory`, `ctypes`: devices, programs and launches, the pool, C's types;
* `profiler`, `tuner`: seeing what runs, and finding what runs fastest.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tinynet.backends.opencl.discovery import device_name, find

if TYPE_CHECKING:
    from tinynet.backends.opencl.backend import OpenCLBackend


def open_device(index: int | str) -> OpenCLBackend:
    """The device with this number, or whose name or platform contains this text."""
    _, number = find(index)
    return _open(number)


@cache
def _open(number: int) -> OpenCLBackend:
    from tinynet.backends.opencl.backend import OpenCLBackend  # needs pyopencl: only now
    from tinynet.backends.opencl.device import Device

    cl_device, _ = find(number)
    return OpenCLBackend(Device(cl_device, device_name(number)))
