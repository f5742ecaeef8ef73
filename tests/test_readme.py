"""README: its code runs, its tables are true."""

import re
from pathlib import Path

import pytest

from tinynet import settings
from tinynet.backends.opencl.discovery import list_devices
from tinynet.data.images import SAMPLE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", BLOCKS)
def test_code_runs(code, monkeypatch, capsys, tmp_path):
    if "opencl" in code and not list_devices():
        pytest.skip("no OpenCL device")
    monkeypatch.setenv(settings.DATA.name, str(SAMPLE))
    monkeypatch.chdir(tmp_path)  # some of it writes files
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    if "after one epoch" in code:
        accuracy = re.search(r"after one epoch: ([\d.]+)%", printed)
        assert float(accuracy[1]) > 75


def test_settings_are_listed():
    for setting in settings.ALL:
        row = rf"^\| `{setting.name}` +\| (?:`{setting.default}`)? +\| {setting.does} +\|$"
        assert re.search(row, README, re.MULTILINE), setting.name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
