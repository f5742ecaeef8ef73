"""Where files come from: a folder, the cache, mirrors on this machine."""

import errno
import gzip
import hashlib
import http.server
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinynet.data import images as images_module
from tinynet.data.sources import Source, read_cached, read_folder
from tinynet.errors import DataError, MissingDependencyError

IMAGES = "train-images-idx3-ubyte"


def make_source(contents, *mirrors):
    checksums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    return Source("digits", ("mnist", "MNIST/raw"), mirrors, checksums)


class Mirror:
    """A web server whose `files` are what it gives; `asked` are the names it was asked for."""

    def __init__(self):
        self.files = {}
        self.asked = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                mirror.asked.append(name)
                if name not in mirror.files:
                    self.send_error(404)
                    return
                content, n_promised = mirror.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(n_promised))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self, contents):
        for file, content in contents.items():
            packed = gzip.compress(content)
            self.files[f"{file}.gz"] = packed, len(packed)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def start_mirror(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirrors = []

    def start(contents=None):
        mirrors.append(Mirror())
        mirrors[-1].serve(contents or {})
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.close()


def test_folder_itself_and_subfolders_packed_and_not(contents, write_files, tmp_path):
    source = make_source(contents)
    for i, subfolder in enumerate((".", "mnist", "MNIST/raw")):
        for packed in (True, False):
            folder = tmp_path / f"{i}{packed}"
            write_files(folder / subfolder, packed)
            arrays = read_folder(source, folder)
            assert list(arrays) == list(contents)
            assert arrays[IMAGES].shape == (6, 28, 28)


def test_folder_that_is_not_there(contents, tmp_path):
    with pytest.raises(DataError) as caught:
        read_folder(make_source(contents), tmp_path / "none")
    assert str(caught.value) == (
        f"digits: TINYNET_DATA is '{tmp_path / 'none'}', expected a folder that exists"
    )


def test_folder_that_lacks_a_file(contents, write_files, tmp_path):
    (write_files(tmp_path / "x") / f"{IMAGES}.gz").unlink()
    with pytest.raises(DataError) as caught:
        read_folder(make_source(contents), tmp_path / "x")
    assert str(caught.value) == (
        f"digits: TINYNET_DATA has no {IMAGES}, expected {tmp_path / 'x' / IMAGES}[.gz],"
        " or the same in mnist, MNIST/raw; unset TINYNET_DATA to download"
    )


def test_folder_whose_files_are_of_another_set(contents, write_files, tmp_path):
    folder = write_files(tmp_path / "x")
    other = make_source(contents)
    with pytest.raises(DataError) as caught:
        read_folder(Source("clothes", (), (), other.checksums), folder, [other])
    assert str(caught.value) == (
        f"clothes: {folder / IMAGES}.gz is of digits, expected another file"
    )


def test_download_goes_to_the_cache_which_then_serves(contents, start_mirror, closed_world):
    mirror = start_mirror(contents)
    source = make_source(contents, mirror.url)
    first = read_cached(source)
    assert sorted(os.listdir(closed_world / "digits")) == sorted(f"{file}.gz" for file in contents)
    assert len(mirror.asked) == 4
    second = read_cached(source)
    assert len(mirror.asked) == 4
    for file in contents:
        np.testing.assert_array_equal(first[file], second[file])


def test_a_user_without_a_home_is_told_where_downloads_may_go(contents, monkeypatch):
    monkeypatch.setattr("tinynet.settings.cache_folder", lambda: None)
    with pytest.raises(DataError) as caught:
        read_cached(make_source(contents))
    assert str(caught.value) == (
        "digits: there is no home for downloads, expected a folder in TINYNET_CACHE"
    )


def test_mirrors_are_tried_in_turn(contents, start_mirror, closed_world):
    empty, wrong, whole = start_mirror(), start_mirror(), start_mirror(contents)
    wrong.serve({file: content + b"!" for file, content in contents.items()})
    read_cached(make_source(contents, "http://127.0.0.1:9/", empty.url, wrong.url, whole.url))
    assert len(empty.asked) == len(wrong.asked) == len(whole.asked) == 4
    assert not list(closed_world.rglob("*.part"))


def test_partial_download_leaves_nothing(contents, start_mirror, closed_world):
    mirror = start_mirror(contents)
    packed, n_bytes = mirror.files[f"{IMAGES}.gz"]
    mirror.files[f"{IMAGES}.gz"] = packed[: n_bytes // 2], n_bytes
    with pytest.raises(DataError, match=f"digits: no mirror gave {IMAGES}.gz, expected one of"):
        read_cached(make_source(contents, mirror.url))
    assert os.listdir(closed_world / "digits") == []
    mirror.serve(contents)
    assert len(read_cached(make_source(contents, mirror.url))) == 4


def test_wrong_checksum_leaves_nothing_and_says_why(contents, start_mirror, closed_world):
    mirror = start_mirror(contents)
    source = make_source(contents, mirror.url)
    mirror.serve({IMAGES: b"something else"})
    with pytest.raises(DataError) as caught:
        read_cached(source)
    checksum = hashlib.sha256(b"something else").hexdigest()
    assert str(caught.value) == (
        f"digits: no mirror gave {IMAGES}.gz, expected one of these to:\n"
        f"  {mirror.url}: digits: {IMAGES} has SHA-256 {checksum},"
        f" expected {source.checksums[IMAGES]}"
    )
    assert os.listdir(closed_world / "digits") == []


def test_failures_of_mirrors_are_told(contents, start_mirror):
    mirror = start_mirror()
    with pytest.raises(DataError) as caught:
        read_cached(make_source(contents, mirror.url))
    assert str(caught.value) == (
        f"digits: no mirror gave {IMAGES}.gz, expected one of these to:\n"
        f"  {mirror.url}: HTTPError: 404 Client Error: Not Found for url: {mirror.url}{IMAGES}.gz"
    )


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: b"\0"])
def test_damaged_cache_is_downloaded_again(contents, start_mirror, closed_world, damage):
    mirror = start_mirror(contents)
    source = make_source(contents, mirror.url)
    read_cached(source)
    path = closed_world / "digits" / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert read_cached(source)[IMAGES].shape == (6, 28, 28)
    assert mirror.asked.count(path.name) == 2


def test_cache_that_cannot_be_written(contents, start_mirror, closed_world):
    mirror = start_mirror(contents)
    closed_world.parent.mkdir(exist_ok=True)
    closed_world.write_text("a file where the folder should be")
    with pytest.raises(DataError) as caught:
        read_cached(make_source(contents, mirror.url))
    assert str(caught.value) == (
        f"digits: cannot make the cache {closed_world / 'digits'} (Not a directory),"
        " expected a folder to download to"
    )


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_full_disk_and_read_only_folder(contents, closed_world, monkeypatch, code):
    asked = []

    def download(self, url, path, pooch, **options):
        asked.append(url)
        Path(path).write_bytes(b"the first bytes")
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", download)
    with pytest.raises(DataError) as caught:
        read_cached(make_source(contents, "http://first/", "http://second/"))
    assert asked == [f"http://first/{IMAGES}.gz"]  # no other mirror mends a disk
    assert str(caught.value) == (
        f"digits: cannot write to the cache {closed_world / 'digits'} ({os.strerror(code)}),"
        " expected room there and leave to write, or another TINYNET_CACHE"
    )
    assert os.listdir(closed_world / "digits") == []


def test_a_damaged_file_that_cannot_be_replaced_stays(contents, start_mirror, closed_world):
    source = make_source(contents, start_mirror().url)
    path = closed_world / "digits" / f"{IMAGES}.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(DataError, match="no mirror gave"):
        read_cached(source)
    assert path.read_bytes() == b"half of it"


def test_checksums_of_packed_files(contents, start_mirror, closed_world):
    mirror = start_mirror(contents)
    packed, n_bytes = mirror.files[f"{IMAGES}.gz"]
    right = hashlib.md5(packed).hexdigest()
    source = Source("kuzushiji", (), (mirror.url,), {IMAGES: f"md5:{right}"})
    assert read_cached(source)[IMAGES].shape == (6, 28, 28)
    path = closed_world / "kuzushiji" / f"{IMAGES}.gz"
    path.write_bytes(packed[:-1])  # damaged: downloaded again
    assert read_cached(source)[IMAGES].shape == (6, 28, 28)
    assert len(mirror.asked) == 2
    assert path.read_bytes() == packed
    path.unlink()
    wrong = bytes([*packed[:-1], packed[-1] ^ 1])
    mirror.files[f"{IMAGES}.gz"] = wrong, n_bytes
    with pytest.raises(DataError) as caught:
        read_cached(source)
    assert str(caught.value).endswith(
        f"kuzushiji: {IMAGES}.gz has MD5 {hashlib.md5(wrong).hexdigest()}, expected {right}"
    )
    assert os.listdir(path.parent) == []


def test_folder_with_packed_files_of_another_set(contents, write_files, tmp_path):
    folder = write_files(tmp_path / "x")
    packed = (folder / f"{IMAGES}.gz").read_bytes()
    other = Source("kuzushiji", (), (), {IMAGES: f"md5:{hashlib.md5(packed).hexdigest()}"})
    with pytest.raises(DataError, match=r"\.gz is of kuzushiji, expected another file$"):
        read_folder(make_source(contents), folder, [other])


def test_without_pooch(contents, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError) as caught:
        read_cached(make_source(contents))
    assert str(caught.value) == (
        "digits: pooch is not installed, expected it to download: pip install 'tinynet[data]'"
    )


@pytest.mark.parametrize("name", ["MNIST", "FASHION_MNIST", "KMNIST"])
def test_known_sets_name_four_files_each(name):
    source = getattr(images_module, name)
    assert [file.split("-")[:2] for file in source.checksums] == [
        ["train", "images"],
        ["train", "labels"],
        ["t10k", "images"],
        ["t10k", "labels"],
    ]
    assert len(set(source.checksums.values())) == 4
