"""Batch, instance, group, layer and RMS normalisation, and those by norms and neighbours."""

import numpy as np
import pytest

import tinynet as tn
from tests.ops.checks import array, check_gradient, check_values, draw, same
from tinynet import settings
from tinynet.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

F = tn.nn.functional
EPS = 1e-5
SHAPES = [(4, 3), (2, 3, 5), (3, 2, 4, 2), (2, 3, 2, 1, 3)]


def normalized(x, dims, weight=1.0, bias=0.0, eps=EPS):
    mean, var = x.mean(dims, keepdims=True), x.var(dims, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def along(vector, ndim):
    return vector.reshape(1, -1, *(1,) * (ndim - 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_training(shape):
    channels, dims = shape[1], (0, *range(2, len(shape)))

    def expected(x, weight, bias):
        return normalized(x, dims, along(weight, x.ndim), along(bias, x.ndim))

    def batch_norm(x, *parameters):
        return F.batch_norm(x, None, None, *parameters, training=True)

    check_values(batch_norm, expected, shape, (channels,), (channels,), rtol=1e-10)
    check_values(batch_norm, lambda x: normalized(x, dims), shape, rtol=1e-10)
    check_gradient(batch_norm, shape, (channels,), (channels,))
    check_gradient(batch_norm, shape, (channels,))
    check_gradient(batch_norm, shape)
    check_gradient(lambda x, b: F.batch_norm(x, None, None, None, b, True), shape, (channels,))


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_with_running_statistics(shape):
    channels = shape[1]
    mean, var = draw((channels,), seed=7), draw((channels,), 0.5, 2, seed=8)
    running = [tn.tensor(mean), tn.tensor(var)]

    def expected(x, weight, bias):
        mean_, var_, weight, bias = (along(v, x.ndim) for v in (mean, var, weight, bias))
        return (x - mean_) / np.sqrt(var_ + EPS) * weight + bias

    def batch_norm(x, *parameters):
        return F.batch_norm(x, *running, *parameters)

    check_values(batch_norm, expected, shape, (channels,), (channels,), rtol=1e-10)
    check_gradient(batch_norm, shape, (channels,), (channels,))
    check_gradient(batch_norm, shape)
    same(running, [mean, var])


def test_running_statistics_move_toward_the_batch_s():
    x = draw((4, 3, 2))
    mean, var = tn.zeros(3, dtype=tn.float64), tn.ones(3, dtype=tn.float64)
    F.batch_norm(tn.tensor(x), mean, var, training=True, momentum=0.25)
    same(mean, 0.25 * x.mean((0, 2)))
    same(var, 0.75 + 0.25 * x.var((0, 2), ddof=1))
    assert not mean.requires_grad


def test_a_large_mean_costs_no_digits():
    x = draw((64, 2, 9), dtype=np.float32)
    shifted = (x + np.float32(4096)).astype(np.float64)
    y = F.batch_norm(tn.tensor(shifted.astype(np.float32)), None, None, training=True)
    a_digit_of_the_mean = 5e-4
    np.testing.assert_allclose(array(y), normalized(shifted, (0, 2)), atol=a_digit_of_the_mean)


def test_only_the_input_is_kept_for_the_gradient():
    x = tn.randn(8, 3, 4, requires_grad=True)
    y = F.batch_norm(x, None, None, tn.ones(3), tn.zeros(3), training=True)
    saved = [z for z in y.grad_fn.saved if z is not None and z is not x]
    assert any(z is x for z in y.grad_fn.saved)
    assert all(z.numel() == 3 for z in saved)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 2, 3, 2), (2, 3, 2, 1, 2)])
def test_instance_norm(shape):
    channels, dims = shape[1], tuple(range(2, len(shape)))

    def expected(x, weight, bias):
        return normalized(x, dims, along(weight, x.ndim), along(bias, x.ndim))

    def instance_norm(x, weight, bias):
        return F.instance_norm(x, None, None, weight, bias)

    check_values(instance_norm, expected, shape, (channels,), (channels,), rtol=1e-10)
    check_values(F.instance_norm, lambda x: normalized(x, dims), shape, rtol=1e-10)
    check_gradient(instance_norm, shape, (channels,), (channels,), low=0.5)
    check_gradient(F.instance_norm, shape)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3), (2, 4, 2, 3)])
def test_group_norm(shape, groups):
    if shape == (3, 4) and groups == 4:
        return  # one element each: no gradient to speak of

    def expected(x, weight, bias):
        parted = x.reshape(x.shape[0], groups, -1)
        y = normalized(parted, (2,)).reshape(x.shape)
        return y * along(weight, x.ndim) + along(bias, x.ndim)

    def group_norm(x, *parameters):
        return F.group_norm(x, groups, *parameters)

    check_values(group_norm, expected, shape, (4,), (4,), rtol=1e-10)
    check_gradient(group_norm, shape, (4,), (4,), rtol=1e-4)
    check_gradient(group_norm, shape, rtol=1e-4)


@pytest.mark.parametrize(("shape", "last"), [((2, 3, 4), 1), ((2, 3, 4), 2), ((5,), 1)])
def test_layer_norm(shape, last):
    dims, sizes = tuple(range(len(shape) - last, len(shape))), shape[len(shape) - last :]

    def layer_norm(x, *parameters):
        return F.layer_norm(x, sizes, *parameters)

    check_values(
        layer_norm, lambda x, w, b: normalized(x, dims, w, b), shape, sizes, sizes, rtol=1e-10
    )
    check_gradient(layer_norm, shape, sizes, sizes)
    check_gradient(layer_norm, shape)
    check_gradient(lambda x, b: F.layer_norm(x, sizes, None, b), shape, sizes)


@pytest.mark.parametrize(("shape", "last"), [((2, 3, 4), 1), ((2, 3, 4), 2), ((5,), 1)])
def test_rms_norm(shape, last):
    dims, sizes = tuple(range(len(shape) - last, len(shape))), shape[len(shape) - last :]

    def expected(x, weight):
        return x / np.sqrt((x * x).mean(dims, keepdims=True) + 1e-3) * weight

    def rms_norm(x, weight):
        return F.rms_norm(x, sizes, weight, 1e-3)

    check_values(rms_norm, expected, shape, sizes, rtol=1e-10)
    check_gradient(rms_norm, shape, sizes)
    check_gradient(lambda x: F.rms_norm(x, sizes), shape)


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_local_response_norm(size):
    def expected(x):
        padded = np.pad(x * x, ((0, 0), (size // 2, (size - 1) // 2), (0, 0)))
        total = sum(padded[:, i : i + x.shape[1]] for i in range(size))
        return x / (2.0 + 0.7 * total / size) ** 0.75

    def function(x):
        return F.local_response_norm(x, size, 0.7, 0.75, 2.0)

    check_values(function, expected, (2, 4, 3), rtol=1e-10)
    check_gradient(function, (2, 4, 3))
    check_gradient(function, (1, 3, 2, 2))


def test_normalize():
    check_values(
        F.normalize, lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)), (3, 4), rtol=1e-10
    )
    check_gradient(F.normalize, (3, 4), low=0.5)
    check_gradient(lambda x: F.normalize(x, 3.0, (0, 2)), (2, 3, 2), low=0.5)
    assert F.normalize(tn.zeros(2, 3)).tolist() == [[0.0] * 3] * 2


def batch_innermost(shape, **options):
    """A tensor (n, c, *) that lies in memory as (c, *, n), which convolutions return on the CPU."""
    n, *rest = shape
    return tn.randn(*rest, n, **options).permute(-1, *range(len(rest)))


LAYERS = {
    "batch": lambda x: F.batch_norm(x, None, None, tn.ones(4), tn.ones(4), True),
    "running": lambda x: F.batch_norm(x, tn.ones(4), tn.ones(4), tn.ones(4), tn.ones(4)),
    "instance": lambda x: F.instance_norm(x, None, None, tn.ones(4), tn.ones(4)),
    "group": lambda x: F.group_norm(x, 2, tn.ones(4), tn.ones(4)),
    "layer": lambda x: F.layer_norm(x, x.shape[1:]),
    "neighbours": lambda x: F.local_response_norm(x, 3),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), value=3.0),
    "crop": lambda x: F.pad(x, (1, -1)),
    "reflect": lambda x: F.pad(x, (1, 2, 1, 0), "reflect"),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "picked": lambda x: F.interpolate(x, size=(4, 3)),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
    "channels": lambda x: F.channel_shuffle(x, 2),
    "dropout": F.dropout2d,
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_order_in_memory_stays(name):
    if settings.DEVICE.get() != "cpu":
        pytest.skip("other devices lay out as they like")
    x = batch_innermost((6, 4, 5, 3)).requires_grad_()
    y = LAYERS[name](x)
    assert np.argsort(y.stride()).tolist() == [0, 3, 2, 1]
    (grad,) = tn.autograd.grad(y, x, y.detach())
    assert np.argsort(grad.stride()).tolist() == [0, 3, 2, 1]
    assert x.is_contiguous() is False
    plain = LAYERS[name](tn.tensor(x.numpy(force=True).copy()))
    if name != "dropout":
        same(plain, array(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: F.batch_norm(tn.ones(1, 3), None, None, training=True), ShapeError,
         "batch_norm: training needs more than 1 value for each channel, got shape (1, 3)"),
        (lambda: F.batch_norm(tn.ones(3), None, None, training=True), ShapeError,
         "batch_norm: the input needs at least 2 dims, got shape (3,)"),
        (lambda: F.batch_norm(tn.ones(2, 3), None, None), ArgumentError,
         "batch_norm: running_mean and running_var must be tensors unless training, got NoneType "
         "and NoneType"),
        (lambda: F.batch_norm(tn.ones(2, 3), tn.ones(2), tn.ones(3)), ShapeError,
         "batch_norm: running_mean has shape (2,), expected (3,)"),
        (lambda: F.batch_norm(tn.ones(2, 3), None, None, tn.ones(4), training=True), ShapeError,
         "batch_norm: weight has shape (4,), expected (3,)"),
        (lambda: F.batch_norm(tn.ones(2, 3), None, None, training=True, eps=-1), ArgumentError,
         "batch_norm: eps must be positive, got -1"),
        (lambda: F.batch_norm(tn.ones(2, 3, dtype=tn.int64), None, None, training=True), DTypeError,
         "batch_norm: expected a floating dtype, got tinynet.int64"),
        (lambda: F.batch_norm(tn.ones(2, 3), None, None, tn.ones(3, dtype=tn.float64),
                              training=True), DTypeError,
         "batch_norm: weight has tinynet.float64, the input tinynet.float32"),
        (lambda: F.batch_norm(None, None, None), ArgumentTypeError,
         "batch_norm: input must be a Tensor, got NoneType"),
        (lambda: F.instance_norm(tn.ones(2, 3, 1)), ShapeError,
         "instance_norm: there must be more than 1 position, got shape (2, 3, 1)"),
        (lambda: F.instance_norm(tn.ones(2, 3, 2), use_input_stats=False), ArgumentError,
         "instance_norm: running_mean and running_var must come together, and unless "
         "use_input_stats they must be tensors, got NoneType and NoneType"),
        (lambda: F.group_norm(tn.ones(2, 3), 2), ArgumentError,
         "group_norm: 3 channels do not part into 2 groups"),
        (lambda: F.group_norm(tn.ones(1, 2), 2), ShapeError,
         "group_norm: there must be more than 1 value for each group, got shape (1, 2) and "
         "2 groups"),
        (lambda: F.group_norm(tn.ones(2, 3), None), ArgumentTypeError,
         "group_norm: num_groups must be an int, got None (NoneType)"),
        (lambda: F.batch_norm(tn.ones(2, 3), None, None, training=True, eps="a"),
         ArgumentTypeError, "batch_norm: eps must be a number, got 'a'"),
        (lambda: F.instance_norm(tn.ones(2, 3, 2), eps=None), ArgumentTypeError,
         "instance_norm: eps must be a number, got None"),
        (lambda: F.group_norm(tn.ones(2, 3), 1, eps=1j), ArgumentTypeError,
         "group_norm: eps must be a number, got 1j"),
        (lambda: F.layer_norm(tn.ones(2, 3), (3,), eps=[]), ArgumentTypeError,
         "layer_norm: eps must be a number, got []"),
        (lambda: F.rms_norm(tn.ones(2, 3), (3,), eps="a"), ArgumentTypeError,
         "rms_norm: eps must be a number, got 'a'"),
        (lambda: F.instance_norm(tn.ones(2, 3, 2), tn.ones(3), tn.ones(3), momentum=None),
         ArgumentTypeError,
         "instance_norm: momentum: expected a tensor or a number, got NoneType"),
        (lambda: F.local_response_norm(tn.ones(2, 3, 1), "a"), ArgumentTypeError,
         "local_response_norm: size must be an int, got 'a' (str)"),
        (lambda: F.layer_norm(tn.ones(2, 3), (2,)), ShapeError,
         "layer_norm: an input of shape (2, 3) does not end in (2,)"),
        (lambda: F.layer_norm(tn.ones(2, 3), 3), ArgumentTypeError,
         "layer_norm: normalized_shape must be a tuple of ints, got 3"),
        (lambda: F.rms_norm(tn.ones(2, 3), (3,), tn.ones(2)), ShapeError,
         "rms_norm: weight has shape (2,), expected (3,)"),
        (lambda: F.local_response_norm(tn.ones(2, 3), 2), ShapeError,
         "local_response_norm: the input needs at least 3 dims, got shape (2, 3)"),
        (lambda: F.local_response_norm(tn.ones(2, 3, 1), 0), ArgumentError,
         "local_response_norm: size must be positive, got 0"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


def test_nothing_to_normalize():
    running = [tn.zeros(3), tn.ones(3)]
    assert F.batch_norm(tn.ones(0, 3, 2), *running, training=True).shape == (0, 3, 2)
    assert [x.tolist() for x in running] == [[0.0] * 3, [1.0] * 3]
    assert F.layer_norm(tn.ones(0, 3), (3,)).shape == (0, 3)
    assert F.group_norm(tn.ones(0, 4, 2), 2).shape == (0, 4, 2)
    assert F.local_response_norm(tn.ones(0, 4, 2), 2).shape == (0, 4, 2)
