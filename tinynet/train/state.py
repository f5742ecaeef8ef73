"""The state of a run of training: what is in a full checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinynet.data import DataLoader
from tinynet.errors import StateError
from tinynet.nn import Module
from tinynet.ops.random import get_rng_state, set_rng_state
from tinynet.train.checkpoint import FORMAT

if TYPE_CHECKING:
    from tinynet.train.loop import Trainer


def loader_state(trainer: Trainer) -> Any:
    """Where the loader is, if it can say so."""
    loader = trainer.loader
    if not hasattr(loader, "state_dict"):
        return None
    state = loader.state_dict()
    if isinstance(loader, DataLoader) and not trainer.batch:
        state["epoch"] = None  # one that somebody else began is none of this run
    return state


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Everything that the rest of the run depends on, as values that `tinynet.save` takes."""
    schedule = trainer.schedule
    return {
        "format": FORMAT,
        "kinds": kinds_of(trainer),
        "epoch": trainer.epoch,
        "step": trainer.step,
        "batch": trainer.batch,
        "stop_reason": trainer.stop_reason,
        "model": dict(trainer.model.state_dict()),
        "loss": dict(trainer.loss.state_dict()) if isinstance(trainer.loss, Module) else {},
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": None if schedule is None else schedule.state_dict(),
        "loader": loader_state(trainer),
        "random": get_rng_state(),
        "epoch_random": trainer.epoch_random,
        "running": trainer.running.state_dict(),
        "gathered": trainer.gathered.state_dict(),
        "accumulate": trainer.accumulate,
        "metrics": [dict(x.state_dict()) if trainer.batch else {} for x in trainer.metrics],
        "history": trainer.history.state_dict(),
        "callbacks": [dict(x.state_dict()) for x in trainer.callbacks],
    }


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Go on from what `state_dict` returned. Raises `StateError` where parts are others."""
    check_state(trainer, state)
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    if isinstance(trainer.loss, Module):
        trainer.loss.load_state_dict(state["loss"])
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(state["schedule"])
    trainer.epoch, trainer.step, trainer.batch = state["epoch"], state["step"], state["batch"]
    trainer.stop_reason = state["stop_reason"]
    trainer.running.load_state_dict(state["running"])
    trainer.gathered.load_state_dict(state["gathered"])
    trainer.history.load_state_dict(state["history"])
    trainer.logs = dict(trainer.history.rows[-1]) if len(trainer.history) else {}
    if trainer.batch:
        for metric, kept in zip(trainer.metrics, state["metrics"], strict=True):
            metric.reset(trainer.device)
            metric.load_state_dict(kept)
    for callback, kept in zip(trainer.callbacks, state["callbacks"], strict=True):
        callback.load_state_dict(kept)
    trainer.position = state["loader"] if trainer.batch else None
    if state["loader"] is not None:
        trainer.loader.load_state_dict(state["loader"])
    trainer.epoch_random = state["epoch_random"]
    set_rng_state(state["random"])


def kinds_of(trainer: Trainer) -> dict[str, Any]:
    """What parts there are, to be compared."""
    schedule = trainer.schedule
    return {
        "optimizer": type(trainer.optimizer).__name__,
        "schedule": None if schedule is None else type(schedule).__name__,
        "metrics": [metric.name for metric in trainer.metrics],
        "callbacks": [type(callback).__name__ for callback in trainer.callbacks],
    }


def check_state(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Raise `StateError` for the state of another run."""
    for what, kind in kinds_of(trainer).items():
        if state["kinds"][what] != kind:
            raise StateError(
                f"fit: the checkpoint has {what} {state['kinds'][what]!r}, expected {kind!r}"
            )
    if state["gathered"]["batches"] and state["accumulate"] != trainer.accumulate:
        raise StateError(
            f"fit: the checkpoint was written while accumulate={state['accumulate']} batches "
            f"were gathered, expected that, got {trainer.accumulate}"
        )
