"""Data: sets of samples, batches of them, and the sets that everybody starts with.

* `dataset`: `Dataset`, `TensorDataset`, `Subset`, `random_split`
* `loader`: `DataLoader`, `default_collate`
* `images`: `ImageDataset`, `mnist`, `fashion_mnist`, `kmnist`
* `cifar`: `cifar10`
* `sources`: where their files come from (`TINYNET_DATA`, cache, download)
* `idx`: the files' format
* `sample/`: 5,000 digits of MNIST for want of a network, and ten sonnets
"""

from tinynet.data.cifar import cifar10
from tinynet.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinynet.data.images import ImageDataset, fashion_mnist, kmnist, mnist
from tinynet.data.loader import DataLoader, default_collate

__all__ = [
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "Subset",
    "TensorDataset",
    "cifar10",
    "default_collate",
    "fashion_mnist",
    "kmnist",
    "mnist",
    "random_split",
]
