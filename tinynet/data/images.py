"""MNIST (LeCun, Cortes & Burges 1998), Fashion-MNIST (Xiao, Rasul & Vollgraf 2017), and KMNIST.

Each is 60,000 images to train on and 10,000 to test on, 28 x 28 grey pixels, ten classes. KMNIST is
Clanuwat et al. 2018, "Deep Learning for Classical Japanese Literature".
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet import settings
from tinynet.data.dataset import TensorDataset
from tinynet.data.sources import Source, read_cached, read_folder
from tinynet.errors import DataError, MissingDependencyError
from tinynet.ops.creation import from_numpy
from tinynet.tensor import Tensor

SAMPLE = Path(__file__).parent / "sample"
SIDE = 28
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@dataclass(frozen=True)
class ImageSource(Source):
    """A source of images, with its classes, and its training pixels' mean and deviation.

    Where those are None, they are computed from the images.
    """

    classes: tuple[str, ...]
    mean: float | None = None
    std: float | None = None


MNIST = ImageSource(
    name="mnist",
    subfolders=("mnist", "MNIST/raw"),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    checksums={
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    classes=tuple("0123456789"),
    mean=0.1307,
    std=0.3081,
)
FASHION_MNIST = ImageSource(
    name="fashion_mnist",
    subfolders=("fashion-mnist", "FashionMNIST/raw"),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    checksums={
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
    classes=CLOTHES,
    mean=0.2860,
    std=0.3530,
)
KMNIST = ImageSource(
    name="kmnist",
    subfolders=("kmnist", "KMNIST/raw"),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    checksums={
        "train-images-idx3-ubyte": "md5:bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "md5:e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "md5:5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "md5:7320c461ea6c1c855c0b718fb2a4b134",
    },
    classes=HIRAGANA,
)


class ImageDataset(TensorDataset):
    """Images with their labels: `dataset[i]` is `(images[i], labels[i])`.

    `images` is float32 of shape (n, channels, height, width), or (n, channels * height * width) if
    flat, in [0, 1] if not normalized; `labels` is int64 of shape (n,); `classes[label]` is a
    label's name.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: tuple[str, ...]) -> None:
        super().__init__(images, labels)
        self.images = images
        self.labels = labels
        self.classes = classes


def mnist(
    *, flatten: bool = False, normalize: bool = False, device: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Handwritten digits: `train, test = tinynet.data.mnist()`.

    Read from the folder `TINYNET_DATA` if that is set, else from the user's cache, downloaded into
    it if need be. Where that fails, a sample of 5,000 digits stands in, with a warning.

    `flatten` makes rows of the images; `normalize` gives the training pixels mean 0 and standard
    deviation 1, with which networks learn faster, instead of a range of [0, 1]. The tensors are on
    `device`, the default one if it is not given.
    """
    try:
        arrays = _read(MNIST)
    except (DataError, MissingDependencyError) as error:
        if settings.DATA.get():
            raise
        warnings.warn(
            "MNIST IS NOT HERE: using the sample of 5,000 digits that tinynet carries (4,000 to"
            " train on, 1,000 to test on, all from MNIST's training images), so accuracies are"
            f" not those of MNIST. For the whole, go online, or put its four files in a folder and"
            f" set {settings.DATA.name} to that. What failed:\n{error}",
            stacklevel=2,
        )
        arrays = read_folder(MNIST, SAMPLE)
    return _make_datasets(MNIST, arrays, flatten, normalize, device)


def fashion_mnist(
    *, flatten: bool = False, normalize: bool = False, device: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Photographs of clothes: `train, test = tinynet.data.fashion_mnist()`.

    As `mnist`, but there is no sample: without files and network it raises `DataError`.
    """
    return _make_datasets(FASHION_MNIST, _read(FASHION_MNIST), flatten, normalize, device)


def kmnist(
    *, flatten: bool = False, normalize: bool = False, device: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Handwritten hiragana, harder than digits: `train, test = tinynet.data.kmnist()`.

    As `mnist`, but there is no sample: without files and network it raises `DataError`. `classes`
    are the characters' sounds.
    """
    return _make_datasets(KMNIST, _read(KMNIST), flatten, normalize, device)


def _read(source: ImageSource) -> dict[str, NDArray[Any]]:
    folder = settings.DATA.get()
    if not folder:
        return read_cached(source)
    others = [other for other in (MNIST, FASHION_MNIST, KMNIST) if other is not source]
    return read_folder(source, Path(folder), others)


def _make_datasets(
    source: ImageSource,
    arrays: dict[str, NDArray[Any]],
    flatten: bool,
    normalize: bool,
    device: str | None,
) -> tuple[ImageDataset, ImageDataset]:
    pairs = []
    for split in ("train", "t10k"):
        images = arrays[f"{split}-images-idx3-ubyte"]
        labels = arrays[f"{split}-labels-idx1-ubyte"]
        _check(f"{source.name}: {split}", images, labels, len(source.classes))
        pairs.append((images.reshape(-1, 1, SIDE, SIDE), labels))
    return make_datasets(source, pairs, flatten, normalize, device)


def make_datasets(
    source: ImageSource,
    pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    flatten: bool,
    normalize: bool,
    device: str | None,
) -> tuple[ImageDataset, ImageDataset]:
    """The sets to train on and to test on, of uint8 images (n, channels, height, width), labels."""
    scale = _find_scale(source, pairs[0][0]) if normalize else None
    device = device or settings.DEVICE.get()
    datasets = []
    for images, labels in pairs:
        pixels = from_numpy(images).to(device).float().div_(255)
        if scale is not None:
            mean, std = (from_numpy(each).to(device) for each in scale)
            pixels = pixels.sub_(mean).div_(std)
        pixels = pixels.flatten(1) if flatten else pixels
        classes = from_numpy(labels).to(device).long()
        # now, while the caller goes on, not when the first batch is taken
        datasets.append(ImageDataset(pixels.realize(), classes.realize(), source.classes))
    return datasets[0], datasets[1]


def _find_scale(
    source: ImageSource, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each channel's pixels / 255, float32 of shape (channels, 1, 1)."""
    if source.mean is not None and source.std is not None:
        mean, std = (np.full((1, 1, 1), x, np.float32) for x in (source.mean, source.std))
        return mean, std
    if not images.size:
        raise DataError(f"{source.name}: no images to train on, expected some to normalize by")
    levels = np.arange(256) / 255
    moments = []
    for channel in images.swapaxes(0, 1):
        shares = np.bincount(channel.ravel(), minlength=256) / channel.size
        mean = shares @ levels
        moments.append((mean, np.sqrt(shares @ (levels - mean) ** 2) or 1))  # of one level: keep it
    means, stds = np.array(moments, np.float32).T.reshape(2, -1, 1, 1)
    return means, stds


def _check(name: str, images: NDArray[Any], labels: NDArray[Any], n_classes: int) -> None:
    if images.dtype != "u1" or images.shape[1:] != (SIDE, SIDE):
        raise DataError(
            f"{name} images: {images.dtype.name} of shape {images.shape},"
            f" expected uint8 of shape (n, {SIDE}, {SIDE})"
        )
    if labels.dtype != "u1" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{name} labels: {labels.dtype.name} of shape {labels.shape},"
            f" expected uint8 of shape {images.shape[:1]}, one for each image"
        )
    if labels.size and labels.max() >= n_classes:
        raise DataError(f"{name} labels: up to {labels.max()}, expected less than {n_classes}")
