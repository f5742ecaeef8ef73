"""ONNX's own structures as Python's: element types, attributes, tensors."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np

from tinynet import dtype as dtypes
from tinynet.dtype import DType
from tinynet.errors import DataError, MissingDependencyError, UnsupportedOperatorError

Array = np.ndarray[Any, Any]

# `TensorProto.DataType`, for what both sides have
DTYPES: dict[int, DType] = {
    1: dtypes.float32, 2: dtypes.uint8, 3: dtypes.int8, 4: dtypes.uint16, 5: dtypes.int16,
    6: dtypes.int32, 7: dtypes.int64, 9: dtypes.bool_, 10: dtypes.float16, 11: dtypes.float64,
    12: dtypes.uint32, 13: dtypes.uint64, 16: dtypes.bfloat16,
}  # fmt: skip
# What `onnx.numpy_helper` raises, beside its own, for data that are not there, or not what they say
UNREADABLE = (ValueError, TypeError, OverflowError, OSError)
ELEMENT_TYPES = {dtype: number for number, dtype in DTYPES.items()}


def import_onnx() -> ModuleType:
    """The `onnx` package, which reads, writes and checks files; raises if it is not there."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.inliner
        import onnx.numpy_helper
        import onnx.parser
        import onnx.shape_inference
    except ImportError as error:
        raise MissingDependencyError(
            f"onnx: {error}, which ONNX files need: pip install 'tinynet[onnx]'"
        ) from error
    return onnx


def as_text(value: str | bytes) -> str:
    """A name; protobuf gives bytes for what is no UTF-8."""
    if isinstance(value, bytes):
        raise DataError(f"onnx: the model names {value!r}, expected UTF-8")
    return value


def dtype_of(op: str, element_type: int) -> DType:
    """Our dtype for one of `TensorProto.DataType`."""
    if element_type not in DTYPES:
        kinds = import_onnx().TensorProto.DataType
        if element_type not in kinds.values():
            raise DataError(f"{op}: elements are {element_type}, expected one of ONNX's data types")
        name = kinds.Name(element_type)
        raise UnsupportedOperatorError(f"{op}: elements are {name}, which tinynet does not have")
    return DTYPES[element_type]


def to_array(tensor: Any, folder: str | os.PathLike[str] = "") -> Array:
    """A `TensorProto` as a NumPy array; `folder` is where its external data lie.

    Raises `DataError` where these are missing, and where there are more or fewer than its shape has
    elements.
    """
    onnx = import_onnx()
    dtype_of(f"onnx: tensor {tensor.name!r}", tensor.data_type)
    try:
        array: Array = onnx.numpy_helper.to_array(tensor, os.fspath(folder))
    except (onnx.checker.ValidationError, *UNREADABLE) as error:
        raise DataError(
            f"onnx: tensor {tensor.name!r}: {error}, expected the data of {[*tensor.dims]}"
        ) from error
    return array


def attribute_value(attribute: Any) -> Any:
    """An `AttributeProto` as a number, string, list or array; None for graphs and the like."""
    onnx = import_onnx()
    kind = onnx.AttributeProto
    if attribute.ref_attr_name:
        raise DataError(
            f"onnx: attribute {attribute.name!r} is that of a function, expected a value"
        )
    if attribute.type == kind.TENSOR:
        return to_array(attribute.t)
    if attribute.type in (kind.INT, kind.FLOAT):
        return onnx.helper.get_attribute_value(attribute)
    if attribute.type == kind.STRING:
        return attribute.s.decode(errors="replace")
    if attribute.type in (kind.INTS, kind.FLOATS):
        return tuple(onnx.helper.get_attribute_value(attribute))
    if attribute.type == kind.STRINGS:
        return tuple(text.decode(errors="replace") for text in attribute.strings)
    return None
