"""Embeddings, bags of them, one-hot vectors and `Bilinear`."""

import math

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, DimError, DTypeError, ShapeError

F = nn.functional
INDEX = [[0, 2, 2], [1, 3, 2]]


def test_rows_are_looked_up(on_device):
    layer = nn.Embedding(4, 2, _weight=tn.arange(8.0).reshape(4, 2))
    assert layer(tn.tensor(INDEX)).tolist() == [
        [[0, 1], [4, 5], [4, 5]],
        [[2, 3], [6, 7], [4, 5]],
    ]
    assert layer(tn.tensor(3)).tolist() == [6, 7]
    assert layer(tn.zeros(0, 5, dtype=tn.int64)).shape == (0, 5, 2)


def test_gradients_add_up_by_row(on_device):
    weight = tn.zeros(4, 2, requires_grad=True)
    for options, expected in [
        ({}, [1, 1, 3, 1]),
        ({"padding_idx": 2}, [1, 1, 0, 1]),
        ({"padding_idx": -4}, [0, 1, 3, 1]),
        ({"scale_grad_by_freq": True}, [1, 1, 1, 1]),
    ]:
        weight.grad = None
        F.embedding(tn.tensor(INDEX), weight, **options).sum().backward()
        assert weight.grad.tolist() == [[n, n] for n in expected]


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("mode", ["plain", "sum", "mean", "max"])
def test_gradients(mode, padding_idx):
    def rows(weight):
        index = tn.tensor(INDEX, device=weight.device)
        if mode == "plain":
            return F.embedding(index, weight, padding_idx).square()
        return F.embedding_bag(index, weight, mode=mode, padding_idx=padding_idx)

    if mode != "plain" or padding_idx is None:  # its padding has values, but gets no gradient
        check_gradient(rows, (4, 3))


def test_gradients_of_bilinear():
    check_gradient(F.bilinear, (2, 4, 3), (2, 4, 5), (6, 3, 5), (6,))


def test_long_rows_are_scaled_in_place():
    weight = tn.tensor([[3.0, 4.0], [6.0, 8.0], [0.1, 0.1]])
    y = F.embedding(tn.tensor([0, 0, 2]), weight, max_norm=1.0)
    assert y.tolist() == [weight[0].tolist()] * 2 + [weight[2].tolist()]
    assert weight[0].tolist() == pytest.approx([0.6, 0.8])
    assert weight[1:].tolist() == [[6.0, 8.0], tn.tensor([0.1, 0.1]).tolist()]


def test_how_an_embedding_starts():
    layer = nn.Embedding(300, 50, padding_idx=-1)
    assert layer.padding_idx == 299
    assert layer.weight[299].tolist() == [0.0] * 50
    assert layer.weight[:299].std().item() == pytest.approx(1, abs=0.05)
    table = tn.ones(3, 2)
    frozen = nn.Embedding.from_pretrained(table, padding_idx=1)
    assert not frozen.weight.requires_grad
    table[0] = 5.0
    assert frozen(tn.tensor([0, 1])).tolist() == [[5.0, 5.0], [1.0, 1.0]]  # on the same memory
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert not nn.Embedding(3, 2, _freeze=True).weight.requires_grad
    assert nn.EmbeddingBag.from_pretrained(table, mode="sum").mode == "sum"


def test_training_in_a_recording(on_device):
    def losses(jit):
        tn.manual_seed(1)
        layer = nn.Embedding(5, 3, padding_idx=0, max_norm=2.0)
        bag = nn.EmbeddingBag(5, 3)
        optimizer = tn.optim.SGD([*layer.parameters(), *bag.parameters()], lr=0.5)

        def step(x):
            optimizer.zero_grad()
            loss = (layer(x).mean(1) - bag(x) + F.one_hot(x[:, 0], 5)[:, :3]).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = tn.jit(step) if jit else step
        batches = [[[1, 2], [3, 4]], [[4, 4], [0, 2]], [[2, 0], [1, 1]], [[0, 4], [2, 3]]]
        return [run(tn.tensor(batch) % 5).item() for batch in batches]

    def scale(values):
        return pytest.approx(values, rel=1e-5)

    def only_classes(x):
        return F.one_hot(x, 3)

    assert losses(True) == scale(losses(False))
    run = tn.jit(only_classes)
    assert [run(tn.tensor([i])).tolist() for i in (0, 2, 1, 2)] == [
        [[1, 0, 0]], [[0, 0, 1]], [[0, 1, 0]], [[0, 0, 1]],
    ]  # fmt: skip


def test_bags(on_device):
    weight = tn.tensor([[1.0, 10.0], [2.0, -20.0], [3.0, 30.0]])
    index, offsets = tn.tensor([0, 1, 1, 2]), tn.tensor([0, 3, 3])
    bag = F.embedding_bag
    assert bag(index, weight, offsets, mode="sum").tolist() == [[5, -30], [0, 0], [3, 30]]
    assert bag(index, weight, offsets, mode="max").tolist() == [[2, 10], [0, 0], [3, 30]]
    assert bag(index, weight, offsets, padding_idx=1).tolist() == [[1, 10], [0, 0], [3, 30]]
    both = index.reshape(2, 2)
    assert bag(both, weight).tolist() == [[1.5, -5], [2.5, 5]]
    factors = tn.tensor([[1.0, 2.0], [0.5, 0.0]])
    summed = bag(both, weight, mode="sum", per_sample_weights=factors)
    assert summed.tolist() == [[5, -30], [1, -10]]
    ends = tn.tensor([0, 3, 4])
    layer = nn.EmbeddingBag.from_pretrained(weight, mode="sum", include_last_offset=True)
    assert layer(index, ends).tolist() == [[5, -30], [3, 30]]


def test_bags_by_frequency(on_device):
    weight = tn.zeros(4, 1, requires_grad=True)
    y = F.embedding_bag(tn.tensor(INDEX), weight, mode="sum", scale_grad_by_freq=True)
    y.sum().backward()
    assert weight.grad.tolist() == [[1.0]] * 4


def test_one_hot(on_device):
    assert F.one_hot(tn.tensor([[2], [0]])).tolist() == [[[0, 0, 1]], [[1, 0, 0]]]
    assert F.one_hot(tn.tensor(1), 2).tolist() == [0, 1]
    assert F.one_hot(tn.tensor([1])).dtype is tn.int64


def test_bilinear():
    layer = nn.Bilinear(2, 3, 1)
    with tn.no_grad():
        layer.weight.copy_(tn.tensor([[[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]]]))
        layer.bias.fill_(10.0)
    assert layer(tn.tensor([[1.0, 2.0]]), tn.tensor([[3.0, 4.0, 5.0]])).tolist() == [[15.0]]
    for parameter in nn.Bilinear(25, 40, 30).parameters():
        assert 0.15 < parameter.abs().max().item() <= 0.2
    assert nn.Bilinear(2, 3, 1, bias=False).bias is None


W = tn.ones(4, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.embedding(tn.tensor([1.0]), W), DTypeError,
         "embedding: indices must be int64 or int32, got tinynet.float32"),
        (lambda: F.embedding(tn.tensor([1]), W[0]), ShapeError,
         "embedding: weight must be (number, size), got shape (3,)"),
        (lambda: F.embedding(tn.tensor([0, 4]), W), DimError,
         "embedding: index 4 is out of range for 4 rows"),
        (lambda: F.embedding(tn.tensor([-1]), W), DimError,
         "embedding: index -1 is out of range for 4 rows"),
        (lambda: F.embedding(tn.tensor([1]), W, sparse=True), ArgumentError,
         "embedding: there are no sparse gradients, expected sparse=False"),
        (lambda: nn.Embedding(4, 3, padding_idx=4), ArgumentError,
         "Embedding: padding_idx must be within 4 rows, got 4"),
        (lambda: nn.Embedding(4, 3, _weight=W.T), ShapeError,
         "Embedding: _weight has shape (3, 4), expected (4, 3)"),
        (lambda: nn.Embedding.from_pretrained(W[0]), ShapeError,
         "Embedding: embeddings must have 2 dims, got shape (3,)"),
        (lambda: nn.EmbeddingBag(4, 3, sparse=True), ArgumentError,
         "EmbeddingBag: there are no sparse gradients, expected sparse=False"),
        (lambda: F.embedding_bag(tn.tensor([1]), W), ArgumentError,
         "embedding_bag: an input of 1 dim needs a vector of offsets"),
        (lambda: F.embedding_bag(tn.tensor([1, 2]), W, tn.tensor([1])), ArgumentError,
         "embedding_bag: offsets must rise from 0 to at most 2, got [1]"),
        (lambda: F.embedding_bag(tn.tensor([[1]]), W, mode="product"), ArgumentError,
         "embedding_bag: mode must be one of ('sum', 'mean', 'max'), got 'product'"),
        (lambda: F.one_hot(tn.tensor([3]), 2), DimError,
         "one_hot: index 3 is out of range for 2 classes"),
        (lambda: F.one_hot(tn.tensor([-1])), DimError,
         "one_hot: index -1 is out of range for 0 classes"),
        (lambda: F.bilinear(tn.ones(2, 3), tn.ones(2, 4), tn.ones(5, 4, 4)), ShapeError,
         "bilinear: inputs (2, 3) and (2, 4) do not fit weight (5, 4, 4): expected (*, in1), "
         "(*, in2) and (out, in1, in2)"),
        (lambda: nn.Bilinear(0, 1, 1), ArgumentError,
         "Bilinear: in1_features must be positive, got 0"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_an_infinite_norm():
    weight = tn.tensor([[3.0, 4.0]])
    assert F.embedding(tn.tensor([0]), weight, None, 1.0, math.inf).tolist()[0] == pytest.approx(
        [0.75, 1.0]
    )
