"""Launches of one work-item each that follow one another, made one launch of one work-item.

On a CPU, a small kernel runs for a microsecond and waits four for its turn. One work-item that
does the work of several, in their order, has the same effects: what a part reads was written by the
same work-item before. Only generated kernels are merged; their text is at hand.
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
    """The launches, neighbours merged where that can be; `make` makes a new one of its kernel,
    its parts and all their arguments.
    """
    result: Launches = []
    run: Launches = []
    for launch in [*launches, None]:
        if launch is not None and is_small(device, launch) and _fits(run, launch):
            run.append(launch)
            continue
        result += run if len(run) < 2 else [make(_kernel_of(device, run), run)]
        run = []
        if launch is None:
            break
        if is_small(device, launch):
            run = [launch]
        else:
            result.append(launch)
    return result


def is_small(device: Device, launch: Any) -> bool:
    """Whether a launch is one work-item's, of a generated kernel."""
    text = launch.kernel.text
    is_generated = text.startswith("#define I ", len(HEAD)) and text.startswith(HEAD)
    return device.is_cpu and prod(launch.size) == 1 and is_generated and "kernel void" in text


def _fits(run: Launches, launch: Any) -> bool:
    count = sum([len(x.args) for x in run]) + len(launch.args)
    return bool(run) and count <= MOST_ARGUMENTS


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
