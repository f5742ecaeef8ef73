"""Iteration spaces: the dims that a kernel loops over, as few as all accesses allow."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from tinynet.backends.opencl.array import Value, View, row_major
from tinynet.backends.opencl.fusion import Formula, Leaf

Strides = list[int]


class Result(NamedTuple):
    """A value to be stored: its node, and its strides along the iteration dims."""

    value: Value
    node: int
    strides: tuple[int, ...]
    offset: int = 0


class Space(NamedTuple):
    """An iteration space with neighbouring dims merged where every access allows it.

    `strides[a]` are those of access `a` (leaves, then results) along the merged dims.
    """

    sizes: list[int]
    n_outer: int
    strides: list[Strides]


def results_of(formula: Formula) -> list[Result]:
    """The values that a formula's kernel stores."""
    found = []
    for value, node, dims in formula.outputs():
        access = formula.access(value, value.shape, row_major(value.shape), 0, dims)
        found.append(Result(value, node, access.strides))
    return found


def merge(formula: Formula, results: list[Result], groups: list[list[int]]) -> Space:
    """Merge the dims of each group: outer ones, then inner ones; or all, the last is inner."""
    shape = formula.shape
    accesses: list[Leaf | Result] = [*formula.leaves, *results]
    padded = [[*a.strides, *[0] * (len(shape) - len(a.strides))] for a in accesses]
    sizes: list[int] = []
    strides: list[Strides] = [[] for _ in accesses]
    n_outer = 0
    for i, dims in enumerate(groups):
        first = len(sizes)
        for d in dims:
            _append_dim(sizes, strides, padded, d, shape[d], first)
        if i == 0 and len(groups) > 1:
            n_outer = len(sizes)
    if not sizes:
        sizes = [1]
        strides = [[0] for _ in accesses]
    if len(groups) == 1:
        n_outer = len(sizes) - 1
    return Space(sizes, n_outer, strides)


def merge_product(formula: Formula, results: list[Result]) -> Space | None:
    """The space of a product as batch, row and column; None if dims of one cannot be merged."""
    ndim = len(formula.shape)
    accesses: list[Leaf | Result] = [*formula.leaves, *results]
    padded = [[*a.strides, *[0] * (ndim - len(a.strides))] for a in accesses]
    space = Space([], 2, [[] for _ in accesses])
    assert formula.product is not None
    for dims in _product_dims(formula.product):
        sizes: list[int] = []
        strides: list[Strides] = [[] for _ in accesses]
        for d in dims:
            _append_dim(sizes, strides, padded, d, formula.shape[d], 0)
        if len(sizes) > 1:
            return None
        space.sizes.append(prod(sizes))
        for merged, own in zip(space.strides, strides):
            merged += own or [0]
    return space


def merged_batch(batch: Any, a: View, b: View) -> tuple[list[int], list[Strides]]:
    """The batch dims of two factors, merged where they can be, and both factors' strides."""
    sizes: list[int] = []
    strides: list[Strides] = [[], []]
    padded = [list(a.strides), list(b.strides)]
    for d, n in enumerate(batch):
        _append_dim(sizes, strides, padded, d, n, 0)
    return sizes, strides


def _product_dims(product: Value) -> tuple[range, range, range]:
    """The dims of a product that are its kernel's batch, rows and columns."""
    ndim = len(product.shape)
    if product.op == "matmul":
        return range(ndim - 2), range(ndim - 2, ndim - 1), range(ndim - 1, ndim)
    is_weight = product.params.kind == "convolve_weight"
    first = 0 if is_weight else 1
    return range(first), range(first, first + 1), range(first + 1, ndim)


def _append_dim(
    sizes: list[int], strides: list[Strides], padded: list[Strides], d: int, n: int, first: int
) -> None:
    """Add dim `d` to a space, merged with the one before it where that makes no difference."""
    if n == 1:
        return
    if len(sizes) > first and all(s[-1] == p[d] * n for s, p in zip(strides, padded)):
        sizes[-1] *= n
        for s, p in zip(strides, padded):
            s[-1] = p[d]
    else:
        sizes.append(n)
        for s, p in zip(strides, padded):
            s.append(p[d])
