"""Files that are written whole or not at all: all of tinynet writes files in this way."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tinynet.errors import DataError

DAY = 24 * 3600  # seconds
# What the system says where it is the path that is at fault, unlike for a full disk.
PATH_ERRORS = (
    FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError,
)  # fmt: skip


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
    partial = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
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
    try:
        yield
    except (*PATH_ERRORS, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, ValueError):
            if "\0" not in os.fsdecode(path):
                raise
            reason = "there is a zero in it"
        raise DataError(
            f"{op}: {os.fspath(path)!r}: {reason}, expected a file to write, in a folder that is "
            "there"
        ) from error


def check_place(op: str, path: str | os.PathLike[str]) -> None:
    """The `DataError` of `to_write`, before there is anything to write."""
    with to_write(op, path):
        os.stat(os.path.join(_target(path).parent, "."))  # whether it is a folder


def _target(path: str | os.PathLike[str]) -> Path:
    """The file that a path leads to, or would; raises if there is something else."""
    target = Path(os.path.realpath(path))  # a link stays one
    if target.exists() and not target.is_file():  # never replace a device
        raise FileExistsError(errno.EEXIST, "there is something that is no file", os.fspath(path))
    return target


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed had begun to write in a folder, after a day."""
    with contextlib.suppress(OSError):
        for partial in folder.glob(".*.part"):
            if time.time() - partial.stat().st_mtime > DAY:
                partial.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; some systems cannot, and need not."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
