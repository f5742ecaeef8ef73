"""`tinynet train`: what it leaves, how it goes on, what it says of wrong uses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tinynet.cli.recipes import ImageRecipe, read_recipe
from tinynet.cli.settings import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, make_optimizer
from tinynet.train import Trainer

QUICK = ("train", "mnist", "--model", "logistic", "--limit", "64", "--batch-size", "32", "-q")


@pytest.fixture
def quick(tinynet, monkeypatch):
    """The command, without its pictures, which take longer than such short runs."""
    monkeypatch.setattr("tinynet.cli.train.draw_predictions", lambda *rest: False)
    monkeypatch.setattr("tinynet.cli.train.save_figure", lambda *rest: None)
    return tinynet


def is_drawn(path):
    """Whether a picture shows more than paper."""
    return len(np.unique(np.asarray(Image.open(path).convert("L")))) > 20


def test_what_a_run_leaves(tinynet, digits):
    status, out, err = tinynet("train", "mnist", "--epochs", "2", "--batch-size", "32")
    assert status == 0
    assert err.count("Epoch") == 2  # a line each, where stderr is no terminal
    folder = Path("runs/mnist-lenet")
    assert f"Weights: {folder / 'model.safetensors'}" in out
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.safetensors", "history.csv", "history.png", "model.safetensors",
        "predictions.png", "run.json",
    }  # fmt: skip
    assert is_drawn(folder / "history.png")
    assert is_drawn(folder / "predictions.png")
    assert len(tn.train.History.from_csv(folder / "history.csv")) == 2
    record = json.loads((folder / "run.json").read_text())
    assert record["settings"]["batch_size"] == 32
    assert record["versions"]["tinynet"] == tn.__version__
    assert record["results"]["epochs"] == 2
    assert 0.3 < record["results"]["validation_accuracy"] <= 1


def test_the_model_says_what_it_takes(trained, digits, monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", str(digits))
    recipe = read_recipe(trained / "model.safetensors")
    assert recipe == ImageRecipe(
        tuple("0123456789"), (1, 28, 28), recipe.mean, recipe.std, background=0, is_centred=True
    )
    assert recipe.mean[0] == pytest.approx(0.1307, abs=0.01)
    assert recipe.std[0] == pytest.approx(0.3081, abs=0.01)
    model = tn.load_model(trained / "model.safetensors")
    train, _ = tn.data.mnist()
    normal = (train.images - recipe.mean[0]) / recipe.std[0]
    assert (model(normal).argmax(dim=1) == train.labels).float().mean().item() > 0.9


def weights_of(folder):
    return tn.load_model(Path(folder) / "model.safetensors").state_dict()


def test_a_stopped_run_goes_on(quick, monkeypatch):
    """Stopped by Ctrl-C in the middle, the same command ends with the same bits."""
    command = (*QUICK, "--epochs", "3", "--augment", "shift", "--schedule", "cosine")
    assert quick(*command, "--out", "straight").status == 0
    steps, end_step = [], Trainer.end_step

    def interrupted(trainer):
        end_step(trainer)
        steps.append(trainer.step)
        trainer.interrupts.came |= trainer.step == 3 and len(steps) == 3

    monkeypatch.setattr(Trainer, "end_step", interrupted)
    status, _, err = quick(*command, "--out", "stopped")
    assert status == 130
    assert "Stopped in epoch 2; the same command goes on from there." in err
    assert not Path("stopped/model.safetensors").exists()
    assert quick(*command, "--out", "stopped").status == 0
    assert steps == [1, 2, 3, 4, 5, 6]
    straight, stopped = weights_of("straight"), weights_of("stopped")
    assert all(tn.equal(straight[name], stopped[name]) for name in straight)


def test_more_epochs_continue_a_finished_run(quick):
    assert quick(*QUICK, "--epochs", "1").status == 0
    assert quick(*QUICK, "--epochs", "2").status == 0
    assert len(Path("runs/mnist-logistic/history.csv").read_text().splitlines()) == 3


def test_other_settings_are_another_run(quick, fails):
    assert quick(*QUICK, "--epochs", "1").status == 0
    message = fails(*QUICK, "--epochs", "1", "--lr", "0.5")
    assert "runs/mnist-logistic has a run with lr None, now it is 0.5: --fresh starts" in message
    assert quick(*QUICK, "--epochs", "1", "--lr", "0.5", "--fresh").status == 0


def test_schedules_that_end_with_the_run_keep_its_epochs(quick, fails):
    assert quick(*QUICK, "--epochs", "1", "--schedule", "cosine").status == 0
    assert "a run with epochs 1, now it is 2" in fails(
        *QUICK, "--epochs", "2", "--schedule", "cosine"
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(quick, schedule):
    options = ("--epochs", "2", "--schedule", schedule, "--optimizer", "sgd")
    assert quick(*QUICK, *options).status == 0
    rates = [row["lr"] for row in tn.train.History.from_csv("runs/mnist-logistic/history.csv")]
    assert (rates[0] == rates[1] == 0.05) == (schedule in ("none", "plateau"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_learn_with_their_rates(name):
    model = tn.nn.Linear(2, 1)
    optimizer = make_optimizer(name.lower(), model, lr=None, momentum=None, weight_decay=None)
    x = tn.randn(64, 2)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert type(optimizer).__name__ == name
    assert losses[-1] < losses[0]


def test_options_of_optimizers():
    model = tn.nn.Linear(2, 1)
    assert make_optimizer("sgd", model, None, None, None).defaults["momentum"] == 0.9
    [group] = make_optimizer("SGD", model, 0.3, 0.5, 0.01).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.3, 0.5, 0.01)


def test_no_epochs_leave_the_first_weights(tinynet):
    status, out, _ = tinynet(*QUICK, "--epochs", "0")
    assert status == 0
    assert "History" not in out
    assert not Path("runs/mnist-logistic/history.csv").exists()
    assert weights_of("runs/mnist-logistic")["1.weight"].shape == (10, 784)


def test_all_augmentations_together(quick):
    options = ("--epochs", "1", "--augment", ",".join(AUGMENTATIONS))
    assert quick(*QUICK, *options).status == 0


def test_patience(quick):
    options = ("--epochs", "9", "--lr", "0.0", "--patience", "2")
    assert "EarlyStopping: validation_loss was best" in quick(*QUICK, *options).out
    assert len(Path("runs/mnist-logistic/history.csv").read_text().splitlines()) == 1 + 3


def test_on_opencl(tinynet):
    if len(tn.devices()) < 2:
        pytest.skip("no OpenCL device")
    status, out, _ = tinynet(*QUICK, "--epochs", "1", "--device", "opencl")
    assert status == 0
    assert "on opencl" in out
    assert is_drawn("runs/mnist-logistic/predictions.png")


def test_a_model_of_ones_own(tinynet, fails):
    Path("net.py").write_text(
        "from tinynet import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, outputs):\n"
        "        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, outputs))\n\n"
        "    def forward(self, x):\n"
        "        return self.layers(x)\n"
    )
    status, out, _ = tinynet(
        "train", "mnist", "--model", "net.py:Net", "--epochs", "1", "--limit", "64", "-q"
    )
    assert status == 0
    assert "Next: tinynet predict runs/mnist-Net FILE... --code net.py:Net" in out
    message = tinynet("summary", "runs/mnist-Net").err
    assert "runs/mnist-Net has a class of its own, expected --code net.py:Net" in message
    for code in ("net.py", "nope.py", "Net"):
        message = fails("predict", "runs/mnist-Net", "x.png", "--code", code)
        assert f"model: {code!r}, expected a class or function: net.py:Net or package." in message
    summary = tinynet("summary", "runs/mnist-Net", "--code", "net.py:Net")
    assert summary.status == 0
    assert "Parameters: 7,850" in summary.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnits",), "train: no data set 'mnits', expected one of mnist, fashion_mnist, kmnist, "
         "cifar10, a folder of images by class, or a CSV file; did you mean 'mnist'?"),
        (("photos/none",), "train: photos/none: there is no such file or folder"),
        (("mnist", "--model", "lennet"), "model: no model 'lennet', expected one of logistic, mlp, "
         "nielsen, lenet, mnist_cnn, resnet20, or hidden sizes such as 512-256; did you mean "
         "'lenet'?"),
        (("mnist", "--model", "net.py:Net"), "model: net.py: there is no such file"),
        (("mnist", "--model", "99999999999"), "for shape (99999999999, 784) of tinynet.float32 do"),
        (("mnist", "--model", ":Net"), "model: ':Net', expected a class or function: net.py:Net"),
        (("mnist", "--model", "net.py:"), "model: 'net.py:', expected a class or function"),
        (("mnist", "--model", ".net:Net"), "model: '.net:Net', expected a class or function"),
        (("mnist", "--model", "json:Net"), "model: json has no class or function 'Net'"),
        (("mnist", "--model", "nowhere:Net"), "model: nowhere:Net: No module named 'nowhere'"),
        (("mnist", "--model", "json:loads"), "expected a class or function without parameters"),
        (("mnist", "--device", "gpu"), "device: no device 'gpu', there is cpu, opencl"),
        (("mnist", "--optimizer", "adamm"), "did you mean 'adam'?"),
        (("mnist", "--optimizer", "adam", "--momentum", "0.9"), "Adam takes no such option"),
        (("mnist", "--schedule", "cosin"), "--schedule: 'cosin', expected one of none, cosine"),
        (("mnist", "--augment", "shift,turn"), "--augment: 'turn', expected one of shift, rotate"),
        (("mnist", "--clip-norm", "-1"), "--clip-norm: -1.0, expected a number above 0"),
        (("mnist", "--clip-norm", "nan"), "--clip-norm: nan, expected a number above 0"),
        (("mnist", "--validation", "2"), "--validation: 2.0, expected a part between 0 and 1"),
        (("mnist", "--size", "0"), "--size: (0,), expected a side, or height and width"),
        (("mnist", "--size", "a"), "--size: 'a', expected whole numbers"),
        (("mnist", "--size", "32"), "--size: mnist takes no such option, it is for a folder of"),
        (("mnist", "--validation", "0.1"), "mnist takes no such option, it is for data without a"),
        (("mnist", "--target", "x"), "--target: mnist takes no such option, it is for a table"),
        (("mnist", "--lr", "1e30", "--epochs", "1", "-q"), "expected a finite number"),
    ],
)  # fmt: skip
def test_wrong_uses(fails, arguments, message):
    assert message in fails("train", *arguments)


def test_data_that_cannot_be_had(fails, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    assert "mnist: TINYNET_DATA has no train-images-idx3-ubyte" in fails("train", "mnist")


def test_a_broken_checkpoint(quick, fails):
    assert quick(*QUICK, "--epochs", "1").status == 0
    path = Path("runs/mnist-logistic/checkpoint.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    message = fails(*QUICK, "--epochs", "2")
    assert "the checkpoint cannot be read" in message
    assert "move it away to start anew" in message
    assert quick(*QUICK, "--epochs", "2", "--fresh").status == 0


def test_a_broken_record(quick, fails):
    assert quick(*QUICK, "--epochs", "1").status == 0
    Path("runs/mnist-logistic/run.json").write_text("{")
    assert "run.json: is damaged" in fails(*QUICK, "--epochs", "1")


def test_no_permission_to_write(tinynet, fails, monkeypatch):
    """What root may, who is told by the system."""
    Path("runs").write_text("a file")
    assert "runs/mnist-logistic: Not a directory" in fails(*QUICK, "--epochs", "1")
    if os.geteuid():
        Path("closed").mkdir(mode=0o500)
        assert "closed/run: Permission denied" in fails(*QUICK, "--out", "closed/run")


def test_without_matplotlib_it_says_so_before_training(fails, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert "pip install 'tinynet[viz]'" in fails(*QUICK)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [("--model", "no model 'nosuch'"), ("--optimizer", "'nosuch'"), ("--augment", "'nosuch'")],
)
def test_names_are_looked_at_before_data_are_read(tinynet, option, said):
    result = tinynet("train", "no-such-folder", option, "nosuch")
    assert result.status == 1
    assert said in result.err
    assert "no-such-folder" not in result.err
