"""Losses: values by hand, gradients to second order, what is refused."""

import math
import re

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimError,
    DTypeError,
    GradientError,
    ShapeError,
)

F = nn.functional
X, Y = tn.tensor([0.0, 1.0, 4.0]), tn.tensor([0.5, 1.0, 2.0])
REDUCTIONS = ["mean", "sum", "none"]
LABELS = tn.tensor([0, 2, 1, 2])
WEIGHT = tn.tensor([0.5, 1.0, 2.0], dtype=tn.float64)
# scores whose softmax is known
SCORES = tn.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], dtype=tn.float64).log() + 7


@pytest.mark.parametrize(
    ("loss", "each"),
    [
        (nn.MSELoss, [0.25, 0.0, 4.0]),
        (nn.L1Loss, [0.5, 0.0, 2.0]),
        (nn.SmoothL1Loss, [0.125, 0.0, 1.5]),
    ],
)
def test_distances(loss, each):
    assert loss(reduction="none")(X, Y).tolist() == each
    assert loss(reduction="sum")(X, Y).item() == sum(each)
    assert loss()(X, Y).item() == pytest.approx(sum(each) / 3)
    for reduction in REDUCTIONS:
        check_gradient(loss(reduction=reduction), (3, 2), (3, 2))
    assert math.isnan(loss()(tn.ones(0), tn.ones(0)).item())
    assert loss(reduction="sum")(tn.ones(0), tn.ones(0)).item() == 0


def test_smooth_l1_beta():
    assert F.smooth_l1_loss(X, Y, reduction="none", beta=0.25).tolist() == [0.375, 0.0, 1.875]
    assert F.smooth_l1_loss(X, Y, reduction="none", beta=0).tolist() == [0.5, 0.0, 2.0]


@pytest.mark.parametrize("loss", [F.huber_loss, F.smooth_l1_loss])
def test_gradients_of_infinite_gaps(loss):
    x = tn.tensor([-math.inf, math.inf, 0.5], requires_grad=True)
    loss(x, tn.zeros(3), reduction="sum").backward()
    assert x.grad.tolist() == [-1.0, 1.0, 0.5]


def test_weighted_distances():
    weight = tn.tensor([1.0, 1.0, 2.0])
    assert F.mse_loss(X, Y, weight=weight).item() == (0.25 + 8) / 4
    assert F.l1_loss(X, Y, weight=weight, reduction="sum").item() == 4.5


def test_distances_of_other_dtypes():
    assert F.mse_loss(X, Y.double()).dtype is tn.float64
    assert F.l1_loss(tn.tensor([3]), tn.tensor([5]), reduction="sum").item() == 2


def test_means_in_half_precision(on_device):
    x = tn.full((1000,), 10.0, dtype=tn.float16, requires_grad=True)
    loss = F.mse_loss(x, tn.zeros_like(x))
    loss.backward()
    assert loss.dtype is tn.float16
    assert loss.item() == 100
    assert x.grad[0].item() == pytest.approx(0.02, rel=1e-3)
    scores, target = tn.zeros(70000, 3, dtype=tn.float16), tn.zeros(70000, dtype=tn.int64)
    for weight in (None, tn.ones(3, dtype=tn.float16)):
        loss = F.cross_entropy(scores, target, weight)
        assert loss.dtype is tn.float16
        assert loss.item() == pytest.approx(math.log(3), rel=1e-3)


def test_shapes_that_broadcast_warn():
    message = "mse_loss: target has shape (3,), input (3, 1): they broadcast, which is seldom"
    with pytest.warns(UserWarning, match=re.escape(message)):
        assert F.mse_loss(tn.ones(3, 1), tn.zeros(3)).item() == 1


def test_cross_entropy_of_class_indices():
    target = tn.tensor([2, 1])
    each = [-math.log(0.5), -math.log(0.8)]
    assert nn.CrossEntropyLoss()(SCORES, target).item() == pytest.approx(sum(each) / 2)
    assert F.cross_entropy(SCORES, target, reduction="none").tolist() == pytest.approx(each)
    assert F.cross_entropy(SCORES[0], tn.tensor(2)).item() == pytest.approx(each[0])
    assert F.nll_loss(SCORES - 7, target, reduction="sum").item() == pytest.approx(sum(each))
    weighted = (2 * each[0] + 1 * each[1]) / 3
    assert F.cross_entropy(SCORES, target, WEIGHT).item() == pytest.approx(weighted)
    ignored = nn.CrossEntropyLoss(ignore_index=2)(SCORES, target)
    assert ignored.item() == pytest.approx(each[1])


def test_cross_entropy_of_probabilities():
    probabilities = tn.tensor([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]], dtype=tn.float64)
    each = [-0.25 * math.log(0.3) - 0.75 * math.log(0.5), -math.log(0.1)]
    assert F.cross_entropy(SCORES, probabilities).item() == pytest.approx(sum(each) / 2)
    one_hot = tn.eye(3, dtype=tn.float64)[tn.tensor([2, 1])]
    for options in ({}, {"label_smoothing": 0.3}, {"reduction": "sum"}):
        by_index = F.cross_entropy(SCORES, tn.tensor([2, 1]), **options).item()
        assert F.cross_entropy(SCORES, one_hot, **options).item() == pytest.approx(by_index)


def test_label_smoothing():
    logs = [math.log(p) for p in (0.2, 0.3, 0.5)]
    expected = -0.9 * logs[2] - 0.1 * sum(logs) / 3
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)(SCORES[:1], tn.tensor([2]))
    assert loss.item() == pytest.approx(expected)


def test_more_dims_are_more_examples():
    x, target = tn.randn(2, 3, 4, dtype=tn.float64), tn.randint(3, (2, 4))
    rows = x.transpose(1, 2).reshape(8, 3)
    for options in ({}, {"weight": WEIGHT}, {"label_smoothing": 0.2}, {"ignore_index": 1}):
        expected = F.cross_entropy(rows, target.reshape(8), **options).item()
        assert F.cross_entropy(x, target, **options).item() == pytest.approx(expected)
    assert F.cross_entropy(x, target, reduction="none").shape == (2, 4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.2}, {"ignore_index": 2}]
)
def test_gradients_of_cross_entropy(reduction, options):
    def loss(x, function=F.cross_entropy):
        beside = {k: v.to(x.device) if k == "weight" else v for k, v in options.items()}
        return function(x, LABELS.to(x.device), reduction=reduction, **beside)

    check_gradient(loss, (4, 3))
    if "label_smoothing" not in options:
        check_gradient(lambda x: loss(x, F.nll_loss), (4, 3))


def test_gradients_of_cross_entropy_in_other_shapes():
    def smoothed(x, y):
        return F.cross_entropy(x, y.softmax(1), WEIGHT.to(x.device), label_smoothing=0.1)

    check_gradient(lambda x: F.cross_entropy(x, tn.tensor(1, device=x.device)), (3,))
    check_gradient(lambda x: F.cross_entropy(x, LABELS.to(x.device).reshape(2, 2)), (2, 3, 2))
    check_gradient(smoothed, (2, 3), (2, 3))


def test_cross_entropy_of_huge_scores():
    x = tn.tensor([[1e4, -1e4]], requires_grad=True)
    F.cross_entropy(x, tn.tensor([1])).backward()
    assert x.grad.tolist() == [[1.0, -1.0]]


def test_nothing_that_counts():
    x = tn.zeros(2, 3, requires_grad=True)
    loss = F.cross_entropy(x, tn.tensor([-100, -100]))
    assert math.isnan(loss.item())
    loss.backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2
    assert math.isnan(F.cross_entropy(x[:0], LABELS[:0]).item())


def test_binary_cross_entropy():
    p, target = tn.tensor([0.25, 0.9], dtype=tn.float64), tn.tensor([1.0, 0.5], dtype=tn.float64)
    each = [-math.log(0.25), -0.5 * math.log(0.9) - 0.5 * math.log(0.1)]
    assert nn.BCELoss(reduction="none")(p, target).tolist() == pytest.approx(each)
    with_logits = nn.BCEWithLogitsLoss()
    assert with_logits(p.logit(), target).item() == pytest.approx(sum(each) / 2)
    assert nn.BCELoss(weight=tn.tensor([2.0, 0.0]))(p, target).item() == pytest.approx(each[0])
    assert F.binary_cross_entropy(tn.zeros(1), tn.ones(1)).item() == 100  # not infinity
    positive = nn.BCEWithLogitsLoss(pos_weight=tn.tensor(3.0), reduction="none")
    expected = [3 * each[0], -1.5 * math.log(0.9) - 0.5 * math.log(0.1)]
    assert positive(p.logit(), target).tolist() == pytest.approx(expected)


def test_gradients_of_binary_cross_entropy():
    for reduction in REDUCTIONS:
        loss = nn.BCELoss(reduction=reduction)
        check_gradient(loss, (2, 3), (2, 3), low=0.1, high=0.9)
        check_gradient(nn.BCEWithLogitsLoss(reduction=reduction), (2, 3), (2, 3))
    weighted = nn.BCEWithLogitsLoss(tn.tensor([1.0, 2.0, 3.0]), pos_weight=tn.tensor(2.0)).double()
    check_gradient(lambda x, y: weighted.to(x.device)(x, y), (2, 3), (2, 3))
    x = tn.tensor([-1e4, 300.0], requires_grad=True)
    F.binary_cross_entropy_with_logits(x, tn.tensor([1.0, 0.0]), reduction="sum").backward()
    assert x.grad.tolist() == [-1.0, 1.0]


def test_weights_move_with_the_loss():
    loss = nn.CrossEntropyLoss(tn.tensor([0.5, 1.0, 2.0])).double()
    assert loss(SCORES, tn.tensor([2, 1])).dtype is tn.float64
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.NLLLoss().state_dict()) == []
    assert nn.NLLLoss()(SCORES, tn.tensor([2, 1])).item() < 0


S, T = tn.ones(2, 3), tn.tensor([0, 2])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.cross_entropy(S, tn.tensor([0, 3])), DimError,
         "cross_entropy: class index 3 is out of range for 3 classes"),
        (lambda: F.cross_entropy(S, tn.tensor([-1, 0])), DimError,
         "cross_entropy: class index -1 is out of range for 3 classes"),
        (lambda: F.cross_entropy(S, tn.tensor([0, 1, 2])), ShapeError,
         "cross_entropy: target has shape (3,), expected (2,) for input (2, 3)"),
        (lambda: F.cross_entropy(tn.tensor(1.0), T), ShapeError,
         "cross_entropy: input needs at least 1 dim, got shape ()"),
        (lambda: F.nll_loss(tn.tensor(1.0), T), ShapeError,
         "nll_loss: input needs at least 1 dim, got shape ()"),
        (lambda: F.cross_entropy(S, tn.tensor([0.0, 1.0])), DTypeError,
         "cross_entropy: class indices must be int64 or uint8, got tinynet.float32"),
        (lambda: F.cross_entropy(S, tn.ones(2, 3, dtype=tn.int64)), DTypeError,
         "cross_entropy: a target of the input's shape holds probabilities, got tinynet.int64"),
        (lambda: F.cross_entropy(S, S, ignore_index=1), ArgumentError,
         "cross_entropy: ignore_index is for class indices, not probabilities"),
        (lambda: nn.CrossEntropyLoss(ignore_index=1.5)(S, T), ArgumentTypeError,
         "cross_entropy: ignore_index must be an int, got 1.5 (float)"),
        (lambda: nn.NLLLoss(ignore_index=None)(S, T), ArgumentTypeError,
         "nll_loss: ignore_index must be an int, got None (NoneType)"),
        (lambda: F.cross_entropy(S, T, reduction="max"), ArgumentError,
         "cross_entropy: reduction must be 'mean', 'sum' or 'none', got 'max'"),
        (lambda: F.cross_entropy(S, T, label_smoothing=-0.1), ArgumentError,
         "cross_entropy: label_smoothing must be 0 to 1, got -0.1"),
        (lambda: F.cross_entropy(S, T, tn.ones(4)), ShapeError,
         "cross_entropy: weight has shape (4,), expected (3,)"),
        (lambda: F.cross_entropy(S, T, tn.ones(3, dtype=tn.float64)), DTypeError,
         "cross_entropy: weight has tinynet.float64, the input tinynet.float32"),
        (lambda: F.nll_loss(S, T, tn.ones(3, requires_grad=True)), GradientError,
         "nll_loss: weight cannot require grad, use weight.detach()"),
        (lambda: F.cross_entropy(S, [0, 1]), ArgumentTypeError,
         "cross_entropy: target must be a Tensor, got list"),
        (lambda: F.mse_loss(S, tn.ones(4)), ShapeError,
         "mse_loss: shapes (2, 3) and (4,) do not broadcast: sizes 3 and 4 at dim -1"),
        (lambda: F.mse_loss(T, T), DTypeError,
         "mse_loss: expected a floating dtype, got tinynet.int64"),
        (lambda: F.l1_loss(S, S, weight=tn.ones(3)), ShapeError,
         "l1_loss: weight has shape (3,), expected the input's (2, 3)"),
        (lambda: F.smooth_l1_loss(S, S, beta=-1), ArgumentError,
         "smooth_l1_loss: beta cannot be negative, got -1"),
        (lambda: F.binary_cross_entropy(S * 2, S), ArgumentError,
         "binary_cross_entropy: input must lie between 0 and 1, use ..._with_logits for scores"),
        (lambda: F.binary_cross_entropy(S, S.double()), DTypeError,
         "binary_cross_entropy: target has tinynet.float64, the input tinynet.float32"),
        (lambda: F.binary_cross_entropy_with_logits(S, tn.ones(3)), ShapeError,
         "binary_cross_entropy_with_logits: target has shape (3,), expected the input's (2, 3)"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_probabilities_that_are_none():
    half = tn.full((2,), 0.5)
    for wrong in (-0.1, 1.1, math.nan):
        other = tn.tensor([0.5, wrong])
        with pytest.raises(ArgumentError, match="input must lie between 0 and 1"):
            F.binary_cross_entropy(other, half)
        with pytest.raises(ArgumentError, match="target must lie between 0 and 1"):
            F.binary_cross_entropy(half, other)
