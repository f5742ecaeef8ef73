"""`viz.graph`: what autodiff recorded, as vertices and edges, texts and files."""

import re
import shutil
import stat
import xml.etree.ElementTree as ET

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    MissingDependencyError,
)
from tinynet.viz import Graph, Vertex, graph

F = nn.functional
SVG = "{http://www.w3.org/2000/svg}"


def draw_mlp(device="cpu"):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).to(device)
    x = tn.rand(5, 4, device=device)
    return graph(F.cross_entropy(model(x), tn.tensor([0, 1, 1, 0, 0], device=device)), model,
                 inputs={"pixels": x})  # fmt: skip


def edges_by_name(drawn):
    return {(drawn.vertices[a].name, drawn.vertices[b].name) for a, b in drawn.edges}


def test_a_network(device):
    drawn = draw_mlp(device)
    assert edges_by_name(drawn) == {
        ("pixels", "linear"), ("0.weight", "linear"), ("0.bias", "linear"), ("linear", "relu"),
        ("relu", "linear_1"), ("2.weight", "linear_1"), ("2.bias", "linear_1"),
        ("linear_1", "log_softmax"), ("log_softmax", "nll_loss"), ("nll_loss", "output"),
    }  # fmt: skip
    assert drawn["linear"].group == drawn["0.weight"].group == "0"
    assert drawn["relu"].group == ""
    assert drawn["0.weight"].note == "3x4 float32"
    assert drawn["nll_loss"].note == "scalar float32"
    details = dict(drawn["0.weight"].details)
    assert (details["shape"], details["device"]) == ("(3, 4)", device)
    assert dict(drawn["linear"].details)["grad_fn"] == "LinearBackward"
    assert [drawn.count(kind) for kind in ("input", "parameter", "operation", "output")] == [
        1, 4, 5, 1,
    ]  # fmt: skip
    assert drawn.sources("linear_1") == ["relu", "2.weight", "2.bias"]


def test_edges_are_autodiff_s_own():
    x, y = tn.rand(3, requires_grad=True), tn.rand(3, requires_grad=True)
    product = x * y
    total = (product + product.exp() * x).sum()
    drawn = graph(total, {"x": x}, inputs={"y": y})
    node, place, seen = total.grad_fn, drawn.sources("output"), []
    while hasattr(node, "edges"):  # along the last edge of each
        assert place[-1].startswith(node.function.op)
        seen.append(node.function.op)
        node, place = node.edges[-1], drawn.sources(place[-1])
    assert seen == ["sum", "add", "mul"]
    assert node is x
    assert drawn["x"].kind == "parameter"
    assert drawn["y"].kind == "input"
    assert sum(vertex.label == "x" for vertex in drawn.vertices) == 1  # used twice, drawn once
    assert len([edge for edge in edges_by_name(drawn) if edge[0] == "x"]) == 2


def test_several_outputs_and_leaves():
    x = tn.rand(4, 2, requires_grad=True)
    a, b = x.split(2)
    values, _ = (a * b).max(1)
    drawn = graph([values, a, x])
    assert drawn.count("output") == 3
    assert drawn.sources("output_2") == ["input"]
    assert drawn["input"].kind == "input"


def test_parameters_that_are_shared_and_nameless():
    layer = nn.Linear(2, 2, bias=False)
    drawn = graph(layer(layer(tn.ones(1, 2))))
    assert drawn.count("parameter") == 1
    assert drawn["parameter"].note == "2x2 float32"


def test_user_s_operations_and_in_place():
    class Twice(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = tn.rand(3, requires_grad=True)
    y = Twice.apply(x)
    y.add_(1)
    assert {"Twice", "add"} <= {vertex.label for vertex in graph(y).vertices}


def test_a_graph_that_a_backward_pass_has_freed_is_drawn_all_the_same():
    x = tn.rand(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    assert len(graph(y)) == 4


def test_drawing_keeps_nothing_alive_and_changes_nothing():
    import weakref

    x = tn.rand(3, requires_grad=True)
    y = (x * 2).exp()
    node = weakref.ref(y.grad_fn)
    drawn = graph(y)
    y.sum().backward()
    assert x.grad is not None
    del y
    assert node() is None
    assert len(drawn) == 4


def test_a_deep_graph():
    y = tn.ones((), requires_grad=True)
    for _ in range(3000):
        y = y * 1.0
    assert len(graph(y)) == 3002


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((tn.ones(2),), GradientError, r"graph: a tensor of shape \(2,\) does not require grad"),
        (([],), ArgumentError, "graph: no tensors, expected at least one"),
        ((3,), GradientError, "graph: expected tensors, got int"),
        ((tn.ones(1, requires_grad=True), [tn.ones(1)]), ArgumentTypeError,
         "graph: parameters is a list, expected a Module, or a mapping of names to tensors"),
        ((tn.ones(1, requires_grad=True), {"x": 1}), ArgumentTypeError,
         "graph: parameters has 'x': int, expected tensors by name"),
    ],
)  # fmt: skip
def test_errors(arguments, kind, message):
    with pytest.raises(kind, match=message):
        graph(*arguments)


def test_graphs_are_checked():
    x, y = Vertex("x", "input", "x"), Vertex("y", "operation", "y")
    with pytest.raises(ArgumentError, match="two vertices are named 'x', expected names that"):
        Graph("twice", [x, x], [])
    with pytest.raises(ArgumentError, match="an edge from 1 to 0, expected edges that lead on"):
        Graph("back", [x, y], [(1, 0)])
    with pytest.raises(ArgumentError, match="no vertex 'z', there are 2 others"):
        Graph("none", [x, y], [])["z"]


NASTY = '<b>"&\\;\u202e\n]['


@pytest.fixture
def nasty():
    """A name with all that HTML, SVG, DOT and Mermaid take for their own."""
    vertex = Vertex(NASTY, "parameter", NASTY, NASTY, ((NASTY, "</script>"),), NASTY)
    return Graph(NASTY, [vertex, Vertex("y", "output", "y")], [(0, 1)])


def test_names_are_escaped_in_svg_and_html(nasty):
    root = ET.fromstring(nasty.to_svg())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts == ['<b>"&\\;\\u202e\\n][', '<b>"&\\;\\u202e\\n][', "y"]
    page = nasty.to_html()
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert "</script>" not in nasty._repr_html_()


def test_names_are_escaped_in_mermaid_and_tables(nasty):
    text = nasty.to_mermaid()
    (line,) = re.findall(r'^ +v0\[\("(.*)"\)\]:::parameter$', text, re.MULTILINE)
    assert not set(line.replace("<br/>", "")) & set('<>"&\\[]')
    assert len(str(nasty).splitlines()) == 3


def test_names_are_escaped_in_dot():
    text = Graph("g", [Vertex("x", "input", 'a"b\\')], []).to_dot()
    assert r'label="a\"b\\"' in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is not installed")
def test_dot_reads_what_we_write(nasty, tmp_path):
    for number, drawn in enumerate((nasty, draw_mlp())):
        drawn.save(tmp_path / f"{number}.svg")
        text = (tmp_path / f"{number}.svg").read_text()
        assert text.count('class="node"') == len(drawn)
        assert text.count('class="edge"') == len(drawn.edges)
    draw_mlp().save(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    draw_mlp().save(tmp_path / "graph.pdf")
    assert (tmp_path / "graph.pdf").read_bytes().startswith(b"%PDF")


def test_save_without_graphviz(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    drawn = draw_mlp()
    starts = {"svg": "<svg", "html": "<!DOCTYPE html>", "mmd": "flowchart", "dot": "digraph"}
    for suffix, start in starts.items():
        drawn.save(tmp_path / f"graph.{suffix}")
        assert (tmp_path / f"graph.{suffix}").read_text("utf-8").startswith(start)
    for suffix in ("png", "pdf"):
        with pytest.raises(
            MissingDependencyError, match=rf"\.{suffix} needs graphviz's program `d"
        ):
            drawn.save(tmp_path / f"graph.{suffix}")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_dot_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    target = tmp_path / "graph.svg"
    target.write_text("old")
    with pytest.raises(ArgumentError, match=r"^Graph\.save: dot gave up with 3: no memory$"):
        draw_mlp().save(target)
    assert target.read_text() == "old"


def test_suffixes_that_are_none():
    with pytest.raises(ArgumentError, match=r"the suffix '\.jpg', expected one of \.html, \.mmd"):
        draw_mlp().save("graph.jpg")


def test_svg_has_each_vertex_once_and_every_edge():
    drawn = draw_mlp()
    root = ET.fromstring(drawn.to_svg())
    vertices = [x for x in root.iter(f"{SVG}g") if x.get("class", "").startswith("vertex")]
    assert [int(x.get("data-n")) for x in vertices] == list(range(len(drawn)))
    paths = [x for x in root.iter(f"{SVG}path") if x.get("class") == "edge"]
    assert [(int(x.get("data-from")), int(x.get("data-to"))) for x in paths] == drawn.edges
    titles = [x.find(f"{SVG}title").text for x in vertices]
    assert titles[1].startswith("name: 0.weight\nshape: (3, 4)\ndtype: float32")


def test_notebooks_get_the_page_and_the_picture():
    drawn = draw_mlp()
    assert drawn._repr_html_().startswith("<iframe srcdoc=")
    assert drawn._repr_svg_() == drawn.to_svg()
    assert repr(drawn) == "<Graph: 1 input, 4 parameters, 5 operations, 1 output, 10 edges>"
