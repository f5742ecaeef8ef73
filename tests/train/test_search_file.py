"""The file of a search: what is in it, and going on from it."""

import signal

import pytest

import tinynet as tn
from tests.train import objectives
from tinynet.errors import DataError
from tinynet.train import search
from tinynet.train.search import IntegerRange, LogUniform, SearchResults, Uniform

X = {"x": Uniform(0, 1)}
MIXED = {
    "lr": LogUniform(1e-4, 1),
    "width": IntegerRange(1, 99),
    "layer": [tn.nn.ReLU, tn.nn.Tanh],
    "text": ['with "quotes", commas', "ä"],
    "pair": [(1, 2), None, "two\nlines"],
}


def test_a_file_holds_what_the_results_do(tmp_path):
    path = tmp_path / "results.csv"

    def objective(trial):
        if trial.number == 1:
            raise ValueError('a "bad",\r\n run')
        return trial["lr"]

    with pytest.warns(UserWarning, match=r"trial \d failed"):
        results = search.random_search(objective, MIXED, 5, path=path)
    read = SearchResults.from_csv(path, space=MIXED)
    for row, copy in zip(results, read, strict=True):
        assert copy.trial == row.trial
        assert (copy.score, copy.status, copy.error) == (row.score, row.status, row.error)
        assert copy.seconds == pytest.approx(row.seconds, rel=1e-5)
    other = tmp_path / "other.csv"
    read.to_csv(other)
    assert other.read_text() == path.read_text()
    guessed = SearchResults.from_csv(path, "max")
    assert guessed.names == list(MIXED)
    assert {type(row["width"]) for row in guessed} == {int}
    assert guessed.best.score == max(row.score for row in results if row.score is not None)


def test_trials_in_the_file_are_not_run_again(tmp_path):
    path = tmp_path / "results.csv"
    calls = []

    def objective(trial):
        calls.append(trial.number)
        if trial.number == 1 and len(calls) < 3:
            raise ValueError("at first")
        return trial["x"]

    with pytest.warns(UserWarning, match=r"trial \d failed"):
        search.random_search(objective, X, 2, path=path)
    results = search.random_search(objective, X, 4, path=path)
    assert calls == [0, 1, 2, 3]
    assert [row.status for row in results] == ["ok", "failed", "ok", "ok"]
    results = search.random_search(objective, X, 4, path=path, retry_failed=True)
    assert calls == [0, 1, 2, 3, 1]
    assert [row.status for row in results] == ["ok"] * 4
    assert [row.status for row in SearchResults.from_csv(path)] == ["ok"] * 4


def test_a_trial_that_succeeds_at_last_may_change_what_later_rounds_try(tmp_path):
    path = tmp_path / "results.csv"
    clean = search.coarse_to_fine(objectives.bowl, X, 4, rounds=2)
    best = min(clean[:4], key=lambda row: row.score).trial.number

    def objective(trial):
        if trial.number == best:
            raise ValueError("at first")
        return objectives.bowl(trial)

    with pytest.warns(UserWarning, match=f"trial {best} failed"):
        first = search.coarse_to_fine(objective, X, 4, rounds=2, path=path)
    assert [row.trial for row in first][4:] != [row.trial for row in clean][4:]
    options = {"rounds": 2, "path": path, "retry_failed": True}
    again = search.coarse_to_fine(objectives.bowl, X, 4, **options)
    assert [(row.trial, row.score) for row in again] == [(row.trial, row.score) for row in clean]


def test_trials_do_not_go_on_from_another_search_s_folders(tmp_path):
    folder = tmp_path / "runs"
    calls = []

    def objective(trial):
        calls.append(trial.folder.name)
        return trial["x"]

    search.random_search(objective, X, 2, folder=folder)
    assert (folder / "results.csv").exists()
    results = search.random_search(objective, X, 3, folder=folder)
    assert [row.trial.folder.name for row in results] == ["trial-0", "trial-1", "trial-2"]
    assert calls == ["trial-0", "trial-1", "trial-2"]
    with pytest.raises(DataError, match=r"has trial 0 with x"):
        search.random_search(objective, X, 3, folder=folder, seed=1)
    (folder / "results.csv").unlink()
    with pytest.raises(DataError, match=r"^random_search: .* has folders of trials, but there is"):
        search.random_search(objective, X, 3, folder=folder)


@pytest.mark.parametrize("method", [search.coarse_to_fine, search.successive_halving])
def test_searches_in_rounds_go_on_from_any_line(tmp_path, method):
    path = tmp_path / "results.csv"
    whole = method(objectives.bowl, X, 4, path=path)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == len(whole) + 1
    for n in (0, 1, 3, 5):
        path.write_text("".join(lines[:n]) + lines[n][:-4])  # half a line more
        again = method(objectives.bowl, X, 4, path=path)
        assert [(row.trial, row.score) for row in again] == [
            (row.trial, row.score) for row in whole
        ]
        assert len(path.read_text().splitlines()) == len(lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"seed": 1},
            r"has trial 0 with x 0\.\d+, expected 0\.\d+: it is of a search with another",
        ),
        ({"space": {"y": Uniform(0, 1)}}, r"has the columns .*'x'.*, expected .*'y'"),
        ({"space": {"x": [0, 1]}}, r"line 2: x: '0.\d+' is none of \['0', '1'\], expected a value"),
    ],
)
def test_a_file_of_another_search(tmp_path, options, message):
    path = tmp_path / "results.csv"
    search.random_search(objectives.bowl, X, 2, path=path)
    content = path.read_bytes()
    with pytest.raises(DataError, match=message):
        search.random_search(**{"objective": objectives.bowl, "space": X, "path": path, **options})
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("0,0,,0.5,1,1,1,ok\n", "line 2: 8 cells, expected 9"),
        ("0,0,,0.5,one,1,1,ok,\n", "line 2: could not convert string to float: 'one'"),
        ("0,0,,0.5,,1,1,ok,\n", "line 2: status 'ok' and score '' do not go together"),
    ],
)
def test_a_file_that_somebody_changed(tmp_path, lines, message):
    path = tmp_path / "results.csv"
    path.write_text("trial,round,budget,x,score,seconds,seed,status,error\n" + lines)
    with pytest.raises(DataError, match=message):
        SearchResults.from_csv(path)


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"^random_search: cannot write .*No such file"):
        search.random_search(objectives.bowl, X, path=tmp_path / "no" / "results.csv")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"^random_search: cannot make .* expected a folder"):
        search.random_search(objectives.bowl, X, folder=tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot write .*there is something that is no file"):
        search.random_search(objectives.bowl, X, path=tmp_path)
    with pytest.raises(DataError, match=r"^search: .*No such file or directory, expected a file"):
        SearchResults.from_csv(tmp_path / "none.csv")


def test_a_full_disk_keeps_what_is_there(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "results.csv"
    whole = search.random_search(objectives.bowl, X, 4, path=path)
    content = path.read_bytes()
    path.unlink()

    def objective(trial):  # at the third, the file may grow by half a line
        if trial.number == 2:
            size = path.stat().st_size + 20
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        return objectives.bowl(trial)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(
            DataError, match=r"^random_search: cannot write .* \(File too large\); "
        ):
            search.random_search(objective, X, 4, path=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes().count(b"\n") == 3
    assert not path.read_bytes().endswith(b"\n")
    again = search.random_search(objectives.bowl, X, 4, path=path)
    assert [row.score for row in again] == [row.score for row in whole]
    assert path.read_bytes().count(b"\n") == content.count(b"\n")
