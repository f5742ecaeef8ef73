"""What backends do with NumPy on the host: dtypes, index checks' messages, LAPACK."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.dtype import DType
from tinynet.errors import (
    ArgumentError,
    MissingDependencyError,
    OutOfMemoryError,
    ShapeError,
    TinynetError,
)

Array = NDArray[Any]

MOST_DIMS = 64  # of NumPy's arrays
LINALG: dict[str, Callable[..., Any]] = {
    "inv": np.linalg.inv,
    "solve": np.linalg.solve,
    "cholesky": np.linalg.cholesky,
    "qr": np.linalg.qr,
    "svd": lambda x: np.linalg.svd(x, full_matrices=False),
}


def no_room(shape: tuple[int, ...], dtype: DType) -> TinynetError:
    """What to raise where NumPy has no memory for an array, or cannot count its bytes or dims."""
    if len(shape) > MOST_DIMS:
        return ShapeError(f"a tensor of {len(shape)} dims; NumPy's arrays have {MOST_DIMS} at most")
    nbytes = math.prod(shape) * dtype.itemsize
    return OutOfMemoryError(f"{nbytes:,} bytes for shape {shape} of {dtype} do not fit on the host")


def linalg(op: str, *operands: Array) -> tuple[Array, ...]:
    """A routine of LAPACK (see `Backend.linalg`)."""
    try:
        with np.errstate(all="ignore"):
            result = LINALG[op](*operands)
    except np.linalg.LinAlgError as error:
        raise ArgumentError(f"linalg.{op}: {str(error).lower()}") from None
    return tuple(result) if isinstance(result, tuple) else (result,)


def numpy_dtype(dtype: DType) -> "np.dtype[Any]":
    """The NumPy dtype that stores `dtype`; bfloat16 is `ml_dtypes`'."""
    found = _NUMPY_DTYPES.get(dtype.name)
    if found is None:
        try:
            import ml_dtypes
        except ImportError:
            raise MissingDependencyError(
                "bfloat16 needs the package ml_dtypes: pip install 'tinynet[bfloat16]'"
            ) from None
        found = _NUMPY_DTYPES[dtype.name] = np.dtype(ml_dtypes.bfloat16)
    return found


_NUMPY_DTYPES: dict[str, "np.dtype[Any]"] = {
    name: np.dtype(name)
    for name in (
        "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64".split()
    )
}
