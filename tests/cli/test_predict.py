"""`tinynet predict`: labels of files, in tables, JSON, CSV and pictures; wrong uses."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinynet as tn

N = 20


@pytest.fixture
def drawn(tinynet, digits):
    """Digits that the model learnt from as files: twice the size, every other one dark on white."""
    train, _ = tn.data.mnist()
    folder = Path("drawn")
    folder.mkdir()
    for i, image in enumerate(train.images[:N].numpy()):
        pixels = image[0] if i % 2 else 1 - image[0]
        picture = Image.fromarray((pixels * 255).astype("u1")).resize((56, 56))
        picture.save(folder / f"{i:02}.{'png' if i % 3 else 'jpg'}")
    (folder / "notes.txt").write_text("no picture")
    return folder, train.labels[:N].tolist()


def test_a_folder(tinynet, trained, drawn):
    folder, labels = drawn
    status, out, err = tinynet("predict", trained, folder, "--csv")
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["file"] for row in rows] == sorted(map(str, folder.glob("[0-9]*")))
    right = [int(row["label"]) == label for row, label in zip(rows, labels)]
    assert sum(right) >= N - 2
    assert all(0.1 < float(row["probability"]) <= 1 for row in rows)


def test_tables_and_json_say_the_same(tinynet, trained, drawn):
    file = drawn[0] / "01.png"
    lines = tinynet("predict", trained / "model.safetensors", file).out.splitlines()
    assert lines[0].split() == ["file", "label", "probability"]
    [found] = json.loads(tinynet("predict", trained, file, "--json", "--top", "3").out)
    assert lines[1].split() == [str(file), found["label"], f"{found['probability']:.4f}"]
    assert len(found["top"]) == 3
    shares = [each["probability"] for each in found["top"]]
    assert shares == sorted(shares, reverse=True)
    wide = tinynet("predict", trained, file, "--top", "2").out.splitlines()
    assert wide[0].split()[3:] == ["label", "2", "probability", "2"]


def test_a_grid(tinynet, trained, drawn):
    status, _, err = tinynet("predict", trained, drawn[0], "--grid", "seen.png")
    assert status == 0
    assert err == f"Picture: {Path('seen.png').resolve()}\n"
    seen = np.asarray(Image.open("seen.png").convert("L"))
    assert (seen < 20).mean() > 0.3  # the grounds
    assert seen.shape[1] > seen.shape[0] > 400


def test_on_opencl(tinynet, trained, drawn):
    if len(tn.devices()) < 2:
        pytest.skip("no OpenCL device")
    file = drawn[0] / "01.png"
    here = json.loads(tinynet("predict", trained, file, "--json").out)[0]
    there = json.loads(tinynet("predict", trained, file, "--json", "--device", "opencl").out)[0]
    assert there["label"] == here["label"]
    assert there["probability"] == pytest.approx(here["probability"], abs=1e-4)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["drawn/nothing.png"], "predict: drawn/nothing.png: there is no such file"),
        (["drawn/notes.txt"], "drawn/notes.txt: is not an image: expected a picture, PNG or JPEG"),
        (["empty"], "predict: empty: has no pictures, expected PNG or JPEG files in it"),
        (["drawn", "--invert", "maybe"], "--invert: 'maybe', expected one of auto, yes, no"),
        (["drawn", "--grid", "x.txt"], "picture: 'x.txt', expected an ending such as .png or .svg"),
        (["drawn", "--device", "gpu"], "no device 'gpu'"),
    ],
)
def test_wrong_files(fails, trained, drawn, files, message):
    Path("empty").mkdir()
    assert message in fails("predict", trained, *files)


def test_wrong_models(fails, drawn):
    file = drawn[0] / "01.png"
    assert "model: none.safetensors: there is no such file" in fails(
        "predict", "none.safetensors", file
    )
    Path("no.safetensors").write_text("This is no model at all.")
    assert "expected a whole safetensors file" in fails("predict", "no.safetensors", file)
    tn.save({"weight": tn.ones(2)}, "weights.safetensors")
    assert "has no architecture, expected what save_model writes" in fails(
        "predict", "weights.safetensors", file
    )
    tn.save_model(tn.nn.Linear(784, 10), "bare.safetensors")
    assert "says neither classes nor sizes of inputs" in fails("predict", "bare.safetensors", file)
    tn.save_model(tn.nn.Linear(784, 10), "odd.safetensors", {"recipe": "{}"})
    assert "its recipe is damaged" in fails("predict", "odd.safetensors", file)
    assert "drawn: has no model.safetensors, expected a folder of a finished run" in fails(
        "predict", "drawn", file
    )
