"""Tables from files: what is read, and what is said of files that do not fit."""

import contextlib
import gzip
import zipfile

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import read_csv, read_numpy
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError, DeviceError

IRIS = "length,width,kind\n5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_inputs_and_classes(write, on_device):
    table = read_csv(write(IRIS), "kind", categorical=["kind"], device=on_device)
    assert table.columns == ("length", "width")
    assert table.classes == ("setosa", "versicolor", "virginica")
    np.testing.assert_allclose(table.inputs.tolist(), [[5.1, 3.5], [7.0, 3.2], [6.3, 3.3]], 1e-6)
    assert (table.inputs.dtype, table.targets.dtype) == (tn.float32, tn.int64)
    assert table.targets.tolist() == [0, 1, 2]
    x, y = table[1]
    assert (x.shape, y.item(), len(table)) == ((2,), 1, 3)
    assert str(x.device) == str(y.device) == on_device


def test_numbers_as_target():
    table = read_csv_of("1,2,3\n4,5,6\n", -1, header=False)
    assert table.columns == ("0", "1")
    assert table.classes is None
    assert (table.targets.tolist(), table.targets.dtype) == ([3.0, 6.0], tn.float32)


def read_csv_of(text, *args, **options):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_text(text)
        return read_csv(path, *args, **options)


def test_without_a_target():
    table = read_csv_of("a,b\n1,2\n3,4\n")
    assert table.targets is None
    assert [len(sample) for sample in table] == [1, 1]


def test_chosen_columns_in_their_order():
    text = "a,b,c,d\n1,2,3,4\n5,6,7,8\n"
    table = read_csv_of(text, "d", columns=["c", 0], dtype=tn.float64)
    assert table.columns == ("c", "a")
    assert (table.inputs.tolist(), table.inputs.dtype) == ([[3, 1], [7, 5]], tn.float64)
    assert table.targets.dtype is tn.float64


def test_words_as_inputs():
    table = read_csv_of("size,color\n1,red\n2,blue\n3,red\n", categorical=["color"])
    assert table.columns == ("size", "color=blue", "color=red")
    assert table.inputs.tolist() == [[1, 0, 1], [2, 1, 0], [3, 0, 1]]


def test_quotes_separators_and_spaces(write):
    path = write('\ufeff"a;1"; b\r\n"1.5"; -2e3\r\n\r\n 3 ;4\r\n')
    table = read_csv(path, delimiter=";")
    assert table.columns == ("a;1", "b")
    assert table.inputs.tolist() == [[1.5, -2000], [3, 4]]


@pytest.mark.parametrize(
    ("missing", "expected"), [("drop", [[1, 2]]), (-1, [[1, 2], [-1, 3], [4, -1]])]
)
def test_missing_cells(missing, expected):
    table = read_csv_of("a,b,c\n1,2,?\n,3,5\n4,NaN,6\n", columns=["a", "b"], missing=missing)
    assert table.inputs.tolist() == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no rows, expected at least one"),
        ("a,b\n", {}, "has no rows"),
        ("a,b\n1,2\n\n3\n", {}, "line 4: 1 cells, expected 2"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3: 3 cells, expected 2"),
        ("a,b\n1,2\n3,x y\n", {}, "line 3, column 'b': 'x y' is no finite number; if these are w"),
        ("a,b\n1,inf\n", {}, "line 2, column 'b': 'inf' is no finite number"),
        ("a\n1_000\n", {}, "line 2, column 'a': '1_000' is no finite number"),
        ("a\n1e39\n", {}, "line 2, column 'a': '1e39' does not fit tinynet.float32"),
        ("a\n1e999999999\n", {"dtype": tn.float64}, "is no finite number"),
        ("a\n7\n300\n", {"dtype": tn.uint8}, "line 3, column 'a': '300' does not fit"),
        ("a\n-1\n", {"dtype": tn.uint8}, "'-1' does not fit tinynet.uint8"),
        ("a\n1.5\n", {"dtype": tn.int32}, "'1.5' does not fit tinynet.int32"),
        ("a,b\n1,2\n", {"dtype": tn.bool, "target": "b"}, "'2' does not fit tinynet.bool"),
        ("a\n9223372036854775808\n", {"dtype": tn.int64}, "does not fit tinynet.int64"),
        ("a,b\n1,nan\n", {}, "line 2, column 'b': 'nan' is missing; missing='drop'"),
        ("a,b\n1,\n", {"missing": "drop"}, "a cell is missing in every row"),
        ("a,b\n1,2\n", {"target": "c"}, "no column 'c', expected one of 'a', 'b'"),
        ("a,b\n1,2\n", {"target": 2}, "no column 2, there are 2"),
        ("a,a\n1,2\n", {"target": "a"}, "several columns 'a'"),
        ("a\n1\n", {"target": "a"}, "no columns for inputs"),
        ('a,b\n1,"2\n', {}, "line 2: unexpected end of data"),
        (b"a,b\n1,\xff\n", {}, "is no text in utf-8-sig"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), {}, "is no text in utf-8-sig"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit(write, text, options, message):
    path = write(text)
    with pytest.raises(DataError, match=message) as caught:
        read_csv(path, **options)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        (tn.int64, [9007199254740993, -(2**63), 2**63 - 1]),
        (tn.uint64, [2**64 - 1, 0]),
        (tn.float64, [0.1, 1e308, 12]),
        (tn.float32, [3.4028235e38, 1e-50]),
        (tn.bool, [1, 0]),
    ],
)
def test_numbers_come_as_they_are(dtype, cells):
    table = read_csv_of("\n".join(map(str, ["a", *cells])), dtype=dtype)
    assert table.inputs.dtype is dtype
    assert table.inputs.flatten().tolist() == np.array(cells, dtype.name).tolist()


def test_decimals_of_whole_numbers_are_integers():
    table = read_csv_of("a,b\n3.0,red\n?,blue\n", dtype=tn.int16, categorical=["b"], missing=-7.0)
    assert (table.inputs.tolist(), table.inputs.dtype) == ([[3, 0, 1], [-7, 1, 0]], tn.int16)


@pytest.mark.parametrize(
    ("missing", "dtype", "message"),
    [
        (None, tn.float32, "missing is None, expected 'raise', 'drop' or a number"),
        ([1], tn.float32, r"missing is \[1\], expected"),
        (True, tn.float32, "missing is True, expected"),
        (0.5, tn.int64, "missing is 0.5, which does not fit tinynet.int64"),
        (float("nan"), tn.int64, "missing is nan, which does not fit tinynet.int64"),
        (1e39, tn.float32, r"missing is 1e\+39, which does not fit tinynet.float32"),
    ],
)
def test_what_cannot_stand_for_missing_cells(write, missing, dtype, message):
    with pytest.raises(ArgumentError, match=message):
        read_csv(write("a\n1\n"), missing=missing, dtype=dtype)
    assert np.isnan(read_csv_of("a,b\n1,\n", missing=float("nan")).inputs.numpy()[0, 1])


def test_arguments_that_do_not_fit(write):
    path = write("a,b\n1,2\n")
    with pytest.raises(ArgumentTypeError, match=r"read_csv: expected a dtype such as tinynet"):
        read_csv(path, dtype="float32")
    with pytest.raises(ArgumentError, match="missing is 'keep', expected 'raise'"):
        read_csv(path, missing="keep")
    with pytest.raises(ArgumentError, match="the target 'a' is among the columns"):
        read_csv(path, "a", columns=["a", "b"])
    with pytest.raises(ArgumentError, match="delimiter '::'"):
        read_csv(path, delimiter="::")
    with pytest.raises(DataError, match="No such file or directory, expected a file to read"):
        read_csv(path.with_name("other.csv"))
    with pytest.raises(DataError, match="Is a directory, expected a file to read"):
        read_csv(path.parent)


# NumPy's files
@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", "?", "u1"])
def test_npy(tmp_path, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.save(tmp_path / "x.npy", np.asfortranarray(array))
    x = read_numpy(tmp_path / "x.npy")
    assert x.dtype.name == array.dtype.newbyteorder("=").name
    assert x.tolist() == array.tolist()


def test_npz(tmp_path, on_device):
    np.savez(tmp_path / "x.npz", a=np.ones(3), b=np.zeros((2, 2), "i4"))
    arrays = read_numpy(tmp_path / "x.npz", device=on_device)
    assert {name: (x.shape, x.dtype) for name, x in arrays.items()} == {
        "a": ((3,), tn.float64), "b": ((2, 2), tn.int32),
    }  # fmt: skip
    assert str(arrays["a"].device) == on_device


def test_npy_that_do_not_fit(tmp_path):
    path = tmp_path / "x.npy"
    with pytest.raises(DataError, match="No such file or directory, expected a file to read"):
        read_numpy(path)
    np.save(path, np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        read_numpy(path)
    np.save(path, np.array(["word"]))
    with pytest.raises(DataError, match="<U4 is no dtype of tinynet's"):
        read_numpy(path)
    np.save(path, np.ones(100))
    whole = path.read_bytes()
    for size in [*range(0, 130, 7), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is no whole file of NumPy's"):
            read_numpy(path)


def test_damaged_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(100))
    whole = path.read_bytes()
    for size in (0, 3, 50, 500, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is no whole file"):
            read_numpy(path)
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with pytest.raises(DataError, match="is no whole file"):
        read_numpy(path)


def test_every_damage_to_numpys_files_is_noticed_or_harmless(tmp_path):
    random = np.random.default_rng(0)
    for save, name in ((np.save, "x.npy"), (np.savez, "x.npz"), (np.savez_compressed, "y.npz")):
        save(tmp_path / name, np.arange(30.0))
        whole = np.fromfile(tmp_path / name, np.uint8)
        for _ in range(300):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
            damaged.tofile(tmp_path / name)
            with contextlib.suppress(DataError):
                read_numpy(tmp_path / name)


def test_files_of_others(tmp_path):
    path = tmp_path / "x.npz"
    for name, content in (("model/data.pkl", b"\x80\x02}."), ("x.npy", b"no array")):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(name, content)
        with pytest.raises(DataError, match="is no array, expected what NumPy wrote"):
            read_numpy(path)
    np.savez(path, a=np.ones(3))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # says that it is encrypted
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no whole file of NumPy's"):
        read_numpy(path)
    path = tmp_path / "x.npy"
    np.save(path, np.ones(3))
    path.write_bytes(path.read_bytes().replace(b"(3,)", b"(((("))
    with pytest.raises(DataError, match="is no whole file of NumPy's"):
        read_numpy(path)
    np.save(path, np.ones(3))
    with pytest.raises(DeviceError):
        read_numpy(path, "nowhere")
