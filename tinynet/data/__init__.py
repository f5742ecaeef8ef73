"""Data: sets of samples, batches of them, and the sets that everybody starts with.

* `dataset`: `Dataset`, `TensorDataset`, `Subset`, `ConcatDataset`, `random_split`
* `sampler`: in which order an epoch visits the samples
* `loader`: `DataLoader`; `epochs`: its order and position; `prefetching`: its thread
* `collate`: `default_collate`
* `splitting`: `train_test_split`, `KFold`, `StratifiedKFold`
* `images`: `ImageDataset`, `mnist`, `fashion_mnist`
* `sources`: where their files come from (`TINYNET_DATA`, cache, download)
* `idx`: the files' format
* `sample/`: 5,000 digits of MNIST for want of a network, and ten sonnets
"""

from tinynet.data.collate import default_collate
from tinynet.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tinynet.data.images import ImageDataset, fashion_mnist, mnist
from tinynet.data.loader import DataLoader
from tinynet.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinynet.data.splitting import KFold, StratifiedKFold, train_test_split

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "KFold",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StratifiedKFold",
    "StratifiedSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "fashion_mnist",
    "mnist",
    "random_split",
    "train_test_split",
]
