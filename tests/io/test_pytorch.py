"""PyTorch's own files: plain values and tensors are read, nothing in them runs.

The files are written by hand here; tests/parity/test_io.py has PyTorch write them.
"""

import collections
import contextlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

import tinynet as tn
from tests.io.test_safetensors import damaged
from tinynet.errors import DataError, TinynetError
from tinynet.io import stand_ins

ENDS = ", expected a file of tensors, numbers, strings, lists and dicts that torch.save wrote"
VALUES = np.arange(6, dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def write(path, program, storages=None, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("archive/data.pkl", program)
        for key, array in (storages or {"0": VALUES}).items():
            archive.writestr(f"archive/data/{key}", array.tobytes())


def call(function, *arguments):
    """The instructions that call a function, given by module and name."""
    module, name = function
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def plain(value):
    """The instructions that make a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(offset, size, stride, kind="FloatStorage", key="0", marks=None):
    """The instructions that make a tensor."""
    storage = b"(" + plain("storage") + f"ctorch\n{kind}\n".encode() + plain(key)
    storage += plain("cpu") + plain(6) + b"tQ"
    more = b"\x89" + call(("collections", "OrderedDict")) + (plain(marks) if marks else b"")
    return call(
        ("torch._utils", "_rebuild_tensor_v2"),
        storage, plain(offset), plain(tuple(size)), plain(tuple(stride)), more,
    )  # fmt: skip


def array(shape, content, code="i2", order="<"):
    """The instructions that make an array of NumPy's."""
    kind = call(("numpy", "dtype"), plain(code)) + plain((3, order)) + b"b"
    made = call(("numpy.core.multiarray", "_reconstruct"))
    return made + b"(" + plain(1) + plain(shape) + kind + b"\x89" + content + b"tb"


def program(value):
    return b"\x80\x02" + value + b"."


def test_tensors_and_plain_values(path, on_device):
    items = b"(" + plain("x") + tensor(1, (2, 2), (1, 2)) + plain("more") + plain([1, 2.5, None])
    write(path, program(b"}" + items + b"u"))
    state = tn.load(path)
    assert state["x"].tolist() == [[1, 3], [2, 4]]
    assert (state["x"].dtype, state["x"].device) == (tn.float32, on_device)
    assert state["more"] == [1, 2.5, None]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (tensor(3, (2, 2), (2, 1)), "a tensor of size (2, 2) goes beyond its storage"),
        (tensor(-1, (2,), (1,)), "a tensor has size (2,) and stride (1,)"),
        (tensor(0, (2,), (-1,)), "a tensor has size (2,) and stride (-1,)"),
        (tensor(0, (2, 2), (1,)), "a tensor has size (2, 2) and stride (1,)"),
        (tensor(0, (2,), (1,), key="5"), "\"There is no item named 'archive/data/5' in the "
         "archive\""),
        (tensor(0, (2,), (1,), marks={"conj": True}), "a tensor has the marks {'conj': True}"),
        (tensor(0, (2,), (1,), "QInt8Storage"), "it names torch.QInt8Storage"),
        (array((2,), plain(3)), "an array is not as NumPy writes it"),
        (call(("numpy.core.multiarray", "_reconstruct")), "an array is not as NumPy writes it"),
        (array((2,), b"C\x02ab"), "an array of shape (2,) has 2 bytes"),
        (array((-1,), b"C\x02ab"), "an array has shape (-1,)"),
        (array((1,), b"C\x02ab", "O8"), "it holds an array of NumPy's dtype 'O8'"),
        (array((1,), b"C\x02ab", order="<<"), "an array has the order of bytes '<<'"),
        (call(("builtins", "bytearray"), plain(2**40)), "it has bytes that are not as Python "
         "writes them"),
        (call(("_codecs", "encode"), plain("a"), plain("rot13")), "it has bytes that are not as "
         "Python writes them"),
        (call(("pathlib", "PosixPath"), plain(1)), "it has a path that is not as Python writes it"),
        (call(("torch", "device"), plain([])), "it has a device that is not as PyTorch writes it"),
        (call(("collections", "defaultdict"), b"ctorch\ndevice\n"), "it holds a defaultdict"),
        (call(("builtins", "getattr"), plain("a"), plain("b")), "it names builtins.getattr"),
        (b"cbuiltins\nset\n", "it holds a type"),
        (b"ctorch\nFloatStorage\n", "it holds a Storage"),
        (b"ccollections\nOrderedDict\n", "it holds a type"),
        (call(("posix", "system"), plain("false")), "it names posix.system"),
        (call(("builtins", "eval"), plain("1")), "it names builtins.eval"),
        (call(("torch._utils", "_rebuild_device_tensor")), "it names torch._utils."
         "_rebuild_device_tensor"),
        (b"cos\nsystem\n", "it names os.system"),
        (b"(S'false'\nios\nsystem\n", "its pickle has the instruction STRING"),
        (b"(ios\nsystem\n", "its pickle has the instruction INST"),
        (b"(cos\nsystem\no", "its pickle has the instruction OBJ"),
        (b"ccollections\nOrderedDict\n)\x81", "its pickle has the instruction NEWOBJ"),
        (b"\x82\x01", "its pickle has the instruction EXT1"),
        (b"Nr\xff\xff\xff\x7f", "its pickle has the place 2147483647"),
        (plain("x") + b"b", "pickle exhausted before seeing STOP"),
    ],
)  # fmt: skip
def test_nothing_else_is_made(path, made, message, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    text = b"\x80\x02" + made + (b"" if "STOP" in message else b".")
    write(path, text)
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value) == f"load: {path}: {message}{ENDS}"


def test_a_file_changes_no_dtype(path):
    state = b"N" + plain({"itemsize": 3, "name": "evil"}) + b"\x86b"
    write(path, program(b"ctorch\nfloat16\n" + state))
    with contextlib.suppress(DataError):
        tn.load(path)
    assert (tn.float16.itemsize, tn.float16.name) == (2, "float16")


@pytest.mark.parametrize(
    "place", ["collections\nCounter", "argparse\nNamespace", "pathlib\nPosixPath", "builtins\nset",
              "torch._utils\n_rebuild_parameter", "numpy\ndtype", "numpy\nndarray"],
)  # fmt: skip
def test_a_file_changes_nothing_that_it_names(path, place):
    value = program(f"c{place}\n".encode() + b"N" + plain({"__doc__": "evil"}) + b"\x86b")
    write(path, value)
    with pytest.raises(DataError):
        tn.load(path)
    names = {**stand_ins.FUNCTIONS, **stand_ins.CLASSES, "Counter": collections.Counter}
    assert not [name for name, made in names.items() if made.__doc__ == "evil"]


def sequence(value, storages=None, version=1001, little_endian=True):
    """A file from before PyTorch 1.6."""
    head = [0x1950A86A20F9469CFC6C, version, {"little_endian": little_endian}]
    storages = {"0": VALUES} if storages is None else storages
    parts = [pickle.dumps(part, 2) for part in head] + [program(value)]
    blocks = [array.size.to_bytes(8, "little") + array.tobytes() for array in storages.values()]
    return b"".join([*parts, pickle.dumps([*storages], 2), *blocks])


def tensor_of_sequence(offset, size, stride, key="0", part=None):
    """The instructions that make a tensor in it."""
    made = tensor(offset, size, stride, key=key)
    return made.replace(plain(6) + b"tQ", plain(6) + plain(part) + b"tQ")


@pytest.mark.parametrize("allow_pickle", [False, True])
def test_a_sequence_of_pickles(path, on_device, allow_pickle):
    path.write_bytes(sequence(tensor_of_sequence(1, (2, 2), (1, 2))))
    x = tn.load(path, allow_pickle=allow_pickle)
    assert (x.tolist(), x.device) == ([[1, 3], [2, 4]], on_device)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (sequence(tensor_of_sequence(1, (2,), (1,)))[:-1], "a storage ends early"),
        (sequence(tensor_of_sequence(1, (2,), (1,))) + b"a", "something follows after its "
         "storages"),
        (sequence(tensor_of_sequence(5, (2,), (1,))), "a tensor of size (2,) goes beyond its "
         "storage"),
        (sequence(tensor_of_sequence(1, (2,), (1,), part=("1", 0, 2))), "a storage is a part of "
         "another"),
        (sequence(tensor_of_sequence(1, (2,), (1,)), {}), "it is damaged (KeyError('0'))"),
        (sequence(plain(1), {}, 7), "it is of version 7 or another order of bytes"),
        (sequence(plain(1), {}, little_endian=False), "it is of version 1001 or another order of "
         "bytes"),
        (sequence(call(("posix", "system"), plain("false"))), "it names posix.system"),
        (sequence(plain(1), {})[:30], "not enough data in stream to read uint4"),
    ],
)  # fmt: skip
def test_a_sequence_of_pickles_that_is_none(path, content, message, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        tn.load(path, allow_pickle=True)
    assert str(caught.value) == f"load: {path}: {message}{ENDS}"


def test_damaged_sequences(path):
    data = sequence(tensor_of_sequence(1, (2, 2), (1, 2)))
    for seed in range(400):
        content = damaged(data, seed)
        path.write_bytes(data[:30] + content[30:])
        with contextlib.suppress(DataError, DeprecationWarning):  # of escapes in strings
            tn.load(path)


class Evil:
    def __reduce__(self):
        return (os.system, ("false",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something(path, protocol, monkeypatch):
    write(path, pickle.dumps({"a": Evil()}, protocol))
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    with pytest.raises(DataError):
        tn.load(path)


def test_what_grows_without_end(path):
    for text in (b"]" + b"]" * 200 + b"a" * 200, b"]q\x00h\x00a"):  # deep; a list in itself
        write(path, program(text))
        with pytest.raises(DataError, match=r"it is nested deeper than 100 levels"):
            tn.load(path)
    doubled = plain([1]) + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(60))
    write(path, program(doubled))  # 2**60 numbers, if it were not for sharing
    assert len(tn.load(path)) == 2


def test_archives_that_are_none(path):
    cases = {"compressed": ("archive/data.pkl", zipfile.ZIP_DEFLATED), "": ("a", 0)}
    for message, (name, packing) in cases.items():
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr(name, program(plain([0] * 100)))
        with pytest.raises(DataError, match=f"^load: .*{message}.*torch.save wrote$"):
            tn.load(path)


def test_numpy_s_files_are_told_by_what_they_are(path):
    np.savez(path.with_suffix(".npz"), a=VALUES)
    with pytest.raises(DataError) as caught:
        tn.load(path.with_suffix(".npz"))
    message = "these are arrays of NumPy's (.npz), which tn.data.read_numpy reads"
    assert str(caught.value) == f"load: {path.with_suffix('.npz')}: {message}{ENDS}"
    np.save(path.with_suffix(".npy"), VALUES)
    for op in (tn.load, tn.io.load_metadata, tn.load_model):
        with pytest.raises(
            DataError, match=r"this is an array of NumPy's \(\.npy\), which tn\.data\."
        ):
            op(path.with_suffix(".npy"))
    for op in (tn.io.load_metadata, tn.load_model):
        with pytest.raises(DataError, match=r"this is a zip; tn\.load reads PyTorch's"):
            op(path.with_suffix(".npz"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(DataError, match=r"this is a zip with 0 files data\.pkl, exp"):
        tn.load(path)


REBUILT = ("torch._utils", "_rebuild_tensor_v2")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (call(REBUILT, *[plain(1)] * 6), "a storage is not as PyTorch writes it"),
        (call(REBUILT, plain((1, 2)), *[plain(1)] * 5), "a storage is not as PyTorch writes it"),
        (tensor(0, (2,), (1,)).replace(plain((2,)), plain(2)), "a tensor is not as PyTorch writes "
         "it"),
        (call(REBUILT), "it is damaged (TypeError("),
        (array((1,), b"C\x02ab") + plain(3) + b"b", "an array is not as NumPy writes it"),
        (call(("numpy.core.multiarray", "_reconstruct")) + plain(3) + b"b", "an array is not as "
         "NumPy writes it"),
    ],
)  # fmt: skip
def test_what_python_says_of_its_own_code_explains_no_file(path, made, message):
    write(path, program(made))
    with pytest.raises(DataError) as caught:
        tn.load(path)
    assert str(caught.value).startswith(f"load: {path}: {message}")
    assert str(caught.value).endswith(ENDS)


def test_damaged_archives(path):
    write(path, program(b"}(" + plain("x") + tensor(0, (2, 3), (3, 1)) + b"u"))
    data = path.read_bytes()
    refused = 0
    for seed in range(400):
        path.write_bytes(damaged(data, seed))
        try:
            tn.load(path)
        except TinynetError:
            refused += 1
    assert refused > 200


def test_damaged_programs(path):
    data = program(b"}(" + plain("x") + tensor(0, (2, 3), (3, 1)) + b"u")
    for seed in range(400):
        write(path, damaged(data, seed))
        with contextlib.suppress(DataError):
            tn.load(path)


def test_a_file_needs_no_name():
    with pytest.raises(TypeError):
        tn.load(io.BytesIO())
