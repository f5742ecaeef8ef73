"""PyTorch's own files (.pt, .pth), read without running anything in them.

Such a file is a zip: `data.pkl` is a pickle of what was saved, in which tensors are calls of
`torch._utils._rebuild_tensor_v2` on storages, and `data/0`, `data/1`, ... are those storages.
A pickle is a program, so this one is read thrice: first its instructions are looked at, and only
those that make plain values are let through; then it runs, with all its names leading to stand-ins
below, which do nothing; last, what came out is checked and made into tensors.

The format: <https://docs.pytorch.org/docs/stable/notes/serialization.html>.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.backends.host import numpy_dtype
from tinynet.dtype import BY_NAME
from tinynet.errors import DataError
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor

INSTRUCTIONS = frozenset(
    """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT
    BINUNICODE SHORT_BINUNICODE EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND
    APPENDS SETITEM SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL
    REDUCE BUILD BINPERSID
    """.split()
)
STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
DEEPEST = 100
# What zipfile and pickle raise for damaged files.
ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError, ArithmeticError,
    AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip


def read(file: BufferedReader, path: str, device: str) -> Any:
    """What `torch.save` wrote: tensors on `device`, Python numbers, strings, lists and dicts."""
    try:
        with zipfile.ZipFile(file) as archive:
            [root] = [n[:-8] for n in archive.namelist() if n.endswith("data.pkl")]
            program = _stored(archive, f"{root}data.pkl")
            _check_instructions(program)
            found = _Unpickler(io.BytesIO(program)).load()
            return _Values(archive, root, device).value(found, 0)
    except ERRORS as error:
        raise DataError(
            f"load: {path}: {error or type(error).__name__}, expected a file of tensors, numbers, "
            "strings, lists and dicts that torch.save wrote"
        ) from error


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive; PyTorch does not pack them."""
    found = archive.getinfo(name)
    if found.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(found)


def _check_instructions(program: bytes) -> None:
    """Let only those pass that make plain values."""
    for instruction, argument, _ in pickletools.genops(program):
        if instruction.name not in INSTRUCTIONS:
            raise ValueError(f"its pickle has the instruction {instruction.name}")
        # in the pickle's memory, which makes room for all places below
        place: Any = argument if instruction.name.endswith("BINPUT") else 0
        if not 0 <= place <= len(program):
            raise ValueError(f"its pickle has the place {place}")


class _Name:
    """Stands for a dtype, which a file could change if it got it."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage:
    """Stands for the class of a storage: `dtype` is None for bytes."""

    def __init__(self, dtype: _Name | None) -> None:
        self.dtype = dtype


class _View:
    """Stands for a tensor: what its storage's persistent id is, and how it lies there.

    `marks` is what PyTorch keeps of it beside: `{"neg": True}` where its values are those of the
    storage with the other sign, as of the imaginary part of a conjugate.
    """

    def __init__(
        self, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any, marks: Any
    ) -> None:
        self.parts = storage, offset, size, stride, dtype, marks


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A stand-in, new each time, so that the file can spoil nothing."""
        if module == "collections" and name == "OrderedDict":
            return OrderedDict
        if module == "torch" and name in STORAGES:
            return _Storage(_Name(STORAGES[name]))
        if module == "torch.storage" and name == "UntypedStorage":
            return _Storage(None)
        if module == "torch" and name in BY_NAME:
            return _Name(name)
        if module == "torch" and name == "Size":
            return lambda sizes=(): tuple(sizes)
        if module == "torch._utils":
            if name == "_rebuild_tensor_v2":
                return lambda storage, offset, size, stride, _, __, marks=None: _View(
                    storage, offset, size, stride, None, marks
                )
            if name == "_rebuild_tensor_v3":
                return lambda storage, offset, size, stride, _, __, dtype, marks=None: _View(
                    storage, offset, size, stride, dtype, marks
                )
            if name == "_rebuild_parameter":
                return lambda data, *_: data
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """The id of a storage itself."""
        return pid


class _Values:
    """Makes values of what a pickle left."""

    def __init__(self, archive: zipfile.ZipFile, root: str, device: str) -> None:
        self.archive = archive
        self.root = root
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
        if found is None or kind in (bool, int, float, str):
            return found
        if kind in (list, tuple):
            return kind([self.value(item, depth) for item in found])
        if kind in (dict, OrderedDict):
            return {self.value(k, depth): self.value(item, depth) for k, item in found.items()}
        if kind is _Name:
            return BY_NAME[found.name]
        if kind is _View:
            return self.tensor(*found.parts)
        raise TypeError(f"it holds a {kind.__name__.strip('_')}")

    def tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any, marks: Any
    ) -> Tensor:
        """A tensor on memory of its own."""
        _, kind, key, _, _ = storage
        name = kind.dtype or dtype
        if type(kind) is not _Storage or type(name) is not _Name or type(key) is not str:
            raise TypeError("a storage is not as PyTorch writes it")
        dtype = BY_NAME[name.name]
        numbers = [offset, *size, *stride]
        if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"a tensor has size {size} and stride {stride}")
        if key not in self.memory:
            self.memory[key] = _stored(self.archive, f"{self.root}data/{key}")
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


def _is_negative(marks: Any) -> bool:
    """Whether a tensor's values are those of its storage with the other sign."""
    marked = {name for name, is_set in (marks or {}).items() if is_set is not False}
    if marked - {"neg"}:
        raise ValueError(f"a tensor has the marks {marks}")
    return bool(marked)
