"""Runs that were stopped go on bit for bit, wherever that was."""

import subprocess
import sys
from pathlib import Path

import pytest

import tinynet as tn
from tests.train.killing import make_trainer
from tinynet import train

ROOT = Path(__file__).parents[2]


class StoppedError(Exception):
    pass


class StopAt(train.Callback):
    """Raises after a number of steps."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            raise StoppedError


@pytest.fixture
def deterministic():
    tn.use_deterministic_algorithms(True)
    yield
    tn.use_deterministic_algorithms(False)


def make(device, path, stop_at=0, **options):
    trainer = make_trainer(device, path, checkpoint_every=1, **options)
    trainer.callbacks.append(StopAt(stop_at))
    trainer.step_callbacks.append(trainer.callbacks[-1])
    return trainer


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, tn.Tensor) else value


@pytest.mark.parametrize(("accumulate", "moments"), [(1, (1, 4, 7)), (3, (2,))])
def test_goes_on_from_any_step(tmp_path, device, deterministic, accumulate, moments):
    whole = make(device, tmp_path / "whole", accumulate=accumulate)
    whole.fit(2)
    expected = plain(whole.state_dict())
    for moment in moments:
        path = tmp_path / str(moment)
        with pytest.raises(StoppedError):
            make(device, path, moment, accumulate=accumulate).fit(2)
        resumed = make(device, path, accumulate=accumulate, seed=99)
        resumed.fit(2)
        assert plain(resumed.state_dict()) == expected, moment


def test_stop_by_early_stopping_is_kept(tmp_path):
    def run():
        trainer = make_trainer("cpu", tmp_path / "run")
        trainer.callbacks[0].monitor = "lr"  # falls
        trainer.callbacks[0].mode, trainer.callbacks[0].patience = "max", 2
        trainer.callbacks[0].forget()
        trainer.fit(9)
        return trainer

    first, second = run(), run()
    assert first.epoch == second.epoch == 3
    assert second.stop_reason.startswith("EarlyStopping: lr was best")
    assert plain(first.model.state_dict()) == plain(second.model.state_dict())
    assert plain(first.model.state_dict()) == plain(second.callbacks[0].weights)


def test_more_epochs_than_before(tmp_path):
    make_trainer("cpu", tmp_path / "run").fit(1)
    trainer = make_trainer("cpu", tmp_path / "run")
    assert len(trainer.fit(3)) == 3
    whole = make_trainer("cpu")
    assert trainer.history == whole.fit(3)


def test_epoch_that_somebody_else_began(tmp_path):
    """A look at the first batch does not become a part of the run."""
    trainer = make("cpu", tmp_path / "run", 1)
    next(iter(trainer.loader))
    trainer.checkpoint_every = None
    with pytest.raises(StoppedError):
        trainer.fit(1)  # the checkpoint is that of the start
    resumed = make("cpu", tmp_path / "run")
    resumed.fit(1)
    assert resumed.step == 5


def test_loader_without_state_is_read_again(tmp_path):
    """A list of batches; the first ones are skipped."""

    def run(stop_at):
        trainer = make("cpu", tmp_path / "run", stop_at)
        trainer.loader = [(tn.full((4, 8), float(i)), tn.tensor([0, 1, 0, 1])) for i in range(4)]
        return trainer

    with pytest.raises(StoppedError):
        run(2).fit(1)
    trainer = run(0)
    trainer.fit(1)
    (tmp_path / "run").unlink()
    whole = run(0)
    whole.fit(1)
    assert plain(trainer.model.state_dict()) == plain(whole.model.state_dict())


@pytest.mark.parametrize("kills", [2])
def test_killed_runs(device, kills):
    kills = kills if device == "cpu" else 1  # a process with OpenCL takes a second to start
    command = [sys.executable, "-m", "tests.train.killing", "--device", device]
    command += ["--runs", "1", "--kills", str(kills), "--epochs", "3", "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "all ended with the same bits" in done.stdout
