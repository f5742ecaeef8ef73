"""Using a model without training it: `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinynet.autograd.mode import no_grad
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.jitted import jit as record
from tinynet.nn import Module
from tinynet.ops.creation import as_tensor
from tinynet.ops.joining import cat
from tinynet.tensor import Tensor
from tinynet.train.batches import (
    call,
    check_loader,
    count_samples,
    device_of,
    inputs_of,
    split_batch,
    to_device,
)
from tinynet.train.losses import RunningLoss
from tinynet.train.metrics import FunctionMetric, Metric
from tinynet.train.steps import Parts, examine, recording

Loss = Callable[[Any, Any], Tensor]


def evaluate(
    model: Module, loader: Any, loss: Loss | None = None,
    metrics: Sequence[Any] = (), *, jit: bool = True,
) -> dict[str, float]:  # fmt: skip
    """The mean loss and the metrics of a model over all batches of `loader`, by name.

    The model is in evaluation mode meanwhile. Batches, `loss` and `metrics` are as for `fit`.

    >>> import tinynet as tn
    >>> model = tn.nn.Linear(2, 1)
    >>> batches = [(tn.ones(4, 2), tn.zeros(4, 1))]
    >>> list(evaluate(model, batches, tn.nn.functional.mse_loss))
    ['loss']
    """
    return Evaluation("evaluate", model, loss, as_metrics("evaluate", metrics), jit).run(loader)


class Evaluation:
    """`evaluate`, with a recorded step that is kept."""

    def __init__(
        self, op: str, model: Module, loss: Loss | None, metrics: Sequence[Metric], jit: bool
    ) -> None:
        check_model(op, model)
        if loss is not None:
            check_loss(op, loss)
        self.op = op
        self.model = model
        self.loss = loss
        self.metrics = metrics
        self.device = device_of(model)
        self.running = RunningLoss(self.device)
        self.parts = tuple(Parts(model, loss, self.running, tuple(metrics)))
        self.step = record(examine, warm_up=False) if jit else examine

    def run(self, loader: Any) -> dict[str, float]:
        """The loss and the metrics over all batches."""
        check_loader(self.op, "loader", loader)
        self.running.reset()
        for metric in self.metrics:
            metric.reset(self.device)
        with evaluating(self.model):
            for batch in loader:
                inputs, targets = to_device(split_batch(self.op, batch), self.device)
                size = count_samples(self.op, targets)
                recording(self.step, self.parts, inputs, targets, size)
                self.running.count(size)
        if not self.running.batches:
            raise ArgumentError(f"{self.op}: no batches to evaluate on, expected at least one")
        logs = {} if self.loss is None else {"loss": self.running.mean()}
        return logs | {metric.name: metric.compute() for metric in self.metrics}


def predict(model: Module, data: Any, *, batch_size: int = 256, jit: bool = True) -> Any:
    """What a model makes of all of `data`, in evaluation mode: its outputs, joined along dim 0.

    `data` is a tensor or array, of which `batch_size` rows go in at a time, or an iterable of
    batches, whose targets are ignored. Outputs may be tuples (named ones too), lists or dicts of
    tensors.

    >>> import tinynet as tn
    >>> predict(tn.nn.Linear(2, 3), tn.ones(5, 2)).shape
    (5, 3)
    """
    check_model("predict", model)
    device = device_of(model)
    step = record(_output, warm_up=False) if jit else _output
    if isinstance(data, (Tensor, np.ndarray)):
        data = _slices(as_tensor(data, device=device), batch_size)
    check_loader("predict", "data", data)
    outputs = []
    with evaluating(model):
        for batch in data:
            inputs = to_device(inputs_of("predict", batch), device)
            outputs.append(recording(step, model, inputs))
    if not outputs:
        raise ArgumentError("predict: no batches, expected at least one")
    with no_grad():
        return _joined(outputs)


def _output(model: Any, inputs: Any) -> Any:
    with no_grad():
        return call(model, inputs)


def _slices(x: Tensor, size: int) -> list[Tensor]:
    if not isinstance(size, int) or size < 1:
        raise ArgumentError(f"predict: batch_size is {size!r}, expected a positive int")
    return [x[i : i + size] for i in range(0, len(x), size)]


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, Tensor):
        return cat(outputs, 0)
    if isinstance(first, dict):
        return {name: _joined([output[name] for output in outputs]) for name in first}
    if isinstance(first, (tuple, list)):
        parts = [_joined(list(each)) for each in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    raise ArgumentTypeError(
        f"predict: the model returned {type(first).__name__}, expected tensors, or tuples, lists "
        "or dicts of them"
    )


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards each module is in the mode that it was in."""
    with modes_kept(model):
        model.eval()
        yield


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Each module is put back into the mode, training or not, that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_model(op: str, model: Any) -> None:
    """Raise `ArgumentTypeError` for what is no module."""
    if not isinstance(model, Module):
        raise ArgumentTypeError(f"{op}: model is a {type(model).__name__}, expected a Module")


def check_loss(op: str, loss: Any) -> None:
    """Raise `ArgumentTypeError` for what cannot be called."""
    if not callable(loss):
        raise ArgumentTypeError(
            f"{op}: loss is a {type(loss).__name__}, expected a function of output and targets"
        )


def as_metrics(op: str, metrics: Sequence[Any]) -> list[Metric]:
    """Metrics, also of plain functions. Raises `ArgumentError` for names that come twice."""
    if isinstance(metrics, Metric) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Iterable):
        kind = type(metrics).__name__
        raise ArgumentTypeError(f"{op}: metrics is a {kind}, expected a list of metrics")
    found = [x if isinstance(x, Metric) else FunctionMetric(x) for x in metrics]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1 or name in ("loss", "lr", "epoch"):
            raise ArgumentError(
                f"{op}: metrics are named {names}, expected names that differ, and none of 'loss', "
                "'lr', 'epoch'"
            )
    return found
