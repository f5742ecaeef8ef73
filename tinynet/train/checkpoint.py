"""Full checkpoints: files that a run of training goes on from, bit for bit.

The other two kinds are `tinynet.save(model.state_dict(), path)`, the parameters only, and
`tinynet.save_model(model, path)`, the model with its architecture.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinynet.errors import DataError
from tinynet.files import refuse_zeros
from tinynet.io import load, save

FORMAT = 1  # of the state of a trainer


def write_checkpoint(op: str, state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a trainer's state, whole or not at all: what was there before stays until then."""
    with saving(op, path):
        save(dict(state), path)


def read_checkpoint(op: str, path: str | os.PathLike[str], device: str | None) -> dict[str, Any]:
    """A trainer's state from its file, tensors on `device`.

    Raises `DataError` for a file that is damaged, or holds something else.
    """
    try:
        state = load(path, device)
    except DataError as error:
        raise DataError(
            f"{op}: the checkpoint cannot be read ({error}); move it away to start anew"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or "step" not in state:
        raise DataError(
            f"{op}: {os.fspath(path)!r} holds no state of training, expected a checkpoint that "
            "fit wrote"
        )
    return state


@contextmanager
def saving(op: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system while `path` is written become a `DataError` that says so."""
    try:
        refuse_zeros(os.fspath(path))
        yield
    except (OSError, DataError) as error:
        cause = error.__cause__ if isinstance(error, DataError) else error
        reason = getattr(cause, "strerror", None) or error
        kept = "; the file that was there is unchanged" if os.path.isfile(path) else ""
        raise DataError(f"{op}: cannot write {os.fspath(path)!r}: {reason}{kept}") from error


def check_folder(op: str, folder: str | os.PathLike[str]) -> None:
    """Raise `DataError` unless files can be written into a folder."""
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"{op}: {os.fspath(folder)!r} is no folder, expected one to write into")
    with saving(op, folder), tempfile.TemporaryFile(dir=place):
        pass
