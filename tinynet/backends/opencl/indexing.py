"""Taking elements at indices, and putting values there.

To take is a formula. To put is one where each line has one place, else kernels do it.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from tinynet.backends.base import PutMode
from tinynet.backends.opencl import scattering
from tinynet.backends.opencl.array import Array, Value, View, broadcast, row_major
from tinynet.dtype import int64
from tinynet.shape import Shape

if TYPE_CHECKING:
    from tinynet.backends.opencl.backend import OpenCLBackend

COMBINATIONS = {"add": "add", "mul": "mul", "max": "maximum", "min": "minimum"}


class Target(NamedTuple):
    """What NumPy's rules for index arrays say of `x[indices]`.

    `indices`: dims and their index arrays, which broadcast to `common`; `kept` dims have none;
    `shape` is the result's, in which `begin` kept dims come before the common ones.
    """

    indices: list[tuple[int, Array]]
    common: Shape
    kept: Shape
    begin: int
    shape: Shape

    @classmethod
    def of(cls, shape: Shape, indices: tuple[Array | None, ...]) -> Target:
        """Of an array of this shape."""
        shapes = tuple([None if index is None else index.shape for index in indices])
        found = [(d, index) for d, index in enumerate(indices) if index is not None]
        return cls(found, *_layout_of(shape, shapes))


@lru_cache(maxsize=4096)
def _layout_of(shape: Shape, shapes: tuple[Shape | None, ...]) -> tuple[Shape, Shape, int, Shape]:
    """A `Target` but for its indices, by their shapes."""
    at = [d for d, found in enumerate(shapes) if found is not None]
    common = reduce(broadcast, [found for found in shapes if found is not None])
    kept = tuple([d for d in range(len(shape)) if d not in at])
    begin = at[0] if at[-1] - at[0] == len(at) - 1 else 0  # NumPy: apart, they come in front
    sizes = [shape[d] for d in kept]
    return common, kept, begin, (*sizes[:begin], *common, *sizes[begin:])


def take_from(backend: OpenCLBackend, x: Array, target: Target) -> Array:
    """`x[indices]`, where there is anything to take."""
    begin, common = target.begin, target.common
    steps = [x.strides[d] for d in target.kept]
    strides = (*steps[:begin], *(0,) * len(common), *steps[begin:])
    source = View(backend.memory(x), target.shape, strides, x.offset)
    picks, operands, weight = [], [], 1
    for d, index in target.indices:
        known = index.storage.value
        may_be_negative = known.bounds is None or known.bounds[0] < 0
        picks.append((x.strides[d], x.shape[d], may_be_negative))
        operands.append(_placed(backend, index, common, len(steps) - begin).operand)
        weight += known.weight
    args, bounds = (source, *operands), source.value.bounds
    return backend.formula(Value("take", x.dtype, target.shape, args, tuple(picks), weight, bounds))


def _placed(backend: OpenCLBackend, index: Array, common: Shape, behind: int) -> Array:
    """An index with dims of 1 for the dims behind those that the indices make."""
    wide = index if index.shape == common else backend.expand(index, common)
    shape = (*common, *(1,) * behind)
    return backend.view(wide, shape, (*wide.strides, *(1,) * behind), wide.offset)


def put_into(
    backend: OpenCLBackend, x: Array, target: Target, values: Array, mode: PutMode
) -> None:
    """`x[indices] = values`, or combined with what is there. `values` have the target's shape."""
    if not _put_as_formula(backend, x, target, values, mode):
        _put_by_kernel(backend, x, target, values, mode)


def _put_as_formula(
    backend: OpenCLBackend, x: Array, target: Target, values: Array, mode: PutMode
) -> bool:
    """Where every line along one dim gets one value: each element asks whether it is the one.

    So the gradients of picking (a loss's classes, a maximum) fuse with what they are part of.
    """
    axes = _axes(x, target)
    if axes is None:
        return False
    is_cheap = x.storage.value.op != "memory" or prod(x.shape) <= 16 * prod(target.common)
    if not is_cheap:
        return False
    dim = next(d for d, _ in target.indices if d not in axes)
    index = next(index for d, index in target.indices if d == dim)
    size = x.shape[dim]
    place = _along(backend, backend.expand(index, target.common), axes, dim, x.shape)
    bounds = index.storage.value.bounds
    if bounds is None or bounds[0] < 0:
        is_negative = backend.elementwise("lt", place, 0)
        wrapped = backend.elementwise("add", place, size)
        place = backend.elementwise("where", is_negative, wrapped, place)
    numbers = backend.arange(size, 0, 1, int64)
    numbers = backend.reshape(numbers, (size, *(1,) * (len(x.shape) - dim - 1)))
    is_here = backend.elementwise("eq", numbers, place)
    new = _along(backend, values, axes, dim, x.shape)
    if mode != "set":
        new = backend.elementwise(COMBINATIONS[mode], x, new)
    result = backend.elementwise("where", is_here, new, x)
    backend.write(x, result.storage.value)
    return True


def _axes(x: Array, target: Target) -> dict[int, int] | None:
    """For each dim but one the common axis that its index counts along; None if that is not so."""
    if target.kept:
        return None
    axes: dict[int, int] = {}
    for d, index in target.indices:
        value = index.storage.value
        moving = [i for i, n in enumerate(index.shape) if n != 1]
        is_count = (
            value.op == "iota" and value.params == (0, 1) and len(moving) == 1
            and index.offset == 0 and index.strides[moving[0]] == 1
            and index.shape[moving[0]] == x.shape[d]
        )  # fmt: skip
        if is_count:
            axes[d] = moving[0] + len(target.common) - len(index.shape)
    if len(axes) == len(target.indices):
        del axes[target.indices[-1][0]]
    if len(axes) != len(target.indices) - 1 or len(set(axes.values())) < len(axes):
        return None
    rest = [n for i, n in enumerate(target.common) if i not in axes.values()]
    return axes if prod(rest) == 1 else None


def _along(backend: OpenCLBackend, y: Array, axes: dict[int, int], dim: int, shape: Shape) -> Array:
    """An array of the common shape with its axes where `x` has those dims, and 1 at `dim`."""
    ndim = len(shape)
    strides = tuple([1 if d == dim else y.strides[axes[d]] for d in range(ndim)])
    sizes = tuple([1 if d == dim else shape[d] for d in range(ndim)])
    return backend.view(y, sizes, strides, y.offset)


def _put_by_kernel(
    backend: OpenCLBackend, x: Array, target: Target, values: Array, mode: PutMode
) -> None:
    """Any indices, repeats too, in their order."""
    sizes = tuple([x.shape[d] for d in target.kept])
    kept = [(n, x.strides[d], step) for n, d, step in zip(sizes, target.kept, row_major(sizes))]
    if len(scattering.collapse(kept)) > scattering.MOST_KEPT:
        together = _with_last(backend, x, target.kept)
        _put_by_kernel(backend, together, target, values, mode)
        backend.assign(x, together)
        return
    n_common, begin = len(target.common), target.begin
    order = (
        *range(begin, begin + n_common), *range(begin),
        *range(begin + n_common, len(target.shape)),
    )  # fmt: skip
    source = backend.elements(backend.permute(values, order))
    places = [
        (backend.elements(backend.expand(index, target.common)), x.shape[d], x.strides[d])
        for d, index in target.indices
    ]
    bounds = source.bounds if mode in ("set", "max", "min") else None
    base = backend.own_memory(x, source)
    old = base.bounds
    base.bounds = None
    if old is not None and bounds is not None:
        base.bounds = min(old[0], bounds[0]), max(old[1], bounds[1])
    assert base.block is not None
    assert source.block is not None
    scattering.put(
        backend.device, base.block.buffer, x.dtype, x.offset,
        [(value.block.buffer, size, stride) for value, size, stride in places if value.block],
        prod(target.common), kept, source.block.buffer, prod(sizes), mode,
    )  # fmt: skip


def _with_last(backend: OpenCLBackend, x: Array, dims: Shape) -> Array:
    """A copy, in whose memory these dims are the last, so that they are as good as one."""
    order = (*[d for d in range(len(x.shape)) if d not in dims], *dims)
    back = tuple([order.index(d) for d in range(len(order))])
    return backend.permute(backend.copy(backend.permute(x, order)), back)
