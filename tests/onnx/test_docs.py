"""`docs/onnx.md`: its snippets run, its list of operators is the one there is."""

import re
import textwrap
from doctest import ELLIPSIS, OutputChecker
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
    """Each prints what the text fence behind it says."""
    monkeypatch.chdir(tmp_path)
    names = {}
    fences = re.findall(
        r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE.read_text(), re.DOTALL
    )
    assert len(fences) == 3
    for code, printed in fences:
        exec(code, names)
        found = capsys.readouterr().out
        assert OutputChecker().check_output(printed, found, ELLIPSIS), found
    assert [file.name for file in tmp_path.iterdir()] == ["digits.onnx"]


def test_operators():
    listed = re.search(r"<!-- operators -->\n\n(.*?)\n\n<!-- end", PAGE.read_text(), re.DOTALL)
    assert listed[1] == operators_listed()
