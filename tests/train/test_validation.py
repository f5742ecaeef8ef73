"""Cross-validation: folds, spread, several metrics, errors."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import TensorDataset
from tinynet.data.splitting import KFold
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.train.scores import Scores
from tinynet.train.validation import cross_validate


def numbered(n, n_classes=2):
    return TensorDataset(tn.arange(n), tn.arange(n) * n_classes // n)


def test_each_sample_is_in_the_validation_set_of_one_fold():
    seen = []

    def run(train, validation):
        parts = [set(part[:][0].tolist()) for part in (train, validation)]
        assert parts[0] | parts[1] == set(range(11))
        assert not parts[0] & parts[1]
        seen.append(sorted(parts[1]))
        return 0.0

    result = cross_validate(run, numbered(11), 3)
    assert sorted(i for part in seen for i in part) == list(range(11))
    assert [len(part) for part in seen] == [4, 4, 3]
    assert seen != [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert len(result) == len(result.seconds) == 3
    seen.clear()
    cross_validate(run, numbered(11), 3, shuffle=False)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    seen.clear()
    cross_validate(run, numbered(11), KFold(5))
    assert len(seen) == 5


def test_a_seed_repeats_the_folds():
    def run(train, validation):
        return validation[:][0].sum()

    def scores(seed):
        generator = tn.Generator().manual_seed(seed)
        return cross_validate(run, numbered(40), generator=generator).scores

    assert scores(1) == scores(1) != scores(2)
    tn.manual_seed(3)
    first = cross_validate(run, numbered(40)).scores
    tn.manual_seed(3)
    assert cross_validate(run, numbered(40)).scores == first


def test_stratified_folds_have_the_classes_in_proportion():
    labels = tn.tensor([0] * 12 + [1] * 3)
    counts = []

    def run(train, validation):
        counts.append(tn.bincount(validation[:][0]).tolist())
        return 1.0

    cross_validate(run, TensorDataset(labels), 3, stratify=labels)
    assert counts == [[4, 1]] * 3


def test_mean_and_spread():
    values = iter([0.9, 0.8, 0.95, 0.7])
    result = cross_validate(lambda train, validation: next(values), numbered(8), 4)
    scores = np.array([0.9, 0.8, 0.95, 0.7])
    assert result.scores == scores.tolist()
    assert result.mean == pytest.approx(scores.mean())
    assert result.std == pytest.approx(scores.std(ddof=1))
    assert result.standard_error == pytest.approx(scores.std(ddof=1) / 2)
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines] == ["fold", "1", "2", "3", "4", "score:"]
    assert lines[-1] == "score: 0.8375 +- 0.11 (standard error 0.055)"
    assert repr(result).startswith("CrossValidation(4 folds, score: 0.8375 +- 0.11")
    assert math.isnan(Scores([1.0]).std)


def test_several_metrics():
    def run(train, validation):
        return {"loss": len(train), "accuracy": tn.tensor(len(validation) / 10)}

    result = cross_validate(run, numbered(10), 5)
    assert result["loss"].values == result.scores == [8.0] * 5
    assert result["accuracy"].mean == pytest.approx(0.2)
    assert str(result).splitlines()[0].split() == ["fold", "loss", "accuracy", "seconds"]
    with pytest.raises(ArgumentError, match=r"no metric 'f1', expected one of \['loss', 'accur"):
        result["f1"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"fold 1 returned None \(does it return\?\), expected a number"),
        (float("nan"), "fold 1 returned nan, expected a finite number"),
        ("good", "fold 1 returned 'good', expected a number"),
        ({}, r"fold 1 returned the metrics \[\], expected at least one"),
    ],
)
def test_scores_that_are_none(value, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^cross_validate: {message}"):
        cross_validate(lambda train, validation: value, numbered(10))


def test_what_earlier_folds_gave_is_said():
    values = iter([0.5, {"loss": 1.0}])
    message = r"^cross_validate: fold 2 \(folds before gave \[0.5\]\) returned the metrics"
    with pytest.raises(ArgumentError, match=message):
        cross_validate(lambda train, validation: next(values), numbered(10))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 1}, ArgumentError, "KFold: n_splits is 1, expected an int from 2 on"),
        ({"folds": 11}, ArgumentError, "KFold: 10 samples for 11 folds, expected at least one"),
        ({"folds": "5"}, ArgumentTypeError, "cross_validate: folds is '5', expected an int or an"),
        ({"stratify": [0, 1]}, ShapeError, "cross_validate: 2 labels to stratify by, expected 10"),
        ({"run": 5}, ArgumentTypeError, "cross_validate: run is 5, expected a function of two"),
    ],
)
def test_options_that_are_wrong(options, error, message):
    options = {"run": lambda train, validation: 1.0, "dataset": numbered(10), **options}
    with pytest.raises(error, match=f"^{message}"):
        cross_validate(**options)
