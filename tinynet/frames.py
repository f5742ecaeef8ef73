"""Which frames of Python's stack are tinynet's own: warnings and profiles are about the others."""

from __future__ import annotations

import os
import sys

OURS = os.path.dirname(__file__) + os.sep  # what the paths of our files begin with


def level_of_caller() -> int:
    """The `stacklevel` of whoever called tinynet, for a warning where this is called."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame, level = frame.f_back, level + 1
    return level
