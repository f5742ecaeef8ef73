"""Simulated annealing: a random search that accepts worse points, and less so as it cools."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError
from tinynet.numbers import is_recording
from tinynet.ops.random import Generator, check_generator, default_generator, randn
from tinynet.optim.optimizer import Optimizer, check_at_least_zero
from tinynet.tensor import Tensor

Neighbour = Callable[[Tensor, Generator | None], Tensor]


@dataclass(frozen=True)
class GeometricCooling:
    """The temperature `start * rate**step` (Kirkpatrick et al. 1983, who took 0.9 for long steps).

    >>> GeometricCooling(8.0, 0.5)(3)
    1.0
    """

    start: float = 1.0
    rate: float = 0.99

    def __post_init__(self) -> None:
        _check_start("GeometricCooling", self.start)
        if not 0 < self.rate <= 1:
            raise ArgumentError(f"GeometricCooling: rate is {self.rate}, expected 0 < rate <= 1")

    def __call__(self, step: int) -> float:
        """The temperature of a step, counted from 0."""
        return self.start * float(self.rate**step)


@dataclass(frozen=True)
class LinearCooling:
    """From `start` down to 0 in `steps`, and 0 after that.

    >>> LinearCooling(8.0, 4)(3)
    2.0
    """

    start: float
    steps: int

    def __post_init__(self) -> None:
        _check_start("LinearCooling", self.start)
        if self.steps < 1:
            raise ArgumentError(f"LinearCooling: steps is {self.steps}, expected a positive int")

    def __call__(self, step: int) -> float:
        """The temperature of a step, counted from 0."""
        return self.start * max(0.0, 1 - step / self.steps)


@dataclass(frozen=True)
class LogarithmicCooling:
    """The temperature `start / (1 + log(1 + step))`: slow enough to find the minimum, some day.

    That is proven for a `start` that is large enough (Geman & Geman 1984).
    """

    start: float = 1.0

    def __post_init__(self) -> None:
        _check_start("LogarithmicCooling", self.start)

    def __call__(self, step: int) -> float:
        """The temperature of a step, counted from 0."""
        return self.start / (1 + math.log1p(step))


class SimulatedAnnealing(Optimizer):
    """Moves all parameters at random, and goes back from most worse points (Kirkpatrick 1983).

    `step(closure)` adds normal noise of deviation `step_size` to all parameters, and calls the
    closure, which returns the loss there. A loss that is not above the one before is accepted,
    another with probability exp(-rise / temperature) (Metropolis et al. 1953); else parameters are
    again what they were. The first step calls the closure for the starting point, too. `step`
    returns the loss where the parameters are then. No gradients are needed, and none are computed:
    a loss may have steps, or be counted. A NaN is never accepted.

    The best point so far is remembered: `best_loss`, `restore_best()`.

    temperature: a number, or a function of the number of steps made, such as `GeometricCooling`.
        In units of the loss: at the start, about the rise that shall still be accepted often.
    step_size: may differ between groups of parameters.
    neighbour: `neighbour(value, generator)` returns another value to try, instead of noise: for
        orders, signs and other things that are not real numbers.
    generator: of the noise and the choices (default: the global one). `state_dict` has its state.

    The closure must return the same loss for the same parameters: all data at once, no dropout.
    With many parameters random steps seldom lead down; for those are gradients.

    Kirkpatrick, Gelatt & Vecchi, Optimization by simulated annealing, Science 220, 1983.

    >>> import tinynet as tn
    >>> x = tn.tensor([4.0])
    >>> generator = tn.Generator().manual_seed(0)
    >>> search = SimulatedAnnealing([x], GeometricCooling(1.0, 0.98), 1.0, generator=generator)
    >>> for _ in range(300):  # many minima; the lowest, -1, at 0
    ...     loss = search.step(lambda: (x**2 / 10 - (5 * x).cos()).sum())
    >>> search.restore_best()
    >>> round(search.best_loss, 2), abs(x.item()) < 0.1
    (-1.0, True)
    """

    numbers = ("step", "loss", "best_loss", "accepted")

    def __init__(
        self,
        params: Any,
        temperature: float | Callable[[int], float],
        step_size: float = 0.1,
        *,
        neighbour: Neighbour | None = None,
        generator: Generator | None = None,
    ) -> None:
        check_at_least_zero("SimulatedAnnealing", step_size=step_size)
        check_generator("SimulatedAnnealing", generator)
        if not callable(temperature):
            check_at_least_zero("SimulatedAnnealing", temperature=temperature)
        self.temperature = temperature
        self.neighbour = neighbour
        self.generator = generator
        super().__init__(params, {"step_size": step_size})

    @property
    def kept(self) -> dict[str, Any]:
        """The state of the whole search, which the first parameter has: loss, best loss, counts."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        return state

    @property
    def best_loss(self) -> float:
        """The lowest loss so far; infinity before the first step."""
        loss: float = self.kept.get("best_loss", math.inf)
        return loss

    @property
    def acceptance(self) -> float:
        """The share of steps that were accepted; half of them is a good value to begin with."""
        kept = self.kept
        return kept["accepted"] / kept["step"] if kept.get("step") else math.nan

    def restore_best(self) -> None:
        """Set the parameters to the best point so far, and go on from there."""
        kept = self.kept
        if "best_loss" not in kept:
            raise ArgumentError("SimulatedAnnealing: no best point, expected a step before")
        with no_grad():
            for parameter in self._parameters():
                parameter.copy_(self.state[parameter]["best"])
        kept["loss"] = kept["best_loss"]

    def state_dict(self) -> dict[str, Any]:
        """As other optimisers', with the generator's state if this search has one of its own."""
        if self.generator is not None and self.kept:
            self.kept["generator"] = self.generator.get_state()
        return super().state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        """As other optimisers'. The parameters, the current point, are loaded beside it."""
        super().load_state_dict(state_dict)
        if self.generator is not None and "generator" in self.kept:
            self.generator.set_state(tuple(self.kept["generator"]))

    def _step(self, closure: Callable[[], Any] | None = None) -> float:
        if closure is None:
            raise ArgumentTypeError(
                "SimulatedAnnealing: step needs a closure that computes the loss, got None"
            )
        if is_recording():
            raise RecordingError(
                "jit: SimulatedAnnealing decides by the values of losses where to go, which replays"
                " cannot do; let jit record the closure instead"
            )
        with no_grad():
            return self._move(closure)

    def _move(self, closure: Callable[[], Any]) -> float:
        kept = self.kept
        if "loss" not in kept:
            loss = _as_loss(closure())
            if math.isnan(loss):
                raise ArgumentError(
                    "SimulatedAnnealing: the loss at the start is nan, expected a number"
                )
            kept.update(step=0, accepted=0)
            self._keep(loss, loss)
        temperature = self._temperature(kept["step"])
        before = [parameter.detach().clone() for parameter in self._parameters()]
        is_accepted = False
        try:
            self._propose()
            loss = _as_loss(closure())
            is_accepted = self._accepts(loss - kept["loss"], temperature)
        finally:  # also where the closure raises
            if not is_accepted:
                for parameter, value in zip(self._parameters(), before):
                    parameter.copy_(value)
        kept["step"] += 1
        if is_accepted:
            kept["accepted"] += 1
            self._keep(loss, kept["best_loss"])
        current: float = kept["loss"]
        return current

    def _accepts(self, rise: float, temperature: float) -> bool:
        """The choice of Metropolis et al.; it uses one random number, whatever the rise."""
        source = self.generator or default_generator
        chance = (source.bits(1, 64, "cpu").item() >> 11) * 2.0**-53  # uniform on [0, 1)
        if rise <= 0:
            return True
        return bool(temperature > 0 and chance < math.exp(-rise / temperature))

    def _temperature(self, step: int) -> float:
        value = self.temperature(step) if callable(self.temperature) else self.temperature
        if not value >= 0:
            raise ArgumentError(
                f"SimulatedAnnealing: the temperature of step {step} is {value}, expected 0 or more"
            )
        return float(value)

    def _propose(self) -> None:
        """Write a neighbour of the current point into the parameters."""
        if self.neighbour is not None:
            for parameter in self._parameters():
                parameter.copy_(self.neighbour(parameter.detach().clone(), self.generator))
            return
        noise = self._draw_noise()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(noise[parameter], alpha=group["step_size"])

    def _draw_noise(self) -> dict[Tensor, Tensor]:
        """Normal numbers for each parameter, of one draw for all that are of one kind."""
        kinds: dict[tuple[Any, str], list[Tensor]] = {}
        for parameter in self._parameters():
            kinds.setdefault((parameter.dtype, str(parameter.device)), []).append(parameter)
        noise = {}
        for (dtype, device), members in kinds.items():
            sizes = [parameter.numel() for parameter in members]
            flat = randn(sum(sizes), generator=self.generator, dtype=dtype, device=device)
            for parameter, part in zip(members, flat.split(sizes)):
                noise[parameter] = part.reshape(parameter.shape)
        return noise

    def _keep(self, loss: float, best_loss: float) -> None:
        """Take the parameters for the current point, and for the best if they are not worse."""
        self.kept["loss"] = loss
        if loss <= best_loss:
            self.kept["best_loss"] = loss
            for parameter in self._parameters():
                self.state[parameter]["best"] = parameter.detach().clone()

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]


def _as_loss(value: Any) -> float:
    """A closure's result as a float, which may be NaN or infinite."""
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArgumentTypeError(
            f"SimulatedAnnealing: the closure returned {value!r:.60}, expected the loss"
        )
    return float(value)


def _check_start(op: str, start: float) -> None:
    if not (start > 0 and math.isfinite(start)):
        raise ArgumentError(f"{op}: start is {start}, expected a positive number")
