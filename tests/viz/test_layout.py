"""Layouts: layers, order, places."""

import random

import pytest

from tinynet.viz.graphs.layout import GAP, lay_out

SIZE = (40.0, 20.0)


def random_graph(seed, n=60):
    rng = random.Random(seed)
    edges = [(rng.randrange(max(0, b - 8), b), b) for b in range(1, n) for _ in range(2)]
    return [(rng.uniform(20, 90), 24.0) for _ in range(n)], sorted(set(edges))


@pytest.mark.parametrize("seed", range(5))
def test_edges_lead_down_and_nothing_overlaps(seed):
    sizes, edges = random_graph(seed)
    layout = lay_out(sizes, edges)
    for a, b in edges:
        assert layout.points[a][1] < layout.points[b][1]
    boxes = [(x - w / 2, x + w / 2, y) for (x, y), (w, _) in zip(layout.points, sizes)]
    for i, (left, right, y) in enumerate(boxes):
        assert -1e-6 <= left < right <= layout.width + 1e-6
        for other_left, other_right, other_y in boxes[:i]:
            if y == other_y:
                assert left >= other_right + GAP - 1e-6 or other_left >= right + GAP - 1e-6
    for (a, b), route in zip(edges, layout.routes):
        assert route[0] == (layout.points[a][0], layout.points[a][1] + sizes[a][1] / 2)
        assert route[-1] == (layout.points[b][0], layout.points[b][1] - sizes[b][1] / 2)
        assert [y for _, y in route] == sorted(y for _, y in route)


def test_the_same_graph_is_laid_out_the_same():
    assert lay_out(*random_graph(1)) == lay_out(*random_graph(1))


def test_a_crossing_that_need_not_be_is_not():
    #  0 1      0 -> 3 and 1 -> 2, which in the order of numbers would cross
    layout = lay_out([SIZE] * 4, [(0, 3), (1, 2)])
    (x0, x1, x2, x3) = (x for x, _ in layout.points)
    assert (x0 < x1) == (x3 < x2)


def test_a_chain_is_straight_and_its_parameters_stand_beside_it():
    n = 6  # operation i takes operation i - 1 and a parameter
    edges = [(0, 1)]
    for i in range(1, n):
        edges += [(2 * i - 1, 2 * i + 1), (2 * i, 2 * i + 1)]
    layout = lay_out([SIZE] * (2 * n), edges)
    chain = [layout.points[2 * i + 1] for i in range(n)]
    assert max(x for x, _ in chain) - min(x for x, _ in chain) < SIZE[0] / 4
    for i in range(1, n):
        assert layout.points[2 * i][1] == chain[i - 1][1]  # just above its use


@pytest.mark.parametrize("n", [0, 1])
def test_small_ones(n):
    layout = lay_out([SIZE] * n, [])
    assert (layout.width, layout.height) == (SIZE if n else (0, 0))
    assert len(layout.points) == n
