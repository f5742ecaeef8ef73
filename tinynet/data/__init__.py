"""Data: sets of samples, batches of them, and the sets that everybody starts with.

* `dataset`: `Dataset`, `TensorDataset`, `Subset`, `ConcatDataset`, `random_split`
* `sampler`: in which order an epoch visits the samples
* `loader`: `DataLoader`; `epochs`: its order and position; `prefetching`: its thread
* `collate`: `default_collate`
* `splitting`: `train_test_split`, `KFold`, `StratifiedKFold`
* `images`: `ImageDataset`, `mnist`, `fashion_mnist`, `kmnist`; `cifar`: `cifar10`
* `synthetic`: `make_moons` and the like, made-up sets
* `tables`: `read_csv`, `read_numpy`
* `text`: `Vocabulary`, `split_words`, `bag_of_words`, `make_windows`
* `augmentation`: images turned, distorted, cut, mixed, ... at random
* `sources`: where their files come from (`TINYNET_DATA`, cache, download)
* `idx`: the files' format
* `sample/`: 5,000 digits of MNIST for want of a network, and ten sonnets
"""

from tinynet.data import augmentation
from tinynet.data.cifar import cifar10
from tinynet.data.collate import default_collate
from tinynet.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tinynet.data.images import ImageDataset, fashion_mnist, kmnist, mnist
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
from tinynet.data.synthetic import (
    make_blobs,
    make_circles,
    make_linear,
    make_moons,
    make_polynomial,
    make_spirals,
    make_xor,
)
from tinynet.data.tables import TableDataset, read_csv, read_numpy
from tinynet.data.text import Vocabulary, bag_of_words, make_windows, read_text, split_words

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
    "TableDataset",
    "TensorDataset",
    "Vocabulary",
    "WeightedRandomSampler",
    "augmentation",
    "bag_of_words",
    "cifar10",
    "default_collate",
    "fashion_mnist",
    "kmnist",
    "make_blobs",
    "make_circles",
    "make_linear",
    "make_moons",
    "make_polynomial",
    "make_spirals",
    "make_windows",
    "make_xor",
    "mnist",
    "random_split",
    "read_csv",
    "read_numpy",
    "read_text",
    "split_words",
    "train_test_split",
]
