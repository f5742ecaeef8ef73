"""How tensors, modules and histories look in notebooks: well-formed, escaped, true."""

import re
import xml.etree.ElementTree as ET

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.train import History

NASTY = '<script>"&'


def parse(thing):
    """Its HTML, which is well-formed enough for an XML parser."""
    return ET.fromstring(f"<all>{thing._repr_html_()}</all>")


def texts(root, tag):
    return ["".join(element.itertext()) for element in root.iter(tag)]


def colours(root):
    return [element.get("style").rpartition("background:")[2] for element in root.iter("td")]


def test_a_small_tensor_is_a_table(device):
    root = parse(tn.tensor([[1.0, -2.0], [0.0, float("nan")]], device=device, requires_grad=True))
    assert texts(root, "div") == [f"tensor 2x2 float32 on {device}, requires grad"]
    assert texts(root, "td") == ["1.", "-2.", "0.", "nan"]
    blue, orange, nothing, red = colours(root)
    assert blue == "rgba(0,114,178,0.25)"
    assert orange == "rgba(213,94,0,0.50)"
    assert nothing.endswith(",0.00)")
    assert red.startswith("rgba(255,0,0")


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64", "bfloat16", "float16", "uint8"])
def test_dtypes(dtype):
    x = tn.tensor([[0, 1], [1, 1]]).to(getattr(tn, dtype if dtype != "bool" else "bool"))
    root = parse(x)
    assert dtype in texts(root, "div")[0]
    assert len(texts(root, "td")) == 4


@pytest.mark.parametrize(
    "x",
    [tn.tensor(3.5), tn.zeros(0, 3), tn.zeros(2, 3, 4), tn.zeros(40, 2), tn.zeros(2, 40)],
    ids=lambda x: str(x.shape),
)
def test_others_are_shown_as_they_print(x):
    root = parse(x)
    assert texts(root, "pre") == [repr(x)]
    assert not texts(root, "td")


def test_rows_infinities_and_results():
    x = tn.tensor([1.0, float("inf"), -float("inf")], requires_grad=True)
    assert texts(parse(x), "td") == ["1.", "inf", "-inf"]
    assert "made by MulBackward" in texts(parse(x * 2), "div")[0]
    assert "Parameter" in nn.Parameter(tn.ones(2))._repr_html_()


def test_a_module_is_a_tree():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2, bias=False)))
    model[0].bias.requires_grad_(False)
    root = parse(model)
    heads = texts(root, "summary")
    assert heads[0] == "Sequential 44 parameters"
    assert re.match(r"0: Linear\(.*\) 36 parameters", heads[1])
    leaves = [text for text in texts(root, "li") if not re.match(r"\d+:", text)]
    assert leaves == ["weight 4x8 float32", "bias 4 float32, frozen", "weight 2x4 float32"]
    assert "1: ReLU()" in texts(root, "li") or "1: ReLU" in texts(root, "li")


def test_shared_parameters_count_once():
    layer = nn.Linear(4, 4, bias=False)
    model = nn.Sequential(layer, nn.Linear(4, 4, bias=False))
    model[1].weight = layer.weight
    heads = texts(parse(model), "summary")
    assert heads[0] == "Sequential 16 parameters"
    assert [head.endswith("16 parameters") for head in heads] == [True, True, False]
    assert "weight 4x4 float32, shared" in texts(parse(model), "li")


def test_names_are_escaped():
    class Odd(nn.Module):
        def extra_repr(self):
            return NASTY

    model = nn.Module()
    model.register_module(NASTY, Odd())
    assert "<script>" not in model._repr_html_()
    assert NASTY in "".join(parse(model).itertext())
    history = History()
    history.append({NASTY: 1.0})
    assert "<script>" not in history._repr_html_()
    assert NASTY in texts(parse(history), "th")


def test_a_history_has_curves_and_a_table():
    history = History()
    for i in range(3):
        history.append({"loss": 3.0 - i, "validation_loss": float("nan") if i == 1 else 4.0 - i})
    history.append({"loss": 0.0})
    root = parse(history)
    assert texts(root, "figcaption") == ["loss (orange: validation)"]
    ours, validation = (line.get("points").split() for line in root.iter("polyline"))
    assert len(ours) == 4
    assert len(validation) == 2
    heights = [float(point.split(",")[1]) for point in ours]
    assert heights == sorted(heights)  # pixels count from the top
    assert texts(root, "text") == ["4", "0"]
    assert texts(root, "th") == ["epoch", "loss", "validation_loss"]
    assert texts(root, "td")[-3:] == ["4", "0", ""]


def test_histories_that_are_short_long_or_without_numbers():
    assert "0 epochs" in History()._repr_html_()
    history = History()
    history.append({"loss": float("nan")})
    assert "loss: no numbers" in history._repr_html_()
    for i in range(40):
        history.append({"loss": i})
    root = parse(history)
    assert len(texts(root, "tr")) == 1 + 20 + 1
    assert "..." in texts(root, "td")
