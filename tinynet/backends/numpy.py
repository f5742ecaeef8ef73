"""The reference backend: eager NumPy on the CPU, views wherever memory allows."""

import re
from functools import cache
from math import copysign, prod
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from tinynet.backends import host, numpy_windows
from tinynet.backends import numpy_convolution as convolution
from tinynet.backends import numpy_sums as sums
from tinynet.backends.base import PutMode, Range, with_sign
from tinynet.backends.host import no_room, numpy_dtype
from tinynet.backends.numpy_calls import (
    ELEMENTWISE,
    UFUNCS,
    QuietContext,
    is_for_dot,
    is_narrow,
    quiet,
    with_scalar,
)
from tinynet.backends.numpy_layers import Layers
from tinynet.backends.numpy_memory import keep_freed_memory
from tinynet.backends.numpy_recorder import Recorder
from tinynet.dtype import DType, Scalar, uint32, uint64
from tinynet.errors import DeviceError, DimError
from tinynet.shape import Shape
from tinynet.windows import Windows

Array = NDArray[Any]

_run_quietly = QuietContext().run


@cache
def open_device(index: int) -> "NumPyBackend":
    """The CPU; there is one."""
    if index:
        raise DeviceError(f"device: no device 'cpu:{index}', there is cpu")
    keep_freed_memory()
    return NumPyBackend()


class NumPyBackend:
    """`tinynet.backends.base.Backend` on `numpy.ndarray`."""

    name = "cpu"

    layers: Layers

    def __new__(cls, *args: Any, **kwargs: Any) -> "NumPyBackend":
        """So that subclasses need not call `__init__`."""
        made = super().__new__(cls)
        made.layers = Layers(made)
        return made

    def from_numpy(self, array: Array) -> Array:
        return array

    def to_numpy(self, x: Array) -> Array:
        return x

    def realize(self, x: Array) -> None:
        pass

    def record(self, seen: dict[Any, Any]) -> Recorder:
        return Recorder(self)

    def full(self, shape: Shape, value: Scalar, dtype: DType) -> Array:
        make = np.zeros if value == 0 and copysign(1, value) > 0 else np.empty
        try:
            array: Array = make(shape, numpy_dtype(dtype))
        except (MemoryError, ValueError):
            raise no_room(shape, dtype) from None
        if make is np.empty:
            quiet.run(array.fill, value)
        return array

    def arange(self, count: int, start: Scalar, step: Scalar, dtype: DType) -> Array:
        try:
            steps = np.arange(count) if dtype.rank < 2 else np.arange(count, dtype=np.float64)
            return (steps * step + start).astype(numpy_dtype(dtype))
        except MemoryError:
            raise no_room((count,), dtype) from None

    def random_bits(self, key: int, counter: int, count: int, width: Literal[32, 64]) -> Array:
        words = count if width == 64 else (count + 1) // 2
        try:
            bits = np.random.Philox(key=key, counter=counter).random_raw(words)
        except MemoryError:
            raise no_room((count,), uint64 if width == 64 else uint32) from None
        if width == 64:
            return bits
        return bits.astype("<u8", copy=False).view("<u4")[:count].astype(np.uint32, copy=False)

    def elementwise(
        self, op: str, a: Any, b: Any = None, c: Any = None, out: Array | None = None
    ) -> Array:
        function = ELEMENTWISE[op]
        if out is None:
            try:
                if c is not None:
                    result = _run_quietly(function, a, *with_scalar(b, c))
                elif b is None:
                    result = _run_quietly(function, a)
                else:
                    if type(a) is not type(b):
                        a, b = with_scalar(a, b)
                    result = _run_quietly(function, a, b)
                return result if type(result) is ndarray else np.asarray(result)
            except RuntimeError:  # another thread is inside that context; each has one of its own
                pass
        if c is not None:
            operands: tuple[Any, ...] = (a, *with_scalar(b, c))
        else:
            operands = (a,) if b is None else with_scalar(a, b)
        result = quiet.run(function, *operands, out=out)
        return result if type(result) is ndarray else np.asarray(result)

    def cast(self, x: Array, dtype: DType) -> Array:
        result = quiet.run(x.astype, numpy_dtype(dtype))
        return result if type(result) is np.ndarray else np.asarray(result)

    def copy(self, x: Array) -> Array:
        return x.copy()

    def assign(self, target: Array, source: Array) -> None:
        # NumPy minds overlap, but for vectors whose steps in memory differ
        if target.ndim == 1 and source.ndim == 1 and source.strides != target.strides:
            source = source.copy() if np.may_share_memory(target, source) else source
        quiet.run(np.copyto, target, source, "unsafe")

    def reduce(self, op: str, x: Array, dims: Shape, keepdim: bool) -> Array:
        narrow = op in ("sum", "prod") and is_narrow(x.dtype)
        source = x.astype(np.float32) if narrow else x
        if source.size > sums.FEWEST and op == "sum" and source.dtype.kind == "f":
            result = np.asarray(quiet.run(sums.add_up, source, dims, keepdim))
        else:
            reduce: Any = UFUNCS[op].reduce
            result = np.asarray(quiet.run(reduce, source, dims, source.dtype, None, keepdim))
        return quiet.run(result.astype, x.dtype) if narrow else result

    def arg_reduce(self, op: Literal["max", "min"], x: Array, dim: int, keepdim: bool) -> Array:
        function = np.argmax if op == "max" else np.argmin
        return np.asarray(function(x, axis=dim, keepdims=keepdim))

    def scan(self, op: str, x: Array, dim: int) -> Array:
        narrow = is_narrow(x.dtype)
        source = x.astype(np.float32) if narrow else x
        if x.size > sums.MOST and op == "sum" and source.dtype == np.float32:
            result: Array = quiet.run(sums.running, source, dim)
        else:
            result = quiet.run(UFUNCS[op].accumulate, source, dim, source.dtype)
        return quiet.run(result.astype, x.dtype) if narrow else result

    def argsort(self, x: Array, dim: int, descending: bool) -> Array:
        if x.dtype.kind == "V":  # ml_dtypes leaves NaN where it is
            x = x.astype(np.float32)
        if not descending:
            return np.argsort(x, axis=dim, kind="stable")
        order = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
        return np.asarray(x.shape[dim] - 1 - np.flip(order, dim))

    def matmul(self, a: Array, b: Array) -> Array:
        if is_narrow(a.dtype):
            wide = self.matmul(a.astype(np.float32), b.astype(np.float32))
            return quiet.run(wide.astype, a.dtype)
        if not is_for_dot(a, b):
            return np.asarray(quiet.run(np.matmul, a, b))
        if a.ndim == 2:
            return quiet.run(np.dot, a, b)
        # one large product rather than many small ones
        rows: Array = quiet.run(np.dot, a.reshape(-1, a.shape[-1]) if a.size else a, b)
        return rows.reshape(*a.shape[:-1], b.shape[1])

    def convolve(self, x: Array, weight: Array, windows: Windows, groups: int) -> Array:
        return convolution.run(convolution.convolve, x, weight, windows, groups)

    def convolve_input(self, y: Array, weight: Array, windows: Windows, groups: int) -> Array:
        return convolution.run(convolution.convolve_input, y, weight, windows, groups)

    def convolve_weight(self, x: Array, y: Array, windows: Windows, groups: int) -> Array:
        return convolution.run(convolution.convolve_weight, x, y, windows, groups)

    def pool_max(self, x: Array, windows: Windows) -> tuple[Array, Array]:
        pooled: tuple[Array, Array] = quiet.run(numpy_windows.pool_max, x, windows)
        return pooled

    def pick(self, x: Array, taps: Array, windows: Windows) -> Array:
        return numpy_windows.pick(x, taps, windows)

    def spread(self, y: Array, taps: Array, windows: Windows) -> Array:
        return quiet.run(numpy_windows.spread, y, taps, windows)

    def fold(self, parts: Array, windows: Windows) -> Array:
        return quiet.run(numpy_windows.fold, parts, windows)

    def run_kernel(self, source: str, name: str, *_: Any) -> list[Array]:
        raise DeviceError(f"Kernel: {name}: {self.name} runs no OpenCL, move tensors to a device")

    # recurrence and attention: by their parts, there is nothing to win
    def lstm(self, sums: Array, weight: Array, h: Array, c: Array, is_reverse: bool) -> None:
        return None

    def lstm_backward(self, *args: Any) -> Any:
        raise AssertionError("there are no results of lstm")

    def attention(self, q: Array, k: Array, v: Array, mask: Array | None, scale: float) -> None:
        return None

    def attention_backward(self, *args: Any) -> Any:
        raise AssertionError("there are no results of attention")

    def linalg(self, op: str, *operands: Array) -> tuple[Array, ...]:
        return host.linalg(op, *operands)

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape)

    def permute(self, x: Array, dims: Shape) -> Array:
        return x.transpose(dims)

    def expand(self, x: Array, shape: Shape) -> Array:
        if x.ndim == 0 and x.dtype.kind != "V":  # a quarter of broadcast_to's time
            return np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        if prod(shape) == x.size:
            return x.reshape(shape)
        view = np.broadcast_to(x, shape)
        if x.flags.writeable:  # parts of it may be written: `is_writable` asks which
            view.setflags(write=True)
        return view

    def slice(self, x: Array, ranges: tuple[Range, ...]) -> Array:
        return x[tuple([_as_slice(*range_) for range_ in ranges])] if ranges else x[...]

    def strided(self, x: Array, shape: Shape, strides: Shape, offset: int) -> Array:
        size, interface = x.itemsize, x.__array_interface__
        address, is_read_only = interface["data"]
        interface["data"] = (address + offset * size, is_read_only)
        interface["shape"], interface["strides"] = shape, tuple([step * size for step in strides])
        return np.asarray(_Window(interface, x)).view(x.dtype)

    def strides(self, x: Array) -> Shape:
        return tuple(stride // x.itemsize for stride in x.strides)

    def shares_memory(self, x: Array, base: Array) -> bool:
        if x is base or (x.base is not None and (x.base is base or x.base is base.base)):
            return True
        return np.may_share_memory(x, base)

    def is_writable(self, x: Array) -> bool:
        if not x.flags.writeable:
            return False
        steps = x.strides
        if 0 not in steps or 0 in x.shape:
            return True
        return all(n <= 1 or step != 0 for n, step in zip(x.shape, steps))

    def concatenate(self, arrays: list[Array], dim: int) -> Array:
        return np.concatenate(arrays, dim)

    def take(self, x: Array, indices: tuple[Array | None, ...]) -> Array:
        try:
            given = [(d, places) for d, places in enumerate(indices) if places is not None]
            if len(given) == 1 and x.flags.c_contiguous and x.size:
                ((dim, places),) = given
                result = x.take(places, dim)  # rows in a third of the time
            else:
                result = x[_as_index(indices)]
        except IndexError as error:
            raise _out_of_range(error) from None
        return np.asarray(result, order="C")

    def put(
        self, x: Array, indices: tuple[Array | None, ...], values: Array, mode: PutMode
    ) -> None:
        index = _as_index(indices)
        try:
            if mode == "set":
                x[index] = values
            else:
                quiet.run(UFUNCS[mode].at, x, index, values)
        except IndexError as error:
            raise _out_of_range(error) from None

    def nonzero(self, x: Array) -> Array:
        return np.argwhere(x)


class _Window:
    """Memory described in NumPy's terms; keeps the array that owns it alive."""

    def __init__(self, interface: dict[str, Any], owner: Array) -> None:
        self.__array_interface__ = interface
        self.owner = owner


def _out_of_range(error: IndexError) -> DimError:
    """NumPy's error about an index, in tinynet's words."""
    text = str(error).replace("bounds for axis", "range for dim").replace("with size", "of size")
    text = re.sub(r"(?<=index )\d+", lambda found: str(with_sign(int(found[0]))), text)
    return DimError(f"index: {text}")


def _as_slice(start: int, step: int, count: int) -> slice:
    stop = start + step * count
    return slice(start, None if stop < 0 else stop, step) if count else slice(0, 0)


def _as_index(indices: tuple[Array | None, ...]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)
