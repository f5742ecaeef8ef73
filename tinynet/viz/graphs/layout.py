"""Where vertices lie: in layers, edges leading down, with few crossings (Sugiyama et al. 1981).

1. A vertex's layer is the length of the longest path to it; what has time, as parameters and what
   is made of them alone, lies just above what first uses it. Edges that span several layers get a
   bend in each one between.
2. Within layers, vertices are sorted by the mean place of their neighbours, going up and down.
3. Each vertex goes as near to the mean of its neighbours as the order and their widths allow, which
   is a problem of least squares with an exact answer: pooling adjacent violators. What has
   time weighs little there, so that the longest paths are straight and the rest stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

GAP = 18.0  # between vertices of a layer
LAYER = 34.0  # between layers
BEND = 6.0  # the width of an edge where it passes through a layer
SORTS = 12  # times that layers are sorted, down and up in turn
MOVES = 12  # times that layers are moved
LIGHT = 0.02  # the weight of what has time, beside 1

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
    layers_of, weights = _layers(len(sizes), edges)
    widths = [w for w, _ in sizes]
    chains: list[list[int]] = []  # for each edge its vertex, bends, vertex
    for a, b in edges:
        bends = range(len(widths), len(widths) + layers_of[b] - layers_of[a] - 1)
        widths += [BEND] * len(bends)
        weights += [1.0] * len(bends)
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
    across = _move(layers, above, below, weights, widths)
    return _finish(sizes, layers, across, widths, chains)


def _layers(n: int, edges: Sequence[tuple[int, int]]) -> tuple[list[int], list[float]]:
    """The layer of each vertex, 0 at the top, and its weight."""
    layer = [0] * n
    for a, b in sorted(edges, key=lambda edge: edge[0]):  # of all that leads to it, a is done
        layer[b] = max(layer[b], layer[a] + 1)
    below: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges:
        below[a].append(b)
    counts = [0] * n
    for _, b in edges:
        counts[b] += 1
    weights = [1.0 if count else LIGHT for count in counts]
    for i in range(n - 1, -1, -1):  # down, where that makes no more edges longer than shorter
        if below[i] and counts[i] <= len(below[i]):
            lowest = min(layer[j] for j in below[i]) - 1
            if layer[i] < lowest:
                layer[i], weights[i] = lowest, LIGHT
    return layer, weights


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
    layers: list[list[int]], above: list[list[int]], below: list[list[int]],
    weights: list[float], widths: list[float],
) -> list[float]:  # fmt: skip
    """The middle of each vertex across."""
    across = [0.0] * len(widths)
    for layer in layers:
        _settle(layer, [0.0] * len(layer), weights, widths, across)
    for turn in range(MOVES):
        down = turn % 2 == 0
        neighbours = above if down else below
        for layer in layers if down else layers[::-1]:
            wanted = [
                _mean([across[u] for u in near], across[v], [weights[u] for u in near])
                for v in layer
                for near in [neighbours[v]]
            ]
            _settle(layer, wanted, weights, widths, across)
    return across


def _settle(
    layer: list[int], wanted: list[float], weights: list[float], widths: list[float],
    across: list[float],
) -> None:  # fmt: skip
    """Give a layer's vertices, in order and without overlap, the places nearest to those wanted.

    With the room that the vertices before take subtracted, places need only be non-decreasing.
    """
    offsets, end = [], 0.0
    for v in layer:
        offsets.append(end + widths[v] / 2)
        end += widths[v] + GAP
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for v, target, offset in zip(layer, wanted, offsets):
        mean, weight, count = target - offset, weights[v], 1
        while blocks and blocks[-1][0] >= mean:
            other, more, n = blocks.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, count = weight + more, count + n
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    for v, mean, offset in zip(layer, means, offsets):
        across[v] = mean + offset


def _finish(
    sizes: Sequence[Point], layers: list[list[int]], across: list[float], widths: list[float],
    chains: list[list[int]],
) -> Layout:  # fmt: skip
    """Heights of the layers, everything from 0 on, and the edges' points."""
    left = min((x - w / 2 for x, w in zip(across, widths)), default=0.0)
    width = max((x + w / 2 for x, w in zip(across, widths)), default=0.0) - left
    down, halves = [0.0] * len(across), [0.0] * len(across)
    top = 0.0
    for layer in layers:
        height = max([sizes[v][1] for v in layer if v < len(sizes)], default=0.0)
        for v in layer:
            down[v], halves[v] = top + height / 2, height / 2
        top += height + LAYER
    points = [(x - left, y) for x, y in zip(across, down)]
    routes = []
    for first, *bends, last in chains:
        (x, y), (z, w) = points[first], points[last]
        route = [(x, y + sizes[first][1] / 2)]
        for v in bends:  # straight through the layer, so that edges pass beside its vertices
            route += [(points[v][0], down[v] - halves[v]), (points[v][0], down[v] + halves[v])]
        routes.append([*route, (z, w - sizes[last][1] / 2)])
    return Layout(points[: len(sizes)], routes, width, max(top - LAYER, 0.0))


def _mean(values: list[float], otherwise: float, weights: list[float] | None = None) -> float:
    if not values:
        return otherwise
    weights = weights or [1.0] * len(values)
    return sum(x * w for x, w in zip(values, weights)) / sum(weights)
