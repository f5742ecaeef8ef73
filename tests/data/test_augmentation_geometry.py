"""Transforms with given parameters: what each does, against formulas, NumPy and SciPy."""

import math

import numpy as np
import pytest
from scipy import ndimage

import tinynet as tn
from tests.data.test_augmentation_resampling import DTYPES, EVERY_DEVICE, check, draw, each_channel
from tinynet.data import augmentation
from tinynet.data.augmentation import mapping


def centred(matrix, shift, shape):
    """SciPy's matrix and offset of a transform about the centre, given forwards in (x, y)."""
    inverse = np.linalg.inv(np.asarray(matrix, float))[::-1, ::-1]  # (row, column)
    centre = (np.array(shape) - 1) / 2
    return inverse, centre - inverse @ (centre + np.array(shift[::-1]))


def test_what_each_does():
    image = tn.arange(9.0).reshape(1, 1, 3, 3)
    array = image.cpu().numpy()[0, 0]

    def is_close(found, expected):
        np.testing.assert_allclose(found.cpu().numpy()[0, 0], expected, atol=1e-5)

    is_close(augmentation.rotate(image, 90), np.rot90(array))
    is_close(augmentation.rotate(image, -90), np.rot90(array, -1))
    is_close(augmentation.translate(image, (1, 0)), [[0, 0, 1], [0, 3, 4], [0, 6, 7]])
    is_close(augmentation.translate(image, (0, -1)), [[3, 4, 5], [6, 7, 8], [0, 0, 0]])
    is_close(augmentation.scale(image, 2), [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]])
    is_close(augmentation.scale(image, (1, 2)), [[1.5, 2.5, 3.5], [3, 4, 5], [4.5, 5.5, 6.5]])
    is_close(augmentation.scale(image, (-1, 1)), array[:, ::-1])
    is_close(augmentation.shear(image, (45, 0)), [[0, 0, 1], [3, 4, 5], [7, 8, 0]])
    is_close(augmentation.horizontal_flip(image), array[:, ::-1])
    is_close(augmentation.vertical_flip(image), array[::-1])


def test_horizontal_lines_rise():
    lines = tn.tensor([[0.0, 0, 0], [1, 1, 1], [0, 0, 0]]).reshape(1, 1, 3, 3)
    risen = augmentation.shear(lines, (0, 45))
    np.testing.assert_allclose(
        risen.cpu().numpy()[0, 0], [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=1e-5
    )


@EVERY_DEVICE
@DTYPES
@pytest.mark.parametrize("order", [0, 1])
def test_affine_of_each_image(dtype, order):
    n, shape = 3, (28, 24)
    images = draw((n, 2, *shape), dtype=dtype)
    angle, x, y, scale_x, scale_y, shear_x, shear_y = (
        draw((7, n), [[-90], [-4], [-4], [0.5], [0.5], [-30], [-30]],
             [[90], [4], [4], [1.5], [1.5], [30], [30]]).astype(dtype)
    )  # fmt: skip
    given = tn.tensor
    found = augmentation.affine(
        given(images), given(angle), (given(x), given(y)), (given(scale_x), given(scale_y)),
        (given(shear_x), given(shear_y)), order=order,
    )  # fmt: skip
    matrices, offsets = [], []
    for i in range(n):
        cos, sin = (f(math.radians(angle[i])) for f in (math.cos, math.sin))
        lean, rise = (math.tan(math.radians(each[i])) for each in (shear_x, shear_y))
        sheared = np.array([[1, 0], [-rise, 1]]) @ np.array([[1, -lean], [0, 1]])
        matrix = np.array([[cos, sin], [-sin, cos]]) @ np.diag([scale_x[i], scale_y[i]]) @ sheared
        inverse, offset = centred(matrix, (x[i], y[i]), shape)
        matrices.append(inverse)
        offsets.append(offset)
    expected = each_channel(
        lambda image, *map_: ndimage.affine_transform(image, *map_, order=order),
        images, matrices, offsets,
    )  # fmt: skip
    check(found, expected, dtype)


@DTYPES
def test_numbers_hold_for_all_images(dtype):
    images = tn.tensor(draw((2, 1, 28, 28), dtype=dtype))
    full = lambda value: tn.tensor(np.full(2, value, dtype))  # noqa: E731
    found = augmentation.affine(images, 10, (1, 2), 1.1, (5, 6), mode="reflect")
    expected = augmentation.affine(
        images, full(10), (full(1), full(2)), full(1.1), (full(5), full(6)), mode="reflect"
    )
    check(found, expected.cpu().numpy(), dtype)


@pytest.mark.parametrize("angle", [17.0, -120.0])
def test_rotate_is_that_of_scipy(angle):
    images = draw((2, 1, 21, 28))
    found = augmentation.rotate(tn.tensor(images), angle, mode="nearest")
    expected = each_channel(
        lambda x: ndimage.rotate(x, angle, reshape=False, order=1, mode="nearest"), images
    )
    check(found, expected, np.float64)


@EVERY_DEVICE
def test_crops():
    images = draw((2, 3, 5, 6))
    x = tn.tensor(images)
    check(augmentation.crop(x, 1, 2, 3, 4), images[:, :, 1:4, 2:6], np.float64)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (1, 1)), constant_values=0.5)
    check(augmentation.crop(x, -2, -1, 9, 8, cval=0.5), padded, np.float64)
    reflected = np.pad(images, ((0, 0), (0, 0), (2, 2), (1, 1)), "symmetric")
    check(augmentation.crop(x, -2, -1, 9, 8, mode="reflect"), reflected, np.float64)
    found = augmentation.crop(x, tn.tensor([0, 2]), tn.tensor([1, 0]), 2, 2)
    check(found, [images[0, :, 0:2, 1:3], images[1, :, 2:4, 0:2]], np.float64)


@EVERY_DEVICE
def test_brightness_contrast_and_normalize():
    images = draw((2, 3, 4, 5))
    x, factors = tn.tensor(images), np.array([0.5, 1.5])
    each = factors.reshape(2, 1, 1, 1)
    mean = images.mean((1, 2, 3), keepdims=True)
    brighter, sharper = images * each, mean + (images - mean) * each
    adjust = augmentation.adjust_brightness, augmentation.adjust_contrast
    for function, expected in zip(adjust, (brighter, sharper)):
        check(function(x, tn.tensor(factors), None), expected, np.float64)
        check(function(x, tn.tensor(factors)), expected.clip(0, 1), np.float64)
        check(function(x, 1.5, (0.2, 0.8))[1:], expected[1:].clip(0.2, 0.8), np.float64)
    means, stds = [0.1, 0.2, 0.3], [1.0, 2.0, 4.0]
    expected = (images - np.reshape(means, (3, 1, 1))) / np.reshape(stds, (3, 1, 1))
    check(augmentation.normalize(x, means, stds), expected, np.float64)
    check(augmentation.Normalize(0.5, 2)(x), (images - 0.5) / 2, np.float64)


@EVERY_DEVICE
def test_cutout():
    images = draw((2, 2, 6, 5))
    found = augmentation.cutout(tn.tensor(images), tn.tensor([1, -2]), tn.tensor([3, 0]), 3, 0.5)
    images[0, :, 1:4, 3:5] = 0.5
    images[1, :, 0:1, 0:3] = 0.5
    check(found, images, np.float64)


@EVERY_DEVICE
def test_mixup():
    images, targets = draw((3, 1, 2, 2)), np.eye(3)
    partners, share = [1, 2, 0], np.array([1.0, 0.5, 0.2])
    found = augmentation.mixup(
        tn.tensor(images), tn.tensor(targets), tn.tensor(partners), tn.tensor(share)
    )
    part = share.reshape(3, 1, 1, 1)
    check(found[0], images * part + images[partners] * (1 - part), np.float64)
    check(found[1], [[1, 0, 0], [0, 0.5, 0.5], [0.8, 0, 0.2]], np.float64)


def test_inputs_stay_and_no_images_are_fine():
    images = tn.rand(2, 1, 6, 6)
    before = images.clone()
    for change in (
        lambda x: augmentation.rotate(x, 10),
        lambda x: augmentation.gaussian_filter(x, 1.0),
        lambda x: augmentation.adjust_contrast(x, 2.0),
        lambda x: augmentation.cutout(x, 0, 0, 2),
    ):
        assert change(images).shape == (2, 1, 6, 6)
        assert change(images[:0]).shape == (0, 1, 6, 6)
    assert images.equal(before)


def test_large_batches_are_done_in_parts(monkeypatch):
    """Of 3 images, and a last one of 1: each has its own parameters still."""
    images, angles = tn.rand(7, 2, 6, 5), tn.arange(7.0) * 10
    field = augmentation.elastic_displacements(images, 10, 2)
    calls = (
        lambda: augmentation.rotate(images, angles),
        lambda: augmentation.rotate(images, 20),
        lambda: augmentation.elastic(images, field),
        lambda: augmentation.elastic(images, field[:1]),
    )
    whole = [call() for call in calls]
    monkeypatch.setattr(mapping, "PIXELS_AT_ONCE", 90)
    for call, expected in zip(calls, whole):
        assert call().equal(expected)
    assert augmentation.elastic_displacements(images).shape == (7, 2, 6, 5)
