"""One try of a search: what the objective is given, and what came of it."""

from __future__ import annotations

import contextlib
import math
import numbers
import random
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.dtype import float64
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.ops.random import Generator, get_rng_state, manual_seed, rand, set_rng_state
from tinynet.tensor import Tensor
from tinynet.train.search.space import shown

OK, FAILED, KILLED = "ok", "failed", "killed"


@dataclass(frozen=True)
class Trial:
    """What an objective is called with: `trial["lr"]` is a parameter, `trial.seed` its seed.

    `number` counts the configurations of a search, `round` the rounds in which they are tried.
    `budget` is what this trial may spend, in searches that have budgets, such as epochs. `folder`
    is this configuration's own, in searches that were given one: for its checkpoint and its
    weights; it is the same in all rounds, so that a trial can go on from where it was.

    >>> Trial(number=0, parameters={"lr": 0.1}, seed=7)["lr"]
    0.1
    """

    number: int
    parameters: Mapping[str, Any]
    seed: int
    round: int = 0
    budget: float | None = None
    folder: Path | None = None

    def __getitem__(self, name: str) -> Any:
        if name not in self.parameters:
            raise ArgumentError(
                f"Trial: no parameter {name!r}, expected one of {[*self.parameters]}"
            )
        return self.parameters[name]

    @property
    def key(self) -> tuple[int, int]:
        """What no two trials of a search share: number and round."""
        return self.number, self.round


@dataclass(frozen=True)
class Outcome:
    """A trial that ended: a row of the results.

    `status` is "ok", "failed" (the objective raised, or gave no finite number) or "killed" (its
    process ended); then `score` is None and `error` says why, `traceback` in full. `result` is
    what the run gave beside its score, in `restart`.
    """

    trial: Trial
    score: float | None
    seconds: float
    status: str = OK
    error: str = ""
    traceback: str = field(default="", repr=False)
    result: Any = field(default=None, repr=False)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The trial's parameters."""
        return self.trial.parameters

    def __getitem__(self, name: str) -> Any:
        return self.trial[name]

    def __str__(self) -> str:
        budget = "" if self.trial.budget is None else f" at budget {self.trial.budget:g}"
        said = (
            f"score {self.score:.6g}" if self.score is not None else f"{self.status}, {self.error}"
        )
        name = f"trial {self.trial.number}{budget}"
        tried = ", ".join(f"{key}={shown(value)}" for key, value in self.parameters.items())
        return f"{name}: {said} in {self.seconds:.3g} s, {tried}"


class Evaluation:
    """Calls an objective on a trial, with every global random number seeded by the trial's seed."""

    def __init__(self, op: str, objective: Callable[[Any], Any], has_result: bool = False) -> None:
        if not callable(objective):
            raise ArgumentTypeError(
                f"{op}: the objective is {objective!r:.60}, expected a function of a trial"
            )
        self.op = op
        self.objective = objective
        self.has_result = has_result

    def __call__(self, trial: Trial) -> Outcome:
        """The outcome, whatever the objective raises but `KeyboardInterrupt`."""
        start = time.perf_counter()
        result = None
        try:
            with seeded(trial.seed):
                value = self.objective(trial)
            if self.has_result and isinstance(value, tuple) and len(value) == 2:
                value, result = value
            score = as_score(f"{self.op}: the objective", value)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the row says what it was)
            seconds = time.perf_counter() - start
            text = "".join(traceback.format_exception(error))
            return Outcome(trial, None, seconds, FAILED, _one_line(error), text)
        return Outcome(trial, score, time.perf_counter() - start, result=result)


def run_trial(objective: Callable[[Trial], Any], trial: Trial) -> Outcome:
    """Run a trial again, with its seed: the best of a search, or one that failed.

    >>> import tinynet as tn
    >>> from tinynet.train import search
    >>> def objective(trial):
    ...     return tn.rand(1) + trial["x"]
    >>> best = search.random_search(objective, {"x": [1, 2]}, 5).best
    >>> search.run_trial(objective, best.trial).score == best.score
    True
    """
    return Evaluation("run_trial", objective)(trial)


def as_score(who: str, value: Any) -> float:
    """A finite float of what a run returned: a number, or a tensor or array of one element."""
    if isinstance(value, Tensor | np.ndarray):
        size = value.numel() if isinstance(value, Tensor) else value.size
        value = value.item() if size == 1 else value
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        hint = " (does it return?)" if value is None else ""
        raise ArgumentTypeError(f"{who} returned {value!r:.60}{hint}, expected a number")
    if not math.isfinite(value):
        raise ArgumentError(f"{who} returned {float(value)}, expected a finite number")
    return float(value)


def warn_of_failure(op: str, outcome: Outcome) -> None:
    """Tell of a failure at once: a search may take hours."""
    warnings.warn(
        f"{op}: trial {outcome.trial.number} {outcome.status}, the search goes on:"
        f" {outcome.traceback or outcome.error}",
        stacklevel=2,
    )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global random numbers (tinynet, NumPy, Python) start at `seed`; then they go on as before."""
    states = get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (it is for users of the global state)
    random.seed(seed)
    try:
        yield
    finally:
        set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def draw(seed: int, number: int, count: int) -> tuple[int, list[float]]:
    """The seed of a trial, a number of 32 bits, and `count` uniform numbers for its parameters.

    They depend on the search's seed and the trial's number alone: each trial has a place of its
    own, of 2**32 blocks, in the stream of random numbers that the seed names.
    """
    source = Generator().manual_seed(seed)
    source.set_state((source.initial_seed(), number << 32))
    trial_seed: int = source.bits(1, 32, "cpu").item()
    fractions: list[float] = rand(count, generator=source, dtype=float64, device="cpu").tolist()
    return trial_seed, fractions


def _one_line(error: BaseException) -> str:
    """Type, message and place of an error, without line breaks."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return " ".join(f"{type(error).__name__}: {error}".split()) + place
