"""Hyperparameter search: methods, seeds, failures, tables and pictures."""

import random
import re
import sys

import numpy as np
import pytest

import tinynet as tn
from tests.train import objectives
from tinynet import nn
from tinynet.errors import ArgumentError, MissingDependencyError, SearchError
from tinynet.train import search
from tinynet.train.search import IntegerRange, LogUniform, SearchResults, Uniform
from tinynet.train.search.halving import plan_rounds
from tinynet.train.search.trial import draw

X = {"x": Uniform(0, 1)}


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


def test_halving_by_the_highest_score():
    results = search.successive_halving(
        lambda trial: trial["x"], X, 4, max_budget=4, factor=2, mode="max"
    )
    assert results.best["x"] == max(row["x"] for row in results)
    assert results.best.trial.budget == 4


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
    assert len(list((tmp_path / "runs").glob("trial-*"))) == 4


def test_rounds_of_halving_go_on_from_checkpoints_of_fit(device, tmp_path):
    """As if each configuration had been trained in one go; only new epochs are trained."""
    tn.manual_seed(0)
    batches = [(tn.randn(4, 3, device=device), tn.randn(4, 1, device=device)) for _ in range(3)]
    trained = []

    class Count(tn.train.Callback):
        def on_epoch_end(self, trainer):
            trained.append(trainer.epoch)

    def objective(trial):
        model = nn.Linear(3, 1).to(device)
        optimizer = tn.optim.Adam(model.parameters(), lr=trial["x"])
        checkpoint = None if trial.folder is None else trial.folder / "checkpoint"
        history = tn.train.fit(
            model, batches, nn.functional.mse_loss, optimizer, epochs=trial.budget,
            checkpoint=checkpoint, progress=False, callbacks=[Count()],
        )  # fmt: skip
        return history["loss"][-1]

    options = {"trials": 4, "max_budget": 4, "factor": 2}
    at_once = search.successive_halving(objective, X, **options)
    n_at_once, trained[:] = len(trained), []
    resumed = search.successive_halving(objective, X, **options, folder=tmp_path / "runs")
    assert [row.score for row in resumed] == [row.score for row in at_once]
    assert n_at_once == 4 * 1 + 2 * 2 + 1 * 4
    assert len(trained) == 4 * 1 + 2 * 1 + 1 * 2


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

    runs = []
    for _ in range(2):
        before = states()
        runs.append(search.random_search(objective, X, 4))
        assert states() == before
        objective(None)  # others draw from them, too
    first, second = runs
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
        ("leave", r"SystemExit: 2 \("),
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


def test_a_trial_can_be_run_again():
    results = search.random_search(objectives.noise, X, 4)
    again = search.run_trial(objectives.noise, results.best.trial)
    assert (again.trial, again.score) == (results.best.trial, results.best.score)


def test_unknown_parameter():
    trial = search.Trial(0, {"lr": 1}, 0)
    with pytest.raises(ArgumentError, match=r"^Trial: no parameter 'rate', expected one of \['lr'"):
        trial["rate"]


# What one sees
def test_printed_results():
    results = search.grid_search(lambda trial: trial["n"] / 7, {"n": [3, 1], "kind": ["a"]})
    lines = [line.split() for line in str(results).splitlines()]
    assert lines[0] == ["trial", "n", "kind", "score", "seconds"]
    assert [line[:4] for line in lines[1:]] == [
        ["1", "1", "a", "0.1429"],
        ["0", "3", "a", "0.4286"],
    ]
    assert str(SearchResults([], interrupted=True)) == "no trials, interrupted"
    assert repr(results) == "SearchResults(2 trials of ['n', 'kind'], 0 failed)"
    assert re.fullmatch(r"trial 0: score 0.428571 in .* s, n=3, kind=a", str(results[0]))


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
            lambda trial: 1 / trial.number if trial.number > 2 else None,
            {
                "lr": LogUniform(1e-4, 1),
                "width": IntegerRange(1, 99),
                "layer": [tn.nn.ReLU, tn.nn.Tanh],
            },
            9,
        )
    figure = results.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 0
    axes = {each.get_xlabel(): each for each in figure.axes}
    assert [axes[name].get_xscale() for name in ("lr", "width")] == ["log", "linear"]
    assert [tick.get_text() for tick in axes["layer"].get_xticklabels()] == ["ReLU", "Tanh"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["failed"]
    places = axes["lr"].collections[0].get_offsets()
    assert [*places[:, 0]] == [row["lr"] for row in results.ranked()]
    assert [*places[:, 1]] == [row.score for row in results.ranked()]


def test_rounds_have_colors_in_a_plot():
    pytest.importorskip("matplotlib")
    results = search.successive_halving(objectives.bowl, X, 4, max_budget=4, factor=2)
    figure = results.plot(log=True)
    assert figure.axes[0].get_yscale() == "log"
    assert [len(dots.get_offsets()) for dots in figure.axes[0].collections] == [4, 2, 1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["budget 1", "budget 2", "budget 4"]


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    results = search.random_search(objectives.bowl, X, 1)
    with pytest.raises(MissingDependencyError, match=r"matplotlib is not installed.*tinynet\[viz"):
        results.plot()
    with pytest.raises(ArgumentError, match=r"^SearchResults: mode is 'low'"):
        SearchResults([], "low")
