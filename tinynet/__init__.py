"""tinynet: a deep learning engine small enough to read in an afternoon.

Level by level: `errors dtype shape settings`, then `backends`, `autograd`, `ops`, `tensor`, and on
top of these `nn`, `optim`, `data`. The API is PyTorch's.

>>> import tinynet as tn
>>> x = tn.tensor(3.0, requires_grad=True)
>>> (x**2).backward()
>>> x.grad
tensor(6.)
"""

from tinynet.tensor import Tensor  # first: the function `tensor` below takes the module's name
from tinynet import autograd, dtype, errors, linalg
from tinynet.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinynet.backends import Device as device
from tinynet.dtype import bfloat16, finfo, float16, float32, float64, iinfo
from tinynet.dtype import bool_ as bool
from tinynet.dtype import float16 as half
from tinynet.dtype import float32 as float
from tinynet.dtype import float64 as double
from tinynet.dtype import int8, int16, int32, int64, uint8, uint16, uint32, uint64
from tinynet.dtype import int32 as int
from tinynet.dtype import int64 as long
from tinynet.ops.elementwise import (
    neg,
    abs,
    sign,
    sqrt,
    rsqrt,
    square,
    reciprocal,
    exp,
    exp2,
    expm1,
    log,
    log2,
    log10,
    log1p,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    sinh,
    cosh,
    tanh,
    asinh,
    acosh,
    atanh,
    sigmoid,
    erf,
    floor,
    ceil,
    trunc,
    round,
    isnan,
    isinf,
    isfinite,
    logical_not,
    bitwise_not,
)
from tinynet.ops.elementwise import neg as negative
from tinynet.ops.elementwise import abs as absolute
from tinynet.ops.elementwise import sign as sgn
from tinynet.ops.elementwise import asin as arcsin
from tinynet.ops.elementwise import acos as arccos
from tinynet.ops.elementwise import atan as arctan
from tinynet.ops.elementwise import trunc as fix
from tinynet.ops.arithmetic import (
    add,
    sub,
    mul,
    div,
    floor_divide,
    remainder,
    fmod,
    pow,
    maximum,
    minimum,
    atan2,
    copysign,
    logaddexp,
    lerp,
    addcmul,
    addcdiv,
    clamp,
    relu,
    logit,
    nan_to_num,
    isclose,
    allclose,
    equal,
    eq,
    ne,
    lt,
    le,
    gt,
    ge,
    logical_and,
    logical_or,
    logical_xor,
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    where,
)
from tinynet.ops.arithmetic import sub as subtract
from tinynet.ops.arithmetic import mul as multiply
from tinynet.ops.arithmetic import div as divide
from tinynet.ops.arithmetic import div as true_divide
from tinynet.ops.arithmetic import clamp as clip
from tinynet.ops.arithmetic import gt as greater
from tinynet.ops.arithmetic import lt as less
from tinynet.ops.arithmetic import left_shift as bitwise_left_shift
from tinynet.ops.arithmetic import right_shift as bitwise_right_shift
from tinynet.ops.movement import reshape, permute, as_strided, diagonal
from tinynet.ops.rearranging import (
    broadcast_to,
    transpose,
    t,
    movedim,
    squeeze,
    unsqueeze,
    flatten,
    unflatten,
    narrow,
    select,
    flip,
    tile,
    repeat_interleave,
    roll,
    rot90,
    diag,
    diag_embed,
    tril,
    triu,
)
from tinynet.ops.rearranging import transpose as swapaxes
from tinynet.ops.rearranging import transpose as swapdims
from tinynet.ops.rearranging import movedim as moveaxis
from tinynet.ops.rearranging import flatten as ravel
from tinynet.ops.joining import cat, stack, hstack, vstack, split, chunk, tensor_split, unbind
from tinynet.ops.joining import cat as concat
from tinynet.ops.joining import cat as concatenate
from tinynet.ops.copying import clone
from tinynet.ops.reduction import (
    sum,
    mean,
    prod,
    amax,
    amin,
    max,
    min,
    argmax,
    argmin,
    any,
    all,
    count_nonzero,
    var,
    std,
    var_mean,
    std_mean,
    logsumexp,
    norm,
)
from tinynet.ops.scan import cumsum, cumprod, cummax, cummin, logcumsumexp
from tinynet.ops.sorting import sort, argsort, topk, median, unique, bincount
from tinynet.ops.indexing import (
    gather,
    take_along_dim,
    take,
    index_select,
    index_add,
    index_put,
    scatter,
    scatter_add,
    scatter_reduce,
    masked_fill,
    masked_select,
    nonzero,
)
from tinynet.ops.linear import (
    matmul,
    mm,
    bmm,
    mv,
    dot,
    outer,
    addmm,
    baddbmm,
    einsum,
    tensordot,
    trace,
)
from tinynet.ops.softmax import softmax, log_softmax
from tinynet.ops.creation import (
    tensor,
    as_tensor,
    asarray,
    from_numpy,
    from_dlpack,
    zeros,
    ones,
    full,
    empty,
    zeros_like,
    ones_like,
    full_like,
    empty_like,
    eye,
    arange,
    linspace,
    logspace,
    tril_indices,
    triu_indices,
    meshgrid,
)
from tinynet.ops.random import (
    Generator,
    manual_seed,
    initial_seed,
    get_rng_state,
    set_rng_state,
    rand,
    randn,
    randint,
    randperm,
    rand_like,
    randn_like,
    normal,
    uniform,
    bernoulli,
    multinomial,
)

__version__ = "0.1.0"
