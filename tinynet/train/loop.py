"""The training loop: `fit`, and `Trainer`, what it is made of."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tinynet.determinism import are_deterministic_algorithms_enabled, use_deterministic_algorithms
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DivergenceError,
    TinynetError,
)
from tinynet.io.safetensors import check_ending
from tinynet.nn import Module
from tinynet.ops.random import get_rng_state, set_rng_state
from tinynet.optim import Optimizer
from tinynet.optim.lr_scheduler import ReduceLROnPlateau
from tinynet.train.batches import check_loader, count_samples, device_of, split_batch, to_device
from tinynet.train.callbacks import Callback
from tinynet.train.checkpoint import check_folder, read_checkpoint, write_checkpoint
from tinynet.train.curves import VALIDATION
from tinynet.train.evaluation import (
    Evaluation,
    Loss,
    as_metrics,
    check_loss,
    check_model,
    modes_kept,
)
from tinynet.train.history import History
from tinynet.train.interrupts import Interrupts
from tinynet.train.losses import RunningLoss
from tinynet.train.progress import Progress
from tinynet.train.state import loader_state, restore, state_of
from tinynet.train.steps import Parts, Steps, parameters_of


def fit(
    model: Module, loader: Any, loss: Loss, optimizer: Optimizer, *, epochs: int = 1,
    validation: Any = None, metrics: Sequence[Any] = (), schedule: Any = None,
    schedule_every: str = "epoch", accumulate: int = 1, clip_norm: float | None = None,
    clip_value: float | None = None, callbacks: Sequence[Callback] = (), jit: bool = True,
    progress: bool | None = None, checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
) -> History:  # fmt: skip
    """Train a model for `epochs` passes over the batches of `loader`; the history of the run.

    `Trainer` says what everything means.

    >>> import tinynet as tn
    >>> x = tn.linspace(-1, 1, 32).reshape(32, 1)
    >>> loader = tn.data.DataLoader(tn.data.TensorDataset(x, 2 * x), batch_size=8, shuffle=True)
    >>> model = tn.nn.Linear(1, 1)
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.5)
    >>> history = fit(model, loader, tn.nn.functional.mse_loss, optimizer, epochs=20)
    >>> len(history), round(model.weight.item(), 2)
    (20, 2.0)
    """
    trainer = Trainer(
        model, loader, loss, optimizer, validation=validation, metrics=metrics, schedule=schedule,
        schedule_every=schedule_every, accumulate=accumulate, clip_norm=clip_norm,
        clip_value=clip_value, callbacks=callbacks, jit=jit, progress=progress,
        checkpoint=checkpoint, checkpoint_every=checkpoint_every,
    )  # fmt: skip
    return trainer.fit(epochs)


class Trainer:
    """A run of training. `fit(epochs)` does it; `state_dict` is all that it depends on.

    A batch is a pair of inputs and targets; where inputs are a tuple, list or dict, they are the
    arguments of the model. Both are brought to the model's device. `loss(output, targets)` gives
    the mean over the batch. `validation` is another loader, measured after each epoch; `metrics`
    are `Metric`s, or functions of output and targets whose mean over samples is wanted.

    * `schedule` sets the rate after each "epoch" or "step" (`schedule_every`);
      `ReduceLROnPlateau` gets the validation's loss, without validation the training's.
    * `accumulate` batches make one step, with the mean gradient of their samples: as one large
      batch, but for layers such as batch norm, which look at one batch at a time.
    * `clip_norm`, `clip_value`, numbers above 0, bound the gradients before each step.
    * `jit` records the steps (`tinynet.jit`); a model that cannot be recorded needs `jit=False`.
    * `progress` is True, False, or None: see `Progress`.
    * `checkpoint` is a file that the run goes on from if it is there, and that is written at the
      start, after each epoch, and after every `checkpoint_every` batches: bit for bit as if it had
      not been stopped, if the program makes the same parts again. Random numbers but tinynet's own
      are not in it. Loaders without `state_dict` are read again from the epoch's start.

    A run that was stopped (`stop`, `EarlyStopping`) goes on if `fit` is called again; one that goes
    on from the checkpoint of such a run does nothing more, and `stop_reason` says why.

    Ctrl-C ends the run after the present step, with a checkpoint; the history has the finished
    epochs. A second one stops at once. Optimisers whose `step` needs a closure (LBFGS) are not for
    this loop.

    Raises `DivergenceError` for a loss or parameters of NaN or infinity, before they reach the
    checkpoint, and `DataError` or `StateError` for a checkpoint that is damaged, cannot be
    written, or is of another run.

    Attributes: `epoch` and `step` (how many are done), `batch` (in this epoch), `epochs` (the
    goal), `logs` (the last row of `history`), `device`, `stop_reason`.
    """

    def __init__(
        self, model: Module, loader: Any, loss: Loss, optimizer: Optimizer, *,
        validation: Any = None, metrics: Sequence[Any] = (), schedule: Any = None,
        schedule_every: str = "epoch", accumulate: int = 1, clip_norm: float | None = None,
        clip_value: float | None = None, callbacks: Sequence[Callback] = (), jit: bool = True,
        progress: bool | None = None, checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.loader = loader
        self.loss = loss
        self.optimizer = optimizer
        self.validation = validation
        self.metrics = as_metrics("fit", metrics)
        self.schedule = schedule
        self.schedule_every = schedule_every
        self.accumulate = accumulate
        self.callbacks = _as_callbacks(callbacks)
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.check_arguments()
        self.device = device_of(model)
        self.epoch = 0  # finished ones
        self.step = 0  # of the optimiser, so far
        self.batch = 0  # batches done in this epoch
        self.epochs = 0
        self.logs: dict[str, float] = {}
        self.history = History()
        self.stop_reason: str | None = None
        self.has_run = False  # whether what is here comes from training, not from a state
        self.running = RunningLoss(self.device)
        self.interrupts = Interrupts()
        self.progress = Progress(progress)
        parts = Parts(model, loss, self.running, tuple(self.metrics))
        self.steps = Steps(parts, optimizer, (clip_norm, clip_value), jit)
        self.gathered = self.steps.gathered
        self.evaluation = Evaluation("fit", model, loss, self.metrics, jit)
        self.step_callbacks = [
            x for x in self.callbacks if type(x).on_step_end is not Callback.on_step_end
        ]
        self.position: Any = None  # of the loader, where an epoch is to go on
        self.epoch_random = get_rng_state()  # at the epoch's start

    def check_arguments(self) -> None:
        """Raise for arguments that are none."""
        check_model("fit", self.model)
        check_loss("fit", self.loss)
        if not isinstance(self.optimizer, Optimizer):
            kind = type(self.optimizer).__name__
            raise ArgumentTypeError(f"fit: optimizer is a {kind}, expected an Optimizer")
        check_loader("fit", "loader", self.loader)
        if self.validation is not None:
            check_loader("fit", "validation", self.validation)
        if self.schedule is not None and not hasattr(self.schedule, "step"):
            kind = type(self.schedule).__name__
            raise ArgumentTypeError(
                f"fit: schedule is a {kind}, expected one of optim.lr_scheduler"
            )
        if not isinstance(self.accumulate, int) or self.accumulate < 1:
            raise ArgumentError(f"fit: accumulate is {self.accumulate!r}, expected 1 or more")
        every = self.checkpoint_every
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ArgumentError(f"fit: checkpoint_every is {every!r}, expected 1 or more, or None")
        if every is not None and self.checkpoint is None:
            raise ArgumentError(f"fit: checkpoint_every is {every}, but there is no checkpoint")
        if self.schedule_every not in ("epoch", "step"):
            raise ArgumentError(
                f"fit: schedule_every is {self.schedule_every!r}, expected 'epoch' or 'step'"
            )
        if self.schedule_every == "step" and isinstance(self.schedule, ReduceLROnPlateau):
            raise ArgumentError(
                "fit: ReduceLROnPlateau needs an epoch's loss, expected schedule_every='epoch'"
            )

    @property
    def n_batches(self) -> int | None:
        """How many batches an epoch has; None where the loader does not say."""
        return len(self.loader) if hasattr(self.loader, "__len__") else None

    @property
    def is_new(self) -> bool:
        """Whether nothing was trained yet."""
        return not (self.epoch or self.step or self.batch)

    def fit(self, epochs: int = 1) -> History:
        """Train until `epochs` epochs are done; what a checkpoint has is not done again."""
        if not isinstance(epochs, int) or epochs < 0:
            raise ArgumentError(f"fit: epochs is {epochs!r}, expected an int from 0 on")
        self.epochs = epochs
        with ExitStack() as stack:
            stack.enter_context(modes_kept(self.model))
            stack.enter_context(_deterministic())
            is_called_again = self.has_run
            self.begin()
            self.has_run = True
            if is_called_again:
                self.stop_reason = None
            stack.enter_context(self.interrupts)
            stack.callback(self.progress.close)
            for callback in self.callbacks:
                callback.on_fit_start(self)
            while self.epoch < epochs and self.stop_reason is None:
                self.run_epoch()
                if self.interrupts.came:
                    break
            for callback in self.callbacks:
                callback.on_fit_end(self)
        return self.history

    def begin(self) -> None:
        """Go on from the checkpoint; write one if there is none."""
        if self.checkpoint is None:
            return
        path = Path(self.checkpoint)
        check_ending("fit", os.fspath(path))
        check_folder("fit", path.parent)
        if os.path.exists(path):  # that of a Path raises for names that are too long
            self.load_state_dict(read_checkpoint("fit", path, self.device))
        else:
            self.save()

    def stop(self, reason: str) -> None:
        """End the run: after this step, or, called in `on_epoch_end`, after this epoch."""
        self.stop_reason = reason

    # An epoch
    def run_epoch(self) -> None:
        """Train on all batches, or on those that are left; then validate."""
        self.model.train()
        if self.batch == 0:
            self.start_epoch()
        self.progress.start_epoch(self)
        batches = self.batches()
        try:
            if not self.train(batches):
                self.pause()
                return
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()  # which ends a thread that loads ahead
        if self.gathered.batches:
            self.apply_gradients()
        if self.batch == 0:
            raise ArgumentError(
                f"fit: the loader gave no batches in epoch {self.epoch + 1}, expected at least one"
                + ("; an iterator can be read only once" if self.epoch else "")
            )
        self.end_epoch()

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self.running.reset()
        for metric in self.metrics:
            metric.reset(self.device)
        self.epoch_random = get_rng_state()
        for callback in self.callbacks:
            callback.on_epoch_start(self)

    def batches(self) -> Iterator[Any]:
        """The batches of this epoch that are still to be done."""
        if self.batch == 0:
            return self.iterator()
        if self.position is not None:
            self.loader.load_state_dict(self.position)
            return self.iterator()
        now = get_rng_state()
        set_rng_state(self.epoch_random)
        batches = self.iterator()
        for _ in itertools.islice(batches, self.batch):
            pass
        set_rng_state(now)
        return batches

    def iterator(self) -> Iterator[Any]:
        """What `for` makes of the loader."""
        batches: Iterator[Any] = iter(self.loader)
        return batches

    def train(self, batches: Iterator[Any]) -> bool:
        """Train on batches; whether all were done, and nobody stopped."""
        progress, interrupts = self.progress, self.interrupts
        every = self.checkpoint_every or math.inf
        clock = time.perf_counter
        for batch in batches:
            self.train_batch(batch)
            self.batch += 1
            if clock() > progress.due:
                progress.show(self)
            if self.batch % every == 0:
                self.save()
            if interrupts.came or self.stop_reason is not None:
                return False
        return True

    def train_batch(self, batch: Any) -> None:
        """Train on one batch."""
        steps = self.steps
        function = steps.update if self.accumulate == 1 else steps.gather
        try:
            inputs, targets = to_device(split_batch("fit", batch), self.device)
            size = count_samples("fit", targets)
            function(inputs, targets, size, self.step == 0)
        except TinynetError as error:
            place = f"(in epoch {self.epoch + 1}, batch {self.batch + 1})"
            error.args = (f"{error} {place}", *error.args[1:])
            raise
        self.running.count(size)
        if self.accumulate == 1:
            self.end_step()
        elif self.gathered.batches == self.accumulate:
            self.apply_gradients()

    def apply_gradients(self) -> None:
        """The optimiser's step on the gradients that were gathered."""
        self.steps.apply(self.step == 0)
        self.end_step()

    def end_step(self) -> None:
        """What follows a step of the optimiser."""
        self.step += 1
        if self.schedule is not None and self.schedule_every == "step":
            self.schedule.step()
        for callback in self.step_callbacks:
            callback.on_step_end(self)

    def pause(self) -> None:
        """Stop within an epoch, so that it can go on."""
        self.check_losses()
        self.position = loader_state(self)
        self.progress.close()
        if self.checkpoint is not None:
            self.save()

    def end_epoch(self) -> None:
        """Validate, note everything, and save."""
        logs = self.read_logs()
        if self.validation is not None:
            found = self.evaluation.run(self.validation)
            logs |= {VALIDATION + name: value for name, value in found.items()}
        logs["lr"] = float(self.optimizer.param_groups[0]["lr"])
        self.progress.end_epoch(self, logs)
        self.logs = logs
        self.history.append(logs)
        self.epoch += 1
        self.batch = 0
        self.position = None
        if self.schedule is not None and self.schedule_every == "epoch":
            if isinstance(self.schedule, ReduceLROnPlateau):
                self.schedule.step(logs.get(VALIDATION + "loss", logs["loss"]))
            else:
                self.schedule.step()
        for callback in self.callbacks:
            callback.on_epoch_end(self)
        self.check_parameters()
        for callback in self.callbacks:
            callback.on_save(self)
        if self.checkpoint is not None:
            self.save()

    # Values
    def read_logs(self) -> dict[str, float]:
        """Mean loss and metrics of this epoch so far; waits for the device."""
        self.check_losses()
        return {"loss": self.running.mean()} | {x.name: x.compute() for x in self.metrics}

    def check_losses(self) -> None:
        """Raise `DivergenceError` if a loss of this epoch was NaN or infinite."""
        bad = self.running.find_bad()
        if bad is not None:
            step = self.step - (self.batch - bad) // self.accumulate
            raise DivergenceError(
                f"fit: the loss is {self.running.mean()} in epoch {self.epoch + 1}, batch {bad} "
                f"(step {step}), expected a finite number; look for NaN or infinity in the "
                "data, or try a lower learning rate or clip_norm" + self.kept()
            )

    def check_parameters(self) -> None:
        """Raise `DivergenceError` if a parameter is NaN or infinite."""
        names = {id(x): name for name, x in self.model.named_parameters()}
        for x in parameters_of(self.optimizer):
            if not math.isfinite(x.detach().abs().max().item() if x.numel() else 0.0):
                raise DivergenceError(
                    f"fit: parameter {names.get(id(x), '?')!r} has NaN or infinity after step "
                    f"{self.step}, in epoch {self.epoch + 1}, expected finite numbers; try a lower "
                    "learning rate or clip_norm" + self.kept()
                )

    def kept(self) -> str:
        """What a message says of the checkpoint."""
        return "" if self.checkpoint is None else "; the checkpoint is the one before"

    # State
    def save(self) -> None:
        """Write the checkpoint."""
        assert self.checkpoint is not None
        self.check_losses()
        self.check_parameters()
        write_checkpoint("fit", self.state_dict(), self.checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as values that `tinynet.save` takes."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned. Raises `StateError` where parts are others."""
        restore(self, state)
        self.has_run = False


def _as_callbacks(callbacks: Any) -> list[Callback]:
    """A list of callbacks. Raises `ArgumentTypeError` for what is none."""
    if not isinstance(callbacks, Iterable):
        kind = type(callbacks).__name__
        raise ArgumentTypeError(f"fit: callbacks is a {kind}, expected a list of Callbacks")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            kind = type(callback).__name__
            raise ArgumentTypeError(f"fit: a callback is a {kind}, expected a Callback")
    return found


@contextmanager
def _deterministic() -> Iterator[None]:
    """Deterministic algorithms, as long as this lasts."""
    before = are_deterministic_algorithms_enabled()
    use_deterministic_algorithms(True)
    try:
        yield
    finally:
        use_deterministic_algorithms(before)
