"""Where vertices lie: in layers, edges leading down, with few crossings (Sugiyama et al. 1981).

1. A vertex's layer is the length of the longest path to it; what nothing leads to lies just above
   what first uses it. Edges that span several layers get a bend in each one between.
2. Within layers, vertices are sorted by the mean place of their neighbours, going up and down.
3. Each vertex goes as near to the mean of its neighbours as the order and their widths allow, which
   is a problem of least squares with an exact answer: pooling adjacent violators.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

GAP = 18.0  # between vertices of a layer
LAYER = 34.0  # between layers
BEND = 6.0  # the width of an edge where it passes through a layer
SORTS = 12  # times that layers are sorted, down and up in turn
MOVES = 10  # times that layers are moved

Point = tuple[float, float]


class Layout(NamedTuple):
    """Middles of the vertices, and for each edge the points that it passes, top to bottom."""

    points: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def lay_out(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Layout:
    """Places for vertices of these sizes; edges lead from lower numbers to higher ones.

    >>> layout = lay_out([(40, 20), (40, 20), (40, 20)], [(0, 2), (1, 2)])
    >>> [y for _, y in layout.points]
    [10.0, 10.0, 64.0]
    >>> layout.points[2][0] == sum(x for x, _ in layout.points[:2]) / 2
    True
    """
    layers_of = _layers(len(sizes), edges)
    widths = [w for w, _ in sizes]
    chains: list[list[int]] = []  # for each edge its vertex, bends, vertex
    for a, b in edges:
        bends = range(len(widths), len(widths) + layers_of[b] - layers_of[a] - 1)
        widths += [BEND] * len(bends)
        layers_of += range(layers_of[a] + 1, layers_of[b])
        chains.append([a, *bends, b])
    above: list[list[int]] = [[] for _ in widths]
    below: list[list[int]] = [[] for _ in widths]
    for chain in chains:
        for a, b in pairwise(chain):
            below[a].append(b)
            above[b].append(a)
    layers: list[list[int]] = [[] for _ in range(max(layers_of, default=-1) + 1)]
    for i, layer in enumerate(layers_of):
        layers[layer].append(i)
    _sort(layers, above, below)
    across = _move(layers, above, below, widths)
    return _finish(sizes, layers, across, widths, chains)


def _layers(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each vertex, 0 at the top."""
    layer = [0] * n
    has_source = [False] * n
    for a, b in sorted(edges, key=lambda edge: edge[0]):  # of all that leads to it, a is done
        layer[b] = max(layer[b], layer[a] + 1)
        has_source[b] = True
    first_use: dict[int, int] = {}
    for a, b in edges:
        first_use[a] = min(first_use.get(a, layer[b]), layer[b])
    return [layer[i] if has_source[i] or i not in first_use else first_use[i] - 1 for i in range(n)]


def _sort(layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Reduce crossings: the order within each layer that the order next to it asks for."""
    place: dict[int, float] = {}
    for layer in layers:
        place.update((v, i) for i, v in enumerate(layer))
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below, place)
    for turn in range(SORTS):
        down = turn % 2 == 0
        neighbours = above if down else below
        for layer in layers if down else layers[::-1]:
            wanted = {v: _mean([place[u] for u in neighbours[v]], place[v]) for v in layer}
            layer.sort(key=lambda v: wanted[v])
            place.update((v, i) for i, v in enumerate(layer))
        crossings = _crossings(layers, below, place)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: list[list[int]], below: list[list[int]], place: dict[int, float]) -> int:
    """How many pairs of edges cross, in all layers: inversions, counted by insertion."""
    total = 0
    for layer in layers:
        seen: list[float] = []
        for v in layer:
            ends = sorted(place[u] for u in below[v])
            total += sum(sum(x > end for x in seen) for end in ends)
            seen += ends
    return total


def _move(
    layers: list[list[int]], above: list[list[int]], below: list[list[int]], widths: list[float]
) -> list[float]:
    """The middle of each vertex across."""
    across = [0.0] * len(widths)
    for layer in layers:
        _settle(layer, [0.0] * len(layer), widths, across)
    for turn in range(MOVES):
        down = turn % 2 == 0
        neighbours = above if down else below
        for layer in layers if down else layers[::-1]:
            wanted = [_mean([across[u] for u in neighbours[v]], across[v]) for v in layer]
            _settle(layer, wanted, widths, across)
    return across


def _settle(
    layer: list[int], wanted: list[float], widths: list[float], across: list[float]
) -> None:
    """Give a layer's vertices, in order and without overlap, the places nearest to those wanted.

    With the room that the vertices before take subtracted, places need only be non-decreasing.
    """
    offsets, end = [], 0.0
    for v in layer:
        offsets.append(end + widths[v] / 2)
        end += widths[v] + GAP
    blocks: list[tuple[float, int]] = []  # mean, count
    for target, offset in zip(wanted, offsets):
        mean, count = target - offset, 1
        while blocks and blocks[-1][0] >= mean:
            other, n = blocks.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    for v, mean, offset in zip(layer, means, offsets):
        across[v] = mean + offset


def _finish(
    sizes: Sequence[Point], layers: list[list[int]], across: list[float], widths: list[float],
    chains: list[list[int]],
) -> Layout:  # fmt: skip
    """Heights of the layers, everything from 0 on, and the edges' points."""
    left = min((x - w / 2 for x, w in zip(across, widths)), default=0.0)
    width = max((x + w / 2 for x, w in zip(across, widths)), default=0.0) - left
    down = [0.0] * len(across)
    top = 0.0
    for layer in layers:
        height = max([sizes[v][1] for v in layer if v < len(sizes)], default=0.0)
        for v in layer:
            down[v] = top + height / 2
        top += height + LAYER
    points = [(x - left, y) for x, y in zip(across, down)]
    routes = []
    for chain in chains:
        route = [points[v] for v in chain]
        (x, y), (u, v) = route[0], route[-1]
        route[0], route[-1] = (x, y + sizes[chain[0]][1] / 2), (u, v - sizes[chain[-1]][1] / 2)
        routes.append(route)
    return Layout(points[: len(sizes)], routes, width, max(top - LAYER, 0.0))


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
