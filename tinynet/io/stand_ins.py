"""What PyTorch's pickles may name: plain values of Python's, and stand-ins for all else.

A pickle is a program, so this one is read thrice: first its instructions are looked at, and only
those that make plain values are let through; then it runs, with all its names leading to what is
below, which does nothing; last, `pytorch` checks what came out, and makes tensors and arrays of it.

What a name leads to can be called, and changed, by the file. So it is one of Python's own classes
that nothing can change, or made anew each time.
"""

from __future__ import annotations

import datetime
import functools
import io
import pickle
import pickletools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

from tinynet.dtype import BY_NAME

INSTRUCTIONS = frozenset(
    """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BYTEARRAY8 EMPTY_DICT EMPTY_LIST EMPTY_SET
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 FROZENSET APPEND APPENDS ADDITEMS SETITEM SETITEMS
    BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID
    """.split()
)
STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


class Name:
    """Stands for a dtype, which a file could change if it got it."""

    def __init__(self, name: str) -> None:
        self.name = name


class Storage:
    """Stands for the class of a storage: `dtype` is None for bytes."""

    def __init__(self, dtype: Name | None) -> None:
        self.dtype = dtype


class View:
    """Stands for a tensor: what its storage's persistent id is, and how it lies there.

    `marks` is what PyTorch keeps of it beside: `{"neg": True}` where its values are those of the
    storage with the other sign, as of the imaginary part of a conjugate.
    """

    def __init__(
        self, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any, marks: Any
    ) -> None:
        self.parts = storage, offset, size, stride, dtype, marks


class ArrayType:
    """Stands for a dtype of NumPy's: its code, such as "f4", and the order of bytes."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code
        self.order: Any = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class Array:
    """Stands for an array of NumPy's, or a scalar, whose shape is None."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts  # bytes, dtype, shape, order of the elements

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise pickle.UnpicklingError("an array is not as NumPy writes it")
        _, shape, dtype, is_fortran, content = state
        self.parts = content, dtype, shape, "F" if is_fortran else "C"


def unpickled(program: bytes) -> tuple[Any, list[Any]]:
    """What a pickle makes, and the persistent ids that it has."""
    _check_instructions(program)
    unpickler = _Unpickler(program)
    return unpickler.load(), unpickler.ids


def _check_instructions(program: bytes) -> None:
    """Let only those pass that make plain values."""
    # Namespaces need NEWOBJ, and nothing else that is let through.
    others = {"NEWOBJ"} if b"argparse" in program else set()
    for instruction, argument, _ in pickletools.genops(program):
        if instruction.name not in INSTRUCTIONS | others:
            raise _refusal(f"its pickle has the instruction {instruction.name}", program)
        # in the pickle's memory, which makes room for all places below
        place: Any = argument if instruction.name.endswith("BINPUT") else 0
        if not 0 <= place <= len(program):
            raise pickle.UnpicklingError(f"its pickle has the place {place}")


def _refusal(what: str, program: bytes) -> pickle.UnpicklingError:
    """What to raise for a pickle that names what it should not."""
    if b"torch.nn.modules" in program:
        what = "it holds a whole module, of which model.state_dict() can be saved instead"
    return pickle.UnpicklingError(what)


class _Unpickler(pickle.Unpickler):
    def __init__(self, program: bytes) -> None:
        super().__init__(io.BytesIO(program))
        self.program = program
        self.ids: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        """What a name leads to."""
        place = f"{RENAMED.get(module, module)}.{name}"
        if place in CLASSES:
            return CLASSES[place]
        if place in FUNCTIONS:
            return functools.partial(FUNCTIONS[place])
        if module == "torch" and name in STORAGES:
            return Storage(Name(STORAGES[name]))
        if module == "torch" and name in BY_NAME:
            return Name(name)
        if place == "torch.storage.UntypedStorage":
            return Storage(None)
        raise _refusal(f"it names {module}.{name}", self.program)

    def persistent_load(self, pid: Any) -> Any:
        """The id of a storage itself."""
        self.ids.append(pid)
        return pid


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, marks: Any = None
) -> View:
    return View(storage, offset, size, stride, None, marks)


def _tensor_of_bytes(
    storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, dtype: Any,
    marks: Any = None,
) -> View:  # fmt: skip
    return View(storage, offset, size, stride, dtype, marks)


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, as protocol 2 has them."""
    if type(text) is not str or encoding != "latin1":
        raise pickle.UnpicklingError("it has bytes that are not as Python writes them")
    return text.encode("latin1")


def _bytearray(content: Any = b"") -> bytearray:
    if type(content) not in (bytes, bytearray):  # a number would be a size
        raise pickle.UnpicklingError("it has bytes that are not as Python writes them")
    return bytearray(content)


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise pickle.UnpicklingError("it has a device that is not as PyTorch writes it")
    return kind if index is None else f"{kind}:{index}"


def _path(kind: Callable[..., object], *parts: Any) -> str:
    if not all(type(part) is str for part in parts):
        raise pickle.UnpicklingError("it has a path that is not as Python writes it")
    return str(kind(*parts))


RENAMED = {  # what modules are called elsewhere, as in other versions
    "__builtin__": "builtins", "pathlib._local": "pathlib",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}  # fmt: skip
FACTORIES = (None, dict, float, int, list, set)  # of a defaultdict
# In C, so that a file cannot change them; and calling them is harmless.
CLASSES: dict[str, type] = {
    "argparse.Namespace": SimpleNamespace, "types.SimpleNamespace": SimpleNamespace,
    "collections.OrderedDict": OrderedDict, "collections.defaultdict": defaultdict,
    "builtins.complex": complex, "builtins.dict": dict, "builtins.float": float,
    "builtins.frozenset": frozenset, "builtins.int": int, "builtins.list": list,
    "builtins.long": int, "builtins.set": set, "datetime.date": datetime.date,
    "datetime.datetime": datetime.datetime, "datetime.timedelta": datetime.timedelta,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_bytes,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch.device": _device,
    "collections.Counter": lambda counts=(): Counter(counts),
    "builtins.bytes": lambda: b"",  # the only ones that are written so
    "builtins.bytearray": _bytearray,
    "_codecs.encode": _encoded,
    "pathlib.PosixPath": functools.partial(_path, PurePosixPath),
    "pathlib.PurePosixPath": functools.partial(_path, PurePosixPath),
    "pathlib.WindowsPath": functools.partial(_path, PureWindowsPath),
    "pathlib.PureWindowsPath": functools.partial(_path, PureWindowsPath),
    "numpy.dtype": ArrayType,
    "numpy.ndarray": Array,
    "numpy.core.multiarray._reconstruct": lambda *_: Array(),
    "numpy.core.multiarray.scalar": lambda dtype, content: Array(content, dtype, None, "C"),
    "numpy.core.numeric._frombuffer": Array,
}
