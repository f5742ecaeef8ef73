"""Recurrent layers and cells against plain loops in NumPy; the recorded step; misuse."""

import gc
import weakref

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.autograd.gradcheck import check_gradient
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinynet.nn.utils.rnn import pack_padded_sequence
from tinynet.ops.recurrence import Recurrence, gru_cell, lstm, lstm_cell, lstm_in_steps


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(x, h, c, w, u, b, v):
    return np.tanh(x @ w.T + b + h @ u.T + v), c


def lstm_step(x, h, c, w, u, b, v):
    i, f, g, o = np.split(x @ w.T + b + h @ u.T + v, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, c, w, u, b, v):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(x @ w.T + b, 3, 1), np.split(h @ u.T + v, 3, 1)
    n = np.tanh(x_n + sigmoid(x_r + h_r) * h_n)
    z = sigmoid(x_z + h_z)
    return (1 - z) * n + z * h, c


KINDS = [("RNN", rnn_step), ("LSTM", lstm_step), ("GRU", gru_step)]


@pytest.mark.parametrize(("name", "step"), KINDS)
def test_steps_follow_one_another(name, step, on_device):
    layer = getattr(nn, name)(3, 4)
    x = tn.randn(5, 2, 3)
    w, u, b, v = (p.detach().cpu().numpy() for p in layer.parameters())
    h = c = np.zeros((2, 4))
    expected = []
    for row in x.cpu().numpy():
        h, c = step(row, h, c, w, u, b, v)
        expected.append(h)
    y, last = layer(x)
    last = last if name == "LSTM" else (last, c[None])
    np.testing.assert_allclose(y.tolist(), expected, atol=1e-6)
    np.testing.assert_allclose(np.array(last[0].tolist())[0], h, atol=1e-6)
    np.testing.assert_allclose(np.array(last[1].tolist()).squeeze(), c.squeeze(), atol=1e-6)


@pytest.mark.parametrize(("name", "step"), KINDS)
def test_a_cell_is_a_step(name, step, on_device):
    cell, layer = getattr(nn, name + "Cell")(3, 4), getattr(nn, name)(3, 4)
    layer.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    x, state = tn.randn(6, 2, 3), None
    for row in x:
        state = cell(row, state)
    h = state[0] if name == "LSTM" else state
    np.testing.assert_allclose(h.tolist(), layer(x)[0][-1].tolist(), atol=1e-6)
    alone = cell(x[0, 0])
    alone = alone[0] if name == "LSTM" else alone
    np.testing.assert_allclose(alone.tolist(), layer(x)[0][0, 0].tolist(), atol=1e-6)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_backwards_is_forwards_from_the_end(name):
    both, one = getattr(nn, name)(3, 4, bidirectional=True), getattr(nn, name)(3, 4)
    state = both.state_dict()
    one.load_state_dict({key: state[f"{key}_reverse"] for key in one.state_dict()})
    x = tn.randn(5, 2, 3)
    np.testing.assert_array_equal(both(x)[0][..., 4:].tolist(), one(x.flip(0))[0].flip(0).tolist())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_are_as_if_alone(name, bidirectional, on_device):
    layer = getattr(nn, name)(3, 4, 2, bidirectional=bidirectional)
    x, lengths = tn.randn(4, 3, 3), [2, 4, 1]
    count = 4 if bidirectional else 2
    h, c = tn.randn(2, count, 3, 4)
    states = (h, c) if name == "LSTM" else h
    y, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), states)
    rows, _ = nn.utils.rnn.pad_packed_sequence(y)
    for i, n in enumerate(lengths):
        alone, ended = layer(x[:n, i], (h[:, i], c[:, i]) if name == "LSTM" else h[:, i])
        np.testing.assert_allclose(rows[:n, i].tolist(), alone.tolist(), atol=1e-6)
        assert rows[n:, i].abs().sum().item() == 0
        for a, b in zip(last, ended, strict=True) if name == "LSTM" else [(last, ended)]:
            np.testing.assert_allclose(a[:, i].tolist(), b.tolist(), atol=1e-6)


def test_gradients():
    check_gradient(lambda s, c: tn.cat(lstm_cell(s, c), 1), (2, 8), (2, 2))
    check_gradient(gru_cell, (2, 6), (2, 6), (2, 2))

    def recurrence(weight, bias, addend, h):
        sums = Recurrence(weight, bias, addend)
        first = sums(h, 2).tanh()  # rows 2 and 3; rows 0, 1 and 6 are left out
        return sums(first * h, 4)

    check_gradient(recurrence, (3, 3), (3,), (7, 3), (2, 3))


def test_the_gradient_of_a_weight_is_one_product(monkeypatch):
    layer = nn.LSTM(3, 4)
    y, _ = layer(tn.randn(20, 2, 3))
    calls = []
    backend = y.backend
    matmul = type(backend).matmul
    monkeypatch.setattr(
        type(backend), "matmul", lambda self, a, b: calls.append(a.shape) or matmul(self, a, b)
    )
    y.sum().backward()
    assert calls.count((16, 40)) == 2  # one for each weight
    assert calls.count((2, 16)) == 19  # one for each state but the first
    assert len(calls) == 21


@pytest.mark.parametrize("is_reverse", [False, True])
def test_all_steps_at_once_are_as_one_by_one(is_reverse, on_device):
    """Values and gradients, of the first and of the second order, also of few of the inputs."""
    operands = [tn.randn(20, 12), tn.randn(12, 3), tn.randn(4, 3), tn.randn(4, 3)]
    weights = [tn.randn(20, 3), tn.randn(4, 3)]
    for needed in ([0, 1, 2, 3], [1], [0, 2], [3]):
        found = []
        for function in (lstm, lstm_in_steps):
            inputs = [x.clone().requires_grad_(i in needed) for i, x in enumerate(operands)]
            leaves = [inputs[i] for i in needed]
            y, c = function(*inputs, is_reverse)
            loss = (y * weights[0]).sum() + (c * weights[1]).sum()
            first = tn.autograd.grad(loss, leaves, retain_graph=True)
            again = tn.autograd.grad(loss, leaves, create_graph=True)
            second = tn.autograd.grad(sum((x * x).sum() for x in again), leaves)
            found.append([x.cpu().numpy() for x in (y.detach(), c.detach(), *first, *second)])
        for x, right in zip(*found, strict=True):
            np.testing.assert_allclose(x, right, rtol=1e-4, atol=1e-5 * abs(right).max())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_training_in_a_recording(name, on_device):
    def losses(jit):
        tn.manual_seed(1)
        options = {"num_layers": 2, "dropout": 0.25} if name == "RNN" else {}
        layer = getattr(nn, name)(3, 4, batch_first=True, **options)
        optimizer = tn.optim.Adam(layer.parameters(), lr=0.05)

        def step(x):
            optimizer.zero_grad()
            y, _ = layer(x)
            loss = (y - x.sum(2, keepdim=True)).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = tn.jit(step) if jit else step
        return [run(tn.randn(2, 3, 3)).item() for _ in range(5)]

    assert losses(True) == pytest.approx(losses(False), rel=1e-4)


def test_packing_in_a_recording(on_device):
    layer = nn.GRU(3, 4)

    def step(x):
        y, _ = layer(pack_padded_sequence(x, [1, 3], enforce_sorted=False))
        return nn.utils.rnn.pad_packed_sequence(y)[0]

    run = tn.jit(step)
    for _ in range(4):
        x = tn.randn(3, 2, 3)
        np.testing.assert_allclose(run(x).tolist(), step(x).tolist(), atol=1e-6)


def test_a_step_leaves_no_garbage():
    layer = nn.LSTM(3, 4, bidirectional=True)
    gc.collect()
    gc.disable()
    try:
        y, _ = layer(tn.randn(4, 2, 3))
        y.sum().backward()
        node = weakref.ref(y.grad_fn)
        del y, _
        assert node() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_names_and_shapes_of_weights():
    layer = nn.LSTM(5, 6, 2, bidirectional=True, proj_size=2)
    shapes = {name: x.shape for name, x in layer.state_dict().items()}
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    assert list(shapes)[:10] == [f"{name}_l0{end}" for end in ("", "_reverse") for name in names]
    assert [shapes[f"{name}_l1_reverse"] for name in names] == [
        (24, 4), (24, 2), (24,), (24,), (2, 6),
    ]  # fmt: skip
    assert [len(weights) for weights in layer.all_weights] == [5] * 4
    layer.flatten_parameters()
    for x in nn.GRU(3, 25).parameters():
        assert 0.15 < x.abs().max().item() <= 0.2


def test_reprs():
    layer = nn.LSTM(3, 4, 2, False, True, 0.5, True, 2)
    assert repr(layer) == (
        "LSTM(3, 4, proj_size=2, num_layers=2, bias=False, batch_first=True, dropout=0.5, "
        "bidirectional=True)"
    )
    assert repr(nn.RNNCell(3, 4, False, "relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


def test_dropout_without_a_layer_behind():
    with pytest.warns(UserWarning, match=r"dropout=0.5 is between layers, and there is only one"):
        nn.GRU(3, 4, dropout=0.5)


X, H = tn.zeros(5, 2, 3), tn.zeros(1, 2, 4)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), ArgumentError,
         "RNN: nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"),
        (lambda: nn.GRU(3, 4, 0), ArgumentError, "GRU: num_layers must be positive, got 0"),
        (lambda: nn.GRU(3.0, 4), ArgumentTypeError, "GRU: input_size must be an int, got float"),
        (lambda: nn.GRU(3, 4, bias=1), ArgumentTypeError, "GRU: bias must be a bool, got int"),
        (lambda: nn.GRU(3, 4, dropout=1.5), ArgumentError,
         "GRU: dropout must be between 0 and 1, got 1.5"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ArgumentError,
         "LSTM: proj_size must be 0 or less than hidden_size 4, got 4"),
        (lambda: nn.LSTM(3, 4)(X[0, 0]), ShapeError,
         "LSTM: expected 2 or 3 dims, got shape (3,)"),
        (lambda: nn.LSTM(3, 4)(X[:0]), ShapeError,
         "LSTM: expected at least one time step, got shape (0, 2, 3)"),
        (lambda: nn.LSTM(3, 4)(X[..., 1:]), ShapeError,
         "LSTM: input (5, 2, 2) has a last size of 2, expected input_size 3"),
        (lambda: nn.LSTM(3, 4)(X.double()), DTypeError,
         "LSTM: input has tinynet.float64, the weights tinynet.float32"),
        (lambda: nn.LSTM(3, 4)(X, H), ArgumentTypeError,
         "LSTM: hx must be a pair of tensors, got Tensor"),
        (lambda: nn.LSTM(3, 4)(X, (H, H[:, :1])), ShapeError,
         "LSTM: hx[1] has shape (1, 1, 4), expected (1, 2, 4)"),
        (lambda: nn.GRU(3, 4)(X[:, 0], H), ShapeError,
         "GRU: hx has shape (1, 2, 4), expected (1, 4)"),
        (lambda: nn.GRU(3, 4)(X, H.double()), DTypeError,
         "GRU: hx has tinynet.float64, the input tinynet.float32"),
        (lambda: nn.GRU(3, 4)(pack_padded_sequence(X[..., 0], [2, 1])), ShapeError,
         "GRU: packed data must have 2 dims, got shape (3,)"),
        (lambda: nn.GRUCell(3, 4)(X), ShapeError,
         "GRUCell: expected 1 or 2 dims, got shape (5, 2, 3)"),
        (lambda: nn.GRUCell(3, 4)(X[0, :, 1:]), ShapeError,
         "GRUCell: input (2, 2) has a last size of 2, expected input_size 3"),
        (lambda: nn.GRUCell(3, 4)(X[0], H[0, 0]), ShapeError,
         "GRUCell: hx has shape (4,), expected (2, 4)"),
        (lambda: nn.LSTMCell(3, 4)(X[0], H[0, :1]), ArgumentTypeError,
         "LSTMCell: hx must be a pair of tensors, got tensor([[0., 0., 0., 0.]])"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="x")(X[0]), ArgumentError,
         "RNNCell: nonlinearity must be 'tanh' or 'relu', got 'x'"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
