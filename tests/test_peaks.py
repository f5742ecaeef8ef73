"""What devices reach: measured once, kept in the process and on disk."""

import json

import pytest

import tinynet as tn
from tinynet import peaks, settings
from tinynet.errors import DeviceError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.CACHE.name, str(tmp_path))
    monkeypatch.setattr(peaks, "SECONDS", 0.02)
    peaks._remembered.cache_clear()
    yield tmp_path / "peaks.json"
    peaks._remembered.cache_clear()


@pytest.fixture
def small(monkeypatch):
    """So small that a measurement takes no time; what it says means nothing."""
    monkeypatch.setattr(peaks, "SMALLEST", 64)
    monkeypatch.setattr(peaks, "LARGEST", 64)
    monkeypatch.setattr(peaks, "ELEMENTS", 1 << 12)


def test_plausible(device, cache, monkeypatch):
    monkeypatch.setattr(peaks, "LARGEST", 512)
    monkeypatch.setattr(peaks, "ELEMENTS", 1 << 20)
    found = tn.measure_peaks(device)
    assert 0.1 < found.flops < 1e6
    assert 0.1 < found.bandwidth < 1e5


def test_rates_are_of_all_that_is_done(cache, small, monkeypatch):
    monkeypatch.setattr(peaks, "_time", lambda run: 0.5)
    assert tn.measure_peaks("cpu").flops == 2 * 64**3 / 0.5 / 1e9
    assert tn.measure_peaks("cpu").bandwidth == 2 * 4 * (1 << 12) / 0.5 / 1e9  # read, and written


def test_short_runs_are_made_longer(cache, small, monkeypatch):
    monkeypatch.setattr(peaks, "_time", lambda run: 1e-3)
    copies = peaks.MOST_COPIES
    assert tn.measure_peaks("cpu").bandwidth == 2 * 4 * (1 << 12) * copies / 1e-3 / 1e9


def test_remembered_by_the_process_and_on_disk(cache, small, monkeypatch):
    found = tn.measure_peaks("cpu")
    monkeypatch.setattr(peaks, "_measure", None)
    assert tn.measure_peaks("cpu") == found
    peaks._remembered.cache_clear()
    assert tn.measure_peaks("cpu") == found
    assert tn.measure_peaks() == found  # the default device


def test_again(cache, small, monkeypatch):
    tn.measure_peaks("cpu")
    monkeypatch.setattr(peaks, "_measure", lambda name: peaks.Peaks(2.0, 3.0))
    assert tn.measure_peaks("cpu", again=True) == (2.0, 3.0)
    peaks._remembered.cache_clear()
    assert tn.measure_peaks("cpu") == (2.0, 3.0)


@pytest.mark.parametrize(
    "entry", [[], [1.0], [1.0, "fast"], [0.0, 1.0], [float("nan"), 1.0], [1.0, -2.0]]
)
def test_entries_that_are_no_peaks_are_measured_again(cache, small, entry):
    tn.measure_peaks("cpu")
    content = json.loads(cache.read_text())
    (table,) = content["peaks"].values()
    table["peaks"] = entry
    cache.write_text(json.dumps(content))
    peaks._remembered.cache_clear()
    found = tn.measure_peaks("cpu")
    assert min(found) > 0
    assert list(json.loads(cache.read_text())["peaks"].values()) == [{"peaks": list(found)}]


def test_a_corrupt_file_costs_a_warning(cache, small):
    cache.write_text("{")
    with pytest.warns(RuntimeWarning, match=r"^measure_peaks: .*peaks\.json is ignored: "):
        found = tn.measure_peaks("cpu")
    assert json.loads(cache.read_text())["format"] == peaks.FORMAT
    peaks._remembered.cache_clear()
    assert tn.measure_peaks("cpu") == found


def test_the_warning_points_at_who_called_tinynet(cache, small):
    with tn.profile() as seen:
        tn.ones(2) + 1
    cache.write_text("{")
    with pytest.warns(RuntimeWarning, match="is ignored") as warned:
        str(seen)
    assert [warning.filename for warning in warned] == [__file__]


def test_no_such_device(cache):
    with pytest.raises(DeviceError, match="no device 'gpu'"):
        tn.measure_peaks("gpu")
