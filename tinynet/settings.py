"""Every environment variable that tinynet reads: one table, nothing else looks at the environment.

>>> from tinynet import settings
>>> settings.DEVICE.name
'TINYNET_DEVICE'
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from tinynet.errors import ArgumentError

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """An environment variable: its name, its value where it is unset, its parser, what it does."""

    def __init__(self, name: str, default: Value, parse: Callable[[str], Value], does: str) -> None:
        self.name = name
        self.default = default
        self.parse = parse
        self.does = does

    def get(self) -> Value:
        """The value now: read anew at each call, so that a program can change it."""
        text = os.environ.get(self.name, "")
        try:
            return self.parse(text) if text else self.default
        except ValueError as error:
            raise ArgumentError(f"{self.name}: {error}") from None


def up_to(largest: int) -> Callable[[str], int]:
    """A parser of the whole numbers from 0 to `largest`."""

    def parse(text: str) -> int:
        if text.isdecimal() and int(text) <= largest:
            return int(text)
        raise ValueError(f"expected a number from 0 to {largest}, got {text!r}")

    return parse


def folder(text: str) -> str:
    """A parser of folders, which may begin with ~, as in shells."""
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"nobody's home is {Path(text).parts[0]!r}, got {text!r}") from None


DATA = Setting("TINYNET_DATA", "", folder, "folder searched first for data sets")
CACHE = Setting(
    "TINYNET_CACHE", "", folder, "folder for downloads and tuned choices, else the user's cache"
)
DEVICE = Setting("TINYNET_DEVICE", "cpu", str, "the device of tensors made without `device=`")
DEBUG = Setting(
    "TINYNET_DEBUG", 0, up_to(2), "1 lists each kernel that runs, 2 its rates and source too"
)
TUNE = Setting(
    "TINYNET_TUNE", 0, up_to(1), "1 measures which kernels are fastest on a device, once"
)

ALL: tuple[Setting[Any], ...] = (DATA, CACHE, DEVICE, DEBUG, TUNE)


def cache_folder() -> Path | None:
    """The folder for what can be had again: `TINYNET_CACHE`, else tinynet's part of the user's.

    The default is where platformdirs and pooch put it; None for users who have no home.
    """
    if named := CACHE.get():
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
        parts = ("tinynet", "tinynet", "Cache")
    elif sys.platform == "darwin":
        base, parts = os.path.expanduser("~/Library/Caches"), ("tinynet",)
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        parts = ("tinynet",)
    return None if base.startswith("~") else Path(base, *parts)


def cache_file(*parts: str) -> Path | None:
    """The place of a file in the folder for what can be had again; None where there is none."""
    there = cache_folder()
    return None if there is None else there.joinpath(*parts)
