"""Dropout of elements and of whole channels: how often, how scaled, repeatable."""

import math

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, DTypeError, ShapeError

pytestmark = pytest.mark.usefixtures("on_device")
F = nn.functional
CHANNELS = {"dropout1d": (60, 50, 4), "dropout2d": (60, 50, 2, 3), "dropout3d": (60, 50, 1, 2, 3)}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_go_together(name):
    x = tn.ones(CHANNELS[name], requires_grad=True)
    y = getattr(F, name)(x, 0.2)
    rows = y.reshape(3000, -1)
    assert rows.amax(1).tolist() == rows.amin(1).tolist()
    assert set(rows[:, 0].tolist()) == {0.0, 1.25}
    assert (rows[:, 0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.03)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_channels_of_a_single_example():
    for function, shape in ((F.dropout1d, (400, 3)), (F.dropout3d, (400, 1, 2, 2))):
        rows = function(tn.ones(shape)).reshape(400, -1)
        assert rows.amax(1).tolist() == rows.amin(1).tolist()
        assert 0.35 < (rows[:, 0] == 0).float().mean().item() < 0.65


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(name, p):
    x = tn.randn(200, 300)
    y = getattr(F, name)(x, p, training=True)
    assert y.mean().item() == pytest.approx(0, abs=0.03)
    assert y.std().item() == pytest.approx(1, abs=0.03)
    scale = 1 / math.sqrt((1.7580993408473766**2 * p + 1) * (1 - p))
    low = 1.7580993408473766 * scale * (p - 1)
    assert ((y - low).abs() < 1e-5).float().mean().item() == pytest.approx(p, abs=0.05)


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16, tn.float64], ids=str)
@pytest.mark.parametrize("name", ["dropout", "dropout1d", "alpha_dropout", "feature_alpha_dropout"])
def test_dtypes_stay(name, dtype):
    x = tn.ones(20, 30, 2, dtype=dtype, requires_grad=True)
    y = getattr(F, name)(x, 0.3, training=True)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
    if dtype is tn.float64 and "alpha" not in name:
        assert set(y.reshape(-1).tolist()) == {0.0, 1 / 0.7}


@pytest.mark.parametrize("dtype", [tn.float16, tn.bfloat16], ids=str)
def test_rare_drops_in_half_precision(dtype):
    x = tn.ones(100_000, dtype=dtype)
    dropped = (F.dropout(x, 0.001) == 0).float().mean().item()
    assert dropped == pytest.approx(0.001, abs=0.0004)
    tn.manual_seed(5)
    expected = F.dropout(x.float(), 0.3) == 0
    tn.manual_seed(5)
    assert tn.equal(F.dropout(x, 0.3) == 0, expected)


def test_alpha_dropout_of_channels():
    x = tn.ones(60, 50, 4)
    rows = nn.FeatureAlphaDropout(0.2)(x).reshape(3000, 4)
    assert rows.amax(1).tolist() == rows.amin(1).tolist()
    assert len({round(value, 4) for value in rows[:, 0].tolist()}) == 2


def test_gradients_of_alpha_dropout():
    x = tn.ones(100, requires_grad=True)
    y = F.alpha_dropout(x, 0.5, training=True)
    y.sum().backward()
    is_kept = y == y.max()
    assert (x.grad == 0).tolist() == (~is_kept).tolist()


@pytest.mark.parametrize("kind", [nn.Dropout1d, nn.Dropout3d, nn.AlphaDropout])
def test_modes_and_memory(kind):
    x = tn.ones(4, 50, 2) if kind is not nn.Dropout3d else tn.ones(4, 50, 2, 1, 1)
    assert kind().eval()(x) is x
    assert kind(0.0)(x) is x
    assert kind(1.0)(x).abs().sum().item() == 0
    first = kind()(x)
    assert first.tolist() != kind()(x).tolist()
    tn.manual_seed(0)
    assert kind()(x).shape == first.shape
    assert kind(inplace=True)(x) is x
    assert x.std().item() > 0


def test_repeatable_whatever_the_order_in_memory():
    x = tn.ones(5, 4, 3, 2)
    tn.manual_seed(3)
    expected = F.dropout2d(x)
    tn.manual_seed(3)
    assert F.dropout2d(x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)).tolist() == (
        expected.tolist()
    )


def test_replays_draw_anew():
    step = tn.jit(nn.Dropout2d())
    x = tn.ones(8, 8, 1, 1)
    drawn = [step(x).tolist() for _ in range(4)]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])


def test_dims_that_dropout2d_is_not_made_for():
    with pytest.warns(UserWarning, match=r"dropout2d: an input of 3 dims is read as \(n, c, leng"):
        F.dropout2d(tn.ones(2, 3, 4))
    with pytest.warns(UserWarning, match=r"dropout3d: not made for shape \(2, 3\): use dropout"):
        F.dropout3d(tn.ones(2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.dropout1d(tn.ones(3)), ShapeError,
         "dropout1d: the input must be (n, c, length) or (c, length), got (3,)"),
        (lambda: F.feature_alpha_dropout(tn.ones(3), training=True), ShapeError,
         "feature_alpha_dropout: the input needs at least 2 dims, got shape (3,)"),
        (lambda: F.dropout2d(tn.ones(2, 3, 4, 4), 2.0), ArgumentError,
         "dropout2d: p must be between 0 and 1, got 2.0"),
        (lambda: nn.Dropout3d(-1), ArgumentError, "Dropout3d: p must be between 0 and 1, got -1"),
        (lambda: F.alpha_dropout(tn.ones(3, dtype=tn.int64), training=True), DTypeError,
         "alpha_dropout: expected a floating dtype, got tinynet.int64"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
