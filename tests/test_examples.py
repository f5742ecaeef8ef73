"""The examples, on the sample of MNIST: they learn, and leave what they say they leave."""

import importlib.util
import re
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import settings
from tinynet.data.images import SAMPLE

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def sample(monkeypatch):
    monkeypatch.setenv(settings.DATA.name, str(SAMPLE))


def load_example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mnist(tmp_path, capsys):
    load_example("mnist").main(["--epochs", "3", "--out", str(tmp_path / "made anew")])
    out = capsys.readouterr().out
    scores = re.findall(r"^Epoch (\d): loss ([\d.]+), test accuracy ([\d.]+)%, took", out, re.M)
    assert [epoch for epoch, _, _ in scores] == ["1", "2", "3"]
    assert float(scores[2][1]) < float(scores[0][1])
    assert float(scores[2][2]) > 85
    for kind, name in (("Weights", "mnist.safetensors"), ("Picture", "mnist.png")):
        path = tmp_path / "made anew" / name
        assert f"{kind}: {path}" in out
        assert path.stat().st_size > 1000
    weights = tn.load(tmp_path / "made anew" / "mnist.safetensors")
    assert weights["0.weight"].shape == (128, 784)


def test_mnist_repeats_from_its_seed(tmp_path, capsys):
    main = load_example("mnist").main
    runs = []
    for seed in (1, 1, 2):
        main(["--model", "linear", "--epochs", "1", "--seed", str(seed), "--out", str(tmp_path)])
        runs.append(re.search(r"loss [\d.]+", capsys.readouterr().out)[0])
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("model", "n_layers"), [("linear", 1), ("mlp", 3), ("deep", 5), ("784-16-10", 3)]
)
def test_mnist_models(model, n_layers):
    example = load_example("mnist")
    network = example.make_model(example.MODELS.get(model, model))
    assert len(network) == n_layers
    assert network(tn.zeros(2, 784)).shape == (2, 10)


def test_nielsen(capsys):
    load_example("nielsen").main(["--epochs", "3"])
    lines = capsys.readouterr().out.splitlines()
    scores = [
        re.fullmatch(rf"Epoch {j}: (\d+) / 1000, took \d+\.\d\d seconds", line)
        for j, line in enumerate(lines)
    ]
    assert len(scores) == 3
    assert int(scores[2][1]) > 600


def test_nielsen_quick(capsys):
    load_example("nielsen").main(["--quick"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_nielsen_gradient_is_his():
    """His backpropagation, by his equations BP1 to BP4, gives what `cost.backward()` gives."""
    tn.manual_seed(0)
    net = load_example("nielsen").Network([4, 3, 2])
    x, y = tn.rand(5, 4), tn.rand(5, 2)
    before = [parameter.detach().clone() for parameter in net.biases + net.weights]
    net.update_mini_batch(x, y, eta=1.0)
    b1, b2, w1, w2 = before
    a1 = (x @ w1.T + b1).sigmoid()
    a2 = (a1 @ w2.T + b2).sigmoid()
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = (delta2 @ w2) * a1 * (1 - a1)
    steps = [delta1.mean(0), delta2.mean(0), delta1.T @ x / 5, delta2.T @ a1 / 5]
    for old, step, new in zip(before, steps, net.biases + net.weights):
        assert tn.allclose(old - step, new, atol=1e-6)
