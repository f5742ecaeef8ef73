"""L-BFGS: steps from the curvature that earlier gradients show, with or without a line search."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tinynet.autograd.mode import enable_grad, no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError
from tinynet.numbers import is_recording
from tinynet.ops.joining import cat, stack
from tinynet.optim.optimizer import Group, Optimizer, check_at_least_zero
from tinynet.tensor import Tensor


class LBFGS(Optimizer):
    """Quasi-Newton steps of all parameters together (Nocedal & Wright 2006, algorithms 7.4, 7.5).

    `step(closure)` calls the closure, which computes loss and gradients anew, up to `max_eval`
    times (None: 5/4 of `max_iter`) in `max_iter` iterations. It ends sooner where no gradient is
    larger than `tolerance_grad`, or where the loss or all parameters change by less than
    `tolerance_change`. `history_size` pairs of steps and changes of gradients are kept. Steps have
    the size `lr`; with `line_search_fn="strong_wolfe"` that is where the search starts.

    For losses without noise: all data at once. It reads values, so `tinynet.jit` cannot record it.

    >>> import tinynet as tn
    >>> x = tn.tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = tn.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2 * tn.tensor([1.0, 10.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()
    254.0
    >>> x.detach()
    tensor([1., 1.])
    """

    numbers = ("func_evals", "n_iter", "t", "H_diag", "prev_loss")

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_at_least_zero("LBFGS", lr=lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(
                f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}"
            )
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused for a second group: all parameters move together."""
        if self.param_groups:
            raise ArgumentError("LBFGS: expected one group of parameters, got another")
        super().add_param_group(param_group)

    def state_shapes(self, parameter: Tensor) -> tuple[tuple[int, ...], ...]:
        """Those of all parameters as one vector."""
        return (), (sum(x.numel() for x in self.param_groups[0]["params"]),)

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        """State, the first parameter's: `func_evals`, `n_iter` (both of all steps), the direction
        `d`, the step size `t`, changes of gradients `old_dirs` and of parameters `old_stps`, `ro`
        (1 / their product), `H_diag` (scale of the first guess of the Hessian's inverse), `al`
        (coefficients), `prev_flat_grad`, `prev_loss`.
        """
        if closure is None:
            raise ArgumentTypeError("LBFGS: step needs a closure that computes the loss, got None")
        if is_recording():
            raise RecordingError(
                "jit: LBFGS decides by the values of losses how often to call the closure, which "
                "replays cannot do; let jit record the closure instead"
            )
        with no_grad():
            return self._minimise(enable_grad()(closure), self.param_groups[0])

    def _minimise(self, closure: Callable[[], Any], group: Group) -> Any:
        state = self.state[group["params"][0]]
        state["func_evals"] = state.get("func_evals", 0) + 1
        state.setdefault("n_iter", 0)
        first = closure()
        loss, gradient, count = float(first), self._gradient(), 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = state["d"] = _direction(state, gradient, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            is_first = state["n_iter"] == 1
            t = group["lr"] * (min(1.0, 1 / gradient.abs().sum().item()) if is_first else 1)
            slope, state["t"] = gradient.dot(direction).item(), t
            if slope > -group["tolerance_change"]:
                break
            evaluations = 0
            if group["line_search_fn"] is not None:
                start = _Point(0.0, loss, gradient, slope)
                search = _LineSearch(self, closure, direction, start, group["tolerance_change"])
                found = search.run(t, group["max_eval"] - count)
                t, loss, gradient, evaluations = *found[:3], search.count
                state["t"] = t
            self.move(direction, t)
            if group["line_search_fn"] is None and i < group["max_iter"]:
                loss, gradient, evaluations = float(closure()), self._gradient(), 1
            count += evaluations
            state["func_evals"] += evaluations
            if (
                count >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction) * abs(t) <= group["tolerance_change"]
                or abs(loss - state["prev_loss"]) < group["tolerance_change"]
            ):
                break
        return first

    def _gradient(self) -> Tensor:
        """All gradients as one vector; 0 where there is none."""
        parts = [
            (x.new_zeros(x.shape) if x.grad is None else x.grad.detach()).reshape(-1)
            for x in self.param_groups[0]["params"]
        ]
        return cat(parts) if len(parts) > 1 else parts[0].clone()

    def move(self, direction: Tensor, t: float) -> None:
        """Add `t * direction` to the parameters."""
        start = 0
        for x in self.param_groups[0]["params"]:
            stop = start + x.numel()
            x.add_(direction[start:stop].reshape(x.shape), alpha=t)
            start = stop

    def evaluate(self, closure: Callable[[], Any], direction: Tensor, t: float) -> _Point:
        """The loss at `t` along a direction; the parameters stay where they are."""
        params = self.param_groups[0]["params"]
        before = [x.detach().clone() for x in params]
        self.move(direction, t)
        loss, gradient = float(closure()), self._gradient()
        for x, value in zip(params, before, strict=True):
            x.copy_(value)
        return _Point(t, loss, gradient, gradient.dot(direction).item())


class _Point(NamedTuple):
    """A place along the direction: how far, the loss there, its gradient, its slope."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


class _LineSearch:
    """Looks for a place where the strong Wolfe conditions hold (Nocedal & Wright, alg. 3.5, 3.6).

    The loss has fallen by at least `DECREASE` of what the slope at the start promises, and the
    slope is at most `CURVATURE` of that one.
    """

    DECREASE = 1e-4
    CURVATURE = 0.9

    def __init__(
        self,
        optimizer: LBFGS,
        closure: Callable[[], Any],
        direction: Tensor,
        start: _Point,
        tolerance: float,
    ) -> None:
        self.evaluate = functools.partial(optimizer.evaluate, closure, direction)
        self.start = start
        self.tolerance = tolerance / _largest(direction)
        self.count = 0  # of evaluations

    def at(self, t: float) -> _Point:
        """A point, evaluated."""
        self.count += 1
        return self.evaluate(t)

    def is_too_high(self, point: _Point) -> bool:
        """Whether the loss has not fallen by enough."""
        return point.loss > self.start.loss + self.DECREASE * point.t * self.start.slope

    def is_flat(self, point: _Point) -> bool:
        """Whether the slope is small enough."""
        return abs(point.slope) <= -self.CURVATURE * self.start.slope

    def run(self, t: float, most: int) -> _Point:
        """The best point that is found from `t` on, with at most `most` evaluations more."""
        previous, point, i = self.start, self.at(t), 0
        while i < most:
            if self.is_too_high(point) or (i > 1 and point.loss >= previous.loss):
                return self.zoom([previous, point], most - i)
            if self.is_flat(point):
                return point
            if point.slope >= 0:
                return self.zoom([previous, point], most - i)
            nearest, farthest = point.t + 0.01 * (point.t - previous.t), point.t * 10
            t = _lowest_between(previous, point, nearest, farthest)
            previous, point, i = point, self.at(t), i + 1
        return min(self.start, point, key=lambda x: x.loss)

    def zoom(self, bracket: list[_Point], most: int) -> _Point:
        """The same between two points."""
        is_slow = False  # the last point was near an end of the bracket
        low = 0 if bracket[0].loss <= bracket[1].loss else 1
        for _ in range(most):
            ends = sorted([bracket[0].t, bracket[1].t])
            width = ends[1] - ends[0]
            if width < self.tolerance:
                break
            t = _lowest_between(bracket[0], bracket[1], ends[0], ends[1])
            is_near = min(ends[1] - t, t - ends[0]) < 0.1 * width
            if is_near and (is_slow or not ends[0] < t < ends[1]):
                is_upper = ends[1] - t < t - ends[0]
                t = ends[1] - 0.1 * width if is_upper else ends[0] + 0.1 * width
                is_near = False
            is_slow = is_near
            point = self.at(t)
            if self.is_too_high(point) or point.loss >= bracket[low].loss:
                bracket[1 - low] = point
                low = 0 if bracket[0].loss <= bracket[1].loss else 1
                continue
            if self.is_flat(point):
                return point
            if point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = point
        return bracket[low]


def _lowest_between(a: _Point, b: _Point, least: float, most: float) -> float:
    """The minimum of the cubic through two points, within bounds (Nocedal & Wright, eq. 3.59)."""
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return least
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = mean * mean - a.slope * b.slope
    if not square >= 0:  # NaN, too
        return (least + most) / 2
    root = math.sqrt(square)
    over, under = b.slope + root - mean, b.slope - a.slope + 2 * root
    if under == 0:  # a straight line
        return most if over < 0 else least
    return min(max(b.t - (b.t - a.t) * (over / under), least), most)


def _direction(state: dict[str, Any], gradient: Tensor, history_size: int) -> Tensor:
    """Where to go: minus the gradient times the guess of the Hessian's inverse."""
    if state["n_iter"] == 1:
        state["old_dirs"], state["old_stps"], state["ro"], state["H_diag"] = [], [], [], 1.0
        return -gradient
    changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]
    change, step = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    product, square = stack([change.dot(step), change.dot(change)]).tolist()
    if product > 1e-10:
        if len(changes) == history_size:
            for kept in (changes, steps, inverses):
                del kept[0]
        changes.append(change)
        steps.append(step)
        inverses.append(1 / product)
        state["H_diag"] = product / square
    shares = state.setdefault("al", [None] * history_size)
    direction: Tensor = -gradient
    for i in reversed(range(len(changes))):
        shares[i] = steps[i].dot(direction) * inverses[i]
        direction = direction - changes[i] * shares[i]
    direction = direction * state["H_diag"]
    for i in range(len(changes)):
        direction = direction + steps[i] * (shares[i] - changes[i].dot(direction) * inverses[i])
    return direction


def _largest(x: Tensor) -> float:
    """The largest magnitude."""
    largest: float = x.abs().max().item()
    return largest
