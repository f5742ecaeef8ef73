"""ONNX, the format that others read and write: `export` a module, `load` a model.

`supported` lists the operators that loaded models may have. Where things are: `importing` reads a
model, `checking` refuses what is malformed, `graph` is the module it becomes, `operators` its
nodes, and `fitting` says whose mistake it is where these fail; `exporting` writes one, from what
`tracing` sees a module do on examples (`sizing`), by `lowering` and `elementwise` (primitives) and
`composites` (modules) to nodes that `building` collects, `simplifying` tidies and `writing` makes a
model of, with names from `naming`; `protobuf` is ONNX's own structures. The `onnx` package is
needed: `pip install 'tinynet[onnx]'`.
"""

from tinynet.onnx.exporting import export
from tinynet.onnx.graph import Graph
from tinynet.onnx.importing import load, supported

__all__ = ["Graph", "export", "load", "supported"]
