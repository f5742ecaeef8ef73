"""Initialisers: each fills a tensor in place, unrecorded, and returns it."""

from __future__ import annotations

import math
import warnings

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ShapeError
from tinynet.linalg import qr
from tinynet.ops.arithmetic import where
from tinynet.ops.creation import arange, empty_like, eye
from tinynet.ops.operands import require_tensor
from tinynet.ops.random import Generator, rand, rand_like
from tinynet.tensor import Tensor

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights before this nonlinearity are scaled up. `param`: leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ArgumentError(f"calculate_gain: param must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ArgumentError(f"calculate_gain: got {nonlinearity!r}, expected one of {known}")
    return GAINS[nonlinearity]


@no_grad()
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b)."""
    return require_tensor("uniform_", tensor, "tensor").uniform_(a, b, generator=generator)


@no_grad()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with this mean and deviation."""
    return require_tensor("normal_", tensor, "tensor").normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    return require_tensor("constant_", tensor, "tensor").fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity, so that a linear layer keeps as many inputs as it has outputs for."""
    rows, columns = _matrix_sizes("eye_", tensor)
    return tensor.copy_(eye(rows, columns, dtype=tensor.dtype, device=tensor.device))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Kernels that are 1 in their middle where input and output channel are the same, else 0.

    So a convolution of weights (out, in / groups, *kernel) keeps its input, group by group.
    """
    shape = require_tensor("dirac_", tensor, "tensor").shape
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: expected weights of 3, 4 or 5 dims, got shape {shape}")
    if groups < 1 or shape[0] % groups:
        raise ArgumentError(f"dirac_: {groups} groups do not divide {shape[0]} output channels")
    size = shape[0] // groups
    device = tensor.device
    inputs = arange(min(size, shape[1]), device=device)
    outputs = arange(groups, device=device).unsqueeze(1) * size + inputs
    tensor.zero_()[(outputs, inputs, *(n // 2 for n in shape[2:]))] = 1
    return tensor


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    Dims from the second on are taken as one (Saxe et al. 2013). Q of a normal matrix's QR is made
    uniform by the signs of R's diagonal (Mezzadri 2006).
    """
    shape = require_tensor("orthogonal_", tensor, "tensor").shape
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: expected at least 2 dims, got shape {shape}")
    if 0 in shape:
        return tensor
    values = tensor.new_empty(shape).normal_(generator=generator).flatten(1)
    is_wide = values.shape[0] < values.shape[1]
    q, r = qr(values.T if is_wide else values)
    q = q * r.diagonal().sign() * gain
    return tensor.copy_((q.T if is_wide else q).reshape(shape))


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, with values outside [a, b] drawn again.

    Proposed are normal numbers where most are inside, else uniform ones, which are kept with a
    chance that is their density over the largest in [a, b].
    """
    require_tensor("trunc_normal_", tensor, "tensor")
    if not (std > 0 and a <= b and math.isfinite(mean)):
        raise ArgumentError(
            "trunc_normal_: expected a finite mean, std above 0 and a <= b, "
            f"got mean={mean}, std={std}, a={a}, b={b}"
        )
    if mean < a - 2 * std or mean > b + 2 * std:
        message = "trunc_normal_: mean is more than 2 std away from [a, b]; values may be off"
        warnings.warn(message, stacklevel=3)
    below_a, below_b = (0.5 + 0.5 * math.erf((x - mean) / std / math.sqrt(2)) for x in (a, b))
    highest = (max(a, min(mean, b)) - mean) / std

    def propose() -> tuple[Tensor, Tensor]:
        if below_b - below_a > 0.3:
            x = empty_like(tensor).normal_(mean, std, generator=generator)
            return x, (x >= a) & (x <= b)
        x = empty_like(tensor).uniform_(a, b, generator=generator)
        chance = ((highest**2 - ((x - mean) / std).square()) * 0.5).exp()
        return x, rand_like(x, generator=generator) <= chance

    values, is_kept = propose()
    while not is_kept.all().item():
        others, are_good = propose()
        values, is_kept = where(is_kept, values, others), is_kept | are_good
    return tensor.copy_(values)


@no_grad()
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal, but for a fraction `sparsity` of each column that is 0 (Martens 2010)."""
    rows, _ = _matrix_sizes("sparse_", tensor)
    if not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparse_: sparsity must be between 0 and 1, got {sparsity}")
    tensor.normal_(0, std, generator=generator)
    order = rand(tensor.shape, generator=generator, device=tensor.device).argsort(0)
    return tensor.scatter_(0, order[: math.ceil(sparsity * rows)], 0.0)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform with deviation `gain * sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio 2010)."""
    bound = math.sqrt(3.0) * _xavier_deviation("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with deviation `gain * sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, _xavier_deviation("xavier_normal_", tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform with deviation gain / sqrt(fan) (He et al. 2015); `a` is leaky_relu's slope.

    `mode` "fan_in" keeps the variance on the way forward, "fan_out" on the way back.
    """
    deviation = _kaiming_deviation("kaiming_uniform_", tensor, a, mode, nonlinearity)
    if deviation is None:
        return tensor
    bound = math.sqrt(3.0) * deviation
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with deviation gain / sqrt(fan) (He et al. 2015). Arguments: `kaiming_uniform_`."""
    deviation = _kaiming_deviation("kaiming_normal_", tensor, a, mode, nonlinearity)
    return tensor if deviation is None else normal_(tensor, 0.0, deviation, generator)


def _matrix_sizes(op: str, tensor: Tensor) -> tuple[int, int]:
    shape = require_tensor(op, tensor, "tensor").shape
    if len(shape) != 2:
        raise ShapeError(f"{op}: expected a matrix, got shape {shape}")
    return shape[0], shape[1]


def _fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs a unit has, for weights (out, in, *kernel)."""
    shape = require_tensor(op, tensor, "tensor").shape
    if len(shape) < 2:
        raise ShapeError(f"{op}: weights need at least 2 dims to count fans, got shape {shape}")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _xavier_deviation(op: str, tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / sum(_fans(op, tensor)))


def _kaiming_deviation(
    op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str
) -> float | None:
    """The deviation; None, with a warning, where there is nothing to fill."""
    if 0 in require_tensor(op, tensor, "tensor").shape:
        warnings.warn(f"{op}: nothing to fill in a tensor of shape {tensor.shape}", stacklevel=3)
        return None
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{op}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = _fans(op, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)
