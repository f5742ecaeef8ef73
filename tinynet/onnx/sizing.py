"""Examples for an export: sizes that are free, and inputs that differ in these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from tinynet.errors import ArgumentError, ArgumentTypeError
from tinynet.ops import creation
from tinynet.shape import as_integer
from tinynet.tensor import Tensor

DynamicAxes = Mapping[str, Mapping[int, str] | Sequence[int]]


class Examples:
    """The inputs a module is run on. `axes`: input, dim and name of each size that is free.

    `free` is what these sizes are in the examples, but at least 2: a 1 would broadcast.
    """

    def __init__(
        self, inputs: tuple[Tensor, ...], names: list[str], dynamic_axes: DynamicAxes | None
    ) -> None:
        copies = [x.detach().cpu().clone() for x in inputs]  # a tensor given twice is two inputs
        self.inputs = dict(zip(names, copies, strict=True))
        self.axes = [axis for axis in _axes(dynamic_axes) if axis[0] in self.inputs]
        self.free: dict[str, int] = {}
        for name, dim, size in self.axes:
            shape = self.inputs[name].shape
            if not -len(shape) <= dim < len(shape):
                raise ArgumentError(
                    f"export: dynamic_axes has dim {dim} of {name!r}, which has shape {shape}"
                )
            n = max(shape[dim], 2)
            if self.free.setdefault(size, n) != n:
                raise ArgumentError(
                    f"export: {size!r} is {self.free[size]} in one input and {n} in {name!r}, "
                    "expected one size"
                )

    def sized(self, sizes: dict[str, int]) -> tuple[Tensor, ...]:
        """The examples with these free sizes: less of their elements, or the same again."""
        made = dict(self.inputs)
        for name, dim, size in self.axes:
            places = [i % made[name].shape[dim] for i in range(sizes[size])]
            made[name] = made[name].index_select(dim, creation.tensor(places, device="cpu"))
        return tuple(made.values())

    def others(self, more: int) -> dict[str, int]:
        """For each free size another one, larger by `more` or a little over, or smaller.

        No ratio of both is a product of others', so that products of sizes can be told apart.
        """
        found: dict[str, int] = {}
        ratios = {Fraction(1)}
        for name, size in self.free.items():
            candidates = [*range(size - 1, 1, -1)] if more < 0 else []
            candidates += range(size + abs(more), 2 * size + 1000)
            found[name] = next(n for n in candidates if Fraction(n, size) not in ratios)
            ratio = Fraction(found[name], size)
            ratios |= {known * ratio**power for known in ratios for power in (-2, -1, 1, 2)}
        return found

    def probes(self) -> list[dict[str, int]]:
        """Sizes at which the graph and the module are compared."""
        return [self.free, self.others(9), self.others(-1)] if self.free else [self.free]


def _axes(dynamic_axes: DynamicAxes | None) -> list[tuple[str, int, str]]:
    """Input, dim and name of each size that is free."""
    if not isinstance(dynamic_axes, (Mapping, type(None))):
        raise ArgumentTypeError(f"export: dynamic_axes is {dynamic_axes!r:.60}, expected a dict")
    found = []
    for name, dims in (dynamic_axes or {}).items():
        if isinstance(dims, str) or not isinstance(dims, (Mapping, Sequence)):
            raise ArgumentTypeError(
                f"export: dynamic_axes has {dims!r:.60} for {name!r}, expected dims and the names "
                "of their sizes, or a list of dims"
            )
        pairs = dims.items() if isinstance(dims, Mapping) else [(d, f"{name}_{d}") for d in dims]
        for dim, size in pairs:
            if not isinstance(size, str):
                raise ArgumentTypeError(
                    f"export: dynamic_axes calls a size of {name!r} {size!r:.60}, expected a string"
                )
            found.append((name, as_integer("export", "a dim in dynamic_axes", dim), size))
    return found
