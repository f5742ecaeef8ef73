"""The command as a whole: help, errors and exit statuses, terminals and pipes."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

import tinynet as tn
from tinynet.cli import app, console, devices
from tinynet.errors import DataError

COMMANDS = ("devices", "train", "predict", "summary", "graph", "profile", "bench")


def in_process_of_its_own(*arguments, **more):
    command = [sys.executable, "-m", "tinynet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def test_version(tinynet):
    assert tinynet("--version") == (0, f"tinynet {tn.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_the_commands(tinynet, arguments):
    status, out, err = tinynet(*arguments)
    assert (status, err) == (0, "")
    assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_examples(tinynet, name):
    status, out, _ = tinynet(name, "--help")
    assert status == 0
    assert f"  tinynet {name} " in out.partition("Examples:")[2]
    assert not re.search("[─│╭\x1b]", out)  # no boxes and no colours in a pipe


def test_help_in_a_terminal_is_rich(tinynet, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "─" in tinynet("devices", "--help").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian", "mnist"), "No such command 'trian'. Did you mean 'train'?; see tinynet --help"),
        (
            ("train", "mnist", "--epoch", "3"),
            "No such option: --epoch",
        ),
        (("train",), "Missing argument 'dataset'; see tinynet train --help"),
        (("train", "mnist", "--epochs", "many"), "Invalid value for '--epochs' / '-e'"),
        (("predict", "model", "file", "--json", "--csv"), "--json and --csv, expected one of them"),
    ],
)
def test_wrong_uses_are_told_in_a_line(fails, arguments, message):
    found = fails(*arguments, status=2)
    assert message.lower().split("; see")[0] in found.lower()
    assert "--help" in found


def raising(monkeypatch, error):
    def listed():
        raise error

    monkeypatch.setattr(tn, "devices", listed)


def test_errors_are_one_line(fails, monkeypatch):
    raising(monkeypatch, DataError("this: came,\n  expected that"))
    assert fails("devices") == "tinynet: this: came, expected that\n"


def test_errors_of_the_system_are_one_line(fails, monkeypatch):
    raising(monkeypatch, PermissionError(13, "Permission denied", "weights"))
    assert fails("devices") == "tinynet: weights: Permission denied\n"


def test_debug_shows_where(tinynet, monkeypatch):
    raising(monkeypatch, DataError("this came"))
    status, _, err = tinynet("--debug", "devices")
    assert status == 1
    assert "Traceback" in err
    assert err.endswith("tinynet: this came\n")


def test_programming_errors_keep_their_traceback(tinynet, monkeypatch):
    raising(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        tinynet("devices")


def test_ctrl_c(tinynet, monkeypatch):
    raising(monkeypatch, KeyboardInterrupt())
    status, out, err = tinynet("devices")
    assert (status, out) == (130, "")
    assert "Traceback" not in err


def test_a_reader_that_went_away(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tinynet", "--version"]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert run.returncode == 1
    assert run.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="no such shell here")
@pytest.mark.parametrize(
    ("line", "status"), [("--version >&-", 0), ("trian >&-", 2), ("trian 2>&-", 2)]
)
def test_streams_that_are_closed(line, status):
    command = f"{shlex.quote(sys.executable)} -m tinynet {line}"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (status, "")
    assert ran.stderr.count("\n") == ("trian >" in line)


def test_labels_and_names_that_a_stream_cannot_show(tinynet, tmp_path):
    path = tmp_path / "f\u00e9.csv"
    path.write_text("x,y\n" + "1,r\u00f4se\n2,\u767e\u5408\n" * 5, encoding="utf-8")
    assert tinynet("train", path, "--target", "y", "--epochs", "0", "--out", "run").status == 0
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    ran = in_process_of_its_own("predict", "run", str(path), env=environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert r"f\xe9.csv:1" in ran.stdout
    ran = in_process_of_its_own("predict", "run", str(path), "--json", env=environment)
    found = json.loads(ran.stdout)
    assert found[0]["file"] == f"{path}:1"
    assert {each["label"] for each in found[0]["top"]} <= {"r\u00f4se", "\u767e\u5408"}


def test_shell_completion():
    words = {"COMP_WORDS": "tinynet pre", "COMP_CWORD": "1"}
    environment = {**os.environ, **words, "_TINYNET_COMPLETE": "complete_bash"}
    assert in_process_of_its_own(env=environment).stdout.split() == ["predict"]


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_its_packages(tinynet, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    expected = "tinynet: the command needs typer and rich: pip install 'tinynet[cli]'\n"
    assert tinynet("devices") == (1, "", expected)


def test_warnings_are_a_line(tinynet, monkeypatch, recwarn):
    import warnings

    def listed():
        warnings.warn("mind\nthis", stacklevel=1)
        return []

    monkeypatch.setattr(tn, "devices", listed)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert tinynet("devices", "--json") == (0, "[]\n", "tinynet: warning: mind this\n")


def test_tables_in_terminals_have_lines(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    console.print_table(["name", "n"], [["[red]a", "1"]], right="n")
    out = capsys.readouterr().out
    assert "┃" in out
    assert "[red]a" in out  # no markup of rich's


def test_devices(tinynet):
    status, out, _ = tinynet("devices")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split()[:3] == ["device", "hardware", "driver"]
    assert [line.split()[0] for line in lines[1:]] == [device.name for device in tn.devices()]


def test_devices_measured(tinynet, monkeypatch):
    speeds = {"cpu": (50.0, 10.0), "opencl": (200.0, 20.0), "opencl:1": (1.0, 1.0)}

    class Peaks:
        def __init__(self, device):
            self.flops, self.bandwidth = speeds[device]

    monkeypatch.setattr(tn, "measure_peaks", lambda device, again: Peaks(device))
    first = tn.devices()[0]
    found = [first, first._replace(name="opencl", kind="gpu"),
             first._replace(name="opencl:1", kind="simulator")]  # fmt: skip
    monkeypatch.setattr(tn, "devices", lambda: found)
    out = tinynet("devices", "--bench").out.splitlines()
    assert [line.split()[-2:] for line in out[:4]] == [
        ["GFLOP/s", "GB/s"], ["50", "10"], ["200", "20"], ["-", "-"],
    ]  # fmt: skip
    assert out[4].startswith("Choose opencl for convolutions")
    cpu = {"GFLOP/s": 186.0, "GB/s": 17.0}
    slower, quicker = ({"GFLOP/s": 173.0, "GB/s": rate} for rate in (15.0, 37.0))
    assert devices.advice({"cpu": cpu, "opencl": slower}).startswith("Choose cpu")
    assert devices.advice({"cpu": cpu, "opencl": quicker}).startswith("Choose opencl")


def test_every_command_has_its_file():
    assert tuple(module.__name__.rpartition(".")[2] for module in app.COMMANDS) == COMMANDS
