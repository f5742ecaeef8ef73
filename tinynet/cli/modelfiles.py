"""Models that a user names: files, names in `tinynet.models`, classes in the user's own code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

import tinynet as tn
from tinynet import models, nn
from tinynet.cli.recipes import Recipe, read_recipe
from tinynet.errors import ArgumentError, ArgumentTypeError, DataError
from tinynet.tensor import Tensor

WEIGHTS = "model.safetensors"  # in a run's folder
CODE_KEY = "code"  # in the metadata of a file: where the class was that it names
OUTPUTS = 10  # of a model by name, where no data say how many
MODEL: Any = typer.Argument(
    metavar="MODEL",
    help="A folder of `tinynet train`, a file of tn.save_model, a name such as lenet, or a class "
    "of your own: net.py:Net or package.module:Net.",
)
SHAPE: Any = typer.Option("--shape", help="Of one input, without the batch: 1,28,28.")
CODE: Any = typer.Option(
    "--code", help="A class that the model's file names, net.py:Net; can be repeated."
)


@dataclass(frozen=True)
class Opened:
    """A model, how files become its inputs, and the shape of one input, where these are known."""

    module: nn.Module
    recipe: Recipe | None
    shape: tuple[int, ...] | None


def open_model(
    text: str, shape: str = "", code: Sequence[str] = (), device: str | None = None
) -> Opened:
    """The model that `text` names. Raises `DataError` for files, `ArgumentError` for names."""
    sizes = parse_shape(shape) if shape else None
    path = find_file(text)
    if path is not None:
        own = tn.io.load_metadata(path).get(CODE_KEY)
        if own and not code:
            raise ArgumentError(f"model: {text} has a class of its own, expected --code {own}")
        classes = [load_class(each) for each in code]
        module = tn.load_model(path, [x for x in classes if isinstance(x, type)], device)
        recipe = read_recipe(path)
        return Opened(module, recipe, sizes or (recipe.shape if recipe else None))
    if Path(text).suffix == ".safetensors" or os.sep in text.partition(":")[0]:
        raise DataError(f"model: {text}: there is no such file, expected a model's")
    if sizes is None and text in models.IMAGE_MODELS:
        sizes = (1, 28, 28)
    return Opened(build(text, sizes or (784,), OUTPUTS).to(device), None, sizes or (784,))


def build(text: str, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A new model: one of `tinynet.models`, or of the user's own code.

    A class or function of the user's is called with `shape` and `outputs`, if it has parameters
    of these names.
    """
    if ":" not in text:
        return models.make_model(text, shape, outputs)
    factory = load_class(text)
    named = inspect.signature(factory).parameters
    known = {"shape": shape, "outputs": outputs}
    try:
        module = factory(**{name: value for name, value in known.items() if name in named})
    except TypeError as error:
        raise ArgumentError(
            f"model: {text}: {error}; expected a class or function without parameters, but for "
            "`shape` and `outputs`"
        ) from error
    if not isinstance(module, nn.Module):
        raise ArgumentTypeError(f"model: {text} gave a {type(module).__name__}, expected a Module")
    return module


def input_for(opened: Opened, batch: int) -> Tensor | None:
    """Zeros that the model takes; None where nobody says their shape."""
    if opened.shape is None:
        return None
    first = next(opened.module.parameters(), None)
    return tn.zeros(batch, *opened.shape, device=None if first is None else first.device)


def find_file(text: str) -> Path | None:
    """The file of a model; of a folder, the one that `tinynet train` left in it."""
    path = Path(text)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise DataError(f"model: {text}: has no {WEIGHTS}, expected a folder of a finished run")
        return path / WEIGHTS
    return path if path.is_file() else None


def parse_shape(text: str, option: str = "--shape") -> tuple[int, ...]:
    """Sizes between commas, which were given as `option`.

    >>> parse_shape("1,28,28")
    (1, 28, 28)
    """
    sizes = text.replace("x", ",").split(",")
    if not all(size.strip().isdecimal() for size in sizes):
        raise ArgumentError(f"{option}: {text!r}, expected whole numbers, such as 1,28,28")
    return tuple(map(int, sizes))


def load_class(text: str) -> Callable[..., Any]:
    """The class or function that "file.py:Name" or "package.module:Name" names; runs that code."""
    place, _, name = text.rpartition(":")
    is_file = place.endswith(".py")
    if not name or not (is_file or all(part.isidentifier() for part in place.split("."))):
        raise ArgumentError(
            f"model: {text!r}, expected a class or function: net.py:Net or package.module:Net"
        )
    if is_file:
        if not Path(place).is_file():
            raise DataError(f"model: {place}: there is no such file")
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(Path(place).stem, module)
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise ArgumentError(f"model: {text}: {error}, expected module:Class") from error
        finally:
            sys.path.remove(os.getcwd())
    found = getattr(module, name, None)
    if not callable(found):
        raise ArgumentError(f"model: {place} has no class or function {name!r}")
    return found  # type: ignore[no-any-return]
