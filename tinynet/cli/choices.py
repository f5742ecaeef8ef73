"""Names that a user types: the one that is meant, or an error that says what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tinynet.errors import ArgumentError


def choose(what: str, name: str, names: Iterable[str]) -> str:
    """The one of `names` that equals `name`, whatever the case of letters.

    >>> choose("--optimizer", "adamw", ["Adam", "AdamW"])
    'AdamW'
    """
    by_lower = {each.lower(): each for each in names}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    raise ArgumentError(
        f"{what}: {name!r}, expected one of {', '.join(by_lower)}{hint(name, by_lower)}"
    )


def hint(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as the end of a message."""
    near = difflib.get_close_matches(name.lower(), list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def split_names(text: str) -> list[str]:
    """The names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
