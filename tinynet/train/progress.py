"""What one sees of a run while it goes on: a bar in a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from tinynet.errors import MissingDependencyError

if TYPE_CHECKING:
    from tinynet.train.loop import Trainer

INTERVAL = 0.25  # seconds between looks at the device's values, which take some 0.1 ms each
FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Shows loss, metrics, samples per second, and the time that is left.

    `choice`: True for a bar, which is a line for each epoch where `stream` (default: stderr) is no
    terminal; False for nothing; None for a bar in a terminal, else nothing. Raises
    `MissingDependencyError` where True asks for a bar and tqdm is not installed; with None there is
    a line for each epoch then.
    """

    def __init__(self, choice: bool | None, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        is_terminal = self.stream.isatty()
        self.has_lines = choice is not False and (is_terminal or choice is True)
        self.make_bar: Any = None
        if self.has_lines and is_terminal:
            try:
                from tqdm import tqdm
            except ImportError as error:
                if choice:
                    raise MissingDependencyError(
                        "fit: the progress bar needs tqdm: pip install 'tinynet[data]'"
                    ) from error
            else:
                self.make_bar = tqdm
        self.bar: Any = None
        self.due = math.inf

    def start_epoch(self, trainer: Trainer) -> None:
        """Begin to show an epoch, perhaps in its middle."""
        self.begun = time.perf_counter()
        self.samples = trainer.running.samples
        self.title = f"Epoch {trainer.epoch + 1}/{trainer.epochs}"
        if self.make_bar is not None:
            self.bar = self.make_bar(
                total=trainer.n_batches, initial=trainer.batch, desc=self.title, file=self.stream,
                bar_format=FORMAT, dynamic_ncols=True,
            )  # fmt: skip
            self.due = self.begun + INTERVAL

    def show(self, trainer: Trainer) -> None:
        """Bring the bar on; reads values from the device."""
        self.bar.set_postfix_str(self.text(trainer, trainer.read_logs()), refresh=False)
        self.bar.update(trainer.batch - self.bar.n)
        self.due = time.perf_counter() + INTERVAL

    def end_epoch(self, trainer: Trainer, logs: dict[str, float]) -> None:
        """The epoch is over: `logs` is its row."""
        text = self.text(trainer, logs)
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(trainer.batch - self.bar.n)
        elif self.has_lines:
            seconds = time.perf_counter() - self.begun
            self.say(f"{self.title}: {text}, {seconds:.1f} s")
        self.close()

    def text(self, trainer: Trainer, logs: dict[str, float]) -> str:
        """Values, and samples per second."""
        seconds = time.perf_counter() - self.begun
        rate = (trainer.running.samples - self.samples) / max(seconds, 1e-9)
        values = [f"{name} {value:.4g}" for name, value in logs.items() if name != "lr"]
        return ", ".join([*values, f"{rate:,.0f} samples/s"])

    def say(self, text: str) -> None:
        """A line of text."""
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
        self.bar = None
        self.due = math.inf
