"""`mnist()` and `fashion_mnist()`: what they give, and what they say where they cannot."""

import struct
import warnings

import numpy as np
import pytest

import tinynet as tn
from tests.data.conftest import pack_idx
from tinynet.data import images as images_module
from tinynet.data.idx import read_idx
from tinynet.errors import DataError


@pytest.fixture
def folder(monkeypatch, tmp_path, write_files):
    """TINYNET_DATA, with small files in it."""
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    return write_files(tmp_path / "data")


def test_images_and_labels(folder):
    train, test = tn.data.mnist()
    assert (len(train), len(test)) == (6, 3)
    assert (train.images.shape, train.images.dtype) == ((6, 1, 28, 28), tn.float32)
    assert (train.labels.tolist(), train.labels.dtype) == ([0, 1, 2, 3, 4, 5], tn.int64)
    assert train.classes[3] == "3"
    pixels = read_idx(folder / "train-images-idx3-ubyte.gz")
    np.testing.assert_allclose(train.images.numpy()[:, 0], pixels / 255, rtol=1e-6)
    image, label = test[2]
    assert (image.shape, label.item()) == ((1, 28, 28), 2)


def test_flatten(folder):
    train, test = tn.data.mnist(flatten=True)
    assert (train.images.shape, test.images.shape) == ((6, 784), (3, 784))


def test_normalize(folder):
    raw, scaled = (tn.data.mnist(normalize=normalize)[1] for normalize in (False, True))
    np.testing.assert_allclose(
        scaled.images.numpy(), (raw.images.numpy() - 0.1307) / 0.3081, rtol=1e-4, atol=1e-5
    )


def test_device(folder):
    train, _ = tn.data.mnist(device="cpu")
    assert str(train.images.device) == str(train.labels.device) == "cpu"


def test_fashion_mnist(folder):
    train, _ = tn.data.fashion_mnist()
    assert train.classes[9] == "Ankle boot"
    assert len(train.classes) == 10


def test_kmnist(folder, contents, write_files):
    contents["train-labels-idx1-ubyte"] = pack_idx(np.full(6, 9, np.uint8))
    write_files(folder / "KMNIST" / "raw")
    train, test = tn.data.kmnist(normalize=True)
    assert (train.images.shape, len(test)) == ((6, 1, 28, 28), 3)
    assert train.classes[train.labels[0].item()] == "wo"
    assert train.images.mean().item() == pytest.approx(0, abs=1e-5)
    assert train.images.square().mean().item() == pytest.approx(1, abs=1e-5)
    pixels = read_idx(folder / "t10k-images-idx3-ubyte.gz")
    own = read_idx(folder / "train-images-idx3-ubyte.gz") / 255
    expected = (pixels / 255 - own.mean()) / own.std()
    np.testing.assert_allclose(test.images.numpy()[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_kmnist_of_no_images(folder, contents, write_files):
    contents["train-images-idx3-ubyte"] = pack_idx(np.zeros((0, 28, 28), np.uint8))
    contents["train-labels-idx1-ubyte"] = pack_idx(np.zeros(0, np.uint8))
    write_files(folder)
    assert len(tn.data.kmnist()[0]) == 0
    with pytest.raises(DataError) as caught:
        tn.data.kmnist(normalize=True)
    assert str(caught.value) == "kmnist: no images to train on, expected some to normalize by"


def test_no_sample_of_kmnist():
    with pytest.raises(DataError, match=r"^kmnist: no mirror gave train-images-idx3-ubyte"):
        tn.data.kmnist()


def test_subfolders_of_their_own(folder, contents, write_files):
    contents["train-labels-idx1-ubyte"] = pack_idx(np.full(6, 9, np.uint8))
    write_files(folder / "fashion-mnist")
    assert tn.data.mnist()[0].labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert tn.data.fashion_mnist()[0].labels.tolist() == [9] * 6


def test_wrong_images(folder, contents, write_files):
    contents["t10k-images-idx3-ubyte"] = pack_idx(np.zeros((3, 32, 32), np.uint8))
    write_files(folder)
    with pytest.raises(DataError) as caught:
        tn.data.mnist()
    assert str(caught.value) == (
        "mnist: t10k images: uint8 of shape (3, 32, 32), expected uint8 of shape (n, 28, 28)"
    )


def test_wrong_number_of_labels(folder, contents, write_files):
    contents["train-labels-idx1-ubyte"] = pack_idx(np.zeros(5, np.uint8))
    write_files(folder)
    with pytest.raises(DataError) as caught:
        tn.data.mnist()
    assert str(caught.value) == (
        "mnist: train labels: uint8 of shape (5,), expected uint8 of shape (6,), one for each image"
    )


def test_wrong_labels(folder, contents, write_files):
    contents["train-labels-idx1-ubyte"] = pack_idx(np.arange(5, 11, dtype=np.uint8))
    write_files(folder)
    with pytest.raises(DataError) as caught:
        tn.data.fashion_mnist()
    assert str(caught.value) == "fashion_mnist: train labels: up to 10, expected less than 10"


def test_truncated_file_is_an_error_and_not_the_sample(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="expected a whole gzip file"):
        tn.data.mnist()


def test_sample_with_a_warning_where_nothing_else_is():
    with pytest.warns(UserWarning, match="MNIST IS NOT HERE: using the sample of 5,000") as caught:
        train, test = tn.data.mnist()
    assert caught[0].filename == __file__
    assert "TINYNET_DATA" in str(caught[0].message)
    assert "http://127.0.0.1:9/: ConnectionError" in str(caught[0].message)
    for dataset, n in ((train, 4000), (test, 1000)):
        assert dataset.images.shape == (n, 1, 28, 28)
        assert np.bincount(dataset.labels.numpy()).tolist() == [n // 10] * 10


def test_sample_is_small_and_can_be_chosen(monkeypatch):
    assert sum(path.stat().st_size for path in images_module.SAMPLE.iterdir()) < 1_500_000
    monkeypatch.setenv("TINYNET_DATA", str(images_module.SAMPLE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(tn.data.mnist()[0]) == 4000


def test_no_sample_of_fashion_mnist():
    with pytest.raises(DataError, match=r"^fashion_mnist: no mirror gave train-images-idx3-ubyte"):
        tn.data.fashion_mnist()


def test_no_pooch(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.warns(UserWarning, match=r"pip install 'tinynet\[data\]'"):
        assert len(tn.data.mnist()[1]) == 1000


def test_labels_of_floats(folder):
    labels = struct.pack(">BBBBI", 0, 0, 0x0D, 1, 6) + bytes(24)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(DataError, match=r"train labels: float32 of shape \(6,\), expected uint8"):
        tn.data.mnist()


def test_sets_are_on_the_default_device(on_device, folder):
    train, test = tn.data.mnist()
    assert {x.device for each in (train, test) for x in each.tensors} == {on_device}
    assert tn.data.mnist(device="cpu")[1].images.device == "cpu"
