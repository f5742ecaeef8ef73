"""Where the files of a data set come from: the user's folder, the cache, or a mirror.

Checksums are of the *unpacked* content, because mirrors pack the same content differently. What
lies in the cache has been checked: a download is checked before it gets its name there.
"""

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
from tinynet.data.idx import parse_idx, read_unpacked
from tinynet.errors import DataError, MissingDependencyError
from tinynet.files import replacing

CONNECT_SECONDS = 3  # then the next mirror is tried: a closed network is noticed soon
READ_SECONDS = 30


@dataclass(frozen=True)
class Source:
    """A data set's name, where to look for it, and the SHA-256 of each file's unpacked content."""

    name: str
    subfolders: tuple[str, ...]
    mirrors: tuple[str, ...]
    checksums: Mapping[str, str]


def read_folder(
    source: Source, folder: Path, others: Sequence[Source] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays of the files in one of the source's subfolders of `folder`, or in `folder` itself.

    Users may keep files of their own there: their structure is checked, not their checksum, except
    that files of `others`, which have the same names, are refused.
    """
    if not folder.is_dir():
        raise DataError(
            f"{source.name}: {settings.DATA.name} is {str(folder)!r}, expected a folder that exists"
        )
    arrays = {}
    for file in source.checksums:
        path = _find(source, folder, file)
        content = read_unpacked(path)
        checksum = hashlib.sha256(content).hexdigest()
        for other in others:
            if checksum in other.checksums.values():
                raise DataError(f"{source.name}: {path} is of {other.name}, expected another file")
        arrays[file] = parse_idx(content, path)
    return arrays


def read_cached(source: Source) -> dict[str, NDArray[Any]]:
    """The arrays of the files in the user's cache; what is missing there is downloaded first."""
    folder = settings.cache_folder() / source.name
    return {
        file: parse_idx(_read_or_download(source, file, folder / f"{file}.gz"), file)
        for file in source.checksums
    }


def _find(source: Source, folder: Path, file: str) -> Path:
    for subfolder in (*source.subfolders, "."):
        for name in (f"{file}.gz", file):
            path = folder / subfolder / name
            if path.is_file():
                return path
    raise DataError(
        f"{source.name}: {settings.DATA.name} has no {file}, expected {folder / file}[.gz],"
        f" or the same in {', '.join(source.subfolders)}; unset {settings.DATA.name} to download"
    )


def _import_pooch(name: str) -> Any:
    try:
        import pooch
    except ImportError as error:
        raise MissingDependencyError(
            f"{name}: pooch is not installed, expected it to download: pip install 'tinynet[data]'"
        ) from error
    return pooch


def _read_or_download(source: Source, file: str, path: Path) -> bytes:
    if path.exists():
        try:
            return _read_checked(source, file, path)
        except DataError:
            path.unlink()
    return _download(source, file, path)


def _read_checked(source: Source, file: str, path: Path) -> bytes:
    content = read_unpacked(path)
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != source.checksums[file]:
        raise DataError(
            f"{source.name}: {file} has SHA-256 {checksum}, expected {source.checksums[file]}"
        )
    return content


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
            reason = textwrap.shorten(str(error), 160, placeholder=" ...")
            failures.append(f"\n  {mirror}: {type(error).__name__}: {reason}")
    raise DataError(
        f"{source.name}: no mirror gave {path.name}, expected one of these to:" + "".join(failures)
    )
