"""Dropout: in training, elements or whole channels are left out at random.

`inplace=True` writes the result into the input's memory.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from tinynet.errors import ArgumentError, ShapeError
from tinynet.ops.inplace import in_place
from tinynet.ops.operands import require_floating, require_tensor
from tinynet.ops.random import drawing_dtype, rand, rand_like
from tinynet.tensor import Tensor

ALPHA = 1.7580993408473766  # SELU's scale times alpha: minus what it tends to (Klambauer 2017)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros with probability `p`, all else scaled by `1 / (1 - p)`; nothing unless `training`."""
    return _run("dropout", _dropout, input, p, training, inplace, "", None)


def _dropout(x: Tensor, p: float, op: str, kept: int | None) -> Tensor:
    if p == 1.0:
        return x * 0.0
    return x * (_is_kept(x, p, op, kept) * (1.0 / (1.0 - p)))


def _is_kept(x: Tensor, p: float, op: str, kept: int | None) -> Tensor:
    """1 with probability 1 - `p`, else 0, of x's dtype; one for each element, or as `_noise`."""
    noise = rand_like(x, dtype=drawing_dtype(x.dtype)) if kept is None else _noise(op, x, kept)
    return (noise >= p).to(x.dtype)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels, of (n, c, length) or (c, length)."""
    _check("dropout1d", input, p)
    if input.ndim not in (2, 3):
        raise ShapeError(
            f"dropout1d: the input must be (n, c, length) or (c, length), got {input.shape}"
        )
    return _run_features("dropout1d", input, p, training, inplace, 3 - input.ndim)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels, of (n, c, height, width)."""
    _check("dropout2d", input, p)
    if input.ndim == 3:  # PyTorch's own reading
        warnings.warn("dropout2d: an input of 3 dims is read as (n, c, length)", stacklevel=2)
    elif input.ndim != 4:
        _warn_of_dims("dropout2d", input)
    return _run_features("dropout2d", input, p, training, inplace, 0)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels, of (n, c, depth, height, width), or without n."""
    _check("dropout3d", input, p)
    if input.ndim not in (4, 5):
        _warn_of_dims("dropout3d", input)
    return _run_features("dropout3d", input, p, training, inplace, int(input.ndim != 5))


def _warn_of_dims(op: str, x: Tensor) -> None:
    warnings.warn(f"{op}: not made for shape {x.shape}: use dropout", stacklevel=3)


def _run_features(
    op: str, x: Tensor, p: float, training: bool, inplace: bool, missing: int
) -> Tensor:
    """`dropout` of whole channels; `missing`: 1 where they are dim 0, without a batch."""
    return _run(op, _dropout, x, p, training, inplace, op, 2 - missing)


def _noise(op: str, x: Tensor, kept: int) -> Tensor:
    """Uniform random numbers, one for each index of the first `kept` dims."""
    if x.ndim < kept:
        raise ShapeError(f"{op}: the input needs at least {kept} dims, got shape {x.shape}")
    noise = rand(x.shape[:kept], dtype=drawing_dtype(x.dtype), device=x.device)
    if kept == 2 and x.stride()[0] < x.stride()[1]:  # in memory as x, or the result would not be
        noise = noise.t().contiguous().t()
    return noise.reshape(noise.shape + (1,) * (x.ndim - kept))


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """With probability `p` what SELU tends to; then scaled and shifted to keep mean and variance.

    Klambauer et al. 2017.
    """
    return _run("alpha_dropout", _alpha_dropout, input, p, training, inplace, "", None)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels (dim 1)."""
    op = "feature_alpha_dropout"
    return _run(op, _alpha_dropout, input, p, training, inplace, op, 2)


def _alpha_dropout(x: Tensor, p: float, op: str, kept: int | None) -> Tensor:
    if p == 1.0:
        return x * 0.0
    scale = 1.0 / math.sqrt((ALPHA * ALPHA * p + 1.0) * (1.0 - p))
    is_kept = _is_kept(x, p, op, kept)
    return x * (is_kept * scale) + ((is_kept - 1.0) * (ALPHA * scale) + ALPHA * scale * p)


def _check(op: str, input: Tensor, p: float) -> None:
    require_tensor(op, input)
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{op}: p must be between 0 and 1, got {p}")


def _run(
    op: str,
    function: Callable[..., Tensor],
    input: Tensor,
    p: float,
    training: bool,
    inplace: bool,
    *arguments: Any,
) -> Tensor:
    """`function(input, p, ...)` in training, where something is to be dropped."""
    _check(op, input, p)
    if not training or p == 0.0:
        return input
    require_floating(op, input)
    return (in_place(function) if inplace else function)(input, p, *arguments)
