"""Flat dicts of tensors in files: all comes back, others read it, damage is noticed."""

import errno
import io
import json
import os
import random

import numpy as np
import pytest
from safetensors import numpy as reference
from safetensors import safe_open

import tinynet as tn
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError, TinynetError

DTYPES = (
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64"
).split()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_round_trip(path, on_device, name, shape):
    dtype = getattr(tn, name)
    tensor = tn.ones(shape, dtype=dtype)
    tn.save({"x": tensor}, path)
    loaded = tn.load(path)
    assert list(loaded) == ["x"]
    x = loaded["x"]
    assert (x.shape, x.dtype, x.device) == (shape, dtype, on_device)
    assert x.tolist() == tensor.tolist()


@pytest.mark.parametrize("name", DTYPES)
def test_the_format_s_own_reader_reads_it(path, name):
    tensors = {
        "b": tn.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(tn, name)), "a": tn.tensor(True),
        "none": tn.zeros(0, 2), "c": tn.tensor([0.5], dtype=tn.float64),
    }  # fmt: skip
    tn.save(tensors, path, metadata={"who": "Ångström"})
    loaded = reference.load_file(path)
    assert set(loaded) == set(tensors)
    for key, array in loaded.items():
        assert array.dtype == tensors[key].numpy().dtype
        np.testing.assert_array_equal(array, tensors[key].numpy())
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"who": "Ångström"}
    assert list(tn.load(path)) == list(tensors)  # in order, unlike the values in the file


def test_values_lie_at_multiples_of_their_size(path):
    names = ["bool", "float64", "int16", "bfloat16", "int32", "uint8"]
    tn.save({name: tn.ones(3, dtype=getattr(tn, name)) for name in names}, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name in names:
        start = 8 + length + header[name]["data_offsets"][0]
        assert start % getattr(tn, name).itemsize == 0


@pytest.mark.parametrize("name", DTYPES)
def test_it_is_read_as_the_format_s_own_writer_writes_it(path, name):
    array = tn.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(tn, name)).numpy()
    reference.save_file({"x": array, "y": array[:, :0]}, path, {"format": "np"})
    loaded = tn.load(path)
    assert (loaded["x"].dtype, loaded["y"].shape) == (getattr(tn, name), (2, 0))
    np.testing.assert_array_equal(loaded["x"].numpy(), array)
    assert tn.io.load_metadata(path) == {"format": "np"}


def test_special_values_keep_their_bits(path):
    bits = np.array([0x7FC00001, 0xFFC00000, 0x80000000, 0x00000001, 0x7F800000], np.uint32)
    tn.save({"x": tn.from_numpy(bits.view(np.float32))}, path)
    np.testing.assert_array_equal(tn.load(path)["x"].numpy().view(np.uint32), bits)


def test_views_are_written_as_they_read(path, on_device):
    x = tn.arange(6).reshape(2, 3)
    views = {"transposed": x.T, "flipped": x.flip(0), "column": x[:, 1], "wide": x.expand(2, 2, 3)}
    tn.save(views, path)
    loaded = tn.load(path)
    assert {name: x.tolist() for name, x in loaded.items()} == {
        name: x.tolist() for name, x in views.items()
    }


def test_shared_tensors_are_written_each(path):
    x = tn.ones(3)
    tn.save({"x": x, "same": x, "part": x[1:]}, path)
    loaded = tn.load(path)
    loaded["x"].zero_()
    assert (loaded["same"].tolist(), loaded["part"].tolist()) == ([1, 1, 1], [1, 1])


def test_module(path):
    first, second = tn.nn.Linear(3, 2), tn.nn.Linear(3, 2)
    tn.save(first.state_dict(), path)
    second.load_state_dict(tn.load(path, device="cpu"))
    x = tn.ones(1, 3)
    assert first(x).tolist() == second(x).tolist()


def test_loaded_tensors_can_be_changed(path):
    tn.save({"x": tn.zeros(2)}, path)
    x = tn.load(path)["x"]
    x += 1
    assert x.tolist() == [1, 1]
    assert tn.load(path)["x"].tolist() == [0, 0]


def test_metadata(path):
    tn.save({}, path, metadata={"accuracy": "0.99", "": "\n"})
    assert tn.io.load_metadata(path) == {"accuracy": "0.99", "": "\n"}
    assert tn.load(path) == {}
    tn.save({}, path)
    assert tn.io.load_metadata(path) == {}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("text", "save: metadata is of type str, expected a dict of strings"),
        ({"epoch": 3}, "save: metadata has 'epoch': 3, expected a dict of strings"),
        ({"tinynet": ""}, "save: metadata has the key 'tinynet', which is tinynet's own"),
    ],
)
def test_metadata_that_is_none(path, metadata, message):
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        tn.save({}, path, metadata=metadata)
    assert str(caught.value) == message
    assert not path.exists()


class FullDisk(io.FileIO):
    """A file on a disk that has room for 100 bytes."""

    def write(self, data):
        if self.tell() + memoryview(data).nbytes > 100:
            super().write(bytes(data)[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_keeps_the_old_file(path, monkeypatch):
    tn.save({"x": tn.zeros(2)}, path)
    opened = []

    def open_small(name, mode="r"):
        opened.append(mode)
        return FullDisk(name, "w") if mode == "wb" else open(name, mode)

    monkeypatch.setattr("tinynet.io.safetensors.open", open_small, raising=False)
    with pytest.raises(OSError, match="No space left"):
        tn.save({"x": tn.ones(200)}, path)
    assert opened == ["wb"]
    assert tn.load(path)["x"].tolist() == [0, 0]
    assert os.listdir(path.parent) == [path.name]


def test_save_what_is_no_dict(path):
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save(tn.zeros(2), path)
    assert str(caught.value) == "save: got Tensor, expected a dict of tensors, or nested dicts"
    with pytest.raises(ArgumentTypeError) as caught:
        tn.save({}, 3)
    assert str(caught.value) == "save: expected a path as str or Path, got 3"


@pytest.mark.parametrize("ending", [".pt", ".PTH", ".npy", ".npz"])
def test_names_that_promise_another_format(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    for op, content in ((tn.save, {"x": tn.ones(2)}), (tn.save_model, tn.nn.Linear(1, 1))):
        with pytest.raises(ArgumentError) as caught:
            op(content, path)
        assert str(caught.value) == (
            f"{op.__name__}: {str(path)!r}: tinynet writes safetensors, which readers of {ending} "
            "files refuse, expected a name such as weights.safetensors"
        )
    assert not path.exists()


def test_files_that_cannot_be_read(path):
    for name, reason in (
        (path, "No such file or directory"), (path.parent, "Is a directory"),
        ("a\0b", "there is a zero in it"),
    ):  # fmt: skip
        for op in (tn.load, tn.io.load_metadata, tn.load_model):
            with pytest.raises(DataError) as caught:
                op(name)
            message = f"{op.__name__}: {str(name)!r}: {reason}, expected a file to read"
            assert str(caught.value) == message
    with pytest.raises(ArgumentTypeError) as caught:
        tn.load(3)
    assert str(caught.value) == "load: expected a path as str or Path, got 3"


def file_of(header, values=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


WHOLE = ", expected a whole safetensors file"
DAMAGED = [
    (b"", "0 bytes do not hold a header of 0" + WHOLE),
    (b"\x01\0\0", "3 bytes do not hold a header of 1" + WHOLE),
    (b"\xff" * 16, "16 bytes do not hold a header of 18446744073709551615" + WHOLE),
    (file_of(b"[]"), "the header is no JSON object" + WHOLE),
    (file_of(b'{"a": "\xff"}'), "the header does not parse ('utf-8' codec can't decode byte 0xff"
     " in position 7: invalid start byte)" + WHOLE),
    (file_of(b'{"a": {}, "a": {}}'), "the header does not parse (a name comes twice)" + WHOLE),
    (file_of({"__metadata__": {"a": 1}}), "the metadata are not strings by name" + WHOLE),
    (file_of({"x": 3}), "'x' has no dtype, shape and data_offsets that can be read" + WHOLE),
    (file_of({"x": entry(shape=(-2,))}),
     "'x' has no dtype, shape and data_offsets that can be read" + WHOLE),
    (file_of({"x": entry("F8_E4M3", (8,))}, b"\0" * 8), "'x' has dtype F8_E4M3, expected one of "
     "BOOL, U8, I8, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64"),
    (file_of({"x": entry(shape=(3,))}, b"\0" * 8), "'x' lies at [0, 8] for 12 bytes" + WHOLE),
    (file_of({"x": entry(shape=(0, 2**62), offsets=(0, 0))}),
     "'x' has shape (0, 4611686018427387904)" + WHOLE),
    (file_of({"x": entry()}, b"\0" * 7), "7 bytes of values where the header counts 8" + WHOLE),
    (file_of({"x": entry()}, b"\0" * 9), "9 bytes of values where the header counts 8" + WHOLE),
    (file_of({"x": entry(offsets=(1, 9))}, b"\0" * 9), "'x' lies at byte 1, not 0" + WHOLE),
    (file_of({"x": entry(), "y": entry()}, b"\0" * 8), "'y' lies at byte 0, not 8" + WHOLE),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_damaged_files(path, data, message):
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value) == f"load: {path}: {message}"


def test_a_header_nested_too_deep(path):
    path.write_bytes(file_of(b'{"a":' + b"[" * 100_000))
    with pytest.raises(DataError, match=r"^load: .*: the header does not parse"):
        tn.load(path)


def damaged(data, seed):
    """`data` cut somewhere, or with some bytes changed, most of them in the first part."""
    dice = random.Random(seed)
    if seed % 4 == 0:
        return data[: dice.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5])):
        place = min(dice.randrange(len(data)), dice.randrange(len(data)))
        changed[place] = dice.choice([dice.randrange(256), changed[place] ^ 1 << dice.randrange(8)])
    return bytes(changed)


def test_whatever_is_damaged_only_our_errors_come(path):
    state = {
        "model": tn.nn.Linear(2, 2).state_dict(), "epoch": 3, "sizes": (1, 2.5, {3: None}),
        "large": 2**100, "loss": float("inf"),
    }  # fmt: skip
    tn.save(state, path)
    data = path.read_bytes()
    refused = 0
    for seed in range(800):
        path.write_bytes(damaged(data, seed))
        try:
            tn.load(path)
        except TinynetError:
            refused += 1
    assert refused > 500
