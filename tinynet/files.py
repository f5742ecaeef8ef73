"""Paths, and files written whole or not at all: all of tinynet writes files in this way."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinynet.errors import ArgumentError, ArgumentTypeError, DataError

DAY = 24 * 3600  # seconds
SHOWN = 50  # characters of a file's name in that of its unfinished part: systems bound its length
# What the system says where it is the path that is at fault, unlike for a full disk.
PATH_ERRORS = {
    errno.EACCES, errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
    errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EROFS,
}  # fmt: skip


def file_name(op: str, path: Any) -> str:
    """A path as a string; `ArgumentTypeError` for what is none."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise ArgumentTypeError(f"{op}: expected a path as str or Path, got {path!r:.60}")
    return name


def refuse_zeros(name: str) -> None:
    """Raise as systems would, if Python let them see such a name: it raises a `ValueError`."""
    if "\0" in name:
        raise OSError(errno.EINVAL, "there is a zero in it", name)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """A name in the same folder to write to; the file takes the name `path` when the block ends.

    Whoever opens `path`, and whatever stops this process, finds the old file or the new one. When
    the block raises, the old file stays and the new one is removed. With `durable` that holds for
    a loss of power too: the data reach the disk before the file gets its name.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "greeting")
    >>> with replacing(target) as partial:
    ...     _ = partial.write_text("hello")
    >>> target.read_text()
    'hello'
    """
    target = _target(path)
    short = target.name[:SHOWN]
    partial = target.with_name(f".{short}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        if durable:
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    except OSError as error:
        if error.filename == str(partial):  # which the user has never heard of
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    if durable:
        _sync_folder(target.parent)


@contextlib.contextmanager
def to_write(op: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Around what writes `path`: `DataError`, if that is no place for a file; `op` opens it."""
    name = file_name(op, path)
    try:
        refuse_zeros(name)
        yield
    except OSError as error:
        if error.errno not in PATH_ERRORS:
            raise
        raise DataError(
            f"{op}: {name!r}: {error.strerror or error}, expected a file to write, in a folder "
            "that is there"
        ) from error


def check_place(op: str, path: str | os.PathLike[str]) -> None:
    """The `DataError` of `to_write`, before there is anything to write."""
    with to_write(op, path):
        os.stat(os.path.join(_target(path).parent, "."))  # whether it is a folder


@contextlib.contextmanager
def to_read(op: str, path: str | os.PathLike[str]) -> Iterator[str]:
    """Around what reads `path`, whose name it gives: `DataError` where the system refuses it."""
    name = file_name(op, path)
    try:
        refuse_zeros(name)
        yield name
    except OSError as error:
        raise DataError(
            f"{op}: {name!r}: {error.strerror or error}, expected a file to read"
        ) from error


@contextlib.contextmanager
def decoding(op: str, name: str, encoding: str) -> Iterator[None]:
    """Around what reads the text of a file: `DataError` where it is none in that encoding."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
    except (LookupError, TypeError, ValueError):
        raise ArgumentError(
            f"{op}: encoding is {encoding!r:.60}, expected a name that Python knows, such as "
            "'utf-8'"
        ) from None
    try:
        yield
    except UnicodeError as error:
        raise DataError(f"{op}: {name}: is no text in {encoding} ({error})") from None


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed had begun to write in a folder, after a day."""
    with contextlib.suppress(OSError):
        for partial in folder.glob(".*.part"):
            if time.time() - partial.stat().st_mtime > DAY:
                partial.unlink()


def _target(path: str | os.PathLike[str]) -> Path:
    """The file that a path leads to, or would; raises if it is something else, or can be none."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):  # never replace a device
            raise FileExistsError(
                errno.EEXIST, "there is something that is no file", os.fspath(path)
            )
    return Path(os.path.realpath(path))  # a link stays one


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; some systems cannot, and need not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
