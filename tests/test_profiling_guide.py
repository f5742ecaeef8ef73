"""The guide to profiles and graphs: its code runs, in order; its pictures are there, and small."""

import re
from pathlib import Path

from tinynet import peaks, settings
from tinynet.peaks import Peaks

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "profiling-and-graphs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.CACHE.name, str(tmp_path / "cache"))
    monkeypatch.setattr(peaks, "_remembered", lambda name: Peaks(100.0, 10.0))
    names = {}
    for code in BLOCKS:
        exec(compile(code, "profiling-and-graphs.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "peak of cpu, measured: 100.0 GFLOP/s, 10.0 GB/s" in printed
    assert "graph: 1 input, 4 parameters, 5 operations, 1 output, 10 edges" in printed
    assert "  linear       linear       128x128 float32  images, 0.weight, 0.bias" in printed
    assert "kernels: 84 kernels" in printed
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"trace.json", "graph.html", "graph.svg", "graph.mmd", "graph.dot"}


def test_pictures():
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", TEXT)
    assert len(pictures) == 2
    for name in pictures:
        assert 1000 < (DOCS / name).stat().st_size < 150_000
