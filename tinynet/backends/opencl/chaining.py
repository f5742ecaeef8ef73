"""Launches of a tape made one, on CPUs.

When a launch ends, a driver's threads go to sleep, and the next one wakes them: with PoCL each
launch takes 60 us more than its work. So neighbouring launches become a *chain*, a single launch of
a work-item for each core, which all take tasks from the same list, the work-items of the launches
in their order (`kernels/chain.cl`). What depends on nothing unfinished is done side by side.

A chain's program has the text of each kernel as a function. Names that the texts give to functions,
types and macros get a number, so that they stay apart. Numbers that stay the same from replay to
replay are in a table, which the functions get them from: the program is the same for other shapes.
"""

from __future__ import annotations

import functools
import math
import os
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from pyopencl.tools import dtype_to_ctype

from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.backends.opencl.device import HEAD, Device, Kernel
from tinynet.backends.opencl.launches import Launch, Place
from tinynet.backends.opencl.programs import KERNELS, PLACE, is_ours

COUNTERS = 16  # of a chain's state, before those of phases: a line of the cache
WORD = 8  # bytes
KERNEL = re.compile(r"\b(?:__)?kernel\s+(?:ONE_ITEM\s+)?void\s+(\w+)\(")
# What a text names at the beginning of a line: functions, types, functions made by macros; macros.
FUNCTION = re.compile(r"^(?:static|OUTLINED|inline)\b[^;{(]*?(\w+)\(", re.MULTILINE)
ATTRIBUTE = re.compile(r"__attribute__\(\(\w+\)\)")
TYPE = re.compile(r"^(?:typedef [\w ]+?|\}) (\w+)(?: __attribute__.*)?;", re.MULTILINE)
MADE = re.compile(r"^[A-Z]+\(((?:[a-z_]+, )+)", re.MULTILINE)
MACRO = re.compile(r"^\s*#define (\w+)", re.MULTILINE)
QUOTA = Path("/sys/fs/cgroup/cpu.max")
FUNCTIONS = (KERNELS / "functions.cl").read_text(encoding="utf-8")
WORDS = {"global", "private"}  # of the language
ITEM = """\
#define get_global_id(dim) ((dim) ? id_1 : id_0)
#define get_global_size(dim) ((dim) ? size_1 : size_0)
"""


def chained(device: Device, launches: list[Launch], places: list[Place]) -> list[Launch]:
    """The launches, neighbours made one where that can be.

    `places` are told which arguments of a chain are theirs.
    """
    where = Whereabouts(places)
    most = device.cl_device.max_parameter_size // WORD
    result: list[Launch] = []
    chain = Chain(where)
    for launch in launches:
        joins = can_join(device, launch)
        keys = where.keys(launch) if joins else []
        if not joins or chain.length_with(keys) > most:
            result += chain.made(device)
            chain = Chain(where)
        if joins:
            chain.add(launch, keys)
        else:
            result.append(launch)
    return result + chain.made(device)


def can_join(device: Device, launch: Launch) -> bool:
    """Whether a launch's kernel is one of ours that works by itself: for CPUs, without groups."""
    works_alone = prod(launch.group) == 1 and len(launch.size) <= 2
    return device.is_cpu and works_alone and is_ours(launch.kernel.text)


class Whereabouts:
    """What arguments of launches are: places, which have been other memory when addresses were
    noted; or memory of the tape's own.
    """

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.arguments = {(id(launch), i): place for place in places for launch, i in place.uses}
        self.addresses = {address: place for place in places for address in place.addresses}

    def of_argument(self, launch: Launch, i: int) -> Any:
        """A key for what argument `i` is; None if it is no buffer."""
        place = self.arguments.get((id(launch), i))
        if place is not None:
            return "place", id(place)
        buffer = launch.args[i]
        return ("buffer", buffer.int_ptr) if hasattr(buffer, "int_ptr") else None

    def keys(self, launch: Launch) -> list[Any]:
        """A key for what each argument is; None for what stays as it is."""
        keys = [self.of_argument(launch, i) for i in range(len(launch.args))]
        for i, slot in launch.numbers:
            keys[i] = "number", slot, np.dtype(launch.kernel.types[i]).name
        return keys

    def of_address(self, address: int) -> Any:
        """The key of what had an address when the launches were recorded."""
        place = self.addresses.get(address)
        return ("buffer", address) if place is None else ("place", id(place))

    def touched(self, launch: Launch) -> tuple[set[Any], set[Any]]:
        """What a launch may read, and write; where nobody knows, all that it has is both."""
        if launch.is_planned:
            reads, writes = launch.uses
            return set(map(self.of_address, reads)), set(map(self.of_address, writes))
        every = {self.of_argument(launch, i) for i in range(len(launch.args))} - {None}
        return every, every


class Chain:
    """Launches that follow one another, and the arguments that the kernel of them all has."""

    def __init__(self, where: Whereabouts) -> None:
        self.where = where
        self.launches: list[Launch] = []
        self.keys: list[list[Any]] = []  # what the arguments of each launch are
        self.arguments: dict[Any, tuple[Any, Any]] = {}  # by what they are: value and type
        self.table = Table()

    def length_with(self, keys: list[Any]) -> int:
        """How many arguments there are with one more launch."""
        return 2 + len({*self.arguments, *keys} - {None})

    def add(self, launch: Launch, keys: list[Any]) -> None:
        for key, value, kind in zip(keys, launch.args, launch.kernel.types):
            if key is not None and key not in self.arguments:
                self.arguments[key] = value, kind
        self.launches.append(launch)
        self.keys.append(keys)

    def made(self, device: Device) -> list[Launch]:
        """The launches as one, if they are several."""
        if len(self.launches) < 2:
            return self.launches
        texts = tuple(dict.fromkeys([launch.kernel.text for launch in self.launches]))
        names = {key: f"x{i}" for i, key in enumerate(self.arguments)}
        cases = [self.case(i, names, texts) for i in range(len(self.launches))]
        sizes = [prod(launch.size) for launch in self.launches]
        first = self.table.add(np.cumsum([0, *sizes]), np.int64)
        touched = [self.where.touched(launch) for launch in self.launches]
        after = self.table.add(np.array(after_which(touched)), np.int64)
        kinds = [kind for _, kind in self.arguments.values()]
        program = write(texts, tuple(cases), tuple(kinds), (first, after))
        kernel = _build(device, program, (None, None, *kinds))
        state = device.upload(np.zeros(COUNTERS + len(sizes), np.int32))
        table = device.upload(np.frombuffer(bytes(self.table.content), np.uint8))
        args = [state.buffer, table.buffer, *[value for value, _ in self.arguments.values()]]
        items = min(device.cores, usable_cores(), max(sizes))
        chain = Launch(kernel, (items,), (1,), args, 0, 0)
        chain.held = state, table
        self.tell(chain)
        return [chain]

    def case(self, phase: int, names: dict[Any, str], texts: tuple[str, ...]) -> str:
        """The line that does a task of a launch; `names` of the arguments, by what they are."""
        launch = self.launches[phase]
        size = [self.table.word(n, np.int64) for n in (*launch.size, 1)[:2]]
        given = [
            names[key] if key is not None else self.table.word(value, kind)
            for key, value, kind in zip(self.keys[phase], launch.args, launch.kernel.types)
        ]
        name = f"{launch.kernel.name}_{texts.index(launch.kernel.text)}"
        at = [f"task % {size[0]}", f"task / {size[0]}"]
        return f"case {phase}: {name}({', '.join([*at, *size, *given])}); break;"

    def tell(self, chain: Launch) -> None:
        """Note which of its arguments are numbers, and tell places which ones they are."""
        index = {key: i for i, key in enumerate(self.arguments, 2)}
        chain.numbers = [(i, key[1]) for key, i in index.items() if key[0] == "number"]
        for place in self.where.places:
            if (i := index.get(("place", id(place)))) is not None:
                place.uses.append((chain, i))


class Table:
    """Bytes of numbers, each where its type wants it."""

    def __init__(self) -> None:
        self.content = bytearray()

    def add(self, value: Any, kind: Any) -> int:
        """Where a value, or an array, is from now on."""
        values = np.array(value, kind)
        self.content += bytes(-len(self.content) % max(WORD, values.dtype.itemsize))
        at = len(self.content)
        self.content += values.tobytes()
        return at

    def word(self, value: Any, kind: Any) -> str:
        """An expression for a value; None is no buffer."""
        if value is None:
            return "0"
        return f"AT({dtype_to_ctype(np.dtype(kind))}, {self.add(value, kind)})"


def after_which(touched: list[tuple[set[Any], set[Any]]]) -> list[int]:
    """For each launch, given by what it reads and writes, the last one before it whose work it
    needs, or would spoil; or -1.
    """
    result: list[int] = []
    for i, (reads, writes) in enumerate(touched):
        needs = [
            j
            for j, (read, written) in enumerate(touched[:i])
            if not (written.isdisjoint(reads | writes) and read.isdisjoint(writes))
        ]
        result.append(needs[-1] if needs else -1)
    return result


@functools.cache
def usable_cores() -> int:
    """Cores that this process may use: those of its affinity, or as many as its quota is worth.

    Work-items of a chain that have no core of their own would wait for one another in vain.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:  # control groups (version 2): microseconds of so many
        quota, period = QUOTA.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # there are none, or it is "max"
        pass
    return max(1, cores)


@functools.cache
def _build(device: Device, program: str, types: tuple[Any, ...]) -> Kernel:
    return device.build_generated(program, "chain", types)


def write(
    texts: tuple[str, ...], cases: tuple[str, ...], kinds: tuple[Any, ...], lists: tuple[int, int]
) -> str:
    """The program of a chain, but for the head that all generated programs have."""
    types = [
        "global void *" if kind is None else f"const {dtype_to_ctype(np.dtype(kind))} "
        for kind in kinds
    ]
    defines = {
        "PHASES": len(cases),
        "COUNTERS": COUNTERS,
        "FIRST": lists[0],
        "AFTER": lists[1],
        "PARAMETERS": "".join([f", {kind}x{i}" for i, kind in enumerate(types)]),
        "DO_TASK": " ".join(cases),
    }
    return "".join(
        [
            ITEM,
            *[part(text, i) for i, text in enumerate(texts)],
            *[f"#define {key} {value}\n" for key, value in defines.items()],
            (KERNELS / "chain.cl").read_text(encoding="utf-8"),
        ]
    )


@functools.lru_cache(maxsize=256)
def part(text: str, number: int) -> str:
    """The text of a program whose kernel is a function of a chain's. `number` tells parts apart.

    >>> print(part("kernel void f(int a) { ... }", 1))
    #pragma OPENCL FP_CONTRACT DEFAULT
    #define f f_1
    static __attribute__((noinline)) void f(const long id_0, const long id_1, const long size_0, \
const long size_1, int a) { ... }
    #undef f
    <BLANKLINE>
    """
    text = text.removeprefix(HEAD).replace(FUNCTIONS, "").replace(PRELUDE, "")
    macros = set(MACRO.findall(text))
    names = set(KERNEL.findall(text)) | set(TYPE.findall(text))
    names |= set(FUNCTION.findall(ATTRIBUTE.sub("", text)))
    names |= {name for found in MADE.findall(text) for name in found.split(", ")} - WORDS - {""}
    body = KERNEL.sub(rf"static __attribute__((noinline)) void \1({PLACE}, ", text)
    return "\n".join(
        [
            "#pragma OPENCL FP_CONTRACT DEFAULT",  # a text before may have changed it
            *[f"#define {name} {name}_{number}" for name in sorted(names)],
            body.rstrip("\n"),
            *[f"#undef {name}" for name in sorted(names | macros)],
            "",
        ]
    )
