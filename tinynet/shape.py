"""Every rule about shapes, and the words of every error about them.

Pure functions of tuples of ints: they check, and return the shape that results.
"""

from collections.abc import Iterable, Sequence
from math import prod
from operator import index as as_int

from tinynet.errors import ArgumentTypeError, DimError, ShapeError

Shape = tuple[int, ...]
_EVERY_DIM = [tuple(range(ndim)) for ndim in range(8)]


def as_shape(op: str, *sizes: object, named: object = None, name: str = "size") -> Shape:
    """`f(2, 3)`, `f((2, 3))`, `f([2, 3])` and `f(size=(2, 3))` all mean the shape (2, 3).

    `name`: what its numbers are.
    """
    if named is not None:
        if sizes:
            raise ArgumentTypeError(f"{op}: sizes {sizes} and {named!r} are given, expected one")
        sizes = (named,)
    items: Iterable[object] = sizes
    if len(sizes) == 1 and isinstance(sizes[0], Sequence) and not isinstance(sizes[0], str):
        items = sizes[0]
    return tuple(as_integer(op, name, item) for item in items)


def as_integer(op: str, name: str, value: object) -> int:
    """`value` as an int; floats and strings are errors, 0-d integer tensors and NumPy ints fine."""
    try:
        if name == "dim" and isinstance(value, bool):  # most likely it was to be keepdim
            raise TypeError
        return as_int(value)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentTypeError(
            f"{op}: {name} must be an int, got {value!r} ({type(value).__name__})"
        ) from None


def check_sizes(op: str, shape: Shape) -> Shape:
    """Refuse negative sizes."""
    if any(size < 0 for size in shape):
        raise ShapeError(f"{op}: sizes cannot be negative, got {shape}")
    return shape


def broadcast(op: str, *shapes: Shape) -> Shape:
    """The shape that all of `shapes` broadcast to (NumPy's rules)."""
    ndim = max(map(len, shapes))
    result = [1] * ndim
    for shape in shapes:
        for i, size in enumerate(shape, ndim - len(shape)):
            if size == 1 or size == result[i]:
                continue
            if result[i] != 1:
                came = " and ".join(map(str, shapes))
                raise ShapeError(
                    f"{op}: shapes {came} do not broadcast: sizes {result[i]} and {size} "
                    f"at dim {i - ndim}"
                )
            result[i] = size
    return tuple(result)


def expand(op: str, shape: Shape, sizes: Shape) -> Shape:
    """The shape that `expand(*sizes)` gives a tensor of `shape`; -1 keeps a size."""
    new = len(sizes) - len(shape)
    result = tuple(
        shape[i - new] if size == -1 and i >= new else size for i, size in enumerate(sizes)
    )
    if new < 0 or any(
        size != old and old != 1 for size, old in zip(result[new:], shape, strict=True)
    ):
        raise ShapeError(f"{op}: {shape} does not expand to {sizes}: only sizes of 1 grow")
    return check_sizes(op, result)


def as_dim(op: str, dim: object, ndim: int) -> int:
    """`dim` counted from the front; negative ones count from the back. 0-d tensors have dim 0."""
    number = as_integer(op, "dim", dim)
    span = max(ndim, 1)
    if not -span <= number < span:
        raise DimError(f"{op}: dim {number} is out of range for {ndim} dims [{-span}, {span - 1}]")
    return number % span


def as_dims(op: str, dims: object, ndim: int) -> Shape:
    """`dims` (None for all, an int, or several) counted from the front, without repeats."""
    if dims is None:
        return _EVERY_DIM[ndim] if ndim < len(_EVERY_DIM) else tuple(range(ndim))
    if not isinstance(dims, Sequence) or isinstance(dims, str):
        return (as_dim(op, dims, ndim),)[:ndim]
    result = tuple(as_dim(op, dim, ndim) for dim in dims)
    if len(set(result)) < len(result):
        raise ShapeError(f"{op}: a dim appears twice in {dims}")
    return result if ndim else ()


def reduced(shape: Shape, dims: Shape, keepdim: bool) -> Shape:
    """The shape after reducing over `dims` (already normalised)."""
    if keepdim:
        return tuple(1 if i in dims else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in dims)


def reshaped(op: str, shape: Shape, sizes: Shape) -> Shape:
    """The shape that `reshape(*sizes)` gives; one size may be -1."""
    unknown = sizes.count(-1)
    if unknown > 1:
        raise ShapeError(f"{op}: only one size can be -1, got {sizes}")
    check_sizes(op, tuple(size for size in sizes if size != -1))
    total = prod(shape)
    if unknown:
        known = prod(size for size in sizes if size != -1)
        if known == 0 or total % known:
            raise ShapeError(f"{op}: {shape} with {total} elements does not fit {sizes}")
        return tuple(total // known if size == -1 else size for size in sizes)
    if prod(sizes) != total:
        raise ShapeError(f"{op}: {shape} has {total} elements, {sizes} has {prod(sizes)}")
    return sizes


def permuted(op: str, ndim: int, dims: Shape) -> Shape:
    """`dims` normalised, checked to name each of `ndim` dims once."""
    result = tuple(as_dim(op, dim, ndim) for dim in dims) if ndim else ()
    if len(dims) != ndim or len(set(result)) != ndim:
        raise ShapeError(f"{op}: dims {dims} must name each of {ndim} dims once")
    return result


def matmul(a: Shape, b: Shape) -> Shape:
    """The shape of `a @ b` (`numpy.matmul`'s rules)."""
    if not a or not b:
        raise ShapeError(f"matmul: operands need at least 1 dim, got {a} @ {b}")
    inner = b[0] if len(b) == 1 else b[-2]
    if a[-1] != inner:
        raise ShapeError(f"matmul: inner sizes differ: {a} @ {b}, {a[-1]} != {inner}")
    batch = broadcast("matmul", a[:-2], b[:-2]) if len(a) > 2 or len(b) > 2 else ()
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    return batch + rows + columns


def concatenated(op: str, shapes: Sequence[Shape], dim: int) -> Shape:
    """The shape of several tensors joined along `dim` (already normalised)."""
    first = shapes[0]
    for shape in shapes[1:]:
        if len(shape) != len(first) or any(
            i != dim and size != other
            for i, (size, other) in enumerate(zip(shape, first, strict=True))
        ):
            raise ShapeError(f"{op}: {first} and {shape} differ outside dim {dim}")
    return (*first[:dim], sum(shape[dim] for shape in shapes), *first[dim + 1 :])
