"""Launches of one work-item each, made one launch of one work-item.

On a CPU, a small kernel runs for a microsecond and waits four for its turn. One work-item that
does the work of several, in their order, has the same effects: what a part reads was written by the
same work-item before. A small launch waits for others to join it, until a large one comes that
reads what it writes, or writes what it reads or writes. Only generated kernels are merged; their
text is at hand.
"""

from __future__ import annotations

import functools
import re
from math import prod
from typing import Any

from tinynet.backends.opencl.device import HEAD, Device, Kernel

MOST_ARGUMENTS = 64
PATTERN = re.compile(r"(.*?)kernel void (\w+)\(([^)]*)\)(.*)", re.DOTALL)

Launches = list[Any]  # tape.Launch: `kernel`, `size`, `group`, `args`, `numbers`, `nbytes`, `flops`


def merged(device: Device, launches: Launches, make: Any) -> Launches:
    """The launches, small ones merged where that can be; `make` makes a new one of its kernel and
    its parts.
    """
    result: Launches = []
    waiting = Waiting()
    for launch in launches:
        joins = is_small(device, launch)
        is_due = not waiting.has_room(launch) if joins else waiting.must_be_before(launch)
        if is_due:
            result += waiting.joined(device, make)
            waiting = Waiting()
        if joins:
            waiting.add(launch)
        else:
            result.append(launch)
    return result + waiting.joined(device, make)


class Waiting:
    """Small launches that wait for others, and the addresses of what they read and write."""

    def __init__(self) -> None:
        self.launches: Launches = []
        self.reads: set[int] = set()
        self.writes: set[int] = set()

    def add(self, launch: Any) -> None:
        self.launches.append(launch)
        reads, writes = launch.touched()
        self.reads |= reads
        self.writes |= writes

    def has_room(self, launch: Any) -> bool:
        """Whether one kernel can take the arguments of one more."""
        return sum([len(x.args) for x in (*self.launches, launch)]) <= MOST_ARGUMENTS

    def must_be_before(self, launch: Any) -> bool:
        """Whether a launch is not to overtake those that wait."""
        reads, writes = launch.touched()
        return not (self.writes.isdisjoint(reads | writes) and self.reads.isdisjoint(writes))

    def joined(self, device: Device, make: Any) -> Launches:
        """All of them, as one."""
        if len(self.launches) < 2:
            return self.launches
        return [make(_kernel_of(device, self.launches), self.launches)]


def is_small(device: Device, launch: Any) -> bool:
    """Whether a launch is one work-item's, of a generated kernel."""
    text = launch.kernel.text
    is_generated = text.startswith("#define I ", len(HEAD)) and text.startswith(HEAD)
    return device.is_cpu and prod(launch.size) == 1 and is_generated and "kernel void" in text


def _kernel_of(device: Device, run: Launches) -> Kernel:
    texts = tuple([x.kernel.text[len(HEAD) :] for x in run])
    types = tuple([kind for x in run for kind in x.kernel.types])
    return _build(device, texts, types)


@functools.cache
def _build(device: Device, texts: tuple[str, ...], types: tuple[Any, ...]) -> Kernel:
    """The kernel that does what each of these programs does."""
    name, program = write(texts)
    return device.build_generated(program, name, types)


def write(texts: tuple[str, ...]) -> tuple[str, str]:
    """The name and the program of the kernel that calls these programs' kernels in turn.

    >>> print(write(("kernel void f(int a) {}", "kernel void g(int a, int b) {}"))[1])
    static void part0_f(int a) {}
    static void part1_g(int a, int b) {}
    kernel void f_g(int a0, int a1, int b1) {
    part0_f(a0);
    part1_g(a1, b1);
    }
    <BLANKLINE>
    """
    programs, parameters, calls, names = [], [], [], []
    for i, text in enumerate(texts):
        found = PATTERN.fullmatch(text)
        assert found is not None
        head, name, declared, body = found.groups()
        head = head if i == 0 else ""  # the same for all
        programs.append(f"{head}static void part{i}_{name}({declared}){body.rstrip()}")
        own = [parameter.rsplit(" ", 1) for parameter in declared.split(", ")]
        own = [(kind.replace(" *restrict", " *"), word) for kind, word in own]
        parameters += [f"{kind} {word}{i}" for kind, word in own]
        calls.append(f"part{i}_{name}({', '.join([f'{word}{i}' for _, word in own])});")
        names.append(name.split("_")[0] if len(texts) > 2 else name)
    title = "_".join(names)[:60]
    kernel = f"kernel void {title}({', '.join(parameters)}) {{"
    return title, "\n".join([*programs, kernel, *calls, "}"]) + "\n"
