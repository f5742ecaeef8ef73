"""Calls of tinynet from outside of it, by Python's own hook for profilers."""

from __future__ import annotations

import os
import sys
import time
from types import FrameType
from typing import Any

from tinynet.frames import OURS
from tinynet.profiling.spans import Spans

SELF = os.path.dirname(__file__) + os.sep


class Calls:
    """Notes them as spans, in the thread that starts it."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.stack: list[tuple[FrameType, int]] = []

    def start(self) -> None:
        """Begin."""
        self.before = sys.getprofile()
        sys.setprofile(self.see)

    def stop(self) -> None:
        """Give the hook back to who had it."""
        sys.setprofile(self.before)
        self.stack.clear()

    def see(self, frame: FrameType, event: str, _: Any) -> None:
        """What Python calls at each beginning and end of a function."""
        if event == "call":
            caller = frame.f_back
            path = frame.f_code.co_filename
            if path.startswith(OURS) and not path.startswith(SELF) and caller is not None:
                outside = caller.f_code.co_filename
                if not outside.startswith(OURS):
                    self.stack.append((frame, time.perf_counter_ns()))
        elif event == "return" and self.stack and self.stack[-1][0] is frame:
            self.spans.add("call", name_of(frame), self.stack.pop()[1])


def name_of(frame: FrameType) -> str:
    """A function's name; of a module's call the class of the module."""
    code = frame.f_code
    if code.co_name == "__call__":
        return type(frame.f_locals[code.co_varnames[0]]).__name__
    return str(getattr(code, "co_qualname", code.co_name))
