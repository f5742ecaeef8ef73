"""Files go to and fro between PyTorch and tinynet."""

import argparse
import datetime
import pathlib
from collections import Counter, OrderedDict, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safetensors.torch as reference  # noqa: E402

import tinynet as tn  # noqa: E402
from tests.parity.comparing import DTYPES, converted, differences  # noqa: E402


def mlp(nn):
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))


def lenet(nn):
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(6 * 2 * 2, 10),
    )  # fmt: skip


def tied(nn):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def normalised(nn):
    return nn.ModuleList(
        [nn.GroupNorm(2, 4), nn.LayerNorm((2, 3)), nn.BatchNorm1d(3, affine=False),
         nn.InstanceNorm2d(2, affine=True, track_running_stats=True)]
    )  # fmt: skip


# A line here covers a network: its name, how to make it of torch.nn or tn.nn, its input's shape.
NETWORKS = [
    ("mlp", mlp, (4, 6)),
    ("lenet with batch norm", lenet, (3, 1, 12, 12)),
    ("tied weights", tied, (2, 4)),
    ("transposed convolution", lambda nn: nn.ConvTranspose2d(2, 3, 3, groups=1), (1, 2, 4, 4)),
    ("norms", normalised, None),
    ("lstm", lambda nn: nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3)),
    ("transformer", lambda nn: nn.TransformerEncoderLayer(4, 2, 8, 0.0), (5, 2, 4)),
]
CASES = pytest.mark.parametrize(
    ("make", "shape"), [case[1:] for case in NETWORKS], ids=[case[0] for case in NETWORKS]
)
BOTH_DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights"


def made(make, shape, dtype):
    """PyTorch's network with statistics that have moved, and an input."""
    torch.manual_seed(0)
    model = make(torch.nn).to(dtype)
    x = None
    if shape:
        x = torch.randn(shape, dtype=dtype)
        model(x)
    return model, x


def assert_same(model, other, x):
    """tinynet's `other` has PyTorch's state, and computes what `model` does."""
    expected, got = model.state_dict(), other.state_dict()
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert not differences(value, got[name], (0, 0)), name
    if x is not None:
        for module in (model, other):
            module.eval()
        assert not differences(model(x), other(converted(x)))


@CASES
@BOTH_DTYPES
def test_pytorch_s_safetensors_load_here(path, on_device, make, shape, dtype):
    model, x = made(make, shape, dtype)
    reference.save_file({name: x.clone() for name, x in model.state_dict().items()}, path)
    other = make(tn.nn).to(DTYPES[dtype])
    other.load_state_dict(tn.load(path))
    assert_same(model, other, x)


@CASES
@BOTH_DTYPES
def test_ours_load_in_pytorch(path, on_device, make, shape, dtype):
    tn.manual_seed(0)
    other = make(tn.nn).to(DTYPES[dtype])
    if shape:
        other(tn.randn(*shape).to(DTYPES[dtype]))
    model, x = made(make, shape, dtype)
    tn.save(other.state_dict(), path, metadata={"format": "pt"})
    model.load_state_dict(reference.load_file(path))
    assert_same(model, other, x)


@CASES
def test_pytorch_loads_the_weights_of_a_model_file(path, make, shape):
    tn.manual_seed(0)
    other = make(tn.nn)
    tn.save_model(other, path)
    model, x = made(make, shape, torch.float32)
    reference.load_model(model, path)  # which ties what is tied
    assert_same(model, tn.load_model(path), x)


@CASES
@BOTH_DTYPES
def test_pytorch_s_pth_files_load_here(path, on_device, make, shape, dtype):
    model, x = made(make, shape, dtype)
    torch.save(model.state_dict(), path)
    other = make(tn.nn).to(DTYPES[dtype])
    other.load_state_dict(tn.load(path))
    assert_same(model, other, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_dtype(path, dtype, shape):
    x = torch.arange(6).reshape(2, 3).to(dtype) if shape == (2, 3) else torch.ones(shape).to(dtype)
    reference.save_file({"x": x}, path)
    assert not differences(x, tn.load(path)["x"])
    torch.save({"x": x}, path)
    assert not differences(x, tn.load(path)["x"])
    tn.save({"x": converted(x)}, path)
    got = reference.load_file(path)["x"]
    assert (got.dtype, got.shape) == (x.dtype, x.shape)
    assert torch.equal(got, x)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_a_pth_file_may_hold(path, protocol):
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "whole": base, "transposed": base.T, "part": base[1:, ::2], "wide": base[0].expand(3, 6),
        "parameter": torch.nn.Parameter(base[0]), "numbers": [1, -2.5, None, True, 2**70],
        "pair": (1, "é"), 3: {"lr": 0.1}, "size": base.size(),
    }  # fmt: skip
    torch.save(state, path, pickle_protocol=protocol)
    loaded = tn.load(path)
    assert list(loaded) == list(state)
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            assert not differences(value.detach(), loaded[key]), key
        else:
            assert loaded[key] == (tuple(value) if key == "size" else value)
    torch.save({"dtype": torch.float16}, path, pickle_protocol=protocol)
    assert tn.load(path) == {"dtype": tn.float16}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
def test_a_tensor_that_is_kept_with_the_other_sign(path, dtype):
    x = torch.tensor([1 + 2j, 3 - 4j], dtype=dtype).conj().imag
    assert x.is_neg()
    torch.save({"x": x, "parameter": torch.nn.Parameter(x), "plain": x.resolve_neg()}, path)
    for name, got in tn.load(path).items():
        assert not differences(x.resolve_neg(), got), name


VALUES = {
    "numbers": [np.float32(0.5), np.int64(-3), np.bool_(True), np.float64(1e300), 2 - 1j],
    "arrays": [
        np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(3, dtype=">i2"), np.zeros((0, 2), "f2"), np.array(True), np.ones(3)[::2],
    ],
    "sets": [{1, "a"}, set(), frozenset({(1, 2)})],
    "counts": Counter("abba"),
    "groups": defaultdict(list, {1: [2]}),
    "chains": [defaultdict(factory) for factory in (None, dict, int, float, set)],
    "bytes": [b"", b"a\xff", bytearray(), bytearray(b"a\xff")],
    "dates": [datetime.datetime(2020, 1, 2, 3, 4, 5, 6), datetime.date(1, 1, 1),
              datetime.timedelta(1, 2, 3)],
}  # fmt: skip


def typed(value):
    """Something that is equal for equal values of equal types."""
    if isinstance(value, (list, tuple)):
        return type(value), [typed(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return type(value), value.dtype, value.shape, value.tolist()
    return type(value), value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", VALUES)
def test_ordinary_values_in_a_pth_file(path, name, protocol):
    torch.save({"x": torch.ones(1), name: VALUES[name]}, path, pickle_protocol=protocol)
    loaded = tn.load(path)[name]
    expected = VALUES[name]
    if name == "arrays":
        assert all(array.flags.writeable for array in loaded)
        expected = [array.astype(array.dtype.newbyteorder("=")) for array in expected]
    assert typed(loaded) == typed(expected)
    if name == "groups":
        loaded["new"].append(1)
        assert loaded == {1: [2], "new": [1]}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_is_something_else_here(path, protocol):
    state = {
        "path": pathlib.PurePosixPath("/a/b"), "windows": pathlib.PureWindowsPath("c:/a"),
        "here": pathlib.Path(), "device": torch.device("cuda", 1), "cpu": torch.device("cpu"),
        "arguments": argparse.Namespace(lr=0.1, x=torch.ones(2)),
        "more": argparse.Namespace(), "names": SimpleNamespace(a=SimpleNamespace(b=1)),
        "ordered": OrderedDict(a=1),
    }  # fmt: skip
    torch.save(state, path, pickle_protocol=protocol)
    loaded = tn.load(path)
    arguments = loaded.pop("arguments")
    assert (type(arguments), arguments.lr) == (SimpleNamespace, 0.1)
    assert arguments.x.tolist() == [1, 1]
    assert loaded == {
        "path": "/a/b", "windows": "c:\\a", "here": ".", "device": "cuda:1", "cpu": "cpu",
        "more": SimpleNamespace(), "names": state["names"], "ordered": {"a": 1},
    }  # fmt: skip
    assert type(loaded["ordered"]) is dict


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_checkpoint_of_pytorch_s(path, name):
    model, x = made(mlp, (4, 6), torch.float32)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
    model(x).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    torch.save({"optimizer": state, "epoch": 3}, path)
    loaded = tn.load(path)
    assert loaded["epoch"] == 3
    assert loaded["optimizer"]["param_groups"] == state["param_groups"]
    for number, kept in state["state"].items():
        for key, value in kept.items():
            got = loaded["optimizer"]["state"][number][key]
            assert got is None if value is None else not differences(value, got)


def test_what_no_pth_file_may_hold(path):
    for value in (
        torch.nn.Linear(1, 1), {"a": slice(1)}, torch.ones(1).to_sparse(), {1, len},
        {"a": defaultdict(str)}, {"a": np.array(["word"])}, {"a": np.array([{}])},
        {"a": torch.ones(1) * 1j},
    ):  # fmt: skip
        torch.save(value, path)
        with pytest.raises(tn.errors.DataError, match=r"that torch\.save wrote$"):
            tn.load(path)
        torch.save(value, path, _use_new_zipfile_serialization=False)
        with pytest.raises(tn.errors.DataError, match=r"that torch\.save wrote$"):
            tn.load(path)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)


@pytest.mark.parametrize("kind", [lambda: torch.nn.Linear(1, 1), Net], ids=["torch's", "own"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_whole_modules_are_refused_with_advice(path, kind, is_zip):
    torch.save({"model": kind()}, path, _use_new_zipfile_serialization=is_zip)
    message = r"it holds a whole module, of which model\.state_dict\(\) can be saved instead, exp"
    with pytest.raises(tn.errors.DataError, match=message):
        tn.load(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("allow_pickle", [False, True])
def test_files_of_pytorch_before_1_6(path, on_device, protocol, allow_pickle):
    model, _ = made(lenet, (3, 1, 12, 12), torch.float32)
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "whole": base, "part": base[1:, ::2], "transposed": base.T, "none": torch.ones(0, 3),
        "neg": torch.tensor([1 + 2j]).conj().imag, **model.state_dict(),
        **{str(dtype): torch.ones(3).to(dtype) for dtype in DTYPES},
    }  # fmt: skip
    state = {**tensors, "epoch": 3, "counts": Counter("ab"), "mean": np.float32(0.5)}
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    loaded = tn.load(path, allow_pickle=allow_pickle)
    assert list(loaded) == list(state)
    for name, x in tensors.items():
        assert not differences(x.resolve_neg(), loaded[name]), name
    assert (loaded["epoch"], loaded["counts"], loaded["mean"]) == (3, Counter("ab"), 0.5)
