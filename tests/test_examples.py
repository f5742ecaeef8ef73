"""The examples, on the sample of MNIST: they learn, and leave what they say they leave."""

import cmath
import gzip
import importlib.util
import math
import re
import signal
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import settings
from tinynet.data.images import SAMPLE
from tinynet.errors import ArgumentError, DataError

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def sample(monkeypatch):
    monkeypatch.setenv(settings.DATA.name, str(SAMPLE))
    monkeypatch.syspath_prepend(str(EXAMPLES))  # where they find each other


@pytest.fixture
def few(monkeypatch, tmp_path):
    """The first 192 digits of each part of the sample, for what takes long."""
    for path in SAMPLE.glob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        start, size = (16, 28 * 28) if "idx3" in path.name else (8, 1)
        head = content[:4] + (192).to_bytes(4, "big") + content[8:start]
        (tmp_path / path.stem).write_bytes(head + content[start : start + 192 * size])
    monkeypatch.setenv(settings.DATA.name, str(tmp_path))


def load_example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_example(name, folder, capsys, *arguments):
    """Run it; its losses and accuracies by epoch. It must leave weights and a picture."""
    load_example(name).main([*arguments, "--out", str(folder)])
    out = capsys.readouterr().out
    scores = re.findall(r"^Epoch (\d): loss ([\d.]+), test accuracy ([\d.]+)%, took", out, re.M)
    assert [int(epoch) for epoch, _, _ in scores] == list(range(1, len(scores) + 1))
    for kind, ending in (("Weights", "safetensors"), ("Picture", "png")):
        path = folder / f"{name}.{ending}"
        assert f"{kind}: {path}" in out
        assert path.stat().st_size > 1000
    return [float(loss) for _, loss, _ in scores], [float(accuracy) for _, _, accuracy in scores]


def test_mnist(tmp_path, capsys):
    folder = tmp_path / "made anew"
    losses, accuracies = run_example("mnist", folder, capsys, "--epochs", "3")
    assert len(losses) == 3
    assert losses[2] < losses[0]
    assert accuracies[2] > 85
    weights = tn.load(folder / "mnist.safetensors")
    assert weights["0.weight"].shape == (128, 784)


def test_names_over_pictures():
    """Long ones, as clothes have, do not meet their neighbours; those of mistakes are red."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Clothes:
        classes = ("T-shirt/top", "Ankle boot")

        def __getitem__(self, which):
            return tn.zeros(30, 784), tn.tensor([0] * 29 + [1])

    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subfigures(1, 2)[1].subplots()
    load_example("mnist").draw_images(axes, lambda images: tn.eye(2)[[1] * 30], Clothes())
    FigureCanvasAgg(figure).draw()
    assert [x.get_color() for x in axes.texts] == ["red"] * 29 + ["black"]
    assert axes.texts[0].get_text() == "Ankle boot,\nis T-shirt/top"
    boxes = [x.get_window_extent() for x in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(("name", "least"), [("mnist", 50), ("mnist_cnn", 50), ("lenet", 25)])
def test_quick_runs_learn(name, least, tmp_path, capsys):
    _, [accuracy] = run_example(name, tmp_path, capsys, "--quick", "--seed", "1")
    assert accuracy > least


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


@pytest.mark.parametrize("model", ["foo", "784-0-10", "784--10", "10-784", "784-16-10-"])
def test_mnist_models_that_are_none(model):
    with pytest.raises(ArgumentError, match=f"^--model: '{model}', expected linear, mlp, deep, or"):
        load_example("mnist").main(["--model", model])


def test_mnist_quick_with_epochs(few, tmp_path, capsys):
    losses, _ = run_example("mnist", tmp_path, capsys, "--quick", "--epochs", "2")
    assert len(losses) == 2


def test_nielsen(tmp_path, capsys):
    load_example("nielsen").main(["--epochs", "3", "--out", str(tmp_path)])
    *lines, picture = capsys.readouterr().out.splitlines()
    assert picture == f"Picture: {tmp_path / 'nielsen.png'}"
    scores = [
        re.fullmatch(rf"Epoch {j}: (\d+) / 1000, took \d+\.\d\d seconds", line)
        for j, line in enumerate(lines)
    ]
    assert len(scores) == 3
    assert int(scores[2][1]) > 600


def test_nielsen_quick(tmp_path, capsys):
    [score] = re.findall(r"Epoch 0: (\d+) / 1000", run_quick("nielsen", tmp_path, capsys))
    assert int(score) > 300


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


def test_lenet(tmp_path, capsys):
    losses, accuracies = run_example("lenet", tmp_path, capsys, "--epochs", "1", "--lr", "0.002")
    assert len(losses) == 1
    assert accuracies[0] > 70
    weights = tn.load(tmp_path / "lenet.safetensors")
    assert sum(weight.numel() for weight in weights.values()) == 61_706


def test_mnist_cnn(few, tmp_path, capsys):
    arguments = ("--epochs", "2", "--batch-size", "48")
    losses, _ = run_example("mnist_cnn", tmp_path, capsys, *arguments)
    assert losses[1] < losses[0]
    weights = tn.load(tmp_path / "mnist_cnn.safetensors")
    assert weights["13.weight"].shape == (10, 576)


def test_mnist_cnn_learning_rate_rises_and_falls():
    scale_rate = load_example("mnist_cnn").scale_rate
    rates = [scale_rate(number, 10) for number in range(1, 11)]
    assert rates == pytest.approx([1 / 2, 1, *[n / 9 for n in range(8, 0, -1)]])
    assert scale_rate(1, 1) == 1


def test_resnet(few, tmp_path, capsys):
    [loss], _ = run_example("resnet", tmp_path, capsys, "--quick")
    assert math.isfinite(loss)
    weights = tn.load(tmp_path / "resnet.safetensors")
    assert len([name for name in weights if "conv" in name]) == 19
    assert weights["blocks.8.conv2.weight"].shape == (64, 64, 3, 3)


def test_resnet_shapes():
    """Stages of 28, 14 and 7 pixels; a shortcut keeps every other pixel and adds channels."""
    resnet = load_example("resnet")
    model = resnet.ResNet()
    assert sum(parameter.numel() for parameter in model.parameters()) == 269_434
    x = tn.rand(2, 1, 28, 28)
    assert model(x).shape == (2, 10)
    assert tn.viz.feature_maps(model, x, "blocks.3").shape == (2, 32, 14, 14)
    assert tn.viz.feature_maps(model, x, "blocks.8").shape == (2, 64, 7, 7)
    y = tn.rand(1, 16, 4, 4)
    assert tn.equal(model.blocks[3].shorten(y)[:, 8:24], y[:, :, ::2, ::2])
    assert model.blocks[3].shorten(y).count_nonzero() == y[:, :, ::2, ::2].count_nonzero()


def test_resnet_shifts_and_mirrors(on_device):
    """Each image is cut out of its padded self at one of 25 places, mirrored or not."""
    resnet = load_example("resnet")
    images = tn.rand(200, 1, 6, 5)
    padded = tn.zeros(200, 10, 9)
    padded[:, 2:8, 2:7] = images[:, 0]
    cut = [padded[:, i : i + 6, j : j + 5] for i in range(5) for j in range(5)]
    ways = tn.stack([*cut, *[x.flip(2) for x in cut]])
    is_such = (ways == resnet.augment(images)[:, 0]).all(-1).all(-1)
    assert (is_such.sum(0) >= 1).all()
    assert is_such.any(1).all()  # every way comes up


def test_resnet_without_clothes_takes_digits(monkeypatch, capsys):
    def fail(device):
        raise DataError("no mirror")

    monkeypatch.setattr(tn.data, "fashion_mnist", fail)
    train, _ = load_example("resnet").load_data("cpu")
    assert train.classes[9] == "9"
    assert "so these are digits. What failed:\nno mirror" in capsys.readouterr().out


def test_see_inside_cnn(few, tmp_path, capsys):
    load_example("see_inside_cnn").main(["--quick", "--out", str(tmp_path / "made anew")])
    out = capsys.readouterr().out
    accuracy = re.search(r"^Epoch 1: .* accuracy ([\d.]+)%", out, re.M)[1]
    assert float(accuracy) > 15  # guessing finds 10
    assert "pool2: a unit sees (16, 16) pixels, its neighbour those (4, 4) on" in out
    for name in ("filters", "maps", "reconstructions", "occlusion"):
        path = tmp_path / "made anew" / f"inside_{name}.png"
        assert f"Picture: {path}" in out
        assert path.stat().st_size > 1000


def run_quick(name, folder, capsys, *arguments):
    """Run one of the smaller examples with --quick; what it prints. It must leave a picture."""
    load_example(name).main(["--quick", "--out", str(folder), *arguments])
    out = capsys.readouterr().out
    path = folder / f"{name}.png"
    assert f"Picture: {path}" in out
    assert path.read_bytes().startswith(b"\x89PNG")
    return out


def test_options_that_are_flags():
    parse_options = load_example("frame").parse_options
    assert parse_options("", [], animate=False, epochs=3).animate is False
    options = parse_options("", ["--animate", "--epochs", "5"], animate=False, epochs=3)
    assert (options.animate, options.epochs) == (True, 5)


def test_what_is_given_counts_with_quick_too():
    parse_options = load_example("frame").parse_options
    found = [
        parse_options("", arguments, epochs=(20, 5), rate=0.1).epochs
        for arguments in ([], ["--quick"], ["--quick", "--epochs", "20"], ["--epochs", "7"])
    ]
    assert found == [20, 5, 20, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: '0', expected a whole number from 1 on"),
        (["--epochs", "-1"], "--epochs: '-1', expected a whole number from 1 on"),
        (["--rate", "much"], "--rate: 'much', expected a number above 0"),
        (["--rate", "nan"], "--rate: 'nan', expected a number above 0"),
        (["--out", "file"], "--out: 'file' is no folder that can be written into"),
        (["--out", "file/in"], "--out: 'file' is no folder that can be written into"),
    ],
)
def test_options_that_are_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="2"):
        load_example("frame").parse_options("", arguments, epochs=(20, 5), rate=0.1)
    assert f"argument {message}" in capsys.readouterr().err


@pytest.fixture
def script(capsys):
    """Run a function as a script's `main`: its exit status, and what it wrote to stderr."""
    handler = signal.getsignal(signal.SIGINT)

    def run(main):
        with pytest.raises(SystemExit) as ended:
            load_example("frame").run_script(main)
        status = ended.value.code
        return (1, status) if isinstance(status, str) else (status, capsys.readouterr().err)

    yield run
    signal.signal(signal.SIGINT, handler)


def test_errors_are_a_line(script, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["examples/mnist.py"])
    main = load_example("mnist").main
    status, line = script(lambda: main(["--device", "nowhere"]))
    assert (status, line[:39]) == (1, "mnist.py: device: no device 'nowhere', ")
    monkeypatch.setenv(settings.DATA.name, str(tmp_path))
    status, line = script(lambda: main(["--device", "cpu"]))
    assert (status, line[:33]) == (1, "mnist.py: mnist: TINYNET_DATA has")
    assert "\n" not in line


def test_ctrl_c_ends_a_script_within_fit(script, monkeypatch):
    class Interrupting(tn.train.Callback):
        def on_step_end(self, trainer):
            signal.raise_signal(signal.SIGINT)

    def main():
        model = tn.nn.Linear(1, 1)
        batches = [(tn.ones(1, 1), tn.ones(1, 1))]
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
        options = {"callbacks": [Interrupting()], "progress": False}
        tn.train.fit(model, batches, tn.nn.functional.mse_loss, optimizer, **options)

    monkeypatch.setattr("sys.argv", ["examples/dropout.py"])
    assert script(main) == (130, "dropout.py: interrupted\n")


def test_every_example_ends_so():
    for path in EXAMPLES.glob("*.py"):
        assert "    run_script(main" in path.read_text() or path.stem == "frame"


def test_activations(tmp_path, capsys):
    out = run_quick("activations", tmp_path, capsys)
    assert re.search(r"sigmoid +0.250 +26%", out)
    assert re.search(r"tanh +1.000 +52%", out)


def test_perceptron(tmp_path, capsys):
    out = run_quick("perceptron", tmp_path, capsys)
    rounds = {name: eval(mistakes) for name, mistakes in re.findall(r"on (\w+): .*(\[.*\])", out)}
    assert rounds["AND"][-1] == rounds["OR"][-1] == 0
    assert len(rounds["XOR"]) == 20
    assert min(rounds["XOR"]) > 0
    assert re.search(r"network of 2-4-1 on XOR: all four right after \d+ steps", out)


def test_linear_regression(tmp_path, capsys):
    out = run_quick("linear_regression", tmp_path, capsys)
    by_hand, equations = re.findall(r"found +w (\S+), b (\S+)", out)
    assert by_hand == equations
    exact, true = map(float, re.search(r"solution (\S+), .* with (\S+)", out).groups())
    assert exact < 1e-5
    assert 1e-3 < true < 0.3


def test_polynomial_overfitting(tmp_path, capsys):
    out = run_quick("polynomial_overfitting", tmp_path, capsys)
    rows = re.findall(r"^ +(\d+) +([\d.]+) +([\d.]+)$", out, re.M)
    errors = {int(degree): (float(fitted), float(others)) for degree, fitted, others in rows}
    assert errors[15][0] < errors[5][0] < errors[1][0]
    assert errors[5][1] < min(errors[1][1], errors[15][1])
    fitted, others = re.search(
        r"degree 15 with 200 points: error (\S+), on others (\S+)", out
    ).groups()
    assert float(others) < errors[5][1] * 1.2
    assert float(fitted) == pytest.approx(0.09, abs=0.02)


def test_softmax_regression(tmp_path, capsys):
    out = run_quick("softmax_regression", tmp_path, capsys)
    rows = re.findall(r"test accuracy ([\d.]+)%, loss below 0.001 on (\d+)%", out)
    (accuracy, idle), (hinge_accuracy, hinge_idle) = rows
    assert float(accuracy) > 85
    assert float(hinge_accuracy) > 85
    assert int(hinge_idle) > 50 > 20 > int(idle)


def test_its_losses_are_the_librarys():
    example = load_example("softmax_regression")
    scores, labels = tn.randn(6, 10), tn.randint(0, 10, (6,))
    assert tn.allclose(
        example.cross_entropy(scores, labels).mean(), tn.nn.functional.cross_entropy(scores, labels)
    )
    hinge = tn.nn.functional.multi_margin_loss(scores, labels) * 10
    assert tn.allclose(example.hinge(scores, labels).mean(), hinge)


def test_custom_op(tmp_path, capsys, on_device):
    out = run_quick("custom_op", tmp_path, capsys)
    assert "Softsign: the gradient is right" in out
    assert "Wrong: gradcheck: output 0, element 0" in out
    first, last = map(float, re.search(r"error (\S+) at first, (\S+) after 200", out).groups())
    assert last < first / 5


def test_gradient_check(tmp_path, capsys):
    out = run_quick("gradient_check", tmp_path, capsys)
    assert "RightTanh: wrong gradients of no parameter" in out
    assert "WrongTanh: wrong gradients of ['first.weight', 'first.bias']" in out
    losses = [(float(a), float(b)) for a, b in re.findall(r"loss (\S+) at first, (\S+)", out)]
    assert len(losses) == 2
    assert all(last < first / 2 for first, last in losses)


def test_checkpointing(tmp_path, capsys, on_device):
    out = run_quick("checkpointing", tmp_path, capsys)
    assert "interrupted after step 30, in epoch 2 of 4" in out
    assert "full checkpoint: same bits as never interrupted: True" in out
    assert "parameters alone: same bits: False" in out
    assert "whole model: loaded as Sequential of 4 layers, same bits as when saved: True" in out


def test_cross_validation(tmp_path, capsys):
    out = run_quick("cross_validation", tmp_path, capsys)
    rows = re.findall(r"^decay (\S+) +error (\S+) \+- (\S+) .* test set (\S+)$", out, re.MULTILINE)
    errors = {decay: float(error) for decay, error, _, _ in rows}
    chosen = re.search(r"chosen: decay (\S+);", out)[1]
    assert errors[chosen] == min(errors.values())
    assert chosen not in ("0", "1")
    assert errors["0"] > 1.2 * errors[chosen] < errors["1"]
    assert float(re.search(r"is (\S+) times the lowest", out)[1]) < 1.2


def test_dropout(tmp_path, capsys):
    out = run_quick("dropout", tmp_path, capsys)
    losses = [float(loss) for loss in re.findall(r"on others (\S+),", out)]
    assert losses[1] < losses[0] < losses[2]
    assert "lowest loss on others: dropout 0.40" in out
    single, mean = map(float, re.search(r"alone (\S+)%, their mean (\S+)%", out).groups())
    assert mean > single
    upright, turned = map(float, re.search(r"upright digits (\S+), .* (\S+)$", out, re.M).groups())
    assert turned > 1.5 * upright


def read_table(out, n_names=1):
    """The numbers of each printed row, by its first columns."""
    rows = {}
    for line in out.splitlines():
        *names, rest = re.split(r"  +", line.strip(), maxsplit=n_names)
        numbers = re.findall(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?:e[-+]\d+)?|\bnan\b|\binf\b", rest)
        if len(names) == n_names and numbers:
            rows[names[0] if n_names == 1 else tuple(names)] = [
                float(number.replace(",", "")) for number in numbers
            ]
    return rows


def test_moving_averages(tmp_path, capsys):
    rows = read_table(run_quick("moving_averages", tmp_path, capsys))
    assert [rows[beta][0] for beta in ("0.5", "0.9", "0.98")] == [2, 10, 50]
    for beta in ("0.5", "0.9", "0.98"):
        _, noise, days_late, too_warm, plain, corrected = rows[beta]
        b = float(beta)
        assert noise == pytest.approx(3 * math.sqrt((1 - b) / (1 + b)), rel=0.3)
        angle = 2 * math.pi / 365  # what the filter does to a wave, by its frequency response
        response = (1 - b) / (1 - b * cmath.exp(-1j * angle))
        assert days_late == pytest.approx(-cmath.phase(response) / angle, abs=1.5)
        assert too_warm == pytest.approx(10 * (1 - abs(response)), abs=0.3)
        assert abs(corrected) < 2 < 7 < -plain


def test_learning_rates(tmp_path, capsys):
    rows = read_table(run_quick("learning_rates", tmp_path, capsys))
    losses = {name: loss for name, (_, loss, *_) in rows.items()}
    assert losses["decayed"] < 0.75 * losses["constant"]
    assert losses["warm-up, decayed"] < 0.75 * losses["constant"]
    assert losses["decayed"] < 1 < 2 < losses["too small"]
    assert not losses["too large"] < 2  # nan it may be
    assert rows["decayed"][2] > 75


def test_learning_rates_draws_every_schedule():
    example = load_example("learning_rates")
    schedules = tn.optim.lr_scheduler
    bases = {"LRScheduler", "FormulaLR"}
    assert set(example.SCHEDULES) == set(schedules.__all__) - bases
    for name, make_schedule in example.SCHEDULES.items():
        rates = example.follow(make_schedule)
        assert len(rates) == 100
        assert min(rates) >= 0
        assert max(rates) <= 1 + 1e-9
        assert len(set(rates)) > 1, name
    assert example.follow(example.SCHEDULES["ReduceLROnPlateau"])[-1] < 0.1


def test_hyperparameter_search(tmp_path, capsys):
    out = run_quick("hyperparameter_search", tmp_path, capsys)
    found = re.findall(r"^(.*): (\d) trials, (\d) rates; best ([\d.]+)%", out, re.M)
    assert [(name, n, rates) for name, n, rates, _ in found] == [
        ("grid", "9", "3"), ("random", "9", "9"), ("coarse to fine", "8", "8"),
    ]  # fmt: skip
    assert all(float(best) > 80 for *_, best in found)


def test_local_minima(tmp_path, capsys):
    out = run_quick("local_minima", tmp_path, capsys)
    values = {name: float(value) for name, value in re.findall(r"^(.*): ends .* (\S+)$", out, re.M)}
    assert values["gradient descent"] > 10
    assert values["best of 12 starts"] < 2
    assert values["simulated annealing"] < 2
    stuck, free = map(float, re.search(r"value (\S+); .* value (\S+)$", out, re.M).groups())
    assert abs(stuck) < 1e-3
    assert free == pytest.approx(-0.5, abs=1e-2)


def test_regularization(tmp_path, capsys):
    out = run_quick("regularization", tmp_path, capsys)
    rows = re.findall(r"^(.*?) +loss on others (\S+), .*, (\d+)% of .*, (\d+) epochs", out, re.M)
    losses = {name: float(loss) for name, loss, _, _ in rows}
    assert losses["augmentation"] < min(losses["L2"], losses["L1"]) < losses["none"]
    assert losses["early stopping"] < losses["none"]
    shares = {name: int(share) for name, _, share, _ in rows}
    assert shares["L1"] > 50 > 10 > shares["none"]
    assert {name: int(n) for name, _, _, n in rows}["early stopping"] < 20


def test_autoencoder(few, tmp_path, capsys):
    out = run_quick("autoencoder", tmp_path, capsys)
    noisy, restored = map(float, re.search(r"error (\S+) of .*, (\S+) restored", out).groups())
    assert restored < noisy
    spreads = re.findall(r"^(plain|variational): .* spread by (\S+) and (\S+)$", out, re.M)
    assert [name for name, _, _ in spreads] == ["plain", "variational"]


@pytest.mark.parametrize("name", ["char_rnn", "transformer"])
def test_language_models(name, tmp_path, capsys):
    out = run_quick(name, tmp_path, capsys)
    singles, pairs = map(float, re.search(r"characters (\S+), pairs (\S+)", out).groups())
    first, last = map(float, re.search(r"network: (\S+) at first, (\S+) after 60", out).groups())
    assert pairs < singles < first
    assert last < (singles + pairs) / 2
    assert re.search(r"it writes:\nThe .", out)


def test_a_text_of_ones_own(tmp_path, capsys):
    path = tmp_path / "book.txt"
    path.write_text("ab" * 64)
    main = load_example("char_rnn").main
    with pytest.raises(DataError, match=r"book.txt is too short: 128 characters, expected 130"):
        main(["--text", str(path)])
    path.write_text("ab" * 65)
    main(["--quick", "--text", str(path), "--steps", "21", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "after 21 steps; held out" in out
    assert re.search(r"it writes:\na[ab]{30}$", out, re.M)


def test_optimizers(tmp_path, capsys):
    out = run_quick("optimizers", tmp_path, capsys)
    assert (tmp_path / "optimizers_mnist.png").exists()
    rows = re.findall(
        r"^(\S+) +ravine +(\S+), (\S+); saddle +(\S+), .* valley +(\S+), (\S+)$", out, re.M
    )
    first = {name: [math.inf if x == "-" else int(x) for x in (a, b, c)]
             for name, a, _, b, c, _ in rows}  # fmt: skip
    rest = {name: float(height) for name, _, height, *_ in rows}
    assert len(first) == 9
    assert rest["GD"] < rest["mini-batch"] < rest["SGD"] / 3
    ravine, saddle, valley = ({name: x[i] for name, x in first.items()} for i in range(3))
    assert ravine["Nesterov"] < ravine["momentum"] < ravine["GD"]
    assert max(saddle[name] for name in ("AdaGrad", "RMSProp", "Adam")) < 10
    assert 20 < saddle["SGD"] < saddle["GD"]
    assert max(valley["momentum"], valley["Nesterov"]) < 50 < 100 < valley["GD"]
    losses = dict(re.findall(r"^digits, (\S+) .* loss (\S+)$", out, re.M))
    losses = {name: float(loss) for name, loss in losses.items()}
    assert losses["SGD"] < losses["mini-batch"] < losses["GD"]
    assert max(losses["momentum"], losses["Nesterov"]) < losses["mini-batch"]


def test_films(tmp_path, capsys):
    """One that grows to the last point, whatever the number of frames."""
    frame = load_example("frame")
    figure, [[axes]] = frame.make_figure()
    points = tn.stack([tn.arange(12), tn.arange(12) ** 2], 1).numpy()
    [line] = axes.plot(*points.T)
    frame.save_film(figure, [(line, points)], tmp_path / "made anew", "growing", seconds=1)
    [path] = (tmp_path / "made anew").iterdir()
    assert f"Film: {path}" in capsys.readouterr().out
    assert path.read_bytes().startswith(b"GIF8") or path.suffix == ".mp4"
    assert line.get_xydata().tolist() == points.tolist()


def test_weight_init(tmp_path, capsys):
    out = run_quick("weight_init", tmp_path, capsys)
    rows = re.findall(
        r"^(\S+), (.*?) +spread .* 1 (\S+), .* 8 (\S+); loss (\S+) .* (\S+) at last; (\d+)",
        out,
        re.M,
    )
    ratio = {(kind, name): float(b) / max(float(a), 1e-30) for kind, name, a, b, *_ in rows}
    last = {(kind, name): float(loss) for kind, name, *_, loss, _ in rows}
    assert len(rows) == 10
    for kind in ("tanh", "ReLU"):
        assert ratio[kind, "too small"] < 1e-6
        for name in ("zeros", "too small"):
            assert last[kind, name] == pytest.approx(math.log(10), abs=0.02)
        assert last[kind, "too large"] > 10
        assert max(last[kind, "Xavier"], last[kind, "He"]) < 0.7
    assert ratio["ReLU", "too large"] > 1e5
    assert 0.4 < ratio["ReLU", "He"] < 2.5
    assert ratio["ReLU", "Xavier"] == pytest.approx(2 ** (-7 / 2), rel=0.6)  # 7 halved squares
    assert {int(n) for *_, name, _, _, _, _, n in rows if name == "zeros"} == {1}


def test_nielsen_improved(tmp_path, capsys):
    out = run_quick("nielsen_improved", tmp_path, capsys)
    outputs = re.findall(r"output (\S+) at first, (\S+) .*, (\S+) after 300", out)
    (first, middle, last), (_, entropy_middle, _) = [map(float, row) for row in outputs]
    assert first == 0.98
    assert middle > 0.9 > 0.1 > entropy_middle
    assert last == 0.20  # as in his book
    few, decayed = map(float, re.findall(r"^1,000 .*: (\S+)% right", out, re.M))
    assert few + 2 < decayed
    large, default = map(float, re.findall(r"weights: (\S+)% right after one", out))
    assert large + 10 < default


def test_cross_entropy_gradient_is_his():
    """His equations 61 and 62: the derivative in the biases is the mean of sigma(z) - y."""
    example = load_example("nielsen_improved")
    net = example.Network([4, 3])
    x, y = tn.rand(5, 4), tn.rand(5, 3)
    before = [parameter.detach().clone() for parameter in net.biases + net.weights]
    error = (x @ net.weights[0].detach().T + net.biases[0].detach()).sigmoid() - y
    net.update_mini_batch(x, y, 0.5, 0.9)
    assert tn.allclose(net.biases[0], before[0] - 0.5 * error.mean(0), atol=1e-6)
    assert tn.allclose(net.weights[0], 0.9 * before[1] - 0.5 * error.T @ x / 5, atol=1e-6)


def test_embeddings(tmp_path, capsys):
    out = run_quick("embeddings", tmp_path, capsys)
    assert "103,843 words, 914 of them" in out
    told, commonest = map(float, re.search(r": (\S+)% of new .* book (\S+)%", out).groups())
    assert told > 75 > 45 > commonest
    assert {"moses", "pharaoh"} <= set(re.search(r"for Exodus: (.*)", out)[1].split(", "))
    shares = {name: int(share) for name, share in re.findall(r"^(\w+) +(\d+)% of the 5", out, re.M)}
    assert shares["numbers"] > 40
    assert shares["tribes"] > 60
    assert shares["animals"] > 25
    assert max(map(float, re.findall(r"([\d.]+)% by chance", out))) < 2


def test_vanishing_gradients(tmp_path, capsys):
    out = run_quick("vanishing_gradients", tmp_path, capsys)
    found = re.findall(r"^(\d+ .*): first gradient (\S+) of the last", out, re.M)
    shares = {name: float(share) for name, share in found}
    assert 0 < shares["30 layers, sigmoid"] < 0.25**29
    for name in ("30 layers, tanh", "30 layers, relu", "50 steps, radius 1.0"):
        assert 0.1 < shares[name] < 10
    for gain in (1, 2):  # each layer of gain g has g / sqrt(2) of the next one's
        exact = (gain / math.sqrt(2)) ** 29
        assert exact / 10 < shares[f"30 layers, relu, gain {gain}.00"] < exact * 10
    assert shares["100 layers, plain"] < 1e-13
    growth = shares["100 layers, batch norm"] ** (1 / 99)
    assert growth == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), abs=0.03)
    assert 0.1 < shares["100 layers, shortcuts"] < 20
    assert 0.1 < shares["50 steps, radius 0.8"] / 0.8**49 < 10
    assert 0.1 < shares["50 steps, radius 1.2"] / 1.2**49 < 10
    losses = re.findall(r"100 layers, \w+: loss .*, (\S+) after 40", out)
    plain, shortcuts = map(float, losses)
    assert shortcuts < 1.2 < 2.2 < plain
    steps = re.findall(r"clipped.*: longest step (\S+), loss (\S+) at first, (\S+)", out)
    (thrown, start, end), (clipped, _, low) = (map(float, row) for row in steps)
    assert thrown > 0.2 > 0.011 > clipped
    assert low < 0.01 < start
    assert low < end


def test_batch_norm(tmp_path, capsys):
    out = run_quick("batch_norm", tmp_path, capsys)
    spreads = re.findall(r"spread by layer \[(.*)\] at first, \[(.*)\] after", out)
    plain, normed = ([[float(s) for s in row.split(",")] for row in pair] for pair in spreads)
    assert plain[0][3] < 0.2 * plain[0][0]
    assert plain[1][3] > 5 * plain[0][3]
    assert all(0.9 < spread < 1.2 for row in normed for spread in row)
    n_plain, n_normed = map(int, re.findall(r"below 0.7 with (\d) of 3 rates", out))
    assert n_plain <= 1
    assert n_normed == 3
    wander = [float(spread) for spread in re.findall(r"scores wander by (\S+)", out)]
    assert wander[0] > 1.5 * wander[1]
    found = re.findall(r"(\w+) norm, batches of (\d+): (\S+)% wrong", out)
    errors = {(name, int(size)): float(share) for name, size, share in found}
    assert errors["batch", 2] > 60 > 40 > errors["layer", 2]
    assert errors["batch", 32] < 20
    shares = re.findall(r"\(\): (\S+)% right in mixed batches, (\S+)% of a digit", out)
    (mixed, single), (eval_mixed, eval_single) = ([float(s) for s in row] for row in shares)
    assert single < 25 < 85 < mixed
    assert eval_mixed == pytest.approx(eval_single, abs=0.2)  # the same digits
    assert eval_mixed > 85


def test_gan(tmp_path, capsys):
    out = run_quick("gan", tmp_path, capsys)
    found = re.findall(r"^(before|real|made after .*): (\d+) of 10 .* sure of (\d+)%", out, re.M)
    digits = {what: int(n) for what, n, _ in found}
    assert digits["real"] == 10
    assert digits["before"] <= 2
    assert digits["made after epoch 5"] >= 5
    assert {what: int(sure) for what, _, sure in found}["real"] > 50
    losses = re.findall(r"discriminator (\S+), of generator (\S+)", out)
    assert len(losses) == 5
    for of_discriminator, of_generator in losses:  # neither has won
        assert 0.2 < float(of_discriminator) < 0.7
        assert 0.5 < float(of_generator) < 4
