"""How tensors print: as PyTorch prints them, numbers formatted by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.dtype import DEFAULT, bfloat16, bool_, int64

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

THRESHOLD = 1000  # more elements are not printed in full,
EDGE = 3  # but this many from each end of a dim


def format_tensor(x: Tensor) -> str:
    """`tensor([...], dtype=...)` with what is not the default named behind the values."""
    prefix = "Parameter(" if type(x).__name__ == "Parameter" else "tensor("
    parts = [_format_values(x, len(prefix))]
    if 0 in x.shape and len(x.shape) > 1:
        parts.append(f"size={x.shape}")
    if x.dtype not in (DEFAULT, int64, bool_) or (not x.numel() and x.dtype is not DEFAULT):
        parts.append(f"dtype={x.dtype}")
    if x.device != "cpu":
        parts.append(f"device='{x.device}'")
    if x.grad_fn is not None:
        parts.append(f"grad_fn={x.grad_fn!r}")
    elif x.requires_grad and prefix == "tensor(":
        parts.append("requires_grad=True")
    return prefix + ", ".join(parts) + ")"


def format_numbers(x: Tensor) -> list[list[str]]:
    """Each element of a matrix as it prints there."""
    array: Any = x.backend.to_numpy(x.array)
    if x.dtype is bfloat16:
        array = array.astype(np.float32)
    text: Any = _float_formatter(array) if x.dtype.is_floating_point else str
    return [[text(value).strip() for value in row] for row in array]


def _format_values(x: Tensor, indent: int) -> str:
    array: Any = x.backend.to_numpy(x.array)
    if not x.numel():
        return "[]"
    if x.dtype is bfloat16:
        array = array.astype(np.float32)
    options: dict[str, Any] = {"precision": 4, "threshold": THRESHOLD, "edgeitems": EDGE}
    if x.dtype.is_floating_point:
        options["formatter"] = {"float_kind": _float_formatter(_shown(array))}
    text = np.array2string(array, separator=", ", max_line_width=80 - indent, **options)
    return "\n".join(line and " " * indent + line.rstrip() for line in text.split("\n")).lstrip()


def _shown(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements that are printed: of large arrays the first and the last few along each dim."""
    if array.size > THRESHOLD:
        for dim, n in enumerate(array.shape):
            if n > 2 * EDGE:
                array = array.take([*range(EDGE), *range(n - EDGE, n)], dim)
    return array


def _float_formatter(array: np.ndarray[Any, Any]) -> Any:
    """Whole numbers as `1.`, others with 4 digits, very large or small ones with an exponent."""
    finite = np.abs(array[np.isfinite(array)].astype(np.float64))
    nonzero = finite[finite > 0]
    is_whole = bool(np.all(finite == np.rint(finite)))
    low, high = (nonzero.min(), nonzero.max()) if nonzero.size else (1, 1)
    if high / low > 1e3 or high > 1e8 or (low < 1e-4 and not is_whole):
        style = "{:.4e}"
    else:
        style = "{:.0f}." if is_whole else "{:.4f}"

    def text(value: float) -> str:
        return style.format(value) if np.isfinite(value) else str(float(value))

    width = max(map(len, map(text, array.reshape(-1)))) if array.ndim else 0
    return lambda value: text(value).rjust(width)
