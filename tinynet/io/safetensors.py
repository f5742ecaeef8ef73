"""The safetensors format: named arrays and a dict of strings, in one file that runs no code.

A file is 8 bytes with the length of the header (little-endian), the header, then the values. The
header is JSON: `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}`, in
which "__metadata__" may have a dict of strings. Values lie in row-major order, without gaps.

The format: <https://huggingface.co/docs/safetensors>.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynet import dtype as dtypes
from tinynet.backends.host import numpy_dtype
from tinynet.dtype import DType
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.files import file_name, replacing, to_read, to_write
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor

METADATA = "__metadata__"
KEY = "tinynet"  # in the metadata: what tinynet wrote there itself
LONGEST_HEADER = 100_000_000  # bytes: other readers take no more
CODES = {
    dtypes.bool_: "BOOL", dtypes.uint8: "U8", dtypes.int8: "I8", dtypes.uint16: "U16",
    dtypes.int16: "I16", dtypes.float16: "F16", dtypes.bfloat16: "BF16", dtypes.uint32: "U32",
    dtypes.int32: "I32", dtypes.float32: "F32", dtypes.uint64: "U64", dtypes.int64: "I64",
    dtypes.float64: "F64",
}  # fmt: skip
FOREIGN_ENDINGS = (".pt", ".pth", ".npy", ".npz")  # of PyTorch's files and NumPy's
DTYPES = {code: dtype for dtype, code in CODES.items()}


class Entry(NamedTuple):
    """Where a tensor lies in a file: its first byte, counted from the end of the header."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def write(
    op: str, path: str | os.PathLike[str], tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None, own: Mapping[str, str],
) -> None:  # fmt: skip
    """Write `path`, whole or not at all, with a user's metadata and tinynet's own.

    One tensor at a time is brought to the host.
    """
    path = file_name(op, path)
    check_ending(op, path)
    texts = checked_metadata(op, metadata)
    if KEY in texts:
        raise ArgumentError(f"{op}: metadata has the key {KEY!r}, which is tinynet's own")
    texts.update(own)
    # Wide elements first, so that everything lies at multiples of its own size.
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    starts, end = {}, 0
    for name in order:
        starts[name] = end
        end += tensors[name].numel() * tensors[name].dtype.itemsize
    header: dict[str, Any] = {METADATA: texts} if texts else {}
    for name, x in tensors.items():
        stop = starts[name] + x.numel() * x.dtype.itemsize
        offsets = [starts[name], stop]
        header[name] = {"dtype": CODES[x.dtype], "shape": [*x.shape], "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise ArgumentError(
            f"{op}: {path}: what is no tensor takes {len(text)} bytes as text, "
            f"expected at most {LONGEST_HEADER}"
        )
    with to_write(op, path), replacing(path) as partial, open(partial, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            array = tensors[name].detach().cpu().numpy()
            file.write(_bytes_of(np.ascontiguousarray(array)))


def checked_metadata(op: str, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A user's metadata, as a dict of its own."""
    if not isinstance(metadata, (Mapping, type(None))):
        kind = type(metadata).__name__
        raise ArgumentTypeError(f"{op}: metadata is of type {kind}, expected a dict of strings")
    texts = dict(metadata or {})
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ArgumentTypeError(
                f"{op}: metadata has {key!r}: {text!r:.60}, expected a dict of strings"
            )
    return texts


def check_ending(op: str, path: str) -> None:
    """Raise `ArgumentError` for a name that promises another format than ours."""
    ending = os.path.splitext(path)[1]
    if ending.lower() in FOREIGN_ENDINGS:
        raise ArgumentError(
            f"{op}: {path!r}: tinynet writes safetensors, which readers of {ending} files refuse, "
            "expected a name such as weights.safetensors"
        )


@contextmanager
def opened(op: str, path: str | os.PathLike[str]) -> Iterator[tuple[BufferedReader, str]]:
    """The file and its name, to read; `DataError` where the system does not give it."""
    with to_read(op, path) as name, open(name, "rb") as file:
        yield file, name


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The memory of a contiguous array."""
    flat: Any = array.reshape(-1).view(np.uint8)  # 0-d arrays and bfloat16 have no other buffer
    return memoryview(flat)


class Reader:
    """An open safetensors file: its `metadata`, its `entries` in the header's order, the tensors.

    Everything is checked when it is made: `DataError` says what is wrong with the file.
    """

    def __init__(self, file: BufferedReader, path: str) -> None:
        self.file = file
        self.path = path
        self.metadata: dict[str, str] = {}
        self.entries: list[Entry] = []
        if file.peek(6).startswith(b"\x93NUMPY"):
            raise self.error("this is an array of NumPy's (.npy), which tn.data.read_numpy reads")
        if file.peek(4).startswith(b"PK\3\4"):
            raise self.error("this is a zip; tn.load reads PyTorch's, tn.data.read_numpy NumPy's")
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise self.error(f"{size} bytes do not hold a header of {length}")
        self.start = 8 + length
        for name, value in self._parse(file.read(length)):
            if name == METADATA:
                self.metadata = self._checked_metadata(value)
            else:
                self.entries.append(self._entry(name, value))
        self._check_places(size - self.start)

    def tensors(self, device: str | None) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors, each on memory of its own."""
        for entry in self.entries:
            array = np.empty(entry.shape, numpy_dtype(entry.dtype))
            self.file.seek(self.start + entry.start)
            if entry.size and self.file.readinto(_bytes_of(array)) != entry.size:
                raise self.error(f"{entry.name!r} ends early")
            yield entry.name, from_numpy(array).to(device)

    def error(self, what: str) -> DataError:
        """What to raise for a file that is not as it should be."""
        return DataError(f"load: {self.path}: {what}, expected a whole safetensors file")

    def _parse(self, text: bytes) -> list[tuple[str, Any]]:
        """The header's names and values, each name once."""
        found: Any = None
        if text.startswith(b"{"):
            try:
                found = json.loads(text.decode(), object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError) as error:
                raise self.error(f"the header does not parse ({error})") from error
        if not isinstance(found, dict):
            raise self.error("the header is no JSON object")
        return list(found.items())

    def _checked_metadata(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(x, str) for x in value.values()):
            raise self.error("the metadata are not strings by name")
        return value

    def _entry(self, name: str, value: Any) -> Entry:
        value = value if isinstance(value, dict) else {}
        dtype, shape, offsets = (value.get(key) for key in ("dtype", "shape", "data_offsets"))
        if not isinstance(dtype, str) or not _are_sizes(shape) or not _are_sizes(offsets):
            raise self.error(f"{name!r} has no dtype, shape and data_offsets that can be read")
        if dtype not in DTYPES:
            raise DataError(
                f"load: {self.path}: {name!r} has dtype {dtype}, expected one of "
                + ", ".join(DTYPES)
            )
        entry = Entry(name, DTYPES[dtype], tuple(shape), offsets[0] if offsets else 0)
        # what a size of 0 multiplies must be addressable too
        if len(shape) > 64 or math.prod(n or 1 for n in shape) >= 2**59:
            raise self.error(f"{name!r} has shape {entry.shape}")
        if offsets != [entry.start, entry.start + entry.size]:
            raise self.error(f"{name!r} lies at {offsets} for {entry.size} bytes")
        return entry

    def _check_places(self, size: int) -> None:
        end = 0
        for entry in sorted(self.entries, key=lambda entry: (entry.start, entry.size)):
            if entry.start != end:
                raise self.error(f"{entry.name!r} lies at byte {entry.start}, not {end}")
            end += entry.size
        if end != size:
            raise self.error(f"{size} bytes of values where the header counts {end}")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found
