"""Indexing: `x[...]` both ways, and the gather and scatter family.

An index is read in two steps, as PyTorch does it: integers, slices, None and Ellipsis make a view
(`basic_index`); tensors of integers or bools then select from the dims they stand at (`Take`).
Reading and writing at index tensors are one pair of primitives, each the other's gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.graph import Node, Variable, result, wrap
from tinynet.autograd.mode import no_grad
from tinynet.autograd.operation import Gradients, Op
from tinynet.backends.base import PutMode, Range
from tinynet.dtype import DType, Scalar, bool_, int32, int64, integer_limits
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, DTypeError, ShapeError
from tinynet.ops.arithmetic import choose
from tinynet.ops.joining import split
from tinynet.ops.movement import as_index, basic_index, expand_to, full_ranges
from tinynet.ops.operands import (
    as_element,
    cast_to,
    is_tensor,
    numpy_names,
    require_same_device,
    require_tensor,
)

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Places = tuple[Any, ...]  # an int64 Tensor, or None for a whole dim, per dim


class Take(Op):
    """Selection by index tensors, which are saved. `params`: the input's shape."""

    op = "index"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Tensor:
        return put(grad.new_zeros(ctx.params), ctx.saved_tensors, grad, "add")


def take_at(x: Tensor, places: Places) -> Tensor:
    """`x[places]`, by NumPy's rules for index arrays."""
    arrays = tuple(None if place is None else place.array for place in places)
    return result(Take, x.backend.take(x.array, arrays), x.dtype, (x,), places, x.shape)


class Put(Op):
    """`x` with `values` set or added at places, which are saved. `params`: the mode."""

    op = "index_put"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        places = ctx.saved_tensors
        needs_x, needs_values = ctx.needs_input_grad
        x_grad: Tensor | None = grad
        if needs_x and ctx.params == "set":
            x_grad = put(grad, places, grad.new_zeros(()), "set")
        return x_grad, (take_at(grad, places) if needs_values else None)


def put(x: Tensor, places: Places, values: Tensor, mode: PutMode) -> Tensor:
    """A copy of `x` with `values` (broadcast) put at places."""
    array = x.backend.copy(x.array)
    arrays = tuple(None if place is None else place.array for place in places)
    x.backend.put(array, arrays, values.array, mode)
    return result(Put, array, x.dtype, (x, values), places, mode)


# x[...]
def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]`: ints, slices of any step, None, Ellipsis, integer and bool tensors, mixed."""
    x, places = read_index(input, index)
    return x if places is None else take_at(x, places)


def read_index(x: Tensor, index: Any) -> tuple[Tensor, Places | None]:
    """The view that the basic part of `index` makes, and where index tensors point in it."""
    if type(index) is int and x.shape:
        place = as_index("index", index, x.shape[0], 0)
        return basic_index(x, ((place, 1, 1), *full_ranges(x.shape[1:])), x.shape[1:]), None
    items: list[Any] = _as_items(x, index)
    ranges: list[Range] = []
    shape: list[int] = []
    places: list[Tensor | None] = []
    has_places = False
    dim = 0
    for item in items:
        if item is None:
            shape.append(1)
            places.append(None)
            continue
        if is_tensor(item):
            has_places = True
            if item.dtype is bool_ and not item.shape:  # x[True]: a new dim of size 1, or 0
                shape.append(1)
                places.append(item.reshape(1).nonzero().reshape(-1))
                continue
            taken = _as_places(item, x, dim)
            for tensor in taken:
                ranges.append((0, 1, x.shape[dim]))
                shape.append(x.shape[dim])
                places.append(tensor)
                dim += 1
            continue
        if isinstance(item, slice):
            range_ = _as_range(item, x.shape[dim])
            shape.append(range_[2])
            places.append(None)
        else:
            range_ = (as_index("index", item, x.shape[dim], dim), 1, 1)
        ranges.append(range_)
        dim += 1
    viewed = basic_index(x, tuple(ranges), tuple(shape))
    if not has_places:
        return viewed, None
    shapes.broadcast("index", *(place.shape for place in places if place is not None))
    return viewed, tuple(places)


def _as_items(x: Tensor, index: Any) -> list[Any]:
    """`index` as one item per dim (index tensors of bools stand for several) and None for new."""
    items: list[Any] = [
        _as_item(item, x) for item in (index if isinstance(index, tuple) else (index,))
    ]
    used = sum(
        item.ndim if is_tensor(item) and item.dtype is bool_ else 1
        for item in items
        if item is not None and item is not Ellipsis
    )
    if used > x.ndim:
        raise DimError(f"index: {used} indices for a tensor of shape {x.shape}")
    ellipses = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(ellipses) > 1:
        raise DimError("index: only one Ellipsis (...) can stand in an index")
    if not ellipses:
        ellipses = [len(items)]
        items.append(Ellipsis)
    fill: list[Any] = [slice(None)] * (x.ndim - used)
    return items[: ellipses[0]] + fill + items[ellipses[0] + 1 :]


def _as_item(item: Any, x: Tensor) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice) or type(item) is int:
        return item
    if isinstance(item, bool):
        return type(x.detach())(item, device=x.device)
    if isinstance(item, Variable):
        if item.shape == () and item.dtype.rank == 1 and not isinstance(item, bool):
            return int(item.item())  # type: ignore[attr-defined]
        return item
    if isinstance(item, (list, tuple, range)) or hasattr(item, "__array__"):
        tensor = type(x.detach())(item, device=x.device)
        return tensor if tensor.numel() or tensor.dtype.rank < 2 else tensor.to(int64)
    try:
        return shapes.as_integer("index", "an index", item)
    except ArgumentTypeError:
        raise ArgumentTypeError(
            "index: expected ints, slices, None, Ellipsis or tensors of integers or bools, "
            f"got {type(item).__name__}"
        ) from None


def _as_places(item: Tensor, x: Tensor, dim: int) -> Sequence[Tensor]:
    """An index tensor as int64 tensors; one of bools as one for each of its dims."""
    require_same_device("index", x, item)
    if item.dtype is not bool_:
        if item.dtype.rank == 2:
            raise DTypeError(f"index: tensors must hold integers or bools, got {item.dtype}")
        return (cast_to(item, int64),)
    if item.shape != x.shape[dim : dim + item.ndim]:
        raise DimError(
            f"index: a mask of shape {item.shape} does not fit dims {dim} to "
            f"{dim + item.ndim - 1} of shape {x.shape}"
        )
    found = item.nonzero()
    return [column.reshape(-1) for column in split(found, 1, 1)]


def _as_range(item: slice, size: int) -> Range:
    """A slice as start, step and count."""
    parts = (
        None if part is None else shapes.as_integer("index", "a slice bound", part)
        for part in (item.start, item.stop, item.step)
    )
    bounds = slice(*parts)
    if bounds.step == 0:
        raise ArgumentError("index: a slice's step cannot be 0")
    start, stop, step = bounds.indices(size)
    count = len(range(start, stop, step))
    return (start if count else 0, step, count)


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """`input[index] = value`; `value` is broadcast and cast."""
    source = as_element("index", value, input)
    if is_tensor(index) and _is_mask_of(input, index) and source.numel() == 1:  # reads no values
        mask = index.reshape(*index.shape, *[1] * (input.ndim - index.ndim))
        input.masked_fill_(mask, source.reshape(()))
        return
    x, places = read_index(input, index)
    if places is None:
        while source.ndim > x.ndim and source.shape[0] == 1:
            source = source.squeeze(0)
        if shapes.broadcast("index", source.shape, x.shape) != x.shape:
            raise ShapeError(f"index: a value of shape {source.shape} does not fit {x.shape}")
        x.copy_(source)
    else:
        while source.ndim > 1 and source.shape[0] == 1:
            source = source.squeeze(0)
        check_values("index", source, x, places)
        x.index_put_(places, source)


def _is_mask_of(x: Tensor, index: Tensor) -> bool:
    """Whether bools choose among the elements of a tensor, or the parts along its first dims."""
    return index.dtype is bool_ and index.shape != () and index.shape == x.shape[: index.ndim]


def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy with `values` at `input[indices]`; `accumulate` adds them, repeats too."""
    x = require_tensor("index_put", input)
    viewed, places = read_index(x, as_put_index("index_put", indices))
    source = require_tensor("index_put", values, "values")
    if source.dtype is not x.dtype:
        raise DTypeError(f"index_put: values have {source.dtype}, the tensor {x.dtype}")
    assert places is not None
    require_same_device("index_put", x, source)
    check_values("index_put", source, viewed, places)
    return put(viewed, places, source, "add" if accumulate else "set")


def as_put_index(op: str, indices: Any) -> tuple[Any, ...]:
    """What `index_put` takes, index tensors and None, as an index that names places."""
    given = indices if isinstance(indices, (tuple, list)) else ()
    if not any(isinstance(item, Variable) for item in given):
        raise ArgumentTypeError(f"{op}: indices must be a tuple of tensors, got {indices!r:.60}")
    return tuple(
        slice(None) if item is None
        else item.reshape(1) if isinstance(item, Variable) and not item.shape  # type: ignore[attr-defined]
        else item
        for item in given
    )  # fmt: skip


def check_values(op: str, values: Tensor, x: Tensor, places: Places) -> None:
    """Raise where `values` do not broadcast to `x[places]`."""
    at = [i for i, place in enumerate(places) if place is not None]
    begin = at[0] if at[-1] - at[0] == len(at) - 1 else 0  # NumPy: apart, they come in front
    kept = [n for i, n in enumerate(x.shape) if i not in at]
    common = shapes.broadcast(op, *(places[i].shape for i in at))
    target = (*kept[:begin], *common, *kept[begin:])
    if shapes.broadcast(op, values.shape, target) != target:
        raise ShapeError(f"{op}: values of shape {values.shape} do not fit {target}")


# Along a dim
def _grid(op: str, x: Tensor, dim: int, index: Tensor) -> Places:
    """Index tensors that point at `x[i][index[i][j]][...]`, as `gather` does."""
    if index.dtype not in (int64, int32) and index.numel():
        raise DTypeError(f"{op}: index must hold int64 or int32, got {index.dtype}")
    require_same_device(op, x, index)
    places: list[Tensor] = []
    for i, size in enumerate(index.shape):
        if i == dim:
            places.append(cast_to(index, int64))
            continue
        steps = wrap(x.backend.arange(size, 0, 1, int64), int64, x.backend)
        places.append(steps.reshape((size,) + (1,) * (index.ndim - i - 1)))
    return tuple(places)


def _check_grid(op: str, x: Tensor, dim: int, index: Tensor, source: Tensor | None) -> None:
    same_ndim = max(index.ndim, 1) == max(x.ndim, 1)
    fits = same_ndim and all(
        n <= m for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=False)) if i != dim
    )
    if index.numel() and not fits:
        raise ShapeError(f"{op}: index of shape {index.shape} does not fit {x.shape} at dim {dim}")
    if (
        source is not None
        and index.numel()
        and (
            max(source.ndim, 1) != max(index.ndim, 1)
            or any(n > m for n, m in zip(index.shape, source.shape, strict=False))
        )
    ):
        raise ShapeError(f"{op}: index of shape {index.shape} does not fit src {source.shape}")


@numpy_names
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """`y[i][j] = x[index[i][j]][j]` for dim 0, `x[i][index[i][j]]` for dim 1, and so on."""
    x, places = require_tensor("gather", input), require_tensor("gather", index, "index")
    place = shapes.as_dim("gather", dim, x.ndim)
    _check_grid("gather", x, place, places, None)
    if not places.numel():
        return x.reshape(-1)[:0].reshape(places.shape).clone()
    if not places.shape:
        return take_at(x.reshape(-1), (places.reshape(1).to(int64),)).reshape(())
    flat = x.reshape(1) if not x.shape else x
    return take_at(flat, _grid("gather", flat, place, places))


@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dims broadcast; of the flattened tensor if `dim` is None."""
    x = require_tensor("take_along_dim", input)
    indices = require_tensor("take_along_dim", indices, "indices")
    if dim is None:
        return gather(x.reshape(-1), 0, indices.reshape(-1))
    place = shapes.as_dim("take_along_dim", dim, x.ndim)
    if x.ndim != indices.ndim:
        raise ShapeError(f"take_along_dim: indices have shape {indices.shape}, input {x.shape}")
    if not x.ndim:
        return gather(x, 0, indices)
    others = [(*y.shape[:place], 1, *y.shape[place + 1 :]) for y in (x, indices)]
    common = shapes.broadcast("take_along_dim", *others)
    grown = [
        expand_to(y, (*common[:place], y.shape[place], *common[place + 1 :])) for y in (x, indices)
    ]
    return gather(grown[0], place, grown[1])


def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened tensor, in `index`'s shape, copied."""
    x, places = require_tensor("take", input), require_tensor("take", index, "index")
    if not places.shape:  # which would be a view of one element
        return getitem(x.reshape(-1), places.reshape(1)).reshape(())
    return getitem(x.reshape(-1), places)


@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries of `dim` that a vector of integers names, in its order."""
    x, places = _with_vector_index("index_select", input, dim, index)
    y = take_at(x, places)
    return y if input.shape else y.reshape(())


def _with_vector_index(op: str, input: Tensor, dim: int, index: Tensor) -> tuple[Tensor, Places]:
    x, vector = require_tensor(op, input), require_tensor(op, index, "index")
    place = shapes.as_dim(op, dim, x.ndim)
    if vector.ndim > 1 or vector.dtype.rank != 1:
        raise DTypeError(
            f"{op}: index must be a vector of integers, got {vector.dtype} of {vector.shape}"
        )
    require_same_device(op, x, vector)
    x = x if x.shape else x.reshape(1)
    vector = cast_to(vector.reshape(-1), int64)
    return x, tuple(vector if i == place else None for i in range(x.ndim))


@numpy_names
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """`input` with `alpha * source`'s entries added where `index` says, repeats too."""
    x, places = _with_vector_index("index_add", input, dim, index)
    values = require_tensor("index_add", source, "source")
    values = values if alpha == 1 else values * alpha
    values = values if values.shape else values.reshape(1)
    place = shapes.as_dim("index_add", dim, x.ndim)
    expected = (*x.shape[:place], places[place].shape[0], *x.shape[place + 1 :])
    if values.shape != expected:
        raise ShapeError(f"index_add: source has shape {source.shape}, expected {expected}")
    require_same_device("index_add", x, values)
    if values.dtype is not x.dtype:
        raise DTypeError(f"index_add: source has {values.dtype}, the tensor {x.dtype}")
    return put(x, places, values, "add").reshape(input.shape)


@numpy_names
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """`gather`'s reverse: a copy with `y[index[i][j]][j] = src[i][j]` for dim 0, and so on.

    `src` may be a number. `reduce` "add" or "multiply" combines with what is there.
    """
    given = value if src is None else src
    if reduce in ("add", "multiply"):
        source = _as_source("scatter", input, dim, index, given)
        mode = "sum" if reduce == "add" else "prod"
        return scatter_reduce(input, dim, index, source, mode)
    if reduce is not None:
        raise ArgumentError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    return _scattered("scatter", input, dim, index, given, "set")


@numpy_names
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter` that adds, repeats too: `gather`'s gradient."""
    return _scattered("scatter_add", input, dim, index, src, "add")


def _as_source(op: str, input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """`src` as a tensor of the index's shape, 1-d where that is 0-d."""
    x, index = require_tensor(op, input), require_tensor(op, index, "index")
    source = as_element(op, src, x)
    require_same_device(op, x, source)
    if source.dtype is not x.dtype:
        raise DTypeError(f"{op}: src has {source.dtype}, the tensor {x.dtype}")
    place = shapes.as_dim(op, dim, x.ndim)
    is_number = not isinstance(src, Variable)
    source = source if source.shape else source.reshape(1)
    _check_grid(op, x, place, index, None if is_number else source)
    shape = index.shape or (1,)
    if is_number:
        return expand_to(source, shape)
    ranges = tuple((0, 1, n) for n in shape)
    return source if source.shape == shape else basic_index(source, ranges, shape)


def _scattered(op: str, input: Tensor, dim: int, index: Tensor, src: Any, mode: PutMode) -> Tensor:
    source = _as_source(op, input, dim, index, src)
    if not index.numel():
        return input.clone()
    x = input if input.shape else input.reshape(1)
    grid_index = index if index.shape else index.reshape(1)
    place = shapes.as_dim(op, dim, x.ndim)
    places = _grid(op, x, place, grid_index)
    return put(x, places, source, mode).reshape(input.shape)


@numpy_names
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter` that combines: `reduce` is "sum", "prod", "mean", "amax" or "amin".

    Without `include_self`, places that receive something forget what they held.
    """
    modes: dict[str, PutMode] = {
        "sum": "add", "mean": "add", "prod": "mul", "amax": "max", "amin": "min"
    }  # fmt: skip
    if reduce not in modes:
        raise ArgumentError(f"scatter_reduce: reduce must be one of {[*modes]}, got {reduce!r}")
    x = require_tensor("scatter_reduce", input)
    source = _as_source("scatter_reduce", x, dim, index, src)
    if not include_self:
        lowest, highest = _limits(x.dtype)
        neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": lowest, "amin": highest}
        x = scatter(x, dim, index, neutral[reduce])
    if reduce in ("sum", "mean"):
        total = scatter_add(x, dim, index, source)
        if reduce == "sum":
            return total
        counts = x.new_full(x.shape, 1 if include_self else 0)
        counts = scatter_add(counts, dim, index, counts.new_ones(source.shape))
        counts = counts.clamp(min=1)
        if x.dtype.rank == 2:
            return total / counts
        return total.div(counts, rounding_mode="floor")
    return _scatter_combined(x, dim, index, source, modes[reduce])


def _limits(dtype: DType) -> tuple[Scalar, Scalar]:
    """What no element is below, and what none is above."""
    if dtype.rank == 2:
        return -math.inf, math.inf
    return (False, True) if dtype is bool_ else integer_limits(dtype)


class ScatterCombine(Op):
    """Scatter with "mul", "max" or "min". `params`: dim and the mode."""

    op = "scatter_reduce"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        dim, mode = ctx.params
        x, src, index = ctx.saved_tensors
        best = _scatter_combined(x, dim, index, src, mode)
        if mode == "mul":
            return _gradients_of_products(x, dim, index, src, grad, best)
        x_is_best, src_is_best = (x == best), (src == best.gather(dim, index))
        shares = x_is_best.to(grad.dtype)
        shares = scatter_add(shares, dim, index, src_is_best.to(grad.dtype))
        share = grad / shares
        x_grad = choose(x_is_best, share, 0.0)
        return x_grad, choose(src_is_best, share.gather(dim, index), 0.0)


def _gradients_of_products(
    x: Tensor, dim: int, index: Tensor, src: Tensor, grad: Tensor, best: Tensor
) -> Gradients:
    """The product of the other factors for each; exact where one of them is zero."""
    x_or_one = choose(x == 0, 1.0, x)
    x_grad = grad * _scatter_combined(x_or_one, dim, index, src, "mul") / x_or_one
    is_zero = src == 0
    zeros = scatter_add(x.new_zeros(x.shape), dim, index, is_zero.to(x.dtype))
    is_only_zero = is_zero & (zeros.gather(dim, index) == 1)
    others = _scatter_combined(x, dim, index, choose(is_only_zero, 1.0, src), "mul")
    quotient = (grad * best).gather(dim, index) / choose(is_zero, 1.0, src)
    return x_grad, choose(is_only_zero, (grad * others).gather(dim, index), quotient)


def _scatter_combined(x: Tensor, dim: int, index: Tensor, src: Tensor, mode: PutMode) -> Tensor:
    with no_grad():
        y = _scattered("scatter_reduce", x, dim, index, src, mode)
    return result(ScatterCombine, y.array, x.dtype, (x, src), (x, src, index), (dim, mode))


# By masks
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` (a number or 0-d tensor) where `mask` holds."""
    x, condition = require_tensor("masked_fill", input), require_tensor("masked_fill", mask, "mask")
    if condition.dtype is not bool_:
        raise DTypeError(f"masked_fill: mask must have dtype {bool_}, got {condition.dtype}")
    if isinstance(value, Variable) and value.shape:
        raise ShapeError(f"masked_fill: value must be a number or 0-d, got shape {value.shape}")
    fill = as_element("masked_fill", value, x)
    return choose(condition, cast_to(fill, x.dtype), x)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """A vector of the elements where `mask` holds; both are broadcast."""
    x = require_tensor("masked_select", input)
    condition = require_tensor("masked_select", mask, "mask")
    if condition.dtype is not bool_:
        raise DTypeError(f"masked_select: mask must have dtype {bool_}, got {condition.dtype}")
    shape = shapes.broadcast("masked_select", x.shape, condition.shape)
    grown, chosen = expand_to(x, shape), expand_to(condition, shape)
    if not shape:
        grown, chosen = grown.reshape(1), chosen.reshape(1)
    return getitem(grown, chosen)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """int64 (count, ndim): where elements are not zero; `as_tuple`: a vector for each dim."""
    x = require_tensor("nonzero", input)
    found = wrap(x.backend.nonzero(x.array), int64, x.backend)
    if not as_tuple:
        return found
    if not x.shape:
        return (found.new_zeros(found.shape[0]),)
    return tuple(column.reshape(-1) for column in split(found, 1, 1))
