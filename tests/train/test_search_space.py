"""What a search may try: ranges, choices, grids, zooming."""

import numpy as np
import pytest

import tinynet as tn
from tests.train import objectives
from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.train import search
from tinynet.train.search import Choice, IntegerRange, LogUniform, Uniform


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
        (
            lambda: Choice(object()),
            "Choice: <object object at 0x.* is another text in each process",
        ),
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
        ({"seed": [1]}, "random_search: a parameter is named 'seed', expected a text of one line"),
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
    options = {"objective": objectives.bowl, "space": {"x": Uniform(0, 1)}, **options}
    with pytest.raises((ArgumentError, ArgumentTypeError), match=f"^random_search: {message}"):
        search.random_search(**options)


def test_numbers_of_numpy_are_numbers():
    assert Uniform(np.float32(0), np.int64(2)).at(0.5) == 1
    assert IntegerRange(np.int64(1), np.int32(4)).grid(9) == [1, 2, 3, 4]
