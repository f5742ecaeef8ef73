"""Batches of lists of samples."""

from typing import NamedTuple

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import default_collate
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError


class Point(NamedTuple):
    x: float
    label: int


def test_collate_dicts_arrays_and_strings():
    batch = default_collate(
        [
            {"x": np.ones(2, np.float32), "name": "a", "weight": 0.5, "is_new": True},
            {"x": np.zeros(2, np.float32), "name": "b", "weight": 1.5, "is_new": False},
        ]
    )
    assert (batch["x"].shape, batch["x"].dtype) == ((2, 2), tn.float32)
    assert batch["name"] == ["a", "b"]
    assert (batch["weight"].tolist(), batch["weight"].dtype) == ([0.5, 1.5], tn.float64)
    assert batch["is_new"].dtype is tn.bool


def test_collate_tensors():
    x, y = default_collate([(tn.zeros(2), tn.tensor(1)), (tn.ones(2), tn.tensor(2))])
    assert (x.tolist(), y.tolist()) == ([[0, 0], [1, 1]], [1, 2])


def test_collate_unequal_samples():
    with pytest.raises(ShapeError) as caught:
        default_collate([(1, 2), (1, 2, 3)])
    assert str(caught.value) == ("default_collate: samples of [2, 3] parts, expected equal numbers")


def test_collate_what_is_no_data():
    with pytest.raises(ArgumentTypeError) as caught:
        default_collate([object()])
    assert str(caught.value) == (
        "default_collate: a sample holds object, expected tensors, arrays,"
        " numbers, strings, or dicts, lists or tuples of them; or pass collate_fn="
    )


def test_collate_named_tuples():
    batch = default_collate([Point(0.5, 1), Point(1.5, 2)])
    assert isinstance(batch, Point)
    assert (batch.x.tolist(), batch.label.tolist()) == ([0.5, 1.5], [1, 2])


def test_collate_nested_containers():
    batch = default_collate([{"a": [(1, "x")]}, {"a": [(2, "y")]}])
    assert batch["a"][0][0].tolist() == [1, 2]
    assert batch["a"][0][1] == ["x", "y"]


@pytest.mark.parametrize(
    ("samples", "dtype"),
    [
        ([1, 2], tn.int64),
        ([1.5, 2.5], tn.float64),
        ([1, 2.5], tn.float64),
        ([True, False], tn.bool),
        ([np.float32(1), np.float32(2)], tn.float32),
        ([np.float64(1), np.float64(2)], tn.float64),
        ([np.uint8(1), np.uint8(2)], tn.uint8),
    ],
)
def test_collate_numbers(samples, dtype):
    batch = default_collate(samples)
    assert batch.dtype is dtype
    assert batch.tolist() == samples


def test_collate_on_each_device(on_device):
    x, y, z = default_collate([(tn.ones(2), np.zeros(3, np.float32), 1)] * 2)
    assert [(each.device, each.shape) for each in (x, y, z)] == [
        (on_device, (2, 2)), (on_device, (2, 3)), (on_device, (2,)),
    ]  # fmt: skip


@pytest.mark.parametrize("make", [tn.zeros, np.zeros])
def test_collate_ragged_samples(make):
    with pytest.raises(ShapeError) as caught:
        default_collate([{"x": (0, make((3, 2)))}, {"x": (0, make((4, 2)))}])
    assert str(caught.value) == (
        "default_collate: samples of shapes (3, 2) and (4, 2) at sample['x'][1], expected equal"
        " shapes; pad them, or pass collate_fn="
    )


def test_collate_dicts_of_other_keys():
    with pytest.raises(ArgumentError) as caught:
        default_collate([{"x": 1, "y": 2}, {"x": 1}])
    assert str(caught.value) == (
        "default_collate: dicts of ['x', 'y'] and ['x'], expected equal keys"
    )


@pytest.mark.parametrize(
    ("samples", "came"),
    [
        ([1, "a"], "int beside str"),
        ([1.0, True], "float beside bool"),
        ([tn.ones(1), np.ones(1)], "Tensor beside ndarray"),
    ],
)
def test_collate_samples_of_two_kinds(samples, came):
    with pytest.raises(ArgumentTypeError) as caught:
        default_collate([[sample] for sample in samples])
    assert str(caught.value) == f"default_collate: {came} at sample[0], expected one kind"


def test_collate_a_sample_that_is_missing():
    with pytest.raises(
        ArgumentTypeError, match=r"a sample holds NoneType at sample\[1\], expected"
    ):
        default_collate([(1, 2), (1, None)])


def test_collate_strings_of_numpy():
    assert default_collate(list(np.array(["a", "b"]))) == ["a", "b"]


def test_collate_nothing():
    with pytest.raises(ArgumentError) as caught:
        default_collate([])
    assert str(caught.value) == "default_collate: no samples, expected at least one"
