"""Weights in files: `save` and `load`, in the safetensors format that PyTorch's users share.

The format: <https://huggingface.co/docs/safetensors>.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.errors import ArgumentTypeError, DataError, MissingDependencyError
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor


def save(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write a flat dict such as `module.state_dict()` to `path`, whole or not at all.

    The data goes to another file in the same folder first, which then takes the name: a crash
    leaves the old file as it was.
    """
    safetensors = _import_safetensors("save")
    arrays = _to_arrays(tensors)
    folder, name = os.path.split(os.fspath(path))
    partial = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            file.write(safetensors.numpy.save(arrays))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def load(path: str | os.PathLike[str], *, device: str | None = None) -> dict[str, Tensor]:
    """The dict of tensors in a safetensors file, on `device`. Raises `DataError` if it is corrupt.

    bfloat16 needs the package ml_dtypes.
    """
    safetensors = _import_safetensors("load")
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise DataError(f"load: no file {path!r}, expected one in safetensors format")
    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise DataError(f"load: {path}: {error}, expected a whole safetensors file") from error
    except TypeError as error:  # NumPy learns of bfloat16 from ml_dtypes
        raise MissingDependencyError(
            f"load: {path}: {error}, expected ml_dtypes: pip install 'tinynet[bfloat16]'"
        ) from error
    return {name: from_numpy(array).to(device) for name, array in arrays.items()}


def _import_safetensors(op: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingDependencyError(
            f"{op}: safetensors is not installed, expected it: pip install 'tinynet[io]'"
        ) from error
    return safetensors


def _to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    if not isinstance(tensors, Mapping):
        raise ArgumentTypeError(
            f"save: got {type(tensors).__name__}, expected a dict of tensors by name"
        )
    arrays = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ArgumentTypeError(
                f"save: {name!r} holds {type(value).__name__},"
                " expected a flat dict of tensors by name"
            )
        # safetensors takes the memory as it lies: a transposed view must be copied first
        arrays[name] = np.asarray(value.detach().cpu().numpy(), order="C")
    return arrays
