"""What the tests of searches run: functions that other processes can import."""

import os
import signal
import sys
import time

import tinynet as tn


def bowl(trial):
    """Lowest, 0, at x = 0.3."""
    return (trial["x"] - 0.3) ** 2


def noise(trial):
    """What the seed alone decides."""
    return tn.rand(1).item()


def faulty(trial):
    """Every way to fail, by the parameter `how`."""
    match trial["how"]:
        case "raise":
            raise ValueError("of no use,\nin two lines")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "leave":
            sys.exit(2)
        case "nan":
            return float("nan")
        case "nothing":
            return None
        case "text":
            return "0.5"
        case "unpicklable":
            return 0.25, lambda: None
    return noise(trial)


class Unloadable:
    """An objective that can be sent, but not be loaded elsewhere."""

    def __call__(self, trial):
        return 1.0

    def __reduce__(self):
        return int, ("no number",)


def slow(trial):
    """Marks that it has started, and takes long unless it is one of the first two."""
    (trial.folder / "started").write_text(str(os.getpid()))
    if trial.number > 1:
        time.sleep(60)
    return trial.number


def start_at(x):
    """A run for restarts: descends from x to the next of the minima of a double well."""
    for _ in range(100):
        x = x - 0.05 * (4 * x**3 - 4 * x + 0.3)
    return x**4 - 2 * x**2 + 0.3 * x, x
