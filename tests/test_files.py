"""Files that are written whole or not at all, whatever happens meanwhile."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinynet.data.idx import read_idx
from tinynet.errors import ArgumentError, DataError
from tinynet.files import check_place, replacing, to_write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def write(path, text, **options):
    with replacing(path, **options) as partial:
        partial.write_text(text)


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_made_and_replaced(path, durable):
    write(path, "old", durable=durable)
    write(path, "new", durable=durable)
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["file"]


def test_the_file_is_old_while_the_new_one_is_written(path):
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent


class Stop(BaseException):
    pass


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Stop()])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_exception_leaves_all_as_it_was(path, error, before):
    if before:
        path.write_text(before)

    def write_half():
        with replacing(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert os.listdir(path.parent) == (["file"] if before else [])
    assert not before or path.read_text() == before


@pytest.mark.parametrize("place", ["fsync", "rename"])
def test_the_system_may_fail_at_every_step(path, monkeypatch, place):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    path.write_text("old")
    if place == "rename":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(OSError, match="No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file"]


def test_data_reach_the_disk_before_the_name_does(path, monkeypatch):
    calls = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("sync") or sync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda a, b: calls.append("replace") or replace(a, b))
    write(path, "new")
    assert calls == ["sync", "replace", "sync"]  # of the file, then of its folder
    calls.clear()
    write(path, "new", durable=False)
    assert calls == ["replace"]


def test_a_missing_folder_is_named_as_the_user_did(tmp_path):
    path = tmp_path / "none" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, "new")
    assert caught.value.filename == str(path)


def test_what_is_no_file_is_never_replaced(tmp_path):
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(FileExistsError, match="no file"):
            write(path, "new")
    assert not Path(os.devnull).is_file()


def test_a_path_that_is_no_place_for_a_file(tmp_path):
    def save(path):
        with to_write("save", path):
            write(path, "new")

    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "none" / "file", "No such file or directory"),
        (tmp_path, "there is something that is no file"),
        (tmp_path / "file" / "file", "Not a directory"),
        (tmp_path / "a\0b", "there is a zero in it"),
    ):
        for is_early in (False, True):
            with pytest.raises(DataError) as caught:
                check_place("save", path) if is_early else save(path)
            assert str(caught.value) == (
                f"save: {str(path)!r}: {reason}, expected a file to write, in a folder that is "
                "there"
            )
    check_place("save", tmp_path / "file")
    check_place("save", tmp_path / "new")
    with pytest.raises(OSError, match="No space left"), to_write("save", tmp_path):
        raise OSError(28, "No space left on device")


def writers():
    """What writes files, by the name that its errors have."""
    import tinynet as tn
    from tinynet.train import search

    trial = search.Outcome(search.Trial(0, {"x": 1.0}, 0), 1.0, 1.0)
    history = tn.train.History()
    history.append({"loss": 1.0})
    with tn.profile() as seen:
        pass
    model = tn.nn.Linear(1, 1)
    return {
        "save": lambda path: tn.save({}, path),
        "save ": lambda path: tn.save([], path, pickle=True),
        "save_model": lambda path: tn.save_model(model, path),
        "profile": seen.save,
        "History.plot": history.plot,
        "SearchResults.plot": search.SearchResults([trial]).plot,
        "save_grid": lambda path: tn.viz.save_grid(path, np.ones((1, 2, 2))),
        "History.to_csv": history.to_csv,
        "Graph.save": tn.viz.graph(model(tn.ones(1, 1))).save,
        "export": lambda path: tn.onnx.export(model.eval(), tn.ones(1, 1), path),
        "Vocabulary.save": tn.data.Vocabulary(["a"], unknown=None).save,
    }


def test_whatever_writes_says_which_path_is_no_place(tmp_path):
    pytest.importorskip("matplotlib")
    for folder in (tmp_path / "none", tmp_path):
        path = folder / "x.svg"
        if folder == tmp_path:
            path.mkdir()
        for name, save in writers().items():
            with pytest.raises(DataError) as caught:
                save(path)
            assert str(caught.value).startswith(f"{name.strip()}: {str(path)!r}: ")


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"
    with pytest.raises(OSError, match="File name too long") as caught:
        write(tmp_path / ("x" * 256), "new")
    assert caught.value.filename == str(tmp_path / ("x" * 256))


@pytest.mark.parametrize(
    ("name", "reason"), [("x" * 300, "File name too long"), ("a\0b", "there is a zero in it")]
)
def test_names_that_no_file_can_have(tmp_path, monkeypatch, name, reason):
    pytest.importorskip("matplotlib")
    import tinynet as tn
    from tinynet.train import search

    monkeypatch.chdir(tmp_path)
    readers = {
        "load": tn.load,
        "read_csv": tn.data.read_csv,
        "read_idx": read_idx,
        "read_numpy": tn.data.read_numpy,
        "read_text": tn.data.read_text,
        "History.from_csv": tn.train.History.from_csv,
        "search": search.SearchResults.from_csv,
    }
    for op, read in readers.items():
        with pytest.raises(DataError) as caught:
            read(name)
        assert str(caught.value) == f"{op}: {name!r}: {reason}, expected a file to read"
    for op, save in writers().items():
        with pytest.raises(DataError, match=f"^{op.strip()}: .*: {reason}, expected a file to"):
            save(f"{name}.svg")
    with pytest.raises(DataError, match=f"^random_search: cannot write .*{reason}"):
        search.random_search(abs, {"x": (0.0, 1.0)}, 1, path=name)
    model = tn.nn.Linear(1, 1)
    optimizer = tn.optim.SGD(model.parameters(), 0.1)
    batches = [(tn.ones(1, 1), tn.ones(1, 1))]
    with pytest.raises(DataError, match=f"^fit: cannot write .*{reason}"):
        tn.train.fit(model, batches, tn.nn.functional.mse_loss, optimizer, checkpoint=name)
    with pytest.raises(DataError, match=f"^ModelCheckpoint: cannot write .*{reason}"):
        tn.train.fit(
            model, batches, tn.nn.functional.mse_loss, optimizer,
            callbacks=[tn.train.ModelCheckpoint(name, monitor=None)],
        )  # fmt: skip


def test_a_disk_that_cannot_be_written(path):
    with pytest.raises(DataError, match="Read-only file system, expected"), to_write("save", path):
        raise OSError(errno.EROFS, "Read-only file system", str(path))


def test_pictures_of_no_known_format(tmp_path):
    pytest.importorskip("matplotlib")
    for op in ("History.plot", "SearchResults.plot", "save_grid"):
        path = tmp_path / "x.nope"
        with pytest.raises(ArgumentError) as caught:
            writers()[op](path)
        assert str(caught.value) == f"{op}: {str(path)!r}, expected an ending such as .png or .svg"
        writers()[op](path.with_suffix(".png"))
        assert os.listdir(tmp_path) == ["x.png"]


@pytest.mark.parametrize("encoding", ["nope", "hex", "a\0b", 3])
def test_an_encoding_that_is_none(path, encoding):
    import tinynet as tn

    path.write_text("a\n1\n")
    for read in (tn.data.read_csv, tn.data.read_text):
        with pytest.raises(
            ArgumentError, match=f"{read.__name__}: encoding is .*, expected a name"
        ):
            read(path, encoding=encoding)


@pytest.mark.skipif(os.name == "nt", reason="needs links and modes of Unix")
def test_links_and_modes_stay(path):
    path.write_text("old")
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


WRITER = """
import sys
import tinynet as tn
path = sys.argv[1]
for i in range(1_000_000):
    tn.save({"x": tn.full((40_000,), i), "epoch": i}, path)
    if i == 0:
        print("ready", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals of Unix")
def test_killed_at_any_moment_a_save_leaves_a_whole_file(path):
    import tinynet as tn

    moments = random.Random(0)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        state = tn.load(path)
        assert (state["x"] == state["epoch"]).all()
