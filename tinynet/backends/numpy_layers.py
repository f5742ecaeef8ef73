"""What stands in front of the backend's methods for a while: recordings, profiles, exports.

They begin and end in any order, in any thread, so none can put back what it found: with each change
the methods are wrapped anew, from the backend's own outward.
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
        self.own: dict[str, Method] = {}  # methods of the instance, where layers stand before them
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
        fields = vars(self.backend)
        before = {name for layer in self.layers for name in layer}
        after = {name for layer in layers for name in layer}
        self.own.update({name: fields[name] for name in after - before if name in fields})
        methods: dict[str, Method] = {}
        for name in after:
            bound = getattr(type(self.backend), name).__get__(self.backend)
            methods[name] = self.own.get(name, bound)
            for layer in layers:
                if name in layer:
                    methods[name] = layer[name](methods[name])
        fields.update(methods)
        for name in before - after:
            if name in self.own:
                fields[name] = self.own.pop(name)
            else:
                del fields[name]
        self.layers = layers
