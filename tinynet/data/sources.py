"""Where the files of a data set come from: the user's folder, the cache, or a mirror.

Checksums are of the *unpacked* content, because mirrors pack the same content differently, or, for
sets that publish no others, of the packed file. What lies in the cache has been checked: a download
is checked before it gets its name there.
"""

import errno
import hashlib
import importlib.util
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tinynet import settings
from tinynet.data.idx import parse_idx, read_file, unpack
from tinynet.errors import DataError, MissingDependencyError
from tinynet.files import replacing

CONNECT_SECONDS = 3  # then the next mirror is tried: a closed network is noticed soon
READ_SECONDS = 30
MD5 = "md5:"
DISK = {  # errors of the cache, which no other mirror mends; those of a network have other numbers
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS,
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A data set's name, where to look for it, and each file's checksum.

    A file's name is that of the unpacked file; mirrors have it with `.gz` behind. A checksum is
    the SHA-256 of the unpacked content, or "md5:" and the MD5 of the packed file.
    """

    name: str
    subfolders: tuple[str, ...]
    mirrors: tuple[str, ...]
    checksums: Mapping[str, str]


def read_folder(
    source: Source, folder: Path, others: Sequence[Source] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays of the IDX files in a subfolder of the source's in `folder`, or in `folder`.

    Users may keep files of their own there: their structure is checked, not their checksum, except
    that files of `others`, which have the same names, are refused.
    """
    require_folder(source, folder)
    arrays = {}
    for file in source.checksums:
        path = find_file(source, folder, file)
        if path is None:
            raise DataError(
                f"{source.name}: {settings.DATA.name} has no {file}, expected {folder / file}[.gz],"
                f" or the same in {', '.join(source.subfolders)};"
                f" unset {settings.DATA.name} to download"
            )
        packed = read_file(path, source.name)
        content = unpack(packed, path, source.name)
        for other in others:
            _refuse(source, other, path, packed, content)
        arrays[file] = parse_idx(content, path)
    return arrays


def read_cached(source: Source) -> dict[str, NDArray[Any]]:
    """The arrays of the IDX files in the user's cache; what is missing is downloaded first."""
    return {file: parse_idx(read_cached_file(source, file), file) for file in source.checksums}


def read_cached_file(source: Source, file: str) -> bytes:
    """The unpacked content of a file in the user's cache, downloaded first if need be."""
    path = settings.cache_file(source.name, f"{file}.gz")
    if path is None:
        raise DataError(
            f"{source.name}: there is no home for downloads, expected a folder in "
            f"{settings.CACHE.name}"
        )
    if path.exists():
        try:
            return _read_checked(source, file, path)
        except DataError:
            pass  # a damaged file is downloaded again, over it
    return _download(source, file, path)


def require_folder(source: Source, folder: Path) -> None:
    """Refuse a `TINYNET_DATA` that is no folder."""
    if not folder.is_dir():
        raise DataError(
            f"{source.name}: {settings.DATA.name} is {str(folder)!r}, expected a folder that exists"
        )


def find_file(source: Source, folder: Path, file: str) -> Path | None:
    """Where `file`, packed or not, is in a subfolder of the source's or in `folder` itself."""
    for subfolder in (*source.subfolders, "."):
        for name in (f"{file}.gz", file):
            path = folder / subfolder / name
            if path.is_file():
                return path
    return None


def _refuse(source: Source, other: Source, path: Path, packed: bytes, content: bytes) -> None:
    """Refuse a file that has the name of one of `source` and the checksum of one of `other`."""
    for file, checksum in other.checksums.items():
        if path.name in (file, f"{file}.gz") and _digest(checksum, packed, content) == checksum:
            raise DataError(f"{source.name}: {path} is of {other.name}, expected another file")


def _digest(like: str, packed: bytes, content: bytes) -> str:
    """The checksum of a file, of the kind that `like` is."""
    if like.startswith(MD5):
        return MD5 + hashlib.md5(packed, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest()


def _import_pooch(name: str) -> Any:
    try:
        import pooch
    except ImportError as error:
        raise MissingDependencyError(
            f"{name}: pooch is not installed, expected it to download: pip install 'tinynet[data]'"
        ) from error
    return pooch


def _read_checked(source: Source, file: str, path: Path) -> bytes:
    packed = read_file(path, source.name)
    expected = source.checksums[file]
    if expected.startswith(MD5):  # first: unpacking a wrong file may fail in ways that say less
        _check(source.name, f"{file}.gz has MD5", _digest(expected, packed, b""), expected)
    content = unpack(packed, path, source.name)
    if not expected.startswith(MD5):
        _check(source.name, f"{file} has SHA-256", _digest(expected, packed, content), expected)
    return content


def _check(name: str, came: str, checksum: str, expected: str) -> None:
    if checksum != expected:
        raise DataError(
            f"{name}: {came} {checksum.removeprefix(MD5)}, expected {expected.removeprefix(MD5)}"
        )


def _download(source: Source, file: str, path: Path) -> bytes:
    """The content of `file` from the first mirror that gives it whole, kept as `path`."""
    pooch = _import_pooch(source.name)
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None,
        chunk_size=1 << 16,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{source.name}: cannot make the cache {path.parent} ({error.strerror}),"
            " expected a folder to download to"
        ) from error
    failures = []
    for mirror in source.mirrors:
        try:
            with replacing(path, durable=False) as partial:
                download(mirror + path.name, str(partial), None)
                return _read_checked(source, file, partial)
        except DataError as error:
            failures.append(f"\n  {mirror}: {error}")
        except OSError as error:  # as all that requests raises
            if error.errno in DISK:
                raise DataError(
                    f"{source.name}: cannot write to the cache {path.parent} ({error.strerror}),"
                    f" expected room there and leave to write, or another {settings.CACHE.name}"
                ) from error
            reason = textwrap.shorten(str(error), 160, placeholder=" ...")
            failures.append(f"\n  {mirror}: {type(error).__name__}: {reason}")
    raise DataError(
        f"{source.name}: no mirror gave {path.name}, expected one of these to:" + "".join(failures)
    )
