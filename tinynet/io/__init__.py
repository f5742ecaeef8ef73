"""Tensors, checkpoints and models in files.

`safetensors` reads and writes the format, `nested` takes checkpoints apart, `models` saves
architecture and weights, of what `classes` allows, `pytorch` reads PyTorch's own files, whose
pickles run with the `stand_ins`. Here are `save` and `load`.

Reading a file never runs code from it, unless `load` is told to with `allow_pickle`.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from io import BufferedReader
from typing import Any

from tinynet import settings
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.files import file_name, replacing, to_write
from tinynet.io import pytorch
from tinynet.io.classes import register
from tinynet.io.models import load_model, save_model
from tinynet.io.nested import Decoder, Encoder, as_json, decoding
from tinynet.io.safetensors import KEY, METADATA, Reader, opened, write
from tinynet.tensor import Tensor

__all__ = ["load", "load_metadata", "load_model", "register", "save", "save_model"]

# What the pickle module's documentation says may come of a file that is none, and its kin.
UNPICKLING_ERRORS = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
    TypeError, ValueError,
)  # fmt: skip


def save(
    tensors: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None,
    *, pickle: bool = False,
) -> None:  # fmt: skip
    """Write a dict to `path` in safetensors format, whole or not at all.

    A flat dict of tensors, such as `module.state_dict()`, makes a file that PyTorch's users read.
    Nested dicts, lists and tuples of tensors, numbers, strings and None, such as a checkpoint,
    come back equal, types included; anything else is refused, and so are paths that end as files
    of PyTorch or NumPy do (.pt, .pth, .npy, .npz). `metadata` are strings by name.
    Tensors that share memory are written each. Views, `requires_grad` and devices are not kept.

    `pickle=True` writes any object, as Python's pickle: only who trusts the file can load it.

    >>> import os, tempfile
    >>> import tinynet as tn
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
    >>> tn.save({"model": {"weight": tn.ones(2)}, "epoch": 3, "size": (28, 28)}, path)
    >>> tn.load(path)
    {'model': {'weight': tensor([1., 1.])}, 'epoch': 3, 'size': (28, 28)}
    """
    if pickle:
        if metadata is not None:
            raise ArgumentError("save: a pickle has no metadata, expected them or pickle=True")
        _write_pickle(tensors, path)
        return
    if not isinstance(tensors, Mapping):
        kind = type(tensors).__name__
        raise ArgumentTypeError(f"save: got {kind}, expected a dict of tensors, or nested dicts")
    own = {}
    if METADATA in tensors or not all(
        isinstance(name, str) and isinstance(x, Tensor) for name, x in tensors.items()
    ):
        encoder = Encoder()
        own = {KEY: as_json(state=encoder.encode(tensors))}
        tensors = encoder.tensors
    write("save", path, tensors, metadata, own)


def load(
    path: str | os.PathLike[str], device: str | None = None, *, allow_pickle: bool = False
) -> Any:
    """What `save` wrote, or any safetensors file as a dict of tensors, on `device`.

    PyTorch's own files (.pt, .pth) load too, if all that they hold is tensors, NumPy's numbers and
    arrays of them, Python's numbers, strings, bytes, dates, lists, tuples, sets, dicts (ordered
    ones as plain dicts), counters, defaultdicts and namespaces (as `types.SimpleNamespace`); paths
    and devices come as strings. None of that runs code from the file. With `allow_pickle` pickles
    are loaded, which *can run any code*: never do that to a file that you do not trust.

    Raises `DataError` for a file that is missing, damaged or of another format.
    """
    with opened("load", path) as (file, name):
        head = file.peek(32)[:32]
        if head.startswith(b"PK\3\4"):
            return pytorch.read(file, name, device or settings.DEVICE.get())
        if head.startswith(b"\x80") and pytorch.MAGIC in head:
            return pytorch.read_sequence(file, name, device or settings.DEVICE.get())
        if head.startswith(b"\x80") and head[8:9] != b"{":  # no safetensors header
            return _read_pickle(file, name, device, allow_pickle)
        reader = Reader(file, name)
        tensors = dict(reader.tensors(device or settings.DEVICE.get()))
        with decoding(reader) as own:
            return Decoder(tensors).decode(own["state"]) if "state" in own else tensors


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a safetensors file; the tensors are not read.

    >>> import os, tempfile
    >>> import tinynet as tn
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> tn.save({"weight": tn.ones(2)}, path, metadata={"trained on": "MNIST"})
    >>> tn.io.load_metadata(path)
    {'trained on': 'MNIST'}
    """
    with opened("load_metadata", path) as (file, name):
        found = Reader(file, name).metadata
    return {key: text for key, text in found.items() if key != KEY}


def _write_pickle(value: Any, path: str | os.PathLike[str]) -> None:
    path = file_name("save", path)
    with to_write("save", path), replacing(path) as partial, open(partial, "wb") as file:
        try:
            pickle.dump(value, file)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ArgumentTypeError(f"save: {error}, expected what pickle can write") from error


def _read_pickle(file: BufferedReader, path: str, device: str | None, allowed: bool) -> Any:
    if not allowed:
        raise DataError(
            f"load: {path}: this is a pickle, expected a safetensors file: a pickle can run any "
            "code when it is loaded; pass allow_pickle=True if you trust whoever made it"
        )
    if device is not None:
        raise ArgumentError(
            f"load: {path}: what a pickle holds comes back where it was, expected no device, "
            f"got {device!r}"
        )
    try:
        value = pickle.load(file)
    except UNPICKLING_ERRORS as error:
        raise DataError(f"load: {path}: {error!r:.100}, expected a whole pickle") from error
    if file.read(1):
        raise DataError(f"load: {path}: something follows after the pickle, expected its end")
    return value
