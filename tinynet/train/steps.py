"""What is done with each batch: functions that `tinynet.jit` records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any, NamedTuple

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError, RecordingError, ShapeError
from tinynet.jitted import jit
from tinynet.nn.utils import clip_grad_norm_, clip_grad_value_
from tinynet.ops.creation import tensor, zeros_like
from tinynet.tensor import Tensor
from tinynet.train.batches import call

Clipping = tuple[float | None, float | None]  # by norm, by value


class Parts(NamedTuple):
    """What a step works on; `jit` looks at each part, being an argument."""

    model: Any
    loss: Any
    running: Any
    metrics: tuple[Any, ...]


def update(
    parts: Any, optimizer: Any, clipping: Clipping, inputs: Any, targets: Any, size: int
) -> None:
    """A step of the optimiser on one batch."""
    optimizer.zero_grad()
    output, value = forward(parts, inputs, targets)
    value.backward()
    clip(parameters_of(optimizer), clipping)
    optimizer.step()
    measure(parts, output, targets, value, size)


def gather(
    parts: Any, optimizer: Any, gathered: Gathered, inputs: Any, targets: Any, size: int
) -> None:
    """Add a batch's gradients, times its size, to those that are gathered."""
    optimizer.zero_grad()
    output, value = forward(parts, inputs, targets)
    (value * size).backward()
    with no_grad():
        for i, parameter in enumerate(parameters_of(optimizer)):
            if parameter.grad is not None:
                gathered.sums[i].add_(parameter.grad)
                gathered.used.add(i)
    measure(parts, output, targets, value, size)


def apply(
    optimizer: Any, clipping: Clipping, gathered: Gathered, used: tuple[int, ...], samples: Tensor
) -> None:
    """A step of the optimiser with the mean gradients of all samples; the sums become zeros."""
    parameters, sums = parameters_of(optimizer), gathered.sums
    with no_grad():
        for i in used:
            parameters[i].grad = sums[i] / samples.to(sums[i].dtype)
    clip(parameters, clipping)
    optimizer.step()
    with no_grad():
        for i in used:
            sums[i].zero_()


def examine(parts: Any, inputs: Any, targets: Any, size: int) -> None:
    """Measure a batch, without training on it."""
    model, loss = parts[:2]
    with no_grad():
        output = call(model, inputs)
        value = None if loss is None else loss_of(loss, output, targets)
        measure(parts, output, targets, value, size)


def forward(parts: Any, inputs: Any, targets: Any) -> tuple[Any, Tensor]:
    """The output of the model, and its loss."""
    model, loss = parts[:2]
    output = call(model, inputs)
    return output, loss_of(loss, output, targets)


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


def measure(parts: Any, output: Any, targets: Any, value: Tensor | None, size: int) -> None:
    """Let the running loss and the metrics take a batch in."""
    running, metrics = parts[2:]
    with no_grad():
        if value is not None:
            running.add(value, size)
        for metric in metrics:
            metric.update(output, targets)


def check_clipping(clipping: Clipping) -> None:
    """Raise for bounds that are none: a negative one would turn the gradients round."""
    for name, bound in zip(("clip_norm", "clip_value"), clipping):
        if bound is not None and not (isinstance(bound, Real) and bound > 0):
            raise ArgumentError(f"fit: {name} is {bound!r}, expected a number above 0, or None")


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

    def __init__(self, parts: Parts, optimizer: Any, clipping: Clipping, is_recorded: bool) -> None:
        self.parts = tuple(parts)
        self.optimizer = optimizer
        check_clipping(clipping)
        self.clipping = clipping
        self.is_recorded = is_recorded
        self.recorded_update = jit(update, warm_up=False)
        self.recorded_gather = jit(gather, warm_up=False)
        self.recorded_apply = jit(apply, warm_up=False)
        self.gathered = Gathered()

    def update(self, inputs: Any, targets: Any, size: int, is_first: bool) -> None:
        """A step on one batch."""
        function = self.recorded_update if self.is_recorded and not is_first else update
        with explained(self.parts, inputs, targets):
            recording(function, self.parts, self.optimizer, self.clipping, inputs, targets, size)

    def gather(self, inputs: Any, targets: Any, size: int, is_first: bool) -> None:
        """Add a batch to the gradients of the next step."""
        self.gathered.count(size, self.optimizer)
        function = self.recorded_gather if self.is_recorded and not is_first else gather
        with explained(self.parts, inputs, targets):
            recording(function, self.parts, self.optimizer, self.gathered, inputs, targets, size)

    def apply(self, is_first: bool) -> None:
        """The step on what was gathered."""
        gathered = self.gathered
        samples = tensor(float(gathered.samples), device=gathered.sums[0].device)
        used = tuple(sorted(gathered.used))
        function = self.recorded_apply if self.is_recorded and not is_first else apply
        recording(function, self.optimizer, self.clipping, gathered, used, samples)
        gathered.batches = gathered.samples = 0


class Gathered:
    """Gradients of several batches: their sums over samples, for each parameter.

    `used` are the numbers of the parameters that had gradients: others keep having none.
    """

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        self.used: set[int] = set()
        self.batches = 0
        self.samples = 0

    def count(self, size: int, optimizer: Any) -> None:
        """Count a batch; make the sums if there are none."""
        if not self.sums:
            self.sums = [zeros_like(x, requires_grad=False) for x in parameters_of(optimizer)]
        self.batches += 1
        self.samples += size

    def state_dict(self) -> dict[str, Any]:
        """What is gathered so far."""
        state: dict[str, Any] = {"batches": self.batches, "samples": self.samples}
        if self.batches:
            state |= {"sums": [x.clone() for x in self.sums], "used": sorted(self.used)}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.batches, self.samples = state["batches"], state["samples"]
        if self.batches:
            self.sums = [x.clone() for x in state["sums"]]
            self.used = set(state["used"])


@contextmanager
def explained(parts: Any, inputs: Any, targets: Any) -> Iterator[None]:
    """Where a step cannot be recorded because of its data, raise what they raise without that.

    A class index out of range is such a case: a recording cannot look at it, only refuse it.
    """
    try:
        yield
    except RecordingError:
        with no_grad():
            forward(parts, inputs, targets)[1].item()
        raise


def recording(function: Callable[..., Any], *args: Any) -> Any:
    """Call a recorded function; where it cannot be recorded, say what else there is."""
    try:
        return function(*args)
    except RecordingError as error:
        raise RecordingError(f"{error}; or pass jit=False") from error
