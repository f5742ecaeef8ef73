"""A newcomer's path: README's commands, copied literally, one process each."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

import tinynet as tn
from tinynet.data.images import SAMPLE

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Command line\n")[2].partition("\n## ")[0]
[BLOCK] = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
DRAWN = {"three": ("white", "black", (200, 260)), "seven": ("black", "white", (64, 64)),
         "five": ("#e8e0c8", "#203080", (400, 300))}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three digits of one's own: dark on bright, bright on dark, coloured."""
    folder = tmp_path_factory.mktemp("a new folder")
    for name, (ground, ink, size) in DRAWN.items():
        image = Image.new("RGB", size, ground)
        digit = {"three": "3", "seven": "7", "five": "5"}[name]
        font = ImageFont.load_default(size=int(size[1] * 0.6))
        middle = size[0] / 2, size[1] / 2
        ImageDraw.Draw(image).text(middle, digit, fill=ink, font=font, anchor="mm")
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def outputs(folder):
    """What each command prints, by its name."""
    environment = {"TINYNET_DATA": str(SAMPLE), "TINYNET_CACHE": str(folder / "cache")}
    found = {}
    for line in BLOCK.splitlines():
        if line.startswith("tinynet graph") and not hasattr(tn.viz, "graph"):
            continue
        run = run_command(line, folder, environment)
        assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
        assert "Traceback" not in run.stderr
        found[line.split()[1]] = run.stdout
    return found


def run_command(line, folder, environment):
    me = f'tinynet() {{ {shlex.quote(sys.executable)} -m tinynet "$@"; }}\n'
    here = {"PYTHONPATH": str(Path(tn.__file__).parent.parent)}
    return subprocess.run(
        ["sh", "-c", me + line], cwd=folder, env={**os.environ, **here, **environment},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_devices_are_measured(outputs):
    assert re.search(r"^cpu .* [1-9]\d* +[1-9]\d*$", outputs["devices"], re.MULTILINE)
    assert "Choose " in outputs["devices"]


def test_the_network_learns(outputs, folder):
    accuracy = float(re.search(r"validation accuracy ([\d.]+)", outputs["train"])[1])
    assert accuracy > 0.85
    assert (folder / "runs/mnist-lenet/model.safetensors").exists()


def test_own_digits_are_told(outputs, folder):
    lines = [line.split() for line in outputs["predict"].splitlines()]
    assert lines[0] == ["file", "label", "probability"]
    assert {name: label for name, label, _ in lines[1:]} == {
        "three.png": "3", "seven.png": "7", "five.png": "5",
    }  # fmt: skip
    assert (folder / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_is_shown(outputs, folder):
    assert "Parameters: 61,706" in outputs["summary"]
    if "graph" in outputs:
        assert "<html" in (folder / "lenet.html").read_text(encoding="utf-8")


def test_the_benchmark_ran(outputs):
    assert re.search(r"^mlp +us +\d", outputs["bench"], re.MULTILINE)
