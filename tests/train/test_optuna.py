"""Optuna's samplers on our spaces."""

import sys

import pytest

import tinynet as tn
from tests.train import objectives
from tinynet.errors import ArgumentError, MissingDependencyError
from tinynet.train import search
from tinynet.train.search import Choice, IntegerRange, LogUniform, Uniform

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

X = {"x": Uniform(0, 1)}
MIXED = {
    "lr": LogUniform(1e-4, 1),
    "width": IntegerRange(8, 64, step=8),
    "depth": IntegerRange(1, 100, log=True),
    "layer": Choice(tn.nn.ReLU, tn.nn.Tanh),
    "drop": Uniform(0, 0.5),
}


def test_spaces_become_distributions():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    results = search.optuna_search(lambda trial: trial["lr"], MIXED, 8, study=study)
    distributions = optuna.distributions
    assert study.trials[0].distributions == {
        "lr": distributions.FloatDistribution(1e-4, 1, log=True),
        "width": distributions.IntDistribution(8, 64, step=8),
        "depth": distributions.IntDistribution(1, 100, log=True),
        "layer": distributions.CategoricalDistribution(("ReLU", "Tanh")),
        "drop": distributions.FloatDistribution(0, 0.5),
    }
    assert [trial.value for trial in study.trials] == [row.score for row in results]
    assert {row["layer"] for row in results} == {tn.nn.ReLU, tn.nn.Tanh}
    assert results.best.score == study.best_value
    assert results.names == [*MIXED]


def test_tpe_comes_near_and_is_repeated():
    first, second = (search.optuna_search(objectives.bowl, X, 25, seed=4) for _ in range(2))
    assert [row.trial for row in first] == [row.trial for row in second]
    assert first.best.score < 1e-3
    highest = search.optuna_search(objectives.bowl, X, 25, mode="max")
    assert highest.best["x"] > 0.95


def test_goes_on_as_if_never_stopped(tmp_path):
    path = tmp_path / "results.csv"
    options = {"batch": 2, "path": path}
    whole = search.optuna_search(objectives.bowl, X, 16, **options)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:14]))  # one of the seventh batch
    calls = []

    def objective(trial):
        calls.append(trial.number)
        return objectives.bowl(trial)

    again = search.optuna_search(objective, X, 16, **options)
    assert calls == [13, 14, 15]
    assert [(row.trial, row.score) for row in again] == [(row.trial, row.score) for row in whole]


def test_trials_that_fail_are_told():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        if trial.number == 1:
            raise ValueError("no")
        if trial.number == 2:
            raise KeyboardInterrupt
        return 1.0

    with pytest.warns(UserWarning, match="trial 1 failed|interrupted after 2 trials"):
        results = search.optuna_search(objective, X, 5, study=study)
    assert [row.status for row in results] == ["ok", "failed"]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "FAIL"]


def test_an_objective_for_optuna():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []

    def objective(trial):
        seen.append((trial.number, trial.seed, tn.rand(1).item()))
        return float("nan") if trial.number == 1 else trial["lr"]

    run = search.as_optuna_objective(objective, MIXED)
    study.optimize(run, n_trials=3, catch=(ArgumentError,))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    ours = search.random_search(lambda trial: tn.rand(1).item(), X, 3)
    assert seen == [(row.trial.number, row.trial.seed, row.score) for row in ours]


def test_arguments_that_are_wrong(monkeypatch):
    study = optuna.create_study(direction="maximize")
    message = r"^optuna_search: mode is 'min' and the study's direction is 'maximize', expected 'mi"
    with pytest.raises(ArgumentError, match=message):
        search.optuna_search(objectives.bowl, X, study=study)
    with pytest.raises(ArgumentError, match=r"^optuna_search: batch is 0, expected a positive int"):
        search.optuna_search(objectives.bowl, X, batch=0)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"^optuna_search: .*tinynet\[optuna\]'"):
        search.optuna_search(objectives.bowl, X)
