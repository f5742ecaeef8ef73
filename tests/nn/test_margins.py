"""Losses of margins and likelihoods: values by hand, what is refused, jit."""

import math
import re

import pytest

import tinynet as tn
from tests.ops.checks import check_gradient
from tinynet import nn
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, DTypeError, ShapeError

F = nn.functional


def number(x):
    return pytest.approx(x, rel=1e-6)


def test_hinge_loss_of_classes(on_device):
    scores, labels = tn.tensor([[3.0, 2.5, -1.0], [0.0, 1.0, 1.5]]), tn.tensor([0, 2])
    assert nn.MultiMarginLoss(reduction="none")(scores, labels).tolist() == [
        number(0.5 / 3), number(0.5 / 3),
    ]  # fmt: skip
    assert nn.MultiMarginLoss(p=2, margin=2.0)(scores, labels).item() == number(
        (1.5**2 + 0.5**2 + 1.5**2) / 6
    )
    weight = tn.tensor([2.0, 1.0, 4.0])
    assert nn.MultiMarginLoss(weight=weight, reduction="sum")(scores, labels).item() == number(1.0)


def test_scores_of_several_right_classes(on_device):
    scores, labels = tn.tensor([[0.1, 0.2, 0.4, 0.8]]), tn.tensor([[3, 0, -1, 1]])
    expected = 0.25 * (
        (1 - (0.1 - 0.2)) + (1 - (0.1 - 0.4)) + (1 - (0.8 - 0.2)) + (1 - (0.8 - 0.4))
    )
    assert nn.MultiLabelMarginLoss()(scores, labels).item() == number(expected)
    yes = nn.MultiLabelSoftMarginLoss()(tn.tensor([[0.0, 2.0]]), tn.tensor([[1.0, 0.0]]))
    assert yes.item() == number((math.log(2) + math.log1p(math.exp(2))) / 2)


def test_pairs_and_triplets(on_device):
    a, b, target = tn.tensor([1.0, 2.0]), tn.tensor([0.5, 3.0]), tn.tensor([1.0, 1.0])
    assert nn.MarginRankingLoss(0.25, reduction="none")(a, b, target).tolist() == [0.0, 1.25]
    assert nn.HingeEmbeddingLoss(reduction="none")(b, tn.tensor([-1.0, 1.0])).tolist() == [0.5, 3.0]
    assert nn.SoftMarginLoss()(a, target).item() == number(
        (math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 2
    )
    x, y, z = tn.tensor([[0.0, 0.0]]), tn.tensor([[3.0, 4.0]]), tn.tensor([[0.0, 2.0]])
    assert nn.TripletMarginLoss()(x, y, z).item() == number(5 - 2 + 1)
    assert nn.TripletMarginLoss(swap=True)(x, z, y).item() == 0
    assert nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().amax(-1))(
        x, y, z
    ).item() == number(4 - 2 + 1)
    assert nn.CosineEmbeddingLoss(reduction="none")(y, z, tn.tensor([1])).tolist() == [number(0.2)]
    assert nn.CosineEmbeddingLoss(0.5)(y, z, tn.tensor([-1])).item() == number(0.3)
    assert nn.PairwiseDistance(1.0)(y, z).tolist() == [number(5.0)]
    assert nn.CosineSimilarity()(y, -z).tolist() == [number(-0.8)]


def test_likelihoods(on_device):
    x, y = tn.tensor([1.0, 2.0]), tn.tensor([3.0, 2.0])
    gaussian = nn.GaussianNLLLoss(full=True, reduction="none")(x, y, tn.tensor([4.0, 1.0]))
    half = 0.5 * math.log(2 * math.pi)
    assert gaussian.tolist() == [number(0.5 * (math.log(4) + 1) + half), number(half)]
    poisson = nn.PoissonNLLLoss(log_input=False, reduction="none")(x, y)
    assert poisson.tolist() == [number(1.0), number(2 - 2 * math.log(2))]
    p, q = tn.tensor([[0.5, 0.5]]), tn.tensor([[0.25, 0.75]])
    divergence = nn.KLDivLoss(reduction="batchmean")(q.log(), p).item()
    assert divergence == number(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert nn.KLDivLoss(reduction="sum", log_target=True)(q.log(), p.log()).item() == number(
        divergence
    )
    assert nn.HuberLoss(delta=0.5, reduction="none")(x, y).tolist() == [0.875, 0.0]


def test_gradients(on_device):
    labels, signs = tn.tensor([0, 2]), tn.tensor([1.0, -1.0], dtype=tn.float64)
    check_gradient(lambda x: F.multi_margin_loss(x, labels.to(x.device), p=2), (2, 3))
    check_gradient(
        lambda x, y: F.cosine_embedding_loss(x, y, signs.to(x.device), margin=-2.0), (2, 3), (2, 3)
    )
    check_gradient(F.triplet_margin_loss, (2, 3), (2, 3), (2, 3))
    check_gradient(lambda x, y, v: F.gaussian_nll_loss(x, y, v.exp()), (2, 3), (2, 3), (2, 3))
    check_gradient(lambda x, y: F.kl_div(x, y, reduction="sum", log_target=True), (2, 3), (2, 3))
    check_gradient(F.pairwise_distance, (2, 3), (2, 3))
    check_gradient(F.cosine_similarity, (2, 3), (2, 3))
    assert F.cosine_similarity(tn.ones(3, 2), tn.ones(1, 1)).tolist() == pytest.approx([1] * 3)
    assert F.cosine_similarity(tn.ones(3, 2), tn.ones(2)).tolist() == pytest.approx([1] * 3)
    check_gradient(F.cosine_similarity, (3, 2), (1, 1))
    zero = tn.zeros(2, requires_grad=True)
    F.cosine_similarity(zero, tn.tensor([3.0, 4.0]), dim=0).backward()
    assert zero.grad.tolist() == pytest.approx([0.6e8, 0.8e8])


def test_hinges_of_integers_are_integers(on_device):
    x, signs = tn.tensor([1, 2]), tn.tensor([1, -1])
    loss = F.hinge_embedding_loss(x, signs, margin=3.7, reduction="none")
    assert (loss.dtype, loss.tolist()) == (tn.int64, [1, 1])


def test_classes_that_broadcast_are_the_inputs(on_device):
    x, target = tn.tensor([[1.0], [2.0]]), tn.ones(1, 4)
    loss = F.multilabel_soft_margin_loss(x, target, reduction="none")
    expected = [4 * math.log1p(math.exp(-score)) for score in (1, 2)]
    assert loss.tolist() == pytest.approx(expected)


def test_a_step_is_recorded(on_device):
    tn.manual_seed(0)
    model, loss_of = (
        nn.Sequential(nn.Linear(4, 3), nn.PReLU(), nn.Linear(3, 3)),
        nn.MultiMarginLoss(),
    )
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

    @tn.jit
    def step(x, labels):
        spread = F.gaussian_nll_loss(x, x * 0, tn.ones(5, 4, device=x.device))
        loss = loss_of(model(x), labels) + spread * 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    x, labels = tn.randn(5, 4), tn.tensor([0, 1, 2, 0, 1])
    losses = [step(x, labels).item() for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    assert step.count == 1


def test_gumbel_softmax(on_device):
    logits = tn.tensor([1.0, 2.0, 3.0]).log().expand(4000, 3)
    soft = F.gumbel_softmax(logits, tau=0.5)
    assert tn.allclose(soft.sum(1), tn.ones(4000))
    hard = F.gumbel_softmax(logits, hard=True)
    assert sorted({round(v, 5) for row in hard.tolist() for v in row}) == [0, 1]
    assert hard.mean(0).tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.03)
    logits = logits.clone().requires_grad_()
    F.gumbel_softmax(logits, hard=True)[:, 0].sum().backward()
    assert logits.grad.abs().max().item() > 0


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
def test_gumbel_softmax_in_half_precision(dtype, on_device):
    logits = tn.randn(50, 4).to(dtype)
    tn.manual_seed(5)
    expected = F.gumbel_softmax(logits.float()).to(dtype)
    tn.manual_seed(5)
    assert tn.equal(F.gumbel_softmax(logits), expected)


def test_random_slopes(on_device):
    x = -tn.ones(2000)
    y = F.rrelu(x, 0.2, 0.6, training=True)
    assert -0.6 <= y.min().item() < y.max().item() <= -0.2
    assert y.mean().item() == pytest.approx(-0.4, abs=0.01)
    layer = nn.RReLU(0.2, 0.6).eval()
    assert layer(x).tolist() == pytest.approx([-0.4] * 2000)


X, LABELS = tn.zeros(2, 3), tn.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.multi_margin_loss(X, LABELS, p=3), ArgumentError,
         "multi_margin_loss: p must be 1 or 2, got 3"),
        (lambda: F.multi_margin_loss(X, LABELS.float()), DTypeError,
         "multi_margin_loss: target has dtype tinynet.float32, expected int64"),
        (lambda: F.multilabel_margin_loss(X, LABELS), ShapeError,
         "multilabel_margin_loss: target has shape (2,), expected (2, 3)"),
        (lambda: F.cosine_embedding_loss(X, X, X), ShapeError,
         "cosine_embedding_loss: expected (n, d), (n, d) and (n,), or (d,), (d,) and (), got "
         "(2, 3), (2, 3) and (2, 3)"),
        (lambda: F.triplet_margin_loss(X, X, X, margin=0), ArgumentError,
         "triplet_margin_loss: margin must be positive, got 0"),
        (lambda: F.gaussian_nll_loss(X, X, X - 1), ArgumentError,
         "gaussian_nll_loss: var has a negative number"),
        (lambda: F.gaussian_nll_loss(X, X, tn.ones(3)), ShapeError,
         "gaussian_nll_loss: var has shape (3,), input (2, 3)"),
        (lambda: F.kl_div(X, LABELS), DTypeError,
         "kl_div: expected a floating dtype, got tinynet.int64"),
        (lambda: F.huber_loss(X, X, delta=0), ArgumentError,
         "huber_loss: delta must be positive, got 0"),
        (lambda: F.prelu(X, tn.ones(2)), ShapeError,
         "prelu: weight has shape (2,), expected 1 number or 3, one for each channel of (2, 3)"),
        (lambda: F.glu(X), ShapeError, "glu: dim -1 of (2, 3) has odd size 3, expected halves"),
        (lambda: F.softshrink(X, -1), ArgumentError,
         "softshrink: lambd cannot be negative, got -1"),
        (lambda: nn.Softmax2d()(X), ShapeError,
         "Softmax2d: expected (n, c, h, w) or (c, h, w), got (2, 3)"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        (F.hinge_embedding_loss, ["input", "target"]),
        (F.soft_margin_loss, ["input", "target"]),
        (F.margin_ranking_loss, ["input1", "input2", "target"]),
        (F.multi_margin_loss, ["input", "target"]),
        (F.multilabel_margin_loss, ["input", "target"]),
        (F.multilabel_soft_margin_loss, ["input", "target"]),
        (F.cosine_embedding_loss, ["input1", "input2", "target"]),
        (F.triplet_margin_loss, ["anchor", "positive", "negative"]),
        (F.triplet_margin_with_distance_loss, ["anchor", "positive", "negative"]),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_is_no_tensor(loss, names):
    for name in names:
        given = {**dict.fromkeys(names, X), name: 1.0}
        message = f"{loss.__name__}: {name} must be a Tensor, got float"
        with pytest.raises(ArgumentTypeError, match=f"^{message}$"):
            loss(**given)


def test_classes_that_are_none():
    x = tn.tensor([[0.1, 0.2, 0.3]])
    for wrong in (-1, 3):
        with pytest.raises(DimError, match=f"index {wrong} is out of range"):
            F.multi_margin_loss(x, tn.tensor([wrong])).item()
    for wrong in (-2, 3):
        with pytest.raises(DimError, match=f"index {wrong} is out of range"):
            F.multilabel_margin_loss(x, tn.tensor([[0, wrong, -1]])).item()
