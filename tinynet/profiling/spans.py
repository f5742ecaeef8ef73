"""What Python did while a profile looked on: ranges, operations, gradient rules.

Operations are noticed when they are done. A span of one begins where the one before it ended, so
it holds what Python did between them. Lazy kernels are linked to the operations whose values they
compute, others to the operation or rule in which they were launched.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Span:
    """Something Python did, from `start` to `end` (`perf_counter_ns`).

    `kind` is "range", "call", "forward" (an operation) or "backward" (a gradient rule). `node` is
    the graph's number for the node, 0 where there is none.
    """

    kind: str
    name: str
    thread: int
    start: int
    end: int
    node: int = 0
    shape: tuple[int, ...] = ()


class _Thread(threading.local):
    """Where a thread is: when its last span ended, kernels that wait for one, rules it is in."""

    def __init__(self) -> None:
        self.last = 0
        self.waiting: list[int] = []
        self.rules: list[int] = []


class Spans:
    """Collects them. `links`: pairs of a span and a kernel; `pairs`: of an operation and its rule.

    As an observer of autograd it is told of operations (`operation`, `node`) and rules (`enter`,
    `leave`).
    """

    def __init__(self) -> None:
        self.all: list[Span] = []
        self.links: list[tuple[int, int]] = []
        self.pairs: list[tuple[int, int]] = []
        self.here = _Thread()
        self.began = 0
        self.by_node: dict[int, int] = {}
        self.by_value: dict[int, tuple[Any, int]] = {}

    def begin(self) -> int:
        """What comes in this thread begins no earlier than now; the time."""
        self.here.last = now = time.perf_counter_ns()
        self.began = self.began or now
        return now

    def end(self) -> None:
        """Nothing more comes."""
        self.by_value.clear()
        self.links = list(dict.fromkeys(self.links))

    def add(self, kind: str, name: str, start: int) -> int:
        """Note a span that ends now; returns its place."""
        end = time.perf_counter_ns()
        self.all.append(Span(kind, name, threading.get_ident(), start, end))
        return len(self.all) - 1

    # what autograd tells
    def operation(self, name: str, output: Any, order: int) -> None:
        """An operation has given `output`; `order` is its node's, 0 without one."""
        here = self.here
        if here.rules:  # part of a gradient rule
            self.remember(output, here.rules[-1])
            if not order:
                return
        place = self.add("forward", name, max(here.last, self.began))
        span = self.all[place]
        span.node, span.shape = order, tuple(output.shape)
        here.last = span.end
        if order:
            self.by_node[order] = place
        if not here.rules:
            self.remember(output, place)
        self.links += [(place, kernel) for kernel in here.waiting]
        here.waiting = []

    def enter(self, name: str, order: int) -> None:
        """A node's gradient rule begins."""
        start = time.perf_counter_ns()
        place = len(self.all)
        self.all.append(Span("backward", name, threading.get_ident(), start, start, order))
        if order in self.by_node:
            self.pairs.append((self.by_node[order], place))
        here = self.here
        here.rules.append(place)
        here.last, here.waiting = start, []

    def leave(self, gradients: Sequence[Any]) -> None:
        """It has given these."""
        here = self.here
        place = here.rules.pop()
        for gradient in gradients:
            self.remember(gradient, place)
        here.last = self.all[place].end = time.perf_counter_ns()

    # what devices tell
    def launched(self, kernel: int, values: Sequence[Any]) -> None:
        """A kernel, by its number, that computes these lazy values."""
        places = {
            known[1]
            for value in values
            if (known := self.by_value.get(id(value))) is not None and known[0]() is value
        }
        self.links += [(place, kernel) for place in sorted(places)]
        if places:
            return
        here = self.here
        if here.rules:
            self.links.append((here.rules[-1], kernel))
        elif not values:  # at once: the operation that it belongs to is noticed when it is done
            here.waiting.append(kernel)

    def remember(self, output: Any, place: int) -> None:
        """Which span a lazy value is of. Does not keep it, since who holds it decides fusion."""
        value = getattr(getattr(getattr(output, "array", None), "storage", None), "value", None)
        if value is not None:
            known = self.by_value.get(id(value))
            if known is None or known[0]() is not value:  # it was another one's id
                self.by_value[id(value)] = weakref.ref(value), place
