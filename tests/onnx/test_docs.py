"""`docs/onnx.md`: its snippets run, its list of operators is the one there is."""

import re
import textwrap
from pathlib import Path

from tinynet.onnx import supported

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"


def operators_listed():
    """The list as the page has it: names with the first opset, unless that is 1."""
    words = [
        f"`{name}` {since}" if since > 1 else f"`{name}`" for name, since in supported().items()
    ]
    return textwrap.fill(", ".join(words), 100, break_long_words=False, break_on_hyphens=False)


def test_snippets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(snippet, names)
    printed = capsys.readouterr().out
    shown = re.findall(r"^    (\[.*|Graph\(.*|  image.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(shown) == 3
    for line in shown:
        assert line in printed


def test_operators():
    listed = re.search(r"<!-- operators -->\n\n(.*?)\n\n<!-- end", PAGE.read_text(), re.DOTALL)
    assert listed[1] == operators_listed()
