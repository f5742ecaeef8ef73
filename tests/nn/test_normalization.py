"""Normalisation as modules: statistics that move, modes, and what `jit` makes of them."""

import warnings

import numpy as np
import pytest

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError, ShapeError

pytestmark = pytest.mark.usefixtures("on_device")


def batches(n, shape=(6, 3, 2, 2)):
    """Inputs whose mean and deviation grow."""
    generator = np.random.default_rng(0)
    return [tn.tensor(generator.normal(i, i + 1, shape), dtype=tn.float32) for i in range(n)]


def state(layer):
    return {name: x.tolist() for name, x in layer.state_dict().items()}


def test_training_moves_statistics_and_evaluation_uses_them():
    layer = nn.BatchNorm2d(3, momentum=0.5)
    x, y = batches(2)
    layer(x)
    layer(y)
    means = [z.mean((0, 2, 3)) for z in (x, y)]
    expected = means[0] * 0.25 + means[1] * 0.5
    assert layer.running_mean.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert layer.num_batches_tracked.item() == 2
    before = state(layer.eval())
    z = layer(y)
    assert state(layer) == before
    shift, scale = layer.running_mean.reshape(3, 1, 1), layer.running_var.reshape(3, 1, 1)
    assert tn.allclose(z, (y - shift) / (scale + layer.eps).sqrt(), atol=1e-5)


def test_without_momentum_statistics_are_means_of_all_batches():
    layer = nn.BatchNorm1d(3, momentum=None)
    seen = batches(4, (5, 3))
    for x in seen:
        layer(x)
    expected = sum(x.mean(0) for x in seen) / 4
    assert layer.running_mean.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    layer.reset_running_stats()
    assert state(layer) == state(nn.BatchNorm1d(3))


def test_without_tracking_every_batch_counts_for_itself():
    layer = nn.BatchNorm1d(3, track_running_stats=False)
    assert [*layer.state_dict()] == ["weight", "bias"]
    x = batches(2, (5, 3))[1]
    assert tn.allclose(layer(x), layer.eval()(x))


def test_statistics_move_with_the_module_and_count_in_integers():
    layer = nn.BatchNorm1d(3).double()
    assert layer.running_mean.dtype is tn.float64
    assert layer.num_batches_tracked.dtype is tn.int64
    other = nn.BatchNorm1d(3, dtype=tn.float64)
    layer(tn.randn(5, 3, dtype=tn.float64))
    other.load_state_dict(layer.state_dict())
    assert state(other) == state(layer)


@pytest.mark.parametrize("momentum", [0.3, None])
def test_replays_move_statistics(momentum):
    layers = [nn.BatchNorm2d(3, momentum=momentum) for _ in range(2)]
    step = tn.jit(layers[1])
    for i, x in enumerate(batches(9)):
        if i in (5, 7):  # and back again: another mode is recorded anew
            for layer in layers:
                layer.train(i == 7)
        expected, got = layers[0](x), step(x)
        assert tn.allclose(got, expected, atol=1e-6)
        for name, value in state(layers[0]).items():
            assert state(layers[1])[name] == pytest.approx(value, rel=1e-5), name
    assert layers[1].num_batches_tracked.item() == 7


def test_replays_of_training_steps():
    def make():
        tn.manual_seed(1)
        net = nn.Sequential(
            nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.LayerNorm(4)
        )
        optimizer = tn.optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = (net(x) - x.reshape(6, 12)[:, :4]).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return net, step

    (plain, step), (other, recorded) = make(), make()
    recorded = tn.jit(recorded)
    for x in batches(6):
        assert recorded(x).item() == pytest.approx(step(x).item(), rel=1e-4)
    assert recorded.count == 1
    for one, two in zip(plain.state_dict().values(), other.state_dict().values(), strict=True):
        assert tn.allclose(one, two, rtol=1e-3, atol=1e-4)


def test_instance_norm_takes_single_examples():
    layer = nn.InstanceNorm2d(3, track_running_stats=True)
    x = batches(1)[0]
    assert tn.allclose(layer(x)[2], layer(x[2]), atol=1e-6)
    assert layer.num_batches_tracked.item() == 0  # as PyTorch's
    with pytest.warns(UserWarning, match="InstanceNorm1d: expected 4 channels, got shape"):
        nn.InstanceNorm1d(4)(tn.randn(3, 5))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.BatchNorm1d(3)(tn.ones(3)), ShapeError,
         "BatchNorm1d: expected 2 or 3 dims, got shape (3,)"),
        (lambda: nn.BatchNorm2d(3)(tn.ones(2, 3)), ShapeError,
         "BatchNorm2d: expected 4 dims, got shape (2, 3)"),
        (lambda: nn.BatchNorm2d(3)(tn.ones(2, 4, 2, 2)), ShapeError,
         "batch_norm: weight has shape (3,), expected (4,)"),
        (lambda: nn.InstanceNorm1d(3, affine=True)(tn.ones(2, 4, 2)), ShapeError,
         "InstanceNorm1d: expected 3 channels, got shape (2, 4, 2)"),
        (lambda: nn.GroupNorm(2, 3), ArgumentError,
         "GroupNorm: 3 channels do not part into 2 groups"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_padding_and_resizing_modules():
    x = tn.arange(6.0).reshape(1, 1, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nn.ZeroPad2d((1, 0, 0, 1))(x).shape == (1, 1, 3, 4)
        assert nn.ConstantPad1d(1, 7.0)(x)[0, 0, 0].tolist() == [7, 0, 1, 2, 7]
        assert nn.ReflectionPad2d(1)(x)[0, 0, 0].tolist() == [4, 3, 4, 5, 4]
        assert nn.ReplicationPad2d((1, 2, 0, 0))(x)[0, 0, 0].tolist() == [0, 0, 1, 2, 2, 2]
        assert nn.CircularPad2d((1, 0, 0, 0))(x)[0, 0, 0].tolist() == [2, 0, 1, 2]
        assert nn.Upsample(scale_factor=2)(x).shape == (1, 1, 4, 6)
        assert nn.UpsamplingNearest2d((1, 3))(x)[0, 0, 0].tolist() == [0, 1, 2]
        assert nn.UpsamplingBilinear2d((2, 5))(x)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2]
        assert nn.PixelUnshuffle(3)(nn.PixelShuffle(3)(tn.ones(9, 1, 2))).shape == (9, 1, 2)
        assert nn.ChannelShuffle(2)(tn.ones(1, 4, 2)).shape == (1, 4, 2)


@pytest.mark.parametrize("shape", [(0, 2), (0, 2, 3), (4, 2, 0)], ids=str)
def test_batches_of_nothing_change_nothing(shape):
    norm = nn.BatchNorm1d(2)
    norm(tn.zeros(shape)).sum().backward()
    assert norm.weight.grad.tolist() == norm.bias.grad.tolist() == [0.0, 0.0]
    assert norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.running_var.tolist() == [1.0, 1.0]


def test_a_momentum_that_is_an_array(on_device):
    mean, variance = tn.zeros(3), tn.ones(3)
    nn.functional.batch_norm(tn.ones(4, 3), mean, variance, training=True, momentum=np.array([0.5]))
    assert mean.tolist() == [0.5] * 3
