"""Data: sets of samples, batches of them, and the sets that everybody starts with.

* `dataset`: `Dataset`, `TensorDataset`, `Subset`, `random_split`
* `loader`: `DataLoader`, `default_collate`
* `images`: `ImageDataset`, `mnist`, `fashion_mnist`
* `augmentation`: images turned, distorted, cut, mixed, ... at random
* `sources`: where their files come from (`TINYNET_DATA`, cache, download)
* `idx`: the files' format
* `sample/`: 5,000 digits of MNIST for want of a network, and ten sonnets
"""

from tinynet.data import augmentation
from tinynet.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinynet.data.images import ImageDataset, fashion_mnist, mnist
from tinynet.data.loader import DataLoader, default_collate

__all__ = [
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "Subset",
    "TensorDataset",
    "augmentation",
    "default_collate",
    "fashion_mnist",
    "mnist",
    "random_split",
]
