"""Movement: the same elements in another shape or order, joined and parted."""

import itertools

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import check_gradient, check_values, same

MOVES = [
    # shape, operation, NumPy's
    ((2, 6), lambda x: x.reshape(3, 4), lambda x: x.reshape(3, 4)),
    ((2, 6), lambda x: x.reshape((-1, 2)), lambda x: x.reshape(-1, 2)),
    ((0, 3), lambda x: x.reshape(3, 0, 2), lambda x: x.reshape(3, 0, 2)),
    ((1,), lambda x: x.reshape(()), lambda x: x.reshape(())),
    ((), lambda x: x.reshape(1, 1), lambda x: x.reshape(1, 1)),
    ((2, 6), lambda x: x.reshape_as(tn.zeros(4, 3)), lambda x: x.reshape(4, 3)),
    ((2, 3, 4), lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    ((2, 3, 4), lambda x: x.permute((-1, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    ((), lambda x: x.permute(), lambda x: x),
    ((2, 3, 4), lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, 2)),
    ((2, 3), lambda x: x.t(), lambda x: x.T),
    ((3,), lambda x: x.t(), lambda x: x),
    ((2, 3, 4), lambda x: x.T, lambda x: x.T),
    ((2, 3, 4), lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    ((2, 3, 4), lambda x: x.movedim(0, 2), lambda x: np.moveaxis(x, 0, 2)),
    ((2, 3, 4), lambda x: x.movedim((0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    ((1, 2, 1, 3), lambda x: x.squeeze(), lambda x: x.squeeze()),
    ((1, 2, 1, 3), lambda x: x.squeeze(2), lambda x: x.squeeze(2)),
    ((1, 2, 1, 3), lambda x: x.squeeze(1), lambda x: x),
    ((1, 2, 1, 3), lambda x: x.squeeze((0, -2)), lambda x: x.squeeze((0, 2))),
    ((2, 3), lambda x: x.unsqueeze(0), lambda x: x[None]),
    ((2, 3), lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    ((2, 3, 4), lambda x: x.flatten(), lambda x: x.reshape(-1)),
    ((2, 3, 4), lambda x: x.flatten(1), lambda x: x.reshape(2, 12)),
    ((2, 3, 4), lambda x: x.flatten(0, 1), lambda x: x.reshape(6, 4)),
    ((), lambda x: x.flatten(), lambda x: x.reshape(1)),
    ((2, 6), lambda x: x.unflatten(1, (2, -1)), lambda x: x.reshape(2, 2, 3)),
    ((2, 1), lambda x: x.expand(3, 2, 4), lambda x: np.broadcast_to(x, (3, 2, 4))),
    ((2, 1), lambda x: x.expand(-1, 5), lambda x: np.broadcast_to(x, (2, 5))),
    ((), lambda x: x.expand(2, 0), lambda x: np.broadcast_to(x, (2, 0))),
    ((1, 3), lambda x: x.expand_as(tn.zeros(2, 3)), lambda x: np.broadcast_to(x, (2, 3))),
    ((3,), lambda x: x.broadcast_to((2, 3)), lambda x: np.broadcast_to(x, (2, 3))),
    ((5, 4), lambda x: x.narrow(0, 1, 3), lambda x: x[1:4]),
    ((5, 4), lambda x: x.narrow(-1, -3, 2), lambda x: x[:, 1:3]),
    ((5, 4), lambda x: x.select(1, -1), lambda x: x[:, -1]),
    ((2, 3), lambda x: x.flip(0), lambda x: np.flip(x, 0)),
    ((2, 3), lambda x: x.flip(0, 1), lambda x: np.flip(x)),
    ((2, 3), lambda x: x.flip((-1,)), lambda x: np.flip(x, 1)),
    ((0, 3), lambda x: x.flip(0), lambda x: x),
    ((2, 3), lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3))),
    ((), lambda x: x.repeat(3), lambda x: np.tile(x, 3)),
    ((2, 3), lambda x: x.repeat(0, 1), lambda x: np.tile(x, (0, 1))),
    ((2, 3), lambda x: x.tile(2), lambda x: np.tile(x, 2)),
    ((2, 3), lambda x: x.tile((2, 2)), lambda x: np.tile(x, (2, 2))),
    ((2, 3), lambda x: x.repeat_interleave(2), lambda x: np.repeat(x, 2)),
    ((2, 3), lambda x: x.repeat_interleave(2, 1), lambda x: np.repeat(x, 2, 1)),
    ((2, 3), lambda x: x.repeat_interleave(tn.tensor([1, 0, 2]), dim=1),
     lambda x: np.repeat(x, [1, 0, 2], 1)),
    ((2, 3), lambda x: x.repeat_interleave(tn.tensor(2), 0, output_size=4),
     lambda x: np.repeat(x, 2, 0)),
    ((2, 5), lambda x: x.roll(2), lambda x: np.roll(x, 2)),
    ((2, 5), lambda x: x.roll((2,)), lambda x: np.roll(x, 2)),
    ((2, 5), lambda x: x.roll([2], ()), lambda x: np.roll(x, 2)),
    ((2, 5), lambda x: x.roll(-2, 1), lambda x: np.roll(x, -2, 1)),
    ((2, 5), lambda x: x.roll((1, 7), (0, 1)), lambda x: np.roll(x, (1, 7), (0, 1))),
    ((2, 5), lambda x: x.roll(5, 1), lambda x: x),
    ((0, 5), lambda x: x.roll(1, 0), lambda x: x),
    ((2, 3), lambda x: x.rot90(), lambda x: np.rot90(x)),
    ((2, 3), lambda x: x.rot90(2), lambda x: np.rot90(x, 2)),
    ((2, 3, 4), lambda x: x.rot90(3, (1, 2)), lambda x: np.rot90(x, 3, (1, 2))),
    ((2, 3), lambda x: x.rot90(-4), lambda x: x),
    ((4, 5), lambda x: x.diagonal(), lambda x: x.diagonal()),
    ((4, 5), lambda x: x.diagonal(2), lambda x: x.diagonal(2)),
    ((4, 5), lambda x: x.diagonal(-3), lambda x: x.diagonal(-3)),
    ((4, 5), lambda x: x.diagonal(9), lambda x: x[:0, 0]),
    ((2, 4, 5), lambda x: x.diagonal(1, 1, 2), lambda x: x.diagonal(1, 1, 2)),
    ((2, 4, 5), lambda x: x.diagonal(0, -1, 0), lambda x: x.diagonal(0, -1, 0)),
    ((3,), lambda x: tn.diag(x), np.diag),
    ((3,), lambda x: tn.diag(x, -2), lambda x: np.diag(x, -2)),
    ((3, 4), lambda x: tn.diag(x, 1), lambda x: np.diag(x, 1)),
    ((2, 3), lambda x: x.diag_embed(), lambda x: x[:, None, :] * np.eye(3)),
    ((2, 3), lambda x: x.diag_embed(1)[:, :3, 1:], lambda x: x[:, None, :] * np.eye(3)),
    ((2, 3), lambda x: x.diag_embed(-1)[:, 1:, :3], lambda x: x[:, None, :] * np.eye(3)),
    ((2, 3), lambda x: x.diag_embed(0, 0, 2),
     lambda x: (x[:, None, :] * np.eye(3)).transpose(1, 0, 2)),
    ((0,), lambda x: x.diag_embed(), lambda x: np.zeros((0, 0))),
    ((4, 5), lambda x: x.tril(), np.tril),
    ((2, 4, 5), lambda x: x.tril(-1), lambda x: np.tril(x, -1)),
    ((4, 5), lambda x: x.triu(), np.triu),
    ((2, 4, 5), lambda x: x.triu(2), lambda x: np.triu(x, 2)),
    ((), lambda x: x.unfold(0, 1, 1), lambda x: x.reshape(1)),
    ((2, 3), lambda x: x.flatten(1, 1), lambda x: x),
    ((2, 3), lambda x: x.diag_embed(1, 2, 1), lambda x: np.stack([np.diag(r, -1) for r in x])),
    ((7,), lambda x: x.unfold(0, 3, 2), lambda x: np.stack([x[0:3], x[2:5], x[4:7]])),
    ((2, 5), lambda x: x.unfold(1, 2, 1),
     lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1)),
    ((2, 5), lambda x: x.unfold(0, 2, 5), lambda x: x.T[None]),
    ((2, 3), lambda x: x.contiguous(), lambda x: x),
    ((2, 3), lambda x: x.clone(), lambda x: x),
    ((5,), lambda x: x.take(tn.tensor([[0, -1]])), lambda x: x[[[0, -1]]]),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "move", "expected"), MOVES, ids=itertools.count())
def test_values_and_gradients(shape, move, expected):
    check_values(move, expected, shape)
    check_gradient(lambda x: move(x) * move(x), shape)
    dims = len(shape)
    if dims > 1:  # of a view whose elements lie in another order
        check_gradient(lambda x: move(x.permute(*range(dims)[::-1])), shape[::-1], order=1)


@pytest.mark.parametrize("dtype", [tn.bool, tn.uint8, tn.int64, tn.bfloat16, tn.float16], ids=str)
@pytest.mark.parametrize(("shape", "move", "expected"), MOVES[::3], ids=itertools.count())
def test_dtypes_stay(shape, move, expected, dtype):
    assert move(tn.ones(shape, dtype=dtype)).dtype is dtype


def test_sum_to_size():
    for size, dims in (((3,), 0), ((2, 1), 1), ((2, 3), ()), ((1,), (0, 1)), ((), (0, 1))):
        check_values(lambda x: x.sum_to_size(size), lambda x: x.sum(dims).reshape(size), (2, 3))
        check_gradient(lambda x: x.sum_to_size(*size), (2, 3))


# Views share memory
VIEWS = [
    lambda x: x.view(6, 4), lambda x: x.view(-1), lambda x: x.reshape(3, 8),
    lambda x: x.permute(2, 1, 0), lambda x: x.transpose(0, 1), lambda x: x.T, lambda x: x.mT,
    lambda x: x.unsqueeze(1), lambda x: x.unsqueeze(0).squeeze(), lambda x: x.flatten(),
    lambda x: x.unflatten(2, (2, 2)), lambda x: x.narrow(2, 1, 2), lambda x: x.select(0, 1),
    lambda x: x.diagonal(0, 1, 2), lambda x: x.unfold(2, 2, 2), lambda x: x[1], lambda x: x[..., 0],
    lambda x: x[:, ::2], lambda x: x[:, ::-1], lambda x: x[None], lambda x: x.movedim(0, 1),
    lambda x: x.as_strided((2, 2), (12, 3), 1), lambda x: x.split(2, 1)[1],
    lambda x: x.chunk(2, 2)[0], lambda x: x.unbind(1)[2], lambda x: x.detach(), lambda x: x[...],
    lambda x: x.view_as(tn.zeros(4, 6)), lambda x: x.expand(2, 3, 4), lambda x: x.T[1:].mT[..., 1],
]  # fmt: skip


@pytest.mark.parametrize("view", VIEWS, ids=itertools.count())
def test_views_share_memory(view):
    x = tn.arange(24.0).reshape(2, 3, 4)
    y = view(x)
    y.fill_(-1)
    assert (x == -1).sum().item() == y.numel()
    x.zero_()
    assert not y.any()


COPIES = [lambda x: x.clone(), lambda x: x.flip(0), lambda x: x.repeat(1, 1), lambda x: x.roll(1),
          lambda x: x.tril(), lambda x: tn.diag(x), lambda x: tn.cat([x]),
          lambda x: x.T.reshape(-1),
          lambda x: x.T.contiguous(), lambda x: x[tn.tensor([0, 1])], lambda x: x.to(tn.float64),
          lambda x: x.to(tn.float32, copy=True), lambda x: x.rot90(4),
          lambda x: tn.cat([x, x[:0]]), lambda x: x.sum((), True), lambda x: x**1,
          lambda x: x.nan_to_num(), lambda x: tn.nn.functional.pad(x, (0, 0))]  # fmt: skip


@pytest.mark.parametrize("copy", COPIES, ids=itertools.count())
def test_copies_do_not(copy):
    x = tn.ones(2, 2)
    copy(x).fill_(5)
    assert x.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("op", ["sum", "mean", "prod", "amax", "logsumexp", "cumsum", "cumprod",
                                "logcumsumexp", "cummax", "sort", "max", "median"])  # fmt: skip
@pytest.mark.parametrize("requires_grad", [False, True])
def test_results_along_a_dim_of_one_element_are_copies(op, requires_grad):
    x = tn.ones(1, 2, requires_grad=requires_grad)
    y = getattr(tn, op)(x, dim=0)
    (y[0] if isinstance(y, tuple) else y).fill_(5)
    assert x.tolist() == [[1, 1]]


def test_a_view_of_a_0_d_tensor_shares_memory():
    x = tn.tensor(1.0)
    for y in (x[...], x[()], x[None], x.view(1)):
        y.add_(1)
    assert x.item() == 5


def test_an_expanded_tensor_without_repeats_can_be_written():
    x = tn.zeros(2, 3)
    x.expand(1, 2, 3).add_(1)
    assert x.sum() == 6


def test_an_empty_tensor_can_be_written():
    x = tn.ones(2, 4)
    x[:, 2:2].fill_(5)
    x[:0].expand(3, 0, 4).copy_(tn.zeros(4))
    x[2:][tn.tensor([], dtype=tn.int64)] = 5
    assert x.sum() == 8


def test_contiguous():
    x = tn.arange(6).reshape(2, 3)
    assert x.is_contiguous()
    assert x.contiguous() is x
    assert not x.T.is_contiguous()
    assert x.T.contiguous().is_contiguous()
    assert x[:, None].is_contiguous()
    assert not x[:, ::2].is_contiguous()
    assert tn.zeros(2, 0, 3).permute(2, 0, 1).is_contiguous()
    assert tn.zeros(0, 3).is_contiguous()
    assert tn.zeros(1, 3).T.is_contiguous()
    assert x.stride() == (3, 1)
    assert x.T.stride() == (1, 3)
    assert x.stride(-1) == 1


def test_as_strided():
    x = tn.arange(12.0)
    same(x.as_strided((2, 3), (4, 2), 1), np.float32([[1, 3, 5], [5, 7, 9]]))
    check_gradient(lambda x: x.as_strided((2, 3), (4, 2), 1), (12,))


# Joining and parting
JOINS = [
    ([(2, 3), (2, 3)], 0), ([(2, 3), (4, 3)], 0), ([(2, 3), (2, 1), (2, 0)], 1), ([(2,)], 0),
    ([(2, 3, 1), (2, 3, 2)], -1), ([(0,), (3,)], 0),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "dim"), JOINS, ids=str)
def test_cat(shapes, dim):
    check_values(lambda *xs: tn.cat(xs, dim), lambda *xs: np.concatenate(xs, dim), *shapes)
    check_gradient(lambda *xs: tn.cat(xs, dim), *shapes)
    check_gradient(lambda x: tn.cat([x, x * x, x.flip(0)], dim), shapes[0])


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_stack(dim):
    check_values(lambda *xs: tn.stack(xs, dim), lambda *xs: np.stack(xs, dim), (2, 3), (2, 3))
    check_gradient(lambda *xs: tn.stack(xs, dim), (2, 3), (2, 3))


def test_cat_skips_empty_vectors_and_promotes():
    x = tn.cat([tn.zeros(0), tn.ones(1, 2, dtype=tn.int64)], 1)
    same(x, np.float32([[1, 1]]))
    assert tn.cat([tn.zeros(1, dtype=tn.uint8), tn.zeros(1, dtype=tn.int8)]).dtype is tn.int16
    assert tn.stack([tn.tensor(1), tn.tensor(2.0)]).dtype is tn.float32
    empty = tn.zeros(0, requires_grad=True)
    tn.cat([empty, tn.ones(2, 2)], 1).sum().backward()
    assert empty.grad.shape == (0,)


def test_hstack_and_vstack():
    for shape in ((2,), (2, 3), ()):
        check_values(lambda a, b: tn.hstack([a, b]), lambda a, b: np.hstack([a, b]), shape, shape)
        check_values(lambda a, b: tn.vstack([a, b]), lambda a, b: np.vstack([a, b]), shape, shape)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda x: x.split(2), [(0, 2), (2, 4), (4, 5)]),
        (lambda x: x.split([1, 4]), [(0, 1), (1, 5)]),
        (lambda x: x.split(9), [(0, 5)]),
        (lambda x: x.split((0, 5)), [(0, 0), (0, 5)]),
        (lambda x: x.chunk(2), [(0, 3), (3, 5)]),
        (lambda x: x.chunk(4), [(0, 2), (2, 4), (4, 5)]),
        (lambda x: tn.tensor_split(x, 3), [(0, 2), (2, 4), (4, 5)]),
        (lambda x: tn.tensor_split(x, (1, -1)), [(0, 1), (1, 4), (4, 5)]),
        (lambda x: tn.tensor_split(x, (4, 1)), [(0, 4), (4, 4), (1, 5)]),
    ],
    ids=itertools.count(),
)
def test_parting(part, expected):
    for shape in ((5,), (5, 2)):
        check_values(part, lambda x: tuple(x[i:j] for i, j in expected), shape)
        check_gradient(lambda x: tn.cat([y * y for y in part(x)]), shape)
        check_gradient(lambda x: part(x)[0], shape)


def test_unbind_and_iteration():
    check_values(lambda x: x.unbind(1), lambda x: tuple(np.moveaxis(x, 1, 0)), (2, 3))
    check_values(lambda x: tuple(x), lambda x: tuple(x), (2, 3))
    check_gradient(lambda x: tn.stack([row * row for row in x]), (3, 2))
    assert tn.zeros(0, 2).unbind() == ()


def test_parts_of_nothing():
    assert tn.zeros(0, 2).split([]) == ()
    assert [part.shape for part in tn.zeros(0, 2).chunk(3)] == [(0, 2)] * 3


def test_parts_share_a_gradient():
    x = tn.ones(4, requires_grad=True)
    first, second = x.split(2)
    (first.sum() * 2 + second.sum() * 3).backward()
    assert x.grad.tolist() == [2, 2, 3, 3]
