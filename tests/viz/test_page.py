"""The page of a graph: what it is made of, and how it behaves in a browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from tinynet.viz import Graph, Vertex

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
N = 12

# Runs in the page; the test reads what it leaves in the body's data.
DRIVER = """
<script>
const seen = {errors: []};
addEventListener("error", event => seen.errors.push(event.message));
addEventListener("load", () => {
  const view = () => drawing.dataset.view.split(" ").map(Number);
  const stage = document.getElementById("stage");
  const key = (name, target = document.body) =>
    target.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
  const pointer = (kind, id, x, y, target = stage) => target.dispatchEvent(new PointerEvent(
    kind, {pointerId: id, clientX: x, clientY: y, bubbles: kind !== "pointerenter"}));
  stage.setPointerCapture = () => {};  // which knows no pointers that are not there
  seen.start = view();
  stage.dispatchEvent(new WheelEvent("wheel", {deltaY: -100, clientX: 300, clientY: 300}));
  seen.wheel = view();
  key("0"); seen.all = view();
  const shown = () => vertices.filter(vertex => vertex.style.display !== "none").length;
  seen.shown = [shown()];
  zoom(20); seen.shown.push(shown()); key("0"); seen.shown.push(shown());
  key("ArrowRight"); seen.right = view();
  key("+"); seen.plus = view();
  key("0");
  pointer("pointerdown", 1, 100, 200); pointer("pointermove", 1, 130, 190);
  seen.dragged = view();
  pointer("pointerdown", 2, 230, 190); pointer("pointermove", 2, 330, 190);
  seen.pinched = view();
  pointer("pointerup", 1, 0, 0); pointer("pointerup", 2, 0, 0); pointer("pointermove", 1, 9, 9);
  seen.released = view();
  key("/"); seen.focus = document.activeElement.id;
  search.value = "step 3"; search.dispatchEvent(new Event("input"));
  seen.found = found.textContent;
  seen.matches = document.querySelectorAll(".match").length;
  key("Enter", search); seen.next = view(); seen.turn = found.textContent;
  key("Escape", search); seen.cleared = document.querySelectorAll(".match").length;
  const vertex = document.querySelectorAll(".vertex")[3];
  pointer("pointerenter", 1, 50, 60, vertex);
  seen.tip = [tip.style.display, tip.textContent];
  seen.near = document.querySelectorAll(".edge.near").length;
  pointer("pointerleave", 1, 50, 60, vertex);
  seen.gone = tip.style.display;
  document.body.dataset.seen = JSON.stringify(seen);
});
</script>
"""


def make_chain():
    vertices = [
        Vertex(f"step {i}", "operation", f"s{i}", "", (("shape", f"({i}, <2>)"),)) for i in range(N)
    ]
    return Graph("chain", vertices, [(i, i + 1) for i in range(N - 1)])


class Structure(HTMLParser):
    """Checks that elements close in order, and notes what they refer to."""

    VOID = ("meta", "input")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.outside = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given[name] for name in ("id",) if name in given]
        self.outside += [given[name] for name in ("src", "href") if name in given]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_structure():
    page = make_chain().to_html()
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert structure.outside == []  # nothing is fetched
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert len(set(structure.ids)) == len(structure.ids)
    script = page[page.index('"use strict"') :]
    for name in re.findall(r'getElementById\("(\w+)"\)', script):
        assert name in structure.ids
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])
    assert facts[3] == {"tip": "shape: (3, <2>)", "search": "step 3 s3  operation  shape: (3, <2>)"}


@pytest.mark.skipif(BROWSER is None, reason="no browser: chromium or google-chrome")
def test_in_a_browser(tmp_path):
    page = (
        make_chain()
        .to_html()
        .replace('<script type="application', DRIVER + '<script type="application', 1)
    )
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=800,600",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "page.html").as_uri(),
    ]  # fmt: skip
    for _ in range(3):  # browsers crash on machines that are busy, before they have read a page
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode >= 0:
            break
    assert done.returncode == 0, done.stderr
    text = re.search(r'<body data-seen="(.*?)">', done.stdout)[1].replace("&quot;", '"')
    seen = json.loads(text.replace("&lt;", "<").replace("&gt;", ">"))
    assert seen["errors"] == []

    scale, x, y = seen["start"]
    assert seen["wheel"][0] == pytest.approx(scale * 1.2214, rel=1e-2)
    assert seen["all"] != seen["wheel"]
    scale, x, y = seen["all"]
    assert seen["right"] == pytest.approx([scale, x - 60, y])
    assert seen["plus"][0] == pytest.approx(scale * 1.25, rel=1e-2)
    assert seen["dragged"] == pytest.approx([scale, x + 30, y - 10])
    assert seen["pinched"][0] == pytest.approx(scale * 2, rel=1e-2)  # 100 pixels apart, then 200
    assert seen["released"] == seen["pinched"]
    assert seen["focus"] == "search"
    assert (seen["found"], seen["matches"], seen["turn"]) == ("1 found", 1, "1 of 1")
    assert seen["next"][0] >= 1
    assert seen["cleared"] == 0
    assert seen["tip"] == ["block", "shape: (3, <2>)"]
    assert seen["near"] == 2
    assert seen["gone"] == "none"
    everything, part, again = seen["shown"]  # what is out of sight is not drawn
    assert everything == again == N
    assert 0 < part < N
