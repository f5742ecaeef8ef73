"""Ctrl-C that ends a run at a good moment."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupts:
    """A context manager: the first Ctrl-C inside makes `came` true, a second one stops at once.

    A program that handles SIGINT in its own way keeps doing so, and threads other than the main
    one, to which Python gives no signals, are left alone.
    """

    def __init__(self) -> None:
        self.came = False
        self.is_ours = False

    def __enter__(self) -> Interrupts:
        self.came = False
        self.is_ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self.is_ours:
            signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        """What Ctrl-C does."""
        if self.came:
            signal.default_int_handler(number, frame)
        self.came = True

    def __exit__(self, *error: object) -> None:
        if self.is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
