"""ONNX, the format that others read and write: `load` a model, say what is `supported`."""

from tinynet.onnx.graph import Graph
from tinynet.onnx.importing import load, supported

__all__ = ["Graph", "load", "supported"]
