"""In-place operations: `x.add_(y)` writes `x + y` into `x`'s memory, which views share.

Recording, each is the operation of the same name on a copy of the old value, whose result is then
written; the tensor takes the result's place in the graph. Not recording, elementwise ones write
directly.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import CONSTANT, Node, Variable, result
from tinynet.autograd.inplace import (
    after_write,
    before_write,
    check_writable,
    needs_recording,
    note_write,
    place_of,
)
from tinynet.autograd.operation import Gradients, Op
from tinynet.dtype import Scalar
from tinynet.errors import DTypeError, ShapeError
from tinynet.numbers import Number, as_float
from tinynet.ops import arithmetic, elementwise, indexing, linear, rearranging, scan
from tinynet.ops.copying import to_device
from tinynet.ops.movement import expand_to
from tinynet.ops.operands import as_element, cast_to, require_same_device, require_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Write = Callable[..., "Tensor"]


def in_place(function: Callable[..., Tensor]) -> Write:
    """The in-place form of an operation whose first operand is a tensor."""
    name = f"{function.__name__.lstrip('_')}_"

    def write(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        x = require_tensor(name, input)
        is_recorded = needs_recording(x, (*args, *kwargs.values()))
        check_writable(name, x, is_recorded)
        value = function(before_write(x) if is_recorded else x.detach(), *args, **kwargs)
        return _store(name, x, value)

    return _described(write, name, f"`{name[:-1]}`, written into the tensor itself.")


def _store(op: str, x: Tensor, value: Tensor) -> Tensor:
    """Make `value` the value of `x`."""
    if value.shape != x.shape:
        raise ShapeError(f"{op}: a result of shape {value.shape} does not fit {x.shape} in place")
    if value.dtype is not x.dtype:
        if value.dtype.rank > x.dtype.rank:
            raise DTypeError(f"{op}: a result of {value.dtype} cannot be written into {x.dtype}")
        value = cast_to(value, x.dtype)
    x.backend.assign(x.array, value.array)
    after_write(x, value)
    return x


def _described(function: Write, name: str, doc: str) -> Write:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def in_place_elementwise(function: Callable[..., Tensor], primitive: str) -> Write:
    """`in_place` for a primitive of the same operands, which can write directly."""
    general = in_place(function)
    name = general.__name__
    parameters = inspect.signature(function).parameters.values()
    count = sum(p.default is p.empty for p in parameters) - 1  # of operands

    def write(input: Tensor, *operands: Any, **options: Any) -> Tensor:
        x = require_tensor(name, input)
        if options or len(operands) != count or x.dtype.rank != 2 or needs_recording(x, operands):
            return general(x, *operands, **options)
        arrays: Any = [x.array]
        for y in operands:
            if isinstance(y, Variable):
                if y.dtype is not x.dtype or y.backend is not x.backend:
                    return general(x, *operands)
                if y.shape != x.shape and shapes.broadcast(name, x.shape, y.shape) != x.shape:
                    return general(x, *operands)
                arrays.append(y.array)
            elif x.dtype.itemsize == 2 and primitive in elementwise.SCALINGS:
                return general(x, *operands)
            elif type(y) is float or type(y) is int or type(y) is Number:
                arrays.append(as_float(y))
            else:
                return general(x, *operands)
        check_writable(name, x, False)
        x.backend.elementwise(primitive, *arrays, out=x.array)  # type: ignore[misc]
        note_write(x)
        return x

    return _described(write, name, general.__doc__ or "")


_plain_add = in_place_elementwise(arithmetic.add, "add")
sub_ = in_place_elementwise(arithmetic.sub, "sub")
mul_ = in_place_elementwise(arithmetic.mul, "mul")
div_ = in_place_elementwise(arithmetic.div, "div")
maximum_ = in_place_elementwise(arithmetic.maximum, "maximum")
minimum_ = in_place_elementwise(arithmetic.minimum, "minimum")
neg_ = in_place_elementwise(elementwise.neg, "neg")
abs_ = in_place_elementwise(elementwise.abs, "abs")
sqrt_ = in_place_elementwise(elementwise.sqrt, "sqrt")
rsqrt_ = in_place_elementwise(elementwise.rsqrt, "rsqrt")
square_ = in_place_elementwise(elementwise.square, "square")
reciprocal_ = in_place_elementwise(elementwise.reciprocal, "reciprocal")
exp_ = in_place_elementwise(elementwise.exp, "exp")
log_ = in_place_elementwise(elementwise.log, "log")
sigmoid_ = in_place_elementwise(elementwise.sigmoid, "sigmoid")
tanh_ = in_place_elementwise(elementwise.tanh, "tanh")
sin_ = in_place_elementwise(elementwise.sin, "sin")
cos_ = in_place_elementwise(elementwise.cos, "cos")
floor_ = in_place_elementwise(elementwise.floor, "floor")
ceil_ = in_place_elementwise(elementwise.ceil, "ceil")
trunc_ = in_place_elementwise(elementwise.trunc, "trunc")
round_ = in_place(elementwise.round)
sign_ = in_place_elementwise(elementwise.sign, "sign")
exp2_ = in_place_elementwise(elementwise.exp2, "exp2")
expm1_ = in_place_elementwise(elementwise.expm1, "expm1")
log2_ = in_place_elementwise(elementwise.log2, "log2")
log10_ = in_place_elementwise(elementwise.log10, "log10")
log1p_ = in_place_elementwise(elementwise.log1p, "log1p")
tan_ = in_place_elementwise(elementwise.tan, "tan")
asin_ = in_place_elementwise(elementwise.asin, "asin")
acos_ = in_place_elementwise(elementwise.acos, "acos")
atan_ = in_place_elementwise(elementwise.atan, "atan")
sinh_ = in_place_elementwise(elementwise.sinh, "sinh")
cosh_ = in_place_elementwise(elementwise.cosh, "cosh")
asinh_ = in_place_elementwise(elementwise.asinh, "asinh")
acosh_ = in_place_elementwise(elementwise.acosh, "acosh")
atanh_ = in_place_elementwise(elementwise.atanh, "atanh")
erf_ = in_place_elementwise(elementwise.erf, "erf")
atan2_ = in_place_elementwise(arithmetic.atan2, "atan2")
copysign_ = in_place_elementwise(arithmetic.copysign, "copysign")
logit_ = in_place(arithmetic.logit)
relu_ = in_place(arithmetic.relu)
pow_ = in_place(arithmetic.pow)
floor_divide_ = in_place(arithmetic.floor_divide)
remainder_ = in_place(arithmetic.remainder)
fmod_ = in_place(arithmetic.fmod)
clamp_ = in_place(arithmetic.clamp)
nan_to_num_ = in_place(arithmetic.nan_to_num)
logical_and_ = in_place(arithmetic.logical_and)
logical_or_ = in_place(arithmetic.logical_or)
logical_xor_ = in_place(arithmetic.logical_xor)
logical_not_ = in_place(elementwise.logical_not)
bitwise_not_ = in_place(elementwise.bitwise_not)
bitwise_and_ = in_place(arithmetic.bitwise_and)
bitwise_or_ = in_place(arithmetic.bitwise_or)
bitwise_xor_ = in_place(arithmetic.bitwise_xor)
left_shift_ = in_place(arithmetic.left_shift)
right_shift_ = in_place(arithmetic.right_shift)
cumsum_ = in_place(scan.cumsum)
cumprod_ = in_place(scan.cumprod)
tril_ = in_place(rearranging.tril)
triu_ = in_place(rearranging.triu)
addmm_ = in_place(linear.addmm)
baddbmm_ = in_place(linear.baddbmm)
masked_fill_ = in_place(indexing.masked_fill)
index_add_ = in_place(indexing.index_add)
scatter_ = in_place(indexing.scatter)
scatter_add_ = in_place(indexing.scatter_add)
scatter_reduce_ = in_place(indexing.scatter_reduce)


def _are_alike(x: Tensor, *others: Any) -> bool:
    """Whether all are tensors of one shape and device, and one floating dtype, but for halves."""
    dtype, backend = x.dtype, x.backend
    if dtype.rank != 2 or dtype.itemsize == 2:
        return False
    for y in others:
        if not isinstance(y, Variable) or y.dtype is not dtype or y.backend is not backend:
            return False
        if y.shape != x.shape:
            return False
    return True


def add_(input: Tensor, other: Any, *, alpha: Scalar = 1) -> Tensor:
    """`add`, written into the tensor itself."""
    if alpha == 1:
        return _plain_add(input, other)
    x = require_tensor("add_", input)
    if needs_recording(x, (other,)) or not _are_alike(x, other):
        return _plain_add(x, other, alpha=alpha)
    return _add_scaled("add_", x, x.backend.elementwise("mul", other.array, as_float(alpha)), 1)


def lerp_(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`lerp`, written into the tensor itself."""
    x = require_tensor("lerp_", input)
    if type(weight) is Number:
        weight = weight.at_hand()
    is_small = (type(weight) is float or type(weight) is Number) and -0.5 < weight < 0.5
    if needs_recording(x, (end, weight)) or not is_small or not _are_alike(x, end):
        return _general_lerp(x, end, weight)
    gap = x.backend.elementwise("sub", end.array, x.array)
    return _add_scaled("lerp_", x, gap, weight)


def addcmul_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Tensor:
    """`addcmul`, written into the tensor itself."""
    x = require_tensor("addcmul_", input)
    if needs_recording(x, (tensor1, tensor2)) or not _are_alike(x, tensor1, tensor2):
        return _general_addcmul(x, tensor1, tensor2, value=value)
    product = x.backend.elementwise("mul", tensor1.array, tensor2.array)
    return _add_scaled("addcmul_", x, product, value)


def addcdiv_(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Scalar = 1) -> Tensor:
    """`addcdiv`, written into the tensor itself."""
    x = require_tensor("addcdiv_", input)
    if needs_recording(x, (tensor1, tensor2)) or not _are_alike(x, tensor1, tensor2):
        return _general_addcdiv(x, tensor1, tensor2, value=value)
    quotient = x.backend.elementwise("div", tensor1.array, tensor2.array)
    return _add_scaled("addcdiv_", x, quotient, value)


def _add_scaled(op: str, x: Tensor, change: Any, scale: Any) -> Tensor:
    """Add `scale * change`, an array that nobody else holds, to `x`."""
    check_writable(op, x, False)
    if scale != 1:
        x.backend.elementwise("mul", change, scale, out=change)
    x.backend.elementwise("add", x.array, change, out=x.array)
    note_write(x)
    return x


_general_lerp = in_place(arithmetic.lerp)
_general_addcmul = in_place(arithmetic.addcmul)
_general_addcdiv = in_place(arithmetic.addcdiv)


def copy_(input: Tensor, src: Any) -> Tensor:
    """Write `src` (broadcast, cast, from any device) into the tensor itself."""
    return _overwrite("copy_", input, src)


def _overwrite(op: str, input: Tensor, src: Any) -> Tensor:
    x = require_tensor(op, input)
    source = as_element(op, src, x)
    if shapes.broadcast(op, source.shape, x.shape) != x.shape:
        raise ShapeError(f"{op}: {source.shape} does not broadcast to {x.shape}")
    is_recorded = needs_recording(x, (source,))
    check_writable(op, x, is_recorded)
    value = to_device(source, x.backend.name)
    if not is_recorded:
        x.backend.assign(x.array, value.array)
        note_write(x)
        return x
    value = expand_to(cast_to(value, x.dtype), x.shape)
    old = CONSTANT if x.origin is not None else place_of(x)  # a view's base forgets what was there
    return _store(op, x, result(Overwrite, value.array, x.dtype, (value, old)))


class Overwrite(Op):
    """The value written; the old one, whose gradient is 0."""

    op = "copy_"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        return grad, (grad.new_zeros(grad.shape) if ctx.needs_input_grad[1] else None)


def fill_(input: Tensor, value: Any) -> Tensor:
    """Make every element `value`, a number or 0-d tensor."""
    if getattr(value, "shape", ()):
        raise ShapeError(f"fill_: expected a number or a 0-d tensor, got shape {value.shape}")
    return _overwrite("fill_", input, value)


def zero_(input: Tensor) -> Tensor:
    """Make every element 0."""
    return _overwrite("zero_", input, 0)


def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put`, written into the tensor itself."""
    x = require_tensor("index_put_", input)
    values = require_tensor("index_put_", values, "values")
    is_recorded = needs_recording(x, (values,))
    check_writable("index_put_", x, is_recorded)
    if values.dtype is not x.dtype:
        values = cast_to(values, x.dtype)
    if is_recorded:
        return _store(
            "index_put_", x, indexing.index_put(before_write(x), indices, values, accumulate)
        )
    viewed, places = indexing.read_index(x.detach(), indexing.as_put_index("index_put_", indices))
    assert places is not None
    require_same_device("index_put_", x, values)
    indexing.check_values("index_put_", values, viewed, places)
    arrays = tuple(None if place is None else place.array for place in places)
    x.backend.put(viewed.array, arrays, values.array, "add" if accumulate else "set")
    note_write(x)
    return x
