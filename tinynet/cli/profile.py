"""`tinynet profile`: what a program runs on its devices."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import tinynet as tn
from tinynet.errors import DataError, TinynetError

EXAMPLES = """\
  tinynet profile step.py                       a table of kernels, the longest first
  tinynet profile --trace out.json step.py --n 3
                                                and a trace for https://ui.perfetto.dev
  TINYNET_DEVICE=opencl tinynet profile step.py
"""
CONTEXT = {"allow_interspersed_args": False}  # options behind SCRIPT are the script's


def command(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python program.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS...", help="What it gets.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a trace for Perfetto there.")] = None,
) -> int:
    """Run a program within tn.profile(): each kernel's calls, time, GFLOP/s and GB/s.

    The table comes when the program is over, also where it ends in an error or by Ctrl-C; the exit
    status is the program's.
    """
    if not script.is_file():
        raise DataError(f"profile: {script}: there is no such file, expected a Python program")
    status = 0
    profile = tn.profile(trace)
    try:
        with _as_program(script, arguments or []), profile:
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        status = _status(end.code)
    except (TinynetError, OSError):  # the program's own: its lines matter
        traceback.print_exc()
        status = 1
    finally:
        print(profile)
    if trace is not None:
        print(f"Trace: {trace.resolve()}, for https://ui.perfetto.dev")
    return status


@contextmanager
def _as_program(script: Path, arguments: list[str]) -> Iterator[None]:
    """What a program finds: its arguments, and its folder first among those to import from."""
    argv, path = sys.argv, sys.path
    sys.argv = [str(script), *arguments]
    sys.path = [str(script.resolve().parent), *path]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, path


def _status(code: object) -> int:
    """The exit status that `sys.exit(code)` means."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1
