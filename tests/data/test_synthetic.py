"""Made-up data sets: what they are made of, by their formulas."""

import math

import numpy as np
import pytest

import tinynet as tn
from tinynet.data import synthetic
from tinynet.errors import ArgumentError, ShapeError

CLASSES = {
    "make_moons": (2, {}), "make_circles": (2, {}), "make_spirals": (4, {"n_arms": 4}),
    "make_blobs": (5, {"centers": 5}), "make_xor": (2, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    n_classes, options = CLASSES[name]
    make = getattr(synthetic, name)
    x, labels = make(103, **options)
    assert (x.shape, x.dtype) == ((103, 2), tn.float32)
    assert (labels.shape, labels.dtype) == ((103,), tn.int64)
    counts = np.bincount(labels.numpy())
    assert len(counts) == n_classes
    assert counts.max() - counts.min() <= 2
    assert labels.tolist() != sorted(labels.tolist())


@pytest.mark.parametrize("name", [*CLASSES, "make_linear", "make_polynomial"])
def test_seeds_and_devices(name, on_device):
    make = getattr(synthetic, name)
    tn.manual_seed(3)
    x, y = make(20)
    assert str(x.device) == str(y.device) == on_device
    state = tn.get_rng_state()
    again = make(20, generator=tn.Generator().manual_seed(3), device="cpu")
    assert tn.get_rng_state() == state
    assert tn.equal(x.cpu(), again[0])
    assert tn.equal(y.cpu(), again[1])
    assert not tn.equal(x.cpu(), make(20, device="cpu")[0])


def test_linear():
    x, y = synthetic.make_linear(50, [1.0, -2.0, 3.0], bias=4.0, noise=0.0)
    np.testing.assert_allclose(y.numpy(), x.numpy() @ [1, -2, 3] + 4, atol=1e-5)
    x, y = synthetic.make_linear(50, tn.tensor([[1.0, 0.0], [2.0, 1.0]]), noise=0.0)
    assert y.shape == (50, 2)
    np.testing.assert_allclose(y[:, 1].numpy(), x[:, 1].numpy(), atol=1e-5)


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_noise_has_its_deviation(noise):
    x, y = synthetic.make_linear(4000, [1.0], noise=noise)
    assert (y - x[:, 0]).std().item() == pytest.approx(noise, rel=0.05)
    tn.manual_seed(0)
    clean, _ = synthetic.make_moons(4000, shuffle=False)
    noisy, _ = synthetic.make_moons(4000, noise=noise, shuffle=False)
    assert (noisy - clean).std().item() == pytest.approx(noise, rel=0.05)


def test_polynomial():
    x, y = synthetic.make_polynomial(80, [1.0, 2.0, -3.0], noise=0.0, low=2, high=3)
    assert x.shape == (80, 1)
    assert 2 <= x.min().item() < x.max().item() < 3
    np.testing.assert_allclose(y.numpy(), np.polyval([-3, 2, 1], x.numpy()[:, 0]), rtol=1e-5)


def test_moons():
    """scikit-learn's: cos and sin of angles from 0 to pi; the other half upside down."""
    x, labels = synthetic.make_moons(7, shuffle=False)
    a, b = np.linspace(0, math.pi, 3), np.linspace(0, math.pi, 4)
    expected = np.concatenate([
        np.stack([np.cos(a), np.sin(a)], 1), np.stack([1 - np.cos(b), 0.5 - np.sin(b)], 1),
    ])  # fmt: skip
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_circles():
    x, labels = synthetic.make_circles(9, factor=0.3, shuffle=False)
    radius = x.square().sum(1).sqrt()
    np.testing.assert_allclose(radius.numpy(), np.where(labels.numpy(), 0.3, 1), atol=1e-6)
    assert x[0].tolist() == [1, 0]
    np.testing.assert_allclose(x[1].numpy(), [0, 1], atol=1e-6)  # a quarter of the outer four


def test_spirals():
    x, labels = synthetic.make_spirals(30, 3, noise=0.0, turns=0.5, shuffle=False)
    arm = x[labels == 1].numpy()
    radius = np.hypot(*arm.T)
    np.testing.assert_allclose(radius, np.linspace(0, 1, 10), atol=1e-6)
    angle = 2 * np.pi * (0.5 * radius + 1 / 3)
    np.testing.assert_allclose(arm, np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None],
                               atol=1e-6)  # fmt: skip


def test_blobs():
    x, labels = synthetic.make_blobs(6000, [[5.0, 0.0, 1.0], [-5.0, 3.0, 2.0]], std=[1.0, 0.1])
    for label, (center, std) in enumerate((([5, 0, 1], 1), ([-5, 3, 2], 0.1))):
        cloud = x[labels == label].numpy()
        np.testing.assert_allclose(cloud.mean(0), center, atol=0.1)
        np.testing.assert_allclose(cloud.std(0), std, rtol=0.1)
    x, _ = synthetic.make_blobs(100, 40, std=0.0, n_features=3, box=(2.0, 4.0))
    assert x.shape == (100, 3)
    assert 2 <= x.min().item() < x.max().item() <= 4


def test_xor():
    x, labels = synthetic.make_xor(8, noise=0.0)
    assert (x.sum(1) == 1).long().tolist() == labels.tolist()
    assert sorted(map(tuple, x.tolist())) == [
        *2 * [(0, 0)],
        *2 * [(0, 1)],
        *2 * [(1, 0)],
        *2 * [(1, 1)],
    ]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: synthetic.make_moons(0), ArgumentError, "make_moons: n_samples is 0, expected a"),
        (lambda: synthetic.make_xor(4, noise=-1), ArgumentError, "make_xor: noise must be 0 or m"),
        (lambda: synthetic.make_xor(4, noise=math.nan), ArgumentError, "noise must be 0 or more"),
        (lambda: synthetic.make_linear(4, tn.ones(2, 2, 2)), ShapeError, "expected .d,. or .d, k."),
        (lambda: synthetic.make_polynomial(4, []), ArgumentError, "no coefficients"),
        (lambda: synthetic.make_polynomial(4, low=1, high=1), ArgumentError, "low 1 is not below"),
        (lambda: synthetic.make_circles(4, factor=1), ArgumentError, "factor must be in"),
        (lambda: synthetic.make_spirals(4, n_arms=0), ArgumentError, "n_arms is 0"),
        (lambda: synthetic.make_blobs(4, [1.0, 2.0]), ShapeError, "centers of shape .2,."),
        (lambda: synthetic.make_blobs(4, 3, std=[1.0, 2.0]), ArgumentError, "one for each of 3"),
    ],
)  # fmt: skip
def test_misuse(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
