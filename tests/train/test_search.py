"""Hyperparameter search: methods, seeds, failures, processes, the file of results."""

import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import tinynet as tn
from tests.train import objectives
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    MissingDependencyError,
    SearchError,
)
from tinynet.train import search
from tinynet.train.search import Choice, IntegerRange, LogUniform, SearchResults, Uniform
from tinynet.train.search.halving import plan_rounds
from tinynet.train.search.trial import draw

X = {"x": Uniform(0, 1)}


# Spaces
@pytest.mark.parametrize(
    ("kind", "ends", "middle"),
    [
        (Uniform(-1, 3), (-1, 3), 1),
        (LogUniform(1e-4, 1), (1e-4, 1), 1e-2),
        (IntegerRange(3, 12), (3, 12), 8),
        (IntegerRange(0, 11, step=5), (0, 10), 5),
        (IntegerRange(1, 1000, log=True), (1, 1000), 22),
        (Choice("a", "b", "c"), ("a", "c"), "b"),
    ],
)
def test_ends_and_middle_of_a_range(kind, ends, middle):
    assert kind.at(0.0) == pytest.approx(ends[0])
    assert kind.at(1 - 1e-12) == pytest.approx(ends[1])
    assert kind.at(0.5) == pytest.approx(middle)
    assert kind.read(kind.write(kind.at(0.7))) == kind.at(0.7)


@pytest.mark.parametrize("log", [False, True])
def test_integers_are_drawn_as_often_as_they_should(log):
    kind = IntegerRange(2, 9, log=log)
    counts = np.bincount([kind.at(u) for u in (np.arange(10000) + 0.5) / 10000], minlength=10)[2:]
    edges = np.arange(1.5, 10)
    expected = np.diff(np.log(edges) / np.log(9.5 / 1.5) if log else edges / 8)
    assert counts / 10000 == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("kind", "points", "values"),
    [
        (Uniform(0, 1), 5, [0, 0.25, 0.5, 0.75, 1]),
        (Uniform(0, 1), 1, [0.5]),
        (LogUniform(1e-3, 1), 4, [1e-3, 1e-2, 1e-1, 1]),
        (IntegerRange(1, 3), 5, [1, 2, 3]),
        (IntegerRange(0, 100, step=10), 3, [0, 50, 100]),
        (IntegerRange(1, 100, log=True), 3, [1, 10, 100]),
        (Choice(1, 2, 3), 2, [1, 2, 3]),
    ],
)
def test_values_of_a_grid(kind, points, values):
    assert kind.grid(points) == pytest.approx(values)


@pytest.mark.parametrize(
    ("kind", "best", "ends"),
    [
        (Uniform(0, 1), 0.5, (0.25, 0.75)),
        (Uniform(0, 1), 0.9, (0.5, 1.0)),
        (LogUniform(1e-4, 1), 1e-2, (1e-3, 1e-1)),
        (IntegerRange(0, 100), 10, (0, 50)),
        (IntegerRange(1, 10_000, log=True), 100, (10, 1000)),
        (IntegerRange(7, 7), 7, (7, 7)),
    ],
)
def test_half_a_range_around_the_best(kind, best, ends):
    zoomed = kind.zoomed([best], 0.5)
    assert type(zoomed) is type(kind)
    assert (zoomed.low, zoomed.high) == pytest.approx(ends)
    assert zoomed.is_log == kind.is_log


def test_choices_that_are_left():
    relu, tanh = tn.nn.ReLU, tn.nn.Tanh
    assert Choice(relu, tanh, None).zoomed([None, relu, relu], 0.1).values == (relu, None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Choice, "Choice: no values, expected at least one"),
        (lambda: Choice(1, "1"), "Choice: values that read the same in a table"),
        (lambda: Uniform(2, 1), "Uniform: from 2 to 1, expected finite low <= high"),
        (lambda: Uniform(0, float("inf")), "Uniform: from 0 to inf, expected finite"),
        (lambda: Uniform("0", 1), "Uniform: low is '0', expected a number"),
        (lambda: LogUniform(0, 1), "LogUniform: low is 0, expected more than 0 on a log scale"),
        (lambda: IntegerRange(0, 8, log=True), "IntegerRange: low is 0, expected more than 0"),
        (lambda: IntegerRange(0, 1.5), "IntegerRange: high is 1.5, expected an int"),
        (lambda: IntegerRange(0, 8, step=0), "IntegerRange: step is 0, expected 1 or more"),
        (lambda: IntegerRange(1, 8, 2, log=True), "IntegerRange: step is 2, expected 1$"),
    ],
)
def test_ranges_that_are_none(make, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^{message}"):
        make()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "random_search: the space is empty, expected at least one parameter"),
        ([0.1], "random_search: space is a list, expected a dict of ranges by name"),
        ({"lr": 0.1}, "random_search: parameter 'lr' is 0.1 of type float, expected a list of"),
        ({"lr": []}, "random_search: parameter 'lr' has no choices, expected at least one"),
        ({"seed": [1]}, "random_search: a parameter is named 'seed', expected a text that is none"),
    ],
)
def test_spaces_that_are_none(space, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^{message}"):
        search.random_search(objectives.bowl, space)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials is 0, expected a positive int"),
        ({"mode": "lowest"}, "mode is 'lowest', expected 'min' or 'max'"),
        ({"seed": None}, "seed is None, expected an int"),
        ({"processes": 0}, "processes is 0, expected a positive int"),
        ({"objective": 3}, "the objective is 3, expected a function of a trial"),
    ],
)
def test_options_that_are_none(options, message):
    options = {"objective": objectives.bowl, "space": X, **options}
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^random_search: {message}"):
        search.random_search(**options)


# Methods
def test_grid():
    space = {"x": LogUniform(0.01, 1), "n": IntegerRange(1, 9), "kind": ("a", "b")}
    seen = []
    results = search.grid_search(
        lambda trial: seen.append({**trial.parameters}) or trial["n"], space, {"x": 3, "n": 2}
    )
    assert [row.parameters for row in results] == seen
    assert [tuple(values.values()) for values in seen[:5]] == [
        (0.01, 1, "a"), (0.01, 1, "b"), (0.01, 9, "a"), (0.01, 9, "b"), (0.1, 1, "a"),
    ]  # fmt: skip
    assert len(results) == 12
    assert results.best.score == 1
    with pytest.raises(ArgumentError, match=r"^grid_search: points of 'y', expected parameters"):
        search.grid_search(objectives.bowl, X, {"y": 3})
    with pytest.raises(ArgumentError, match=r"^grid_search: points of 'x' is 0, expected a pos"):
        search.grid_search(objectives.bowl, X, 0)


def test_random_draws_fill_the_space():
    space = {"x": Uniform(0, 1), "lr": LogUniform(1e-4, 1)}
    results = search.random_search(objectives.bowl, space, 400)
    for values in (
        [row["x"] for row in results],
        [1 + np.log10(row["lr"]) / 4 for row in results],
    ):
        assert np.histogram(values, 4, (0, 1))[0] == pytest.approx([100] * 4, abs=30)
    correlation = np.corrcoef([[row["x"], np.log(row["lr"])] for row in results], rowvar=False)
    assert abs(correlation[0, 1]) < 0.15
    assert results.best.score == min(row.score for row in results)


def test_more_trials_go_on_where_fewer_ended():
    few, many = (search.random_search(objectives.bowl, X, n, seed=5) for n in (3, 6))
    assert [row.trial for row in many][:3] == [row.trial for row in few]
    other = search.random_search(objectives.bowl, X, 3, seed=6)
    assert {row["x"] for row in other}.isdisjoint(row["x"] for row in few)


def test_highest_score():
    results = search.random_search(objectives.bowl, X, 10, mode="max")
    assert results.best.score == max(row.score for row in results)


def test_coarse_to_fine_comes_closer_than_random_draws():
    space = {"x": Uniform(0, 1), "kind": ["good", "bad", "worse"]}
    penalty = {"good": 0, "bad": 1, "worse": 2}
    results = search.coarse_to_fine(
        lambda trial: objectives.bowl(trial) + penalty[trial["kind"]], space, 12, rounds=3
    )
    rounds = [[row for row in results if row.trial.round == i] for i in range(3)]
    assert [len(rows) for rows in rounds] == [12, 12, 12]
    widths = [max(row["x"] for row in rows) - min(row["x"] for row in rows) for rows in rounds]
    assert widths[1] <= 0.4
    assert widths[2] <= 0.16
    assert {row["kind"] for row in rounds[2]} == {"good"}
    assert abs(results.best["x"] - 0.3) < 0.02
    assert len({row.trial.number for row in results}) == 36
    with pytest.raises(ArgumentError, match=r"^coarse_to_fine: shrink is 1, expected 0 < shrink"):
        search.coarse_to_fine(objectives.bowl, X, shrink=1)


def test_halving_gives_the_best_of_each_round_more():
    seen = []

    def objective(trial):
        seen.append((trial.round, trial.budget, trial.number))
        return trial["x"] + 1 / trial.budget

    results = search.successive_halving(objective, X, 9, min_budget=2, max_budget=18, factor=3)
    order = [row.trial.number for row in sorted(results[:9], key=lambda row: row["x"])]
    assert seen == [
        *((0, 2, i) for i in range(9)),
        *((1, 6, i) for i in order[:3]),
        (2, 18, order[0]),
    ]
    assert results.best.trial.budget == 18
    by_number = [row for row in results if row.trial.number == order[0]]
    assert len({(row["x"], row.trial.seed) for row in by_number}) == 1


def test_best_of_halving_has_the_largest_budget_even_where_its_score_is_worse():
    results = search.successive_halving(
        lambda trial: trial["x"] * trial.budget, X, 4, max_budget=4, factor=2
    )
    assert results.best.trial.budget == 4
    assert results.best.score > min(row.score for row in results)


@pytest.mark.parametrize(
    ("arguments", "rounds"),
    [
        ((27, 1, 27, 3), ([27, 9, 3, 1], [1, 3, 9, 27])),
        ((27, 1, 10, 3), ([27, 9, 3], [1, 3, 9])),
        ((5, 0.5, 100, 2), ([5, 2, 1], [0.5, 1.0, 2.0])),
        ((1, 3, 3, 2), ([1], [3])),
    ],
)
def test_plan_of_halving(arguments, rounds):
    assert plan_rounds(*arguments) == rounds


def test_halving_goes_on_from_what_a_trial_left(tmp_path):
    steps = []

    def objective(trial):
        state = trial.folder / "steps"
        done = int(state.read_text()) if state.exists() else 0
        steps.append(trial.budget - done)
        state.write_text(str(trial.budget))
        return trial["x"]

    search.successive_halving(objective, X, 4, max_budget=4, factor=2, folder=tmp_path / "runs")
    assert steps == [1, 1, 1, 1, 1, 1, 2]
    assert len(list((tmp_path / "runs").iterdir())) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1}, "factor is 1, expected an int of 2 or more"),
        ({"min_budget": 3, "max_budget": 2}, "budgets from 3 to 2, expected 0 < min_budget <= max"),
    ],
)
def test_plans_that_are_none(options, message):
    with pytest.raises(ArgumentError, match=f"^successive_halving: {message}"):
        search.successive_halving(objectives.bowl, X, **options)


# Seeds
def test_each_trial_has_a_seed_and_leaves_others_random_numbers_alone():
    def objective(trial):
        return tn.rand(1).item() + np.random.random() + random.random()  # noqa: NPY002

    def states():
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
        return tn.get_rng_state(), numpy_state, random.getstate()

    before = states()
    first, second = (search.random_search(objective, X, 4) for _ in range(2))
    assert states() == before
    assert [row.score for row in first] == [row.score for row in second]
    assert len({row.score for row in first}) == len({row.trial.seed for row in first}) == 4


def test_draws_are_philox_s():
    seed, fractions = draw(seed=7, number=3, count=5)
    source = np.random.Philox(key=7, counter=(3 << 32) + 1)
    assert fractions == np.random.Generator(source).random(5).tolist()
    first = np.random.Philox(key=7, counter=3 << 32).random_raw()
    assert seed in (first & 0xFFFFFFFF, first >> 32)


# Failures
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raise", r"ValueError: of no use, in two lines \(objectives.py:\d+\)"),
        ("nan", "ArgumentError: grid_search: the objective returned nan, expected a finite number"),
        ("nothing", r"ArgumentTypeError: .* returned None \(does it return\?\), expected a number"),
        ("text", "ArgumentTypeError: grid_search: the objective returned '0.5', expected a number"),
        ("unpicklable", r"ArgumentTypeError: .* returned \(0.25, .*, expected a number"),
    ],
)
def test_a_trial_that_fails_is_a_row(how, error):
    with pytest.warns(UserWarning, match=r"^grid_search: trial 0 failed, the search goes on: Trac"):
        results = search.grid_search(objectives.faulty, {"how": [how, "work"]})
    bad, good = results
    here = search.grid_search(objectives.noise, {"how": [1, 2]})
    assert (bad.status, bad.score) == ("failed", None)
    assert re.match(error, bad.error), bad.error
    assert "Traceback" in bad.traceback
    assert (good.status, good.score, good.error) == ("ok", here[1].score, "")
    assert results.best is good
    assert results.failed == [bad]


def test_no_trial_succeeds():
    with pytest.warns(UserWarning, match="trial 0 failed") as caught:
        results = search.grid_search(objectives.faulty, {"how": ["raise", "nan"]})
    assert len(caught) == 1  # of the first
    message = r"^SearchResults.best: of 2 trials none succeeded, expected one; the first one: Value"
    with pytest.raises(SearchError, match=message):
        _ = results.best
    assert "2 of 2 trials failed" in str(results)


@pytest.mark.parametrize(
    "score", [1, 1.0, np.float32(1), np.int64(1), np.ones((1, 1)), tn.ones(1), tn.tensor(1)]
)
def test_scores_may_be_any_number(score):
    assert search.random_search(lambda trial: score, X, 1).best.score == 1.0


def test_unknown_parameter():
    trial = search.Trial(0, {"lr": 1}, 0)
    with pytest.raises(ArgumentError, match=r"^Trial: no parameter 'rate', expected one of \['lr'"):
        trial["rate"]


# Processes
def test_processes_change_no_result_and_a_killed_one_costs_its_trial():
    space = {"how": ["kill", "one", "raise", "two", "exit"]}
    with pytest.warns(UserWarning, match=r"^grid_search: trial \d (killed|failed)"):
        results = search.grid_search(objectives.faulty, space, processes=2)
    assert [row.trial.number for row in results] == list(range(5))
    assert [row.status for row in results] == ["killed", "ok", "failed", "ok", "killed"]
    assert results[0].error == "its process ended with exit code -9 (SIGKILL, out of memory?)"
    assert results[4].error == "its process ended with exit code 3"
    here = search.grid_search(objectives.noise, {"how": list(range(5))})
    for i in (1, 3):
        assert (results[i].trial.seed, results[i].score) == (here[i].trial.seed, here[i].score)


@pytest.mark.parametrize(
    ("objective", "space"),
    [(lambda trial: 1, X), (objectives.bowl, {"x": [lambda: 1, lambda y: 2][:1]})],
)
def test_an_objective_that_cannot_be_sent(objective, space):
    message = r"^random_search: cannot send the objective .* expected a function at the top level"
    with pytest.raises(ArgumentTypeError, match=message):
        search.random_search(objective, space, 2, processes=2)


def run_script(tmp_path, text, **options):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_a_script_without_a_guard(tmp_path):
    process = run_script(
        tmp_path,
        """
        from tinynet.train.search import Uniform, random_search
        from tests.train.objectives import bowl
        random_search(bowl, {"x": Uniform(0, 1)}, 2, processes=2)
        """,
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SearchError: random_search: a worker process ended (exit code 1)" in errors
    assert "below `if __name__ == '__main__':`" in errors


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_gives_the_results_so_far_and_the_same_call_goes_on(tmp_path):
    process = run_script(
        tmp_path,
        f"""
        from tinynet.train.search import Uniform, random_search
        from tests.train.objectives import slow
        if __name__ == "__main__":
            results = random_search(
                slow, {{"x": Uniform(0, 1)}}, 9, processes=2,
                path={str(tmp_path / "results.csv")!r}, folder={str(tmp_path)!r},
            )
            print(len(results), results.interrupted)
        """,
        start_new_session=True,
    )
    wait_for(lambda: all((tmp_path / f"trial-{i}" / "started").exists() for i in (2, 3)))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=20)
    assert output == "2 True\n"
    assert "UserWarning: random_search: interrupted after 2 trials" in errors
    assert "Traceback" not in errors
    results = search.random_search(lambda trial: -1.0, X, 9, path=tmp_path / "results.csv")
    assert [row.score for row in results] == [0.0, 1.0, *[-1.0] * 7]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_ctrl_c_in_this_process():
    def objective(trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return trial.number

    with pytest.warns(UserWarning, match=r"^coarse_to_fine: interrupted after 2 trials"):
        results = search.coarse_to_fine(objective, X, 4)
    assert results.interrupted
    assert [row.score for row in results] == [0, 1]
    assert str(results).endswith("interrupted")


# The file of results
MIXED = {
    "lr": LogUniform(1e-4, 1),
    "width": IntegerRange(1, 99),
    "layer": [tn.nn.ReLU, tn.nn.Tanh],
    "text": ['with "quotes", commas', "ä"],
    "pair": [(1, 2), None],
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
    with pytest.raises(DataError, match=r"cannot read .*No such file"):
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


# What one sees
def test_printed_results():
    results = search.grid_search(lambda trial: trial["n"] / 7, {"n": [3, 1], "kind": ["a"]})
    lines = [line.split() for line in str(results).splitlines()]
    assert lines[0] == ["trial", "n", "kind", "score", "seconds"]
    assert [line[:4] for line in lines[1:]] == [
        ["1", "1", "a", "0.1429"],
        ["0", "3", "a", "0.4286"],
    ]
    assert repr(results) == "SearchResults(2 trials of ['n', 'kind'], 0 failed)"
    assert str(results[0]).startswith("trial 0: score 0.428571 in ")


def test_long_results_are_cut():
    text = str(search.random_search(objectives.bowl, X, 50))
    assert text.endswith("30 more trials")
    assert len(text.splitlines()) == 22


def test_outcomes_as_they_come():
    seen = []
    results = search.random_search(objectives.bowl, X, 3, on_outcome=seen.append)
    assert seen == results.rows


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.warns(UserWarning, match=r"trial \d failed"):
        results = search.random_search(
            lambda trial: 1 / trial.number if trial.number > 2 else None, MIXED, 9
        )
    figure = results.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0
    axes = {each.get_xlabel(): each for each in figure.axes}
    assert [axes[name].get_xscale() for name in ("lr", "width")] == ["log", "linear"]
    assert [tick.get_text() for tick in axes["layer"].get_xticklabels()] == ["ReLU", "Tanh"]
    places = axes["lr"].collections[0].get_offsets()
    assert [*places[:, 0]] == [row["lr"] for row in results.ranked()]
    assert [*places[:, 1]] == [row.score for row in results.ranked()]


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    results = search.random_search(objectives.bowl, X, 1)
    with pytest.raises(MissingDependencyError, match=r"matplotlib is not installed.*tinynet\[viz"):
        results.plot()
    with pytest.raises(ArgumentError, match=r"^SearchResults: mode is 'low'"):
        SearchResults([], "low")
