"""docs: snippets run and print what the pages say, names, files and links are real.

A ```text fence right after a ```python fence is what the snippet prints; `...` stands for anything.
One that begins with `# tinynet/FILE.py` is a part of that file. Lines that begin with `# >` in a
snippet say what it prints, on this machine and others: their numbers may differ a little.
"""

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import backends, settings
from tinynet.backends import MODULES, open_backend
from tinynet.backends.opencl.discovery import list_devices
from tinynet.data.images import SAMPLE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TEXTS = {
    page.relative_to(DOCS).as_posix(): page.read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md"))
}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXAMPLE = "how-it-works/one-line.md"

in_pages = pytest.mark.parametrize("page", TEXTS)


def snippets(text):
    """Pairs of a snippet and what it prints, None where the page does not say."""
    fences = list(FENCE.finditer(text))
    for fence, after in zip(fences, [*fences, None][1:], strict=True):
        if fence[1] == "python":
            is_next = after is not None and not text[fence.end() : after.start()].strip()
            yield fence[2], after[2] if is_next and after[1] == "text" else None


@pytest.fixture
def restored():
    """What pages switch on is off again, and devices they add are gone, even where one fails."""
    known = dict(MODULES)
    yield
    tn.use_deterministic_algorithms(False)
    MODULES.clear()
    MODULES.update(known)
    backends.opened[:] = [x for x in backends.opened if x.name.partition(":")[0] in known]


@in_pages
@pytest.mark.filterwarnings("error")
def test_snippets_print_what_the_page_says(page, restored, monkeypatch, tmp_path):
    text = TEXTS[page]
    if "opencl" in text and page.startswith(("how-it-works", "write-your-own")):
        if not list_devices():
            pytest.skip("no OpenCL device")
        if not open_backend("opencl").device.is_cpu:
            pytest.skip("the outputs are those of a CPU")
    monkeypatch.setenv(settings.DATA.name, str(SAMPLE))
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for code, expected in snippets(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), namespace)
        check_output(page, code, expected, printed.getvalue())


def check_output(page, code, expected, found):
    """Compare with a fence, else with the lines `# >`; guides need not say what they print."""
    said = re.findall(r"^ *# > ?(.*)$", code, re.MULTILINE)
    if expected is None and said:
        assert about_equal("\n".join(said), found.rstrip()), (
            f"{page}: after\n{code}\nexpected\n{said}\ngot\n{found}"
        )
    elif expected is not None or page.startswith(("how-it-works", "write-your-own")):
        assert doctest.OutputChecker().check_output(expected or "", found, SAME), (
            f"{page}: after\n{code}\nexpected\n{expected}\ngot\n{found}"
        )


def about_equal(expected, found):
    """Whether words are the same, and numbers within a fifth or 0.05."""
    number = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
    if number.sub("#", expected).split() != number.sub("#", found).split():
        return False
    pairs = zip(number.findall(expected), number.findall(found), strict=True)
    return all(abs(float(a) - float(b)) <= max(0.2 * abs(float(a)), 0.05) for a, b in pairs)


def test_debug_prints_what_the_example_says(tmp_path):
    if not list_devices() or not open_backend("opencl").device.is_cpu:
        pytest.skip("no OpenCL CPU")
    text = TEXTS[EXAMPLE]
    code, _ = next(snippets(text))
    script = tmp_path / "one_line.py"
    script.write_text(code + "loss.item()\n", encoding="utf-8")
    environment = {**os.environ, settings.DEBUG.name: "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True
    )
    said = re.findall(r"^opencl (\w+) .* GFLOP/s$", text, re.MULTILINE)
    launched = re.findall(r"^opencl (\w+) .* GFLOP/s$", done.stderr, re.MULTILINE)
    assert said == ["matmul", "rows_sum"]
    assert launched[-2:] == said
    kernel = next(printed for _, printed in snippets(text) if printed and "rows_sum(" in printed)
    assert kernel in done.stderr


@in_pages
def test_quoted_files_exist_and_say_so(page):
    text = TEXTS[page]
    for path in re.findall(r"`((?:tinynet|tests|examples|benchmarks)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), f"{page}: {path}"
    for path, quoted in re.findall(r"^```text\n# (\S+\.py)\n(.*?)^```$", text, re.M | re.S):
        assert quoted in (ROOT / path).read_text(encoding="utf-8"), f"{page}: {path}"


@in_pages
def test_names_are_real(page):
    for name in re.findall(r"`@?(tn(?:\.\w+)+)", TEXTS[page]):
        found = tn
        for part in name.split(".")[1:]:
            assert hasattr(found, part), f"{page}: {name}"
            found = getattr(found, part)


@in_pages
def test_links_lead_to_pages_and_pictures(page):
    for target in re.findall(
        r"\]\(((?!https?:)[^)#\s]+)(?:#[\w-]+)?\)", FENCE.sub("", TEXTS[page])
    ):
        assert (DOCS / page).parent.joinpath(target).resolve().exists(), f"{page}: {target}"


@in_pages
def test_diagrams_name_no_node_as_mermaid_names_its_own_things(page):
    """A node called `graph` or `end` makes a diagram one that is not drawn."""
    for kind, diagram in FENCE.findall(TEXTS[page]):
        if kind == "mermaid":
            assert re.match(r"flowchart (?:LR|RL|TB|BT)\n", diagram)
            names = set(re.findall(r"^ +(\w+)|> (\w+)", diagram, re.MULTILINE))
            assert {"graph", "end", "subgraph", "class", "style"}.isdisjoint(sum(names, ()))


def test_the_protocol_is_listed_in_full():
    base = importlib.import_module("tinynet.backends.base")
    names = {name for name in vars(base.Backend) if not name.startswith("_")}
    listed = set(re.findall(r"`(\w+)`", "".join(table_rows("how-it-works/backends.md"))))
    assert {name.removesuffix("_backward") for name in names} <= listed


def test_sizes_of_parts_are_about_right():
    rows = [
        re.match(r"\| `(\S+)` .*\| (\d+) +\|", row) for row in table_rows("how-it-works/index.md")
    ]
    sizes = {row[1]: int(row[2]) for row in rows if row}
    assert len(sizes) > 10
    for path, said in sizes.items():
        lines = count_lines(ROOT / path)
        assert abs(lines - said) <= said / 4, f"how-it-works/index.md: {path} has {lines} lines"


def test_what_is_said_to_be_missing_is():
    """Names without `tn.` before them, in the page's last part."""
    section = TEXTS["coming-from-pytorch.md"].partition("## What is missing")[2]
    names = set(re.findall(r"`([A-Za-z]\w+)`", section)) - {"OMP_NUM_THREADS"}
    places = (tn, tn.Tensor, tn.nn, tn.nn.functional, tn.nn.utils, tn.optim, tn.data, tn.linalg)
    assert len(names) > 40
    assert not [name for name in sorted(names) for place in places if hasattr(place, name)]


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/-]+\.md$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(TEXTS)


def test_settings_are_listed():
    text = TEXTS["devices-and-performance.md"]
    rows = dict(re.findall(r"^\| `(TINYNET_\w+)` +\|(.*)\|$", text, re.MULTILINE))
    assert list(rows) == [setting.name for setting in settings.ALL]
    for setting in settings.ALL:
        default = f"`{setting.default}`" if setting.default != "" else ""
        assert [cell.strip() for cell in rows[setting.name].split("|")] == [default, setting.does]


def table_rows(page):
    return [line for line in TEXTS[page].splitlines() if line.startswith("|")]


def count_lines(path):
    """Lines of a file, or of all Python and OpenCL files in a folder."""
    files = [path] if path.is_file() else [*path.rglob("*.py"), *path.rglob("*.cl")]
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
