"""A newcomer's path: README's commands, copied literally, one process each."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from tinynet.data.images import SAMPLE

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Command line\n")[2].partition("\n## ")[0]
[BLOCK] = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
LABELS = {"three.png": "3", "seven.png": "7", "five.png": "5"}
LOOKS = [
    ("white", "black", (200, 260)),
    ("black", "white", (64, 64)),
    ("#e8e0c8", "#203080", (400, 300)),
]


@pytest.fixture
def folder(tmp_path):
    """A folder with three digits of one's own: dark on bright, bright on dark, coloured."""
    folder = tmp_path / "a new folder"
    folder.mkdir()
    for (name, digit), (ground, ink, size) in zip(LABELS.items(), LOOKS):
        image = Image.new("RGB", size, ground)
        font = ImageFont.load_default(size=int(size[1] * 0.6))
        middle = size[0] / 2, size[1] / 2
        ImageDraw.Draw(image).text(middle, digit, fill=ink, font=font, anchor="mm")
        image.save(folder / name)
    return folder


def run(line, folder):
    """What a line for the shell prints; `tinynet` is this one, in a process of its own."""
    me = f'tinynet() {{ {shlex.quote(sys.executable)} -m tinynet "$@"; }}\n'
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "TINYNET_DATA": str(SAMPLE),
        "TINYNET_CACHE": str(folder / "cache"),
    }  # fmt: skip
    ended = subprocess.run(
        ["sh", "-c", me + line], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
    assert "Traceback" not in ended.stderr
    return ended.stdout


def test_the_path(folder):
    """One test, since each worker of pytest-xdist would run the commands for its own share."""
    lines = BLOCK.splitlines()
    printed = {line.split()[1]: run(line, folder) for line in lines}

    speeds = re.search(r"^cpu .* (\S+) +(\S+)$", printed["devices"], re.MULTILINE)
    assert all(float(speed.replace(",", "")) > 0 for speed in speeds.groups())
    assert "Choose " in printed["devices"]

    assert float(re.search(r"validation accuracy ([\d.]+)", printed["train"])[1]) > 0.85
    assert (folder / "runs/mnist-lenet/model.safetensors").exists()

    titles, *rows = [row.split() for row in printed["predict"].splitlines()]
    assert titles == ["file", "label", "probability"]
    assert {name: label for name, label, _ in rows} == LABELS
    assert (folder / "seen.png").read_bytes().startswith(b"\x89PNG")

    assert "Parameters: 61,706" in printed["summary"]
    if "graph" in printed:
        assert "<html" in (folder / "lenet.html").read_text(encoding="utf-8")
    assert re.search(r"^mlp +us +\d", printed["bench"], re.MULTILINE)
