"""Sums of many floats. NumPy adds in pairs along the innermost dim only, elsewhere one by one.

One by one, 5 million float32 of 0.1 are 4 % off. Here at most `MOST` are added so; where there are
more, blocks of up to `ROWS` first, then what these gave.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.shape import Shape

Array = NDArray[Any]

ROWS = 512
MOST = 4 * ROWS
FEWEST = 8 * MOST  # elements of arrays where it is worth a look


def add_up(x: Array, dims: Shape, keepdim: bool, out: Array | None = None) -> Array:
    """`np.add.reduce` of floats."""
    shape = x.shape
    count = 1
    for d in dims:
        count *= shape[d]
    one_by_one = _added_one_by_one(x, dims) if count > MOST else []
    if not one_by_one or (rows := prod([shape[d] for d in one_by_one])) <= MOST:
        reduce: Any = np.add.reduce
        return np.asarray(reduce(x, dims, x.dtype, out, keepdim))
    dim = max(one_by_one, key=shape.__getitem__)
    total = _in_blocks(x, dims, dim, min(shape[dim], -(-rows // ROWS)))
    if not keepdim:
        total = total.reshape([n for d, n in enumerate(shape) if d not in dims])
    if out is None:
        return total
    np.copyto(out, total)
    return out


def running(x: Array, dim: int) -> Array:
    """`np.add.accumulate` of float32, of many in float64: one by one, they would drift as well.

    It takes 1.8 times as long. Blocks of some 2**16 elements need little memory.
    """
    count = x.shape[dim]
    if count <= MOST:
        return np.add.accumulate(x, dim)
    size = -(-(MOST << 5) * count // x.size)
    result = np.empty_like(x)
    before = (slice(None),) * dim
    last: Any = 0.0
    for begin in range(0, count, size):
        place = (*before, slice(begin, begin + size))
        block = np.add.accumulate(x[place], dim, np.float64)
        block += last
        last = block[(*before, slice(-1, None))]
        result[place] = block
    return result


def _in_blocks(x: Array, dims: Shape, dim: int, size: int) -> Array:
    """The sum, with its dims kept, of blocks of `size` along `dim` and of what is left.

    Blocks are added to one another first: that is quick, however short the rows of `x` are.
    """
    before = (slice(None),) * dim
    if x.strides[dim] == 0:
        one = add_up(x[(*before, slice(1))], dims, True)
        return np.multiply(one, x.shape[dim], dtype=x.dtype)
    count = x.shape[dim] // size
    blocks = x[(*before, slice(count * size))]
    blocks = blocks.reshape(*x.shape[:dim], count, size, *x.shape[dim + 1 :])
    block = add_up(blocks, tuple([d + (d > dim) for d in dims]), True).squeeze(dim)
    total = add_up(block, (dim,), True)
    if count * size < x.shape[dim]:
        total += add_up(x[(*before, slice(count * size, None))], dims, True)
    return total


def _added_one_by_one(x: Array, dims: Shape) -> list[int]:
    """Those of `dims` along which NumPy does not add in pairs.

    It goes through memory in order, and takes dims that lie without gaps for one; what
    happens where elements come many times is not relied on.
    """
    if x.flags.c_contiguous and min(dims) + len(dims) == x.ndim:
        return []
    shape, strides = x.shape, x.strides
    found = []
    step: float = 0  # in bytes, of the next dim of the innermost run; 0 before it begins
    for d in sorted(range(x.ndim), key=lambda d: abs(strides[d])):
        if shape[d] == 1:
            continue
        if d in dims and strides[d] and step in (0, strides[d]):
            step = strides[d] * shape[d]
            continue
        step = inf
        if d in dims:
            found.append(d)
    return found
