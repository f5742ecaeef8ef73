"""Indexing both ways, gather and scatter, masks."""

import itertools

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, gradient_of, inf, nan, same
from tinynet.errors import ShapeError

INDICES = [
    np.s_[1], np.s_[-1], np.s_[1, 2], np.s_[1, 2, 3], np.s_[...], np.s_[()], np.s_[None],
    np.s_[1:], np.s_[:, 1], np.s_[..., 1], np.s_[..., -1, :], np.s_[::2], np.s_[::-1],
    np.s_[:, 2:0:-1, ::-2], np.s_[:, None, 1], np.s_[None, ..., None], np.s_[5:], np.s_[-2:, :-1],
    np.s_[1, ..., 2:3], np.s_[[0, 1, 0]], np.s_[[[0, 1], [1, 0]]], np.s_[:, [2, 0]],
    np.s_[[0, 1], [2, 1]], np.s_[[0, 1], :, [3, 0]], np.s_[:, [0, 2], [1, 1]],
    np.s_[[[0], [1]], [0, 2]], np.s_[1, [0, 2]], np.s_[[1, 0], 2], np.s_[:, 1, [0, 3]],
    np.s_[[-1, -2]], np.s_[None, [0, 1]], np.s_[[0, 1], None, [1, 2]],
    np.s_[::-1, [0, 2]], np.s_[np.array([], int)], np.s_[np.array([True, False])],
    np.s_[np.array([[True, False, True], [False, True, False]])],
    np.s_[:, np.array([True, False, True])], np.s_[np.array([True, True]), 1:],
    np.s_[np.array([True, False]), [1], [2]], np.s_[True], np.s_[False], np.s_[True, 1],
    np.s_[1, np.array([False] * 3)], np.s_[np.array(1)], np.s_[np.array([0, 1]), np.array(2)],
    np.s_[np.array([1, 0], np.uint8)],
]  # fmt: skip


def with_tensors(index):
    """The index with tensors in place of arrays and lists."""
    if isinstance(index, tuple):
        return tuple(with_tensors(item) for item in index)
    return tn.tensor(np.asarray(index)) if isinstance(index, (list, np.ndarray)) else index


@pytest.mark.parametrize("index", INDICES, ids=itertools.count())
def test_reading(index):
    check_values(lambda x: x[index], lambda x: x[index], (2, 3, 4))
    check_values(lambda x: x[with_tensors(index)], lambda x: x[index], (2, 3, 4))
    check_gradient(lambda x: x[with_tensors(index)] * x[with_tensors(index)], (2, 3, 4))


@pytest.mark.parametrize("index", INDICES, ids=itertools.count())
def test_writing(index):
    expected = np.arange(24.0).reshape(2, 3, 4)
    x = tn.tensor(expected)
    values = -np.ones(expected[index].shape)
    expected[index] = values
    x[with_tensors(index)] = tn.tensor(values)
    same(x, expected)
    x[with_tensors(index)] = 7  # a number
    expected[index] = 7
    same(x, expected)


def is_unique(index):
    places = np.arange(24).reshape(2, 3, 4)[index]
    return np.unique(places).size == places.size


@pytest.mark.parametrize("index", [*filter(is_unique, INDICES)], ids=itertools.count())
def test_gradients_of_writing(index):
    def write(x, value):
        y = x * 2
        y[with_tensors(index)] = value
        return y * y

    check_gradient(write, (2, 3, 4), ())


def test_integers_come_first_and_do_not_move_dims():
    """As in PyTorch; NumPy takes the integer for an index array and puts its dim in front."""
    x = np.arange(24).reshape(2, 3, 4)
    same(tn.tensor(x)[1, :, [0, 3]], x[1][:, [0, 3]])


def test_values_are_broadcast_and_cast():
    x = tn.zeros(2, 3)
    x[:, 1:] = tn.tensor([1, 2])
    x[tn.tensor([0]), 0] = tn.tensor([[[5.0]]])
    same(x, np.float32([[5, 1, 2], [0, 1, 2]]))
    x[0] = np.array([7, 8, 9])
    x[1] = tn.tensor([[[1.0, 1.0, 2.0]]])
    x[1, :1] = True
    same(x, np.float32([[7, 8, 9], [1, 1, 2]]))


def test_repeated_places_add_up_their_gradients():
    assert gradient_of(lambda x: x[tn.tensor([0, 0, 2])] * 2, [1.0, 2.0, 3.0]) == [[4, 0, 2]]


def test_a_range_is_an_index():
    assert tn.arange(5)[range(1, 4)].tolist() == [1, 2, 3]
    assert tn.arange(5)[np.int64(3)].item() == 3
    assert tn.arange(5)[tn.tensor(3)].item() == 3
    assert tn.arange(5)[tn.tensor(1) : tn.tensor(3)].tolist() == [1, 2]


def test_a_mask_of_a_0_d_tensor():
    x = tn.tensor(3.0)
    assert x[x > 2].tolist() == [3]
    assert x[x > 5].tolist() == []
    x[x > 2] = 1
    assert x.item() == 1


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_what_is_selected_lies_row_by_row(dim):
    x = tn.arange(24.0).reshape(2, 3, 4)
    places = tn.tensor([[1, 0], [1, 1]])
    y = x[(slice(None),) * dim + (places,)]
    assert y.is_contiguous()
    assert y.view(-1).shape == (y.numel(),)
    assert x.mT[(slice(None),) * dim + (places,)].is_contiguous()


def test_writing_at_a_mask():
    x = tn.tensor([1.0, -2.0, 3.0, -4.0])
    x[x < 0] = 0
    assert x.tolist() == [1, 0, 3, 0]
    x[x > 0] = tn.tensor([5.0, 6.0])
    assert x.tolist() == [5, 0, 6, 0]


def test_writing_one_value_at_a_mask_reads_nothing():
    def clipped(x, value):
        x = x.clone()
        x[x < 0] = 0
        x[x > 3] = value
        x[tn.tensor([True, False])] = 7.5
        return x

    recorded = tn.jit(clipped)
    for i in range(4):
        x = tn.tensor([[1.0, -2.0], [3.0, -4.0]]) + i
        expected = np.clip(x.numpy(force=True), 0, None)
        expected[expected > 3] = i
        expected[0] = 7.5
        assert recorded(x, tn.tensor([float(i)])).tolist() == expected.tolist()


def test_gradients_of_writing_one_value_at_a_mask():
    def masked(x, value):
        y = x * 2
        y[tn.tensor([[True, False, False], [False, True, True]])] = value
        return y**2

    check_gradient(masked, (2, 3), ())
    check_gradient(masked, (2, 3), (1, 1))


def test_in_place_arithmetic_at_an_index():
    x = tn.zeros(2, 3)
    x[0] += 1
    x[:, tn.tensor([0, 2])] -= 2
    same(x, np.float32([[-1, 1, -1], [-2, 0, -2]]))


# index_put
def test_index_put():
    x = tn.zeros(3, 2)
    rows, values = tn.tensor([0, 2, 0]), tn.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    same(tn.index_put(x, (rows,), values, accumulate=True), np.float32([[6, 8], [0, 0], [3, 4]]))
    same(x.index_put((rows, tn.tensor([1, 1, 0])), tn.tensor(9.0)),
         np.float32([[9, 9], [0, 0], [0, 9]]))  # fmt: skip
    same(x.index_put((None, tn.tensor([1])), tn.tensor(9.0)), np.float32([[0, 9]] * 3))
    same(x.index_put((tn.tensor(1),), tn.tensor(9.0)), np.float32([[0, 0], [9, 9], [0, 0]]))
    same(x, np.zeros((3, 2), np.float32))
    x.index_put_((rows,), values, accumulate=True)
    assert x.sum().item() == 21
    x.index_put_((rows,), tn.tensor(0, dtype=tn.int8), accumulate=True)
    x.index_put_((None, tn.tensor(0)), tn.tensor(0.0))
    same(x, np.float32([[0, 8], [0, 0], [0, 4]]))
    distinct = tn.tensor([0, 2])
    check_gradient(lambda x, v: tn.index_put(x, (distinct,), v) ** 2, (3, 2), (2, 2))
    check_gradient(lambda x, v: tn.index_put(x, (rows,), v, True) ** 2, (3, 2), (3, 2))
    check_gradient(lambda x, v: x.clone().index_put_((rows,), v, True) ** 2, (3, 2), (3, 2))


@pytest.mark.parametrize("dims", ["9876543210", "5461830729"])
def test_writing_to_views_of_many_dims(dims):
    """Where the dims that are kept do not lie together, however they are merged."""
    expected = np.arange(1024.0).reshape((2,) * 10)
    x = tn.tensor(expected)
    part, there = expected.transpose(*map(int, dims)), x.permute(*map(int, dims))
    part[:, [1, 1]] = 1.0
    there[:, tn.tensor([1, 1])] = 1.0
    same(x, expected)
    index, values = np.array([0, 1, 0]), np.arange(3.0).reshape(3, *(1,) * 9)
    np.add.at(part, index, values)
    there.index_put_((tn.tensor(index),), tn.tensor(values), accumulate=True)
    same(x, expected)


# Along a dim
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gather(dim):
    index = np.array([[0, 1, 0, 1], [1, 1, 0, 0]])
    check_values(lambda x: tn.gather(x, dim, tn.tensor(index)),
                 lambda x: np.take_along_axis(x, index, dim), (2, 4))  # fmt: skip
    places = tn.tensor(index)
    check_gradient(lambda x: tn.gather(x, dim, places) ** 2, (2, 4))


def test_gather_of_a_part():
    x = tn.arange(12).reshape(3, 4)
    same(x.gather(1, tn.tensor([[3, 0], [1, 1]])), np.array([[3, 0], [5, 5]]))
    same(x.gather(0, tn.tensor([[2, 1]])), np.array([[8, 5]]))
    assert x.gather(0, tn.zeros(0, 4, dtype=tn.int64)).shape == (0, 4)
    assert tn.tensor(5.0).gather(0, tn.tensor(0)).item() == 5
    assert tn.tensor([5.0]).gather(0, tn.tensor([0, 0])).tolist() == [5, 5]
    check_gradient(lambda x: x.gather(1, tn.tensor([[3, 0], [1, 1]])), (3, 4))


def test_take_copies():
    x = tn.tensor([1.0, 2.0, 3.0])
    y = x.take(tn.tensor(1))
    x.zero_()
    assert y.shape == ()
    assert y.item() == 2


def test_take_along_dim():
    x = np.array([[3.0, 1, 2], [9, 7, 8]])
    order = np.argsort(x, 1)
    same(tn.take_along_dim(tn.tensor(x), tn.tensor(order), 1), np.sort(x, 1))
    same(tn.take_along_dim(tn.tensor(x), tn.tensor([[1]]), 1), np.array([[1.0], [7]]))
    same(tn.take_along_dim(tn.tensor(x), tn.tensor([4, 0])), np.array([7.0, 3]))


def test_index_select():
    x = np.arange(6.0).reshape(2, 3)
    same(tn.tensor(x).index_select(1, tn.tensor([2, 0, 2])), x[:, [2, 0, 2]])
    same(tn.index_select(tn.tensor(x), -2, tn.tensor(1)), x[[1]])
    same(tn.tensor(4.0).index_select(0, tn.tensor([0])), np.float32(4))
    check_gradient(lambda x: x.index_select(1, tn.tensor([2, 0, 2])) ** 2, (2, 3))


def test_index_add():
    x, index = tn.ones(3, 2), tn.tensor([0, 2, 0])
    same(x.index_add(0, index, tn.ones(3, 2), alpha=2), np.float32([[5, 5], [1, 1], [3, 3]]))
    assert tn.tensor(1.0).index_add(0, tn.tensor([0]), tn.tensor(2.0)).item() == 3
    check_gradient(lambda x, s: tn.index_add(x, 0, index, s, alpha=0.5) ** 2, (3, 2), (3, 2))


def test_scatter():
    x, index = tn.zeros(3, 4), tn.tensor([[0, 2, 1, 0]])
    src = tn.tensor([[1.0, 2.0, 3.0, 4.0]])
    same(x.scatter(0, index, src),
         np.float32([[1, 0, 0, 4], [0, 0, 3, 0], [0, 2, 0, 0]]))  # fmt: skip
    same(x.scatter(0, index, 9.0)[0], np.float32([9, 0, 0, 9]))
    same(x.scatter(0, index, value=9)[0], np.float32([9, 0, 0, 9]))
    same((x + 2).scatter(0, index, src, reduce="multiply")[0], np.float32([2, 2, 2, 8]))
    same((x + 2).scatter(0, index, src, reduce="add")[0], np.float32([3, 2, 2, 6]))
    same(x.scatter(1, tn.tensor([[3]]), tn.ones(2, 2))[0], np.float32([0, 0, 0, 1]))
    assert tn.tensor(1.0).scatter(0, tn.tensor(0), tn.tensor(5.0)).item() == 5
    assert tn.tensor(1.0).scatter(0, tn.tensor(0), tn.tensor([5.0, 6.0])).item() == 5
    same(tn.zeros(2).scatter(0, tn.tensor([1]), tn.tensor(5.0)), np.float32([0, 5]))
    same(x.scatter(0, tn.zeros(0, 4, dtype=tn.int64), src), x.cpu().numpy())
    check_gradient(lambda x, s: tn.scatter(x, 0, index, s) ** 2, (3, 4), (1, 4))
    check_gradient(lambda x: tn.scatter(x, 0, index, 2.0) ** 2, (3, 4))


def test_scatter_add():
    index = tn.tensor([[0, 0, 1], [0, 2, 1]])
    same(tn.zeros(2, 3).scatter_add(1, index, tn.ones(2, 3)), np.float32([[2, 1, 0], [1, 1, 1]]))
    assert tn.tensor(1.0).scatter_add(0, tn.tensor(0), tn.tensor([5.0, 6.0])).item() == 6
    check_gradient(lambda x, s: tn.scatter_add(x, 1, index, s) ** 2, (2, 3), (2, 3))


REDUCTIONS = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_scatter_reduce(reduce, include_self):
    index = np.array([0, 2, 0, 0])

    def expected(x, src):
        y = x.copy()
        for i in set(index):
            group = [*src[index == i], *([x[i]] if include_self else [])]
            y[i] = REDUCTIONS[reduce](group)
        return y

    places = tn.tensor(index)
    function = lambda x, s: tn.scatter_reduce(  # noqa: E731
        x, 0, places, s, reduce, include_self=include_self
    )
    check_values(function, expected, (3,), (4,))
    check_gradient(function, (3,), (4,))


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_scatter_reduce_of_0_d_tensors_and_of_numbers(reduce):
    expected = REDUCTIONS[reduce]([3.0, 5.0])
    x, index = tn.tensor(3.0, requires_grad=True), tn.tensor(0)
    y = x.scatter_reduce(0, index, tn.tensor([5.0, 6.0]), reduce)
    y.backward()
    assert (y.item(), y.shape, x.grad.shape) == (expected, (), ())
    assert tn.tensor([3.0]).scatter_reduce(0, tn.tensor([0]), 5.0, reduce).tolist() == [expected]


def test_scatter_reduce_shares_among_ties():
    index = tn.tensor([0, 0])
    function = lambda x, s: x.scatter_reduce(0, index, s, "amax")  # noqa: E731
    assert gradient_of(function, [2.0], [2.0, 1.0]) == [[0.5], [0.5, 0]]
    assert gradient_of(function, [1.0], [2.0, 2.0]) == [[0], [0.5, 0.5]]


def test_scatter_reduce_of_integers():
    x, index = tn.tensor([1, 5]), tn.tensor([0, 0, 1])
    src = tn.tensor([4, 5, -9])
    assert x.scatter_reduce(0, index, src, "mean").tolist() == [3, -2]
    assert x.scatter_reduce(0, index, src, "amax", include_self=False).tolist() == [5, -9]
    assert x.scatter_reduce(0, index, src, "amin", include_self=False).tolist() == [4, -9]


# Masks
def test_masked_fill():
    mask = np.array([True, False, True])
    chosen = tn.tensor(mask)
    check_values(lambda x: x.masked_fill(tn.tensor(mask), 5), lambda x: np.where(mask, 5, x),
                 (2, 3))  # fmt: skip
    check_gradient(lambda x, v: tn.masked_fill(x, chosen, v) ** 2, (2, 3), ())
    assert tn.zeros(2, dtype=tn.int64).masked_fill(tn.tensor(True), 7.9).tolist() == [7, 7]
    assert tn.zeros(1).masked_fill(tn.tensor([True]), -inf).item() == -inf


def test_masked_select():
    mask = np.array([[True, False, True], [False, False, True]])
    chosen = tn.tensor(mask)
    check_values(lambda x: x.masked_select(tn.tensor(mask)), lambda x: x[mask], (2, 3))
    check_values(lambda x: x.masked_select(tn.tensor(mask)), lambda x: np.stack([x, x])[mask], (3,))
    check_gradient(lambda x: tn.masked_select(x, chosen) ** 2, (2, 3))
    assert tn.tensor(3.0).masked_select(tn.tensor(True)).tolist() == [3]


def test_nonzero():
    x = np.array([[0, 1.5, nan], [-0.0, 0, -2]])
    same(tn.tensor(x).nonzero(), np.argwhere(x))
    same(tn.nonzero(tn.tensor(x), as_tuple=True), np.nonzero(x))
    assert tn.tensor(1.0).nonzero().shape == (1, 0)
    assert tn.tensor(1.0).nonzero(as_tuple=True)[0].tolist() == [0]
    assert tn.zeros(0, 3).nonzero().shape == (0, 2)


def test_a_tuple_inside_an_index_is_a_list():
    x = tn.tensor([[1, 2], [3, 4]])
    assert x[(1, 0), :].tolist() == [[3, 4], [1, 2]]
    x[(1, 0), 0] = tn.tensor([7, 8])
    assert x.tolist() == [[8, 2], [7, 4]]


def test_gathering_one_element():
    assert tn.tensor([1.0, 2.0, 3.0]).gather(0, tn.tensor(1)).item() == 2.0
    assert tn.take_along_dim(tn.tensor(4.0), tn.tensor(0), 0).item() == 4.0


@pytest.mark.parametrize(("shape", "places"), [((3,), [[0, 1]]), ((3,), 1), ((), [0])])
def test_take_along_dim_of_other_dims(shape, places):
    with pytest.raises(ShapeError, match="take_along_dim: indices have shape"):
        tn.take_along_dim(tn.ones(*shape), tn.tensor(places), 0)
