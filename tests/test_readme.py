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


CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
FENCES = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def code_of(text):
    """Code blocks in their order; those of the shell without comments, which are translated."""
    return [
        (kind, re.sub(r" +# .*", "", code) if kind == "sh" else code)
        for kind, code in FENCES.findall(text)
    ]


def tables_of(text):
    """The first column of each table, but for its head."""
    tables = re.findall(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[row.split("|")[1].strip() for row in table.splitlines()] for table in tables]


def links_of(text):
    """Where links and pictures lead, but for those from one README to the other."""
    found = re.findall(r"\]\(([^)]+)\)|^\[\w+\]: (\S+)$", text, re.MULTILINE)
    return sorted({inline or named for inline, named in found} - {"README.md", "README.zh.md"})


def names_of(text):
    """All that is set as code within the text: commands, names, variables, each once."""
    return sorted(set(re.findall(r"`([^`]+)`", " ".join(FENCES.sub("", text).split()))))


def numbers_of(text):
    return sorted(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"`[^`]+`", "", FENCES.sub("", text))))


def outline_of(text):
    """What follows what: headings, paragraphs, tables, list items, pictures."""
    shape = []
    for block in re.split(r"\n{2,}", FENCES.sub("```", text)):
        kinds = re.findall(r"^(#+ |\* |\d+\. |\||```|!\[)", block, re.MULTILINE)
        shape.append("".join(kinds) or "text")
    return shape


@pytest.mark.parametrize(
    "part",
    [code_of, tables_of, links_of, names_of, numbers_of, outline_of],
    ids=lambda f: f.__name__,
)
def test_the_chinese_readme_says_the_same(part):
    """Who changes README.md changes README.zh.md too."""
    assert part(CHINESE) == part(README)


def test_each_readme_leads_to_the_other():
    assert README.splitlines()[2] == "[中文](README.zh.md)"
    assert CHINESE.splitlines()[2] == "[English](README.md)"
