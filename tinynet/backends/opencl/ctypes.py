"""How dtypes look in OpenCL C: what is stored, what is computed with, how one becomes the other.

float16 and bfloat16 are stored in 2 bytes and computed in float, on every device. Every program
begins with `kernels/prelude.cl` and what it needs of the macros below.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.dtype import DType, bfloat16, float16

PRELUDE = (Path(__file__).parent / "kernels" / "prelude.cl").read_text(encoding="utf-8")

STORED = {
    "bool": "uchar", "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
    "int8": "char", "int16": "short", "int32": "int", "int64": "long",
    "float16": "half", "bfloat16": "ushort", "float32": "float", "float64": "double",
}  # fmt: skip
UNSIGNED = {"char": "uchar", "short": "ushort", "int": "uint", "long": "ulong"}
SCALARS: dict[str, Any] = {  # what a kernel's scalar argument of a computed type is in NumPy
    "uchar": np.uint8, "ushort": np.uint16, "uint": np.uint32, "ulong": np.uint64,
    "char": np.int8, "short": np.int16, "int": np.int32, "long": np.int64,
    "float": np.float32, "double": np.float64,
}  # fmt: skip


def stored(dtype: DType) -> str:
    """The C type of an element in memory."""
    return STORED[dtype.name]


def computed(dtype: DType) -> str:
    """The C type that holds an element's value in a kernel."""
    return "float" if dtype in (float16, bfloat16) else STORED[dtype.name]


def load(dtype: DType, pointer: str, index: str) -> str:
    """An expression for the value of an element."""
    if dtype is float16:
        return f"vload_half({index}, {pointer})"
    if dtype is bfloat16:
        return f"from_bfloat16({pointer}[{index}])"
    return f"{pointer}[{index}]"


def store(dtype: DType, pointer: str, index: str, value: str) -> str:
    """A statement that writes a value to an element."""
    if dtype is float16:
        return f"vstore_half_rte({value}, {index}, {pointer});"
    if dtype is bfloat16:
        return f"{pointer}[{index}] = to_bfloat16({value});"
    return f"{pointer}[{index}] = {value};"


@cache
def macros(dtype: DType) -> dict[str, str]:
    """Macros for a kernel of one dtype: S (stored), C (computed), U (C's unsigned), LOAD, STORE."""
    kind = computed(dtype)
    return {
        "S": stored(dtype),
        "C": kind,
        "U": UNSIGNED.get(kind, kind),
        "LOAD(p, i)": load(dtype, "(p)", "(i)"),
        "STORE(p, i, v)": store(dtype, "(p)", "(i)", "(v)"),
    }
