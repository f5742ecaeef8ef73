"""The rules of shapes, without tensors."""

import itertools

import numpy as np
import pytest

from tinynet import shape as shapes
from tinynet.errors import ArgumentTypeError, DimError, ShapeError

SMALL = [(), (1,), (3,), (0,), (2, 3), (1, 3), (2, 1), (0, 3), (4, 2, 3), (4, 1, 1), (1, 0, 1)]
PAIRS = [*itertools.product(SMALL, repeat=2)]


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_broadcast_is_numpy_s(a, b):
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(
            ShapeError, match=r"^add: shapes .* do not broadcast: sizes \d+ and \d+"
        ):
            shapes.broadcast("add", a, b)
    else:
        assert shapes.broadcast("add", a, b) == expected


def test_broadcast_of_three():
    assert shapes.broadcast("where", (2, 1), (3,), ()) == (2, 3)
    with pytest.raises(ShapeError) as raised:
        shapes.broadcast("where", (2, 1), (3,), (4,))
    assert str(raised.value) == (
        "where: shapes (2, 1) and (3,) and (4,) do not broadcast: sizes 3 and 4 at dim -1"
    )


@pytest.mark.parametrize(
    "sizes", [(2, 3), ((2, 3),), ([2, 3],), (np.int64(2), np.uint8(3))], ids=str
)
def test_spellings_of_a_shape(sizes):
    shape = shapes.as_shape("zeros", *sizes)
    assert shape == (2, 3)
    assert all(type(size) is int for size in shape)


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [((6,), (2, 3), (2, 3)), ((2, 3), (-1,), (6,)), ((2, 3), (3, -1), (3, 2)),
     ((), (1, 1), (1, 1)), ((0, 3), (0,), (0,)), ((0, 3), (3, -1), (3, 0)),
     ((1,), (), ()), ((4,), (2, -1, 2), (2, 1, 2))],
    ids=str,
)  # fmt: skip
def test_reshaped(shape, sizes, expected):
    assert shapes.reshaped("reshape", shape, sizes) == expected


@pytest.mark.parametrize(
    ("shape", "sizes"), [((6,), (4,)), ((6,), (-1, 4)), ((6,), (-1, -1)), ((6,), (-2, 3)),
                         ((0, 3), (0, -1)), ((), (0,))], ids=str
)  # fmt: skip
def test_not_reshaped(shape, sizes):
    with pytest.raises(ShapeError, match=r"^reshape: "):
        shapes.reshaped("reshape", shape, sizes)


@pytest.mark.parametrize(
    ("shape", "sizes", "expected"),
    [((2, 1), (2, 3), (2, 3)), ((3,), (2, -1), (2, 3)), ((), (2, 0), (2, 0)), ((1,), (0,), (0,)),
     ((2, 3), (-1, -1), (2, 3))],
    ids=str,
)  # fmt: skip
def test_expand(shape, sizes, expected):
    assert shapes.expand("expand", shape, sizes) == expected


@pytest.mark.parametrize(
    ("shape", "sizes"), [((2, 3), (3,)), ((2, 3), (4, 3)), ((3,), (-1, 3)), ((1,), (-2,)),
                         ((0,), (2,))], ids=str
)  # fmt: skip
def test_not_expanded(shape, sizes):
    with pytest.raises(ShapeError, match=r"^expand: "):
        shapes.expand("expand", shape, sizes)


@pytest.mark.parametrize("ndim", [0, 1, 3])
def test_dims_count_from_both_ends(ndim):
    span = max(ndim, 1)
    for dim in range(-span, span):
        assert shapes.as_dim("sum", dim, ndim) == dim % span
    for dim in (-span - 1, span):
        with pytest.raises(DimError, match=rf"^sum: dim {dim} is out of range for {ndim} dims"):
            shapes.as_dim("sum", dim, ndim)


def test_several_dims():
    assert shapes.as_dims("sum", None, 3) == (0, 1, 2)
    assert shapes.as_dims("sum", -1, 3) == (2,)
    assert shapes.as_dims("sum", (2, 0), 3) == (2, 0)
    assert shapes.as_dims("sum", (), 3) == ()
    assert shapes.as_dims("sum", 0, 0) == ()
    with pytest.raises(ShapeError, match=r"^sum: a dim appears twice in \(0, -3\)$"):
        shapes.as_dims("sum", (0, -3), 3)


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_matmul_is_numpy_s(a, b):
    try:
        expected = (np.zeros(a) @ np.zeros(b)).shape
    except ValueError:
        with pytest.raises(ShapeError, match=r"^matmul: "):
            shapes.matmul(a, b)
    else:
        assert shapes.matmul(a, b) == expected


def test_concatenated():
    assert shapes.concatenated("cat", [(2, 3), (2, 0), (2, 1)], 1) == (2, 4)
    with pytest.raises(ShapeError, match=r"^cat: \(2, 3\) and \(3, 3\) differ outside dim 1$"):
        shapes.concatenated("cat", [(2, 3), (3, 3)], 1)
    with pytest.raises(ShapeError, match=r"^cat: \(2, 3\) and \(2,\) differ outside dim 0$"):
        shapes.concatenated("cat", [(2, 3), (2,)], 0)


def test_permuted():
    assert shapes.permuted("permute", 3, (2, 0, -2)) == (2, 0, 1)
    assert shapes.permuted("permute", 0, ()) == ()
    for dims in ((0, 1), (0, 1, 1), (0, 0, -3)):
        with pytest.raises(ShapeError, match=r"^permute: dims .* must name each of 3 dims once$"):
            shapes.permuted("permute", 3, dims)


def test_reduced():
    assert shapes.reduced((2, 3, 4), (0, 2), False) == (3,)
    assert shapes.reduced((2, 3, 4), (0, 2), True) == (1, 3, 1)


@pytest.mark.parametrize("value", [1.0, "1", None, [1], 1j], ids=str)
def test_only_ints_are_integers(value):
    with pytest.raises(ArgumentTypeError, match=r"^topk: k must be an int, got "):
        shapes.as_integer("topk", "k", value)


def test_negative_sizes():
    with pytest.raises(ShapeError, match=r"^zeros: sizes cannot be negative, got \(2, -1\)$"):
        shapes.check_sizes("zeros", (2, -1))
