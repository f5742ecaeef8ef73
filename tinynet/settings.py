"""Every environment variable that tinynet reads: one table, nothing else looks at the environment.

>>> from tinynet import settings
>>> settings.DEVICE.name
'TINYNET_DEVICE'
"""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

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
        return self.parse(text) if text else self.default


DEVICE = Setting("TINYNET_DEVICE", "cpu", str, "the device of tensors made without `device=`")
DATA = Setting("TINYNET_DATA", "", str, "folder searched first for data sets")

ALL: tuple[Setting[str], ...] = (DEVICE, DATA)
