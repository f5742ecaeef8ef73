"""`Kernel`: an OpenCL kernel of your own, run on tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinynet import shape as shapes
from tinynet.autograd.graph import wrap
from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.ops.operands import require_same_device
from tinynet.shape import Shape
from tinynet.tensor import Tensor

NUMBERS = {bool: np.int32, int: np.int32, float: np.float32}
WIDEST = 64  # work-items of a group that nobody chose
MOST = 2**64 - 1  # work-items along a dim: a size_t
FOREIGN = "gGm"  # NumPy's letters of long doubles and of times, which OpenCL C does not have


class Kernel:
    """A kernel in OpenCL C, compiled at its first call on each device.

    `source` is a program's text, `name` that of a function in it that is marked `kernel`. Call it
    with the arguments up to the outputs, in the kernel's order: tensors, which it may read, become
    `global const` pointers to their elements, row by row; Python's ints are `int`, its floats
    `float`, other numbers are given as NumPy scalars (`np.int64(3)` is a `long`). As in C, a number
    of another type and the same size is misread, one of another size refused. The kernel's last
    parameters are the outputs, one pointer for each: it must write every element. Elements are of
    C's types of these names; bool is `uchar`, float16 `half`, bfloat16 `ushort`.

    Nothing is differentiated: a kernel belongs into an `autograd.Function`. In `tn.jit`, numbers
    stay what they were when the call was recorded.

    >>> import tinynet as tn
    >>> cube = tn.Kernel('''
    ... kernel void cube(global const float *x, const float scale, global float *y) {
    ...     const int i = get_global_id(0);
    ...     y[i] = scale * x[i] * x[i] * x[i];
    ... }''', "cube")
    >>> x = tn.tensor([1.0, 2.0, 3.0], device="opencl")
    >>> (y,) = cube(x, 10.0, outputs=[(x.shape, x.dtype)], size=x.numel())
    >>> y
    tensor([ 10.,  80., 270.], device='opencl')
    """

    def __init__(self, source: str, name: str) -> None:
        self.source, self.name = _as_text("source", source), _as_text("name", name)

    def __call__(
        self,
        *arguments: Any,
        outputs: Sequence[tuple[Shape, DType]],
        size: int | Sequence[int],
        group: Sequence[int] | None = None,
    ) -> tuple[Tensor, ...]:
        """Run `size` work-items (up to three dims), in groups of `group`; the outputs.

        `outputs` are their shapes and dtypes. Without `group`, the first dim is divided in groups
        of up to 64. Raises `DeviceError` on devices without OpenCL, `KernelError` with the
        compiler's words, or if the arguments do not fit the kernel; `ArgumentError` and
        `ArgumentTypeError` for numbers that have no such type, and for wrong sizes and outputs.
        """
        tensors = [x for x in arguments if isinstance(x, Tensor)]
        if not tensors:
            raise ArgumentError(
                f"Kernel: {self.name}: expected at least one tensor, for the device"
            )
        require_same_device("Kernel", *tensors)
        sizes = self._as_sizes("size", size)
        groups = _divided(sizes) if group is None else self._as_sizes("group", group)
        if len(groups) != len(sizes) or any(n % m for n, m in zip(sizes, groups)):
            raise ArgumentError(
                f"Kernel: {self.name}: size {sizes} does not consist of groups of {groups}"
            )
        if not isinstance(outputs, Iterable):
            raise self._no_outputs(outputs)
        kinds = [self._as_kind(output) for output in outputs]
        backend = tensors[0].backend
        arrays = backend.run_kernel(
            self.source, self.name, [self._as_operand(x) for x in arguments], kinds, sizes, groups
        )
        return tuple([wrap(x, dtype, backend) for x, (_, dtype) in zip(arrays, kinds)])

    def _as_sizes(self, what: str, sizes: int | Sequence[int]) -> tuple[int, ...]:
        given = tuple(sizes) if isinstance(sizes, Sequence) else (sizes,)
        found = tuple([shapes.as_integer("Kernel", what, n) for n in given])
        if not 1 <= len(found) <= 3 or min(found) < 1:
            raise ArgumentError(
                f"Kernel: {self.name}: {what} must be one to three numbers above 0, got {sizes!r}"
            )
        if max(found) > MOST:
            raise ArgumentError(
                f"Kernel: {self.name}: {what} is {sizes!r}, expected numbers up to {MOST}"
            )
        return found

    def _as_kind(self, output: tuple[Shape, DType]) -> tuple[Shape, DType]:
        """An output's shape and dtype."""
        try:
            shape, dtype = output
        except (TypeError, ValueError):
            dtype = None
        if not isinstance(dtype, DType):
            raise self._no_outputs(output)
        return shapes.check_sizes("Kernel", shapes.as_shape("Kernel", shape)), dtype

    def _no_outputs(self, given: Any) -> ArgumentTypeError:
        return ArgumentTypeError(
            f"Kernel: {self.name}: outputs are pairs of a shape and a dtype such as "
            f"tinynet.float32, got {given!r}"
        )

    def _as_operand(self, x: Any) -> Any:
        """An array of the backend's, or a NumPy scalar."""
        if isinstance(x, Tensor):
            return x.array
        if type(x) in NUMBERS:
            return self._as_scalar(x)
        if isinstance(x, np.number) and x.dtype.char not in FOREIGN:
            return x
        raise ArgumentTypeError(
            f"Kernel: {self.name}: arguments are tensors and numbers, got {type(x).__name__}"
        )

    def _as_scalar(self, x: Any) -> Any:
        """One of Python's numbers as what C calls an int or a float."""
        try:
            with np.errstate(over="raise"):
                return NUMBERS[type(x)](x)
        except (OverflowError, FloatingPointError):
            narrow, wide = ("float", "double") if type(x) is float else ("int", "long")
            raise ArgumentError(
                f"Kernel: {self.name}: {x} is no {narrow} of 32 bits; "
                f"a {wide} is numpy.{narrow}64({x})"
            ) from None


def _as_text(what: str, text: str) -> str:
    """A text that a compiler can be given."""
    if not isinstance(text, str):
        raise ArgumentTypeError(f"Kernel: {what} must be a str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"Kernel: {what} is no text: {error}") from None
    return text


def _divided(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Groups along the first dim, as large as divides it."""
    first = max(n for n in range(1, WIDEST + 1) if sizes[0] % n == 0)
    return (first, *(1,) * (len(sizes) - 1))
