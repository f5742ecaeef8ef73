"""What stands in front of the backend's methods for a while: recordings, profiles, exports.

They begin and end in any order, in any thread, so none can put back what it found: with each change
the methods are wrapped anew, from the class outward.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Method = Callable[..., Any]
Layer = dict[str, Callable[[Method], Method]]  # by the method's name, what wraps it


class Layers:
    """The layers before one backend; what was added last is called first."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.layers: list[Layer] = []
        self.changing = threading.Lock()

    def add(self, layer: Layer) -> None:
        """Put one in front of all that are there."""
        with self.changing:
            self.settle([*self.layers, layer])

    def remove(self, layer: Layer) -> None:
        """Take it away, wherever it is by now."""
        with self.changing:
            self.settle([x for x in self.layers if x is not layer])

    def settle(self, layers: list[Layer]) -> None:
        """Call through these layers from now on."""
        methods: dict[str, Method] = {}
        for layer in layers:
            for name, wrapped in layer.items():
                if name not in methods:
                    methods[name] = getattr(type(self.backend), name).__get__(self.backend)
                methods[name] = wrapped(methods[name])
        fields = vars(self.backend)
        fields.update(methods)
        for name in {name for layer in self.layers for name in layer} - methods.keys():
            del fields[name]
        self.layers = layers
