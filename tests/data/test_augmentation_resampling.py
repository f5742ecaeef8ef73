"""Images read between their pixels: `scipy.ndimage` is the reference."""

import numpy as np
import pytest
from scipy import ndimage

import tinynet as tn
from tinynet.data import augmentation
from tinynet.data.augmentation.elastic import FILTER_MODES
from tinynet.data.augmentation.resampling import MODES

EVERY_DEVICE = pytest.mark.usefixtures("on_device")  # where that costs few kernels
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)


def draw(shape, low=0.0, high=1.0, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def each_channel(function, images, *parameters):
    """SciPy's function of each channel of each image, with this image's parameters, in float64."""
    return np.stack(
        [
            [function(channel, *given) for channel in image]
            for image, *given in zip(images.astype(np.float64), *parameters, strict=True)
        ]
    )


def check(found, expected, dtype):
    assert found.dtype.name == np.dtype(dtype).name
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0, atol=TOLERANCE[dtype])


def compare_places(dtype, order, mode):
    images = draw((3, 2, 5, 7), dtype=dtype)
    places = draw((3, 2, 4, 6), -13, 18, seed=1, dtype=dtype)
    options = {"order": order, "mode": mode, "cval": 0.3}
    found = augmentation.map_coordinates(tn.tensor(images), tn.tensor(places), **options)
    expected = each_channel(
        lambda image, at: ndimage.map_coordinates(image, at, **options),
        images, places.astype(np.float64),
    )  # fmt: skip
    check(found, expected, dtype)


@EVERY_DEVICE
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_any_places(order, mode):
    compare_places(np.float32, order, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_any_places_in_float64(order, mode):
    compare_places(np.float64, order, mode)


@EVERY_DEVICE
def test_any_places_in_float64_on_every_device():
    compare_places(np.float64, 1, "constant")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_places_at_pixels_and_edges(mode, order):
    """Where rounding decides: pixel centres, halves between them, the outermost ones."""
    images = draw((1, 1, 3, 4))
    grid = np.stack(np.meshgrid(np.arange(-7, 10) / 2, np.arange(-9, 12) / 2, indexing="ij"))
    if (order, mode) == (0, "mirror"):  # SciPy's choice of halves beyond the image has no rule
        grid = grid.round()
    options = {"order": order, "mode": mode, "cval": 0.3}
    found = augmentation.map_coordinates(tn.tensor(images), tn.tensor(grid), **options)
    expected = ndimage.map_coordinates(images[0, 0], grid, **options)
    check(found, expected[None, None], np.float64)


@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_one_row(mode):
    images = draw((2, 1, 1, 3))
    places = draw((2, 2, 4, 6), -3, 5, seed=1)
    options = {"order": 1, "mode": mode, "cval": 0.3}
    found = augmentation.map_coordinates(tn.tensor(images), tn.tensor(places), **options)
    function = lambda image, at: ndimage.map_coordinates(image, at, **options)  # noqa: E731
    check(found, each_channel(function, images, places), np.float64)


def compare_affine(dtype, order, mode):
    images = draw((4, 2, 28, 28), dtype=dtype)
    matrices = (np.eye(2) + draw((4, 2, 2), -0.4, 0.4, seed=1)).astype(dtype)
    offsets = draw((4, 2), -6, 6, seed=2, dtype=dtype)
    options = {"order": order, "mode": mode, "cval": 0.3}
    found = augmentation.affine_transform(
        tn.tensor(images), tn.tensor(matrices), tn.tensor(offsets), **options
    )
    expected = each_channel(
        lambda image, matrix, offset: ndimage.affine_transform(image, matrix, offset, **options),
        images, matrices.astype(np.float64), offsets.astype(np.float64),
    )  # fmt: skip
    check(found, expected, dtype)


@DTYPES
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_affine_transform(dtype, order, mode):
    compare_affine(dtype, order, mode)


@EVERY_DEVICE
@DTYPES
@pytest.mark.parametrize("order", [0, 1])
def test_affine_transform_on_every_device(dtype, order):
    compare_affine(dtype, order, "constant")


@EVERY_DEVICE
@DTYPES
@pytest.mark.parametrize("mode", FILTER_MODES)
def test_gaussian_filter(dtype, mode):
    images = draw((2, 2, 9, 6), dtype=dtype)
    for sigma, truncate in ((0.5, 4.0), (2.5, 3.0)):  # the second reaches beyond the image
        found = augmentation.gaussian_filter(tn.tensor(images), sigma, mode=mode, truncate=truncate)
        expected = each_channel(
            lambda x: ndimage.gaussian_filter(x, sigma, mode=mode, truncate=truncate), images
        )
        check(found, expected, dtype)


@EVERY_DEVICE
@DTYPES
def test_elastic_is_reading_at_displaced_places(dtype):
    images, field = draw((3, 2, 6, 9), dtype=dtype), draw((3, 2, 6, 9), -4, 4, seed=1, dtype=dtype)
    found = augmentation.elastic(tn.tensor(images), tn.tensor(field), mode="nearest")
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(9), indexing="ij"))
    expected = each_channel(
        lambda image, at: ndimage.map_coordinates(image, at, order=1, mode="nearest"),
        images, grid + field.astype(np.float64),
    )  # fmt: skip
    check(found, expected, dtype)


def test_places_that_are_inside_but_for_rounding():
    """Of a half turn SciPy loses pixels at the edge to rounding errors of the cosine."""
    images = tn.rand(2, 1, 28, 28)
    turned = augmentation.rotate(augmentation.rotate(images, 90), 90)
    assert turned.allclose(images.flip((2, 3)), atol=1e-5)
    assert augmentation.rotate(images, 180).allclose(images.flip((2, 3)), atol=1e-5)


@EVERY_DEVICE
def test_half_precision_is_computed_in_float32():
    images = tn.rand(2, 1, 12, 12).half()
    turned = augmentation.rotate(images, 20)
    assert turned.dtype is tn.float16
    assert turned.equal(augmentation.rotate(images.float(), 20).half())


@EVERY_DEVICE
def test_places_that_are_no_numbers():
    images = tn.ones(1, 1, 2, 2)
    places = tn.tensor([[[float("nan"), 1e30, -float("inf")]], [[0.0, 0.0, 0.0]]])
    found = augmentation.map_coordinates(images, places, cval=0.5)
    assert found.tolist() == [[[[0.5, 0.5, 0.5]]]]
