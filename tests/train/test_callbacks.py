"""Callbacks: early stopping, checkpoints of the model, order of calls."""

import io

import pytest

import tinynet as tn
from tests.train.test_loop import fit, make_batches, make_model
from tinynet import train
from tinynet.errors import ArgumentError, ArgumentTypeError, PartError, StateError
from tinynet.train.progress import Progress


class Losses(train.Callback):
    """Puts values of its own into the rows, and weights that tell the epoch into the model."""

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, trainer):
        trainer.logs["value"] = self.values[trainer.epoch - 1]
        trainer.model.load_state_dict(
            {"weight": tn.full((1, 3), float(trainer.epoch)), "bias": tn.zeros(1)}
        )


@pytest.mark.parametrize(
    ("options", "epochs", "best"),
    [({"patience": 2}, 5, 3), ({"patience": 1}, 2, 1), ({"mode": "max", "patience": 3}, 5, 2),
     ({"min_delta": 2.0, "patience": 2}, 3, 1)],
)  # fmt: skip
def test_early_stopping(options, epochs, best):
    model = make_model()
    stopping = train.EarlyStopping("value", **options)
    losses = Losses(3.0, 4.0, 2.0, float("nan"), 2.0, 1.0)
    history = fit(model, make_batches(), epochs=6, callbacks=[losses, stopping])
    assert (len(history), stopping.best_epoch) == (epochs, best)
    assert model.weight.tolist() == [[best] * 3]


def test_early_stopping_leaves_the_last_weights():
    model = make_model()
    stopping = train.EarlyStopping("value", patience=1, restore_best=False)
    fit(model, make_batches(), epochs=6, callbacks=[Losses(1.0, 2.0), stopping])
    assert model.weight.tolist() == [[2.0] * 3]


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_stopped_run_goes_on_if_asked_again(tmp_path, has_checkpoint):
    def make():
        model = make_model()
        stopping = train.EarlyStopping("value", patience=2)
        return train.Trainer(
            model, make_batches(), tn.nn.functional.mse_loss, tn.optim.SGD(model.parameters(), 0.1),
            callbacks=[Losses(*map(float, range(9))), stopping],
            checkpoint=tmp_path / "run" if has_checkpoint else None,
        )  # fmt: skip

    trainer = make()
    assert len(trainer.fit(9)) == 3
    assert trainer.stop_reason.startswith("EarlyStopping: value was best, 0, in epoch 1")
    state = trainer.state_dict()
    resumed = make()
    if not has_checkpoint:
        resumed.load_state_dict(state)
    assert len(resumed.fit(9)) == 3
    assert resumed.stop_reason == trainer.stop_reason
    assert len(trainer.fit(9)) == 5  # patient anew
    assert len(trainer.fit(6)) == 6
    assert trainer.stop_reason is None


def test_stopping_in_an_epoch_and_going_on():
    class Stop(train.Callback):
        def on_step_end(self, trainer):
            if trainer.step == 2:
                trainer.stop("enough")

    model = make_model()
    optimizer = tn.optim.SGD(model.parameters(), 0.1)
    loss = tn.nn.functional.mse_loss
    trainer = train.Trainer(model, make_batches(), loss, optimizer, callbacks=[Stop()])
    assert len(trainer.fit(2)) == 0
    assert (trainer.step, trainer.stop_reason) == (2, "enough")
    assert len(trainer.fit(2)) == 2
    assert (trainer.step, trainer.stop_reason) == (6, None)


def test_monitor_that_is_no_column():
    with pytest.raises(PartError, match="monitor 'validation_loss' is none of the columns"):
        fit(make_model(), make_batches(), callbacks=[train.EarlyStopping()])
    with pytest.raises(StateError, match="of monitor 'a', expected 'b'"):
        train.EarlyStopping("b").load_state_dict(train.EarlyStopping("a").state_dict())


def test_model_checkpoint(tmp_path):
    model = make_model()
    saving = train.ModelCheckpoint(tmp_path / "models", "value", every=2)
    fit(model, make_batches(), epochs=4, callbacks=[saving, Losses(0.0, 3.0, 1.0, 2.0)][::-1])
    found = {p.name: tn.load(p)["weight"].tolist()[0][0] for p in (tmp_path / "models").iterdir()}
    assert found == {
        "best.safetensors": 1.0, "last.safetensors": 4.0, "epoch_0002.safetensors": 2.0,
        "epoch_0004.safetensors": 4.0,
    }  # fmt: skip


def test_kinds_of_files(tmp_path):
    for kind in ("model", "training"):
        saving = train.ModelCheckpoint(tmp_path / kind, None, kind=kind)
        model = make_model()
        fit(model, make_batches(), callbacks=[saving])
    loaded = tn.load_model(tmp_path / "model" / "last.safetensors")
    assert loaded.weight.tolist() == model.weight.tolist()
    path = tmp_path / "training" / "last.safetensors"
    callbacks = [train.ModelCheckpoint(tmp_path / "more", None, kind="training")]
    assert len(fit(make_model(), make_batches(), epochs=2, checkpoint=path, callbacks=callbacks))
    assert tn.load(path)["epoch"] == 2


@pytest.mark.parametrize(
    "make",
    [lambda: train.EarlyStopping(patience=0), lambda: train.EarlyStopping(mode="best"),
     lambda: train.EarlyStopping(min_delta=-1.0), lambda: train.ModelCheckpoint("a", every=0),
     lambda: train.ModelCheckpoint("a", kind="all")],
)  # fmt: skip
def test_options_that_are_none(make):
    with pytest.raises(ArgumentError):
        make()


def test_a_gain_that_is_no_number():
    with pytest.raises(ArgumentTypeError, match="EarlyStopping: min_delta must be a number, got"):
        train.EarlyStopping(min_delta="a")


def test_order_of_calls():
    seen = []
    names = [name for name in dir(train.Callback) if name.startswith("on_")]
    kind = type(
        "All", (train.Callback,),
        {name: lambda self, trainer, name=name: seen.append(name) for name in names},
    )  # fmt: skip
    fit(make_model(), make_batches(sizes=(2, 2, 2)), accumulate=2, callbacks=[kind()])
    assert seen == [
        "on_fit_start", "on_epoch_start", "on_step_end", "on_step_end", "on_epoch_end", "on_save",
        "on_fit_end",
    ]  # fmt: skip


# Progress
def test_lines_where_there_is_no_terminal(capsys):
    fit(make_model(), make_batches(), epochs=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": loss ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    fit(make_model(), make_batches())
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_in_a_terminal():
    pytest.importorskip("tqdm")
    stream = Terminal()
    model = make_model()
    trainer = train.Trainer(
        model, make_batches(), tn.nn.functional.mse_loss, tn.optim.SGD(model.parameters(), lr=0.1)
    )
    trainer.progress = Progress(None, stream)
    trainer.fit(2)
    text = stream.getvalue()
    assert "Epoch 2/2 100%" in text
    assert "3/3" in text
    assert "samples/s" in text
    assert f"loss {trainer.logs['loss']:.4g}" in text
