"""`cifar10()`: from loose files, from an archive, from a mirror, and from what is neither."""

import dataclasses
import gzip
import hashlib
import io
import os
import tarfile

import numpy as np
import pytest

import tinynet as tn
from tests.data.test_sources import start_mirror  # noqa: F401 (a fixture)
from tinynet.data import cifar as cifar_module
from tinynet.errors import DataError

FILES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]


@pytest.fixture
def batches():
    """Six small files: three images each, with labels 0 to 9 in turn."""
    random = np.random.default_rng(0)
    contents = {}
    for i, file in enumerate(FILES):
        labels = (np.arange(3 * i, 3 * i + 3) % 10).astype(np.uint8)
        pixels = random.integers(0, 256, (3, 3072), dtype=np.uint8)
        contents[file] = np.concatenate([labels[:, None], pixels], axis=1).tobytes()
    return contents


def pack_tar(members):
    """A tar file of members by name; a str is the goal of a symbolic link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def archive(batches):
    inside = {f"cifar-10-batches-bin/{file}": content for file, content in batches.items()}
    return pack_tar({"cifar-10-batches-bin/readme.html": b"<html>", **inside})


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write_batches(folder, batches):
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in batches.items():
        (folder / file).write_bytes(content)


def expect_error(message):
    with pytest.raises(DataError) as caught:
        tn.data.cifar10()
    assert str(caught.value) == f"cifar10: {message}"


def check_sets(batches, train, test):
    assert (len(train), len(test)) == (15, 3)
    assert (train.images.shape, train.images.dtype) == ((15, 3, 32, 32), tn.float32)
    assert (train.labels.tolist(), train.labels.dtype) == ([i % 10 for i in range(15)], tn.int64)
    assert test.labels.tolist() == [5, 6, 7]
    second = batches["data_batch_1.bin"][3073:][:3073]  # of the format's description: record 2
    image, label = train[1]
    assert label.item() == second[0]
    for channel, row, column in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 31)):
        byte = second[1 + 1024 * channel + 32 * row + column]
        assert image[channel, row, column].item() == pytest.approx(byte / 255)


@pytest.mark.parametrize(
    "subfolder", [".", "cifar-10-batches-bin", "cifar10", "cifar-10/cifar-10-batches-bin"]
)
def test_loose_files(folder, batches, subfolder):
    write_batches(folder / subfolder, batches)
    check_sets(batches, *tn.data.cifar10())


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_archive_in_a_folder(folder, batches, archive, pack):
    name = "cifar-10-binary.tar" + (".gz" if pack is gzip.compress else "")
    (folder / name).write_bytes(pack(archive))
    check_sets(batches, *tn.data.cifar10())
    assert os.listdir(folder) == [name]  # nothing is unpacked there


@pytest.fixture
def mirror(monkeypatch, start_mirror, archive):  # noqa: F811
    server = start_mirror({"cifar-10-binary.tar": archive})
    packed, _ = server.files["cifar-10-binary.tar.gz"]
    checksums = {"cifar-10-binary.tar": "md5:" + hashlib.md5(packed).hexdigest()}
    source = dataclasses.replace(cifar_module.CIFAR10, mirrors=(server.url,), checksums=checksums)
    monkeypatch.setattr(cifar_module, "CIFAR10", source)
    return server


def test_download_goes_to_the_cache_which_then_serves(mirror, batches, closed_world):
    check_sets(batches, *tn.data.cifar10())
    assert os.listdir(closed_world / "cifar10") == ["cifar-10-binary.tar.gz"]
    check_sets(batches, *tn.data.cifar10())
    assert mirror.asked == ["cifar-10-binary.tar.gz"]


def test_download_of_something_else(mirror, closed_world):
    mirror.serve({"cifar-10-binary.tar": b"something else"})
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz has MD5 \w{32}, expected \w{32}$"):
        tn.data.cifar10()
    assert os.listdir(closed_world / "cifar10") == []


def test_nothing_anywhere():
    with pytest.raises(DataError, match=r"^cifar10: no mirror gave cifar-10-binary.tar.gz"):
        tn.data.cifar10()


def test_the_true_checksum():
    assert cifar_module.CIFAR10.checksums == {
        "cifar-10-binary.tar": "md5:c32a1d4ab5d03f1284b67883e8d87530"
    }


def test_flatten_and_normalize(folder, batches):
    write_batches(folder, batches)
    raw, _ = tn.data.cifar10()
    train, test = tn.data.cifar10(flatten=True, normalize=True)
    assert (train.images.shape, test.images.shape) == ((15, 3072), (3, 3072))
    pixels = raw.images.numpy()
    mean, std = (f(pixels, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    expected = ((pixels - mean) / std).reshape(15, -1)
    np.testing.assert_allclose(train.images.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_black_images_normalize_to_zeros(folder, batches):
    write_batches(folder, {file: bytes(3073) for file in batches})
    assert tn.data.cifar10(normalize=True)[0].images.abs().max().item() == 0


def test_a_file_is_missing(folder, batches):
    write_batches(folder, batches)
    (folder / "data_batch_3.bin").unlink()
    expect_error(
        "TINYNET_DATA has no data_batch_3.bin, expected"
        f" {folder / 'cifar-10-batches-bin' / 'data_batch_3.bin'} or"
        f" {folder / 'cifar-10-binary.tar.gz'}, the binary version; unset TINYNET_DATA to download"
    )


def test_a_file_is_truncated(folder, batches):
    batches["test_batch.bin"] = batches["test_batch.bin"][:-1]
    write_batches(folder, batches)
    expect_error(
        "test_batch.bin: 9218 bytes, expected records of 3073: a label and 3 x 32 x 32 pixels"
    )


def test_a_file_is_empty(folder, batches):
    write_batches(folder, {**batches, "test_batch.bin": b""})
    expect_error(
        "test_batch.bin: 0 bytes, expected records of 3073: a label and 3 x 32 x 32 pixels"
    )


def test_a_wrong_label(folder, batches):
    write_batches(folder, {**batches, "data_batch_1.bin": b"\x0a" + bytes(3072)})
    expect_error("data_batch_1.bin: labels up to 10, expected less than 10")


def test_an_archive_without_a_file(folder, archive):
    path = folder / "cifar-10-binary.tar"
    path.write_bytes(pack_tar({"other": b""}))
    expect_error(
        f"{path}: \"filename 'cifar-10-batches-bin/data_batch_1.bin' not found\","
        " expected cifar-10-binary.tar.gz".replace('"', "")
    )


def test_an_archive_with_a_link(folder, batches):
    inside = {f"cifar-10-batches-bin/{file}": content for file, content in batches.items()}
    path = folder / "cifar-10-binary.tar"
    path.write_bytes(pack_tar({**inside, "cifar-10-batches-bin/test_batch.bin": "/etc/passwd"}))
    expect_error(f"{path}: cifar-10-batches-bin/test_batch.bin is no file, expected a regular one")


def test_every_truncation_of_an_archive_is_an_error(archive):
    end = archive.rindex(b"ustar") + 255 + 3 * 3073  # where the last member's content ends
    for n_bytes in [*range(1100), *range(1100, end, 509), end - 1]:
        with pytest.raises(DataError, match=r"^cifar10: some\.tar: "):
            cifar_module._read_members(archive[:n_bytes], "some.tar")
    assert len(cifar_module._read_members(archive[: end + -end % 512], "some.tar")) == 6


def test_every_truncation_of_a_packed_archive_is_an_error(folder, archive):
    path = folder / "cifar-10-binary.tar.gz"
    packed = gzip.compress(archive, 1)
    for n_bytes in [*range(40), *range(40, len(packed), 4999), len(packed) - 1]:
        path.write_bytes(packed[:n_bytes])
        with pytest.raises(DataError, match=r"^cifar10: "):
            tn.data.cifar10()


def test_headers_with_a_changed_byte_give_images_or_an_error(archive):
    random = np.random.default_rng(0)
    n_errors = 0
    for i in range(1024):  # the first header, the first file, and half of the second header
        damaged = bytearray(archive)
        damaged[i] ^= random.integers(1, 256)
        try:
            cifar_module._read_members(bytes(damaged), "some.tar")
        except DataError:
            n_errors += 1
    assert n_errors > 300


def test_a_header_whose_size_no_machine_counts(archive):
    header = bytearray(archive[:512])
    header[124:136] = b"\x80" + b"\x7f" * 11  # GNU's binary form of a number
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(DataError, match=r"^cifar10: some\.tar: .*, expected a whole tar file$"):
        cifar_module._read_members(bytes(header) + archive[512:], "some.tar")
