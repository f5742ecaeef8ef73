"""What augmentations say of images and parameters that are none."""

import pytest

import tinynet as tn
from tinynet.data import augmentation as a
from tinynet.errors import ArgumentError, ArgumentTypeError, DimError, DTypeError, ShapeError

IMAGES = tn.zeros(2, 3, 4, 4)
PLACES = tn.zeros(2, 4, 4)
CASES = [
    (lambda: a.rotate([[0.0]], 1), ArgumentTypeError,
     "rotate: images must be a Tensor, got list"),
    (lambda: a.rotate(IMAGES[0], 1), ShapeError,
     "rotate: images of shape (3, 4, 4), expected (n, channels, height, width)"),
    (lambda: a.rotate(IMAGES.to(tn.uint8), 1), DTypeError,
     "rotate: images are tinynet.uint8, expected floats: images.float() / 255"),
    (lambda: a.Cutout(2)(IMAGES.int()), DTypeError,
     "Cutout: images are tinynet.int32, expected floats: images.float() / 255"),
    (lambda: a.rotate(IMAGES[:, :, :0], 1), ShapeError,
     "rotate: images of shape (2, 3, 0, 4), expected at least one pixel in each"),
    (lambda: a.rotate(IMAGES, 1, order=3), ArgumentError,
     "rotate: order is 3, expected 0 (nearest) or 1 (bilinear)"),
    (lambda: a.rotate(IMAGES, 1, mode="zeros"), ArgumentError,
     "rotate: mode is 'zeros', expected one of constant, grid-constant, nearest, reflect, mirror,"
     " grid-wrap"),
    (lambda: a.rotate(IMAGES, 1, cval="white"), ArgumentTypeError,
     "rotate: cval must be a number, got 'white'"),
    (lambda: a.rotate(IMAGES, tn.zeros(3)), ShapeError,
     "rotate: angle of shape (3,), expected a number or (2,), one for each image"),
    (lambda: a.rotate(IMAGES, float("nan")), ArgumentError,
     "rotate: angle is nan, expected a finite number"),
    (lambda: a.translate(IMAGES, 3), ArgumentTypeError,
     "translate: translate is 3, expected a pair (x, y)"),
    (lambda: a.scale(IMAGES, 0), ArgumentError,
     "scale: scale is 0, expected factors that are not 0"),
    (lambda: a.shear(IMAGES, (90, 0)), ArgumentError,
     "shear: shear is (90, 0), expected less than 90 degrees"),
    (lambda: a.crop(IMAGES, 0, 0, 0, 2), ArgumentError,
     "crop: height is 0, expected an int of at least 1"),
    (lambda: a.affine_transform(IMAGES, tn.eye(3)), ShapeError,
     "affine_transform: matrix of shape (3, 3), expected (2, 2) or (2, 2, 2)"),
    (lambda: a.affine_transform(IMAGES, tn.eye(2), tn.zeros(3)), ShapeError,
     "affine_transform: offset of shape (3,), expected (2,) or (2, 2)"),
    (lambda: a.map_coordinates(IMAGES, tn.zeros(3, 2, 4, 4)), ShapeError,
     "map_coordinates: coordinates of shape (3, 2, 4, 4), expected (2, h, w) or (2, 2, h, w)"),
    (lambda: a.elastic(IMAGES, tn.zeros(2, 2, 4, 5)), ShapeError,
     "elastic: displacements of shape (2, 2, 4, 5), expected (2, 2, 4, 4)"),
    (lambda: a.gaussian_filter(IMAGES, 0), ArgumentError,
     "gaussian_filter: sigma is 0, expected more than 0"),
    (lambda: a.gaussian_filter(IMAGES, 1, mode="grid-constant"), ArgumentError,
     "gaussian_filter: mode is 'grid-constant', expected one of constant, nearest, reflect, mirror,"
     " grid-wrap"),
    (lambda: a.normalize(IMAGES, [0.5, 0.5], 1), ShapeError,
     "normalize: 2 numbers for mean, expected 1 or 3, one for each channel"),
    (lambda: a.normalize(IMAGES, 0, 0), ArgumentError,
     "normalize: std is 0, expected more than 0"),
    (lambda: a.adjust_brightness(IMAGES, -1), ArgumentError,
     "adjust_brightness: factor is -1.0, expected none below 0"),
    (lambda: a.adjust_contrast(IMAGES, 1, (1, 0)), ArgumentError,
     "adjust_contrast: limits is (1, 0), expected the lower number first"),
    (lambda: a.gaussian_noise(IMAGES, -1), ArgumentError,
     "gaussian_noise: std is -1.0, expected none below 0"),
    (lambda: a.cutout(IMAGES, 0, 0, 1.5), ArgumentError,
     "cutout: size is 1.5, expected an int of at least 1"),
    (lambda: a.mixup(IMAGES, tn.arange(2), tn.arange(2), 0.5), DTypeError,
     "mixup: targets are tinynet.int64, expected floats: one_hot(targets).float()"),
    (lambda: a.mixup(IMAGES, tn.zeros(3), tn.arange(2), 0.5), ShapeError,
     "mixup: targets of shape (3,) and partners of shape (2,), expected one of each for each of"
     " 2 images"),
    (lambda: a.RandomRotation(-1), ArgumentError,
     "RandomRotation: degrees is -1.0, expected none below 0, or a pair (low, high)"),
    (lambda: a.RandomAffine((3, 1)), ArgumentError,
     "RandomAffine: degrees is (3, 1), expected the lower number first"),
    (lambda: a.RandomTranslation((2, 0)), ArgumentError,
     "RandomTranslation: translate is (2, 0), expected fractions of the size, between 0 and 1"),
    (lambda: a.RandomScale((0, 1)), ArgumentError,
     "RandomScale: scale is 0.0, expected more than 0"),
    (lambda: a.RandomScale(2), ArgumentTypeError,
     "RandomScale: scale is 2, expected (low, high), or four numbers for x and y"),
    (lambda: a.RandomShear(95), ArgumentError,
     "RandomShear: shear is 95, expected less than 90 degrees"),
    (lambda: a.RandomHorizontalFlip(2), ArgumentError,
     "RandomHorizontalFlip: p is 2, expected a probability between 0 and 1"),
    (lambda: a.RandomCrop(5)(IMAGES), ShapeError,
     "RandomCrop: images of shape (2, 3, 4, 4) with 0 pixels of padding, expected at least (5, 5)"),
    (lambda: a.ElasticDistortion(34, -4), ArgumentError,
     "ElasticDistortion: sigma is -4, expected more than 0"),
    (lambda: a.ColorJitter(contrast=(-1, 1)), ArgumentError,
     "ColorJitter: contrast is (-1, 1), expected none below 0"),
    (lambda: a.Compose([1]), ArgumentTypeError, "Compose: 1 is no transform"),
    (lambda: a.RandomApply(None), ArgumentTypeError, "RandomApply: None is no transform"),
    (lambda: a.Cutout(2)([]), ShapeError, "Cutout: an empty batch, expected [images, ...]"),
    (lambda: a.MixUp(10)(IMAGES), ShapeError,
     "MixUp: images alone, expected a batch [images, targets]"),
    (lambda: a.MixUp(10)([IMAGES]), ShapeError,
     "MixUp: a batch of 1 parts, expected [images, targets]"),
    (lambda: a.MixUp(10, 0), ArgumentError, "MixUp: alpha is 0, expected more than 0"),
    (lambda: a.MixUp(2)([IMAGES, tn.tensor([0, 2])]), DimError,
     "one_hot: index 2 is out of range for 2 classes"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), CASES, ids=[case[2][:40] for case in CASES])
def test_message(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value) == message
