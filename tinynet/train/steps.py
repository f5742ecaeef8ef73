"""What is done with each batch: functions that `tinynet.jit` records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentTypeError, RecordingError, ShapeError
from tinynet.jitted import jit
from tinynet.nn.utils import clip_grad_norm_, clip_grad_value_
from tinynet.ops.creation import tensor, zeros_like
from tinynet.tensor import Tensor
from tinynet.train.batches import call

Clipping = tuple[float | None, float | None]  # by norm, by value


def update(
    model: Any, loss: Any, optimizer: Any, metrics: Any, clipping: Clipping, inputs: Any,
    targets: Any,
) -> Tensor:  # fmt: skip
    """A step of the optimiser on one batch; its loss."""
    optimizer.zero_grad()
    output = call(model, inputs)
    value = loss_of(loss, output, targets)
    value.backward()
    clip(parameters_of(optimizer), clipping)
    optimizer.step()
    measure(metrics, output, targets)
    return value.detach()


def gather(
    model: Any, loss: Any, optimizer: Any, metrics: Any, sums: Any, used: Any, inputs: Any,
    targets: Any, size: int,
) -> Tensor:  # fmt: skip
    """Add a batch's gradients, times its size, to `sums`; its loss."""
    optimizer.zero_grad()
    output = call(model, inputs)
    value = loss_of(loss, output, targets)
    (value * size).backward()
    with no_grad():
        for i, (total, parameter) in enumerate(zip(sums, parameters_of(optimizer), strict=True)):
            if parameter.grad is not None:
                total.add_(parameter.grad)
                used.add(i)
    measure(metrics, output, targets)
    return value.detach()


def apply(
    optimizer: Any, clipping: Clipping, sums: Any, used: tuple[int, ...], samples: Tensor
) -> None:
    """A step of the optimiser with the mean gradients of all samples; `sums` become zeros."""
    parameters = parameters_of(optimizer)
    with no_grad():
        for i in used:
            parameters[i].grad = sums[i] / samples.to(sums[i].dtype)
    clip(parameters, clipping)
    optimizer.step()
    with no_grad():
        for i in used:
            sums[i].zero_()


def examine(model: Any, loss: Any, metrics: Any, inputs: Any, targets: Any) -> Tensor | None:
    """The loss of a batch, without training; None without a loss."""
    with no_grad():
        output = call(model, inputs)
        measure(metrics, output, targets)
        return None if loss is None else loss_of(loss, output, targets)


def parameters_of(optimizer: Any) -> list[Tensor]:
    """All that the optimiser trains."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def loss_of(loss: Any, output: Any, targets: Any) -> Tensor:
    """The loss of a batch; raises for what is not one number."""
    value = loss(output, targets)
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(
            f"fit: the loss function returned {type(value).__name__}, expected a 0-d tensor"
        )
    if value.shape != ():
        raise ShapeError(
            f"fit: the loss function returned a tensor of shape {value.shape}, expected a 0-d one: "
            "the mean over the batch"
        )
    return value


def measure(metrics: Any, output: Any, targets: Any) -> None:
    """Let metrics take the batch in."""
    with no_grad():
        for metric in metrics:
            metric.update(output, targets)


def clip(parameters: list[Tensor], clipping: Clipping) -> None:
    """Clip gradients by their common norm, then each by its value."""
    norm, value = clipping
    if norm is not None:
        clip_grad_norm_(parameters, norm)
    if value is not None:
        clip_grad_value_(parameters, value)


class Steps:
    """The steps of one training run, recorded by `tinynet.jit` unless `is_recorded` is False.

    Steps of the same kind give the same bits in every process. So the first step of a run, which
    makes the optimiser's state, is never recorded, and each later one always is: a run that is
    continued records at once what it would have replayed.
    """

    def __init__(
        self, model: Any, loss: Callable[[Any, Any], Tensor], optimizer: Any,
        metrics: Sequence[Any], clipping: Clipping, is_recorded: bool,
    ) -> None:  # fmt: skip
        self.parts = model, loss, optimizer, tuple(metrics)
        self.clipping = clipping
        self.is_recorded = is_recorded
        self.recorded_update = jit(update, warm_up=False)
        self.recorded_gather = jit(gather, warm_up=False)
        self.recorded_apply = jit(apply, warm_up=False)
        self.sums: list[Tensor] = []
        self.used: set[int] = set()
        self.gathered = 0  # batches whose gradients are in `sums`
        self.samples = 0

    def update(self, inputs: Any, targets: Any, is_first: bool) -> Tensor:
        """A step on one batch; its loss."""
        if is_first or not self.is_recorded:
            return update(*self.parts, self.clipping, inputs, targets).realize()
        return recording(self.recorded_update, *self.parts, self.clipping, inputs, targets)

    def gather(self, inputs: Any, targets: Any, size: int, is_first: bool) -> Tensor:
        """Add to the gradients of the next step; the batch's loss."""
        if not self.sums:
            self.sums = [zeros_like(x, requires_grad=False) for x in parameters_of(self.parts[2])]
        self.gathered += 1
        self.samples += size
        args = *self.parts, self.sums, Used(self.used), inputs, targets, size
        if is_first or not self.is_recorded:
            return gather(*args).realize()
        return recording(self.recorded_gather, *args)

    def apply(self, is_first: bool) -> None:
        """The step on what was gathered."""
        optimizer = self.parts[2]
        device = self.sums[0].device
        samples = tensor(float(self.samples), device=device)
        args = optimizer, self.clipping, self.sums, tuple(sorted(self.used)), samples
        if is_first or not self.is_recorded:
            apply(*args)
        else:
            recording(self.recorded_apply, *args)
        self.gathered = self.samples = 0

    def state_dict(self) -> dict[str, Any]:
        """What is gathered so far."""
        state: dict[str, Any] = {"gathered": self.gathered, "samples": self.samples}
        if self.gathered:
            state |= {"sums": self.sums, "used": sorted(self.used)}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.gathered, self.samples = state["gathered"], state["samples"]
        if self.gathered:
            self.sums = [x.clone() for x in state["sums"]]
            self.used = set(state["used"])


class Used:
    """The numbers of parameters that got gradients, as an argument of a recorded function."""

    def __init__(self, numbers: set[int]) -> None:
        self.add = numbers.add
        self.numbers = numbers

    def __hash__(self) -> int:
        return id(self.numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Used) and other.numbers is self.numbers


def recording(function: Callable[..., Any], *args: Any) -> Any:
    """Call a recorded function; where it cannot be recorded, say what else there is."""
    try:
        return function(*args)
    except RecordingError as error:
        raise RecordingError(f"{error}; or pass jit=False") from error
