"""How tensors print: as PyTorch prints them, numbers formatted by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.dtype import DEFAULT, bfloat16, bool_, int64

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


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


def _format_values(x: Tensor, indent: int) -> str:
    array: Any = x.backend.to_numpy(x.array)
    if not x.numel():
        return "[]"
    if x.dtype is bfloat16:
        array = array.astype(np.float32)
    options: dict[str, Any] = {"precision": 4, "suppress_small": False, "threshold": 1000}
    if x.dtype.is_floating_point:
        options["formatter"] = {"float_kind": _float_formatter(array)}
    text = np.array2string(array, separator=", ", max_line_width=80 - indent, **options)
    return text.replace("\n", "\n" + " " * indent)


def _float_formatter(array: np.ndarray[Any, Any]) -> Any:
    """Whole numbers as `1.`, others with 4 digits, very large or small ones with an exponent."""
    finite = np.abs(array[np.isfinite(array)].astype(np.float64))
    nonzero = finite[finite > 0]
    width = 0
    if not nonzero.size or (np.all(finite == np.rint(finite)) and nonzero.max() < 1e8):
        style = "{:.0f}."
    elif nonzero.max() / nonzero.min() > 1e3 or nonzero.max() >= 1e8 or nonzero.min() < 1e-4:
        style = "{:.4e}"
    else:
        style = "{:.4f}"

    def text(value: float) -> str:
        return style.format(value) if np.isfinite(value) else str(float(value))

    if array.ndim:
        shown = array if array.size <= 1000 else array.reshape(-1)[:1000]
        width = max(map(len, map(text, shown.reshape(-1))))
    return lambda value: text(value).rjust(width)
