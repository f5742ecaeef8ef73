"""What a user holds: `Tensor`. Its methods are the functions of `tinynet.ops`, named here."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from tinynet import dtype as dtypes
from tinynet.autograd import engine, hooks
from tinynet.autograd.graph import FIELDS, Node, Variable, base_of, refresh, wrap
from tinynet.autograd.inplace import note_write
from tinynet.backends import Device, open_backend
from tinynet.dtype import DType
from tinynet.errors import (
    ArgumentTypeError,
    DimError,
    DTypeError,
    GradientError,
    ShapeError,
)
from tinynet.numbers import Number
from tinynet.ops import (
    arithmetic,
    copying,
    creation,
    elementwise,
    indexing,
    inplace,
    joining,
    linear,
    movement,
    random,
    rearranging,
    reduction,
    scan,
    softmax,
    sorting,
)
from tinynet.ops.elementwise import BinaryFunction, UnaryFunction
from tinynet.ops.operands import require_tensor
from tinynet.printing import format_tensor
from tinynet.rich import tensor_html
from tinynet.shape import as_dim, as_shape

Subclass = TypeVar("Subclass", bound="Tensor")


class Tensor(Variable, is_result_class=True):
    """An n-dimensional array that records what is done to it.

    `Tensor(data)` is `tinynet.tensor(data)`: a copy of `data`. Attributes: `shape` (a tuple),
    `dtype`, `grad` (the gradient that `backward` left, or None).

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_priority__ = 1000  # NumPy leaves `array * tensor` to us

    def __init__(
        self,
        data: Any = (),
        dtype: DType | None = None,
        device: str | None = None,
        requires_grad: bool = False,
    ) -> None:
        made = creation.tensor(data, dtype, device)
        self.array, self.shape, self.dtype = made.array, made.shape, made.dtype
        self.backend = made.backend
        if requires_grad:
            self.requires_grad_()

    # What it is
    @property
    def ndim(self) -> int:
        """How many dims."""
        return len(self.shape)

    @property
    def device(self) -> Device:
        """Where it lives: a string such as "cpu"."""
        return Device(self.backend.name)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.dtype.itemsize

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dim."""
        if dim is None:
            return self.shape
        if not self.shape:
            raise DimError("size: a 0-d tensor has no dims")
        return self.shape[as_dim("size", dim, self.ndim)]

    def dim(self) -> int:
        """How many dims."""
        return len(self.shape)

    def numel(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Steps in memory, in elements, along each dim."""
        strides = copying.stride_of(self)
        if dim is None:
            return strides
        place = as_dim("stride", dim, self.ndim)
        if not strides:
            raise DimError(f"stride: dim {dim} of a tensor that has none")
        return strides[place]

    def is_floating_point(self) -> bool:
        """Whether elements are floating point numbers."""
        return self.dtype.is_floating_point

    is_contiguous = copying.is_contiguous

    def realize(self) -> Tensor:
        """Compute now; nothing to do where operations are not delayed."""
        self.backend.realize(self.array)
        return self

    # Autodiff
    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded."""
        view, writes = self.origin, self.writes
        if view is not None and writes is not None and view.seen != writes[0]:
            if view.is_fixed:
                return self.needs_grad or base_of(self)[0].node is not None
            refresh(self)
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Have operations on this leaf recorded, or not."""
        if requires_grad and not self.dtype.is_floating_point:
            raise DTypeError(f"requires_grad_: only floats have gradients, got {self.dtype}")
        if self.node is not None and not requires_grad:
            raise GradientError(
                "requires_grad_: only a leaf can stop requiring grad, use detach() or no_grad()"
            )
        self.needs_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made it, None for a leaf."""
        if self.origin is not None:
            refresh(self)
        return self.node

    @property
    def data(self) -> Tensor:
        """The values, cut off from the graph, on the same memory; can be set to other values."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise ArgumentTypeError(f"data: expected a Tensor, got {type(value).__name__}")
        self.array, self.shape = value.array, value.shape
        self.dtype, self.backend = value.dtype, value.backend
        self.writes = [self._version, 0]  # views of the old memory are none of the new
        note_write(self)

    @property
    def _version(self) -> int:
        return self.writes[0] if self.writes else 0

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add this tensor's gradient to `.grad` of the leaves it was made from.

        `gradient` (of this shape) is where to start; a single number starts from 1.
        """
        engine.backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> hooks.HookHandle:
        """Call `hook(grad)` with this tensor's gradient; what it returns replaces it."""
        return hooks.register_hook(self, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` although this is no leaf."""
        hooks.retain_grad(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this is no leaf and `.grad` is kept."""
        return self.retained is not None

    def detach_(self) -> Tensor:
        """Cut this tensor itself off from the graph."""
        if self.origin is not None:
            raise GradientError("detach_: a view cannot be cut off in place, use detach()")
        self.node, self.needs_grad = None, False
        return self

    # To Python, NumPy and others
    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """A NumPy array on the same memory (on the CPU); `force` copies and detaches as needed."""
        if self.requires_grad and not force:
            raise GradientError("numpy: the tensor requires grad, use .detach().numpy()")
        if self.backend.name != "cpu" and not force:
            raise ArgumentTypeError(f"numpy: the tensor is on {self.device}, use .cpu().numpy()")
        return self.backend.to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.cpu().numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise GradientError("__dlpack__: the tensor requires grad, use .detach()")
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.numpy(force=True).__dlpack_device__()

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.numel() != 1:
            raise ShapeError(f"item: expected a single element, got shape {self.shape}")
        value = self.backend.to_numpy(self.array).item()
        return float(value) if self.dtype.is_floating_point else value

    def tolist(self) -> Any:
        """Elements as nested lists of Python numbers; a number for 0 dims."""
        array = self.backend.to_numpy(self.array)
        return (
            array.astype(np.float32).tolist() if self.dtype is dtypes.bfloat16 else array.tolist()
        )

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ShapeError(
                f"bool: the truth of {self.numel()} elements is ambiguous, use any() or all()"
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.dtype.rank == 2 or self.numel() != 1:
            raise ArgumentTypeError(
                f"index: only a single integer is an index, got {self.dtype} of {self.shape}"
            )
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentTypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise ArgumentTypeError("iter: a 0-d tensor cannot be iterated over")
        return iter(joining.unbind(self))

    def __contains__(self, value: Any) -> bool:
        if not _is_operand(value):
            raise ArgumentTypeError(
                f"in: expected a number or a tensor to look for, got {type(value).__name__}"
            )
        return bool((self == value).any())

    def __repr__(self, *, tensor_contents: None = None) -> str:
        return format_tensor(self)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return tensor_html(self)

    def __format__(self, spec: str) -> str:
        """A 0-d tensor as its number; others by `str`, and without a `spec`."""
        if not self.shape:
            return format(self.item(), spec)
        if spec:
            raise ArgumentTypeError(
                f"format: {spec!r} of a tensor of shape {self.shape}, expected a single number"
            )
        return str(self)

    __hash__ = object.__hash__  # by identity, as PyTorch has it; `==` compares elements

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.node is not None:
            raise GradientError("pickle: only leaves can be pickled, use .detach()")
        array = self.backend.to_numpy(self.array)
        facts = type(self), array, self.dtype, str(self.device), self.needs_grad, self.grad
        return _rebuild, facts, _own_attributes(self) or None

    def __copy__(self) -> Tensor:
        if self.node is not None:
            raise GradientError("copy: only leaves can be copied, use .detach() or .clone()")
        copied = self.as_subclass(type(self))
        copied.needs_grad, copied.grad, copied.is_alias = self.needs_grad, self.grad, True
        vars(copied).update(_own_attributes(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise GradientError("deepcopy: only leaves can be copied, use .detach() or .clone()")
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        copied = _on_array(type(self), self.backend.copy(self.array), self.dtype, self.device)
        copied.needs_grad = self.needs_grad
        memo[id(self)] = copied
        if self.grad is not None:
            copied.grad = self.grad.__deepcopy__(memo)
        vars(copied).update(copy.deepcopy(_own_attributes(self), memo))
        return copied

    # Copies
    clone = copying.clone
    contiguous = copying.contiguous
    detach = copying.detach
    to = copying.to

    def cpu(self) -> Tensor:
        """On the CPU."""
        return copying.to_device(self, "cpu")

    def as_subclass(self, cls: type[Subclass]) -> Subclass:
        """A `cls`, a subclass of Tensor, on the same memory, cut off from the graph."""
        made = object.__new__(cls)
        made.array, made.shape, made.dtype, made.backend = (
            self.array, self.shape, self.dtype, self.backend,
        )  # fmt: skip
        made.writes = self.writes = self.writes or [0, 0]
        return made

    def type_as(self, other: Tensor) -> Tensor:
        """With `other`'s dtype."""
        return self.to(require_tensor("type_as", other, "other").dtype)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def half(self) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Tensor:
        """As bfloat16."""
        return self.to(dtypes.bfloat16)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def bool(self) -> Tensor:
        """As bool: where elements are not zero."""
        return self.to(dtypes.bool_)

    # Like this tensor
    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        """`tensor(data)` with this dtype and device unless `options` say otherwise."""
        return creation.tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    def new_full(self, size: Any, fill_value: Any, **options: Any) -> Tensor:
        """`full` with this dtype and device unless `options` say otherwise."""
        if not options and type(size) is tuple and all(type(n) is int and n >= 0 for n in size):
            value = dtypes.fitted_scalar("new_full", fill_value, self.dtype)
            return wrap(self.backend.full(size, value, self.dtype), self.dtype, self.backend)
        like = {"dtype": self.dtype, "device": self.device, **options}
        return creation.full(size, fill_value, **like)

    def new_zeros(self, *sizes: Any, size: Any = None, **options: Any) -> Tensor:
        """`zeros` with this dtype and device unless `options` say otherwise."""
        return self.new_full(as_shape("new_zeros", *sizes, named=size), 0, **options)

    def new_ones(self, *sizes: Any, size: Any = None, **options: Any) -> Tensor:
        """`ones` with this dtype and device unless `options` say otherwise."""
        return self.new_full(as_shape("new_ones", *sizes, named=size), 1, **options)

    def new_empty(self, *sizes: Any, size: Any = None, **options: Any) -> Tensor:
        """`empty` with this dtype and device unless `options` say otherwise."""
        return self.new_full(as_shape("new_empty", *sizes, named=size), 0, **options)

    # Elementwise, one operand: tinynet/ops/elementwise.py
    neg = elementwise.neg
    negative = elementwise.neg
    abs = elementwise.abs
    absolute = elementwise.abs
    sign = elementwise.sign
    sgn = elementwise.sign
    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    square = elementwise.square
    reciprocal = elementwise.reciprocal
    exp = elementwise.exp
    exp2 = elementwise.exp2
    expm1 = elementwise.expm1
    log = elementwise.log
    log2 = elementwise.log2
    log10 = elementwise.log10
    log1p = elementwise.log1p
    sin = elementwise.sin
    cos = elementwise.cos
    tan = elementwise.tan
    asin = elementwise.asin
    acos = elementwise.acos
    atan = elementwise.atan
    sinh = elementwise.sinh
    cosh = elementwise.cosh
    tanh = elementwise.tanh
    asinh = elementwise.asinh
    acosh = elementwise.acosh
    atanh = elementwise.atanh
    sigmoid = elementwise.sigmoid
    erf = elementwise.erf
    floor = elementwise.floor
    ceil = elementwise.ceil
    trunc = elementwise.trunc
    fix = elementwise.trunc
    round = elementwise.round
    isnan = elementwise.isnan
    isinf = elementwise.isinf
    isfinite = elementwise.isfinite
    logical_not = elementwise.logical_not
    bitwise_not = elementwise.bitwise_not

    # Elementwise, two and three operands: tinynet/ops/arithmetic.py
    add = arithmetic.add
    sub = arithmetic.sub
    subtract = arithmetic.sub
    mul = arithmetic.mul
    multiply = arithmetic.mul
    div = arithmetic.div
    divide = arithmetic.div
    true_divide = arithmetic.div
    floor_divide = arithmetic.floor_divide
    remainder = arithmetic.remainder
    fmod = arithmetic.fmod
    pow = arithmetic.pow
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    atan2 = arithmetic.atan2
    copysign = arithmetic.copysign
    logaddexp = arithmetic.logaddexp
    lerp = arithmetic.lerp
    addcmul = arithmetic.addcmul
    addcdiv = arithmetic.addcdiv
    clamp = arithmetic.clamp
    clip = arithmetic.clamp
    relu = arithmetic.relu
    logit = arithmetic.logit
    nan_to_num = arithmetic.nan_to_num
    isclose = arithmetic.isclose
    allclose = arithmetic.allclose
    equal = arithmetic.equal
    eq = arithmetic.eq
    ne = arithmetic.ne
    lt = arithmetic.lt
    le = arithmetic.le
    gt = arithmetic.gt
    ge = arithmetic.ge
    greater = arithmetic.gt
    less = arithmetic.lt
    logical_and = arithmetic.logical_and
    logical_or = arithmetic.logical_or
    logical_xor = arithmetic.logical_xor
    bitwise_and = arithmetic.bitwise_and
    bitwise_or = arithmetic.bitwise_or
    bitwise_xor = arithmetic.bitwise_xor
    bitwise_left_shift = arithmetic.left_shift
    bitwise_right_shift = arithmetic.right_shift

    # Movement: tinynet/ops/movement.py
    reshape = movement.reshape
    view = movement.view
    permute = movement.permute
    expand = movement.expand
    as_strided = movement.as_strided
    diagonal = movement.diagonal
    unfold = movement.unfold
    sum_to_size = movement.sum_to_size

    # Movement, made of these: tinynet/ops/rearranging.py
    expand_as = rearranging.expand_as
    broadcast_to = rearranging.broadcast_to
    transpose = rearranging.transpose
    swapaxes = rearranging.transpose
    swapdims = rearranging.transpose
    t = rearranging.t
    movedim = rearranging.movedim
    moveaxis = rearranging.movedim
    squeeze = rearranging.squeeze
    unsqueeze = rearranging.unsqueeze
    flatten = rearranging.flatten
    ravel = rearranging.flatten
    unflatten = rearranging.unflatten
    narrow = rearranging.narrow
    select = rearranging.select
    flip = rearranging.flip
    repeat = rearranging.repeat
    tile = rearranging.tile
    repeat_interleave = rearranging.repeat_interleave
    roll = rearranging.roll
    rot90 = rearranging.rot90
    diag = rearranging.diag
    diag_embed = rearranging.diag_embed
    tril = rearranging.tril
    triu = rearranging.triu

    # Parting: tinynet/ops/joining.py
    split = joining.split
    chunk = joining.chunk
    tensor_split = joining.tensor_split
    unbind = joining.unbind

    # Reduction: tinynet/ops/reduction.py
    sum = reduction.sum
    mean = reduction.mean
    prod = reduction.prod
    amax = reduction.amax
    amin = reduction.amin
    max = reduction.max
    min = reduction.min
    argmax = reduction.argmax
    argmin = reduction.argmin
    any = reduction.any
    all = reduction.all
    count_nonzero = reduction.count_nonzero
    var = reduction.var
    std = reduction.std
    logsumexp = reduction.logsumexp
    norm = reduction.norm

    # Scan: tinynet/ops/scan.py
    cumsum = scan.cumsum
    cumprod = scan.cumprod
    cummax = scan.cummax
    cummin = scan.cummin
    logcumsumexp = scan.logcumsumexp

    # Order: tinynet/ops/sorting.py
    sort = sorting.sort
    argsort = sorting.argsort
    topk = sorting.topk
    median = sorting.median
    unique = sorting.unique
    bincount = sorting.bincount

    # Indexing: tinynet/ops/indexing.py
    gather = indexing.gather
    take_along_dim = indexing.take_along_dim
    take = indexing.take
    index_select = indexing.index_select
    index_add = indexing.index_add
    index_put = indexing.index_put
    scatter = indexing.scatter
    scatter_add = indexing.scatter_add
    scatter_reduce = indexing.scatter_reduce
    masked_fill = indexing.masked_fill
    masked_select = indexing.masked_select
    nonzero = indexing.nonzero

    # Products: tinynet/ops/linear.py
    matmul = linear.matmul
    mm = linear.mm
    bmm = linear.bmm
    mv = linear.mv
    dot = linear.dot
    outer = linear.outer
    addmm = linear.addmm
    baddbmm = linear.baddbmm
    trace = linear.trace

    # Softmax: tinynet/ops/softmax.py
    log_softmax = softmax.log_softmax
    softmax = softmax.softmax

    # In place: tinynet/ops/inplace.py
    add_ = inplace.add_
    sub_ = inplace.sub_
    subtract_ = inplace.sub_
    mul_ = inplace.mul_
    multiply_ = inplace.mul_
    div_ = inplace.div_
    divide_ = inplace.div_
    true_divide_ = inplace.div_
    maximum_ = inplace.maximum_
    minimum_ = inplace.minimum_
    neg_ = inplace.neg_
    abs_ = inplace.abs_
    sqrt_ = inplace.sqrt_
    rsqrt_ = inplace.rsqrt_
    square_ = inplace.square_
    reciprocal_ = inplace.reciprocal_
    exp_ = inplace.exp_
    log_ = inplace.log_
    sigmoid_ = inplace.sigmoid_
    tanh_ = inplace.tanh_
    sin_ = inplace.sin_
    cos_ = inplace.cos_
    floor_ = inplace.floor_
    ceil_ = inplace.ceil_
    trunc_ = inplace.trunc_
    round_ = inplace.round_
    sign_ = inplace.sign_
    sgn_ = inplace.sign_
    exp2_ = inplace.exp2_
    expm1_ = inplace.expm1_
    log2_ = inplace.log2_
    log10_ = inplace.log10_
    log1p_ = inplace.log1p_
    tan_ = inplace.tan_
    asin_ = inplace.asin_
    acos_ = inplace.acos_
    atan_ = inplace.atan_
    sinh_ = inplace.sinh_
    cosh_ = inplace.cosh_
    asinh_ = inplace.asinh_
    acosh_ = inplace.acosh_
    atanh_ = inplace.atanh_
    erf_ = inplace.erf_
    atan2_ = inplace.atan2_
    copysign_ = inplace.copysign_
    logit_ = inplace.logit_
    relu_ = inplace.relu_
    pow_ = inplace.pow_
    floor_divide_ = inplace.floor_divide_
    remainder_ = inplace.remainder_
    fmod_ = inplace.fmod_
    clamp_ = inplace.clamp_
    clip_ = inplace.clamp_
    nan_to_num_ = inplace.nan_to_num_
    logical_and_ = inplace.logical_and_
    logical_or_ = inplace.logical_or_
    logical_xor_ = inplace.logical_xor_
    logical_not_ = inplace.logical_not_
    bitwise_not_ = inplace.bitwise_not_
    bitwise_and_ = inplace.bitwise_and_
    bitwise_or_ = inplace.bitwise_or_
    bitwise_xor_ = inplace.bitwise_xor_
    bitwise_left_shift_ = inplace.left_shift_
    bitwise_right_shift_ = inplace.right_shift_
    cumsum_ = inplace.cumsum_
    cumprod_ = inplace.cumprod_
    tril_ = inplace.tril_
    triu_ = inplace.triu_
    addmm_ = inplace.addmm_
    baddbmm_ = inplace.baddbmm_
    masked_fill_ = inplace.masked_fill_
    index_add_ = inplace.index_add_
    scatter_ = inplace.scatter_
    scatter_add_ = inplace.scatter_add_
    scatter_reduce_ = inplace.scatter_reduce_
    lerp_ = inplace.lerp_
    addcmul_ = inplace.addcmul_
    addcdiv_ = inplace.addcdiv_
    copy_ = inplace.copy_
    fill_ = inplace.fill_
    zero_ = inplace.zero_
    index_put_ = inplace.index_put_

    # Random, in place: tinynet/ops/random.py
    uniform_ = random.uniform_
    normal_ = random.normal_
    bernoulli_ = random.bernoulli_

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """Elements of this tensor where `condition` holds, of `other` elsewhere."""
        return arithmetic.where(condition, self, other)  # type: ignore[no-any-return]

    def view_as(self, other: Tensor) -> Tensor:
        """`view` with `other`'s shape."""
        return self.view(require_tensor("view_as", other, "other").shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """`reshape` to `other`'s shape."""
        return self.reshape(require_tensor("reshape_as", other, "other").shape)

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """Dims in reverse order."""
        return movement.permute_to(self, tuple(range(self.ndim - 1, -1, -1)))

    @property
    def mT(self) -> Tensor:  # noqa: N802
        """The last two dims exchanged."""
        if self.ndim < 2:
            raise ShapeError(f"mT: expected at least 2 dims, got shape {self.shape}")
        last = self.ndim - 1
        return movement.permute_to(self, (*range(last - 1), last, last - 1))

    # Operators
    __add__: BinaryFunction = arithmetic.plus
    __radd__: BinaryFunction = arithmetic.plus
    __sub__: BinaryFunction = arithmetic.minus
    __mul__: BinaryFunction = arithmetic.mul
    __rmul__: BinaryFunction = arithmetic.mul
    __truediv__: BinaryFunction = arithmetic.divided
    __floordiv__ = arithmetic.floor_divide
    __mod__ = arithmetic.remainder
    __pow__ = arithmetic.pow
    __matmul__ = linear.matmul
    __and__ = __rand__ = arithmetic.bitwise_and
    __or__ = __ror__ = arithmetic.bitwise_or
    __xor__ = __rxor__ = arithmetic.bitwise_xor
    __lshift__ = arithmetic.left_shift
    __rshift__ = arithmetic.right_shift
    __neg__: UnaryFunction = elementwise.neg
    __abs__ = elementwise.abs
    __invert__ = elementwise.bitwise_not
    __lt__ = arithmetic.lt
    __le__ = arithmetic.le
    __gt__ = arithmetic.gt
    __ge__ = arithmetic.ge
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    __iadd__ = inplace.add_
    __isub__ = inplace.sub_
    __imul__ = inplace.mul_
    __itruediv__ = inplace.div_
    __ifloordiv__ = inplace.floor_divide_
    __imod__ = inplace.remainder_
    __ipow__ = inplace.pow_
    __iand__ = inplace.bitwise_and_
    __ior__ = inplace.bitwise_or_
    __ixor__ = inplace.bitwise_xor_
    __ilshift__ = inplace.left_shift_
    __irshift__ = inplace.right_shift_

    def __eq__(self, other: Any) -> Any:
        return arithmetic.eq(self, other) if _is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return arithmetic.ne(self, other) if _is_operand(other) else NotImplemented

    def __pos__(self) -> Tensor:
        return self

    def __rsub__(self, other: Any) -> Tensor:
        return arithmetic.minus(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return arithmetic.divided(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return arithmetic.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return arithmetic.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return arithmetic.pow(other, self)

    def __rlshift__(self, other: Any) -> Tensor:
        return arithmetic.left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return arithmetic.right_shift(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return linear.matmul(creation.as_tensor(other), self)

    # Creation, for those who look here: `Tensor.zeros` is `tinynet.zeros`
    zeros = staticmethod(creation.zeros)
    ones = staticmethod(creation.ones)
    full = staticmethod(creation.full)
    empty = staticmethod(creation.empty)
    eye = staticmethod(creation.eye)
    arange = staticmethod(creation.arange)
    linspace = staticmethod(creation.linspace)
    from_numpy = staticmethod(creation.from_numpy)
    rand = staticmethod(random.rand)
    randn = staticmethod(random.randn)
    randint = staticmethod(random.randint)


def zero_grad(x: Tensor) -> None:
    """Make `x.grad`, which is there, zeros in place; cut off from the graph, if it has one."""
    if x.grad is not None and x.grad.node is not None:
        x.grad = x.grad.detach()
    if x.grad is not None:
        x.grad.requires_grad_(False).zero_()


def _is_operand(value: object) -> bool:
    """Whether elements can be compared with it; None, strings and lists equal no tensor."""
    return isinstance(value, (Variable, int, float, Number)) or hasattr(value, "__array__")


def _own_attributes(x: Tensor) -> dict[str, Any]:
    """What users and subclasses put on a tensor."""
    return {name: value for name, value in vars(x).items() if name not in FIELDS}


def _on_array(kind: type[Tensor], array: Any, dtype: DType, device: str) -> Tensor:
    """A tensor of class `kind` around a backend's array."""
    made = object.__new__(kind)
    made.array, made.shape, made.dtype = array, array.shape, dtype
    made.backend = open_backend(device)
    return made


def _rebuild(
    kind: type[Tensor],
    array: np.ndarray[Any, Any],
    dtype: DType,
    device: str,
    needs_grad: bool,
    grad: Tensor | None,
) -> Tensor:
    """What unpickling calls."""
    made = _on_array(kind, open_backend(device).from_numpy(array), dtype, device)
    made.needs_grad, made.grad = needs_grad, grad
    return made
