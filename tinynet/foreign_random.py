"""Random numbers of Python and NumPy: a recorded function draws them once, replays repeat them."""

from __future__ import annotations

import pickle
import random
import threading
import warnings
from typing import Any

import numpy as np

from tinynet.errors import RecordingError

SHARED = ("Python's random", "numpy.random")  # those of modules
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


class Draws:
    """Notes where generators are, to see whether a function moves them on: `generators`, with their
    names, and those that belong to Python's and NumPy's modules, which all threads share.
    """

    def __init__(self, generators: list[tuple[Any, str]]) -> None:
        self.generators = generators
        self.before = self.states()

    def states(self) -> list[Any]:
        """Where all of them are now."""
        return [random.getstate(), *map(_state_of, [np.random, *[x for x, _ in self.generators]])]

    def check(self) -> None:
        """Raise `RecordingError` if any was used; only warn if other threads may have done so."""
        own = [repr(name) if name else "a generator" for _, name in self.generators]
        for name, before, now in zip([*SHARED, *own], self.before, self.states()):
            if now == before:
                continue
            if name in SHARED and threading.active_count() > 1:
                warnings.warn(
                    f"jit: numbers of {name} were drawn while a function was recorded; if that was "
                    "the function, its replays repeat them",
                    stacklevel=6,
                )
                continue
            raise RecordingError(
                f"jit: the function draws numbers from {name}, which replays would repeat; draw "
                "them with tinynet's functions (rand, dropout, ...), or outside, and pass them"
            )


def _state_of(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return pickle.dumps(generator.bit_generator.state)
    return pickle.dumps(generator.get_state(legacy=False))
