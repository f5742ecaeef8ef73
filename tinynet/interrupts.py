"""Ctrl-C waits while a recording or a profile is set up or finished, and is heard in between.

Python raises KeyboardInterrupt between any two of its steps, also between taking a lock and being
ready to give it back: the process would go on as if it were recording, or being profiled.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any


class Deferral:
    """A context manager. While `is_on`, Ctrl-C is noted, and passed on in the end.

    To set `is_on` is one step, between which and a `try` nothing can come.
    """

    def __init__(self) -> None:
        self.is_on = True
        self.noted: tuple[Any, ...] = ()  # the signal and the frame it came in
        self.before: Any = None  # what else happens at Ctrl-C

    def __enter__(self) -> Deferral:
        before = signal.getsignal(signal.SIGINT)
        if callable(before) and threading.current_thread() is threading.main_thread():
            self.before = before
            with contextlib.suppress(ValueError):  # in a subinterpreter signals are not heard
                signal.signal(signal.SIGINT, self.note)
        return self

    def __exit__(self, *error: object) -> None:
        if self.before is not None and signal.getsignal(signal.SIGINT) == self.note:
            signal.signal(signal.SIGINT, self.before)
        self.listen()

    def note(self, number: int, frame: FrameType | None) -> None:
        """What happens at Ctrl-C."""
        if self.is_on:
            self.noted = number, frame
        else:
            self.before(number, frame)

    def listen(self) -> None:
        """From now on Ctrl-C is heard at once, and the one that was noted now."""
        self.is_on = False
        if self.noted:
            noted, self.noted = self.noted, ()
            self.before(*noted)
