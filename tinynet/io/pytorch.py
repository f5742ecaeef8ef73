"""PyTorch's own files (.pt, .pth), read without running anything in them.

Such a file is a zip: `data.pkl` is a pickle of what was saved, in which tensors are calls of
`torch._utils._rebuild_tensor_v2` on storages, and `data/0`, `data/1`, ... are those storages.
How the pickle is kept from doing anything is told in `stand_ins`.

Before PyTorch 1.6 a file was a sequence of pickles: `MAGIC`, the format's version, the system's
sizes, what was saved, the keys of its storages; then these, each after the number of its elements.

The format: <https://docs.pytorch.org/docs/stable/notes/serialization.html>.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from io import BufferedReader
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.backends.host import numpy_dtype
from tinynet.dtype import BY_NAME
from tinynet.errors import DataError
from tinynet.io.stand_ins import FACTORIES, Array, ArrayType, Name, Storage, View, unpickled
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor

PLAIN = frozenset(
    [type(None), bool, int, float, complex, str, bytes, bytearray, date, datetime, timedelta]
)
MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # early in a file from before 1.6
VERSION = 1001
DEEPEST = 100
# What zipfile and pickle raise for damaged files.
ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError, ArithmeticError,
    AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip


def read(file: BufferedReader, path: str, device: str) -> Any:
    """What `torch.save` wrote: tensors on `device`, NumPy's arrays, plain values of Python's."""
    with _explaining(path), zipfile.ZipFile(file) as archive:
        root = _root(archive.namelist())
        found, _ = unpickled(_stored(archive, f"{root}data.pkl"))
        values = _Values(lambda key: _stored(archive, f"{root}data/{key}"), device)
        return values.value(found, 0)


def _root(names: list[str]) -> str:
    """What the names in an archive begin with."""
    roots = [name[:-8] for name in names if name.endswith("data.pkl")]
    if len(roots) == 1:
        return roots[0]
    if names and all(name.endswith(".npy") for name in names):
        raise ValueError("these are arrays of NumPy's (.npz), which tn.data.read_numpy reads")
    raise ValueError(f"this is a zip with {len(roots)} files data.pkl")


def read_sequence(file: BufferedReader, path: str, device: str) -> Any:
    """The same of a file from before PyTorch 1.6."""
    with _explaining(path):
        _, version, system, found, keys = [unpickled(_program(file)) for _ in range(5)]
        if version[0] != VERSION or system[0]["little_endian"] is not True:
            raise ValueError(f"it is of version {version[0]!r:.20} or another order of bytes")
        sizes = {}
        for pid in found[1]:
            kind, key = _storage_of(pid)
            if pid[5:] != (None,):
                raise ValueError("a storage is a part of another")
            sizes[key] = BY_NAME[kind.dtype.name].itemsize if kind.dtype else 1
        storages = {key: _counted(file, sizes[key]) for key in keys[0]}
        if file.read(1):
            raise ValueError("something follows after its storages")
        return _Values(storages.__getitem__, device).value(found[0], 0)


@contextmanager
def _explaining(path: str) -> Iterator[None]:
    """What reading raises for a file that is not as it should be becomes a `DataError`."""
    try:
        yield
    except ERRORS as error:
        # The other types come of code that met what it does not expect, and say nothing of the file
        is_said = isinstance(error, (zipfile.BadZipFile, pickle.UnpicklingError, ValueError))
        what = str(error) if is_said else f"it is damaged ({error!r:.100})"
        raise DataError(
            f"load: {path}: {what}, expected a file of tensors, numbers, strings, lists and dicts "
            "that torch.save wrote"
        ) from error


def _program(file: BufferedReader) -> bytes:
    """The next pickle of a file; none of it runs."""
    start = file.tell()
    for _ in pickletools.genops(file):
        pass
    stop = file.tell()
    file.seek(start)
    return file.read(stop - start)


def _counted(file: BufferedReader, itemsize: int) -> bytes:
    """The next storage of a file."""
    size = int.from_bytes(file.read(8), "little") * itemsize
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError("a storage ends early")
    return file.read(size)


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive; PyTorch does not pack them."""
    try:
        found = archive.getinfo(name)
    except KeyError as error:
        raise ValueError(str(error)) from error
    if found.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(found)


class _Values:
    """Makes values of what a pickle left; `storage` gives the bytes of one by its key."""

    def __init__(self, storage: Callable[[str], bytes], device: str) -> None:
        self.storage = storage
        self.device = device
        self.memory: dict[str, bytes] = {}  # of the storages that were read
        self.made: dict[int, tuple[Any, Any]] = {}  # by id: what was made of what

    def value(self, found: Any, depth: int) -> Any:
        """`found`, checked; what is there twice is made once."""
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        if id(found) not in self.made:
            self.made[id(found)] = found, self._value(found, depth + 1)
        return self.made[id(found)][1]

    def _value(self, found: Any, depth: int) -> Any:
        kind = type(found)
        if kind in PLAIN:
            return found
        if kind in (list, tuple, set, frozenset):
            return kind([self.value(item, depth) for item in found])
        if kind in (dict, OrderedDict):
            return self.pairs(found, depth)
        if kind is Counter:
            return Counter(self.pairs(found, depth))
        if kind is defaultdict and found.default_factory in FACTORIES:
            return defaultdict(found.default_factory, self.pairs(found, depth))
        if kind is SimpleNamespace:
            return SimpleNamespace(**self.pairs(vars(found), depth))
        if kind is Name:
            return BY_NAME[found.name]
        if kind is Array:
            return _array(*found.parts)
        if kind is View:
            return self.tensor(*found.parts)
        raise ValueError(f"it holds a {kind.__name__}")

    def pairs(self, found: dict[Any, Any], depth: int) -> dict[Any, Any]:
        """A dict's keys and values, checked."""
        return {self.value(k, depth): self.value(item, depth) for k, item in found.items()}

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any, marks: Any
    ) -> Tensor:
        """A tensor on memory of its own."""
        kind, key = _storage_of(storage)
        name = kind.dtype or dtype
        if type(name) is not Name or type(size) is not tuple or type(stride) is not tuple:
            raise ValueError("a tensor is not as PyTorch writes it")
        dtype = BY_NAME[name.name]
        numbers = [offset, *size, *stride]
        if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"a tensor has size {size} and stride {stride}")
        if key not in self.memory:
            self.memory[key] = self.storage(key)
        memory = self.memory[key]
        flat: NDArray[Any] = np.frombuffer(
            memory, numpy_dtype(dtype), len(memory) // dtype.itemsize
        )
        array = np.empty(size, flat.dtype)
        if array.size:
            last = offset + sum((n - 1) * step for n, step in zip(size, stride))
            if last >= len(flat):
                raise ValueError(f"a tensor of size {size} goes beyond its storage")
            steps = [step * dtype.itemsize for step in stride]
            array[...] = np.lib.stride_tricks.as_strided(flat[offset:], size, steps)
        if _is_negative(marks):
            np.negative(array, out=array)
        return from_numpy(array).to(self.device)


def _storage_of(pid: Any) -> tuple[Storage, str]:
    """The class and the key that a storage's persistent id has."""
    if type(pid) is not tuple or len(pid) < 5 or (type(pid[1]), type(pid[2])) != (Storage, str):
        raise ValueError("a storage is not as PyTorch writes it")
    return pid[1], pid[2]


def _is_negative(marks: Any) -> bool:
    """Whether a tensor's values are those of its storage with the other sign."""
    marked = {name for name, is_set in (marks or {}).items() if is_set is not False}
    if marked - {"neg"}:
        raise ValueError(f"a tensor has the marks {marks}")
    return bool(marked)


def _array(content: Any = None, dtype: Any = None, shape: Any = None, order: Any = None) -> Any:
    """An array of NumPy's on memory of its own; the scalar, where there is no shape."""
    if type(content) not in (bytes, bytearray) or type(dtype) is not ArrayType:
        raise ValueError("an array is not as NumPy writes it")
    kind = _array_type(dtype.code, dtype.order)
    sizes = () if shape is None else shape
    if type(sizes) is not tuple or not all(type(n) is int and n >= 0 for n in sizes):
        raise ValueError(f"an array has shape {shape!r:.60}")
    if math.prod(sizes) * kind.itemsize != len(content):
        raise ValueError(f"an array of shape {sizes!r:.60} has {len(content)} bytes")
    array = np.frombuffer(content, kind).astype(kind.newbyteorder("="))
    array = array.reshape(sizes, order="F" if order == "F" else "C")
    return array[()] if shape is None else array


def _array_type(code: Any, order: Any) -> np.dtype[Any]:
    """NumPy's dtype by its code, of numbers and bools only."""
    if type(code) is not str or not re.fullmatch(r"[biufc]\d{1,2}", code):
        raise ValueError(f"it holds an array of NumPy's dtype {code!r:.20}")
    if order not in ("<", ">", "|", "="):
        raise ValueError(f"an array has the order of bytes {order!r:.20}")
    return np.dtype(f"{order}{code}")
