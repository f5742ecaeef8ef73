"""Random numbers, the same on every device.

Philox4x64-10 (Salmon et al. 2011) numbers its output: block `i` of the stream with key `seed` is a
function of the two. A generator is a key and a counter; uniforms are NumPy's, bit for bit:
`rand(n, dtype=float64)` right after `manual_seed(s)` equals
`numpy.random.Generator(numpy.random.Philox(key=s)).random(n)`. Every draw starts a new block.

>>> import tinynet as tn
>>> _ = tn.manual_seed(0)
>>> first = tn.rand(3)
>>> _ = tn.manual_seed(0)
>>> bool((tn.rand(3) == first).all())
True
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.checkpoint import random_sources
from tinynet.autograd.graph import Variable, wrap
from tinynet.backends import open_backend
from tinynet.dtype import (
    DEFAULT,
    DType,
    bfloat16,
    finfo,
    float16,
    float32,
    float64,
    int64,
    integer_limits,
    uint32,
    uint64,
)
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.numbers import Number, Numbers, is_recording
from tinynet.ops.arithmetic import choose
from tinynet.ops.creation import widest_float
from tinynet.ops.movement import reshape_to
from tinynet.ops.operands import as_number, cast_to, require_tensor
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

MOST_INTEGERS = 2**63  # that one is drawn from


class Generator:
    """A stream of random numbers: its seed names it, its counter says how much of it is used.

    `device` is accepted for PyTorch's sake: the numbers are the same on every device.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device
        self.state = Numbers(seed=int.from_bytes(os.urandom(8), "little"), counter=0)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream named `seed` (any int; taken modulo 2**128)."""
        self.state["seed"] = shapes.as_integer("manual_seed", "seed", seed) % 2**128
        self.state["counter"] = 0
        return self

    def initial_seed(self) -> int:
        """The seed in use."""
        return self.get_state()[0]

    def seed(self) -> int:
        """Start a stream that nobody can repeat, and say which."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def get_state(self) -> tuple[int, int]:
        """Seed and counter."""
        return self.state["seed"], self.state["counter"]

    def set_state(self, state: tuple[int, int]) -> Generator:
        """Continue where `get_state` was called."""
        is_pair = isinstance(state, tuple) and len(state) == 2
        if not is_pair or not {type(n) for n in state} <= {int, Number}:
            raise ArgumentTypeError(f"set_state: expected get_state's result, got {state!r:.60}")
        self.state["seed"], self.state["counter"] = state
        return self

    def bits(self, count: int, width: int, device: str | None) -> Tensor:
        """`count` fresh words of 32 or 64 random bits."""
        backend = open_backend(device)
        seed, counter = self.get_state()
        array = backend.random_bits(seed, counter, count, width)  # type: ignore[arg-type]
        self.state["counter"] = counter + -(-count * width // 256)
        return wrap(array, uint64 if width == 64 else uint32, backend)


default_generator = Generator()
random_sources.append(default_generator)


def manual_seed(seed: int) -> Generator:
    """Make everything random from here on repeatable; returns the default generator."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> tuple[int, int]:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(state: tuple[int, int]) -> None:
    """Continue the default generator where `get_rng_state` was called."""
    default_generator.set_state(state)


def check_generator(op: str, generator: Any) -> None:
    """Raise `ArgumentTypeError` for what is neither a generator nor None, the default one."""
    if generator is not None and not isinstance(generator, Generator):
        raise ArgumentTypeError(f"{op}: generator must be a Generator, got {generator!r:.60}")


def _source(op: str, generator: Generator | None) -> Generator:
    check_generator(op, generator)
    return default_generator if generator is None else generator


def _uniform(
    op: str, shape: Shape, dtype: DType | None, device: str | None, generator: Generator | None
) -> Tensor:
    """[0, 1) in steps of 2**-53 (float64), 2**-24 (float32), 2**-11 and 2**-8 (half precision)."""
    kind = dtype or DEFAULT
    if not isinstance(kind, DType) or kind.rank != 2:
        raise DTypeError(f"{op}: expected a floating dtype, got {kind!r}")
    shapes.check_sizes(op, shape)
    source = _source(op, generator)
    if kind is float64:
        flat = (source.bits(prod(shape), 64, device) >> 11).to(float64) * 2.0**-53
    else:
        digits = {float16: 11, bfloat16: 8}.get(kind, 24)  # as many as `kind` holds: never 1.0
        flat = (source.bits(prod(shape), 32, device) >> (32 - digits)).to(float32) * 2.0**-digits
    return reshape_to(cast_to(flat, kind), shape)


def drawing_dtype(dtype: DType) -> DType:
    """What uniform numbers are drawn in that something of `dtype` is made of or decided by.

    Steps of half precision are too coarse: bfloat16's smallest chance but 0 would be 1 in 256.
    """
    return float64 if dtype is float64 else float32


def _finished(made: Tensor, requires_grad: bool) -> Tensor:
    made = made.detach()
    return made.requires_grad_() if requires_grad else made


def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: DType | None = None,
    device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1)."""
    shape = shapes.as_shape("rand", *sizes, named=size)
    return _finished(_uniform("rand", shape, dtype, device, generator), requires_grad)


def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: DType | None = None,
    device: str | None = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal with mean 0 and deviation 1, by Box and Muller (1958) from pairs of uniforms."""
    shape = shapes.as_shape("randn", *sizes, named=size)
    return _finished(_normal("randn", shape, dtype, device, generator), requires_grad)


def _normal(
    op: str, shape: Shape, dtype: DType | None, device: str | None, generator: Generator | None
) -> Tensor:
    kind = dtype or DEFAULT
    count = prod(shapes.check_sizes(op, shape))
    half = (count + 1) // 2
    if not isinstance(kind, DType) or kind.rank != 2:
        raise DTypeError(f"{op}: expected a floating dtype, got {kind!r}")
    pairs = _uniform(op, (2, half), drawing_dtype(kind), device, generator)
    radius = ((1 - pairs[0]).log() * -2).sqrt()
    angle = pairs[1] * (2 * math.pi)
    flat = radius.new_empty((2 * half,))
    flat[:half] = radius * angle.cos()
    flat[half:] = radius * angle.sin()
    return reshape_to(cast_to(flat[:count], kind), shape)


def randint(
    low: int = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    dtype: DType = int64, device: str | None = None,
) -> Tensor:  # fmt: skip
    """Integers from `low` (0 if left out) to `high` - 1, each equally likely.

    `randint(high, size)` or `randint(low, high, size)`. Raises `ArgumentError` for a range that is
    empty, or that `dtype` does not hold.
    """
    if size is None:  # randint(high, size)
        high, size = None, high
    if high is None:
        low, high = 0, low
    if size is None:
        raise ArgumentTypeError("randint: expected a size: randint(high, size)")
    shape = shapes.check_sizes("randint", shapes.as_shape("randint", size))
    bounds = [shapes.as_integer("randint", name, n) for name, n in (("low", low), ("high", high))]
    span = bounds[1] - bounds[0]
    if span <= 0:
        raise ArgumentError(f"randint: high must be above low, got {bounds[0]} and {bounds[1]}")
    _check_range("randint", bounds[0], bounds[1] - 1, dtype)
    if span > MOST_INTEGERS:
        raise ArgumentError(
            f"randint: {bounds[0]} to {bounds[1]} are {span} numbers, expected at most 2**63"
        )
    bits = _source("randint", generator).bits(prod(shape), 64, device)
    # 63 bits modulo the span: the bias is below span / 2**63.
    whole = cast_to(bits >> 1, int64)
    if span < MOST_INTEGERS:
        whole = whole % span
    return reshape_to(cast_to(whole + bounds[0], dtype), shape)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: DType = int64, device: str | None = None
) -> Tensor:
    """The integers from 0 to n - 1 in random order: where 64 random bits each would be sorted.

    Raises `ArgumentError` where `dtype` does not hold all of them.
    """
    count = shapes.as_integer("randperm", "n", n)
    if count < 0:
        raise ArgumentError(f"randperm: n cannot be negative, got {n}")
    _check_range("randperm", 0, count - 1, dtype)
    bits = _source("randperm", generator).bits(count, 64, device)
    return cast_to(bits.argsort(0), dtype)


def _check_range(op: str, least: int, most: int, dtype: DType) -> None:
    """Refuse integers that `dtype` does not hold; of a permutation floats must hold each."""
    if not isinstance(dtype, DType):
        raise ArgumentTypeError(f"{op}: expected a dtype such as tinynet.int32, got {dtype!r}")
    low: float = 0
    high: float = 1
    if dtype.rank == 1:
        low, high = integer_limits(dtype)
    elif dtype.rank == 2:
        high = 2 / finfo(dtype).eps if op == "randperm" else finfo(dtype).max
        low = -high
    if least < low or most > high:
        raise ArgumentError(f"{op}: the numbers from {least} to {most} do not fit {dtype}")


def rand_like(
    input: Tensor, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False, generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """`rand` of `input`'s shape, dtype and device."""
    x = require_tensor("rand_like", input)
    made = _uniform("rand_like", x.shape, dtype or x.dtype, device or x.backend.name, generator)
    return _finished(made, requires_grad)


def randn_like(
    input: Tensor, *, dtype: DType | None = None, device: str | None = None,
    requires_grad: bool = False, generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """`randn` of `input`'s shape, dtype and device."""
    x = require_tensor("randn_like", input)
    made = _normal("randn_like", x.shape, dtype or x.dtype, device or x.backend.name, generator)
    return _finished(made, requires_grad)


def normal(
    mean: Any, std: Any = 1.0, size: Sequence[int] | None = None, *,
    generator: Generator | None = None, dtype: DType | None = None, device: str | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers; `mean` and `std` are tensors that broadcast, or numbers with a `size`."""
    mean = mean if isinstance(mean, Variable) else as_number("normal", "mean", mean)
    std = std if isinstance(std, Variable) else as_number("normal", "std", std)
    if not _holds(std, lambda std: std >= 0):
        raise ArgumentError(f"normal: std cannot be negative, got {std}")
    if size is not None:
        plain = _normal("normal", shapes.as_shape("normal", size), dtype, device, generator)
        scaled: Tensor = plain * std + mean
        return scaled
    like = next((x for x in (mean, std) if hasattr(x, "backend")), None)
    if like is None:
        raise ArgumentTypeError("normal: with numbers for mean and std, size must be given")
    shape = shapes.broadcast("normal", getattr(mean, "shape", ()), getattr(std, "shape", ()))
    made = _normal("normal", shape, dtype or like.dtype, like.backend.name, generator)
    drawn: Tensor = made * std + mean
    return drawn.detach()


def uniform(
    low: float = 0.0, high: float = 1.0, size: Any = (), *, generator: Generator | None = None,
    dtype: DType | None = None, device: str | None = None,
) -> Tensor:  # fmt: skip
    """Uniform on [low, high)."""
    low, high = as_number("uniform", "low", low), as_number("uniform", "high", high)
    made = _uniform("uniform", shapes.as_shape("uniform", size), dtype, device, generator)
    return made * (high - low) + low


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with the probability that each element (or `p`) says, else 0."""
    x = require_tensor("bernoulli", input)
    chance: Any = x.detach() if p is None else p
    _check_chance("bernoulli", chance)
    return cast_to(_uniform_beside("bernoulli", x, generator) < chance, x.dtype)


def _uniform_beside(op: str, x: Tensor, generator: Generator | None) -> Tensor:
    """Uniform numbers to compare probabilities with, one for each element of `x`."""
    return _uniform(op, x.shape, drawing_dtype(x.dtype), x.backend.name, generator)


def _check_chance(op: str, p: Any) -> None:
    """Refuse probabilities outside [0, 1]."""
    is_tensor = isinstance(p, Variable)
    chance = p if is_tensor else as_number(op, "p", p)
    if not _holds(chance, lambda chance: (chance >= 0) & (chance <= 1)):
        came = f"{chance.min().item()} to {chance.max().item()}" if is_tensor else chance
        raise ArgumentError(f"{op}: probabilities must lie between 0 and 1, got {came}")


def _holds(x: Any, condition: Callable[[Any], Any]) -> bool:
    """Whether a condition holds of a number, or of each element of a tensor.

    Of tensors whose values cannot be looked at, because a function is being recorded, it is taken
    to hold, as it did in the call before.
    """
    if isinstance(x, Variable) and is_recording():
        return True
    answer = condition(x)
    return bool(answer.all()) if isinstance(x, Variable) else bool(answer)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """int64 indices drawn with the weights of each row (which need not add up to 1)."""
    x = require_tensor("multinomial", input).detach()
    if x.ndim not in (1, 2) or x.dtype.rank != 2:
        raise ShapeError(f"multinomial: expected 1 or 2 dims of floats, got {x.dtype} {x.shape}")
    num_samples = shapes.as_integer("multinomial", "num_samples", num_samples)
    if num_samples < 1:
        raise ArgumentError(f"multinomial: num_samples must be positive, got {num_samples}")
    rows = x.reshape(-1, x.shape[-1])
    if not _holds(rows, lambda rows: (rows >= 0) & rows.isfinite()):
        raise ArgumentError("multinomial: weights must be finite and not negative")
    if not _holds(rows, lambda rows: rows.sum(1) > 0):
        raise ArgumentError("multinomial: every row needs a positive weight")
    device = x.backend.name
    wide = widest_float(device)
    if replacement:
        edges = rows.to(wide).cumsum(1)
        draws = _uniform("multinomial", (rows.shape[0], num_samples), wide, device, generator)
        goal = (draws * edges[:, -1:]).unsqueeze(2)
        found = (goal >= edges.unsqueeze(1)).to(int64).sum(2)
        found = found.clamp(0, x.shape[-1] - 1)  # which it is: now it is known before it is read
    else:
        if not _holds(rows, lambda rows: (rows > 0).to(int64).sum(1) >= num_samples):
            fewest = int((rows > 0).to(int64).sum(1).min())
            raise ArgumentError(
                f"multinomial: cannot draw {num_samples} without replacement from {fewest} "
                "positive weights"
            )
        # The k smallest of exponential waiting times (Efraimidis and Spirakis 2006).
        draws = 1 - _uniform("multinomial", rows.shape, wide, device, generator)
        waits = choose(rows > 0, -draws.log() / rows, math.inf)
        found = waits.topk(num_samples, largest=False).indices
    return found.reshape(*x.shape[:-1], num_samples)


# In place
def uniform_(
    input: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Overwrite with uniform numbers on [low, high)."""
    x = require_tensor("uniform_", input)
    low, high = as_number("uniform_", "low", low), as_number("uniform_", "high", high)
    if not low <= high:
        raise ArgumentError(f"uniform_: low must not be above high, got {low} and {high}")
    made = _uniform("uniform_", x.shape, x.dtype, x.backend.name, generator)
    return x.copy_(made * (high - low) + low)


def normal_(
    input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Overwrite with normal numbers."""
    x = require_tensor("normal_", input)
    if std < 0:
        raise ArgumentError(f"normal_: std cannot be negative, got {std}")
    return x.copy_(_normal("normal_", x.shape, x.dtype, x.backend.name, generator) * std + mean)


def bernoulli_(input: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Overwrite with 1 with probability `p` (a number or a tensor), else 0."""
    x = require_tensor("bernoulli_", input)
    _check_chance("bernoulli_", p)
    return x.copy_(_uniform_beside("bernoulli_", x, generator) < p)
