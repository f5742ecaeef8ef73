"""Every exception that tinynet raises on purpose.

Each derives from `TinynetError` and from the builtin that a user would catch. Messages read
``operation: what came, what was expected``.
"""

from __future__ import annotations


class TinynetError(Exception):
    """Base of all exceptions of tinynet."""


class ShapeError(TinynetError, ValueError):
    """Shapes, sizes or strides that do not fit the operation."""


class ArgumentError(TinynetError, ValueError):
    """An argument whose value the operation cannot take."""


class ArgumentTypeError(TinynetError, TypeError):
    """An argument whose Python type the operation cannot take."""


class DTypeError(TinynetError, TypeError):
    """A dtype that the operation does not support, or dtypes that do not go together."""


class DimError(TinynetError, IndexError):
    """A dimension, or an index within one, that is out of range."""


class DeviceError(TinynetError, RuntimeError):
    """An unknown device, or tensors of two devices in one operation."""


class OutOfMemoryError(TinynetError, MemoryError):
    """A device has no room for an array."""


class KernelError(TinynetError, RuntimeError):
    """A kernel that does not compile, or that the device refused to run."""


class GradientError(TinynetError, RuntimeError):
    """A misuse of automatic differentiation."""


class RecordingError(TinynetError, RuntimeError):
    """A function that `tinynet.jit` cannot record, or a use of what it recorded that is none."""

    @classmethod
    def reading(cls, why: str) -> RecordingError:
        """For what needs values while there are none to rely on."""
        return cls(
            f"jit: the function {why} (item, tolist, numpy, bool, print, nonzero, ...) while it is "
            "recorded, and replays cannot do that; return the tensor and read it outside, or "
            "choose with where()"
        )


class AnomalyError(TinynetError, ArithmeticError):
    """Anomaly mode found the operation that first made a NaN or an infinity."""


class DivergenceError(TinynetError, ArithmeticError):
    """Training came to a loss, or to weights, that are NaN or infinite."""


class StateError(TinynetError, RuntimeError):
    """A state dict that does not fit the module or optimiser it is loaded into."""


class PartError(TinynetError, AttributeError, KeyError):
    """A parameter, buffer or submodule that a module does not have, or cannot have yet."""

    __str__ = Exception.__str__  # that of KeyError puts the message in quotes


class DataError(TinynetError, RuntimeError):
    """A data file that is missing, truncated, corrupt or of another format."""


class SearchError(TinynetError, RuntimeError):
    """A search whose worker processes cannot start, or of which no trial succeeded."""


class UnsupportedOperatorError(TinynetError, NotImplementedError):
    """An ONNX model, or a module on its way there, with what the other side has nothing for."""


class MissingDependencyError(TinynetError, ImportError):
    """An optional package that a feature needs is not installed."""
