"""Tuned choices: what is measured, what is remembered, what a bad file or folder does."""

import json
import math
import os
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinynet import settings
from tinynet.backends.opencl import tuner as tuner_module
from tinynet.backends.opencl.tuner import Tuner, fastest, open_tuner
from tinynet.errors import ArgumentError, KernelError, OutOfMemoryError

cl = pytest.importorskip("pyopencl")

TILES = [(8, 48), (4, 64), (16, 16)]
SECONDS = {(8, 48): 3e-3, (4, 64): 1e-3, (16, 16): 2e-3}


class Meter:
    """A stand-in for running kernels: takes the time from a table and counts the runs."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.runs = []

    def __call__(self, candidate):
        self.runs.append(candidate)
        found = self.seconds[candidate]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "tuned.json"


def choose(path, *, enabled=True, key="matmul", device="GPU", meter=None):
    return Tuner(path, enabled, device).choose(key, TILES, meter or Meter(SECONDS))


def test_the_fastest_is_chosen_and_remembered(path):
    assert choose(path) == (4, 64)
    silent = Meter({})
    assert choose(path, meter=silent) == (4, 64)
    assert choose(path, meter=silent, enabled=False) == (4, 64)
    assert silent.runs == []
    assert json.loads(path.read_text()) == {
        "format": 2, "choices": {"GPU": {"matmul": [4, 64]}},
    }  # fmt: skip
    assert os.listdir(path.parent) == ["tuned.json"]


def test_one_tuner_reads_once(path):
    tuner = Tuner(path, True, "GPU")
    tuner.choose("matmul", TILES, Meter(SECONDS))
    path.unlink()
    assert tuner.choose("matmul", TILES, Meter({})) == (4, 64)


def test_devices_and_keys_are_kept_apart(path):
    choose(path)
    for place in ({"key": "sum"}, {"device": "CPU"}):
        meter = Meter({**SECONDS, (8, 48): 1e-4})
        assert choose(path, meter=meter, **place) == (8, 48)
    assert choose(path, meter=Meter({})) == (4, 64)


def test_disabled_takes_the_first_and_writes_nothing(path):
    meter = Meter(SECONDS)
    assert choose(path, enabled=False, meter=meter) == (8, 48)
    assert meter.runs == []
    assert not path.parent.exists()


def test_a_choice_that_is_no_candidate_any_more(path):
    choose(path)
    tuner = Tuner(path, True, "GPU")
    assert tuner.choose("matmul", [(2, 2), (3, 3)], Meter({(2, 2): 2.0, (3, 3): 1.0})) == (3, 3)


def test_the_median_of_a_few_runs_counts_and_not_the_first():
    times = iter([*(9.0, 1.0, 1.0, 9.0, 9.0, 1.0), *(9.0, 2.0, 2.0, 2.0, 0.1, 2.0)])
    assert fastest("matmul", TILES[:2], lambda candidate: next(times)) == (8, 48)
    assert list(times) == []


def test_slow_candidates_are_run_less(monkeypatch):
    meter = Meter({(4, 64): 1e-3, (8, 48): 4e-3})
    fastest("matmul", [(4, 64), (8, 48)], meter)
    assert meter.runs.count((4, 64)) == 6
    assert meter.runs.count((8, 48)) == 2
    monkeypatch.setattr(tuner_module, "SECONDS", 0)
    runs = []
    fastest("matmul", TILES[:1], lambda candidate: runs.append(candidate) or time.perf_counter())
    assert len(runs) == 2


@pytest.mark.parametrize(
    "failure",
    [KernelError("kernel"), OutOfMemoryError("full"), cl.LogicError("INVALID_WORK_GROUP_SIZE"),
     math.inf, math.nan],
)  # fmt: skip
def test_a_candidate_that_fails_is_not_chosen(failure):
    seconds = dict.fromkeys(TILES, failure)
    assert fastest("matmul", TILES, Meter({**seconds, (16, 16): 9.0})) == (16, 16)
    with pytest.raises(KernelError) as caught:
        fastest("matmul", TILES, Meter(seconds))
    why = failure if isinstance(failure, Exception) else "no time is a number"
    assert str(caught.value) == f"tune matmul: none of 3 candidates ran: {why}"


def test_a_mistake_in_the_measurement_is_not_hidden(path):
    with pytest.raises(ZeroDivisionError):
        choose(path, meter=lambda candidate: 1 / 0)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "[" * 100_000, '{"name": "other"}', "\x00", '{"format": 2}',
     '{"format": 2, "choices": {"GPU": 3}}', '{"format": 2, "choices": {"GPU": {"matmul": 3}}}'],
    ids=range(10),
)  # fmt: skip
def test_a_bad_file_is_ignored_once_and_replaced_by_what_is_measured(path, text):
    path.parent.mkdir()
    path.write_text(text)
    tuner = Tuner(path, False, "GPU")
    with pytest.warns(RuntimeWarning, match=r"^tune: .*tuned\.json is ignored: "):
        assert tuner.choose("matmul", TILES, Meter({})) == (8, 48)
    assert path.read_text() == text
    tuner.enabled = True
    assert tuner.choose("matmul", TILES, Meter(SECONDS)) == (4, 64)
    assert choose(path, meter=Meter({})) == (4, 64)


def test_bytes_that_are_no_text(path):
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.warns(RuntimeWarning, match="is ignored"):
        assert choose(path, enabled=False) == (8, 48)


def test_a_file_of_another_format_is_measured_anew(path):
    choose(path)
    path.write_text(path.read_text().replace('"format": 2', '"format": 0'))
    meter = Meter(SECONDS)
    assert choose(path, meter=meter) == (4, 64)
    assert meter.runs


def test_processes_at_the_same_time_keep_each_other_s_choices(path):
    first, second = Tuner(path, True, "GPU"), Tuner(path, True, "GPU")
    for tuner in (first, second):
        assert tuner.choose("sum", TILES, Meter(SECONDS)) == (4, 64)
    first.choose("first", TILES, Meter(SECONDS))
    second.choose("second", TILES, Meter(SECONDS))
    choices = json.loads(path.read_text())["choices"]["GPU"]
    assert sorted(choices) == ["first", "second", "sum"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("a file where the folder should be")
    tuner = Tuner(tmp_path / "file" / "tuned.json", True, "GPU")
    with pytest.warns(RuntimeWarning, match=r"^tune: "):
        assert tuner.choose("matmul", TILES, Meter(SECONDS)) == (4, 64)
    assert tuner.choose("sum", TILES, Meter(SECONDS)) == (4, 64)  # without another warning
    assert tuner.choose("matmul", TILES, Meter({})) == (4, 64)


def test_a_file_that_cannot_be_replaced(path, monkeypatch):
    def replace(self, target):
        raise PermissionError("read only")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.warns(RuntimeWarning, match="^tune: choices last as long as this process: read o"):
        assert choose(path) == (4, 64)
    assert os.listdir(path.parent) == []


def test_the_tuner_of_a_device(monkeypatch, tmp_path):
    monkeypatch.setenv(settings.CACHE.name, str(tmp_path))
    monkeypatch.delenv(settings.TUNE.name, raising=False)
    driver = SimpleNamespace(name="NVIDIA CUDA")
    cl_device = SimpleNamespace(name="H100", platform=driver, type=cl.device_type.GPU,
                                driver_version="550", max_compute_units=132)  # fmt: skip
    tuner = open_tuner(cl_device)
    assert tuner.path == tmp_path / "tuned.json"
    assert tuner.device == "H100, 132 units, NVIDIA CUDA 550"
    assert not tuner.enabled
    monkeypatch.setenv(settings.TUNE.name, "1")
    assert open_tuner(cl_device).enabled


@pytest.mark.parametrize("text", ["yes", "2", "-1", "1.0"])
def test_a_switch_is_0_or_1(monkeypatch, text):
    monkeypatch.setenv(settings.TUNE.name, text)
    with pytest.raises(ArgumentError) as caught:
        settings.TUNE.get()
    assert str(caught.value) == f"TINYNET_TUNE: expected a number from 0 to 1, got {text!r}"


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(settings.CACHE.name, str(tmp_path / "named"))
    assert settings.cache_folder() == tmp_path / "named"
    monkeypatch.delenv(settings.CACHE.name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    expected = {
        "linux": tmp_path / "xdg" / "tinynet",
        "darwin": tmp_path / "Library" / "Caches" / "tinynet",
        "win32": tmp_path / "local" / "tinynet" / "tinynet" / "Cache",
    }
    for system, folder in expected.items():
        monkeypatch.setattr(sys, "platform", system)
        assert settings.cache_folder() == folder
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert settings.cache_folder() == tmp_path / ".cache" / "tinynet"


@pytest.mark.parametrize("setting", [settings.CACHE, settings.DATA])
def test_a_folder_of_nobody(monkeypatch, setting):
    monkeypatch.setenv(setting.name, "~/here")
    assert setting.get() == str(Path.home() / "here")
    monkeypatch.setenv(setting.name, "~nobody-of-this-name/here")
    with pytest.raises(ArgumentError) as caught:
        setting.get()
    assert str(caught.value) == (
        f"{setting.name}: nobody's home is '~nobody-of-this-name', got '~nobody-of-this-name/here'"
    )


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_a_user_without_a_home_has_no_cache(monkeypatch, system):
    for name in (settings.CACHE.name, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(sys, "platform", system)
    assert settings.cache_folder() is None
    tuner = Tuner(settings.cache_file("tuned.json"), True, "GPU")
    assert tuner.choose("matmul", TILES, Meter(SECONDS)) == (4, 64)
    assert tuner.choose("matmul", TILES, Meter({})) == (4, 64)


def test_cache_folder_is_pooch_s():
    pooch = pytest.importorskip("pooch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not settings.CACHE.get():
            assert settings.cache_folder() == Path(pooch.os_cache("tinynet"))
