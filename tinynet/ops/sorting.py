"""Order: sort, topk, median, and what is found by sorting."""

from __future__ import annotations

from math import nan, prod
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import result, wrap
from tinynet.autograd.mode import no_grad
from tinynet.dtype import bool_, float64, int64
from tinynet.errors import ArgumentError, DimError, DTypeError, ShapeError
from tinynet.ops.joining import cat
from tinynet.ops.operands import numpy_names, require_tensor
from tinynet.ops.reduction import Extreme, ValuesIndices

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
) -> ValuesIndices:
    """Elements in order along `dim`, and where they were. Always stable; NaN is the largest."""
    x = require_tensor("sort", input)
    dim = shapes.as_dim("sort", dim, x.ndim)
    indices = argsort(x, dim, descending)
    if not x.shape:
        return ValuesIndices(x.clone(), indices)
    return ValuesIndices(x.gather(dim, indices), indices)


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """int64 indices that sort along `dim`. Always stable; NaN is the largest."""
    x = require_tensor("argsort", input)
    place = shapes.as_dim("argsort", dim, x.ndim)
    if not x.shape:
        return x.new_zeros((), dtype=int64)
    return wrap(x.backend.argsort(x.array, place, descending), int64, x.backend)


@numpy_names
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesIndices:
    """The `k` largest (or smallest) elements along `dim`, in order, and where they are."""
    x = require_tensor("topk", input)
    place = shapes.as_dim("topk", dim, x.ndim)
    size = x.shape[place] if x.shape else 1
    k = shapes.as_integer("topk", "k", k)
    if not 0 <= k <= size:
        raise ShapeError(f"topk: k is {k}, dim {dim} of shape {x.shape} has {size} elements")
    if not x.shape:
        return sort(x) if k else ValuesIndices(x.new_zeros((0,)), x.new_zeros((0,), dtype=int64))
    indices = argsort(x, place, descending=largest).narrow(place, 0, k).clone()
    return ValuesIndices(x.gather(place, indices), indices)


@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element in order (the lower of two), NaN if there is one.

    `median(x)`: of all elements, those that tie share the gradient equally. `median(x, dim)`:
    (values, indices) along a dim.
    """
    x = require_tensor("median", input)
    if dim is None:
        shape = (1,) * x.ndim if keepdim else ()
        if not x.numel() and x.dtype.is_floating_point:
            return x.new_full(shape, nan)
        with no_grad():
            array = median(x.reshape(-1), 0).values.reshape(shape).array
        return result(Extreme, array, x.dtype, (x,), (x,), tuple(range(x.ndim)))
    place = shapes.as_dim("median", dim, x.ndim)
    if not x.shape:
        return ValuesIndices(x.clone(), x.new_zeros((), dtype=int64))
    size = x.shape[place]
    if size == 0:
        raise ShapeError(f"median: no elements along dim {dim} of shape {x.shape}")
    order = argsort(x, place)
    indices = order.narrow(place, (size - 1) // 2, 1)
    if x.dtype.is_floating_point:
        last = order.narrow(place, size - 1, 1)  # NaN sorts last, and wins
        with no_grad():
            has_nan = x.gather(place, last).isnan()
        indices = last.where(has_nan, indices)
    values = x.gather(place, indices)
    if not keepdim:
        values, indices = values.squeeze(place), indices.squeeze(place)
    return ValuesIndices(values, indices)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements (slices along `dim`), in order; where each went; how many there were.

    The inverse has the input's shape (or the length of `dim`); inverse and counts are int64.
    """
    x = require_tensor("unique", input).detach()
    if dim is None:
        rows, shape = x.reshape(-1, 1), x.shape
    else:
        if not x.shape:
            raise DimError("unique: a 0-d tensor has no dim to look along")
        rows = x.movedim(dim, 0)
        shape = rows.shape[:1]
        rows = rows.reshape(shape[0], prod(rows.shape[1:]))
    order = _lexical_order(rows)
    in_order = rows[order]
    is_new = _differs_from_previous(in_order)
    firsts = is_new.nonzero().reshape(-1)
    group = is_new.to(int64).cumsum(0) - 1
    if dim is None:
        values = in_order[firsts].reshape(-1)
    else:
        moved = x.movedim(dim, 0)
        values = moved[order[firsts]].movedim(0, dim)
    outputs = [values]
    if return_inverse:
        inverse = group.new_zeros(group.shape)
        inverse.scatter_(0, order, group)
        outputs.append(inverse.reshape(shape))
    if return_counts:
        ends = cat([firsts[1:], firsts.new_full((1,), rows.shape[0])]) if firsts.numel() else firsts
        outputs.append(ends - firsts)
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _lexical_order(rows: Tensor) -> Tensor:
    """Indices that sort rows by their first element, then their second, and so on."""
    order = wrap(rows.backend.arange(rows.shape[0], 0, 1, int64), int64, rows.backend)
    for column in reversed(range(rows.shape[1])):
        order = order[argsort(rows[:, column][order], 0)]
    return order


def _differs_from_previous(rows: Tensor) -> Tensor:
    """One bool a row: whether it is not equal to the one before; the first always is."""
    first = rows.new_ones((min(rows.shape[0], 1),), dtype=bool_)
    return cat([first, (rows[1:] != rows[:-1]).any(1)])


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ... occurs in a vector of integers, or the sum of its weights."""
    x = require_tensor("bincount", input)
    if x.ndim != 1 or x.dtype.rank == 2:
        raise DTypeError(f"bincount: expected a vector of integers, got {x.dtype} of {x.shape}")
    minlength = shapes.as_integer("bincount", "minlength", minlength)
    if minlength < 0:
        raise ArgumentError(f"bincount: minlength cannot be negative, got {minlength}")
    if weights is not None and require_tensor("bincount", weights, "weights").shape != x.shape:
        raise ShapeError(f"bincount: weights of shape {weights.shape} for input {x.shape}")
    places = x.to(int64)
    if places.numel() and int(places.min()) < 0:
        raise ArgumentError("bincount: the input has negative elements")
    size = max(minlength, int(places.max()) + 1 if places.numel() else 0)
    if weights is None:
        return places.new_zeros(size).index_add(0, places, places.new_ones(places.shape))
    kept = weights if weights.dtype.is_floating_point else weights.to(float64)
    return kept.new_zeros(size).index_add(0, places, kept)
