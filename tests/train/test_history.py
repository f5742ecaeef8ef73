"""The history of a run: columns, the best epoch, files, pictures, states."""

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynet as tn
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    MissingDependencyError,
    PartError,
    StateError,
)
from tinynet.train import History


@pytest.fixture
def history():
    """Three epochs, of which one was not validated."""
    history = History()
    history.append({"loss": 0.5, "validation_loss": 0.7, "lr": 0.1})
    history.append({"loss": 0.25, "lr": 0.1})
    history.append({"loss": 0.1, "validation_loss": 0.75, "lr": 0.01})
    return history


def test_columns(history):
    assert history.names == ["loss", "validation_loss", "lr"]
    assert history["lr"] == [0.1, 0.1, 0.01]
    assert history["validation_loss"] == pytest.approx([0.7, math.nan, 0.75], nan_ok=True)
    assert len(history) == 3
    assert "loss" in history
    assert "accuracy" not in history
    assert list(history) == history.rows
    with pytest.raises(PartError, match=r"no column 'accuracy', expected one of \['loss', "):
        history["accuracy"]


def test_values_are_floats():
    history = History()
    history.append({"loss": tn.tensor(2.0), "n": 3})
    assert history.rows == [{"loss": 2.0, "n": 3.0}]
    assert type(history.rows[0]["n"]) is float
    with pytest.raises(ArgumentTypeError, match=r"append: 'loss' is \[1\], expected a number"):
        history.append({"n": 4, "loss": [1]})
    with pytest.raises(ArgumentTypeError, match="the name 1, expected a string"):
        history.append({1: 2.0})
    for name in ("", "lo\rss", "lo\nss", "epoch"):
        with pytest.raises(ArgumentError, match=r"the name '.*', expected printable characters"):
            history.append({name: 2.0})
    assert len(history) == 1


def test_best(history):
    assert history.best("loss") == 2
    assert history.best("validation_loss") == 0
    assert history.best("validation_loss", mode="max") == 2
    assert history.best("lr", mode="max") == 0  # the first of equal ones
    history.append({"accuracy": math.nan})
    with pytest.raises(ArgumentError, match="'accuracy' is NaN in all epochs"):
        history.best("accuracy")
    with pytest.raises(ArgumentError, match="mode 'lowest', expected 'min' or 'max'"):
        history.best("loss", mode="lowest")


characters = st.characters(exclude_categories=["C", "Z"], include_characters=" ,\";'")
names = st.text(characters, min_size=1, max_size=8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file that is written again and again."""
    return tmp_path_factory.mktemp("history") / "history.csv"


@settings(max_examples=50)
@given(rows=st.lists(st.dictionaries(names, st.floats(), max_size=4), max_size=4))
def test_a_table_brings_every_bit_back(path, rows):
    history = History()
    for row in rows:
        history.append(row)
    history.to_csv(path)
    assert History.from_csv(path) == history


def test_what_a_table_looks_like(history, tmp_path):
    history.to_csv(tmp_path / "h.csv")
    lines = (tmp_path / "h.csv").read_text().splitlines()
    assert lines == [
        "epoch,loss,validation_loss,lr",
        "1,0.5,0.7,0.1",
        "2,0.25,,0.1",
        "3,0.1,0.75,0.01",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["h.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line of names, expected 'epoch,...'"),
        (b"loss\n1\n", "no line of names"),
        (b"epoch,loss\n1,0.5\n2\n", r"line 3: 1 cells, expected 2: \['epoch', 'loss'\]"),
        (b"epoch,loss\n1,high\n", "line 2: could not convert string to float: 'high'"),
        (b"\xff\xfe", "expected UTF-8 text"),
        (b"epoch,loss,loss\n1,2,3\n", "'loss' twice, expected names that differ"),
    ],
)
def test_files_that_are_no_history(tmp_path, content, message):
    path = tmp_path / "h.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"from_csv: .*h.csv.*{message}"):
        History.from_csv(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="No such file or directory, expected a file to read"):
        History.from_csv(tmp_path / "none.csv")


def test_states_are_copies(history, tmp_path):
    tn.save(history.state_dict(), tmp_path / "state")
    again = History()
    again.load_state_dict(tn.load(tmp_path / "state"))
    assert again == history
    state = history.state_dict()
    history.append({"loss": 0.0})
    again.load_state_dict(state)
    again.append({"loss": 1.0})
    assert len(state["rows"]) == 3
    assert again != history
    with pytest.raises(StateError, match=r"got the keys \['epochs'\], expected 'rows'"):
        again.load_state_dict({"epochs": 3})


def test_training_and_validation_share_axes(history, tmp_path):
    pytest.importorskip("matplotlib")
    figure = history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    loss, rate = figure.axes
    assert (loss.get_title(), rate.get_title()) == ("loss", "lr")
    training, validation = loss.lines
    assert training.get_label() == "training"
    assert list(training.get_ydata()) == history["loss"]
    assert validation.get_label() == "validation"
    assert list(validation.get_xdata()) == [1, 3]  # a line even where an epoch has no value
    assert list(validation.get_ydata()) == [0.7, 0.75]
    assert len(rate.lines) == 1
    assert rate.get_legend() is None


def test_nothing_to_plot():
    with pytest.raises(ArgumentError, match="plot: no epochs, expected at least one"):
        History().plot()
    assert repr(History()) == "History: 0 epochs"


def test_plot_says_what_to_install(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"History\.plot: .*'tinynet\[viz\]'"):
        history.plot()


def test_long_tables_show_both_ends():
    history = History()
    for i in range(100):
        history.append({"loss": i / 3})
    lines = repr(history).splitlines()
    assert len(lines) == 1 + 10 + 1 + 10
    assert lines[0].split() == ["epoch", "loss"]
    assert lines[10].split() == ["10", "3"]
    assert lines[11].split() == ["...", "..."]
    assert lines[-1].split() == ["100", "33"]
    assert len({len(line) for line in lines}) == 1
