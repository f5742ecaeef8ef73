"""Augmentation: batches of images changed so that a network sees other ones in each epoch.

Images are float tensors (n, channels, height, width) on any device. Everything is made of tensor
operations on whole batches, and random parameters are drawn for each image, repeatably.

* `geometry`, `elastic`, `pixels`: functions with given parameters: `rotate`, `cutout`, `mixup`, ...
* `random_geometry`, `random_pixels`: random ones: `RandomAffine`, `GaussianNoise`, `MixUp`, ...
* `transform`: what these have in common; `Compose`, `RandomApply`
* `resampling`: images read between their pixels, and what lies outside of them; `mapping`: where
  the pixels of an affine transform come from; `checks`: what is checked first

>>> import tinynet as tn
>>> from tinynet.data import augmentation
>>> transform = augmentation.Compose([
...     augmentation.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1)),
...     augmentation.ElasticDistortion(),
...     augmentation.Cutout(8),
... ])
>>> images = transform(tn.rand(16, 1, 28, 28), tn.Generator().manual_seed(0))
>>> images.shape
(16, 1, 28, 28)

A transform also takes a batch, images first, and so goes into a `DataLoader` as it is:
`DataLoader(dataset, 128, transform=transform)`.
"""

from tinynet.data.augmentation.elastic import elastic, elastic_displacements, gaussian_filter
from tinynet.data.augmentation.geometry import (
    affine,
    affine_transform,
    crop,
    horizontal_flip,
    rotate,
    scale,
    shear,
    translate,
    vertical_flip,
)
from tinynet.data.augmentation.pixels import (
    adjust_brightness,
    adjust_contrast,
    cutout,
    gaussian_noise,
    mixup,
    normalize,
)
from tinynet.data.augmentation.random_geometry import (
    ElasticDistortion,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomScale,
    RandomShear,
    RandomTranslation,
    RandomVerticalFlip,
)
from tinynet.data.augmentation.random_pixels import (
    ColorJitter,
    Cutout,
    GaussianNoise,
    MixUp,
    Normalize,
)
from tinynet.data.augmentation.resampling import map_coordinates
from tinynet.data.augmentation.transform import Compose, RandomApply, Transform

__all__ = [
    "ColorJitter",
    "Compose",
    "Cutout",
    "ElasticDistortion",
    "GaussianNoise",
    "MixUp",
    "Normalize",
    "RandomAffine",
    "RandomApply",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomScale",
    "RandomShear",
    "RandomTranslation",
    "RandomVerticalFlip",
    "Transform",
    "adjust_brightness",
    "adjust_contrast",
    "affine",
    "affine_transform",
    "crop",
    "cutout",
    "elastic",
    "elastic_displacements",
    "gaussian_filter",
    "gaussian_noise",
    "horizontal_flip",
    "map_coordinates",
    "mixup",
    "normalize",
    "rotate",
    "scale",
    "shear",
    "translate",
    "vertical_flip",
]
