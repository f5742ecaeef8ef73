"""IDX, the file format of MNIST, read with every check that it allows.

A file holds two zero bytes, a byte that names the dtype, a byte with the number of dims, the size
of each dim as a big-endian uint32, then the values, big-endian, last dim fastest. Files may be
packed by gzip. The format: <https://yann.lecun.com/exdb/mnist/>.
"""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.backends.host import MOST_DIMS
from tinynet.errors import DataError
from tinynet.files import to_read

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
LARGEST = 2**63  # bytes, of an array without its sizes of 0
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, plain or gzip. Raises `DataError` where the file is not whole."""
    values = parse_idx(unpack(read_file(path), path), path)
    return values if values.flags.writeable else values.copy()


def read_file(path: str | os.PathLike[str], op: str = "read_idx") -> bytes:
    """A file's content as it is on the disk; `op` opens the error."""
    with to_read(op, path):
        return Path(path).read_bytes()


def unpack(content: bytes, path: str | os.PathLike[str], op: str = "read_idx") -> bytes:
    """A file's content, unpacked if it is gzip; `op` and `path` open the error."""
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{op}: {path}: {error}, expected a whole gzip file") from error


def parse_idx(content: bytes, path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array that `content` describes; `path` names it in errors.

    Of bytes it is `content` itself, which cannot be written.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        came = f"starts with 0x{content[:4].hex()}" if content else "is empty"
        raise DataError(
            f"read_idx: {path}: {came}, expected the IDX magic number:"
            " 0x0000, a byte for the dtype, a byte for the number of dims"
        )
    code, ndim = content[2], content[3]
    if code not in DTYPES:
        known = ", ".join(f"0x{known:02x}" for known in DTYPES)
        raise DataError(f"read_idx: {path}: dtype code 0x{code:02x}, expected one of {known}")
    if ndim > MOST_DIMS:
        raise DataError(f"read_idx: {path}: {ndim} dims, expected at most {MOST_DIMS}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataError(
            f"read_idx: {path}: {len(content)} bytes, expected a header of {start} for {ndim} dims"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    dtype = np.dtype(DTYPES[code])
    n_bytes = math.prod(shape) * dtype.itemsize
    if len(content) - start != n_bytes:
        raise DataError(
            f"read_idx: {path}: {len(content) - start} bytes of values,"
            f" expected {n_bytes} for {dtype.name} of shape {shape}"
        )
    # what a size of 0 multiplies must be addressable too
    if math.prod(size or 1 for size in shape) * dtype.itemsize >= LARGEST:
        raise DataError(f"read_idx: {path}: shape {shape}, expected one that memory can have")
    values = np.frombuffer(content, dtype.newbyteorder(">"), offset=start)
    return values.reshape(shape).astype(dtype, copy=False)
