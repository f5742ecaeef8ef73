"""Programs: built from text, or from what an earlier process built.

Starting up should not take longer than training a small network, so with PoCL, the CPU's driver,
three things are done that other drivers do themselves. A header of all built-in functions, 18,000
lines that PoCL reads twice for each program, is kept out by its own guard, and what we call is
declared in `kernels/declarations.cl`: a small program builds in 40 ms instead of 150. (Not so a
user's, which may call anything: a wider overload among these would be called without a word.) What
a generated kernel does becomes a function (`outlined`), which is compiled once, kernels three
times: a softmax takes 190 ms instead of 290. And built programs are kept in the user's cache: from
there they take 1 ms, from PoCL's own cache 30.

A damaged binary would crash the driver, so each file begins with a checksum of its name and the
rest. Getting a program's binary takes about as long as building it: that is done when the process
ends, for as long as `PATIENCE` allows; what was not saved then, a later process saves.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import time
import warnings
from pathlib import Path
from typing import Any

import pyopencl as cl

from tinynet.backends.opencl.ctypes import PRELUDE
from tinynet.errors import KernelError
from tinynet.files import remove_unfinished, replacing
from tinynet.settings import cache_file

KERNELS = Path(__file__).parent / "kernels"
# Numbers too small for full precision count as 0: some CPUs are a hundred times slower with them.
OPTIONS = ["-cl-denorms-are-zero", "-w"]
NO_HEADER = "-D_OPENCL_H_"
DECLARATIONS = (KERNELS / "declarations.cl").read_text(encoding="utf-8")
PATIENCE = 0.5, 0.05  # seconds, and more by this share of the process's life
CHECKSUM = 32  # bytes
ONE_ITEM = re.compile(r"^kernel ONE_ITEM void (\w+)\((.*)\) \{$", re.MULTILINE)
PARAMETER = re.compile(r"\w[\w *]*\W([a-z]\w*)")  # and its name; macros have capital letters
GLOBAL = re.compile(r"\bget_global_(id|size)\(([01])\)")
# Its line, and what it is; PoCL says of macros where they are used, and where the mistake is.
MISTAKE = re.compile(r":(\d+):\d+(?: <Spelling=.*?>)?: (?:(?:fatal )?error: )?(.*)")
# Which work-item of how many a function is to do, and where a kernel has that from.
PLACE = "const long id_0, const long id_1, const long size_0, const long size_1"
AT = "get_global_id(0), get_global_id(1), get_global_size(0), get_global_size(1)"


class Builder:
    """Builds programs for one device."""

    def __init__(self, context: Any, cl_device: Any) -> None:
        self.context = context
        self.cl_device = cl_device
        self.is_pocl = cl_device.platform.name == "Portable Computing Language"
        self.is_header_kept_out = self.is_pocl
        self.options = [*OPTIONS, *_macros(cl_device, self.is_pocl)]
        driver = (cl_device.name, cl_device.driver_version, cl_device.platform.version)
        self.driver = "\0".join([*self.options, *driver])
        self.unsaved: list[tuple[Any, Path]] = []
        self.started = time.monotonic()
        if self.is_pocl:
            atexit.register(self.save)

    def build(self, name: str, text: str) -> Any:
        """The built program of a text; `name` is for the error if it does not compile."""
        if not self.is_pocl:  # pyopencl keeps binaries of other drivers'
            return self.compile(name, text)
        path = self.path(text)
        program = None if path is None else self.load(path)
        if program is None:
            program = self.compile(name, text)
            if path is not None:
                self.unsaved.append((program, path))
        return program

    def compile(self, name: str, text: str) -> Any:
        """The program, compiled now. Raises `KernelError` with the compiler's words."""
        source = outlined(text) if self.is_pocl and is_ours(text) else text
        if self.is_header_kept_out and is_ours(text):
            try:
                options = [*self.options, NO_HEADER]
                return _built(cl.Program(self.context, DECLARATIONS + source), options)
            except cl.RuntimeError:  # a mistake in the text, or a PoCL whose header is another
                pass
        try:
            program = _built(cl.Program(self.context, source), self.options)
        except cl.RuntimeError as error:
            raise KernelError(describe(name, text, str(error))) from None
        if is_ours(text):
            self.is_header_kept_out = False
        return program

    # binaries
    def path(self, text: str) -> Path | None:
        """Where the binary of a text is kept, if anywhere: by all that it depends on."""
        declared = DECLARATIONS if is_ours(text) else ""
        key = hashlib.sha256(f"{self.driver}\0{declared}\0{text}".encode()).hexdigest()
        return cache_file("programs", key)

    def is_saved(self, text: str) -> bool:
        """Whether the binary of a text is kept."""
        path = self.path(text) if self.is_pocl else None
        return path is not None and os.path.exists(path)  # False where nobody may look

    def load(self, path: Path) -> Any:
        """The program in a file, None if there is none that is whole."""
        try:
            data = path.read_bytes()
        except OSError:
            return None
        binary = data[CHECKSUM:]
        if _checksum(path, binary) != data[:CHECKSUM]:
            return None
        try:
            return _built(cl.Program(self.context, [self.cl_device], [binary]), OPTIONS)
        except cl.Error:  # another driver's
            return None

    def save(self) -> None:
        """Keep the programs built by this process, within bounds of time."""
        now = time.monotonic()
        least, share = PATIENCE
        deadline = now + least + share * (now - self.started)
        for program, path in self.unsaved:
            if time.monotonic() > deadline or not _write(path, program):
                break
        for folder in {path.parent for _, path in self.unsaved}:
            remove_unfinished(folder)
        self.unsaved.clear()


def is_ours(text: str) -> bool:
    """Whether a program is one of tinynet's, not a user's."""
    return text.startswith(PRELUDE)


def outlined(text: str) -> str:
    r"""A program's text, its last kernel's body a function if it is one of a single item.

    >>> print(outlined("kernel ONE_ITEM void f(global int *x) {\nx[get_global_id(0)] = 0;\n}"))
    static OUTLINED void f_item(const long id_0, const long id_1, const long size_0,
    const long size_1, global int *x) {
    x[id_0] = 0;
    }
    kernel ONE_ITEM void f(global int *x) {
    f_item(get_global_id(0), get_global_id(1), get_global_size(0), get_global_size(1), x);
    }
    <BLANKLINE>
    """
    kernel = ONE_ITEM.search(text)
    parameters = [PARAMETER.fullmatch(each) for each in kernel[2].split(", ")] if kernel else []
    if kernel is None or None in parameters:  # some are hidden in macros
        return text
    name, declared = kernel.groups()
    body = GLOBAL.sub(r"\1_\2", text[kernel.end() :].rstrip())
    given = ", ".join([AT, *[found[1] for found in parameters if found]])
    return (
        f"{text[: kernel.start()]}static OUTLINED void {name}_item({PLACE}, {declared}) {{{body}\n"
        f"{kernel[0]}\n{name}_item({given});\n}}\n"
    )


def _macros(cl_device: Any, is_pocl: bool) -> list[str]:
    """What kernels are told of the driver: HAS_BUILTINS is explained in kernels/functions.cl."""
    if is_pocl:
        return ["-DIS_POCL", "-DHAS_BUILTINS"]
    is_intel = cl_device.platform.name.startswith("Intel")
    return ["-DHAS_BUILTINS"] if is_intel and cl_device.type & cl.device_type.CPU else []


def _built(program: Any, options: list[str]) -> Any:
    """The program, built; what compilers say of programs that they build is no news to users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        return program.build(options)


def _write(path: Path, program: Any) -> bool:
    """Write a program's binary whole or not at all; False where files cannot be written."""
    try:
        binary = program.get_info(cl.program_info.BINARIES)[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as partial:
            partial.write_bytes(_checksum(path, binary) + binary)
    except (OSError, cl.Error):
        return False
    return True


def _checksum(path: Path, binary: bytes) -> bytes:
    """Of a binary and the name that its file has to have."""
    return hashlib.sha256(path.name.encode() + binary).digest()


def describe(name: str, text: str, log: str) -> str:
    """What the compiler said about a kernel, with the source line it points at."""
    found = MISTAKE.search(log)
    if found is None:
        return f"kernel {name}: does not compile: {log.strip()}"
    number = int(found[1])
    line = text.splitlines()[number - 1].strip() if number <= text.count("\n") + 1 else "?"
    return f"kernel {name}: line {number}: {found[2]}\n    {line}\n{log.strip()}"
