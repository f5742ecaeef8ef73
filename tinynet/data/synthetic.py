"""Made-up data sets: regressions of which the truth is known, and classes on a plane.

Names and meaning are scikit-learn's (`sklearn.datasets`) where it has the set. Each returns float32
inputs and targets: float32 for regressions, int64 classes otherwise. Numbers are drawn on the CPU
from `generator` (default: the global one), and so are the same for every device. `noise` is the
standard deviation of normal noise that is added: to the targets of regressions, else to the inputs.

>>> import tinynet as tn
>>> x, labels = make_moons(100, noise=0.1)
>>> train, test = tn.data.random_split(tn.data.TensorDataset(x, labels), [80, 20])
"""

import math
from collections.abc import Sequence

from tinynet.data.sampler import check_count, shares
from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.creation import arange, empty, linspace, tensor
from tinynet.ops.joining import cat, stack
from tinynet.ops.random import Generator, rand, randn, randperm
from tinynet.tensor import Tensor

Pair = tuple[Tensor, Tensor]


def make_linear(
    n_samples: int = 100,
    weights: Sequence[float] | Tensor = (2.0,),
    bias: float = 0.0,
    noise: float = 0.1,
    *,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """`y = x @ weights + bias + noise`: x (n, d) standard normal, y (n,).

    Weights of shape (d, k) give k targets for each sample.

    >>> x, y = make_linear(5, weights=[1.0, -2.0], bias=3.0, noise=0.0)
    >>> bool(((x[:, 0] - 2 * x[:, 1] + 3 - y).abs() < 1e-5).all())
    True
    """
    _check("make_linear", n_samples, noise)
    w = (
        weights.detach().cpu().float()
        if isinstance(weights, Tensor)
        else tensor(weights, device="cpu").float()
    )
    if w.ndim not in (1, 2) or not w.numel():
        raise ShapeError(f"make_linear: weights of shape {w.shape}, expected (d,) or (d, k)")
    x = randn(n_samples, len(w), generator=generator, device="cpu")
    return _moved(device, x, _noisy(x @ w + bias, noise, generator))


def make_polynomial(
    n_samples: int = 100,
    coefficients: Sequence[float] = (0.0, -1.0, 0.0, 1.0),
    noise: float = 0.1,
    low: float = -1.0,
    high: float = 1.0,
    *,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """`y = c0 + c1 x + c2 x**2 + ... + noise`: x (n, 1) uniform on [low, high), y (n,).

    >>> x, y = make_polynomial(3, coefficients=[1.0, 2.0], noise=0.0)
    >>> bool(((1 + 2 * x[:, 0] - y).abs() < 1e-6).all())
    True
    """
    _check("make_polynomial", n_samples, noise)
    if not len(coefficients):
        raise ArgumentError("make_polynomial: no coefficients, expected at least one")
    if not low < high:
        raise ArgumentError(f"make_polynomial: low {low} is not below high {high}")
    x = low + (high - low) * rand(n_samples, 1, generator=generator, device="cpu")
    y = x[:, 0] * 0
    for coefficient in reversed(coefficients):  # Horner's rule
        y = y * x[:, 0] + coefficient
    return _moved(device, x, _noisy(y, noise, generator))


def make_moons(
    n_samples: int = 100,
    noise: float = 0.0,
    *,
    shuffle: bool = True,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """Two half circles that reach into one another: x (n, 2), two classes."""
    _check("make_moons", n_samples, noise)
    n_outer = n_samples // 2
    outer = linspace(0, math.pi, n_outer, device="cpu")
    inner = linspace(0, math.pi, n_samples - n_outer, device="cpu")
    moons = [
        stack([outer.cos(), outer.sin()], 1),
        stack([1 - inner.cos(), 0.5 - inner.sin()], 1),
    ]
    return _classes(moons, noise, shuffle, generator, device)


def make_circles(
    n_samples: int = 100,
    noise: float = 0.0,
    factor: float = 0.8,
    *,
    shuffle: bool = True,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """A circle of radius 1 (class 0) around one of radius `factor` (class 1): x (n, 2)."""
    _check("make_circles", n_samples, noise)
    if not 0 <= factor < 1:
        raise ArgumentError(f"make_circles: factor must be in [0, 1), got {factor}")
    n_outer = n_samples // 2
    circles = [
        radius * _on_circle(2 * math.pi / n * arange(n, device="cpu"))
        for radius, n in ((1.0, n_outer), (factor, n_samples - n_outer))
    ]
    return _classes(circles, noise, shuffle, generator, device)


def make_spirals(
    n_samples: int = 100,
    n_arms: int = 3,
    noise: float = 0.1,
    turns: float = 0.64,
    *,
    shuffle: bool = True,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """Arms that start at the origin and wind round it `turns` times, up to radius 1: x (n, 2).

    One class for each arm, as in CS231n's "minimal neural network case study", whose noise is one
    of the angle; here it is of the place.
    """
    _check("make_spirals", n_samples, noise)
    check_count("make_spirals", "n_arms", n_arms)
    arms = []
    for arm, n in enumerate(shares(n_samples, n_arms)):
        radius = linspace(0, 1, n, device="cpu")
        angle = 2 * math.pi * (turns * radius + arm / n_arms)
        arms.append(radius[:, None] * _on_circle(angle))
    return _classes(arms, noise, shuffle, generator, device)


def make_blobs(
    n_samples: int = 100,
    centers: int | Sequence[Sequence[float]] | Tensor = 3,
    std: float | Sequence[float] = 1.0,
    n_features: int = 2,
    box: tuple[float, float] = (-10.0, 10.0),
    *,
    shuffle: bool = True,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """Normal clouds, a class each: x (n, d) around `centers` (k, d), or k random ones in `box`.

    `std` is the deviation of all, or one for each.
    """
    _check("make_blobs", n_samples, 0.0)
    if isinstance(centers, int):
        check_count("make_blobs", "centers", centers)
        check_count("make_blobs", "n_features", n_features)
        low, high = box
        places = low + (high - low) * rand(centers, n_features, generator=generator, device="cpu")
    else:
        places = (
            centers.cpu().float()
            if isinstance(centers, Tensor)
            else tensor(centers, device="cpu").float()
        )
    if places.ndim != 2 or not len(places):
        raise ShapeError(f"make_blobs: centers of shape {places.shape}, expected (k, d)")
    k, d = places.shape
    deviations = list(std) if isinstance(std, Sequence) else [std] * k
    if len(deviations) != k or any(not each >= 0 for each in deviations):
        raise ArgumentError(
            f"make_blobs: std is {std}, expected a number from 0 on, or one for each of {k} centers"
        )
    clouds = [
        place + deviation * randn(n, d, generator=generator, device="cpu")
        for place, deviation, n in zip(places, deviations, shares(n_samples, k))
    ]
    return _classes(clouds, 0.0, shuffle, generator, device)


def make_xor(
    n_samples: int = 100,
    noise: float = 0.1,
    *,
    shuffle: bool = True,
    generator: Generator | None = None,
    device: str | None = None,
) -> Pair:
    """The corners of the unit square, class 1 where just one coordinate is 1: x (n, 2)."""
    _check("make_xor", n_samples, noise)
    corner = arange(n_samples, device="cpu") % 4
    a, b = corner // 2, corner % 2
    x, labels = stack([a, b], 1).float(), (a + b) % 2
    return _finished(x, labels, noise, shuffle, generator, device)


def _classes(
    parts: list[Tensor],
    noise: float,
    shuffle: bool,
    generator: Generator | None,
    device: str | None,
) -> Pair:
    """Inputs of each class in turn, as one set."""
    labels = [arange(1, device="cpu").expand(len(part)) + i for i, part in enumerate(parts)]
    return _finished(cat(parts), cat(labels), noise, shuffle, generator, device)


def _finished(
    x: Tensor,
    labels: Tensor,
    noise: float,
    shuffle: bool,
    generator: Generator | None,
    device: str | None,
) -> Pair:
    if shuffle:
        order = randperm(len(x), generator=generator, device="cpu")
        x, labels = x[order], labels[order]
    return _moved(device, _noisy(x, noise, generator), labels)


def _noisy(x: Tensor, noise: float, generator: Generator | None) -> Tensor:
    if not noise:
        return x
    return x + noise * randn(x.shape, generator=generator, device="cpu")


def _moved(device: str | None, x: Tensor, y: Tensor) -> Pair:
    target = empty(0, device=device).device
    return x.to(target), y.to(target)


def _on_circle(angles: Tensor) -> Tensor:
    return stack([angles.cos(), angles.sin()], 1)


def _check(op: str, n_samples: int, noise: float) -> None:
    check_count(op, "n_samples", n_samples)
    if not noise >= 0:
        raise ArgumentError(f"{op}: noise must be 0 or more, got {noise}")
