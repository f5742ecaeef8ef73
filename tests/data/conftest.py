"""Data sets in folders of their own: no test reads the user's files or the network."""

import dataclasses
import gzip
import struct

import numpy as np
import pytest

from tinynet import settings
from tinynet.data import cifar as cifar_module
from tinynet.data import images as images_module


@pytest.fixture(autouse=True)
def closed_world(monkeypatch, tmp_path):
    """No TINYNET_DATA, an empty cache, and mirrors that refuse at once."""
    pytest.importorskip("pooch")
    cache = tmp_path / "cache" / "tinynet"
    monkeypatch.delenv(settings.DATA.name, raising=False)
    monkeypatch.setenv(settings.CACHE.name, str(cache))
    sources = ((images_module, "MNIST"), (images_module, "FASHION_MNIST"),
               (images_module, "KMNIST"), (cifar_module, "CIFAR10"))  # fmt: skip
    for module, name in sources:
        closed = dataclasses.replace(getattr(module, name), mirrors=("http://127.0.0.1:9/",))
        monkeypatch.setattr(module, name, closed)
    return cache


def pack_idx(values):
    """The IDX file that holds a uint8 array."""
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 0x08, values.ndim, *values.shape)
    return header + values.tobytes()


@pytest.fixture
def contents():
    """Four small files in the format of MNIST: 6 images to train on, 3 to test on."""
    random = np.random.default_rng(0)
    files = {}
    for split, n in (("train", 6), ("t10k", 3)):
        images = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        files[f"{split}-images-idx3-ubyte"] = pack_idx(images)
        files[f"{split}-labels-idx1-ubyte"] = pack_idx(np.arange(n, dtype=np.uint8))
    return files


@pytest.fixture
def write_files(contents):
    """`write_files(folder)` writes the four files, packed or not."""

    def write(folder, packed=True):
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)
        return folder

    return write
