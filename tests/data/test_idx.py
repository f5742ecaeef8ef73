"""The IDX reader: every dtype, and every way in which a file can be wrong."""

import gzip
import struct

import numpy as np
import pytest

from tinynet.data.idx import DTYPES, read_idx
from tinynet.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write


def expect_error(path, message, shown=None):
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value) == f"read_idx: {shown or path}: {message}"


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_each_dtype(write, code, pack):
    values = np.array([[1, 2, 3], [4, 5, 100]], DTYPES[code])
    big_endian = values.astype(values.dtype.newbyteorder(">")).tobytes()
    array = read_idx(write(pack(struct.pack(">BBBBII", 0, 0, code, 2, 2, 3) + big_endian)))
    assert array.dtype == values.dtype
    assert array.dtype.isnative
    assert array.flags.writeable
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("shape", [(), (0,), (0, 28, 28)])
def test_reads_small_shapes(write, shape):
    values = np.zeros(shape, np.uint8)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    assert read_idx(write(header + values.tobytes())).shape == shape


def test_missing(tmp_path):
    path = str(tmp_path / "none")
    expect_error(path, "No such file or directory, expected a file to read", shown=repr(path))


def test_empty(write):
    expect_error(
        write(b""),
        "is empty, expected the IDX magic number:"
        " 0x0000, a byte for the dtype, a byte for the number of dims",
    )


def test_wrong_magic(write):
    expect_error(
        write(b"<html>not here</html>"),
        "starts with 0x3c68746d, expected the IDX magic number:"
        " 0x0000, a byte for the dtype, a byte for the number of dims",
    )


def test_unknown_dtype(write):
    expect_error(
        write(b"\0\0\x0a\x01" + bytes(4)),
        "dtype code 0x0a, expected one of 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e",
    )


def test_short_header(write):
    expect_error(write(b"\0\0\x08\x03" + bytes(6)), "10 bytes, expected a header of 16 for 3 dims")


@pytest.mark.parametrize("n_bytes", [0, 5, 7])
def test_wrong_length(write, n_bytes):
    expect_error(
        write(struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(n_bytes)),
        f"{n_bytes} bytes of values, expected 6 for uint8 of shape (2, 3)",
    )


def test_more_dims_than_an_array_has(write):
    header = struct.pack(">BBBB", 0, 0, 8, 65) + struct.pack(">I", 1) * 65
    expect_error(write(header + b"1"), "65 dims, expected at most 64")
    assert read_idx(write(header[:3] + b"\x40" + header[4:-4] + b"1")).shape == (1,) * 64


def test_dims_that_no_memory_holds(write):
    size = 2**32 - 1
    expect_error(
        write(struct.pack(">BBBBIII", 0, 0, 8, 3, size, size, size)),
        f"0 bytes of values, expected {size**3} for uint8 of shape ({size}, {size}, {size})",
    )


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0)])
def test_nothing_in_dims_that_no_memory_has(write, shape):
    content = struct.pack(">BBBBIII", 0, 0, 8, 3, *shape)
    expect_error(write(content), f"shape {shape}, expected one that memory can have")


def test_truncated_gzip(write):
    packed = gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 1000) + bytes(range(250)) * 4)
    expect_error(
        write(packed[:-20]),
        "Compressed file ended before the end-of-stream marker was reached,"
        " expected a whole gzip file",
    )


def test_corrupt_gzip(write):
    packed = bytearray(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 4) + b"abcd"))
    packed[-8] ^= 1  # the checksum of the content
    with pytest.raises(DataError, match=r"CRC check failed.*, expected a whole gzip file"):
        read_idx(write(bytes(packed)))
