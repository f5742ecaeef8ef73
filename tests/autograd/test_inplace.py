"""Writes in place and the graph. `tests/parity/test_inplace_views.py` compares programs of them."""

import numpy as np
import pytest

import tinynet as tn
from tinynet.autograd import check_gradient
from tinynet.errors import ArgumentError, GradientError
from tinynet.nn import functional


def leaf(*values):
    return tn.tensor(values, dtype=tn.float64, requires_grad=True)


PROGRAMS = {
    "on the tensor": lambda x: (x * 1).mul_(x).add_(2).exp_(),
    "iadd at a row": lambda x: written(x * 1, lambda y: y.__setitem__(0, y[0] + y[1])),
    "augmented at a row": lambda x: written(x * 1, add_to_first_row),
    "through a view": lambda x: written(x * 2, lambda y: y.T[0].mul_(y[1, 1].clone())),
    "through a view of a view": lambda x: written(x * 2, lambda y: y[1:][0][::2].sin_()),
    "through a flat view of a transpose": lambda x: written(
        x.T * 2, lambda y: y.T.reshape(-1)[1:3].mul_(3)
    ),
    "through windows": lambda x: written(x * 2, lambda y: y.unfold(1, 2, 2).exp_()),
    "through a diagonal": lambda x: written(x * 2, lambda y: y.diagonal().copy_(y[0, :2] * 3)),
    "through as_strided": lambda x: written(x * 2, lambda y: y.as_strided((2,), (2,), 1).sin_()),
    "into a constant": lambda x: written(x.new_zeros(2, 3), lambda y: y.copy_(x)),
    "into a view of a constant": lambda x: written(
        x.new_zeros(2, 3), lambda y: y[:, 1].copy_(x[:, 0] * 2)
    ),
    "row by row": lambda x: rows_from(x),
    "zeroed": lambda x: written(x * 2, lambda y: y[0].zero_()) * x,
    "by a mask": lambda x: written(x * 2, lambda y: y.__setitem__(y > 0, x[0, 0] * x[0, 1])),
    "by index tensors": lambda x: written(x * 2, lambda y: y.__setitem__([1, 0], x * x)),
    "of another dtype": lambda x: written(x.new_zeros(2, 3), lambda y: y.add_(x.to(tn.float64))),
    "twice, with a stale view read": lambda x: stale(x * 2),
}


def written(y, write):
    write(y)
    return y * y


def add_to_first_row(y):
    y[0] += y[1] * 2


def rows_from(x):
    """Each row made of the one before, as a recurrent network does."""
    rows = tn.zeros(4, 3, dtype=tn.float64)
    state = x[0]
    for i in range(4):
        state = (state * x[1]).tanh()
        rows[i] = state
    return rows


def stale(y):
    view = y[0]
    y.mul_(2)
    first = view * 3
    y[0].add_(1)
    return first * view


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_to_second_order(name):
    check_gradient(PROGRAMS[name], (2, 3))


def test_the_written_tensor_is_the_result():
    x = leaf(1.0, 2.0)
    y = x * 2
    assert y.add_(1) is y
    assert repr(y.grad_fn) == "<AddBackward>"


def test_views_and_bases_show_each_others_writes():
    y = leaf(1.0, 2.0) * 2
    view, again = y[:1], y.view(2, 1)
    view.zero_()
    assert (y.tolist(), again.tolist()) == ([0.0, 4.0], [[0.0], [4.0]])
    assert y._version == view._version == again._version == 1


def test_a_view_of_a_constant_learns_of_its_bases_gradient():
    y = tn.zeros(2, dtype=tn.float64)
    view = y[:1]
    y.add_(leaf(1.0, 2.0))
    assert view.requires_grad
    assert repr(view.grad_fn) == "<BasicIndexBackward>"


def test_overwriting_everything_cuts_the_gradient():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.zero_()
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_copy_has_a_place_of_its_own():
    """The copy's gradient is not mixed with the source's."""
    x = leaf(1.0)
    source = x * 2
    copy = tn.zeros(1, dtype=tn.float64)
    copy.copy_(source)
    by_copy, by_source = tn.autograd.grad((copy * 3 + source).sum(), [copy, source])
    assert (by_copy.tolist(), by_source.tolist()) == ([3.0], [4.0])


def test_writes_under_no_grad_are_free():
    w = leaf(1.0, 2.0)
    with tn.no_grad():
        w.sub_(0.5)
        w[0] = 7
        w.view(-1).mul_(2)
    assert w.tolist() == [14.0, 3.0]
    assert w.is_leaf
    assert w.requires_grad


def test_a_view_refreshed_under_no_grad_keeps_its_gradient():
    x = leaf(1.0, 2.0)
    y = x * 2
    view = y[:1]
    y.mul_(3)
    with tn.no_grad():
        assert view.requires_grad
    view.sum().backward()
    assert x.grad.tolist() == [6.0, 0.0]


def test_detach_shares_memory_and_its_count_of_writes():
    y = leaf(1.0, 2.0) * 2
    constant = y.detach()
    constant[0] = 5
    assert y.tolist() == [5.0, 4.0]
    assert y._version == 1
    assert not constant.requires_grad
    constant.mul_(leaf(1.0, 1.0))
    assert constant.requires_grad
    assert repr(y.grad_fn) == "<MulBackward>"


def test_fixed_views_may_be_read_where_nothing_is_recorded():
    y = leaf(1.0, 2.0) * 2
    part, _ = y.split(1)
    y.mul_(3)
    with tn.no_grad():
        assert (part * 1).tolist() == [6.0]
    assert part.requires_grad


# What is refused
def changed_after(function, change):
    y = leaf(1.0, 2.0) * 2
    z = function(y)
    change(y, z)
    z.sum().backward()


CHANGES = {
    "the input": (lambda y: y * y, lambda y, z: y.add_(1)),
    "the input, through a view": (lambda y: y * y, lambda y, z: y[0].zero_()),
    "the input, through an older alias": (lambda y: y.view(2).exp() * y, lambda y, z: y.zero_()),
    "the input, through detach": (lambda y: y * y, lambda y, z: y.detach().add_(1)),
    "the input, under no_grad": (lambda y: y * y, lambda y, z: unrecorded(y)),
    "the output": (lambda y: y.exp(), lambda y, z: z.add_(1)),
    "the output, through a view": (lambda y: y.exp(), lambda y, z: z[:1].add_(1)),
    "the output, through detach": (lambda y: y.exp(), lambda y, z: z.detach().zero_()),
    "by index": (lambda y: y * y, lambda y, z: y.__setitem__(tn.tensor([0]), 1)),
    "a view that is the input": (lambda y: y[:1] * y[1:], lambda y, z: y.zero_()),
    "by copy_": (lambda y: y * y, lambda y, z: y.copy_(tn.ones(2))),
    "by fill_": (lambda y: y * y, lambda y, z: y.fill_(1)),
    "by normal_": (lambda y: y * y, lambda y, z: unrecorded(y, lambda y: y.normal_())),
}


def unrecorded(y, write=lambda y: y.add_(1)):
    with tn.no_grad():
        write(y)


@pytest.mark.parametrize("name", CHANGES)
def test_changing_what_was_saved(name):
    with pytest.raises(GradientError, match="that was changed in place after the operation; clone"):
        changed_after(*CHANGES[name])


UNSAVED = {
    "add": (lambda y: y + 1, lambda y, z: y.mul_(3)),
    "mul by a constant": (lambda y: y * 3, lambda y, z: y.mul_(3)),
    "the constant's partner": (lambda y: y * tn.ones(2), lambda y, z: y.exp_()),
    "exp saves its output alone": (lambda y: y.exp(), lambda y, z: y.zero_()),
    "matmul by a constant": (lambda y: y @ tn.ones(2, 2).double(), lambda y, z: y.zero_()),
    "a clone was saved": (lambda y: y.clone().sin(), lambda y, z: y.zero_()),
}


@pytest.mark.parametrize("name", UNSAVED)
def test_changing_what_was_not_saved(name):
    changed_after(*UNSAVED[name])


# Operations on a (3, 4) tensor and, of those that take one, something else that they keep.
GRID = [[0, 1, 2, 0], [2, 2, 1, 1], [0, 0, 0, 2]]
ROWS = tn.tensor([0, 2, 2])
MASK = tn.tensor(GRID) > 0
KEEPING = {
    **{name: (lambda y, _, name=name: getattr(tn, name)(y), None)
       for name in "abs acosh asin atan cos cosh erf exp exp2 expm1 log log10 log1p log2 logit neg"
       " reciprocal relu rsqrt sigmoid sign sin sinh sqrt square tan tanh".split()},
    **{name: (lambda y, _, name=name: getattr(tn, name)(y, 1), None)
       for name in "amax amin cumprod cumsum log_softmax logcumsumexp logsumexp mean prod softmax"
       " std sum var".split()},
    **{name: (lambda y, _, name=name: getattr(tn, name)(y, 1)[0], None)
       for name in "cummax cummin max median min sort".split()},
    "norm": (lambda y, _: y.norm(3, 1), None),
    "layer norm": (lambda y, _: functional.layer_norm(y, (4,)), None),
    "max pool": (lambda y, _: functional.max_pool1d(y[None], 2), None),
    "convolution": (lambda y, _: functional.conv1d(y[None], y[:, None, :2], groups=3), None),
    "matmul": (lambda y, _: y @ y.mT, None),
    "mul": (lambda y, i: y * i, tn.tensor(GRID)),
    "pow": (lambda y, i: y**i, tn.tensor(GRID)),
    "where": (lambda y, i: tn.where(i, y, y * 2), MASK),
    "masked_fill": (lambda y, i: y.masked_fill(i, 1.0), MASK),
    "a mask": (lambda y, i: y[i], MASK),
    "an index": (lambda y, i: y[i], ROWS),
    "an index behind": (lambda y, i: y[:, i], ROWS),
    "index_select": (lambda y, i: y.index_select(0, i), ROWS),
    "index_add": (lambda y, i: (y * 1).index_add(0, i, y * y), ROWS),
    "index_put": (lambda y, i: (y * 1).index_put((i,), y * y), ROWS),
    "assignment": (lambda y, i: assigned(y * 1, i, y * y), ROWS),
    "gather": (lambda y, i: y.gather(0, i), tn.tensor(GRID)),
    "take": (lambda y, i: y.take(i), ROWS),
    "scatter": (lambda y, i: y.scatter(0, i, y * y), tn.tensor(GRID)),
    "scatter_add": (lambda y, i: y.scatter_add(0, i, y * y), tn.tensor(GRID)),
    **{f"scatter_reduce {how}": (lambda y, i, how=how: y.scatter_reduce(0, i, y * y, how),
                                 tn.tensor(GRID)) for how in ("prod", "amax", "mean")},
    "repeat_interleave": (lambda y, i: y.repeat_interleave(i, 0), ROWS),
    "embedding": (lambda y, i: functional.embedding(i, y), ROWS),
    "embedding_bag": (lambda y, i: functional.embedding_bag(i[None], y, mode="max"), ROWS),
    "cross_entropy": (lambda y, i: functional.cross_entropy(y, i), ROWS),
    "multi_margin_loss": (lambda y, i: functional.multi_margin_loss(y, i), ROWS),
    "attention": (lambda y, i: functional.scaled_dot_product_attention(y, y, y, i[:, :3]), MASK),
}  # fmt: skip


def assigned(y, index, value):
    y[index] = value
    return y


@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name in KEEPING for what in ("input", "output")]
    + [(name, "what is kept") for name, (_, other) in KEEPING.items() if other is not None],
)
def test_whatever_is_changed_the_gradient_is_right_or_an_error(name, what):
    function, other = KEEPING[name]

    def gradient(is_changed):
        x = tn.arange(1, 13, dtype=tn.float64).reshape(3, 4).div(13).requires_grad_()
        y, i = x * 1, None if other is None else other.clone()
        z = function(y, i)
        total = (z * tn.arange(z.numel()).reshape(z.shape)).sum()
        if is_changed:
            {"input": y, "output": z, "what is kept": i}[what].fill_(1)
        total.backward()
        return x.grad.tolist()

    try:
        changed = gradient(True)
    except GradientError as error:
        assert "changed in place" in str(error)  # noqa: PT017 (either is right)
    else:
        np.testing.assert_equal(changed, gradient(False))


def test_message_of_a_changed_tensor():
    with pytest.raises(GradientError) as caught:
        changed_after(*CHANGES["the input"])
    assert str(caught.value) == (
        "backward: MulBackward needs a tensor of shape (2,) that was changed in place after the "
        "operation; clone it before the change, or use an out-of-place operation"
    )


ERRORS = {
    "add_: a leaf tensor that requires grad cannot be changed in place while recording; do it "
    "under no_grad()": lambda w: w.add_(1),
    "zero_: a leaf tensor that requires grad cannot be changed in place while recording; do it "
    "under no_grad()": lambda w: w.zero_(),
    "copy_: a view of a leaf tensor that requires grad cannot be changed in place while recording; "
    "do it under no_grad()": lambda w: w.__setitem__(0, 1),
    "mul_: a view of a leaf tensor that requires grad cannot be changed in place while recording; "
    "do it under no_grad()": lambda w: w.view(2, 1)[0].mul_(2),
    "sin_: a view made under no_grad(), by split() or its kin, or in a Function cannot be changed "
    "in place while recording; clone() it first": lambda w: (w * 1).split(1)[0].sin_(),
    "add_: a view made under no_grad(), by split() or its kin, or in a Function cannot be changed "
    "in place while recording; clone() it first": lambda w: (w * 1).unbind()[0][...].add_(1),
    "mul_: a view made under no_grad(), by split() or its kin, or in a Function cannot be changed "
    "in place while recording; clone() it first": lambda w: view_under_no_grad(w * 1).mul_(2),
    "view: the memory of a view of shape (1,), made under no_grad(), by split() or its kin, or in "
    "a Function, was changed in place since, and its gradient is not known; make the view again "
    "after the change": lambda w: view_with_changed_base(w * 1) * 2,
}


def test_expanded_memory_cannot_be_written():
    with pytest.raises(ArgumentError) as caught:
        (leaf(1.0, 2.0) * 1).expand(3, 2).add_(1)
    assert str(caught.value) == (
        "add_: the tensor of shape (3, 2) cannot be written: its memory is read-only or several "
        "elements share it (expand); clone() it first"
    )


def view_under_no_grad(y):
    with tn.no_grad():
        return y[:1]


def view_with_changed_base(y):
    view = y.chunk(2)[0]
    y.mul_(2)
    return view


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises(GradientError) as caught:
        ERRORS[message](leaf(1.0, 2.0))
    assert str(caught.value) == message
