"""Pools, `fold` and `unfold`: values, gradients to second order, and what is refused."""

import itertools

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import VIEWS, array, check_gradient, draw, nan, same
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, DTypeError, ShapeError
from tinynet.nn import functional as F  # noqa: N812

POOLS = [
    f"{name}{ndim}d"
    for name in ("max_pool", "avg_pool", "lp_pool", "adaptive_max_pool", "adaptive_avg_pool")
    for ndim in (1, 2, 3)
]


def grid():
    """The first numbers in rows of 6, as one channel of a batch of one."""
    return tn.arange(24.0).reshape(1, 1, 4, 6)


def pool(name, *arguments, **options):
    """A pool as a function of its input."""
    if name.startswith("lp"):
        return lambda x: getattr(F, name)(x, 3.0, *arguments, **options)
    return lambda x: getattr(F, name)(x, *arguments, **options)


def windows_of(x, kernel, stride):
    """Windows of a whole number in the last two dims, along a last dim."""
    rows, columns = ((n - kernel) // stride + 1 for n in x.shape[-2:])
    taps = [
        x[
            ...,
            i : i + (rows - 1) * stride + 1 : stride,
            j : j + (columns - 1) * stride + 1 : stride,
        ]
        for i, j in itertools.product(range(kernel), range(kernel))
    ]
    return np.stack(taps, -1)


# values
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 1), (3, 2), (2, 3), (1, 1)])
def test_values(view, kernel, stride):
    x = draw((2, 3, 7, 8))
    windows = windows_of(x, kernel, stride)
    same(F.max_pool2d(view(x), kernel, stride), windows.max(-1))
    same(F.avg_pool2d(view(x), kernel, stride), windows.mean(-1))
    positive = np.abs(x)
    norms = (windows_of(positive, kernel, stride) ** 3).sum(-1) ** (1 / 3)
    same(F.lp_pool2d(view(positive), 3, kernel, stride), norms)
    columns = windows.transpose(0, 1, 4, 2, 3).reshape(2, 3 * kernel**2, -1)
    same(F.unfold(view(x), kernel, stride=stride), columns)


def test_max_pool_pads_with_less_than_anything():
    x = -grid() - 1
    assert F.max_pool2d(x, 3, 2, 1).tolist() == [[[[-1, -2, -4], [-7, -8, -10]]]]
    y, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert indices.tolist() == [[[[0, 1, 3], [6, 7, 9]]]]
    assert indices.dtype is tn.int64
    assert F.max_pool2d(x.int(), 3, 2, 1).tolist() == y.tolist()


def test_first_of_the_largest_and_last_nan():
    x = tn.tensor([[1.0, 3.0, 3.0, 0.0], [nan, 2.0, nan, 5.0]])
    y, indices = F.max_pool1d(x, 4, return_indices=True)
    assert indices.tolist() == [[1], [2]]
    assert np.isnan(array(y)[1, 0])


def test_ceil_mode_adds_a_window_that_begins_before_the_end():
    x = tn.arange(7.0).reshape(1, 7)
    assert F.max_pool1d(x, 2).tolist() == [[1, 3, 5]]
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[1, 3, 5, 6]]
    assert F.avg_pool1d(x, 2, ceil_mode=True).tolist() == [[0.5, 2.5, 4.5, 6]]
    assert F.max_pool1d(x, 2, 2, 1, ceil_mode=True).tolist() == [[0, 2, 4, 6]]  # none in padding
    assert F.max_pool1d(x[:, :2], 3, 2, ceil_mode=True).tolist() == [[1]]


def test_what_means_are_divided_by():
    x = tn.ones(1, 1, 3, 3)
    corner = F.avg_pool2d(x, 2, 2, 1)
    assert corner.tolist() == [[[[0.25, 0.5], [0.5, 1]]]]
    assert F.avg_pool2d(x, 2, 2, 1, count_include_pad=False).tolist() == [[[[1, 1], [1, 1]]]]
    assert F.avg_pool2d(x, 2, 2, 1, divisor_override=2).tolist() == [[[[0.5, 1], [1, 2]]]]
    truncated = F.avg_pool2d(grid().long(), 2, divisor_override=-4)
    assert truncated.tolist() == [[[[-3, -5, -7], [-15, -17, -19]]]]


def test_adaptive_windows():
    x = tn.arange(7.0).reshape(1, 7)
    assert F.adaptive_avg_pool1d(x, 7).tolist() == x.tolist()
    assert F.adaptive_avg_pool1d(x, 1).tolist() == [[3]]
    assert F.adaptive_avg_pool1d(x, 3).tolist() == [[1, 3, 5]]
    assert F.adaptive_max_pool1d(x, 3).tolist() == [[2, 4, 6]]
    assert F.adaptive_avg_pool1d(x[:, :2], 3).tolist() == [[0, 0.5, 1]]
    assert F.adaptive_avg_pool2d(grid(), (None, 2)).shape == (1, 1, 4, 2)
    values, indices = F.adaptive_max_pool2d(grid(), (3, 4), return_indices=True)
    assert indices.tolist() == values.long().tolist()
    assert tn.adaptive_max_pool1d(x, 2)[1].tolist() == [[3, 6]]


def test_unpooling():
    y, indices = F.max_pool2d(grid(), 2, return_indices=True)
    back = F.max_unpool2d(y, indices, 2)
    assert back.shape == grid().shape
    assert F.max_pool2d(back, 2).tolist() == y.tolist()
    assert back.sum().item() == y.sum().item()
    larger = F.max_unpool2d(y, indices, 2, output_size=(5, 6))
    assert larger.reshape(-1)[:24].tolist() == back.reshape(-1).tolist()
    assert F.max_unpool2d(y[0], indices[0], 2, output_size=[4, 7]).shape == (1, 4, 7)


def test_fold_adds_up_what_unfold_repeats():
    x = tn.ones(1, 1, 3, 3)
    counts = F.fold(F.unfold(x, 2), (3, 3), 2)
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]
    assert F.fold(F.unfold(x, 3, padding=1), 3, 3, padding=1)[0, 0, 1].tolist() == [6, 9, 6]


def test_unfolding_gives_memory_of_its_own():
    x = tn.zeros(1, 1, 2, 2)
    for columns in (F.unfold(x, 2), F.unfold(x, 1)):
        columns.add_(1)
    assert x.sum().item() == 0


@pytest.mark.parametrize("name", POOLS)
def test_inputs_without_a_batch_or_in_one_of_none(name):
    sizes = (6,) * int(name[-2])
    x = tn.tensor(draw((2, *sizes), 0.1, 1.0))
    function = pool(name, 3)
    assert function(x).tolist() == function(x.unsqueeze(0))[0].tolist()
    assert function(x.new_zeros(0, 2, *sizes)).shape == (0, *function(x).shape)


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16])
def test_half_precision_adds_up_in_float32(dtype):
    x = tn.full((1, 64, 64), 100.0, dtype=dtype)  # sums of 409,600
    for y in (F.avg_pool2d(x, 64), F.adaptive_avg_pool2d(x, 1)):
        assert y.dtype is dtype
        assert y.tolist() == [[[100.0]]]
    assert F.max_pool2d(x, 64).dtype is dtype


# gradients
@pytest.mark.parametrize("arguments", [(2,), (3, 1), (3, 2, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_gradients(name, arguments):
    check_gradient(pool(name, *arguments), (2, 2, 5, 6))
    check_gradient(pool(name, *arguments, ceil_mode=True), (2, 5, 6))


@pytest.mark.parametrize("name", POOLS)
def test_gradients_in_any_number_of_dims(name):
    sizes = (5, 4, 3)[: int(name[-2])]
    positive = tn.tensor(draw((1, 2, *sizes), 0.5, 1.5))
    check_gradient(pool(name, 2), positive)


def test_gradients_of_dilated_and_counted_windows():
    check_gradient(pool("max_pool2d", 3, 1, 1, 2), (1, 2, 6, 7))
    check_gradient(pool("avg_pool2d", 3, 2, 1, count_include_pad=False), (1, 2, 5, 6))
    check_gradient(pool("avg_pool2d", 2, divisor_override=3), (1, 2, 4, 6))
    check_gradient(pool("avg_pool2d", (9, 9), 1, (4, 4)), (1, 1, 9, 10))  # more than MOST_SLICES


@pytest.mark.parametrize("size", [1, 2, 3, 5, (2, 3), (6, 1)], ids=str)
def test_gradients_of_adaptive_pools(size):
    check_gradient(pool("adaptive_max_pool2d", size), (1, 2, 5, 4))
    check_gradient(pool("adaptive_avg_pool2d", size), (1, 2, 5, 4))


def test_gradients_of_columns():
    check_gradient(lambda x: F.unfold(x, (3, 2), 1, 1, 2), (2, 2, 5, 6))
    check_gradient(lambda x: F.unfold(x, 2), (2, 3, 4))
    check_gradient(lambda x: F.fold(x, (5, 6), (3, 2), 1, 1, 2), (2, 12, 12))


def test_gradients_of_unpooling():
    _, indices = F.max_pool2d(grid(), 2, return_indices=True)
    check_gradient(lambda y: F.max_unpool2d(y, indices, 2), (1, 1, 2, 3))


def test_gradients_add_up_where_windows_share_their_largest():
    x = tn.tensor([[0.0, 5.0, 1.0, 2.0]], requires_grad=True)
    F.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[0, 2, 0, 1]]


def test_inputs_may_change_after_the_pool():
    """Only where the largest were is kept."""
    x = tn.arange(8.0).reshape(1, 8).requires_grad_()
    doubled = x * 2
    y = F.max_pool1d(doubled, 2)
    doubled.detach().zero_()
    y.sum().backward()
    assert x.grad.tolist() == [[0, 2] * 4]


# what is refused
@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.max_pool2d([1.0], 2), ArgumentTypeError,
         "max_pool2d: input must be a Tensor, got list"),
        (lambda: F.max_pool2d(tn.ones(4, 4), 2), ShapeError,
         "max_pool2d: the input must be (batch, channels, height, width) or "
         "(channels, height, width), got (4, 4)"),
        (lambda: F.avg_pool1d(tn.ones(2, 0, 4), 2), ShapeError,
         "avg_pool1d: only the batch may be empty, got shape (2, 0, 4)"),
        (lambda: F.max_pool2d(grid(), (2, 2, 2)), ShapeError,
         "max_pool2d: kernel_size must be an int or 2 of them, got (2, 2, 2)"),
        (lambda: F.max_pool2d(grid(), 0), ArgumentError,
         "max_pool2d: kernel_size must be at least 1, got 0"),
        (lambda: F.max_pool2d(grid(), 2.0), ArgumentTypeError,
         "max_pool2d: kernel_size must be an int, got 2.0 (float)"),
        (lambda: F.avg_pool2d(grid(), 2, 0), ArgumentError,
         "avg_pool2d: stride must be at least 1, got 0"),
        (lambda: F.avg_pool2d(grid(), 2, 1, 2), ArgumentError,
         "avg_pool2d: padding must be at most half of kernel_size (2, 2), got 2"),
        (lambda: F.max_pool2d(grid(), 2, dilation=0), ArgumentError,
         "max_pool2d: dilation must be at least 1, got 0"),
        (lambda: F.max_pool2d(grid(), (5, 2), padding=0), ShapeError,
         "max_pool2d: windows of (5, 2) (dilation (1, 1)) are larger than the input (4, 6) padded "
         "by (0, 0) and (0, 0)"),
        (lambda: F.max_pool1d(tn.ones(1, 1), 2, 1, 1, 2), ShapeError,
         "max_pool1d: a window of (2,) (dilation (2,)) covers nothing of the input (1,) padded "
         "by (1,)"),
        (lambda: F.max_pool2d(grid() > 0, 2), DTypeError,
         "max_pool2d: not defined for tinynet.bool"),
        (lambda: F.avg_pool2d(grid() > 0, 2), DTypeError,
         "avg_pool2d: not defined for tinynet.bool"),
        (lambda: F.avg_pool2d(grid(), 2, divisor_override=0), ArgumentError,
         "avg_pool2d: divisor_override must not be 0"),
        (lambda: F.lp_pool2d(grid(), 0, 2), ArgumentError, "lp_pool2d: norm_type must not be 0"),
        (lambda: F.lp_pool2d(grid(), "2", 2), ArgumentTypeError,
         "lp_pool2d: norm_type must be a number, got '2'"),
        (lambda: F.adaptive_avg_pool2d(grid(), (2,)), ShapeError,
         "adaptive_avg_pool2d: output_size must be an int or 2 of them, got (2,)"),
        (lambda: F.adaptive_avg_pool2d(grid(), -1), ArgumentError,
         "adaptive_avg_pool2d: output_size must not be negative, got -1"),
        (lambda: F.adaptive_avg_pool2d(grid().long(), 2), DTypeError,
         "adaptive_avg_pool2d: expected a floating dtype, got tinynet.int64"),
        (lambda: F.adaptive_max_pool2d(grid() > 0, 2), DTypeError,
         "adaptive_max_pool2d: not defined for tinynet.bool"),
        (lambda: F.adaptive_max_pool2d(tn.ones(1, 0, 4, 4), 2), ShapeError,
         "adaptive_max_pool2d: only the first dim may be empty, got shape (1, 0, 4, 4)"),
        (lambda: F.adaptive_max_pool1d(grid()[0], None), ArgumentTypeError,
         "adaptive_max_pool1d: output_size must be an int, got None (NoneType)"),
        (lambda: F.max_unpool2d(grid(), grid().int(), 2), DTypeError,
         "max_unpool2d: indices must be tinynet.int64, got tinynet.int32"),
        (lambda: F.max_unpool2d(grid(), grid()[0].long(), 2), ShapeError,
         "max_unpool2d: indices (1, 4, 6) must have the input's shape (1, 1, 4, 6)"),
        (lambda: F.max_unpool2d(grid(), grid().long() + 96 - 23, 2), DimError,
         "max_unpool2d: indices must be from 0 to 95, for a size (8, 12)"),
        (lambda: F.max_unpool2d(grid(), grid().long() - 1, 2), DimError,
         "max_unpool2d: indices must be from 0 to 95, for a size (8, 12)"),
        (lambda: F.max_unpool2d(grid(), grid().long(), 2, output_size=(8,)), ShapeError,
         "max_unpool2d: output_size must have 2 or 4 sizes, got (8,)"),
        (lambda: F.max_unpool2d(grid(), grid().long(), 2, output_size=(8, 14)), ShapeError,
         "max_unpool2d: output_size (8, 14) must differ from (8, 12) by less than the stride "
         "(2, 2)"),
        (lambda: F.unfold(grid(), (2,)), ShapeError,
         "unfold: kernel_size must be an int or 2 of them, got (2,)"),
        (lambda: F.unfold(grid(), 2, padding=-1), ArgumentError,
         "unfold: padding must be at least 0, got -1"),
        (lambda: F.fold(grid()[0, 0], 4, 3), ShapeError,
         "fold: dim 0 of shape (4, 6) must be divisible by the 9 taps of kernel_size (3, 3)"),
        (lambda: F.fold(grid()[0, 0], 4, 2), ShapeError,
         "fold: output_size (4, 4) has 3 x 3 windows of (2, 2), but the input (4, 6) has 6"),
        (lambda: F.fold(grid(), 4, 2), ShapeError,
         "fold: the input must be (batch, channels * taps, windows) or (channels * taps, "
         "windows), where only the batch may be empty, got (1, 1, 4, 6)"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
