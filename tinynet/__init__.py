"""tinynet: a deep learning engine small enough to read in an afternoon.

Level by level: `errors dtype shape settings`, then `backends`, `autograd`, `ops`, `tensor`, and on
top of these `nn`, `optim`, `data`, and `train`. The API is PyTorch's.

>>> import tinynet as tn
>>> x = tn.tensor(3.0, requires_grad=True)
>>> (x**2).backward()
>>> x.grad
tensor(6.)
"""

# fmt: off
# isort: off
from importlib import import_module
from typing import TYPE_CHECKING, Any

# `Tensor` first, since the function `tensor` below takes the name of the module.
from tinynet.tensor import Tensor
from tinynet import autograd, dtype, errors, io, linalg, nn, optim
from tinynet.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinynet.backends import Device as device
from tinynet.determinism import are_deterministic_algorithms_enabled, use_deterministic_algorithms
from tinynet.dtype import (
    bfloat16, bool_ as bool, float64 as double, finfo, float32 as float, float16, float32,
    float64, float16 as half, iinfo, int32 as int, int16, int32, int64, int8, int64 as long,
    uint16, uint32, uint64, uint8,
)
from tinynet.io import load, load_model, save, save_model
from tinynet.jitted import jit
from tinynet.kernel import Kernel
from tinynet.ops.adaptive import (
    adaptive_avg_pool1d, adaptive_max_pool1d_with_indices as adaptive_max_pool1d,
)
from tinynet.nn.functional import group_norm, layer_norm, rms_norm
from tinynet.ops.arithmetic import (
    add, addcdiv, addcmul, allclose, atan2, bitwise_and, left_shift as bitwise_left_shift,
    bitwise_or, right_shift as bitwise_right_shift, bitwise_xor, clamp, clamp as clip, copysign,
    div, div as divide, eq, equal, floor_divide, fmod, ge, gt as greater, gt, isclose, le, lerp,
    lt as less, logaddexp, logical_and, logical_or, logical_xor, logit, lt, maximum, minimum,
    mul, mul as multiply, nan_to_num, ne, pow, relu, remainder, sub, sub as subtract, div as
    true_divide, where,
)
from tinynet.ops.convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)
from tinynet.ops.copying import clone
from tinynet.ops.creation import (
    arange, as_tensor, asarray, empty, empty_like, eye, from_dlpack, from_numpy, full,
    full_like, linspace, logspace, meshgrid, ones, ones_like, tensor, tril_indices,
    triu_indices, zeros, zeros_like,
)
from tinynet.ops.elementwise import (
    abs, abs as absolute, acos, acosh, acos as arccos, asin as arcsin, atan as arctan, asin,
    asinh, atan, atanh, bitwise_not, ceil, cos, cosh, erf, exp, exp2, expm1, trunc as fix,
    floor, isfinite, isinf, isnan, log, log10, log1p, log2, logical_not, neg, neg as negative,
    reciprocal, round, rsqrt, sign as sgn, sigmoid, sign, sin, sinh, sqrt, square, tan, tanh,
    trunc,
)
from tinynet.ops.indexing import (
    gather, index_add, index_put, index_select, masked_fill, masked_select, nonzero, scatter,
    scatter_add, scatter_reduce, take, take_along_dim,
)
from tinynet.ops.joining import (
    cat, chunk, cat as concat, cat as concatenate, hstack, split, stack, tensor_split, unbind,
    vstack,
)
from tinynet.ops.linear import (
    addmm, baddbmm, bmm, dot, einsum, matmul, mm, mv, outer, tensordot, trace,
)
from tinynet.ops.movement import as_strided, diagonal, permute, reshape
from tinynet.ops.pooling import avg_pool1d, max_pool1d, max_pool2d, max_pool3d
from tinynet.ops.random import (
    Generator, bernoulli, get_rng_state, initial_seed, manual_seed, multinomial, normal, rand,
    rand_like, randint, randn, randn_like, randperm, set_rng_state, uniform,
)
from tinynet.ops.rearranging import (
    broadcast_to, diag, diag_embed, flatten, flip, movedim as moveaxis, movedim, narrow, flatten
    as ravel, repeat_interleave, roll, rot90, select, squeeze, transpose as swapaxes, transpose
    as swapdims, t, tile, transpose, tril, triu, unflatten, unsqueeze,
)
from tinynet.ops.reduction import (
    all, amax, amin, any, argmax, argmin, count_nonzero, logsumexp, max, mean, min, norm, prod,
    std, std_mean, sum, var, var_mean,
)
from tinynet.ops.scan import cummax, cummin, cumprod, cumsum, logcumsumexp
from tinynet.ops.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tinynet.ops.softmax import log_softmax, softmax
from tinynet.ops.sorting import argsort, bincount, median, sort, topk, unique
# isort: on

__version__ = "0.1.0"

# functions of modules that are imported when they are first used
LATER = {
    "counters": "inspection", "devices": "inspection", "memory": "inspection",
    "synchronize": "inspection", "measure_peaks": "peaks", "profile": "profiling",
}

if TYPE_CHECKING:
    from tinynet import data, onnx, train, viz
    from tinynet.inspection import counters, devices, memory, synchronize
    from tinynet.peaks import measure_peaks
    from tinynet.profiling import profile


def __getattr__(name: str) -> Any:
    """What takes long to import, or is seldom used, is imported when it is first used."""
    if name in ("data", "onnx", "train", "viz"):
        return import_module(f"tinynet.{name}")
    if name in LATER:
        function = getattr(import_module(f"tinynet.{LATER[name]}"), name)
        globals()[name] = function
        return function
    raise AttributeError(f"module 'tinynet' has no attribute {name!r}")


__all__ = [  # noqa: RUF022 (plain alphabetical order)
    "Generator", "Kernel", "Tensor", "abs", "absolute", "acos", "acosh", "adaptive_avg_pool1d",
    "adaptive_max_pool1d", "add", "addcdiv", "addcmul", "addmm", "all", "allclose", "amax", "amin",
    "any", "arange", "arccos", "arcsin", "arctan", "are_deterministic_algorithms_enabled", "argmax",
    "argmin", "argsort", "as_strided", "as_tensor", "asarray", "asin", "asinh", "atan", "atan2",
    "atanh", "autograd", "avg_pool1d", "baddbmm", "bernoulli", "bfloat16", "bincount",
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "bmm", "bool", "broadcast_to", "cat", "ceil", "channel_shuffle", "chunk",
    "clamp", "clip", "clone", "concat", "concatenate", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "copysign", "cos", "cosh",
    "count_nonzero", "counters", "cummax", "cummin", "cumprod", "cumsum", "data", "device",
    "devices", "diag", "diag_embed", "diagonal", "div", "divide", "dot", "double", "dtype",
    "einsum", "empty", "empty_like", "enable_grad", "eq", "equal", "erf", "errors", "exp", "exp2",
    "expm1", "eye", "finfo", "fix", "flatten", "flip", "float", "float16", "float32", "float64",
    "floor", "floor_divide", "fmod", "from_dlpack", "from_numpy", "full", "full_like", "gather",
    "ge", "get_rng_state", "greater", "group_norm", "gt", "half", "hstack", "iinfo", "index_add",
    "index_put", "index_select", "inference_mode", "initial_seed", "int", "int16", "int32", "int64",
    "int8", "io", "is_grad_enabled", "isclose", "isfinite", "isinf", "isnan", "jit", "layer_norm",
    "le", "lerp", "less", "linalg", "linspace", "load", "load_model", "log", "log10", "log1p",
    "log2", "log_softmax", "logaddexp", "logcumsumexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logit", "logspace", "logsumexp", "long", "lt", "manual_seed", "masked_fill",
    "masked_select", "matmul", "max", "max_pool1d", "max_pool2d", "max_pool3d", "maximum", "mean",
    "measure_peaks", "median", "memory", "meshgrid", "min", "minimum", "mm", "moveaxis", "movedim",
    "mul", "multinomial", "multiply", "mv", "nan_to_num", "narrow", "ne", "neg", "negative", "nn",
    "no_grad", "nonzero", "norm", "normal", "ones", "ones_like", "onnx", "optim", "outer",
    "permute", "pixel_shuffle", "pixel_unshuffle", "pow", "prod", "profile", "rand", "rand_like",
    "randint", "randn", "randn_like", "randperm", "ravel", "reciprocal", "relu", "remainder",
    "repeat_interleave", "reshape", "rms_norm", "roll", "rot90", "round", "rsqrt", "save",
    "save_model", "scatter", "scatter_add", "scatter_reduce", "select", "set_grad_enabled",
    "set_rng_state", "sgn", "sigmoid", "sign", "sin", "sinh", "softmax", "sort", "split", "sqrt",
    "square", "squeeze", "stack", "std", "std_mean", "sub", "subtract", "sum", "swapaxes",
    "swapdims", "synchronize", "t", "take", "take_along_dim", "tan", "tanh", "tensor",
    "tensor_split", "tensordot", "tile", "topk", "trace", "train", "transpose", "tril",
    "tril_indices", "triu", "triu_indices", "true_divide", "trunc", "uint16", "uint32", "uint64",
    "uint8", "unbind", "unflatten", "uniform", "unique", "unsqueeze",
    "use_deterministic_algorithms", "var", "var_mean", "viz", "vstack", "where", "zeros",
    "zeros_like",
]
# fmt: on
