"""Recurrent networks and embeddings: values by hand, gradients, jit, what is refused."""

import math
import re

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, ArgumentTypeError, ShapeError

F = nn.functional


def filled(layer, value):
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_a_step_by_hand(on_device):
    """All weights 0.5, the input 1, the state 0.2: each gate's sum is 1.6."""
    x, h = tn.ones(1, 1), tn.full((1, 1), 0.2)
    assert filled(nn.RNNCell(1, 1), 0.5)(x, h).item() == pytest.approx(math.tanh(1.6))
    y, c = filled(nn.LSTMCell(1, 1), 0.5)(x, (h, h))
    state = sigmoid(1.6) * 0.2 + sigmoid(1.6) * math.tanh(1.6)
    assert c.item() == pytest.approx(state)
    assert y.item() == pytest.approx(sigmoid(1.6) * math.tanh(state))
    new = math.tanh(1.0 + sigmoid(1.6) * 0.6)
    expected = (1 - sigmoid(1.6)) * new + sigmoid(1.6) * 0.2
    assert filled(nn.GRUCell(1, 1), 0.5)(x, h).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_sequences_are_steps_of_cells(on_device, kind):
    tn.manual_seed(0)
    layer, cell = getattr(nn, kind)(3, 4, batch_first=True), getattr(nn, kind + "Cell")(3, 4)
    for a, b in zip(cell.parameters(), layer.parameters()):
        a.detach().copy_(b.detach())
    x, state = tn.randn(2, 5, 3), None
    output, last = layer(x)
    for t in range(5):
        state = cell(x[:, t], state)
        h = state[0] if kind == "LSTM" else state
        assert tn.allclose(output[:, t], h, atol=1e-6)
    assert tn.allclose(last[0][0] if kind == "LSTM" else last[0], h, atol=1e-6)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_other_direction_reads_backwards(kind):
    tn.manual_seed(0)
    both = getattr(nn, kind)(3, 4, bidirectional=True)
    one = getattr(nn, kind)(3, 4)
    for name, parameter in one.named_parameters():
        parameter.detach().copy_(both.get_parameter(name + "_reverse").detach())
    x = tn.randn(5, 2, 3)
    assert tn.allclose(both(x)[0][..., 4:], one(x.flip(0))[0].flip(0), atol=1e-6)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_gradients(on_device, kind):
    layer = getattr(nn, kind)(2, 3).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        for name, weight in zip(names, weights):
            setattr(other, name, None)
            object.__setattr__(other, name, weight)
        return other(x)[0]

    other = getattr(nn, kind)(2, 3)
    check_gradient(run, (3, 2, 2), *[tuple(p.shape) for p in layer.parameters()])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_recorded_step_learns_which_came_first(on_device, kind):
    tn.manual_seed(0)
    embedding, layer, head = nn.Embedding(6, 8), getattr(nn, kind)(8, 16), nn.Linear(16, 6)
    model = nn.ModuleList([embedding, layer, head])
    optimizer = tn.optim.Adam(model.parameters(), lr=0.02)

    @tn.jit
    def step(x):
        scores = head(layer(embedding(x))[0][-1])
        loss = F.cross_entropy(scores, x[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = [step(tn.randint(6, (6, 32))).item() for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    assert step.count == 1


def test_dropout_is_between_layers_in_training():
    tn.manual_seed(0)
    layer, x = nn.GRU(3, 8, num_layers=2, dropout=0.5), tn.randn(4, 2, 3)
    assert not tn.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert tn.equal(layer(x)[0], layer(x)[0])


def test_rows_of_a_table(on_device):
    layer = nn.Embedding(4, 2, padding_idx=1)
    assert layer.weight[1].tolist() == [0, 0]
    places = tn.tensor([[0, 1], [3, 3]])
    y = layer(places)
    assert tn.equal(y[1, 0], layer.weight[3])
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [2, 2]]
    assert F.one_hot(places, 5).sum((0, 1)).tolist() == [1, 1, 0, 2, 0]


X = tn.zeros(3, 2, 4)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.LSTM(4, 5)(X[..., 1:]), ShapeError,
         "LSTM: got shape (3, 2, 3), expected (length, n, 4), or n first, or without n"),
        (lambda: nn.LSTM(4, 5)(X, tn.zeros(1, 2, 5)), ArgumentTypeError,
         "LSTM: hx must be a pair (h, c), got Tensor"),
        (lambda: nn.GRU(4, 5, bidirectional=True)(X, tn.zeros(1, 2, 5)), ShapeError,
         "GRU: hx has shape (1, 2, 5), expected (2, 2, 5)"),
        (lambda: nn.RNN(4, 5)(X[:0]), ShapeError,
         "RNN: got shape (0, 2, 4), expected at least one step"),
        (lambda: nn.RNN(4, 5, nonlinearity="sin"), ArgumentError,
         "RNN: nonlinearity must be 'tanh' or 'relu', got 'sin'"),
        (lambda: nn.LSTM(4, 5, proj_size=5), ArgumentError,
         "LSTM: proj_size must be 0 or more and less than hidden_size 5, got 5"),
        (lambda: nn.GRUCell(4, 5)(X), ShapeError,
         "GRUCell: got shape (3, 2, 4), expected (n, 4) or (4,)"),
        (lambda: nn.Embedding(4, 5, sparse=True), ArgumentError,
         "Embedding: sparse=True is not there, expected False"),
        (lambda: F.one_hot(tn.tensor([3]), 3), ArgumentError, "one_hot: class 3 is none of 0 to 2"),
        (lambda: nn.Bilinear(4, 4, 2)(X, X[0]), ShapeError,
         "bilinear: input1 (3, 2, 4), input2 (2, 4) and weight (2, 4, 4) do not fit, expected "
         "(*, m), (*, n) and (outputs, m, n)"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()
