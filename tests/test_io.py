"""Weights in files: everything comes back, PyTorch's loaders read it, damage is noticed."""

import os
import sys

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ArgumentTypeError, DataError, MissingDependencyError

DTYPES = (
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64"
).split()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_round_trip(path, name, shape):
    dtype = getattr(tn, name)
    tensor = tn.ones(shape, dtype=dtype)
    tn.save({"x": tensor}, path)
    loaded = tn.load(path)
    assert list(loaded) == ["x"]
    assert (loaded["x"].shape, loaded["x"].dtype) == (shape, dtype)
    assert loaded["x"].tolist() == tensor.tolist()


def test_views_are_written_as_they_read(path):
    x = tn.arange(6).reshape(2, 3)
    tn.save({"transposed": x.T, "flipped": x.flip(0), "column": x[:, 1]}, path)
    loaded = tn.load(path)
    assert loaded["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert loaded["flipped"].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert loaded["column"].tolist() == [1, 4]


def test_module(path):
    first, second = tn.nn.Linear(3, 2), tn.nn.Linear(3, 2)
    tn.save(first.state_dict(), path)
    second.load_state_dict(tn.load(path, device="cpu"))
    x = tn.ones(1, 3)
    assert first(x).tolist() == second(x).tolist()


def test_numpy_reads_it(path):
    from safetensors.numpy import load_file

    tn.save({"x": tn.tensor([1.5, 2.5])}, path)
    np.testing.assert_array_equal(load_file(path)["x"], np.array([1.5, 2.5], np.float32))


def test_loaded_tensors_can_be_changed(path):
    tn.save({"x": tn.zeros(2)}, path)
    x = tn.load(path)["x"]
    x += 1
    assert x.tolist() == [1, 1]
    assert tn.load(path)["x"].tolist() == [0, 0]


def test_failed_write_keeps_the_old_file(path, monkeypatch):
    def fail(descriptor):
        raise OSError("disk full")

    tn.save({"x": tn.zeros(2)}, path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        tn.save({"x": tn.ones(2)}, path)
    assert tn.load(path)["x"].tolist() == [0, 0]
    assert os.listdir(path.parent) == [path.name]


def test_save_what_is_no_dict(path):
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save(tn.zeros(2), path)
    assert str(caught.value) == "save: got Tensor, expected a dict of tensors by name"


def test_save_nested_dict(path):
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save({"model": {"x": tn.zeros(2)}}, path)
    assert str(caught.value) == (
        "save: 'model' holds dict, expected a flat dict of tensors by name"
    )
    assert not path.exists()


def test_load_missing_file(path):
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value) == (f"load: no file {str(path)!r}, expected one in safetensors format")


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1]])
def test_load_truncated_file(path, damage):
    tn.save({"x": tn.zeros(2)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"^load: .*, expected a whole safetensors file$"):
        tn.load(path)


@pytest.mark.parametrize("op", ["save", "load"])
def test_without_safetensors(path, op, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MissingDependencyError) as caught:
        tn.save({}, path) if op == "save" else tn.load(path)
    assert str(caught.value) == (
        f"{op}: safetensors is not installed, expected it: pip install 'tinynet[io]'"
    )


def test_bfloat16_that_numpy_does_not_know(path, monkeypatch):
    import safetensors.numpy

    def fail(path):
        raise TypeError("data type 'bfloat16' not understood")

    tn.save({}, path)
    monkeypatch.setattr(safetensors.numpy, "load_file", fail)
    with pytest.raises(MissingDependencyError) as caught:
        tn.load(path)
    assert str(caught.value) == (
        f"load: {path}: data type 'bfloat16' not understood,"
        " expected ml_dtypes: pip install 'tinynet[bfloat16]'"
    )
