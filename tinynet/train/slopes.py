"""Two slopes of a function of a tensor: by its gradient, and by differences of its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynet.autograd.mode import no_grad
from tinynet.dtype import float32, float64
from tinynet.tensor import Tensor

SHRINKING = (1.0, 1 / 8, 1 / 64)  # of the step, where a kink may be in the way
LASTING = 1 / 8  # of a jump that does not shrink with the step: that of a smooth function does
ROUNDINGS = 100  # how many units in the last place a computed value may be off
ALONG = "along a direction"  # a place that is no element


class Limits(NamedTuple):
    """What a dtype allows: the step in a parameter, and the relative error that is still right."""

    epsilon: float
    step: float
    tolerance: float


PRECISIONS = {float64: Limits(2.0**-52, 6e-6, 1e-5), float32: Limits(2.0**-23, 5e-3, 2e-2)}


class Slope(NamedTuple):
    """Two slopes: `relative_error` is their gap over the larger one.

    `place` is the index of the element that was moved, or "along a direction" for all together.
    """

    place: Any
    numeric: float
    analytic: float
    relative_error: float
    is_kink: bool = False


def directions(
    grad: NDArray[Any], elements: int | None, random: Random
) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Single elements, half of them those with the largest gradients; then all at once."""
    n = grad.size
    numbers: list[int] = list(range(n))
    if elements is not None and elements < n:
        largest = np.argsort(-np.abs(grad), axis=None, kind="stable")[: elements // 2].tolist()
        rest = random.sample(sorted(set(numbers) - set(largest)), elements - len(largest))
        numbers = largest + rest
    for number in numbers:
        direction = np.zeros(n)
        direction[number] = 1
        place = tuple(int(i) for i in np.unravel_index(number, grad.shape))
        yield place, direction.reshape(grad.shape)
    if n > 1:
        signs = np.array([random.choice((-1.0, 1.0)) for _ in range(n)])
        yield ALONG, signs.reshape(grad.shape) / math.sqrt(n)


@contextmanager
def movable(
    x: Tensor, start: NDArray[Any], direction: NDArray[Any]
) -> Iterator[Callable[[float], None]]:
    """A function that puts `x` at `start + distance * direction`; afterwards it is at `start`."""

    def move(distance: float) -> None:
        with no_grad():
            x.detach().copy_(x.new_tensor(start + distance * direction))

    try:
        yield move
    finally:
        move(0.0)


def compare(
    place: Any, analytic: float, values: Callable[[], float], move: Callable[[float], None],
    limits: Limits, size: float,
) -> Slope:  # fmt: skip
    """The numeric slope, beside the analytic one.

    Where they differ, either the gradient is wrong, or the function has a kink nearby. Two signs of
    that: a shorter step brings the slope to the gradient, or the slopes on both sides still differ
    when the step is shortest, while those of a smooth function approach each other.
    """
    move(0.0)
    here = values()
    slopes, jumps, noise = [], [], 0.0
    for share in SHRINKING:
        distance = limits.step * size * share
        noise = ROUNDINGS * limits.epsilon * abs(here) / distance
        move(distance)
        ahead = values()
        move(-distance)
        behind = values()
        numeric = (ahead - behind) / (2 * distance)
        slopes.append(_slope(place, numeric, analytic, noise, limits.tolerance))
        jumps.append(abs(ahead - 2 * here + behind) / distance)
        if slopes[-1].relative_error <= limits.tolerance:
            has_moved = abs(numeric - slopes[0].numeric) > 2 * noise
            if len(slopes) == 1 or has_moved:
                return slopes[0]._replace(is_kink=len(slopes) > 1)
    is_kink = jumps[-1] > max(4 * noise, LASTING * jumps[0])
    return slopes[0]._replace(is_kink=is_kink)


def _slope(place: Any, numeric: float, analytic: float, noise: float, tolerance: float) -> Slope:
    """A gap that rounding explains counts as one of at most `tolerance`."""
    scale = max(abs(numeric), abs(analytic), noise / tolerance)
    gap = abs(numeric - analytic)
    error = gap / scale if math.isfinite(gap) and scale > 0 else (0.0 if gap == 0 else math.inf)
    return Slope(place, numeric, analytic, error)
