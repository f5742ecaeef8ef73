"""`tinynet.backends.base.Backend` on lazy arrays of an OpenCL device.

Most primitives only write down a formula (`array.Value`); the scheduler computes it when its
elements are asked for. Formulas of more than `HEAVIEST` operations are computed at once, so that a
loop that reads nothing cannot grow one without end.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinynet.backends import host
from tinynet.backends.base import PutMode, Range
from tinynet.backends.host import no_room, numpy_dtype
from tinynet.backends.opencl import (
    attention,
    checking,
    indexing,
    ordering,
    philox,
    pooling,
    recurrence,
)
from tinynet.backends.opencl.array import (
    OPERANDS,
    Array,
    Value,
    View,
    as_array,
    broadcast,
    is_exclusive,
    is_row_major,
    reshaped_strides,
    row_major,
)
from tinynet.backends.opencl.bounds import bounds_of, cast_bounds, limits, union
from tinynet.backends.opencl.convolution import Task
from tinynet.backends.opencl.device import Device
from tinynet.backends.opencl.memory import Block
from tinynet.backends.opencl.primitives import QUESTIONS
from tinynet.backends.opencl.recorder import Recorder
from tinynet.backends.opencl.scheduler import Scheduler
from tinynet.backends.opencl.spaces import merged_batch
from tinynet.dtype import (
    BY_NAME,
    DType,
    Scalar,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int32,
    int64,
    uint32,
    uint64,
)
from tinynet.errors import DeviceError, RecordingError
from tinynet.numbers import Number
from tinynet.shape import Shape
from tinynet.windows import Windows

HEAVIEST = 40
EXTREMES: dict[str, Any] = {"sum": 0, "prod": 1, "any": False, "all": True}


class OpenCLBackend:
    """One device. `device` is the device at work, `scheduler` computes values on it."""

    def __init__(self, device: Device) -> None:
        self.name = device.name
        self.device = device
        self.scheduler = Scheduler(device)
        self.recorder: Recorder | None = None

    def record(self, seen: dict[Any, Any]) -> Recorder:
        return Recorder(self, seen)

    @property
    def is_recorded(self) -> bool:
        """Whether this thread's calls are recorded."""
        return self.recorder is not None and self.recorder.is_mine()

    # to and from the host
    def from_numpy(self, array: NDArray[Any]) -> Array:
        dtype = BY_NAME[array.dtype.name]
        self.check_dtype(dtype)
        if array.size == 0 or not array.shape:
            value = array.item() if array.size else 0
            return self.full(array.shape, value, dtype)
        bounds = (int(array.min()), int(array.max())) if dtype.rank == 1 else None
        value = Value("memory", dtype, array.shape, bounds=bounds)
        value.block = self.device.upload(np.ascontiguousarray(array))
        if self.recorder is not None and self.is_recorded:
            self.recorder.hold(value)
        return as_array(value)

    def to_numpy(self, x: Array) -> NDArray[Any]:
        if self.is_recorded:
            raise RecordingError.reading("reads the values of a tensor")
        try:
            result = np.empty(x.shape, numpy_dtype(x.dtype))
        except (MemoryError, ValueError):
            raise no_room(x.shape, x.dtype) from None
        if result.size:
            value = x.storage.value
            if value.op == "full":
                with np.errstate(all="ignore"):
                    result.fill(value.params)
            else:
                block = self.elements(x).block
                assert block is not None
                self.device.read(block.buffer, result)
        return result

    def realize(self, x: Array) -> None:
        if 0 not in x.shape:
            self.memory(x)

    # from arrays to values
    def elements(self, x: Array) -> Value:
        """A value in memory that holds just the elements of `x`, in its order."""
        value = self.memory(x)
        if x.steps is not None:
            value = self.loaded(x.operand)
            self.scheduler.compute(value)
        return value

    def memory(self, x: Array) -> Value:
        """The value of `x`'s storage, in memory."""
        storage = x.storage
        value = storage.value
        if value.op == "memory":
            return value
        with self.scheduler.lock:
            value = storage.value
            if value.op in ("full", "iota"):  # a copy: formulas go on with the pattern
                storage.value = value = self.loaded(value)
            self.scheduler.compute(value)
        return value

    def own_memory(self, x: Array, *parts: Value) -> Value:
        """The value of `x`'s storage, in memory that no formula reads: `parts` can go there.

        Who writes holds the scheduler's lock until the write is enqueued: another thread's write
        to the same storage would find the value in use, and go on with a copy of what was before.
        """
        storage = x.storage
        with self.scheduler.lock:
            self.memory(x)
            if not is_exclusive(storage):
                storage.value = self.loaded(storage.value)
                self.scheduler.compute(storage.value)
            if self.recorder is not None:
                self.recorder.note_write(storage, [*parts])
            return storage.value

    def note_origins(self, value: Value, *parts: Value) -> None:
        """Tell who records that the bounds of new memory follow from those of `parts`."""
        recorder = self.recorder
        if recorder is not None:
            recorder.note_origins(value, [*parts])

    @staticmethod
    def loaded(source: Value | View) -> Value:
        """The formula of a copy."""
        value = source if type(source) is Value else source.value  # type: ignore[union-attr]
        dtype = value.dtype
        return Value("load", dtype, source.shape, (source,), dtype, value.weight + 1, value.bounds)

    def check_dtype(self, dtype: DType) -> None:
        """Refuse what the device cannot compute with."""
        if dtype is float64 and not self.device.has_fp64:
            raise DeviceError(f"{self.name}: the device has no {dtype}, use {float32}")

    def formula(self, value: Value) -> Array:
        """An array of a new formula, which is computed now if it is too heavy."""
        if value.weight > HEAVIEST:
            self.scheduler.compute(value)
        return as_array(value)

    # creation
    def full(self, shape: Shape, value: Scalar, dtype: DType) -> Array:
        self.check_dtype(dtype)
        number = rounded(value, dtype)
        bounds = (int(number), int(number)) if dtype.rank == 1 else None
        return as_array(Value("full", dtype, tuple(shape), params=number, bounds=bounds))

    def arange(self, count: int, start: Scalar, step: Scalar, dtype: DType) -> Array:
        self.check_dtype(dtype)
        is_whole = isinstance(start, int) and isinstance(step, int)
        is_precise = is_whole if dtype.rank < 2 else self.is_precise(count, start, step, dtype)
        if not count or not is_precise:
            steps = np.arange(count) * step + start
            return self.from_numpy(steps.astype(numpy_dtype(dtype)))
        bounds, within = None, limits(dtype)
        if within is not None:
            low, high = sorted((int(start), int(start + (count - 1) * step)))
            bounds = (low, high) if within[0] <= low and high <= within[1] else None
        return as_array(Value("iota", dtype, (count,), params=(start, step), bounds=bounds))

    def is_precise(self, count: int, start: Scalar, step: Scalar, dtype: DType) -> bool:
        """Whether the device computes `start + i * step` so that it is rounded once, to `dtype`."""
        if self.device.has_fp64 or dtype is not float32:
            return True
        is_whole = float(start).is_integer() and float(step).is_integer()
        return is_whole and max(abs(start), abs(start + count * step)) <= 2**24

    def random_bits(self, key: int, counter: int, count: int, width: Literal[32, 64]) -> Array:
        dtype = uint64 if width == 64 else uint32
        if not count:
            return self.full((0,), 0, dtype)
        value = Value("memory", dtype, (count,))
        value.block = philox.random_bits(self.device, key, counter, count, width)
        return as_array(value)

    # elementwise
    def elementwise(
        self, op: str, a: Any, b: Any = None, c: Any = None, out: Array | None = None
    ) -> Array:
        operands: Any = []
        last: Any = None  # array: of `where`, the first is a condition
        weight = 1
        for x in (a,) if b is None else (a, b) if c is None else (a, b, c):
            if type(x) is Array:
                value = x.storage.value
                weight += value.weight
                if last is None:
                    shape = x.shape
                elif x.shape != shape:
                    shape = broadcast(shape, x.shape)
                last = x
                x = value if x.steps is None and value.shape == x.shape else x.operand
            operands.append(x)
        kind = last.dtype
        if kind.itemsize == 2:
            operands = [x if type(x) in OPERANDS else rounded(x, kind) for x in operands]
        operands = tuple(operands)
        dtype = bool_ if op in QUESTIONS else kind
        if 0 in shape:
            value = Value("full", dtype, shape, params=0)
        else:
            bounds = bounds_of(op, operands) if dtype.rank == 1 else None
            value = Value(op, dtype, shape, operands, kind, weight, bounds)
        if out is None:
            return self.formula(value)
        self.write(out, value)
        return out

    def cast(self, x: Array, dtype: DType) -> Array:
        self.check_dtype(dtype)
        source = x.operand
        value = x.storage.value
        if 0 in x.shape:
            return self.full(x.shape, 0, dtype)
        op = "load" if dtype is x.dtype else "cast"
        bounds = cast_bounds(value.bounds, x.dtype, dtype)
        made = Value(op, dtype, x.shape, (source,), x.dtype, value.weight + 1, bounds)
        return self.formula(made)

    def copy(self, x: Array) -> Array:
        if 0 in x.shape:
            return self.full(x.shape, 0, x.dtype)
        return self.formula(self.loaded(x.operand))

    def assign(self, target: Array, source: Array) -> None:
        if source.dtype is not target.dtype:
            source = self.cast(source, target.dtype)
        if source.shape != target.shape:
            source = self.expand(source, target.shape)
        if 0 not in target.shape:
            self.write(target, self.loaded(source.operand))

    def write(self, target: Array, value: Value) -> None:
        """Make `value` what `target` holds; what was written down before keeps its meaning."""
        with self.scheduler.lock:
            storage = target.storage
            if target.steps is None:
                storage.value = value
                if value.weight > HEAVIEST:
                    self.scheduler.compute(value)
                return
            if 0 in target.shape:
                return
            self.memory(target)
            if not is_exclusive(storage):
                self.scheduler.compute(value)  # it may read what is about to be overwritten
                value = self.loaded(value)
            base = self.own_memory(target, value)
            base.bounds = union(base.bounds, value.bounds)
            self.scheduler.compute(value, View(base, target.shape, target.strides, target.offset))

    # reduction, scan, order
    def reduce(self, op: str, x: Array, dims: Shape, keepdim: bool) -> Array:
        reduced = [d for d in dims if x.shape[d] != 1]
        kept = [n for d, n in enumerate(x.shape) if d not in dims]
        shape = tuple([1 if d in dims else n for d, n in enumerate(x.shape)] if keepdim else kept)
        if 0 in x.shape:
            return self.full(shape, EXTREMES.get(op, 0), x.dtype)
        if not reduced:
            return self.copy(self.reshape(x, shape))
        value = x.storage.value
        bounds = value.bounds if op in ("max", "min") else None
        params = (op, tuple(dims), keepdim)
        made = Value("reduce", x.dtype, shape, (x.operand,), params, value.weight + 1, bounds)
        return self.formula(made)

    def arg_reduce(self, op: Literal["max", "min"], x: Array, dim: int, keepdim: bool) -> Array:
        """The first place of the extreme, found by looking for it: two reductions, one kernel."""
        size = x.shape[dim]
        if 0 in x.shape:
            shape = [n for d, n in enumerate(x.shape) if keepdim or d != dim]
            if keepdim:
                shape[dim] = 1
            return self.full(tuple(shape), 0, int64)
        best = self.reduce(op, x, (dim,), True)
        is_best = self.elementwise("eq", x, best)
        if x.dtype.rank == 2:
            is_best = self.elementwise("logical_or", is_best, self.elementwise("isnan", x))
        places = self.arange(size, 0, 1, int64)
        places = self.reshape(places, (size, *(1,) * (len(x.shape) - dim - 1)))
        found = self.reduce(
            "min", self.elementwise("where", is_best, places, size), (dim,), keepdim
        )
        found.storage.value.bounds = (0, size - 1)
        return found

    def scan(self, op: str, x: Array, dim: int) -> Array:
        if 0 in x.shape:
            return self.full(x.shape, 0, x.dtype)
        source = self.elements(x)
        outer, size, inner = prod(x.shape[:dim]), x.shape[dim], prod(x.shape[dim + 1 :])
        assert source.block is not None
        bounds = source.bounds if op in ("max", "min") else None
        value = Value("memory", x.dtype, x.shape, bounds=bounds)
        value.block = ordering.scan(
            self.device, op, source.block.buffer, x.dtype, outer, size, inner
        )
        self.note_origins(value, source)
        return as_array(value)

    def argsort(self, x: Array, dim: int, descending: bool) -> Array:
        if 0 in x.shape:
            return self.full(x.shape, 0, int64)
        order = (*[d for d in range(len(x.shape)) if d != dim], dim)
        lines = self.permute(x, order)
        source = self.elements(lines)
        size = x.shape[dim]
        assert source.block is not None
        value = Value("memory", int64, lines.shape, bounds=(0, size - 1))
        value.block = ordering.argsort(
            self.device, source.block.buffer, x.dtype, prod(lines.shape) // size, size, descending
        )
        self.note_origins(value)
        back = tuple(sorted(range(len(order)), key=order.__getitem__))
        found = self.permute(as_array(value), back)
        return found if dim == len(order) - 1 else self.copy(found)

    # linear algebra
    def matmul(self, a: Array, b: Array) -> Array:
        if a.dtype in (float16, bfloat16):
            wide = self.matmul(self.cast(a, float32), self.cast(b, float32))
            return self.cast(wide, a.dtype)
        if len(a.shape) == 1 or len(b.shape) == 1:
            return self.matmul_vectors(a, b)
        if len(b.shape) == 2 and len(a.shape) > 2:  # one large product rather than many small ones
            rows = self.matmul(self.reshape(a, (prod(a.shape[:-1]), a.shape[-1])), b)
            return self.reshape(rows, (*a.shape[:-1], b.shape[1]))
        batch = broadcast(a.shape[:-2], b.shape[:-2])
        shape = (*batch, a.shape[-2], b.shape[-1])
        if 0 in shape or a.shape[-1] == 0:
            return self.full(shape, 0, a.dtype)
        if batch:
            a = self.expand(a, (*batch, *a.shape[-2:]))
            b = self.expand(b, (*batch, *b.shape[-2:]))
        if 1 in shape[-2:] and not self.device.is_cpu:  # reductions have kernels for every layout
            rows = self.reshape(a, (*a.shape, 1))
            columns = self.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
            products = self.elementwise("mul", rows, columns)
            return self.reduce("sum", products, (len(shape) - 1,), False)
        factors = self.factors(a, b)
        return self.product(Value("matmul", a.dtype, shape, factors, a.dtype, 1))

    def convolve(self, x: Array, weight: Array, windows: Windows, groups: int) -> Array:
        shape = (x.shape[0], weight.shape[0], *windows.output)
        return self.convolution(Task("convolve", windows, groups), x, weight, shape)

    def convolve_input(self, y: Array, weight: Array, windows: Windows, groups: int) -> Array:
        shape = (y.shape[0], weight.shape[1] * groups, *windows.input)
        return self.convolution(Task("convolve_input", windows, groups), y, weight, shape)

    def convolve_weight(self, x: Array, y: Array, windows: Windows, groups: int) -> Array:
        shape = (y.shape[1], x.shape[1] // groups, *windows.kernel)
        return self.convolution(Task("convolve_weight", windows, groups), x, y, shape)

    def convolution(self, task: Task, a: Array, b: Array, shape: Shape) -> Array:
        """One of the three."""
        if a.dtype in (float16, bfloat16):
            wide = self.convolution(task, self.cast(a, float32), self.cast(b, float32), shape)
            return self.cast(wide, a.dtype)
        factors = self.factor(a), self.factor(b)
        return self.product(Value("convolve", a.dtype, shape, factors, task, 1))

    def product(self, product: Value) -> Array:
        """An array of a new product, whose factors are in memory unless it is recorded."""
        if self.recorder is not None and self.is_recorded:
            self.recorder.postpone(product)
        return as_array(product)

    def factor(self, x: Array) -> View:
        """A factor of a product: in memory, or while recording a formula that will be."""
        value = x.storage.value
        if not self.is_recorded:
            value = self.memory(x)
        elif value.op in ("full", "iota"):
            x.storage.value = value = self.loaded(value)
        return View(value, x.shape, x.strides, x.offset)

    def factors(self, a: Array, b: Array) -> tuple[View, View]:
        """Both factors of a matrix product, in a layout that its kernels take."""
        views = [self.factor(a), self.factor(b)]
        if len(a.shape) > 4 and len(merged_batch(a.shape[:-2], *views)[0]) > 2:
            views = []
            for x in (a, b):
                value = self.elements(self.copy(x))
                views.append(View(value, x.shape, row_major(x.shape), 0))
        return views[0], views[1]

    def matmul_vectors(self, a: Array, b: Array) -> Array:
        """`matmul` where an operand has one dim: it becomes a row or a column, which then goes."""
        left = self.reshape(a, (1, *a.shape)) if len(a.shape) == 1 else a
        right = self.reshape(b, (*b.shape, 1)) if len(b.shape) == 1 else b
        y = self.matmul(left, right)
        shape = list(y.shape)
        if len(b.shape) == 1:
            del shape[-1]
        if len(a.shape) == 1:
            del shape[-1 if len(b.shape) == 1 else -2]
        return self.reshape(y, tuple(shape))

    # windows
    def pool_max(self, x: Array, windows: Windows) -> tuple[Array, Array]:
        shape = (*x.shape[:2], *windows.output)
        if 0 in x.shape:
            return self.full(shape, 0, x.dtype), self.full(shape, 0, int32)
        source = self.elements(x)
        y = Value("memory", x.dtype, shape, bounds=source.bounds)
        taps = Value("memory", int32, shape, bounds=(0, windows.taps - 1))
        assert source.block is not None
        y.block, taps.block = pooling.pool_max(
            self.device, source.block.buffer, x.dtype, prod(x.shape[:2]), windows
        )
        self.note_origins(y, source)
        self.note_origins(taps)
        return as_array(y), as_array(taps)

    def pick(self, x: Array, taps: Array, windows: Windows) -> Array:
        if 0 in x.shape:
            return self.full(taps.shape, 0, x.dtype)
        source, places = self.elements(x), self.elements(taps)
        y = Value("memory", x.dtype, taps.shape, bounds=source.bounds)
        assert source.block is not None
        assert places.block is not None
        y.block = pooling.pick(
            self.device, source.block.buffer, places.block.buffer, x.dtype, prod(x.shape[:2]),
            windows,
        )  # fmt: skip
        self.note_origins(y, source)
        return as_array(y)

    def spread(self, y: Array, taps: Array, windows: Windows) -> Array:
        ndim = len(windows.kernel)
        parts = self.reshape(y, (*y.shape[:2], *(1,) * ndim, *windows.output))
        shape = (*y.shape[:2], *windows.kernel, *windows.output)
        return self.fold(self.expand(parts, shape), windows, taps)

    def fold(self, parts: Array, windows: Windows, taps: Array | None = None) -> Array:
        shape = (*parts.shape[:2], *windows.input)
        if 0 in parts.shape:
            return self.full(shape, 0, parts.dtype)
        source = self.memory(parts)
        places = None if taps is None else self.elements(taps).block
        x = Value("memory", parts.dtype, shape)
        assert source.block is not None
        x.block = pooling.fold(
            self.device, source.block.buffer, parts.dtype, (shape[0], shape[1]), parts.strides,
            parts.offset, windows, None if places is None else places.buffer,
        )  # fmt: skip
        return as_array(x)

    # recurrence
    def lstm(
        self, sums: Array, weight: Array, h: Array, c: Array, is_reverse: bool
    ) -> tuple[Array, Array, Array] | None:
        n, hidden = h.shape
        steps = sums.shape[0] // n if n else 0
        if not recurrence.has_kernels(self.device, h.dtype, steps, n, hidden):
            return None
        blocks = self.blocks(sums, weight, h, c)
        made = recurrence.forward(self.device, blocks, (steps, n, hidden), is_reverse)
        shapes = (steps * n, hidden), (steps * n, hidden), sums.shape
        outputs, cells, gates = self.held(made, shapes, h.dtype)
        return outputs, cells, gates

    def lstm_backward(
        self,
        grads: tuple[Array, Array],
        weight: Array,
        gates: Array,
        cells: Array,
        c: Array,
        is_reverse: bool,
    ) -> tuple[Array, Array, Array]:
        n, hidden = c.shape
        sizes = gates.shape[0] // n, n, hidden
        blocks = self.blocks(*grads, weight, gates, cells, c)
        made = recurrence.backward(self.device, blocks, sizes, is_reverse)
        sums, h_grad, c_grad = self.held(made, (gates.shape, c.shape, c.shape), c.dtype)
        return sums, h_grad, c_grad

    def attention(
        self, q: Array, k: Array, v: Array, mask: Array | None, scale: float
    ) -> tuple[Array, Array] | None:
        if not attention.has_kernels(self.device, q.dtype, q.shape, k.shape[2], v.shape[3]):
            return None
        return attention.attend(self, (q, k, v), mask, scale)

    def attention_backward(
        self,
        grad: Array,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        made: tuple[Array, Array],
        scale: float,
    ) -> tuple[Array, Array, Array]:
        return attention.attend_backward(self, (grad, q, k, v), mask, made, scale)

    def blocks(self, *arrays: Array) -> list[Block]:
        """Memory that holds just the elements of each, in its order."""
        return [self.elements(x).block for x in arrays]  # type: ignore[misc]

    @staticmethod
    def held(blocks: Iterable[Block], shapes: Iterable[Shape], dtype: DType) -> list[Array]:
        """Arrays of what blocks of memory hold."""
        values = [Value("memory", dtype, shape) for shape in shapes]
        for value, block in zip(values, blocks):
            value.block = block
        return [as_array(value) for value in values]

    def run_kernel(
        self,
        source: str,
        name: str,
        arguments: list[Any],
        outputs: list[tuple[Shape, DType]],
        size: Shape,
        group: Shape,
    ) -> list[Array]:
        given = [self.elements(x).block if type(x) is Array else x for x in arguments]
        made = [Value("memory", dtype, shape) for shape, dtype in outputs]
        for value in made:
            self.check_dtype(value.dtype)
            value.block = self.device.pool.allocate(prod(value.shape) * value.dtype.itemsize)
        operands = [*given, *[value.block for value in made]]
        types = tuple([None if isinstance(x, Block) else type(x) for x in operands])
        kernel = self.device.own_kernel(source, name, types)
        args = [x.buffer if isinstance(x, Block) else x for x in operands]
        self.device.launch(kernel, size, group, *args)
        return [as_array(value) for value in made]

    def linalg(self, op: str, *operands: Array) -> tuple[Array, ...]:
        results = host.linalg(op, *[self.to_numpy(x) for x in operands])
        return tuple([self.from_numpy(np.asarray(result)) for result in results])

    # movement
    def view(self, x: Array, shape: Shape, strides: Shape, offset: int) -> Array:
        """An array on `x`'s storage."""
        size = prod(x.storage.value.shape)
        if not offset and prod(shape) == size and is_row_major(shape, strides):
            return Array(x.storage, x.dtype, shape, None, 0)
        return Array(x.storage, x.dtype, shape, strides, offset)

    def reshape(self, x: Array, shape: Shape) -> Array:
        if x.steps is None:
            return Array(x.storage, x.dtype, tuple(shape), None, 0)
        strides = reshaped_strides(x.shape, x.strides, tuple(shape))
        if strides is None:
            return self.reshape(self.copy(x), shape)
        return self.view(x, tuple(shape), strides, x.offset)

    def permute(self, x: Array, dims: Shape) -> Array:
        strides = x.strides
        shape = tuple([x.shape[d] for d in dims])
        return self.view(x, shape, tuple([strides[d] for d in dims]), x.offset)

    def expand(self, x: Array, shape: Shape) -> Array:
        if x.shape == shape:
            return Array(x.storage, x.dtype, shape, x.steps, x.offset)
        added = len(shape) - len(x.shape)
        strides = tuple(
            [0] * added
            + [
                0 if n == 1 and m != 1 else stride
                for n, m, stride in zip(x.shape, shape[added:], x.strides)
            ]
        )
        return self.view(x, tuple(shape), strides, x.offset)

    def slice(self, x: Array, ranges: tuple[Range, ...]) -> Array:
        strides = x.strides
        offset = x.offset
        shape, steps = [], []
        for (start, step, count), stride in zip(ranges, strides):
            offset += start * stride if count else 0
            shape.append(count)
            steps.append(step * stride)
        return self.view(x, tuple(shape), tuple(steps), offset)

    def strided(self, x: Array, shape: Shape, strides: Shape, offset: int) -> Array:
        return self.view(x, tuple(shape), tuple(strides), x.offset + offset)

    def strides(self, x: Array) -> Shape:
        return x.strides

    def shares_memory(self, x: Array, base: Any) -> bool:
        return isinstance(base, Array) and x.storage is base.storage

    def is_writable(self, x: Array) -> bool:
        steps = x.steps
        if steps is None or 0 not in steps or 0 in x.shape:
            return True
        return all(n <= 1 or stride != 0 for n, stride in zip(x.shape, steps))

    def concatenate(self, arrays: list[Array], dim: int) -> Array:
        first = arrays[0]
        size = sum([x.shape[dim] for x in arrays])
        shape = (*first.shape[:dim], size, *first.shape[dim + 1 :])
        if 0 in shape:
            return self.full(shape, 0, first.dtype)
        value = Value("memory", first.dtype, shape)
        value.block = self.device.pool.allocate(prod(shape) * first.dtype.itemsize)
        bounds = [x.storage.value.bounds for x in arrays if x.shape[dim]]
        joined = as_array(value)
        strides, start = row_major(shape), 0
        for x in arrays:
            if x.shape[dim]:
                window = View(value, x.shape, strides, start * strides[dim])
                self.scheduler.compute(self.loaded(x.operand), window)
            start += x.shape[dim]
        value.bounds = bounds[0]
        for other in bounds[1:]:
            value.bounds = union(value.bounds, other)
        self.note_origins(value, *[x.storage.value for x in arrays if x.shape[dim]])
        return joined

    # indexing
    def take(self, x: Array, indices: tuple[Array | None, ...]) -> Array:
        checking.check_indices(self, x, indices)
        target = indexing.Target.of(x.shape, indices)
        value = x.storage.value
        if 0 in target.shape:
            return self.full(target.shape, 0, x.dtype)
        if value.op == "full":
            return self.full(target.shape, value.params, x.dtype)
        return indexing.take_from(self, x, target)

    def put(
        self, x: Array, indices: tuple[Array | None, ...], values: Array, mode: PutMode
    ) -> None:
        checking.check_indices(self, x, indices)
        target = indexing.Target.of(x.shape, indices)
        if 0 not in target.shape:
            with self.scheduler.lock:
                indexing.put_into(self, x, target, self.expand(values, target.shape), mode)

    def nonzero(self, x: Array) -> Array:
        return self.from_numpy(np.argwhere(self.to_numpy(x)))


def rounded(number: Scalar, dtype: DType) -> Scalar:
    """A Python number as an element of `dtype` holds it."""
    function = ROUNDINGS.get(dtype)
    if function is None:
        return number
    if isinstance(number, Number):  # replays round it anew
        return number.applied(function, number)
    return function(number)


def _as_float16(number: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float16(number))


def _as_bfloat16(number: float) -> float:
    with np.errstate(all="ignore"):
        bits = int(np.float32(number).view(np.uint32))
    if number == number:
        bits += 0x7FFF + (bits >> 16 & 1)
    return float(np.uint32(bits & 0xFFFF0000).view(np.float32))


ROUNDINGS = {float16: _as_float16, bfloat16: _as_bfloat16}
