"""Checkpoints that are damaged, of other runs, or cannot be written: what is there stays."""

import os
import resource

import pytest

import tinynet as tn
from tests.train.killing import make_trainer
from tests.train.test_loop import fit, make_batches, make_model
from tinynet import nn, train
from tinynet.errors import ArgumentError, DataError, StateError


@pytest.fixture
def path(tmp_path):
    """A checkpoint of one epoch of SGD."""
    path = tmp_path / "run"
    fit(make_model(), make_batches(), checkpoint=path)
    return path


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "weights"])
def test_damaged_checkpoint(path, damage):
    content = path.read_bytes()
    if damage == "weights":
        tn.save(make_model().state_dict(), path)
    else:
        path.write_bytes(
            {"cut": content[:-20], "flipped": b"\xff" + content[1:], "empty": b"", "other": b"a"}
            .get(damage)
        )  # fmt: skip
    content = path.read_bytes()
    with pytest.raises(DataError) as caught:
        fit(make_model(), make_batches(), checkpoint=path)
    assert str(path) in str(caught.value)
    assert str(caught.value).startswith("fit: ")
    assert path.read_bytes() == content


def test_checkpoint_of_another_run(path):
    content = path.read_bytes()
    with pytest.raises(StateError, match=r"0\.weight"):
        fit(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), make_batches(), checkpoint=path)
    model = make_model()
    adam = tn.optim.Adam(model.parameters())
    with pytest.raises(StateError, match="has optimizer 'SGD', expected 'Adam'"):
        fit(model, make_batches(), optimizer=adam, checkpoint=path)
    with pytest.raises(StateError, match=r"has callbacks \[\], expected \['EarlyStopping'\]"):
        fit(model, make_batches(), callbacks=[train.EarlyStopping()], checkpoint=path)
    assert path.read_bytes() == content


def test_accumulation_that_changed(tmp_path):
    path = tmp_path / "run"
    trainer = make_trainer("cpu", path, accumulate=3)
    trainer.step = 1
    trainer.gathered.count(4, trainer.optimizer)
    trainer.save()
    with pytest.raises(StateError, match=r"accumulate=3 .* got 2"):
        make_trainer("cpu", path, accumulate=2).fit(1)


def test_a_name_that_promises_another_format(path):
    old = path.rename(path.with_suffix(".pt"))  # as versions before wrote it
    with pytest.raises(ArgumentError, match=r"^fit: .*: tinynet writes safetensors"):
        fit(make_model(), make_batches(), epochs=2, checkpoint=old)


def test_full_disk(path):
    """The system refuses to write files of more than 100 bytes."""
    content = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(DataError, match=r"fit: cannot write .*; the file that was there is un"):
            fit(make_model(), make_batches(), epochs=2, checkpoint=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]
    assert len(fit(make_model(), make_batches(), epochs=2, checkpoint=path)) == 2


def test_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="no folder, expected one to write into"):
        fit(make_model(), make_batches(), checkpoint=tmp_path / "none" / "run")


@pytest.mark.parametrize("make", ["fit", "ModelCheckpoint"])
def test_read_only_folder(make):
    """Found before anything is trained; /proc is one for root too."""
    options = {
        "fit": {"checkpoint": "/proc/self/run"},
        "ModelCheckpoint": {"callbacks": [train.ModelCheckpoint("/proc/self/runs")]},
    }[make]
    if not os.path.isdir("/proc/self"):
        pytest.skip("no /proc")
    model = make_model()
    before = model.weight.tolist()
    with pytest.raises(DataError, match=f"{make}: cannot write '/proc/self"):
        fit(model, make_batches(), **options)
    assert model.weight.tolist() == before
