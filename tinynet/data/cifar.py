"""CIFAR-10 (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images").

50,000 colour photographs to train on and 10,000 to test on, 32 x 32 pixels, ten classes, from
the set's *binary version*: a record is a byte for the label, then 1,024 bytes each of red, green
and blue, row by row. The files and their format: <https://www.cs.toronto.edu/~kriz/cifar.html>.
"""

import io
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinynet import settings
from tinynet.data.idx import read_file, unpack
from tinynet.data.images import ImageDataset, ImageSource, make_datasets
from tinynet.data.sources import find_file, read_cached_file, require_folder
from tinynet.errors import DataError

ARCHIVE = "cifar-10-binary.tar"
INNER_FOLDER = "cifar-10-batches-bin"
TRAINING = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = "test_batch.bin"
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
CIFAR10 = ImageSource(
    name="cifar10",
    subfolders=(INNER_FOLDER, f"cifar10/{INNER_FOLDER}", f"cifar-10/{INNER_FOLDER}", "cifar10",
                "cifar-10"),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    checksums={ARCHIVE: "md5:c32a1d4ab5d03f1284b67883e8d87530"},
    classes=(
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
)  # fmt: skip

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def cifar10(
    *, flatten: bool = False, normalize: bool = False, device: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Colour photographs of animals and vehicles: `train, test = tinynet.data.cifar10()`.

    Images are float32 of shape (n, 3, 32, 32), red, green, blue: 740 MB in all. In the folder
    `TINYNET_DATA`, if that is set, is cifar-10-binary.tar.gz or its folder cifar-10-batches-bin;
    else the archive (170 MB) is downloaded into the user's cache. Without files and network, or
    where they are not whole, it raises `DataError`.

    `flatten` makes rows of the images, channel by channel; `normalize` gives the training pixels
    of each channel mean 0 and standard deviation 1, instead of a range of [0, 1].
    """
    folder = settings.DATA.get()
    if folder:
        contents = _read_folder(Path(folder))
    else:
        contents = _read_members(read_cached_file(CIFAR10, ARCHIVE), ARCHIVE)
    pairs = [_parse(content, file) for file, content in contents.items()]
    train = np.concatenate([x for x, _ in pairs[:-1]]), np.concatenate([y for _, y in pairs[:-1]])
    return make_datasets(CIFAR10, [train, pairs[-1]], flatten, normalize, device)


def _read_folder(folder: Path) -> dict[str, bytes]:
    """The six files' content from a user's folder: lying there, or in the archive."""
    require_folder(CIFAR10, folder)
    paths = {file: find_file(CIFAR10, folder, file) for file in (*TRAINING, TEST)}
    if not any(paths.values()):
        archive = find_file(CIFAR10, folder, ARCHIVE)
        if archive is not None:
            content = unpack(read_file(archive, CIFAR10.name), archive, CIFAR10.name)
            return _read_members(content, archive)
    contents = {}
    for file, path in paths.items():
        if path is None:
            raise DataError(
                f"{CIFAR10.name}: {settings.DATA.name} has no {file}, expected"
                f" {folder / INNER_FOLDER / file} or {folder / ARCHIVE}.gz, the binary version;"
                f" unset {settings.DATA.name} to download"
            )
        contents[file] = unpack(read_file(path, CIFAR10.name), path, CIFAR10.name)
    return contents


def _read_members(archive: bytes, path: str | Path) -> dict[str, bytes]:
    """The six files' content from a tar file, by their exact names: nothing else is touched."""
    contents = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for file in (*TRAINING, TEST):
                member = tar.getmember(f"{INNER_FOLDER}/{file}")
                if not member.isreg():  # a link could name another file
                    raise DataError(
                        f"{CIFAR10.name}: {path}: {member.name} is no file, expected a regular one"
                    )
                stored = tar.extractfile(member)
                contents[file] = stored.read() if stored else b""
    except KeyError as error:
        raise DataError(
            f"{CIFAR10.name}: {path}: {error.args[0]}, expected cifar-10-binary.tar.gz"
        ) from error
    except (tarfile.TarError, OverflowError, ValueError) as error:  # the last two: of mad sizes
        raise DataError(f"{CIFAR10.name}: {path}: {error}, expected a whole tar file") from error
    return contents


def _parse(content: bytes, file: str) -> Arrays:
    """Images, uint8 of shape (n, 3, 32, 32), and labels, uint8 of shape (n,), of a batch file."""
    if not content or len(content) % RECORD:
        raise DataError(
            f"{CIFAR10.name}: {file}: {len(content)} bytes, expected records of {RECORD}:"
            " a label and 3 x 32 x 32 pixels"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].copy()
    n_classes = len(CIFAR10.classes)
    if labels.max() >= n_classes:
        raise DataError(
            f"{CIFAR10.name}: {file}: labels up to {labels.max()}, expected less than {n_classes}"
        )
    return records[:, 1:].reshape(-1, *SHAPE), labels
