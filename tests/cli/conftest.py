"""The command in this process, in an empty folder, with a few digits of the sample for MNIST."""

import gzip
from typing import NamedTuple

import pytest

from tinynet import settings
from tinynet.cli import main
from tinynet.data.images import SAMPLE

DIGITS = 300  # of each part of the sample


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with the first digits of each part of the sample, as `TINYNET_DATA` wants it."""
    folder = tmp_path_factory.mktemp("digits")
    for path in SAMPLE.glob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        start, size = (16, 28 * 28) if "idx3" in path.name else (8, 1)
        head = content[:4] + DIGITS.to_bytes(4, "big") + content[8:start]
        (folder / path.stem).write_bytes(head + content[start : start + DIGITS * size])
    return folder


@pytest.fixture
def tinynet(monkeypatch, capsys, tmp_path, digits):
    """`tinynet("train", "mnist")` runs that command in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.DATA.name, str(digits))
    monkeypatch.delenv(settings.DEVICE.name, raising=False)

    def run(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def fails(tinynet):
    """`fails("train", "mnits")` gives the one line that a wrong use ends with."""

    def run(*arguments, status=1):
        ended = tinynet(*arguments)
        assert ended.status == status, ended
        assert ended.err.startswith("tinynet: ")
        assert ended.err.count("\n") == 1, ended.err
        return ended.err

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, digits):
    """The folder of a run on the digits, good enough to be asked."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.DATA.name, str(digits))
        options = ["--epochs", "12", "--batch-size", "16", "--quiet", "--out", str(folder)]
        assert main(["train", "mnist", "--model", "mlp", *options]) == 0
    return folder
