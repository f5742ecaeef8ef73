"""The commands put together, and what becomes of errors: one line, and an exit status."""

from __future__ import annotations

import inspect
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.main import get_command

import tinynet
from tinynet.cli import bench, devices, graph, predict, profile, summary, train
from tinynet.errors import TinynetError

DESCRIPTION = """\
A deep learning engine on any OpenCL device: train, look inside, predict.

\b
A first tour:
  tinynet devices                              what one can compute on
  tinynet train mnist --model lenet            into the folder runs/mnist-lenet
  tinynet predict runs/mnist-lenet digit.png   what your own digits are
  tinynet graph runs/mnist-lenet -o lenet.html
  tinynet bench                                how fast it trains here

`tinynet COMMAND --help` has more examples.
"""
COMMANDS = (devices, train, predict, summary, graph, profile, bench)
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
# What typer raises for a wrong use; the class is click's, or of typer's own copy of click.
UsageError: Any = next(x for x in typer.BadParameter.__mro__ if x.__name__ == "ClickException")


class Failures:
    """Whether a failure is shown with its traceback."""

    is_debugging = False


def run(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status. Programming errors keep their traceback."""
    Failures.is_debugging = False
    _prepare_streams()
    command = get_command(make_app(is_plain=not sys.stdout.isatty()))
    try:
        with _short_warnings():
            status = command.main(arguments, prog_name="tinynet", standalone_mode=False)
            sys.stdout.flush()
    except UsageError as error:
        return _fail(error, f"{_usage(error)}; see {_path_of(error)} --help", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("tinynet: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # of `tinynet devices | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as typer does where it notices first
    except TinynetError as error:
        return _fail(error, str(error), 1)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{name}{error.strerror or error}", 1)
    return status if isinstance(status, int) else 0


def make_app(is_plain: bool) -> typer.Typer:
    """The command with all of its commands; `is_plain` is for pipes: help without boxes."""
    app = typer.Typer(
        name="tinynet", invoke_without_command=True, rich_markup_mode=None if is_plain else "rich",
        pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.callback(help=DESCRIPTION)(_globals)
    for module in COMMANDS:
        function: Callable[..., Any] = module.command
        name = module.__name__.rpartition(".")[2]
        options = getattr(module, "CONTEXT", {})
        text = f"{inspect.cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{module.EXAMPLES}"
        app.command(name, help=text, context_settings=options)(function)
    return app


def _globals(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Errors with their traceback.")] = False,
) -> None:
    if version:
        print(f"tinynet {tinynet.__version__}")
        raise typer.Exit
    Failures.is_debugging = debug
    if context.invoked_subcommand is None:
        print(context.get_help())


def _prepare_streams() -> None:
    """Let what is written to a closed stream, as of `tinynet devices >&-`, go nowhere.

    Characters that a stream's encoding lacks, of a file's name or a label, become escapes.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # what programs put in its place may have none
            stream.reconfigure(errors="backslashreplace")


def _fail(error: Exception, text: str, status: int) -> int:
    """Say what went wrong in one line."""
    sys.stdout.flush()
    if Failures.is_debugging:
        traceback.print_exception(error)
    print(f"tinynet: {' '.join(text.split())}", file=sys.stderr)
    return status


def _usage(error: Any) -> str:
    return str(error.format_message()).strip().rstrip(".")


def _path_of(error: Any) -> str:
    """The command that was used wrongly."""
    context = getattr(error, "ctx", None)
    return context.command_path if context else "tinynet"


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Warnings are a line on stderr, without the place in the code that gave them."""

    def show(message: Warning | str, *rest: Any, **more: Any) -> None:
        print(f"tinynet: warning: {' '.join(str(message).split())}", file=sys.stderr)

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
