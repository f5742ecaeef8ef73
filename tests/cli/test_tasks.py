"""Folders of images and tables: what is read of them, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from tinynet.cli.recipes import TableRecipe, read_recipe
from tinynet.cli.tasks import Reading, load_task
from tinynet.errors import ArgumentError, DataError, ShapeError


def draw(path, level, size=(8, 6), colour=False):
    """A picture of one level with a brighter middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), level, np.uint8)
    pixels[2:4, 2:4, : 1 if colour else 3] += 40
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    """Ten dark and ten bright gray pictures, in a folder for each."""
    for i in range(10):
        draw(tmp_path / "photos" / "dark" / f"{i}.png", 20 + i)
        draw(tmp_path / "photos" / "bright" / f"{i}.jpg", 200 + i)
    return tmp_path / "photos"


def test_a_folder_of_images(photos):
    (photos / "dark" / "notes.txt").write_text("no picture")
    task = load_task(str(photos), Reading(validation=0.3), None)
    assert (task.name, task.classes, task.outputs) == ("photos", ("bright", "dark"), 2)
    assert task.recipe.shape == (1, 6, 8)
    assert not task.recipe.is_centred
    assert (len(task.train), len(task.test)) == (14, 6)
    images, labels = task.train[:]
    assert labels.sum().item() == 7  # half, as in the whole
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.numpy().std() == pytest.approx(1, abs=1e-5)
    assert (images.mean((1, 2, 3)) > 0).numpy().tolist() == (labels == 0).numpy().tolist()


def test_a_folder_with_a_test_set(photos):
    for name in ("dark", "bright"):
        (photos / "train").mkdir(exist_ok=True)
        (photos / name).rename(photos / "train" / name)
        draw(photos / "val" / name / "x.png", 100)
    task = load_task(str(photos), Reading(limit=12), None)
    assert (len(task.train), len(task.test)) == (12, 2)
    with pytest.raises(ArgumentError, match="photos takes no such option, it is for data without"):
        load_task(str(photos), Reading(validation=0.5), None)


def test_colours_and_sizes(photos):
    draw(photos / "dark" / "red.png", 30, colour=True)
    assert load_task(str(photos), Reading(), None).recipe.shape == (3, 6, 8)
    draw(photos / "dark" / "large.png", 30, size=(20, 20))
    assert load_task(str(photos), Reading(), None).recipe.shape == (3, 32, 32)
    assert load_task(str(photos), Reading(size=(5, 7)), None).recipe.shape == (3, 5, 7)
    with pytest.raises(ShapeError, match=r"--size: \(1, 2, 3\), expected a side"):
        load_task(str(photos), Reading(size=(1, 2, 3)), None)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(DataError, match="0 subfolders, expected one for each class"):
        load_task(str(tmp_path), Reading(), None)
    draw(tmp_path / "a" / "x.png", 1)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="b: no images, expected some of that class"):
        load_task(str(tmp_path), Reading(), None)
    (tmp_path / "b" / "x.png").write_text("text")
    with pytest.raises(DataError, match=r"train: .*x\.png: is not an image"):
        load_task(str(tmp_path), Reading(), None)


def test_the_part_held_out_is_one(photos):
    with pytest.raises(ArgumentError, match=r"--validation: 1\.5, expected a part between 0 and 1"):
        load_task(str(photos), Reading(validation=1.5), None)


@pytest.fixture
def flowers(tmp_path):
    rows = [f"{i},{'red' if i % 2 else 'white'},{'rose' if i % 2 else 'lily'},{3 * i + 1}"
            for i in range(20)]  # fmt: skip
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(["petal,color,kind,price", *rows, "7,?,rose,9"]) + "\n")
    return path


def test_a_table_of_classes(flowers):
    task = load_task(str(flowers), Reading(target="kind"), None)
    assert task.classes == ("lily", "rose")
    assert task.recipe.columns == ("petal", "color=red", "color=white", "price")
    assert task.recipe.categorical == ("color",)
    assert (len(task.train), len(task.test)) == (16, 4)  # a row with a missing cell is left out
    inputs, targets = task.train[:]
    assert np.allclose(inputs.numpy().mean(0), 0, atol=1e-5)
    assert np.allclose(inputs.numpy().std(0), 1, atol=1e-5)
    assert ((inputs[:, 1] > 0).numpy() == (targets == 1).numpy()).all()


def test_a_table_of_numbers(flowers):
    task = load_task(str(flowers), Reading(target="price"), None)
    assert (task.classes, task.outputs) == (None, 1)
    _, targets = task.train[:]
    assert targets.shape == (16, 1)
    assert targets.numpy().std() == pytest.approx(1, abs=1e-5)
    kind = Reading(target="price", kind="classes")
    with pytest.raises(ArgumentError, match="a class of stratify has a single sample"):
        load_task(str(flowers), kind, None)


def test_numbers_may_be_classes(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(10)))
    assert load_task(str(path), Reading(target="b"), None).classes is None
    kind = Reading(target="b", kind="classes")
    assert load_task(str(path), kind, None).classes == ("0", "1")


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(), "expected --target COLUMN"),
        (Reading(target="size"), "no column 'size', expected one of 'petal', 'color'"),
        (
            Reading(target="kind", kind="numbers"),
            "line 2, column 'kind': 'lily' is no finite number, expected numbers, or --kind cl",
        ),
        (Reading(target="kind", kind="words"), "--kind: 'words', expected one of auto, classes"),
    ],
)
def test_wrong_readings(flowers, reading, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        load_task(str(flowers), reading, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows, expected at least one"),
        (b"a,y\n", "has no rows"),
        (b"\xff\xfe\x00", "is no text in utf-8"),
        (b"a,b,a,y\n1,2,3,4\n", "2 columns 'a', expected different names"),
        (b"a,a=1,y\nred,2,3\n", "the column 'a=1' has the name of an input that is made of"),
        (b"a,y\n1,2\n\ninf,3\n", "line 4, column 'a': 'inf' is no finite number, expected one"),
        (b"a,y\n1,2\n1_000,3\n", "line 3, column 'a': '1_000' is no finite number"),
        (b"a,y\n1,2\n2,inf\n", "line 3, column 'y': 'inf' is no finite number"),
    ],
)
def test_what_is_no_table(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{message}") as caught:
        load_task(str(path), Reading(target="y"), None)
    assert str(path) in str(caught.value)


def test_empty_lines_are_no_rows(flowers):
    before = load_task(str(flowers), Reading(target="kind"), None)
    flowers.write_text("\n" + flowers.read_text().replace("\n", "\n\n"))
    after = load_task(str(flowers), Reading(target="kind"), None)
    assert after.recipe.columns == before.recipe.columns
    assert len(after.train) == len(before.train)


def test_words_may_look_like_infinity(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,y\n" + "inf,1\nfinite,2\n" * 5)
    recipe = load_task(str(path), Reading(target="y"), None).recipe
    assert recipe.columns == ("a=finite", "a=inf")


def test_tables_from_end_to_end(tinynet, fails, flowers):
    """A line is learnt, and told of rows without the target."""
    options = ("--target", "price", "--model", "logistic", "--epochs", "60", "--lr", "0.05")
    status, out, _ = tinynet("train", flowers, *options, "--batch-size", "8", "-q")
    assert status == 0
    assert "\nColumns of words: color, kind\n" in out
    recipe = read_recipe("runs/flowers-logistic/model.safetensors")
    assert isinstance(recipe, TableRecipe)
    new = flowers.with_name("new.csv")
    new.write_text("kind,petal,color\nrose,5,red\nlily,40,white\n")
    status, out, _ = tinynet("predict", "runs/flowers-logistic", new, "--csv")
    assert status == 0
    lines = [line.split(",") for line in out.splitlines()]
    assert lines[0] == ["file", "value"]
    assert [line[0] for line in lines[1:]] == [f"{new}:1", f"{new}:2"]
    assert [float(line[1]) for line in lines[1:]] == pytest.approx([16, 121], rel=0.05)
    new.write_text("kind,petal,color\nrose,5,blue\n")
    assert "'color=blue', expected one that the model learnt from" in fails(
        "predict", "runs/flowers-logistic", new
    )
    for row, message in (
        ("rose,?,red", "line 3, column 'petal': '?' is missing, expected a value\n"),
        ("rose,big,red", "column 'petal': 'big' is no finite number, expected numbers, as in tr"),
        ("rose,5,", "column 'color': '' is missing"),
    ):
        new.write_text(f"kind,petal,color\nrose,5,red\n{row}\n")
        assert message in fails("predict", "runs/flowers-logistic", new)
    message = fails("predict", "runs/flowers-logistic", new, "--grid", "x.png")
    assert "--grid: the model takes tables" in message
