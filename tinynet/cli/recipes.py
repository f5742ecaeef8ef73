"""Recipes: how a file becomes an input of a model. They lie in the metadata of the model's file."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

import tinynet as tn
from tinynet.errors import DataError

KEY = "recipe"  # in the metadata


@dataclass(frozen=True)
class ImageRecipe:
    """Images of `shape` (channels, height, width), pixels in [0, 1] less `mean`, over `std`.

    `background` is 0 where the images to learn from were bright on black, 1 where they were dark on
    white, None where neither. `is_centred` says that they are made as MNIST's digits are.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    background: int | None
    is_centred: bool


@dataclass(frozen=True)
class TableRecipe:
    """Rows of numbers: `columns` are the inputs' names, `categorical` those in the file with words.

    A word's column is named `column=word`. Without `classes`, the output times `target_std` plus
    `target_mean` is the target's value.
    """

    classes: tuple[str, ...] | None
    columns: tuple[str, ...]
    categorical: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    target: str
    target_mean: float = 0.0
    target_std: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return (len(self.columns),)


Recipe = ImageRecipe | TableRecipe
KINDS: dict[str, type[ImageRecipe] | type[TableRecipe]] = {
    "image": ImageRecipe, "table": TableRecipe,
}  # fmt: skip


def to_metadata(recipe: Recipe) -> dict[str, str]:
    """What a model's file keeps of a recipe.

    >>> to_metadata(TableRecipe(None, ("x",), (), (0.0,), (1.0,), "y"))[KEY][:38]
    '{"kind": "table", "classes": null, "co'
    """
    kind = next(kind for kind, each in KINDS.items() if isinstance(recipe, each))
    return {KEY: json.dumps({"kind": kind, **dataclasses.asdict(recipe)}, ensure_ascii=False)}


def read_recipe(path: str | os.PathLike[str]) -> Recipe | None:
    """The recipe in a model's file, None if it has none. Raises `DataError` for a damaged one."""
    text = tn.io.load_metadata(path).get(KEY)
    if text is None:
        return None
    try:
        facts = json.loads(text)
        kind = KINDS[facts.pop("kind")]
        return kind(**{name: _frozen(value) for name, value in facts.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"model: {os.fspath(path)}: its recipe is damaged ({error!r})") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
