"""Callbacks: what else happens during training."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.errors import ArgumentError, PartError, StateError
from tinynet.io import save, save_model
from tinynet.ops.operands import as_number
from tinynet.tensor import Tensor
from tinynet.train.checkpoint import check_folder, saving

if TYPE_CHECKING:
    from tinynet.train.loop import Trainer

KINDS = ("parameters", "model", "training")


class Callback:
    """Base of callbacks; its methods do nothing. `trainer` is the `Trainer` that calls them.

    >>> class Printer(Callback):
    ...     def on_epoch_end(self, trainer):
    ...         print(trainer.epoch, trainer.logs)
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first epoch; where a run is resumed, `trainer` already is where it was."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first batch of an epoch."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After each step of the optimiser. `trainer.read_logs()` waits for the device."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After an epoch and its validation: `trainer.logs` is its row of the history."""

    def on_save(self, trainer: Trainer) -> None:
        """After `on_epoch_end` of all callbacks: the time to write files."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, or where the run was stopped."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback, as values that `tinynet.save` takes."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


class _Monitor(Callback):
    """Base of callbacks that know the best epoch so far by a column of the history."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        name = type(self).__name__
        if mode not in ("min", "max"):
            raise ArgumentError(f"{name}: mode is {mode!r:.60}, expected 'min' or 'max'")
        min_delta = as_number(name, "min_delta", min_delta)
        if not min_delta >= 0:
            raise ArgumentError(f"{name}: min_delta is {min_delta}, expected 0 or more")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self.best = math.inf if self.mode == "min" else -math.inf
        self.best_epoch = 0

    def note(self, trainer: Trainer) -> bool:
        """Whether the epoch that ended is the best so far; NaN never is."""
        if self.monitor not in trainer.logs:
            raise PartError(
                f"{type(self).__name__}: monitor {self.monitor!r} is none of the columns "
                f"{[*trainer.logs]}"
            )
        value = trainer.logs[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        if not gain > self.min_delta:
            return False
        self.best, self.best_epoch = value, trainer.epoch
        return True

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget the run before."""
        if trainer.is_new:
            self.forget()

    def state_dict(self) -> dict[str, Any]:
        """The best value and its epoch."""
        return {"monitor": self.monitor, "best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; raises `StateError` for another monitor's."""
        if state.get("monitor") != self.monitor:
            raise StateError(
                f"{type(self).__name__}.load_state_dict: the state is of monitor "
                f"{state.get('monitor')!r}, expected {self.monitor!r}"
            )
        self.best, self.best_epoch = state["best"], state["best_epoch"]


class EarlyStopping(_Monitor):
    """Stops after `patience` epochs without a better `monitor`, a column of the history.

    Better is less (`mode="max"`: more) than the best so far by more than `min_delta`. With
    `restore_best` the model has the best epoch's parameters and buffers in the end, however the
    run ended (Prechelt 1998, doi:10.1007/3-540-49430-8_3). A Trainer whose `fit` is called again
    waits for `patience` more epochs.
    """

    def __init__(
        self, monitor: str = "validation_loss", patience: int = 10, mode: str = "min",
        min_delta: float = 0.0, restore_best: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(patience, int) or patience < 1:
            raise ArgumentError(f"EarlyStopping: patience is {patience!r}, expected 1 or more")
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best = restore_best

    def forget(self) -> None:
        """Start anew."""
        super().forget()
        self.waited = 0
        self.weights: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Forget the run before; be patient anew with one that goes on after it was stopped."""
        super().on_fit_start(trainer)
        if trainer.stop_reason is None and self.waited >= self.patience:
            self.waited = 0

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare with the best epoch."""
        if self.note(trainer):
            self.waited = 0
            if self.restore_best:
                self.weights = copied(trainer.model.state_dict())
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop(
                f"EarlyStopping: {self.monitor} was best, {self.best:.6g}, in epoch "
                f"{self.best_epoch}"
            )

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the model the weights of the best epoch."""
        if self.weights is not None:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch, its weights, and how many came after it."""
        return {**super().state_dict(), "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        super().load_state_dict(state)
        self.waited, self.weights = state["waited"], state["weights"]


class ModelCheckpoint(_Monitor):
    """Writes the model into `folder` at epochs' ends: the best, the last, every n-th.

    `best.safetensors` is the epoch with the best `monitor`, `last.safetensors` the last one, and
    `epoch_0010.safetensors` the tenth, if it is one of `every` n. `kind` is what is in them:
    "parameters" (`tinynet.load` and `load_state_dict`), "model" with its architecture
    (`tinynet.load_model`), or all of the "training" (`fit(checkpoint=...)` goes on from it).
    Without `monitor` there is no best. Raises `DataError` where a file cannot be written.
    """

    def __init__(
        self, folder: str | os.PathLike[str], monitor: str | None = "validation_loss",
        mode: str = "min", *, last: bool = True, every: int | None = None,
        kind: str = "parameters",
    ) -> None:  # fmt: skip
        super().__init__(monitor or "", mode)
        if kind not in KINDS:
            raise ArgumentError(f"ModelCheckpoint: kind is {kind!r:.60}, expected one of {KINDS}")
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ArgumentError(f"ModelCheckpoint: every is {every!r}, expected 1 or more, or None")
        self.folder = Path(folder)
        self.last = last
        self.every = every
        self.kind = kind
        self.is_best = False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Make the folder; see that it can be written to."""
        super().on_fit_start(trainer)
        with saving("ModelCheckpoint", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        check_folder("ModelCheckpoint", self.folder)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Compare with the best epoch."""
        self.is_best = bool(self.monitor) and self.note(trainer)

    def on_save(self, trainer: Trainer) -> None:
        """Write the files of the epoch that ended."""
        if self.is_best:
            self.write(trainer, "best")
        if self.every is not None and trainer.epoch % self.every == 0:
            self.write(trainer, f"epoch_{trainer.epoch:04d}")
        if self.last:
            self.write(trainer, "last")

    def write(self, trainer: Trainer, name: str) -> None:
        """Write one file, whole or not at all."""
        path = self.folder / f"{name}.safetensors"
        with saving("ModelCheckpoint", path):
            if self.kind == "parameters":
                save(trainer.model.state_dict(), path)
            elif self.kind == "model":
                save_model(trainer.model, path)
            else:
                save(trainer.state_dict(), path)


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict with tensors of its own."""
    return {name: x.clone() if isinstance(x, Tensor) else x for name, x in state.items()}
