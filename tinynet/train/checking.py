"""Checking the gradients of a whole model against differences of its loss.

For whoever wrote a layer, a loss or a gradient rule of their own: `gradient_check` moves
parameters a little, one by one, and compares what the loss does with what `backward` says.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np

from tinynet.autograd.mode import enable_grad, no_grad
from tinynet.dtype import DType, float64
from tinynet.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from tinynet.nn.module import Module
from tinynet.ops.creation import widest_float
from tinynet.shape import Shape
from tinynet.tensor import Tensor
from tinynet.train.slopes import (
    PRECISIONS,
    ROUNDINGS,
    Limits,
    Slope,
    compare,
    directions,
    movable,
)
from tinynet.train.uncertainty import drops

FEW = 16  # samples beyond which advice is given


class ParameterCheck(NamedTuple):
    """What was found of a parameter: its worst slope, and how many `slopes` were compared.

    `kinks` of them lie at a kink of the loss and tell nothing. `gradient` is False where
    backward left none.
    """

    name: str
    shape: Shape
    slopes: int
    kinks: int
    worst: Slope
    gradient: bool
    is_right: bool


class GradientReport:
    """What `gradient_check` found: `rows`, one per parameter, and `advice`, sentences.

    `is_right` is whether all gradients are; `wrong` has the names of those that are not. Printed,
    it is a table.
    """

    def __init__(self, rows: list[ParameterCheck], advice: list[str], tolerance: float) -> None:
        self.rows = rows
        self.advice = advice
        self.tolerance = tolerance

    @property
    def wrong(self) -> list[str]:
        """Names of parameters whose gradients are wrong."""
        return [row.name for row in self.rows if not row.is_right]

    @property
    def is_right(self) -> bool:
        """Whether all gradients agree with the differences."""
        return not self.wrong

    def require_right(self) -> None:
        """Raise `GradientError`, with the table, if a gradient is wrong."""
        if self.wrong:
            raise GradientError(f"gradient_check: wrong gradients of {self.wrong}\n{self}")

    def __str__(self) -> str:
        head = ["parameter", "shape", "slopes", "relative error", "numeric", "analytic", "at", ""]
        cells = [head, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["  ".join(x.ljust(n) for x, n in zip(line, widths)).rstrip() for line in cells]
        return "\n".join([*lines, *(f"* {sentence}" for sentence in self.advice)])

    __repr__ = __str__


def gradient_check(
    model: Module,
    loss: Callable[[Any, Any], Tensor],
    inputs: Any,
    target: Any,
    *,
    elements: int | None = 10,
    step: float | None = None,
    tolerance: float | None = None,
    also: Sequence[type[Module]] = (),
    seed: int = 0,
) -> GradientReport:
    """Compare the gradients of `loss(model(inputs), target)` with differences of its values.

    `inputs`: a tensor, or a tuple of several. Copies of model and loss are checked, in float64
    where the device has it, in the modes they are in but without dropout (and with modules of the
    classes in `also` in evaluation mode); the model itself stays as it is.

    Of each parameter that requires grad up to `elements` are moved (None: all), those with the
    largest gradients and random ones; then all of them at once along a random direction, which
    finds what single elements miss. A slope is the central difference
    `(loss(w + step) - loss(w - step)) / (2 * step)`, exact up to step**2; it is right if it
    differs from the gradient by at most `tolerance` of the larger one, or by rounding. Where the
    loss has a kink, as ReLU gives it, differences say nothing of the gradient, and the slope does
    not count. `seed` chooses elements and directions.

    Raises `ArgumentError` for a loss that is not finite, or another one at each call.

    >>> import tinynet as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(3, 4), tn.nn.Tanh(), tn.nn.Linear(4, 2))
    >>> report = gradient_check(
    ...     model, tn.nn.functional.mse_loss, tn.randn(5, 3), tn.randn(5, 2)
    ... )
    >>> report.is_right, [row.name for row in report.rows]
    (True, ['0.weight', '0.bias', '2.weight', '2.bias'])
    """
    if elements is not None and (not isinstance(elements, int) or elements < 1):
        raise ArgumentError(f"gradient_check: elements is {elements!r}, expected 1 or more")
    values = _Values(model, loss, inputs, target, also)
    limits = PRECISIONS[values.dtype]
    limits = limits._replace(
        step=limits.step if step is None else step,
        tolerance=limits.tolerance if tolerance is None else tolerance,
    )
    random = Random(seed)
    rows = [_check(name, x, values, limits, elements, random) for name, x in values.parameters()]
    return GradientReport(rows, _advise(model, values, rows), limits.tolerance)


class _Values:
    """The loss as a function of the parameters of a copy of the model."""

    def __init__(
        self, model: Module, loss: Any, inputs: Any, target: Any, also: Sequence[type[Module]]
    ) -> None:
        if not isinstance(model, Module):
            raise ArgumentTypeError(
                f"gradient_check: model is a {type(model).__name__}, expected a Module"
            )
        first = next((x for x in model.parameters() if x.requires_grad), None)
        if first is None:
            raise ArgumentError("gradient_check: no parameter requires grad, expected at least one")
        wide = widest_float(str(first.device))
        self.is_copied_wider = any(x.dtype is not wide for x in model.parameters())
        self.model = copy.deepcopy(model).to(wide)
        self.loss = copy.deepcopy(loss).to(wide) if isinstance(loss, Module) else loss
        is_several = isinstance(inputs, (tuple, list))
        self.inputs = [_widened(x, wide) for x in (inputs if is_several else [inputs])]
        self.target = _widened(target, wide)
        self.dropped = [x for x in self.model.modules() if drops(x) or isinstance(x, tuple(also))]
        for module in self.dropped:
            module.training = False
        self.samples = next((x.shape[0] for x in self.inputs if getattr(x, "shape", ())), 1)
        self.dtype: DType = self.differentiate().dtype
        self.require_function()

    def differentiate(self) -> Tensor:
        """Leave gradients in the parameters; the loss."""
        self.model.zero_grad()
        with enable_grad():
            value = self.loss(self.model(*self.inputs), self.target)
            if not isinstance(value, Tensor) or value.shape != ():
                came = value.shape if isinstance(value, Tensor) else type(value).__name__
                raise ShapeError(f"gradient_check: the loss is {came}, expected a 0-d tensor")
            if value.dtype not in PRECISIONS:
                raise ArgumentError(
                    f"gradient_check: the loss is {value.dtype}, expected float64 or float32: "
                    "differences need digits"
                )
            if not value.requires_grad:
                raise GradientError(
                    "gradient_check: the loss has no graph, expected one that leads to the "
                    "parameters; look for detach(), item(), no_grad() in the model"
                )
            value.backward()
        return value.detach()

    def require_function(self) -> None:
        """Raise unless two calls give the same finite loss."""
        first, second = self(), self()
        if not math.isfinite(first):
            raise ArgumentError(f"gradient_check: the loss is {first}, expected a finite number")
        if abs(first - second) > ROUNDINGS * PRECISIONS[self.dtype].epsilon * abs(first):
            raise ArgumentError(
                f"gradient_check: the loss is {first:.8g}, and {second:.8g} when it is computed "
                "again, expected the same; turn off what is random (functional.dropout, noise) by "
                "eval(), or name its class in also="
            )

    def __call__(self) -> float:
        with no_grad():
            return float(self.loss(self.model(*self.inputs), self.target).item())

    def parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Those of the copy that are checked."""
        return ((name, x) for name, x in self.model.named_parameters() if x.requires_grad)


def _widened(x: Any, dtype: DType) -> Any:
    is_float = isinstance(x, Tensor) and x.is_floating_point()
    return x.detach().to(dtype) if is_float else x


def _check(
    name: str, x: Tensor, values: _Values, limits: Limits, elements: int | None,
    random: Random,
) -> ParameterCheck:  # fmt: skip
    """Compare slopes of one parameter."""
    if x.numel() == 0:
        return ParameterCheck(name, x.shape, 0, 0, Slope((), 0.0, 0.0, 0.0), True, True)
    with no_grad():
        start = x.detach().cpu().numpy().astype(np.float64)
        grad = np.zeros(x.shape)
        if x.grad is not None:
            grad[...] = x.grad.detach().cpu().numpy()
    slopes = []
    for place, direction in directions(grad, elements, random):
        moved = direction != 0
        with np.errstate(invalid="ignore"):  # infinities of a wrong gradient
            analytic = float((grad[moved] * direction[moved]).sum())
        size = max(1.0, float(np.abs(start[moved]).max()))
        with movable(x, start, direction) as move:
            slopes.append(compare(place, analytic, values, move, limits, size))
    counted = [slope for slope in slopes if not slope.is_kink] or slopes
    worst = max(counted, key=lambda slope: slope.relative_error)
    kinks = sum(slope.is_kink for slope in slopes)
    is_right = worst.is_kink or worst.relative_error <= limits.tolerance
    return ParameterCheck(name, x.shape, len(slopes), kinks, worst, x.grad is not None, is_right)


def _advise(model: Module, values: _Values, rows: list[ParameterCheck]) -> list[str]:
    """What one should know of these numbers, in sentences."""
    advice = []
    if values.dtype is not float64:
        advice.append(
            "The loss is float32, of which differences keep three digits: check in float64, on the "
            "CPU if the device has none, and look for casts in the model."
        )
    elif values.is_copied_wider:
        advice.append("The model was checked as a copy in float64.")
    if values.dropped:
        advice.append(f"Dropout was off, in {len(values.dropped)} modules.")
    if values.samples > FEW:
        advice.append(
            f"There are {values.samples} samples: 2 to {FEW} say as much, faster, and meet fewer "
            "kinks."
        )
    kinks = sum(row.kinks for row in rows)
    if kinks:
        advice.append(
            f"{kinks} slopes are not counted: the loss has a kink there (ReLU, max, abs). Other or "
            "fewer samples, or a smooth activation such as Tanh in its place, tell more."
        )
    unknown = [row.name for row in rows if row.worst.is_kink]
    if unknown:
        advice.append(f"Nothing is known of {unknown}: all slopes lie at kinks.")
    missing = [row.name for row in rows if not row.gradient]
    if missing:
        advice.append(
            f"No gradient reached {missing}: is it used? Look for detach(), item(), no_grad()."
        )
    idle = [row.name for row in rows if not (row.worst.numeric or row.worst.analytic)]
    if idle and len(idle) < len(rows):
        advice.append(f"All slopes of {idle} are 0: dead or saturated units, or unused.")
    wrong = [row.name for row in rows if not row.is_right]
    if wrong:
        advice.append(
            "A wrong gradient rule spoils the parameters before it: look first at what follows "
            f"{wrong[-1]!r}, the last wrong one."
        )
    return advice


def _cells(row: ParameterCheck) -> list[str]:
    """A parameter as a line of the table."""
    worst = row.worst
    place = worst.place if isinstance(worst.place, str) else str(list(worst.place))
    verdict = "kink" if worst.is_kink else "ok" if row.is_right else "WRONG"
    return [
        row.name, str(row.shape), f"{row.slopes}", f"{worst.relative_error:.1e}",
        f"{worst.numeric:.6g}", f"{worst.analytic:.6g}", place, verdict,
    ]  # fmt: skip
