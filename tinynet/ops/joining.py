"""Joining tensors and parting them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from tinynet import shape as shapes
from tinynet.autograd.function import record_several
from tinynet.autograd.graph import Node, View, result
from tinynet.autograd.operation import Gradients, Op
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError
from tinynet.ops.movement import narrow_to, reshape_to
from tinynet.ops.operands import cast_to, join_operands, require_tensor

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


class Concatenate(Op):
    """`params`: the dim and the inputs' sizes along it."""

    op = "cat"

    @staticmethod
    def backward(ctx: Node, grad: Tensor) -> Gradients:
        dim, sizes = ctx.params
        gradients, start = [], 0
        for size, is_needed in zip(sizes, ctx.needs_input_grad, strict=True):
            gradients.append(narrow_to(grad, dim, start, size) if is_needed else None)
            start += size
        return tuple(gradients)


def _items(op: str, tensors: Any) -> list[Tensor]:
    """A list or tuple of tensors, not empty."""
    if not isinstance(tensors, (list, tuple)):
        raise ArgumentTypeError(
            f"{op}: expected a list or tuple of tensors, got {type(tensors).__name__}"
        )
    if not tensors:
        raise ArgumentError(f"{op}: expected at least one tensor")
    return [require_tensor(op, x, "every item") for x in tensors]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dim; dtypes are promoted."""
    items = _items("cat", tensors)
    like = next((x for x in items if x.shape != (0,)), items[0])
    if not all(x.shape for x in items):
        raise ShapeError("cat: 0-d tensors cannot be joined, use stack")
    place_ = shapes.as_dim("cat", dim, like.ndim)
    _, dtype = join_operands("cat", *items)
    none = (*like.shape[:place_], 0, *like.shape[place_ + 1 :])  # empty vectors fit anything
    parts = [cast_to(reshape_to(x, none) if x.shape == (0,) else x, dtype) for x in items]
    shapes.concatenated("cat", [x.shape for x in parts], place_)
    array = parts[0].backend.concatenate([x.array for x in parts], place_)
    sizes = tuple(x.shape[place_] for x in parts)
    return result(Concatenate, array, dtype, tuple(parts), (), (place_, sizes))


def _with_dim(x: Tensor, dim: int) -> Tensor:
    place = shapes.as_dim("stack", dim, x.ndim + 1)
    return reshape_to(x, (*x.shape[:place], 1, *x.shape[place:]))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dim."""
    items = _items("stack", tensors)
    for x in items[1:]:
        if x.shape != items[0].shape:
            raise ShapeError(f"stack: shapes differ: {items[0].shape} and {x.shape}")
    return cat([_with_dim(x, dim) for x in items], dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along dim 1, vectors along dim 0."""
    items = [x.reshape(1) if x.ndim == 0 else x for x in _items("hstack", tensors)]
    return cat(items, 0 if items[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along dim 0, vectors as rows."""
    return cat([x.reshape(1, -1) if x.ndim < 2 else x for x in _items("vstack", tensors)], 0)


class Split(Op):
    """Views side by side along dim `params[0]`; their gradients are joined, not added up."""

    op = "split"

    @staticmethod
    def backward(ctx: Node, *grads: Tensor) -> Gradients:
        return cat(grads, ctx.params)


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Views of `split_size` elements of `dim` each (the last may be shorter), or of given sizes."""
    x = require_tensor("split", tensor)
    place = shapes.as_dim("split", dim, x.ndim)
    if not x.shape:
        raise ShapeError("split: a 0-d tensor has no dim to split")
    total = x.shape[place]
    if not isinstance(split_size_or_sections, (list, tuple)):
        size = shapes.as_integer("split", "split_size", split_size_or_sections)
        if size < 0 or (size == 0 and total):
            raise ArgumentError(f"split: split_size must be positive, got {size}")
        sizes = [min(size, total - i) for i in range(0, total, max(size, 1))] or [0]
    else:
        sizes = [shapes.as_integer("split", "size", n) for n in split_size_or_sections]
        if sum(sizes) != total or min(sizes, default=0) < 0:
            raise ShapeError(f"split: sizes {sizes} do not add up to {total}, dim {dim}")
    starts = accumulate(sizes, initial=0)
    if not sizes:
        return ()
    ranges = [(place, i, n) for i, n in zip(starts, sizes, strict=False)]
    parts = tuple(narrow_to(x.detach(), *range_) for range_ in ranges)
    assert x.writes is not None
    for part, range_ in zip(parts, ranges, strict=True):  # views of x, with one node for all
        part.origin = View(x, (narrow_to, range_), x.writes[0], is_fixed=True)
    record_several(Split, parts, (x,), (), place)
    return parts


def tensor_split(
    input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0
) -> tuple[Tensor, ...]:
    """Parts of nearly equal size, or cut before given indices (of which a part begins at each)."""
    x = require_tensor("tensor_split", input)
    if not x.shape:
        raise ShapeError("tensor_split: a 0-d tensor has no dim to split")
    place = shapes.as_dim("tensor_split", dim, x.ndim)
    total = x.shape[place]
    places: Any = indices_or_sections
    places = places.tolist() if hasattr(places, "tolist") else places
    if isinstance(places, int):
        if places < 1:
            raise ArgumentError(f"tensor_split: {places} sections, expected 1 or more")
        small, extra = divmod(total, places)
        return split(x, [small + int(i < extra) for i in range(places)], place)
    indices = [shapes.as_integer("tensor_split", "an index", i) for i in places]
    cuts = [0, *(min(max(i + total if i < 0 else i, 0), total) for i in indices), total]
    sizes = [max(b - a, 0) for a, b in pairwise(cuts)]
    if sum(sizes) == total:
        return split(x, sizes, place)
    return tuple([narrow_to(x, place, start, n) for start, n in zip(cuts, sizes, strict=False)])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size (the last may be shorter)."""
    x = require_tensor("chunk", input)
    place = shapes.as_dim("chunk", dim, x.ndim)
    if shapes.as_integer("chunk", "chunks", chunks) < 1:
        raise ArgumentError(f"chunk: chunks must be positive, got {chunks}")
    total = x.shape[place] if x.shape else 0
    return split(x, max(-(-total // chunks), 0), place) if total else split(x, [0] * chunks, place)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """A tuple of views, one for each index of `dim`."""
    x = require_tensor("unbind", input)
    place = shapes.as_dim("unbind", dim, x.ndim)
    if not x.shape:
        raise ShapeError("unbind: a 0-d tensor has no dim to unbind")
    return tuple(squeeze_at(part, place) for part in split(x, 1, place)) if x.shape[place] else ()


def squeeze_at(x: Tensor, dim: int) -> Tensor:
    """A view without `dim`, which has size 1."""
    return reshape_to(x, (*x.shape[:dim], *x.shape[dim + 1 :]))
